"""What is done inside an Execute: logons, folders, properties (protocols.md 1.7, 1.8).

On 2013 and later, who is not the owner of a mailbox is logged on all the same: only the flags of
the answer and the folders tell. No right on a folder is "not found".
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.web.access import Access, access
from mailmig.lab.web.mapi import properties
from mailmig.lab.web.messages import Call
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.wire.mapihttp import rops
from mailmig.wire.mapihttp.codes import ErrorCode
from mailmig.wire.mapihttp.octets import Writer
from mailmig.wire.mapihttp.rop_buffer import TO_BE_FILLED, RopRequests, RopResponses
from mailmig.wire.mapihttp.rops import LogonFlag, OpenFlag, ResponseFlag, RopRequest, RopResponse

# So many logons in so many seconds to a mailbox that is elsewhere; then the server pauses.
MOST_REDIRECTS, REDIRECTS_S = 5, 10.0
# A session that opens folders and releases none gets no more than these: the lab's own limit.
MOST_HANDLES: Final = 1_000
# What precedes the operations of an answer: RPC_HEADER_EXT and RopSize. The whole is one block,
# which counts itself in 16 bits without its header.
_HEAD, _MOST = 10, 8 + 0xFFFF
# The undefined ones are refused.
_OPEN_FLAGS: Final = sum(OpenFlag)
# 2016 tells of a database that is offline in the logon, the others in a fault (STOR note).
_TELLS_OFFLINE: Final = ("2016",)
# Code pages that Windows has, as far as mailboxes use them [MEM].
_CODE_PAGES: Final = frozenset(
    (437, 850, 874, 932, 936, 949, 950, *range(1250, 1259), 20127, 20866, 21866, 28591, 28592,
     *range(28593, 28600), 28603, 28605, 50220, 50221, 50222, 50225, 51932, 51949, 52936, 54936,
     65000, 65001)
)  # fmt: skip


class RpcFault(Exception):
    """The whole Execute ends with this error code."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Store:
    """A mailbox that somebody is logged on to; `database` is where it was then."""

    mailbox: Mailbox
    database: str
    as_admin: bool


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder of a store; `place` is that among the folders of a logon."""

    store: Store
    place: int


@dataclass(slots=True)
class Session:
    """What the mailbox endpoint keeps in a context; `user` is the caller's own mailbox.

    `handles` are numbered from 1 on; `logons` are those of stores by their LogonId.
    """

    user: Mailbox
    code_page: int
    is_admin: bool
    handles: dict[int, Store | Folder] = field(default_factory=dict)
    logons: dict[int, int] = field(default_factory=dict)
    handed_out: int = 0
    has_tried: bool = False

    def log_on(self, logon_id: int, store: Store) -> int:
        """The new handle of a store; an earlier logon with this id is over."""
        self.handles.pop(self.logons.get(logon_id, 0), None)
        self.logons[logon_id] = self.keep(store)
        return self.logons[logon_id]

    def keep(self, thing: Store | Folder) -> int:
        """The new handle that stands for it."""
        self.handed_out += 1
        self.handles[self.handed_out] = thing
        return self.handed_out


class Redirects:
    """How often clients ask a server for what it does not have. `clock` is seconds of ours."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._asked: dict[tuple[str, str, int], deque[float]] = {}

    def too_often(self, server: str, account: str, mailbox: Mailbox) -> bool:
        """Counts one more logon."""
        now = self._clock()
        key = server, account, mailbox.number
        times = self._asked.setdefault(key, deque(maxlen=MOST_REDIRECTS + 1))
        times.append(now)
        return len(times) > MOST_REDIRECTS and now - times[0] <= REDIRECTS_S


