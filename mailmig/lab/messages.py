"""A message as it came over the wire, made into one that a mailbox can hold.

Whatever somebody sends becomes a message: a date that cannot be read is the moment at which it came
in, an unknown encoding gives question marks. Only the first plain text is kept as its body; the
size is that of the whole message. Signs that XML cannot carry are left out, since EWS shows it all.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime
from typing import Final

from mailmig.lab.contents import INBOX, Message

# Headers that a message says in other ways; all others stay as they came, but for blind copies.
_TOLD: Final = {
    "from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version", "content-type",
    "content-transfer-encoding",
}  # fmt: skip
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

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
    return Message(
        INBOX, 0, True, _decoded(first.get("subject", "")),
        next(_addresses(fields, "from"), _plain(sender) or "<>"), tuple(_addresses(fields, "to")),
        _date(first.get("date", ""), now), now, len(raw) + more_bytes,
        _plain(first.get("message-id", "")) or message_id, tuple(_addresses(fields, "cc")),
        _body(parsed), read=False, headers=(*way, *headers),
    )  # fmt: skip


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
    except (HeaderParseError, LookupError, ValueError):  # UnicodeError is a ValueError
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


def _body(parsed: Parsed) -> str:
    for part in parsed.walk():
        if part.get_content_type() == "text/plain":
            content = part.get_payload(decode=True)
            return _read(content if isinstance(content, bytes) else b"", part)
    return ""


def _read(content: bytes, part: Parsed) -> str:
    try:
        text = content.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        text = content.decode("latin-1")
    return _plain(text)
