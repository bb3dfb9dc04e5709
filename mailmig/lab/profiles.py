"""How a server of another build writes the same objects: migration.md 15.3.

Enums as bare numbers, properties that an older build does not have, counters that a newer one calls
differently. A profile changes whole objects, before anything is selected of them.
"""

from dataclasses import dataclass
from typing import Final

from mailmig.wire.clixml import Obj, Value

# Read by a recent public script instead of the older names (migration.md 4.4).
RENAMED: Final = {
    "TotalStalledDueToCIDuration": "TotalStalledDueToContentIndexingDuration",
    "TotalStalledDueToHADuration": "TotalStalledDueToMdbReplicationDuration",
}
# What came after the first builds of 2013 [MEM: which exactly is not established].
LATER: Final = frozenset(
    {"IncrementalSyncInterval", "PreventCompletion", "LargeItemsEncountered", "LargeItemLimit",
     "TotalDataReplicationWaitDuration", "MailboxTypeDetail", "IsMoveDestination"}
)  # fmt: skip


@dataclass(slots=True)
class Profile:
    """What is different; nothing at first."""

    bare_enums: bool = False
    renamed_counters: bool = False
    fewer_properties: bool = False

    def __bool__(self) -> bool:
        return self.bare_enums or self.renamed_counters or self.fewer_properties

    def applied(self, whole: Obj) -> Obj:
        """The object as such a server writes it."""
        return Obj(
            whole.types, whole.text, self._members(whole.adapted), self._members(whole.extended),
            whole.value,
        )  # fmt: skip

    def _members(self, members: dict[str, Value]) -> dict[str, Value]:
        names = RENAMED if self.renamed_counters else {}
        return {
            names.get(name, name): self._value(value)
            for name, value in members.items()
            if not (self.fewer_properties and name in LATER)
        }

    def _value(self, value: Value) -> Value:
        enum = value.enum if self.bare_enums and isinstance(value, Obj) else None
        return value if enum is None else enum[1]
