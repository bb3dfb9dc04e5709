"""Stories: the starting states of the simulated organisation, one TOML file each.

A story holds what a town, a DAG or a fault looks like; how many mailboxes it becomes is
asked for when it is founded. Sizes in a story are MB of 1024 KB, as Exchange counts.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

from mailmig.model.errors import MailmigError, nearest
from mailmig.model.quota import MIB, Quotas

_SUFFIX: Final = ".toml"


class UnknownStory(MailmigError):
    """No story has this name: take one of those that are named."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f'there is no story "{name}"{nearest(name, known)}; known: {", ".join(known)}'
        )
        self.name = name
        self.known = known


@dataclass(frozen=True, slots=True)
class DepartmentPlan:
    """One department of the town: how many people, where they sit, what is special."""

    name: str
    unit: str
    people: int
    site: str
    quota: str
    title: str = "Sachbearbeitung"
    raised: int = 0
    raised_most: int = 0
    pilot: bool = False
    linked: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """A story as its file tells it; tables that only one reader needs stay mappings."""

    name: str
    title: str
    organisation: Mapping[str, Any]
    moments: Mapping[str, datetime]
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    source_quotas: Mapping[str, Quotas]
    target_quotas: Quotas
    sizes: Mapping[str, int]
    departments: tuple[DepartmentPlan, ...]
    raised: Mapping[str, Quotas]
    singles: Mapping[str, int]
    sharing: Mapping[str, Any]
    growth: Mapping[str, float]
    pst: Mapping[str, Any]
    calendar: Mapping[str, Any]

    @property
    def mailboxes(self) -> int:
        """How many mailboxes the story has when nobody asks for another number."""
        kinds = ("users", "shared", "rooms", "equipment", "discovery")
        return sum(self.sizes[kind] for kind in kinds)


def names() -> tuple[str, ...]:
    """The stories that there are."""
    folder = files("mailmig.lab") / "stories"
    return tuple(
        sorted(
            entry.name.removesuffix(_SUFFIX)
            for entry in folder.iterdir()
            if entry.name.endswith(_SUFFIX)
        )
    )


def read(name: str) -> Story:
    """Read the story of this name; `UnknownStory` names the known ones."""
    known = names()
    if name not in known:
        raise UnknownStory(name, known)
    text = (files("mailmig.lab") / "stories" / f"{name}{_SUFFIX}").read_text("utf-8")
    told = tomllib.loads(text)
    return Story(
        name=name,
        title=told["title"],
        organisation=told["organisation"],
        moments=told["moments"],
        source=told["source"],
        target=told["target"],
        source_quotas={key: quotas(mb) for key, mb in told["quotas"]["source"].items()},
        target_quotas=quotas(told["quotas"]["target"]["default"]),
        sizes=told["sizes"],
        departments=tuple(DepartmentPlan(**plan) for plan in told["department"]),
        raised={key: quotas(mb) for key, mb in told["raised"].items()},
        singles=told["singles"],
        sharing=told["sharing"],
        growth=told["growth"],
        pst=told["pst"],
        calendar=told["calendar"],
    )


def quotas(mb: list[int]) -> Quotas:
    """The three limits of a list of MB: warning, send, send and receive."""
    warn, send, receive = (size * MIB for size in mb)
    return Quotas(warn, send, receive)
