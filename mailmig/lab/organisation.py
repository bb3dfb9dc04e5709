"""The simulated organisation: its state, and the laws by which the state changes.

The state is what a real organisation keeps in its directory and its databases. The laws
need no protocol: a move takes time by size and free slots and then the mailbox is in its
new database; mailboxes grow; moved bytes become log files that the passive copies fetch.
`advance(to)` lets time pass; the same state and the same moments give the same result.

Sizes are bytes, log files are 1 MiB, times are aware. `number` is a mailbox's place in
`mailboxes`; it never changes and nobody outside the lab sees it. A trustee below zero
stands for `principals[-1 - trustee]`.
"""

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailmig.lab.moving import SEEDED, Move, NotNow, Schedule
from mailmig.model.directory import Kind
from mailmig.model.organisation import Server
from mailmig.model.quota import GIB, MIB, UNKNOWN, UNLIMITED, Quota, Quotas

# A local move: time to set up, and what one move carries per hour (migration.md 7.1, start values).
MOVE_SETUP: Final = timedelta(minutes=3)
BYTES_PER_HOUR: Final = 5 * GIB
ITEMS_PER_HOUR: Final = 40_000
# Moves differ from those figures by up to this share, each in its own way.
MOVE_SPREAD: Final = 0.2
# A moved byte becomes this many bytes of log files on every copy (migration.md 10).
LOG_SHARE: Final = 1.2
# Log files that one passive copy can fetch per second: a line of 100 Mbit/s between the sites.
COPY_LOGS_PER_S: Final = 12.0
YEAR_S: Final = 365.25 * 86400
# How long a completed request stays by itself: CompletedRequestAgeLimit (migration.md 4.1).
REQUEST_KEPT: Final = timedelta(days=30)


def guid(*what: object) -> str:
    """A GUID that follows from what it stands for: the same words give the same GUID."""
    words = "\x1f".join(map(str, what)).encode()
    raw = bytearray(hashlib.blake2b(words, digest_size=16).digest())
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def share(*what: object) -> float:
    """A number from 0 to below 1 that follows from the words, evenly spread."""
    words = "\x1f".join(map(str, what)).encode()
    return int.from_bytes(hashlib.blake2b(words, digest_size=7).digest()) / 2**56


class UnknownDatabase(KeyError):
    """A move to or from a database that the organisation does not have."""


class AlreadyMoving(ValueError):
    """The mailbox has a move that is not finished: one mailbox has one move at a time."""


@dataclass(frozen=True, slots=True)
class Department:
    """An organisational unit with the people in it; `path` leads to it from the domain."""

    number: int
    name: str
    path: tuple[str, ...]
    site: str
    quota_class: str
    branch: int = 0


@dataclass(slots=True)
class Archive:
    """The archive mailbox of a person."""

    guid: str
    database: str
    used: int
    items: int
    warn: Quota = UNLIMITED
    quota: Quota = UNLIMITED


@dataclass(slots=True)
class Mailbox:
    """One mailbox. `used` counts against the quota, `deleted` (Recoverable Items) does not.

    `last_logon` is `None` when nobody ever logged on: then there are no statistics.
    `growth` is the share by which `used` grows in a year.
    """

    number: int
    kind: Kind
    guid: str
    exchange_guid: str
    name: str
    display_name: str
    alias: str
    account: str
    domain: str
    path: tuple[str, ...]
    database: str
    created: datetime
    department: str = ""
    office: str = ""
    title: str = ""
    use_database_quotas: bool = True
    own: Quotas = Quotas(UNLIMITED, UNLIMITED, UNLIMITED)
    recoverable: Quota = 30 * GIB
    used: int = 0
    items: int = 0
    deleted: int = 0
    deleted_items: int = 0
    last_logon: datetime | None = None
    growth: float = 0.0
    archive: Archive | None = None
    on_behalf: tuple[int, ...] = ()
    on_hold: bool = False
    hidden: bool = False
    root_public_folder: bool = False
    linked_account: str = ""
    gone: bool = False

    @property
    def address(self) -> str:
        return f"{self.alias}@{self.domain}"


