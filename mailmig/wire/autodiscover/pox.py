"""Autodiscover for Outlook, "plain old XML" (MS-OXDSCLI 2.2, 4.4; notes 5.1).

    POST /autodiscover/autodiscover.xml, with the header X-MapiHttpCapability: 1

Ask with the address of the mailbox whose settings are wanted and the caller's credentials. The
answer is `Settings`, `Redirect` or `Error`, all of them with HTTP 200. Without that header there
is no MAPI/HTTP block; Exchange 2019 then leaves out EXCH and EXPR. A URL that is not configured
is absent. The MAPI/HTTP block gives its type as an attribute, the others as an element: both
are read in either place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from mailmig.wire.documents import (
    BadDocument,
    child,
    children,
    content,
    local,
    namespace,
    needed,
    node,
    optional,
    parse,
    render,
    text,
)

_BASE: Final = "http://schemas.microsoft.com/exchange/autodiscover"
OUTLOOK_REQUEST: Final = f"{_BASE}/outlook/requestschema/2006"
OUTLOOK_RESPONSE: Final = f"{_BASE}/outlook/responseschema/2006a"
MOBILE_REQUEST: Final = f"{_BASE}/mobilesync/requestschema/2006"
MOBILE_RESPONSE: Final = f"{_BASE}/mobilesync/responseschema/2006"
ENVELOPE: Final = f"{_BASE}/responseschema/2006"

CAPABILITY: Final = ("X-MapiHttpCapability", "1")
CONTENT_TYPE: Final = "text/xml; charset=utf-8"
MAPI_HTTP: Final = "mapiHttp"

_REQUEST: Final = "Autodiscover request"
_ANSWER: Final = "Autodiscover answer"


class ErrorNumber(IntEnum):
    """ErrorCode of an answer (MS-OXDSCLI 2.2.4.1.1.3)."""

    ADDRESS_NOT_FOUND = 500
    NO_CONFIGURATION = 501
    INVALID_REQUEST = 600  # what a GET is answered with
    SCHEMA_NOT_AVAILABLE = 601
    CONFIGURATION_ERROR = 602
    INTERNAL_ERROR = 603


@dataclass(frozen=True, slots=True)
class Request:
    """Whose settings, by address or by `legacy_dn`, and in which schema the answer shall be."""

    email_address: str | None
    response_schema: str = OUTLOOK_RESPONSE
    legacy_dn: str | None = None

    @property
    def is_mobile(self) -> bool:
        return self.response_schema == MOBILE_RESPONSE

    def encode(self) -> bytes:
        """Raises: BadDocument when a text has no place in XML."""
        schema = MOBILE_REQUEST if self.is_mobile else OUTLOOK_REQUEST
        request = node(
            "Request",
            *optional("EMailAddress", self.email_address),
            *optional("LegacyDN", self.legacy_dn),
            node("AcceptableResponseSchema", text=self.response_schema),
        )
        return render(node("Autodiscover", request, xmlns=schema))

    @classmethod
    def decode(cls, raw: bytes) -> "Request":
        """The server's half; a schema that it does not know is for it to answer (601).

        Raises:
            BadDocument: it is no request, or names neither an address nor a DN.
        """
        root = parse(raw, _REQUEST)
        if local(root) != "Autodiscover" or "response" in namespace(root):
            raise BadDocument(_REQUEST, f"its root is <{root.tag[:120]}>")
        request = needed(root, "Request", _REQUEST)
        address, legacy_dn = text(request, "EMailAddress"), text(request, "LegacyDN")
        if address is None and legacy_dn is None:
            raise BadDocument(_REQUEST, "it names neither address nor DN", "<Request>")
        return cls(
            address, content(needed(request, "AcceptableResponseSchema", _REQUEST)), legacy_dn
        )


@dataclass(frozen=True, slots=True)
class User:
    """Whose settings these are. `legacy_dn` is what UserDn and Essdn of MAPI/HTTP are."""

    display_name: str | None = None
    legacy_dn: str | None = None
    smtp_address: str | None = None
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Urls:
    """Inside and outside; `None` is one that is not configured."""

    internal: str | None = None
    external: str | None = None


@dataclass(frozen=True, slots=True)
class MapiHttp:
    """The two endpoints of MAPI/HTTP, from build 15.00.0847.032 (2013 SP1) on."""

    mail_store: Urls | None = None
    address_book: Urls | None = None
    version: str = "1"


@dataclass(frozen=True, slots=True)
class Protocol:
    """Another block: EXCH, EXPR, EXHTTP, WEB. `settings` are element names and texts, in order.

    Names: Server, ServerDN, MdbDN, ServerVersion, ASUrl, EwsUrl, EcpUrl, OABUrl, OOFUrl,
    AuthPackage, SSL, ... Elements that hold elements are left out.
    """

    type: str
    settings: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The first setting of that name."""
        return next((value for known, value in self.settings if known == name), None)


