"""`mailmig inventory take` and `folder-rights` against a lab that runs as a process."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab.running_lab import free_offset

PATIENCE_S = 60.0
PROGRAM = (sys.executable, "-W", "error", "-m", "mailmig")


class Town:
    """A lab in a process of its own, and a folder to work in."""

    def __init__(self, folder: Path, speed: float) -> None:
        words = ["lab", "run", "--mailboxes", 40, "--speed", speed, "--folder", "lab",
                 "--port-offset", free_offset()]  # fmt: skip
        self.folder = folder
        self.lab = subprocess.Popen(
            [*PROGRAM, *map(str, words)], cwd=folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.lab.stdout is not None
        assert any("Ctrl-C ends it" in line for line in self.lab.stdout)

    def words(self, *words: str) -> list[str]:
        return [*PROGRAM, "--config", "lab/mailmig.toml", *words]

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self.words(*words), cwd=self.folder, text=True, capture_output=True, timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip

    def snapshots(self) -> list[dict[str, Any]]:
        said = self.run("inventory", "list", "--format", "json").stdout
        rows: list[dict[str, Any]] = json.loads(said)["tables"]["snapshots"]["rows"]
        return rows

    def end(self) -> None:
        self.lab.kill()
        self.lab.communicate()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    found = Town(tmp_path, 0)
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Town]:
    """Rights of one mailbox take a second here, as on a busy server."""
    found = Town(tmp_path, 1)
    try:
        yield found
    finally:
        found.end()


def test_take_keeps_a_snapshot_and_says_what_was_compared(town: Town) -> None:
    done = town.run("inventory", "take")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert re.fullmatch(r"snapshot \w+: Stadt Lindenstadt, \d+ mailboxes and \d+ rights as of .*UTC", first)  # fmt: skip
    assert second == "rights of 20 mailboxes compared with the cmdlets: all agree"
    (row,) = town.snapshots()
    assert (row["gaps"], row["id"]) == (0, first.split()[1].rstrip(":"))
    again = town.run("inventory", "take", "--sample", "3")
    assert "rights of 3 mailboxes compared" in again.stdout
    assert len(town.snapshots()) == 2


def test_by_ldap_alone_what_is_unknown_is_said(town: Town) -> None:
    done = town.run("inventory", "take", "--ldap-only")
    assert done.returncode == 0 and "compared" not in done.stdout
    assert "missing: statistics was not asked (LDAP only): sizes are unknown" in done.stderr
    shown = town.run("inventory", "show").stdout
    assert re.search(r"^Size +unknown", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("take", "--ldap-only", "--server", "x"), "--ldap-only asks no Exchange server"),
        (("take", "--ldap-only", "--sample", "2"), "--ldap-only asks no Exchange server"),
        (("take", "--server", "nobody.invalid"), "no snapshot was made"),
        (("folder-rights",), "there is no snapshot"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_kept(
    town: Town, words: tuple[str, ...], said: str
) -> None:
    done = town.run("inventory", *words)
    assert done.returncode in (2, 3)
    assert said in done.stderr.replace("\n", " ") and done.stdout == ""
    assert town.snapshots() == []


def test_a_password_that_was_refused_is_not_shown_again_by_any_of_them(town: Town) -> None:
    assert town.run("inventory", "take", "--ldap-only").returncode == 0
    settings = town.folder / "lab" / "mailmig.toml"
    wrong = town.folder / "lab" / "wrong.txt"
    wrong.touch(0o600)
    wrong.write_text("falsch")
    right = settings.read_text("utf-8")
    settings.write_text(right.replace("password-svc-mailmig.txt", "wrong.txt"), "utf-8")
    said = [
        town.run("inventory", *words)
        for words in (("folder-rights",), ("folder-rights",), ("take",), ("take", "--ldap-only"))
    ]
    assert [done.returncode for done in said] == [3] * 4
    assert "refused to let" in said[0].stderr
    assert all("was not shown again" in done.stderr for done in said[1:])
    assert len(town.snapshots()) == 1
    settings.write_text(right, "utf-8")  # the lab locks at three wrong ones
    assert town.run("inventory", "take", "--ldap-only").returncode == 0


def test_a_take_that_is_interrupted_keeps_nothing(slow: Town) -> None:
    for how, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with subprocess.Popen(
            slow.words("inventory", "take"), cwd=slow.folder, text=True, stderr=subprocess.PIPE
        ) as process:
            time.sleep(3)  # the sample alone takes twenty
            os.kill(process.pid, how)
            _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, said
        assert said.strip() == ("mailmig: interrupted" if how is signal.SIGINT else "")
        assert slow.snapshots() == []


def test_folder_rights_go_on_after_a_kill(town: Town) -> None:
    assert town.run("inventory", "take", "--ldap-only").returncode == 0
    with subprocess.Popen(
        town.words("inventory", "folder-rights"), cwd=town.folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        file = town.folder / "lab" / "state"
        ended = time.monotonic() + PATIENCE_S
        while time.monotonic() < ended and len(_lines(file)) < 4:
            time.sleep(0.02)
        process.kill()
        process.communicate()
    asked = len(_lines(file)) - 1
    assert asked >= 3 and len(town.snapshots()) == 1
    done = town.run("inventory", "folder-rights")
    assert done.returncode == 0, done.stderr
    found = re.search(r"\((\d+) were asked before\)", done.stderr)
    assert found and int(found[1]) in (asked - 1, asked)
    assert len(town.snapshots()) == 2 and not _lines(file)


def _lines(state: Path) -> list[str]:
    for path in state.glob("folder-rights-*.jsonl"):
        with suppress(FileNotFoundError):
            return path.read_text("utf-8").splitlines()
    return []


def test_on_a_terminal_it_says_how_far_it_is(town: Town) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        town.words("inventory", "take"), cwd=town.folder, stdout=subprocess.PIPE, stderr=theirs,
        timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    with suppress(OSError):
        while some := os.read(ours, 4096):
            said += some
    os.close(ours)
    assert b"mailboxes: " in said or b"sizes: " in said
    assert b"\r" not in done.stdout
