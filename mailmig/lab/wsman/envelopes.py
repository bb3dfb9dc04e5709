"""SOAP envelopes of WS-Management: one request in, one answer or one fault out (MS-WSMV).

Times are seconds, sizes bytes. Codes and texts of the faults are those of wsmerror.h; where no
public transcript shows them they stand here from memory and are marked [M].
"""

import re
import uuid
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.sax.saxutils import escape, quoteattr

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
MANAGEMENT = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
MICROSOFT = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
POWERSHELL = "http://schemas.microsoft.com/powershell"
NAMES = {
    "s": SOAP, "a": ADDRESSING, "w": MANAGEMENT, "x": TRANSFER, "rsp": SHELL, "p": MICROSOFT,
    "ps": POWERSHELL,
}  # fmt: skip
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
ANONYMOUS = f"{ADDRESSING}/role/anonymous"

VERBS = {
    f"{TRANSFER}/Create": "create", f"{TRANSFER}/Delete": "delete", f"{TRANSFER}/Get": "get",
    f"{SHELL}/Command": "command", f"{SHELL}/Receive": "receive", f"{SHELL}/Send": "send",
    f"{SHELL}/Signal": "signal",
}  # fmt: skip
# What a client gets that says nothing about it, and what Windows since 2012 allows at most.
ENVELOPE_SIZE = 150 * 1024
LARGEST_ENVELOPE = 500 * 1024
TIMEOUT_S = 60.0
_DURATION = re.compile(r"-?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")


class Fault(Exception):
    """What the service answers instead; `code` is that of Windows, None when it gives none."""

    def __init__(self, code: int | None, subcode: str, reason: str, *, sender: bool = True) -> None:
        super().__init__(reason)
        self.code = code
        self.subcode = subcode
        self.reason = reason
        self.sender = sender


def timed_out() -> Fault:
    """Nothing came within OperationTimeout: clients just ask again."""
    return Fault(
        2150858793, "w:TimedOut",
        "The WS-Management service cannot complete the operation within the time specified in "
        "OperationTimeout.", sender=False,
    )  # fmt: skip


def unknown_shell(shell_id: str) -> Fault:
    """The shell was closed, expired, never was, or belongs to somebody else."""
    return Fault(
        2150858843, "w:InvalidSelectors",
        f"The request for the Windows Remote Shell with ShellId {shell_id} failed because the "
        "shell was not found on the server. Possible causes are: the specified ShellId is "
        "incorrect or the shell no longer exists on the server. Provide the correct ShellId or "
        "create a new shell and retry the operation.",
    )  # fmt: skip


def unknown_resource(uri: str) -> Fault:
    """This listener has no such shell: Exchange's on the port of WinRM, for one."""
    return Fault(
        2150858811, "a:DestinationUnreachable",
        f"The WS-Management service cannot process the request. The resource URI ({uri}) was not "
        "found in the WS-Management catalog. The catalog contains the metadata that describes "
        "resources, or logical endpoints.",
    )  # fmt: skip


def unknown_action(action: str) -> Fault:
    """[M]"""
    return Fault(
        2150858771, "a:ActionNotSupported",
        f"The WS-Management service cannot process the request because the action ({action}) is "
        "not supported.",
    )  # fmt: skip


def unknown_command(command_id: str) -> Fault:
    """[M]"""
    return Fault(
        2150858843, "w:InvalidSelectors",
        "The Windows Remote Shell received a request to perform an operation on a command "
        f"identifier that does not exist ({command_id}). Either the command has completed "
        "execution or the client specified an invalid command identifier.",
    )  # fmt: skip


def broken_xml() -> Fault:
    """[M]"""
    return Fault(
        2150858817, "w:SchemaValidationError",
        "The WS-Management service cannot process the request because the XML is invalid.",
    )  # fmt: skip


def too_many_shells(allowed: int) -> Fault:
    return Fault(
        2150859173, "w:QuotaLimit",
        "The WS-Management service cannot process the request. This user is allowed a maximum "
        f"number of {allowed} concurrent shells, which has been exceeded. Close existing shells "
        "or raise the quota for this user.",
    )  # fmt: skip


def too_many_commands() -> Fault:
    """Commands that were never signalled to terminate count on (pypsrp issue 148)."""
    return Fault(
        None, "w:InternalError",
        "The WS-Management service cannot process the request. The maximum number of concurrent "
        "commands per shell has been exceeded. Retry the request later or raise the Maximum "
        "Commands per Shell quota.", sender=False,
    )  # fmt: skip


