"""The remote operations that a probe needs, asked and answered (MS-OXCROPS 2.2, notes 1.7, 1.8).

RopLogon opens a mailbox, RopOpenFolder a folder of it, RopGetPropertiesSpecific reads from what
a handle stands for, RopRelease lets a handle go. Each answer begins with its number, a handle
index and a ReturnValue; where that is not 0 nothing follows (`Refused`), but for the redirect of
a logon. In the place of an answer there may be `BufferTooSmall`, `Backoff` or `Pending`.

On 2013 and later a logon that returns 0 is no proof of access: `ResponseFlag.OWNER_RIGHT` and an
opened folder are. No rights on a folder is `ecNotFound`, not `ecAccessDenied`.
"""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntFlag
from typing import ClassVar, Final, Self, TypeAlias
from uuid import UUID

from mailmig.wire.mapihttp.codes import ErrorCode
from mailmig.wire.mapihttp.octets import Message, Reader, Writer
from mailmig.wire.mapihttp.properties import Place, Row, Tags, read_row, write_row

RELEASE: Final = 0x01
OPEN_FOLDER: Final = 0x02
GET_PROPERTIES: Final = 0x07
PENDING: Final = 0x6E
BACKOFF: Final = 0xF9
LOGON: Final = 0xFE
BUFFER_TOO_SMALL: Final = 0xFF

# The 13 folder ids of a private logon, by their place.
FOLDERS: Final = (
    "root", "deferred action", "spooler queue", "IPM subtree", "inbox", "outbox", "sent",
    "deleted", "common views", "schedule", "search", "views", "shortcuts",
)  # fmt: skip
INBOX: Final = FOLDERS.index("inbox")
FOLDER_ID_SIZE: Final = 8


class LogonFlag(IntFlag):
    """LogonFlags; those beyond PRIVATE are [MEM]."""

    PRIVATE = 0x01
    UNDER_COVER = 0x02
    GHOSTED = 0x04


class OpenFlag(IntFlag):
    """OpenFlags. Without PER_MDB_REPLID_MAPPING, Exchange 2013 and later answer with a fault."""

    USE_ADMIN_PRIVILEGE = 0x1
    PUBLIC = 0x2
    HOME_LOGON = 0x4
    TAKE_OWNERSHIP = 0x8
    ALTERNATE_SERVER = 0x100
    IGNORE_HOME_MDB = 0x200
    NO_MAIL = 0x400
    PER_MDB_REPLID_MAPPING = 0x01000000


class ResponseFlag(IntFlag):
    """ResponseFlags of a private logon."""

    ALWAYS = 0x01
    OWNER_RIGHT = 0x02  # full access
    SEND_AS_RIGHT = 0x04
    OUT_OF_OFFICE = 0x10


class Asked(Message):
    """One operation as the client asks it. `read` begins with the operation's number."""

    __slots__ = ()
    ID: ClassVar[int]

    @classmethod
    def read_id(cls, raw: Reader) -> None:
        number = raw.u8("RopId")
        if number != cls.ID:
            raw.fail(f"operation {number:#04x} stands where {cls.ID:#04x} should", raw.at - 1)

    @abstractmethod
    def read_answer(self, raw: Reader) -> "RopResponse":
        """The answer to this; `raw` stands before its number, which was looked at."""


@dataclass(frozen=True, slots=True)
class Logon(Asked):
    """RopLogon to a private mailbox (MS-OXCROPS 2.2.3.1.1).

    `essdn` is the mailbox's legacyExchangeDN: the caller's own, or the other user's. A free
    `logon_id` for each mailbox of a session; using one again replaces the logon.
    """

    NAME: ClassVar = "RopLogon"
    ID: ClassVar = LOGON
    essdn: str
    logon_id: int = 0
    output_index: int = 0
    logon_flags: int = LogonFlag.PRIVATE
    open_flags: int = OpenFlag.PER_MDB_REPLID_MAPPING
    store_state: int = 0

    def write(self, out: Writer) -> None:
        out.u8(LOGON, "RopId")
        out.u8(self.logon_id, "LogonId")
        out.u8(self.output_index, "OutputHandleIndex")
        out.u8(self.logon_flags, "LogonFlags")
        out.u32(self.open_flags, "OpenFlags")
        out.u32(self.store_state, "StoreState")
        essdn = out.ascii(self.essdn, "Essdn")
        out.u16(len(essdn), "EssdnSize")
        out.put(essdn)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_id(raw)
        logon_id, index, flags = (
            raw.u8("LogonId"),
            raw.u8("OutputHandleIndex"),
            raw.u8("LogonFlags"),
        )
        open_flags, state = raw.u32("OpenFlags"), raw.u32("StoreState")
        essdn = raw.ascii(raw.u16("EssdnSize"), "Essdn")
        return cls(essdn, logon_id, index, flags, open_flags, state)

    def read_answer(self, raw: Reader) -> "RopResponse":
        index, returned = _begin(raw)
        if returned == ErrorCode.ecNone:
            return LoggedOn.read_rest(raw, index)
        if returned == ErrorCode.ecWrongServer:
            return Redirected.read_rest(raw, index)
        return Refused(LOGON, index, returned)


