"""Headers of a MAPI/HTTP request and of its response, and the URL that names the mailbox.

Notes 1.1 to 1.3; MS-OXCMAPIHTTP 2.2.2, 2.2.3. Header names compare without case. Request
headers are read strictly, because the lab has to refuse what Exchange refuses; response headers
are read with patience, because whatever stands in them is evidence: keep them verbatim too.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import UUID

from mailmig.wire.mapihttp.codes import Endpoint, RequestType, ResponseCode
from mailmig.wire.mapihttp.octets import BadMapi

CONTENT_TYPE: Final = "application/mapi-http"
# Microsoft's connectivity test was seen sending the second (notes 1.2).
ACCEPTED_TYPES: Final = frozenset({CONTENT_TYPE, "application/octet-stream"})
FAILED_TYPE: Final = "text/html"
DEVICE_INFO: Final = "X-DeviceInfo"  # only middleboxes set it: in a response it proves a proxy
MOST_CHARACTERS: Final = 1024

_WHAT: Final = "MAPI/HTTP request"
_GUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_COUNTED: Final = re.compile(rf"\{{?{_GUID}\}}?:[0-9]{{1,10}}")
_MAILBOX_ID: Final = re.compile(rf"({_GUID})@([^@]+)")
_VERSION: Final = re.compile(r"[A-Za-z]+/([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})")
_NUMBER: Final = re.compile(r"[0-9]{1,10}")

Headers = Iterable[tuple[str, str]]


class BadRequestHead(BadMapi):
    """Headers that Exchange refuses; `response_code` is the X-ResponseCode it answers with."""

    def __init__(self, why: str, response_code: ResponseCode) -> None:
        super().__init__(_WHAT, why)
        self.response_code = response_code


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a client says about one request.

    `request_id` and `client_info` are "{GUID}:counter" (see `counted`): the GUID of the first
    belongs to a session context and its counter grows with each request; those of the second
    belong to a client and its session contexts. The server echoes both letter by letter.
    """

    request_type: RequestType
    request_id: str
    client_info: str | None = None
    client_application: str | None = None

    def headers(self) -> tuple[tuple[str, str], ...]:
        """For the wire; X-DeviceInfo is never among them (notes 1.2)."""
        optional = (("X-ClientInfo", self.client_info),
                    ("X-ClientApplication", self.client_application))  # fmt: skip
        return (
            ("Content-Type", CONTENT_TYPE),
            ("X-RequestType", self.request_type.value),
            ("X-RequestId", self.request_id),
            *((name, value) for name, value in optional if value is not None),
        )

    @classmethod
    def read(cls, headers: Headers) -> "RequestHead":
        """The server's half. X-ClientInfo and X-ClientApplication may be absent.

        Raises:
            BadRequestHead: one is missing (7), malformed (4), or names no request type (5).
        """
        found = _first_of_each(headers)
        written = _present(found, "X-RequestType")
        request_type = RequestType.named(written)
        if request_type is None:
            why = f"X-RequestType {written[:40]!r} is unknown"
            raise BadRequestHead(why, ResponseCode.INVALID_REQUEST_TYPE)
        content_type = found.get("content-type")
        if request_type is not RequestType.PING or content_type is not None:
            _check_content_type(_present(found, "Content-Type"))
        request_id, client_info = _present(found, "X-RequestId"), found.get("x-clientinfo")
        for name, value in (("X-RequestId", request_id), ("X-ClientInfo", client_info)):
            if value is not None and not _COUNTED.fullmatch(value):
                _malformed(name, value)
        application = found.get("x-clientapplication")
        if application is not None and application_version(application) is None:
            _malformed("X-ClientApplication", application)
        return cls(request_type, request_id, client_info, application)


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What a server says about its response; `None` is a header that is absent or no number.

    Without `response_code` no MAPI/HTTP endpoint answered but something in front of it.
    `pending_period_ms` is 30000, on 2013 SP1 and 2016 RTM 15000; `expiration_ms` is the time
    until the session context dies.
    """

    response_code: int | None
    request_type: str | None = None
    request_id: str | None = None
    client_info: str | None = None
    server_application: str | None = None
    pending_period_ms: int | None = None
    expiration_ms: int | None = None

    def headers(self) -> tuple[tuple[str, str], ...]:
        """For the wire, with the Content-Type that goes with the response code."""
        kind = CONTENT_TYPE if self.response_code == ResponseCode.SUCCESS else FAILED_TYPE
        values = (
            ("X-ResponseCode", self.response_code),
            ("X-RequestType", self.request_type),
            ("X-RequestId", self.request_id),
            ("X-ClientInfo", self.client_info),
            ("X-ServerApplication", self.server_application),
            ("X-PendingPeriod", self.pending_period_ms),
            ("X-ExpirationInfo", self.expiration_ms),
        )
        given = ((name, str(value)) for name, value in values if value is not None)
        return (("Content-Type", kind), *given)

    @classmethod
    def read(cls, headers: Headers) -> "ResponseHead":
        """The client's half; never fails."""
        found = _first_of_each(headers)
        return cls(
            _number(found.get("x-responsecode")),
            found.get("x-requesttype"),
            found.get("x-requestid"),
            found.get("x-clientinfo"),
            found.get("x-serverapplication"),
            _number(found.get("x-pendingperiod")),
            _number(found.get("x-expirationinfo")),
        )


