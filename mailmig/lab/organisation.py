"""The simulated organisation: its state, and the laws by which the state changes.

The state is what a real organisation keeps in its directory and its databases. The laws
need no protocol: a move takes time by size and free slots and then the mailbox is in its
new database; mailboxes grow; moved bytes become log files that the passive copies fetch.
`advance(to)` lets time pass; the same state and the same moments give the same result. The laws
of databases, copies and the DAG have modules of their own (see `mailmig.lab.databases`).

Sizes are bytes, log files are 1 MiB, times are aware. Who has a mailbox is in
`mailmig.lab.population`.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from mailmig.lab import activating, replicating
from mailmig.lab.backups import Backups
from mailmig.lab.cluster import Cluster, Dag, DagNetwork
from mailmig.lab.databases import Activation, Copy, Database
from mailmig.lab.hindering import SEEDED, Troubles, breaking, next_turn
from mailmig.lab.moving import Move, NotNow, Schedule
from mailmig.lab.population import Department, Leftover, Mailbox, Principal, PstFile, Rights
from mailmig.lab.settings import Settings
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
YEAR_S: Final = 365.25 * 86400
CLUSTER_SERVICE: Final = "clussvc"


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


def autodiscover_at(host: str) -> str:
    """The autodiscover URL at a host."""
    return f"https://{host}/Autodiscover/Autodiscover.xml"


class UnknownDatabase(KeyError):
    """A move to or from a database that the organisation does not have."""


class AlreadyMoving(ValueError):
    """The mailbox has a move that is not finished: one mailbox has one move at a time."""


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
    # Whether Setup has switched Extended Protection on where it does so by itself.
    extended_protection: bool = True
    relay_addresses: tuple[str, ...] = ()
    smart_host: str = ""
    moves: list[Move] = field(default_factory=list)
    completed: list[Move] = field(default_factory=list)
    # What the store remembers of each mailbox's completed requests, the latest first.
    move_history: dict[int, list[Move]] = field(default_factory=dict)
    troubles: Troubles = field(default_factory=Troubles)
    # Numbers of mailboxes that stay locked, as in the last step of a move.
    locked_in_transit: set[int] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    settings: Settings = field(default_factory=Settings)
    # Autodiscover URLs of servers whose URL was set by hand; "" is none.
    autodiscover_urls: dict[str, str] = field(default_factory=dict)
    # Per server: its services that do not run, in lower case. The world puts its own in.
    stopped_services: Callable[[str], set[str]] = field(default=lambda name: set(), repr=False)
    activation: dict[str, Activation] = field(default_factory=dict)
    cluster: Cluster = field(init=False)
    backups: Backups = field(init=False)
    preference_checked: datetime = field(init=False)
    _moving: dict[int, Move] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in (*(server.name for server in self.servers), *self.dag.servers):
            self.activation.setdefault(name, Activation())
        self.cluster = Cluster(
            self.dag, self.down, lambda name: CLUSTER_SERVICE in self.stopped_services(name)
        )
        if not self.dag.networks:
            sites = {one.name: one.site for one in self.servers if one.name in self.dag.servers}
            self.dag.networks.append(DagNetwork.plain(sites))
        self.backups = Backups(self.now)
        self.preference_checked = self.now

    def server(self, name: str) -> Server:
        """The server of this name; every name in the state is one of a server that exists."""
        return next(server for server in self.servers if server.name == name)

    def change_server(self, name: str, **changes: Any) -> None:
        """The server of this name is another one from now on: site, build."""
        self.servers = tuple(
            replace(one, **changes) if one.name == name else one for one in self.servers
        )

    def autodiscover_url(self, server: Server) -> str:
        """Where the server's autodiscover entry leads; "" when an admin emptied it.

        The old server answers under the service name, a new one under its own until the cut-over.
        """
        known = self.autodiscover_urls.get(server.name)
        if known is not None:
            return known
        shared = server.name == self.source or self.answering != self.source
        return autodiscover_at(f"autodiscover.{self.mail_domains[0]}" if shared else server.fqdn)

    def copies_of(self, database: Database) -> Iterator[Copy]:
        """All copies of a database."""
        return (copy for copy in self.copies if copy.database == database.name)

    def copy_on(self, database: Database, server: str) -> Copy | None:
        """The copy of a database on a server, `None` when there is none."""
        return next((copy for copy in self.copies_of(database) if copy.server == server), None)

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

    def move(
        self, mailbox: Mailbox, target: str, *, primary: bool = True, archive: bool = True
    ) -> Move:
        """Queue a move to the database `target`, beginning now, of one half or of both."""
        if target not in self.databases:
            raise UnknownDatabase(target)
        if mailbox.number in self._moving:
            raise AlreadyMoving(mailbox.alias)
        return self._queue(mailbox, target, primary=primary, archive=archive)

    def move_of(self, mailbox: Mailbox) -> Move | None:
        """The move of this mailbox that is not finished."""
        return self._moving.get(mailbox.number)

    def is_in_transit(self, mailbox: Mailbox) -> bool:
        """Whether nobody gets into the mailbox, since it changes over to its new database."""
        move = self.move_of(mailbox)
        completes = move is not None and move.status(self.now) == "CompletionInProgress"
        return completes or mailbox.number in self.locked_in_transit

    def request_of(self, mailbox: Mailbox) -> Move | None:
        """The move of this mailbox, or what a completed one has left in the directory."""
        move = self._moving.get(mailbox.number)
        if move is None and mailbox.number in self.move_history:
            move = self.move_history[mailbox.number][0]
        return None if move is None or move.removed else move

    def suspend(self, move: Move, comment: str = "") -> None:
        """The move rests until it is resumed. Raises `NotNow` once it completes."""
        if move.status(self.now) not in ("Queued", "InProgress", "Synced", "AutoSuspended"):
            raise NotNow(move.status(self.now))
        move.interrupt(self.now)
        move.stall(None, self.now)
        move.suspended, move.comment, move.rested = True, comment, self.now
        move.note(self.now, f"Suspending the request. {comment}".rstrip())
        move.count("Suspended", self.now)

    def resume(self, move: Move) -> None:
        """The move goes on from where it was; one that waited when it was ready completes."""
        status = move.status(self.now)
        if move.ended is not None or status == "CompletionInProgress":
            raise NotNow(status)
        if status == "AutoSuspended":
            move.waits_when_ready = False
        if move.rests:
            move.count("Queued", self.now)
        move.suspended, move.failure, move.failed, move.comment = False, None, None, ""
        move.note(self.now, "Resuming the request.")

    def replan(self, move: Move) -> None:
        """What holds the move back was changed: a running one keeps its slot and what it carried."""
        if move.started is not None and move.due is not None and move.synced is None:
            move.kept, move.started = min(SEEDED, move.done_share(self.now)), self.now
            self.plan(move, self.now)

    def plan(self, move: Move, at: datetime) -> None:
        """The move runs from `at`: when does its next stage begin?"""
        whole = self.time_of(move)
        seeded = at + whole * max(0.0, SEEDED - move.kept)
        late = move.complete_after is not None and move.complete_after > seeded
        move.holds = move.waits_when_ready or move.prevented or late
        move.goal, move.broken = SEEDED if move.holds else 1.0, None
        found = breaking(self, move)
        if found is not None and (found[0] < SEEDED or not move.holds):
            move.goal, move.broken = max(found[0], move.kept), found[1]
        move.started = at
        move.due = at + whole * max(0.0, move.goal - move.kept)

    def cancel(self, move: Move) -> None:
        """The request goes away; the mailbox stays where it is."""
        if move in self.completed:
            self.completed.remove(move)
            move.removed = True
            return
        if move.status(self.now) == "CompletionInProgress":
            raise NotNow(move.status(self.now))
        self.moves.remove(move)
        del self._moving[move.mailbox]

    def mount(self, database: Database) -> None:
        """An admin wants it mounted: it is, where that is possible."""
        database.kept_dismounted = False
        activating.settle(self)

    def dismount(self, database: Database) -> None:
        """An admin wants it dismounted: nobody can use it, moves from and to it wait."""
        database.kept_dismounted, database.mounted = True, False
        self.interrupt_moves(database)

    def interrupt_moves(self, database: Database) -> None:
        """The active copy goes: moves from and to it begin again from where they were."""
        for move in self.moves:
            if database.name in (move.source, move.target) and move.due is not None:
                move.interrupt(self.now)

    def take_down(self, server: str) -> None:
        """The server is gone: its databases are mounted where there is a copy that will do."""
        self.down.add(server)
        self.cluster.lost(server, self.now)
        activating.settle(self)

    def bring_back(self, server: str, *, booted: bool = True) -> None:
        """The server is there again: what nobody else could mount is mounted, copies catch up.

        `booted` is false where it ran all the time and nobody could reach it.
        """
        self.down.discard(server)
        if booted:
            self.cluster.booted[server.lower()] = self.now
        for copy in self.copies:
            if copy.server == server:
                database = self.databases[copy.database]
                if not copy.active:
                    replicating.begin(copy, self.now)
                elif not database.mount_at_startup:
                    database.kept_dismounted = True
        activating.settle(self)

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
        while (turn := next_turn(self, to)) < to:
            self._pass(turn)
        self._pass(to)

    def _pass(self, to: datetime) -> None:
        """One stretch of time, in which nothing that stands in the way of moves goes by itself."""
        before = {move.mailbox: move.done_share(self.now) for move in self.moves}
        activating.settle(self)
        finished = self._run_moves(to)
        self._ship_logs(to, finished, before)
        self.backups.run(self, to)
        self._grow(to)
        self.now = to
        activating.pass_time(self, to)

    def disable(self, mailbox: Mailbox) -> None:
        """The mailbox leaves its owner; the database keeps it as disconnected."""
        mailbox.gone = True
        self._leave(mailbox, mailbox.database, self.now, moved=False)

    def _queue(
        self, mailbox: Mailbox, target: str, *, primary: bool = True, archive: bool = True
    ) -> Move:
        kept = mailbox.archive
        source = kept.database if kept is not None and not primary else mailbox.database
        move = Move(mailbox.number, source, target, self.now)
        move.primary, move.archive = primary, archive and kept is not None
        move.archive_left = kept is not None and not archive
        move.archive_source = kept.database if kept is not None and move.archive else ""
        move.size = self.size_of(move)
        move.archive_size = kept.used if kept is not None and move.archive else 0
        move.items = mailbox.items + mailbox.deleted_items if primary else 0
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
            if move.requested:
                self.completed.append(move)
                self.move_history.setdefault(move.mailbox, []).insert(0, move)
        for move in self.completed:
            old = move.kept_for is not None and move.ended and to - move.ended >= move.kept_for
            move.removed = bool(old)
        self.completed = [move for move in self.completed if not move.removed]
        self.moves = [move for move in self.moves if id(move) not in done]
        return finished

    def _finish(self, move: Move) -> None:
        """What it carried is in its new database; the old one keeps it as soft-deleted."""
        mailbox = self.mailboxes[move.mailbox]
        assert move.due is not None
        if move.primary:
            self._leave(mailbox, move.source, move.due, moved=True)
            self._carry(move.source, move.target, mailbox.used + mailbox.deleted)
            mailbox.database = move.target
            mailbox.used = round(mailbox.used * self.troubles.inflation.get(move.target, 1.0))
        if mailbox.archive is not None and move.archive:
            target = move.archive_target or move.target
            self._carry(mailbox.archive.database, target, mailbox.archive.used)
            mailbox.archive.database = target
        ailments = self.troubles.mailboxes.get(move.mailbox)
        move.warning = "" if ailments is None else ailments.warning
        move.count("Done", move.due)
        move.ended = move.due
        move.note(move.due, move.warning or "Request is complete.")

    def _carry(self, source: str, target: str, size: int) -> None:
        self.databases[source].white_space += size
        self.databases[target].size += size

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
            carried = self.size_of(move) * part
            produced[move.target] = produced.get(move.target, 0.0) + carried
        logs = {name: carried * LOG_SHARE / MIB for name, carried in produced.items()}
        replicating.ship(self, logs, to)

    def move_size(self, mailbox: Mailbox) -> int:
        """Bytes that a move of this mailbox carries, its archive included."""
        return mailbox.used + mailbox.deleted + (mailbox.archive.used if mailbox.archive else 0)

    def move_time(self, mailbox: Mailbox) -> timedelta:
        """How long the move of this mailbox takes once it runs."""
        items = mailbox.items + mailbox.deleted_items
        if mailbox.archive is not None:
            items += mailbox.archive.items
        return self._time(mailbox, self.move_size(mailbox), items)

    def size_of(self, move: Move) -> int:
        """Bytes that this move carries: one half of the mailbox or both."""
        mailbox = self.mailboxes[move.mailbox]
        size = mailbox.used + mailbox.deleted if move.primary else 0
        return size + (mailbox.archive.used if mailbox.archive and move.archive else 0)

    def time_of(self, move: Move) -> timedelta:
        """How long this move takes once it runs, as things are."""
        mailbox = self.mailboxes[move.mailbox]
        items = mailbox.items + mailbox.deleted_items if move.primary else 0
        items += mailbox.archive.items if mailbox.archive and move.archive else 0
        slow = self.troubles.slowness
        factor = max(slow.get(move.source, 1.0), slow.get(move.target, 1.0))
        return self._time(mailbox, self.size_of(move), items) * factor

    def _time(self, mailbox: Mailbox, size: int, items: int) -> timedelta:
        hours = max(size / BYTES_PER_HOUR, items / ITEMS_PER_HOUR)
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
