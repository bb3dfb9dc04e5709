"""The comparisons that the quota report is shown for: a good town, a bad one, a planned move."""

from dataclasses import replace
from datetime import UTC, datetime

from mailmig.model.database import Database
from mailmig.model.directory import Archive, Kind, Mailbox, Usage, UsageState
from mailmig.model.quota import GIB, KIB, MIB, UNKNOWN, UNLIMITED, Quotas
from mailmig.rules.quotas import Comparison, at_target_defaults, compare
from tests.rules.quota_people import (
    AFTER,
    NEW_NORTH,
    OLD,
    mailbox,
    new_databases,
    old_database,
    quotas,
    snapshot,
    town,
    used,
)

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


def good_town(people: int = 500) -> Comparison:
    """Everybody gains."""
    return compare(*town(people))


def troubled_town() -> Comparison:
    """At least one person for every kind of change and every kind of trouble."""
    pairs = list(_troubles())
    befores = [before for before, _ in pairs if before]
    afters = [after for _, after in pairs if after]
    system = [
        mailbox(900, kind=Kind.ARBITRATION),
        mailbox(901, kind=Kind.MONITORING),
        mailbox(902, kind=Kind.MONITORING),
    ]
    wrong = Database("MDB-WRONG", quotas=Quotas(3 * GIB, 2 * GIB, GIB))
    before = (old_database(), wrong)
    return compare(
        snapshot(*befores, *system, id="a3f9", databases=before),
        snapshot(
            *afters, *system, id="c51e", taken_at=AFTER, databases=(*before, *new_databases())
        ),
    )


def planned_move() -> Comparison:
    """One old server before the move; the two target databases do not promise the same."""
    rough = Usage(UsageState.KNOWN, 300 * MIB, approximate=True)
    people = [
        mailbox(1, size=150 * MIB, display_name="Uses the defaults", department="Finance"),
        mailbox(2, own=GIB, size=100 * MIB, display_name="Keeps her own", department="Finance"),
        mailbox(3, size=460 * MIB, version="2010", display_name="Comes from 2010"),
        mailbox(4, size=580 * MIB, display_name="Will be warned"),
        mailbox(5, database=NEW_NORTH, size=MIB, display_name="Is there already"),
        mailbox(6, usage=rough, display_name="Size is rounded"),
    ]
    databases = (old_database(500 * MIB), *new_databases(800 * MIB, 600 * MIB))
    return at_target_defaults(snapshot(*people, id="d0d0", databases=databases))


Seen = tuple[Mailbox | None, Mailbox | None]


def _troubles() -> list[Seen]:
    return [*_numbers(), *_words(), *_comings()]


def _seen(number: int, name: str, department: str, **more: object) -> Mailbox:
    return mailbox(number, display_name=name, department=department, **more)  # type: ignore[arg-type]


def _numbers() -> list[Seen]:
    """Gains that are numbers."""
    in_place = {"database": NEW_NORTH, "use_database_quotas": True}
    gained = _seen(1, "Gained by moving", "Finance", size=100 * MIB)
    eaten = _seen(2, "Eaten by growth", "Finance", size=50 * MIB)
    reduced = _seen(3, "Reduced", "Planning", own=4 * GIB, size=3 * GIB)
    less = _seen(4, "Reduced a little", "Planning", own=4 * GIB, size=GIB)
    zero = _seen(5, "Had zero", "Planning", own=0, size=0)
    same = _seen(6, "Unchanged", "Education", size=190 * MIB)
    never = _seen(7, "Never logged on", "Education", usage=Usage(UsageState.NEVER_USED))
    dark = _seen(8, "Usage unknown", "Education", size=None)
    flag = _seen(9, "Flag switched off", "", size=205 * MIB)
    archive = Archive("a10", OLD, UNLIMITED, 2 * GIB, used(GIB))
    return [
        (gained, replace(gained, **in_place, usage=used(120 * MIB))),  # type: ignore[arg-type]
        (eaten, replace(eaten, **in_place, usage=used(700 * MIB))),  # type: ignore[arg-type]
        (reduced, replace(reduced, own=quotas(2 * GIB))),
        (less, replace(less, own=quotas(4 * GIB - 10 * KIB), archive=archive)),
        (zero, replace(zero, own=quotas(GIB))),
        (same, same),
        (never, replace(never, **in_place)),  # type: ignore[arg-type]
        (dark, replace(dark, **in_place)),  # type: ignore[arg-type]
        (flag, replace(flag, use_database_quotas=False, own=quotas(300 * MIB))),
    ]


def _words() -> list[Seen]:
    """Gains that are no numbers."""
    limited = _seen(20, "No longer unlimited", "Planning", own=UNLIMITED, size=3 * GIB)
    roomy = _seen(21, "Limited with room", "Planning", own=UNLIMITED, size=GIB)
    freed = _seen(22, "Unlimited now", "Finance", own=GIB, size=2 * MIB)
    free = _seen(23, "Always unlimited", "Finance", own=UNLIMITED, size=2 * MIB)
    lost = _seen(24, "Database unknown", "Finance", database="MDB-LOST", size=MIB)
    flagless = _seen(25, "Flag unknown", "Finance", use_database_quotas=None, size=MIB)
    half = _seen(26, "Limit unknown", "Finance", own=GIB, size=MIB)
    return [
        (limited, replace(limited, own=quotas(2 * GIB))),
        (roomy, replace(roomy, own=quotas(2 * GIB))),
        (freed, replace(freed, own=quotas(UNLIMITED))),
        (free, free),
        (lost, lost),
        (flagless, flagless),
        (half, replace(half, own=Quotas(GIB, GIB, UNKNOWN))),
    ]


def _comings() -> list[Seen]:
    """People who came, went or were converted, and names that must do no harm."""
    converted = _seen(30, "Became shared", "Finance", own=GIB)
    evil = _seen(31, '=HYPERLINK("http://x";"click")', "+Evil & Co <script>", own=GIB, size=MIB)
    return [
        (None, _seen(32, "Came", "Finance", own=2 * GIB, size=5 * MIB)),
        (_seen(33, "Went", "Finance", own=GIB, size=5 * MIB), None),
        (converted, replace(converted, kind=Kind.SHARED, own=quotas(5 * GIB))),
        (evil, replace(evil, own=quotas(2 * GIB), display_name=evil.display_name + "\x1b[31m\n")),
        (_seen(34, "In a wrong database", "", database="MDB-WRONG", size=MIB),) * 2,
    ]
