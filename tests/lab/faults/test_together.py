"""Faults that meet each other, an admin or time: each gives back its own and nothing else."""

from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.lab.cluster import HOURLY
from mailmig.lab.cultures import ENGLISH
from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, NoTarget, Switchboard, WrongWay, kinds
from mailmig.lab.machines import LOGS, Reach
from mailmig.lab.setting_values import method_names
from mailmig.lab.world import World
from mailmig.model.quota import MIB
from tests.lab.asking import Shell, text, town
from tests.lab.asking_windows import facts

HERE, THERE = "LS-EX1", "LS-EX2"
COPY = rf"SE-DB01\{THERE}"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# A database in which mail makes some 8,000 log files an hour.
LARGE = 20_000 * 1024 * MIB


def lab(asked: str = HERE) -> tuple[World, Switchboard, Shell]:
    world = town(20)
    return world, Switchboard(world), Shell(world, asked)


def mounted(world: World) -> int:
    return sum(one.mounted for one in world.organisation.databases.values() if one.dag)


def test_a_node_that_came_home_from_a_dead_host_runs_again() -> None:
    world, board, _ = lab()
    board.on("hyperv-same-host", "ls-ex1")
    board.on("server-down", "ls-hv2")
    assert world.organisation.down == {HERE, THERE} and mounted(world) == 0
    board.off("hyperv-same-host", "ls-ex1")
    assert world.organisation.down == {THERE} and mounted(world) == 4
    board.all_off()
    assert world.organisation.down == set()


def test_a_node_whose_home_went_meanwhile_goes_when_it_comes_home() -> None:
    world, board, _ = lab()
    board.on("hyperv-same-host", "ls-ex1")
    board.on("server-down", "ls-hv1")
    assert world.organisation.down == set()
    board.off("hyperv-same-host", "ls-ex1")
    assert world.organisation.down == {HERE}
    board.all_off()
    assert world.organisation.down == set()


def test_nothing_is_moved_live_from_or_to_a_dead_host() -> None:
    world, board, _ = lab()
    for host in ("ls-hv1", "ls-hv2"):
        board.on("server-down", host)
        with pytest.raises(BadTarget):
            board.on("hyperv-same-host", "ls-ex1")
        board.all_off()
    assert world.organisation.down == set()


def test_a_witness_on_a_host_goes_and_comes_with_it() -> None:
    world, board, _ = lab()
    cluster = world.organisation.cluster
    board.on("hyperv-witness-on-host", "ls-hv1")
    board.on("server-down", "ls-hv1")
    assert not cluster.witness_reached and mounted(world) == 0
    board.off("hyperv-witness-on-host", "ls-hv1")
    assert cluster.witness_reached and mounted(world) == 4
    board.all_off()
    assert cluster.gone == set() and mounted(world) == 4


def test_a_witness_on_a_member_is_lost_with_that_member() -> None:
    world, board, shell = lab()
    board.on("witness-on-member", THERE)
    assert mounted(world) == 4
    board.on("server-down", THERE)
    assert mounted(world) == 0
    board.off("server-down", THERE)
    assert mounted(world) == 4
    board.all_off()
    (dag,) = shell.objects("Get-DatabaseAvailabilityGroup", Status=None)
    assert text(dag, "WitnessShareInUse") == "Primary"


def test_another_witness_server_helps_where_the_first_one_is_gone() -> None:
    world, board, shell = lab()
    board.on("server-down", "ls-fs3")
    board.on("server-down", THERE)
    assert mounted(world) == 0
    board.off("server-down", THERE)
    new = {"WitnessServer": "ls-fs2.ad.lindenstadt.example", "WitnessDirectory": r"C:\Zeuge"}
    assert shell.ask("Set-DatabaseAvailabilityGroup", Identity="LS-DAG1", **new) == []
    board.on("server-down", THERE)
    assert mounted(world) == 4


