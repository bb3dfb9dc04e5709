"""A plan as a file: JSON with a line for each mailbox, each share and each assignment.

    {"schema": 2, "input_hash", "created", "seed", "zone", "snapshot", "previous", "mode",
     "metrics": {...}, "bounds": {...}, "notes": [...],
     "assignments": {"columns": ["mailbox", "window", "database", "why", "group", "guid"],
                     "rows": [[...]]},
     "input": {"calendar", "target", "pins", "new_delegate", "new_owner", "department_share",
               "mailboxes": {"columns", "rows"}, "shares": {"columns", "rows"}}}

The file holds all that a plan was made from: it can be shown, explained and checked without
anything else. `input_hash` (SHA-256) names the input; an input that was edited no longer
fits and is refused, edited assignments are read and can be checked. Times are in UTC.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from mailmig.model.errors import BadFile
from mailmig.model.migration import (
    Assignment,
    Calendar,
    Note,
    Pin,
    Plan,
    PlanBounds,
    PlanData,
    PlanMailbox,
    PlanMetrics,
    Share,
    State,
    Target,
    Why,
)
from mailmig.wire.planning.records import Decoder, encode, parse

SCHEMA = 2

KEYS = (
    "schema", "input_hash", "created", "seed", "zone", "snapshot", "previous", "mode", "metrics",
    "bounds", "notes", "assignments", "input",
)  # fmt: skip
INPUT_KEYS = (
    "calendar", "target", "pins", "new_delegate", "new_owner", "department_share", "mailboxes",
    "shares",
)  # fmt: skip

_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


def write_plan(plan: Plan) -> str:
    """The plan as text; the same plan is the same text."""
    data = input_text(plan.data)
    parts = {
        "schema": _dump(SCHEMA),
        "input_hash": _dump(_hash(data)),
        "created": _dump(encode(plan.created)),
        "seed": _dump(plan.seed),
        "zone": _dump(plan.zone),
        "snapshot": _dump(plan.snapshot),
        "previous": _dump(plan.previous),
        "mode": _dump(encode(plan.data.calendar.mode)),
        "metrics": _dump(encode(plan.metrics)),
        "bounds": _dump(encode(plan.bounds)),
        "notes": _dump(encode(plan.notes)),
        "assignments": _table(Assignment, map(_assignment_cells, plan.assignments)),
        "input": data,
    }
    return _escaped(_object(parts)) + "\n"


def read_plan(text: str, file: object = "plan") -> Plan:
    """A plan from its text. Raises `BadFile`."""
    decoder = Decoder(file)
    whole = decoder.mapping(parse(text, file), "")
    if "schema" in whole and whole["schema"] != SCHEMA:
        reason = (
            f"this plan has schema {whole['schema']}, and this mailmig reads {SCHEMA}:"
            " make the plan again (mailmig plan make)"
        )
        raise BadFile(file, reason, "schema")
    given = _keys(decoder, whole, "", KEYS)
    data = _data(decoder, given["input"])
    if _hash(input_text(data)) != given["input_hash"]:
        reason = "the input was changed after the plan was made: make a new plan"
        raise BadFile(file, reason, "input")
    return Plan(
        data=data,
        created=decoder.time(given["created"], "created"),
        zone=_zone(decoder, given["zone"]),
        assignments=tuple(_assignments(decoder, given["assignments"])),
        metrics=decoder.record(PlanMetrics, given["metrics"], "metrics"),
        bounds=decoder.record(PlanBounds, given["bounds"], "bounds"),
        notes=decoder.value(tuple[Note, ...], given["notes"], "notes"),
        snapshot=decoder.value(str, given["snapshot"], "snapshot"),
        seed=decoder.value(int, given["seed"], "seed"),
        previous=decoder.value(str, given["previous"], "previous"),
    )


def input_text(data: PlanData) -> str:
    """What a plan is made from, as JSON; the hash of a plan is taken over it."""
    return _object(
        {
            "calendar": _dump(encode(data.calendar)),
            "target": _dump(encode(data.target)),
            "pins": _dump(encode(data.pins)),
            "new_delegate": _dump(float(data.new_delegate)),
            "new_owner": _dump(float(data.new_owner)),
            "department_share": _dump(float(data.department_share)),
            "mailboxes": _table(PlanMailbox, map(_mailbox_cells, data.mailboxes)),
            "shares": _table(Share, map(_share_cells, data.shares)),
        }
    )


def _hash(text: str) -> str:
    return sha256(_escaped(text).encode("utf-8")).hexdigest()


def _escaped(text: str) -> str:
    """Halves of surrogate pairs, which no UTF-8 can hold, as JSON escapes."""
    return _HALF_PAIRS.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


_HALF_PAIRS = re.compile("[\ud800-\udfff]")


def _object(parts: dict[str, str]) -> str:
    inside = ",\n".join(f'"{key}": {value}' for key, value in parts.items())
    return f"{{{inside}}}"


def _columns(cls: type[Any]) -> list[str]:
    return [field.name for field in fields(cls)]


def _table(cls: type[Any], rows: Iterable[Sequence[Any]]) -> str:
    lines = ",\n".join(map(_dump, rows))
    return f'{{"columns": {_dump(_columns(cls))}, "rows": [\n{lines}]}}'


def _mailbox_cells(m: PlanMailbox) -> Sequence[Any]:
    return (
        m.identity, m.size_bytes, m.item_count, m.kind, m.department, m.site, m.source_database,
        m.guid, m.state.value,
    )  # fmt: skip


def _share_cells(s: Share) -> Sequence[Any]:
    return s.owner, s.delegate, s.right, float(s.weight), s.via_group


def _assignment_cells(a: Assignment) -> Sequence[Any]:
    return a.mailbox, a.window, a.database, a.why.value, a.group, a.guid


def _zone(decoder: Decoder, value: object) -> str:
    zone: str = decoder.value(str, value, "zone")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise decoder.bad("zone", f'there is no time zone "{zone}"') from error
    return zone


def _data(decoder: Decoder, value: object) -> PlanData:
    given = _keys(decoder, value, "input", INPUT_KEYS)
    return PlanData(
        mailboxes=tuple(_mailboxes(decoder, given["mailboxes"])),
        shares=tuple(_shares(decoder, given["shares"])),
        calendar=decoder.record(Calendar, given["calendar"], "input.calendar"),
        target=decoder.record(Target, given["target"], "input.target"),
        pins=decoder.value(tuple[Pin, ...], given["pins"], "input.pins"),
        new_delegate=decoder.value(float, given["new_delegate"], "input.new_delegate"),
        new_owner=decoder.value(float, given["new_owner"], "input.new_owner"),
        department_share=decoder.value(float, given["department_share"], "input.department_share"),
    )


def _mailboxes(decoder: Decoder, value: object) -> Iterator[PlanMailbox]:
    states = {state.value: state for state in State}
    kinds = (str, int, int, str, str, str, str, str, str)
    for where, cells in _rows(decoder, value, "input.mailboxes", PlanMailbox, kinds):
        if cells[-1] not in states or cells[1] < 0:
            raise decoder.bad(where, "is no mailbox")
        cells[-1] = states[cells[-1]]
        yield PlanMailbox(*cells)


def _shares(decoder: Decoder, value: object) -> Iterator[Share]:
    kinds = (str, str, str, float, str)
    for _, cells in _rows(decoder, value, "input.shares", Share, kinds):
        yield Share(*cells)


def _assignments(decoder: Decoder, value: object) -> Iterator[Assignment]:
    reasons = {why.value: why for why in Why}
    kinds = (str, str, str, str, str, str)
    for where, cells in _rows(decoder, value, "assignments", Assignment, kinds):
        mailbox, window, database, why, group, guid = cells
        if why not in reasons:
            raise decoder.bad(where, f"there is no reason {why!r}")
        yield Assignment(mailbox, window, database, reasons[why], group, guid)


def _rows(
    decoder: Decoder, value: object, where: str, cls: type[Any], kinds: Sequence[type]
) -> Iterator[tuple[str, list[Any]]]:
    """The rows of a table, each cell of the type that its column has."""
    given = _keys(decoder, value, where, ("columns", "rows"))
    if given["columns"] != _columns(cls):
        raise decoder.bad(f"{where}.columns", f"must be {', '.join(_columns(cls))}")
    expected = list(kinds)
    for number, cells in enumerate(decoder.array(given["rows"], f"{where}.rows")):
        if not isinstance(cells, list) or list(map(type, cells)) != expected:
            raise decoder.bad(f"{where}.rows[{number}]", "has fields that do not fit their columns")
        yield f"{where}.rows[{number}]", cells


def _keys(decoder: Decoder, value: object, where: str, keys: Sequence[str]) -> dict[str, Any]:
    given = decoder.mapping(value, where)
    for key in keys:
        if key not in given:
            raise decoder.bad(where, f'the key "{key}" is missing')
    for key in given:
        if key not in keys:
            raise decoder.bad(where, f'there is no key "{key}" here')
    return given
