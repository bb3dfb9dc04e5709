r"""The frame of a response body: meta-tags, late headers, binary body (notes 1.3).

    PROCESSING\r\n  PENDING\r\n ...  DONE\r\n  Name: value\r\n ...  \r\n  binary body

MS-OXCMAPIHTTP 2.2.2.2, 2.2.7, 3.2.5.2. The frame is what is left after chunks are decoded (or
with Content-Length): tags and chunks do not go together. gromox sends PENDING without its line
end, so both forms are read. A frame cannot tell that its binary body was cut off: the body's
own codec does. The body of a PING response may be wholly empty: then there is no frame to read.

Look at the HTTP header's X-ResponseCode first: with another one than 0 the body is text/html
and need not be a frame. A late one, inside the frame, overrides it: the server failed after it
had sent its first byte. X-ElapsedTime is milliseconds (gromox: seconds), so it is evidence only.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final, NoReturn, Self

from mailmig.wire.mapihttp.octets import BODY_LIMIT, BadMapi

PROCESSING: Final = b"PROCESSING\r\n"
PENDING: Final = b"PENDING\r\n"
DONE: Final = b"DONE\r\n"
ELAPSED_TIME: Final = "X-ElapsedTime"
START_TIME: Final = "X-StartTime"
RESPONSE_CODE: Final = "X-ResponseCode"
MOST_PENDING: Final = 10_000  # at one in 15 s: 41 hours
MOST_HEADERS: Final = 50
HEADER_BYTES: Final = 16 * 1024

_WHAT: Final = "MAPI/HTTP response frame"
_PENDING_WORD: Final = b"PENDING"
_LINE_END: Final = b"\r\n"
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CODE: Final = re.compile(r"[0-9]{1,9}")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole response body: `pending` counts the PENDING tags, `headers` are as they came."""

    body: bytes = b""
    headers: Headers = ()
    pending: int = 0

    def encode(self) -> bytes:
        """The frame in one piece; `done` is the last of the pieces a server sends in chunks.

        Raises:
            BadMapi: a header would break the frame, or there is more than is read.
        """
        if not 0 <= self.pending <= MOST_PENDING:
            raise BadMapi(_WHAT, f"it has {self.pending:,} PENDING tags")
        return PROCESSING + PENDING * self.pending + done(self.body, self.headers)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The frame, whole and at once.

        Raises:
            BadMapi: it is no frame, ends before its body, or is too large.
        """
        reader = FrameReader()
        reader.feed(raw)
        return cls(*reader.finish())

    @property
    def late_response_code(self) -> int | None:
        """The X-ResponseCode inside the frame, which counts instead of the header's."""
        value = self._header(RESPONSE_CODE)
        return None if value is None else int(value)

    @property
    def elapsed(self) -> int | None:
        """X-ElapsedTime; `None` when it is absent or no number."""
        value = self._header(ELAPSED_TIME)
        return int(value) if value is not None and _CODE.fullmatch(value) else None

    @property
    def started(self) -> datetime | None:
        """X-StartTime, aware; `None` when it is absent or no date."""
        value = self._header(START_TIME)
        if value is None:
            return None
        try:
            found = parsedate_to_datetime(value)
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found

    def _header(self, name: str) -> str | None:
        """The last value of that name: a later header overrides an earlier one."""
        values = [value for known, value in self.headers if known.lower() == name.lower()]
        return values[-1] if values else None


def done(body: bytes, headers: Headers = ()) -> bytes:
    """The last piece: DONE, the extra headers, the body.

    Raises:
        BadMapi: a header would break the frame, or there is more than is read.
    """
    if len(body) > BODY_LIMIT or len(headers) > MOST_HEADERS:
        raise BadMapi(_WHAT, f"it has {len(body):,} bytes and {len(headers):,} headers")
    head = b"".join(map(_header_line, headers))
    if len(head) > HEADER_BYTES:
        raise BadMapi(_WHAT, f"its headers have {len(head):,} bytes")
    return DONE + head + _LINE_END + body


def times(elapsed_ms: int, started: datetime) -> Headers:
    """The two headers that every server sends; `started` is aware."""
    when = format_datetime(started.astimezone(UTC), usegmt=True)
    return ((ELAPSED_TIME, str(elapsed_ms)), (START_TIME, when))


