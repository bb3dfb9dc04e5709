"""windows.json, databases.json, constraints.json: what is read, and what is refused."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.model.errors import BadFile
from mailmig.model.migration import Mode, Pin, TargetServer
from mailmig.wire.planning.calendars import (
    parse_calendar,
    parse_pins,
    parse_target,
    write_calendar,
    write_pins,
    write_target,
)
from tests.rules.planning.drawn import problems

BERLIN = ZoneInfo("Europe/Berlin")

WINDOW = {"id": "w1", "start": "2026-10-24T20:00:00", "end": "2026-10-25T04:00:00"}
CALENDAR = {"project_start": "2026-10-01", "windows": [WINDOW]}
DATABASE = {"id": "TDB1", "capacity_bytes": 100}
TARGET = {"databases": [DATABASE]}


def calendar(**more: Any) -> str:
    return json.dumps({**CALENDAR, **more})


def windowed(**more: Any) -> str:
    return calendar(windows=[{**WINDOW, **more}])


def target(**more: Any) -> str:
    return json.dumps({**TARGET, **more})


@given(problems())
def test_what_is_written_is_read_again(data: Any) -> None:
    for zone in (UTC, BERLIN):
        assert parse_calendar(write_calendar(data.calendar), zone) == data.calendar
    assert parse_target(write_target(data.target)) == data.target
    assert parse_pins(write_pins(data.pins)) == data.pins


def test_times_without_a_zone_are_read_in_the_given_one() -> None:
    read = parse_calendar(calendar(), BERLIN)
    window = read.windows[0]
    assert read.project_start == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert window.start == datetime(2026, 10, 24, 18, tzinfo=UTC)  # summer time
    assert window.end == datetime(2026, 10, 25, 3, tzinfo=UTC)  # winter time
    assert window.working_hours == 9


def test_times_with_a_zone_keep_it() -> None:
    read = parse_calendar(
        windowed(start="2026-10-24T20:00:00Z", end="2026-10-25T04:00+02:00"), BERLIN
    )
    assert read.windows[0].start == datetime(2026, 10, 24, 20, tzinfo=UTC)
    assert read.windows[0].end == datetime(2026, 10, 25, 2, tzinfo=UTC)


def test_a_time_that_the_clocks_pass_twice_is_the_first_of_the_two() -> None:
    read = parse_calendar(windowed(end="2026-10-25T02:30:00"), BERLIN)
    assert read.windows[0].end == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_limits_left_out_or_null_do_not_bind() -> None:
    window = parse_calendar(windowed(capacity_bytes=None)).windows[0]
    assert (window.capacity_bytes, window.max_mailboxes, window.hours) == (None, None, None)
    read = parse_target(target(servers=[{"id": "EX1"}]))
    assert read.servers == (TargetServer("EX1"),)
    assert read.databases[0].log_headroom_bytes is None
    assert parse_calendar(calendar(mode="prestage")).mode is Mode.PRESTAGE


BAD_CALENDARS = [
    ("{", ("windows.json, line 1, column 2: is no JSON: Expecting property name enclosed in"
     " double quotes")),
    ("[]", "windows.json: must be an object, not []"),
    ('{"a": 1, "a": 2}', 'windows.json: the key "a" is given twice in one object'),
    ('{"project_start": NaN}', "windows.json: NaN is no number"),
    ("[" * 100_000, ("windows.json: is no JSON that can be used: nested too deep, or a number too"
     " long")),
    (calendar(windows=[]), "windows.json, windows: there is no window"),
    (json.dumps({"windows": [WINDOW]}), 'windows.json: the key "project_start" is missing'),
    (calendar(freezs=[]), 'windows.json: there is no key "freezs" here (did you mean "freezes"?)'),
    (calendar(mode="slow"), 'windows.json, mode: must be one of classic, prestage, not "slow"'),
    (calendar(deadline="2026-09-01"),
     "windows.json, deadline: the deadline is not after the start of the project"),
    (windowed(ende="x"), ('windows.json, windows[0]: there is no key "ende" here'
     ' (did you mean "end"?)')),
    (windowed(end="2026-10-24T19:00:00"),
     "windows.json, windows[0] (w1): the window ends before it starts, or at once"),
    (windowed(start="2026-08-24", end="2026-08-25"),
     "windows.json, windows[0] (w1): the window ends before the project starts"),
    (windowed(start="yesterday"), ("windows.json, windows[0].start: must be a time like"
     ' 2027-01-12T20:00:00, not "yesterday"')),
    (windowed(start=5), "windows.json, windows[0].start: must be a time, not 5"),
    (windowed(start="2026-03-29T02:30:00"), ("windows.json, windows[0].start: 2026-03-29T02:30:00"
     " does not exist in Europe/Berlin: the clocks go forward over it")),
    (windowed(capacity_bytes=-1),
     "windows.json, windows[0].capacity_bytes: must not be below zero, but is -1"),
    (windowed(capacity_bytes=1.5),
     "windows.json, windows[0].capacity_bytes: must be a whole number, not 1.5"),
    (windowed(max_mailboxes=True),
     "windows.json, windows[0].max_mailboxes: must be a whole number, not true"),
    (windowed(capacity_bytes=10**30),
     f"windows.json, windows[0].capacity_bytes: {10**30} is too large"),
    (windowed(hours=0), "windows.json, windows[0] (w1): hours must be above zero"),
    (windowed(pilot="yes"), 'windows.json, windows[0].pilot: must be true or false, not "yes"'),
    (windowed(id=" "), "windows.json, windows[0]: the id is empty"),
    (calendar(windows=[WINDOW, {**WINDOW, "id": "W1"}]),
     "windows.json, windows[1]: the id W1 is given twice (w1)"),
    (calendar(freezes=[{"start": "2026-10-05", "end": "2026-10-04"}]),
     "windows.json, freezes[0]: the freeze ends before it starts, or at once"),
    (calendar(freezes="none"), 'windows.json, freezes: must be a list, not "none"'),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_CALENDARS, ids=lambda case: case[1][13:50])
def test_a_bad_calendar_is_refused_with_place_and_reason(case: tuple[str, str]) -> None:
    text, sentence = case
    with pytest.raises(BadFile) as refused:
        parse_calendar(text, BERLIN)
    assert str(refused.value) == sentence


BAD_TARGETS = [
    (target(databases=[]), "databases.json, databases: there is no target database"),
    (target(databases=[{"id": "TDB1"}]),
     'databases.json, databases[0]: the key "capacity_bytes" is missing'),
    (target(databases=[DATABASE, {**DATABASE, "id": "tdb1"}]),
     "databases.json, databases[1]: the id tdb1 is given twice (TDB1)"),
    (target(databases=[{**DATABASE, "server": "EX2"}], servers=[{"id": "EX1"}]),
     'databases.json, databases[0] (TDB1): there is no server "EX2" (did you mean "EX1"?)'),
    (target(sources=[{"id": "SRC", "max_share_of_window": 1.5}]), ("databases.json, sources[0] (SRC):"
     " max_share_of_window is above 0 and at most 1, not 1.5")),
    (target(sources=[{"id": "SRC", "max_share_of_window": 0}]), ("databases.json, sources[0] (SRC):"
     " max_share_of_window is above 0 and at most 1, not 0.0")),
    (target(site_preference={"Köln": "dc9"}),
     'databases.json, site_preference.Köln: no target database is in site "dc9"'),
    (target(servers=[{"id": "EX1", "gb_per_hour": "fast"}]),
     'databases.json, servers[0].gb_per_hour: must be a number, not "fast"'),
    (target(log_factor=0), "databases.json, log_factor: must be above zero"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_TARGETS, ids=lambda case: case[1][15:60])
def test_a_bad_target_is_refused_with_place_and_reason(case: tuple[str, str]) -> None:
    text, sentence = case
    with pytest.raises(BadFile) as refused:
        parse_target(text)
    assert str(refused.value) == sentence


BAD_PINS = [
    ('{"pin": []}', 'constraints.json: there is no key "pin" here (did you mean "pins"?)'),
    ('{"pins": {}}', "constraints.json, pins: must be a list, not {}"),
    ('{"pins": [{"window": "w1"}]}', 'constraints.json, pins[0]: the key "identity" is missing'),
    ('{"pins": [{"identity": " ", "window": "w1"}]}',
     "constraints.json, pins[0]: the identity is empty"),
    ('{"pins": [{"identity": "anna", "reason": "VIP"}]}',
     "constraints.json, pins[0]: the pin of anna names no window and no database"),
    ('{"pins": [{"identity": "anna", "not_befor": "w1"}]}', ('constraints.json, pins[0]: there is no'
     ' key "not_befor" here (did you mean "not_before"?)')),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_PINS, ids=lambda case: case[1][17:60])
def test_bad_pins_are_refused_with_place_and_reason(case: tuple[str, str]) -> None:
    text, sentence = case
    with pytest.raises(BadFile) as refused:
        parse_pins(text)
    assert str(refused.value) == sentence


def test_no_pins_are_no_error() -> None:
    assert parse_pins("{}") == ()
    assert parse_pins('{"pins": [{"identity": "änna", "database": "D"}]}') == (
        Pin("änna", database="D"),
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    (
        "windows",
        "project_start",
        "freezes",
        "mode",
        "deadline",
        "databases",
        "servers",
        "pins",
        "id",
    )
)


@given(st.text() | (JSON | st.dictionaries(KEYS, JSON, max_size=6)).map(json.dumps))
def test_any_text_is_read_or_refused_and_never_breaks_the_reader(text: str) -> None:
    for read in (parse_calendar, parse_target, parse_pins):
        try:
            read(text)
        except BadFile as refused:
            assert str(refused)
