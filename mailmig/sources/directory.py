"""Asks one domain controller over LDAP: mailboxes, rights, databases, servers, sites.

    async with Directory("ls-dc1.town.example", settings) as directory:
        everybody = await directory.everybody()
        everybody.mailboxes, everybody.edges, everybody.trustees

A controller shows what has reached it: another may be some minutes ahead. It holds its own
domain; mailboxes of other domains of the forest are asked for at one of theirs. What the
directory does not know at all: sizes, the state of copies, folder rights, and which mailbox
is the root of the public folders. Quotas are KB there and bytes here.

What the configuration says is read once for each connection. Rights come from security
descriptors (`wire.security_descriptor`), trustees are spelt as the cmdlets print them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from types import TracebackType
from typing import Final, Self

from mailmig.model.database import Dag, Database
from mailmig.model.directory import (
    KINDS,
    Archive,
    Edge,
    Group,
    Kind,
    Mailbox,
    Right,
)  # fmt: skip
from mailmig.model.forest import AutodiscoverPoint, Site, SiteController
from mailmig.model.names import AddressMap
from mailmig.model.organisation import Server
from mailmig.model.snapshot import Gap
from mailmig.sources.directory_configuration import ATTRIBUTES, QUESTION, Configuration
from mailmig.sources.directory_connection import (
    DACL_ONLY,
    Control,
    DirectoryConnection,
)  # fmt: skip
from mailmig.sources.directory_errors import NoExchange, QuestionFailed
from mailmig.sources.directory_settings import DirectorySettings
from mailmig.sources.directory_trustees import (
    ELSEWHERE,
    OTHERS,
    PRINCIPAL,
    Trustee,
    Trustees,
)
from mailmig.sources.directory_values import Raw, Values, canonical, canonical_unit, parent
from mailmig.sources.export_rows import RECIPIENT_TYPES
from mailmig.sources.remote_logon import LogonGate
from mailmig.wire.security_descriptor import BadDescriptor, full_access, send_as

__all__ = ["Directory", "DirectorySettings"]

MAILBOXES_FILTER: Final = "(msExchMailboxGuid=*)"
MAILBOX_ATTRIBUTES: Final = (
    "objectGUID", "msExchMailboxGuid", "msExchRecipientTypeDetails", "mail", "proxyAddresses",
    "displayName", "mailNickname", "sAMAccountName", "userPrincipalName", "legacyExchangeDN",
    "department", "homeMDB", "msExchHomeServerName", "mDBUseDefaults", "mDBStorageQuota",
    "mDBOverQuotaLimit", "mDBOverHardQuotaLimit", "msExchDumpsterQuota", "msExchArchiveGUID",
    "msExchArchiveDatabaseLink", "msExchArchiveWarnQuota", "msExchArchiveQuota",
    "msExchELCMailboxFlags", "msExchUserHoldPolicies", "msExchHideFromAddressLists",
)  # fmt: skip
_HELD_IN: Final = {
    "msExchMailboxSecurityDescriptor": Right.FULL_ACCESS,
    "nTSecurityDescriptor": Right.SEND_AS,
}
_RIGHTS: Final = (*_HELD_IN, "publicDelegates")
_TOP: Final = (
    "defaultNamingContext", "configurationNamingContext", "rootDomainNamingContext",
    "namingContexts", "dnsHostName", "currentTime",
)  # fmt: skip
# msExchELCMailboxFlags: the bit of a litigation hold.
_ON_HOLD: Final = 8

OnPage = Callable[[int], None]
"""Told how many objects have come so far."""


@dataclass(frozen=True, slots=True)
class Everybody:
    """The domain's people: all mailboxes, the rights on them, and who may hold one."""

    mailboxes: tuple[Mailbox, ...]
    edges: tuple[Edge, ...]
    trustees: Trustees


@dataclass(frozen=True, slots=True)
class _Grants:
    """Who may use one mailbox, as the directory holds it: SIDs, and distinguished names.

    `cut` is its entry where only a part of `on_behalf` came.
    """

    owner: str
    full_access: list[bytes]
    send_as: list[bytes]
    on_behalf: list[str]
    cut: tuple[str, Raw] | None = None


