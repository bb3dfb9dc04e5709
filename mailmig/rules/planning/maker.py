"""Making a plan: refuse what cannot be, place everybody, search for better windows, say the cost.

First everybody gets a place, the departments together: several attempts are made, the last
of them by size alone, first with the pilot's windows for its people alone, then with these
windows open to all. The first attempt that breaks no hard rule is the start. Searches from
it, each with its own seed, find windows that cost less; the best for which all databases
have room is the plan. So a plan never costs more than the order by department.

`prepare` and `finish` are the two ends; what lies between them can run in other processes
(`run.planning`) or here (`make`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mailmig.model.migration import (
    Assignment,
    Comparison,
    Note,
    Plan,
    PlanBounds,
    PlanData,
    Rule,
    Why,
)
from mailmig.rules.planning.departments import fill
from mailmig.rules.planning.feasibility import databases_of, require_feasible
from mailmig.rules.planning.measures import bounds, measure
from mailmig.rules.planning.placing import place_by_size, search_whole, settle_all
from mailmig.rules.planning.problem import FIRST_KINDS, Problem, compile_problem
from mailmig.rules.planning.refusals import NoRoom
from mailmig.rules.planning.room import NOWHERE, Draft
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import tidy
from mailmig.rules.planning.wording import UNFINISHED, listed, mailboxes_text

if TYPE_CHECKING:
    from mailmig.rules.planning.field import Field, Ints

# Hours that are given and differ from the length of their window by more than this are no
# rounding.
HOURS_ROUNDED = 0.5

# A department is said to move together when so much of it is in one window.
TOGETHER = 0.5

# A plan costs the same when it differs by no more than this part: sums in another order.
CRUMB = 1e-9


@dataclass(frozen=True, slots=True)
class Start:
    """A first plan that breaks no hard rule, and what searches for a better one need.

    `field` is None where there is nothing to search with, or for; then `windows` is, too.
    """

    problem: Problem
    draft: Draft
    notes: tuple[Note, ...]
    unlocked: bool
    field: "Field | None" = None
    windows: "Ints | None" = None


def make(
    data: PlanData,
    now: datetime,
    settings: PlanSettings | None = None,
    snapshot: str = "",
) -> Plan:
    """A plan that breaks no hard rule, from one search.

    Raises an `Infeasible` that names the resource and the missing amount when there is none,
    or when none was found. `now` is when the plan is made.
    """
    settings = settings or PlanSettings()
    start = prepare(data, settings)
    found = []
    if start.field is not None and start.windows is not None:
        from mailmig.rules.planning.search import searched

        found = [searched(start.field, start.windows, settings.seed)]
    return finish(start, found, now, settings, snapshot)


def prepare(data: PlanData, settings: PlanSettings) -> Start:
    """The start of all searches. Raises an `Infeasible`."""
    problem = compile_problem(tidy(data, settings))
    require_feasible(problem)
    start = _start(problem, settings.wrong_site)
    try:
        import scipy  # noqa: F401
    except ImportError:
        return replace(start, notes=(*start.notes, _NO_SEARCH))
    if not problem.todo:
        return start
    return _with_field(start)


def known(start: Start, assignments: Sequence[Assignment]) -> "list[Ints]":
    """The windows of a plan that is there already, as an answer; none where they do not fit.

    Who has no window any more, or no room in it, gets the cheapest one with room.
    """
    field = start.field
    if field is None:
        return []
    import numpy as np

    from mailmig.rules.planning.kernels import insert, nobody_seated

    position = {capacity.window.id: t for t, capacity in enumerate(start.problem.windows)}
    had = {a.mailbox.casefold(): position.get(a.window, NOWHERE) for a in assignments}
    names = (start.problem.name(row).casefold() for row in start.problem.todo)
    wanted = np.array([had.get(name, NOWHERE) for name in names], np.int64)
    seating = nobody_seated(field)
    left = insert(field, seating, wanted, np.argsort(-field.size, kind="stable"))
    return [] if left else [seating.x]


def finish(
    start: Start,
    found: "Sequence[Ints]",
    now: datetime,
    settings: PlanSettings,
    snapshot: str = "",
    least: float = 0.0,
) -> Plan:
    """The plan with the best of the windows that were found, and databases for all.

    No windows that keep the rules of `start` cost less than `least` weight-days.
    """
    draft = _best(start, found, settings.wrong_site)
    plan = plan_of(draft, start.notes, now, settings, snapshot)
    return replace(plan, bounds=replace(plan.bounds, same_pilot=max(least, plan.bounds.exposure)))


def plan_of(
    draft: Draft,
    notes: Sequence[Note],
    now: datetime,
    settings: PlanSettings,
    snapshot: str = "",
) -> Plan:
    """A draft in which everybody has a place, with what it costs."""
    problem = draft.problem
    assignments = _assignments(draft)
    notes = (*problem.data.notes, *notes, *_guests(draft), *_notes(problem, draft, now))
    limits, comparison = _outside(problem)
    return Plan(
        data=replace(problem.data, notes=()),
        created=now,
        zone=settings.zone,
        assignments=assignments,
        metrics=replace(measure(problem, assignments), comparison=comparison),
        bounds=limits,
        notes=notes,
        snapshot=snapshot,
        seed=settings.seed,
    )


def _outside(problem: Problem) -> tuple[PlanBounds, Comparison | None]:
    """What no plan can beat, and what the usual orders cost.

    Of exposure only where there is something to compute it with.
    """
    found = bounds(problem)
    try:
        from mailmig.rules.planning.baselines import compare
        from mailmig.rules.planning.field import field_of
        from mailmig.rules.planning.lower_bounds import boundary_bound
    except ImportError:
        return found, None
    if not problem.todo:
        return found, None
    # the bound is for any plan: the pilot open to all
    bound = boundary_bound(field_of(problem, unlocked=True))
    least = bound.least
    found = replace(
        found, exposure=least, proven=bound.proven, searched=bound.computed, same_pilot=least
    )
    return found, compare(problem, field_of(problem, unlocked=False))


def _with_field(start: Start) -> Start:
    """The arrays for a search. System mailboxes stay where the start put them: first.

    Nobody enters a pilot whom the start did not put there: no more than must.
    """
    import numpy as np

    from mailmig.rules.planning.field import field_of

    problem = start.problem
    field = field_of(problem, start.unlocked)
    windows = np.array([start.draft.window[row] for row in problem.todo], np.int64)
    pilot = np.array([capacity.window.pilot for capacity in problem.windows], np.bool_)
    field.allowed[~pilot[windows]] &= ~pilot
    for place, row in enumerate(problem.todo):
        if (
            problem.data.mailboxes[row].kind in FIRST_KINDS
            or not field.allowed[place, windows[place]]
        ):
            field.allowed[place] = False
            field.allowed[place, windows[place]] = True
    notes = (*start.notes, *_slower())
    return replace(start, notes=notes, field=field, windows=windows)


def _slower() -> Iterator[Note]:
    from mailmig.rules.planning import mapping
    from mailmig.rules.planning.kernels import COMPILED

    for there, name in ((COMPILED, "numba"), (mapping.available(), "mtkahypar")):
        if not there:
            yield Note(
                f"{name} is missing (install mailmig[plan]): the search is slower, and {UNFINISHED}"
            )


def _best(start: Start, found: "Sequence[Ints]", wrong_site: float) -> Draft:
    """The cheapest draft in which everybody has a database; the start where none is cheaper."""
    field = start.field
    if field is None or start.windows is None:
        return start.draft
    from mailmig.rules.planning.field import exposure_of
    from mailmig.rules.planning.search import price

    most = exposure_of(field, start.windows) * (1 + CRUMB)
    least, best = price(field, start.windows), start.draft
    # equal prices go by the windows themselves: answers come in any order
    for x in sorted([*found, *_in_order(start)], key=lambda x: (price(field, x), x.tolist())):
        if price(field, x) >= least * (1 - CRUMB):
            break
        draft = _settled(start, x, wrong_site)
        if draft is None:
            continue
        placed = _windows_of(draft, start.problem.todo)  # some found room elsewhere only
        if price(field, placed) < least and exposure_of(field, placed) <= most:
            least, best = price(field, placed), draft
    _say_why(best, start.draft)
    return best


def _in_order(start: Start) -> "Iterator[Ints]":
    """The windows of the plain department order: no plan costs more than that."""
    from mailmig.rules.planning.baselines import by_department, windows_filled

    assert start.field is not None
    x = windows_filled(start.field, by_department(start.problem))
    if (x >= 0).all():
        yield x


def _windows_of(draft: Draft, rows: Sequence[int]) -> "Ints":
    import numpy as np

    return np.array([draft.window[row] for row in rows], np.int64)


def _settled(start: Start, x: "Ints", wrong_site: float) -> Draft | None:
    """These windows with databases; None when somebody is left over."""
    problem = start.problem
    draft = Draft(problem, wrong_site)
    if start.unlocked:
        draft.unlock()
    for row, window in zip(problem.todo, x.tolist(), strict=True):
        draft.put(row, window, start.draft.why[row], start.draft.group[row])
    return None if settle_all(draft, []) else draft


def _say_why(draft: Draft, start: Draft) -> None:
    """What put each mailbox where it is now, for those that a search has moved about."""
    if draft is start:
        return
    problem = draft.problem
    places: Counter[tuple[str, int]] = Counter()
    whole: Counter[str] = Counter()
    for row in problem.todo:
        places[draft.group[row], draft.window[row]] += 1
        whole[draft.group[row]] += 1
    near = set()
    for one, other in zip(problem.owner, problem.delegate, strict=True):
        if draft.window[one] == draft.window[other] != NOWHERE:
            near |= {one, other}
    for row in problem.todo:
        group = draft.group[row]
        if draft.why[row] in (Why.PIN, Why.FIRST):
            continue
        together = places[group, draft.window[row]] >= TOGETHER * whole[group]
        if group and together and draft.why[row] is Why.DEPARTMENT:
            continue
        draft.why[row] = Why.PARTNERS if row in near else Why.ROOM
        if not (together and draft.why[row] is Why.PARTNERS):
            draft.group[row] = ""


def _start(problem: Problem, wrong_site: float) -> Start:
    """The first draft in which everybody has a place, and what had to be given up for it."""
    pilot = any(capacity.window.pilot for capacity in problem.windows)
    for unlocked in (False, True) if pilot else (True,):
        draft = Draft(problem, wrong_site)
        left = fill(draft)
        if unlocked:
            draft.unlock()
        if not settle_all(draft, left):
            return Start(problem, draft, (), unlocked)
        by_size, whole = Draft(problem, wrong_site), Draft(problem, wrong_site)
        if unlocked:
            by_size.unlock()
            whole.unlock()
        left = place_by_size(by_size)
        if not left:
            return Start(problem, by_size, (_TIGHT,), unlocked)
        found, proven = search_whole(whole)
        if found:
            return Start(problem, whole, (_TIGHT,), unlocked)
    raise _no_room(by_size, left[0], proven)


_TIGHT = Note("the limits are so tight that sizes decide: departments could not be kept together")
_NO_SEARCH = Note(
    "departments move together, and nothing better was searched for: numpy and scipy are"
    " missing (install mailmig[plan])"
)


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
        counted=rule in (Rule.WINDOW_COUNT, Rule.DEPARTMENT_SHARE),
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
