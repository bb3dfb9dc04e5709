"""Faults of mail flow: queues that grow or stand, poison, pressure, ways in and out."""

from typing import ClassVar, Final

from mailmig.lab import connectors
from mailmig.lab.cmdlets.diagnostics import QUEUE_DISK
from mailmig.lab.faults.machines import Claiming
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.organisation import guid
from mailmig.lab.queues import Queue
from mailmig.lab.world import World

_REFUSED: Final = (
    '[{LED=451 4.4.0 Primary target IP address responded with: "421 4.2.1 Unable to connect." '
    "Attempted failover to alternate host, but that did not succeed.}]"
)
BACKLOG: Final = 140
DEFERRED: Final = 12
POISON: Final = 3
# Seconds that a message needs more: above the warning threshold, below that of a critical one.
SLOWER_S: Final = 45.0
_LEVELS: Final = ("Medium", "High")


class OnServer(Fault):
    """What happens to the transport service of one server."""

    family = "transport"
    wants = "a server"


class QueueGrown(OnServer):
    id = "queue-backlog"
    shows = ("tr_queue_depth", "tr_queue_state")
    description = f"{BACKLOG} messages wait to be sorted, since the queue is suspended"

    def on(self, world: World, target: str) -> None:
        queue = _submission(world, server_named(self, world, target))
        if queue.suspended:
            raise self.bad(target)
        queue.waiting += BACKLOG
        queue.suspended = True

    def off(self, world: World, target: str) -> None:
        queue = _submission(world, server_named(self, world, target))
        queue.suspended = False
        queue.waiting = max(0.0, queue.waiting - BACKLOG)