class Directory:
    """One domain controller. Use one instance in one event loop, in `async with`.

    All questions raise `DirectoryUnreachable`, `Elsewhere`, `TooManyObjects` and `QuestionFailed`.
    """

    def __init__(
        self,
        server: str,
        settings: DirectorySettings,
        addresses: AddressMap | None = None,
        gate: LogonGate | None = None,
    ) -> None:
        self.server = server
        self._connection = DirectoryConnection(server, settings, addresses, gate)
        self._values = Values()
        self._base = ""
        self.opened_at: datetime | None = None  # by the controller's clock, if it tells
        self._configuration_base = ""
        self._configuration: Configuration | None = None
        self._everybody: Everybody | None = None
        self._bad_descriptors = 0
        self._no_descriptors: Counter[str] = Counter()  # by attribute
        self._doubles: dict[str, None] = {}  # distinguished names

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect, log on once, and learn which parts of the directory the controller holds.

        Raises:
            DirectoryUnreachable, NotTrusted, NoEncryption, BadLogon,
            WrongPassword, AccountLocked, LogonRefused, SigningRequired
        """
        try:
            await self._connection.open()
            await self._look_at_the_top()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the connection; may be called more than once."""
        await self._connection.close()

    @property
    def base(self) -> str:
        """The distinguished name of the controller's domain."""
        return self._base

    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read so far, and what that costs."""
        faults = Counter(self._values.faults)
        if self._configuration is not None:
            faults += self._configuration.faults
        found = [
            Gap(f"LDAP attribute {name}: cannot be used {times:,} times", "it counts as missing")
            for name, times in sorted(faults.items())
        ]
        if self._bad_descriptors:
            found.append(
                Gap(
                    f"{self._bad_descriptors:,} security descriptors cannot be read",
                    "rights on these mailboxes are missing",
                )
            )
        found += [
            Gap(
                f"{name} was not shown of {count:,} mailboxes",
                f"{_HELD_IN[name].value} on them is unknown: may the account read it?",
            )
            for name, count in sorted(self._no_descriptors.items())
        ]
        if self._doubles:
            found.append(
                Gap(
                    f"mailboxes with the ExchangeGuid of another one: {len(self._doubles):,} "
                    f"(the first: {next(iter(self._doubles))})",
                    "of each ExchangeGuid the first one counts, the others are left out",
                )
            )
        return tuple(found)

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes of the domain, of every kind; their usage is unknown here."""
        configuration = await self.configuration()
        values, seen = self._values, set[str]()

        def make(dn: str, raw: Raw) -> Mailbox | None:
            values.take(dn, raw)
            return self._once(_mailbox(values, configuration), seen)

        pages = self._connection.pages(self._base, MAILBOXES_FILTER, MAILBOX_ATTRIBUTES, make)
        return tuple([mailbox async for page in pages for mailbox in page])

    async def databases(self) -> tuple[Database, ...]:
        """The mailbox databases; sizes are not in the directory.

        In a DAG, `server` is the one that the directory names, which may lag behind a switch.
        """
        return (await self.configuration()).databases

    async def servers(self) -> tuple[Server, ...]:
        """The Exchange servers; their edition is not in the directory."""
        return (await self.configuration()).servers

    async def dags(self) -> tuple[Dag, ...]:
        """The database availability groups with their members."""
        return (await self.configuration()).dags

    async def sites(self) -> tuple[Site, ...]:
        """The sites of Active Directory with their subnets."""
        return (await self.configuration()).sites

    async def autodiscover_points(self) -> tuple[AutodiscoverPoint, ...]:
        """Where domain-joined Outlooks begin: the service connection points of Exchange."""
        return (await self.configuration()).autodiscover_points

    async def domain_controllers(self) -> tuple[SiteController, ...]:
        """All domain controllers of the forest."""
        return (await self.configuration()).controllers

    async def everybody(self, on_page: OnPage | None = None) -> Everybody:
        """Mailboxes and rights in one go: Full Access, Send As, Send on behalf. Read once.

        Rights are explicit, allowing, of others. A SID of this domain that nobody has is an
        orphan; one of another domain is an account that we cannot see from here. Equal edges
        come once, those of one right together.
        """
        if self._everybody is None:
            self._everybody = await self._read(_RIGHTS, (DACL_ONLY,), on_page)
        return self._everybody

    async def edges(self) -> tuple[Edge, ...]:
        """The rights of `everybody`."""
        return (await self.everybody()).edges

    async def groups(self, guids: Collection[str] | None = None) -> tuple[Group, ...]:
        """Groups with all mailboxes in them, however they are nested: these, or all.

        Whoever belongs to a group as his primary one is in it, too.
        """
        everybody = self._everybody or await self._read((), (), None)
        return everybody.trustees.groups(guids)

    async def configuration(self) -> Configuration:
        """Everything that the configuration says about Exchange and the sites, read once."""
        if self._configuration is None:
            values = Values()
            found = Configuration(values)
            pages = self._connection.pages(
                self._configuration_base, QUESTION, ATTRIBUTES, lambda dn, raw: (dn, raw)
            )
            found.read([row async for page in pages for row in page])
            if not found.servers:
                raise NoExchange(self.server, self._configuration_base)
            self._configuration = found
        return self._configuration

    async def _read(
        self, rights: Sequence[str], controls: Sequence[Control], on_page: OnPage | None
    ) -> Everybody:
        configuration = await self.configuration()
        trustees = Trustees(configuration.netbios(self._base))
        values, seen = self._values, set[str]()

        def make(dn: str, raw: Raw) -> tuple[Mailbox, _Grants] | None:
            values.take(dn, raw)
            trustees.learn(values)
            mailbox = self._once(_mailbox(values, configuration), seen)
            if mailbox is None:
                return None
            return mailbox, self._grants(mailbox) if rights else _Grants("", [], [], [])

        wanted = dict.fromkeys((*MAILBOX_ATTRIBUTES, *PRINCIPAL, *rights))
        pages = self._connection.pages(
            self._base, MAILBOXES_FILTER, tuple(wanted), make, controls=controls
        )
        mailboxes: list[Mailbox] = []
        grants: list[_Grants] = []
        async for page in pages:
            mailboxes += [mailbox for mailbox, _ in page]
            grants += [of_one for _, of_one in page]
            if on_page is not None:
                on_page(len(mailboxes))
        await self._others(trustees)
        for one in grants:
            if one.cut is not None:
                one.on_behalf[:] = await self._all_names("publicDelegates", *one.cut)
        by_right = zip(*(_edges(one, trustees) for one in grants), strict=True)
        edges = tuple(chain.from_iterable(chain.from_iterable(by_right)))
        return Everybody(tuple(mailboxes), edges, trustees)

    async def _others(self, trustees: Trustees) -> None:
        """Groups, accounts without a mailbox, machines: whoever else may hold a right."""
        values = self._values

        def learn(dn: str, raw: Raw) -> tuple[str, Raw] | None:
            values.take(dn, raw)
            return (dn, raw) if trustees.learn(values) else None

        pages = self._connection.pages(self._base, OTHERS, PRINCIPAL, learn)
        many = [row async for page in pages for row in page]
        for dn, raw in many:  # groups of which a part came only
            trustees.members(dn, await self._all_names("member", dn, raw))

    async def _all_names(self, attribute: str, dn: str, raw: Raw) -> list[str]:
        """The distinguished names in an attribute of an entry of which a part came only."""
        found = await self._connection.all_values(dn, attribute, raw)
        return [name.decode("utf-8", "replace") for name in found]

    async def _look_at_the_top(self) -> None:
        raw = await self._connection.one("", _TOP)
        values = Values()
        values.take("", raw or {})
        contexts = values.texts("namingContexts")
        self._base = values.text("defaultNamingContext") or next(iter(contexts), "")
        if not self._base:
            raise QuestionFailed(self.server, "rootDSE", "no naming context", "")
        self.opened_at = values.moment("currentTime")
        told = values.text("configurationNamingContext")
        self._configuration_base = told or f"CN=Configuration,{self._base}"

    def _once(self, mailbox: Mailbox | None, seen: set[str]) -> Mailbox | None:
        """The mailbox; None where there was one of its ExchangeGuid, which happens to copies."""
        if mailbox is None or mailbox.exchange_guid not in seen:
            seen.add(mailbox.exchange_guid if mailbox else "")
            return mailbox
        self._doubles[mailbox.distinguished_name] = None
        return None

    def _grants(self, mailbox: Mailbox) -> _Grants:
        """The rights on the mailbox that `_values` stands at."""
        values = self._values
        return _Grants(
            mailbox.exchange_guid,
            self._granted("msExchMailboxSecurityDescriptor", full_access, mailbox.kind),
            self._granted("nTSecurityDescriptor", send_as, mailbox.kind),
            values.texts("publicDelegates"),
            (values.dn, values.raw) if values.is_cut("publicDelegates") else None,
        )

    def _granted(
        self, attribute: str, read: Callable[[bytes], list[bytes]], kind: Kind
    ) -> list[bytes]:
        raw = self._values.bytes(attribute)
        if not raw:
            self._no_descriptors[attribute] += kind is not Kind.REMOTE
            return []
        try:
            return read(raw)
        except BadDescriptor:
            self._bad_descriptors += 1
            return []


