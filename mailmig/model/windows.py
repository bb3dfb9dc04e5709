"""What a Windows machine says about itself: nodes, witness, services, volumes, start, records.

Sizes are bytes, as `int`; `None` is "unknown". Moments are aware. Numbers of states are kept as
Windows' own enums name them; a number that is new there becomes `UNKNOWN`, never an error.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Self


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


WindowsFact = ClusterNode | ClusterWitness | Service | Volume | SystemStart | ZoneRecord


@dataclass(frozen=True, slots=True)
class WindowsAnswer:
    """What one script gave at one machine and one moment."""

    server: str
    script: str
    facts: tuple[WindowsFact, ...]
    seen_at: datetime
    origin: str = "winrm"
    vantage: str = ""
