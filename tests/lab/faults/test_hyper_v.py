"""Virtual machines and their hosts: what the host says, healthy and with each fault."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mailmig.lab.faults.switchboard import BadTarget, Switchboard, kinds
from mailmig.lab.world import World
from mailmig.model.quota import GIB
from mailmig.model.windows import ClusterHeartbeat, HyperVHost, VirtualMachine
from tests.lab.asking import town
from tests.lab.asking_windows import facts, only


def guests(world: World, host: str = "ls-hv1") -> dict[str, VirtualMachine]:
    return {one.name: one for one in facts(world, host, "virtual_machines")}


def of_node(look: Callable[[VirtualMachine], Any]) -> Callable[[World], Any]:
    return lambda world: look(guests(world)["LS-EX1"])


def processors(world: World) -> bool:
    """Virtual processors against the cores of the host, of which it keeps two."""
    host = only(world, "ls-hv1", "hyper_v_host", HyperVHost)
    return sum(one.processors for one in guests(world).values()) > 2 * (host.cores - 2)


def heartbeat(world: World) -> int:
    found = only(world, "ls-ex1", "cluster_heartbeat", ClusterHeartbeat)
    return found.cross_subnet_delay * found.cross_subnet_threshold


# fault: its target, what to look at, what it is on a healthy machine, what it is with the fault
SEEN: dict[str, tuple[str, Callable[[World], Any], Any, Any]] = {
    "hyperv-checkpoint": (
        "ls-ex1", of_node(lambda vm: (vm.checkpoint_type, [one.kind for one in vm.checkpoints])),
        ("Disabled", []), ("Production", ["Standard"]),
    ),
    "hyperv-backup-checkpoint": (
        "LS-EX1", of_node(lambda vm: (len(vm.checkpoints), vm.disks[0].endswith(".avhdx"))),
        (0, False), (1, True),
    ),
    "hyperv-dynamic-memory": (
        "ls-ex1", of_node(lambda vm: (vm.dynamic_memory, vm.memory)),
        (False, 128 * GIB), (True, 64 * GIB),
    ),
    "hyperv-saved-state": ("ls-ex1", of_node(lambda vm: vm.stop_action), "ShutDown", "Save"),
    "hyperv-host-time": ("ls-ex1", of_node(lambda vm: vm.time_sync), False, True),
    "hyperv-processors": ("ls-ex1", processors, False, True),
    "hyperv-disk-on-share": (
        "ls-ex1", of_node(lambda vm: {disk.rpartition("\\")[0] for disk in vm.disks}),
        {r"C:\ClusterStorage\LS-HV1\LS-EX1"}, {r"\\ls-nas1\vm"},
    ),
    "hyperv-no-rule": ("ls-ex1", of_node(lambda vm: vm.apart), ("LS-DAG1",), ()),
    "hyperv-same-host": (
        "ls-ex2", lambda world: (set(guests(world)), set(guests(world, "ls-hv2"))),
        ({"LS-EX1"}, {"LS-EX2"}), ({"LS-EX1", "LS-EX2"}, set()),
    ),
    "hyperv-witness-on-host": (
        "ls-hv2", lambda world: set(guests(world, "ls-hv2")), {"LS-EX2"}, {"LS-EX2", "LS-FS3"},
    ),
    "hyperv-other-work": (
        "ls-hv1", lambda world: only(world, "ls-hv1", "hyper_v_host", HyperVHost).features,
        (20,), (6, 20),
    ),
    "hyperv-heartbeat-tight": ("", heartbeat, 20_000, 5_000),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_the_host_shows_the_fault_while_it_is_on(name: str) -> None:
    target, look, healthy, ill = SEEN[name]
    world = town(20)
    board = Switchboard(world)
    assert look(world) == healthy
    board.on(name, target)
    assert look(world) == ill
    board.off(name, target)
    assert look(world) == healthy
    if target:
        with pytest.raises(BadTarget):
            board.on(name, "ls-dc1")


def test_every_fault_of_hyper_v_is_tried_here() -> None:
    assert {name for name, kind in kinds().items() if kind.family == "hyperv"} == set(SEEN)


def test_a_checkpoint_has_an_age() -> None:
    world = town(20)
    Switchboard(world).on("hyperv-checkpoint", "ls-ex1")
    (made,) = guests(world)["LS-EX1"].checkpoints
    assert world.now - made.at == timedelta(days=9) and made.name == "vor dem Update"


def test_a_host_that_is_off_takes_its_node_along() -> None:
    world = town(20)
    board = Switchboard(world)
    node = next(one for one in world.organisation.databases.values() if one.dag)
    assert node.server == "LS-EX1"
    board.on("server-down", "ls-hv1")
    hosts = {one.name: one.state.name for one in facts(world, "ls-hv2", "cluster_nodes")}
    assert hosts == {"LS-HV1": "DOWN", "LS-HV2": "UP"}
    assert world.organisation.down == {"LS-EX1"} and node.server == "LS-EX2" and node.mounted
    assert guests(world)["LS-EX1"].state == "Off" and guests(world)["LS-EX1"].memory == 0
    board.all_off()
    assert world.organisation.down == set()
    assert guests(world)["LS-EX1"].state == "Running"
