"""What the directory holds: the domain's accounts and groups, and the configuration.

    forest = Forest(organisation, now)
    for entry in forest.entries(forest.base, timedelta(minutes=15)): ...

The entries follow from the organisation each time they are asked for; nothing is copied, so
50,000 mailboxes cost nothing until somebody searches. `foreign` are other domains of the
forest, of which this one holds nothing and refers to them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailmig.lab.directory import computers, configuration, sids
from mailmig.lab.directory.configuration import plain
from mailmig.lab.directory.few import Few
from mailmig.lab.directory.people import (
    UNIVERSAL_SECURITY_GROUP,
    Person,
    Plain,
    Values,
    number,
    text,
)  # fmt: skip
from mailmig.lab.directory.replication import Replication
from mailmig.lab.directory.syntaxes import folded
from mailmig.lab.organisation import Organisation
from mailmig.lab.places import ADMIN_GROUP, Places, rdn
from mailmig.wire.security_descriptor import sid_bytes

AnyEntry = Person | Plain
# As Setup of Exchange 2019 CU15 and SE RTM leaves them (health.md 2.12 ad_schema).
PREPARED: Final = (17_003, 16_763)

_AGE: Final = timedelta(days=3_900)
# Short names of classes in filters, and their objects in the schema.
_CATEGORIES: Final = {
    "person": "Person", "user": "Person", "organizationalperson": "Person", "group": "Group",
    "computer": "Computer", "organizationalunit": "Organizational-Unit",
    "domaindns": "Domain-DNS", "msexchprivatemdb": "ms-Exch-Private-MDB",
    "msexchexchangeserver": "ms-Exch-Exchange-Server", "ntdsdsa": "NTDS-DSA", "site": "Site",
    "serviceconnectionpoint": "Service-Connection-Point", "crossref": "Cross-Ref",
}  # fmt: skip


@dataclass(slots=True)
class Standing:
    """A domain controller as the others know it: its short name and its site.

    `delay` is how long the changes of others take to reach it; since `cut_at` none does.
    """

    name: str
    site: str
    delay: timedelta = timedelta(0)
    cut_at: datetime | None = None
    is_global_catalog: bool = True

    def behind(self, now: datetime) -> timedelta:
        """The age of the youngest change of others that it may know."""
        return self.delay + (now - self.cut_at if self.cut_at is not None else timedelta(0))


class Forest:
    """One domain and its configuration; shared by all its controllers."""

    def __init__(
        self,
        organisation: Organisation,
        now: Callable[[], datetime],
        *,
        controllers: tuple[Standing, ...] = (),
        foreign: tuple[str, ...] = (),
        subnets: Mapping[str, str] | None = None,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self.organisation: Organisation = organisation
        self.now = now
        self.lock = lock or nullcontext()
        self.foreign = foreign
        self.places: Places = Places(organisation.domain, organisation.name)
        self.base = self.places.base
        self.configuration = f"CN=Configuration,{self.base}"
        self.schema = f"CN=Schema,{self.configuration}"
        self.born = organisation.now - _AGE
        sites = [server.site for server in organisation.servers]
        self.sites = tuple(dict.fromkeys((*sites, organisation.witness_site)))
        self.controllers = controllers or tuple(
            Standing(f"ls-dc{i}", site) for i, site in enumerate(dict.fromkeys(sites), 1)
        )
        # Subnets and the sites that they belong to.
        self.subnets = dict(subnets or {
            f"10.{20 + 10 * place}.0.0/16": site for place, site in enumerate(self.sites)
        })  # fmt: skip
        # What Setup of Exchange wrote: rangeUpper of the schema, objectVersion of the organisation.
        self.schema_version, self.organisation_version = PREPARED
        # (group, server) that should be and is not; groups in a server's token that nobody sees.
        self.not_members: set[tuple[str, str]] = set()
        self.more_groups: dict[str, int] = {}
        # Servers of Exchange that are domain controllers too; sites without anything in them.
        self.promoted: set[str] = set()
        self.more_sites = 0
        self.replication = Replication(organisation, now)
        self._configured = Few(lambda: configuration.entries(self), now)
        self._computers = Few(lambda: computers.entries(self), now)
        self._schema = Few(lambda: configuration.schema(self), now)
        self._databases: dict[str, bytes] = {}
        self._rights: dict[str, tuple[int, dict[int, list[int]]]] = {}
        self._back: dict[str, tuple[object, dict[int, list[int]]]] = {}
        self._groups_of: tuple[int, dict[int, list[int]]] = (-1, {})
        self._numbers: dict[str, int] = {}
        self._numbered = 0

    def contexts(self) -> tuple[str, ...]:
        """The naming contexts that a controller holds."""
        return (self.base, self.configuration, self.schema)

    def context_of(self, dn: str) -> str | None:
        """The naming context that a folded name lies in; None for one of nobody here."""
        for context in (self.schema, self.configuration, self.base):
            low = folded(context)
            if dn == low or dn.endswith("," + low):
                head = dn.removesuffix(low).rstrip(",")
                last = head.rpartition(",")[2]
                return None if last.startswith("dc=") else context
        return None

    def look(self) -> None:
        """Write down what changed since the last look; a change counts from then."""
        self.replication.look()
        self.look_at_few()

    def look_at_few(self) -> None:
        """The same without the mailboxes, which are many."""
        for few in (self._configured, self._computers, self._schema):
            few.look()

    def standing(self, controller: str) -> Standing:
        """The controller of this short name; every name is one of a controller that exists."""
        return next(one for one in self.controllers if one.name == controller)

    def entries(self, context: str, delay: timedelta) -> Iterator[AnyEntry]:
        """All objects of a naming context as a controller with this delay knows them."""
        if context == self.configuration:
            yield from self._configured.entries(delay)
        elif context == self.schema:
            yield from self._schema.entries(delay)
        else:
            yield from self._few(delay)
            yield from self.people(delay)

    def people(self, delay: timedelta) -> Iterator[Person]:
        """The accounts of all mailboxes that a controller with this delay knows."""
        parents: dict[tuple[str, ...], str] = {}
        states = self.replication.states(delay)
        for mailbox, state in zip(self.organisation.mailboxes, states, strict=True):
            if state is None:
                continue
            parent = parents.get(mailbox.path)
            if parent is None:
                parent = parents[mailbox.path] = folded(self.places.unit(mailbox.path)[1])
            yield Person(self, mailbox, state, parent)

    def find(self, dn: str, delay: timedelta) -> AnyEntry | None:
        """The object with this folded name, if this controller knows it."""
        number = self._number_of(dn)
        if number is not None:
            state = self.replication.states(delay)[number]
            if state is None:
                return None
            mailbox = self.organisation.mailboxes[number]
            return Person(self, mailbox, state, folded(self.places.unit(mailbox.path)[1]))
        context = self.context_of(dn)
        if context is None:
            return None
        few = self.entries(context, delay) if context != self.base else self._few(delay)
        return next((entry for entry in few if folded(entry.dn) == dn), None)

    def category(self, class_name: str) -> str:
        """The value of objectCategory for a class."""
        return f"CN={_CATEGORIES.get(class_name.lower(), class_name)},{self.schema}"

    def site_dn(self, site: str) -> str:
        return f"CN={rdn(site)},CN=Sites,{self.configuration}"

    def controller_dn(self, name: str) -> str:
        site = next(one.site for one in self.controllers if one.name == name)
        return f"CN={name.upper()},CN=Servers,{self.site_dn(site)}"

    def computer_dn(self, name: str, *, controller: bool) -> str:
        unit = "OU=Domain Controllers" if controller else "CN=Computers"
        return f"CN={rdn(name)},{unit},{self.base}"

    def server_dn(self, name: str) -> str:
        return self.places.configuration((name, "Servers", ADMIN_GROUP, "Administrative Groups"))

    @property
    def dag_dn(self) -> str:
        names = (self.organisation.dag.name, "Database Availability Groups", ADMIN_GROUP)
        return self.places.configuration((*names, "Administrative Groups"))

    def database_dn(self, name: str) -> bytes:
        found = self._databases.get(name)
        if found is None:
            names = (name, "Databases", ADMIN_GROUP, "Administrative Groups")
            found = self._databases[name] = self.places.configuration(names).encode()
        return found

    def trustees(self, right: str, owner: int) -> list[bytes]:
        """The SIDs that hold a right ("full_access", "send_as") on a mailbox."""
        numbers = self._granted(right).get(owner, ())
        return [sids.trustee_sid(self.organisation, one) for one in numbers]

    def account_dns(self, numbers: tuple[int, ...] | list[int]) -> Values:
        """The names of these mailboxes' accounts; links to what is gone vanish."""
        mailboxes = self.organisation.mailboxes
        return [
            self.places.distinguished(mailboxes[one].path, mailboxes[one].name).encode()
            for one in numbers
            if not mailboxes[one].gone
        ]

    def auto_mapped(self, number: int) -> Values:
        """Whose Outlook opens this mailbox by itself: those with mapped Full Access, no groups."""
        return self.account_dns(
            [
                one
                for one in self._granted("full_access").get(number, ())
                if one >= 0 and (number, one) not in self.organisation.full_access.unmapped
            ]
        )

    def back_links(self, link: str, number: int) -> Values:
        """The other end of "on_behalf" or "auto_mapped"."""
        rights = link == "auto_mapped"
        version: object = self.organisation.full_access.version if rights else self.now()
        known, back = self._back.get(link, (None, {}))
        if known != version:
            back = {}
            for owner, trustee in self._links(rights=rights):
                back.setdefault(trustee, []).append(owner)
            self._back[link] = version, back
        return self.account_dns(back.get(number, []))

    def _links(self, *, rights: bool) -> Iterator[tuple[int, int]]:
        """Pairs of an owner and who may use his mailbox."""
        if rights:
            granted = self.organisation.full_access
            yield from (pair for pair in granted if pair not in granted.unmapped)
            return
        for mailbox in self.organisation.present():
            for trustee in mailbox.on_behalf:
                yield mailbox.number, trustee

    def member_of(self, number: int) -> Values:
        """The groups that hold an account, or a group (`-1 - place`), directly."""
        version, groups_of = self._groups_of
        if version != len(self.organisation.principals):
            groups_of = {}
            for place, principal in enumerate(self.organisation.principals):
                for member in principal.members:
                    groups_of.setdefault(member, []).append(place)
            self._groups_of = len(self.organisation.principals), groups_of
        return [self._group_dn(place).encode() for place in groups_of.get(number, ())]

    def account_of(self, dn: str) -> str:
        """The account name behind a distinguished name, "" where there is none."""
        entry = self.find(folded(dn), timedelta(0))
        found = list(entry.get("samaccountname")) if entry is not None else []
        return found[0].decode() if found else ""

    def _granted(self, right: str) -> dict[int, list[int]]:
        rights = getattr(self.organisation, right)
        known, by_owner = self._rights.get(right, (-1, {}))
        if known != rights.version:
            by_owner = {}
            for owner, trustee in rights:
                by_owner.setdefault(owner, []).append(trustee)
            self._rights[right] = rights.version, by_owner
        return by_owner

    def _number_of(self, dn: str) -> int | None:
        mailboxes = self.organisation.mailboxes
        if self._numbered != len(mailboxes):
            self._numbers = {
                folded(self.places.distinguished(one.path, one.name)): one.number
                for one in mailboxes
            }
            self._numbered = len(mailboxes)
        return self._numbers.get(dn)

    def _group_dn(self, place: int) -> str:
        principal = self.organisation.principals[place]
        return self.places.distinguished(principal.path, principal.name)

    def _few(self, delay: timedelta) -> Iterator[Plain]:
        """What the domain holds beside the mailboxes' accounts."""
        yield from self._frame(delay)
        yield from self._groups()

    def _frame(self, delay: timedelta) -> Iterator[Plain]:
        """The domain itself, containers and units, built-in groups, computers, other accounts."""
        domain_sid = [sid_bytes(sids.DOMAIN)]
        label = self.organisation.domain.partition(".")[0]
        yield plain(self, self.base, ("domain", "domainDNS"),
                    {"objectSid": domain_sid, "dc": text(label), "name": text(label)})  # fmt: skip
        for name in ("Users", "Computers", "Microsoft Exchange System Objects"):
            yield plain(self, f"CN={name},{self.base}", ("container",), {})
        for name in ("Domain Controllers", computers.EXCHANGE_GROUPS):
            yield plain(self, f"OU={name},{self.base}", ("organizationalUnit",), {"ou": text(name)})
        for path in sorted(self._units()):
            dn = self.places.unit(path)[1]
            kind = "organizationalUnit" if dn[:3] == "OU=" else "container"
            unit = text(path[-1]) if dn[:3] == "OU=" else []
            yield plain(self, dn, (kind,), {"ou": unit, "name": text(path[-1])})
        yield from self._computers.entries(delay)
        for place, (guid, account, department) in enumerate(self.organisation.accounts_only):
            values = {
                "sAMAccountName": text(account), "objectSid": [sids.account_sid(place)],
                "userPrincipalName": text(f"{account}@{self.organisation.domain}"),
                "displayName": text(account), "department": text(department),
                "userAccountControl": number(512), "primaryGroupID": number(sids.DOMAIN_USERS),
            }  # fmt: skip
            dn = f"CN={rdn(account)},CN=Users,{self.base}"
            yield plain(self, dn, ("person", "organizationalPerson", "user"), values, guid)

    def _units(self) -> set[tuple[str, ...]]:
        """All paths that lead to an account or a group, with those above them."""
        paths = {mailbox.path for mailbox in self.organisation.mailboxes}
        paths |= {group.path for group in self.organisation.principals if group.is_group}
        whole = {path[: i + 1] for path in paths for i in range(len(path))}
        return whole - {("Users",), ("Microsoft Exchange System Objects",)}

    def _groups(self) -> Iterator[Plain]:
        for place, group in enumerate(self.organisation.principals):
            if not group.is_group:
                continue
            members = [
                self._group_dn(-1 - one).encode() if one < 0 else self.account_dns([one])
                for one in group.members
            ]
            flat = [m for one in members for m in ([one] if isinstance(one, bytes) else one)]
            yield plain(
                self, self._group_dn(place), ("group",),
                {"name": text(group.name), "cn": text(group.name),
                 "displayName": text(group.name), "sAMAccountName": text(group.account),
                 "objectSid": [sids.group_sid(place)], "member": flat,
                 "groupType": number(UNIVERSAL_SECURITY_GROUP),
                 "memberOf": self.member_of(-1 - place)},
                group.guid,
            )  # fmt: skip
