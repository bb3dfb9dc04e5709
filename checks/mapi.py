"""MAPI over HTTP: own and shared mailboxes, from inside and outside, at every address.

The matrix of protocols.md 1.8.2; why a cell of it fails is told by `rules.mapi_causes`. Only probe
accounts log on. Times are seconds.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailmig.api import (
    INSIDE,
    NONE,
    OUTSIDE,
    Case,
    Cell,
    Check,
    Column,
    Discovered,
    Fact,
    Finding,
    Nothing,
    Severity,
    Table,
    cause,
    causes,
    limit,
    walked,
)

_DEVICE_INFO, _SLOW = "device_info", "slow"
_REMARKS: Final = (
    (_SLOW, "it works, and a single request takes longer than users bear"),
    (_DEVICE_INFO, "it works; something in front of Exchange adds X-DeviceInfo to its answers"),
)

_WORKS: Final = "well"
_COLUMNS: Final = (
    Column("vantage", "From"), Column("name", "Name"), Column("address", "Address"),
    Column("own", "Own mailboxes"), Column("shared", "Shared mailboxes"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    slow_s: float = limit(2.0, "s", "above it one request of a session is slow")


def judge(cells: tuple[Cell, ...], limits: Limits) -> Iterator[Finding]:
    """Probe accounts open their own mailbox and shared ones, inside and outside, at each address.

    Each failure gets one cause, the first in this order whose evidence holds.

    Source: health.md 2.7, mapi_shared_mailbox and mapi_connect (2 s); protocols.md 1.8.1 and 1.8.2.
    To do: what the cause says. External access to shared mailboxes breaks while their people are
    split over two versions, and the causes look alike to users: Outlook only asks for a password.
    """
    if not cells:
        why = "no probe account is configured in [probe], or no way in is left to ask"
        yield Finding("MAPI", Severity.NOTICE, why, skipped=True)
    case = Case(cells)
    found: dict[tuple[Severity, str, str, str, str], list[Cell]] = {}
    for cell in cells:
        for severity, key, about, summary in _verdicts(case, cell, limits):
            found.setdefault((severity, key, about, cell.vantage, summary), []).append(cell)
    for (severity, key, about, vantage, summary), here in found.items():
        share = _share(cells, vantage, about)
        evidence = (("cause", key), *share, *((_named(cell), _said(cell)) for cell in here))
        yield Finding(about, severity, summary, vantage, evidence)
    for vantage in (INSIDE, OUTSIDE):
        good = [cell for cell in cells if cell.vantage == vantage and cell.is_good]
        shared = sum(not cell.is_own for cell in good)
        if good:
            summary = f"{len(good) - shared} own and {shared} shared ways in work"
            yield Finding("MAPI", Severity.OK, summary, vantage)


def _verdicts(case: Case, cell: Cell, limits: Limits) -> Iterator[tuple[Severity, str, str, str]]:
    """(severity, key, subject, summary): why it fails, or what is to be said though it works."""
    row = cause(case, cell)
    if row is not None:
        yield row.severity, row.key, row.about(case, cell), row.summary
        return
    summaries = dict(_REMARKS)
    if any(step.took_s > limits.slow_s for step in cell.walked.steps):
        yield Severity.WARNING, _SLOW, cell.mailbox, summaries[_SLOW]
    if cell.walked.device_info:
        yield Severity.NOTICE, _DEVICE_INFO, cell.way, summaries[_DEVICE_INFO]


def _share(cells: tuple[Cell, ...], vantage: str, way: str) -> Iterator[tuple[str, str]]:
    """Which share of the clients an address has: round-robin gives each the same."""
    name, _, address = way.partition(" at ")
    if address:
        ways = {one.way for one in cells if one.vantage == vantage}
        many = sum(one.startswith(f"{name} at ") for one in ways)
        yield "share of clients", f"1 of {many} addresses of {name}"


def _named(cell: Cell) -> str:
    return f"{cell.pair}, {cell.way}" if cell.way else cell.pair


def _said(cell: Cell) -> str:
    """The evidence in one line."""
    if cell.discovered is None:
        return "no address"
    if not isinstance(cell.discovered, Fact):
        return cell.discovered.reason
    if cell.walk is not None and not isinstance(cell.walk, Fact):
        return cell.walk.reason
    return "; ".join(_parts(cell, cell.discovered.value))


def _parts(cell: Cell, said: Discovered) -> Iterator[str]:
    walk, step = cell.walked, cell.failed
    if cell.walk is None and cell.settings is not None:
        yield f"Autodiscover names {cell.host or 'no host'} for {cell.vantage}"
    offered = walk.offered if cell.walk is not None else said.offered
    if offered:
        yield f"offered {', '.join(offered)}"
    if step is not None:
        yield f"{step.name}: status {step.status}" if step.status else step.name
        if step.response_code is not None:
            yield f"X-ResponseCode {step.response_code}"
        if step.error_code:
            shown = step.error_code if step.name == "Autodiscover" else f"{step.error_code:#x}"
            yield f"error {shown}"
        if step.trouble is not None:
            yield step.trouble.reason
        elif not step.by_exchange and step.status not in (200, 401):
            yield f"not signed by Exchange{f' ({walk.software})' if walk.software else ''}"
    if walk.logon_value is not None:
        yield f"RopLogon {walk.logon_value:#x}"
    if walk.redirect:
        yield f"it names {walk.redirect}"
    if walk.folder_value is not None:
        yield f"RopOpenFolder {walk.folder_value:#x}"
    if walk.owner is False:
        yield "no owner"
    if walk.steps and (slowest := max(one.took_s for one in walk.steps)) >= 1:
        yield f"slowest request {slowest:.1f} s"
    if walk.device_info:
        yield f"X-DeviceInfo {walk.device_info}"
    if walk.front_end:
        yield " to ".join(filter(None, (walk.front_end, walk.back_end)))


def picture(cells: tuple[Cell, ...]) -> Table:
    """The matrix: a line for each way in, and what comes of own and shared mailboxes there."""
    case = Case(cells)
    seen: dict[tuple[str, str], dict[bool, list[str]]] = {}
    for cell in cells:
        row = cause(case, cell)
        here = seen.setdefault((cell.vantage, cell.way), {True: [], False: []})
        here[cell.is_own].append(row.key.replace("_", " ") if row else _WORKS)
    ways = sorted(seen)
    rows = [_line(vantage, way, seen[vantage, way]) for vantage, way in ways]
    bad = (n for n, way in enumerate(ways) if {*seen[way][True], *seen[way][False]} != {_WORKS})
    text = "How many mailboxes of ours can be opened each way, and why others cannot."
    return Table("matrix", "Ways into mailboxes", _COLUMNS, rows, text, marked=frozenset(bad))


def _line(vantage: str, way: str, words: dict[bool, list[str]]) -> tuple[str | Nothing, ...]:
    name, _, address = way.partition(" at ")
    return vantage, name or NONE, address or NONE, _counted(words[True]), _counted(words[False])


def _counted(words: list[str]) -> str | Nothing:
    """ "3 well, 1 in transit": what works first."""
    counts = Counter(words)
    first = sorted(counts, key=lambda word: (word != _WORKS, word))
    return ", ".join(f"{counts[word]} {word}" for word in first) or NONE


matrix = Check(
    id="mapi.matrix",
    question="Can people open their own and shared mailboxes, from inside and outside?",
    gather=walked,
    judge=judge,
    limits=Limits(),
    rows=(*causes(), *_REMARKS),
    picture=picture,
)
