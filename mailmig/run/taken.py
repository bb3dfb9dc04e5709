"""What the directory and the cmdlets told, put together as a snapshot's content.

Mailboxes, limits, people and rights are LDAP's; sizes, homes in a DAG, databases, servers and
facts are those of the cmdlets. What nobody was asked is unknown and a gap, never zero.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mailmig.model.directory import Group, Kind, Mailbox, TrusteeKind
from mailmig.model.snapshot import Gap
from mailmig.run.answers import ASKED, Answers
from mailmig.run.cross_check import CrossCheck
from mailmig.run.ready import Ready
from mailmig.sources import export_rows as values
from mailmig.sources.directory import Everybody
from mailmig.sources.directory_configuration import Configuration
from mailmig.sources.export_machines import machines
from mailmig.sources.export_mailboxes import UNKNOWN_USAGE, Homes
from mailmig.sources.exports import FACTS, IMPORT
from mailmig.wire.collection import BY_NAME

# What the directory tells as well, at least the part that the model holds.
_IN_THE_DIRECTORY: Final = frozenset({"servers", "mailbox_servers", "dags", "archive_statistics"})
# What the directory tells less of, and what the rest costs.
_LESS: Final = {
    "organization": "its public-folder flags are unknown",
    "databases": (
        "sizes of their files are unknown, and in a DAG a server may be the one before a switch"
    ),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What one domain controller said, and when by its clock; `base` is its domain's name."""

    base: str
    when: datetime
    mark: str
    configuration: Configuration
    everybody: Everybody
    gaps: tuple[Gap, ...]

    def groups(self) -> tuple[Group, ...]:
        """The groups that hold rights, in the order in which they do first."""
        kind = TrusteeKind.GROUP
        held = {e.delegate: None for e in self.everybody.edges if e.trustee_kind is kind}
        return self.everybody.trustees.groups(held)

    def all_gaps(self) -> Iterator[Gap]:
        """Those of the directory, whoever else was asked."""
        for domain in self.configuration.domains:
            if domain != self.base.lower():
                yield Gap(
                    f"the domain {values.whole(domain)} was not asked",
                    "mailboxes there are not in the inventory and would be forgotten on the source",
                )
        silent = sum(
            one.use_database_quotas is None and one.kind is not Kind.REMOTE
            for one in self.everybody.mailboxes
        )
        if silent:
            yield Gap(
                f"{silent:,} of {len(self.everybody.mailboxes):,} mailboxes do not say "
                "mDBUseDefaults",
                "their effective quotas are unknown",
            )
        yield from self.gaps


def from_directory(server: str, told: Told) -> Ready:
    """What LDAP knows alone."""
    configuration, everybody = told.configuration, told.everybody
    return Ready(
        configuration.organisation,
        told.when,
        f"{server} (LDAP only)",
        configuration.servers,
        configuration.dags,
        configuration.databases,
        (),
        everybody.mailboxes,
        everybody.edges,
        told.groups(),
        {IMPORT: (_about(everybody.mailboxes, {}, {}),)},
        (*_not_asked(), *told.all_gaps()),
        told.mark,
    )


def joined(origin: str, told: Told, answers: Answers, check: CrossCheck) -> Ready:
    """What LDAP knows, with what the cmdlets say of it."""
    found = machines(answers.rows)
    homes = Homes(found.servers, found.databases)
    mailboxes = tuple(_filled(one, answers, homes) for one in told.everybody.mailboxes)
    organisation = tuple(map(values.fact, answers.rows("organization")))
    named = next((str(fact.get("Name") or "") for fact in organisation), "")
    counts = answers.statistics.counts + Counter({"recovery databases": found.recovery})
    return Ready(
        named or told.configuration.organisation,
        told.when,
        origin,
        found.servers,
        found.dags,
        found.databases,
        found.copies,
        mailboxes,
        told.everybody.edges,
        told.groups(),
        {
            "organization": organisation,
            "mailbox_servers": found.mailbox_servers,
            **{name: tuple(map(values.fact, answers.rows(name))) for name in FACTS},
            IMPORT: (_about(mailboxes, answers.counts, counts),),
        },
        (*told.all_gaps(), *_unmounted(answers), *check.gaps(), *answers.faults.gaps()),
        told.mark,
    )


def _filled(mailbox: Mailbox, answers: Answers, homes: Homes) -> Mailbox:
    """A mailbox with its size, and where its database is by the cmdlets."""
    server, site, version = homes.of(mailbox.database, mailbox.server)
    usage = answers.statistics.of(mailbox.exchange_guid, mailbox.database)
    archive = mailbox.archive
    if archive is not None:
        held = answers.statistics.of(archive.guid, archive.database, archive=True)
        archive = replace(archive, usage=held)
    return replace(
        mailbox,
        server=server,
        site=site,
        version=version,
        usage=UNKNOWN_USAGE if mailbox.kind is Kind.REMOTE else usage,
        archive=archive,
        root_public_folder=mailbox.exchange_guid in answers.roots,
    )


def _about(
    mailboxes: tuple[Mailbox, ...], rows: Mapping[str, int], counts: Mapping[str, int]
) -> dict[str, object]:
    """What taking it saw, in the words of an import: rows by file, and what was not kept."""
    monitoring = sum(one.kind is Kind.MONITORING for one in mailboxes)
    told = {"mailboxes": len(mailboxes) - monitoring, "monitoring_mailboxes": monitoring}
    return {"rows": {**rows, **told}, "counts": dict(counts)}


def _not_asked() -> Iterator[Gap]:
    by_cost: dict[str, list[str]] = {}
    for export in ASKED:
        if export.name in _LESS:
            yield Gap(f"{export.name} was asked over LDAP only", _LESS[export.name])
        elif export.name not in _IN_THE_DIRECTORY:
            by_cost.setdefault(export.cost, []).append(export.name)
    for cost, names in by_cost.items():
        were = "was" if len(names) == 1 else "were"
        yield Gap(f"{', '.join(names)} {were} not asked (LDAP only)", cost)


def _unmounted(answers: Answers) -> Iterator[Gap]:
    for name in answers.unmounted:
        yield Gap(
            f"statistics of the database {values.whole(name)} are missing: it is not mounted",
            BY_NAME["statistics"].cost,
        )
