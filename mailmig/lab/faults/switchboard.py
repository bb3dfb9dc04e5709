"""Faults: what one is, which there are, and which are on.

    board = Switchboard(world)
    board.on("database-dismounted", "Buerger")
    board.off("database-dismounted", "Buerger")

A fault changes the state or the behaviour of the world and gives back what it took when it is
switched off; no server knows of faults. A fault is a module-level class in this folder with an
`id` of its own; a class without one is what several faults share.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import mailmig.lab.faults
from mailmig.lab.world import World
from mailmig.model.errors import MailmigError, nearest


class UnknownFault(MailmigError):
    """No fault has this id: take one of those that the list names."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f'there is no fault "{name}"{nearest(name, known)}; `mailmig lab fault list` names all'
        )
        self.name = name
        self.known = known


class BadTarget(MailmigError):
    """The fault cannot happen to this: name what the message asks for."""

    def __init__(self, fault: str, target: str, wanted: str) -> None:
        super().__init__(f'fault {fault} cannot be switched for "{target}": name {wanted}')
        self.fault = fault
        self.target = target
        self.wanted = wanted


class NoTarget(MailmigError):
    """The fault happens to the organisation as a whole: leave the target out."""

    def __init__(self, fault: str, target: str) -> None:
        super().__init__(f'fault {fault} takes no target: leave "{target}" out')
        self.fault = fault
        self.target = target


class WrongWay(MailmigError):
    """The fault is on already, or was never on, for this target."""

    def __init__(self, fault: str, target: str, *, is_on: bool) -> None:
        state = "already on" if is_on else "not on"
        where = f' for "{target}"' if target else ""
        super().__init__(f"fault {fault} is {state}{where}")
        self.fault = fault
        self.target = target


class SameId(ValueError):
    """Two faults have one id: rename the newer one."""


class Fault(ABC):
    """One thing that goes wrong with one target. An instance lives from `on` to `off`.

    `shows` names what the fault makes visible: ids of health.md 2 ("dag_pam_owner"), failure
    kinds of migration.md 14 and 15 ("move:..."), facts of operations.md 9 ("hyperv:..."). It is
    empty for what only a protocol shows. `wants` completes "name ..."; it is empty when the fault
    happens to the whole organisation: then the target is "".
    """

    id: ClassVar[str]
    family: ClassVar[str]
    shows: ClassVar[tuple[str, ...]]
    description: ClassVar[str]
    wants: ClassVar[str]

    @abstractmethod
    def on(self, world: World, target: str) -> None:
        """Let it happen. Raises `BadTarget`; then nothing was changed."""

    @abstractmethod
    def off(self, world: World, target: str) -> None:
        """Give back what was taken; what the laws did in the meantime stays done."""

    def bad(self, target: str) -> BadTarget:
        """The error for a target that this fault cannot happen to."""
        return BadTarget(self.id, target, self.wants)


@dataclass(frozen=True, slots=True)
class Active:
    """A fault that is on."""

    id: str
    target: str


class Switchboard:
    """Switches faults of one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._on: dict[tuple[str, str], tuple[Fault, str]] = {}

    def __iter__(self) -> Iterator[Active]:
        """The faults that are on, in the order in which they were switched."""
        return iter([Active(fault.id, target) for fault, target in self._on.values()])

    def on(self, name: str, target: str = "") -> None:
        """Switch a fault on. Raises `UnknownFault`, `BadTarget`, `NoTarget`, `WrongWay`."""
        kind = kinds().get(name)
        if kind is None:
            raise UnknownFault(name, tuple(kinds()))
        if kind.wants and not target:
            raise BadTarget(name, target, kind.wants)
        if target and not kind.wants:
            raise NoTarget(name, target)
        key = (name, target.lower())
        with self._world.lock:
            if key in self._on:
                raise WrongWay(name, target, is_on=True)
            fault = kind()
            self._world.sync()
            fault.on(self._world, target)
            self._on[key] = (fault, target)
            self._world.sync()

    def off(self, name: str, target: str = "") -> None:
        """Switch a fault off. Raises `UnknownFault`, `WrongWay`."""
        if name not in kinds():
            raise UnknownFault(name, tuple(kinds()))
        with self._world.lock:
            known = self._on.pop((name, target.lower()), None)
            if known is None:
                raise WrongWay(name, target, is_on=False)
            self._world.sync()
            fault, first = known
            fault.off(self._world, first)
            self._world.sync()

    def all_off(self) -> None:
        """Switch off whatever is on, the latest first."""
        for active in reversed(list(self)):
            self.off(active.id, active.target)


@lru_cache(maxsize=1)
def kinds() -> dict[str, type[Fault]]:
    """All faults by id. Raises `SameId`."""
    found: dict[str, type[Fault]] = {}
    for module in pkgutil.iter_modules(mailmig.lab.faults.__path__):
        loaded = importlib.import_module(f"mailmig.lab.faults.{module.name}")
        for value in vars(loaded).values():
            if not (isinstance(value, type) and issubclass(value, Fault) and "id" in vars(value)):
                continue
            if found.setdefault(value.id, value) is not value:
                raise SameId(f"two faults are called {value.id}")
    return dict(sorted(found.items()))
