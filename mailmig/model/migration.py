"""Waves and windows: what is planned, under which limits, and what a plan costs.

Sizes are bytes, as `int`; times are aware; days are counted from the start of the project.
A limit that is `None` was not given and does not bind: that is neither zero nor unknown.
Exposure is measured in weight-days: the weight of a share times the days during which its
two ends live on different versions. Identities are compared without regard to case.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from mailmig.model.quota import GIB

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Mode(Enum):
    """Where the bytes of a mailbox are copied: in its own window, or ahead of it."""

    CLASSIC = "classic"
    PRESTAGE = "prestage"


class State(Enum):
    """How far a mailbox is. A moved one is no longer planned and counts as moved on day 0."""

    PENDING = "pending"
    MOVED = "moved"


class Progress(Enum):
    """How far a move is, as the states of a re-plan tell it."""

    PENDING = "pending"
    COPYING = "copying"
    SYNCED = "synced"
    MOVED = "moved"
    FAILED = "failed"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True)
class Told:
    """How far one mailbox is; `database` is where it went or is copied to, "" as planned."""

    mailbox: str
    progress: Progress
    database: str = ""


@dataclass(frozen=True, slots=True)
class PlanMailbox:
    """One mailbox as the planner sees it.

    `size_bytes` is all that travels: primary, archive and recoverable items. `source_database`
    is where the primary lives. `guid` is the exchange_guid, "" where the input has none.
    """

    identity: str
    size_bytes: int
    item_count: int = 0
    kind: str = "user"
    department: str = ""
    site: str = ""
    source_database: str = ""
    guid: str = ""
    state: State = State.PENDING


@dataclass(frozen=True, slots=True)
class Share:
    """`delegate` may use the mailbox of `owner`; `weight` says how much it hurts to part them."""

    owner: str
    delegate: str
    right: str
    weight: float
    via_group: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which moves run and finish: [start, end), both in UTC.

    `hours` is what the input says the servers can work in it; where it says nothing, the
    whole window counts (the difference in UTC, so a window over the change from summer time
    has one hour more).
    """

    id: str
    start: datetime
    end: datetime
    hours: float | None = None
    capacity_bytes: int | None = None
    max_mailboxes: int | None = None
    pilot: bool = False
    cancelled: bool = False

    @property
    def length_hours(self) -> float:
        """The hours between start and end on the world's clock, not on the wall's."""
        return (self.end - self.start) / HOUR

    @property
    def working_hours(self) -> float:
        return self.length_hours if self.hours is None else self.hours


@dataclass(frozen=True, slots=True)
class Freeze:
    """A stretch of time in which nothing may move."""

    start: datetime
    end: datetime
    reason: str = ""

    def touches(self, window: Window) -> bool:
        return window.start < self.end and self.start < window.end


@dataclass(frozen=True, slots=True)
class Calendar:
    """When something may move.

    `copy_bytes_per_day` matters in prestage mode only: how much is copied ahead per day.
    """

    project_start: datetime
    windows: tuple[Window, ...]
    freezes: tuple[Freeze, ...] = ()
    deadline: datetime | None = None
    mode: Mode = Mode.CLASSIC
    copy_bytes_per_day: int | None = None

    def day(self, moment: datetime) -> float:
        """Days from the start of the project to `moment`."""
        return (moment - self.project_start) / DAY

    @property
    def last_day(self) -> float:
        """The day of the deadline; without one, the end of the last window."""
        return self.day(self.deadline or max(window.end for window in self.windows))


@dataclass(frozen=True, slots=True)
class TargetDatabase:
    """A database that takes mailboxes.

    `capacity_bytes` is free room for mailboxes, `log_headroom_bytes` the free room for logs
    between two truncations: what may be moved into it in one window.
    """

    id: str
    capacity_bytes: int
    log_headroom_bytes: int | None = None
    server: str = ""
    site: str = ""


