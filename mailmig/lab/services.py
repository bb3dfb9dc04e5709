"""The Windows services and application pools of an Exchange server: which there are, which run.

One truth for everybody who asks: `Conditions.stopped_services` (names in lower case) holds what
does not run, whatever the reason. Here is what belongs to a server at all, how each service
starts, and the way to stop and start one. Names and lists: health.md 2.4; start modes beyond the
four that are manual, and the titles, are from memory [MEM].
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.model.organisation import Server

if TYPE_CHECKING:
    from mailmig.lab.world import Conditions, World

TRANSPORT: Final = "MSExchangeTransport"
FRONTEND: Final = "MSExchangeFrontEndTransport"
DELIVERY: Final = "MSExchangeDelivery"
SUBMISSION: Final = "MSExchangeSubmission"
HEALTH_MANAGER: Final = "MSExchangeHM"
REPLICATION_OF_MAILBOXES: Final = "MSExchangeMailboxReplication"
CLUSTER: Final = "ClusSvc"
# What stops for good when a proxy component becomes Inactive (health.md 7.2).
STOPPED_BY: Final = {
    "ImapProxy": ("MSExchangeImap4", "MSExchangeIMAP4BE"),
    "PopProxy": ("MSExchangePop3", "MSExchangePOP3BE"),
}
_OLD: Final = ("2013", "2016")
_FROM_2016: Final = ("2016", "2019", "SE")
AUTO, MANUAL, DISABLED = "Auto", "Manual", "Disabled"


@dataclass(frozen=True, slots=True)
class Service:
    """One service; `starts` is Win32_Service's StartMode, no `versions` means all of them.

    One that does not begin `running` waits until somebody starts it.
    """

    name: str
    title: str
    starts: str = AUTO
    running: bool = True
    versions: tuple[str, ...] = ()
    in_dag: bool = False


def _exchange(name: str, title: str, *versions: str) -> Service:
    return Service(f"MSExchange{name}", f"Microsoft Exchange {title}", versions=versions)


SERVICES: Final = (
    Service("BITS", "Background Intelligent Transfer Service", MANUAL, running=False),
    Service(CLUSTER, "Cluster Service", in_dag=True),
    Service("EventLog", "Windows Event Log"),
    Service("HostControllerService", "Microsoft Exchange Search Host Controller"),
    Service("IISAdmin", "IIS Admin Service"),
    Service("MpsSvc", "Windows Defender Firewall"),
    Service("MSComplianceAudit", "Microsoft Exchange Compliance Audit", versions=_FROM_2016),
    _exchange("ADTopology", "Active Directory Topology"),
    _exchange("AntispamUpdate", "Anti-spam Update"),
    _exchange("Compliance", "Compliance Service", *_FROM_2016),
    _exchange("DagMgmt", "DAG Management"),
    _exchange("Delivery", "Mailbox Transport Delivery"),
    _exchange("Diagnostics", "Diagnostics"),
    _exchange("EdgeSync", "EdgeSync"),
    _exchange("FastSearch", "Search"),
    _exchange("FrontEndTransport", "Frontend Transport"),
    _exchange("HM", "Health Manager"),
    _exchange("HMRecovery", "Health Manager Recovery", *_FROM_2016),
    Service("MSExchangeImap4", "Microsoft Exchange IMAP4", MANUAL, running=False),
    Service("MSExchangeIMAP4BE", "Microsoft Exchange IMAP4 Backend", MANUAL, running=False),
    _exchange("IS", "Information Store"),
    _exchange("MailboxAssistants", "Mailbox Assistants"),
    _exchange("MailboxReplication", "Mailbox Replication"),
    _exchange("Mitigation", "Emergency Mitigation Service", *_FROM_2016),
    Service("MSExchangePop3", "Microsoft Exchange POP3", MANUAL, running=False),
    Service("MSExchangePOP3BE", "Microsoft Exchange POP3 Backend", MANUAL, running=False),
    _exchange("Repl", "Replication"),
    _exchange("RPC", "RPC Client Access"),
    _exchange("ServiceHost", "Service Host"),
    _exchange("Submission", "Mailbox Transport Submission"),
    _exchange("Throttling", "Throttling"),
    _exchange("Transport", "Transport"),
    _exchange("TransportLogSearch", "Transport Log Search"),
    _exchange("UM", "Unified Messaging", *_OLD),
    _exchange("UMCR", "Unified Messaging Call Router", *_OLD),
    Service("Pla", "Performance Logs & Alerts", MANUAL, running=False),
    Service("RpcEptMapper", "RPC Endpoint Mapper"),
    Service("W3Svc", "World Wide Web Publishing Service"),
    Service("WinMgmt", "Windows Management Instrumentation"),
    Service("WinRM", "Windows Remote Management (WS-Management)"),
)

# Names from memory [MEM]. Only those two restart from time to time as Setup leaves them (health.md).
POOLS: Final = tuple(
    f"MSExchange{name}AppPool"
    for name in (
        "Autodiscover", "AutodiscoverFrontEnd", "ECP", "ECPFrontEnd", "MapiAddressBook",
        "MapiFrontEnd", "MapiMailbox", "OAB", "OABFrontEnd", "OWA", "OWACalendar", "PowerShell",
        "PowerShellFrontEnd", "PushNotifications", "Rest", "RestFrontEnd", "RpcProxy",
        "RpcProxyFrontEnd", "Services", "ServicesFrontEnd", "Sync", "SyncFrontEnd",
    )
)  # fmt: skip
RECYCLED_BY_SETUP: Final = ("MSExchangeOWAAppPool", "MSExchangeECPAppPool")


class CannotStart(ValueError):
    """The service is disabled: Windows starts it neither by itself nor for anybody."""


def of(server: Server) -> tuple[Service, ...]:
    """The services of one Exchange server, by name."""
    return tuple(
        one
        for one in SERVICES
        if (not one.versions or server.version in one.versions) and (not one.in_dag or server.dag)
    )


def named(server: Server, name: str) -> Service | None:
    """The service of this name, whatever the case."""
    return next((one for one in of(server) if one.name.lower() == name.lower()), None)


def resting(server: Server) -> set[str]:
    """The names, in lower case, of what does not run before somebody starts it."""
    return {one.name.lower() for one in of(server) if not one.running}


def start_mode(conditions: "Conditions", service: Service) -> str:
    """How a service starts now."""
    off = service.name.lower() in conditions.disabled_services
    return DISABLED if off else service.starts


def runs(conditions: "Conditions", name: str) -> bool:
    """Whether a service runs."""
    return name.lower() not in conditions.stopped_services


def stop(world: "World", server: str, name: str) -> None:
    """The service ends. Stopping one that is stopped does nothing."""
    world.sync()
    world.conditions(server).stopped_services.add(name.lower())


def start(world: "World", server: str, name: str) -> None:
    """The service runs; starting one that runs does nothing. Raises `CannotStart`."""
    world.sync()
    conditions = world.conditions(server)
    if name.lower() in conditions.disabled_services:
        raise CannotStart(name)
    if not runs(conditions, name):
        conditions.stopped_services.discard(name.lower())
        _begin(conditions, name, world.organisation.now)


def restart(world: "World", server: str, name: str) -> None:
    """What Restart-Service does. Raises `CannotStart`; then it is stopped."""
    stop(world, server, name)
    start(world, server, name)


def boot(world: "World", server: str) -> None:
    """The machine started anew, and with it all that runs; what was stopped stays so."""
    conditions = world.conditions(server)
    for one in of(world.organisation.server(server)):
        if runs(conditions, one.name):
            _begin(conditions, one.name, world.organisation.now)


def _begin(conditions: "Conditions", name: str, now: datetime) -> None:
    """Two starts never have the same moment: whoever follows them sees both."""
    before = started(conditions, name)
    at = now if before is None or now > before else before + timedelta(microseconds=1)
    conditions.started_services[name.lower()] = at


def started(conditions: "Conditions", name: str) -> datetime | None:
    """When the service last began; None: it runs since before the lab began."""
    return conditions.started_services.get(name.lower())


def follow_components(world: "World", server: str) -> None:
    """Services whose proxy component is Inactive stop and stay stopped (health.md 7.2)."""
    components = world.components(server)
    for component, names in STOPPED_BY.items():
        if components.state(component) == "Inactive":
            for name in names:
                stop(world, server, name)
