"""Small organisations for tests of quotas: single mailboxes, and a town of any size.

The town has the shape of a published case: about 500 people on one old server, quotas so
small that the move gives 600 MB more on average, 2 GB more in single cases, and 200 to 500
per cent more for everybody. Everything is drawn from a seed; sizes are bytes.
"""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from mailmig.model.database import Dag, Database
from mailmig.model.directory import Archive, Kind, Mailbox, Usage, UsageState
from mailmig.model.quota import GIB, KIB, MIB, UNLIMITED, Quota, Quotas
from mailmig.model.snapshot import Snapshot, SnapshotInfo

BEFORE = datetime(2026, 10, 30, 18, 0, tzinfo=UTC)
AFTER = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)

OLD, NEW_NORTH, NEW_SOUTH = "MDB-OLD", "MDB-NORTH", "MDB-SOUTH"
DEPARTMENTS = (
    "Citizens' Office",
    "Education",
    "Finance",
    "Green Spaces",
    "Integration",
    "Mayor's Office",
    "Town Planning",
    "Volunteering",
)
GIVEN = ("Ada", "Boris", "Çelik", "Dörte", "Émile", "Frida", "Greta", "Håkon", "Ines", "Jörg")
FAMILY = ("Adler", "Baum", "Decker", "Ernst", "Falk", "Groß", "Huber", "Iwanow", "Jansen", "Koch")


def quotas(limit: Quota, warn: Quota | None = None, receive: Quota | None = None) -> Quotas:
    """Three limits in order: a warning at nine tenths, an end a quarter above."""
    if not isinstance(limit, int):
        return Quotas(limit if warn is None else warn, limit, limit if receive is None else receive)
    return Quotas(
        limit // 10 // KIB * 9 * KIB if warn is None else warn,
        limit,
        limit // 4 // KIB * 5 * KIB if receive is None else receive,
    )


def used(size: int | None) -> Usage:
    """Known usage, or unknown for `None`."""
    return Usage() if size is None else Usage(UsageState.KNOWN, size, items=size // 60_000)


def mailbox(number: int, own: Quota | None = None, size: int | None = 0, **more: object) -> Mailbox:
    """The mailbox of person `number`: with limits of its own, or with those of its database."""
    box = Mailbox(
        exchange_guid=f"00000000-0000-4000-8000-{number:012d}",
        kind=Kind.USER,
        address=f"p{number}@town.example",
        display_name=f"Person {number}",
        database=OLD,
        use_database_quotas=own is None,
        own=Quotas() if own is None else quotas(own),
        usage=used(size),
    )
    return replace(box, **more)  # type: ignore[arg-type]


def snapshot(
    *mailboxes: Mailbox,
    id: str = "b1",
    taken_at: datetime = BEFORE,
    databases: tuple[Database, ...] = (Database(OLD, quotas=quotas(GIB)),),
    organisation: str = "Town",
) -> Snapshot:
    """A snapshot that holds just this."""
    info = SnapshotInfo(
        id, organisation, taken_at, taken_at, "export of the old server", id, len(mailboxes), 0
    )
    dags = tuple(Dag(name) for name in sorted({d.dag for d in databases if d.dag}))
    return Snapshot(info, dags=dags, databases=databases, mailboxes=mailboxes)


def old_database(limit: Quota = 200 * MIB) -> Database:
    return Database(OLD, guid="old", server="EX-OLD", quotas=quotas(limit))


def new_databases(limit: Quota = 800 * MIB, other: Quota | None = None) -> tuple[Database, ...]:
    south = limit if other is None else other
    return (
        Database(NEW_NORTH, "north", "EX-NORTH", dag="DAG01", quotas=quotas(limit)),
        Database(NEW_SOUTH, "south", "EX-SOUTH", dag="DAG01", quotas=quotas(south)),
    )


def town(people: int = 500, seed: int = 7) -> tuple[Snapshot, Snapshot]:
    """The town before and after the move: everybody new has a place, nobody loses any.

    In 100 people, 4 are architects with raised quotas (512 MB to 2.5 GB); the others have
    between 108 and 270 MB before, and 540 MB more afterwards. A few came, went, or have no
    known usage.
    """
    random = Random(seed)
    befores, afters = [], []
    for number in range(people):
        before, after = _townsman(number, random)
        befores.append(before)
        afters.append(after)
    system = mailbox(10**9, own=GIB, kind=Kind.ARBITRATION, display_name="SystemMailbox{1f05}")
    newcomer = replace(afters[-1], exchange_guid="new", display_name="Zora Zeisig")
    leaver = replace(befores[-1], exchange_guid="gone", display_name="Yann Ypern")
    one = snapshot(*befores, leaver, system, id="a3f9", databases=(old_database(),))
    other = snapshot(
        *afters,
        newcomer,
        system,
        id="c51e",
        taken_at=AFTER,
        databases=(old_database(), *new_databases()),
    )
    return one, other


def _townsman(number: int, random: Random) -> tuple[Mailbox, Mailbox]:
    architect = number % 25 == 3
    if architect:
        old, new = 512 * MIB, 512 * MIB + 2 * GIB
    else:
        old = random.randrange(108 * MIB, 270 * MIB, KIB)
        new = old + 540 * MIB
    size = int(old * random.uniform(0.2, 0.97))
    grown = size + int(size * random.uniform(0, 0.04))
    south = random.random() < 0.4
    department = "Town Planning" if architect else random.choice(DEPARTMENTS)
    name = f"{random.choice(GIVEN)} {random.choice(FAMILY)}"
    archive = Archive(f"archive-{number}", OLD, 9 * GIB, 10 * GIB, used(GIB))
    before = mailbox(
        number,
        own=old,
        size=None if number % 97 == 96 else size,
        display_name=f"{name} {number}",
        department=department,
        site="South" if south else "North",
        server="EX-OLD",
        version="2016",
        archive=archive if architect else None,
    )
    after = replace(
        before,
        database=NEW_SOUTH if south else NEW_NORTH,
        own=quotas(new),
        version="SE",
        usage=used(None if number % 97 == 96 else grown),
        archive=replace(archive, quota=UNLIMITED, warn=UNLIMITED) if architect else None,
    )
    return before, after
