"""`mailmig plan`: from files and from an inventory, kept, shown, explained, refused."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mailmig.model.directory import Edge, Kind, Mailbox, Right, TrusteeKind, Usage, UsageState
from mailmig.model.migration import PlanData
from mailmig.model.snapshot import Gap, Intake
from mailmig.store.engine import Store
from mailmig.wire.planning.calendars import write_calendar, write_pins, write_target
from mailmig.wire.planning.plans import read_plan
from mailmig.wire.planning.tables import parse_assignment, write_mailboxes, write_shares
from tests.conftest import Mailmig
from tests.rules.planning.made import NOW, few


def write(folder: Path, data: PlanData, whole: bool = True) -> Path:
    folder.mkdir(exist_ok=True)
    texts = {
        "windows.json": write_calendar(data.calendar),
        "databases.json": write_target(data.target),
        "constraints.json": write_pins(data.pins),
    }
    if whole:
        texts |= {
            "mailboxes.csv": write_mailboxes(data.mailboxes),
            "shares.csv": write_shares(data.shares),
        }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write(tmp_path / "data", few())


@dataclass
class Town:
    """A reading of four mailboxes: anna and ben share info, a system mailbox goes first."""

    organisation: str = "Town"
    taken_at = NOW
    origin: str = "by hand"
    digest: str = "cd" * 32

    def pour(self, into: Intake) -> tuple[Gap, ...]:
        into.mailboxes(self._mailboxes())
        into.edges(
            Edge("info", Right.FULL_ACCESS, f"TOWN\\{who}", TrusteeKind.MAILBOX, who)
            for who in ("anna", "ben")
        )
        return ()

    def _mailboxes(self) -> Iterable[Mailbox]:
        usage = Usage(UsageState.KNOWN, 2**30, 10, 0, 0)
        for name, kind, department in (
            ("anna", Kind.USER, "Bauamt"),
            ("ben", Kind.USER, "Bauamt"),
            ("info", Kind.SHARED, ""),
            ("system", Kind.ARBITRATION, ""),
        ):
            yield Mailbox(
                name, kind, address=f"{name}@köln.example", department=department,
                database="OLD", usage=usage,
            )  # fmt: skip


@pytest.fixture
def calendar(tmp_path: Path) -> Path:
    """A calendar folder; the inventory lies in the state folder that `mailmig` uses."""
    with Store.open(tmp_path / "state") as store:
        store.snapshots.add(Town())
    data = few()
    big = replace(
        data.target.databases[0], capacity_bytes=2**40, log_headroom_bytes=None, server=""
    )
    windows = tuple(replace(w, capacity_bytes=2**40) for w in data.calendar.windows)
    return write(
        tmp_path / "calendar",
        replace(
            data,
            calendar=replace(data.calendar, windows=windows),
            target=replace(data.target, databases=(big,), site_preference={}),
        ),
        whole=False,
    )


def test_a_plan_from_files_is_written_kept_and_reported(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    done = mailmig(
        "plan", "make", "--data", files, "--out", "plan.json", "--assignment", "assignment.csv"
    )
    assert done.code == 0
    assert "Exposure per gap" in done.out and "weight-days" in done.out
    made = read_plan((tmp_path / "plan.json").read_text("utf-8"))
    written = parse_assignment((tmp_path / "assignment.csv").read_text("utf-8"))
    assert [(a.mailbox, a.window, a.database) for a in written] == [
        (a.mailbox, a.window, a.database) for a in made.assignments
    ]
    with Store.open(tmp_path / "state") as store:
        kept = store.plans.list()
        assert read_plan(store.plans.load()) == made
    assert f"Wave plan {kept[0].id}" in done.out
    assert kept[0].snapshot is None


def test_a_kept_plan_is_shown_by_id_and_as_a_file(mailmig: Mailmig, files: Path) -> None:
    made = mailmig("plan", "make", "--data", files, "--out", "plan.json").out
    assert mailmig("plan", "show").out == made
    id = made.split()[2]
    assert mailmig("plan", "show", id).out == made
    assert mailmig("plan", "show", id[:5]).out == made
    file = mailmig("plan", "show", "plan.json")
    assert file.code == 0
    assert file.out.splitlines()[4:] == made.splitlines()[4:]


def test_the_report_for_programs_is_json(mailmig: Mailmig, files: Path) -> None:
    done = mailmig("plan", "make", "--data", files, "--format", "json")
    report = json.loads(done.out)
    assert report["schema"] == "mailmig.report.plan/2"
    gaps = report["tables"]["gaps"]["rows"]
    assert sum(gap["exposure"] for gap in gaps) == pytest.approx(report["figures"]["exposure"])
    assert json.loads(mailmig("plan", "show", "--format", "json").out) == report


def test_a_plan_that_was_edited_is_shown_with_what_it_breaks(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    mailmig("plan", "make", "--data", files, "--out", "plan.json")
    text = (tmp_path / "plan.json").read_text("utf-8")
    made = read_plan(text)
    first = made.assignments[0]
    gone = f'["{first.mailbox}", "{first.window}", "{first.database}"'
    (tmp_path / "plan.json").write_text(
        text.replace(gone, gone.replace(first.window, "w99")), "utf-8"
    )
    shown = mailmig("plan", "show", "plan.json")
    assert shown.code == 1
    assert "This plan breaks hard rules" in shown.out
    assert "there is no window w99" in shown.out


def test_an_inventory_and_a_calendar_make_a_plan(
    mailmig: Mailmig, calendar: Path, tmp_path: Path
) -> None:
    done = mailmig("plan", "make", "--snapshot", "latest", "--calendar", calendar)
    assert done.code == 0, done.err
    assert "system mailboxes are moved first: window w00: system@köln.example." in done.out
    with Store.open(tmp_path / "state") as store:
        made = read_plan(store.plans.load())
        assert store.plans.list()[0].snapshot == store.snapshots.list()[0].id == made.snapshot
    assert [a.guid for a in made.assignments] == ["anna", "ben", "info", "system"]
    assert made.metrics.exposure == 0.0


def test_the_configuration_names_calendar_zone_and_weights(
    mailmig: Mailmig, calendar: Path, tmp_path: Path
) -> None:
    (tmp_path / "mailmig.toml").write_text(
        '[plan]\ncalendar = "calendar"\nzone = "Europe/Berlin"\nweights = { FullAccess = 7 }\n'
    )
    done = mailmig("plan", "make")
    assert done.code == 0, done.err
    assert "times in Europe/Berlin" in done.out and "+0100" in done.out
    with Store.open(tmp_path / "state") as store:
        assert {share.weight for share in read_plan(store.plans.load()).data.shares} == {7.0}


def test_a_mailbox_is_explained_in_sentences(mailmig: Mailmig, calendar: Path) -> None:
    mailmig("plan", "make", "--calendar", calendar)
    said = mailmig("plan", "explain", "info").out.splitlines()
    assert said[0].startswith("info@köln.example (1 GB) moves in window w00,")
    assert said[1:] == [
        "It goes with those it shares most with.",
        "2 of its 2 partners, weight 10 of 10, move in the same window.",
        "w00 is full.",
        "None of its shares is cut.",
        "Next-best window with room: w01, 10 weight-days more; 0 of its 2 partners would move with it.",
    ]
    unknown = mailmig("plan", "explain", "infi")
    assert unknown.code == 2
    assert unknown.err == "mailmig: the plan has no mailbox 'infi' (did you mean \"info\"?)\n"


def test_names_cannot_write_to_the_terminal(mailmig: Mailmig, tmp_path: Path) -> None:
    data = few()
    odd = replace(data.mailboxes[0], department="\x1b[31mred")
    folder = write(tmp_path / "data", replace(data, mailboxes=(odd, *data.mailboxes[1:])))
    mailmig("plan", "make", "--data", folder)
    said = mailmig("plan", "explain", odd.identity)
    assert said.code == 0 and "[31mred" in said.out and "\x1b" not in said.out


def test_a_plan_that_cannot_be_leaves_nothing_behind(
    mailmig: Mailmig, files: Path, tmp_path: Path
) -> None:
    data = few()
    windows = tuple(replace(w, max_mailboxes=2) for w in data.calendar.windows)
    write(files, replace(data, calendar=replace(data.calendar, windows=windows)))
    done = mailmig("plan", "make", "--data", files, "--out", "plan.json")
    assert done.code == 2
    assert done.err == (
        "mailmig: no plan is possible: all mailboxes are 12 mailboxes, but the windows before"
        " the deadline can take only 8 mailboxes (number of mailboxes): 4 mailboxes too many\n"
    )
    assert not (tmp_path / "plan.json").exists()
    assert mailmig("plan", "show").code == 2


def test_bad_input_is_told_with_its_file(mailmig: Mailmig, files: Path) -> None:
    (files / "shares.csv").write_text("owner,delegate,right,weight\na,b,SendAs,x\n")
    done = mailmig("plan", "make", "--data", files)
    assert done.code == 2
    assert done.err.endswith("shares.csv, line 2: the weight must be a number, not 'x'\n")


def test_what_is_asked_for_must_be_clear(mailmig: Mailmig, files: Path, calendar: Path) -> None:
    both = mailmig("plan", "make", "--data", files, "--calendar", calendar)
    assert both.code == 2 and "--data brings its own calendar" in both.err
    neither = mailmig("plan", "make")
    assert neither.code == 2 and "a plan needs a calendar" in neither.err
    nothing = mailmig("plan", "show", "nosuchplan")
    assert nothing.code == 2 and "there is no plan yet" in nothing.err
    lost = mailmig("plan", "make", "--calendar", calendar, "--snapshot", "zzz")
    assert lost.code == 2 and "there is no snapshot 'zzz'" in lost.err


def test_a_file_that_cannot_be_written_is_named(mailmig: Mailmig, files: Path) -> None:
    done = mailmig("plan", "make", "--data", files, "--out", "nowhere/plan.json")
    assert done.code == 2
    assert "nowhere/plan.json cannot be written" in done.err
