"""The rows that the scripts of mailmig print on a Windows machine, made of its state.

Shapes are those of the files in `wire/windows_scripts`. Class, property and instance names of
Exchange's counters are from memory [MEM].
"""

from collections.abc import Callable, Iterator
from typing import Final

from mailmig.lab.hypervisors import Guest, Heartbeat
from mailmig.lab.machines import Log, Machine, Reach, Role, volume_id
from mailmig.lab.organisation import share
from mailmig.lab.world import World
from mailmig.model.windows import NodeState
from mailmig.wire.clixml import Int64, Obj, Value

_CUSTOM: Final = ("System.Management.Automation.PSCustomObject", "System.Object")
_ARRAY: Final = ("System.Object[]", "System.Array", "System.Object")
# Numbers of System.Management.Automation.ErrorCategory.
_CATEGORIES: Final = {"ObjectNotFound": 13, "PermissionDenied": 18, "ConnectionError": 27}
# Win32_OperatingSystem.ProductType.
_CONTROLLER, _SERVER = 2, 3
_AVAILABLE_SHARE: Final = 0.21


class Failed(Exception):
    """A script fails; `row` is what it prints then."""

    def __init__(self, message: str, category: str, fq_id: str, reason: str) -> None:
        super().__init__(message)
        self.row = row(
            MailmigError=message, Category=_CATEGORIES[category], Id=fq_id, Reason=reason
        )


def unknown_cmdlet(name: str) -> Failed:
    """What PowerShell says where the module of a cmdlet is not installed."""
    return Failed(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or "
        "operable program. Check the spelling of the name, or if a path was included, verify that "
        "the path is correct and try again.",
        "ObjectNotFound", "CommandNotFoundException", "CommandNotFoundException",
    )  # fmt: skip


def row(**values: Value) -> Obj:
    """One object as a script gives it."""
    return Obj(_CUSTOM, extended=values)


def listed(values: Iterator[Value] | list[Value]) -> Obj:
    """An array in an object."""
    return Obj(_ARRAY, value=list(values))


def heartbeat(beat: Heartbeat) -> Obj:
    return row(
        SameSubnetDelay=beat.same_subnet_delay, SameSubnetThreshold=beat.same_subnet_threshold,
        CrossSubnetDelay=beat.cross_subnet_delay, CrossSubnetThreshold=beat.cross_subnet_threshold,
    )  # fmt: skip


def hosts(world: World) -> list[Obj]:
    """The nodes of the cluster of hosts. They keep their votes, and a witness of theirs helps."""
    machines = world.surroundings.machines
    return [
        row(
            Name=host.name, Weight=1, DynamicWeight=1,
            State=int(NodeState.UP if machines.reach(host.name) is Reach.UP else NodeState.DOWN),
        )
        for host in machines.hosts.values()
    ]  # fmt: skip


def guests(world: World, machine: Machine) -> list[Obj]:
    """The virtual machines of a host."""
    machines = world.surroundings.machines
    host = machines.hosts[machine.place.name.lower()]
    reach = machines.reach
    return [_guest(one, host.name, reach(one.name) is not Reach.DOWN) for one in host.guests]


def _guest(guest: Guest, host: str, runs: bool) -> Obj:
    return row(
        Name=guest.name, State="Running" if runs else "Off", Host=host.upper(),
        Processors=guest.processors, Memory=Int64(guest.memory if runs else 0),
        DynamicMemory=guest.dynamic_memory, StopAction=guest.stop_action,
        CheckpointType=guest.checkpoint_type,
        Checkpoints=listed(
            [row(Name=one.name, At=one.at, Kind=one.kind) for one in guest.checkpoints]
        ),
        TimeSync=guest.time_sync, Disks=listed(list(guest.disks)),
        Apart=listed([guest.group] if guest.group else []),
    )  # fmt: skip


def _start(world: World, machine: Machine) -> list[Obj]:
    ahead = machine.clock_ahead
    return [
        row(
            Name=machine.name.upper(), Version=machine.version,
            StartedAt=world.surroundings.machines.started(machine) + ahead, Now=world.now + ahead,
        )
    ]  # fmt: skip


