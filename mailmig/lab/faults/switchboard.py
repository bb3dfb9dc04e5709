"""Faults: what one is, which there are, and which are on.

    board = Switchboard(world)
    board.on("database-dismounted", "Buerger")
    board.off("database-dismounted", "Buerger")

A fault changes the state or the behaviour of the world and gives back what it took when it is
switched off; no server knows of faults. A fault is a module-level class in this folder.
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
    """No fault has this id: take one of those that are named."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f'there is no fault "{name}"{nearest(name, known)}; known: {", ".join(known)}'
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


class WrongWay(MailmigError):
    """The fault is on already, or was never on, for this target."""

    def __init__(self, fault: str, target: str, *, is_on: bool) -> None:
        state = "already on" if is_on else "not on"
        super().__init__(f'fault {fault} is {state} for "{target}"')
        self.fault = fault
        self.target = target


class Fault(ABC):
    """One thing that goes wrong with one target. An instance lives from `on` to `off`."""

    id: ClassVar[str]
    description: ClassVar[str]
    # What a target is, completing "name ...".
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

    def on(self, name: str, target: str) -> None:
        """Switch a fault on. Raises `UnknownFault`, `BadTarget`, `WrongWay`."""
        kind = kinds().get(name)
        if kind is None:
            raise UnknownFault(name, tuple(kinds()))
        key = (name, target.lower())
        with self._world.lock:
            if key in self._on:
                raise WrongWay(name, target, is_on=True)
            fault = kind()
            self._world.sync()
            fault.on(self._world, target)
            self._on[key] = (fault, target)

    def off(self, name: str, target: str) -> None:
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

    def all_off(self) -> None:
        """Switch off whatever is on, the latest first."""
        for active in reversed(list(self)):
            self.off(active.id, active.target)


@lru_cache(maxsize=1)
def kinds() -> dict[str, type[Fault]]:
    """All faults by id."""
    found: dict[str, type[Fault]] = {}
    for module in pkgutil.iter_modules(mailmig.lab.faults.__path__):
        loaded = importlib.import_module(f"mailmig.lab.faults.{module.name}")
        for value in vars(loaded).values():
            if isinstance(value, type) and issubclass(value, Fault) and value is not Fault:
                found[value.id] = value
    return dict(sorted(found.items()))
