"""Migration batches: many moves under one name, as the migration service keeps them.

A batch makes move requests named `MigrationService:<batch>`; what it says of itself follows from
them (migration.md 5). Moves that somebody made without a batch do not show here.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailmig.lab.moving import Move, NotNow
from mailmig.lab.organisation import AlreadyMoving, Organisation, UnknownDatabase
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind

PREFIX: Final = "MigrationService:"
# Status of a user from that of his move, and the summary of it (documented names).
_OF_MOVE: Final = {
    "Queued": "Queued", "InProgress": "Syncing", "Synced": "Synced", "AutoSuspended": "Synced",
    "CompletionInProgress": "Completing", "Completed": "Completed",
    "CompletedWithWarning": "CompletedWithWarnings", "Suspended": "Stopped", "Failed": "Failed",
}  # fmt: skip
SUMMARY: Final = {
    "Completed": "Completed", "CompletedWithWarnings": "Completed", "Failed": "Failed",
    "Stopped": "Stopped", "Synced": "Synced",
}  # fmt: skip


def migration_mailbox(organisation: Organisation) -> Mailbox | None:
    """The arbitration mailbox in which the migration service keeps its batches."""
    every = organisation.present(Kind.ARBITRATION)
    return next((one for one in every if one.name.startswith("Migration.")), None)


def hangs(organisation: Organisation) -> bool:
    """Whether that mailbox is not on the newest version, so that batches hang (migration.md 2.1)."""
    mailbox = migration_mailbox(organisation)
    if mailbox is None:
        return False
    home = organisation.server(organisation.databases[mailbox.database].server)
    return home.version != max(organisation.servers, key=lambda one: one.build).version


@dataclass(slots=True)
class User:
    """One row of a batch; `error` is why no move could be made for it.

    `bad_item_limit` is the row's own or the batch's; None: without a limit.
    """

    address: str
    mailbox: int | None
    target: str
    bad_item_limit: int | None = 0
    error: str = ""


@dataclass(slots=True)
class Batch:
    """One batch. `started` and `completing` are when somebody asked for it.

    From its start until it has `begun` to make its moves it is in Starting.
    """

    name: str
    by: str
    created: datetime
    users: list[User]
    targets: tuple[str, ...]
    auto_complete: bool = False
    bad_item_limit: int | None = 0
    notify: tuple[str, ...] = ()
    started: datetime | None = None
    stopped: bool = False
    begun: bool = False
    completing: datetime | None = None

    @property
    def mark(self) -> str:
        """What its moves carry as their batch."""
        return f"{PREFIX}{self.name}"

    def moves(self, organisation: Organisation) -> dict[int, Move]:
        """Its moves, by the number of the mailbox."""
        every = (*organisation.completed, *organisation.moves)
        return {move.mailbox: move for move in every if move.batch == self.mark}

    def user_status(self, now: datetime, user: User, move: Move | None) -> str:
        """The status of one of its users, whose move this is."""
        if user.error:
            return "Failed"
        if move is None:
            return "Stopped" if self.stopped else "Queued"
        return _OF_MOVE.get(move.status(now), "Syncing")

    def statuses(self, organisation: Organisation) -> list[str]:
        """The status of each of its users."""
        return [
            self.user_status(organisation.now, user, move)
            for user, move in self.pairs(organisation)
        ]

    def status(self, organisation: Organisation) -> str:
        """The status of the whole batch."""
        if self.started is None:
            return "Created"
        if self.stopped:
            return "Stopped"
        if not self.begun:
            return "Starting"
        each = self.statuses(organisation)
        errors = "Failed" in each
        rest = {one for one in each if one != "Failed"}
        if not rest:
            return "CompletedWithErrors" if self.completing else "SyncedWithErrors"
        if rest <= {"Completed", "CompletedWithWarnings"}:
            return "CompletedWithErrors" if errors else "Completed"
        if self.completing is not None or "Completing" in rest:
            return "Completing"
        if rest <= {"Synced", "Completed", "CompletedWithWarnings"}:
            return "SyncedWithErrors" if errors else "Synced"
        return "Syncing"

    def counts(self, organisation: Organisation) -> dict[str, int]:
        """How many users there are per summary; "Active" are all others."""
        found = dict.fromkeys(("Active", *dict.fromkeys(SUMMARY.values())), 0)
        for status in self.statuses(organisation):
            found[SUMMARY.get(status, "Active")] += 1
        return found

    def start(self, organisation: Organisation) -> None:
        """Make the moves, or let those that were stopped go on."""
        self.started, self.stopped, self.begun = self.started or organisation.now, False, False
        for _, move in self.pairs(organisation):
            if move is not None and move.suspended:
                organisation.resume(move)
        self.follow(organisation)

    def follow(self, organisation: Organisation) -> None:
        """A batch that was started makes its moves as soon as the migration service works."""
        if self.started is None or self.stopped or self.begun or hangs(organisation):
            return
        self.begun = True
        for user, move in self.pairs(organisation):
            if move is None and user.mailbox is not None and not user.error:
                self._begin(organisation, user, organisation.mailboxes[user.mailbox])

    def _begin(self, organisation: Organisation, user: User, mailbox: Mailbox) -> Move | None:
        """Make the move of a user; None when there cannot be one, and the user tells why."""
        if mailbox.database == user.target:
            user.error = f"Mailbox '{mailbox.alias}' is already on the target database."
            return None
        try:
            move = organisation.move(mailbox, user.target)
        except (AlreadyMoving, UnknownDatabase) as error:
            user.error = f"Mailbox '{mailbox.alias}' can't be moved: {error}"
            return None
        move.requested, move.batch = True, self.mark
        move.prevented, move.bad_item_limit = not self.auto_complete, user.bad_item_limit
        return move

    def stop(self, organisation: Organisation) -> None:
        """Hold all moves that can still be held."""
        self.stopped = True
        for _, move in self.pairs(organisation):
            if move is not None and move.ended is None and not move.rests:
                with suppress(NotNow):
                    organisation.suspend(move, "stopped with its batch")

    def complete(self, organisation: Organisation) -> None:
        """Let all moves go to their end; failed ones are tried again."""
        self.completing = organisation.now
        for user, move in self.pairs(organisation):
            if move is None:
                if user.error and user.mailbox is not None:
                    user.error = ""
                    move = self._begin(organisation, user, organisation.mailboxes[user.mailbox])
                if move is None:
                    continue
            move.prevented = False
            if move.ended is None:
                if move.rests:
                    organisation.resume(move)
                organisation.replan(move)

    def remove(self, organisation: Organisation) -> None:
        """Take its moves away, too; one that completes just now stays until it is done."""
        for _, move in self.pairs(organisation):
            if move is not None:
                with suppress(NotNow):
                    organisation.cancel(move)

    def pairs(self, organisation: Organisation) -> Iterator[tuple[User, Move | None]]:
        """Its users with their moves."""
        moves = self.moves(organisation)
        for user in self.users:
            yield user, None if user.mailbox is None else moves.get(user.mailbox)
