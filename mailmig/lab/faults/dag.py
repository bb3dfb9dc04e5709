"""Faults of the DAG: its members, its cluster, its witness, and what may be activated."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from mailmig.lab.activating import set_preference_move
from mailmig.lab.cluster import LONGEST_FREQUENCY, Cluster, Dag, Node, short
from mailmig.lab.databases import Activation
from mailmig.lab.faults.machines import Claiming, Worse
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.organisation import CLUSTER_SERVICE
from mailmig.lab.replicating import REPLICATION, begin
from mailmig.lab.world import World

# Two faults change PreferenceMoveFrequency.
PREFERENCE_MOVE = "PreferenceMoveFrequency"
_MEMBER = "a member of the DAG"

Changes = Mapping[str, object]


class _OfMember(Claiming):
    """What happens to one member."""

    wants = _MEMBER

    def member(self, world: World, target: str) -> str:
        """The member as the DAG spells it. Raises `BadTarget`."""
        return member_named(self, world, target)


class _OfDag(Worse):
    """The DAG as the directory has it."""

    family = "dag"
    wants = ""

    def what(self, world: World, target: str) -> Dag:
        return world.organisation.dag


class _OfCluster(Worse):
    """The cluster below the DAG."""

    family = "dag"
    wants = ""

    def what(self, world: World, target: str) -> Cluster:
        return world.organisation.cluster


class _OfNode(Worse):
    """One member as the cluster knows it."""

    family = "dag"
    wants = _MEMBER

    def what(self, world: World, target: str) -> Node:
        return world.organisation.cluster.nodes[member_named(self, world, target)]


class _OfActivation(Worse):
    """What one member may activate."""

    family = "dag"
    wants = _MEMBER

    def what(self, world: World, target: str) -> Activation:
        return world.organisation.activation[member_named(self, world, target)]


class _StoppedService(_OfMember):
    """A service of a member does not run."""

    service: ClassVar[str]

    def on(self, world: World, target: str) -> None:
        name = self.member(world, target)
        stopped = world.conditions(name).stopped_services
        if self.service in stopped:
            raise self.bad(target)
        stopped.add(self.service)

    def off(self, world: World, target: str) -> None:
        name = self.member(world, target)
        world.conditions(name).stopped_services.discard(self.service)
        for copy in world.organisation.copies:
            if copy.server == name and not copy.active:
                begin(copy, world.organisation.now)


class ClusterServiceStopped(_StoppedService):
    id = "cluster-service-stopped"
    family = "dag"
    shows = ("dag_members_up", "dag_replication_health")
    description = "the member is no part of the cluster; its databases go to the other one"
    wants = f"{_MEMBER} whose cluster service runs"
    service = CLUSTER_SERVICE


class ReplicationServiceStopped(_StoppedService):
    id = "replication-service-stopped"
    family = "dag"
    shows = ("dag_replication_health", "db_copy_status", "svc_required")
    description = (
        "the member's replication service does not run: nothing is copied to it or from it"
    )
    wants = f"{_MEMBER} whose replication service runs"
    service = REPLICATION


class NodesInOneSite(Fault):
    id = "nodes-in-one-site"
    family = "dag"
    shows = ("dag_site_spread", "ad_node_site")
    description = "all members belong to the Active Directory site of the first one"
    wants = ""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}

    def on(self, world: World, target: str) -> None:
        state = world.organisation
        self._before = {name: state.server(name).site for name in state.dag.servers}
        for name in state.dag.servers[1:]:
            state.change_server(name, site=self._before[state.dag.servers[0]])

    def off(self, world: World, target: str) -> None:
        for name, site in self._before.items():
            world.organisation.change_server(name, site=site)


class NoActiveManager(_OfCluster):
    id = "pam-lost"
    shows = ("dag_pam_owner", "dag_replication_health")
    description = "nothing owns the cluster's core group: there is no Primary Active Manager"

    def worse(self, world: World, target: str) -> Changes:
        return {"group_failed": True}


class WitnessUnused(_OfCluster):
    id = "witness-unused"
    shows = ("dag_witness_in_use", "dag_quorum_votes")
    description = (
        "the cluster counts without the witness although its share can be reached: one node that "
        "goes takes all databases with it"
    )

    def worse(self, world: World, target: str) -> Changes:
        return {"has_witness": False}


class WitnessUnreachable(_OfNode):
    id = "witness-unreachable"
    shows = ("dag_witness_reachable", "dag_replication_health")
    description = "the member does not get to the witness share; when none does, the witness fails"

    def worse(self, world: World, target: str) -> Changes:
        return {"reaches_witness": False}


class WitnessOnMember(_OfDag):
    id = "witness-on-member"
    shows = ("dag_witness_placement",)
    description = "the witness is a member of the DAG itself"
    wants = _MEMBER

    def worse(self, world: World, target: str) -> Changes:
        return {"witness": world.organisation.server(member_named(self, world, target)).fqdn}


class WitnessRestarted(Fault):
    id = "witness-restarted"
    family = "dag"
    shows = ("dag_witness_uptime",)
    description = (
        "the witness server has just been started again: a lone member that is started, too, "
        "mounts nothing"
    )
    wants = ""

    def __init__(self) -> None:
        self._witness = ""
        self._before: datetime | None = None

    def on(self, world: World, target: str) -> None:
        cluster = world.organisation.cluster
        self._witness = short(cluster.witness_host)
        self._before = cluster.booted.get(self._witness)
        cluster.booted[self._witness] = world.organisation.now

    def off(self, world: World, target: str) -> None:
        booted = world.organisation.cluster.booted
        del booted[self._witness]
        if self._before is not None:
            booted[self._witness] = self._before


class VoteMissing(_OfNode):
    id = "vote-missing"
    shows = ("dag_quorum_votes",)
    description = "the member has no vote: without the other one there is no majority"

    def worse(self, world: World, target: str) -> Changes:
        return {"weight": 0}


class DacOff(_OfDag):
    id = "dac-off"
    shows = ("dag_dac_mode",)
    description = "DatacenterActivationMode is Off: no protection against a split brain"

    def worse(self, world: World, target: str) -> Changes:
        return {"activation_mode": "Off"}


class NoAlternateWitness(_OfDag):
    id = "alternate-witness-missing"
    shows = ("dag_alternate_witness",)
    description = "no alternate witness is configured"

    def worse(self, world: World, target: str) -> Changes:
        return {"alternate_witness": "", "alternate_folder": ""}


class MemberStopped(_OfMember):
    id = "member-stopped"
    family = "dag"
    shows = ("dag_stopped_members",)
    description = "the member is left in DAC's list of stopped ones: it mounts nothing"

    def on(self, world: World, target: str) -> None:
        name = self.member(world, target)
        if name in world.organisation.dag.stopped:
            raise self.bad(target)
        world.organisation.dag.stopped.add(name)

    def off(self, world: World, target: str) -> None:
        world.organisation.dag.stopped.discard(self.member(world, target))


class ActivationBlocked(_OfActivation):
    id = "activation-blocked"
    shows = ("dag_activation_policy", "dag_maintenance_leftover")
    description = "DatabaseCopyAutoActivationPolicy is Blocked: nothing fails over to the member"

    def worse(self, world: World, target: str) -> Changes:
        return {"policy": "Blocked"}


class ActivationInSiteOnly(_OfActivation):
    id = "activation-in-site-only"
    shows = ("dag_activation_policy",)
    description = (
        "DatabaseCopyAutoActivationPolicy is IntrasiteOnly: no failover from the other site"
    )

    def worse(self, world: World, target: str) -> Changes:
        return {"policy": "IntrasiteOnly"}


class MoveNow(_OfActivation):
    id = "move-now"
    shows = ("dag_activation_policy", "dag_maintenance_leftover")
    description = (
        "DatabaseCopyActivationDisabledAndMoveNow is true: the member's databases leave it within "
        "seconds, and none comes"
    )

    def worse(self, world: World, target: str) -> Changes:
        return {"move_now": world.organisation.now}


class MountDialLossless(_OfActivation):
    id = "mount-dial-lossless"
    shows = ("dag_mount_dial",)
    description = "AutoDatabaseMountDial is Lossless on this member only"

    def worse(self, world: World, target: str) -> Changes:
        return {"mount_dial": "Lossless"}


class TooFewActive(_OfActivation):
    id = "active-limit"
    shows = ("dag_max_active",)
    description = "MaximumActiveDatabases is 1: the member cannot carry all databases"

    def worse(self, world: World, target: str) -> Changes:
        return {"maximum": 1}


class _Disconnected(_OfMember):
    """The copies on a member lose the others."""

    def disconnect(self, world: World, target: str) -> str:
        """Gives the member's name. Raises `BadTarget` and `AlreadyChanged`."""
        name = self.member(world, target)
        here = [copy for copy in world.organisation.copies if copy.server == name]
        self.claim(world, target, [("connected", copy.identity) for copy in here])
        for copy in here:
            copy.connected = False
        return name

    def connect(self, world: World, target: str) -> str:
        """They find the others again. Gives the member's name."""
        name = self.member(world, target)
        for copy in world.organisation.copies:
            if copy.server == name:
                copy.connected = True
        self.release(world)
        return name