def broken_payload(what: str) -> Fault:
    """[M] The envelope is good and what it carries is not."""
    return Fault(
        87, "w:InvalidParameter",
        f"The parameter is incorrect: {what}.",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `verb` is None for an action that nobody here carries out."""

    action: str
    verb: str | None
    message_id: str
    resource_uri: str
    selectors: Mapping[str, str]
    options: Mapping[str, str]
    timeout_s: float
    envelope_size: int
    locale: str
    data_locale: str
    body: Element

    @property
    def shell_id(self) -> str:
        return self.selectors.get("SHELLID", "")

    def find(self, path: str) -> Element:
        """The element at that path below the body; a fault when there is none."""
        found = self.body.find(path, NAMES)
        if found is None:
            raise broken_payload(f"{path} is missing")
        return found


def parse(raw: bytes) -> Request:
    """Bytes as they came. Raises `Fault` for what is no request; a DTD is refused."""
    head, body = _halves(raw)
    action = _text(head, "a:Action")
    locale = _language(head, "w:Locale")
    return Request(
        action=action,
        verb=VERBS.get(action),
        message_id=_text(head, "a:MessageID"),
        resource_uri=_text(head, "w:ResourceURI"),
        selectors=_pairs(head, "w:SelectorSet/w:Selector"),
        options=_pairs(head, "w:OptionSet/w:Option"),
        timeout_s=seconds(_text(head, "w:OperationTimeout"), TIMEOUT_S),
        envelope_size=_envelope_size(_text(head, "w:MaxEnvelopeSize")),
        locale=locale or "en-US",
        data_locale=_language(head, "p:DataLocale") or locale or "en-US",
        body=body,
    )


def _halves(raw: bytes) -> tuple[Element, Element]:
    if b"<!" in raw or b"\x00" in raw:  # a DTD, or UTF-16, which could hide one
        raise broken_xml()
    parser = XMLParser()  # noqa: S314
    try:
        parser.feed(raw)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError):  # LookupError: an encoding nobody knows
        raise broken_xml() from None
    head, body = root.find("s:Header", NAMES), root.find("s:Body", NAMES)
    if head is None or body is None:
        raise broken_xml()
    return head, body


def _text(head: Element, path: str) -> str:
    return (head.findtext(path, "", NAMES) or "").strip()


def _language(head: Element, path: str) -> str:
    found = head.find(path, NAMES)
    return "" if found is None else found.get(LANGUAGE, "")


def _pairs(head: Element, path: str) -> dict[str, str]:
    """Names in capitals, since Windows does not look at their case."""
    return {e.get("Name", "").upper(): e.text or "" for e in head.iterfind(path, NAMES)}


def _envelope_size(text: str) -> int:
    try:
        asked = int(text)
    except ValueError:
        return ENVELOPE_SIZE
    return max(8192, min(asked, LARGEST_ENVELOPE))


def seconds(text: str, default: float) -> float:
    """An XML duration such as PT20S or PT1M30.5S; the default for what is none."""
    found = _DURATION.match(text.strip())
    if not found or not any(found.groups()):
        return default
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def unbase64(text: str | None, what: str) -> bytes:
    """Bytes that were packed into text; a fault names what was broken."""
    try:
        return b64decode("".join((text or "").split()), validate=True)
    except (NotBase64, ValueError):
        raise broken_payload(f"{what} is not base64") from None


def answer(request: Request, body: str) -> bytes:
    """The envelope around what a verb answered; RelatesTo repeats the id as it came."""
    return _envelope(f"{request.action}Response", request.message_id, body)


def fault(found: Fault, message_id: str, machine: str) -> bytes:
    """The envelope of a fault; `message_id` is empty when the request could not be read."""
    reason = escape(found.reason)
    detail = ""
    if found.code is not None:
        detail = (
            f'<s:Detail><f:WSManFault xmlns:f="{FAULT}" Code="{found.code}" '
            f"Machine={quoteattr(machine)}><f:Message>{reason}</f:Message></f:WSManFault></s:Detail>"
        )
    body = (
        f"<s:Fault><s:Code><s:Value>s:{'Sender' if found.sender else 'Receiver'}</s:Value>"
        f"<s:Subcode><s:Value>{found.subcode}</s:Value></s:Subcode></s:Code>"
        f'<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason>{detail}</s:Fault>'
    )
    action = f"{'http://schemas.dmtf.org/wbem/wsman/1/wsman' if found.subcode[:2] == 'w:' else ADDRESSING}/fault"
    return _envelope(action, message_id, body)


def _envelope(action: str, relates_to: str, body: str) -> bytes:
    related = f"<a:RelatesTo>{escape(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" '
        f'xmlns:x="{TRANSFER}" xmlns:w="{MANAGEMENT}" xmlns:rsp="{SHELL}" xmlns:p="{MICROSOFT}">'
        f"<s:Header><a:Action>{escape(action)}</a:Action>"
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>"
        f"<a:To>{ANONYMOUS}</a:To>{related}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
