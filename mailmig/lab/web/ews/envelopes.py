"""SOAP of EWS: what every request and every answer has around it.

Element names and codes: Microsoft Learn, "EWS reference for Exchange"; the words of messages are
from memory [MEM].
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from mailmig.lab.web.messages import LARGEST_BODY, XML, Answer
from mailmig.model.organisation import Server
from mailmig.wire.documents import BadDocument, parse

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
TYPES: Final = "http://schemas.microsoft.com/exchange/services/2006/types"
MESSAGES: Final = "http://schemas.microsoft.com/exchange/services/2006/messages"
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ERRORS: Final = "http://schemas.microsoft.com/exchange/services/2006/errors"
NAMES: Final = {"s": SOAP, "t": TYPES, "m": MESSAGES}
# Folders to search or names to resolve in one request. Each goes through much, and all others wait:
# the lab's own limit.
MOST_AT_ONCE: Final = 100
# What clients may ask for, the oldest first; a server knows those up to its own.
VERSIONS: Final = (
    "Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2",
    "Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016",
)  # fmt: skip
_NEWEST: Final = {"2013": "Exchange2013_SP1"}


class Refused(Exception):
    """An operation, or one part of it, is answered with a code of EWS instead."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or _TEXTS.get(code, code))
        self.code = code


class Fault(Refused):
    """The whole request is answered with a SOAP fault; `more` are values that it tells, by name."""

    def __init__(self, code: str, text: str = "", **more: int) -> None:
        super().__init__(code, text)
        self.more = more


_TEXTS: Final = {
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorFolderNotFound": "The specified folder could not be found in the store.",
    "ErrorNonExistentMailbox": "The SMTP address has no mailbox associated with it.",
    "ErrorMissingEmailAddress": "When making a request as an account that does not have a mailbox, "
    "you must specify the mailbox primary SMTP address for any distinguished folder Ids.",
    "ErrorMailboxMoveInProgress": "Mailbox move in progress. Try again later.",
    "ErrorMailboxStoreUnavailable": "The mailbox database is temporarily unavailable.",
    "ErrorMailboxFailover": "The mailbox database has just moved to another server.",
    "ErrorServerBusy": "The server cannot service this request right now. Try again later.",
    "ErrorInvalidPropertySet": "The property can not be set.",
    "ErrorInvalidPropertyRequest": "The property is not valid for this item.",
    "ErrorWrongServerVersionDelegate": "The delegate's mailbox and the principal's mailbox are on "
    "different server versions.",
    "ErrorImpersonateUserDenied": "The account does not have permission to impersonate the "
    "requested user.",
    "ErrorInvalidServerVersion": "The specified server version is invalid.",
    "ErrorInvalidIdMalformed": "Id is malformed.",
    "ErrorMimeContentInvalidBase64String": "The MIME content is no valid Base64.",
    "ErrorInvalidAttachmentId": "The attachment Id is invalid.",
    "ErrorAttachmentNotFound": "The attachment was not found.",
    "ErrorCalendarEndDateIsEarlierThanStartDate": "EndDate is earlier than StartDate.",
    "ErrorInvalidRequest": "The request is invalid.",
    "ErrorSchemaValidation": "The request failed schema validation.",
    "ErrorQuotaExceeded": "The mailbox quota is exceeded.",
    "ErrorNameResolutionNoResults": "No results were found.",
    "ErrorNameResolutionMultipleResults": "Multiple results were found.",
    "ErrorInvalidRecipients": "At least one recipient is not valid.",
    "ErrorSendAsDenied": "The user account which was used to submit this request does not have "
    "the right to send mail on behalf of the specified sending account.",
    "ErrorUnsupportedPathForQuery": "The property can not be used with this type of restriction.",
    "ErrorUnsupportedPathForSortGroup": "The property can not be used for sorting or grouping.",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: the operation's name without "Request", and its element."""

    operation: str
    element: Element
    version: str
    impersonated: str


def read(raw: bytes) -> Asked:
    """Raises `Fault` for what is no request."""
    try:
        root = parse(raw, "EWS request", LARGEST_BODY)  # no DTD; size and depth are bounded
    except BadDocument:
        raise Fault("ErrorSchemaValidation") from None
    body = root.find("s:Body", NAMES)
    element = next(iter(body), None) if body is not None else None
    if root.tag != f"{{{SOAP}}}Envelope" or element is None:
        raise Fault("ErrorSchemaValidation")
    space, _, operation = element.tag.lstrip("{").partition("}")
    if space != MESSAGES:
        raise Fault("ErrorInvalidRequest")
    version = root.find("s:Header/t:RequestServerVersion", NAMES)
    impersonated = root.find("s:Header/t:ExchangeImpersonation/t:ConnectingSID", NAMES)
    wanted = "" if impersonated is None else "".join(impersonated.itertext()).strip()
    found = "Exchange2007" if version is None else version.get("Version", "")
    return Asked(operation, element, found, wanted)


def not_too_many(asked: list[Element]) -> list[Element]:
    """Raises `Fault` for more than `MOST_AT_ONCE`."""
    if len(asked) > MOST_AT_ONCE:
        raise Fault("ErrorInvalidRequest", f"The lab takes {MOST_AT_ONCE} of them at once.")
    return asked


def check_version(version: str, server: Server) -> None:
    """Raises `Fault` for a version that the server does not know (protocols.md 2.4)."""
    newest = _NEWEST.get(server.version, VERSIONS[-1])
    if version not in VERSIONS[: VERSIONS.index(newest) + 1]:
        raise Fault("ErrorInvalidServerVersion")


def message(operation: str, content: str) -> str:
    """One response message of an operation that worked."""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="Success">'
        f"<m:ResponseCode>NoError</m:ResponseCode>{content}</m:{operation}ResponseMessage>"
    )


