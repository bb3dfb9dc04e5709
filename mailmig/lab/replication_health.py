"""What Test-ReplicationHealth finds on one member (health.md 2.1 dag_replication_health).

Names of the checks and their order are documented (DOC-MON); what exactly each of them looks at
is not, and follows from the state of the lab [MEM]. A server outside of the DAG has only the
checks that need no cluster.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from mailmig.lab.databases import Copy, Database
from mailmig.lab.replicating import REPLICATION, status

if TYPE_CHECKING:
    from mailmig.lab.organisation import Organisation

_MONITORING: Final = "msexchangedagmgmt"
# Log files that a copy may be behind before the check says so [MEM].
_KEEPING_UP: Final = 50
_WITHOUT_DAG: Final = ("ReplayService", "ActiveManager")


def failures(organisation: "Organisation", server: str) -> Iterator[tuple[str, str]]:
    """Each check with what it complains of, "" when it passed."""
    in_dag = server in organisation.dag.servers
    for name, check in _CHECKS.items():
        if in_dag or name in _WITHOUT_DAG:
            yield name, check(organisation, server)


def _cluster_service(organisation: "Organisation", server: str) -> str:
    return _unless(organisation.cluster.is_up(server), "The Cluster service isn't running.")


def _replication(organisation: "Organisation", server: str) -> str:
    runs = REPLICATION not in organisation.stopped_services(server)
    return _unless(runs, "The Microsoft Exchange Replication service isn't running.")


def _active_manager(organisation: "Organisation", server: str) -> str:
    if failed := _replication(organisation, server):
        return failed
    in_dag = server in organisation.dag.servers
    known = not in_dag or bool(organisation.cluster.owner)
    return _unless(known, "Active Manager is in an unknown state: there is no PAM.")


def _listener(organisation: "Organisation", server: str) -> str:
    port = organisation.dag.replication_port
    closed = server in organisation.cluster.closed
    return _replication(organisation, server) or _unless(
        not closed, f"Nobody answers at port {port}."
    )


def _members(organisation: "Organisation", server: str) -> str:
    lacking = set(organisation.dag.servers) - set(organisation.cluster.operational)
    return _unless(not lacking, f"Members that are not up: {', '.join(sorted(lacking))}.")


def _monitoring(organisation: "Organisation", server: str) -> str:
    runs = _MONITORING not in organisation.stopped_services(server)
    return _unless(runs, "The Microsoft Exchange DAG Management service isn't running.")


def _network(organisation: "Organisation", server: str) -> str:
    bad = [n.name for n in organisation.dag.networks if server in n.failed or n.misconfigured]
    return _unless(not bad, f"Networks with a failure: {', '.join(bad)}.")


def _quorum(organisation: "Organisation", server: str) -> str:
    owned = bool(organisation.cluster.owner)
    return _unless(owned, "The cluster group that holds quorum isn't online.")


def _witness(organisation: "Organisation", server: str) -> str:
    cluster = organisation.cluster
    there = cluster.reaches_witness(server)
    return _unless(there, f"The file share witness {cluster.witness_share} can't be reached.")


def _redundancy(organisation: "Organisation", server: str) -> str:
    return _fewer_than(organisation, server, 2)


def _availability(organisation: "Organisation", server: str) -> str:
    return _fewer_than(organisation, server, 1)


def _fewer_than(organisation: "Organisation", server: str, wanted: int) -> str:
    few = []
    for database, _ in _here(organisation, server):
        good = [
            one
            for one in organisation.copies_of(database)
            if status(organisation, database, one) in ("Mounted", "Healthy")
            and (one.active or organisation.activation[one.server].policy != "Blocked")
        ]
        if len(good) < wanted:
            few.append(database.name)
    return _unless(not few, f"Databases with fewer than {wanted} whole copies: {', '.join(few)}.")


def _in_state(*states: str) -> "_Check":
    def check(organisation: "Organisation", server: str) -> str:
        found = [
            copy.identity
            for database, copy in _here(organisation, server)
            if status(organisation, database, copy) in states
        ]
        return _unless(not found, f"Copies in state {' or '.join(states)}: {', '.join(found)}.")

    return check


def _behind(attribute: str) -> "_Check":
    def check(organisation: "Organisation", server: str) -> str:
        found = [
            copy.identity
            for _, copy in _here(organisation, server)
            if getattr(copy, attribute) > _KEEPING_UP and not copy.replay_lag
        ]
        return _unless(not found, f"Copies that do not keep up: {', '.join(found)}.")

    return check


def _here(organisation: "Organisation", server: str) -> Iterator[tuple[Database, Copy]]:
    for database in organisation.databases.values():
        copy = organisation.copy_on(database, server)
        if copy is not None:
            yield database, copy


def _unless(good: bool, said: str) -> str:
    return "" if good else said


_Check = Callable[["Organisation", str], str]
_CHECKS: Final[dict[str, _Check]] = {
    "ClusterService": _cluster_service,
    "ReplayService": _replication,
    "ActiveManager": _active_manager,
    "TasksRpcListener": _replication,
    "TcpListener": _listener,
    "ServerLocatorService": _replication,
    "DagMembersUp": _members,
    "MonitoringService": _monitoring,
    "ClusterNetwork": _network,
    "QuorumGroup": _quorum,
    "FileShareQuorum": _witness,
    "DatabaseRedundancy": _redundancy,
    "DatabaseAvailability": _availability,
    "DBCopySuspended": _in_state("Suspended", "FailedAndSuspended"),
    "DBCopyFailed": _in_state("Failed", "FailedAndSuspended"),
    "DBInitializing": _in_state("Initializing"),
    "DBDisconnected": _in_state("DisconnectedAndHealthy", "DisconnectedAndResynchronizing"),
    "DBLogCopyKeepingUp": _behind("queue_logs"),
    "DBLogReplayKeepingUp": _behind("replay_logs"),
}
