"""A plan made again from the old one: words outside, `replanning` does the numbers.

The data says what holds now: mailboxes that were moved have that state, lost windows are
cancelled, new ones stand in the calendar, a mailbox that was copied but not completed is
pinned to its database. The old assignments of failed mailboxes are left out by the caller:
they are inserted like new ones, the largest first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from mailmig.model.migration import Assignment, Note, Plan, PlanData, Why
from mailmig.rules.planning.capacity import split
from mailmig.rules.planning.feasibility import require_feasible
from mailmig.rules.planning.field import Field, field_of
from mailmig.rules.planning.kernels import NOWHERE
from mailmig.rules.planning.maker import plan_of
from mailmig.rules.planning.placing import settle_all
from mailmig.rules.planning.problem import Problem, compile_problem
from mailmig.rules.planning.replanning import Again, anchored, replanned
from mailmig.rules.planning.room import Draft
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import tidy
from mailmig.rules.planning.wording import listed, mailboxes_text

# Of all mailboxes, so many may get another window than they were told or can look up.
MOST_CHANGED = 0.01


@dataclass(frozen=True, slots=True)
class Remade:
    """The new plan, who has another window than before, and who had none that can be used."""

    plan: Plan
    changed: tuple[str, ...]
    inserted: tuple[str, ...]


def differing(plan: Plan, old: Sequence[Assignment]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who has another window than before, and who had none that can be used."""
    usable = {window.id for window in split(plan.data.calendar)[0]}
    had = {a.mailbox.casefold(): a.window for a in old if a.window in usable}
    changed, inserted = [], []
    for a in plan.assignments:
        was = had.get(a.mailbox.casefold())
        if was is None:
            inserted.append(a.mailbox)
        elif was != a.window:
            changed.append(a.mailbox)
    return tuple(changed), tuple(inserted)


def remake(
    old: Sequence[Assignment],
    data: PlanData,
    now: datetime,
    settings: PlanSettings,
    announced: frozenset[str] = frozenset(),
    changes: bool = True,
) -> Remade | None:
    """The plan again, with as few changes as pay, one in a hundred at most; none at all where `changes` is False.

    None when somebody finds no room that way: then only a full plan helps. Raises an
    `Infeasible` when no plan is possible. `announced` are ids of windows.
    """
    problem = compile_problem(tidy(data, settings))
    require_feasible(problem)
    places = {assignment.mailbox.casefold(): assignment for assignment in old}
    had = [places.get(problem.name(row).casefold()) for row in problem.todo]
    most = int(MOST_CHANGED * len(problem.size)) if changes else 0
    again = replanned(_field(problem, had, announced), settings.seed, most)
    draft = again and _draft(problem, had, again, settings.wrong_site)
    if not draft:
        return None
    plan = plan_of(draft, (), now, settings)
    changed, inserted = differing(plan, old)
    plan = replace(plan, notes=(*plan.notes, *_notes(inserted, changed)))
    return Remade(plan, changed, inserted)


def unheld(
    full: Plan,
    old: Sequence[Assignment],
    data: PlanData,
    settings: PlanSettings,
    announced: frozenset[str],
) -> Plan:
    """A plan from `progress.held` over the data as it is.

    What kept announced windows was for the search; in the plan it would hold for ever, also
    when the announcement is taken back.
    """
    told = {a.mailbox: a for a in old if a.window in announced}
    places = [
        replace(a, why=told[a.mailbox].why, group=told[a.mailbox].group) if a.mailbox in told else a
        for a in full.assignments
    ]
    same = remake(places, data, full.created, settings, changes=False)
    assert same is not None and not same.changed  # it kept more limits than these
    return replace(same.plan, notes=full.notes, snapshot=full.snapshot)


def _field(problem: Problem, had: Sequence[Assignment | None], announced: frozenset[str]) -> Field:
    """The field with anchors; where somebody was before, he may be again, in a pilot too."""
    field = field_of(problem, unlocked=False)
    position = {capacity.window.id: t for t, capacity in enumerate(problem.windows)}
    old = np.array([position.get(was.window, NOWHERE) if was else NOWHERE for was in had], np.int64)
    for v, row in enumerate(problem.todo):
        if old[v] >= 0 and problem.first[row] <= old[v] <= problem.last[row]:
            field.allowed[v, old[v]] = True
    told = np.array([capacity.window.id in announced for capacity in problem.windows], np.bool_)
    return anchored(field, old, told)


def _draft(
    problem: Problem, had: Sequence[Assignment | None], again: Again, wrong_site: float
) -> Draft | None:
    """The windows with databases, the old ones wherever they have room."""
    draft = Draft(problem, wrong_site)
    databases = {database.id: d for d, database in enumerate(problem.data.target.databases)}
    stay = []
    for row, was, window in zip(problem.todo, had, again.windows.tolist(), strict=True):
        same = was is not None and problem.windows[window].window.id == was.window
        why, group = (was.why, was.group) if was and same else (Why.PARTNERS, "")
        draft.put(row, window, why, group)
        old = databases.get(was.database, NOWHERE) if was else NOWHERE
        if old >= 0 and problem.database[row] in (NOWHERE, old):
            stay.append((not same, row, old))
    for _, row, old in sorted(stay):
        if draft.room.holds(row, draft.window[row], old):
            draft.settle(row, old)
    return None if settle_all(draft, []) else draft


def _notes(inserted: Sequence[str], changed: Sequence[str]) -> Iterator[Note]:
    for names, text in (
        (inserted, "new in this plan, or without the window they had"),
        (changed, "in another window than before"),
    ):
        if names:
            yield listed(f"{mailboxes_text(len(names))} {text}", names)
