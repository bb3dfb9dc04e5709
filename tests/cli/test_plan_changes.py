"""`mailmig plan compare | what-if | replan`: a plan beside another one."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailmig.model.migration import Pin, Plan
from mailmig.store.engine import Store
from mailmig.wire.planning.plans import read_plan
from tests.cli.test_plan import write
from tests.conftest import Mailmig
from tests.rules.planning.made import few

DATA = few()
PINNED = DATA.mailboxes[0].identity


@pytest.fixture
def files(tmp_path: Path, mailmig: Mailmig) -> Path:
    """Data with a pin, and the plan that was made from it."""
    pins = (Pin(PINNED, "volunteer", window=DATA.calendar.windows[0].id),)
    folder = write(tmp_path / "data", replace(DATA, pins=pins))
    assert mailmig("plan", "make", "--data", folder, "--seeds", 1).code == 0
    return folder


def newest(tmp_path: Path) -> Plan:
    with Store.open(tmp_path / "state") as store:
        return read_plan(store.plans.load())


def states(tmp_path: Path, window: str) -> str:
    """All of a window moved but the first, which failed; one of another window is copied."""
    here = [a for a in newest(tmp_path).assignments if a.window == window]
    lines = ["mailbox,state,database", f"{here[0].mailbox.upper()},failed,"]
    lines += [f"{a.mailbox},moved,{a.database}" for a in here[1:]]
    (tmp_path / "states.csv").write_text("\n".join(lines) + "\n")
    return here[0].mailbox


def test_two_plans_are_compared(mailmig: Mailmig, files: Path) -> None:
    assert mailmig("plan", "make", "--data", files, "--seed", 4, "--seeds", 1).code == 0
    done = mailmig("plan", "compare", "previous", "latest", "--format", "json")
    assert done.code == 0
    report = json.loads(done.out)
    assert report["schema"] == "mailmig.report.plan_compare/1"
    assert mailmig("plan", "compare", "latest", "nowhere").code == 2


def test_what_if_says_what_one_change_does_and_keeps_nothing(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    done = mailmig(
        "plan", "what-if", "--throughput", "+20%", "--mode", "prestage", "--out", "o.json"
    )
    assert done.code == 0, done.err
    assert done.out.startswith("What if: with +20 % throughput, in mode prestage\n")
    assert (
        read_plan((tmp_path / "o.json").read_text("utf-8")).data.calendar.mode.value == "prestage"
    )
    more = mailmig(
        "plan", "what-if", "--window", "2027-01-28T00:00/2027-01-28T12:00", "--format", "json"
    )
    gone = mailmig("plan", "what-if", "--without-pin", PINNED.split("@")[0], "--format", "json")
    for other in (more, gone):
        assert other.code == 0, other.err
        kept = newest(tmp_path).metrics.exposure
        assert json.loads(other.out)["figures"]["exposure"] <= kept * (1 + 1e-9)
    with Store.open(tmp_path / "state") as store:
        assert len(store.plans.list()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what: --window, --throughput, --mode or --without-pin"),
        (("--throughput", "fast"), "'fast' is no change in per cent above -100, like +20"),
        (("--throughput", "-100"), "is no change in per cent"),
        (("--window", "soon"), "--window: must be a time like 2027-01-12T20:00:00"),
        (("--window", "2027-02-02/2027-02-01"), "ends before it starts"),
        (("--window", "2027-01-20/2027-01-21"), 'lies in the freeze "pause": nobody could move'),
        (("--window", "2029-02-02/2029-02-03"), "ends after the deadline: nobody could move in it"),
        (("--without-pin", "nobody"), "the plan has no mailbox 'nobody'"),
        (("--without-pin", DATA.mailboxes[1].identity), "no pin of"),
    ],
)
def test_a_question_that_is_none_is_told(
    mailmig: Mailmig, files: Path, words: tuple[str, ...], said: str
) -> None:
    done = mailmig("plan", "what-if", *words)
    assert done.code == 2 and said in done.err


def test_planned_again_only_the_failed_one_gets_a_window(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    old = newest(tmp_path)
    used = {a.window for a in old.assignments}
    first = next(w for w in old.data.calendar.windows if w.id in used)
    failed = states(tmp_path, first.id)
    at = (first.end + timedelta(hours=1)).isoformat()
    done = mailmig("plan", "replan", "--states", "states.csv", "--at", at, "--format", "json")
    assert done.code == 0, done.err
    figures = json.loads(done.out)["figures"]
    assert (figures["changed"], figures["inserted"]) == (0, 1)
    new = newest(tmp_path)
    assert failed in {a.mailbox for a in new.assignments}
    assert first.id not in {a.window for a in new.assignments}
    assert "Takes the place of plan" in mailmig("plan", "show").out
    full = mailmig("plan", "replan", "previous", "--states", "states.csv", "--at", at, "--full")
    assert full.code == 0 and "This is a full plan" in full.out


def test_nothing_changed_in_is_nothing_changed_out(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    start = DATA.calendar.project_start.isoformat()
    done = mailmig("plan", "replan", "--at", start)
    with Store.open(tmp_path / "state") as store:
        (info,) = store.plans.list()
    assert done.out == f"Nothing changed: plan {info.id} stands.\n"


def test_an_announced_window_stays_and_the_new_plan_knows_it(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    old = newest(tmp_path)
    used = [w for w in old.data.calendar.windows if any(a.window == w.id for a in old.assignments)]
    told = used[-1].id
    assert mailmig("plan", "announce", told).code == 0
    states(tmp_path, used[0].id)
    at = (used[0].end + timedelta(hours=1)).isoformat()
    assert mailmig("plan", "replan", "--states", "states.csv", "--at", at).code == 0
    new = newest(tmp_path)
    for plan in (old, new):
        assert {a.mailbox for a in old.assignments if a.window == told} == {
            a.mailbox for a in plan.assignments if a.window == told
        }
    assert f"kept when planning again: window {told}." in mailmig("plan", "show").out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "x@y,gone,",
            "line 2: state must be one of pending, copying, synced, moved, failed, excluded",
        ),
        (",moved,", "line 2: the mailbox is empty"),
        ("x@y,moved,TDB99", "states.csv, x@y: there is no target database TDB99 (did you mean"),
        ("x@y,moved,\nX@Y,failed,", "line 3: X@Y is there already"),
    ],
)
def test_bad_states_are_told_with_their_line(
    mailmig: Mailmig, files: Path, tmp_path: Path, line: str, said: str
) -> None:
    (tmp_path / "states.csv").write_text(f"mailbox,state,database\n{line}\n")
    done = mailmig("plan", "replan", "--states", "states.csv")
    assert done.code == 2 and said in done.err
