"""Making a plan: refuse what cannot be, place everybody, and say what it costs.

Several attempts are made, from the one that keeps departments together to the one that only
looks at sizes, first with the pilot's windows for its people alone, then with these windows
open to all. The first attempt that breaks no hard rule is the plan.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from mailmig.model.migration import Assignment, Note, Plan, PlanData, Rule, Why
from mailmig.rules.planning.departments import fill
from mailmig.rules.planning.feasibility import databases_of, require_feasible
from mailmig.rules.planning.measures import bounds, measure
from mailmig.rules.planning.placing import place_by_size, search_whole, settle_all
from mailmig.rules.planning.problem import FIRST_KINDS, Problem, compile_problem
from mailmig.rules.planning.refusals import NoRoom
from mailmig.rules.planning.room import Draft
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import tidy
from mailmig.rules.planning.wording import listed, mailboxes_text

# Hours that are given and differ from the length of their window by more than this are no
# rounding.
HOURS_ROUNDED = 0.5


def make(
    data: PlanData,
    now: datetime,
    settings: PlanSettings | None = None,
    snapshot: str = "",
) -> Plan:
    """A plan that breaks no hard rule.

    Raises an `Infeasible` that names the resource and the missing amount when there is none,
    or when none was found. `now` is when the plan is made.
    """
    settings = settings or PlanSettings()
    data = tidy(data, settings)
    problem = compile_problem(data)
    require_feasible(problem)
    draft, tight = _place(problem, settings.wrong_site)
    assignments = _assignments(draft)
    notes = (*data.notes, *tight, *_notes(problem, draft, now))
    return Plan(
        data=replace(data, notes=()),
        created=now,
        zone=settings.zone,
        assignments=assignments,
        metrics=measure(problem, assignments),
        bounds=bounds(problem),
        notes=notes,
        snapshot=snapshot,
    )


def _place(problem: Problem, wrong_site: float) -> tuple[Draft, list[Note]]:
    """The first draft in which everybody has a place, and what had to be given up for it."""
    pilot = any(capacity.window.pilot for capacity in problem.windows)
    for unlocked in (False, True) if pilot else (True,):
        draft = Draft(problem, wrong_site)
        left = fill(draft)
        if unlocked:
            draft.unlock()
        if not settle_all(draft, left):
            return draft, _guests(draft)
        by_size, whole = Draft(problem, wrong_site), Draft(problem, wrong_site)
        if unlocked:
            by_size.unlock()
            whole.unlock()
        left = place_by_size(by_size)
        if not left:
            return by_size, [_TIGHT, *_guests(by_size)]
        found, proven = search_whole(whole)
        if found:
            return whole, [_TIGHT, *_guests(whole)]
    raise _no_room(by_size, left[0], proven)


_TIGHT = Note("the limits are so tight that sizes decide: departments could not be kept together")


def _guests(draft: Draft) -> list[Note]:
    """Who is in a pilot, although nobody pinned him to it and he is no system mailbox."""
    problem = draft.problem
    rows = [
        row
        for row in problem.todo
        if draft.window[row] in draft.pilot
        and not problem.pinned(row)
        and problem.data.mailboxes[row].kind not in FIRST_KINDS
    ]
    guests = [problem.name(row) for row in rows]
    text = f"the pilot takes {mailboxes_text(len(guests))} more than those pinned to it"
    return [listed(f"{text}: the other windows have no room", guests)] if guests else []


def _no_room(draft: Draft, row: int, proven: bool) -> NoRoom:
    """The place that comes nearest, and the limit that lacks most there."""
    problem = draft.problem
    places = (
        (window, database)
        for window in draft.allowed(row)
        for database in databases_of(problem, row)
    )
    nearest = min(
        ((draft.room.lacking(row, w, d), w, d) for w, d in places),
        key=lambda place: sum(missing for _, _, missing in place[0]),
    )
    lacks, window, database = nearest
    rule, subject, missing = max(lacks, key=lambda lack: lack[2])
    target = problem.data.target.databases[database].id
    return NoRoom(
        mailbox=problem.name(row),
        size=problem.size[row],
        place=f"window {problem.windows[window].window.id} with database {target}",
        limit=f"{rule.value} {subject}",
        missing=missing,
        counted=rule is Rule.WINDOW_COUNT,
        proven=proven,
    )


def _assignments(draft: Draft) -> tuple[Assignment, ...]:
    problem = draft.problem
    databases = [database.id for database in problem.data.target.databases]
    windows = [capacity.window.id for capacity in problem.windows]
    mailboxes = problem.data.mailboxes
    return tuple(
        Assignment(
            mailbox=mailboxes[row].identity,
            window=windows[draft.window[row]],
            database=databases[draft.database[row]],
            why=draft.why[row],
            group=draft.group[row],
            guid=mailboxes[row].guid,
        )
        for row in problem.todo
    )


def _notes(problem: Problem, draft: Draft, now: datetime) -> Iterator[Note]:
    for window, reason in problem.dropped:
        yield Note(f"window {window} {reason}: not used")
    yield from _window_notes(problem, now)
    first = [r for r in problem.todo if problem.data.mailboxes[r].kind in FIRST_KINDS]
    if first:
        when = sorted({draft.window[row] for row in first})
        windows = ", ".join(problem.windows[w].window.id for w in when)
        names = [problem.name(row) for row in first]
        yield listed(f"system mailboxes are moved first: window {windows}", names)
    moved = [r for r in problem.todo if draft.why[r] is Why.ROOM and draft.group[r]]
    if moved:
        names = [problem.name(row) for row in moved]
        yield listed("parted from their department for lack of room", names)


def _window_notes(problem: Problem, now: datetime) -> Iterator[Note]:
    previous = None
    for capacity in problem.windows:
        window = capacity.window
        if window.hours is not None and abs(window.hours - window.length_hours) > HOURS_ROUNDED:
            yield Note(
                f"window {window.id} lasts {window.length_hours:g} hours, but {window.hours:g}"
                " are given: the given ones count"
            )
        if window.start < now:
            yield Note(f"window {window.id} began before this plan was made")
        if previous is not None and window.start < previous.end:
            yield Note(
                f"windows {previous.id} and {window.id} overlap: the servers' throughput"
                " counts in both"
            )
        previous = window
