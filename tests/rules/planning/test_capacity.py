"""What a window takes: the least of its limits, in the hours that really pass."""

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailmig.model.migration import (
    Calendar,
    Mode,
    PlanData,
    Target,
    TargetDatabase,
    TargetServer,
    Window,
)
from mailmig.model.quota import GIB
from mailmig.rules.planning.capacity import NO_LIMIT, capacities, split
from mailmig.rules.planning.measures import bounds
from mailmig.rules.planning.problem import compile_problem
from tests.rules.planning.made import organisation, small, window

BERLIN = ZoneInfo("Europe/Berlin")


def one(data: PlanData) -> int:
    return capacities(data)[0].effective


def on_server(*databases: TargetDatabase, speeds: tuple[float | None, ...]) -> Target:
    servers = (TargetServer(f"EX{n}", speed) for n, speed in enumerate(speeds))
    return Target(databases, tuple(servers))


@pytest.mark.parametrize(
    ("given", "speed", "headroom", "effective", "binding"),
    [
        (100, 20 / GIB, 90, 90, "log headroom"),
        (100, 10 / GIB, 90, 80, "server throughput"),
        (70, 10 / GIB, 90, 70, "bytes given"),
        (None, None, 90, 90, "log headroom"),
        (None, None, None, NO_LIMIT, ""),
        (0, None, None, 0, "bytes given"),
    ],
)
def test_the_least_limit_binds(
    given: int | None, speed: float | None, headroom: int | None, effective: int, binding: str
) -> None:
    target = on_server(TargetDatabase("TDB", 1000, headroom, "EX0"), speeds=(speed,))
    data = small(windows=(window("w1", 1, capacity_bytes=given),), target=target)
    capacity = capacities(data)[0]
    assert (capacity.effective, capacity.binding) == (effective, binding)


def test_throughput_and_headroom_meet_on_each_server() -> None:
    """A fast server with full logs and a slow one with empty logs: 10 + 16, not 80 + 80."""
    databases = (TargetDatabase("A", 1000, 10, "EX0"), TargetDatabase("B", 1000, 200, "EX1"))
    target = on_server(*databases, speeds=(20 / GIB, 2 / GIB))
    capacity = capacities(small(windows=(window("w1", 1),), target=target))[0]
    assert capacity.effective == 10 + 16
    assert capacity.binding == "servers and their logs"


def test_a_server_without_target_databases_helps_nobody() -> None:
    target = on_server(TargetDatabase("A", 1000, None, "EX0"), speeds=(1 / GIB, 50 / GIB))
    assert one(small(windows=(window("w1", 1),), target=target)) == 8


def test_a_gigabyte_of_throughput_is_binary() -> None:
    target = on_server(TargetDatabase("A", 10**15, None, "EX0"), speeds=(27.313,))
    assert one(small(windows=(window("w1", 1),), target=target)) == int(27.313 * 1024**3 * 8)


def test_more_logs_than_bytes_leave_less_headroom() -> None:
    target = replace(on_server(TargetDatabase("A", 1000, 130), speeds=()), log_factor=1.3)
    assert one(small(windows=(window("w1", 1),), target=target)) == 100


@pytest.mark.parametrize(("day", "hours"), [(17, 8), (24, 9)])
def test_a_night_over_the_end_of_summer_time_has_one_hour_more(day: int, hours: int) -> None:
    """From 20:00 to 04:00 in Berlin; summer time ends in the night to 25 October 2026."""
    night = Window(
        "w1",
        datetime(2026, 10, day, 20, tzinfo=BERLIN).astimezone(UTC),
        datetime(2026, 10, day + 1, 4, tzinfo=BERLIN).astimezone(UTC),
    )
    target = on_server(TargetDatabase("A", 1000, None, "EX0"), speeds=(1 / GIB,))
    calendar = Calendar(datetime(2026, 10, 1, tzinfo=UTC), (night,))
    assert one(PlanData((), (), calendar, target)) == hours


def test_hours_that_are_given_count_instead_of_the_length() -> None:
    target = on_server(TargetDatabase("A", 1000, None, "EX0"), speeds=(1 / GIB,))
    short = replace(window("w1", 1, hours=8), hours=5.0)
    assert one(small(windows=(short,), target=target)) == 5


def test_windows_come_in_the_order_of_their_ends() -> None:
    windows = (window("late", 5), window("early", 1), window("gone", 3, cancelled=True))
    usable, dropped = split(small(windows=windows).calendar)
    assert [each.id for each in usable] == ["early", "late"]
    assert dropped == (("gone", "is cancelled"),)


def test_prestage_counts_what_is_copied_until_a_window_and_nothing_else_in_bytes() -> None:
    target = on_server(TargetDatabase("A", 1000, 5, "EX0"), speeds=(1 / GIB,))
    data = small(windows=(window("w1", 1, capacity_bytes=1), window("w2", 3)), target=target)
    ahead = replace(data, calendar=replace(data.calendar, mode=Mode.PRESTAGE))
    assert [c.copied for c in capacities(ahead)] == [24, 72]  # around the clock
    assert all(c.effective == NO_LIMIT for c in capacities(ahead))
    slow = replace(ahead, calendar=replace(ahead.calendar, copy_bytes_per_day=10))
    assert [c.copied for c in capacities(slow)] == [10, 30]


@pytest.mark.parametrize("seed", range(3))
def test_more_capacity_never_makes_the_earliest_end_later(seed: int) -> None:
    data = organisation(200, seed)
    ends = []
    for percent in (100, 110, 150, 300):
        windows = tuple(
            replace(
                each,
                capacity_bytes=(each.capacity_bytes or 0) * percent // 100,
                max_mailboxes=(each.max_mailboxes or 0) * percent // 100,
            )
            for each in data.calendar.windows
        )
        more = replace(data, calendar=replace(data.calendar, windows=windows))
        end = bounds(compile_problem(more)).makespan
        assert end is not None
        ends.append(end)
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > ends[-1]
