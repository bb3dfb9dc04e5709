"""Faults of the DAG: each is seen through a cmdlet while it is on, and not before or after."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, NoTarget, Switchboard
from mailmig.lab.world import World
from mailmig.wire.clixml import Obj, items
from tests.lab.asking import Shell, read, said, text, town

HERE, THERE = "LS-EX1", "LS-EX2"
MINUTE = timedelta(minutes=1)


def names(value: object) -> list[str]:
    assert isinstance(value, Obj)
    return [str(one.text if isinstance(one, Obj) else one) for one in items(value)]


def dag(shell: Shell) -> Obj:
    (found,) = read(shell.ask("Get-DatabaseAvailabilityGroup", Identity="LS-DAG1", Status=None))
    return found


def of_dag(name: str) -> Callable[[Shell], object]:
    def look(shell: Shell) -> object:
        value = dag(shell)[name]
        listed = isinstance(value, Obj) and isinstance(value.value, list)
        return names(value) if listed else text(dag(shell), name)

    return look


def member(shell: Shell, name: str, server: str = HERE) -> str:
    (found,) = shell.objects("Get-MailboxServer", Identity=server)
    return text(found, name)


def of_member(name: str) -> Callable[[Shell], object]:
    return lambda shell: (member(shell, name, HERE), member(shell, name, THERE))


def failed(shell: Shell, server: str = HERE) -> set[str]:
    found = shell.objects("Test-ReplicationHealth", Identity=server)
    return {text(one, "Check") for one in found if text(one, "Result") == "*FAILED*"}


def statuses(shell: Shell, database: str = "SE-DB01") -> dict[str, str]:
    found = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=database)
    return {text(one, "MailboxServer"): text(one, "Status") for one in found}


def sites(shell: Shell) -> list[str]:
    found = shell.objects("Get-ExchangeServer")
    return [text(one, "Site").rpartition("/")[2] for one in found]


def network(shell: Shell) -> tuple[list[str], list[str]]:
    (found,) = shell.objects("Get-DatabaseAvailabilityGroupNetwork")
    return names(found["Subnets"]), names(found["Interfaces"])


BOTH = [HERE, THERE]
HEALTHY: set[str] = set()
UP = "10.20.0.0/16,Up", "10.30.0.0/16,Up"
# Fault, target, what is looked at, what is seen without and with it.
SEEN: list[tuple[str, str, Callable[[Shell], object], object, object]] = [
    ("cluster-service-stopped", THERE, of_dag("OperationalServers"), BOTH, [HERE]),
    ("server-down", THERE, of_dag("OperationalServers"), BOTH, [HERE]),
    ("replication-service-stopped", THERE, lambda shell: failed(shell, THERE), HEALTHY,
     {"ReplayService", "ActiveManager", "TasksRpcListener", "TcpListener", "ServerLocatorService",
      "DatabaseRedundancy", "DatabaseAvailability"}),
    ("nodes-in-one-site", "", sites, ["Rathaus", "Rathaus", "Stadthaus"], ["Rathaus"] * 3),
    ("pam-lost", "", of_dag("PrimaryActiveManager"), HERE, "None"),
    ("pam-lost", "", failed, HEALTHY, {"ActiveManager", "QuorumGroup"}),
    ("witness-unused", "", of_dag("WitnessShareInUse"), "Primary", "None"),
    ("witness-unreachable", HERE, failed, HEALTHY, {"FileShareQuorum"}),
    ("witness-unreachable", HERE, lambda shell: failed(shell, THERE), HEALTHY, HEALTHY),
    ("witness-on-member", THERE, of_dag("WitnessServer"), "ls-fs3.ad.lindenstadt.example",
     "ls-ex2.ad.lindenstadt.example"),
    ("dac-off", "", of_dag("DatacenterActivationMode"), "DagOnly", "Off"),
    ("alternate-witness-missing", "", of_dag("AlternateWitnessServer"),
     "ls-fs2.ad.lindenstadt.example", ""),
    ("member-stopped", THERE, of_dag("StoppedMailboxServers"), [],
     ["ls-ex2.ad.lindenstadt.example"]),
    ("activation-blocked", HERE, of_member("DatabaseCopyAutoActivationPolicy"),
     ("Unrestricted", "Unrestricted"), ("Blocked", "Unrestricted")),
    ("activation-in-site-only", HERE, of_member("DatabaseCopyAutoActivationPolicy"),
     ("Unrestricted", "Unrestricted"), ("IntrasiteOnly", "Unrestricted")),
    ("move-now", THERE, of_member("DatabaseCopyActivationDisabledAndMoveNow"),
     ("False", "False"), ("False", "True")),
    ("mount-dial-lossless", THERE, of_member("AutoDatabaseMountDial"),
     ("GoodAvailability", "GoodAvailability"), ("GoodAvailability", "Lossless")),
    ("active-limit", HERE, of_member("MaximumActiveDatabases"), ("None", "None"), ("1", "None")),
    ("replication-port-closed", HERE, failed, HEALTHY,
     {"TcpListener", "DBDisconnected", "DatabaseRedundancy"}),
    ("dag-network-down", THERE, network,
     ([f"{{{UP[0]}}}", f"{{{UP[1]}}}"],
      ["{LS-EX1,Up,10.20.0.21}", "{LS-EX2,Up,10.30.0.22}"]),
     (["{10.20.0.0/16,Partitioned}", "{10.30.0.0/16,Down}"],
      ["{LS-EX1,Unreachable,10.20.0.21}", "{LS-EX2,Failed,10.30.0.22}"])),
    ("dag-network-misconfigured", THERE, network,
     ([f"{{{UP[0]}}}", f"{{{UP[1]}}}"],
      ["{LS-EX1,Up,10.20.0.21}", "{LS-EX2,Up,10.30.0.22}"]),
     (["{10.20.0.0/16,Misconfigured}", "{10.30.0.0/16,Misconfigured}"],
      ["{LS-EX1,Up,10.20.0.21}", "{LS-EX2,Up,169.254.17.4}"])),
    ("preference-move-too-long", "", of_dag("PreferenceMoveFrequency"), "01:00:00",
     "50.00:02:47"),
    ("preference-move-too-long", "", lambda shell: "ReplayService" in failed(shell), False, True),
    ("maintenance-left", THERE, of_dag("ServersInMaintenance"), [], [THERE]),
    ("maintenance-left", THERE, of_member("DatabaseCopyAutoActivationPolicy"),
     ("Unrestricted", "Unrestricted"), ("Unrestricted", "Blocked")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "target", "look", "before", "seen"), SEEN, ids=[f"{s[0]}-{s[1]}" for s in SEEN]
)
def test_a_fault_is_seen_while_it_is_on(
    name: str, target: str, look: Callable[[Shell], object], before: object, seen: object
) -> None:
    world = town(20)
    board, shell = Switchboard(world), Shell(world, HERE)
    assert look(shell) == before
    board.on(name, target)
    assert look(shell) == seen
    board.off(name, target)
    world.advance(MINUTE)
    assert look(shell) == before


def lab(*, asked: str = HERE) -> tuple[World, Switchboard, Shell]:
    world = town(20)
    return world, Switchboard(world), Shell(world, asked)


def mounted(shell: Shell) -> dict[str, str]:
    """Where each database of the DAG is mounted; nothing for those that are not."""
    found = shell.objects("Get-MailboxDatabase", Status=None)
    return {
        text(one, "Name"): text(one, "Server")
        for one in found
        if one["Mounted"] is True and text(one, "MasterType") == "DatabaseAvailabilityGroup"
    }


def test_without_a_witness_in_use_a_node_that_goes_takes_all_databases_with_it() -> None:
    world, board, shell = lab(asked=THERE)
    assert len(mounted(shell)) == 4
    board.on("witness-unused")
    assert len(mounted(shell)) == 4
    assert world.organisation.cluster.witness_weight == 0
    assert world.organisation.cluster.witness_reached
    board.on("server-down", HERE)
    assert mounted(shell) == {}
    assert (of_dag("PrimaryActiveManager")(shell), of_dag("OperationalServers")(shell)) == (
        "None", [],
    )  # fmt: skip
    board.off("server-down", HERE)
    assert len(mounted(shell)) == 4


def test_the_core_group_goes_to_the_node_that_is_left_and_stays_there() -> None:
    _, board, shell = lab()
    owner = of_dag("PrimaryActiveManager")
    assert owner(shell) == HERE
    board.on("cluster-service-stopped", HERE)
    assert owner(shell) == THERE
    board.all_off()
    assert owner(shell) == THERE


def test_with_a_witness_the_other_node_carries_all() -> None:
    world, board, shell = lab(asked=THERE)
    board.on("server-down", HERE)
    assert set(mounted(shell).values()) == {THERE} and len(mounted(shell)) == 4
    node = world.organisation.cluster.nodes[HERE]
    cluster = world.organisation.cluster
    assert (cluster.vote(node), cluster.witness_weight, cluster.has_quorum) == (1, 1, True)


def test_a_node_whose_vote_is_missing_cannot_carry_on_alone() -> None:
    world, board, shell = lab(asked=HERE)
    board.on("vote-missing", HERE)
    cluster = world.organisation.cluster
    votes = [cluster.vote(node) for node in cluster.nodes.values()]
    assert (votes, cluster.witness_weight) == ([0, 1], 0)
    board.on("server-down", THERE)
    assert mounted(shell) == {}
    board.all_off()
    assert len(mounted(shell)) == 4
    assert [cluster.vote(node) for node in cluster.nodes.values()] == [1, 1]


def test_a_lone_member_that_is_started_together_with_the_witness_mounts_nothing() -> None:
    world, board, shell = lab(asked=THERE)
    board.on("server-down", HERE)
    board.on("server-down", THERE)
    world.advance(MINUTE)
    board.on("witness-restarted")
    board.off("server-down", THERE)
    assert of_dag("OperationalServers")(shell) == [THERE]
    assert mounted(shell) == {}
    board.off("server-down", HERE)
    assert len(mounted(shell)) == 4


def test_a_lone_member_whose_witness_kept_running_mounts_all() -> None:
    world, board, shell = lab(asked=THERE)
    board.on("server-down", HERE)
    board.on("server-down", THERE)
    world.advance(MINUTE)
    board.off("server-down", THERE)
    assert set(mounted(shell).values()) == {THERE} and len(mounted(shell)) == 4


def test_without_dac_mode_nobody_is_asked() -> None:
    world, board, shell = lab(asked=THERE)
    board.on("dac-off")
    board.on("server-down", HERE)
    board.on("server-down", THERE)
    world.advance(MINUTE)
    board.on("witness-restarted")
    board.off("server-down", THERE)
    assert len(mounted(shell)) == 4


def test_a_witness_that_nobody_reaches_is_in_a_failed_state() -> None:
    _, board, shell = lab()
    board.on("witness-unreachable", HERE)
    board.on("witness-unreachable", THERE)
    outputs = shell.ask("Get-DatabaseAvailabilityGroup", Status=None)
    assert text(read(outputs)[0], "WitnessShareInUse") == "InvalidConfiguration"
    (warning,) = said(outputs)
    assert "witness is in a failed state" in warning
    assert len(mounted(shell)) == 4
    board.on("server-down", THERE)
    assert mounted(shell) == {}


@pytest.mark.parametrize("name", ["activation-blocked", "activation-in-site-only", "move-now"])
def test_what_may_not_be_activated_is_not_mounted_when_the_other_node_goes(name: str) -> None:
    _, board, shell = lab()
    board.on(name, HERE)
    assert set(mounted(shell).values()) == {HERE, THERE}
    board.on("server-down", THERE)
    assert set(mounted(shell).values()) == {HERE} and len(mounted(shell)) == 2
    board.off("server-down", THERE)
    assert len(mounted(shell)) == 4


def test_a_member_with_a_limit_takes_no_more_than_that() -> None:
    world, board, shell = lab()
    world.organisation.activation[HERE].maximum = 3
    board.on("server-down", THERE)
    assert len(mounted(shell)) == 3
    board.off("server-down", THERE)
    assert len(mounted(shell)) == 4


def test_move_now_empties_its_server_after_a_while_and_says_nothing_when_the_peer_is_blocked() -> (
    None
):
    world, board, shell = lab()
    board.on("activation-blocked", THERE)
    board.on("move-now", HERE)
    world.advance(2 * MINUTE)
    assert sorted(mounted(shell).values()) == [HERE, HERE, THERE, THERE]
    board.off("activation-blocked", THERE)
    assert sorted(mounted(shell).values()) == [HERE, HERE, THERE, THERE]
    world.advance(MINUTE)
    assert set(mounted(shell).values()) == {THERE}
    board.off("move-now", HERE)
    world.advance(timedelta(hours=2))
    assert sorted(mounted(shell).values()) == [HERE, HERE, THERE, THERE]


def test_a_paused_node_becomes_no_owner_and_keeps_its_vote() -> None:
    world, board, shell = lab()
    board.on("maintenance-left", THERE)
    cluster = world.organisation.cluster
    assert not cluster.move_group(THERE) and cluster.move_group(HERE)
    assert cluster.vote(cluster.nodes[THERE]) == 1 and cluster.has_quorum
    states = shell.objects("Get-ServerComponentState", Identity=THERE, Component="HubTransport")
    assert text(states[0], "State") == "Draining"
    board.all_off()
    assert cluster.move_group(THERE)


def test_a_stopped_replication_service_shows_in_the_status_of_its_copies() -> None:
    world, board, shell = lab()
    board.on("replication-service-stopped", THERE)
    assert statuses(shell) == {HERE: "Mounted", THERE: "ServiceDown"}
    board.off("replication-service-stopped", THERE)
    assert statuses(shell)[THERE] == "Initializing"
    world.advance(MINUTE)
    assert statuses(shell)[THERE] == "Healthy"


def test_a_stopped_member_mounts_nothing() -> None:
    _, board, shell = lab()
    board.on("member-stopped", THERE)
    assert set(mounted(shell).values()) == {HERE} and len(mounted(shell)) == 4
    board.off("member-stopped", THERE)
    board.on("server-down", HERE)
    assert set(mounted(shell).values()) == {THERE} and len(mounted(shell)) == 4


@pytest.mark.parametrize("name", sorted({s[0] for s in SEEN if s[1] and s[0] != "server-down"}))
def test_only_members_of_the_dag_are_taken(name: str) -> None:
    with pytest.raises(BadTarget, match="a member of the DAG"):
        Switchboard(town(20)).on(name, "LS-EX16")


def test_a_fault_of_the_whole_organisation_takes_no_target() -> None:
    board = Switchboard(town(20))
    with pytest.raises(NoTarget, match='takes no target: leave "LS-EX1" out'):
        board.on("dac-off", HERE)
    with pytest.raises(BadTarget, match="name a member"):
        board.on("vote-missing")
    assert list(board) == []


@pytest.mark.parametrize(("first", "second"), [
    ("activation-blocked", "maintenance-left"), ("replication-port-closed", "dag-network-down"),
    ("activation-in-site-only", "activation-blocked"),
])  # fmt: skip
def test_two_faults_that_change_the_same_thing_come_one_after_the_other(
    first: str, second: str
) -> None:
    board = Switchboard(town(20))
    board.on(first, THERE)
    with pytest.raises(AlreadyChanged, match=f"while {first} is on"):
        board.on(second, THERE)
    board.on(second, HERE)
    board.off(first, THERE)
    board.on(second, THERE)
    board.all_off()
    board.on(first, THERE)