def refusal(operation: str, refused: Refused, content: str = "", kind: str = "Error") -> str:
    """One response message of what did not work."""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="{kind}">'
        f"<m:MessageText>{escape(str(refused))}</m:MessageText>"
        f"<m:ResponseCode>{refused.code}</m:ResponseCode>"
        f"<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>{content}</m:{operation}ResponseMessage>"
    )


def answer(operation: str, messages: Iterable[str], server: Server) -> Answer:
    """The whole answer of an operation."""
    content = (
        f'<m:{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><m:ResponseMessages>'
        f"{''.join(messages)}</m:ResponseMessages></m:{operation}Response>"
    )
    return Answer(200, _envelope(content, server), XML)


def fault(refused: Fault, server: Server) -> Answer:
    """A SOAP fault, with HTTP 500."""
    text = escape(str(refused))
    values = "".join(
        f"<t:Value Name={quoteattr(name)}>{value}</t:Value>" for name, value in refused.more.items()
    )
    more = f'<t:MessageXml xmlns:t="{TYPES}">{values}</t:MessageXml>' if values else ""
    content = (
        f'<s:Fault><faultcode xmlns:a="{TYPES}">a:{refused.code}</faultcode>'
        f'<faultstring xml:lang="en-US">{text}</faultstring><detail>'
        f'<e:ResponseCode xmlns:e="{_ERRORS}">{refused.code}</e:ResponseCode>'
        f'<e:Message xmlns:e="{_ERRORS}">{text}</e:Message>{more}</detail></s:Fault>'
    )
    return Answer(500, _envelope(content, server), XML)


def _envelope(content: str, server: Server) -> bytes:
    """With the version in the header of every answer (protocols.md 2.2); `Version` is [MEM].

    Mail may hold characters that XML has no place for: they become U+FFFD.
    """
    parts = zip(
        ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber"), server.build,
        strict=True,
    )  # fmt: skip
    numbers = " ".join(f'{name}="{number}"' for name, number in parts)
    version = "V2_23" if server.version == "2013" else "V2017_07_11"
    content = _UNWRITABLE.sub("\ufffd", content)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Header>'
        f'<h:ServerVersionInfo {numbers} Version={quoteattr(version)} xmlns:h="{TYPES}"/>'
        f"</s:Header><s:Body>{content}</s:Body></s:Envelope>"
    ).encode()
