"""Founds an organisation: from a story, a number of mailboxes and a seed.

The story's proportions hold at any size. What is larger than the town becomes a body with
several branches, each with the town's departments, so that departments keep their size and
the people of one department share; databases grow in number. Every choice is drawn from
generators that follow from the seed, so the same three inputs give the same organisation.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailmig.lab.cluster import Dag
from mailmig.lab.databases import Copy, Database
from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.peculiarities import NO_LIMITS, TWO_GB, leave_behind, open_archives, special_people
from mailmig.lab.people import Directory, Person
from mailmig.lab.population import Department, Mailbox
from mailmig.lab.sharing import share_mailboxes
from mailmig.lab.story import DepartmentPlan, Story
from mailmig.lab.usage import Usage, stream
from mailmig.model.directory import Kind
from mailmig.model.errors import MailmigError
from mailmig.model.organisation import Server
from mailmig.model.quota import GIB, MIB, Quotas

SMALLEST: Final = 1
LARGEST: Final = 200_000

# More mailboxes than this in a class of databases, and the class gets a further database; a
# server mounts at most 100 databases (Enterprise Edition).
_PER_DATABASE: Final = 1_500
_MOST_DATABASES: Final = 100


_PUBLIC_FOLDERS: Final = Quotas(45 * GIB, 50 * GIB, 50 * GIB)

# The seven of 2016 CU8 and later (migration.md 2.1); the first one's end follows from the
# organisation. The audit-log mailbox came with 2016.
_ARBITRATION: Final = (
    "SystemMailbox{1f05a927-%s}",
    "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}",
    "SystemMailbox{e0dc1c29-89c3-4034-b678-e6c29d823ed9}",
    "SystemMailbox{D0E409A0-AF9B-4720-92FE-AAC869B0D201}",
    "SystemMailbox{2CE34405-31BE-455D-89D7-A7C7DA7A0DAA}",
    "Migration.8f3e7716-2011-43e4-96b1-aba62d229136",
    "FederatedEmail.4c1f4d8b-8179-4148-93bf-00a95fa1e042",
)
_AUDIT_LOG: Final = "SystemMailbox{8cc370d3-822a-4ab8-a926-bb94bd0641a9}"
_DISCOVERY: Final = "DiscoverySearchMailbox{D919BA05-46A6-415f-80AD-7E09334BB852}"

_SHARED_NAMES: Final = (
    "Poststelle {d}", "{d} / Anfragen", "Termine {d}", "{d} Beschwerden", "Rechnungen {d}",
)  # fmt: skip
_ROOM_NAMES: Final = ("Besprechungsraum {n}", "Ratssaal {n}", "Schulungsraum {n}", "Trauzimmer {n}")
_EQUIPMENT_NAMES: Final = (
    "Dienstwagen {n}",
    "Beamer {n}",
    "Lastenrad {n}",
    "Großformatplotter {n}",
)


class WrongNumber(MailmigError):
    """A number of mailboxes that the lab cannot simulate."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"{number} mailboxes cannot be simulated: take a number from {SMALLEST} to {LARGEST}"
        )
        self.number = number


def found(story: Story, mailboxes: int | None = None, seed: int = 1) -> Organisation:
    """The organisation of the story before its migration; `mailboxes` as Get-Mailbox counts them."""
    count = story.mailboxes if mailboxes is None else mailboxes
    if not SMALLEST <= count <= LARGEST:
        raise WrongNumber(count)
    founder = _Founder(story, count, seed)
    founder.fill()
    return founder.organisation


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many of each there are; `scale` is the size beside the town's."""

    users: int
    shared: int
    rooms: int
    equipment: int
    discovery: int
    scale: float

    @classmethod
    def of(cls, story: Story, count: int) -> "Sizes":
        discovery = story.sizes["discovery"] if count >= story.mailboxes // 10 else 0
        kinds = [story.sizes[kind] for kind in ("users", "shared", "rooms", "equipment")]
        users, shared, rooms, equipment = divide(count - discovery, kinds)
        return cls(users, shared, rooms, equipment, discovery, count / story.mailboxes)

    def scaled(self, number: int) -> int:
        """A number of the town at this size."""
        return round(number * self.scale)


