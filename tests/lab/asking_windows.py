"""Asks the lab's Windows machines directly, without WinRM in between."""

import asyncio
import inspect
from typing import Any, TypeVar

from mailmig.lab.running.scripts import Scripts
from mailmig.lab.windows import Answer
from mailmig.lab.world import World
from mailmig.wire.windows_answers import answer, script
from tests.lab.asking import account

DOMAIN = "ad.lindenstadt.example"
T = TypeVar("T")


def full(name: str) -> str:
    """The whole name of a machine of the town."""
    return f"{name.lower()}.{DOMAIN}"


def facts(world: World, machine: str, name: str, **arguments: Any) -> tuple[Any, ...]:
    """What a script says on a machine, read as our client reads it."""
    said = Scripts(world, full(machine))(account(), script(name, arguments))
    if inspect.iscoroutine(said):
        said = asyncio.run(said)
    assert isinstance(said, Answer) and not said.errors
    return answer(name, said.stdout)


def only(world: World, machine: str, name: str, kind: type[T]) -> T:
    """The single fact that a script gives."""
    (found,) = facts(world, machine, name)
    assert isinstance(found, kind)
    return found