class FrameReader:
    """Reads a frame as its bytes arrive, in pieces of whatever size.

    A client that waits looks at `processing`, `pending` and `done`: a server that says PENDING
    is alive. Call `finish` when HTTP says that the body is complete.
    """

    __slots__ = ("_buffer", "_head", "_headers", "_in_body", "_offset", "done", "pending",
                 "processing")  # fmt: skip

    def __init__(self) -> None:
        self.processing = self.done = self._in_body = False
        self.pending = 0
        self._buffer = bytearray()
        self._offset = 0  # of the first byte in the buffer
        self._head = 0  # bytes of extra headers so far
        self._headers: list[tuple[str, str]] = []

    def feed(self, data: bytes) -> None:
        """Raises: BadMapi, as soon as it cannot become a frame any more."""
        self._buffer += data
        while not self._in_body and (self._read_header() if self.done else self._read_tag()):
            pass
        if len(self._buffer) > (BODY_LIMIT if self._in_body else HEADER_BYTES):
            self._fail("it is larger than what is read")

    def finish(self) -> tuple[bytes, Headers, int]:
        """Body, headers and count of PENDING, in the order of `Frame`.

        Raises:
            BadMapi: the body did not begin yet.
        """
        if not self._in_body:
            stage = "after DONE" if self.done else "before DONE"
            raise BadMapi(_WHAT, f"it ends {stage}", self._offset + len(self._buffer))
        return bytes(self._buffer), tuple(self._headers), self.pending

    def _read_tag(self) -> bool:
        """One meta-tag; False when it did not arrive completely."""
        buffer = self._buffer
        if not self.processing:
            self.processing = self._take(PROCESSING)
            return self.processing
        if buffer[:1] == b"D":
            self.done = self._take(DONE)
            return self.done
        # Whether a line end comes after the word shows two bytes later.
        has_line_end = PENDING.startswith(buffer[: len(PENDING)])
        taken = self._take(PENDING if has_line_end else _PENDING_WORD)
        self.pending += taken
        if self.pending > MOST_PENDING:
            self._fail(f"it has more than {MOST_PENDING:,} PENDING tags")
        return taken

    def _take(self, tag: bytes) -> bool:
        there = self._buffer[: len(tag)]
        if not tag.startswith(there):
            shown = bytes(there).decode("latin-1")
            self._fail(f"{shown!r} stands where PROCESSING, PENDING or DONE should")
        if len(there) < len(tag):
            return False
        self._drop(len(tag))
        return True

    def _read_header(self) -> bool:
        """One extra header or the blank line; False when it did not arrive completely."""
        end = self._buffer.find(_LINE_END)
        if end < 0:
            return False
        line = bytes(self._buffer[:end]).decode("latin-1")
        self._head += end + 2
        if self._head > HEADER_BYTES or len(self._headers) > MOST_HEADERS:
            self._fail("it has too many extra headers")
        if line:
            self._headers.append(self._header(line))
        else:
            self._in_body = True
        self._drop(end + 2)
        return True

    def _header(self, line: str) -> tuple[str, str]:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _NAME.fullmatch(name) or not _is_value(value):
            self._fail(f"{line[:40]!r} stands where a header should")
        if name.lower() == RESPONSE_CODE.lower() and not _CODE.fullmatch(value):
            self._fail(f"its late {RESPONSE_CODE} is {value[:40]!r} and no number")
        return name, value

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size

    def _fail(self, why: str) -> NoReturn:
        raise BadMapi(_WHAT, why, self._offset)


def _header_line(header: tuple[str, str]) -> bytes:
    name, value = header
    bad_code = name.lower() == RESPONSE_CODE.lower() and not _CODE.fullmatch(value)
    if bad_code or not _NAME.fullmatch(name) or not _is_value(value):
        raise BadMapi(_WHAT, f"{name[:40]}: {value[:40]!r} is no header")
    return f"{name}: {value}\r\n".encode("latin-1")


def _is_value(value: str) -> bool:
    if value != value.strip(" \t"):
        return False
    return all((" " <= letter <= "\xff" and letter != "\x7f") or letter == "\t" for letter in value)
