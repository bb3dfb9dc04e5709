"""Faults of databases and their copies."""

from datetime import timedelta
from typing import ClassVar

from mailmig.lab.activating import activate, can_mount
from mailmig.lab.databases import Copy, Database
from mailmig.lab.faults.dag import PREFERENCE_MOVE
from mailmig.lab.faults.machines import Claiming
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.replicating import begin, cancel_seeding, seed, status
from mailmig.lab.world import World

# Log files of 1 MiB that the copy lacks at once, or that it has not replayed.
BEHIND_LOGS = 2500.0
UNREPLAYED_LOGS = 900.0
LAG = timedelta(days=7)
INDEX_ERROR = "The index is corrupt: an internal error occurred while reading the catalog."


class _OfDatabase(Fault):
    """What happens to one database."""

    wants = "a database"

    def database(self, world: World, target: str) -> Database:
        """The database of that name. Raises `BadTarget`."""
        for database in world.organisation.databases.values():
            if database.name.lower() == target.lower():
                return database
        raise self.bad(target)

    def replicated(self, world: World, target: str) -> Database:
        """The same, if it has several copies. Raises `BadTarget`."""
        database = self.database(world, target)
        if len(list(world.organisation.copies_of(database))) < 2:
            raise self.bad(target)
        return database


class _OfCopy(Claiming):
    """What happens to one passive copy."""

    wants = r"a passive copy as DATABASE\SERVER"

    def copy(self, world: World, target: str) -> Copy | None:
        """The copy of that name, active or not."""
        found = (c for c in world.organisation.copies if c.identity.lower() == target.lower())
        return next(found, None)

    def passive(self, world: World, target: str) -> Copy:
        """The passive copy of that name. Raises `BadTarget`."""
        copy = self.copy(world, target)
        if copy is None or copy.active:
            raise self.bad(target)
        return copy


class DatabaseDismounted(_OfDatabase):
    id = "database-dismounted"
    family = "database"
    shows = ("db_mounted", "mapi_store", "move:database-offline")
    description = "nobody can open a mailbox in the database; moves from and to it stand still"
    wants = "a database that is mounted"

    def on(self, world: World, target: str) -> None:
        database = self.database(world, target)
        if not database.mounted:
            raise self.bad(target)
        world.organisation.dismount(database)

    def off(self, world: World, target: str) -> None:
        world.organisation.mount(self.database(world, target))


class CopyBehind(_OfCopy):
    id = "copy-behind"
    family = "database"
    shows = ("db_copy_queue", "db_queue_growth", "db_log_gap", "move:copy-queue")
    description = "a passive copy lacks 2,500 log files and fetches no more"

    def on(self, world: World, target: str) -> None:
        copy = self.passive(world, target)
        copy.fetching = False
        copy.queue_logs += BEHIND_LOGS

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None:
            copy.fetching = True


class ReplayBehind(_OfCopy):
    id = "replay-behind"
    family = "database"
    shows = ("db_replay_queue", "db_queue_growth")
    description = "a passive copy has 900 log files that it fetched and does not replay"

    def on(self, world: World, target: str) -> None:
        copy = self.passive(world, target)
        copy.replaying = False
        copy.replay_logs += UNREPLAYED_LOGS

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None:
            copy.replaying = True


class CopyFailed(_OfCopy):
    id = "copy-failed"
    family = "database"
    shows = ("db_copy_status", "dag_replication_health", "dag_redundancy")
    description = "a passive copy has failed; seeding it anew helps"

    def on(self, world: World, target: str) -> None:
        copy = self.passive(world, target)
        copy.failed = "The log file is damaged or missing. The database copy needs to be reseeded."

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None and copy.failed:
            copy.failed = ""
            begin(copy, world.organisation.now)


