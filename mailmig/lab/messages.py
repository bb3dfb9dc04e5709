"""A message as it came over the wire, made into one that a mailbox can hold, and back.

Whatever somebody sends becomes a message: a date that cannot be read is the moment at which it came
in, an unknown encoding gives question marks. The first plain text and the first HTML are kept as its
body, all other parts as attachments; a message inside a message is an attachment, too. The size is
that of the whole message. Signs that XML cannot carry are left out, since EWS shows it all.

`written` is a message as Exchange gives it away again: made anew from what it kept, so that it says
the same as what came in, in other bytes.
"""

import hashlib
import re
from base64 import encodebytes
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from email.utils import (
    encode_rfc2231,
    format_datetime,
    getaddresses,
    parsedate_to_datetime,
)
from html.parser import HTMLParser
from typing import Final

from mailmig.lab.contents import INBOX, Attachment, Message

# Headers that a message says in other ways; all others stay as they came, but for blind copies.
_TOLD: Final = {
    "from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version", "content-type",
    "content-transfer-encoding",
}  # fmt: skip
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TEXT, _HTML = "text/plain", "text/html"
# A type that may stand in a header as it is.
_KIND: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", re.ASCII)
_ANY_KIND: Final = "application/octet-stream"

Fields = list[tuple[str, str]]
Headers = tuple[tuple[str, str], ...]


def read(
    raw: bytes, sender: str, now: datetime, *, more_bytes: int, message_id: str, hops: Headers
) -> Message:
    """The message in these bytes.

    Args:
        sender: who sent it, as the envelope says; taken where the message has no From.
        now: when it came in, aware.
        more_bytes: what the store adds to its size.
        message_id: its own id where the message has none.
        hops: headers of the way so far, the newest first; those of the message come behind.
    """
    parsed = BytesParser(policy=compat32).parsebytes(raw)
    fields = [(name, _unfolded(value)) for name, value in parsed.raw_items()]
    first = {name.lower(): text for name, text in reversed(fields)}
    headers = tuple(
        (_plain(name), _decoded(text)) for name, text in fields if name.lower() not in _TOLD
    )
    way = tuple((name, _plain(text)) for name, text in hops)
    text, html, attachments = _parts(parsed)
    return Message(
        INBOX, 0, True, _decoded(first.get("subject", "")),
        next(_addresses(fields, "from"), _plain(sender) or "<>"), tuple(_addresses(fields, "to")),
        _date(first.get("date", ""), now), now, len(raw) + more_bytes,
        _plain(first.get("message-id", "")) or message_id, tuple(_addresses(fields, "cc")),
        text or text_of(html), read=False, headers=(*way, *headers), html=html,
        attachments=attachments,
    )  # fmt: skip


def blind_copies(raw: bytes) -> tuple[str, ...]:
    """Who gets a message without the others knowing; `read` leaves that out."""
    parsed = BytesParser(policy=compat32).parsebytes(raw, headersonly=True)
    return tuple(_addresses([(name, _unfolded(text)) for name, text in parsed.raw_items()], "bcc"))