@dataclass(slots=True)
class Database:
    """A mailbox database with the defaults that its mailboxes take; `copies` begins with the active one.

    `white_space` is room inside the file that deleted mailboxes and items left behind.
    """

    name: str
    guid: str
    servers: tuple[str, ...]
    quotas: Quotas
    recoverable: Quota = 30 * GIB
    size: int = 0
    white_space: int = 0
    dag: str = ""
    circular_logging: bool = False
    mounted: bool = True

    @property
    def server(self) -> str:
        """The server on which it is mounted."""
        return self.servers[0]


@dataclass(slots=True)
class Copy:
    """A replica of a database on one server. The queue counts log files not yet fetched.

    A copy that is not `fetching` falls behind by all that is written.
    """

    database: str
    server: str
    preference: int
    active: bool
    queue_logs: float = 0.0
    disk_total: int = 0
    disk_free: int = 0
    fetching: bool = True


@dataclass(frozen=True, slots=True)
class Dag:
    """The two target servers as one availability group; the witness stands at a third place."""

    name: str
    guid: str
    servers: tuple[str, ...]
    witness: str
    witness_folder: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may hold a right and is no mailbox: a group, or a SID that no longer resolves."""

    text: str
    guid: str = ""
    name: str = ""
    account: str = ""
    path: tuple[str, ...] = ()
    members: tuple[int, ...] = ()

    @property
    def is_group(self) -> bool:
        return bool(self.guid)


@dataclass(slots=True)
class Rights:
    """Rights of one sort: `trustees[i]` may use the mailbox `owners[i]`."""

    owners: "array[int]" = field(default_factory=lambda: array("i"))
    trustees: "array[int]" = field(default_factory=lambda: array("i"))

    def grant(self, owner: int, trustee: int) -> None:
        """The trustee may use the mailbox of the owner from now on."""
        self.owners.append(owner)
        self.trustees.append(trustee)

    def __len__(self) -> int:
        return len(self.owners)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.owners, self.trustees, strict=True)


@dataclass(frozen=True, slots=True)
class PstFile:
    """A PST file that somebody left on a share or a disk; owner is a mailbox number."""

    owner: int
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a database still keeps of a mailbox that was disabled or moved away."""

    database: str
    exchange_guid: str
    display_name: str
    since: datetime
    moved: bool
    used: int
    items: int


