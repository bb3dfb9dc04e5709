"""Which cmdlets and parameters there are, by version: the public reference of August 2026.

The reference lies beside the lab as `exchange-cmdlets.json`. A cmdlet or parameter that a
version does not have is not there for a server of that version. Some sets in the reference are
version headings of the page ("Exchange Server 2013"): such a parameter belongs to all sets.

The allowed values were read off prose and may be incomplete. They bind only for the parameters in
`REVIEWED`, which somebody compared with what else is known of the cmdlet.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

SWITCH: Final = "SwitchParameter"

# Reviewed against migration.md 4 and health.md 6. `Synced` is missing in the reference: Exchange
# 2013 and later have that state (migration.md 4.2).
REVIEWED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("Get-MoveRequest", "MoveStatus"): ("Synced",),
    ("New-MoveRequest", "Priority"): (),
    ("Set-MoveRequest", "Priority"): (),
    ("Set-ServerComponentState", "Requester"): (),
    ("Set-ServerComponentState", "State"): (),
}

# Cmdlets that servers have and no page tells of: versions, parameters (health.md 2.1).
UNDOCUMENTED: Final[dict[str, dict[str, Any]]] = {
    "Get-MailboxServerRedundancy": {
        "versions": ["2016", "2019", "SE"],
        "parameters": {
            "Identity": {"type": "MailboxServerIdParameter", "position": "1", "pipeline": True},
            "DatabaseAvailabilityGroup": {"type": "DatabaseAvailabilityGroupIdParameter"},
        },
    },
}

# What every advanced cmdlet has: name, short name (about_CommonParameters).
COMMON: Final = {
    "Verbose": "vb", "Debug": "db", "ErrorAction": "ea", "WarningAction": "wa",
    "InformationAction": "infa", "ErrorVariable": "ev", "WarningVariable": "wv",
    "InformationVariable": "iv", "OutVariable": "ov", "OutBuffer": "ob", "PipelineVariable": "pv",
}  # fmt: skip
_COMMON_SWITCHES: Final = ("Verbose", "Debug")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `sets` is empty when it belongs to all, `position` None when it has none."""

    name: str
    type: str
    sets: frozenset[str] = frozenset()
    required: bool = False
    position: int | None = None
    pipeline: bool = False
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def is_switch(self) -> bool:
        return self.type == SWITCH

    def is_in(self, name: str) -> bool:
        """Whether a call that uses this set may have the parameter."""
        return not self.sets or name in self.sets


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One cmdlet as a server of some version has it, common parameters included."""

    name: str
    parameters: Mapping[str, Parameter]

    @property
    def sets(self) -> tuple[str, ...]:
        """Its parameter sets in the order of the page; a cmdlet without any has the one ""."""
        found = dict.fromkeys(
            name for parameter in self.parameters.values() for name in sorted(parameter.sets)
        )
        return tuple(found) or ("",)

    def without(self, hidden: frozenset[str]) -> "Cmdlet":
        """The cmdlet as a role sees it that lacks these parameters."""
        kept = {name: p for name, p in self.parameters.items() if name not in hidden}
        return Cmdlet(self.name, kept)


@lru_cache(maxsize=8)
def cmdlets(version: str) -> Mapping[str, Cmdlet]:
    """All cmdlets of a version ("2013" to "SE"), by name in lower case."""
    found = {}
    for name, told in _told().items():
        if version in told["versions"]:
            parameters = {
                key: _parameter(key, one)
                for key, one in told["parameters"].items()
                if version in one.get("versions", told["versions"])
            }
            found[name.lower()] = Cmdlet(name, parameters | _common(parameters))
    return found


@lru_cache(maxsize=1)
def _told() -> dict[str, Any]:
    text = (files("mailmig.lab") / "exchange-cmdlets.json").read_text("utf-8")
    told: dict[str, Any] = json.loads(text)["cmdlets"]
    return told | UNDOCUMENTED


def _parameter(name: str, told: Mapping[str, Any]) -> Parameter:
    sets = told.get("sets", ())
    if any(one.startswith("Exchange Server ") for one in sets):
        sets = ()
    position = told.get("position")
    return Parameter(
        name, told["type"], frozenset(sets), told.get("required", False),
        None if position is None else int(position), told.get("pipeline", False),
        tuple(told.get("aliases", ())), tuple(told.get("values", ())),
    )  # fmt: skip


def _common(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    return {
        name: Parameter(name, SWITCH if name in _COMMON_SWITCHES else "Object", aliases=(short,))
        for name, short in COMMON.items()
        if name not in parameters
    }
