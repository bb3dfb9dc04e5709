"""Managed availability: what each server thinks of itself, and which of that was muted.

A health set has monitors, a monitor watches one thing. What is wrong makes its monitor Degraded;
after a minute it is Unhealthy, and some minutes after the cause is gone it is Healthy again
(health.md 2.4 and 7.14). An alert may hang: it stays until the health manager starts anew.
Overrides mute a monitor or change a value of it; some of them expire.

The names of health sets, groups and monitors are a selection from public listings and from
memory [MEM].
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab import services
from mailmig.model.organisation import Server

if TYPE_CHECKING:
    from mailmig.lab.world import World

DEGRADED_FOR: Final = timedelta(seconds=60)
SETTLES_IN: Final = timedelta(minutes=5)
HEALTHY, DEGRADED, UNHEALTHY, DISABLED = "Healthy", "Degraded", "Unhealthy", "Disabled"
# AlertValue in the order of how bad it is; the numbers are from memory [MEM].
ALERTS: Final = {HEALTHY: 0, DISABLED: 4, DEGRADED: 1, UNHEALTHY: 2}
TOUCH, SERVICE, SERVER, DEPENDENCY = (
    "CustomerTouchPoints", "ServiceComponents", "ServerComponents", "KeyDependencies",
)  # fmt: skip

Wrong = Callable[["World", Server], bool]


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor. `component` is the server component that it watches, "None" for none."""

    health_set: str
    group: str
    component: str
    name: str
    wrong: Wrong


def _stopped(*names: str) -> Wrong:
    def wrong(world: "World", server: Server) -> bool:
        conditions = world.conditions(server.name)
        return any(not services.runs(conditions, name) for name in names)

    return wrong


def _pools(*names: str) -> Wrong:
    pools = {f"msexchange{name}apppool".lower() for name in names}

    def wrong(world: "World", server: Server) -> bool:
        conditions = world.conditions(server.name)
        down = not services.runs(conditions, "W3Svc")
        return down or any(pool.lower() in pools for pool in conditions.stopped_pools)

    return wrong


def _never(world: "World", server: Server) -> bool:
    """Nothing that the lab knows makes this one fail."""
    return False


def _pressure(world: "World", server: Server) -> bool:
    return "High" in world.transport.posts[server.name].pressure.values()


def _poisoned(world: "World", server: Server) -> bool:
    return world.transport.posts[server.name].queues["Poison"].count > 0


def _dismounted(world: "World", server: Server) -> bool:
    found = world.organisation.databases.values()
    return any(one.server == server.name and not one.mounted for one in found)


def _copies_behind(world: "World", server: Server) -> bool:
    return any(
        copy.server == server.name and not copy.active and copy.queue_logs > 12
        for copy in world.organisation.copies
    )  # fmt: skip


def _protocol(
    name: str, component: str, pools: tuple[str, str], short: str = ""
) -> Iterator[Monitor]:
    """A client protocol: its front, its back, and the way through both."""
    short = short or name
    front, back = pools
    yield Monitor(f"{name}.Proxy", TOUCH, component, f"{short}ProxyTestMonitor", _pools(front))
    yield Monitor(f"{name}.Protocol", SERVICE, "None", f"{short}SelfTestMonitor", _pools(back))
    yield Monitor(f"{name}.Protocol", SERVICE, "None", f"{short}DeepTestMonitor", _pools(back))
    yield Monitor(name, TOUCH, "None", f"{short}CtpMonitor", _pools(front, back))


