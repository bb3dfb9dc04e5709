"""Laws of faults: any order of on and off leaves the surroundings as they were."""

from contextlib import suppress
from dataclasses import asdict
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, NoTarget, Switchboard, WrongWay, kinds
from mailmig.lab.world import World
from tests.lab.asking import town

FAMILIES = {"os", "capacity", "hyperv", "directory", "namespace"}
MAIL = "mail.lindenstadt.example"
TARGETS = (
    "", "ls-ex1", "LS-EX1.ad.lindenstadt.example", "ls-ex2", "ls-dc1", "ls-dc2", "ls-hv1", "ls-fs3",
    "Rathaus", "SE-DB01", r"SE-DB01\LS-EX1", MAIL, MAIL.upper(), "autodiscover.lindenstadt.example",
    rf"{MAIL}\ls-ex1", rf"{MAIL}\LS-EX2", "ls-ex1.ad.lindenstadt.example",
)  # fmt: skip
MINE = sorted(name for name, kind in kinds().items() if kind.family in FAMILIES)
# What tells when something changed, or where a database is active: it stays where it went.
MOVED = {"whenchanged", "msexchowningserver", "msexchhomeservername"}
OTHERS = ["server-down", "server-hangs", "site-down"]


def both_nodes() -> World:
    """A town whose names already lead to both nodes."""
    world = town(8)
    world.organisation.answering = "LS-EX1"
    return world


def surroundings(world: World) -> dict[str, Any]:
    """All that faults change around Exchange."""
    around, organisation = world.surroundings, world.organisation
    names, forest = around.names, around.forest
    return {
        "machines": [asdict(one) for one in around.machines],
        "hosts": {name: asdict(host) for name, host in around.machines.hosts.items()},
        "sites": set(around.machines.cut_sites),
        "heartbeat": asdict(around.heartbeat),
        "names": [
            (server, set(zone.all_records(server)), zone.replica(server).receives, zone.ageing)
            for zone in names.zones
            for server in zone.servers
        ],
        "servers": [(one.drops, one.grants) for one in names.inside],
        "resolvers": [one.ignores_ttl for one in names.resolvers],
        "controllers": [asdict(one) for one in forest.controllers],
        "directory": {
            entry.dn: [(name, list(entry.get(name))) for name in entry.names() if name not in MOVED]
            for context in forest.contexts()
            for entry in forest.entries(context, forest.controllers[0].delay)
        },
        "sizes": [one.size for one in organisation.databases.values()],
        "disks": [one.disk_free for one in organisation.copies],
        "down": set(organisation.down),
        "claims": dict(around.claims),
    }  # fmt: skip


def not_started(world: World) -> dict[str, Any]:
    """The surroundings but when machines started: whatever was down has started anew."""
    found = surroundings(world)
    for machine in found["machines"]:
        del machine["started"]
    return found


@cache
def as_founded() -> dict[str, Any]:
    """They are the same in each town that is founded."""
    return not_started(both_nodes())


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([*MINE, *OTHERS]), st.sampled_from(TARGETS)),
        max_size=15,
    )
)
def test_any_order_of_on_and_off_leaves_all_as_it_was(
    steps: list[tuple[bool, str, str]],
) -> None:
    world = both_nodes()
    board = Switchboard(world)
    for on, name, target in steps:
        with suppress(BadTarget, NoTarget, AlreadyChanged, WrongWay):
            (board.on if on else board.off)(name, target)
    for active in list(board):
        board.off(active.id, active.target)
    assert not_started(world) == as_founded()


def test_two_faults_of_one_thing_are_refused_and_told() -> None:
    world = both_nodes()
    board = Switchboard(world)
    board.on("dns-ttl-long", MAIL)
    with pytest.raises(AlreadyChanged, match="while dns-ttl-long is on for the same thing"):
        board.on("dns-dead-address", MAIL)
    with pytest.raises(AlreadyChanged):
        board.on("dns-zone-stale", "ls-dc1")
    board.on("dns-dead-address", "autodiscover.lindenstadt.example")
    board.on("os-page-file-second", "ls-ex1")
    with pytest.raises(AlreadyChanged):
        board.on("os-page-file-automatic", "ls-ex1.ad.lindenstadt.example")
    board.all_off()
    board.on("os-page-file-automatic", "ls-ex1")
