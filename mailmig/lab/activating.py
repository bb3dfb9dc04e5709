"""Which copy of a database is the active one: failover, best copy, moves by themselves.

`settle` lets the laws act at once: a database whose server cannot mount it any more goes to the
best copy (health.md 2.1, 7.5, 7.8, 7.12; DOC-AM), or nowhere. What an admin dismounted stays so.
`pass_time` is what happens without anybody: DatabaseCopyActivationDisabledAndMoveNow empties its
server, and PreferenceMoveFrequency takes databases back to their preferred copy.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab.cluster import LONGEST_FREQUENCY
from mailmig.lab.databases import MOUNT_DIALS, Copy, Database
from mailmig.lab.replicating import REPLICATION, begin, serves, status

if TYPE_CHECKING:
    from mailmig.lab.organisation import Organisation

STORE: Final = "msexchangeis"
# Best copies have fewer log files to replay than that (DOC-AM), and a switchover wants it too.
MANY_TO_REPLAY: Final = 50
# Log files that a switchover by an admin accepts to be copied still [MEM].
MANY_TO_COPY: Final = 10
# How long a server that is to be emptied takes until it begins: "seconds to minutes".
MOVE_NOW_TAKES: Final = timedelta(seconds=20)
# Versions whose search index lies in the mailboxes: a copy has none of its own.
INDEX_IN_MAILBOX: Final = ("2019", "SE")


def settle(organisation: "Organisation") -> None:
    """All databases are where they can be."""
    organisation.cluster.settle()
    for database in organisation.databases.values():
        if database.mounted and not can_mount(organisation, database, database.server):
            organisation.interrupt_moves(database)
            database.mounted = False
        if database.mounted or database.kept_dismounted:
            continue
        if can_mount(organisation, database, database.server):
            database.mounted = True
            continue
        best = best_copy(organisation, database)
        if best is not None:
            activate(organisation, database, best.server)
            database.mounted = True


def pass_time(organisation: "Organisation", to: datetime) -> None:
    """What moves by itself until `to`."""
    for name, activation in organisation.activation.items():
        if activation.move_now is not None and to - activation.move_now >= MOVE_NOW_TAKES:
            _empty(organisation, name)
    every = organisation.dag.preference_move
    due = organisation.preference_checked
    if every is None or every <= timedelta() or to - due < every:
        return
    organisation.preference_checked = due + every * ((to - due) // every)
    for database in organisation.databases.values():
        _prefer(organisation, database)


def can_mount(organisation: "Organisation", database: Database, server: str) -> bool:
    """Whether the server could have the database mounted at all."""
    if server in organisation.down or STORE in organisation.stopped_services(server):
        return False
    if not database.dag:
        return True
    cluster, dag = organisation.cluster, organisation.dag
    if server in dag.stopped or server not in cluster.operational:
        return False
    return dag.activation_mode == "Off" or cluster.nodes[server].may_mount


def obstacles(
    organisation: "Organisation", database: Database, copy: Copy
) -> Iterator[tuple[str, str]]:
    """What a switchover to this copy has against it: check and sentence (health.md 7.6)."""
    now = status(organisation, database, copy)
    if now not in ("Healthy", "DisconnectedAndHealthy"):
        yield "health", f"database copy '{copy.identity}' is in state '{now}'"
    if any(other.seeding is not None for other in organisation.copies_of(database)):
        yield "active", f"the active copy of '{database.name}' is a seeding source"
    if round(copy.queue_logs) > MANY_TO_COPY:
        yield "lag", f"the copy queue length is {round(copy.queue_logs)}"
    if round(copy.replay_logs) >= MANY_TO_REPLAY:
        yield "lag", f"the replay queue length is {round(copy.replay_logs)}"
    if has_index(organisation, copy) and copy.index != "Healthy":
        yield "client", f"the content index is in state '{copy.index}'"
    limits = organisation.activation[copy.server]
    active = _active_on(organisation, copy.server)
    if limits.maximum is not None and active >= limits.maximum:
        yield "hard", f"'{copy.server}' has its maximum of {limits.maximum} active databases"
    if limits.preferred is not None and active >= limits.preferred:
        yield "maximum", f"'{copy.server}' has its preferred {limits.preferred} active databases"


def has_index(organisation: "Organisation", copy: Copy) -> bool:
    """Whether the copy has a content index of its own: 2013 and 2016."""
    return organisation.server(copy.server).version not in INDEX_IN_MAILBOX


def best_copy(organisation: "Organisation", database: Database) -> Copy | None:
    """The copy that Active Manager mounts when the active one is lost; `None` when none will do."""
    found = [
        copy
        for copy in organisation.copies_of(database)
        if not copy.active and _may_activate(organisation, database, copy)
    ]
    if not found:
        return None
    dials = [organisation.activation[copy.server].mount_dial for copy in found]
    by_preference = "Lossless" in dials
    return min(
        found,
        key=lambda copy: (
            copy.replay_logs >= MANY_TO_REPLAY,
            0 if by_preference else round(copy.queue_logs),
            copy.preference,
        ),
    )


def activate(organisation: "Organisation", database: Database, server: str) -> None:
    """The copy on this server becomes the active one; what it did not fetch is lost or comes first."""
    database.servers = (server, *(name for name in database.servers if name != server))
    database.activated = organisation.now
    for copy in organisation.copies_of(database):
        was, copy.active = copy.active, copy.server == server
        if copy.active:
            copy.queue_logs = copy.replay_logs = 0.0
            copy.queue_grows = copy.replay_grows = copy.suspended = False
            copy.starting = copy.seeding = copy.inspected = None
            copy.failed = copy.comment = ""
        elif was and copy.server in organisation.down:
            begin(copy, organisation.now)


def set_preference_move(organisation: "Organisation", every: timedelta | None) -> None:
    """PreferenceMoveFrequency; one that is too long ends the replication service everywhere."""
    organisation.dag.preference_move = every
    organisation.preference_checked = organisation.now
    if every is not None and every > LONGEST_FREQUENCY:
        for name in organisation.dag.servers:
            organisation.stopped_services(name).add(REPLICATION)


def _may_activate(organisation: "Organisation", database: Database, copy: Copy) -> bool:
    """Whether Active Manager may take this copy by itself."""
    limits = organisation.activation[copy.server]
    if copy.suspended or copy.failed or copy.seeding is not None or copy.activation_suspended:
        return False
    if not (can_mount(organisation, database, copy.server) and serves(organisation, copy.server)):
        return False
    if limits.policy == "Blocked" or limits.move_now is not None:
        return False
    if limits.policy == "IntrasiteOnly" and not _same_site(
        organisation, copy.server, database.server
    ):
        return False
    if limits.maximum is not None and _active_on(organisation, copy.server) >= limits.maximum:
        return False
    return round(copy.queue_logs) <= MOUNT_DIALS[limits.mount_dial]


def _same_site(organisation: "Organisation", one: str, other: str) -> bool:
    return organisation.server(one).site == organisation.server(other).site


def _active_on(organisation: "Organisation", server: str) -> int:
    """How many databases are active there."""
    return sum(d.mounted and d.server == server for d in organisation.databases.values())


def _empty(organisation: "Organisation", server: str) -> None:
    """Each database with another copy goes there, if that one will do; else nothing is said."""
    for database in organisation.databases.values():
        if database.server == server and database.mounted:
            best = best_copy(organisation, database)
            if best is not None and not list(obstacles(organisation, database, best)):
                organisation.interrupt_moves(database)
                activate(organisation, database, best.server)


def _prefer(organisation: "Organisation", database: Database) -> None:
    """Back to the copy of preference 1, if nothing is against it."""
    first = min(organisation.copies_of(database), key=lambda copy: copy.preference, default=None)
    if first is None or first.active or not database.mounted or not database.dag:
        return
    if _may_activate(organisation, database, first) and not list(
        obstacles(organisation, database, first)
    ):
        organisation.interrupt_moves(database)
        activate(organisation, database, first.server)
