"""How full a plan makes windows, databases and whatever else has a limit.

Sizes are bytes. A limit that was not given does not bind and has no cell.
"""

from collections import Counter
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from mailmig.model.document import NONE, Block, Cell, Column, Row, Table, Unit
from mailmig.model.migration import Plan, Rule
from mailmig.rules.planning.capacity import NO_LIMIT, WindowCapacity, capacities

# A limit that is used up so far is shown.
TIGHT = 0.9

# These stand beside their windows.
OF_WINDOWS = (Rule.WINDOW_BYTES, Rule.WINDOW_COUNT, Rule.COPY_RATE)


def windows(plan: Plan) -> Table:
    """What moves when."""
    columns = (
        Column("window", "Window"),
        Column("start", "Begins", Unit.TIME),
        Column("end", "Ends", Unit.TIME),
        Column("mailboxes", "Mailboxes", Unit.COUNT),
        Column("bytes", "Size", Unit.BYTES),
        Column("pilot", "Pilot", Unit.WORD),
    )
    zone = ZoneInfo(plan.zone)
    count, moved = _moved(plan)
    rows: list[Row] = [
        (
            c.window.id, c.window.start.astimezone(zone), c.window.end.astimezone(zone),
            count[c.window.id], moved[c.window.id], "pilot" if c.window.pilot else NONE,
        )
        for c in capacities(plan.data)
    ]  # fmt: skip
    return Table("windows", "Windows", columns, rows)


def room(plan: Plan) -> Table:
    """What each window takes, and how much of it is used."""
    columns = (
        Column("window", "Window"),
        Column("mailboxes", "Mailboxes", Unit.COUNT),
        Column("max_mailboxes", "At most", Unit.COUNT),
        Column("part_mailboxes", "Used", Unit.PERCENT),
        Column("bytes", "Size", Unit.BYTES),
        Column("max_bytes", "Room", Unit.BYTES),
        Column("part_bytes", "Used", Unit.PERCENT),
        Column("limited_by", "Room is limited by"),
    )
    count, moved = _moved(plan)
    copied = 0
    rows: list[Row] = []
    for c in capacities(plan.data):
        name, ahead = c.window.id, c.copied < NO_LIMIT
        copied += moved[name]
        size, most = (copied, c.copied) if ahead else (moved[name], c.effective)
        rows.append(
            (
                name, count[name], _limit(c.count), _part(count[name], c.count), size,
                _limit(most), _part(size, most), _binding(c),
            )
        )  # fmt: skip
    text = "No plan may use more than this. The least of all limits is the room of a window."
    if any(c.copied < NO_LIMIT for c in capacities(plan.data)):
        text = "Copied ahead: size and room are what is copied from the start until the window."
    return Table("room", "How full the windows are", columns, rows, text)


def nearly_full(plan: Plan) -> list[str]:
    """The windows into which hardly anything more fits."""
    return [
        str(row[0])
        for row in room(plan).rows
        if any(isinstance(part, float) and part >= 100 * TIGHT for part in (row[3], row[6]))
    ]


def databases(plan: Plan) -> Table:
    columns = (
        Column("database", "Database"),
        Column("bytes", "Moved in", Unit.BYTES),
        Column("room", "Room", Unit.BYTES),
        Column("part", "Filled", Unit.PERCENT),
    )
    rows: list[Row] = [
        (use.subject, use.used, use.limit, _part(use.used, use.limit))
        for use in plan.metrics.limits
        if use.rule is Rule.DATABASE
    ]
    return Table("databases", "Databases", columns, rows)


def tight(plan: Plan) -> Iterator[Block]:
    """The limits of servers, logs, source databases that bind; those of windows stand above."""
    columns = (
        Column("rule", "Limit", Unit.WORD),
        Column("subject", "Of"),
        Column("window", "Window"),
        Column("used", "Used", Unit.BYTES),
        Column("limit", "At most", Unit.BYTES),
        Column("part", "Part", Unit.PERCENT),
    )
    rows: list[Row] = [
        (use.rule.name.lower(), use.subject, use.window or NONE, use.used, use.limit, part)
        for use, part in ((use, _part(use.used, use.limit)) for use in plan.metrics.limits)
        if use.rule not in OF_WINDOWS and isinstance(part, float) and part >= 100 * TIGHT
    ]
    if rows:
        text = "Who asks for more room begins with these."
        yield Table("tight", "Other limits used by 90 % or more", columns, rows, text)


def _moved(plan: Plan) -> tuple[Counter[str], Counter[str]]:
    """Mailboxes and bytes per window."""
    sizes = {mailbox.identity: mailbox.size_bytes for mailbox in plan.data.mailboxes}
    count: Counter[str] = Counter()
    moved: Counter[str] = Counter()
    for a in plan.assignments:
        count[a.window] += 1
        moved[a.window] += sizes.get(a.mailbox, 0)
    return count, moved


def _binding(capacity: WindowCapacity) -> Cell:
    if capacity.copied < NO_LIMIT:
        return "bytes copied ahead"
    return capacity.binding or NONE


def _part(used: int, limit: int) -> Cell:
    return 100 * used / limit if 0 < limit < NO_LIMIT else NONE


def _limit(limit: int) -> Cell:
    return limit if limit < NO_LIMIT else NONE
