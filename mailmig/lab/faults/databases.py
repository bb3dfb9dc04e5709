"""Faults of databases and their copies."""

from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.organisation import Copy
from mailmig.lab.world import World

# Log files of 1 MiB that the copy lacks at once.
BEHIND_LOGS = 2500.0


class DatabaseDismounted(Fault):
    id = "database-dismounted"
    description = "nobody can open a mailbox in the database; moves from and to it stand still"
    wants = "a database that is mounted"

    def on(self, world: World, target: str) -> None:
        for database in world.organisation.databases.values():
            if database.name.lower() == target.lower() and database.mounted:
                world.organisation.dismount(database)
                return
        raise self.bad(target)

    def off(self, world: World, target: str) -> None:
        for database in world.organisation.databases.values():
            if database.name.lower() == target.lower():
                database.mounted = database.server not in world.organisation.down


class CopyBehind(Fault):
    id = "copy-behind"
    description = "a passive copy lacks 2,500 log files and fetches no more"
    wants = r"a passive copy as DATABASE\SERVER"

    def on(self, world: World, target: str) -> None:
        copy = self._copy(world, target)
        if copy is None or copy.active:
            raise self.bad(target)
        copy.fetching = False
        copy.queue_logs += BEHIND_LOGS

    def off(self, world: World, target: str) -> None:
        copy = self._copy(world, target)
        if copy is not None:
            copy.fetching = True

    @staticmethod
    def _copy(world: World, target: str) -> Copy | None:
        for copy in world.organisation.copies:
            if rf"{copy.database}\{copy.server}".lower() == target.lower():
                return copy
        return None