MONITORS: Final = (
    Monitor("AD", DEPENDENCY, "None", "ActiveDirectoryConnectivityMonitor",
            _stopped("MSExchangeADTopology")),
    *_protocol("ActiveSync", "ActiveSyncProxy", ("SyncFrontEnd", "Sync")),
    *_protocol("Autodiscover", "AutoDiscoverProxy", ("AutodiscoverFrontEnd", "Autodiscover")),
    *_protocol("ECP", "EcpProxy", ("ECPFrontEnd", "ECP"), "Eac"),
    *_protocol("EWS", "EwsProxy", ("ServicesFrontEnd", "Services")),
    *_protocol("OAB", "OabProxy", ("OABFrontEnd", "OAB")),
    *_protocol("OWA", "OwaProxy", ("OWA", "OWA")),
    *_protocol("Outlook", "RpcProxy", ("RpcProxyFrontEnd", "RpcProxy"), "OutlookRpc"),
    *_protocol("OutlookMapiHttp", "MapiProxy", ("MapiFrontEnd", "MapiMailbox")),
    *_protocol("RPS", "RpsProxy", ("PowerShellFrontEnd", "PowerShell")),
    Monitor("Clustering", SERVER, "None", "ClusterServiceMonitor", _stopped(services.CLUSTER)),
    Monitor("DataProtection", SERVER, "HighAvailability", "ServiceHealthMSExchangeReplMonitor",
            _stopped("MSExchangeRepl")),
    Monitor("DataProtection", SERVER, "HighAvailability", "DatabaseLogCopyQueueMonitor",
            _copies_behind),
    Monitor("EdgeSync", SERVICE, "None", "EdgeSyncMonitor", _stopped("MSExchangeEdgeSync")),
    Monitor("EventAssistants", SERVICE, "None", "MailboxAssistantsMonitor",
            _stopped("MSExchangeMailboxAssistants")),
    Monitor("FrontendTransport", TOUCH, "FrontendTransport", "FrontendTransportServiceMonitor",
            _stopped(services.FRONTEND)),
    Monitor("HubTransport", SERVICE, "HubTransport", "TransportServiceRunningMonitor",
            _stopped(services.TRANSPORT)),
    Monitor("HubTransport", SERVICE, "HubTransport", "TransportBackPressureMonitor", _pressure),
    Monitor("HubTransport", SERVICE, "HubTransport", "PoisonQueueMonitor", _poisoned),
    Monitor("MailboxMigration", SERVICE, "None", "MRSServiceMonitor",
            _stopped(services.REPLICATION_OF_MAILBOXES)),
    Monitor("MailboxSpace", SERVER, "None", "DatabaseSizeMonitor", _never),
    Monitor("MailboxTransport", SERVICE, "None", "MailboxTransportDeliveryMonitor",
            _stopped(services.DELIVERY)),
    Monitor("MailboxTransport", SERVICE, "None", "MailboxTransportSubmissionMonitor",
            _stopped(services.SUBMISSION)),
    Monitor("Monitoring", SERVER, "Monitoring", "HealthManagerHeartbeatMonitor", _never),
    Monitor("Network", DEPENDENCY, "None", "NetworkAdapterMonitor", _never),
    Monitor("PublicFolders", SERVICE, "None", "PublicFolderMailboxMonitor", _never),
    Monitor("Search", SERVICE, "None", "SearchServiceRunningMonitor",
            _stopped("MSExchangeFastSearch", "HostControllerService")),
    Monitor("Store", SERVER, "None", "StoreServiceMonitor", _stopped("MSExchangeIS")),
    Monitor("Store", SERVER, "None", "DatabaseMountedMonitor", _dismounted),
    Monitor("UserThrottling", SERVICE, "None", "UserThrottlingMonitor",
            _stopped("MSExchangeThrottling")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Override:
    r"""A muted or changed monitor; `item` is `HealthSet\Name` or `HealthSet\Name\Target`.

    `server` is "" for the whole organisation; one without `expires` holds for good.
    """

    kind: str
    item: str
    setting: str
    value: str
    created: datetime
    by: str
    server: str = ""
    expires: datetime | None = None
    version: str = ""

    @property
    def health_set(self) -> str:
        return self.item.partition("\\")[0]

    @property
    def name(self) -> str:
        return self.item.split("\\")[1] if "\\" in self.item else ""

    @property
    def target(self) -> str:
        return "\\".join(self.item.split("\\")[2:])


@dataclass(slots=True)
class Alert:
    """What a monitor says: since when its thing is wrong, and since when it is right again.

    `settled` is when it last became healthy.
    """

    wrong: datetime | None = None
    right: datetime | None = None
    settled: datetime | None = None

    def value(self, now: datetime) -> str:
        """Its AlertValue."""
        if self.wrong is None:
            return HEALTHY
        return DEGRADED if (self.right or now) - self.wrong < DEGRADED_FOR else UNHEALTHY

    def since(self, now: datetime) -> datetime | None:
        """When it began to say that; None: it never said anything else."""
        if self.wrong is None:
            return self.settled
        return self.wrong + DEGRADED_FOR if self.value(now) == UNHEALTHY else self.wrong


@dataclass(slots=True)
class Monitoring:
    """The alerts of all servers and the overrides; `advance` keeps them up to the time."""

    world: "World"
    overrides: list[Override] = field(default_factory=list)
    # Server and health set whose alert hangs, in lower case; cleared by the health manager's start.
    hanging: set[tuple[str, str]] = field(default_factory=set)
    _alerts: dict[tuple[str, str, str], Alert] = field(default_factory=dict)
    _now: datetime = field(init=False)
    _started: dict[str, datetime | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._now = self.world.organisation.now

    def runs(self, server: str) -> bool:
        """Whether the health manager works."""
        down = server in self.world.organisation.down
        return not down and services.runs(self.world.conditions(server), services.HEALTH_MANAGER)

    def monitors(self, server: Server) -> Iterator[tuple[Monitor, str, datetime]]:
        """The monitors of a server with AlertValue and the time of their last change."""
        self.advance(self.world.organisation.now)
        now = self.world.organisation.now
        first = now.replace(hour=3, minute=0, second=0, microsecond=0) - timedelta(days=6)
        for monitor in self.of(server):
            alert = self._alert(server, monitor)
            hangs = (server.name.lower(), monitor.health_set.lower()) in self.hanging
            value = UNHEALTHY if hangs else alert.value(now)
            if self.is_muted(server, monitor):
                value = DISABLED
            yield monitor, value, alert.since(now) or first

    def is_muted(self, server: Server, monitor: Monitor) -> bool:
        """Whether an override that holds switches the monitor off."""
        now = self.world.organisation.now
        return any(
            (one.health_set.lower(), one.name.lower())
            == (monitor.health_set.lower(), monitor.name.lower())
            and one.kind == "Monitor"
            and one.setting.lower() == "enabled"
            and one.value.lower() in ("0", "false")
            and one.server.lower() in ("", server.name.lower())
            and (one.expires is None or one.expires > now)
            for one in self.overrides
        )

    def advance(self, to: datetime) -> None:
        """Look at everything; what is wrong now was wrong since the last look."""
        since = self._now
        for server in self.world.organisation.servers:
            if not self.runs(server.name):
                continue
            self._begin_anew(server)
            for monitor in self.of(server):
                self._look(
                    self._alert(server, monitor), monitor.wrong(self.world, server), since, to
                )
        self._now = to

    @staticmethod
    def of(server: Server) -> Iterator[Monitor]:
        """The monitors that a server has."""
        return (m for m in MONITORS if m.health_set != "Clustering" or server.dag)

    def _alert(self, server: Server, monitor: Monitor) -> Alert:
        key = (server.name, monitor.health_set, monitor.name)
        return self._alerts.setdefault(key, Alert())

    def _begin_anew(self, server: Server) -> None:
        """A health manager that was started knows nothing of old alerts."""
        at = services.started(self.world.conditions(server.name), services.HEALTH_MANAGER)
        if at != self._started.get(server.name):
            self._started[server.name] = at
            self.hanging = {one for one in self.hanging if one[0] != server.name.lower()}
            for key in [key for key in self._alerts if key[0] == server.name]:
                del self._alerts[key]

    @staticmethod
    def _look(alert: Alert, wrong: bool, since: datetime, now: datetime) -> None:
        if wrong:
            alert.wrong = alert.wrong or since
            alert.right = None
        elif alert.wrong is not None:
            alert.right = alert.right or since
            settles = SETTLES_IN if alert.value(now) == UNHEALTHY else timedelta(0)
            if now - alert.right >= settles:
                alert.settled = alert.right + settles
                alert.wrong = alert.right = None
