"""A sample of the rights that LDAP told, held against what the cmdlets print.

Which bits of a security descriptor mean Full Access and Send As is known from memory only
(domain facts, 2.4): so the cmdlets, which take seconds per mailbox, are asked about a few. Whoever
differs is named; nobody is mended.

The same sample comes each time: mailboxes in the order of their GUIDs, evenly spread, three
quarters of them from those with rights, the rest from those without.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from mailmig.model.command import Command
from mailmig.model.directory import NEVER_MOVED, Edge, Kind, Mailbox, Right, TrusteeKind
from mailmig.model.snapshot import Gap
from mailmig.run.export_rows import KEEP, is_about, row, said
from mailmig.run.questions import Progress, given, in_order
from mailmig.sources.directory import Everybody
from mailmig.sources.directory_trustees import Trustees
from mailmig.sources.exchange import Exchange
from mailmig.sources.export_rights import RIGHTS, permissions
from mailmig.sources.export_rows import Cells, Faults
from mailmig.sources.remote_errors import NotTheOne
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import BY_NAME

SAMPLE: Final = 20
# Get-Mailbox lists these by itself; Get-MailboxPermission wants no switch for them.
_SYSTEM: Final = NEVER_MOVED | {Kind.ARBITRATION, Kind.AUDIT_LOG, Kind.MIGRATION, Kind.DISCOVERY}
_EXTERNAL: Final = "externalaccount"


@dataclass(frozen=True, slots=True)
class Difference:
    """One right on one mailbox that LDAP and the cmdlets tell differently; names as printed."""

    mailbox: str
    right: Right
    only_ldap: tuple[str, ...]
    only_cmdlets: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            f"{source} says {', '.join(names)}"
            for source, names in (("only LDAP", self.only_ldap), ("only the cmdlet", self.only_cmdlets))
            if names
        ]  # fmt: skip
        return f"{self.right.value} on {self.mailbox}: {'; '.join(parts)}"


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """How many mailboxes were compared, and what differs."""

    compared: int
    differences: tuple[Difference, ...]

    def gaps(self) -> Iterator[Gap]:
        """What stays with the snapshot."""
        for one in self.differences:
            yield Gap(str(one), "one of the two is wrong, and other mailboxes may be concerned")


def sample(mailboxes: Iterable[Mailbox], edges: Iterable[Edge], size: int) -> list[Mailbox]:
    """The mailboxes to ask about; fewer where there are not so many."""
    held = {edge.owner for edge in edges if edge.right is not Right.SEND_ON_BEHALF}
    known = sorted(
        (one for one in mailboxes if one.kind not in _SYSTEM and one.guid),
        key=lambda one: one.exchange_guid,
    )
    with_rights = [one for one in known if one.exchange_guid in held]
    without = [one for one in known if one.exchange_guid not in held]
    some = _spread(with_rights, max(size - size // 4, size - len(without)))
    return some + _spread(without, size - len(some))


def _spread(mailboxes: Sequence[Mailbox], size: int) -> list[Mailbox]:
    size = min(size, len(mailboxes))
    return [mailboxes[place * len(mailboxes) // size] for place in range(size)]


async def compare(
    exchange: Exchange, everybody: Everybody, size: int, progress: Progress
) -> CrossCheck:
    """Ask about a sample. Raises what asking raises."""
    chosen = sample(everybody.mailboxes, everybody.edges, size)
    wanted = {one.exchange_guid for one in chosen}
    told: dict[tuple[str, Right], list[Edge]] = {}
    for edge in everybody.edges:
        if edge.owner in wanted:
            told.setdefault((edge.owner, edge.right), []).append(edge)
    questions = [(one, name) for one in chosen for name in RIGHTS]

    async def answer(question: tuple[Mailbox, str]) -> list[str]:
        return await _printed(exchange, *question)

    found: list[Difference | None] = []
    async with aclosing(in_order(questions, answer, exchange.settings.parallel)) as answers:
        async for (mailbox, name), printed in answers:
            right = RIGHTS[name][2]
            progress("compared", len(found) // len(RIGHTS) + 1, len(chosen))
            edges = told.get((mailbox.exchange_guid, right), [])
            found.append(_difference(mailbox, right, edges, printed, everybody.trustees))
    return CrossCheck(len(chosen), tuple(one for one in found if one is not None))


async def _printed(exchange: Exchange, mailbox: Mailbox, name: str) -> list[str]:
    """Who holds a right on a mailbox, as its cmdlet prints them: explicit, allowing, of others."""
    export = BY_NAME[name]
    identity = mailbox.guid if export.by == "Guid" else mailbox.distinguished_name
    common = tuple(given(export, export.cmdlet))
    command = Command(export.cmdlet, (*common, ("Identity", identity)))
    names = frozenset({mailbox.canonical_name.casefold(), mailbox.distinguished_name.casefold()})
    kept: list[Obj] = []
    async with aclosing(exchange.ask(command, (*export.properties, "Identity"))) as objects:
        async for item in objects:
            if not is_about(item, names=names):
                raise NotTheOne(exchange.server, command, identity, (said(item.get("Identity")),))
            if KEEP[name](item) and _EXTERNAL not in said(item.get("AccessRights")).casefold():
                kept.append(row(item, export.properties, export.depth))
    column, wanted, _ = RIGHTS[name]
    return [user for _, user in permissions(_cells(name, kept), column, wanted, Counter())]


def _cells(name: str, objects: Iterable[Obj]) -> Iterator[Cells]:
    cells = Cells(name, Faults())
    for number, item in enumerate(objects, 1):
        cells.number, cells.row = number, item
        yield cells


def _difference(
    mailbox: Mailbox, right: Right, edges: Sequence[Edge], printed: Iterable[str], known: Trustees
) -> Difference | None:
    """What differs on one mailbox.

    An account of another forest has a SID here and a name there: as many of the one as of the
    other are taken for the same.
    """
    ldap = {edge.delegate or edge.trustee.lower(): edge for edge in edges}
    cmdlets: dict[str, str] = {}
    for text in printed:
        found = known.by_text(text)
        who = found[1] if found else ""
        if who != mailbox.exchange_guid:
            cmdlets[who or text.lower()] = text
    only_ldap = [edge for who, edge in ldap.items() if who not in cmdlets]
    only_cmdlets = [text for who, text in cmdlets.items() if who not in ldap]
    foreign = [edge for edge in only_ldap if _is_foreign(edge)]
    named = [text for text in only_cmdlets if known.by_text(text) is None and "\\" in text]
    for edge, text in zip(foreign, named, strict=False):
        only_ldap.remove(edge)
        only_cmdlets.remove(text)
    if not only_ldap and not only_cmdlets:
        return None
    names = tuple(sorted(edge.trustee for edge in only_ldap))
    return Difference(
        mailbox.address or mailbox.canonical_name, right, names, tuple(sorted(only_cmdlets))
    )


def _is_foreign(edge: Edge) -> bool:
    return edge.trustee_kind is TrusteeKind.OTHER and edge.trustee.startswith("S-1-")