@dataclass(frozen=True, slots=True)
class MailboxUrl:
    """https://<host>/mapi/<endpoint>/?MailboxId=<mailbox guid>@<domain>; the guid routes it."""

    host: str
    endpoint: Endpoint
    mailbox_guid: UUID
    domain: str

    def __str__(self) -> str:
        mailbox = quote(f"{self.mailbox_guid}@{self.domain}", safe="@")
        return f"https://{self.host}/mapi/{self.endpoint.value}/?MailboxId={mailbox}"

    @classmethod
    def parse(cls, url: str) -> "MailboxUrl":
        """The parts of a published URL; a port stays with the host.

        Raises:
            BadMapi: it is no such URL.
        """
        try:
            if len(url) > MOST_CHARACTERS:
                raise ValueError
            parts = urlsplit(url)
            folders = [part for part in parts.path.lower().split("/") if part]
            root, endpoint = folders
            host = parts.netloc
            if parts.scheme.lower() != "https" or root != "mapi" or not host or "@" in host:
                raise ValueError
            guid, domain = read_mailbox_id(parts.query)
            return cls(host, Endpoint(endpoint), guid, domain)
        except (ValueError, BadRequestHead):
            raise BadMapi("MAPI/HTTP URL", f"{url[:200]!r} is none") from None


def read_mailbox_id(query: str) -> tuple[UUID, str]:
    """Mailbox guid and domain from the query part of a request's URL.

    Raises:
        BadRequestHead: there is no such parameter, or it is malformed (3, invalid path).
    """
    values = [v for name, v in parse_qsl(query[:MOST_CHARACTERS]) if name.lower() == "mailboxid"]
    found = _MAILBOX_ID.fullmatch(values[0]) if values else None
    if found is None:
        why = f"{query[:80]!r} holds no MailboxId of the form guid@domain"
        raise BadRequestHead(why, ResponseCode.INVALID_PATH)
    return UUID(found[1]), found[2]


def counted(guid: UUID, counter: int) -> str:
    """X-RequestId and X-ClientInfo: "{GUID}:counter"."""
    return f"{{{str(guid).upper()}}}:{counter}"


def application_version(text: str) -> tuple[int, int, int, int] | None:
    """The four numbers of "Outlook/16.0.1.2" or "Exchange/15.02.1118.007", or `None`."""
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    major, minor, build, revision = map(int, found.groups())
    return major, minor, build, revision


def _first_of_each(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value.strip())
    return found


def _present(found: dict[str, str], name: str) -> str:
    value = found.get(name.lower())
    if not value:
        raise BadRequestHead(f"{name} is missing", ResponseCode.MISSING_HEADER)
    return value


def _check_content_type(value: str) -> None:
    if value.partition(";")[0].strip().lower() not in ACCEPTED_TYPES:
        _malformed("Content-Type", value)


def _malformed(name: str, value: str) -> NoReturn:
    raise BadRequestHead(f"{name} {value[:60]!r} is malformed", ResponseCode.INVALID_HEADER)


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and _NUMBER.fullmatch(value) else None
