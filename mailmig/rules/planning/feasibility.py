"""Can there be a plan at all? Sums against limits, before anything is placed.

Whoever must move between window a and window b has to fit into the windows from a to b: that
is checked for every pair a <= b, for bytes, for numbers, for source databases and for
prescribed databases. What passes may still fail by fragments; the planner tries harder then.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate

from mailmig.rules.planning.capacity import NO_LIMIT
from mailmig.rules.planning.problem import Problem
from mailmig.rules.planning.refusals import ShortOf, TooLarge


def require_feasible(problem: Problem) -> None:
    """Raise an `Infeasible` that names the resource and the missing amount, if sums tell."""
    _each_fits_somewhere(problem)
    _databases_hold_all(problem)
    if problem.prestage:
        _copied_in_time(problem)
    else:
        bytes_of = [capacity.effective for capacity in problem.windows]
        _spans(problem, problem.todo, bytes_of, _byte_words(problem))
        _sources_hold(problem)
    counts = [capacity.count for capacity in problem.windows]
    _spans(problem, problem.todo, counts, _always("number of mailboxes"), counted=True)
    _departments_hold(problem)
    _prescribed_hold(problem)


def largest_slot(problem: Problem, row: int, window: int, database: int) -> int:
    """The largest mailbox that this window and this database take of this row's kind."""
    capacity = problem.windows[window]
    source = problem.source[row]
    return min(
        min(capacity.effective, capacity.copied),
        problem.source_room[source][window] if source >= 0 else NO_LIMIT,
        problem.data.target.databases[database].capacity_bytes,
        problem.log_room[database],
        problem.server_room[problem.server[database]][window],
    )


def databases_of(problem: Problem, row: int) -> Iterable[int]:
    """The databases that a mailbox may go to."""
    fixed = problem.database[row]
    return (fixed,) if fixed >= 0 else range(len(problem.data.target.databases))


def _each_fits_somewhere(problem: Problem) -> None:
    windows = range(len(problem.windows))
    databases = range(len(problem.data.target.databases))
    everywhere = min(
        (
            min([largest_slot(problem, row, w, d) for w in windows for d in databases])
            for row in _one_per_source(problem)
        ),
        default=NO_LIMIT,
    )
    for row in problem.todo:
        if problem.size[row] > everywhere:
            _fits_somewhere(problem, row)


def _one_per_source(problem: Problem) -> Iterator[int]:
    """Mailboxes of one source have the same limits: one of each is enough."""
    seen: set[int] = set()
    for row in problem.todo:
        if problem.source[row] not in seen:
            seen.add(problem.source[row])
            yield row


def _fits_somewhere(problem: Problem, row: int) -> None:
    windows = range(problem.first[row], problem.last[row] + 1)
    databases = databases_of(problem, row)
    size, source = problem.size[row], problem.source[row]
    capacities = [problem.windows[w] for w in windows]
    limits: list[tuple[str, int]] = [
        ("the largest window that it may use takes", max(c.effective for c in capacities)),
        ("until its last window the servers copy", max(c.copied for c in capacities)),
        (
            "the largest database has room for",
            max(problem.data.target.databases[d].capacity_bytes for d in databases),
        ),
        ("the largest log headroom is only", max(problem.log_room[d] for d in databases)),
        (
            "the fastest server takes in a window",
            max(problem.server_room[problem.server[d]][w] for d in databases for w in windows),
        ),
    ]
    if source >= 0:
        most = max(problem.source_room[source][w] for w in windows)
        limits.append(("its source database may fill of a window at most", most))
    best = max(largest_slot(problem, row, w, d) for w in windows for d in databases)
    limits.append(("all limits of a window together leave at most", best))
    for resource, largest in limits:
        if size > largest:
            raise TooLarge(problem.name(row), size, resource, largest)


def _databases_hold_all(problem: Problem) -> None:
    room = sum(database.capacity_bytes for database in problem.data.target.databases)
    total = sum(problem.size[row] for row in problem.todo)
    if total > room:
        raise ShortOf("all mailboxes", "the target databases", "database room", total, room)