class CopySuspended(_OfCopy):
    id = "copy-suspended"
    family = "database"
    shows = ("db_copy_status", "backup_log_growth")
    description = "somebody suspended a passive copy: it falls behind, and no log file is truncated"
    wants = r"a passive copy that is not suspended as DATABASE\SERVER"

    def on(self, world: World, target: str) -> None:
        copy = self.passive(world, target)
        if copy.suspended:
            raise self.bad(target)
        copy.suspended, copy.comment = True, "left from the last maintenance"

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None and copy.suspended:
            copy.suspended, copy.comment = False, ""
            begin(copy, world.organisation.now)


class CopyDisconnected(_OfCopy):
    id = "copy-disconnected"
    family = "database"
    shows = ("db_copy_status", "dag_replication_health")
    description = "a passive copy does not get to the active one"

    def on(self, world: World, target: str) -> None:
        copy = self.passive(world, target)
        self.claim(world, target, [("connected", copy.identity)])
        copy.connected = False

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None:
            copy.connected = True
        self.release(world)


class CopySeeding(_OfCopy):
    id = "copy-seeding"
    family = "database"
    shows = ("db_seeding", "db_copy_status")
    description = "a passive copy is made anew: no switchover until that is done"

    def on(self, world: World, target: str) -> None:
        seed(world.organisation, self.passive(world, target))

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None and copy.seeding is not None:
            cancel_seeding(copy)
            copy.failed, copy.suspended = "", False
            begin(copy, world.organisation.now)


class ActivationSuspended(_OfCopy):
    id = "activation-suspended"
    family = "database"
    shows = ("db_activation_suspended", "dag_maintenance_leftover")
    description = "activation of a passive copy is suspended: it is not mounted by itself"

    def on(self, world: World, target: str) -> None:
        self.passive(world, target).activation_suspended = True

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None:
            copy.activation_suspended = False


class CopyLagged(_OfCopy):
    id = "copy-lagged"
    family = "database"
    shows = ("db_lagged",)
    description = "a passive copy replays log files only when they are 7 days old"

    def on(self, world: World, target: str) -> None:
        self.passive(world, target).replay_lag = LAG

    def off(self, world: World, target: str) -> None:
        copy = self.copy(world, target)
        if copy is not None:
            copy.replay_lag = timedelta()


class CopyRemoved(_OfCopy):
    id = "copy-removed"
    family = "database"
    shows = ("db_copy_count",)
    description = "a passive copy is gone: the database has one copy only"

    def __init__(self) -> None:
        super().__init__()
        self._taken: Copy | None = None

    def on(self, world: World, target: str) -> None:
        state, copy = world.organisation, self.passive(world, target)
        database = state.databases[copy.database]
        state.copies.remove(copy)
        database.servers = tuple(name for name in database.servers if name != copy.server)
        self._taken = copy

    def off(self, world: World, target: str) -> None:
        state, copy = world.organisation, self._taken
        assert copy is not None
        database = state.databases[copy.database]
        database.servers = (*database.servers, copy.server)
        state.copies.append(copy)
        begin(copy, state.now)


class CopyHalfRemoved(_OfCopy):
    id = "copy-half-removed"
    family = "database"
    shows = ("db_invalid_copies",)
    description = "a passive copy was removed by halves: it stands among InvalidDatabaseCopies"

    def on(self, world: World, target: str) -> None:
        copy = self.passive(world, target)
        database = world.organisation.databases[copy.database]
        database.half_removed = (*database.half_removed, copy.server)

    def off(self, world: World, target: str) -> None:
        name, _, server = target.partition("\\")
        for database in world.organisation.databases.values():
            if database.name.lower() == name.lower():
                kept = (one for one in database.half_removed if one.lower() != server.lower())
                database.half_removed = tuple(kept)


