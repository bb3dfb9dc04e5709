"""A plan file comes back as the plan it was made from, and edits to its input are noticed."""

import json
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from mailmig.model.errors import BadFile
from mailmig.model.migration import PlanData, PlanMailbox, Share
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.explain import explain
from mailmig.rules.planning.refusals import Infeasible
from mailmig.wire.planning.plans import read_plan, write_plan
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import few, organisation, plan, small

TEXT = write_plan(plan(few()))


@settings(max_examples=60, deadline=None)
@given(problems())
def test_a_plan_comes_back_as_it_was(data: PlanData) -> None:
    try:
        made = plan(data)
    except Infeasible:
        assume(False)
    text = write_plan(made)
    again = read_plan(text)
    assert again == made
    assert write_plan(again) == text


def test_a_plan_file_is_enough_to_check_and_explain() -> None:
    made = plan(organisation(260))
    again = read_plan(write_plan(made))
    assert check(again) == ()
    name = made.assignments[17].mailbox
    assert explain(again, name) == explain(made, name)


def test_odd_names_survive() -> None:
    names = (
        "Jörg Müller",
        "=cmd()|x",
        'quote"d',
        "back\\slash",
        "emoji 🙂",
        "half \ud800 pair",
        "a\u2028b",
    )
    mailboxes = tuple(PlanMailbox(name, 1) for name in names)
    shares = (Share("Jörg Müller", "=cmd()|x", "SendAs", 3.0),)
    made = plan(small(mailboxes=mailboxes, shares=shares))
    text = write_plan(made)
    assert read_plan(text) == made
    assert "Jörg Müller" in text
    text.encode("utf-8")


def test_there_is_a_line_for_each_mailbox_and_each_assignment() -> None:
    lines = TEXT.splitlines()
    assert sum(line.startswith('["') for line in lines) > 2 * len(few().mailboxes)
    assert json.loads(TEXT)["schema"] == 2
    assert json.loads(TEXT)["mode"] == "classic"


def test_edited_assignments_are_read_and_found_by_the_check() -> None:
    made = read_plan(TEXT)
    here = made.assignments[0].window
    other = next(w.id for w in made.data.calendar.windows if w.id != here)
    mailbox = made.assignments[0].mailbox
    text = TEXT.replace(f'["{mailbox}", "{here}"', f'["{mailbox}", "{other}"', 1)
    edited = read_plan(text)
    assert edited.assignments[0].window == other
    assert check(edited)


def changed(**more: object) -> str:
    return json.dumps({**json.loads(TEXT), **more})


def without(key: str) -> str:
    return json.dumps({k: v for k, v in json.loads(TEXT).items() if k != key})


def rows(*cells: object) -> dict[str, object]:
    columns = ["mailbox", "window", "database", "why", "group", "guid"]
    return {"columns": columns, "rows": [list(cells)]}


INPUT = json.loads(TEXT)["input"]

BAD_PLANS = [
    ("", "plan, line 1, column 1: is no JSON: Expecting value"),
    ("{}", 'plan: the key "schema" is missing'),
    (
        changed(schema=1),
        ("plan, schema: this plan has schema 1, and this mailmig reads 2: make the plan again"
        " (mailmig plan make)"),
    ),
    (changed(more=2), 'plan: there is no key "more" here'),
    (without("metrics"), 'plan: the key "metrics" is missing'),
    (changed(input={**INPUT, "new_owner": 2.0}),
     "plan, input: the input was changed after the plan was made: make a new plan"),
    (changed(input={**INPUT, "shares": {"columns": [], "rows": []}}),
     "plan, input.shares.columns: must be owner, delegate, right, weight, via_group"),
    (changed(assignments=rows("a", "w1")),
     "plan, assignments.rows[0]: has fields that do not fit their columns"),
    (changed(assignments=rows("a", "w1", "D", "luck", "", "")),
     "plan, assignments.rows[0]: there is no reason 'luck'"),
    (changed(metrics={}), 'plan, metrics: the key "exposure" is missing'),
    (changed(zone="Mars/Base"), 'plan, zone: there is no time zone "Mars/Base"'),
    (changed(created="soon"), ("plan, created: must be a time like 2027-01-12T20:00:00, not"
     ' "soon"')),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD_PLANS, ids=lambda case: case[1][:60])
def test_a_plan_that_cannot_be_used_is_refused(case: tuple[str, str]) -> None:
    text, sentence = case
    with pytest.raises(BadFile) as refused:
        read_plan(text)
    assert str(refused.value) == sentence


def test_the_input_hash_does_not_hang_on_when_or_how_the_plan_was_made() -> None:
    made = read_plan(TEXT)
    later = replace(made, zone="Europe/Berlin", snapshot="5na9")
    assert json.loads(write_plan(later))["input_hash"] == json.loads(TEXT)["input_hash"]