@dataclass(frozen=True, slots=True)
class OpenFolder(Asked):
    """RopOpenFolder (MS-OXCROPS 2.2.4.1). `folder_id` is opaque, 8 bytes, as a logon gave it."""

    NAME: ClassVar = "RopOpenFolder"
    ID: ClassVar = OPEN_FOLDER
    folder_id: bytes
    logon_id: int = 0
    input_index: int = 0
    output_index: int = 1
    open_mode: int = 0

    def write(self, out: Writer) -> None:
        out.u8(OPEN_FOLDER, "RopId")
        out.u8(self.logon_id, "LogonId")
        out.u8(self.input_index, "InputHandleIndex")
        out.u8(self.output_index, "OutputHandleIndex")
        _write_folder_id(out, self.folder_id)
        out.u8(self.open_mode, "OpenModeFlags")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_id(raw)
        logon_id, input_index = raw.u8("LogonId"), raw.u8("InputHandleIndex")
        output_index = raw.u8("OutputHandleIndex")
        folder_id = raw.take(FOLDER_ID_SIZE, "FolderId")
        return cls(folder_id, logon_id, input_index, output_index, raw.u8("OpenModeFlags"))

    def read_answer(self, raw: Reader) -> "RopResponse":
        index, returned = _begin(raw)
        return Refused(OPEN_FOLDER, index, returned) if returned else Opened.read_rest(raw, index)


@dataclass(frozen=True, slots=True)
class GetProperties(Asked):
    """RopGetPropertiesSpecific (MS-OXCROPS 2.2.8.3); a size limit of 0 is none."""

    NAME: ClassVar = "RopGetPropertiesSpecific"
    ID: ClassVar = GET_PROPERTIES
    tags: Tags
    logon_id: int = 0
    input_index: int = 0
    size_limit: int = 0
    want_unicode: int = 1

    def write(self, out: Writer) -> None:
        out.u8(GET_PROPERTIES, "RopId")
        out.u8(self.logon_id, "LogonId")
        out.u8(self.input_index, "InputHandleIndex")
        out.u16(self.size_limit, "PropertySizeLimit")
        out.u16(self.want_unicode, "WantUnicode")
        out.u16(len(self.tags), "the number of tags")
        for tag in self.tags:
            out.u32(tag, "tag")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_id(raw)
        logon_id, input_index = raw.u8("LogonId"), raw.u8("InputHandleIndex")
        limit, unicode = raw.u16("PropertySizeLimit"), raw.u16("WantUnicode")
        count = raw.u16("the number of tags")
        tags = raw.items(count, lambda: raw.u32("tag"), "tags", 4)
        return cls(tags, logon_id, input_index, limit, unicode)

    def read_answer(self, raw: Reader) -> "RopResponse":
        index, returned = _begin(raw)
        if returned:
            return Refused(GET_PROPERTIES, index, returned)
        return Properties(self.tags, read_row(raw, self.tags, Place.STORE), index)


@dataclass(frozen=True, slots=True)
class Release(Asked):
    """RopRelease (MS-OXCROPS 2.2.15.3); it is never answered."""

    NAME: ClassVar = "RopRelease"
    ID: ClassVar = RELEASE
    input_index: int = 0
    logon_id: int = 0

    def write(self, out: Writer) -> None:
        out.u8(RELEASE, "RopId")
        out.u8(self.logon_id, "LogonId")
        out.u8(self.input_index, "InputHandleIndex")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_id(raw)
        logon_id = raw.u8("LogonId")
        return cls(raw.u8("InputHandleIndex"), logon_id)

    def read_answer(self, raw: Reader) -> "RopResponse":
        raw.fail("RopRelease is not answered")


