"""What a sweep found, for people: counts, findings with the worst first, and their evidence."""

from collections.abc import Iterator
from typing import Final

from mailmig.model.document import (
    NONE,
    Block,
    Column,
    Document,
    Figure,
    Figures,
    Row,
    Table,
    Tone,
    Unit,
)
from mailmig.model.finding import Finding, Severity, Sweep

NAME: Final = "checks"
VERSION: Final = 1  # of the shape that programs read

_TONES: Final = {
    Severity.CRITICAL: Tone.BAD, Severity.UNKNOWN: Tone.BAD, Severity.WARNING: Tone.WARNING,
    Severity.NOTICE: Tone.PLAIN, Severity.OK: Tone.GOOD,
}  # fmt: skip
_COLUMNS: Final = (
    Column("severity", "Severity", Unit.WORD), Column("check", "Check", Unit.WORD),
    Column("vantage", "From"), Column("subject", "What"), Column("summary", "Finding"),
)  # fmt: skip
_EVIDENCE: Final = (
    Column("check", "Check", Unit.WORD), Column("subject", "What"), Column("fact", "Fact"),
    Column("value", "Value"),
)  # fmt: skip


def compose(ended: Sweep, findings: tuple[Finding, ...]) -> Document:
    """The report; `findings` are those of the sweep that are to be shown."""
    took = (ended.ended - ended.began).total_seconds()
    subtitle = f"{len(ended.checks)} checks, {ended.began:%Y-%m-%d %H:%M} UTC, {took:.1f} s"
    blocks: tuple[Block, ...] = (
        Figures(tuple(_figures(ended))), *ended.pictures, _table(findings), _evidence(findings)
    )  # fmt: skip
    return Document(NAME, VERSION, "Checks", subtitle, ended.ended, blocks)


def _figures(ended: Sweep) -> Iterator[Figure]:
    counted = [one.severity for one in ended.counted]
    for severity in sorted(Severity, key=lambda one: -one.rank):
        count = counted.count(severity)
        tone = _TONES[severity] if count else Tone.PLAIN
        yield Figure(severity.value, severity.value, count, tone=tone)


def _table(findings: tuple[Finding, ...]) -> Table:
    rows = [
        (one.severity.value, one.check, one.vantage or NONE, one.subject, _sentence(one))
        for one in findings
    ]
    marked = frozenset(
        number for number, one in enumerate(findings) if _TONES[one.severity] is Tone.BAD
    )
    return Table("findings", "Findings", _COLUMNS, rows, detail=True, marked=marked)


def _sentence(one: Finding) -> str:
    why = f" (suppressed: {one.suppressed})" if one.suppressed else ""
    return f"{one.summary}{' (in maintenance)' if one.maintenance else ''}{why}"


def _evidence(findings: tuple[Finding, ...]) -> Table:
    """What the findings that are not good rest on."""
    rows: list[Row] = [
        (one.check, one.subject, what, value)
        for one in findings
        if one.severity not in (Severity.OK, Severity.NOTICE)
        for what, value in one.evidence
    ]
    return Table("evidence", "Evidence", _EVIDENCE, rows)