class IndexFailed(Claiming):
    id = "index-failed"
    family = "database"
    shows = ("db_content_index",)
    description = "the content index of a copy has failed (2013 and 2016: later ones have none)"
    wants = r"a copy on a server of 2013 or 2016 as DATABASE\SERVER"
    state: ClassVar[tuple[str, str, int]] = ("Failed", INDEX_ERROR, 0)

    def on(self, world: World, target: str) -> None:
        copy = self._copy(world, target)
        self.claim(world, target, [("index", copy.identity)])
        copy.index, copy.index_error, copy.index_backlog = self.state

    def off(self, world: World, target: str) -> None:
        copy = self._copy(world, target)
        copy.index, copy.index_error, copy.index_backlog = "Healthy", "", 0
        self.release(world)

    def _copy(self, world: World, target: str) -> Copy:
        for copy in world.organisation.copies:
            old = world.organisation.server(copy.server).version in ("2013", "2016")
            if old and copy.identity.lower() == target.lower():
                return copy
        raise self.bad(target)


class IndexBacklog(IndexFailed):
    id = "index-backlog"
    family = "database"
    shows = ("db_content_index",)
    description = "the content index of a copy is Healthy and four hours behind; moves stall at it"
    state = ("Healthy", "", 4 * 3600)


class DatabaseElsewhere(_OfDatabase):
    id = "database-elsewhere"
    family = "database"
    shows = ("db_on_preferred",)
    description = (
        "the database is active on a copy that is not preferred; it goes back by itself within "
        "PreferenceMoveFrequency"
    )
    wants = "a database that is active on its preferred copy and has another one that is healthy"

    def on(self, world: World, target: str) -> None:
        state, database = world.organisation, self.replicated(world, target)
        others = [copy for copy in state.copies_of(database) if not copy.active]
        active = state.copy_on(database, database.server)
        if active is None or active.preference != 1 or not _healthy(world, database, others[0]):
            raise self.bad(target)
        _switch(world, database, others[0].server)

    def off(self, world: World, target: str) -> None:
        database = self.database(world, target)
        for copy in world.organisation.copies_of(database):
            if copy.preference == 1:
                _switch(world, database, copy.server)


class AllOnOne(Claiming):
    id = "all-on-one"
    family = "database"
    shows = ("db_balance", "db_on_preferred")
    description = "all databases are active on one member, and none goes back by itself"
    wants = "a member of the DAG"

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, str] = {}
        self._frequency: timedelta | None = None

    def on(self, world: World, target: str) -> None:
        state, name = world.organisation, server_named(self, world, target)
        if name not in state.dag.servers:
            raise self.bad(target)
        self.claim(world, target, [PREFERENCE_MOVE])
        self._frequency, state.dag.preference_move = state.dag.preference_move, None
        for database in state.databases.values():
            if database.dag and database.server != name:
                self._before[database.name] = database.server
                _switch(world, database, name)

    def off(self, world: World, target: str) -> None:
        world.organisation.dag.preference_move = self._frequency
        for name, server in self._before.items():
            _switch(world, world.organisation.databases[name], server)
        self.release(world)


class NotMountedAtStartup(_OfDatabase):
    id = "mount-at-startup-off"
    family = "database"
    shows = ("db_mount_at_startup",)
    description = "MountAtStartup is off: after a start of its server the database stays dismounted"

    def on(self, world: World, target: str) -> None:
        self.database(world, target).mount_at_startup = False

    def off(self, world: World, target: str) -> None:
        self.database(world, target).mount_at_startup = True


class CircularLogging(_OfDatabase):
    id = "circular-logging"
    family = "database"
    shows = ("db_circular_logging",)
    description = "circular logging is on: log files cannot be saved"
    wants = "a database without circular logging"

    def on(self, world: World, target: str) -> None:
        database = self.database(world, target)
        if database.circular_logging:
            raise self.bad(target)
        database.circular_logging = True

    def off(self, world: World, target: str) -> None:
        self.database(world, target).circular_logging = False


def _healthy(world: World, database: Database, copy: Copy) -> bool:
    return status(world.organisation, database, copy) == "Healthy"


def _switch(world: World, database: Database, server: str) -> None:
    """The database is active there, if that server can have it."""
    state = world.organisation
    copy = state.copy_on(database, server)
    if copy is None or copy.active or not can_mount(state, database, server):
        return
    state.interrupt_moves(database)
    activate(state, database, server)
