"""Numbers and texts as MAPI over HTTP lays them out; where reading stops and why.

A reader never goes beyond its bytes and never allocates for a count that its bytes cannot
hold: what it makes is of the order of what it was given, and that is bounded by `BODY_LIMIT`.
Texts end with NUL: one byte in ASCII, two in UTF-16LE (which is not aligned).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final, NoReturn, Self, TypeVar
from uuid import UUID

from mailmig.model.errors import MailmigError

# Larger than any body that Exchange makes: a ROP buffer ends at 0x40000 bytes (notes 1.6).
BODY_LIMIT: Final = 1024**2
TRUE, FALSE = 0xFF, 0x00

Item = TypeVar("Item")


class BadMapi(MailmigError):
    """A MAPI/HTTP message that cannot be read or made: look at its sender and the proxies between.

    `offset` counts bytes from the beginning of the message; `None` where there are no bytes
    (a header, a value that has no place in a message).
    """

    def __init__(self, what: str, why: str, offset: int | None = None) -> None:
        super().__init__(f"{what}: {why}" if offset is None else f"{what}, byte {offset}: {why}")
        self.what = what
        self.why = why
        self.offset = offset


class Reader:
    """Walks over the bytes of one message; each complaint names the message and the byte."""

    __slots__ = ("at", "end", "raw", "what")

    def __init__(self, what: str, raw: bytes) -> None:
        if len(raw) > BODY_LIMIT:
            raise BadMapi(what, f"it has {len(raw):,} bytes; {BODY_LIMIT:,} are read", BODY_LIMIT)
        self.what = what
        self.raw = raw
        self.at = 0
        self.end = len(raw)

    @property
    def left(self) -> int:
        return self.end - self.at

    def fail(self, why: str, at: int | None = None) -> NoReturn:
        raise BadMapi(self.what, why, self.at if at is None else at)

    def take(self, size: int, field: str) -> bytes:
        start = self.at
        if size > self.end - start:
            self.fail(f"it ends in {field}: {size:,} bytes wanted, {self.left:,} are there")
        self.at = start + size
        return self.raw[start : self.at]

    def rest(self) -> bytes:
        return self.take(self.left, "the rest")

    def u8(self, field: str) -> int:
        return self.take(1, field)[0]

    def u16(self, field: str) -> int:
        return int.from_bytes(self.take(2, field), "little")

    def u32(self, field: str) -> int:
        return int.from_bytes(self.take(4, field), "little")

    def i32(self, field: str) -> int:
        return int.from_bytes(self.take(4, field), "little", signed=True)

    def u64(self, field: str) -> int:
        return int.from_bytes(self.take(8, field), "little")

    def guid(self, field: str) -> UUID:
        return UUID(bytes_le=self.take(16, field))

    def has(self, field: str) -> bool:
        """A "Has…" byte: 0xFF or 0 (notes 1.10)."""
        flag = self.u8(field)
        if flag not in (TRUE, FALSE):
            self.fail(f"{field} is {flag:#04x} and should be 0xff or 0", self.at - 1)
        return flag == TRUE

    def ascii_z(self, field: str) -> str:
        end = self.raw.find(b"\0", self.at, self.end)
        if end < 0:
            self.fail(f"it ends in {field}: no NUL after it")
        return self.ascii(end + 1 - self.at, field)

    def ascii(self, size: int, field: str) -> str:
        """A text of `size` bytes with its NUL; no bytes at all are an empty text."""
        start = self.at
        text = self.take(size, field)
        if not text:
            return ""
        if text.find(b"\0") != size - 1:
            self.fail(f"{field} does not end with its NUL", start)
        try:
            return text[:-1].decode("ascii")
        except UnicodeDecodeError as error:
            self.fail(f"{field} is not ASCII", start + error.start)

    def utf16_z(self, field: str) -> str:
        start = end = self.at
        while True:
            end = self.raw.find(b"\0\0", end, self.end)
            if end < 0:
                self.fail(f"it ends in {field}: no NUL after it")
            if (end - start) % 2 == 0:
                break
            end += 1
        text = self.take(end - start, field)
        self.at += 2
        try:
            return text.decode("utf-16-le")
        except UnicodeDecodeError as error:
            self.fail(f"{field} is not UTF-16", start + error.start)

    def sized(self, field: str) -> bytes:
        """A u32 and so many bytes."""
        return self.take(self.u32(f"the size of {field}"), field)

    def items(
        self, count: int, read: Callable[[], Item], field: str, least: int
    ) -> tuple[Item, ...]:
        """So many items, each of `least` bytes or more."""
        if count * least > self.left:
            self.fail(
                f"it has {count:,} {field} and ends before them: {self.left:,} bytes are there"
            )
        return tuple([read() for _ in range(count)])

    def numbers(self, field: str) -> tuple[int, ...]:
        """A u32 and so many u32."""
        count = self.u32(f"the number of {field}")
        return self.items(count, lambda: self.u32(field), field, 4)

    def part(self, size: int, field: str) -> "Reader":
        """A reader for the next `size` bytes; its offsets are those of the whole message."""
        start = self.at
        self.take(size, field)
        part = Reader(self.what, self.raw)
        part.at, part.end = start, self.at
        return part

    def finish(self) -> None:
        if self.left:
            self.fail(f"{self.left:,} bytes come after its end")


class Writer:
    """Collects the bytes of one message; refuses what has no place in it."""

    __slots__ = ("raw", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.raw = bytearray()

    def fail(self, why: str) -> NoReturn:
        raise BadMapi(self.what, why)

    def put(self, raw: bytes) -> None:
        self.raw += raw

    def number(self, value: int, size: int, field: str, signed: bool = False) -> None:
        try:
            self.raw += value.to_bytes(size, "little", signed=signed)
        except OverflowError:
            self.fail(f"{field} is {value} and has no place in {size} bytes")

    def u8(self, value: int, field: str) -> None:
        self.number(value, 1, field)

    def u16(self, value: int, field: str) -> None:
        self.number(value, 2, field)

    def u32(self, value: int, field: str) -> None:
        self.number(value, 4, field)

    def u64(self, value: int, field: str) -> None:
        self.number(value, 8, field)

    def has(self, value: bool) -> None:
        self.raw.append(TRUE if value else FALSE)

    def ascii_z(self, text: str, field: str) -> None:
        self.raw += self.ascii(text, field)

    def ascii(self, text: str, field: str) -> bytes:
        """The text with its NUL, for those who write its size first."""
        if "\0" in text or not text.isascii():
            self.fail(f"{field} is {text[:80]!r} and may hold ASCII without NUL only")
        return text.encode("ascii") + b"\0"

    def utf16_z(self, text: str, field: str) -> None:
        if "\0" in text:
            self.fail(f"{field} holds a NUL")
        try:
            self.raw += text.encode("utf-16-le") + b"\0\0"
        except UnicodeEncodeError:
            self.fail(f"{field} holds half a character")

    def sized(self, raw: bytes, field: str) -> None:
        self.u32(len(raw), f"the size of {field}")
        self.raw += raw

    def numbers(self, values: tuple[int, ...], field: str) -> None:
        self.u32(len(values), f"the number of {field}")
        for value in values:
            self.u32(value, field)


class Message(ABC):
    """A message, or a part of one, that can be written and read alone."""

    __slots__ = ()
    NAME: ClassVar[str]

    @abstractmethod
    def write(self, out: Writer) -> None: ...

    @classmethod
    @abstractmethod
    def read(cls, raw: Reader) -> Self: ...

    def encode(self) -> bytes:
        """The bytes.

        Raises:
            BadMapi: a value has no place in them.
        """
        out = Writer(self.NAME)
        self.write(out)
        return bytes(out.raw)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The message; every byte is used.

        Raises:
            BadMapi: the bytes end early, go on, or mean nothing.
        """
        reader = Reader(cls.NAME, raw)
        message = cls.read(reader)
        reader.finish()
        return message