def test_the_witness_that_was_started_anew_is_so_also_after_the_fault() -> None:
    world, board, _ = lab()
    board.on("server-down", "ls-fs3")
    board.off("server-down", "ls-fs3")
    booted = dict(world.organisation.cluster.booted)
    assert booted == {"ls-fs3": world.organisation.now}
    world.advance(HOUR)
    board.on("witness-restarted")
    assert world.organisation.cluster.booted == {"ls-fs3": world.organisation.now}
    board.off("witness-restarted")
    assert world.organisation.cluster.booted == booted


def test_how_often_databases_go_back_is_changed_by_one_fault_at_a_time() -> None:
    world, board, _ = lab()
    board.on("preference-move-too-long")
    with pytest.raises(AlreadyChanged):
        board.on("all-on-one", THERE)
    board.off("preference-move-too-long")
    board.on("all-on-one", THERE)
    board.off("all-on-one", THERE)
    assert world.organisation.dag.preference_move == HOURLY


def test_a_server_speaks_one_other_language_at_a_time() -> None:
    world, board, _ = lab()
    board.on("server-german", HERE)
    with pytest.raises(AlreadyChanged):
        board.on("server-german", "ls-ex1.ad.lindenstadt.example")
    board.off("server-german", HERE)
    assert world.conditions(HERE).culture is ENGLISH


def test_a_controller_that_is_cut_off_twice_hears_nothing_from_the_first_time_on() -> None:
    world, board, _ = lab()
    standing = world.surroundings.forest.standing("ls-dc2")
    board.on("server-down", "ls-dc2")
    since = standing.cut_at
    assert since is not None
    world.advance(HOUR)
    board.on("site-down", "Stadthaus")
    assert standing.cut_at == since
    board.off("server-down", "ls-dc2")
    assert standing.cut_at == since
    assert world.surroundings.machines.reach("ls-dc2") is Reach.CUT
    board.all_off()
    assert standing.cut_at is None


def test_a_full_backup_that_was_made_meanwhile_is_not_forgotten() -> None:
    world, board, _ = lab()
    backup = world.organisation.backups.of("SE-DB01")
    board.on("log-backup-failing", "SE-DB01")
    world.advance(2 * DAY)
    made = backup.full
    assert made is not None and world.now - made < DAY
    board.off("log-backup-failing", "SE-DB01")
    assert backup.full == made
    assert backup.incremental is not None and world.now - backup.incremental < 4 * DAY


def grown(world: World) -> int:
    """Bytes of log files after the next backup of the night, on the server where they are fewer."""
    world.organisation.databases["SE-DB01"].size = LARGE
    before = [free(world, server) for server in (HERE, THERE)]
    world.advance(HOUR)
    while world.now.hour != 2:
        world.advance(HOUR)
    return min(
        room - free(world, server) for room, server in zip(before, (HERE, THERE), strict=True)
    )


def test_after_the_backup_of_the_night_hardly_any_log_file_is_left() -> None:
    world, _, _ = lab()
    assert 0 < grown(world) < 15_000 * MIB


@pytest.mark.parametrize(
    "fault", ["copy-disconnected", "copy-behind", "copy-seeding", "copy-suspended"]
)
def test_a_copy_that_follows_no_more_keeps_the_log_files_on_both_servers(fault: str) -> None:
    world, board, _ = lab()
    world.organisation.databases["SE-DB01"].size = LARGE
    board.on(fault, COPY)
    assert grown(world) > 40_000 * MIB


def free(world: World, server: str) -> int:
    (found,) = (one for one in facts(world, server, "volumes") if one.path == LOGS)
    return int(found.free)


def test_log_files_that_the_source_cannot_send_are_lost_whoever_is_cut_off() -> None:
    world, board, shell = lab(asked=THERE)
    (passive,) = (one for one in world.organisation.copies if one.identity == COPY)
    passive.fetching, passive.queue_logs = False, 8.0
    board.on("dag-network-down", HERE)
    wanted = {"Identity": "SE-DB01", "ActivateOnServer": THERE, "Confirm": False}
    said = shell.error("Move-ActiveMailboxDatabase", **wanted).message
    assert "8 log files" in said
    best = shell.objects(
        "Move-ActiveMailboxDatabase", **wanted, MountDialOverride="BestAvailability"
    )
    assert [int(str(one["NumberOfLogsLost"])) for one in best] == [8]


