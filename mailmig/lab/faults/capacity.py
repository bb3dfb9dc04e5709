"""Faults of room and load (health.md 2.10)."""

from collections.abc import Mapping

from mailmig.lab.databases import Copy, Database
from mailmig.lab.faults.machines import MachineFault, Worse, machine_named
from mailmig.lab.machines import LOGS, Disk, Load
from mailmig.lab.world import World
from mailmig.model.quota import GIB

FREE = 40 * GIB
SMALL_MEMORY = 24 * GIB
GROWN = 2_400 * GIB
BUSY = 87.0

Changes = Mapping[str, object]


class LoadFault(Worse):
    """The counters of the machine rise."""

    family = "capacity"
    wants = MachineFault.wants

    def what(self, world: World, target: str) -> Load:
        return machine_named(self, world, target).load


class FullDatabaseDisk(Worse):
    id = "cap-database-disk-full"
    family = "capacity"
    shows = ("cap_disk_free",)
    description = "the volume of a database copy has 40 GiB left"
    wants = r"a copy as DATABASE\SERVER"

    def what(self, world: World, target: str) -> Copy:
        for copy in world.organisation.copies:
            if rf"{copy.database}\{copy.server}".lower() == target.lower():
                return copy
        raise self.bad(target)

    def worse(self, world: World, target: str) -> Changes:
        return {"disk_free": FREE}


class DiskFault(Worse):
    """A volume of a machine is almost full."""

    family = "capacity"
    path: str

    def what(self, world: World, target: str) -> Disk:
        for disk in machine_named(self, world, target).disks:
            if disk.path == self.path:
                return disk
        raise self.bad(target)

    def worse(self, world: World, target: str) -> Changes:
        return {"free": self.what(world, target).capacity // 10}


class FullSystemDisk(DiskFault):
    id = "cap-system-disk-full"
    shows = ("cap_disk_free",)
    description = "volume C:, where the mail queue lies, has a tenth left"
    wants = MachineFault.wants
    path = "C:\\"


class FullLogDisk(DiskFault):
    id = "cap-log-disk-full"
    shows = ("cap_disk_free", "cap_survivor", "hyperv:host_backup")
    description = "the volume of the log files has a tenth left: nobody cuts the logs off"
    wants = "an Exchange server"
    path = LOGS


class BusyProcessor(LoadFault):
    id = "cap-processor-busy"
    shows = ("cap_cpu", "cap_survivor")
    description = "the processors are busy to 87 per cent"

    def worse(self, world: World, target: str) -> Changes:
        return {"processor": BUSY}


class LittleMemory(MachineFault):
    id = "cap-memory-small"
    family = "capacity"
    shows = ("cap_memory", "cap_survivor")
    description = "the machine has 24 GiB of memory"

    def worse(self, world: World, target: str) -> Changes:
        return {"memory": SMALL_MEMORY}


class SlowDatabaseDisk(LoadFault):
    id = "cap-database-slow"
    shows = ("cap_db_latency", "cap_survivor")
    description = "databases read in 65 ms and write in 80 ms"

    def worse(self, world: World, target: str) -> Changes:
        return {"database_read_ms": 65.0, "database_write_ms": 80.0, "passive_read_ms": 240.0}


class SlowLogDisk(LoadFault):
    id = "cap-log-slow"
    shows = ("cap_db_latency",)
    description = "log files are written in 16 ms"

    def worse(self, world: World, target: str) -> Changes:
        return {"log_write_ms": 16.0}


class SlowRpc(LoadFault):
    id = "cap-rpc-slow"
    shows = ("cap_rpc_latency",)
    description = "the store answers in 90 ms, with 80 requests waiting"

    def worse(self, world: World, target: str) -> Changes:
        return {"rpc_ms": 90.0, "rpc_requests": 80.0}


class LogStalls(LoadFault):
    id = "cap-log-stalls"
    shows = ("cap_log_stalls",)
    description = "the log buffers are full again and again"

    def worse(self, world: World, target: str) -> Changes:
        return {"log_stalls": 140.0, "page_fault_stalls": 3.0}


class LargeDatabase(Worse):
    id = "cap-database-large"
    family = "capacity"
    shows = ("cap_db_size",)
    description = "the database has grown to 2.4 TB: nobody can restore it in time"
    wants = "a database"

    def what(self, world: World, target: str) -> Database:
        for database in world.organisation.databases.values():
            if database.name.lower() == target.lower():
                return database
        raise self.bad(target)

    def worse(self, world: World, target: str) -> Changes:
        return {"size": self.what(world, target).size + GROWN}

    def off(self, world: World, target: str) -> None:
        self.what(world, target).size -= GROWN
        self.release(world)
