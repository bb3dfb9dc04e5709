"""The DAG, its networks and the copies of databases as Exchange's objects (health.md 6).

Type names and numbers of enums that no real export shows are from memory [MEM]. Asked through a
2013 server, a content index of 2019 or later has the state "11": that server does not know the
name (health.md 0.3).
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final

from mailmig.lab import values as v
from mailmig.lab.activating import has_index
from mailmig.lab.cluster import DagNetwork
from mailmig.lab.databases import POLICIES, Copy, Database
from mailmig.lab.objects import Configuration, Live
from mailmig.lab.organisation import guid
from mailmig.lab.replicating import COPY_LOGS_PER_S, LOOKED, STATUS_NUMBERS, status
from mailmig.wire.clixml import Int64, Obj, UInt16, Value

_TASKS: Final = "Microsoft.Exchange.Management.SystemConfigurationTasks"
_INDEX: Final = f"{v.DATA}.ContentIndexStatusType"
# NotApplicable is 11 (seen through a 2013 server), Healthy 0; the others are from memory [MEM].
_INDEX_NUMBERS: Final = {
    "Healthy": 0, "Crawling": 1, "Failed": 2, "Seeding": 3, "FailedAndSuspended": 4,
    "Suspended": 5, "Disabled": 6, "AutoSuspended": 7, "NotApplicable": 11,
}  # fmt: skip
_IN_USE: Final = {"None": 0, "Primary": 1, "Alternate": 2, "InvalidConfiguration": 3}
_MODES: Final = {"Off": 0, "DagOnly": 1}
_SUBNET_STATES: Final = {
    "Unknown": 0, "Up": 1, "Down": 2, "Partitioned": 3, "Misconfigured": 4, "Unavailable": 5,
}  # fmt: skip
_INTERFACE_STATES: Final = {"Unknown": 0, "Up": 1, "Failed": 2, "Unreachable": 3, "Unavailable": 4}


class Availability(Configuration):
    """Objects of the DAG and of the copies."""

    def files(self) -> dict[str, Callable[[], Iterator[tuple[str, Live]]]]:
        """Per file: ToString and given properties of each object, in order."""
        return {"dags": self._dags, "copies": self._copies}

    def _dags(self) -> Iterator[tuple[str, Live]]:
        dag, cluster = self.organisation.dag, self.organisation.cluster
        resting = [name for name, node in cluster.nodes.items() if node.paused]
        yield (
            dag.name,
            {
                **self.common(
                    self.dag_names(), "ms-Exch-MDB-Availability-Group",
                    "msExchMDBAvailabilityGroup", known=dag.guid,
                ),
                "Servers": self._server_ids(dag.servers),
                "WitnessServer": dag.witness,
                "WitnessDirectory": v.local_path(dag.witness_folder),
                "AlternateWitnessServer": dag.alternate_witness,
                "AlternateWitnessDirectory": (
                    v.local_path(dag.alternate_folder) if dag.alternate_folder else None
                ),
                "DatacenterActivationMode": v.enum(
                    f"{v.SYSTEM}.DatacenterActivationModeOption", dag.activation_mode,
                    _MODES[dag.activation_mode],
                ),
                "StartedMailboxServers": v.strings(self._full_names(set(dag.servers) - dag.stopped)),
                "StoppedMailboxServers": v.strings(self._full_names(dag.stopped)),
                "ReplicationPort": UInt16(dag.replication_port),
                "PreferenceMoveFrequency": _frequency(dag.preference_move),
                "OperationalServers": self._server_ids(cluster.operational),
                "PrimaryActiveManager": (
                    self.server_id(cluster.owner, with_guid=True) if cluster.owner else None
                ),
                "ServersInMaintenance": self._server_ids(resting),
                "NetworkNames": v.strings(network.name for network in dag.networks),
                "WitnessShareInUse": v.enum(
                    f"{v.SYSTEM}.WitnessShareInUse", cluster.share_in_use,
                    _IN_USE[cluster.share_in_use],
                ),
            },
        )  # fmt: skip

    def _server_ids(self, names: Iterator[str] | tuple[str, ...] | list[str]) -> Obj:
        return v.identities([self.server_id(name, with_guid=True) for name in names])

    def _full_names(self, names: set[str]) -> Iterator[str]:
        known = self.organisation.dag.servers
        return (self.organisation.server(name).fqdn for name in known if name in names)

    def network(self, network: DagNetwork) -> tuple[str, Live]:
        """A row of Get-DatabaseAvailabilityGroupNetwork."""
        text = rf"{self.organisation.dag.name}\{network.name}"
        subnets, interfaces = [], []
        for member, subnet in network.subnets.items():
            state = self._subnet_state(network, member)
            subnets.append(_part("Subnet", _SUBNET_STATES, state, SubnetId=subnet))
            address, state = network.interfaces[member], self._interface_state(network, member)
            interfaces.append(
                _part("Interface", _INTERFACE_STATES, state, NodeName=member, IPAddress=address)
            )
        return text, {
            "Name": network.name,
            "Identity": text,
            "Subnets": v.values(
                f"{_TASKS}.DatabaseAvailabilityGroupNetworkSubnet", _TASKS, subnets
            ),
            "Interfaces": v.values(
                f"{_TASKS}.DatabaseAvailabilityGroupNetworkInterface", _TASKS, interfaces
            ),
            "MapiAccessEnabled": network.mapi,
            "ReplicationEnabled": network.replication,
        }

    def _subnet_state(self, network: DagNetwork, member: str) -> str:
        if not self.organisation.cluster.has_quorum:
            return "Unknown"
        if network.misconfigured:
            return "Misconfigured"
        if member in network.failed:
            return "Down"
        return "Partitioned" if network.failed else "Up"

    def _interface_state(self, network: DagNetwork, member: str) -> str:
        if member not in self.organisation.cluster.up():
            return "Unavailable"
        if member in network.failed:
            return "Failed"
        return "Unreachable" if network.failed else "Up"

    def _copies(self) -> Iterator[tuple[str, Live]]:
        for database in self.organisation.databases.values():
            for copy in self.organisation.copies_of(database):
                yield self.copy_status(database, copy)

    def copy_status(
        self, database: Database, copy: Copy, asked_version: str = ""
    ) -> tuple[str, Live]:
        """A row of Get-MailboxDatabaseCopyStatus, as a server of that version tells it."""
        text = copy.identity
        names = (copy.server, *self.database_names(copy.database))
        identity = v.configuration_id(
            self.places, names, guid(self.organisation.seed, "copy", text), text
        )
        activation = self.organisation.activation[copy.server]
        now = status(self.organisation, database, copy)
        return text, {
            "Identity": identity,
            "Id": identity,
            "Name": text,
            "DatabaseName": copy.database,
            "MailboxServer": copy.server,
            "ActiveDatabaseCopy": database.server.lower(),
            "Status": v.enum(f"{_TASKS}.CopyStatus", now, STATUS_NUMBERS[now]),
            "InstanceStartTime": copy.starting,
            "WorkerProcessId": 6024 if now == "Mounted" else None,
            "ActivationPreference": copy.preference,
            "ActivationDisabledAndMoveNow": activation.move_now is not None,
            "AutoActivationPolicy": v.enum(
                f"{v.SYSTEM}.DatabaseCopyAutoActivationPolicyType", activation.policy,
                POLICIES[activation.policy],
            ),
            "ActivationSuspended": copy.activation_suspended,
            "ActiveCopy": copy.active,
            "ErrorMessage": copy.failed,
            "SuspendComment": copy.comment,
            "StatusRetrievedTime": self.organisation.now,
            "DatabaseSeedStatus": _seeded(database, copy),
            **self._index(copy, asked_version),
            **self._logs(database, copy),
            **self._saved(copy),
            **self._room(copy),
        }  # fmt: skip

    def _index(self, copy: Copy, asked_version: str) -> Live:
        own = has_index(self.organisation, copy)
        state = copy.index if own else "NotApplicable"
        number = _INDEX_NUMBERS[state]
        shown = str(number) if asked_version == "2013" and not own else state
        return {
            "ContentIndexState": v.enum(_INDEX, shown, number),
            "ContentIndexErrorMessage": copy.index_error if own else "",
            "ContentIndexBacklog": copy.index_backlog if own else None,
        }

    def _logs(self, database: Database, copy: Copy) -> Live:
        """Numbers and times of log files: nothing of it is told of the active copy."""
        written = round(self.organisation.backups.of(database.name).written)
        queue, replay = round(copy.queue_logs), round(copy.replay_logs)
        copied = 0 if copy.active else written - queue
        replayed = 0 if copy.active else copied - replay
        now = self.organisation.now
        fetched = copy.inspected or now - LOOKED - _behind(queue)
        done = fetched - _behind(replay)
        return {
            "CopyQueueLength": Int64(0 if copy.active else queue),
            "ReplayQueueLength": Int64(0 if copy.active else replay),
            "LogCopyQueueIncreasing": copy.queue_grows,
            "LogReplayQueueIncreasing": copy.replay_grows,
            "LatestAvailableLogTime": None if copy.active else now,
            "LastCopyNotificationedLogTime": None if copy.active else now - LOOKED,
            "LastCopiedLogTime": None if copy.active else fetched,
            "LastInspectedLogTime": None if copy.active else fetched,
            "LastReplayedLogTime": None if copy.active else done,
            "LastLogGenerated": Int64(written),
            "LastLogCopyNotified": Int64(0 if copy.active else written),
            "LastLogCopied": Int64(copied),
            "LastLogInspected": Int64(copied),
            "LastLogReplayed": Int64(replayed),
        }

    def _saved(self, copy: Copy) -> Live:
        backup = self.organisation.backups.of(copy.database)
        return {
            "LatestFullBackupTime": backup.full,
            "LatestIncrementalBackupTime": backup.incremental,
        }

    def _room(self, copy: Copy) -> Live:
        free = copy.disk_free
        others = [
            status(self.organisation, self.organisation.databases[copy.database], one)
            for one in self.organisation.copies
            if one.database == copy.database
        ]
        whole = sum(one in ("Mounted", "Healthy") for one in others)
        return {
            "DiskFreeSpace": v.size(self.culture, free),
            "DiskTotalSpace": v.size(self.culture, copy.disk_total),
            "DiskFreeSpacePercent": 100 * free // max(1, copy.disk_total),
            "IsLastCopyAvailabilityChecksPassed": whole > 0,
            "IsLastCopyRedundancyChecksPassed": whole > 1,
        }


def _part(kind: str, states: dict[str, int], state: str, **named: str) -> Obj:
    """A subnet or an interface: `{10.1.0.0/24,Up}`, `{EX1,Up,10.1.0.11}`."""
    first, *rest = named.values()
    text = ",".join((first, state, *rest))
    properties: dict[str, Value] = {
        **named, "State": v.enum(f"{_TASKS}.DagNetwork{kind}State", state, states[state])
    }  # fmt: skip
    return Obj(
        (f"{_TASKS}.DatabaseAvailabilityGroupNetwork{kind}", "System.Object"), f"{{{text}}}",
        properties,
    )  # fmt: skip


def _frequency(every: timedelta | None) -> Obj:
    """PreferenceMoveFrequency; "never" is -00:00:00.0010000 [MEM]."""
    if every is not None:
        return v.time_span(every)
    whole = v.time_span(timedelta())
    return Obj(
        whole.types, "-00:00:00.0010000",
        {**whole.adapted, "Milliseconds": -1, "Ticks": Int64(-10_000), "Sign": -1},
        whole.extended,
    )  # fmt: skip


def _behind(logs: int) -> timedelta:
    return timedelta(seconds=logs / COPY_LOGS_PER_S)


def _seeded(database: Database, copy: Copy) -> str | None:
    """How far seeding is. Words from memory [MEM]."""
    if copy.seeding is None:
        return None
    share = 1 - max(0.0, copy.seeding) / max(1, database.size)
    return f"Percentage:{100 * share:.0f}; Type:Database"
