"""Faults of virtual machines and their hosts (operations.md 9)."""

from collections.abc import Mapping
from datetime import timedelta

from mailmig.lab.faults.machines import Claiming, GuestFault, Worse, guest_named, machine_named
from mailmig.lab.faults.servers import hosted_anew
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.hypervisors import HYPER_V_FEATURE, RECOVERY, Checkpoint, Guest, Heartbeat, Host
from mailmig.lab.machines import Machine, Reach, Role
from mailmig.lab.world import World
from mailmig.model.quota import GIB

# What a failover cluster had before Windows Server 2016 [MEM]: five missed beats.
FEW_BEATS = 5
# Win32_ServerFeature: file services beside Hyper-V [MEM].
FILE_SERVER = 6
MANY_PROCESSORS = 64

Changes = Mapping[str, object]


class LeftCheckpoint(GuestFault):
    id = "hyperv-checkpoint"
    shows = ("hyperv:checkpoint",)
    description = "somebody made a checkpoint nine days ago and left it"

    def worse(self, world: World, target: str) -> Changes:
        made = Checkpoint("vor dem Update", world.now - timedelta(days=9))
        return {"checkpoints": (made,), "checkpoint_type": "Production"}


class BackupCheckpoint(GuestFault):
    id = "hyperv-backup-checkpoint"
    shows = ("hyperv:host_backup", "hyperv:checkpoint")
    description = "a backup of the host failed and left its checkpoint, which grows"

    def worse(self, world: World, target: str) -> Changes:
        made = Checkpoint("Backup", world.now - timedelta(hours=31), RECOVERY)
        guest = self.what(world, target)
        disks = tuple(disk.replace(".vhdx", "-AutoRecovery.avhdx") for disk in guest.disks)
        return {"checkpoints": (made,), "disks": disks}


class DynamicMemory(GuestFault):
    id = "hyperv-dynamic-memory"
    shows = ("cap_memory", "hyperv:dynamic_memory")
    description = "the host may take memory away from the machine"

    def worse(self, world: World, target: str) -> Changes:
        return {"dynamic_memory": True, "memory": self.what(world, target).memory // 2}


class SavedState(GuestFault):
    id = "hyperv-saved-state"
    shows = ("hyperv:stop_action",)
    description = "when the host stops, the machine's state is saved instead of shutting it down"

    def worse(self, world: World, target: str) -> Changes:
        return {"stop_action": "Save"}


class HostTime(GuestFault):
    id = "hyperv-host-time"
    shows = ("hyperv:time_sync",)
    description = "the machine takes the time from its host and not from the domain"

    def worse(self, world: World, target: str) -> Changes:
        return {"time_sync": True}


class Overcommit(GuestFault):
    id = "hyperv-processors"
    shows = ("hyperv:processors", "cap_cpu")
    description = "the virtual processors are more than twice the cores of the host"

    def worse(self, world: World, target: str) -> Changes:
        return {"processors": MANY_PROCESSORS}


class DiskOnShare(GuestFault):
    id = "hyperv-disk-on-share"
    shows = ("hyperv:storage",)
    description = "the virtual disks lie on a share of the other site's storage"

    def worse(self, world: World, target: str) -> Changes:
        disks = self.what(world, target).disks
        share = r"\\ls-nas1\vm"
        return {"disks": tuple(rf"{share}\{disk.rpartition(chr(92))[2]}" for disk in disks)}


class NoRule(GuestFault):
    id = "hyperv-no-rule"
    shows = ("hyperv:anti_affinity",)
    description = "no rule keeps the machine off the host of the other node"

    def worse(self, world: World, target: str) -> Changes:
        return {"group": ""}


class SameHost(Claiming):
    id = "hyperv-same-host"
    family = "hyperv"
    shows = ("hyperv:same_host", "hyperv:host_drain")
    description = "the machine was moved live onto the host of the other node"
    wants = "a virtual machine that runs while another host does, as ls-ex1"

    def __init__(self) -> None:
        super().__init__()
        self._home: Host | None = None

    def on(self, world: World, target: str) -> None:
        guest = guest_named(self, world, target)
        machines = world.surroundings.machines
        home = machines.host_of(guest.name)
        others = [host for host in machines.hosts.values() if host is not home]
        up = (Reach.UP, Reach.UP)
        if home is None or not others or tuple(map(machines.reach, (target, others[0].name))) != up:
            raise self.bad(target)
        self.claim(world, target, [("host of", guest.name)])
        _move(guest, home, others[0])
        self._home = home

    def off(self, world: World, target: str) -> None:
        guest, machine = guest_named(self, world, target), machine_named(self, world, target)
        machines = world.surroundings.machines
        now, before = machines.host_of(guest.name), machines.state(machine)
        if now is not None and self._home is not None:
            _move(guest, now, self._home)
            hosted_anew(world, machine, before)
        self.release(world)


class WitnessOnHost(Claiming):
    id = "hyperv-witness-on-host"
    family = "hyperv"
    shows = ("hyperv:witness_placement", "dag_witness_placement")
    description = "the witness server is a virtual machine on the host and the storage of a node"
    wants = "a host, as ls-hv1"

    def on(self, world: World, target: str) -> None:
        host, machine = host_named(self, world, target), self._witness(world)
        self.claim(world, target, [("host of", machine.name)])
        name, before = machine.name.upper(), world.surroundings.machines.state(machine)
        disk = rf"C:\ClusterStorage\{host.name}\{name}\{name}-system.vhdx"
        host.guests.append(Guest(name, 4, 16 * GIB, (disk,), ""))
        hosted_anew(world, machine, before)

    def off(self, world: World, target: str) -> None:
        host, machine = host_named(self, world, target), self._witness(world)
        before = world.surroundings.machines.state(machine)
        host.guests = [one for one in host.guests if one.name.lower() != machine.name.lower()]
        hosted_anew(world, machine, before)
        self.release(world)

    @staticmethod
    def _witness(world: World) -> Machine:
        return next(one for one in world.surroundings.machines if one.place.role is Role.WITNESS)


class OtherWork(Worse):
    id = "hyperv-other-work"
    family = "hyperv"
    shows = ("hyperv:other_roles",)
    description = "the host is a file server too"
    wants = "a host, as ls-hv1"

    def what(self, world: World, target: str) -> Host:
        return host_named(self, world, target)

    def worse(self, world: World, target: str) -> Changes:
        return {"features": (FILE_SERVER, HYPER_V_FEATURE)}


class TightHeartbeat(Worse):
    id = "hyperv-heartbeat-tight"
    family = "hyperv"
    shows = ("hyperv:live_migration",)
    description = "the cluster gives a node up after five seconds: a live migration can be longer"
    wants = ""

    def what(self, world: World, target: str) -> Heartbeat:
        return world.surroundings.heartbeat

    def worse(self, world: World, target: str) -> Changes:
        return {"same_subnet_threshold": FEW_BEATS, "cross_subnet_threshold": FEW_BEATS}


def host_named(fault: Fault, world: World, target: str) -> Host:
    """The host of this full or short name. Raises `BadTarget`."""
    machine = machine_named(fault, world, target)
    found = world.surroundings.machines.hosts.get(machine.place.name.lower())
    if found is None:
        raise fault.bad(target)
    return found


def _move(guest: Guest, source: Host, target: Host) -> None:
    source.guests.remove(guest)
    target.guests.append(guest)