class HopRefuses(OnServer):
    id = "smart-host-refuses"
    shows = ("tr_queue_state", "tr_queue_depth")
    description = "the mail gateway takes nothing from the server: its queue grows and is retried"

    def __init__(self) -> None:
        self._hop = ""

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        self._hop = ",".join(connectors.outbound(world.organisation).hosts)
        world.transport.posts[name].refused[self._hop] = _REFUSED

    def off(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        world.transport.posts[name].refused.pop(self._hop, None)


class QueueSuspended(Fault):
    id = "queue-suspended"
    family = "transport"
    shows = ("tr_queue_state",)
    description = "an admin stopped the queue of a database and forgot it"
    wants = r"server and database that the server delivers to, as EX1\DB01"

    def on(self, world: World, target: str) -> None:
        queue = self._queue(world, target)
        if queue is None or queue.suspended:
            raise self.bad(target)
        queue.suspended = True

    def off(self, world: World, target: str) -> None:
        queue = self._queue(world, target)
        if queue is not None:
            queue.suspended = False

    @staticmethod
    def _queue(world: World, target: str) -> Queue | None:
        server, _, database = target.lower().partition("\\")
        for post in world.transport.posts.values():
            for queue in post.queues.values():
                if post.name.lower() == server and queue.database.lower() == database != "":
                    return queue
        return None


class MessagesDeferred(OnServer):
    id = "messages-deferred"
    shows = ("tr_queue_state",)
    description = f"{DEFERRED} messages could not be sorted for now and were put back"

    def on(self, world: World, target: str) -> None:
        _submission(world, server_named(self, world, target)).deferred += DEFERRED

    def off(self, world: World, target: str) -> None:
        _submission(world, server_named(self, world, target)).deferred -= DEFERRED


class PoisonMessages(OnServer):
    id = "poison-messages"
    shows = ("tr_poison",)
    description = f"{POISON} messages crashed the transport service and were set aside"

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        world.transport.posts[name].queues["Poison"].waiting += POISON

    def off(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        world.transport.posts[name].queues["Poison"].waiting -= POISON


class ShadowsKept(OnServer):
    id = "shadow-queue-grows"
    shows = ("tr_shadow_queue",)
    description = (
        "reports of the other members do not arrive: the server keeps every shadow message"
    )
    wants = "a member of the DAG"

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        members = world.organisation.dag.servers
        if name not in members:
            raise self.bad(target)
        world.transport.posts[name].unheard = set(members) - {name}

    def off(self, world: World, target: str) -> None:
        world.transport.posts[server_named(self, world, target)].unheard = set()


class BackPressure(Fault):
    id = "back-pressure"
    family = "transport"
    shows = ("tr_back_pressure",)
    description = (
        "the disk of the queue database is full: Medium refuses mail from outside, High all mail"
    )
    wants = r"server and level, as EX1\Medium or EX1\High"

    def on(self, world: World, target: str) -> None:
        name, level = self._parts(world, target)
        pressure = world.transport.posts[name].pressure
        if QUEUE_DISK in pressure:
            raise self.bad(target)
        pressure[QUEUE_DISK] = level

    def off(self, world: World, target: str) -> None:
        name, _ = self._parts(world, target)
        world.transport.posts[name].pressure.pop(QUEUE_DISK, None)

    def _parts(self, world: World, target: str) -> tuple[str, str]:
        server, _, level = target.partition("\\")
        if level.capitalize() not in _LEVELS:
            raise self.bad(target)
        return server_named(self, world, server), level.capitalize()


class MailSlow(OnServer):
    id = "mail-slow"
    shows = ("tr_mailflow",)
    description = f"every message needs {SLOWER_S:g} s more on its way from the server"

    def on(self, world: World, target: str) -> None:
        world.transport.posts[server_named(self, world, target)].delay_s += SLOWER_S

    def off(self, world: World, target: str) -> None:
        world.transport.posts[server_named(self, world, target)].delay_s -= SLOWER_S


class _OtherSetting(Claiming):
    """A setting has another value while the fault is on; then again what it had before."""

    family = "transport"

    def __init__(self) -> None:
        super().__init__()
        self._before: object = None

    def change(self, world: World, target: str, key: str, name: str, value: object) -> None:
        """Set it. Raises `AlreadyChanged`."""
        self.claim(world, target, [(key, name)])
        settings = world.organisation.settings
        self._before = settings.value(key, name, None)
        settings.change(key, {name: value}, world.organisation.now)

    def put_back(self, world: World, key: str, name: str) -> None:
        settings = world.organisation.settings
        if self._before is None:
            settings.forget(key, name)
        else:
            settings.change(key, {name: self._before}, world.organisation.now)
        self.release(world)


class OneWayOut(_OtherSetting):
    id = "send-connector-one-source"
    shows = ("tr_outbound_sources",)
    description = "only one server may send mail to the outside"
    wants = "a server"

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        out = connectors.outbound(world.organisation)
        if out.sources == (name,):
            raise self.bad(target)
        self.change(world, target, out.guid, "SourceTransportServers", [name])

    def off(self, world: World, target: str) -> None:
        key = connectors.outbound(world.organisation).guid
        self.put_back(world, key, "SourceTransportServers")


class RelayMissing(Fault):
    id = "receive-connector-missing"
    family = "transport"
    shows = ("tr_receive_connectors",)
    description = (
        "a receive connector is gone on one server: devices can send through the other only"
    )
    wants = r"server and receive connector, as EX1\Default Frontend EX1"

    def on(self, world: World, target: str) -> None:
        key = self._key(world, target)
        if key is None or key in world.organisation.settings.removed:
            raise self.bad(target)
        world.organisation.settings.removed.add(key)

    def off(self, world: World, target: str) -> None:
        key = self._key(world, target)
        if key is not None:
            world.organisation.settings.removed.discard(key)

    @staticmethod
    def _key(world: World, target: str) -> str | None:
        for one in connectors.receive(world.organisation):
            if rf"{one.server}\{one.name}".lower() == target.lower():
                return guid(world.organisation.seed, *connectors.receive_names(one))
        return None


class TransportSetting(_OtherSetting):
    """A setting of the whole organisation's transport that has another value."""

    shows = ("tr_shadow_redundancy",)
    wants = ""
    name: ClassVar[str]
    value: ClassVar[bool]

    def on(self, world: World, target: str) -> None:
        self.change(world, target, self._key(world), self.name, self.value)

    def off(self, world: World, target: str) -> None:
        self.put_back(world, self._key(world), self.name)

    @staticmethod
    def _key(world: World) -> str:
        return guid(world.organisation.seed, "transport")


class NoShadows(TransportSetting):
    id = "shadow-redundancy-off"
    description = "messages in transit exist once: shadow redundancy is switched off"
    name = "ShadowRedundancyEnabled"
    value = False


class ShadowsMust(TransportSetting):
    id = "shadow-failure-rejects"
    description = (
        "mail is refused when no second server can keep a copy of it: with one of two nodes down "
        "all of it"
    )
    name = "RejectMessageOnShadowFailure"
    value = True


def _submission(world: World, server: str) -> Queue:
    return world.transport.posts[server].queues["Submission"]