def divide(total: int, weights: Sequence[float]) -> list[int]:
    """Split a number by weights so that nothing is lost: largest remainders first."""
    whole = sum(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [int(part) for part in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


@dataclass(slots=True)
class _Founder:
    story: Story
    count: int
    seed: int
    sizes: Sizes = field(init=False)
    branches: int = field(init=False)
    names: Directory = field(init=False)
    organisation: Organisation = field(init=False)
    plans: list[tuple[DepartmentPlan, Department]] = field(init=False, default_factory=list)
    databases: dict[str, list[str]] = field(init=False, default_factory=dict)
    draw: random.Random = field(init=False)
    usage: Usage = field(init=False)

    def __post_init__(self) -> None:
        self.sizes = Sizes.of(self.story, self.count)
        self.branches = max(1, round(self.sizes.users / self.story.sizes["users"]))
        self.names = Directory(stream(self.seed, "names"))
        self.draw = stream(self.seed, "usage")
        self._departments()
        self.organisation = self._frame()
        self.usage = Usage(self.draw, self.organisation.now, self.story.growth)
        self._source_databases()
        self._target_databases()

    def fill(self) -> None:
        """Everything that lives in the organisation, in a fixed order."""
        members = self._users()
        shared = self._shared()
        self._things()
        self._system_mailboxes()
        people = [(plan, here) for (plan, _), here in zip(self.plans, members, strict=True)]
        special_people(self.organisation, self.story, people, self.sizes.scale, self.usage)
        share_mailboxes(self.organisation, self.story, members, shared, stream(self.seed, "shares"))
        open_archives(self.organisation, self.story, members, self.sizes.scale)
        leave_behind(self.organisation, self.story, self.sizes.scale)
        self._sizes_of_databases()
        self._pilot_move(members)

    def _departments(self) -> None:
        root = self.story.organisation["root_unit"]
        unit = self.story.organisation["branch_unit"]
        for branch in range(self.branches):
            top = (root,) if self.branches == 1 else (root, f"{unit} {branch + 1:03}")
            for plan in self.story.departments:
                name = plan.name if self.branches == 1 else f"{plan.name} ({top[-1]})"
                department = Department(
                    len(self.plans),
                    name,
                    (*top, plan.unit, plan.name),
                    plan.site,
                    plan.quota,
                    branch,
                )
                self.plans.append((plan, department))

    def _frame(self) -> Organisation:
        told, source, target = self.story.organisation, self.story.source, self.story.target
        domain = told["domain"]
        servers = [
            Server(
                name, f"{name.lower()}.{domain}", site, tuple(target["build"]), target["edition"],
                target["dag"],
            )
            for name, site in zip(target["servers"], target["sites"], strict=True)
        ]  # fmt: skip
        folder = rf"C:\DAGFileShareWitnesses\{target['dag'].lower()}.{domain}"
        name = source["server"]
        old = Server(
            name,
            f"{name.lower()}.{domain}",
            source["site"],
            tuple(source["build"]),
            source["edition"],
        )
        return Organisation(
            name=told["name"], domain=domain, netbios=told["netbios"],
            mail_domains=tuple(told["mail_domains"]), namespace=told["namespace"],
            seed=self.seed, now=self.story.moments["before"], servers=(old, *servers),
            dag=Dag(
                target["dag"], guid(self.seed, "dag", target["dag"]), tuple(target["servers"]),
                target["witness"], folder, target["alternate_witness"], folder,
            ),
            witness_site=target["witness_site"], answering=name, source=name,
            departments=tuple(department for _, department in self.plans),
            relay_addresses=("10.20.8.17", "10.20.8.18", "10.20.9.40-10.20.9.59", "10.30.8.0/24"),
            smart_host=f"relay.{told['mail_domains'][0]}",
            extended_protection=target.get("extended_protection", True),
        )  # fmt: skip

    def _source_databases(self) -> None:
        people = dict.fromkeys(self.story.source_quotas, 0)
        for plan in self.story.departments:
            people[plan.quota] += plan.people
        per_class = {
            name: max(1, -(-round(self.count * part / sum(people.values())) // _PER_DATABASE))
            for name, part in people.items()
        }
        most = _MOST_DATABASES // len(per_class)
        for name, number in per_class.items():
            number = min(number, most, self.branches)
            self.databases[name] = [
                self._database(
                    f"{name}{i + 1:02}" if number > 1 else name,
                    (self.organisation.source,), self.story.source_quotas[name],
                )
                for i in range(number)
            ]  # fmt: skip

    def _target_databases(self) -> None:
        servers = self.organisation.dag.servers
        least = self.story.target["databases"]
        wanted = -(-self.count // _PER_DATABASE)
        number = min(max(least, wanted + wanted % 2), _MOST_DATABASES)
        for i in range(number):
            holders = servers if i % 2 == 0 else servers[::-1]
            database = self._database(f"SE-DB{i + 1:02}", holders, self.story.target_quotas)
            self.organisation.databases[database].dag = self.organisation.dag.name

    def _database(self, name: str, servers: tuple[str, ...], quotas: Quotas) -> str:
        self.organisation.databases[name] = Database(
            name, guid(self.seed, "database", name), servers, quotas, size=148 * MIB
        )
        disk = (self.story.source if len(servers) == 1 else self.story.target)["disk_bytes"]
        for preference, server in enumerate(servers, 1):
            self.organisation.copies.append(
                Copy(name, server, preference, preference == 1, 0.0, disk, disk)
            )
        return name

    def _database_for(self, department: Department) -> str:
        candidates = self.databases[department.quota_class]
        return candidates[department.branch % len(candidates)]

    def _add(
        self, kind: Kind, who: Person, path: tuple[str, ...], database: str, created: datetime
    ) -> Mailbox:
        number = len(self.organisation.mailboxes)
        mailbox = Mailbox(
            number=number, kind=kind, guid=guid(self.seed, "object", number),
            exchange_guid=guid(self.seed, "mailbox", number), name=who.name,
            display_name=who.display_name, alias=who.alias, account=who.account,
            domain=self.organisation.mail_domains[0], path=path, database=database,
            created=created,
        )  # fmt: skip
        self.organisation.mailboxes.append(mailbox)
        return mailbox

    def _created(self, days: int) -> datetime:
        back = timedelta(seconds=self.draw.randrange(86400, days * 86400))
        return self.organisation.now - back

    def _users(self) -> list[list[Mailbox]]:
        """The people, department by department; the first of each is its head."""
        weights = [plan.people for plan, _ in self.plans]
        members = []
        for (plan, department), people in zip(
            self.plans, divide(self.sizes.users, weights), strict=True
        ):
            database = self._database_for(department)
            here = []
            for place in range(people):
                mailbox = self._add(
                    Kind.USER, self.names.person(), department.path, database, self._created(3500)
                )
                mailbox.department = department.name
                mailbox.office = f"{department.site} {100 + (mailbox.number * 7) % 380}"
                mailbox.title = "Leitung" if place == 0 else plan.title
                self.usage.fill(self.organisation, mailbox)
                here.append(mailbox)
            members.append(here)
        return members

    def _shared(self) -> list[list[Mailbox]]:
        weights = [plan.people for plan, _ in self.plans]
        shared = []
        for (plan, department), number in zip(
            self.plans, divide(self.sizes.shared, weights), strict=True
        ):
            here = []
            for i in range(number):
                name = _SHARED_NAMES[i % len(_SHARED_NAMES)].format(d=plan.name)
                mailbox = self._add(
                    Kind.SHARED, self.names.thing(name, "f-"), (*department.path, "Funktionen"),
                    self._database_for(department), self._created(3500),
                )  # fmt: skip
                mailbox.department = department.name
                mailbox.office = department.site
                self.usage.fill(self.organisation, mailbox)
                here.append(mailbox)
            shared.append(here)
        own = [mailbox for here in shared for mailbox in here]
        for mailbox in self.draw.sample(own, min(len(own), self.story.singles["own_shared"])):
            mailbox.use_database_quotas, mailbox.own = False, TWO_GB
            self.usage.fill(self.organisation, mailbox)
        return shared

    def _things(self) -> None:
        """Rooms, equipment and the discovery mailbox: no department, only a place."""
        root = self.story.organisation["root_unit"]
        sites = list(dict.fromkeys(plan.site for plan in self.story.departments))
        kinds = (
            (Kind.ROOM, self.sizes.rooms, _ROOM_NAMES, "Räume", "r-"),
            (Kind.EQUIPMENT, self.sizes.equipment, _EQUIPMENT_NAMES, "Geräte", "g-"),
        )
        everywhere = [name for names in self.databases.values() for name in names]
        for kind, number, patterns, unit, prefix in kinds:
            for i in range(number):
                site = sites[i % len(sites)]
                name = patterns[i % len(patterns)].format(n=f"{site} {i // len(patterns) + 1}")
                mailbox = self._add(
                    kind, self.names.thing(name, prefix), (root, unit),
                    everywhere[i % len(everywhere)], self._created(3500),
                )  # fmt: skip
                mailbox.office = site
                self.usage.hold(mailbox, self.draw.randrange(2 * MIB, 40 * MIB))
        for _ in range(self.sizes.discovery):
            mailbox = self._system(Kind.DISCOVERY, _DISCOVERY, ("Users",), everywhere[0])
            mailbox.own = Quotas(50 * GIB, 50 * GIB, 50 * GIB)

    def _system(self, kind: Kind, name: str, path: tuple[str, ...], database: str) -> Mailbox:
        plain = name.replace("{", "").replace("}", "")
        account = f"SM_{guid(self.seed, 'account', name)[:13].replace('-', '')}"
        who = Person("", "", name, "Microsoft Exchange", plain, account)
        mailbox = self._add(kind, who, path, database, self.organisation.now - timedelta(days=3600))
        mailbox.domain = self.organisation.mail_domains[0]
        mailbox.hidden = True
        mailbox.use_database_quotas, mailbox.own = False, NO_LIMITS
        self.usage.hold(mailbox, self.draw.randrange(MIB, 24 * MIB))
        mailbox.growth = 0.0
        return mailbox

    def _system_mailboxes(self) -> None:
        """Arbitration, audit log, public folders and the health mailboxes of every database."""
        first = next(iter(self.organisation.databases))
        for name in _ARBITRATION:
            if "%s" in name:
                name = name % guid(self.seed, "organisation")[9:]
            self._system(Kind.ARBITRATION, name, ("Users",), first)
        self._system(Kind.AUDIT_LOG, _AUDIT_LOG, ("Users",), first)
        folders = max(1, min(100, self.sizes.scaled(self.story.sizes["public_folders"])))
        for i in range(folders):
            who = self.names.thing(f"Öffentliche Ordner {i + 1}", "pf-")
            mailbox = self._add(
                Kind.PUBLIC_FOLDER, who, ("Users",), first,
                self.organisation.now - timedelta(days=3000),
            )  # fmt: skip
            mailbox.use_database_quotas, mailbox.own = False, _PUBLIC_FOLDERS
            mailbox.hidden, mailbox.root_public_folder = True, i == 0
            self.usage.hold(mailbox, self.draw.randrange(1 * GIB, 6 * GIB))
        unit = ("Microsoft Exchange System Objects", "Monitoring Mailboxes")
        for database in self.organisation.databases.values():
            for server in database.servers:
                words = guid(self.seed, "health", database.name, server).replace("-", "")
                mailbox = self._system(
                    Kind.MONITORING, f"HealthMailbox{words}", unit, database.name
                )
                mailbox.account = f"HealthMailbox{words[:7]}"
                mailbox.display_name = f"HealthMailbox-{server}-{database.name}"

    def _sizes_of_databases(self) -> None:
        for mailbox in self.organisation.present():
            database = self.organisation.databases[mailbox.database]
            database.size += mailbox.used + mailbox.deleted
            if mailbox.archive is not None:
                self.organisation.databases[mailbox.archive.database].size += mailbox.archive.used
        for database in self.organisation.databases.values():
            if not database.dag:
                database.white_space = database.size // 9
                database.size += database.white_space
        for copy in self.organisation.copies:
            copy.disk_total = max(
                copy.disk_total, 3 * self.organisation.databases[copy.database].size
            )
            copy.disk_free = copy.disk_total - self.organisation.databases[copy.database].size

    def _pilot_move(self, members: list[list[Mailbox]]) -> None:
        """The first volunteer's move has been running for a few minutes."""
        for (plan, _), here in zip(self.plans, members, strict=True):
            candidates = [m for m in here[2:] if m.use_database_quotas and m.last_logon is not None]
            if plan.pilot and candidates:
                moment = self.organisation.now
                self.organisation.now -= self.organisation.move_time(candidates[0]) * 0.6
                target = next(name for name, d in self.organisation.databases.items() if d.dag)
                self.organisation.move(candidates[0], target)
                self.organisation.advance(moment)
                return
