"""What a Windows machine says about itself: cluster, services, volumes, start, records, health.

Sizes are bytes, as `int`; `None` is "unknown". Moments are aware. Numbers of states are kept as
Windows' own enums name them; a number that is new there becomes `UNKNOWN`, never an error.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum
from typing import Final, Self

# What Exchange's own probes call themselves, in lower case.
_PROBES: Final = ("amprobe", "msexchangemonitoring", "activemonitoring")


class _Known(IntEnum):
    """An enum of Windows, whose -1 is "unknown"."""

    @classmethod
    def of(cls, number: object) -> Self:
        if isinstance(number, int) and number in cls._value2member_map_:
            return cls(number)
        return cls(-1)


class NodeState(_Known):
    """ClusterNodeState. A drained node is paused."""

    UNKNOWN = -1
    UP = 0
    DOWN = 1
    PAUSED = 2
    JOINING = 3


class ResourceState(_Known):
    """ClusterResourceState."""

    UNKNOWN = -1
    INHERITED = 0
    INITIALIZING = 1
    ONLINE = 2
    OFFLINE = 3
    FAILED = 4
    PENDING = 128
    ONLINE_PENDING = 129
    OFFLINE_PENDING = 130


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """One node. `weight` is the vote it may have, `dynamic_weight` the one it has now."""

    name: str
    state: NodeState
    weight: int
    dynamic_weight: int


@dataclass(frozen=True, slots=True)
class ClusterWitness:
    """The witness as the cluster sees it; `share` is "" where it is no file share.

    `votes` is the witness's vote now (0 or 1): a share that can be reached and has no vote
    decides nothing. `kind` is "" where the cluster has no witness.
    """

    cluster: str
    kind: str
    state: ResourceState
    owner: str
    share: str
    votes: int
    dynamic_quorum: bool


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `state` and `start_mode` are the words of Win32_Service, never translated.

    States: Stopped, Start Pending, Stop Pending, Running, Continue Pending, Pause Pending,
    Paused, Unknown. Start modes: Boot, System, Auto, Manual, Disabled.
    """

    name: str
    title: str
    state: str
    start_mode: str
    delayed: bool
    process_id: int | None
    exit_code: int

    @property
    def is_running(self) -> bool:
        return self.state == "Running"


@dataclass(frozen=True, slots=True)
class Volume:
    """One fixed volume; `path` is a drive or the folder where it is mounted, "" for neither."""

    id: str
    path: str
    label: str
    file_system: str
    capacity: int | None
    free: int | None
    block_size: int | None


@dataclass(frozen=True, slots=True)
class SystemStart:
    """Since when a machine runs. `now` is what its own clock said."""

    name: str
    version: str
    started_at: datetime
    now: datetime

    @property
    def uptime(self) -> timedelta:
        return self.now - self.started_at


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """One record in an AD-integrated zone. `stamped` is None for a static one."""

    name: str
    type: str
    value: str
    ttl_s: int
    stamped: datetime | None


@dataclass(frozen=True, slots=True)
class ZoneAgeing:
    """How one server treats old records of a zone.

    `update` is the word of Windows' enum: None, Secure, NonsecureAndSecure. `scavenges_every` is
    None on a server that never scavenges by itself.
    """

    zone: str
    in_directory: bool
    update: str
    ageing: bool
    no_refresh: timedelta
    refresh: timedelta
    scavenges_every: timedelta | None


@dataclass(frozen=True, slots=True)
class ClusterHeartbeat:
    """How long a cluster waits for a node: delays in milliseconds, thresholds in missed beats."""

    same_subnet_delay: int
    same_subnet_threshold: int
    cross_subnet_delay: int
    cross_subnet_threshold: int


@dataclass(frozen=True, slots=True)
class PageFile:
    """One page file. Sizes are MB; 0 for both is a size that the system manages."""

    path: str
    initial_mb: int
    largest_mb: int