def _volumes(world: World, machine: Machine) -> list[Obj]:
    return [
        row(
            Id=volume_id(machine, disk), Path=disk.path, Label=disk.label,
            FileSystem=disk.file_system, Capacity=Int64(disk.capacity), Free=Int64(disk.free),
            BlockSize=Int64(disk.block_size),
        )
        for disk in world.surroundings.machines.disks(machine)
    ]  # fmt: skip


def _health(world: World, machine: Machine) -> list[Obj]:
    controller = machine.place.role is Role.CONTROLLER
    promoted = machine.name.upper() in {one.upper() for one in world.surroundings.forest.promoted}
    return [
        row(
            Name=machine.name.upper(), Version=machine.version, Revision=machine.revision,
            ProductType=_CONTROLLER if controller or promoted else _SERVER,
            Memory=Int64(machine.memory), Processors=machine.processors,
            Reboot=listed(list(machine.pending_reboot)), Setup=listed(list(machine.setup)),
            PageAutomatic=machine.page_automatic,
            PageFiles=listed(
                [
                    row(Path=one.path, Initial=one.initial_mb, Largest=one.largest_mb)
                    for one in machine.page_files
                ]
            ),
            PowerPlan=rf"Microsoft:PowerPlan\{{{machine.power_plan}}}",
            KeepAlive=machine.keep_alive_ms, IPv6=machine.ipv6_disabled, Proxy=machine.proxy,
            CredentialGuard=machine.credential_guard, DotNet=machine.dotnet,
            Runtimes=listed(list(machine.runtimes)),
        )
    ]  # fmt: skip


def _cards(world: World, machine: Machine) -> list[Obj]:
    card = machine.card
    return [
        row(
            Name=card.name, Addresses=listed(list(card.addresses)),
            Discarded=Int64(card.discarded), Registers=card.registers,
        )
    ]  # fmt: skip


def _logs(world: World, machine: Machine) -> list[Obj]:
    def one(log: Log) -> Obj:
        size = log.largest if log.full else log.largest // 3
        return row(
            Name=log.name, Size=Int64(size), Largest=Int64(log.largest), Full=log.full,
            Oldest=world.now - log.reaches_back,
        )  # fmt: skip

    return [one(log) for log in machine.logs]


def _counters(world: World, machine: Machine) -> list[Obj]:
    load = machine.load
    found = [
        ("PerfOS_Processor", "_Total", "PercentProcessorTime", load.processor),
        ("PerfOS_Memory", "", "AvailableBytes", machine.memory * _AVAILABLE_SHARE),
    ]
    for copy in world.organisation.copies:
        if copy.server.lower() != machine.name.lower():
            continue
        mine = 0.9 + 0.2 * share(machine.name, copy.database)
        values = {
            "IODatabaseReadsAttachedAverageLatency": load.database_read_ms * copy.active,
            "IODatabaseWritesAttachedAverageLatency": load.database_write_ms * copy.active,
            "IODatabaseReadsRecoveryAverageLatency": load.passive_read_ms * (not copy.active),
            "IOLogWritesAverageLatency": load.log_write_ms,
            "LogRecordStallsPersec": load.log_stalls,
            "DatabasePageFaultStallsPersec": load.page_fault_stalls,
        }
        instance = f"Information Store - {copy.database}"
        found += [
            ("ESE_MSExchangeDatabaseInstances", instance, name, round(value * mine, 1))
            for name, value in values.items()
        ]
        store = {"RPCAverageLatency": load.rpc_ms, "RPCRequests": load.rpc_requests}
        found += [
            ("MSExchangeISStore_MSExchangeISStore", copy.database.lower(), name,
             round(value * mine * copy.active, 1))
            for name, value in store.items()
        ]  # fmt: skip
    return [row(Group=g, Instance=i, Name=n, Value=float(v)) for g, i, n, v in found]


def _host(world: World, machine: Machine) -> list[Obj]:
    host = world.surroundings.machines.hosts.get(machine.place.name.lower())
    return [
        row(
            Name=machine.name.upper(), Cores=host.cores if host else machine.processors,
            Memory=Int64(machine.memory), Features=listed(list(host.features) if host else []),
        )
    ]  # fmt: skip


# What every Windows answers.
EVERYWHERE: Final[dict[str, Callable[[World, Machine], list[Obj]]]] = {
    "boot_time": _start,
    "counters": _counters,
    "event_logs": _logs,
    "hyper_v_host": _host,
    "machine_health": _health,
    "network_cards": _cards,
    "volumes": _volumes,
}
