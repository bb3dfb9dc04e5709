"""Property tags, their values, and rows of them (MS-OXCDATA 2.11.1, 2.8; notes 1.7, 1.10).

A tag is a u32: identifier in the upper half, type in the lower. Values are plain Python ones:
whole numbers (`int`), `float`, `bool`, `str`, `bytes`, `UUID`, and a tuple for each type of
several values. Times stay FILETIME (units of 100 ns since 1601, `int`): see `moment`. Sizes of
a store are bytes, its quotas kilobytes; a quota of -1, or none, is "no limit".

The same row looks different in two places (`Place`): in a ROP a binary is counted in 16 bits; in
the address book strings, binaries and values of several are preceded by a byte that says
whether there is one. That a binary is counted in 32 bits in the address book, the numbers of
the types, and that no such byte stands before each single one of several strings are [MEM].
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from typing import Final, TypeAlias
from uuid import UUID

from mailmig.wire.mapihttp.octets import Reader, Writer

MESSAGE_SIZE_EXTENDED: Final = 0x0E080014  # bytes of the whole mailbox
MESSAGE_SIZE: Final = 0x0E080003  # the same in 32 bits: undefined above 4 GB
MAILBOX_OWNER_NAME: Final = 0x661C001F  # [MEM]
STORAGE_QUOTA: Final = 0x3FF50003  # kilobytes: from here on the owner is warned; tag [MEM]
PROHIBIT_RECEIVE_QUOTA: Final = 0x666A0003  # kilobytes; tag [MEM]
PROHIBIT_SEND_QUOTA: Final = 0x666E0003  # kilobytes; tag [MEM]
DISPLAY_NAME: Final = 0x3001001F  # [MEM]
EMAIL_ADDRESS: Final = 0x3003001F  # the legacyExchangeDN in the address book; [MEM]
SMTP_ADDRESS: Final = 0x39FE001F  # [MEM]
ADDRESS_TYPE: Final = 0x3002001F  # [MEM]
ACCOUNT: Final = 0x3A00001F  # the alias; [MEM]
COMPANY: Final = 0x3A16001F  # [MEM]
TITLE: Final = 0x3A17001F  # [MEM]
DEPARTMENT: Final = 0x3A18001F  # [MEM]
OFFICE: Final = 0x3A19001F  # [MEM]
OBJECT_TYPE: Final = 0x0FFE0003  # [MEM]
DISPLAY_TYPE: Final = 0x39000003  # [MEM]
ENTRY_ID: Final = 0x0FFF0102  # [MEM]
HOME_DATABASE: Final = 0x8006001F  # its DN; [MEM]
ANR: Final = 0x360C001F  # "whoever has a name that begins so", in restrictions; [MEM]
CONTENT_COUNT: Final = 0x36020003  # items of a folder; [MEM]
CONTENT_UNREAD: Final = 0x36030003  # [MEM]
FOLDER_ID: Final = 0x67480014  # [MEM]

_PRESENT, _ABSENT, _ERROR = 0x00, 0x01, 0x0A
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)


class PropertyType(IntEnum):
    """Numbers [MEM] but those that stand in the tags of notes 1.7."""

    INTEGER16 = 0x0002
    INTEGER32 = 0x0003
    FLOATING32 = 0x0004
    FLOATING64 = 0x0005
    CURRENCY = 0x0006
    FLOATING_TIME = 0x0007
    ERROR_CODE = 0x000A
    BOOLEAN = 0x000B
    INTEGER64 = 0x0014
    STRING8 = 0x001E
    STRING = 0x001F
    TIME = 0x0040
    GUID = 0x0048
    BINARY = 0x0102


SEVERAL: Final = 0x1000


class Place(Enum):
    """Where a value stands."""

    STORE = "a ROP"
    ADDRESS_BOOK = "the address book"


@dataclass(frozen=True, slots=True)
class PropertyError:
    """In the place of a value: the server could not give it."""

    code: int


Single: TypeAlias = int | float | bool | str | bytes | UUID
Value: TypeAlias = Single | tuple[Single, ...]
# None: the property is absent.
Cell: TypeAlias = Value | PropertyError | None
Row: TypeAlias = tuple[Cell, ...]
Tags: TypeAlias = tuple[int, ...]


def moment(filetime: int) -> datetime | None:
    """A FILETIME as an aware time, to the microsecond; `None` beyond the year 9999."""
    try:
        return _EPOCH + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return None


def filetime(moment: datetime) -> int:
    """The FILETIME of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 10


def write_value(out: Writer, tag: int, value: Value, place: Place) -> None:
    """One value of that tag's type, with the address book's byte before it where one belongs."""
    kind = _kind(tag)
    if kind is None:
        out.fail(f"property {tag:#010x} is of a type that is not written")
    if place is Place.ADDRESS_BOOK and is_preceded(tag):
        out.has(True)
    try:
        if not tag & SEVERAL:
            kind.write(out, value, place)
        elif isinstance(value, tuple):
            out.u32(len(value), "the number of values")
            for one in value:
                kind.write(out, one, place)
        else:
            raise TypeError
    except (TypeError, AttributeError, struct.error, OverflowError):
        out.fail(f"property {tag:#010x} cannot be {str(value)[:40]!r}")


