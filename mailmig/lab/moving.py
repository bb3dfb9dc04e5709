"""Moves of the simulated organisation: the stages of one, and which of them runs when.

A move waits for a slot, copies, and completes; one that holds stays in between at 95 per cent
until it may complete (migration.md 4.2), and copies what came in once per `interval`. What stands
in its way is asked for at the beginning of each stretch of time and whenever a move starts
(`mailmig.lab.hindering`). Times are aware, shares go from 0 to 1.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab.hindering import SEEDED, Failure, Hindering, Hindrance, breaking, fatal

if TYPE_CHECKING:
    from mailmig.lab.organisation import Organisation

# Moves at the same time per source or target database: the workload limit of 2019 and later
# (migration.md 6).
SLOTS: Final = 10
# How long an incremental sync of one mailbox takes: "minutes per mailbox" (migration.md 7.1).
SYNC_TAKES: Final = timedelta(minutes=3)
# IncrementalSyncInterval and CompletedRequestAgeLimit where nobody says otherwise (migration.md 4.1).
SYNC_INTERVAL: Final = timedelta(days=1)
REQUEST_KEPT: Final = timedelta(days=30)

# msExchMailboxMoveStatus (migration.md 4.2; that of Synced is not established).
STATUS_NUMBERS: Final = {
    "None": 0, "Queued": 1, "InProgress": 2, "AutoSuspended": 3, "CompletionInProgress": 4,
    "Synced": 5, "Completed": 10, "CompletedWithWarning": 11, "Suspended": 98, "Failed": 99,
}  # fmt: skip
PRIORITIES: Final = ("Lowest", "Lower", "Low", "Normal", "High", "Higher", "Highest", "Emergency")
# What a move shows that finds no slot: the workload limit looks like a stall (migration.md 6).
NO_SLOT: Final = {
    side: Hindrance(f"StalledDueTo{side}_MdbReplication", "HA") for side in ("Source", "Target")
}


class NotNow(ValueError):
    """What was asked of a move cannot be done in the state that it is in."""


@dataclass(slots=True)
class Move:
    """One mailbox on its way; `started` and `due` are `None` while it waits for a slot.

    `due` is when its next stage begins, and `goal` the share that it has carried then: the end,
    or, for a move that `holds`, the end of the first copying, or where it is `broken` by items.
    From `synced` it waits for its completion, which begins at `final`. `kept` is the share that was
    carried before it was interrupted. A move that was `requested` by an admin stays in
    `Organisation.completed` when it has `ended`, until he removes it or it is too old: `removed`.

    `size` is what it carried in sum when it was asked for, `archive_size` the archive's part of it.
    `primary` and `archive` say what it carries, `archive_target` where to, empty is with the primary;
    `archive_left` is an archive that stays behind.
    `stalled` is what stands in its way since `stalled_at`. `spent` are seconds per duration counter;
    `counter` runs since `counted`. `notes` are the lines of its report.
    """

    mailbox: int
    source: str
    target: str
    queued: datetime
    started: datetime | None = None
    due: datetime | None = None
    requested: bool = False
    removed: bool = False
    batch: str = ""
    start_after: datetime | None = None
    complete_after: datetime | None = None
    waits_when_ready: bool = False
    prevented: bool = False
    suspended: bool = False
    comment: str = ""
    priority: str = "Normal"
    bad_item_limit: int | None = 0
    large_item_limit: int | None = 0
    large_allowed: bool = False
    new_signature: bool = False
    offline: bool = False
    primary: bool = True
    archive: bool = True
    archive_left: bool = False
    archive_source: str = ""
    archive_target: str = ""
    interval: timedelta = SYNC_INTERVAL
    kept_for: timedelta | None = REQUEST_KEPT
    holds: bool = False
    kept: float = 0.0
    goal: float = 1.0
    broken: Failure | None = None
    seeded: datetime | None = None
    synced: datetime | None = None
    final: datetime | None = None
    ended: datetime | None = None
    warning: str = ""
    failure: Failure | None = None
    failed: datetime | None = None
    rested: datetime | None = None
    stalled: Hindrance | None = None
    stalled_at: datetime | None = None
    begun: datetime | None = None
    size: int = 0
    archive_size: int = 0
    items: int = 0
    counter: str = "Queued"
    counted: datetime | None = None
    spent: dict[str, float] = field(default_factory=dict)
    notes: list[tuple[datetime, str]] = field(default_factory=list)
    failures: list[tuple[datetime, Failure]] = field(default_factory=list)

    def done_share(self, now: datetime) -> float:
        """How much of the content lies in the target: 0 while it waits, 1 when it is due."""
        if self.ended is not None:
            return 1.0
        if self.final is not None and self.due is not None:
            part = min(1.0, max(0.0, (now - self.final) / (self.due - self.final)))
            return SEEDED + (1 - SEEDED) * part
        if self.synced is not None:
            return SEEDED
        if self.started is None or self.due is None or now <= self.started:
            return self.kept
        if now >= self.due:
            return self.goal
        part = (now - self.started) / (self.due - self.started)
        return self.kept + (self.goal - self.kept) * part

    def status(self, now: datetime) -> str:
        """The name of its RequestStatus (migration.md 4.2)."""
        if self.ended is not None:
            return "CompletedWithWarning" if self.warning else "Completed"
        if self.failure is not None:
            return "Failed"
        if self.suspended:
            return "Suspended"
        if self.final is not None or self.done_share(now) > SEEDED:
            return "CompletionInProgress"
        if self.syncs(now):
            return "InProgress"
        if self.synced is not None:
            return "AutoSuspended" if self.waits_when_ready else "Synced"
        return "Queued" if self.counter == "Queued" else "InProgress"

    def syncs(self, now: datetime) -> bool:
        """Whether it copies just now what came in since; one that is AutoSuspended does not."""
        if self.synced is None or self.waits_when_ready or self.interval <= timedelta():
            return False
        since = now - self.synced
        return since >= self.interval and since % self.interval < SYNC_TAKES

    def seeded_at(self, now: datetime) -> datetime | None:
        """When the first copying was done; one that holds nothing goes on to its end at once."""
        if self.seeded is not None:
            return self.seeded
        if self.started is None or self.due is None or self.goal <= SEEDED:
            return None
        part = (SEEDED - self.kept) / (self.goal - self.kept)
        at = self.started + (self.due - self.started) * part
        return at if at <= now else None

    @property
    def rests(self) -> bool:
        """Whether it does nothing until somebody resumes it."""
        return self.suspended or self.failure is not None

    @property
    def completes(self) -> datetime | None:
        """When it may complete once it is synced; `None` when somebody must allow it first."""
        if self.waits_when_ready or self.prevented or self.synced is None:
            return None
        return max(self.synced, self.complete_after or self.synced)

    def interrupt(self, now: datetime) -> None:
        """It loses its slot and keeps what it carried."""
        self.kept = min(SEEDED, self.done_share(now))
        self.started = self.due = self.synced = self.final = self.broken = None
        self.count("Queued" if self.begun is None else "InProgress", now)

    def fail(self, failure: Failure, now: datetime) -> None:
        """It ends until somebody resumes it."""
        self.interrupt(now)
        self.stalled = self.stalled_at = None
        self.failure, self.failed = failure, now
        self.failures.append((now, failure))
        self.note(now, f"Fatal error {failure.kind} has occurred. {failure.message}")
        self.count("Failed", now)

    def stall(self, found: Hindrance | None, now: datetime) -> None:
        """It stands still for this reason, or for none any more."""
        if found == self.stalled:
            return
        self.stalled, self.stalled_at = found, None if found is None else now
        if found is None:
            if self.counter != "Queued":
                self.count("InProgress", now)
            return
        if self.started is not None or self.synced is not None:
            self.interrupt(now)
        if not (found.queued and self.counter == "Queued"):
            self.begun = self.begun or now
            self.count(found.counter or "InProgress", now)
        if found.detail:
            self.note(now, f"The job is currently stalled: {found.detail}.")

    def count(self, counter: str, now: datetime) -> None:
        """Another of the duration counters runs from now on."""
        since = self.counted or self.queued
        self.spent[self.counter] = self.spent.get(self.counter, 0.0) + (now - since).total_seconds()
        self.counter, self.counted = counter, now

    def spent_on(self, now: datetime) -> dict[str, float]:
        """Seconds per duration counter so far."""
        found = dict(self.spent)
        if self.ended is None:
            since = self.counted or self.queued
            passed = max(0.0, (now - since).total_seconds())
            found[self.counter] = found.get(self.counter, 0.0) + passed
        return found

    def note(self, at: datetime, text: str) -> None:
        """A line of the report, which only requests of admins have."""
        if self.requested:
            self.notes.append((at, text))


def rank(priority: str) -> int:
    """The place of a priority among all, the lowest first; what is unknown counts as normal."""
    names = [one.lower() for one in PRIORITIES]
    return names.index(priority.lower() if priority.lower() in names else "normal")


def flags_of(move: Move) -> tuple[str, int]:
    """A plain local move reads "IntraOrg, Pull"; bits of the others from memory [MEM]."""
    names, number = ["IntraOrg", "Pull"], 6
    for name, bit, holds in (
        ("Offline", 16, move.offline),
        ("HighPriority", 128, rank(move.priority) > rank("Normal")),
        ("Suspend", 256, move.suspended),
        ("SuspendWhenReadyToComplete", 512, move.waits_when_ready),
        ("MoveOnlyPrimaryMailbox", 1024, bool(move.primary and move.archive_left)),
        ("MoveOnlyArchiveMailbox", 2048, not move.primary),
    ):
        if holds:
            names.append(name)
            number |= bit
    return ", ".join(names), number


class Schedule:
    """Which move runs when: oldest first, as long as both its databases have a free slot.

    Only copying needs slots: a move that waits for its completion has none. The heap holds the
    moment of each move's next stage.
    """

    def __init__(self, organisation: "Organisation") -> None:
        self._organisation = organisation
        self._busy = dict.fromkeys(organisation.databases, 0)
        self._waiting: dict[tuple[str, str], deque[tuple[int, Move]]] = {}
        self._pairs_of: dict[str, list[tuple[str, str]]] = {}
        self._next: list[tuple[datetime, int, Move]] = []
        self._hindering = Hindering(organisation)
        for order, move in enumerate(organisation.moves):
            if not move.rests:
                self._look(move)
                self._place(order, move)

    def _look(self, move: Move) -> None:
        """What stands in the way of the move now, and whether that ends it."""
        now = self._organisation.now
        if move.start_after is not None and move.start_after > now:
            return
        failure = fatal(self._organisation, move)
        if failure is not None:
            move.fail(failure, now)
            return
        waits = move.synced is not None and move.final is None
        found = None if waits else self._hindering.hindrance(move)
        if found is not None or move.stalled not in NO_SLOT.values():
            move.stall(found, now)

    def _place(self, order: int, move: Move) -> None:
        now = self._organisation.now
        if move.rests:
            return
        if move.stalled is not None and move.stalled not in NO_SLOT.values():
            if move.stalled.patience is not None and move.stalled_at is not None:
                heapq.heappush(self._next, (move.stalled_at + move.stalled.patience, order, move))
        elif move.synced is not None and move.final is None:
            if move.completes is not None:
                heapq.heappush(self._next, (max(now, move.completes), order, move))
        elif move.due is not None:
            heapq.heappush(self._next, (move.due, order, move))
            if move.final is None:
                self._take(move, +1)
        elif move.start_after is not None and move.start_after > now:
            heapq.heappush(self._next, (move.start_after, order, move))
        else:
            self._wait(order, move)

    def _wait(self, order: int, move: Move) -> None:
        pair = (move.source, move.target)
        if pair not in self._waiting:
            self._waiting[pair] = deque()
            for side in dict.fromkeys(pair):
                self._pairs_of.setdefault(side, []).append(pair)
        self._waiting[pair].append((order, move))

    def run(self, to: datetime) -> Iterator[Move]:
        """Yield the moves that are finished until `to`, in the order in which they finish."""
        now = self._organisation.now
        self._start(list(self._waiting), now)
        for waiting in self._waiting.values():
            for _, move in waiting:
                self._no_slot(move, now)
        while self._next and self._next[0][0] <= to:
            at, order, move = heapq.heappop(self._next)
            if self._stage(at, order, move):
                yield move
            sides = self._pairs_of.get(move.source, []) + self._pairs_of.get(move.target, [])
            self._start(sides, at)
            if move.due is None and move.synced is None and not move.rests:
                self._no_slot(move, at)

    def _stage(self, at: datetime, order: int, move: Move) -> bool:
        """Begin the next stage of a move; true when it was the last one that ended."""
        if move.stalled is not None:
            assert move.stalled.failure is not None
            move.fail(move.stalled.failure, at)
            return False
        if move.synced is not None and move.final is None:
            return self._complete(at, order, move)
        if move.due is None:
            self._wait(order, move)
            return False
        if move.final is None:
            self._take(move, -1)
            if move.broken is not None:
                move.fail(move.broken, at)
                return False
            if move.holds:
                self._hold(at, order, move)
                return False
        return True

    def _complete(self, at: datetime, order: int, move: Move) -> bool:
        """The last copying of a move that waited for it; what came in between may end it."""
        found = breaking(self._organisation, move)
        failure = fatal(self._organisation, move) or (found[1] if found is not None else None)
        if failure is not None:
            move.fail(failure, at)
            return False
        whole = self._organisation.time_of(move)
        move.final, move.due = at, at + whole * (1 - SEEDED)
        move.count("Finalization", at)
        move.note(at, "Final sync has started.")
        heapq.heappush(self._next, (move.due, order, move))
        return False

    def _hold(self, at: datetime, order: int, move: Move) -> None:
        move.seeded = move.seeded or at
        move.synced = at
        move.due = None
        move.count("Idle", at)
        move.note(at, "Initial seeding completed; the request is ready to complete.")
        if move.completes is not None:
            heapq.heappush(self._next, (move.completes, order, move))

    def _start(self, pairs: list[tuple[str, str]], at: datetime) -> None:
        waiting, busy = self._waiting, self._busy
        while True:
            free = [
                (waiting[pair][0][0], pair)
                for pair in pairs
                if pair in waiting and busy[pair[0]] < SLOTS and busy[pair[1]] < SLOTS
            ]
            if not free:
                return
            _, pair = min(free)
            order, move = self._waiting[pair].popleft()
            if not self._waiting[pair]:
                self._forget(pair)
            self._begin(order, move, at)

    def _begin(self, order: int, move: Move, at: datetime) -> None:
        """The move gets its slot, unless something is in its way at this moment."""
        failure = fatal(self._organisation, move)
        if failure is not None:
            move.fail(failure, at)
            return
        found = self._hindering.hindrance(move)
        move.stall(found, at)
        if found is not None:
            if found.patience is not None:
                heapq.heappush(self._next, (at + found.patience, order, move))
            return
        if move.begun is None:
            move.note(
                at, "The Microsoft Exchange Mailbox Replication service picked the request up."
            )
        move.begun = move.begun or at
        self._organisation.plan(move, at)
        move.count("InProgress", at)
        assert move.due is not None
        heapq.heappush(self._next, (move.due, order, move))
        self._take(move, +1)

    def _no_slot(self, move: Move, at: datetime) -> None:
        """It was picked up and found no slot."""
        if move.stalled is None:
            side = "Source" if self._busy[move.source] >= SLOTS else "Target"
            move.stall(NO_SLOT[side], at)

    def _forget(self, pair: tuple[str, str]) -> None:
        """Nothing waits between these two any more."""
        del self._waiting[pair]
        for side in dict.fromkeys(pair):
            self._pairs_of[side].remove(pair)

    def _take(self, move: Move, slots: int) -> None:
        for side in {move.source, move.target}:
            self._busy[side] += slots
