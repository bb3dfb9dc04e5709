"""Faults of mail flow: queues that grow or stand, poison, pressure, ways in and out."""

from typing import ClassVar, Final

from mailmig.lab import connectors, server_tls
from mailmig.lab.cmdlets.diagnostics import QUEUE_DISK
from mailmig.lab.faults.machines import Claiming, Worse
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.setting import OtherSetting
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.organisation import guid
from mailmig.lab.queues import Queue
from mailmig.lab.server_certificates import Stored
from mailmig.lab.transport import Transport
from mailmig.lab.world import World
from mailmig.model.organisation import Server

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


class OneWayOut(OtherSetting):
    id = "send-connector-one-source"
    family = "transport"
    shows = ("tr_outbound_sources",)
    description = "only one server may send mail to the outside"
    wants = "a server"

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        out = connectors.outbound(world.organisation)
        if out.sources == (name,):
            raise self.bad(target)
        self.change(world, target, out.guid, {"SourceTransportServers": [name]})


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


class TransportSetting(OtherSetting):
    """A setting of the whole organisation's transport that has another value."""

    family = "transport"
    shows = ("tr_shadow_redundancy",)
    wants = ""
    name: ClassVar[str]
    value: ClassVar[bool]

    def on(self, world: World, target: str) -> None:
        key = guid(world.organisation.seed, "transport")
        self.change(world, target, key, {self.name: self.value})


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


class NoStartTls(Claiming):
    id = "smtp-no-starttls"
    family = "transport"
    shows = ("tr_smtp_listener", "tls_internal_transport")
    description = "no certificate of the server is assigned to SMTP: STARTTLS is not offered"
    wants = "a server"

    def __init__(self) -> None:
        super().__init__()
        self._before: list[Stored] = []

    def on(self, world: World, target: str) -> None:
        server, store = self._server(world, target), world.certificates
        self.claim(
            world, target, [("certificate", server.name, one) for one in server_tls.SERVICES]
        )
        self.claim(world, target, [("certificates", server.name)])
        world.tls.of(server.name, server_tls.SMTP)  # so that what is shown stands in the store
        self._before = [one for one in store.on(server) if "SMTP" in one.services.split(", ")]
        for one in self._before:
            kept = [word for word in one.services.split(", ") if word != "SMTP"]
            store.assign(server, one.thumbprint, ", ".join(kept) or "None")

    def off(self, world: World, target: str) -> None:
        server = self._server(world, target)
        for one in self._before:
            world.certificates.assign(server, one.thumbprint, one.services)
        self.release(world)

    def _server(self, world: World, target: str) -> Server:
        return world.organisation.server(server_named(self, world, target))


class OneWayIn(Worse):
    id = "gateway-one-next-hop"
    family = "transport"
    shows = ("tr_inbound_paths",)
    description = "the mail gateway hands mail to one server only: without it nothing comes in"
    wants = "the server that it knows"

    def what(self, world: World, target: str) -> Transport:
        return world.transport

    def worse(self, world: World, target: str) -> dict[str, object]:
        return {"gateway_to": (server_named(self, world, target),)}


def _submission(world: World, server: str) -> Queue:
    return world.transport.posts[server].queues["Submission"]
