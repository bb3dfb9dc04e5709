"""Laws of the cluster and of what is active where, whatever happens in whatever order."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.lab import founding, story
from mailmig.lab.activating import can_mount, settle
from mailmig.lab.cluster import short
from mailmig.lab.organisation import Organisation
from mailmig.lab.replicating import status
from mailmig.model.windows import NodeState

NODES = ("LS-EX1", "LS-EX2")
Event = Callable[[Organisation], None]


def town() -> Organisation:
    return founding.found(story.read("town"), 8)


def toggle_node(name: str) -> Event:
    def happen(state: Organisation) -> None:
        if name in state.down:
            state.bring_back(name)
        else:
            state.take_down(name)

    return happen


def toggle_witness(state: Organisation) -> None:
    state.cluster.gone ^= {short(state.dag.witness)}


def toggle_use(state: Organisation) -> None:
    state.cluster.has_witness = not state.cluster.has_witness


def restart_witness(state: Organisation) -> None:
    state.cluster.booted[short(state.dag.witness)] = state.now


def toggle_policy(name: str) -> Event:
    def happen(state: Organisation) -> None:
        now = state.activation[name].policy
        state.activation[name].policy = "Unrestricted" if now == "Blocked" else "Blocked"

    return happen


def toggle_pause(name: str) -> Event:
    def happen(state: Organisation) -> None:
        node = state.cluster.nodes[name]
        (state.cluster.resume if node.paused else state.cluster.pause)(name)

    return happen


def move_now(name: str) -> Event:
    def happen(state: Organisation) -> None:
        settings_of = state.activation[name]
        settings_of.move_now = None if settings_of.move_now else state.now

    return happen


def wait(minutes: int) -> Event:
    return lambda state: state.advance(state.now + timedelta(minutes=minutes))


EVENTS = st.lists(
    st.one_of(
        st.sampled_from([toggle_witness, toggle_use, restart_witness]),
        *(
            st.sampled_from([make(name) for name in NODES])
            for make in (toggle_node, toggle_policy, toggle_pause, move_now)
        ),
        st.integers(1, 200).map(wait),
    ),
    max_size=14,
)


def check(state: Organisation) -> None:
    cluster = state.cluster
    up = set(NODES) - state.down
    assert set(cluster.operational) == (up if cluster.has_quorum else set())
    assert cluster.owner in (up if cluster.has_quorum else {""})
    assert cluster.has_quorum or cluster.owner == ""
    for name, node in cluster.nodes.items():
        assert (cluster.state(node) is NodeState.DOWN) is (name in state.down)
        assert cluster.vote(node) == 1
    for database in state.databases.values():
        copies = list(state.copies_of(database))
        active = [copy.server for copy in copies if copy.active]
        assert active == [database.server] and len(set(database.servers)) == len(copies)
        assert database.mounted is can_mount(state, database, database.server)
        for copy in copies:
            assert copy.queue_logs >= 0 and copy.replay_logs >= 0
            assert (status(state, database, copy) == "Mounted") is (
                copy.active and database.mounted
            )


@given(EVENTS)
@settings(max_examples=60)
def test_what_is_mounted_is_where_it_can_be_and_nowhere_twice(events: list[Event]) -> None:
    state = town()
    for event in events:
        event(state)
        settle(state)
        check(state)


@given(EVENTS)
@settings(max_examples=40)
def test_when_all_is_well_again_all_is_mounted_on_its_preferred_copy(events: list[Event]) -> None:
    state = town()
    for event in events:
        event(state)
        settle(state)
    for name in NODES:
        state.activation[name].policy, state.activation[name].move_now = "Unrestricted", None
        state.cluster.resume(name)
        if name in state.down:
            state.bring_back(name)
    state.cluster.has_witness = True
    state.cluster.gone.clear()
    for _ in range(3):
        state.advance(state.now + timedelta(hours=1))
    assert state.cluster.witness_weight == 1 and state.cluster.has_quorum
    for database in state.databases.values():
        (first,) = (c for c in state.copies_of(database) if c.preference == 1)
        assert database.mounted and first.active
        others = {status(state, database, c) for c in state.copies_of(database) if not c.active}
        assert others <= {"Healthy"}


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8))
@settings(max_examples=30)
def test_backups_do_not_depend_on_how_often_somebody_looks(steps: list[int]) -> None:
    once, often = town(), town()
    once.advance(once.now + timedelta(minutes=sum(steps)))
    for step in steps:
        often.advance(often.now + timedelta(minutes=step))
    for name in once.databases:
        one, other = once.backups.of(name), often.backups.of(name)
        assert (one.full, one.incremental) == (other.full, other.incremental)
        assert one.kept == pytest.approx(other.kept, rel=1e-4, abs=0.1)
        assert one.written == pytest.approx(other.written, rel=1e-4, abs=0.1)
