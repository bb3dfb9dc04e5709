"""The record of refused passwords: one wrong attempt, whoever asks and however often."""

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.model.logon import LogonUnsettled, RefusedBefore, account_key
from mailmig.model.secret import Secret
from mailmig.store.folder import FolderUnusable
from mailmig.store.logons import SETTLED_AFTER, LogonBusy, LogonRecordUnusable, Logons

ACCOUNT = "TOWN\\Jürgen"
WRONG, RIGHT = Secret("falsch"), Secret("Grün-Passw0rd!")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Domain:
    """Knows the right password and counts what it is shown."""

    def __init__(self) -> None:
        self.shown: list[Secret] = []

    def log_on(self, logons: Logons, password: Secret, account: str = ACCOUNT) -> bool:
        with logons.attempt(account, password, "dc1.town.example") as attempt:
            self.shown.append(password)
            if password == RIGHT:
                attempt.accepted()
            else:
                attempt.refused("wrong password")
            return password == RIGHT


def files(state: Path, kind: str = "*.json") -> list[Path]:
    return sorted((state / "logons").glob(kind))


def test_a_wrong_password_is_shown_once_over_many_runs(tmp_path: Path) -> None:
    domain = Domain()
    assert not domain.log_on(Logons(tmp_path / "state"), WRONG)
    for _ in range(5):
        with pytest.raises(RefusedBefore, match="--retry-login") as raised:
            domain.log_on(Logons(tmp_path / "state"), WRONG)
    assert domain.shown == [WRONG]
    assert raised.value.exit_code == 3
    assert raised.value.server == "dc1.town.example" and "wrong password" in str(raised.value)
    assert "falsch" not in str(raised.value)


@pytest.mark.parametrize("spelt", ["jürgen@town.example", "town\\JÜRGEN", "JÜRGEN", "ju\u0308rgen"])
def test_other_spellings_are_the_same_account(tmp_path: Path, spelt: str) -> None:
    domain = Domain()
    domain.log_on(Logons(tmp_path), WRONG)
    with pytest.raises(RefusedBefore):
        domain.log_on(Logons(tmp_path), WRONG, spelt)
    assert domain.log_on(Logons(tmp_path), RIGHT, "somebody@town.example")


def test_another_password_is_shown_and_a_right_one_leaves_nothing(tmp_path: Path) -> None:
    domain = Domain()
    for _ in range(3):
        assert domain.log_on(Logons(tmp_path), RIGHT)
    assert files(tmp_path) == []
    domain.log_on(Logons(tmp_path), WRONG)
    assert domain.log_on(Logons(tmp_path), RIGHT)
    with pytest.raises(RefusedBefore):  # the wrong one stays wrong
        domain.log_on(Logons(tmp_path), WRONG)


def test_a_retry_holds_for_one_attempt_of_one_process(tmp_path: Path) -> None:
    domain = Domain()
    domain.log_on(Logons(tmp_path), WRONG)
    again = Logons(tmp_path, retry=True)
    assert not domain.log_on(again, WRONG)
    with pytest.raises(RefusedBefore):
        domain.log_on(again, WRONG)
    assert domain.shown == [WRONG, WRONG]


def test_an_attempt_whose_end_nobody_learned_counts_as_wrong_for_a_while(tmp_path: Path) -> None:
    time = NOON
    logons = Logons(tmp_path, now=lambda: time)
    with logons.attempt(ACCOUNT, RIGHT, "dc1.town.example"):
        pass
    with (
        pytest.raises(LogonUnsettled, match="12:30 UTC"),
        logons.attempt(ACCOUNT, RIGHT, "dc2.town.example"),
    ):
        pytest.fail("shown")
    time = NOON + SETTLED_AFTER
    assert Domain().log_on(logons, RIGHT)
    assert files(tmp_path) == []


