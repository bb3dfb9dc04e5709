"""Faults of moves: what stalls them, what breaks them, and what somebody else does in between.

Kinds are those of migration.md 14 and 15 ("move:..."). A stall ends with its fault; a failure stays
until somebody resumes the request. Numbers are chosen to be seen, not measured.
"""

from abc import abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Final

from mailmig.lab import hindering
from mailmig.lab.batches import migration_mailbox
from mailmig.lab.databases import Copy, Database
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.hindering import SERVICE, Ailments, Failure
from mailmig.lab.moving import Move, NotNow
from mailmig.lab.population import Mailbox
from mailmig.lab.world import World
from mailmig.model.quota import MIB, Quotas

BAD_ITEMS: Final = 12
LARGE_ITEMS: Final = 3
MISSING_ITEMS: Final = 7
# How many times as long moves take over a line with 200 ms of latency.
SLOWNESS: Final = 6.0
# By how much mailboxes are larger after a move from 2010 (migration.md 9.3).
INFLATION: Final = 1.35
FOREIGN_BATCH: Final = "somebody else's"


class _OfMoves(Fault):
    family = "moves"


class _OfDatabase(_OfMoves):
    wants = "a database that moves go to or come from"

    def database(self, world: World, target: str) -> Database:
        """The database of that name. Raises `BadTarget`."""
        for database in world.organisation.databases.values():
            if database.name.lower() == target.lower():
                return database
        raise self.bad(target)


class _OfMailbox(_OfMoves):
    wants = "a mailbox by alias, address or GUID"

    def mailbox(self, world: World, target: str) -> Mailbox:
        """The mailbox that is meant. Raises `BadTarget`."""
        return mailbox_named(self, world, target)


class _Resource(_OfDatabase):
    """A resource of one database that stalls every move there."""

    resource: ClassVar[str]

    def on(self, world: World, target: str) -> None:
        name = self.database(world, target).name
        world.organisation.troubles.resources.setdefault(name, []).append(self.resource)

    def off(self, world: World, target: str) -> None:
        name = self.database(world, target).name
        world.organisation.troubles.resources[name].remove(self.resource)


class DiskLatency(_Resource):
    id = "move-disk-latency"
    shows = ("move:disk-latency",)
    resource = "DiskLatency"
    description = "moves from and to the database stall: its disk is saturated"


class Processor(_Resource):
    id = "move-processor"
    shows = ("move:processor",)
    resource = "Processor"
    description = "moves from and to the database stall: the server's processor is busy"


class ContentIndex(_Resource):
    id = "move-content-index"
    shows = ("move:content-index",)
    resource = "ContentIndexing"
    description = "moves from and to the database stall: its content index lags behind"


class DataGuarantee(_Resource):
    id = "move-data-guarantee"
    shows = ("move:data-guarantee",)
    resource = "DataGuaranteeWait"
    description = "moves wait for the copies of the database to confirm what was written"


class ReplayQueue(_Resource):
    id = "move-replay-queue"
    shows = ("move:replay-queue",)
    resource = "MdbAvailability"
    description = "moves from and to the database stall: its copies have too much to replay"


class Replication(_Resource):
    id = "move-replication"
    shows = ("move:replication",)
    resource = "MdbReplication"
    description = "moves from and to the database stall: its copies are too far behind"


class UnknownReason(_Resource):
    id = "move-unknown-reason"
    shows = ("move:unknown-reason",)
    resource = "UnknownReason"
    description = "moves from and to the database stall, and nobody says why"


class SlowLine(_OfDatabase):
    id = "move-slow-line"
    shows = ("move:wan-latency",)
    description = (
        "moves from and to the database take six times as long: the line has a high latency"
    )

    def on(self, world: World, target: str) -> None:
        self._set(world, self.database(world, target).name, SLOWNESS)

    def off(self, world: World, target: str) -> None:
        self._set(world, self.database(world, target).name, None)

    @staticmethod
    def _set(world: World, name: str, factor: float | None) -> None:
        slowness = world.organisation.troubles.slowness
        if factor is None:
            del slowness[name]
        else:
            slowness[name] = factor
        for move in world.organisation.moves:
            if name in (move.source, move.target):
                world.organisation.replan(move)