@dataclass(frozen=True, slots=True)
class MachineHealth:
    """The settings and the state of a Windows that health.md 2.11 asks about.

    `reboot` names why a restart is due: Servicing, Update, Rename. `setup` are installations that
    run now. `power_plan` is a GUID in small letters. `keep_alive_ms` and `ipv6_disabled` are None
    where nothing is set. `dotnet` is the Release number of the registry.
    """

    name: str
    version: str
    revision: int | None
    is_controller: bool
    memory: int
    processors: int
    reboot: tuple[str, ...]
    setup: tuple[str, ...]
    page_automatic: bool
    page_files: tuple[PageFile, ...]
    power_plan: str
    keep_alive_ms: int | None
    ipv6_disabled: int | None
    proxy: str
    credential_guard: bool
    dotnet: int | None
    runtimes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NetworkCard:
    """One card with an address. `discarded` is None where nobody counts for it."""

    name: str
    addresses: tuple[str, ...]
    discarded: int | None
    registers: bool


@dataclass(frozen=True, slots=True)
class EventLog:
    """One event log. `oldest` is None for an empty one."""

    name: str
    size: int
    largest: int
    full: bool
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter by the names of its WMI class and property, which no language translates."""

    group: str
    instance: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class HyperVHost:
    """A host. `cores` are physical; `features` are ids of Win32_ServerFeature, roles only."""

    name: str
    cores: int
    memory: int
    features: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint of a virtual machine. `kind` is the word of Hyper-V's enum: Standard, Recovery."""

    name: str
    at: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class VirtualMachine:
    """A virtual machine as its host knows it (operations.md 9).

    States and actions are the words of Hyper-V's enums, never translated: Running, Off, Saved;
    ShutDown, Save, TurnOff; Disabled, Standard, Production. `apart` are the classes that a rule
    of the host cluster keeps on different hosts. `memory` is what it has now.
    """

    name: str
    state: str
    host: str
    processors: int
    memory: int
    dynamic_memory: bool
    stop_action: str
    checkpoint_type: str
    checkpoints: tuple[Checkpoint, ...]
    time_sync: bool
    disks: tuple[str, ...]
    apart: tuple[str, ...]


class ClientLog(Enum):
    """A log that tells who uses an Exchange server (operations.md 10)."""

    PROXY = "front-end proxy log"
    IIS_FRONT = "IIS log of the front end"
    IIS_BACK = "IIS log of the back end"
    MAPI = "MAPI/HTTP log of the back end"
    SMTP_FRONT = "SMTP receive log of the front end"
    SMTP_HUB = "SMTP receive log of the transport service"


@dataclass(frozen=True, slots=True)
class LogRead:
    """How much of a log was read. `there` is whether its folder exists; no file is no evidence.

    `lines` are those since the asked moment, `unread` those without a time, `left` those that were
    not counted any more because there were too many different clients. `oldest` is the first
    moment in the files, before what was asked too; None where there is no line.
    """

    folder: str
    there: bool
    files: int
    lines: int
    unread: int
    left: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class ClientUse:
    """What one client did, by one log: requests, or SMTP sessions, and the last one.

    `host` is the name that the client used, `protocol` the log's word for it, in IIS the first part
    of the path, in SMTP the receive connector; `software` is what the client calls itself, in SMTP
    its greeting. None is a field that the log does not have: unknown; "" is an empty one, as of
    nobody logged on. `accepted` are requests answered below 400, or messages taken.
    """

    host: str | None
    protocol: str | None
    software: str | None
    address: str | None
    user: str | None
    requests: int
    accepted: int
    last: datetime

    @property
    def is_probe(self) -> bool:
        """Whether Exchange asked itself. The names of its programs are from memory [MEM]."""
        user = (self.user or "").rpartition("\\")[2].lower()
        software = (self.software or "").lower()
        return user.startswith("healthmailbox") or any(word in software for word in _PROBES)


WindowsFact = (
    ClientUse | ClusterHeartbeat | ClusterNode | ClusterWitness | Counter | EventLog | HyperVHost
    | LogRead | MachineHealth | NetworkCard | Service | SystemStart | VirtualMachine | Volume
    | ZoneAgeing | ZoneRecord
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WindowsAnswer:
    """What one script gave at one machine and one moment."""

    server: str
    script: str
    facts: tuple[WindowsFact, ...]
    seen_at: datetime
    origin: str = "winrm"
    vantage: str = ""
