"""windows.json, databases.json and constraints.json: calendar, target and pins.

Identities are compared without regard to case, ids of windows as they are written. Sizes
are whole bytes; a limit that is left out does not bind.
"""

import json
from collections.abc import Iterable
from datetime import UTC, tzinfo

from mailmig.model.errors import BadFile, nearest
from mailmig.model.migration import Calendar, Freeze, Pin, Target, Window
from mailmig.wire.planning.records import Decoder, encode, parse


def parse_calendar(text: str, zone: tzinfo = UTC, file: object = "windows.json") -> Calendar:
    """The calendar. Times without a zone are in `zone`; the calendar has them in UTC.

    Raises `BadFile`.
    """
    decoder = Decoder(file, zone)
    calendar = decoder.record(Calendar, parse(text, file))
    if not calendar.windows:
        raise BadFile(file, "there is no window", "windows")
    _unique(file, "windows", (window.id for window in calendar.windows))
    for place, window in enumerate(calendar.windows):
        _check_window(calendar, window, BadPlace(file, f"windows[{place}] ({window.id})"))
    for place, freeze in enumerate(calendar.freezes):
        _check_freeze(freeze, BadPlace(file, f"freezes[{place}]"))
    if calendar.deadline is not None and calendar.deadline <= calendar.project_start:
        raise BadFile(file, "the deadline is not after the start of the project", "deadline")
    return calendar


def parse_target(text: str, file: object = "databases.json") -> Target:
    """The target databases, servers, and limits of the sources. Raises `BadFile`."""
    target = Decoder(file).record(Target, parse(text, file))
    if not target.databases:
        raise BadFile(file, "there is no target database", "databases")
    _unique(file, "databases", (database.id for database in target.databases))
    _unique(file, "servers", (server.id for server in target.servers))
    _unique(file, "sources", (source.id for source in target.sources))
    servers = [server.id for server in target.servers]
    for place, database in enumerate(target.databases):
        if database.server and database.server not in servers and servers:
            reason = f'there is no server "{database.server}"{nearest(database.server, servers)}'
            raise BadFile(file, reason, f"databases[{place}] ({database.id})")
    for place, source in enumerate(target.sources):
        if not 0 < source.max_share_of_window <= 1:
            reason = (
                f"max_share_of_window is above 0 and at most 1, not {source.max_share_of_window}"
            )
            raise BadFile(file, reason, f"sources[{place}] ({source.id})")
    sites = {database.site for database in target.databases}
    for site, preferred in target.site_preference.items():
        if preferred not in sites:
            reason = f'no target database is in site "{preferred}"{nearest(preferred, sites)}'
            raise BadFile(file, reason, f"site_preference.{site}")
    if target.log_factor <= 0:
        raise BadFile(file, "must be above zero", "log_factor")
    return target


def parse_pins(text: str, file: object = "constraints.json") -> tuple[Pin, ...]:
    """The pins. Whether they can be kept is asked later, by the planner. Raises `BadFile`."""
    decoder = Decoder(file)
    given = decoder.mapping(parse(text, file), "")
    for key in given:
        if key != "pins":
            raise BadFile(file, f'there is no key "{key}" here{nearest(key, ["pins"])}')
    pins: tuple[Pin, ...] = decoder.value(tuple[Pin, ...], given.get("pins", []), "pins")
    for place, pin in enumerate(pins):
        where = f"pins[{place}]"
        if not pin.identity.strip():
            raise BadFile(file, "the identity is empty", where)
        if not (pin.window or pin.not_before or pin.not_after or pin.database):
            reason = f"the pin of {pin.identity} names no window and no database"
            raise BadFile(file, reason, where)
    return pins


def write_calendar(calendar: Calendar) -> str:
    return _written(encode(calendar))


def write_target(target: Target) -> str:
    return _written(encode(target))


def write_pins(pins: tuple[Pin, ...]) -> str:
    return _written({"pins": encode(pins)})


class BadPlace:
    """Makes errors for one place in a file."""

    def __init__(self, file: object, where: str) -> None:
        self.file = file
        self.where = where

    def __call__(self, reason: str) -> BadFile:
        return BadFile(self.file, reason, self.where)


def _check_window(calendar: Calendar, window: Window, bad: BadPlace) -> None:
    if window.end <= window.start:
        raise bad("the window ends before it starts, or at once")
    if window.end <= calendar.project_start:
        raise bad("the window ends before the project starts")
    if window.hours is not None and window.hours <= 0:
        raise bad("hours must be above zero")


def _check_freeze(freeze: Freeze, bad: BadPlace) -> None:
    if freeze.end <= freeze.start:
        raise bad("the freeze ends before it starts, or at once")


def _unique(file: object, what: str, ids: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for place, id in enumerate(ids):
        if not id.strip():
            raise BadFile(file, "the id is empty", f"{what}[{place}]")
        other = seen.setdefault(id.casefold(), id)
        if len(seen) <= place:
            raise BadFile(file, f"the id {id} is given twice ({other})", f"{what}[{place}]")


def _written(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