def _copied_in_time(problem: Problem) -> None:
    due = [0] * len(problem.windows)
    for row in problem.todo:
        due[problem.last[row]] += problem.size[row]
    for capacity, total in zip(problem.windows, accumulate(due), strict=True):
        if total > capacity.copied:
            who = f"all that must be moved by window {capacity.window.id}"
            raise ShortOf(who, "the servers", "bytes copied per day", total, capacity.copied)


def _sources_hold(problem: Problem) -> None:
    for source, room in enumerate(problem.source_room):
        rows = [row for row in problem.todo if problem.source[row] == source]
        if rows:
            name = problem.data.mailboxes[rows[0]].source_database
            limit = f"share that source database {name} may fill"
            _spans(problem, rows, room, _always(limit))


def _departments_hold(problem: Problem) -> None:
    if not problem.department_room:
        return
    members: list[list[int]] = [[] for _ in problem.department_room]
    for row in problem.todo:
        if problem.department[row] >= 0:
            members[problem.department[row]].append(row)
    for rows, most in zip(members, problem.department_room, strict=True):
        name = problem.data.mailboxes[rows[0]].department
        limit = "part of a department that one window takes"
        room = [most] * len(problem.windows)
        _spans(problem, rows, room, _always(limit), counted=True, of=f" of department {name}")


def _prescribed_hold(problem: Problem) -> None:
    by_database: dict[int, list[int]] = {}
    for row in problem.todo:
        if problem.database[row] >= 0:
            by_database.setdefault(problem.database[row], []).append(row)
    for database, rows in by_database.items():
        target = problem.data.target.databases[database]
        total = sum(problem.size[row] for row in rows)
        if total > target.capacity_bytes:
            who = f"the mailboxes prescribed for database {target.id}"
            raise ShortOf(who, "it", "database room", total, target.capacity_bytes)
        speed = problem.server_room[problem.server[database]]
        room = [min(problem.log_room[database], speed[w]) for w in range(len(problem.windows))]
        limit = f"log headroom and server throughput of database {target.id}"
        _spans(problem, rows, room, _always(limit))


def _spans(
    problem: Problem,
    rows: Iterable[int],
    room: list[int],
    limit: Callable[[int, int], str],
    counted: bool = False,
    of: str = "",
) -> None:
    """Whoever must move within a span of windows has to fit into these windows.

    Late and narrow spans come first, so that the sentence names the tightest group.
    """
    count = len(room)
    bound = [[0] * count for _ in range(count)]
    for row in rows:
        bound[problem.first[row]][problem.last[row]] += 1 if counted else problem.size[row]
    needed = [0] * count  # per last window: all that begins at `a` or later
    for a in reversed(range(count)):
        needed = [of + more for of, more in zip(needed, bound[a], strict=True)]
        totals = zip(accumulate(needed[a:]), accumulate(room[a:]), strict=True)
        for b, (total, available) in enumerate(totals, start=a):
            if total > available:
                who, taker = _who(problem, a, b) + of, _taker(problem, a, b)
                dropped = problem.dropped if (a, b) == (0, count - 1) else ()
                raise ShortOf(who, taker, limit(a, b), total, available, counted, dropped)


def _who(problem: Problem, a: int, b: int) -> str:
    if a == 0 and b == len(problem.windows) - 1:
        return "all mailboxes"
    first, last = problem.windows[a].window.id, problem.windows[b].window.id
    if a == b:
        return f"the mailboxes pinned to window {first}"
    return f"the mailboxes that must move from window {first} to window {last}"


def _taker(problem: Problem, a: int, b: int) -> str:
    if a == 0 and b == len(problem.windows) - 1:
        late = problem.data.calendar.deadline is not None
        return "the windows before the deadline" if late else "the windows"
    return "it" if a == b else "these windows"


def _always(words: str) -> Callable[[int, int], str]:
    return lambda a, b: words


def _byte_words(problem: Problem) -> Callable[[int, int], str]:
    def words(a: int, b: int) -> str:
        bound = [capacity.binding for capacity in problem.windows[a : b + 1]]
        return max(dict.fromkeys(bound), key=bound.count)

    return words