class ServiceStopped(_OfMoves):
    id = "move-service-stopped"
    shows = ("move:service-stopped",)
    description = "the Mailbox Replication Service of the server is stopped: moves to its databases stand still"
    wants = "a server"

    def on(self, world: World, target: str) -> None:
        world.conditions(server_named(self, world, target)).stopped_services.add(SERVICE)

    def off(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        world.conditions(name).stopped_services.discard(SERVICE)


class TargetFull(_OfDatabase):
    id = "move-target-full"
    shows = ("move:target-full",)
    description = "the disk of the active copy is full: moves to the database fail"
    wants = "a database that moves go to"

    def __init__(self) -> None:
        self._taken: tuple[Copy, int] | None = None

    def on(self, world: World, target: str) -> None:
        state, database = world.organisation, self.database(world, target)
        copy = state.copy_on(database, database.server)
        if copy is None:
            raise self.bad(target)
        copy.disk_total = max(copy.disk_total, 1)
        self._taken, copy.disk_free = (copy, copy.disk_free), 0

    def off(self, world: World, target: str) -> None:
        """The copy that lost it has it again, even if another one is active by now."""
        if self._taken is not None:
            copy, free = self._taken
            copy.disk_free += free


class TargetQuota(_OfDatabase):
    id = "move-target-quota"
    shows = ("move:quota",)
    description = (
        "the quota of the database is down to 1 MB: whoever has no own one is refused or fails"
    )
    wants = "a database that moves go to"

    def __init__(self) -> None:
        self._before: Quotas | None = None

    def on(self, world: World, target: str) -> None:
        database = self.database(world, target)
        self._before = database.quotas
        database.quotas = replace(database.quotas, warn=MIB, send=MIB, receive=MIB)

    def off(self, world: World, target: str) -> None:
        """What somebody else has set meanwhile stays."""
        if self._before is not None:
            database = self.database(world, target)
            left = {name: getattr(database.quotas, name) for name in ("warn", "send", "receive")}
            database.quotas = replace(
                database.quotas,
                **{name: getattr(self._before, name) for name in left if left[name] == MIB},
            )


class Inflation(_OfDatabase):
    id = "move-inflation"
    shows = ("move:inflation",)
    description = "mailboxes that arrive in the database are 35 per cent larger than before"
    wants = "a database that moves go to"

    def on(self, world: World, target: str) -> None:
        name = self.database(world, target).name
        world.organisation.troubles.inflation[name] = INFLATION

    def off(self, world: World, target: str) -> None:
        del world.organisation.troubles.inflation[self.database(world, target).name]


class _Ailing(_OfMailbox):
    """Something is wrong with one mailbox; its move is reckoned anew."""

    def on(self, world: World, target: str) -> None:
        self._change(world, target, switched_on=True)

    def off(self, world: World, target: str) -> None:
        self._change(world, target, switched_on=False)

    def _change(self, world: World, target: str, *, switched_on: bool) -> None:
        mailbox, state = self.mailbox(world, target), world.organisation
        self.ail(state.troubles.of(mailbox.number), switched_on=switched_on)
        move = state.move_of(mailbox)
        if move is not None:
            state.replan(move)

    @abstractmethod
    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        """Change what is wrong with the mailbox."""


class BadItems(_Ailing):
    id = "move-bad-items"
    shows = ("move:bad-items",)
    description = "12 items of the mailbox are broken: its move fails beyond its BadItemLimit"

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.bad = BAD_ITEMS if switched_on else 0


class LargeItems(_Ailing):
    id = "move-large-items"
    shows = ("move:large-items",)
    description = (
        "3 items are larger than messages may be: the move fails beyond its LargeItemLimit"
    )

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.large = LARGE_ITEMS if switched_on else 0


class MissingItems(_Ailing):
    id = "move-missing-items"
    shows = ("move:missing-items",)
    description = "7 items are found to be missing when the move wants to complete"

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.missing = MISSING_ITEMS if switched_on else 0


class Locked(_Ailing):
    id = "move-locked"
    shows = ("move:locked",)
    description = "an earlier session holds the mailbox: its move stalls, a new one is refused"

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.locked = switched_on


class Network(_Ailing):
    id = "move-network"
    shows = ("move:communication",)
    description = "the connection breaks again and again; after 60 tries in half an hour it fails"

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.disturbed = switched_on


class Warned(_Ailing):
    id = "move-warning"
    shows = ("move:completed-with-warning",)
    description = "the move completes with a warning: rules could not be carried over"

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.warning = "Warning: some inbox rules could not be moved." if switched_on else ""


class _Failing(_Ailing):
    """The move fails and can be resumed once the fault is off."""

    failure: ClassVar[Failure]

    def ail(self, ailments: Ailments, *, switched_on: bool) -> None:
        ailments.failure = self.failure if switched_on else None


class StoreError(_Failing):
    id = "move-store-error"
    shows = ("move:store-error",)
    failure = hindering.STORE_ERROR
    description = "the store cannot open something in the mailbox: its move fails"


class RulesTooBig(_Failing):
    id = "move-rules-too-big"
    shows = ("move:rules-too-big",)
    failure = hindering.RULES_TOO_BIG
    description = "the rules of the mailbox are larger than its quota for rules: its move fails"


class NamedProperties(_Failing):
    id = "move-named-properties"
    shows = ("move:named-properties",)
    failure = hindering.NAMED_PROPERTIES
    description = (
        "the ids of named properties are used up: the move fails unless it was made with "
        "-DoNotPreserveMailboxSignature"
    )


class MailboxGone(_OfMailbox):
    id = "move-mailbox-gone"
    shows = ("move:mailbox-changed",)
    description = "somebody disables the mailbox while it is being moved: its move fails"

    def on(self, world: World, target: str) -> None:
        mailbox = self.mailbox(world, target)
        if mailbox.gone:
            raise self.bad(target)
        world.organisation.disable(mailbox)

    def off(self, world: World, target: str) -> None:
        state, mailbox = world.organisation, self.mailbox(world, target)
        mailbox.gone = False
        state.leftovers[:] = [
            left for left in state.leftovers
            if left.moved or left.exchange_guid != mailbox.exchange_guid
        ]  # fmt: skip


class Vanished(_OfMailbox):
    id = "move-vanished"
    shows = ("move:vanished",)
    description = "the move request is suddenly gone and the mailbox where it was"
    wants = "a mailbox that is being moved, by alias, address or GUID"

    def __init__(self) -> None:
        self._move: Move | None = None

    def on(self, world: World, target: str) -> None:
        self._move = world.organisation.move_of(self.mailbox(world, target))
        if self._move is None:
            raise self.bad(target)
        try:
            world.organisation.cancel(self._move)
        except NotNow:
            raise self.bad(target) from None

    def off(self, world: World, target: str) -> None:
        """Somebody asks for it once more, unless there is a request again."""
        state, mailbox, lost = world.organisation, self.mailbox(world, target), self._move
        there = lost is not None and lost.primary and mailbox.database == lost.target
        if lost is None or there or mailbox.gone or state.move_of(mailbox) is not None:
            return
        again = state.move(mailbox, lost.target, primary=lost.primary, archive=lost.archive)
        again.requested, again.batch = lost.requested, lost.batch


class Foreign(_OfMailbox):
    id = "move-foreign"
    shows = ("move:request-in-the-way",)
    description = "another admin has a move request for the mailbox; ours is refused"
    wants = "a mailbox that is not being moved, by alias, address or GUID"

    def __init__(self) -> None:
        self._move: Move | None = None

    def on(self, world: World, target: str) -> None:
        state, mailbox = world.organisation, self.mailbox(world, target)
        others = [name for name, d in state.databases.items() if name != mailbox.database and d.dag]
        known = {move.mailbox for move in (*state.moves, *state.completed)}
        if mailbox.number in known or not others:
            raise self.bad(target)
        self._move = state.move(mailbox, others[0])
        self._move.requested, self._move.batch = True, FOREIGN_BATCH
        state.suspend(self._move, "waiting for the other admin")

    def off(self, world: World, target: str) -> None:
        state = world.organisation
        if self._move is not None and self._move in (*state.moves, *state.completed):
            with suppress(NotNow):  # somebody let it go on, and it completes just now
                state.cancel(self._move)


class BatchHangs(_OfMoves):
    id = "move-batch-hangs"
    shows = ("move:batch-hangs-in-starting",)
    description = (
        "the mailbox of the migration service is (back) on the oldest version: batches that are "
        "started hang in Starting"
    )
    wants = ""

    def __init__(self) -> None:
        self._before = ""

    def on(self, world: World, target: str) -> None:
        state = world.organisation
        mailbox = migration_mailbox(state)
        if mailbox is None:
            raise self.bad(target)
        self._before = mailbox.database
        mailbox.database = min(
            state.databases, key=lambda name: state.server(state.databases[name].server).build
        )

    def off(self, world: World, target: str) -> None:
        mailbox = migration_mailbox(world.organisation)
        if mailbox is not None and self._before in world.organisation.databases:
            mailbox.database = self._before


def mailbox_named(fault: Fault, world: World, target: str) -> Mailbox:
    """The mailbox with this alias, address, GUID or account. Raises `BadTarget`."""
    low = target.lower()
    for mailbox in world.organisation.mailboxes:
        if low in (mailbox.alias.lower(), mailbox.address.lower(), mailbox.guid,
                   mailbox.exchange_guid, mailbox.account.lower()):  # fmt: skip
            return mailbox
    raise fault.bad(target)