@dataclass(slots=True)
class Organisation:
    """Everything under one Exchange configuration, at the moment `now`."""

    name: str
    domain: str
    netbios: str
    mail_domains: tuple[str, ...]
    namespace: str
    seed: int
    now: datetime
    servers: tuple[Server, ...]
    dag: Dag
    witness_site: str
    answering: str
    source: str
    departments: tuple[Department, ...]
    databases: dict[str, Database] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
    mailboxes: list[Mailbox] = field(default_factory=list)
    principals: list[Principal] = field(default_factory=list)
    full_access: Rights = field(default_factory=Rights)
    send_as: Rights = field(default_factory=Rights)
    accounts_only: list[tuple[str, str, str]] = field(default_factory=list)
    leftovers: list[Leftover] = field(default_factory=list)
    pst_files: list[PstFile] = field(default_factory=list)
    relay_addresses: tuple[str, ...] = ()
    smart_host: str = ""
    moves: list[Move] = field(default_factory=list)
    completed: list[Move] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    _moving: dict[int, Move] = field(default_factory=dict, repr=False)

    def server(self, name: str) -> Server:
        """The server of this name; every name in the state is one of a server that exists."""
        return next(server for server in self.servers if server.name == name)

    def present(self, *kinds: Kind) -> Iterator[Mailbox]:
        """The mailboxes of these kinds (all kinds when none is named) that still exist."""
        for mailbox in self.mailboxes:
            if not mailbox.gone and (not kinds or mailbox.kind in kinds):
                yield mailbox

    def effective(self, mailbox: Mailbox) -> Quotas:
        """The limits that hold: the database's, or the mailbox's own where the flag is off."""
        if mailbox.use_database_quotas:
            return self.databases[mailbox.database].quotas
        return mailbox.own

    def move(self, mailbox: Mailbox, target: str) -> Move:
        """Queue a move to the database `target`, beginning now."""
        if target not in self.databases:
            raise UnknownDatabase(target)
        if mailbox.number in self._moving:
            raise AlreadyMoving(mailbox.alias)
        return self._queue(mailbox, target)

    def move_of(self, mailbox: Mailbox) -> Move | None:
        """The move of this mailbox that is not finished."""
        return self._moving.get(mailbox.number)

    def suspend(self, move: Move, comment: str = "") -> None:
        """The move rests until it is resumed. Raises `NotNow` once it completes."""
        if move.status(self.now) not in ("Queued", "InProgress", "Synced", "AutoSuspended"):
            raise NotNow(move.status(self.now))
        move.interrupt(self.now)
        move.suspended, move.comment = True, comment

    def resume(self, move: Move) -> None:
        """The move goes on from where it was; one that waited when it was ready completes."""
        status = move.status(self.now)
        if status in ("Completed", "CompletionInProgress"):
            raise NotNow(status)
        if status == "AutoSuspended":
            move.waits_when_ready = False
        move.suspended, move.failure, move.failed, move.comment = False, "", None, ""

    def replan(self, move: Move) -> None:
        """What holds the move back was changed: a running one keeps its slot and what it carried."""
        if move.started is not None and move.due is not None and move.synced is None:
            move.kept, move.started = min(SEEDED, move.done_share(self.now)), self.now
            self.plan(move, self.now)

    def plan(self, move: Move, at: datetime) -> None:
        """The move runs from `at`: when does its next stage begin?"""
        whole = self.move_time(self.mailboxes[move.mailbox])
        seeded = at + whole * max(0.0, SEEDED - move.kept)
        late = move.complete_after is not None and move.complete_after > seeded
        move.holds = move.waits_when_ready or move.prevented or late
        move.started = at
        move.due = seeded if move.holds else at + whole * (1 - move.kept)

    def cancel(self, move: Move) -> None:
        """The request goes away; the mailbox stays where it is."""
        if move in self.completed:
            self.completed.remove(move)
            return
        if move.status(self.now) == "CompletionInProgress":
            raise NotNow(move.status(self.now))
        self.moves.remove(move)
        del self._moving[move.mailbox]

    def dismount(self, database: Database) -> None:
        """Nobody can use the database; moves from and to it wait."""
        database.mounted = False
        for move in self.moves:
            if database.name in (move.source, move.target) and move.started is not None:
                move.interrupt(self.now)

    def activate(self, database: Database, server: str) -> None:
        """The copy on this server becomes the active one; what it had not fetched is fetched first."""
        others = [name for name in database.servers if name != server]
        database.servers = (server, *others)
        for copy in self.copies:
            if copy.database == database.name:
                copy.active = copy.server == server
                copy.queue_logs = 0.0 if copy.active else copy.queue_logs

    def take_down(self, server: str) -> None:
        """The server is gone: its databases are mounted on another one, if there is one with a copy."""
        self.down.add(server)
        for database in self.databases.values():
            if database.server != server or not database.mounted:
                continue
            copies = [c for c in self.copies if c.database == database.name]
            alive = [copy for copy in copies if copy.server not in self.down]
            self.dismount(database)
            if alive:
                self.activate(database, min(alive, key=lambda copy: copy.preference).server)
                database.mounted = True

    def bring_back(self, server: str) -> None:
        """The server is there again: what nobody else could mount is mounted, copies catch up."""
        self.down.discard(server)
        for database in self.databases.values():
            if database.server == server:
                database.mounted = True

    def move_all(self, targets: dict[int, str]) -> None:
        """Queue many moves at once, in the order given: mailbox number to database."""
        for number, target in targets.items():
            if target not in self.databases:
                raise UnknownDatabase(target)
            if number in self._moving:
                raise AlreadyMoving(self.mailboxes[number].alias)
            self._queue(self.mailboxes[number], target)

    def advance(self, to: datetime) -> None:
        """Let time pass until `to`: moves run and finish, mailboxes grow, copies catch up."""
        if to < self.now:
            raise ValueError(f"time does not run backwards: it is {self.now}, asked for {to}")
        before = {move.mailbox: move.done_share(self.now) for move in self.moves}
        finished = self._run_moves(to)
        self._ship_logs(to, finished, before)
        self._grow(to)
        self.now = to

    def disable(self, mailbox: Mailbox) -> None:
        """The mailbox leaves its owner; the database keeps it as disconnected."""
        mailbox.gone = True
        self._leave(mailbox, mailbox.database, self.now, moved=False)

    def _queue(self, mailbox: Mailbox, target: str) -> Move:
        move = Move(mailbox.number, mailbox.database, target, self.now)
        move.size = self.move_size(mailbox)
        move.items = mailbox.items + mailbox.deleted_items
        self.moves.append(move)
        self._moving[mailbox.number] = move
        return move

    def _run_moves(self, to: datetime) -> list[Move]:
        """Start what finds free slots, finish what is due until `to`; the finished ones in order."""
        schedule = Schedule(self)
        finished = []
        for move in schedule.run(to):
            self._finish(move)
            finished.append(move)
        done = {id(move) for move in finished}
        for move in finished:
            del self._moving[move.mailbox]
            move.ended = move.due
        self.completed += [move for move in finished if move.requested]
        self.completed = [m for m in self.completed if m.ended and to - m.ended < REQUEST_KEPT]
        self.moves = [move for move in self.moves if id(move) not in done]
        return finished

    def _finish(self, move: Move) -> None:
        """The mailbox is in its new database; the old one keeps it as soft-deleted."""
        mailbox = self.mailboxes[move.mailbox]
        assert move.due is not None
        self._leave(mailbox, move.source, move.due, moved=True)
        source, target = self.databases[move.source], self.databases[move.target]
        size = mailbox.used + mailbox.deleted
        if mailbox.archive is not None and mailbox.archive.database == move.source:
            size += mailbox.archive.used
            mailbox.archive.database = move.target
        source.white_space += size
        target.size += size
        mailbox.database = move.target

    def _leave(self, mailbox: Mailbox, database: str, at: datetime, *, moved: bool) -> None:
        if mailbox.last_logon is not None:
            self.leftovers.append(
                Leftover(
                    database, mailbox.exchange_guid, mailbox.display_name, at, moved,
                    mailbox.used, mailbox.items,
                )
            )  # fmt: skip

    def _ship_logs(self, to: datetime, finished: list[Move], before: dict[int, float]) -> None:
        """Moved bytes became log files; each passive copy fetches them as fast as the line allows.

        `before` is the share of each mailbox that had been carried when the time began.
        """
        produced: dict[str, float] = {}
        for move in (*finished, *self.moves):
            part = move.done_share(to) - before[move.mailbox]
            carried = self.move_size(self.mailboxes[move.mailbox]) * part
            produced[move.target] = produced.get(move.target, 0.0) + carried
        fetched = COPY_LOGS_PER_S * (to - self.now).total_seconds()
        for copy in self.copies:
            if not copy.active:
                logs = produced.get(copy.database, 0.0) * LOG_SHARE / MIB
                arrives = fetched if copy.fetching and copy.server not in self.down else 0.0
                copy.queue_logs = max(0.0, copy.queue_logs + logs - arrives)

    def move_size(self, mailbox: Mailbox) -> int:
        """Bytes that a move of this mailbox carries, its archive included."""
        return mailbox.used + mailbox.deleted + (mailbox.archive.used if mailbox.archive else 0)

    def move_time(self, mailbox: Mailbox) -> timedelta:
        """How long the move of this mailbox takes once it runs."""
        items = mailbox.items + mailbox.deleted_items
        if mailbox.archive is not None:
            items += mailbox.archive.items
        hours = max(self.move_size(mailbox) / BYTES_PER_HOUR, items / ITEMS_PER_HOUR)
        spread = 1 + MOVE_SPREAD * (2 * share(self.seed, "move", mailbox.exchange_guid) - 1)
        return MOVE_SETUP + timedelta(hours=hours * spread)

    def _grow(self, to: datetime) -> None:
        """Mail comes in; a mailbox that is full takes no more."""
        years = (to - self.now).total_seconds() / YEAR_S
        for mailbox in self.mailboxes:
            if mailbox.gone or not mailbox.growth or mailbox.last_logon is None:
                continue
            before = mailbox.used
            wanted = round(before * (1 + mailbox.growth) ** years)
            limit = self.effective(mailbox).receive
            room = max(before, limit) if isinstance(limit, int) else wanted
            mailbox.used = min(wanted, room)
            self.databases[mailbox.database].size += mailbox.used - before
            if before:
                mailbox.items = round(mailbox.items * mailbox.used / before)


def headline(quotas: Quotas) -> Quota:
    """The smaller of the finite ones among send and receive; unlimited when neither is finite."""
    finite = [limit for limit in (quotas.send, quotas.receive) if isinstance(limit, int)]
    if finite:
        return min(finite)
    return UNKNOWN if UNKNOWN in (quotas.send, quotas.receive) else UNLIMITED