def _edges(grants: _Grants, trustees: Trustees) -> tuple[list[Edge], list[Edge], list[Edge]]:
    """The edges of one mailbox, right by right."""
    owner = grants.owner
    return (
        _of_one(owner, Right.FULL_ACCESS, map(trustees.by_sid, grants.full_access)),
        _of_one(owner, Right.SEND_AS, map(trustees.by_sid, grants.send_as)),
        _of_one(owner, Right.SEND_ON_BEHALF, map(trustees.by_name, grants.on_behalf)),
    )


def _of_one(owner: str, right: Right, trustees: Iterable[Trustee]) -> list[Edge]:
    """Edges of one owner, without his own and without doubles (two SIDs of one person)."""
    found = {
        Edge(owner, right, text, kind, who): None for kind, who, text in trustees if who != owner
    }
    return list(found)


def _mailbox(values: Values, configuration: Configuration) -> Mailbox | None:
    guid = values.guid("msExchMailboxGuid")
    number = values.number("msExchRecipientTypeDetails")
    if not guid and len(values.bytes("msExchMailboxGuid")) == 16:
        values.faults["msExchMailboxGuid"] += 1  # it is all zero
    if not guid or number in ELSEWHERE:
        return None
    kind_text = _kind_text(number)
    home = configuration.home(values.text("homeMDB"))
    dn = values.dn
    return Mailbox(
        guid,
        KINDS.get(kind_text.lower(), Kind.OTHER),
        kind_text,
        values.guid("objectGUID"),
        _address(values),
        values.text("displayName"),
        values.text("mailNickname"),
        values.text("sAMAccountName"),
        values.text("userPrincipalName"),
        canonical(dn),
        dn,
        values.text("legacyExchangeDN"),
        values.text("department"),
        canonical_unit(parent(dn)),
        home.database,
        home.server or values.text("msExchHomeServerName").rpartition("/cn=")[2],
        home.site,
        home.version,
        values.flag("mDBUseDefaults"),
        values.quotas(),
        values.quota("msExchDumpsterQuota"),
        archive=_archive(values, configuration),
        on_hold=_on_hold(values),
        hidden=values.flag("msExchHideFromAddressLists") or False,
    )


def _kind_text(number: int | None) -> str:
    """The cmdlets' word for a recipient type; the number itself where we know no word."""
    return "" if number is None else RECIPIENT_TYPES.get(number, str(number))


def _address(values: Values) -> str:
    """The primary address: the one with SMTP in capitals."""
    for address in values.raw.get("proxyAddresses") or ():
        if address[:5] == b"SMTP:":
            return address[5:].decode("utf-8", "replace")
    return values.text("mail")


def _archive(values: Values, configuration: Configuration) -> Archive | None:
    guid = values.guid("msExchArchiveGUID")
    if not guid:
        return None
    database = configuration.home(values.text("msExchArchiveDatabaseLink")).database
    warn, quota = values.quota("msExchArchiveWarnQuota"), values.quota("msExchArchiveQuota")
    return Archive(guid, database, warn, quota)


def _on_hold(values: Values) -> bool:
    flags = values.number("msExchELCMailboxFlags") or 0
    return bool(flags & _ON_HOLD) or values.has("msExchUserHoldPolicies")
