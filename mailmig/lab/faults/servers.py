"""Faults of a whole machine or site: slow, silent, gone, or speaking another language."""

from collections.abc import Mapping
from datetime import datetime

from mailmig.lab import services
from mailmig.lab.activating import settle
from mailmig.lab.cultures import GERMAN
from mailmig.lab.faults.machines import Worse, machine_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.machines import Machine, Reach, Role
from mailmig.lab.world import Conditions, World

# A call waits so long for its first answer, and objects take so many times their cost.
SLOW_S = 20.0
SLOWNESS = 10.0


class SlowServer(Fault):
    id = "server-slow"
    family = "session"
    shows = ()
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


class ServerDown(Fault):
    id = "server-down"
    family = "dag"
    shows = (
        "dag_members_up", "db_copy_status", "dag_witness_reachable", "ad_dc_per_site",
        "hyperv:host_reachable",
    )  # fmt: skip
    description = (
        "the machine is off and refuses connections; databases are mounted where there is "
        "another copy, else nowhere; a host takes its virtual machines along"
    )
    wants = "a machine that is not down, as ls-ex1"

    def on(self, world: World, target: str) -> None:
        machine = machine_up(self, world, target)
        machine.down = True
        for one in with_guests(world, machine):
            lose(world, one)

    def off(self, world: World, target: str) -> None:
        machine = machine_named(self, world, target)
        machine.down = False
        for one in with_guests(world, machine):
            start(world, one)


class ServerHangs(Fault):
    id = "server-hangs"
    family = "dag"
    shows = ("dag_members_up", "db_copy_status", "dag_witness_reachable", "ad_dc_per_site")
    description = "the machine takes connections and never says a word; to the others it is gone"
    wants = ServerDown.wants

    def on(self, world: World, target: str) -> None:
        machine = machine_up(self, world, target)
        machine.hung = True
        lose(world, machine)

    def off(self, world: World, target: str) -> None:
        machine = machine_named(self, world, target)
        machine.hung = False
        restore(world, machine, booted=False)


class SiteDown(Fault):
    id = "site-down"
    family = "dag"
    shows = (
        "dag_members_up", "db_copy_status", "dag_witness_reachable", "ad_dc_per_site",
        "hyperv:host_reachable",
    )  # fmt: skip
    description = "a site has no network: nothing there answers, and nothing reaches it"
    wants = "a site that has a network, as Rathaus"

    def on(self, world: World, target: str) -> None:
        machines = world.surroundings.machines
        found = machines.at(target)
        if not found or found[0].place.site in machines.cut_sites:
            raise self.bad(target)
        machines.cut_sites.add(found[0].place.site)
        for machine in found:
            lose(world, machine)

    def off(self, world: World, target: str) -> None:
        machines = world.surroundings.machines
        found = machines.at(target)
        machines.cut_sites.discard(found[0].place.site)
        for machine in found:
            restore(world, machine, booted=False)


class GermanCulture(Worse):
    id = "server-german"
    family = "session"
    shows = ()
    description = "sessions on the server print sizes and account names in German"
    wants = "a server"

    def what(self, world: World, target: str) -> Conditions:
        return world.conditions(server_named(self, world, target))

    def worse(self, world: World, target: str) -> Mapping[str, object]:
        return {"culture": GERMAN}


def server_named(fault: Fault, world: World, target: str) -> str:
    """The server's name as the organisation spells it. Raises `BadTarget`."""
    for server in world.organisation.servers:
        if target.lower() in (server.name.lower(), server.fqdn.lower()):
            return server.name
    raise fault.bad(target)


def machine_up(fault: Fault, world: World, target: str) -> Machine:
    """A machine that answers. Raises `BadTarget`."""
    machine = machine_named(fault, world, target)
    if world.surroundings.machines.reach(machine.name) is not Reach.UP:
        raise fault.bad(target)
    return machine


def with_guests(world: World, machine: Machine) -> list[Machine]:
    """The machine, and what it carries where it is a host."""
    machines = world.surroundings.machines
    host = machines.hosts.get(machine.place.name.lower())
    guests = [machines.of(guest.name) for guest in host.guests] if host else []
    return [machine, *(one for one in guests if one is not None)]


def lose(world: World, machine: Machine) -> None:
    """The others hear nothing of the machine any more."""
    role, organisation = machine.place.role, world.organisation
    if role is Role.EXCHANGE:
        name = _server(world, machine)
        if name not in organisation.down:
            organisation.take_down(name)
    elif role is Role.WITNESS:
        organisation.cluster.gone.add(machine.name.lower())
        settle(organisation)
    elif role is Role.CONTROLLER:
        _cut_off(world, machine, world.now)


def start(world: World, machine: Machine) -> None:
    """The machine is switched on, unless something else keeps it off."""
    if world.surroundings.machines.state(machine) is Reach.UP:
        machine.started = world.now.replace(microsecond=0)
        restore(world, machine, booted=True)


def hosted_anew(world: World, machine: Machine, before: Reach) -> None:
    """The machine has another host, or none; `before` that it was so. It goes or comes with it."""
    now = world.surroundings.machines.state(machine)
    if now is before:
        return
    if now is Reach.UP:
        start(world, machine)
    else:
        lose(world, machine)


def restore(world: World, machine: Machine, *, booted: bool) -> None:
    """The machine is there again, unless something else keeps it away."""
    if world.surroundings.machines.state(machine) is not Reach.UP:
        return
    role, organisation = machine.place.role, world.organisation
    if role is Role.EXCHANGE:
        name = _server(world, machine)
        organisation.bring_back(name, booted=booted)
        if booted:
            services.boot(world, name)
    elif role is Role.WITNESS:
        organisation.cluster.gone.discard(machine.name.lower())
        if booted:
            organisation.cluster.booted[machine.name.lower()] = world.now
        settle(organisation)
    elif role is Role.CONTROLLER:
        _cut_off(world, machine, None)


def _cut_off(world: World, machine: Machine, since: datetime | None) -> None:
    """A controller gets changes of the directory and of names no more, or again.

    What another fault holds back stays as it is.
    """
    around = world.surroundings
    standing = around.forest.standing(machine.name)
    around.forest.look()
    if (id(standing), "cut_at") not in around.claims:
        standing.cut_at = since and (standing.cut_at or since)
    if ("replica", machine.place.name) not in around.claims:
        for zone in around.names.zones:
            zone.replica(machine.place.name).receives = since is None


def _server(world: World, machine: Machine) -> str:
    servers = world.organisation.servers
    return next(one.name for one in servers if one.fqdn == machine.place.name)
