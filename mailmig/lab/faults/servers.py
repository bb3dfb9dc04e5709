"""Faults of a whole server: slow, gone, or speaking another language."""

from mailmig.lab.cultures import ENGLISH, GERMAN, Culture
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.world import World

# A call waits so long for its first answer, and objects take so many times their cost.
SLOW_S = 20.0
SLOWNESS = 10.0


class SlowServer(Fault):
    id = "server-slow"
    description = "every cmdlet waits 20 s before it answers and objects cost ten times as much"
    wants = "a server"

    def on(self, world: World, target: str) -> None:
        conditions = world.conditions(server_named(self, world, target))
        conditions.delay_s += SLOW_S
        conditions.slowness *= SLOWNESS

    def off(self, world: World, target: str) -> None:
        conditions = world.conditions(server_named(self, world, target))
        conditions.delay_s -= SLOW_S
        conditions.slowness /= SLOWNESS


class NodeDown(Fault):
    id = "server-down"
    description = (
        "the server is gone; its databases are mounted where there is another copy, else nowhere"
    )
    wants = "a server that is not down"

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        if name in world.organisation.down:
            raise self.bad(target)
        world.organisation.take_down(name)

    def off(self, world: World, target: str) -> None:
        world.organisation.bring_back(server_named(self, world, target))


class GermanCulture(Fault):
    id = "server-german"
    description = "sessions on the server print sizes and account names in German"
    wants = "a server"

    def __init__(self) -> None:
        self._before: Culture = ENGLISH

    def on(self, world: World, target: str) -> None:
        conditions = world.conditions(server_named(self, world, target))
        self._before, conditions.culture = conditions.culture, GERMAN

    def off(self, world: World, target: str) -> None:
        world.conditions(server_named(self, world, target)).culture = self._before


def server_named(fault: Fault, world: World, target: str) -> str:
    """The server's name as the organisation spells it. Raises `BadTarget`."""
    for server in world.organisation.servers:
        if target.lower() in (server.name.lower(), server.fqdn.lower()):
            return server.name
    raise fault.bad(target)