class ReplicationPortClosed(_Disconnected):
    id = "replication-port-closed"
    family = "dag"
    shows = ("dag_replication_port", "dag_replication_health")
    description = "nobody reaches the member at the replication port: its copies are disconnected"

    def on(self, world: World, target: str) -> None:
        world.organisation.cluster.closed.add(self.disconnect(world, target))

    def off(self, world: World, target: str) -> None:
        world.organisation.cluster.closed.discard(self.connect(world, target))


class DagNetworkDown(_Disconnected):
    id = "dag-network-down"
    family = "dag"
    shows = ("dag_network_state", "dag_replication_health")
    description = "the member's interface in the DAG network fails: its copies are disconnected"

    def on(self, world: World, target: str) -> None:
        name = self.disconnect(world, target)
        for network in world.organisation.dag.networks:
            network.failed.add(name)

    def off(self, world: World, target: str) -> None:
        name = self.connect(world, target)
        for network in world.organisation.dag.networks:
            network.failed.discard(name)


class DagNetworkMisconfigured(_OfMember):
    id = "dag-network-misconfigured"
    family = "dag"
    shows = ("dag_network_layout", "dag_network_state")
    description = "the member's address in the DAG network is a self-assigned one (169.254.x.y)"

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, str] = {}

    def on(self, world: World, target: str) -> None:
        name = self.member(world, target)
        self.claim(world, target, ["addresses in the DAG network"])
        for network in world.organisation.dag.networks:
            self._before[network.name] = network.interfaces[name]
            network.interfaces[name], network.misconfigured = "169.254.17.4", True

    def off(self, world: World, target: str) -> None:
        name = self.member(world, target)
        for network in world.organisation.dag.networks:
            network.interfaces[name] = self._before[network.name]
            network.misconfigured = False
        self.release(world)


