"""`mailmig inventory`: import, list, show and diff, as an admin sees them."""

import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def town(mailmig: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "town"
    assert mailmig("lab", "export", folder, "--mailboxes", 60).code == 0
    return folder


@pytest.fixture
def later(mailmig: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "later"
    assert mailmig("lab", "export", folder, "--mailboxes", 60, "--moment", "after").code == 0
    return folder


def only_id(mailmig: Run) -> str:
    (row,) = json.loads(mailmig("inventory", "list", "--format", "json").out)["tables"][
        "snapshots"
    ]["rows"]
    return str(row["id"])


def test_an_import_says_what_it_kept_and_the_second_one_that_nothing_changed(
    mailmig: Run, town: Path
) -> None:
    first = mailmig("inventory", "import", town)
    assert (first.code, first.err) == (0, "")
    id = only_id(mailmig)
    assert first.out.startswith(f"snapshot {id}: Stadt Lindenstadt, ")
    assert " mailboxes and " in first.out
    assert first.out.endswith(" rights as of 2026-11-20 19:00 UTC\n")
    again = mailmig("inventory", "import", town)
    assert again.code == 0
    assert again.out == f"snapshot {id} holds this export already; nothing was changed\n"


def test_a_zip_of_the_same_folder_is_the_same_export(mailmig: Run, town: Path) -> None:
    mailmig("inventory", "import", town)
    archive = town.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in town.glob("*.*"):
            packed.write(file, f"town/{file.name}")
    assert "holds this export already" in mailmig("inventory", "import", archive).out


def test_what_is_missing_is_told_one_by_one_and_the_import_is_good_all_the_same(
    mailmig: Run, town: Path
) -> None:
    for name in ("full_access", "send_as", "statistics"):
        (town / f"{name}.xml").unlink()
    done = mailmig("inventory", "import", town)
    assert done.code == 0
    lines = done.err.splitlines()
    assert len(lines) == 3
    assert (
        "missing: full_access is missing: no full-access rights: the plan cannot keep shared "
        "mailboxes together with their people"
    ) in lines
    shown = mailmig("inventory", "show").out
    assert "What is missing" in shown
    assert "statistics is missing" in shown


def test_a_file_that_breaks_off_is_refused_unless_it_is_accepted(mailmig: Run, town: Path) -> None:
    path = town / "users.xml"
    path.write_bytes(path.read_bytes()[:-3000])
    refused = mailmig("inventory", "import", town)
    assert refused.code == 2
    assert refused.err.startswith(f"mailmig: {path}, object ")
    assert "; nothing was kept: export it again, or take the " in refused.err
    assert mailmig("inventory", "list").out.startswith("there is no snapshot yet")
    accepted = mailmig("inventory", "import", "--accept-partial", town)
    assert accepted.code == 0
    assert accepted.err.startswith("missing: users is cut short after ")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda p: None, "{path}: there is no such folder or ZIP"),
        (lambda p: p.mkdir(), ("{path}: there is neither mailboxes.xml nor mailboxes.csv in it, so "
         "there is no inventory: run the script that `mailmig collect --script` prints, and import "
         "the folder that it makes")),
        (lambda p: p.write_text("x"),
         "{path}: neither a folder nor a whole ZIP: give the folder of the export"),
    ],
)  # fmt: skip
def test_what_is_no_export_ends_in_one_sentence(
    make: Callable[[Path], object], sentence: str, mailmig: Run, tmp_path: Path
) -> None:
    path = tmp_path / "given"
    make(path)
    done = mailmig("inventory", "import", path)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"mailmig: {sentence.format(path=path)}\n"


def test_without_snapshots_it_is_said_how_to_make_one(mailmig: Run) -> None:
    done = mailmig("inventory", "list")
    said = "there is no snapshot yet: mailmig inventory take or import FOLDER makes one"
    assert done.out == f"{said}\n"
    assert done.code == 0
    for command in ("show", "diff"):
        missing = mailmig("inventory", command)
        assert missing.code == 2
        assert missing.err == "mailmig: there is no snapshot yet\n"


def test_a_list_names_snapshots_oldest_first(mailmig: Run, town: Path, later: Path) -> None:
    mailmig("inventory", "import", later)
    mailmig("inventory", "import", town)
    lines = mailmig("inventory", "list").out.splitlines()
    assert "2 snapshots, the newest last." in lines[3]
    assert "2026-11-20 19:00 UTC" in lines[-2]
    assert "2027-" in lines[-1]
    rows = mailmig("inventory", "list", "--format", "csv").out.splitlines()
    assert rows[0].startswith("\ufeffid,organisation,taken_at,imported_at,mailboxes,rights,gaps,")
    assert len(rows) == 3


def test_show_has_the_sums_of_the_export(mailmig: Run, town: Path) -> None:
    mailmig("inventory", "import", town)
    found = json.loads(mailmig("inventory", "show", "--format", "json").out)
    kinds = {row["name"]: row for row in found["tables"]["kinds"]["rows"]}
    assert sum(row["mailboxes"] for row in kinds.values()) == found["figures"]["mailboxes"]
    assert sum(row["size"] for row in kinds.values()) == found["figures"]["size"]
    databases = found["tables"]["databases"]["rows"]
    assert sum(row["mailboxes"] for row in databases) == found["figures"]["mailboxes"]
    assert {row["version"] for row in databases} == {"2016", "SE"}
    rights = found["tables"]["rights"]["rows"]
    held = ("held_by_mailboxes", "held_by_groups", "orphaned", "held_by_others")
    assert sum(row[key] for row in rights for key in held) == found["figures"]["rights"]
    assert "gaps" not in found["tables"]


