"""Which windows can be used, and how much fits into each.

The effective capacity of a window is the smallest of its limits: the bytes given for it,
what the target servers can take in its hours, and the log headroom of all databases. It is
computed before anything is placed: a plan that honours only the given bytes leaves mailboxes
without a database when a window is short. Throughput and log headroom meet per server: a
fast server with little room for logs helps no more than its logs allow.

In prestage mode bytes are copied ahead, so nothing of this binds in a window; what binds is
the sum of all bytes copied until its end.
"""

from dataclasses import dataclass
from typing import Final

from mailmig.model.migration import Calendar, Mode, PlanData, Target, Window
from mailmig.model.quota import GIB
from mailmig.rules.planning.refusals import NoUsableWindow

NO_LIMIT: Final = 1 << 100
"""More than anything: what stands for a limit that was not given."""


@dataclass(frozen=True, slots=True)
class WindowCapacity:
    """What one usable window takes; `day` is when its moves are completed.

    `given`, `servers` and `logs` are the three limits in bytes, `effective` what is left of
    them together. `copied` is what can be copied from the start of the project until `day`
    (prestage only).
    """

    window: Window
    day: float
    given: int
    servers: int
    logs: int
    effective: int
    count: int
    copied: int

    @property
    def binding(self) -> str:
        """The limit that makes `effective` what it is, in words."""
        if self.effective >= NO_LIMIT:
            return ""
        if self.effective >= self.given:
            return "bytes given"
        if self.effective >= self.servers:
            return "server throughput"
        return "log headroom" if self.effective >= self.logs else "servers and their logs"


def split(calendar: Calendar) -> tuple[tuple[Window, ...], tuple[tuple[str, str], ...]]:
    """The usable windows, sorted by their end, and the others as (id, reason)."""
    usable, dropped = [], []
    for window in calendar.windows:
        reason = _unusable(window, calendar)
        if reason:
            dropped.append((window.id, reason))
        else:
            usable.append(window)
    return tuple(sorted(usable, key=lambda w: (w.end, w.start))), tuple(dropped)


def capacities(data: PlanData) -> tuple[WindowCapacity, ...]:
    """The usable windows in the order of their ends.

    Raises `NoUsableWindow` when none is left.
    """
    windows, dropped = split(data.calendar)
    if not windows:
        raise NoUsableWindow(dropped)
    return tuple(_capacity(window, data) for window in windows)


def or_no_limit(limit: int | None) -> int:
    return NO_LIMIT if limit is None else limit


def server_room(target: Target, server: str, window: Window) -> int:
    """Bytes that a server of the target takes in a window."""
    for known in target.servers:
        if known.id == server:
            return or_no_limit(known.bytes_in(window))
    return NO_LIMIT


def copy_rate(data: PlanData) -> int:
    """Bytes per day that are copied ahead: as given, else what all servers do around the clock."""
    if data.calendar.copy_bytes_per_day is not None:
        return data.calendar.copy_bytes_per_day
    used = {database.server for database in data.target.databases}
    speeds = {server.id: server.speed for server in data.target.servers}
    known = [speeds.get(server) for server in used]
    if None in known:
        return NO_LIMIT
    return int(sum(speed for speed in known if speed is not None) * GIB * 24)


def _unusable(window: Window, calendar: Calendar) -> str:
    if window.cancelled:
        return "is cancelled"
    for freeze in calendar.freezes:
        if freeze.touches(window):
            named = f' "{freeze.reason}"' if freeze.reason else ""
            return f"lies in the freeze{named}"
    if calendar.deadline is not None and window.end > calendar.deadline:
        return "ends after the deadline"
    return ""


def _capacity(window: Window, data: PlanData) -> WindowCapacity:
    target = data.target
    day = data.calendar.day(window.end)
    count = or_no_limit(window.max_mailboxes)
    if data.calendar.mode is Mode.PRESTAGE:
        rate = copy_rate(data)
        copied = NO_LIMIT if rate >= NO_LIMIT else int(rate * day)
        return WindowCapacity(window, day, NO_LIMIT, NO_LIMIT, NO_LIMIT, NO_LIMIT, count, copied)
    given = or_no_limit(window.capacity_bytes)
    speeds, logs, both = 0, 0, 0
    for server in {database.server for database in target.databases}:
        speed = server_room(target, server, window)
        log = sum(or_no_limit(target.log_room(d)) for d in target.databases if d.server == server)
        speeds, logs, both = speeds + speed, logs + log, both + min(speed, log)
    servers, logs = min(speeds, NO_LIMIT), min(logs, NO_LIMIT)
    effective = min(given, both, NO_LIMIT)
    return WindowCapacity(window, day, given, servers, logs, effective, count, NO_LIMIT)