def test_a_retry_shows_a_password_once_although_nobody_answers(tmp_path: Path) -> None:
    """The domain may count each of them as a wrong one, and three lock the account."""
    for server in ("dc1", "dc2"):
        with Logons(tmp_path, retry=server == "dc2").attempt(ACCOUNT, RIGHT, server):
            pass  # no answer
    logons = Logons(tmp_path, retry=True)
    with logons.attempt(ACCOUNT, RIGHT, "dc3"):
        pass
    with (
        pytest.raises(LogonUnsettled, match="ask another server"),
        logons.attempt(ACCOUNT, RIGHT, "dc4"),
    ):
        pytest.fail("shown")
    assert Domain().log_on(Logons(tmp_path, retry=True), RIGHT)


def test_whoever_was_let_in_learns_that_the_password_was_refused_since(tmp_path: Path) -> None:
    logons = Logons(tmp_path)
    logons.look(ACCOUNT, WRONG)
    with Logons(tmp_path).attempt(ACCOUNT, WRONG, "dc2"):
        logons.look(ACCOUNT, WRONG)  # on its way elsewhere: that is no refusal
    with Logons(tmp_path, retry=True).attempt(ACCOUNT, WRONG, "dc2") as attempt:
        attempt.refused("wrong password")
    with pytest.raises(RefusedBefore, match="dc2"):
        logons.look(ACCOUNT, WRONG)
    logons.look(ACCOUNT, RIGHT)
    Domain().log_on(Logons(tmp_path), Secret("falsch2"))
    logons.look(ACCOUNT, RIGHT)
    with Logons(tmp_path).attempt(ACCOUNT, RIGHT, "dc3") as attempt:
        attempt.refused("changed")
    with pytest.raises(RefusedBefore, match="dc3"):
        logons.look(ACCOUNT, RIGHT)


def test_what_was_not_shown_changes_nothing(tmp_path: Path) -> None:
    domain, logons = Domain(), Logons(tmp_path)
    with logons.attempt(ACCOUNT, WRONG, "dc1.town.example") as attempt:
        attempt.unshown()
    assert files(tmp_path) == []
    domain.log_on(logons, WRONG)
    with Logons(tmp_path, retry=True).attempt(ACCOUNT, WRONG, "dc1.town.example") as attempt:
        attempt.unshown()
    with pytest.raises(RefusedBefore):
        domain.log_on(logons, WRONG)


def test_the_file_is_for_its_owner_and_holds_no_password(tmp_path: Path) -> None:
    Domain().log_on(Logons(tmp_path / "state"), WRONG)
    (file,) = files(tmp_path / "state")
    raw = file.read_bytes()
    assert b"falsch" not in raw
    known = json.loads(raw)
    assert known["account"] == "jürgen" and len(known["refused"]) == 1
    Domain().log_on(Logons(tmp_path / "other"), WRONG)
    other = json.loads(files(tmp_path / "other")[0].read_bytes())
    assert other["refused"][0]["fingerprint"] != known["refused"][0]["fingerprint"]  # salted
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"version": 1}', '{"version": 1, "salt": "x", "refused": []}',
        '{"version": 1, "salt": "00", "refused": [{"fingerprint": 1, "server": "", "at": ""}]}',
        '{"version": 1, "salt": "00", "refused": [{"fingerprint": "x"}]}',
    ],
)  # fmt: skip
def test_a_file_that_broke_off_lets_no_password_out(tmp_path: Path, text: str) -> None:
    domain = Domain()
    domain.log_on(Logons(tmp_path), WRONG)
    files(tmp_path)[0].write_text(text)
    with pytest.raises(LogonRecordUnusable, match="delete the file") as raised:
        domain.log_on(Logons(tmp_path), RIGHT)
    assert str(files(tmp_path)[0]) in str(raised.value)
    assert domain.shown == [WRONG]


def test_a_file_of_a_newer_mailmig_is_left_alone(tmp_path: Path) -> None:
    Domain().log_on(Logons(tmp_path), WRONG)
    files(tmp_path)[0].write_text('{"version": 2}')
    with pytest.raises(LogonRecordUnusable, match="newer mailmig"):
        Domain().log_on(Logons(tmp_path), WRONG)
    assert files(tmp_path)[0].read_text() == '{"version": 2}'


