"""The footnotes: how every number of a quota report is defined."""

from collections.abc import Iterator

from mailmig.model.document import Note
from mailmig.render.units import number_of, percent_text
from mailmig.reports.quota.wishes import Wishes
from mailmig.rules.quotas import Comparison, size_factor


def footnotes(comparison: Comparison, wishes: Wishes) -> Iterator[Note]:
    """Definitions first, then what was left out of this very report."""
    texts = (*_definitions(comparison, wishes), *_left_out(comparison))
    return (Note(text) for text in texts)


def _definitions(comparison: Comparison, wishes: Wishes) -> Iterator[str]:
    yield (
        "Sizes are binary, named as Exchange names them: 1 KB is 1,024 bytes, 1 MB 1,024 KB, 1 GB "
        "1,024 MB. Every total and average is made of exact bytes, never of the rounded figures "
        "shown here."
    )
    yield (
        "Quota: the smaller of the finite ones among ProhibitSendQuota and "
        "ProhibitSendReceiveQuota, in whole KB. Where the mailbox uses the defaults of its "
        "database these hold, and the mailbox's own values are ignored. Unlimited, unknown and "
        "zero are three different things; unknown never counts as unlimited."
    )
    yield (
        "More: the gain in per cent of the quota before; 200 % more is three times as much. It is "
        "n/a where the quota before was zero or one side is unlimited."
    )
    yield (
        "Used: TotalItemSize, without recoverable items, which do not count. Usable gain: the gain "
        "minus the growth of the mailbox between the snapshots. A mailbox that came from Exchange "
        "2010 or older is reported 30 to 40 per cent larger afterwards without using more disk."
    )
    yield (
        "Status: MailboxDisabled from ProhibitSendReceiveQuota on, ProhibitSend from "
        "ProhibitSendQuota on, IssueWarning from IssueWarningQuota on, NoChecking with no limit "
        "at all, BelowLimit otherwise; computed from the limits, not read from the server."
    )
    yield (
        "Percentiles are nearest-rank: eight in ten people lie between the 10th and the 90th. The "
        "median of an even number of people is the mean of the two in the middle."
    )
    yield (
        "Archives have their own quota, which never comes from a database; they stand in columns "
        "of their own in CSV and JSON and are not part of any gain"
        + (" but the total with archives." if wishes.with_archives else ".")
    )
    if wishes.growth is not None:
        yield (
            f"Full: the month in which a mailbox that grows {percent_text(float(wishes.growth))} "
            "a year, compounded by the month, reaches its quota. Without usage or limit: never."
        )
    if comparison.target:
        yield (
            "After: the defaults of the target databases (those that belong to a DAG) for "
            "everybody who uses defaults, the own limits for everybody else. Usage is taken as it "
            "is. Nothing changes for a mailbox that is there already."
        )


def _left_out(comparison: Comparison) -> Iterator[str]:
    left_out = comparison.left_out or {}
    if left_out:
        kinds = sorted((kind.value, count) for kind, count in left_out.items())
        names = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
        mailboxes = number_of(sum(left_out.values()), "mailbox", "mailboxes")
        yield f"Left out: {mailboxes} of the system ({names}); --all-kinds takes them in."
    larger = sum(1 for p in comparison.people if p.after and p.after.factor is not None)
    if larger:
        people = number_of(larger, "mailbox comes", "mailboxes come")
        yield (
            f"{people} from Exchange 2010 or older: status and free space after the move are "
            f"those of a mailbox {float(size_factor('2010')):g} times as large."
        )
    if comparison.approximate:
        people = number_of(comparison.approximate, "person", "people")
        yield f"The usage of {people} is approximate: the export gives it as a rounded text only."
