"""The planning calendar that the lab writes: complete, consistent, and wide enough."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mailmig.lab import founding, story
from mailmig.lab.calendar import write_calendar
from mailmig.lab.organisation import Organisation
from mailmig.model.directory import NEVER_MOVED, Kind
from mailmig.model.quota import GIB

SIZES = [1, 2, 30, 588, 4_000]


def load(tmp_path: Path, mailboxes: int) -> tuple[Organisation, dict[str, Any]]:
    told = story.read("town")
    found = founding.found(told, mailboxes)
    write_calendar(found, told, tmp_path / "calendar")
    return found, {
        name: json.loads((tmp_path / "calendar" / f"{name}.json").read_text("utf-8"))
        for name in ("windows", "databases", "constraints")
    }


def moving(found: Organisation) -> list[int]:
    return [found.move_size(m) for m in found.present() if m.kind not in NEVER_MOVED]


@pytest.mark.parametrize("name", ["windows", "databases"])
def test_it_has_the_keys_of_the_example(name: str, tmp_path: Path, data_folder: Path) -> None:
    example = json.loads((data_folder / "planning-example" / f"{name}.json").read_text("utf-8"))
    _, ours = load(tmp_path, 588)
    assert keys(ours[name]) == keys(example)


def keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: keys(one) for key, one in value.items() if key != "site_preference"}
    return (
        keys(value[0]) if isinstance(value, list) else type(value).__name__.replace("int", "float")
    )


@pytest.mark.parametrize("mailboxes", SIZES)
def test_two_days_suffice_for_everything_with_some_slack(mailboxes: int, tmp_path: Path) -> None:
    found, calendar = load(tmp_path, mailboxes)
    sizes = moving(found)
    days = [w for w in calendar["windows"]["windows"] if w["hours"] == 12]
    assert len(days) == 2
    assert sum(w["capacity_bytes"] for w in days) >= 1.15 * sum(sizes)
    assert sum(w["max_mailboxes"] for w in days) >= 1.15 * len(sizes)


@pytest.mark.parametrize("mailboxes", SIZES)
def test_no_other_limit_is_narrower_than_the_windows(mailboxes: int, tmp_path: Path) -> None:
    found, calendar = load(tmp_path, mailboxes)
    databases = calendar["databases"]["databases"]
    servers = calendar["databases"]["servers"]
    largest = max(moving(found))
    for window in calendar["windows"]["windows"]:
        throughput = sum(s["gb_per_hour"] for s in servers) * GIB * window["hours"]
        assert throughput >= window["capacity_bytes"]
        assert sum(d["log_headroom_bytes"] for d in databases) >= window["capacity_bytes"]
        assert window["capacity_bytes"] >= 3 * largest
    assert sum(d["capacity_bytes"] for d in databases) >= 1.25 * sum(moving(found))
    assert min(d["log_headroom_bytes"] for d in databases) >= largest


def test_windows_lie_between_start_and_deadline_and_outside_the_freeze(tmp_path: Path) -> None:
    _, calendar = load(tmp_path, 588)
    windows = calendar["windows"]
    start, deadline = (datetime.fromisoformat(windows[k]) for k in ("project_start", "deadline"))
    before = start
    for window in windows["windows"]:
        begin, end = (datetime.fromisoformat(window[key]) for key in ("start", "end"))
        assert before <= begin < end <= deadline
        assert (end - begin).total_seconds() == window["hours"] * 3600
        for freeze in windows["freezes"]:
            stop, go = (datetime.fromisoformat(freeze[key]) for key in ("start", "end"))
            assert end <= stop or begin >= go
        before = end
    assert [w["id"] for w in windows["windows"] if w["pilot"]] == ["w00"]


@pytest.mark.parametrize("mailboxes", SIZES)
def test_pins_name_people_windows_and_databases_that_exist(mailboxes: int, tmp_path: Path) -> None:
    found, calendar = load(tmp_path, mailboxes)
    windows = {w["id"]: w for w in calendar["windows"]["windows"]}
    addresses = {m.address: m for m in found.present(Kind.USER)}
    pins = calendar["constraints"]["pins"]
    assert len({pin["identity"] for pin in pins}) == len(pins)
    for pin in pins:
        assert pin["identity"] in addresses and pin["reason"]
        for key in ("window", "not_before", "not_after"):
            assert pin.get(key, "w00") in windows
        assert pin.get("database", "SE-DB01") in found.databases
    pilot = [addresses[pin["identity"]] for pin in pins if pin.get("window") == "w00"]
    assert len(pilot) <= windows["w00"]["max_mailboxes"]
    assert sum(map(found.move_size, pilot)) <= windows["w00"]["capacity_bytes"]


def test_the_pilot_is_a_few_volunteers_of_the_it_department(tmp_path: Path) -> None:
    found, calendar = load(tmp_path, 588)
    pilot = {p["identity"] for p in calendar["constraints"]["pins"] if p.get("window")}
    assert 5 <= len(pilot) <= 12
    departments = {m.department for m in found.present(Kind.USER) if m.address in pilot}
    assert departments == {"Informationstechnik"}