@dataclass(frozen=True, slots=True)
class TargetServer:
    """A server of the target. Its "GB" is 1024**3 bytes, as everywhere in Exchange.

    `gb_per_hour` is what all moves together do. `max_concurrent_moves` limits it where it was
    measured what one move does, `gb_per_hour_per_move`; alone it says nothing about bytes.

    The planning example shows it: its servers together do 1.5 times the bytes per hour of
    its windows when GB is 1024**3, and 1.397 times when it is 10**9.
    """

    id: str
    gb_per_hour: float | None = None
    max_concurrent_moves: int | None = None
    site: str = ""
    gb_per_hour_per_move: float | None = None

    @property
    def speed(self) -> float | None:
        """GB per hour: the less of the whole and of all moves at a time; `None`: not given."""
        limits = [] if self.gb_per_hour is None else [self.gb_per_hour]
        if self.max_concurrent_moves is not None and self.gb_per_hour_per_move is not None:
            limits.append(self.max_concurrent_moves * self.gb_per_hour_per_move)
        return min(limits, default=None)

    def bytes_in(self, window: Window) -> int | None:
        """What the server can take in a window; `None` where its speed was not given."""
        speed = self.speed
        return None if speed is None else int(speed * GIB * window.working_hours)


@dataclass(frozen=True, slots=True)
class SourceLimit:
    """One source database may fill at most this part (0 to 1) of a window's usable bytes."""

    id: str
    max_share_of_window: float = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where mailboxes go.

    `site_preference` leads from a mailbox's site to a database's site. A byte moved makes
    `log_factor` bytes of logs.
    """

    databases: tuple[TargetDatabase, ...]
    servers: tuple[TargetServer, ...] = ()
    sources: tuple[SourceLimit, ...] = ()
    site_preference: Mapping[str, str] = field(default_factory=dict)
    log_factor: float = 1.0

    def log_room(self, database: TargetDatabase) -> int | None:
        """The bytes that may be moved into a database in one window before its logs are full."""
        headroom = database.log_headroom_bytes
        if headroom is None or self.log_factor == 1.0:
            return headroom
        return int(headroom / self.log_factor)


@dataclass(frozen=True, slots=True)
class Pin:
    """What was decided for one mailbox, and why. "" means: nothing said about this.

    `not_before` and `not_after` are ids of windows and include them.
    """

    identity: str
    reason: str = ""
    window: str = ""
    not_before: str = ""
    not_after: str = ""
    database: str = ""

    @property
    def text(self) -> str:
        """The pin in words: "window w00 (pilot volunteer)"."""
        parts = (
            ("window", self.window),
            ("not before", self.not_before),
            ("not after", self.not_after),
            ("database", self.database),
        )
        said = ", ".join(f"{word} {value}" for word, value in parts if value)
        return f"{said} ({self.reason})" if self.reason else said


@dataclass(frozen=True, slots=True)
class Note:
    """Something an admin should know about a plan; `items` lists the first of `total` subjects."""

    text: str
    items: tuple[str, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True)
class PlanData:
    """All that a plan is made from.

    `new_delegate` and `new_owner` are the factors of a share whose delegate, or whose owner,
    moves first. At most the part `department_share` (0 to 1) of a department moves in one
    window. `notes` tell how the data came about and are no part of what is planned.
    """

    mailboxes: tuple[PlanMailbox, ...]
    shares: tuple[Share, ...]
    calendar: Calendar
    target: Target
    pins: tuple[Pin, ...] = ()
    new_delegate: float = 1.0
    new_owner: float = 1.0
    department_share: float = 1.0
    notes: tuple[Note, ...] = ()


class Why(Enum):
    """What put a mailbox into its window."""

    PIN = "pin"
    FIRST = "first"  # system mailboxes go before all others
    DEPARTMENT = "department"
    PARTNERS = "partners"  # goes with those it shares with
    ROOM = "room"  # goes where room was left


@dataclass(frozen=True, slots=True)
class Assignment:
    """One mailbox, its window and its target database. `group` is whom it moves with."""

    mailbox: str
    window: str
    database: str
    why: Why = Why.ROOM
    group: str = ""
    guid: str = ""


@dataclass(frozen=True, slots=True)
class MailboxCost:
    """The part of the exposure that one mailbox carries, in weight-days (both ends carry it)."""

    mailbox: str
    exposure: float


@dataclass(frozen=True, slots=True)
class GapCost:
    """The days between the ends of two windows and what is cut meanwhile.

    `after` is "" for the days before the first window. A gap's exposure is `days` times
    `cut_weight`; `freezes` are the reasons of the freezes that lie in it.
    """

    after: str
    before: str
    days: float
    cut_weight: float
    exposure: float
    freezes: tuple[str, ...] = ()
    mailboxes: tuple[MailboxCost, ...] = ()


@dataclass(frozen=True, slots=True)
class CutShare:
    """All rights of one delegate on one mailbox, cut for `days`."""

    owner: str
    delegate: str
    rights: tuple[str, ...]
    weight: float
    days: float
    exposure: float


class Rule(Enum):
    """What no plan may break, and (the last one) what a plan may not claim."""

    WINDOW_BYTES = "bytes of the window"
    WINDOW_COUNT = "mailboxes of the window"
    COPY_RATE = "bytes copied until the window"
    SERVER = "server throughput"
    SOURCE_SHARE = "share of the source database"
    DEPARTMENT_SHARE = "part of the department"
    DATABASE = "database room"
    LOG = "log headroom"
    PIN = "pin"
    FREEZE = "freeze"
    CANCELLED = "cancelled window"
    DEADLINE = "deadline"
    ASSIGNED = "one window and one database per mailbox"
    FIGURES = "figures that agree with the assignments"


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How much of a limit a plan uses; `window` is "" where the limit holds for all windows."""

    rule: Rule
    subject: str
    window: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class PinPrice:
    """The weight-days that a mailbox would save in its best window if it were not pinned."""

    pin: Pin
    exposure: float


