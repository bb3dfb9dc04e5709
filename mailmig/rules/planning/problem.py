"""The data of a plan as numbers: rows instead of identities, windows by position in time.

A row is the position of a mailbox in `PlanData.mailboxes`. Pins become a first and a last
window per row and, where one is prescribed, a database.
"""

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mailmig.model.migration import Mode, Pin, PlanData, State
from mailmig.rules.planning.capacity import (
    NO_LIMIT,
    WindowCapacity,
    capacities,
    or_no_limit,
    server_room,
    split,
)
from mailmig.rules.planning.refusals import (
    BadPin,
    NoTargetDatabase,
    PinsContradict,
    SameIdentity,
)

# System mailboxes that migrations, audits and searches depend on: they go before all others.
FIRST_KINDS = frozenset({"arbitration", "migration"})

# From this part of a window on, a source database has no limit of its own.
WHOLE_WINDOW = 1.0


@dataclass(frozen=True, slots=True)
class Problem:
    """What the planner works on.

    `todo` are the rows to be planned. Per row: `size` in bytes, `first` and `last` window,
    `database` (position, -1 when free), `source` (position in `source_room`, -1 when its
    source database has no limit). Per share: `owner` and `delegate` (rows) and `weight`.
    `department` is a position in `department_room` (mailboxes that any one window takes of
    it), -1 when it has no limit. `server_room` is per server and window, `server` the server of each database; `log_room`
    is the headroom of each database, the same in every window.
    """

    data: PlanData
    windows: tuple[WindowCapacity, ...]
    dropped: tuple[tuple[str, str], ...]
    todo: tuple[int, ...]
    size: list[int]
    first: list[int]
    last: list[int]
    database: list[int]
    source: list[int]
    source_room: list[list[int]]
    department: list[int]
    department_room: list[int]
    server: list[int]
    server_room: list[list[int]]
    log_room: list[int]
    pins: dict[int, tuple[Pin, ...]]
    rows: dict[str, int]
    owner: Sequence[int]
    delegate: Sequence[int]
    weight: Sequence[float]

    @property
    def prestage(self) -> bool:
        return self.data.calendar.mode is Mode.PRESTAGE

    def name(self, row: int) -> str:
        return self.data.mailboxes[row].identity

    def free(self, row: int) -> bool:
        """No pin says anything about the window of this mailbox."""
        return self.first[row] == 0 and self.last[row] == len(self.windows) - 1

    def pinned(self, row: int) -> bool:
        """Pins leave one window only."""
        return row in self.pins and self.first[row] == self.last[row]


def rows_of(data: PlanData) -> dict[str, int]:
    """The row of each identity, without regard to case.

    Raises `SameIdentity` when two mailboxes differ in nothing but case.
    """
    rows: dict[str, int] = {}
    for row, mailbox in enumerate(data.mailboxes):
        other = rows.setdefault(mailbox.identity.casefold(), row)
        if other != row:
            raise SameIdentity(data.mailboxes[other].identity, mailbox.identity)
    return rows


