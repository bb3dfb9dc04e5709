"""Bodies that read entries of the address book: GetProps, QueryRows, DNToMId, CompareMIds.

MS-OXCMAPIHTTP 2.2.5, MS-OXNSPI. The notes have no tables for them. The order of all fields here is
the one that gromox reads and writes (exch/mh/nsp_ops.cpp); no bytes of Exchange were seen, so every
layout in this module is unproven against it. The names of the fields are [MEM].

A minimal id (u32) stands for an entry as long as the session context lives. `None` is a part whose
"Has…" byte is 0.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

from mailmig.wire.mapihttp.address_book import (
    AUXILIARY,
    MOST_COLUMNS,
    Stat,
    Table,
    begin,
    read_error_code,
    read_numbers,
    read_stat,
    read_table,
    write_numbers,
    write_stat,
    write_table,
)
from mailmig.wire.mapihttp.mailbox import Answer
from mailmig.wire.mapihttp.octets import Message, Reader, Writer
from mailmig.wire.mapihttp.properties import (
    Place,
    Tags,
    Value,
    is_preceded,
    read_value,
    write_value,
)

Pairs = tuple[tuple[int, Value | None], ...]


@dataclass(frozen=True, slots=True)
class GetPropsRequest(Message):
    """What does the entry say that `stat.current_record` names? `None`: all that it has."""

    NAME: ClassVar = "GetProps request"
    tags: Tags | None = None
    stat: Stat | None = Stat()
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Flags")
        write_stat(out, self.stat)
        write_numbers(out, self.tags, "property tags")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, stat = raw.u32("Flags"), read_stat(raw)
        return cls(read_numbers(raw, "property tags"), stat, flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class GetPropsResponse(Answer):
    """Tags with their values. What an entry lacks has the tag's number with the type of an error
    code (0x000A), and that code as its value [MEM]; `None` is a value that is said to be absent.
    """

    NAME: ClassVar = "GetProps response"
    values: Pairs | None = None
    code_page: int = 1252
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        out.u32(self.code_page, "CodePage")
        out.has(self.values is not None)
        if self.values is not None:
            out.u32(len(self.values), "the number of values")
            for tag, value in self.values:
                out.u32(tag, "tag")
                _write_present(out, tag, value)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code, code_page = read_error_code(cls, raw), raw.u32("CodePage")
        values: Pairs | None = None
        if raw.has("HasPropertyValues"):
            count = raw.u32("the number of values")
            if count > MOST_COLUMNS:
                raw.fail(f"it has {count:,} values; {MOST_COLUMNS:,} are read", raw.at - 4)
            values = raw.items(count, lambda: _read_tagged(raw), "values", 5)
        return cls(values, code_page, error_code, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class QueryRowsRequest(Message):
    """The next `row_count` entries from where `stat` stands, or those of `minimal_ids`."""

    NAME: ClassVar = "QueryRows request"
    row_count: int = 50
    tags: Tags | None = None
    minimal_ids: tuple[int, ...] = ()
    stat: Stat | None = Stat()
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Flags")
        write_stat(out, self.stat)
        out.numbers(self.minimal_ids, "minimal ids")
        out.u32(self.row_count, "RowCount")
        write_numbers(out, self.tags, "columns")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, stat = raw.u32("Flags"), read_stat(raw)
        minimal_ids, row_count = raw.numbers("minimal ids"), raw.u32("RowCount")
        tags = read_numbers(raw, "columns")
        return cls(row_count, tags, minimal_ids, stat, flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class QueryRowsResponse(Answer):
    """Rows, and where one stands behind them."""

    NAME: ClassVar = "QueryRows response"
    stat: Stat | None = None
    table: Table | None = None
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        write_stat(out, self.stat)
        write_table(out, self.table)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code, stat = read_error_code(cls, raw), read_stat(raw)
        return cls(stat, read_table(raw), error_code, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class DnToMidRequest(Message):
    """Which entries have these legacyExchangeDNs?"""

    NAME: ClassVar = "DNToMId request"
    names: tuple[str, ...] | None = None
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Reserved")
        out.has(self.names is not None)
        if self.names is not None:
            out.u32(len(self.names), "the number of names")
            for name in self.names:
                out.ascii_z(name, "name")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, names = raw.u32("Reserved"), None
        if raw.has("HasNames"):
            count = raw.u32("the number of names")
            names = raw.items(count, lambda: raw.ascii_z("name"), "names", 1)
        return cls(names, flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class DnToMidResponse(Answer):
    """One minimal id per name; `NOT_FOUND` where nobody has it."""

    NAME: ClassVar = "DNToMId response"
    minimal_ids: tuple[int, ...] | None = None
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        write_numbers(out, self.minimal_ids, "minimal ids")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code = read_error_code(cls, raw)
        return cls(read_numbers(raw, "minimal ids"), error_code, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class CompareMidsRequest(Message):
    """Which of two entries comes first in the container of `stat`?"""

    NAME: ClassVar = "CompareMIds request"
    one: int
    other: int
    stat: Stat | None = Stat()
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Reserved")
        write_stat(out, self.stat)
        out.u32(self.one, "MinimalId1")
        out.u32(self.other, "MinimalId2")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, stat = raw.u32("Reserved"), read_stat(raw)
        one, other = raw.u32("MinimalId1"), raw.u32("MinimalId2")
        return cls(one, other, stat, flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class CompareMidsResponse(Answer):
    """`result` is below 0 when the first entry comes first, 0 for the same one."""

    NAME: ClassVar = "CompareMIds response"
    result: int
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        out.number(self.result, 4, "Result", signed=True)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code = read_error_code(cls, raw)
        return cls(raw.i32("Result"), error_code, raw.sized(AUXILIARY))


def _write_present(out: Writer, tag: int, value: Value | None) -> None:
    """A value; only those with a byte before them can be absent."""
    if value is not None:
        write_value(out, tag, value, Place.ADDRESS_BOOK)
    elif is_preceded(tag):
        out.has(False)
    else:
        out.fail(f"property {tag:#010x} cannot be absent")


def _read_tagged(raw: Reader) -> tuple[int, Value | None]:
    tag = raw.u32("tag")
    return tag, read_value(raw, tag, Place.ADDRESS_BOOK)
