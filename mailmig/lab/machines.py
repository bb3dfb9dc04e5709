"""The machines below Exchange: their Windows, clocks, disks and loads, and who can reach them.

    machines = Machines(organisation, places)
    machines.of("ls-ex1")                  # one machine, by its full or its short name
    machines.reach("ls-ex1")               # does it answer?

Sizes are bytes, latencies milliseconds, as Windows counts them. The attributes are what faults
and commands change; those of databases' volumes follow from the organisation's copies, so that
Windows and Exchange say the same. What a healthy machine has is what HealthChecker asks for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from mailmig.lab.backups import kept_bytes
from mailmig.lab.hypervisors import Host
from mailmig.lab.organisation import Organisation, guid, share
from mailmig.model.quota import GIB, MIB

# Windows Server 2016 below Exchange 2016, 2022 below all else; the revision is the update's [MEM].
WINDOWS_2016: Final = ("10.0.14393", 7606)
WINDOWS_2022: Final = ("10.0.20348", 3091)
# The GUIDs of Windows' own power plans.
HIGH_PERFORMANCE: Final = "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c"
BALANCED: Final = "381b4222-f694-41f0-9685-ff5bb260df2e"
# .NET Framework 4.8 as the registry of Windows Server counts it [MEM].
DOTNET_48: Final = 528_449
RUNTIMES: Final = (
    "Microsoft Visual C++ 2012 Redistributable (x64) - 11.0.61030",
    "Microsoft Visual C++ 2013 Redistributable (x64) - 12.0.40664",
)
# The volume for the log files of all databases on a server.
LOGS: Final = "E:\\"
# A machine was started this long ago when the lab began: days.
_UP_AT_LEAST, _UP_SPREAD = 3, 35
_BLOCK: Final = 64 * 1024
_LARGEST_PAGE_FILE_MB: Final = 32_778


class Role(Enum):
    """What a machine is for."""

    EXCHANGE = "Exchange"
    CONTROLLER = "domain controller"
    WITNESS = "witness"
    HOST = "Hyper-V host"


class Reach(Enum):
    """What somebody meets who connects to a machine."""

    UP = "answers"
    DOWN = "refuses connections: it is off"
    HUNG = "takes connections and never says a word"
    CUT = "nothing comes back: its site has no network"


@dataclass(frozen=True, slots=True)
class Place:
    """A machine as the layout has it."""

    name: str
    site: str
    address: str
    role: Role


@dataclass(slots=True)
class Disk:
    """One fixed volume."""

    path: str
    label: str
    file_system: str
    capacity: int
    free: int
    block_size: int = 4096


@dataclass(frozen=True, slots=True)
class PageFile:
    """One page file; 0 and 0 is a size that the system manages. MB."""

    path: str
    initial_mb: int
    largest_mb: int


@dataclass(slots=True)
class Card:
    """One network card. `registers` is whether its address is written into DNS."""

    name: str
    addresses: tuple[str, ...]
    discarded: int = 0
    registers: bool = True


@dataclass(frozen=True, slots=True)
class Log:
    """One event log: how far it reaches back, and whether it is full."""

    name: str
    reaches_back: timedelta
    full: bool
    largest: int = 20 * MIB


@dataclass(slots=True)
class Load:
    """What the counters say. Latencies are those of each database that is mounted here."""

    processor: float = 22.0
    database_read_ms: float = 6.0
    database_write_ms: float = 4.0
    passive_read_ms: float = 18.0
    log_write_ms: float = 1.0
    log_stalls: float = 0.0
    page_fault_stalls: float = 0.0
    rpc_ms: float = 7.0
    rpc_requests: float = 4.0


@dataclass(slots=True)
class Machine:
    """One machine. `setup` names programs of an installation that runs now."""

    place: Place
    started: datetime
    version: str
    revision: int
    memory: int
    processors: int
    page_files: tuple[PageFile, ...]
    disks: tuple[Disk, ...]
    card: Card
    logs: tuple[Log, ...]
    down: bool = False
    hung: bool = False
    clock_ahead: timedelta = timedelta()
    pending_reboot: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    page_automatic: bool = False
    power_plan: str = HIGH_PERFORMANCE
    keep_alive_ms: int | None = 1_800_000
    ipv6_disabled: int | None = None
    proxy: str = ""
    credential_guard: bool = False
    dotnet: int = DOTNET_48
    runtimes: tuple[str, ...] = RUNTIMES
    load: Load = field(default_factory=Load)

    @property
    def name(self) -> str:
        """The name without the domain."""
        return self.place.name.partition(".")[0]


class Machines:
    """All machines of an organisation, and the hosts that carry some of them."""

    def __init__(self, organisation: Organisation, places: Sequence[Place]) -> None:
        self._organisation = organisation
        self._all = {
            place.name.lower(): machine_at(organisation, place, organisation.now)
            for place in places
        }
        self.hosts = {
            one.place.name.lower(): self._host(one) for one in self if one.place.role is Role.HOST
        }
        # Sites without a network, by name.
        self.cut_sites: set[str] = set()

    def __iter__(self) -> Iterator[Machine]:
        return iter(self._all.values())

    def of(self, name: str) -> Machine | None:
        """The machine with this full or short name, whatever the case."""
        wanted = name.lower()
        return next(
            (one for one in self if wanted in (one.place.name.lower(), one.name.lower())), None
        )

    def at(self, site: str) -> tuple[Machine, ...]:
        """All machines of a site."""
        return tuple(one for one in self if one.place.site.lower() == site.lower())

    def started(self, machine: Machine) -> datetime:
        """When a machine was last started; the cluster knows of its members and the witness."""
        booted = self._organisation.cluster.booted.get(machine.name.lower())
        return machine.started if booted is None else max(machine.started, booted)

    def host_of(self, name: str) -> Host | None:
        """The host that carries the machine with this short name."""
        return next((host for host in self.hosts.values() if host.guest(name)), None)

    def reach(self, name: str, site: str = "") -> Reach:
        """What somebody meets who connects to this machine.

        One that is no Windows here, such as a resolver, is up unless its `site` has no network.
        """
        machine = self.of(name)
        if machine is None:
            return Reach.CUT if site in self.cut_sites else Reach.UP
        state = self.state(machine)
        gone = {one.lower() for one in tuple(self._organisation.down)}
        return Reach.DOWN if state is Reach.UP and machine.name.lower() in gone else state

    def state(self, machine: Machine) -> Reach:
        """The same as far as machines, hosts and sites decide it."""
        host = self.host_of(machine.name)
        below = self.of(host.name) if host is not None else None
        if machine.place.site in self.cut_sites:
            return Reach.CUT
        if machine.hung:
            return Reach.HUNG
        return Reach.DOWN if machine.down or (below is not None and below.down) else Reach.UP

    def disks(self, machine: Machine) -> Iterator[Disk]:
        """The volumes of a machine; log files and databases fill theirs."""
        organisation = self._organisation
        for disk in machine.disks:
            kept = kept_bytes(organisation, machine.name) if disk.path == LOGS else 0
            yield replace(disk, free=max(0, disk.free - kept))
        for copy in organisation.copies:
            if copy.server.lower() == machine.name.lower():
                yield Disk(
                    rf"D:\Databases\{copy.database}" "\\", copy.database, "ReFS", copy.disk_total,
                    copy.disk_free, _BLOCK,
                )  # fmt: skip

    def _host(self, machine: Machine) -> Host:
        """The host carries the nodes of its site."""
        nodes = [
            (one.name.upper(), one.memory, one.processors)
            for one in self.at(machine.place.site)
            if one.place.role is Role.EXCHANGE and self._in_dag(one.name)
        ]
        return Host.carrying(machine.name.upper(), nodes, self._organisation.dag.name)

    def _in_dag(self, name: str) -> bool:
        return name.lower() in (node.lower() for node in self._organisation.dag.servers)


def machine_at(organisation: Organisation, place: Place, now: datetime) -> Machine:
    """A healthy machine."""
    server = next((s for s in organisation.servers if s.fqdn.lower() == place.name.lower()), None)
    old = server is not None and server.version in ("2013", "2016")
    exchange = place.role is Role.EXCHANGE
    memory = (128 if exchange else 256 if place.role is Role.HOST else 16) * GIB
    version, revision = WINDOWS_2016 if old else WINDOWS_2022
    away = share(organisation.seed, "start", place.name) * _UP_SPREAD + _UP_AT_LEAST
    disks = [Disk("C:\\", "", "NTFS", 200 * GIB, 121 * GIB)]
    if exchange:
        disks.append(Disk(LOGS, "Logs", "ReFS", 2_000 * GIB, 1_700 * GIB, _BLOCK))
    if place.role is Role.WITNESS:
        disks.append(Disk("D:\\", "Daten", "NTFS", 4_000 * GIB, 1_800 * GIB))
    return Machine(
        place,
        started=(now - timedelta(days=away)).replace(microsecond=0),
        version=version, revision=revision, memory=memory,
        processors={Role.EXCHANGE: 12, Role.HOST: 48}.get(place.role, 4),
        page_files=(page_file(memory, old=old),),
        disks=tuple(disks),
        card=Card("Microsoft Hyper-V Network Adapter", (place.address,)),
        logs=tuple(Log(name, timedelta(days=47), True) for name in ("Application", "System")),
    )  # fmt: skip


def page_file(memory: int, *, old: bool) -> PageFile:
    """The one page file that HealthChecker wants: a quarter of the memory; before 2019 all of it."""
    wanted = min(memory // MIB + 10, _LARGEST_PAGE_FILE_MB) if old else memory // MIB // 4
    return PageFile(r"C:\pagefile.sys", wanted, wanted)


def volume_id(machine: Machine, disk: Disk) -> str:
    r"""A volume's own name: "\\?\Volume{GUID}\"."""
    return rf"\\?\Volume{{{guid('volume', machine.place.name, disk.path)}}}" "\\"