@dataclass(frozen=True, slots=True)
class AlternativeMailbox:
    """Another mailbox that Outlook opens as well: Delegate (automapped), Archive, TeamMailbox."""

    type: str | None = None
    display_name: str | None = None
    smtp_address: str | None = None
    owner_smtp_address: str | None = None
    legacy_dn: str | None = None  # older form, with Server [MEM]
    server: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Action "settings": what Outlook is configured with."""

    user: User = User()
    mapi_http: MapiHttp | None = None
    protocols: tuple[Protocol, ...] = ()
    alternative_mailboxes: tuple[AlternativeMailbox, ...] = ()
    public_folder_address: str | None = None
    account_type: str | None = "email"

    def protocol(self, type_: str) -> Protocol | None:
        """The first block of that type, in any case."""
        return next((p for p in self.protocols if p.type.lower() == type_.lower()), None)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Action "redirectUrl" or "redirectAddr": ask there, or with that address; one is given."""

    url: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Error:
    """<Error>; `code` is one of `ErrorNumber`, or unknown. `time` and `id` are as they came."""

    code: int
    message: str | None = None
    time: str | None = None
    id: str | None = None
    debug_data: str | None = None


Answer: TypeAlias = Settings | Redirect | Error


def encode(answer: Answer) -> bytes:
    """Raises: BadDocument when a text has no place in XML, or a redirect leads nowhere."""
    match answer:
        case Settings():
            parts = [_user_node(answer.user), _account_node(answer)]
        case Redirect():
            parts = [_redirect_node(answer)]
        case Error():
            return render(_envelope(node("Response", error_node(answer), xmlns=ENVELOPE)))
    return render(_envelope(node("Response", *parts, xmlns=OUTLOOK_RESPONSE)))


def decode(raw: bytes) -> Answer:
    """The answer to a request for Outlook's schema.

    Raises:
        BadDocument: it is no such answer.
    """
    response = open_response(raw)
    found = child(response, "Error")
    if found is not None:
        return read_error(found)
    account = needed(response, "Account", _ANSWER)
    action = (text(account, "Action") or "").lower()
    if action == "settings":
        return _settings(child(response, "User"), account)
    if action in ("redirecturl", "redirectaddr"):
        return _redirect(account)
    raise BadDocument(_ANSWER, f"its action is {action[:40]!r}", "<Account>")


def open_response(raw: bytes) -> Element:
    """The <Response> of an answer, Outlook's or ActiveSync's.

    Raises:
        BadDocument: there is none.
    """
    root = parse(raw, _ANSWER)
    if local(root) != "Autodiscover":
        raise BadDocument(_ANSWER, f"its root is <{root.tag[:120]}>")
    return needed(root, "Response", _ANSWER)


def read_error(error: Element) -> Error:
    """Raises: BadDocument when its code is no number."""
    code = text(error, "ErrorCode") or ""
    if not (code.isascii() and code.isdigit() and len(code) < 10):
        raise BadDocument(_ANSWER, f"its ErrorCode is {code[:40]!r}", "<Error>")
    return Error(
        int(code),
        text(error, "Message"),
        error.get("Time"),
        error.get("Id"),
        text(error, "DebugData"),
    )


def error_node(error: Error) -> Element:
    """What `read_error` reads."""
    given = {"Time": error.time, "Id": error.id}
    return node(
        "Error",
        node("ErrorCode", text=str(error.code)),
        *optional("Message", error.message),
        *optional("DebugData", error.debug_data),
        **{name: value for name, value in given.items() if value is not None},
    )


def _envelope(response: Element) -> Element:
    return node("Autodiscover", response, xmlns=ENVELOPE)


