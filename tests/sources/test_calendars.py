"""Planning input from folders: errors name the file."""

from pathlib import Path

import pytest

from mailmig.model.errors import BadFile
from mailmig.rules.planning.settings import PlanSettings
from mailmig.sources.calendars import read_calendar, read_data
from mailmig.wire.planning.calendars import write_calendar, write_pins, write_target
from mailmig.wire.planning.tables import write_mailboxes, write_shares
from tests.rules.planning.made import organisation

DATA = organisation(30)
SETTINGS = PlanSettings()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {
        "windows.json": write_calendar(DATA.calendar),
        "databases.json": write_target(DATA.target),
        "constraints.json": write_pins(DATA.pins),
        "mailboxes.csv": write_mailboxes(DATA.mailboxes),
        "shares.csv": write_shares(DATA.shares),
        "meta.json": "this is not looked at",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_a_folder_comes_back_as_the_data_it_was_written_from(folder: Path) -> None:
    assert read_data(folder, SETTINGS) == DATA


def test_settings_reach_zone_directions_and_logs(folder: Path) -> None:
    settings = PlanSettings(zone="Europe/Berlin", new_delegate=2.0, log_factor=1.2)
    made = read_data(folder, settings)
    assert (made.new_delegate, made.target.log_factor) == (2.0, 1.2)
    local = write_calendar(DATA.calendar).replace("Z", "")
    (folder / "windows.json").write_text(local, "utf-8")
    read = read_calendar(folder, settings).calendar
    assert (DATA.calendar.project_start - read.project_start).total_seconds() == 3600


def test_without_constraints_nothing_is_pinned_and_the_plan_says_so(folder: Path) -> None:
    (folder / "constraints.json").unlink()
    found = read_calendar(folder, SETTINGS)
    assert found.pins == ()
    assert [note.text for note in found.notes] == [
        "there is no constraints.json: nothing is pinned"
    ]


def test_utf_16_with_a_mark_is_read(folder: Path) -> None:
    (folder / "shares.csv").write_text(write_shares(DATA.shares), "utf-16")
    assert read_data(folder, SETTINGS).shares == DATA.shares


@pytest.mark.parametrize("name", ["windows.json", "databases.json", "mailboxes.csv", "shares.csv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BadFile) as refused:
        read_data(folder, SETTINGS)
    assert str(refused.value) == f"{folder / name}: there is no such file"


def test_a_file_in_another_encoding_is_named(folder: Path) -> None:
    (folder / "mailboxes.csv").write_bytes("identity\nJörg\n".encode("latin-1"))
    with pytest.raises(BadFile) as refused:
        read_data(folder, SETTINGS)
    assert str(refused.value) == (
        f"{folder / 'mailboxes.csv'}: is neither UTF-8 nor UTF-16: save it as UTF-8"
    )


def test_a_mistake_in_a_file_names_file_and_place(folder: Path) -> None:
    text = (folder / "windows.json").read_text("utf-8").replace('"w00"', '""')
    (folder / "windows.json").write_text(text, "utf-8")
    with pytest.raises(BadFile) as refused:
        read_data(folder, SETTINGS)
    assert str(refused.value) == f"{folder / 'windows.json'}, windows[0]: the id is empty"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile) as refused:
        read_calendar(tmp_path / "nowhere", SETTINGS)
    assert str(refused.value) == f"{tmp_path / 'nowhere'}: there is no such folder"
