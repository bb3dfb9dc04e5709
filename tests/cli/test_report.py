"""`mailmig report quota`: which snapshots it takes, what it writes where, and what it refuses."""

import csv
import io
import json
import os
from collections.abc import Callable, Container
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest

from mailmig.model.errors import MailmigError
from mailmig.model.snapshot import Snapshot, SnapshotInfo
from tests.conftest import Mailmig
from tests.rules.quota_people import AFTER, mailbox, new_databases, old_database, snapshot, town


class Missing(MailmigError):
    """A reference that names nothing."""


class Kept:
    """Snapshots in memory, as the store gives them."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.kept = snapshots

    def list(self) -> tuple[SnapshotInfo, ...]:
        return tuple(snapshot.info for snapshot in self.kept)

    def info(self, ref: str) -> SnapshotInfo:
        return self.load(ref).info

    def load(self, ref: str, *, without: Container[str] = ()) -> Snapshot:
        for one in reversed(self.kept):
            if ref == "latest" or one.info.id.startswith(ref):
                return one
        raise Missing(f"no snapshot {ref}")


class Keeper:
    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    def snapshots(self) -> Kept:
        return self.kept


Keep = Callable[..., None]


@pytest.fixture
def keep(monkeypatch: pytest.MonkeyPatch) -> Keep:
    def keep(*snapshots: Snapshot) -> None:
        monkeypatch.setattr("mailmig.cli.report.session", lambda: Keeper(Kept(*snapshots)))

    return keep


BEFORE_TOWN, AFTER_TOWN = town(60)
WITH_DAG = snapshot(mailbox(1), mailbox(2), id="d0d0", databases=(old_database(), *new_databases()))


def later(one: Snapshot, id: str, days: int = 1, organisation: str = "Town") -> Snapshot:
    info = replace(
        one.info,
        id=id,
        taken_at=one.info.taken_at + timedelta(days=days),
        organisation=organisation,
    )
    return replace(one, info=info)


def test_two_newest_snapshots_of_one_organisation_are_compared_by_default(
    keep: Keep, mailmig: Mailmig
) -> None:
    village = later(WITH_DAG, "e1e1", -900, "Village")
    keep(village, later(BEFORE_TOWN, "old", -300), BEFORE_TOWN, AFTER_TOWN)
    done = mailmig("report", "quota")
    assert done.code == 0
    assert done.err == "comparing snapshot a3f9 with snapshot c51e\n"
    assert "snapshot a3f9 of 2026-10-30" in done.out


def test_a_single_snapshot_is_compared_with_the_defaults_of_the_target(
    keep: Keep, mailmig: Mailmig
) -> None:
    keep(WITH_DAG)
    done = mailmig("report", "quota")
    assert done.err == "comparing snapshot d0d0 with the defaults of the target databases\n"
    assert "against the defaults of MDB-NORTH, MDB-SOUTH in DAG01" in done.out


def test_what_is_named_is_taken_and_not_told(keep: Keep, mailmig: Mailmig) -> None:
    keep(later(BEFORE_TOWN, "0ld", -9), BEFORE_TOWN, AFTER_TOWN)
    done = mailmig("report", "quota", "--before", "0ld", "--after", "a3")
    assert done.err == ""
    assert "snapshot 0ld of" in done.out
    assert "against snapshot a3f9" in done.out


def test_with_before_alone_the_newest_other_one_is_after(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, later(BEFORE_TOWN, "b0b0", 1), AFTER_TOWN)
    done = mailmig("report", "quota", "--before", "a3f9")
    assert done.err == "comparing snapshot a3f9 with snapshot c51e\n"


def test_with_after_alone_the_one_before_it_is_before(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, later(BEFORE_TOWN, "b0b0", 1), AFTER_TOWN)
    done = mailmig("report", "quota", "--after", "b0b0")
    assert done.err == "comparing snapshot a3f9 with snapshot b0b0\n"


def test_the_newest_snapshot_is_never_the_one_before(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    done = mailmig("report", "quota", "--before", "c51e")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("mailmig: there is no later snapshot of Town to compare c51e with")


def test_an_ending_that_names_no_format_is_refused(
    keep: Keep, mailmig: Mailmig, tmp_path: Path
) -> None:
    keep(WITH_DAG)
    done = mailmig("report", "quota", "--out", "gains.pdf")
    assert done.code == 2
    assert "gains.pdf: the ending .pdf names no format: say which with --format" in done.err
    assert not (tmp_path / "gains.pdf").exists()
    assert mailmig("report", "quota", "--out", "gains.pdf", "--format", "text").code == 0


@pytest.mark.parametrize("option", ["--before", "--after"])
def test_without_a_partner_the_sentence_says_what_to_do(
    keep: Keep, mailmig: Mailmig, option: str
) -> None:
    keep(WITH_DAG)
    done = mailmig("report", "quota", option, "d0d0")
    assert done.code == 2
    side = "later" if option == "--before" else "earlier"
    assert done.err == (
        f"mailmig: there is no {side} snapshot of Town to compare d0d0 with: import one, "
        "or take --target-defaults\n"
    )


def test_a_target_without_dag_is_refused_in_one_sentence(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN)
    done = mailmig("report", "quota", "--target-defaults")
    assert done.code == 2
    assert done.err.startswith("mailmig: snapshot a3f9 has no database that belongs to a DAG")
    assert done.out == ""


def test_after_and_the_target_exclude_each_other(keep: Keep, mailmig: Mailmig) -> None:
    keep(WITH_DAG)
    done = mailmig("report", "quota", "--after", "d0", "--target-defaults")
    assert done.code == 2
    assert "--target-defaults takes the place of --after" in done.err


@pytest.mark.parametrize(
    "growth", ["-1", "nan", "inf", "1e9", "ten", "1001", "2,5", "", "0.0000001"]
)
def test_a_growth_that_is_none_is_refused(keep: Keep, mailmig: Mailmig, growth: str) -> None:
    keep(WITH_DAG)
    done = mailmig("report", "quota", f"--growth={growth}")
    assert done.code == 2
    assert "is no growth from 0 to 1000 per cent, like 2.5" in done.err


@pytest.mark.parametrize("growth", ["10", "10%", "10 %", "10.0"])
def test_growth_may_be_written_in_several_ways(keep: Keep, mailmig: Mailmig, growth: str) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    done = mailmig("report", "quota", f"--growth={growth}")
    assert "Full again at 10 % growth a year" in done.out


def test_the_ending_of_the_file_names_the_format(
    keep: Keep, mailmig: Mailmig, tmp_path: Path
) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    for name in ("r.csv", "r.json", "r.html", "r.xlsx", "r.txt", "r"):
        done = mailmig("report", "quota", "--out", tmp_path / name)
        assert done.code == 0
        assert done.out == ""
        assert f"written: {tmp_path / name}" in done.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_bytes().decode("utf-8-sig"))))
    assert len(rows) == len(
        json.loads((tmp_path / "r.json").read_bytes())["tables"]["people"]["rows"]
    )
    assert (tmp_path / "r.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert openpyxl.load_workbook(tmp_path / "r.xlsx").sheetnames[0] == "Summary"
    assert (tmp_path / "r").read_text("utf-8").startswith("Quota gains\n===========\n")


def test_a_named_format_wins_over_the_ending(keep: Keep, mailmig: Mailmig, tmp_path: Path) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    mailmig("report", "quota", "--format", "json", "--out", tmp_path / "r.txt")
    json.loads((tmp_path / "r.txt").read_bytes())


def test_an_existing_file_is_replaced_whole_or_stays(
    keep: Keep, mailmig: Mailmig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    there = tmp_path / "r.csv"
    there.write_text("old", "utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = mailmig("report", "quota", "--out", there)
    assert done.code == 2
    assert "No space left on device" in done.err
    assert there.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["r.csv"]
    mailmig("report", "quota", "--out", there)
    assert there.read_bytes().startswith(b"\xef\xbb\xbfexchange_guid,")


def test_a_workbook_is_not_written_to_a_terminal(
    keep: Keep, mailmig: Mailmig, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)

    monkeypatch.setattr("mailmig.cli.report._to_terminal", lambda: True)
    done = mailmig("report", "quota", "--format", "xlsx")
    assert done.code == 2
    assert done.out == ""
    assert "an Excel workbook is no text: name a file with --out FILE" in done.err


def test_csv_goes_to_standard_output_byte_for_byte(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    done = mailmig("report", "quota", "--format", "csv")
    assert done.out.startswith("\ufeffexchange_guid,name,")


def test_lines_limit_every_list_and_zero_shows_all(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    three = mailmig("report", "quota", "--lines", "3").out
    assert "… and 59 more; all of them: --lines 0" in three
    everybody = mailmig("report", "quota", "--lines", "0").out
    assert "more; all of them" not in everybody
    assert sum(line.endswith("gained") for line in everybody.splitlines()) == 60


def test_groups_kinds_and_archives_can_be_chosen(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    for by in ("department", "database", "kind", "site"):
        assert f"Gains by {by}" in mailmig("report", "quota", "--by", by).out
    assert "arbitration" in mailmig("report", "quota", "--by", "kind", "--all-kinds").out
    assert "Total gain with archives" in mailmig("report", "quota", "--with-archives").out


def test_the_list_keeps_to_the_width_of_the_terminal(
    keep: Keep, mailmig: Mailmig, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    monkeypatch.setenv("COLUMNS", "118")
    lines = mailmig("report", "quota", "--growth", "10").out.splitlines()
    assert max(map(len, lines)) <= 118


def test_the_moment_of_the_later_snapshot_starts_the_growth(keep: Keep, mailmig: Mailmig) -> None:
    keep(BEFORE_TOWN, AFTER_TOWN)
    done = mailmig("report", "quota", "--growth", "10")
    assert f"by {AFTER.year + 1}-{AFTER.month:02d} (1 year)" in done.out