def read_value(raw: Reader, tag: int, place: Place) -> Value | None:
    """One value of that tag's type; `None` where the address book says that there is none."""
    kind = _kind(tag)
    if kind is None:
        raw.fail(f"property {tag:#010x} is of a type that is not read")
    field = f"property {tag:#010x}"
    if place is Place.ADDRESS_BOOK and is_preceded(tag) and not raw.has(field):
        return None
    if not tag & SEVERAL:
        return kind.read(raw, field, place)
    count = raw.u32(f"the number of values of {field}")
    return raw.items(count, lambda: kind.read(raw, field, place), f"values of {field}", 1)


def write_row(out: Writer, tags: Tags, row: Row, place: Place) -> None:
    """A row: a byte, then each value; where one is missing each is preceded by its own byte."""
    if len(tags) != len(row):
        out.fail(f"a row of {len(row)} values for {len(tags)} columns")
    is_whole = not any(cell is None or isinstance(cell, PropertyError) for cell in row)
    out.u8(_PRESENT if is_whole else _ABSENT, "row flag")
    for tag, cell in zip(tags, row, strict=True):
        if cell is None:
            out.u8(_ABSENT, "value flag")
        elif isinstance(cell, PropertyError):
            out.u8(_ERROR, "value flag")
            out.u32(cell.code, "error code")
        else:
            if not is_whole:
                out.u8(_PRESENT, "value flag")
            write_value(out, tag, cell, place)


def read_row(raw: Reader, tags: Tags, place: Place) -> Row:
    """The row whose columns have these tags."""
    flag = raw.u8("row flag")
    if flag not in (_PRESENT, _ABSENT):
        raw.fail(f"row flag is {flag:#04x} and should be 0 or 1", raw.at - 1)
    if flag == _PRESENT:
        return tuple([read_value(raw, tag, place) for tag in tags])
    return tuple([_flagged(raw, tag, place) for tag in tags])


def _flagged(raw: Reader, tag: int, place: Place) -> Cell:
    flag = raw.u8(f"the flag of property {tag:#010x}")
    if flag == _PRESENT:
        return read_value(raw, tag, place)
    if flag == _ABSENT:
        return None
    if flag == _ERROR:
        return PropertyError(raw.u32(f"the error code of property {tag:#010x}"))
    return raw.fail(f"the flag of property {tag:#010x} is {flag:#04x}", raw.at - 1)


def is_preceded(tag: int) -> bool:
    """Whether the address book says before such a value that there is one."""
    kind = tag & 0xFFFF
    return bool(kind & SEVERAL) or kind in (
        PropertyType.STRING, PropertyType.STRING8, PropertyType.BINARY,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kind:
    """How values of one type are read and written."""

    read: Callable[[Reader, str, Place], Single]
    write: Callable[[Writer, object, Place], None]


def _kind(tag: int) -> _Kind | None:
    return _KINDS.get(tag & 0xFFFF & ~SEVERAL)


def _packed(layout: str) -> _Kind:
    packer = struct.Struct(f"<{layout}")

    def read(raw: Reader, field: str, _: Place) -> Single:
        value: int | float | bool = packer.unpack(raw.take(packer.size, field))[0]
        return value

    def write(out: Writer, value: object, _: Place) -> None:
        out.put(packer.pack(value))

    return _Kind(read, write)


def _read_boolean(raw: Reader, field: str, _: Place) -> bool:
    return raw.u8(field) != 0


def _write_boolean(out: Writer, value: object, _: Place) -> None:
    out.u8(1 if value else 0, "boolean")


def _read_string(raw: Reader, field: str, _: Place) -> str:
    return raw.utf16_z(field)


def _write_string(out: Writer, value: object, _: Place) -> None:
    out.utf16_z(_text(value), "string")


def _read_string8(raw: Reader, field: str, _: Place) -> str:
    return raw.ascii_z(field)


def _write_string8(out: Writer, value: object, _: Place) -> None:
    out.ascii_z(_text(value), "string")


def _read_guid(raw: Reader, field: str, _: Place) -> UUID:
    return raw.guid(field)


def _write_guid(out: Writer, value: object, _: Place) -> None:
    if not isinstance(value, UUID):
        raise TypeError
    out.put(value.bytes_le)


def _read_binary(raw: Reader, field: str, place: Place) -> bytes:
    if place is Place.ADDRESS_BOOK:
        return raw.sized(field)
    return raw.take(raw.u16(f"the size of {field}"), field)


def _write_binary(out: Writer, value: object, place: Place) -> None:
    if not isinstance(value, bytes):
        raise TypeError
    out.number(len(value), 4 if place is Place.ADDRESS_BOOK else 2, "the size of a binary")
    out.put(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_KINDS: Final[dict[int, _Kind]] = {
    PropertyType.INTEGER16: _packed("h"),
    PropertyType.INTEGER32: _packed("i"),
    PropertyType.FLOATING32: _packed("f"),
    PropertyType.FLOATING64: _packed("d"),
    PropertyType.CURRENCY: _packed("q"),
    PropertyType.FLOATING_TIME: _packed("d"),
    PropertyType.ERROR_CODE: _packed("I"),
    PropertyType.BOOLEAN: _Kind(_read_boolean, _write_boolean),
    PropertyType.INTEGER64: _packed("q"),
    PropertyType.STRING8: _Kind(_read_string8, _write_string8),
    PropertyType.STRING: _Kind(_read_string, _write_string),
    PropertyType.TIME: _packed("Q"),
    PropertyType.GUID: _Kind(_read_guid, _write_guid),
    PropertyType.BINARY: _Kind(_read_binary, _write_binary),
}
