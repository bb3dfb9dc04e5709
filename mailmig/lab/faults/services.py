"""Faults of services, components, application pools and of managed availability."""

from datetime import timedelta

from mailmig.lab import services
from mailmig.lab.components import Components, Wish
from mailmig.lab.faults.machines import Claiming
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.health_sets import Override
from mailmig.lab.world import World
from mailmig.model.organisation import Server

MAINTENANCE = "Maintenance"
MUTED_FOR = timedelta(days=30)


class _OfService(Claiming):
    """A service that runs is stopped; no other of these faults can take it meanwhile."""

    family = "service"

    def on(self, world: World, target: str) -> None:
        server, service = _service(self, world, target)
        if not services.runs(world.conditions(server.name), service.name):
            raise self.bad(target)
        self.claim(world, target, [("service", server.name, service.name)])
        services.stop(world, server.name, service.name)

    def off(self, world: World, target: str) -> None:
        server, service = _service(self, world, target)
        services.start(world, server.name, service.name)
        self.release(world)


class ServiceStopped(_OfService):
    id = "service-stopped"
    shows = ("svc_required", "svc_list")
    description = "a service of an Exchange server has stopped, with what follows from that"
    wants = r"server and service that runs, as EX1\MSExchangeTransport"


class ServiceDisabled(_OfService):
    id = "service-disabled"
    shows = ("svc_list",)
    description = "a failed update left a service disabled and stopped"
    wants = r"server and service that runs, as EX1\MSExchangeMailboxAssistants"

    def on(self, world: World, target: str) -> None:
        super().on(world, target)
        self._disabled(world, target).add(_service(self, world, target)[1].name.lower())

    def off(self, world: World, target: str) -> None:
        self._disabled(world, target).discard(_service(self, world, target)[1].name.lower())
        super().off(world, target)

    def _disabled(self, world: World, target: str) -> set[str]:
        return world.conditions(_service(self, world, target)[0].name).disabled_services


class ComponentInactive(Fault):
    id = "component-inactive"
    family = "service"
    shows = ("svc_components",)
    description = "a requester of its own (HealthAPI) switched a component off"
    wants = r"server and component, as EX1\OwaProxy"

    def on(self, world: World, target: str) -> None:
        server, name = _component(self, world, target)
        components = world.components(server)
        if components.state(name) != "Active":
            raise self.bad(target)
        components.ask(name, "HealthAPI", "Inactive", world.organisation.now)
        services.follow_components(world, server)

    def off(self, world: World, target: str) -> None:
        server, name = _component(self, world, target)
        _take_back(world.components(server), name, "HealthAPI")


class ComponentOneSided(Fault):
    id = "component-local-only"
    family = "service"
    shows = ("svc_component_requesters",)
    description = (
        "the server was put into maintenance in its own registry only, not in the directory"
    )
    wants = "a server that is not offline"

    def __init__(self) -> None:
        self._before: Wish | None = None

    def on(self, world: World, target: str) -> None:
        server = server_named(self, world, target)
        components = world.components(server)
        if components.is_offline:
            raise self.bad(target)
        self._before = components.local.get("ServerWideOffline", {}).get(MAINTENANCE)
        components.ask(
            "ServerWideOffline", MAINTENANCE, "Inactive", world.organisation.now, remote=False
        )
        services.follow_components(world, server)

    def off(self, world: World, target: str) -> None:
        components = world.components(server_named(self, world, target))
        wishes = components.local.get("ServerWideOffline", {})
        if self._before is None:
            wishes.pop(MAINTENANCE, None)
        else:
            wishes[MAINTENANCE] = self._before


class HealthSetUnhealthy(Fault):
    id = "health-set-unhealthy"
    family = "service"
    shows = ("svc_health_sets",)
    description = "an alert hangs: the health set stays Unhealthy until MSExchangeHM starts anew"
    wants = r"server and health set, as EX1\OWA.Proxy"

    def on(self, world: World, target: str) -> None:
        key = self._key(world, target)
        if key in world.monitoring.hanging:
            raise self.bad(target)
        world.monitoring.hanging.add(key)

    def off(self, world: World, target: str) -> None:
        world.monitoring.hanging.discard(self._key(world, target))

    def _key(self, world: World, target: str) -> tuple[str, str]:
        server, health_set = _parts(self, world, target)
        known = {one.health_set.lower() for one in world.monitoring.of(server)}
        if health_set.lower() not in known:
            raise self.bad(target)
        return server.name.lower(), health_set.lower()