def text_of(html: str) -> str:
    """What somebody reads in HTML, without its markup."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return parser.text


def written(one: Message) -> bytes:
    """A message as MIME."""
    known = {name.lower() for name, _ in one.headers}
    own = (
        ("From", one.sender), ("To", ", ".join(one.to)), ("Cc", ", ".join(one.cc)),
        ("Subject", one.subject), ("Message-ID", one.message_id),
        ("Date", format_datetime(one.sent)), ("MIME-Version", "1.0"),
    )  # fmt: skip
    headers = (
        *one.headers,
        *((name, text) for name, text in own if text and name.lower() not in known),
    )
    lines = [f"{name}: {' '.join(text.splitlines())}\r\n" for name, text in headers]
    return "".join(lines).encode(errors="replace") + _content(one)


def _content(one: Message) -> bytes:
    """Body and attachments, with the headers that say what they are."""
    text = _part(f"{_TEXT}; charset=utf-8", one.body.encode(errors="replace"))
    if one.html:
        html = _part(f"{_HTML}; charset=utf-8", one.html.encode(errors="replace"))
        text = _many("alternative", text, html) if one.body else html
    elif not one.attachments:
        # short messages can be read as they are
        return f"Content-Type: {_TEXT}; charset=utf-8\r\n\r\n{one.body}".encode(errors="replace")
    if not one.attachments:
        return text
    return _many("mixed", text, *(_file(attachment) for attachment in one.attachments))


def _file(one: Attachment) -> bytes:
    name = encode_rfc2231(one.name.encode(errors="replace").decode(), "utf-8")
    where = "inline" if one.inline else "attachment"
    more = [f"Content-Disposition: {where}; filename*={name}"]
    if one.content_id:
        more.append(f"Content-ID: <{' '.join(one.content_id.split())}>")
    return _part(one.kind if _KIND.fullmatch(one.kind) else _ANY_KIND, one.content, *more)


def _part(kind: str, content: bytes, *more: str) -> bytes:
    """One part; a message inside is the only thing that may not be encoded (RFC 2046 5.2.1)."""
    plain = kind.startswith("message/")
    encoding = "8bit" if plain else "base64"
    lines = [f"Content-Type: {kind}", *more, f"Content-Transfer-Encoding: {encoding}", "", ""]
    coded = content if plain else encodebytes(content).replace(b"\n", b"\r\n")
    return "\r\n".join(lines).encode(errors="replace") + coded


def _many(kind: str, *parts: bytes) -> bytes:
    # no part can hold its own digest
    boundary = b"--=_" + hashlib.sha256(b"".join(parts)).hexdigest()[:32].encode()
    between = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    head = f'Content-Type: multipart/{kind}; boundary="'.encode() + boundary + b'"\r\n\r\n'
    return head + between + b"--" + boundary + b"--\r\n"


def _unfolded(value: object) -> str:
    """A header as one line; bytes beyond ASCII are UTF-8, or else Latin 1."""
    raw = str(value).encode("utf-8", "surrogateescape")
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return " ".join(text.split())


def _decoded(text: str) -> str:
    """A header as people read it."""
    try:
        return _plain(str(make_header(decode_header(text))))
    except (MessageError, LookupError, ValueError):  # UnicodeError is a ValueError
        return _plain(text)


def _plain(text: str) -> str:
    return _UNWRITABLE.sub("", text)


def _addresses(fields: Fields, name: str) -> Iterator[str]:
    for _, address in getaddresses([text for one, text in fields if one.lower() == name]):
        if "@" in address:
            yield _plain(address)


def _date(text: str, now: datetime) -> datetime:
    try:
        found = parsedate_to_datetime(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return found.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return now


def _parts(parsed: Parsed) -> tuple[str, str, tuple[Attachment, ...]]:
    """Plain text, HTML, attachments."""
    found: dict[str, str] = {}
    files: list[Attachment] = []
    for part in _leaves(parsed):
        kind = part.get_content_type()
        content = _bytes(part)
        if kind in (_TEXT, _HTML) and kind not in found and not _is_file(part):
            found[kind] = _read(content, part)
        elif content:
            files.append(_attachment(part, kind, content, len(files)))
    return found.get(_TEXT, ""), found.get(_HTML, ""), tuple(files)


def _leaves(part: Parsed) -> Iterator[Parsed]:
    """All parts that hold something; a message inside is one of them."""
    inner = part.get_payload()
    if part.get_content_maintype() == "multipart" and isinstance(inner, list):
        for one in inner:
            if isinstance(one, Parsed):
                yield from _leaves(one)
    else:
        yield part


def _bytes(part: Parsed) -> bytes:
    inner = part.get_payload()
    if isinstance(inner, list):
        one = inner[0] if inner else None
        try:
            return one.as_bytes() if isinstance(one, Parsed) else b""
        except (LookupError, ValueError):  # what cannot be put together again
            return b""
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _is_file(part: Parsed) -> bool:
    return part.get_content_disposition() == "attachment" or _file_name(part) != ""


def _file_name(part: Parsed) -> str:
    try:
        return _decoded(part.get_filename(""))
    except (LookupError, ValueError):  # in an encoding that there is not
        return ""


def _attachment(part: Parsed, kind: str, content: bytes, number: int) -> Attachment:
    name = _file_name(part)
    extension = ".eml" if kind == "message/rfc822" else ""
    return Attachment(
        number, name or f"ATT{number + 1:05}{extension}", _plain(kind), content,
        _plain(" ".join(str(part.get("Content-ID", "")).strip().strip("<>").split())),
        part.get_content_disposition() == "inline",
    )  # fmt: skip


class _Text(HTMLParser):
    """Collects what is no markup."""

    _BREAKS: Final = ("br", "p", "div", "li", "tr", "h1", "h2", "h3")
    _SILENT: Final = ("script", "style", "title")

    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []
        self._silent = 0

    @property
    def text(self) -> str:
        lines = "".join(self._found).splitlines()
        return "\r\n".join(" ".join(line.split()) for line in lines).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self._SILENT
        if tag in self._BREAKS:
            self._found.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._SILENT:
            self._silent = max(0, self._silent - 1)
        if tag in self._BREAKS:
            self._found.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._found.append(" ".join(data.splitlines()))


def _read(content: bytes, part: Parsed) -> str:
    try:
        text = content.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        text = content.decode("latin-1")
    return _plain(text)
