"""Asks one domain controller over LDAP: mailboxes, rights, databases, servers, sites.

    async with Directory("ls-dc1.town.example", settings, password) as directory:
        mailboxes = await directory.mailboxes()
        edges = await directory.edges()

A controller shows what has reached it: another may be some minutes ahead. It holds its own
domain; mailboxes of other domains of the forest are asked for at one of theirs. What the
directory does not know at all: sizes, the state of copies, folder rights, and which mailbox
is the root of the public folders. Quotas are KB there and bytes here.

What the configuration says is read once for each connection. Rights come from security
descriptors (`wire.security_descriptor`), trustees are spelt as the cmdlets print them.
"""

from collections import Counter
from collections.abc import Collection, Iterable
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
    TrusteeKind,
)  # fmt: skip
from mailmig.model.forest import AutodiscoverPoint, Site, SiteController
from mailmig.model.names import AddressMap
from mailmig.model.organisation import Server
from mailmig.model.secret import Secret
from mailmig.model.snapshot import Gap
from mailmig.sources.directory_configuration import ATTRIBUTES, QUESTION, Configuration
from mailmig.sources.directory_connection import (
    DACL_ONLY,
    DirectoryConnection,
    DirectorySettings,
)  # fmt: skip
from mailmig.sources.directory_errors import NoExchange, QuestionFailed
from mailmig.sources.directory_trustees import PRINCIPAL, PRINCIPALS, Trustees
from mailmig.sources.directory_values import Raw, Values, canonical, canonical_unit, parent
from mailmig.wire.security_descriptor import BadDescriptor, full_access, send_as

__all__ = ["Directory", "DirectorySettings"]

# msExchRecipientTypeDetails (migration.md 2.1), in the words of the cmdlets.
TYPE_NAMES: Final = {
    1: "UserMailbox", 2: "LinkedMailbox", 4: "SharedMailbox", 8: "LegacyMailbox",
    16: "RoomMailbox", 32: "EquipmentMailbox", 8192: "SystemAttendantMailbox",
    16384: "SystemMailbox", 8_388_608: "ArbitrationMailbox", 536_870_912: "DiscoveryMailbox",
    2_147_483_648: "RemoteUserMailbox", 8_589_934_592: "RemoteRoomMailbox",
    17_179_869_184: "RemoteEquipmentMailbox", 34_359_738_368: "RemoteSharedMailbox",
    68_719_476_736: "PublicFolderMailbox", 137_438_953_472: "TeamMailbox",
    549_755_813_888: "MonitoringMailbox", 70_368_744_177_664: "AuditLogMailbox",
}  # fmt: skip

MAILBOXES_FILTER: Final = "(msExchMailboxGuid=*)"
MAILBOX_ATTRIBUTES: Final = (
    "objectGUID", "msExchMailboxGuid", "msExchRecipientTypeDetails", "mail", "proxyAddresses",
    "displayName", "mailNickname", "sAMAccountName", "userPrincipalName", "legacyExchangeDN",
    "department", "homeMDB", "msExchHomeServerName", "mDBUseDefaults", "mDBStorageQuota",
    "mDBOverQuotaLimit", "mDBOverHardQuotaLimit", "msExchDumpsterQuota", "msExchArchiveGUID",
    "msExchArchiveDatabaseLink", "msExchArchiveWarnQuota", "msExchArchiveQuota",
    "msExchELCMailboxFlags", "msExchUserHoldPolicies", "msExchHideFromAddressLists",
)  # fmt: skip
_RIGHTS: Final = (
    "msExchMailboxGuid", "msExchMailboxSecurityDescriptor", "nTSecurityDescriptor",
    "publicDelegates",
)  # fmt: skip
_TOP: Final = (
    "defaultNamingContext", "configurationNamingContext", "rootDomainNamingContext",
    "namingContexts", "dnsHostName",
)  # fmt: skip
# msExchELCMailboxFlags: the bit of a litigation hold.
_ON_HOLD: Final = 8


