"""Cmdlets about databases and their copies: status, suspend, resume, seed, switch over, mount.

Words and classes of errors are from memory [MEM]; clients go by exception and category.
Update-MailboxDatabaseCopy begins seeding and returns: how far it is, the copy's status tells.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mailmig.lab import values as v
from mailmig.lab.activating import activate, best_copy, can_mount, obstacles, settle
from mailmig.lab.availability import Availability
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.databases import MOUNT_DIALS, Copy, Database
from mailmig.lab.exchange.calls import Warning
from mailmig.lab.objects import Live
from mailmig.lab.replicating import begin, cancel_seeding, connected, seed, serves
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj

_REPLAY: Final = "Microsoft.Exchange.Cluster.Replay"
_MOVE_FAILED: Final = f"{_REPLAY}.AmDbActionWrapperException"
_INVALID: Final = f"{_REPLAY}.TaskServerException"
_TASKS: Final = "Microsoft.Exchange.Management.SystemConfigurationTasks"
# What a switchover does not look at (health.md 7.6): parameter to check.
_SKIPS: Final = {
    "SkipHealthChecks": "health", "SkipLagChecks": "lag", "SkipClientExperienceChecks": "client",
    "SkipActiveCopyChecks": "active", "SkipMaximumActiveDatabasesChecks": "maximum",
}  # fmt: skip
# Checks of what the lab has nothing of: CPU, and moves that follow each other too quickly.
_NOTHING_TO_SKIP: Final = ("SkipCpuChecks", "SkipMoveSuppressionChecks")
_BEST_EFFORT: Final = "BestEffort"
_OVERRIDES: Final = {one.lower() for one in ("None", _BEST_EFFORT, *MOUNT_DIALS)}
_MOVE_STATES: Final = {"Unknown": 0, "Succeeded": 1, "Warning": 2, "Failed": 3}


def _copy_status(ask: Ask) -> Iterator[Given]:
    """Copies of one database, one copy (`DB\\SERVER`), the copies on one server, or all here.

    Without identity and server a real server answers for itself.
    """
    server = ask.server_named("Server")
    if server is None and ("Identity" not in ask.bound.values or ask.bound.is_on("Local")):
        server = ask.server
    shown = Availability(ask.organisation, ask.view.places, ask.view.culture)
    found = False
    for database, copy in _meant(ask):
        if server is not None and copy.server != server.name:
            continue
        found = True
        if ask.bound.is_on("Active") and not copy.active:
            continue
        text, live = shown.copy_status(database, copy, ask.server.version)
        yield Row("Get-MailboxDatabaseCopyStatus", text, None, partial(_same, text, live))
    if ask.identity and not found:
        raise ask.not_found()


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


def _meant(ask: Ask) -> Iterator[tuple[Database, Copy]]:
    """The copies that the identity means, all when there is none."""
    name, _, on = ask.identity.partition("\\")
    for database in ask.organisation.databases.values():
        if name and not is_meant(name, database.name, database.guid):
            continue
        for copy in ask.organisation.copies_of(database):
            if not on or is_meant(on, copy.server):
                yield database, copy


def _the_copy(ask: Ask) -> tuple[Database, Copy]:
    """The one copy that is meant. Raises `Failed`."""
    found = list(_meant(ask)) if "\\" in ask.identity else []
    if len(found) != 1:
        raise ask.not_found()
    return found[0]


def _passive(ask: Ask) -> tuple[Database, Copy]:
    database, copy = _the_copy(ask)
    if copy.active:
        raise _invalid(
            ask,
            f"The operation can't be performed on '{copy.identity}' because that copy is active.",
        )
    if not serves(ask.organisation, copy.server):
        raise _unreachable(ask, copy.server)
    return database, copy


def _suspend(ask: Ask) -> Iterator[Given]:
    if ask.bound.is_on("ActivationOnly"):
        _, copy = _the_copy(ask)
    else:
        _, copy = _passive(ask)
    if ask.bound.is_on("WhatIf"):
        return
    copy.activation_suspended = True
    copy.comment = str(ask.bound.get("SuspendComment") or "")
    if not ask.bound.is_on("ActivationOnly"):
        copy.suspended = True
    yield from ()


def _resume(ask: Ask) -> Iterator[Given]:
    """What failed goes on failing: only seeding helps it (health.md 2.2 db_copy_status)."""
    _, copy = _the_copy(ask)
    if not serves(ask.organisation, copy.server):
        raise _unreachable(ask, copy.server)
    if ask.bound.is_on("WhatIf"):
        return
    if copy.suspended:
        copy.suspended, copy.comment = False, ""
        begin(copy, ask.organisation.now)
    if not ask.bound.is_on("ReplicationOnly"):
        copy.activation_suspended = False
    yield from ()


def _update(ask: Ask) -> Iterator[Given]:
    database, copy = _passive(ask)
    if ask.bound.is_on("WhatIf"):
        return
    if ask.bound.is_on("CancelSeed"):
        if copy.seeding is None:
            raise _invalid(ask, f"There is no seeding operation for '{copy.identity}'.")
        cancel_seeding(copy)
        return
    if ask.bound.is_on("CatalogOnly"):
        copy.index, copy.index_error, copy.index_backlog = "Healthy", "", 0
        return
    if copy.seeding is not None:
        raise _invalid(ask, f"A seeding operation is already in progress for '{copy.identity}'.")
    if not copy.suspended and not copy.failed:
        raise _invalid(
            ask, f"The database copy '{copy.identity}' must be suspended before it can be seeded."
        )
    if not database.mounted:
        raise _invalid(ask, f"The database '{database.name}' isn't mounted: there is no source.")
    if copy.failed and not ask.bound.is_on("DeleteExistingFiles"):
        raise _invalid(
            ask,
            f"Files of '{copy.identity}' are still there. Use DeleteExistingFiles to delete them.",
        )
    seed(ask.organisation, copy, resumes=not ask.bound.is_on("ManualResume"))
    yield from ()


def _move(ask: Ask) -> Iterator[Given]:
    """One database, all that are active on a server, or those that a server is preferred for.

    Of several, one that cannot be moved does not keep the others back.
    """
    dial = str(ask.bound.get("MountDialOverride") or "None")
    if dial.lower() not in _OVERRIDES:
        raise errors.unconvertible(
            ask.bound.cmdlet, "MountDialOverride", dial, "DatabaseMountDialOverride"
        )
    away = ask.server_named("Server")
    preferred = ask.server_named("ActivatePreferredOnServer")
    target = ask.server_named("ActivateOnServer")
    if preferred is not None:
        for database in list(ask.organisation.databases.values()):
            copy = ask.organisation.copy_on(database, preferred.name)
            if copy is not None and not copy.active and copy.preference == 1:
                yield from _tried(ask, database, preferred)
    elif away is not None:
        for database in list(ask.organisation.databases.values()):
            if database.server == away.name and database.dag:
                yield from _tried(ask, database, target)
    else:
        database = _database(ask)
        yield from _moved(ask, database, target)


def _tried(ask: Ask, database: Database, target: Server | None) -> Iterator[Given]:
    try:
        yield from _moved(ask, database, target)
    except Failed as failed:
        yield failed.record


def _moved(ask: Ask, database: Database, target: Server | None) -> Iterator[Given]:
    state = ask.organisation
    before, mounted = database.server, database.mounted
    copy = _chosen(ask, database, target)
    if copy.active:
        yield Warning(
            f"The database '{database.name}' is already active on server '{copy.server}'."
        )
        return
    lost = _lost(ask, database, copy)
    if ask.bound.is_on("WhatIf"):
        return
    if ask.bound.is_on("SkipActiveCopyChecks"):
        for other in state.copies_of(database):
            if other.seeding is not None:
                cancel_seeding(other)
    state.interrupt_moves(database)
    activate(state, database, copy.server)
    database.mounted = not database.kept_dismounted
    settle(state)
    live: Live = {
        "Identity": ask.view.stores.database_id(database.name),
        "ActiveServerAtStart": before.lower(),
        "ActiveServerAtEnd": database.server.lower(),
        "Status": v.enum(f"{_TASKS}.MoveStatus", "Succeeded", _MOVE_STATES["Succeeded"]),
        "NumberOfLogsLost": lost,
        "RecoveryPoint": state.now,
        "MountStatusAtMoveStart": _mount_status(mounted),
        "MountStatusAtMoveEnd": _mount_status(database.mounted),
    }
    yield Row("Move-ActiveMailboxDatabase", database.guid, None, partial(_same, "", live))


def _mount_status(mounted: bool) -> Obj:
    name = "Mounted" if mounted else "Dismounted"
    return v.enum(f"{_REPLAY}.MountStatus", name, 1 if mounted else 2)


def _chosen(ask: Ask, database: Database, target: Server | None) -> Copy:
    """The copy that is to be the active one, looked over. Raises `Failed`."""
    state = ask.organisation
    copy = best_copy(state, database) if target is None else state.copy_on(database, target.name)
    if copy is None:
        what = f"on server '{target.name}'" if target else "that could be activated"
        raise _move_failed(ask, f"there is no copy of '{database.name}' {what}")
    if copy.active:
        return copy
    if not can_mount(state, database, copy.server):
        raise _move_failed(ask, f"server '{copy.server}' cannot mount '{database.name}'")
    skipped = {check for name, check in _SKIPS.items() if ask.bound.is_on(name)}
    against = [said for check, said in obstacles(state, database, copy) if check not in skipped]
    if copy.activation_suspended and "health" not in skipped:
        against.append(f"activation of '{copy.identity}' is suspended")
    if against:
        raise _move_failed(ask, "; ".join(against))
    return copy


def _lost(ask: Ask, database: Database, copy: Copy) -> int:
    """Log files that cannot be fetched any more; more than the mount dial is refused."""
    state = ask.organisation
    lost = 0 if connected(state, database, copy) else round(copy.queue_logs)
    dial = str(ask.bound.get("MountDialOverride") or "Lossless")
    allowed = {name.lower(): logs for name, logs in MOUNT_DIALS.items()}
    allowed["none"] = MOUNT_DIALS[state.activation[copy.server].mount_dial]
    if dial.lower() != _BEST_EFFORT.lower() and lost > allowed.get(dial.lower(), 0):
        raise _move_failed(ask, f"{lost} log files of '{copy.identity}' would be lost")
    return lost


def _database(ask: Ask) -> Database:
    found = ask.database("Identity")
    if found is None:
        raise ask.not_found()
    return found


def _mount(ask: Ask) -> Iterator[Given]:
    database = _database(ask)
    if database.mounted:
        raise _invalid(ask, f"Database '{database.name}' is already mounted.")
    if ask.bound.is_on("WhatIf"):
        return
    ask.organisation.mount(database)
    if not database.mounted:
        raise _invalid(
            ask,
            f"Couldn't mount the database that you specified. Specified database: {database.name}; "
            "Error code: An Active Manager operation failed.",
        )
    yield from ()


def _dismount(ask: Ask) -> Iterator[Given]:
    database = _database(ask)
    if not ask.bound.is_on("WhatIf"):
        ask.organisation.dismount(database)
    yield from ()


def _set_database(ask: Ask) -> Iterator[Given]:
    """Circular logging of a database in a DAG changes at once, else when it is mounted anew."""
    database = _database(ask)
    if ask.bound.is_on("WhatIf"):
        return
    values = ask.bound.values
    if "CircularLoggingEnabled" in values:
        database.circular_logging = ask.bound.is_on("CircularLoggingEnabled")
        if not database.dag:
            yield Warning(
                "The setting will take effect after the database is dismounted and mounted again."
            )
    if "MountAtStartup" in values:
        database.mount_at_startup = ask.bound.is_on("MountAtStartup")


def _move_failed(ask: Ask, why: str) -> Failed:
    return ask.failed(
        "An Active Manager operation failed. Error: An error occurred while trying to validate the "
        f"specified database copy for possible activation. Error: {why}.",
        _MOVE_FAILED, "InvalidOperation",
    )  # fmt: skip


def _invalid(ask: Ask, message: str) -> Failed:
    return ask.failed(message, _INVALID, "InvalidOperation")


def _unreachable(ask: Ask, server: str) -> Failed:
    return ask.failed(
        f"The Microsoft Exchange Replication service may not be running on server {server}.",
        f"{_REPLAY}.TaskServerTransientException", "ResourceUnavailable",
    )  # fmt: skip


CMDLETS: Final = (
    Simulated(
        "Get-MailboxDatabaseCopyStatus", _copy_status,
        ("Identity", "Server", "Active", "Local", "ConnectionStatus", "ExtendedErrorInfo",
         "UseServerCache"),
    ),
    Simulated(
        "Suspend-MailboxDatabaseCopy", _suspend, ("Identity", "ActivationOnly", "SuspendComment"),
        changes=True, asks=True,
    ),
    Simulated(
        "Resume-MailboxDatabaseCopy", _resume, ("Identity", "ReplicationOnly"), changes=True
    ),
    Simulated(
        "Update-MailboxDatabaseCopy", _update,
        ("Identity", "BeginSeed", "CancelSeed", "CatalogOnly", "DeleteExistingFiles",
         "ManualResume", "Force"),
        changes=True, asks=True,
    ),
    Simulated(
        "Move-ActiveMailboxDatabase", _move,
        ("Identity", "Server", "ActivatePreferredOnServer", "ActivateOnServer",
         "MountDialOverride", "MoveComment", *_SKIPS, *_NOTHING_TO_SKIP),
        changes=True, asks=True,
    ),
    Simulated("Mount-Database", _mount, ("Identity",), changes=True),
    Simulated("Dismount-Database", _dismount, ("Identity",), changes=True, asks=True),
    Simulated(
        "Set-MailboxDatabase", _set_database,
        ("Identity", "CircularLoggingEnabled", "MountAtStartup"), changes=True,
    ),
)  # fmt: skip