@dataclass(frozen=True, slots=True)
class FreezePrice:
    """The weight-days that this plan would cost less if the `days` of a freeze were left out."""

    reason: str
    days: float
    exposure: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The exposure, in weight-days, of what admins do today, on the same data.

    Each fills window after window from a list under the same limits: by name, by department
    and name, component by component (the largest first). `None`: somebody was left over.
    """

    alphabetical: float | None
    department: float | None
    components: float | None


@dataclass(frozen=True, slots=True)
class PlanMetrics:
    """What a plan costs, as planning defines it: exposure, people, makespan, balance, limits.

    `person_days` adds up, over all delegates, the days with at least one cut. `balance` is
    the fullest database's fill over the mean fill; 1.0 when nothing is placed. `pilot_price`
    is what is cut from the pilot until the next window: what it would save to move the
    pilot's people then. `comparison` is `None` where there was nothing to compute it with.
    """

    exposure: float
    per_gap: tuple[GapCost, ...]
    per_right: Mapping[str, float]
    delegates: int
    delegates_cut: int
    person_days: float
    worst_shares: tuple[CutShare, ...]
    makespan_window: str
    makespan: datetime | None
    balance: float
    limits: tuple[LimitUse, ...]
    pin_prices: tuple[PinPrice, ...]
    freeze_prices: tuple[FreezePrice, ...] = ()
    pilot_price: float = 0.0
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True)
class PlanBounds:
    """What no plan can beat. The window is "" when there is nothing to move.

    No plan has less than `exposure` weight-days; `proven` tells that each gap's cheapest cut
    was found, `searched` that more was looked at than what pins force on everybody. No plan
    with the same pilot, and the same first windows of system mailboxes, has less than
    `same_pilot`: that one is the result of a proof.
    """

    makespan_window: str
    makespan: datetime | None
    exposure: float = 0.0
    proven: bool = False
    searched: bool = False
    same_pilot: float = 0.0


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved a plan, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Violation:
    """One hard rule that a plan breaks, in one sentence."""

    rule: Rule
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with all that it was made from: it is shown and checked, never made again.

    `created` and all other times are in UTC; `zone` is the zone in which they are shown.
    `snapshot` is the id of the inventory, "" when the data came from a folder. `seed` is the
    first seed of the search. `previous` is the digest (SHA-256) of the plan that this one
    takes the place of, "" for a first plan.
    """

    data: PlanData
    created: datetime
    zone: str
    assignments: tuple[Assignment, ...]
    metrics: PlanMetrics
    bounds: PlanBounds
    notes: tuple[Note, ...] = ()
    snapshot: str = ""
    seed: int = 0
    previous: str = ""