def _settings(user: Element | None, account: Element) -> Settings:
    mapi_http: MapiHttp | None = None
    protocols: list[Protocol] = []
    for block in children(account, "Protocol"):
        kind = block.get("Type") or text(block, "Type") or ""
        if kind.lower() != MAPI_HTTP.lower():
            protocols.append(Protocol(kind, tuple(_leaves(block))))
        elif mapi_http is None:
            mapi_http = _mapi_http(block)
    return Settings(
        User(
            text(user, "DisplayName"),
            text(user, "LegacyDN"),
            text(user, "AutoDiscoverSMTPAddress"),
            text(user, "DeploymentId"),
        ),
        mapi_http,
        tuple(protocols),
        tuple(map(read_alternative, children(account, "AlternativeMailbox"))),
        text(child(account, "PublicFolderInformation"), "SmtpAddress"),
        text(account, "AccountType"),
    )


def _mapi_http(block: Element) -> MapiHttp:
    version = block.get("Version") or text(block, "Version") or "1"
    return MapiHttp(_urls(child(block, "MailStore")), _urls(child(block, "AddressBook")), version)


def _urls(element: Element | None) -> Urls | None:
    if element is None:
        return None
    return Urls(text(element, "InternalUrl"), text(element, "ExternalUrl"))


def _leaves(block: Element) -> Iterator[tuple[str, str]]:
    for element in block:
        if not len(element) and local(element) != "Type":
            yield local(element), content(element)


def read_alternative(element: Element) -> AlternativeMailbox:
    """Another mailbox, from POX or from SOAP, which has the same elements."""
    return AlternativeMailbox(*(text(element, name) for name in _ALTERNATIVE))


_ALTERNATIVE: Final = (
    "Type", "DisplayName", "SmtpAddress", "OwnerSmtpAddress", "LegacyDN", "Server",
)  # fmt: skip


def _redirect(account: Element) -> Redirect:
    redirect = Redirect(text(account, "RedirectUrl"), text(account, "RedirectAddr"))
    if not redirect.url and not redirect.address:
        raise BadDocument(_ANSWER, "its redirect leads nowhere", "<Account>")
    return redirect


def _user_node(user: User) -> Element:
    return node(
        "User",
        *optional("DisplayName", user.display_name),
        *optional("LegacyDN", user.legacy_dn),
        *optional("AutoDiscoverSMTPAddress", user.smtp_address),
        *optional("DeploymentId", user.deployment_id),
    )


def _account_node(settings: Settings) -> Element:
    account = node(
        "Account", *optional("AccountType", settings.account_type), node("Action", text="settings")
    )
    if settings.mapi_http is not None:
        account.append(_mapi_http_node(settings.mapi_http))
    for protocol in settings.protocols:
        leaves = (node(name, text=value) for name, value in protocol.settings)
        account.append(node("Protocol", node("Type", text=protocol.type), *leaves))
    for mailbox in settings.alternative_mailboxes:
        account.append(alternative_node("AlternativeMailbox", mailbox))
    if settings.public_folder_address is not None:
        address = node("SmtpAddress", text=settings.public_folder_address)
        account.append(node("PublicFolderInformation", address))
    return account


def _mapi_http_node(block: MapiHttp) -> Element:
    parts = (("MailStore", block.mail_store), ("AddressBook", block.address_book))
    urls = [
        node(name, *optional("InternalUrl", one.internal), *optional("ExternalUrl", one.external))
        for name, one in parts
        if one is not None
    ]
    return node("Protocol", *urls, Type=MAPI_HTTP, Version=block.version)


def alternative_node(name: str, mailbox: AlternativeMailbox, prefix: str = "") -> Element:
    """What `read_alternative` reads."""
    texts = (
        mailbox.type, mailbox.display_name, mailbox.smtp_address, mailbox.owner_smtp_address,
        mailbox.legacy_dn, mailbox.server,
    )  # fmt: skip
    pairs = zip(_ALTERNATIVE, texts, strict=True)
    return node(name, *(part for key, one in pairs for part in optional(prefix + key, one)))


def _redirect_node(redirect: Redirect) -> Element:
    if redirect.url:
        kind, name, target = "redirectUrl", "RedirectUrl", redirect.url
    elif redirect.address:
        kind, name, target = "redirectAddr", "RedirectAddr", redirect.address
    else:
        raise BadDocument(_ANSWER, "its redirect leads nowhere", "<Account>")
    return node("Account", node("Action", text=kind), node(name, text=target))
