"""Faults of Windows, of room and of load: seen by our scripts while they are on, gone when off."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mailmig.lab.faults.switchboard import BadTarget, Switchboard, kinds
from mailmig.lab.world import World
from mailmig.model.quota import GIB
from mailmig.model.windows import MachineHealth, SystemStart
from tests.lab.asking import town
from tests.lab.asking_windows import facts, only

Look = Callable[[World], Any]
STORE = "Information Store - SE-DB01"


def health(name: str) -> Look:
    return lambda world: getattr(only(world, "ls-ex1", "machine_health", MachineHealth), name)


def cards(name: str) -> Look:
    return lambda world: [getattr(one, name) for one in facts(world, "ls-ex1", "network_cards")]


def logs(world: World) -> set[tuple[bool, timedelta]]:
    found = facts(world, "ls-ex1", "event_logs")
    assert {one.name for one in found} == {"Application", "System"}
    return {(one.full, world.now - one.oldest) for one in found}


def uptime(world: World) -> bool:
    return only(world, "ls-ex1", "boot_time", SystemStart).uptime < timedelta(hours=24)


def skew(world: World) -> timedelta:
    mine = only(world, "ls-ex1", "boot_time", SystemStart)
    return mine.now - only(world, "ls-dc1", "boot_time", SystemStart).now


def counter(name: str, instance: str) -> Callable[[World], float]:
    def look(world: World) -> float:
        found: list[float] = [
            one.value
            for one in facts(world, "ls-ex1", "counters")
            if (one.name, one.instance) == (name, instance)
        ]
        assert len(found) == 1, (name, found)
        return found[0]

    return look


def free(path: str) -> Look:
    def look(world: World) -> Any:
        (found,) = [one for one in facts(world, "ls-ex1", "volumes") if one.path == path]
        return round(found.free / found.capacity, 2)

    return look


def above(look: Callable[[World], float], limit: float) -> Look:
    return lambda world: look(world) > limit


# fault: what to look at, what it is on a healthy machine, what it is while the fault is on
SEEN: dict[str, tuple[Look, Any, Any]] = {
    "os-pending-reboot": (health("reboot"), (), ("Servicing", "Update")),
    "os-setup-running": (health("setup"), (), ("ExSetup.exe",)),
    "os-clock-ahead": (skew, timedelta(0), timedelta(minutes=7)),
    "os-restarted": (uptime, False, True),
    "os-page-file-automatic": (health("page_automatic"), False, True),
    "os-page-file-second": (lambda w: len(health("page_files")(w)), 1, 2),
    "os-power-balanced": (
        health("power_plan"), "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c",
        "381b4222-f694-41f0-9685-ff5bb260df2e",
    ),
    "os-keep-alive-unset": (health("keep_alive_ms"), 1_800_000, None),
    "os-packets-discarded": (cards("discarded"), [0], [48_211]),
    "os-not-in-dns": (cards("registers"), [True], [False]),
    "os-ipv6-half": (health("ipv6_disabled"), None, 1),
    "os-http-proxy": (health("proxy"), "", "proxy.ad.lindenstadt.example:8080"),
    "os-credential-guard": (health("credential_guard"), False, True),
    "os-dotnet-old": (lambda w: health("dotnet")(w) >= 528_040, True, False),
    "os-runtime-missing": (lambda w: len(health("runtimes")(w)), 2, 1),
    "os-event-log-short": (
        logs, {(True, timedelta(days=47))}, {(True, timedelta(days=2))},
    ),
    "os-other-version": (
        lambda w: health("version")(w) == only(w, "ls-ex2", "machine_health", MachineHealth).version,
        True, False,
    ),
    "cap-system-disk-full": (free("C:\\"), 0.6, 0.1),
    "cap-log-disk-full": (free("E:\\"), 0.85, 0.1),
    "cap-processor-busy": (counter("PercentProcessorTime", "_Total"), 22.0, 87.0),
    "cap-memory-small": (health("memory"), 128 * GIB, 24 * GIB),
    "cap-database-slow": (above(counter("IODatabaseReadsAttachedAverageLatency", STORE), 20), False, True),
    "cap-log-slow": (above(counter("IOLogWritesAverageLatency", STORE), 10), False, True),
    "cap-rpc-slow": (above(counter("RPCAverageLatency", "se-db01"), 50), False, True),
    "cap-log-stalls": (above(counter("LogRecordStallsPersec", STORE), 100), False, True),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_windows_shows_the_fault_while_it_is_on(name: str) -> None:
    look, healthy, ill = SEEN[name]
    world = town(20)
    board = Switchboard(world)
    assert look(world) == healthy
    board.on(name, "LS-EX1")
    assert look(world) == ill
    board.off(name, "LS-EX1")
    assert look(world) == healthy
    with pytest.raises(BadTarget):
        board.on(name, "nobody")


def test_every_fault_of_windows_is_tried_here() -> None:
    elsewhere = {"cap-database-disk-full", "cap-database-large"}
    families = {"os", "capacity"}
    mine = {name for name, kind in kinds().items() if kind.family in families}
    assert mine - elsewhere == set(SEEN)


def test_a_fault_of_one_machine_leaves_the_others_alone() -> None:
    world = town(20)
    Switchboard(world).on("os-pending-reboot", "ls-fs3.ad.lindenstadt.example")
    assert only(world, "ls-fs3", "machine_health", MachineHealth).reboot
    assert not only(world, "ls-ex1", "machine_health", MachineHealth).reboot


def test_a_full_disk_is_the_same_for_windows_and_for_exchange() -> None:
    world = town(20)
    board = Switchboard(world)
    copy = next(c for c in world.organisation.copies if c.server == "LS-EX2")
    path = rf"D:\Databases\{copy.database}" "\\"

    def seen() -> int:
        (found,) = [one for one in facts(world, "ls-ex2", "volumes") if one.path == path]
        assert found.free == copy.disk_free and found.capacity == copy.disk_total
        assert found.file_system == "ReFS" and found.block_size == 65536
        return int(found.free)

    healthy = seen()
    board.on("cap-database-disk-full", rf"{copy.database}\ls-ex2")
    assert seen() == 40 * GIB < healthy
    board.all_off()
    assert seen() == healthy
    with pytest.raises(BadTarget):
        board.on("cap-database-disk-full", copy.database)
    with pytest.raises(BadTarget):
        board.on("cap-log-disk-full", "ls-dc1")


def test_a_database_that_has_grown_shrinks_by_no_more_than_that() -> None:
    world = town(20)
    board = Switchboard(world)
    database = world.organisation.databases["SE-DB01"]
    before = database.size
    board.on("cap-database-large", "se-db01")
    assert database.size > 2_000 * GIB
    database.size += 5
    board.all_off()
    assert database.size == before + 5
