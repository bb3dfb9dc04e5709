"""What one row of each script's answer means: a PowerShell object in, a fact out.

Raises KeyError, TypeError or ValueError for a row that lacks something or holds something else.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from mailmig.model.windows import (
    Checkpoint,
    ClientUse,
    ClusterHeartbeat,
    ClusterNode,
    ClusterWitness,
    Counter,
    EventLog,
    HyperVHost,
    LogRead,
    MachineHealth,
    NetworkCard,
    NodeState,
    PageFile,
    ResourceState,
    Service,
    SystemStart,
    VirtualMachine,
    Volume,
    WindowsFact,
    ZoneAgeing,
    ZoneRecord,
)
from mailmig.wire.clixml import Obj, items

# Win32_OperatingSystem.ProductType of a domain controller.
_CONTROLLER: Final = 2
_PLAN: Final = "Microsoft:PowerPlan\\"
# How the scripts that read logs write a moment.
LOGGED: Final = "%Y-%m-%d %H:%M:%S"


def text_of(row: Obj, name: str) -> str:
    value = row[name]
    if value is None:
        return ""
    if isinstance(value, Obj):
        return value.text or str(value.value or "")
    return str(value)


def number_of(row: Obj, name: str) -> int | None:
    """A whole number; an enum or a number with properties around it counts too."""
    value = row[name]
    inner = value.value if isinstance(value, Obj) else value
    if inner is None:
        return None
    if isinstance(inner, bool) or not isinstance(inner, int):
        raise TypeError(f"{name} is {inner!r}")
    return int(inner)


def _whole(row: Obj, name: str) -> int:
    number = number_of(row, name)
    if number is None:
        raise TypeError(f"{name} is missing")
    return number


def _moment(row: Obj, name: str) -> datetime | None:
    """All scripts print UTC; a moment without a zone is one."""
    value = row[name]
    inner = value.value if isinstance(value, Obj) else value
    if inner is None:
        return None
    if not isinstance(inner, datetime):
        raise TypeError(f"{name} is {inner!r}")
    return inner.replace(tzinfo=UTC) if inner.tzinfo is None else inner.astimezone(UTC)


def _node(row: Obj) -> ClusterNode:
    return ClusterNode(
        text_of(row, "Name"), NodeState.of(number_of(row, "State")), _whole(row, "Weight"),
        _whole(row, "DynamicWeight"),
    )  # fmt: skip


def _witness(row: Obj) -> ClusterWitness:
    return ClusterWitness(
        text_of(row, "Cluster"), text_of(row, "Kind"), ResourceState.of(number_of(row, "State")),
        text_of(row, "Owner"), text_of(row, "Share"), _whole(row, "DynamicWeight"),
        bool(row["DynamicQuorum"]),
    )  # fmt: skip


def _service(row: Obj) -> Service:
    return Service(
        text_of(row, "Name"), text_of(row, "Title"), text_of(row, "State"), text_of(row, "StartMode"),
        bool(row["Delayed"]), number_of(row, "ProcessId") or None, _whole(row, "ExitCode"),
    )  # fmt: skip


def _volume(row: Obj) -> Volume:
    return Volume(
        text_of(row, "Id"), text_of(row, "Path"), text_of(row, "Label"), text_of(row, "FileSystem"),
        number_of(row, "Capacity"), number_of(row, "Free"), number_of(row, "BlockSize"),
    )  # fmt: skip


def _start(row: Obj) -> SystemStart:
    started, now = _moment(row, "StartedAt"), _moment(row, "Now")
    if started is None or now is None:
        raise TypeError("a moment is missing")
    return SystemStart(text_of(row, "Name"), text_of(row, "Version"), started, now)


def _record(row: Obj) -> ZoneRecord:
    return ZoneRecord(
        text_of(row, "Name"), text_of(row, "Type"), text_of(row, "Value"), _whole(row, "TimeToLive"),
        _moment(row, "Stamped"),
    )  # fmt: skip


def _ageing(row: Obj) -> ZoneAgeing:
    every = number_of(row, "Scavenging")
    return ZoneAgeing(
        text_of(row, "Name"), bool(row["InDirectory"]), text_of(row, "Update"),
        bool(row["Ageing"]), timedelta(seconds=_whole(row, "NoRefresh")),
        timedelta(seconds=_whole(row, "Refresh")),
        None if every is None else timedelta(seconds=every),
    )  # fmt: skip


def _heartbeat(row: Obj) -> ClusterHeartbeat:
    return ClusterHeartbeat(
        _whole(row, "SameSubnetDelay"), _whole(row, "SameSubnetThreshold"),
        _whole(row, "CrossSubnetDelay"), _whole(row, "CrossSubnetThreshold"),
    )  # fmt: skip


def _health(row: Obj) -> MachineHealth:
    plan = text_of(row, "PowerPlan").removeprefix(_PLAN).strip("{}").lower()
    return MachineHealth(
        text_of(row, "Name"), text_of(row, "Version"), number_of(row, "Revision"),
        _whole(row, "ProductType") == _CONTROLLER, _whole(row, "Memory"),
        _whole(row, "Processors"), _texts(row, "Reboot"), _texts(row, "Setup"),
        bool(row["PageAutomatic"]),
        tuple(
            PageFile(text_of(one, "Path"), _whole(one, "Initial"), _whole(one, "Largest"))
            for one in _objects(row, "PageFiles")
        ),
        plan, number_of(row, "KeepAlive"), number_of(row, "IPv6"), text_of(row, "Proxy"),
        bool(row["CredentialGuard"]), number_of(row, "DotNet"), _texts(row, "Runtimes"),
    )  # fmt: skip


def _card(row: Obj) -> NetworkCard:
    return NetworkCard(
        text_of(row, "Name"), _texts(row, "Addresses"), number_of(row, "Discarded"),
        bool(row["Registers"]),
    )  # fmt: skip


def _log(row: Obj) -> EventLog:
    return EventLog(
        text_of(row, "Name"), _whole(row, "Size"), _whole(row, "Largest"), bool(row["Full"]),
        _moment(row, "Oldest"),
    )  # fmt: skip


def _counter(row: Obj) -> Counter:
    value = row["Value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"Value is {value!r}")
    group, instance = text_of(row, "Group"), text_of(row, "Instance")
    return Counter(group, instance, text_of(row, "Name"), float(value))


def _host(row: Obj) -> HyperVHost:
    features = tuple(int(one) for one in _texts(row, "Features"))
    return HyperVHost(text_of(row, "Name"), _whole(row, "Cores"), _whole(row, "Memory"), features)


def _virtual(row: Obj) -> VirtualMachine:
    return VirtualMachine(
        text_of(row, "Name"), text_of(row, "State"), text_of(row, "Host"),
        _whole(row, "Processors"), _whole(row, "Memory"), bool(row["DynamicMemory"]),
        text_of(row, "StopAction"), text_of(row, "CheckpointType"),
        tuple(_checkpoint(one) for one in _objects(row, "Checkpoints")),
        bool(row["TimeSync"]), _texts(row, "Disks"), _texts(row, "Apart"),
    )  # fmt: skip


def _checkpoint(row: Obj) -> Checkpoint:
    at = _moment(row, "At")
    if at is None:
        raise TypeError("At is missing")
    return Checkpoint(text_of(row, "Name"), at, text_of(row, "Kind"))


def _use(row: Obj) -> LogRead | ClientUse:
    """A client of a log, or what was read of it; "|" is a field that the log does not have."""
    if "Client" not in row:
        oldest = text_of(row, "Oldest")
        return LogRead(
            text_of(row, "Folder"), bool(row["There"]), _whole(row, "Files"), _whole(row, "Lines"),
            _whole(row, "Unread"), _whole(row, "Left"), _logged(oldest) if oldest != "9" else None,
        )  # fmt: skip
    host, protocol, software, address, user = (
        None if cell == "|" else cell for cell in text_of(row, "Client").split("\t")
    )
    return ClientUse(
        host, protocol, software, address, user, _whole(row, "Requests"), _whole(row, "Accepted"),
        _logged(text_of(row, "Last")),
    )  # fmt: skip


def _logged(text: str) -> datetime:
    """The moment of a line; all logs are in UTC."""
    return datetime.strptime(text, LOGGED).replace(tzinfo=UTC)


def _texts(row: Obj, name: str) -> tuple[str, ...]:
    """A list of texts or numbers, as texts; nothing where it is empty or missing in PowerShell."""
    return tuple(str(one) for one in items(row[name]) if one is not None)


def _objects(row: Obj, name: str) -> tuple[Obj, ...]:
    found = tuple(one for one in items(row[name]) if one is not None)
    if not all(isinstance(one, Obj) for one in found):
        raise TypeError(f"{name} holds something else than objects")
    return tuple(one for one in found if isinstance(one, Obj))


FACTS: Final[Mapping[str, Callable[[Obj], WindowsFact]]] = {
    "boot_time": _start,
    "client_use": _use,
    "cluster_heartbeat": _heartbeat,
    "cluster_nodes": _node,
    "cluster_witness": _witness,
    "counters": _counter,
    "dns_records": _record,
    "dns_zone": _ageing,
    "event_logs": _log,
    "hyper_v_host": _host,
    "machine_health": _health,
    "network_cards": _card,
    "services": _service,
    "smtp_use": _use,
    "virtual_machines": _virtual,
    "volumes": _volume,
}
