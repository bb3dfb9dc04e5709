"""mailboxes.csv, shares.csv, the assignment and the states of moves: CSV with a header.

Comma, semicolon or tab; the header decides. Identities are machine input and stay exactly
as they are: nothing is put before one that a spreadsheet would take for a formula, so open
an assignment as text, not by a double click. Sizes are whole bytes.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import isfinite
from sys import intern

from mailmig.model.errors import BadFile, nearest
from mailmig.model.migration import Assignment, PlanMailbox, Progress, Share, State, Told

MAILBOX_COLUMNS = (
    "identity", "size_bytes", "item_count", "kind", "department", "site", "source_database",
)  # fmt: skip
OPTIONAL_MAILBOX_COLUMNS = ("guid", "state")
SHARE_COLUMNS = ("owner", "delegate", "right", "weight")
OPTIONAL_SHARE_COLUMNS = ("via_group",)
ASSIGNMENT_COLUMNS = ("mailbox", "window", "database")
STATE_COLUMNS = ("mailbox", "state")
OPTIONAL_STATE_COLUMNS = ("database",)

# No mailbox holds a pebibyte: such a number is no number of bytes.
LARGEST_MAILBOX = 2**50

# Sums of such weights over all shares and days stay finite; usual ones are below ten.
LARGEST_WEIGHT = 1e9

_CONTROL = re.compile("[\x00-\x1f]")

STATES = {state.value: state for state in State}

Row = Sequence[str]
"""The cells of a line in the order of the columns that are known; "" where one is left out."""

Place = Callable[[], str]
Weigh = Callable[[str], float | None]


def parse_mailboxes(text: str, file: object = "mailboxes.csv") -> tuple[PlanMailbox, ...]:
    """The mailboxes, in the order of the file. Raises `BadFile`."""
    rows: list[PlanMailbox] = []
    seen: dict[str, str] = {}
    for place, row in _rows(text, file, MAILBOX_COLUMNS, OPTIONAL_MAILBOX_COLUMNS):
        mailbox = _mailbox(row, file, place)
        other = seen.setdefault(mailbox.identity.casefold(), mailbox.identity)
        if len(seen) <= len(rows):
            reason = f"the identity {mailbox.identity} is there already, as {other}"
            raise BadFile(file, f"{reason} (upper and lower case make no difference)", place())
        rows.append(mailbox)
    return tuple(rows)


def parse_shares(text: str, weigh: Weigh, file: object = "shares.csv") -> tuple[Share, ...]:
    """The shares, in the order of the file; `weigh` gives the weight where none is written.

    Raises `BadFile`.
    """
    return tuple(
        _share(row, weigh, file, place)
        for place, row in _rows(text, file, SHARE_COLUMNS, OPTIONAL_SHARE_COLUMNS)
    )


def parse_assignment(text: str, file: object = "assignment.csv") -> tuple[Assignment, ...]:
    """Mailbox, window and database of each line. Raises `BadFile`."""
    rows = _rows(text, file, ASSIGNMENT_COLUMNS, ())
    return tuple(Assignment(mailbox, window, database) for _, (mailbox, window, database) in rows)


def parse_states(text: str, file: object = "states.csv") -> tuple[Told, ...]:
    """How far each mailbox is, in the order of the file. Raises `BadFile`."""
    words = {progress.value: progress for progress in Progress}
    told: dict[str, Told] = {}
    for place, (mailbox, state, database) in _rows(
        text, file, STATE_COLUMNS, OPTIONAL_STATE_COLUMNS
    ):
        if not mailbox:
            raise BadFile(file, "the mailbox is empty", place())
        if state not in words:
            reason = f"state must be one of {', '.join(words)}, not {state!r}"
            raise BadFile(file, reason, place())
        if mailbox.casefold() in told:
            reason = f"{mailbox} is there already (upper and lower case make no difference)"
            raise BadFile(file, reason, place())
        told[mailbox.casefold()] = Told(mailbox, words[state], database)
    return tuple(told.values())


def write_mailboxes(mailboxes: Sequence[PlanMailbox]) -> str:
    """Columns that say nothing (no GUID, nothing moved) are left out."""
    guids = any(mailbox.guid for mailbox in mailboxes)
    states = any(mailbox.state is not State.PENDING for mailbox in mailboxes)
    columns = [*MAILBOX_COLUMNS, *(["guid"] if guids else []), *(["state"] if states else [])]
    return _written(columns, (_mailbox_cells(mailbox, columns) for mailbox in mailboxes))


def write_shares(shares: Sequence[Share]) -> str:
    groups = any(share.via_group for share in shares)
    columns = [*SHARE_COLUMNS, *(OPTIONAL_SHARE_COLUMNS if groups else ())]
    cells = (
        (s.owner, s.delegate, s.right, repr(s.weight), s.via_group)[: len(columns)] for s in shares
    )
    return _written(columns, cells)


def write_assignment(assignments: Iterable[Assignment]) -> str:
    """`mailbox,window,database`; identities exactly as they are."""
    return _written(ASSIGNMENT_COLUMNS, ((a.mailbox, a.window, a.database) for a in assignments))


def _mailbox(row: Row, file: object, place: Place) -> PlanMailbox:
    identity, size, items, kind, department, site, source, guid, state = row
    if not identity:
        raise BadFile(file, "the identity is empty", place())
    if identity != identity.strip() or _CONTROL.search(identity):
        reason = f"the identity {identity!r} begins or ends with a blank, or has a line break"
        raise BadFile(file, reason, place())
    if state and state not in STATES:
        reason = f"state must be one of {', '.join(STATES)}, not {state!r}"
        raise BadFile(file, reason, place())
    size_bytes = _whole(size, "size_bytes", file, place)
    if size_bytes > LARGEST_MAILBOX:
        raise BadFile(file, f"{identity} has {size} bytes: no mailbox is so large", place())
    return PlanMailbox(
        identity=identity,
        size_bytes=size_bytes,
        item_count=_whole(items, "item_count", file, place),
        kind=kind,
        department=department,
        site=site,
        source_database=source,
        guid=guid,
        state=STATES.get(state, State.PENDING),
    )


def _mailbox_cells(mailbox: PlanMailbox, columns: Sequence[str]) -> Iterator[str]:
    for column in columns:
        value = getattr(mailbox, column)
        yield value.value if isinstance(value, State) else str(value)


def _share(row: Row, weigh: Weigh, file: object, place: Place) -> Share:
    owner, delegate, right, written, group = row
    if not right:
        raise BadFile(file, "the right is empty", place())
    weight = _weight(written, file, place) if written else weigh(right)
    if weight is None:
        raise BadFile(file, f"no weight is given, and {right} has no usual one", place())
    # The same few names come again and again: one copy of each is enough.
    return Share(intern(owner), intern(delegate), intern(right), weight, intern(group))


def _weight(text: str, file: object, place: Place) -> float:
    try:
        weight = float(text)
    except ValueError as error:
        raise BadFile(file, f"the weight must be a number, not {text!r}", place()) from error
    if not isfinite(weight) or weight < 0:
        raise BadFile(file, f"the weight must be zero or more, not {text}", place())
    if weight > LARGEST_WEIGHT:
        raise BadFile(file, f"the weight must be at most {LARGEST_WEIGHT:g}, not {text}", place())
    return weight


def _whole(text: str, column: str, file: object, place: Place) -> int:
    if text.isascii() and text.isdigit() and len(text) < 30:
        return int(text)
    if text[:1] == "-" and text[1:].isdigit():
        raise BadFile(file, f"{column} must not be below zero, but is {text}", place())
    raise BadFile(file, f"{column} must be a whole number, not {text[:40]!r}", place())


def _rows(
    text: str, file: object, columns: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[Place, Row]]:
    """Each line with its place; empty lines are passed over."""
    text = text.removeprefix("\ufeff")
    line = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)

    def place() -> str:
        return f"line {reader.line_num}"

    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, file, columns, optional)
        width = len(header)
        order = [header.index(name) if name in header else -1 for name in (*columns, *optional)]
        for cells in reader:
            if len(cells) == width:
                cells.append("")  # what a column has that is left out: position -1
                yield place, [cells[position] for position in order]
            elif cells:
                raise BadFile(file, f"{len(cells)} fields, but the header has {width}", place())
    except csv.Error as error:
        raise BadFile(file, f"is no CSV: {error}", place()) from error


def _check_header(
    header: list[str], file: object, columns: Sequence[str], optional: Sequence[str]
) -> None:
    known = (*columns, *optional)
    for name in header:
        if name not in known:
            missing = [other for other in columns if other not in header]
            hint = nearest(name, missing) or f"; still missing: {', '.join(missing)}"
            reason = f'the column "{name}" is not known{hint if missing else ""}'
            raise BadFile(file, reason, "line 1")
        if header.count(name) > 1:
            raise BadFile(file, f'the column "{name}" is there twice', "line 1")
    for name in columns:
        if name not in header:
            raise BadFile(file, f'the column "{name}" is missing', "line 1")


def _written(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return stream.getvalue()
