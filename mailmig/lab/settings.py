"""What admins changed in the Exchange configuration while the lab ran.

The objects themselves follow from the organisation's state; here is only what differs: a
property's new value, an object that was removed, a connector that was made. Values are plain
Python; who shows the object makes Exchange's values of them. Keys are the objects' GUIDs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mailmig.wire.clixml import Value

Live = Mapping[str, Value]
Make = Callable[[object], Value]
_CHANGED: Final = ("WhenChanged", "WhenChangedUTC")


@dataclass(frozen=True, slots=True)
class Connector:
    """A receive connector; ports and ranges as texts, `logging` is its ProtocolLoggingLevel."""

    server: str
    name: str
    bindings: tuple[str, ...]
    ranges: tuple[str, ...]
    role: str
    mechanisms: str
    groups: str
    logging: str = "None"


@dataclass(slots=True)
class Settings:
    """The differences between the configuration as founded and as it is now."""

    changed: dict[str, dict[str, object]] = field(default_factory=dict)
    changed_at: dict[str, datetime] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    connectors: list[Connector] = field(default_factory=list)

    def change(self, guid: str, values: Mapping[str, object], now: datetime) -> None:
        """An object's properties have these values from now on."""
        self.changed.setdefault(guid, {}).update(values)
        self.changed_at[guid] = now

    def forget(self, guid: str, *names: str) -> None:
        """The properties have again what they had at first."""
        known = self.changed.get(guid, {})
        for name in names:
            known.pop(name, None)

    def value(self, guid: str, name: str, first: object) -> object:
        """A property's value: the changed one, else `first`."""
        return self.changed.get(guid, {}).get(name, first)

    def applied(
        self, objects: Iterator[tuple[str, Live]], makers: Mapping[str, Make]
    ) -> Iterator[tuple[str, Live]]:
        """The objects with what was changed; `makers` make Exchange's values of plain ones."""
        if not self.changed and not self.removed:
            yield from objects
            return
        for text, live in objects:
            guid = str(live["Guid"])
            if guid in self.removed:
                continue
            changed = self.changed.get(guid)
            if not changed:
                yield text, live
                continue
            at = self.changed_at[guid]
            new = {name: makers[name](value) for name, value in changed.items() if name in live}
            yield (
                text,
                {**live, **new, **dict(zip(_CHANGED, (at, at.astimezone(UTC)), strict=True))},
            )