class Rops:
    """One Execute: `run` carries out what it asks."""

    def __init__(
        self, world: World, people: People, redirects: Redirects, call: Call, session: Session
    ) -> None:
        self._world = world
        self._people = people
        self._redirects = redirects
        self._call = call
        self._session = session

    def run(self, requests: RopRequests, room: int) -> RopResponses:
        """The answers, as far as they have room in so many bytes. Raises `RpcFault`."""
        handles = list(requests.handles)
        answers: list[RopResponse] = []
        size, room = _HEAD + 4 * len(handles), min(room, _MOST)
        for place, asked in enumerate(requests.rops):
            answer = self._one(asked, handles)
            if answer is None:
                continue
            size += _size(answer)
            if size > room:
                answers.append(_too_small(size, requests.rops[place:]))
                break
            answers.append(answer)
        return RopResponses(tuple(answers), tuple(handles))

    def _one(self, asked: RopRequest, handles: list[int]) -> RopResponse | None:
        match asked:
            case rops.Logon():
                return self._logon(asked, handles)
            case rops.OpenFolder():
                return self._open(asked, handles)
            case rops.GetProperties():
                return self._properties(asked, handles)
            case rops.Release():
                self._session.handles.pop(_at(handles, asked.input_index), None)
                return None

    # logon

    def _logon(self, asked: rops.Logon, handles: list[int]) -> RopResponse:
        index = asked.output_index
        _at(handles, index)
        handles[index] = TO_BE_FILLED
        first, self._session.has_tried = not self._session.has_tried, True
        code = self._flags(asked, first=first)
        mailbox = None if code else self._people.with_legacy(asked.essdn)
        if mailbox is None:
            return rops.Refused(rops.LOGON, index, code or ErrorCode.ecUnknownUser)
        home = self._people.home(mailbox)
        if home.name != self._call.server.name:
            return self._elsewhere(asked, mailbox)
        code = self._closed(mailbox)
        if code:
            return rops.Refused(rops.LOGON, index, code)
        as_admin = bool(asked.open_flags & OpenFlag.USE_ADMIN_PRIVILEGE)
        store = Store(mailbox, mailbox.database, as_admin)
        handles[index] = self._session.log_on(asked.logon_id, store)
        return self._logged_on(asked, mailbox, as_admin=as_admin)

    def _flags(self, asked: rops.Logon, *, first: bool) -> int:
        """0, or why a logon with these flags in this session does not go. Raises `RpcFault`."""
        if asked.open_flags & ~_OPEN_FLAGS:
            return ErrorCode.ecError
        if not asked.open_flags & OpenFlag.PER_MDB_REPLID_MAPPING:
            if first:
                raise RpcFault(
                    ErrorCode.ecRpcFailed
                )  # which number the fault has is not established
            return ErrorCode.ecInvalidParameter
        public = asked.open_flags & OpenFlag.PUBLIC or not asked.logon_flags & LogonFlag.PRIVATE
        if public:  # public folders are not simulated here
            return ErrorCode.ecNotSupported
        if asked.open_flags & OpenFlag.USE_ADMIN_PRIVILEGE and not self._session.is_admin:
            return ErrorCode.ecLoginPerm
        if self._session.code_page not in _CODE_PAGES:
            return ErrorCode.ecUnknownCodePage
        return 0

    def _elsewhere(self, asked: rops.Logon, mailbox: Mailbox) -> RopResponse:
        """A redirect; who does not follow it is told to wait."""
        assert self._call.caller is not None
        server, account = self._call.server.name, self._call.caller.name.lower()
        if self._redirects.too_often(server, account, mailbox):
            return rops.Refused(rops.LOGON, asked.output_index, ErrorCode.ecServerPaused)
        server_dn = self._people.places.legacy_server(self._people.mailbox_id(mailbox))
        return rops.Redirected(server_dn, asked.logon_flags, asked.output_index)

    def _closed(self, mailbox: Mailbox) -> int:
        """0, or why nobody can use the mailbox now. Raises `RpcFault`."""
        organisation, server = self._people.organisation, self._call.server
        if organisation.is_in_transit(mailbox):
            return ErrorCode.ecMailboxInTransit
        if self._people.database(mailbox).mounted and server.name not in organisation.down:
            return 0
        if server.version in _TELLS_OFFLINE:
            return ErrorCode.ecLoginFailure
        raise RpcFault(ErrorCode.rpcServerUnavailable)

    def _logged_on(self, asked: rops.Logon, mailbox: Mailbox, *, as_admin: bool) -> RopResponse:
        user, may = self._session.user, self._people.may
        flags = int(ResponseFlag.ALWAYS)
        if as_admin or may("full_access", user, mailbox):
            flags |= ResponseFlag.OWNER_RIGHT
        if may("send_as", user, mailbox):
            flags |= ResponseFlag.SEND_AS_RIGHT
        machine = self._world.surroundings.machines.of(self._call.server.fqdn)
        ahead = timedelta() if machine is None else machine.clock_ahead
        return rops.LoggedOn(
            tuple(folder_id(mailbox, place) for place in range(len(rops.FOLDERS))),
            flags, UUID(mailbox.exchange_guid), self._world.now + ahead,
            replica_guid=UUID(guid(mailbox.exchange_guid, "replica")),
            logon_flags=asked.logon_flags, handle_index=asked.output_index,
        )  # fmt: skip

    # what was opened

    def _open(self, asked: rops.OpenFolder, handles: list[int]) -> RopResponse:
        index = asked.output_index
        _at(handles, index)
        handles[index], known = TO_BE_FILLED, _at(handles, asked.input_index)
        thing = self._session.handles.get(known)
        if thing is None:
            return rops.Refused(rops.OPEN_FOLDER, index, ErrorCode.ecNullObject)
        store = thing if isinstance(thing, Store) else thing.store
        code = self._lost(store)
        place = _place(store.mailbox, asked.folder_id)
        if code or place is None or not self._may_read(store, place):
            return rops.Refused(rops.OPEN_FOLDER, index, code or ErrorCode.ecNotFound)
        if len(self._session.handles) >= MOST_HANDLES:
            return rops.Refused(rops.OPEN_FOLDER, index, ErrorCode.ecNotEnoughMemory)
        handles[index] = self._session.keep(Folder(store, place))
        return rops.Opened(index)

    def _properties(self, asked: rops.GetProperties, handles: list[int]) -> RopResponse:
        index = asked.input_index
        thing = self._session.handles.get(_at(handles, index))
        if thing is None:
            return rops.Refused(rops.GET_PROPERTIES, index, ErrorCode.ecNullObject)
        store = thing if isinstance(thing, Store) else thing.store
        code = self._lost(store)
        if code:
            return rops.Refused(rops.GET_PROPERTIES, index, code)
        if isinstance(thing, Store):
            makers = properties.of_store(self._people.organisation, store.mailbox)
        else:
            own = folder_id(store.mailbox, thing.place)
            makers = properties.of_folder(self._world.contents, store.mailbox, thing.place, own)
        row = properties.row(asked.tags, makers, asked.size_limit)
        return rops.Properties(asked.tags, row, index)

    def _lost(self, store: Store) -> int:
        """0, or why what was opened earlier is of no use any more. Raises `RpcFault`."""
        mailbox = store.mailbox
        if mailbox.gone or mailbox.database != store.database:
            return ErrorCode.ecNullObject
        return self._closed(mailbox)

    def _may_read(self, store: Store, place: int) -> bool:
        if store.as_admin:
            return True
        key = properties.KEYS[place]
        found = access(self._people, self._session.user, store.mailbox, key)
        return found is not Access.NONE


def folder_id(mailbox: Mailbox, place: int) -> bytes:
    """The id of a folder: a replica number, and a counter that is the mailbox's own."""
    mark = blake2b(mailbox.exchange_guid.encode(), digest_size=4).digest()
    return b"\x01\0" + mark + (place + 1).to_bytes(2, "big")


def _place(mailbox: Mailbox, wanted: bytes) -> int | None:
    known = {folder_id(mailbox, place): place for place in range(len(rops.FOLDERS))}
    return known.get(wanted)


def _at(handles: list[int], index: int) -> int:
    """The handle at an index. Raises `RpcFault` where there is no such place."""
    if index >= len(handles):
        raise RpcFault(ErrorCode.ecRpcFormat)
    return handles[index]


def _too_small(needed: int, rest: tuple[RopRequest, ...]) -> rops.BufferTooSmall:
    """What is not carried out goes back as far as it has a place in a block."""
    raw = b"".join(one.encode() for one in rest)
    return rops.BufferTooSmall(min(needed, 0xFFFF), raw if len(raw) + needed < _MOST else b"")


def _size(answer: RopResponse) -> int:
    out = Writer(RopResponses.NAME)
    answer.write(out)
    return len(out.raw)
