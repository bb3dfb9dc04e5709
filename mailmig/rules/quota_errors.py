"""Values about quotas that contradict each other, or by which nobody can be followed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mailmig.model.directory import Mailbox
from mailmig.model.quota import KIB, Limit, Quota, Quotas
from mailmig.model.snapshot import Snapshot

NO_GUID = frozenset({"", "00000000-0000-0000-0000-000000000000"})


@dataclass(frozen=True, slots=True)
class DataError:
    """A value that Exchange would not have accepted, or that makes people incomparable."""

    subject: str
    problem: str
    seen_in: str  # the id of the snapshot


def by_guid(snapshot: Snapshot) -> tuple[dict[str, Mailbox], list[DataError]]:
    """Mailboxes by ExchangeGuid, and those that cannot be followed over time."""
    found: dict[str, Mailbox] = {}
    errors = []
    for mailbox in snapshot.mailboxes:
        if mailbox.exchange_guid in NO_GUID:
            problem = "has no ExchangeGuid, cannot be compared and is left out"
        elif mailbox.exchange_guid in found:
            problem = f"ExchangeGuid {mailbox.exchange_guid} occurs twice, the first one counts"
        else:
            found[mailbox.exchange_guid] = mailbox
            continue
        errors.append(DataError(name_of(mailbox), problem, snapshot.info.id))
    return found, errors


def name_of(mailbox: Mailbox) -> str:
    """What a person would call this mailbox."""
    return mailbox.display_name or mailbox.address or mailbox.alias or mailbox.exchange_guid


def order_violations(quotas: Quotas) -> Iterator[str]:
    """What is wrong with the order of three limits; only finite ones are compared, in whole KB.

    A limit that is unlimited beside a finite one is a choice, and an unknown one says nothing.
    """
    if _exceeds(quotas.warn, quotas.receive):
        yield "IssueWarningQuota is larger than ProhibitSendReceiveQuota"
    if _exceeds(quotas.send, quotas.receive):
        yield "ProhibitSendQuota is larger than ProhibitSendReceiveQuota"


def order_errors(snapshot: Snapshot, mailboxes: Iterable[Mailbox]) -> Iterator[DataError]:
    """Limits in the wrong order: of the databases, of mailboxes' own limits where they hold."""
    seen_in = snapshot.info.id
    for database in snapshot.databases:
        for problem in order_violations(database.quotas):
            yield DataError(f"database {database.name}", problem, seen_in)
    for mailbox in mailboxes:
        if mailbox.use_database_quotas is False:
            for problem in order_violations(mailbox.own):
                yield DataError(name_of(mailbox), problem, seen_in)
        archive = mailbox.archive
        if archive and _exceeds(archive.warn, archive.quota):
            problem = "ArchiveWarningQuota is larger than ArchiveQuota"
            yield DataError(name_of(mailbox), problem, seen_in)


def _exceeds(one: Quota, other: Quota) -> bool:
    if isinstance(one, Limit) or isinstance(other, Limit):
        return False
    return -(-one // KIB) > -(-other // KIB)
