"""Made organisations for tests and measurements of the planner: drawn from a seed, any size.

Sharing is as it usually is: assistants and shared mailboxes within a department, calendars
within a site, a few projects across. About four shares per mailbox.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from mailmig.model.migration import (
    Assignment,
    Calendar,
    Freeze,
    Mode,
    Plan,
    PlanData,
    PlanMailbox,
    Share,
    Target,
    TargetDatabase,
    TargetServer,
    Why,
    Window,
)
from mailmig.model.quota import GIB
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.measures import bounds, measure
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import tidy

NOW = datetime(2027, 1, 1, tzinfo=UTC)
START = datetime(2027, 1, 11, tzinfo=UTC)
DEPARTMENT = 25
KINDS = ("user", "user", "user", "user", "user", "user", "user", "shared", "shared", "room")


def window(id: str, day: float, hours: float = 8, **more: Any) -> Window:
    """A window that ends `day` days after the start of the project."""
    end = START + timedelta(days=day)
    made = Window(id, end - timedelta(hours=hours), end, hours)
    return replace(made, **more)


def small(
    sizes: Sequence[int] = (10, 20, 30),
    windows: Sequence[Window] | None = None,
    databases: Sequence[TargetDatabase] | None = None,
    **more: Any,
) -> PlanData:
    """A few mailboxes m0, m1, ... with these sizes; two windows and one database by default."""
    mailboxes = tuple(PlanMailbox(f"m{n}@corp.example", size) for n, size in enumerate(sizes))
    if windows is None:
        windows = (window("w1", 1), window("w2", 2))
    if databases is None:
        databases = (TargetDatabase("TDB1", 10**6),)
    calendar = Calendar(START, tuple(windows))
    data = PlanData(mailboxes, (), calendar, Target(tuple(databases)))
    return replace(data, **more)


def plan(data: PlanData) -> Plan:
    return make(data, NOW)


def assigned(data: PlanData, zone: str = "UTC", **windows: str) -> Plan:
    """A plan by hand: the mailboxes of each window by name, in the first database.

    Departments are what put them there; those without one go with their partners.
    """
    data = tidy(data, PlanSettings())
    problem = compile_problem(data)
    where = {name: window for window, names in windows.items() for name in names.split()}
    database = data.target.databases[0].id
    assignments = []
    for row in problem.todo:
        mailbox = data.mailboxes[row]
        name = f"{mailbox.department} of site {mailbox.site}" if mailbox.department else ""
        why = Why.PIN if problem.pinned(row) else Why.DEPARTMENT if name else Why.PARTNERS
        window = where[mailbox.identity.split(".")[0]]
        assignments.append(Assignment(mailbox.identity, window, database, why, name, mailbox.guid))
    kept = tuple(assignments)
    return Plan(replace(data, notes=()), NOW, zone, kept, measure(problem, kept), bounds(problem))


def organisation(count: int, seed: int = 1, slack: float = 1.25, windows: int = 8) -> PlanData:
    """An organisation of `count` mailboxes in departments, with a freeze in the middle."""
    random = Random(seed)
    mailboxes = tuple(_mailboxes(random, count))
    total = sum(mailbox.size_bytes for mailbox in mailboxes)
    calendar = _calendar(total, count, slack, windows)
    databases = tuple(
        TargetDatabase(
            f"TDB{n:02}", int(total * 0.36), int(total * 0.2), f"EX{n % 2}", f"dc{n % 2}"
        )
        for n in range(4)
    )
    speed = 1.5 * total * slack / windows / 8 / 2 / GIB
    servers = tuple(TargetServer(f"EX{n}", speed, 20, f"dc{n}") for n in range(2))
    target = Target(databases, servers, site_preference={"s0": "dc0", "s1": "dc1"})
    return PlanData(mailboxes, tuple(_shares(random, mailboxes)), calendar, target)


def few() -> PlanData:
    """Twelve mailboxes and four windows, each for four of any size: searched in no time."""
    data = organisation(12, slack=8.0, windows=4)
    wide = tuple(replace(d, log_headroom_bytes=None) for d in data.target.databases)
    windows = tuple(replace(w, max_mailboxes=4) for w in data.calendar.windows)
    calendar = replace(data.calendar, windows=windows)
    return replace(data, calendar=calendar, target=replace(data.target, databases=wide))


def _mailboxes(random: Random, count: int):  # type: ignore[no-untyped-def]
    for number in range(count):
        department = number // DEPARTMENT
        yield PlanMailbox(
            identity=f"{random.getrandbits(40):010x}.{number}@corp.example",
            size_bytes=int(random.lognormvariate(20.5, 1.2)),
            item_count=random.randrange(1, 100_000),
            kind=random.choice(KINDS),
            department=f"d{department:05}",
            site=f"s{department % 2}",
            source_database=f"SRC{number % 3:02}",
        )


def _calendar(total: int, count: int, slack: float, windows: int) -> Calendar:
    made = []
    for number in range(windows):
        day = 2 + number + (14 if number >= windows // 2 else 0)
        room = int(total * slack / windows)
        most = int(count * slack / windows) + 1
        made.append(window(f"w{number:02}", day, 8, capacity_bytes=room, max_mailboxes=most))
    begin = made[windows // 2 - 1].end
    freeze = Freeze(begin + timedelta(hours=1), begin + timedelta(days=13), "pause")
    return Calendar(START, tuple(made), (freeze,), made[-1].end + timedelta(days=1), Mode.CLASSIC)


def _shares(random: Random, mailboxes: Sequence[PlanMailbox]):  # type: ignore[no-untyped-def]
    count = len(mailboxes)
    for number, mailbox in enumerate(mailboxes):
        for _ in range(2):
            yield _near(random, mailboxes, number, DEPARTMENT, "FullAccess", 5.0)
        yield _near(random, mailboxes, number, 10 * DEPARTMENT, "CalendarReviewer", 1.0)
        if mailbox.kind == "shared":
            for _ in range(8):
                yield _near(random, mailboxes, number, DEPARTMENT, "SendAs", 3.0)
        if random.random() < 0.05:
            other = random.randrange(count)
            yield Share(mailbox.identity, mailboxes[other].identity, "FullAccess", 5.0)


def _near(
    random: Random,
    mailboxes: Sequence[PlanMailbox],
    number: int,
    within: int,
    right: str,
    weight: float,
) -> Share:
    first = number // within * within
    other = random.randrange(first, min(first + within, len(mailboxes)))
    return Share(mailboxes[number].identity, mailboxes[other].identity, right, weight)
