"""Moves of the simulated organisation: the stages of one, and which of them runs when.

A move waits for a slot, copies, and completes; one that holds stays in between at 95 per cent
until it may complete (migration.md 4.2). Times are aware, shares go from 0 to 1.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mailmig.lab.organisation import Organisation

# Moves at the same time per source or target database: the workload limit of 2019 and later
# (migration.md 6).
SLOTS: Final = 10
# The share of a move that the first copying takes; what is left is the final one (migration.md 4.3).
SEEDED: Final = 0.95


# msExchMailboxMoveStatus (migration.md 4.2; that of Synced is not established).
STATUS_NUMBERS: Final = {
    "None": 0, "Queued": 1, "InProgress": 2, "AutoSuspended": 3, "CompletionInProgress": 4,
    "Synced": 5, "Completed": 10, "CompletedWithWarning": 11, "Suspended": 98, "Failed": 99,
}  # fmt: skip


class NotNow(ValueError):
    """What was asked of a move cannot be done in the state that it is in."""


@dataclass(slots=True)
class Move:
    """One mailbox on its way; `started` and `due` are `None` while it waits for a slot.

    `due` is when its next stage begins: the end, or, for a move that `holds`, the end of the
    first copying. From then (`synced`) it waits for its completion, which begins at `final`.
    `kept` is the share that was carried before it was interrupted. A move that was `requested`
    by an admin stays in `Organisation.completed` when it has `ended`, until he removes it.
    """

    mailbox: int
    source: str
    target: str
    queued: datetime
    started: datetime | None = None
    due: datetime | None = None
    requested: bool = False
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
    holds: bool = False
    kept: float = 0.0
    seeded: datetime | None = None
    synced: datetime | None = None
    final: datetime | None = None
    ended: datetime | None = None
    failure: str = ""
    failed: datetime | None = None
    size: int = 0
    items: int = 0

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
        end = SEEDED if self.holds else 1.0
        part = (now - self.started) / (self.due - self.started)
        return min(end, self.kept + (end - self.kept) * part)

    def status(self, now: datetime) -> str:
        """The name of its RequestStatus (migration.md 4.2)."""
        if self.ended is not None:
            return "Completed"
        if self.failure:
            return "Failed"
        if self.suspended:
            return "Suspended"
        if self.final is not None or self.done_share(now) > SEEDED:
            return "CompletionInProgress"
        if self.synced is not None:
            return "AutoSuspended" if self.waits_when_ready else "Synced"
        return "InProgress" if self.started is not None or self.kept else "Queued"

    @property
    def rests(self) -> bool:
        """Whether it does nothing until somebody resumes it."""
        return self.suspended or bool(self.failure)

    @property
    def completes(self) -> datetime | None:
        """When it may complete once it is synced; `None` when somebody must allow it first."""
        if self.waits_when_ready or self.prevented or self.synced is None:
            return None
        return max(self.synced, self.complete_after or self.synced)

    def interrupt(self, now: datetime) -> None:
        """It loses its slot and keeps what it carried."""
        self.kept = min(SEEDED, self.done_share(now))
        self.started = self.due = self.synced = self.final = None


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
        for order, move in enumerate(organisation.moves):
            self._place(order, move)

    def _place(self, order: int, move: Move) -> None:
        now = self._organisation.now
        if move.rests:
            return
        if move.synced is not None and move.final is None:
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
        self._start(list(self._waiting), self._organisation.now)
        while self._next and self._next[0][0] <= to:
            at, order, move = heapq.heappop(self._next)
            if self._stage(at, order, move):
                yield move
            sides = self._pairs_of.get(move.source, []) + self._pairs_of.get(move.target, [])
            self._start(sides, at)

    def _stage(self, at: datetime, order: int, move: Move) -> bool:
        """Begin the next stage of a move; true when it was the last one that ended."""
        if move.synced is not None and move.final is None:
            whole = self._organisation.move_time(self._organisation.mailboxes[move.mailbox])
            move.final, move.due = at, at + whole * (1 - SEEDED)
            heapq.heappush(self._next, (move.due, order, move))
            return False
        if move.due is None:
            self._wait(order, move)
            return False
        if move.final is None:
            self._take(move, -1)
            if move.holds:
                move.seeded = move.synced = at
                move.due = None
                if move.completes is not None:
                    heapq.heappush(self._next, (move.completes, order, move))
                return False
        return True

    def _start(self, pairs: list[tuple[str, str]], at: datetime) -> None:
        waiting, busy = self._waiting, self._busy
        while True:
            free = [
                (waiting[pair][0][0], pair)
                for pair in pairs
                if pair in waiting
                and busy[pair[0]] < SLOTS
                and busy[pair[1]] < SLOTS
                and all(self._organisation.databases[side].mounted for side in pair)
            ]
            if not free:
                return
            _, pair = min(free)
            order, move = self._waiting[pair].popleft()
            if not self._waiting[pair]:
                self._forget(pair)
            self._organisation.plan(move, at)
            assert move.due is not None
            heapq.heappush(self._next, (move.due, order, move))
            self._take(move, +1)

    def _forget(self, pair: tuple[str, str]) -> None:
        """Nothing waits between these two any more."""
        del self._waiting[pair]
        for side in dict.fromkeys(pair):
            self._pairs_of[side].remove(pair)

    def _take(self, move: Move, slots: int) -> None:
        for side in {move.source, move.target}:
            self._busy[side] += slots
