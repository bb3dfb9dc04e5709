"""What the directory remembers of each mailbox, and what each controller knows of it by now.

A change is made at one controller and reaches another after that one's delay. The
organisation does not tell when it changes, so whoever searches lets us `look` first: what
differs from the last look is written down with its moment. A finished move brings its own
moment along; any other change counts from the look that found it. Groups of people and rights
are shown everywhere as they are now.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mailmig.lab.moving import Move
from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.model.quota import Quota, Quotas

# Beyond this nobody waits for a change any more: what is older is forgotten.
LONGEST_DELAY: Final = timedelta(days=60)


class State(NamedTuple):
    """The part of a mailbox that the directory holds and that can change.

    `archive` is GUID, database, warning, quota; `move` is source and target while one runs.
    """

    kind: Kind
    database: str
    use_database_quotas: bool
    own: Quotas
    recoverable: Quota
    archive: tuple[str, str, Quota, Quota] | None
    on_behalf: tuple[int, ...]
    on_hold: bool
    hidden: bool
    display_name: str
    department: str
    office: str
    title: str
    linked_account: str
    move: tuple[str, str, bool] | None


@dataclass(frozen=True, slots=True)
class _Change:
    at: datetime
    number: int
    before: State | None


class Replication:
    """The states of all mailboxes now, and what they were a while ago."""

    def __init__(self, organisation: Organisation, now: Callable[[], datetime]) -> None:
        self._organisation = organisation
        self._now = now
        self._states = _states(organisation)
        self._changes: deque[_Change] = deque()

    def look(self) -> None:
        """Write down what changed since the last look."""
        states = _states(self._organisation)
        now = self._now()
        known = len(self._states)
        moved: dict[str, datetime] | None = None
        for number, state in enumerate(states):
            before = self._states[number] if number < known else None
            if state == before:
                continue
            at = now
            if state and before and state.database != before.database:
                moved = self._moved() if moved is None else moved
                at = moved.get(self._organisation.mailboxes[number].exchange_guid, now)
            self._changes.append(_Change(at, number, before))
        self._states = states
        while self._changes and now - self._changes[0].at > LONGEST_DELAY:
            self._changes.popleft()

    def states(self, delay: timedelta) -> list[State | None]:
        """By mailbox number: what a controller shows that learns of changes after `delay`."""
        if not delay:
            return self._states
        now = self._now()
        shown = list(self._states)
        for change in reversed(self._changes):
            if now - change.at < delay:
                shown[change.number] = change.before
        return shown

    def _moved(self) -> dict[str, datetime]:
        leftovers = self._organisation.leftovers
        return {left.exchange_guid: left.since for left in leftovers if left.moved}


def _states(organisation: Organisation) -> list[State | None]:
    moves = {move.mailbox: move for move in organisation.moves}
    return [
        None if mailbox.gone else _state(mailbox, moves.get(mailbox.number))
        for mailbox in organisation.mailboxes
    ]


def _state(mailbox: Mailbox, move: Move | None) -> State:
    archive = mailbox.archive
    return State(
        mailbox.kind, mailbox.database, mailbox.use_database_quotas, mailbox.own,
        mailbox.recoverable,
        None if archive is None else (archive.guid, archive.database, archive.warn, archive.quota),
        mailbox.on_behalf, mailbox.on_hold, mailbox.hidden, mailbox.display_name,
        mailbox.department, mailbox.office, mailbox.title, mailbox.linked_account,
        None if move is None else (move.source, move.target, move.started is not None),
    )  # fmt: skip