def test_names_of_people_come_only_when_they_are_asked_for(mailmig: Run, town: Path) -> None:
    mailmig("inventory", "import", town)
    rows = mailmig("inventory", "show", "--format", "csv").out.splitlines()
    address = next(line.split(",")[1] for line in rows if ",user," in line)
    for form in ("text", "json"):
        plain = mailmig("inventory", "show", "--format", form).out
        assert address not in plain
        named = mailmig("inventory", "show", "--format", form, "--mailboxes", "--lines", 0).out
        assert address.split("@")[0] in named
    assert rows[0].startswith("\ufeffexchange_guid,address,display_name,kind,department,database,")


def test_a_snapshot_is_named_by_a_beginning_of_its_id(mailmig: Run, town: Path) -> None:
    mailmig("inventory", "import", town)
    id = only_id(mailmig)
    assert mailmig("inventory", "show", id[:4]).out.startswith(f"Inventory {id}\n")
    missing = mailmig("inventory", "show", "zzz")
    assert missing.code == 2
    assert missing.err == (
        f"mailmig: there is no snapshot 'zzz'; the newest are {id}; mailmig inventory list shows "
        "them all\n"
    )


def test_diff_counts_who_moved_and_what_grew(mailmig: Run, town: Path, later: Path) -> None:
    mailmig("inventory", "import", town)
    mailmig("inventory", "import", later)
    found = json.loads(mailmig("inventory", "diff", "--format", "json").out)
    figures = found["figures"]
    before, after = (
        json.loads(mailmig("inventory", "show", ref, "--format", "json").out)["figures"]
        for ref in ("previous", "latest")
    )
    assert figures["came"] - figures["gone"] == after["mailboxes"] - before["mailboxes"]
    assert figures["moved"] > 40
    assert figures["growth"] > 0
    back = json.loads(mailmig("inventory", "diff", "latest", "previous", "--format", "json").out)
    assert back["figures"]["came"] == figures["gone"]
    assert back["figures"]["moved"] == figures["moved"]
    assert back["figures"]["growth"] == -figures["growth"]
    assert back["figures"]["rights_gone"] == figures["rights_came"]
    changed = mailmig("inventory", "diff", "--format", "csv").out.splitlines()
    moved = [line for line in changed if ",moved" in line or '"moved' in line]
    assert len(moved) == figures["moved"]


def test_a_snapshot_does_not_differ_from_itself(mailmig: Run, town: Path) -> None:
    mailmig("inventory", "import", town)
    done = mailmig("inventory", "diff", "latest", "latest")
    assert done.code == 0
    assert "No mailbox came, went, moved or changed." in done.out
    figures = json.loads(mailmig("inventory", "diff", "latest", "latest", "--format", "json").out)
    assert set(figures["figures"].values()) == {0}


def test_snapshots_of_two_organisations_are_not_compared(mailmig: Run, town: Path) -> None:
    mailmig("inventory", "import", town)
    other = town.with_name("other")
    shutil.copytree(town, other)
    path = other / "organization.xml"
    path.write_text(path.read_text("utf-8").replace("Stadt Lindenstadt", "Stadt Ahorn"), "utf-8")
    mailmig("inventory", "import", other)
    done = mailmig("inventory", "diff")
    assert done.code == 2
    assert "is of Stadt" in done.err
    assert done.err.endswith("choose two snapshots of the same organisation\n")


def test_an_output_can_go_into_a_file(mailmig: Run, town: Path, tmp_path: Path) -> None:
    mailmig("inventory", "import", town)
    file = tmp_path / "people.csv"
    done = mailmig("inventory", "show", "--format", "csv", "--out", file)
    assert done.out == ""
    assert file.read_text("utf-8-sig").startswith("exchange_guid,")


def test_a_state_folder_that_is_a_file_ends_in_one_sentence(
    mailmig: Run, town: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    done = mailmig("--state", file, "inventory", "import", town)
    assert done.code == 2
    assert done.err == (
        f"mailmig: {file}: cannot keep the state here, it is a file; "
        "choose another folder with --state FOLDER\n"
    )


@pytest.mark.skipif(os.name != "posix", reason="a terminal of its own needs a POSIX system")
def test_a_long_import_shows_on_a_terminal_how_far_it_is(town: Path, tmp_path: Path) -> None:
    """And in a pipe, as in all other tests here, it shows nothing."""
    inside, outside = pty.openpty()
    code = (
        "import mailmig.cli.inventory as i; i.SHOW_PROGRESS_BYTES = 0; "
        "from mailmig.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--state", str(tmp_path / "s"), "inventory", "import", town],
        stdout=subprocess.PIPE, stderr=outside, check=True, text=True,
    )  # fmt: skip
    os.close(outside)
    shown = b""
    while True:
        try:
            part = os.read(inside, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(inside)
    assert b"mailboxes" in shown
    assert b"100%" in shown
    assert done.stdout.startswith("snapshot ")