class PoolStopped(Fault):
    id = "app-pool-stopped"
    family = "service"
    shows = ("svc_app_pools", "svc_health_sets", "mapi_selftest", "mapi_endpoint")
    description = "an application pool of IIS has stopped; its protocol is gone on that server"
    wants = r"server and pool, as EX1\MSExchangeMapiFrontEndAppPool"

    def on(self, world: World, target: str) -> None:
        server, pool = _pool(self, world, target)
        stopped = world.conditions(server).stopped_pools
        if pool in stopped:
            raise self.bad(target)
        stopped.add(pool)

    def off(self, world: World, target: str) -> None:
        server, pool = _pool(self, world, target)
        world.conditions(server).stopped_pools.discard(pool)


class PoolRecycled(Fault):
    id = "app-pool-recycled"
    family = "service"
    shows = ("svc_app_pools",)
    description = "an application pool restarts from time to time, which Setup does not leave so"
    wants = r"server and pool, as EX1\MSExchangeServicesAppPool"

    def on(self, world: World, target: str) -> None:
        server, pool = _pool(self, world, target)
        recycled = world.conditions(server).recycled_pools
        if pool in recycled or pool in services.RECYCLED_BY_SETUP:
            raise self.bad(target)
        recycled.add(pool)

    def off(self, world: World, target: str) -> None:
        server, pool = _pool(self, world, target)
        world.conditions(server).recycled_pools.discard(pool)


class MonitorMuted(Fault):
    id = "monitoring-override"
    family = "service"
    shows = ("svc_monitoring_overrides",)
    description = "somebody muted a monitor on one server, without an end"
    wants = r"server, health set and monitor, as EX1\Store\DatabaseMountedMonitor"
    ended = False

    def __init__(self) -> None:
        self._made: Override | None = None

    def on(self, world: World, target: str) -> None:
        one = self._override(world, target)
        known = {(known.item.lower(), known.server) for known in world.monitoring.overrides}
        if (one.item.lower(), one.server) in known:
            raise self.bad(target)
        world.monitoring.overrides.append(one)
        self._made = one

    def off(self, world: World, target: str) -> None:
        found = world.monitoring.overrides
        world.monitoring.overrides = [one for one in found if one is not self._made]

    def _override(self, world: World, target: str) -> Override:
        server, wanted = _parts(self, world, target)
        items = {
            rf"{one.health_set}\{one.name}".lower(): rf"{one.health_set}\{one.name}"
            for one in world.monitoring.of(server)
        }
        if wanted.lower() not in items:
            raise self.bad(target)
        now = world.organisation.now
        return Override(
            "Monitor", items[wanted.lower()], "Enabled", "0", now - MUTED_FOR, "Administrator", server.name,
            now - timedelta(days=1) if self.ended else None,
        )  # fmt: skip


class MuteExpired(MonitorMuted):
    id = "monitoring-override-expired"
    description = "an override whose time is over is still there"
    ended = True


def _parts(fault: Fault, world: World, target: str) -> tuple[Server, str]:
    """The server of a target, and what of it. Raises `BadTarget`."""
    name, _, rest = target.partition("\\")
    return world.organisation.server(server_named(fault, world, name)), rest


def _service(fault: Fault, world: World, target: str) -> tuple[Server, services.Service]:
    server, rest = _parts(fault, world, target)
    found = services.named(server, rest)
    if found is None:
        raise fault.bad(target)
    return server, found


def _component(fault: Fault, world: World, target: str) -> tuple[str, str]:
    server, rest = _parts(fault, world, target)
    for known in world.components(server.name).names():
        if known.lower() == rest.lower():
            return server.name, known
    raise fault.bad(target)


def _take_back(components: Components, name: str, requester: str) -> None:
    for side in (components.local, components.remote):
        side.get(name, {}).pop(requester, None)


def _pool(fault: Fault, world: World, target: str) -> tuple[str, str]:
    server, rest = _parts(fault, world, target)
    for pool in services.POOLS:
        if pool.lower() == rest.lower():
            return server.name, pool
    raise fault.bad(target)