class Directory:
    """One domain controller. Use one instance in one event loop, in `async with`.

    All questions raise `DirectoryUnreachable`, `Elsewhere`, `TooManyObjects` and `QuestionFailed`.
    """

    def __init__(
        self,
        server: str,
        settings: DirectorySettings,
        password: Secret,
        addresses: AddressMap | None = None,
    ) -> None:
        self.server = server
        self._connection = DirectoryConnection(server, settings, password, addresses)
        self._values = Values()
        self._base = ""
        self._configuration_base = ""
        self._configuration: Configuration | None = None
        self._trustees: Trustees | None = None
        self._bad_descriptors = 0

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
        return tuple(found)

    async def mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes of the domain, of every kind; their usage is unknown here."""
        configuration = await self.configuration()
        values = self._values

        def make(dn: str, raw: Raw) -> Mailbox | None:
            values.take(dn, raw)
            return _mailbox(values, configuration)

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

    async def edges(self) -> tuple[Edge, ...]:
        """Full Access, Send As and Send on behalf: explicit, allowing, of others.

        A SID of this domain that nobody has is an orphan; one of another domain is an account
        that we cannot see from here. Equal edges come once.
        """
        trustees = await self.trustees()
        values = self._values

        def make(dn: str, raw: Raw) -> list[Edge] | None:
            values.take(dn, raw)
            owner = values.guid("msExchMailboxGuid")
            return self._edges(owner, trustees) if owner else None

        pages = self._connection.pages(
            self._base, MAILBOXES_FILTER, _RIGHTS, make, controls=(DACL_ONLY,)
        )
        return tuple([edge async for page in pages for edges in page for edge in edges])

    async def groups(self, guids: Collection[str] | None = None) -> tuple[Group, ...]:
        """Groups with all mailboxes in them, however they are nested: these, or all.

        Whoever belongs to a group as his primary one is in it, too.
        """
        trustees = await self.trustees()
        return trustees.groups(guids)

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

    async def trustees(self) -> Trustees:
        """Everybody in the domain who has a SID, read once."""
        if self._trustees is None:
            configuration = await self.configuration()
            found = Trustees(configuration.netbios(self._base))
            values = self._values

            def learn(dn: str, raw: Raw) -> tuple[str, Raw] | None:
                values.take(dn, raw)
                return (dn, raw) if found.learn(values) else None

            pages = self._connection.pages(self._base, PRINCIPALS, PRINCIPAL, learn)
            many = [row async for page in pages for row in page]
            for dn, raw in many:  # groups of which a part came only
                members = await self._connection.all_values(dn, "member", raw)
                found.members(dn, [member.decode("utf-8", "replace") for member in members])
            self._trustees = found
        return self._trustees

    async def _look_at_the_top(self) -> None:
        raw = await self._connection.one("", _TOP)
        values = Values()
        values.take("", raw or {})
        contexts = values.texts("namingContexts")
        self._base = values.text("defaultNamingContext") or next(iter(contexts), "")
        if not self._base:
            raise QuestionFailed(self.server, "rootDSE", "no naming context", "")
        told = values.text("configurationNamingContext")
        self._configuration_base = told or f"CN=Configuration,{self._base}"

    def _edges(self, owner: str, trustees: Trustees) -> list[Edge]:
        """The edges of the mailbox that `_values` stands at."""
        values, edges = self._values, []
        for attribute, right, granted in (
            ("msExchMailboxSecurityDescriptor", Right.FULL_ACCESS, full_access),
            ("nTSecurityDescriptor", Right.SEND_AS, send_as),
        ):
            raw = values.bytes(attribute)
            if not raw:
                continue
            try:
                sids = granted(raw)
            except BadDescriptor:
                self._bad_descriptors += 1
                continue
            edges += _of_one(owner, right, map(trustees.by_sid, sids))
        if values.has("publicDelegates"):
            names = map(trustees.by_name, values.texts("publicDelegates"))
            edges += _of_one(owner, Right.SEND_ON_BEHALF, names)
        return edges


def _of_one(
    owner: str, right: Right, trustees: Iterable[tuple[TrusteeKind, str, str]]
) -> list[Edge]:
    """Edges of one owner, without his own and without doubles (two SIDs of one person)."""
    found = {
        Edge(owner, right, text, kind, who): None for kind, who, text in trustees if who != owner
    }
    return list(found)


def _mailbox(values: Values, configuration: Configuration) -> Mailbox | None:
    guid = values.guid("msExchMailboxGuid")
    if not guid:
        return None
    kind_text = _kind_text(values.number("msExchRecipientTypeDetails"))
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
    return "" if number is None else TYPE_NAMES.get(number, str(number))


def _address(values: Values) -> str:
    """The primary address: the one with SMTP in capitals."""
    for address in values.raw.get("proxyAddresses") or ():
        if address[:5] == b"SMTP:":
            return address[5:].decode("utf-8", "replace")
    return values.text("mail")


def _archive(values: Values, configuration: Configuration) -> Archive | None:
    if not values.has("msExchArchiveGUID"):
        return None
    guid = values.guid("msExchArchiveGUID")
    if not guid.strip("0-"):
        return None
    database = configuration.home(values.text("msExchArchiveDatabaseLink")).database
    warn, quota = values.quota("msExchArchiveWarnQuota"), values.quota("msExchArchiveQuota")
    return Archive(guid, database, warn, quota)


def _on_hold(values: Values) -> bool:
    flags = values.number("msExchELCMailboxFlags") or 0
    return bool(flags & _ON_HOLD) or values.has("msExchUserHoldPolicies")
