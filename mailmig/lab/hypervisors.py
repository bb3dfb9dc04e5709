"""Hyper-V hosts and the virtual machines on them, as operations.md 9 wants them looked at.

Names of states and actions are those of Hyper-V's own enums, which no language translates
("Running", "ShutDown"). Memory is bytes. The hosts form one cluster, so that a rule can keep two
machines apart; each site has storage of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

STANDARD, RECOVERY = "Standard", "Recovery"
# What other software a host of Exchange guests must not run; ids of Win32_ServerFeature [MEM].
HYPER_V_FEATURE: Final = 20
HOST_CORES: Final = 24


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A snapshot of a guest. Recovery ones are made, and removed again, by a backup of the host."""

    name: str
    at: datetime
    kind: str = STANDARD


@dataclass(slots=True)
class Guest:
    """A virtual machine, by the short name of the machine in it."""

    name: str
    processors: int
    memory: int
    disks: tuple[str, ...]
    group: str
    dynamic_memory: bool = False
    stop_action: str = "ShutDown"
    checkpoint_type: str = "Disabled"
    checkpoints: tuple[Checkpoint, ...] = ()
    time_sync: bool = False


@dataclass(slots=True)
class Host:
    """One host. `name` is short; `features` are the roles of Windows that are installed."""

    name: str
    cores: int = HOST_CORES
    guests: list[Guest] = field(default_factory=list)
    features: tuple[int, ...] = (HYPER_V_FEATURE,)

    @classmethod
    def carrying(cls, name: str, guests: Sequence[tuple[str, int, int]], group: str) -> "Host":
        """A host with these guests: name, memory, processors. A rule keeps `group` apart."""
        host = cls(name)
        for guest, memory, processors in guests:
            disks = tuple(
                rf"C:\ClusterStorage\{name}\{guest}\{guest}-{disk}.vhdx"
                for disk in ("system", "databases", "logs")
            )
            host.guests.append(Guest(guest, processors, memory, disks, group))
        return host

    def guest(self, name: str) -> Guest | None:
        """The guest with this name, whatever the case."""
        return next((one for one in self.guests if one.name.lower() == name.lower()), None)


@dataclass(slots=True)
class Heartbeat:
    """How long a cluster waits for a node: delays in milliseconds, thresholds in missed beats."""

    same_subnet_delay: int = 1000
    same_subnet_threshold: int = 20
    cross_subnet_delay: int = 1000
    cross_subnet_threshold: int = 20
