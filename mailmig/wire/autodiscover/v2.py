"""Autodiscover V2: JSON, one protocol per question, without authentication (notes 5.3).

    GET /autodiscover/autodiscover.json?Email=<address>&Protocol=<protocol>
    GET /autodiscover/autodiscover.json/v1.0/<address>?Protocol=<protocol>        [MEM]

Both forms are read. Judge by the JSON, not by the status: gromox answers errors with HTTP 200,
Exchange with 4xx [MEM]. On premises from 2016 CU3 and in 2019 [MEM]: where it is absent, or
blocked by a proxy, nothing is wrong.
"""

import json
from dataclasses import dataclass
from typing import Final, NoReturn, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from mailmig.wire.documents import BadDocument

PATH: Final = "/autodiscover/autodiscover.json"
EWS, ACTIVE_SYNC, AUTODISCOVER_V1, REST = "Ews", "ActiveSync", "AutodiscoverV1", "Rest"
PROTOCOLS: Final = (EWS, ACTIVE_SYNC, AUTODISCOVER_V1, REST)

PROTOCOL_NOT_SUPPORTED: Final = "ProtocolNotSupported"
MISSING_PROTOCOL: Final = "MissingProtocol"
MANDATORY_PARAMETER_MISSING: Final = "MandatoryParameterMissing"

URL_LIMIT: Final = 2048
DOCUMENT_LIMIT: Final = 64 * 1024
_REQUEST: Final = "Autodiscover V2 request"
_ANSWER: Final = "Autodiscover V2 answer"


@dataclass(frozen=True, slots=True)
class Request:
    """Which URL does this address have for this protocol? `None` is a part that is missing."""

    email: str | None
    protocol: str | None

    def encode(self) -> str:
        """Path and query of the first form.

        Raises:
            BadDocument: they would be too long, or hold half a character.
        """
        given = {"Email": self.email, "Protocol": self.protocol}
        try:
            query = urlencode({name: value for name, value in given.items() if value is not None})
        except UnicodeEncodeError:
            raise BadDocument(_REQUEST, "it would hold half a character") from None
        url = f"{PATH}?{query}" if query else PATH
        if len(url) > URL_LIMIT:
            raise BadDocument(_REQUEST, f"it would have {len(url):,} characters")
        return url

    def encode_with_path(self) -> str:
        """Path and query of the second form; the address is needed.

        Raises:
            BadDocument: there is no address.
        """
        if not self.email:
            raise BadDocument(_REQUEST, "it names no address")
        rest = Request(None, self.protocol).encode().removeprefix(PATH)
        return f"{PATH}/v1.0/{quote(self.email, safe='@')}{rest}"

    @classmethod
    def decode(cls, url: str) -> "Request":
        """From path and query, in either form. What is missing is for the server to answer.

        Raises:
            BadDocument: it is another path, or too long.
        """
        if len(url) > URL_LIMIT:
            raise BadDocument(_REQUEST, f"it has {len(url):,} characters", offset=URL_LIMIT)
        try:
            parts = urlsplit(url)
        except ValueError:
            raise BadDocument(_REQUEST, f"{url[:80]!r} is no URL", offset=0) from None
        if parts.path[: len(PATH)].lower() != PATH:
            raise BadDocument(_REQUEST, f"its path is {parts.path[:80]!r}", offset=0)
        given: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            given.setdefault(name.lower(), value)
        _, _, in_path = parts.path[len(PATH) :].strip("/").partition("/")
        return cls(unquote(in_path) or given.get("email"), given.get("protocol"))


@dataclass(frozen=True, slots=True)
class Found:
    protocol: str
    url: str


@dataclass(frozen=True, slots=True)
class Error:
    code: str
    message: str = ""


Answer: TypeAlias = Found | Error


def encode(answer: Answer) -> bytes:
    """The JSON of an answer."""
    match answer:
        case Found(protocol, url):
            parts = {"Protocol": protocol, "Url": url}
        case Error(code, message):
            parts = {"ErrorCode": code, "ErrorMessage": message}
    return json.dumps(parts).encode()


def decode(raw: bytes) -> Answer:
    """Raises: BadDocument when it is no such JSON, or too large."""
    if len(raw) > DOCUMENT_LIMIT:
        _refuse(f"it has {len(raw):,} bytes; {DOCUMENT_LIMIT:,} are read", DOCUMENT_LIMIT)
    try:
        # As floats: Python refuses whole numbers of very many digits, and none is needed here.
        found = json.loads(raw.decode("utf-8-sig"), parse_int=float)
    except UnicodeDecodeError as error:
        _refuse("it is not UTF-8", error.start)
    except json.JSONDecodeError as error:
        _refuse(f"it is no JSON: {error.msg}", error.pos)
    except RecursionError:
        _refuse("it is nested too deeply", 0)
    if not isinstance(found, dict):
        _refuse("it is no JSON object", 0)
    code, message = found.get("ErrorCode"), found.get("ErrorMessage", "")
    if isinstance(code, str):
        return Error(code, message if isinstance(message, str) else "")
    protocol, url = found.get("Protocol"), found.get("Url")
    if not isinstance(protocol, str) or not isinstance(url, str):
        _refuse("it names neither a URL nor an ErrorCode", 0)
    return Found(protocol, url)


def _refuse(why: str, offset: int) -> NoReturn:
    raise BadDocument(_ANSWER, why, f"byte {offset}", offset)
