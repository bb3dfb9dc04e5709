"""Autodiscover for ActiveSync devices (notes 5.1): the envelope of `pox`, another content.

    Response / Action / Settings / Server {Type=MobileSync, Url, Name}
    Response / Action / Redirect                       an address to ask with instead
    Response / Action / Error / Status

The request is a `pox.Request` with the schema `pox.MOBILE_RESPONSE`. A request that is wrong in
itself is answered with `pox.Error`, as Outlook's is.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from mailmig.wire.autodiscover.pox import (
    ENVELOPE,
    MOBILE_RESPONSE,
    Error,
    error_node,
    open_response,
    read_error,
)
from mailmig.wire.documents import (
    BadDocument,
    child,
    children,
    needed,
    node,
    optional,
    render,
    text,
)

_ANSWER: Final = "Autodiscover answer for ActiveSync"


@dataclass(frozen=True, slots=True)
class Server:
    """One place to synchronise with; the type is "MobileSync", for certificates "CertEnroll"."""

    type: str | None = "MobileSync"
    url: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    servers: tuple[Server, ...]
    display_name: str | None = None
    email_address: str | None = None


@dataclass(frozen=True, slots=True)
class Redirect:
    address: str
    display_name: str | None = None
    email_address: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """<Action><Error>; its `status` is as it came (1 success, 2 protocol error [MEM])."""

    status: str | None
    message: str | None = None
    display_name: str | None = None
    email_address: str | None = None


Answer: TypeAlias = Settings | Redirect | Refused | Error


def encode(answer: Answer) -> bytes:
    """Raises: BadDocument when a text has no place in XML."""
    if isinstance(answer, Error):
        response = node("Response", error_node(answer), xmlns=ENVELOPE)
    else:
        user = node(
            "User",
            *optional("DisplayName", answer.display_name),
            *optional("EMailAddress", answer.email_address),
        )
        response = node("Response", user, node("Action", _action(answer)), xmlns=MOBILE_RESPONSE)
    return render(node("Autodiscover", response, xmlns=ENVELOPE))


def decode(raw: bytes) -> Answer:
    """Raises: BadDocument when it is no such answer."""
    response = open_response(raw)
    wrong = child(response, "Error")
    if wrong is not None:
        return read_error(wrong)
    user, action = child(response, "User"), needed(response, "Action", _ANSWER)
    who = text(user, "DisplayName"), text(user, "EMailAddress")
    if (settings := child(action, "Settings")) is not None:
        return Settings(tuple(map(_server, children(settings, "Server"))), *who)
    if redirect := text(action, "Redirect"):
        return Redirect(redirect, *who)
    if (refused := child(action, "Error")) is not None:
        return Refused(text(refused, "Status"), text(refused, "Message"), *who)
    raise BadDocument(_ANSWER, "it holds neither settings, redirect nor error", "<Action>")


def _server(element: Element) -> Server:
    return Server(text(element, "Type"), text(element, "Url"), text(element, "Name"))


def _action(answer: Settings | Redirect | Refused) -> Element:
    match answer:
        case Settings(servers):
            return node("Settings", *map(_server_node, servers))
        case Redirect(address):
            if not address:
                raise BadDocument(_ANSWER, "its redirect leads nowhere", "<Action>")
            return node("Redirect", text=address)
        case Refused(status, message):
            return node("Error", *optional("Status", status), *optional("Message", message))


def _server_node(server: Server) -> Element:
    return node(
        "Server",
        *optional("Type", server.type),
        *optional("Url", server.url),
        *optional("Name", server.name),
    )
