"""The objects of the directory that are few, and what each controller knows of them by now.

They follow from the organisation, which does not tell when it changes: whoever searches lets us
`look` first, and what differs from the last look changed at that moment.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailmig.lab.directory.people import Plain, moment
from mailmig.lab.directory.replication import LONGEST_DELAY


@dataclass(frozen=True, slots=True)
class _Version:
    at: datetime
    entries: tuple[Plain, ...]


class Few:
    """Objects that are few: made anew for each look, and kept in every version."""

    def __init__(self, make: Callable[[], Iterable[Plain]], now: Callable[[], datetime]) -> None:
        self._make = make
        self._now = now
        self._made: tuple[Plain, ...] = ()
        self._versions: deque[_Version] = deque()

    def look(self) -> None:
        """Make them; where something changed, it changed now."""
        now, before, made = self._now(), self._made, tuple(self._make())
        if made == before:
            return
        self._made = made
        if not self._versions:
            self._versions.append(_Version(now, made))
            return
        same = {entry.dn: entry for entry in before}
        shown = {entry.dn: entry for entry in self._versions[-1].entries}
        changed = moment(now)
        self._versions.append(
            _Version(
                now,
                tuple(
                    shown[entry.dn] if same.get(entry.dn) == entry
                    else entry.having(whenChanged=changed)
                    for entry in made
                ),
            )
        )  # fmt: skip
        while len(self._versions) > 1 and now - self._versions[1].at > LONGEST_DELAY:
            self._versions.popleft()

    def entries(self, delay: timedelta) -> tuple[Plain, ...]:
        """As a controller shows them that learns of changes after `delay`."""
        if not self._versions:
            self.look()
        known = self._now() - delay
        for version in reversed(self._versions):
            if version.at <= known:
                return version.entries
        return self._versions[0].entries
