"""Coexistence: people and shared mailboxes on different versions, while the migration runs.

Whoever shares across versions belongs to a class: his version, that of the mailbox. Probe pairs
stand for their class. The edges of real people get the verdict of their class; nobody logs on with
their passwords, so they are never called tested.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mailmig.api import (
    INSIDE,
    OUTSIDE,
    Ask,
    Case,
    Cell,
    Check,
    Finding,
    Severity,
    cause,
    walked,
)


@dataclass(frozen=True, slots=True)
class Sharing:
    """The ways into the probe mailboxes, and each server's version by its short name (lower case)."""

    cells: tuple[Cell, ...]
    versions: Mapping[str, str] = field(default_factory=dict)

    def version(self, mailbox: str) -> str:
        """The version that a mailbox is on, as the sessions show it; empty where none was seen."""
        for cell in self.cells:
            server = cell.walked.back_end.partition(".")[0].lower()
            if cell.mailbox == mailbox and server in self.versions:
                return self.versions[server]
        return ""


async def gather(ask: Ask) -> Sharing:
    versions = {server.name.lower(): server.version for server in ask.scope.servers}
    return Sharing(await walked(ask), versions)


def judge(sharing: Sharing) -> Iterator[Finding]:
    """People on one version open shared mailboxes on the other, from outside as from inside.

    Judged per class: the version of the person, the version of the shared mailbox. What opens inside
    and not outside is the fault that no test from the office shows.

    Source: migration.md 12.2, split_delegation_external.
    To do: what the cause in mapi.matrix says. Until then move people and the shared mailboxes that
    they open in the same wave, and shorten the time on two versions.
    """
    case = Case(sharing.cells)
    classes: dict[tuple[str, str], list[Cell]] = {}
    for cell in sharing.cells:
        versions = sharing.version(cell.delegate), sharing.version(cell.mailbox)
        if not cell.is_own and all(versions) and versions[0] != versions[1]:
            classes.setdefault(versions, []).append(cell)
    hidden = {cell.mailbox for cell in sharing.cells if not sharing.version(cell.mailbox)}
    subject = "sharing across versions"
    if hidden:
        why = f"the version of {len(hidden)} probe mailboxes was not seen: none of them opens"
        yield Finding(subject, Severity.UNKNOWN, why, evidence=(("mailboxes", _listed(hidden)),))
    elif not classes:
        why = "no probe account and shared mailbox were seen on different versions"
        yield Finding(subject, Severity.NOTICE, why, skipped=True)
    for (person, mailbox), cells in sorted(classes.items()):
        subject = f"people on {person}, shared mailboxes on {mailbox}"
        yield _verdict(case, subject, cells)


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _verdict(case: Case, subject: str, cells: list[Cell]) -> Finding:
    """The worst of the class: broken from outside only, broken otherwise, untried, well."""
    split: list[tuple[str, str]] = []
    broken: list[tuple[str, str]] = []
    for cell in cells:
        row = cause(case, cell)
        if row is None:
            continue
        inside = case.opens(cell, vantage=INSIDE, mailbox=cell.mailbox)
        own = case.opens(cell, vantage=OUTSIDE, mailbox=cell.delegate)
        kind = split if cell.vantage == OUTSIDE and inside and own else broken
        kind.append((f"{cell.pair}, {cell.way}, {cell.vantage}", f"{row.key}: {row.summary}"))
    untried = [one for one in (INSIDE, OUTSIDE) if one not in {cell.vantage for cell in cells}]
    if split:
        summary = "they open inside and not from outside, where people's own mailboxes open"
        return Finding(subject, Severity.CRITICAL, summary, OUTSIDE, tuple(split))
    if broken:
        summary = "they do not open everywhere, and not for being outside; see mapi.matrix"
        return Finding(subject, Severity.WARNING, summary, "", tuple(broken))
    if untried:
        summary = f"they were not tried from {' and '.join(untried)}"
        return Finding(subject, Severity.NOTICE, summary, skipped=True)
    return Finding(subject, Severity.OK, "they open from inside and outside")


split_delegation = Check(
    id="coexistence.split_delegation_external",
    question="Can people on one version open shared mailboxes on the other from outside?",
    gather=gather,
    judge=judge,
)
