"""`mailmig plan approve | announce | export | explain | show`: what is told to people."""

from pathlib import Path

import pytest

from mailmig.store.engine import Store
from mailmig.wire.planning.plans import read_plan
from mailmig.wire.planning.tables import parse_assignment
from tests.cli.test_plan import write
from tests.conftest import Mailmig
from tests.rules.planning.made import few


@pytest.fixture
def plan(tmp_path: Path, mailmig: Mailmig) -> Path:
    """A file with a plan that is kept as well."""
    folder = write(tmp_path / "data", few())
    done = mailmig("plan", "make", "--data", folder, "--seeds", 1, "--out", "plan.json")
    assert done.code == 0, done.err
    return tmp_path / "plan.json"


def test_an_approved_plan_says_so_until_it_is_changed(mailmig: Mailmig, plan: Path) -> None:
    assert "Nobody has approved this plan." in mailmig("plan", "show").out
    done = mailmig("plan", "approve", "latest", "--by", "  Änne Müller ")
    assert done.code == 0 and "is approved by Änne Müller, " in done.out
    for shown in ("latest", plan):
        assert "Approved by Änne Müller on " in mailmig("plan", "show", shown).out
    plan.write_text(plan.read_text("utf-8").replace('"seed": 1', '"seed": 2'), "utf-8")
    changed = mailmig("plan", "show", plan)
    assert changed.code == 0 and "Nobody has approved this plan." in changed.out


def test_a_file_that_is_approved_is_kept(mailmig: Mailmig, plan: Path, tmp_path: Path) -> None:
    plan.write_text(plan.read_text("utf-8").replace('"seed": 1', '"seed": 2'), "utf-8")
    assert mailmig("plan", "approve", plan, "--by", "Ben").code == 0
    with Store.open(tmp_path / "state") as store:
        info = store.plans.list()[-1]
        assert read_plan(store.plans.load(info.id)).seed == 2
        (approval,) = store.plans.approvals(info.id)
        assert approval.by == "Ben"


def test_a_plan_that_breaks_a_rule_and_an_empty_name_are_refused(
    mailmig: Mailmig, plan: Path
) -> None:
    text = plan.read_text("utf-8")
    first = read_plan(text).assignments[0]
    row = f'["{first.mailbox}", "{first.window}"'
    plan.write_text(text.replace(row, f'["{first.mailbox}", "w99"'), "utf-8")
    refused = mailmig("plan", "approve", plan, "--by", "Ben")
    assert refused.code == 2
    assert "breaks a hard rule and cannot be approved" in refused.err
    plan.write_text(text.replace('"person_days": ', '"person_days": 1'), "utf-8")
    refused = mailmig("plan", "approve", plan, "--by", "Ben")
    assert refused.code == 2 and "the plan says person-days:" in refused.err
    plan.write_text(text.replace('"capacity_bytes": ', '"capacity_bytes": 1'), "utf-8")
    refused = mailmig("plan", "approve", plan, "--by", "Ben")
    assert refused.code == 2
    assert "the input was changed after the plan was made: make a new plan" in refused.err
    assert mailmig("plan", "approve", "latest", "--by", " \n").err == (
        "mailmig: --by is empty: say who approves the plan\n"
    )


def test_a_plan_is_exported_whole_and_as_a_list(
    mailmig: Mailmig, plan: Path, tmp_path: Path
) -> None:
    assert mailmig("plan", "export").out == plan.read_text("utf-8")
    assert mailmig("plan", "export", plan, "--format", "csv", "--out", "moves.csv").code == 0
    written = parse_assignment((tmp_path / "moves.csv").read_text("utf-8"))
    made = read_plan(plan.read_text("utf-8"))
    assert [a.mailbox for a in written] == [a.mailbox for a in made.assignments]


def test_the_page_is_whole_in_itself(mailmig: Mailmig, plan: Path, tmp_path: Path) -> None:
    assert mailmig("plan", "show", "--format", "html", "--out", "plan.html").code == 0
    page = (tmp_path / "plan.html").read_text("utf-8")
    assert page.count("<svg") == 1 and "Weight cut" in page and "Shares that cost most" in page
    assert "http://" not in page and "https://" not in page and "src=" not in page


def test_windows_and_gaps_are_explained(mailmig: Mailmig, plan: Path) -> None:
    used = min(a.window for a in read_plan(plan.read_text("utf-8")).assignments)
    assert mailmig("plan", "explain", used).out.startswith(f"Window {used}, ")
    assert mailmig("plan", "explain", f"{used}..", plan).out.startswith("Between the end of window")


def test_an_announced_window_has_its_mails_and_can_be_released(
    mailmig: Mailmig, plan: Path, tmp_path: Path
) -> None:
    used = read_plan(plan.read_text("utf-8")).assignments[0].window
    done = mailmig("plan", "announce", used.upper())
    assert done.code == 0 and "mind: nobody has approved plan" in done.err
    assert sorted(file.name for file in (tmp_path / f"announce-{used}").iterdir()) == [
        "after.de.txt", "after.en.txt", "before.de.txt", "before.en.txt", "people.csv",
    ]  # fmt: skip
    with Store.open(tmp_path / "state") as store:
        id = store.plans.id()
        assert store.plans.announced(id) == (used,)
    assert "is planned again like any other" in mailmig("plan", "announce", used, "--release").out
    with Store.open(tmp_path / "state") as store:
        assert store.plans.announced(id) == ()
        told = [entry.what for entry in store.journal.entries()]
    assert told[-2:] == ["window announced", "window released"]


def test_what_cannot_be_written_is_not_announced(
    mailmig: Mailmig, plan: Path, tmp_path: Path
) -> None:
    used = read_plan(plan.read_text("utf-8")).assignments[0].window
    done = mailmig("plan", "announce", used, "--out", plan / "below")
    assert done.code == 2 and "cannot be written" in done.err
    assert mailmig("plan", "announce", "w77").code == 2
    with Store.open(tmp_path / "state") as store:
        assert store.plans.announced(store.plans.id()) == ()