FAMILIES = {"dag", "database", "backup", "versions", "session", "capacity", "hyperv"}
MINE = sorted(name for name, kind in kinds().items() if kind.family in FAMILIES)
TARGETS = (
    "", HERE, "ls-ex1.ad.lindenstadt.example", THERE, "LS-EX16", "ls-hv1", "ls-hv2", "ls-fs3",
    "Rathaus", "SE-DB01", "se-db01", "Buerger", COPY, COPY.lower(), rf"SE-DB02\{HERE}",
    r"Buerger\LS-EX16",
)  # fmt: skip


def settings_of(world: World) -> dict[str, object]:
    """All that faults change and that nothing else changes by itself."""
    state = world.organisation
    cluster, copies = state.cluster, sorted(state.copies, key=lambda one: one.identity)
    return {
        "dag": asdict(state.dag),
        "cluster": (cluster.has_witness, cluster.group_failed, cluster.gone, cluster.closed),
        "nodes": [(one.paused, one.weight, one.reaches_witness) for one in cluster.nodes.values()],
        "activation": {name: asdict(one) for name, one in state.activation.items()},
        "servers": [(one.site, one.build) for one in state.servers],
        "down": set(state.down),
        "databases": [
            (one.circular_logging, one.mount_at_startup, one.half_removed, set(one.servers))
            for one in state.databases.values()
        ],
        "copies": [
            (one.identity, one.fetching, one.replaying, one.suspended, one.activation_suspended,
             one.failed, one.connected, one.replay_lag, one.index, one.disk_free)
            for one in copies
        ],
        "backups": [
            (one.fails, one.incremental_fails, one.hangs)
            for one in map(state.backups.of, state.databases)
        ],
        "conditions": [
            (one.culture, round(one.delay_s), round(one.slowness), one.stopped_services)
            for one in (world.conditions(server.name) for server in state.servers)
        ],
        "claims": dict(world.surroundings.claims),
    }  # fmt: skip


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("on"), st.sampled_from(MINE), st.sampled_from(TARGETS)),
        st.tuples(st.just("off"), st.integers(0, 20), st.just("")),
        st.tuples(st.just("wait"), st.integers(1, 90), st.just("")),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(STEPS)
def test_any_order_leaves_the_dag_and_its_databases_as_they_were(
    steps: list[tuple[str, str | int, str]],
) -> None:
    world, board, _ = lab()
    before = deepcopy(settings_of(world))
    for what, name, target in steps:
        active = list(board)
        if isinstance(name, str):
            with suppress(BadTarget, NoTarget, AlreadyChanged, WrongWay):
                board.on(name, target)
        elif what == "wait":
            world.advance(timedelta(minutes=name))
        elif active:
            one = active[name % len(active)]
            board.off(one.id, one.target)
    while active := list(board):  # the first ones first
        board.off(active[0].id, active[0].target)
    assert settings_of(world) == before
    world.advance(HOUR)
    assert all(one.mounted for one in world.organisation.databases.values() if one.dag)


def test_what_an_admin_set_while_the_fault_was_on_is_not_put_back() -> None:
    _, board, shell = lab()
    directory = {"Identity": r"LS-EX1\mapi (Default Web Site)"}

    def shown(name: str) -> str:
        (one,) = shell.objects("Get-MapiVirtualDirectory", **directory)
        return text(one, name)

    url = shown("InternalUrl")
    board.on("mapi-proxy-broken", HERE)
    assert shown("InternalUrl") != url
    shell.objects("Set-MapiVirtualDirectory", **directory, IISAuthenticationMethods=["Ntlm"])
    board.off("mapi-proxy-broken", HERE)
    assert shown("InternalUrl") == url
    (one,) = shell.objects("Get-MapiVirtualDirectory", **directory)
    assert method_names({**one.properties}, "IISAuthenticationMethods") == ("Ntlm",)