def share_rows(
    data: PlanData, rows: dict[str, int]
) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Position, owner's row and delegate's row of each share between two known mailboxes."""
    places, owner, delegate = array("q"), array("q"), array("q")
    for place, share in enumerate(data.shares):
        one, other = rows.get(share.owner.casefold()), rows.get(share.delegate.casefold())
        if one is not None and other is not None and one != other:
            places.append(place)
            owner.append(one)
            delegate.append(other)
    return places, owner, delegate


def compile_problem(data: PlanData) -> Problem:
    """Turn the data into numbers.

    Raises an `Infeasible` for pins that cannot be kept, identities that are not unique, and
    a calendar or target with nothing usable in it.
    """
    if not data.target.databases:
        raise NoTargetDatabase
    windows = capacities(data)
    rows = rows_of(data)
    size = [mailbox.size_bytes for mailbox in data.mailboxes]
    first, last, database, pins = _pins(data, windows, rows)
    source, source_room = _sources(data, windows)
    department, department_room = _departments(data)
    server, server_rooms, log_room = _servers(data, windows)
    places, owner, delegate = share_rows(data, rows)
    weight = array("d", (data.shares[place].weight for place in places))
    return Problem(
        data=data,
        windows=windows,
        dropped=split(data.calendar)[1],
        todo=tuple(r for r, m in enumerate(data.mailboxes) if m.state is State.PENDING),
        size=size,
        first=first,
        last=last,
        database=database,
        source=source,
        source_room=source_room,
        department=department,
        department_room=department_room,
        server=server,
        server_room=server_rooms,
        log_room=log_room,
        pins=pins,
        rows=rows,
        owner=owner,
        delegate=delegate,
        weight=weight,
    )


Pinned = tuple[list[int], list[int], list[int], dict[int, tuple[Pin, ...]]]


def _pins(data: PlanData, windows: tuple[WindowCapacity, ...], rows: dict[str, int]) -> Pinned:
    count = len(data.mailboxes)
    first, last, database = [0] * count, [len(windows) - 1] * count, [-1] * count
    by_row: dict[int, list[Pin]] = defaultdict(list)
    reader = _PinReader(data, windows)
    for pin in data.pins:
        row = rows.get(pin.identity.casefold())
        if row is None:
            raise BadPin(pin, "there is no such mailbox in the data")
        if data.mailboxes[row].state is State.MOVED:
            continue
        earliest, latest, prescribed = reader.read(pin)
        contradicts = database[row] not in (-1, prescribed) if prescribed >= 0 else False
        by_row[row].append(pin)
        first[row], last[row] = max(first[row], earliest), min(last[row], latest)
        if contradicts or first[row] > last[row]:
            if len(by_row[row]) == 1:
                raise BadPin(pin, "no usable window lies between the two")
            raise PinsContradict(by_row[row])
        if prescribed >= 0:
            database[row] = prescribed
    return first, last, database, {row: tuple(of) for row, of in by_row.items()}


class _PinReader:
    """Turns the ids in a pin into positions; a `BadPin` says which of them is wrong."""

    def __init__(self, data: PlanData, windows: tuple[WindowCapacity, ...]) -> None:
        self.days = [capacity.day for capacity in windows]
        self.position = {w.window.id: place for place, w in enumerate(windows)}
        self.day = {w.id: data.calendar.day(w.end) for w in data.calendar.windows}
        self.dropped = dict(split(data.calendar)[1])
        self.databases = {d.id.casefold(): i for i, d in enumerate(data.target.databases)}

    def read(self, pin: Pin) -> tuple[int, int, int]:
        """First window, last window and database (-1 when the pin says nothing about it)."""
        for window in (pin.window, pin.not_before, pin.not_after):
            if window and window not in self.day:
                raise BadPin(pin, f"there is no window {window}")
        first, last = 0, len(self.days) - 1
        if pin.window:
            if pin.window in self.dropped:
                raise BadPin(pin, f"window {pin.window} {self.dropped[pin.window]}")
            first = last = self.position[pin.window]
        if pin.not_before:
            first = max(first, self._not_before(pin.not_before))
        if pin.not_after:
            last = min(last, self._not_after(pin.not_after))
        if first == len(self.days):
            raise BadPin(pin, f"no usable window comes after {pin.not_before}")
        if last < 0:
            raise BadPin(pin, f"no usable window comes before {pin.not_after}")
        database = self.databases.get(pin.database.casefold(), -1) if pin.database else -1
        if pin.database and database < 0:
            raise BadPin(pin, f"there is no target database {pin.database}")
        return first, last, database

    def _not_before(self, window: str) -> int:
        """A window that is not used itself still says when: the next one in time counts."""
        if window in self.position:
            return self.position[window]
        return sum(day < self.day[window] for day in self.days)

    def _not_after(self, window: str) -> int:
        if window in self.position:
            return self.position[window]
        return sum(day <= self.day[window] for day in self.days) - 1


def _sources(
    data: PlanData, windows: tuple[WindowCapacity, ...]
) -> tuple[list[int], list[list[int]]]:
    """Only in classic mode, and only sources that may not fill a whole window, are limited."""
    position: dict[str, int] = {}
    room: list[list[int]] = []
    if data.calendar.mode is Mode.CLASSIC:
        for source in data.target.sources:
            if source.max_share_of_window < WHOLE_WINDOW:
                position[source.id.casefold()] = len(room)
                room.append([_share_of(source.max_share_of_window, w.effective) for w in windows])
    return [position.get(m.source_database.casefold(), -1) for m in data.mailboxes], room


def _departments(data: PlanData) -> tuple[list[int], list[int]]:
    """One mailbox of a department may always move, however small the part that may."""
    if data.department_share >= WHOLE_WINDOW:
        return [-1] * len(data.mailboxes), []
    names = [mailbox.department.strip().casefold() for mailbox in data.mailboxes]
    pending = Counter(
        name
        for name, mailbox in zip(names, data.mailboxes, strict=True)
        if name and mailbox.state is State.PENDING
    )
    position = {name: place for place, name in enumerate(pending)}
    room = [max(1, int(data.department_share * count)) for count in pending.values()]
    return [position.get(name, -1) for name in names], room


def _share_of(share: float, effective: int) -> int:
    return NO_LIMIT if effective >= NO_LIMIT else int(share * effective)


def _servers(
    data: PlanData, windows: tuple[WindowCapacity, ...]
) -> tuple[list[int], list[list[int]], list[int]]:
    databases = data.target.databases
    position: dict[str, int] = {}
    server = [position.setdefault(database.server, len(position)) for database in databases]
    if data.calendar.mode is Mode.PRESTAGE:
        unbound = [NO_LIMIT] * len(windows)
        return server, [list(unbound) for _ in position], [NO_LIMIT] * len(databases)
    room = [[server_room(data.target, name, w.window) for w in windows] for name in position]
    logs = [or_no_limit(data.target.log_room(database)) for database in databases]
    return server, room, logs