class PreferenceMoveTooLong(Claiming):
    id = "preference-move-too-long"
    family = "dag"
    shows = ("dag_preference_move", "svc_required")
    description = "PreferenceMoveFrequency is more than 49.7 days: the replication service ends on all members"
    wants = ""

    def __init__(self) -> None:
        super().__init__()
        self._before: timedelta | None = None
        self._stopped: list[str] = []

    def on(self, world: World, target: str) -> None:
        state = world.organisation
        self.claim(world, target, [PREFERENCE_MOVE])
        self._before = state.dag.preference_move
        self._stopped = [
            name
            for name in state.dag.servers
            if REPLICATION not in world.conditions(name).stopped_services
        ]
        set_preference_move(state, LONGEST_FREQUENCY + timedelta(hours=7))

    def off(self, world: World, target: str) -> None:
        set_preference_move(world.organisation, self._before)
        for name in self._stopped:
            world.conditions(name).stopped_services.discard(REPLICATION)
        self.release(world)


class NodePaused(_OfMember):
    id = "maintenance-left"
    family = "dag"
    shows = ("dag_maintenance_leftover", "dag_members_up", "svc_component_requesters")
    description = (
        "somebody forgot to end a maintenance: the node is paused, its policy Blocked, "
        "HubTransport Draining by the requester Maintenance"
    )

    def __init__(self) -> None:
        super().__init__()
        self._policy = "Unrestricted"

    def on(self, world: World, target: str) -> None:
        name = self.member(world, target)
        settings = world.organisation.activation[name]
        self.claim(world, target, [(id(settings), "policy")])
        world.organisation.cluster.pause(name)
        self._policy, settings.policy = settings.policy, "Blocked"
        self._ask(world, name, "Draining")

    def off(self, world: World, target: str) -> None:
        name = self.member(world, target)
        world.organisation.cluster.resume(name)
        world.organisation.activation[name].policy = self._policy
        self._ask(world, name, "Active")
        self.release(world)

    @staticmethod
    def _ask(world: World, name: str, state: str) -> None:
        components = world.components(name)
        components.ask("HubTransport", "Maintenance", state, world.organisation.now)


def member_named(fault: Fault, world: World, target: str) -> str:
    """The member as the DAG spells it. Raises `BadTarget`."""
    name = server_named(fault, world, target)
    if name not in world.organisation.dag.servers:
        raise fault.bad(target)
    return name
