"""Faults of backups: too old, never made, or one that does not end."""

from abc import abstractmethod
from datetime import datetime, timedelta
from typing import ClassVar

from mailmig.lab.backups import Backup
from mailmig.lab.faults.machines import Claiming
from mailmig.lab.world import World

# How old the last backup is when the fault comes on, and how many log files have gathered.
AGE = timedelta(days=4)
GATHERED_LOGS = 6_000.0

# When the last full one and the last one of the log files ended.
Times = tuple[datetime | None, datetime | None]


class _OfBackup(Claiming):
    """What happens to the backup of one database.

    `off` gives back what the backup knew, unless a later one was made meanwhile, and takes the
    log files away that the fault had `gathered`.
    """

    wants = "a database"

    gathered: ClassVar[float] = 0.0

    def __init__(self) -> None:
        super().__init__()
        self._before: Times = None, None
        self._after: Times = None, None

    def backup(self, world: World, target: str) -> Backup:
        """The backup of the database of that name. Raises `BadTarget`."""
        for name in world.organisation.databases:
            if name.lower() == target.lower():
                return world.organisation.backups.of(name)
        raise self.bad(target)

    def on(self, world: World, target: str) -> None:
        backup = self.backup(world, target)
        self.claim(world, target, [("backup", target.lower())])
        self._before = backup.full, backup.incremental
        self.spoil(backup, world.organisation.now)
        backup.kept += self.gathered
        self._after = backup.full, backup.incremental

    def off(self, world: World, target: str) -> None:
        backup = self.backup(world, target)
        if backup.full == self._after[0]:
            backup.full = self._before[0]
        if backup.incremental == self._after[1]:
            backup.incremental = self._before[1]
        backup.kept = max(0.0, backup.kept - self.gathered)
        backup.fails = backup.incremental_fails = False
        backup.hangs = None
        self.release(world)

    @abstractmethod
    def spoil(self, backup: Backup, now: datetime) -> None:
        """What goes wrong."""


class BackupFails(_OfBackup):
    id = "backup-failing"
    family = "backup"
    shows = ("backup_full_age", "backup_log_growth")
    description = "no backup has worked for four days: 6,000 log files more lie with each copy"
    gathered = GATHERED_LOGS

    def spoil(self, backup: Backup, now: datetime) -> None:
        backup.fails = backup.incremental_fails = True
        backup.full = backup.incremental = now - AGE


class NeverBackedUp(_OfBackup):
    id = "backup-never"
    family = "backup"
    shows = ("backup_full_age",)
    description = "the database was never backed up"

    def spoil(self, backup: Backup, now: datetime) -> None:
        backup.fails = backup.incremental_fails = True
        backup.full = backup.incremental = None


class LogBackupFails(_OfBackup):
    id = "log-backup-failing"
    family = "backup"
    shows = ("backup_incremental_age",)
    description = "full backups work, those of the log files have not for four days"

    def spoil(self, backup: Backup, now: datetime) -> None:
        backup.incremental_fails = True
        backup.incremental = now - AGE


class BackupHangs(_OfBackup):
    id = "backup-hanging"
    family = "backup"
    shows = ("backup_running", "backup_full_age")
    description = "a snapshot of the database was begun and does not end"

    def spoil(self, backup: Backup, now: datetime) -> None:
        backup.hangs = now
