"""One thing changed at a time; more capacity never makes the best plan dearer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailmig.model.migration import Mode, Pin, TargetServer
from mailmig.rules.planning import what_if
from mailmig.rules.planning.capacity import capacities
from mailmig.rules.planning.maker import make
from tests.rules.planning.made import NOW, START, few, small, window


def test_another_window_has_the_usual_limits() -> None:
    windows = (
        window("w0", 1, capacity_bytes=1, max_mailboxes=1, pilot=True),
        window("w1", 2, capacity_bytes=30, max_mailboxes=10),
        window("extra1", 3, capacity_bytes=50, max_mailboxes=20),
        window("w3", 4, capacity_bytes=40, max_mailboxes=30),
    )
    more = what_if.with_window(small(windows=windows), START, START + timedelta(hours=9))
    extra = more.calendar.windows[-1]
    assert (extra.id, extra.capacity_bytes, extra.max_mailboxes) == ("extra2", 40, 20)
    free = what_if.with_window(small(), START, START + timedelta(hours=9)).calendar.windows[-1]
    assert (free.capacity_bytes, free.max_mailboxes) == (None, None)


def test_more_throughput_is_more_in_all_that_limits_bytes() -> None:
    data = few()
    servers = tuple(replace(s, gb_per_hour_per_move=1.0) for s in data.target.servers)
    data = replace(data, target=replace(data.target, servers=servers))
    for before, after in zip(capacities(data), capacities(what_if.faster(data, 2.0)), strict=True):
        assert after.given == 2 * before.given
        assert after.servers == pytest.approx(2 * before.servers, rel=1e-9)
        assert after.logs == before.logs


def test_concurrent_moves_limit_a_server_where_the_speed_of_one_is_known() -> None:
    windows = (window("w1", 1, hours=2),)
    assert TargetServer("EX", 10.0, 3).bytes_in(windows[0]) == 20 * 2**30
    assert TargetServer("EX", 10.0, 3, "", 2.0).bytes_in(windows[0]) == 12 * 2**30
    assert TargetServer("EX", None, 3, "", 2.0).bytes_in(windows[0]) == 12 * 2**30
    assert TargetServer("EX", None, 3).bytes_in(windows[0]) is None


def test_a_mode_and_a_pin_less_change_only_that() -> None:
    data = small(
        pins=(Pin("m0@corp.example", "x", window="w1"), Pin("m1@corp.example", database="TDB1"))
    )
    assert what_if.in_mode(data, Mode.PRESTAGE).calendar.mode is Mode.PRESTAGE
    assert what_if.without_pin(data, "M0@corp.example").pins == data.pins[1:]
    with pytest.raises(what_if.NoSuchPin, match=r"no pin of 'm2@corp.example' to leave out"):
        what_if.without_pin(data, "m2@corp.example")
    assert make(what_if.without_pin(data, "m0@corp.example"), NOW).metrics.pin_prices == ()
