"""Autodiscover over SOAP: GetUserSettings (notes 5.2), which exchangelib asks.

    POST /autodiscover/autodiscover.svc

One answer for the whole request, one within it for each user. A setting that the server does
not have comes as an error of its own, or not at all. AlternateMailboxes is no plain text but a
list of its own shape [MEM]; other settings of that kind (URLs with their authentication) have
the value `None`. ServerVersionInfo is read from elements and from attributes, as EWS has it.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from mailmig.wire.autodiscover.pox import (
    AlternativeMailbox,
    alternative_node,
    read_alternative,
)
from mailmig.wire.documents import (
    BadDocument,
    child,
    children,
    content,
    local,
    needed,
    node,
    optional,
    parse,
    render,
    text,
)

NAMESPACE: Final = "http://schemas.microsoft.com/exchange/2010/Autodiscover"
ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
ACTION: Final = f"{NAMESPACE}/Autodiscover/GetUserSettings"

NO_ERROR: Final = "NoError"
ERROR_CODES: Final = (
    NO_ERROR, "RedirectAddress", "RedirectUrl", "InvalidUser", "InvalidRequest", "InvalidSetting",
    "SettingIsNotAvailable", "ServerBusy", "InvalidDomain", "NotFederated", "InternalServerError",
)  # fmt: skip
MOST_USERS: Final = 100
ALTERNATE_MAILBOXES: Final = "AlternateMailboxes"

_REQUEST: Final = "GetUserSettings request"
_ANSWER: Final = "GetUserSettings answer"
_VERSION_PARTS: Final = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")


@dataclass(frozen=True, slots=True)
class Request:
    """Which settings (by name) of which mailboxes (by address); `to` is the URL that is asked."""

    mailboxes: tuple[str, ...]
    settings: tuple[str, ...]
    version: str | None = "Exchange2013"
    to: str | None = None

    def encode(self) -> bytes:
        """Raises: BadDocument when a text has no place in XML."""
        users = (node("a:User", node("a:Mailbox", text=one)) for one in self.mailboxes)
        settings = (node("a:Setting", text=name) for name in self.settings)
        request = node("a:Request", node("a:Users", *users), node("a:RequestedSettings", *settings))
        header = (
            *optional("a:RequestedServerVersion", self.version),
            node("wsa:Action", text=ACTION),
            *optional("wsa:To", self.to),
        )
        return _envelope(header, node("a:GetUserSettingsRequestMessage", request))

    @classmethod
    def decode(cls, raw: bytes) -> "Request":
        """Raises: BadDocument when it is no such request, or for too many users."""
        header, body = _parts(raw, _REQUEST)
        message = needed(body, "GetUserSettingsRequestMessage", _REQUEST)
        request = needed(message, "Request", _REQUEST)
        users = list(children(needed(request, "Users", _REQUEST), "User"))
        if len(users) > MOST_USERS:
            raise BadDocument(_REQUEST, f"it asks for more than {MOST_USERS} users", "<Users>")
        settings = children(needed(request, "RequestedSettings", _REQUEST), "Setting")
        return cls(
            tuple(content(needed(user, "Mailbox", _REQUEST)) for user in users),
            tuple(map(content, settings)),
            text(header, "RequestedServerVersion"),
            text(header, "To"),
        )


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """Who answered: 15, 1, 2507, 6 and perhaps the name of its schema."""

    numbers: tuple[int, int, int, int]
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class SettingError:
    name: str
    code: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class UserAnswer:
    """What was said about one mailbox. `redirect` goes with RedirectAddress and RedirectUrl."""

    settings: tuple[tuple[str, str | None], ...] = ()
    code: str = NO_ERROR
    message: str | None = None
    redirect: str | None = None
    errors: tuple[SettingError, ...] = ()
    alternative_mailboxes: tuple[AlternativeMailbox, ...] = ()

    def get(self, name: str) -> str | None:
        """The value of a plain setting; `None` when there is none."""
        return dict(self.settings).get(name)


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer per mailbox of the request, in its order."""

    users: tuple[UserAnswer, ...] = ()
    code: str = NO_ERROR
    message: str | None = None
    version: ServerVersion | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A SOAP fault in the place of an answer; `code` keeps the prefix it came with."""

    code: str
    message: str = ""


Answer: TypeAlias = Answers | Fault


def encode(answer: Answer) -> bytes:
    """Raises: BadDocument when a text has no place in XML."""
    if isinstance(answer, Fault):
        parts = node("faultcode", text=answer.code), node("faultstring", text=answer.message)
        return _envelope((), node("s:Fault", *parts))
    header = [node("wsa:Action", text=f"{ACTION}Response")]
    if answer.version is not None:
        header.append(_version_node(answer.version))
    response = node(
        "a:Response",
        node("a:ErrorCode", text=answer.code),
        *optional("a:ErrorMessage", answer.message),
        node("a:UserResponses", *map(_user_node, answer.users)),
    )
    return _envelope(header, node("a:GetUserSettingsResponseMessage", response))


def decode(raw: bytes) -> Answer:
    """Raises: BadDocument when it is neither an answer nor a fault."""
    header, body = _parts(raw, _ANSWER)
    fault = child(body, "Fault")
    if fault is not None:
        return Fault(text(fault, "faultcode") or "", text(fault, "faultstring") or "")
    message = needed(body, "GetUserSettingsResponseMessage", _ANSWER)
    response = needed(message, "Response", _ANSWER)
    users = child(response, "UserResponses")
    return Answers(
        () if users is None else tuple(map(_user, children(users, "UserResponse"))),
        _code(response),
        text(response, "ErrorMessage"),
        _version(None if header is None else child(header, "ServerVersionInfo")),
    )


def _envelope(header: "tuple[Element, ...] | list[Element]", body: Element) -> bytes:
    root = node("s:Envelope", node("s:Header", *header), node("s:Body", body))
    for prefix, space in (("s", ENVELOPE), ("a", NAMESPACE), ("wsa", ADDRESSING), ("i", INSTANCE)):
        root.set(f"xmlns:{prefix}", space)
    return render(root)


def _parts(raw: bytes, what: str) -> tuple[Element | None, Element]:
    root = parse(raw, what)
    if local(root) != "Envelope":
        raise BadDocument(what, f"its root is <{root.tag[:120]}>")
    return child(root, "Header"), needed(root, "Body", what)


def _code(element: Element) -> str:
    return content(needed(element, "ErrorCode", _ANSWER))


def _version(info: Element | None) -> ServerVersion | None:
    """`None` when it is absent or not made of numbers."""
    if info is None:
        return None
    written = [text(info, name) or info.get(name) or "" for name in _VERSION_PARTS]
    if not all(one.isascii() and one.isdigit() and len(one) < 10 for one in written):
        return None
    major, minor, build, revision = map(int, written)
    return ServerVersion(
        (major, minor, build, revision), text(info, "Version") or info.get("Version")
    )


def _version_node(version: ServerVersion) -> Element:
    pairs = zip(_VERSION_PARTS, version.numbers, strict=True)
    parts = (node(f"a:{name}", text=str(number)) for name, number in pairs)
    return node("a:ServerVersionInfo", *parts, *optional("a:Version", version.schema))


def _user(element: Element) -> UserAnswer:
    settings: list[tuple[str, str | None]] = []
    mailboxes: tuple[AlternativeMailbox, ...] = ()
    holder, errors = child(element, "UserSettings"), child(element, "UserSettingErrors")
    for setting in () if holder is None else children(holder, "UserSetting"):
        listed = child(setting, ALTERNATE_MAILBOXES)
        if listed is None:
            settings.append((content(needed(setting, "Name", _ANSWER)), text(setting, "Value")))
        else:
            mailboxes += tuple(map(read_alternative, children(listed, "AlternateMailbox")))
    return UserAnswer(
        tuple(settings),
        _code(element),
        text(element, "ErrorMessage"),
        text(element, "RedirectTarget"),
        () if errors is None else tuple(map(_error, children(errors, "UserSettingError"))),
        mailboxes,
    )


def _error(element: Element) -> SettingError:
    name = content(needed(element, "SettingName", _ANSWER))
    return SettingError(name, _code(element), text(element, "ErrorMessage"))


def _user_node(user: UserAnswer) -> Element:
    settings = [_setting_node(name, value) for name, value in user.settings]
    if user.alternative_mailboxes:
        settings.append(_mailboxes_node(user.alternative_mailboxes))
    return node(
        "a:UserResponse",
        node("a:ErrorCode", text=user.code),
        *optional("a:ErrorMessage", user.message),
        *optional("a:RedirectTarget", user.redirect),
        node("a:UserSettingErrors", *map(_error_node, user.errors)),
        node("a:UserSettings", *settings),
    )


def _setting_node(name: str, value: str | None) -> Element:
    setting = node("a:UserSetting", node("a:Name", text=name), *optional("a:Value", value))
    setting.set("i:type", "a:StringSetting")
    return setting


def _mailboxes_node(mailboxes: tuple[AlternativeMailbox, ...]) -> Element:
    listed = (alternative_node("a:AlternateMailbox", one, "a:") for one in mailboxes)
    name = node("a:Name", text=ALTERNATE_MAILBOXES)
    setting = node("a:UserSetting", name, node(f"a:{ALTERNATE_MAILBOXES}", *listed))
    setting.set("i:type", "a:AlternateMailboxCollectionSetting")
    return setting


def _error_node(error: SettingError) -> Element:
    return node(
        "a:UserSettingError",
        node("a:SettingName", text=error.name),
        node("a:ErrorCode", text=error.code),
        *optional("a:ErrorMessage", error.message),
    )
