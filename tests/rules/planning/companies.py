"""Made organisations of any size that look like real ones to a planner, drawn from a seed.

Four fifths are people, in departments of very different sizes on a few sites. Departments
and teams have shared mailboxes that many may open; projects have some across departments
and sites; assistants, calendars, rooms, and a service account with rights everywhere. Names
are drawn without regard to departments, so an order by name is an order by chance.

The calendar has a pilot a week ahead, nights and long Saturdays, and a freeze of two weeks
in the middle. `baselines` says whether an organisation is as hard as a real one, and draws
until it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import accumulate
from random import Random

from mailmig.model.migration import (
    Calendar,
    Freeze,
    Pin,
    PlanData,
    PlanMailbox,
    Share,
    SourceLimit,
    Target,
    TargetDatabase,
    TargetServer,
    Window,
)
from mailmig.model.quota import GIB
from tests.rules.planning.made import START, window

FULL, SEND_AS, REVIEWER, EDITOR = (
    ("FullAccess", 5.0), ("SendAs", 3.0), ("CalendarReviewer", 1.0), ("CalendarEditor", 2.0),
)  # fmt: skip
DELEGATE, ON_BEHALF, SERVICE = ("Delegate", 6.0), ("SendOnBehalf", 2.0), ("FullAccess", 0.5)

Right = tuple[str, float]

SLACK = 1.25
NIGHT_H, SATURDAY_H, PILOT_H = 8, 20, 4
PILOT_BYTES = 0.03  # of all bytes


def company(count: int, seed: int | str = 1, windows: int = 8) -> PlanData:
    """An organisation of `count` mailboxes and about four shares for each."""
    made = _Made(Random(seed), count)
    made.people()
    made.shared()
    made.rooms()
    made.services()
    return _around(made, windows)


def dense(seed: int | str = 1, count: int = 1000, edges: int = 16_000) -> PlanData:
    """Who writes to whom: heavy-tailed degrees, 40 groups that overlap, no hierarchy."""
    random = Random(seed)
    made = _Made(random, count)
    groups = 40
    sizes = [random.lognormvariate(0, DENSE_GROUPS) for _ in range(groups)]
    home = random.choices(range(groups), sizes, k=count)
    rank = [random.lognormvariate(0, DENSE_TAIL) for _ in range(count)]
    mine: list[list[int]] = []
    members: list[list[int]] = [[] for _ in range(groups)]
    for v in range(count):
        made.add("user", f"d{home[v]:04}", "s0")
        mine.append([home[v], *random.choices(range(groups), sizes, k=2)])
        for group in set(mine[v]):
            members[group].append(v)
    everybody, weights = list(range(count)), list(accumulate(rank))
    inside = [list(accumulate(rank[v] for v in of)) for of in members]
    seen: set[tuple[int, int]] = set()
    while len(seen) < edges:
        u = random.choices(everybody, cum_weights=weights)[0]
        if random.random() < DENSE_INSIDE:
            group = mine[u][0] if random.random() < DENSE_HOME else random.choice(mine[u])
            v = random.choices(members[group], cum_weights=inside[group])[0]
        else:
            v = random.choices(everybody, cum_weights=weights)[0]
        pair = min(u, v), max(u, v)
        if u != v and pair not in seen:
            seen.add(pair)
            made.share(u, v, REVIEWER)
    return _around(made, 8)


# Part of the people who share with nobody.
LONERS = 0.04

# Part of those who may open a shared mailbox that come from anywhere.
STRANGERS = 0.28

# Departments that work together: a division, which has no name in the directory. Part of the
# strangers that come from anywhere else.
DIVISION = 6
FAR = 0.1

# Part of the dense graph's edges that stay in one of its groups.
DENSE_INSIDE = 0.99
DENSE_HOME = 0.97
DENSE_TAIL = 1.6
DENSE_GROUPS = 0.8


@dataclass
class _Made:
    """Mailboxes and shares as they come about."""

    random: Random
    count: int
    mailboxes: list[PlanMailbox] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    departments: list[list[int]] = field(default_factory=list)
    divisions: list[list[int]] = field(default_factory=list)
    division: list[int] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)

    def add(self, kind: str, department: str, site: str, name: str = "", scale: float = 1) -> int:
        random, number = self.random, len(self.mailboxes)
        name = name or self.word()
        size = min(int(scale * random.lognormvariate(21.4, 1.0)), self.largest) + 2**20
        self.mailboxes.append(
            PlanMailbox(
                identity=f"{name}.{number}@corp.example",
                size_bytes=size,
                item_count=size // 60_000,
                kind=kind,
                department=department,
                site=site,
                source_database=f"SRC{number % 4:02}",
            )
        )
        return number

    @property
    def largest(self) -> int:
        """A small organisation with one huge mailbox has windows for that one only."""
        return min(60, 2 + self.count // 8) * GIB

    def word(self) -> str:
        random = self.random
        pairs = (random.choice("bdfghjklmnprstvwz") + random.choice("aeiou") for _ in range(4))
        return "".join(pairs)

    def share(self, owner: int, delegate: int, right: Right) -> None:
        if owner != delegate:
            one, other = self.mailboxes[owner].identity, self.mailboxes[delegate].identity
            self.shares.append(Share(one, other, *right))

    def people(self) -> None:
        random, left = self.random, int(self.count * 0.8)
        while left > 0:
            size = min(left, max(4, int(random.lognormvariate(2.9, 0.7))))
            number, site = len(self.departments), "s0" if random.random() < 0.6 else "s1"
            staff = [self.add("user", f"d{number:04}", site) for _ in range(size)]
            staff = [one for one in staff if random.random() > LONERS] or staff
            self.departments.append(staff)
            self.sites.append(site)
            self._among(staff)
            left -= size

        order = list(range(len(self.departments)))
        random.shuffle(order)
        self.division = [0] * len(order)
        self.divisions = [order[at : at + DIVISION] for at in range(0, len(order), DIVISION)]
        for number, division in enumerate(self.divisions):
            for department in division:
                self.division[department] = number

    def _stranger(self, home: int) -> int:
        """Somebody from another department, mostly of the same division."""
        random = self.random
        if random.random() < FAR:
            return random.choice(random.choice(self.departments))
        return random.choice(self.departments[random.choice(self.divisions[self.division[home]])])

    def _among(self, staff: list[int]) -> None:
        random = self.random
        for one in staff:
            if random.random() < 0.07:
                assistant = random.choice(staff)
                for right in (DELEGATE, FULL, ON_BEHALF):
                    self.share(one, assistant, right)
            for right, rate in ((REVIEWER, 0.75), (EDITOR, 0.4)):
                while random.random() < rate / (1 + rate):
                    self.share(one, random.choice(staff), right)

    def shared(self) -> None:
        """Department mailboxes that most of a department opens, teams, projects across."""
        random = self.random
        for _ in range(int(self.count * 0.13)):
            home = random.randrange(len(self.departments))
            staff, dice = self.departments[home], random.random()
            kind = "dept" if dice < 0.15 else "team" if dice < 0.8 else "proj"
            name = f"{self.word()}-{kind}"
            box = self.add("shared", f"d{home:04}", self.sites[home], name)
            if kind == "dept":
                people = random.sample(staff, k=max(1, len(staff) * 4 // 5))
            elif kind == "team":
                people = random.sample(staff, k=min(len(staff), random.randint(4, 14)))
            else:
                people = self._across(home)
            for one in people:
                if random.random() < STRANGERS:
                    one = self._stranger(home)
                self.share(box, one, FULL)
                if random.random() < 0.7:
                    self.share(box, one, SEND_AS)

    def _across(self, home: int) -> list[int]:
        """Some of the department and some others."""
        random = self.random
        people = [random.choice(self.departments[home]) for _ in range(random.randint(2, 4))]
        people += [self._stranger(home) for _ in range(random.randint(2, 5))]
        return sorted(set(people))

    def rooms(self) -> None:
        random = self.random
        for _ in range(int(self.count * 0.07) - max(1, self.count // 2000)):
            home = random.randrange(len(self.departments))
            name = f"{self.word()}-room"
            room = self.add("room", f"d{home:04}", self.sites[home], name, 0.02)
            for _ in range(random.choice((0, 0, 0, 1, 2))):
                self.share(room, random.choice(self.departments[home]), EDITOR)

    def services(self) -> None:
        random = self.random
        people = [v for team in self.departments for v in team]
        while len(self.mailboxes) < self.count:
            account = self.add("service", "d0000", "s0", "svc", 0.02)
            for one in random.sample(people, k=min(len(people) // 3, 2000)):
                self.share(one, account, SERVICE)


def _around(made: _Made, windows: int) -> PlanData:
    """Calendar, target and pins that fit an organisation."""
    random, mailboxes = made.random, tuple(made.mailboxes)
    total = sum(mailbox.size_bytes for mailbox in mailboxes)
    calendar, hours = _calendar(total, len(mailboxes), windows)
    databases = max(4, len(mailboxes) // 10_000)
    speed = 1.5 * total * SLACK / hours / 2 / GIB
    per_night = total * SLACK * NIGHT_H / hours
    target = Target(
        tuple(
            TargetDatabase(
                f"TDB{n:02}", int(total * (1.2 if n == 0 else 1.5) / databases),
                int(4 * 2.5 * per_night / databases), f"EX{1 + n % 2}", f"dc{1 + n % 2}",
            )
            for n in range(databases)
        ),
        tuple(TargetServer(f"EX{n}", speed, 20, f"dc{n}") for n in (1, 2)),
        (SourceLimit("SRC00", 1.0),),
        {"s0": "dc1", "s1": "dc2"},
    )  # fmt: skip
    pins = tuple(_pins(random, made, calendar))
    return PlanData(mailboxes, tuple(made.shares), calendar, target, pins)


def _calendar(total: int, count: int, windows: int) -> tuple[Calendar, float]:
    """Three nights and a Saturday a week; the pilot first, the freeze in the middle."""
    nights = ((0, NIGHT_H), (1, NIGHT_H), (2, NIGHT_H), (4, SATURDAY_H))
    before = max(4, windows // 8 * 4)
    plan: list[tuple[float, int]] = []
    for number in range(windows - 1):
        week, place = divmod(number, len(nights))
        offset, hours = nights[place]
        late = 14 if number >= before else 0
        plan.append((9 + 7 * week + offset + late, hours))
    return _calendar_of(plan, before + 1, total, count)


def _calendar_of(
    plan: list[tuple[float, int]], before: int, total: int, count: int
) -> tuple[Calendar, float]:
    hours = sum(of for _, of in plan) + PILOT_H
    given, seats = total * SLACK / hours, 1.35 * count * SLACK / hours
    made: list[Window] = [
        window(
            "w00", 2, PILOT_H, capacity_bytes=int(total * PILOT_BYTES),
            max_mailboxes=max(5, count // 25), pilot=True,
        )
    ]  # fmt: skip
    for number, (day, long) in enumerate(plan, 1):
        room, most = int(given * long), int(seats * long) + 1
        made.append(window(f"w{number:02}", day, long, capacity_bytes=room, max_mailboxes=most))
    begin = made[before - 1].end
    freeze = Freeze(begin + timedelta(hours=8), begin + timedelta(days=14, hours=8), "pause")
    end = made[-1].end + timedelta(days=7)
    return Calendar(START, tuple(made), (freeze,), end), hours


def _pins(random: Random, made: _Made, calendar: Calendar) -> Iterator[Pin]:
    """Volunteers for the pilot, important people, an audit, a prescribed database."""
    pilots = max(4, made.count // 200)
    most = int(sum(m.size_bytes for m in made.mailboxes) * PILOT_BYTES / pilots)
    small = (m for m in made.mailboxes if m.kind == "user" and m.size_bytes < min(most, 8 * GIB))
    people = [m.identity for m in small]
    ids = [of.id for of in calendar.windows]
    some = random.sample(people, k=min(len(people), max(8, made.count // 100)))
    for identity in some[:pilots]:
        yield Pin(identity, "pilot volunteer", window=ids[0])
    for identity in some[pilots:-2]:
        yield Pin(identity, "neither pilot nor last", not_before=ids[2], not_after=ids[-2])
    yield Pin(some[-2], "audit", not_before=ids[len(ids) // 2 + 1])
    yield Pin(some[-1], "prescribed", database="TDB01")