@dataclass(frozen=True, slots=True)
class LoggedOn:
    """A logon that worked, to a private mailbox: 166 bytes (MS-OXCROPS 2.2.3.1.2).

    `mailbox_guid` equals the mailbox's ExchangeGuid. `logon_time` is the server's clock, aware,
    in whole seconds; `None` when its bytes are no date. `folder_ids` are in the order of
    `FOLDERS`.
    """

    folder_ids: tuple[bytes, ...]
    response_flags: int
    mailbox_guid: UUID
    logon_time: datetime | None
    replica_id: int = 1
    replica_guid: UUID = UUID(int=0)
    gwart_time: int = 0
    store_state: int = 0
    logon_flags: int = LogonFlag.PRIVATE
    handle_index: int = 0

    def write(self, out: Writer) -> None:
        _end(out, LOGON, self.handle_index, ErrorCode.ecNone)
        if not self.logon_flags & LogonFlag.PRIVATE or len(self.folder_ids) != len(FOLDERS):
            out.fail(f"a private logon has {len(FOLDERS)} folders and the flag PRIVATE")
        out.u8(self.logon_flags, "LogonFlags")
        for folder_id in self.folder_ids:
            _write_folder_id(out, folder_id)
        out.u8(self.response_flags, "ResponseFlags")
        out.put(self.mailbox_guid.bytes_le)
        out.u16(self.replica_id, "ReplId")
        out.put(self.replica_guid.bytes_le)
        _write_time(out, self.logon_time)
        out.u64(self.gwart_time, "GwartTime")
        out.u32(self.store_state, "StoreState")

    @classmethod
    def read_rest(cls, raw: Reader, index: int) -> Self:
        flags = raw.u8("LogonFlags")
        if not flags & LogonFlag.PRIVATE:
            raw.fail("it is a logon to public folders, which is not read", raw.at - 1)
        folders = tuple([raw.take(FOLDER_ID_SIZE, f"the folder id of {name}") for name in FOLDERS])
        response_flags, mailbox_guid = raw.u8("ResponseFlags"), raw.guid("MailboxGuid")
        replica_id, replica_guid = raw.u16("ReplId"), raw.guid("ReplGuid")
        logon_time, gwart_time = _read_time(raw), raw.u64("GwartTime")
        return cls(
            folders, response_flags, mailbox_guid, logon_time, replica_id, replica_guid,
            gwart_time, raw.u32("StoreState"), flags, index,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Redirected:
    """The mailbox is on another server (ReturnValue 0x478, MS-OXCROPS 2.2.3.1.3).

    `server_dn` is a DN, not a host name; that its last part is <mailbox guid>@<domain> since
    2013 is [MEM]. Its URL comes from GetMailboxUrl, or from Autodiscover.
    """

    server_dn: str
    logon_flags: int = LogonFlag.PRIVATE
    handle_index: int = 0

    def write(self, out: Writer) -> None:
        _end(out, LOGON, self.handle_index, ErrorCode.ecWrongServer)
        out.u8(self.logon_flags, "LogonFlags")
        server_dn = out.ascii(self.server_dn, "ServerName")
        out.u8(len(server_dn), "ServerNameSize")
        out.put(server_dn)

    @classmethod
    def read_rest(cls, raw: Reader, index: int) -> Self:
        flags, size = raw.u8("LogonFlags"), raw.u8("ServerNameSize")
        return cls(raw.ascii(size, "ServerName"), flags, index)


@dataclass(frozen=True, slots=True)
class Opened:
    """A folder that was opened. `ghost_servers` hold it instead (public folders only).

    The layout of that list (two u16 counts, then names with NUL) is [MEM]; `None` is no list.
    """

    handle_index: int = 1
    has_rules: int = 0
    ghost_servers: tuple[str, ...] | None = None
    cheap_servers: int = 0

    def write(self, out: Writer) -> None:
        _end(out, OPEN_FOLDER, self.handle_index, ErrorCode.ecNone)
        out.u8(self.has_rules, "HasRules")
        out.u8(self.ghost_servers is not None, "IsGhosted")
        if self.ghost_servers is None:
            return
        out.u16(len(self.ghost_servers), "ServerCount")
        out.u16(self.cheap_servers, "CheapServerCount")
        for server in self.ghost_servers:
            out.ascii_z(server, "server")

    @classmethod
    def read_rest(cls, raw: Reader, index: int) -> Self:
        has_rules = raw.u8("HasRules")
        if not raw.u8("IsGhosted"):
            return cls(index, has_rules)
        count, cheap = raw.u16("ServerCount"), raw.u16("CheapServerCount")
        servers = raw.items(count, lambda: raw.ascii_z("server"), "servers", 1)
        return cls(index, has_rules, servers, cheap)


@dataclass(frozen=True, slots=True)
class Properties:
    """The values that were asked for; `tags` are those of the request and not on the wire."""

    tags: Tags
    row: Row
    handle_index: int = 0

    def write(self, out: Writer) -> None:
        _end(out, GET_PROPERTIES, self.handle_index, ErrorCode.ecNone)
        write_row(out, self.tags, self.row, Place.STORE)


@dataclass(frozen=True, slots=True)
class Refused:
    """An operation that failed; `return_value` is one of `codes.ErrorCode`, or unknown."""

    rop_id: int
    handle_index: int
    return_value: int

    def write(self, out: Writer) -> None:
        if not self.return_value:
            out.fail("a refusal has a ReturnValue other than 0")
        if self.rop_id == LOGON and self.return_value == ErrorCode.ecWrongServer:
            out.fail("a redirected logon names a server")
        _end(out, self.rop_id, self.handle_index, self.return_value)


@dataclass(frozen=True, slots=True)
class BufferTooSmall:
    """MaxRopOut has no place for the answer (MS-OXCROPS 2.2.15.1); the last of its buffer.

    `rest` are the requests that were not carried out [MEM]; the notes name `size_needed` alone,
    and without them it is read as well.
    """

    size_needed: int
    rest: bytes = b""

    def write(self, out: Writer) -> None:
        out.u8(BUFFER_TOO_SMALL, "RopId")
        out.u16(self.size_needed, "SizeNeeded")
        out.put(self.rest)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The server is busy: wait so long (MS-OXCROPS 2.2.15.2); the last of its buffer.

    The notes end with "…": what follows (waits of single operations [MEM]) stays opaque.
    """

    logon_id: int
    wait_ms: int
    rest: bytes = b""

    def write(self, out: Writer) -> None:
        out.u8(BACKOFF, "RopId")
        out.u8(self.logon_id, "LogonId")
        out.u32(self.wait_ms, "Duration")
        out.put(self.rest)


@dataclass(frozen=True, slots=True)
class Pending:
    """Notifications wait in another session (MS-OXCROPS 2.2.14.3); may follow the answers."""

    session_index: int

    def write(self, out: Writer) -> None:
        out.u8(PENDING, "RopId")
        out.u16(self.session_index, "SessionIndex")


RopRequest: TypeAlias = Logon | OpenFolder | GetProperties | Release
RopResponse: TypeAlias = (
    LoggedOn | Redirected | Opened | Properties | Refused | BufferTooSmall | Backoff | Pending
)
_REQUESTS: Final[dict[int, type[RopRequest]]] = {
    kind.ID: kind for kind in (Logon, OpenFolder, GetProperties, Release)
}


def is_last(response: RopResponse) -> bool:
    """Whether nothing comes after it in its buffer."""
    return isinstance(response, BufferTooSmall | Backoff)


def read_request(raw: Reader) -> RopRequest:
    """The next operation of a request."""
    number = raw.raw[raw.at]
    kind = _REQUESTS.get(number)
    if kind is None:
        raw.fail(f"operation {number:#04x} is not known")
    return kind.read(raw)


def read_response(raw: Reader, asked: list[RopRequest]) -> RopResponse:
    """The next answer; takes the request that it answers off the front of `asked`."""
    number = raw.raw[raw.at]
    if number == PENDING:
        raw.at += 1
        return Pending(raw.u16("SessionIndex"))
    if number == BUFFER_TOO_SMALL:
        raw.at += 1
        return BufferTooSmall(raw.u16("SizeNeeded"), raw.rest())
    if number == BACKOFF:
        raw.at += 1
        return Backoff(raw.u8("LogonId"), raw.u32("Duration"), raw.rest())
    if not asked or number != asked[0].ID:
        wanted = f"{asked[0].NAME} was" if asked else "nothing more was"
        raw.fail(f"it answers operation {number:#04x} and {wanted} asked")
    return asked.pop(0).read_answer(raw)


def _begin(raw: Reader) -> tuple[int, int]:
    """Handle index and ReturnValue of an answer."""
    raw.u8("RopId")
    return raw.u8("handle index"), raw.u32("ReturnValue")


def _end(out: Writer, rop_id: int, index: int, returned: int) -> None:
    """What `_begin` reads."""
    out.u8(rop_id, "RopId")
    out.u8(index, "handle index")
    out.u32(returned, "ReturnValue")


def _write_folder_id(out: Writer, folder_id: bytes) -> None:
    if len(folder_id) != FOLDER_ID_SIZE:
        out.fail(f"a folder id has {FOLDER_ID_SIZE} bytes, not {len(folder_id)}")
    out.put(folder_id)


def _read_time(raw: Reader) -> datetime | None:
    second, minute, hour, _weekday, day, month = raw.take(6, "LogonTime")
    year = raw.u16("LogonTime")
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _write_time(out: Writer, moment: datetime | None) -> None:
    if moment is None:
        out.put(bytes(8))
        return
    utc = moment.astimezone(UTC)
    sunday_first = utc.isoweekday() % 7
    out.put(bytes((utc.second, utc.minute, utc.hour, sunday_first, utc.day, utc.month)))
    out.u16(utc.year, "year")