def test_a_record_that_cannot_be_written_lets_no_password_out(tmp_path: Path) -> None:
    Domain().log_on(Logons(tmp_path), WRONG)
    (record,) = files(tmp_path)
    record.unlink()
    record.mkdir()
    domain = Domain()
    with pytest.raises(LogonRecordUnusable):
        domain.log_on(Logons(tmp_path), RIGHT)
    assert domain.shown == []


def test_a_path_that_is_taken_by_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "logons").write_text("")
    with pytest.raises(FolderUnusable, match="it is a file"):
        Logons(tmp_path)


def test_another_account_does_not_wait(tmp_path: Path) -> None:
    logons = Logons(tmp_path, patience_s=0.1)
    with ExitStack() as stack:
        stack.enter_context(logons.attempt("anna", RIGHT, "dc1")).accepted()
        stack.enter_context(logons.attempt("bert", RIGHT, "dc1")).accepted()
        with pytest.raises(LogonBusy, match="another mailmig"):
            stack.enter_context(Logons(tmp_path, patience_s=0.1).attempt("ANNA", RIGHT, "dc1"))


def test_threads_that_begin_together_show_a_wrong_password_once(tmp_path: Path) -> None:
    domain, refused = Domain(), list[Exception]()
    ready = threading.Barrier(6)

    def run() -> None:
        logons = Logons(tmp_path)
        ready.wait()
        try:
            domain.log_on(logons, WRONG)
        except RefusedBefore as error:
            refused.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert domain.shown == [WRONG] and len(refused) == 5


_PROCESS = """
import sys, time
from pathlib import Path
from mailmig.model.secret import Secret
from mailmig.store.logons import Logons
with Logons(Path(sys.argv[1])).attempt("anna", Secret("falsch"), "dc1") as attempt:
    with open(sys.argv[2], "a") as shown:
        shown.write("x")
    time.sleep(float(sys.argv[3]))
    attempt.refused("wrong password")
"""


def process(folder: Path, hold_s: float) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", _PROCESS, str(folder), str(folder / "shown"), str(hold_s)]
    return subprocess.Popen(words, text=True, stderr=subprocess.PIPE)


def shown(folder: Path) -> int:
    file = folder / "shown"
    return len(file.read_text()) if file.exists() else 0


def until(what: Callable[[], bool]) -> None:
    for _ in range(1000):
        if what():
            return
        threading.Event().wait(0.02)
    pytest.fail("it did not come to that")


def test_processes_that_are_started_together_show_a_wrong_password_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    running = [process(tmp_path, 0.3) for _ in range(4)]
    said = [one.communicate(timeout=60)[1] for one in running]
    assert shown(tmp_path) == 1
    assert sum("RefusedBefore" in text for text in said) == 3
    assert sorted(one.returncode for one in running) == [0, 1, 1, 1]


def test_a_process_that_is_killed_while_it_logs_on_leaves_its_trace(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    killed = process(tmp_path, 60)
    until(lambda: shown(tmp_path) == 1)
    killed.kill()
    killed.communicate(timeout=60)
    with pytest.raises(LogonUnsettled):
        Domain().log_on(Logons(tmp_path), WRONG, "anna")
    later = Logons(tmp_path, now=lambda: datetime.now(UTC) + timedelta(hours=1))
    assert Domain().log_on(later, RIGHT, "anna")


@given(
    st.text(st.characters(exclude_characters="\\@", exclude_categories=["Cs"])),
    st.text(st.characters(exclude_characters="\\@", exclude_categories=["Cs"])),
)
def test_both_forms_of_a_name_have_one_key(name: str, domain: str) -> None:
    assert account_key(f"{domain}\\{name}") == account_key(f"{name}@{domain}")
    assert account_key(name) == account_key(name.strip())
