"""Bodies of the address-book endpoint (MS-OXCMAPIHTTP 2.2.5, MS-OXNSPI; notes 1.10).

For a probe: Bind, ResolveNames of the own address, GetMailboxUrl with the server DN of a
redirect, Unbind. Those that read entries (GetProps, QueryRows, ...) are in `entries`; the others
without a table in the notes are not spoken. `None` is a part whose "Has…" byte is 0. Auxiliary buffers are opaque. A response body
with a StatusCode other than 0 is a `mailbox.Failure`, as on the other endpoint.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Self
from uuid import UUID

from mailmig.wire.mapihttp.mailbox import Answer
from mailmig.wire.mapihttp.octets import Message, Reader, Writer
from mailmig.wire.mapihttp.properties import (
    Place,
    Row,
    Tags,
    read_row,
    write_row,
)
from mailmig.wire.mapihttp.restrictions import (
    Restriction,
    read_restriction,
    write_restriction,
)

# Minimal ids in the response of ResolveNames; from 2 on an entry was found. [MEM]
NOT_FOUND: Final = 0
AMBIGUOUS: Final = 1
# ErrorCode of Unbind when it worked: "unbound". [MEM], so nobody should ask for 0, nor for 1.
UNBOUND: Final = 1
MOST_COLUMNS: Final = 1000
MOST_ROWS: Final = 50_000
AUXILIARY: Final = "AuxiliaryBuffer"


@dataclass(frozen=True, slots=True)
class Stat(Message):
    """STAT: where in which container one stands (MS-OXNSPI 2.2.8). Container 0 is the GAL."""

    NAME: ClassVar = "STAT"
    sort_type: int = 0
    container_id: int = 0
    current_record: int = 0
    delta: int = 0
    position: int = 0
    total_records: int = 0xFFFFFFFF
    code_page: int = 1252
    template_locale: int = 0x0409
    sort_locale: int = 0x0409

    def write(self, out: Writer) -> None:
        out.u32(self.sort_type, "SortType")
        out.u32(self.container_id, "ContainerID")
        out.u32(self.current_record, "CurrentRec")
        out.number(self.delta, 4, "Delta", signed=True)
        out.u32(self.position, "NumPos")
        out.u32(self.total_records, "TotalRecs")
        out.u32(self.code_page, "CodePage")
        out.u32(self.template_locale, "TemplateLocale")
        out.u32(self.sort_locale, "SortLocale")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        return cls(
            raw.u32("SortType"), raw.u32("ContainerID"), raw.u32("CurrentRec"), raw.i32("Delta"),
            raw.u32("NumPos"), raw.u32("TotalRecs"), raw.u32("CodePage"),
            raw.u32("TemplateLocale"), raw.u32("SortLocale"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BindRequest(Message):
    NAME: ClassVar = "Bind request"
    stat: Stat | None = Stat()
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Flags")
        write_stat(out, self.stat)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags = raw.u32("Flags")
        return cls(read_stat(raw), flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class BindResponse(Answer):
    NAME: ClassVar = "Bind response"
    server_guid: UUID
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        out.put(self.server_guid.bytes_le)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code = read_error_code(cls, raw)
        return cls(raw.guid("ServerGuid"), error_code, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class UnbindRequest(Message):
    NAME: ClassVar = "Unbind request"
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Reserved")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        return cls(raw.u32("Reserved"), raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class UnbindResponse(Answer):
    """`error_code` is 1 for success [MEM]; 0 was not ruled out: do not require either."""

    NAME: ClassVar = "Unbind response"
    error_code: int = UNBOUND
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        return cls(read_error_code(cls, raw), raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class UrlRequest(Message):
    """GetMailboxUrl (`dn` is the server DN of a redirect) and GetAddressBookUrl (the user's DN).

    That the second has the shape of the first is [MEM].
    """

    NAME: ClassVar = "URL request"
    dn: str
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Flags")
        out.utf16_z(self.dn, "DN")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags = raw.u32("Flags")
        return cls(raw.utf16_z("DN"), flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class UrlResponse(Answer):
    """GetMailboxUrl and GetAddressBookUrl."""

    NAME: ClassVar = "URL response"
    url: str
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        out.utf16_z(self.url, "ServerUrl")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code = read_error_code(cls, raw)
        return cls(raw.utf16_z("ServerUrl"), error_code, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows; each row has as many cells as there are columns."""

    tags: Tags
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class ResolveNamesRequest(Message):
    """Which entries have these names? `None` for tags: the server's own choice."""

    NAME: ClassVar = "ResolveNames request"
    names: tuple[str, ...] | None
    tags: Tags | None = None
    stat: Stat | None = Stat()
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Reserved")
        write_stat(out, self.stat)
        write_numbers(out, self.tags, "property tags")
        out.has(self.names is not None)
        if self.names is not None:
            out.u32(len(self.names), "the number of names")
            for name in self.names:
                out.utf16_z(name, "name")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, stat = raw.u32("Reserved"), read_stat(raw)
        tags = read_numbers(raw, "property tags")
        names = None
        if raw.has("HasNames"):
            count = raw.u32("the number of names")
            names = raw.items(count, lambda: raw.utf16_z("name"), "names", 2)
        return cls(names, tags, stat, flags, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class ResolveNamesResponse(Answer):
    """One minimal id per name (`NOT_FOUND`, `AMBIGUOUS`, or an entry), rows for those found."""

    NAME: ClassVar = "ResolveNames response"
    minimal_ids: tuple[int, ...] | None = None
    table: Table | None = None
    code_page: int = 1252
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        out.u32(self.code_page, "CodePage")
        write_numbers(out, self.minimal_ids, "minimal ids")
        write_table(out, self.table)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code, code_page = read_error_code(cls, raw), raw.u32("CodePage")
        minimal_ids = read_numbers(raw, "minimal ids")
        return cls(minimal_ids, read_table(raw), code_page, error_code, raw.sized(AUXILIARY))


@dataclass(frozen=True, slots=True)
class GetMatchesRequest(Message):
    """Which entries match this filter? `property_name` is a named property: set and number."""

    NAME: ClassVar = "GetMatches request"
    restriction: Restriction | None = None
    row_count: int = 50
    tags: Tags | None = None
    stat: Stat | None = Stat()
    minimal_ids: tuple[int, ...] | None = None
    property_name: tuple[UUID, int] | None = None
    flags: int = 0
    interface_flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Reserved")
        write_stat(out, self.stat)
        write_numbers(out, self.minimal_ids, "minimal ids")
        out.u32(self.interface_flags, "InterfaceOptionFlags")
        out.has(self.restriction is not None)
        if self.restriction is not None:
            write_restriction(out, self.restriction)
        out.has(self.property_name is not None)
        if self.property_name is not None:
            out.put(self.property_name[0].bytes_le)
            out.u32(self.property_name[1], "PropertyNameId")
        out.u32(self.row_count, "RowCount")
        write_numbers(out, self.tags, "columns")
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, stat = raw.u32("Reserved"), read_stat(raw)
        minimal_ids = read_numbers(raw, "minimal ids")
        interface_flags = raw.u32("InterfaceOptionFlags")
        restriction = read_restriction(raw) if raw.has("HasFilter") else None
        property_name = None
        if raw.has("HasPropertyName"):
            property_name = raw.guid("PropertyNameGuid"), raw.u32("PropertyNameId")
        row_count, tags = raw.u32("RowCount"), read_numbers(raw, "columns")
        auxiliary = raw.sized(AUXILIARY)
        return cls(
            restriction, row_count, tags, stat, minimal_ids, property_name, flags,
            interface_flags, auxiliary,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GetMatchesResponse(Answer):
    NAME: ClassVar = "GetMatches response"
    stat: Stat | None = None
    minimal_ids: tuple[int, ...] | None = None
    table: Table | None = None
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        begin(out, self.error_code)
        write_stat(out, self.stat)
        write_numbers(out, self.minimal_ids, "minimal ids")
        write_table(out, self.table)
        out.sized(self.auxiliary, AUXILIARY)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        error_code, stat = read_error_code(cls, raw), read_stat(raw)
        minimal_ids = read_numbers(raw, "minimal ids")
        return cls(stat, minimal_ids, read_table(raw), error_code, raw.sized(AUXILIARY))


def begin(out: Writer, error_code: int) -> None:
    out.u32(0, "StatusCode")
    out.u32(error_code, "ErrorCode")


def read_error_code(answer: type[Answer], raw: Reader) -> int:
    answer.read_status(raw)
    return raw.u32("ErrorCode")


def write_stat(out: Writer, stat: Stat | None) -> None:
    out.has(stat is not None)
    if stat is not None:
        stat.write(out)


def read_stat(raw: Reader) -> Stat | None:
    return Stat.read(raw) if raw.has("HasState") else None


def write_numbers(out: Writer, numbers: tuple[int, ...] | None, field: str) -> None:
    out.has(numbers is not None)
    if numbers is not None:
        out.numbers(numbers, field)


def read_numbers(raw: Reader, field: str) -> tuple[int, ...] | None:
    return raw.numbers(field) if raw.has(f"the flag before {field}") else None


def write_table(out: Writer, table: Table | None) -> None:
    out.has(table is not None)
    if table is None:
        return
    if len(table.tags) > MOST_COLUMNS or len(table.rows) > MOST_ROWS:
        out.fail(f"it has more than {MOST_COLUMNS:,} columns or {MOST_ROWS:,} rows")
    out.numbers(table.tags, "columns")
    out.u32(len(table.rows), "the number of rows")
    for row in table.rows:
        write_row(out, table.tags, row, Place.ADDRESS_BOOK)


def read_table(raw: Reader) -> Table | None:
    if not raw.has("HasRowsAndCols"):
        return None
    tags = raw.numbers("columns")
    if len(tags) > MOST_COLUMNS:
        raw.fail(f"it has {len(tags):,} columns; {MOST_COLUMNS:,} are read")
    count = raw.u32("the number of rows")
    if count > MOST_ROWS:
        raw.fail(f"it has {count:,} rows; {MOST_ROWS:,} are read", raw.at - 4)
    return Table(tags, raw.items(count, lambda: read_row(raw, tags, Place.ADDRESS_BOOK), "rows", 1))
