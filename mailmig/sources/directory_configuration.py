"""What the configuration of a forest says: Exchange's servers and databases, sites, controllers.

Objects name each other by distinguished names; here they become the short names that admins
use. Databases of a DAG have one object below them for each copy; which copy is mounted is not
in the directory for sure, see `Directory.databases`.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from mailmig.model.database import Dag, Database
from mailmig.model.forest import AutodiscoverPoint, Site, SiteController
from mailmig.model.organisation import Server, version_name
from mailmig.sources.directory_values import Raw, Values, above, first

# The one question that reads it all, and what is asked of each object.
QUESTION: Final = (
    "(|(objectClass=msExchExchangeServer)(objectClass=msExchMDBAvailabilityGroup)"
    "(objectClass=msExchPrivateMDB)(objectClass=msExchMDBCopy)(objectClass=site)"
    "(objectClass=subnet)(objectClass=crossRef)(objectClass=nTDSDSA)(objectClass=nTDSDSARO)"
    "(&(objectClass=server)(dNSHostName=*))(objectClass=serviceConnectionPoint))"
)
ATTRIBUTES: Final = (
    "objectClass", "objectGUID", "serialNumber", "networkAddress", "msExchServerSite",
    "msExchMDBAvailabilityGroupLink", "msExchFileShareWitness",
    "msExchDatacenterActivationMode", "mDBStorageQuota", "mDBOverQuotaLimit",
    "mDBOverHardQuotaLimit", "msExchDumpsterQuota", "msExchOwningServer",
    "msExchMasterServerOrAvailabilityGroup", "msExchHostServerLink",
    "msExchActivationPreference", "siteObject", "nCName", "nETBIOSName", "dNSHostName",
    "options", "keywords", "serviceBindingInformation",
)  # fmt: skip
# Keywords of Exchange's connection points: one with a URL, one that leads to another forest.
_URL: Final = "77378f46-2c66-4aa9-a6a6-3e7a48b19596"
_POINTER: Final = "67661d7f-8fc4-4fa7-bfac-e1d7794c1f68"
_GLOBAL_CATALOG: Final = 1
_MODES: Final = {0: "Off", 1: "DagOnly"}


class Home(NamedTuple):
    """Where a database is, by its names."""

    database: str = ""
    server: str = ""
    site: str = ""
    version: str = "unknown"


class Configuration:
    """The configuration as values; `read` fills it."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.organisation = ""
        self.servers: tuple[Server, ...] = ()
        self.dags: tuple[Dag, ...] = ()
        self.databases: tuple[Database, ...] = ()
        self.sites: tuple[Site, ...] = ()
        self.controllers: tuple[SiteController, ...] = ()
        self.autodiscover_points: tuple[AutodiscoverPoint, ...] = ()
        self._homes: dict[str, Home] = {}
        self._netbios: dict[str, str] = {}

    @property
    def faults(self) -> Counter[str]:
        """How often which attribute could not be read."""
        return self._values.faults

    def read(self, rows: Iterable[tuple[str, Raw]]) -> None:
        """Take all objects of the configuration, in any order."""
        kinds: dict[str, list[tuple[str, Raw]]] = {}
        for dn, raw in rows:
            for name in raw.get("objectClass", ()):
                kinds.setdefault(name.decode("utf-8", "replace").lower(), []).append((dn, raw))
        self._read_partitions(kinds.get("crossref", []))
        self._read_sites(kinds.get("site", []), kinds.get("subnet", []))
        self._read_servers(kinds.get("msexchexchangeserver", []))
        self._read_dags(kinds.get("msexchmdbavailabilitygroup", []))
        self._read_databases(kinds.get("msexchprivatemdb", []), kinds.get("msexchmdbcopy", []))
        hosts = [row for row in kinds.get("server", []) if row[1].get("dNSHostName")]
        self._read_controllers(hosts, kinds.get("ntdsdsa", []), kinds.get("ntdsdsaro", []))
        self._read_points(kinds.get("serviceconnectionpoint", []))

    def home(self, database_dn: str) -> Home:
        """The database of this name, with its server's site and version."""
        found = self._homes.get(database_dn)
        if found is None:
            found = self._homes.get(database_dn.lower())
            if found is None:
                found = Home(first(database_dn))
            self._homes[database_dn] = found
        return found

    @property
    def domains(self) -> tuple[str, ...]:
        """The distinguished names of all domains of the forest, in small letters."""
        return tuple(self._netbios)

    def netbios(self, domain_dn: str) -> str:
        """The short name of a domain, as accounts are printed with it; "" where it has none."""
        return self._netbios.get(domain_dn.lower(), "")

    def _read_partitions(self, rows: list[tuple[str, Raw]]) -> None:
        for dn, raw in rows:
            self._values.take(dn, raw)
            if self._values.has("nETBIOSName"):
                context = self._values.text("nCName").lower()
                self._netbios[context] = self._values.text("nETBIOSName")

    def _read_sites(self, rows: list[tuple[str, Raw]], subnets: list[tuple[str, Raw]]) -> None:
        values = self._values
        of_site: dict[str, list[str]] = {}
        for dn, raw in subnets:
            values.take(dn, raw)
            of_site.setdefault(values.text("siteObject").lower(), []).append(first(dn))
        self.sites = tuple(
            Site(first(dn), tuple(sorted(of_site.get(dn.lower(), ())))) for dn, _ in rows
        )

    def _read_servers(self, rows: list[tuple[str, Raw]]) -> None:
        values, found = self._values, []
        for dn, raw in rows:
            values.take(dn, raw)
            addresses = (text.partition(":") for text in values.texts("networkAddress"))
            fqdn = next((to for kind, _, to in addresses if kind == "ncacn_ip_tcp"), "")
            # Servers, administrative group, administrative groups: above them is the organisation.
            self.organisation = first(above(above(above(above(dn)))))
            found.append(
                Server(
                    first(dn),
                    fqdn,
                    first(values.text("msExchServerSite")),
                    values.build("serialNumber"),
                    dag=first(values.text("msExchMDBAvailabilityGroupLink")),
                )
            )
        self.servers = tuple(found)

    def _read_dags(self, rows: list[tuple[str, Raw]]) -> None:
        values, found = self._values, []
        for dn, raw in rows:
            values.take(dn, raw)
            share = values.text("msExchFileShareWitness")
            members = tuple(sorted(one.name for one in self.servers if one.dag == first(dn)))
            mode = values.number("msExchDatacenterActivationMode")
            word = "" if mode is None else _MODES.get(mode, str(mode))
            found.append(Dag(first(dn), members, share.lstrip("\\").partition("\\")[0], word))
        self.dags = tuple(found)

    def _read_databases(self, rows: list[tuple[str, Raw]], copies: list[tuple[str, Raw]]) -> None:
        values, found = self._values, []
        holders = self._holders(copies)
        dags = {dag.name for dag in self.dags}
        servers = {server.name: server for server in self.servers}
        for dn, raw in rows:
            values.take(dn, raw)
            name, server = first(dn), first(values.text("msExchOwningServer"))
            master = first(values.text("msExchMasterServerOrAvailabilityGroup"))
            held = tuple(holders.get(dn.lower(), ())) or ((server,) if server else ())
            found.append(
                Database(
                    name,
                    values.guid("objectGUID"),
                    server,
                    held,
                    master if master in dags else "",
                    values.quotas(),
                    values.quota("msExchDumpsterQuota"),
                )
            )
            on = servers.get(server)
            site = on.site if on else ""
            version = version_name(on.build) if on else "unknown"
            self._homes[dn.lower()] = Home(name, server, site, version)
        self.databases = tuple(found)

    def _holders(self, copies: list[tuple[str, Raw]]) -> dict[str, list[str]]:
        """The servers that hold each database, the most preferred first."""
        values = self._values
        ranked: dict[str, list[tuple[int, str]]] = {}
        for dn, raw in copies:
            values.take(dn, raw)
            server = first(values.text("msExchHostServerLink")) or first(dn)
            place = values.number("msExchActivationPreference") or 0
            ranked.setdefault(above(dn).lower(), []).append((place, server))
        return {dn: [server for _, server in sorted(pairs)] for dn, pairs in ranked.items()}

    def _read_controllers(
        self,
        hosts: list[tuple[str, Raw]],
        writable: list[tuple[str, Raw]],
        read_only: list[tuple[str, Raw]],
    ) -> None:
        """A controller is a server object of a site with directory settings below it."""
        values, names, found = self._values, {}, []
        for dn, raw in hosts:
            values.take(dn, raw)
            names[dn.lower()] = values.text("dNSHostName").lower()
        for rows, ro in ((writable, False), (read_only, True)):
            for dn, raw in rows:
                values.take(dn, raw)
                host = above(dn)
                options = values.number("options") or 0
                site = first(above(above(host)))
                name = names.get(host.lower(), first(host).lower())
                found.append(SiteController(name, site, bool(options & _GLOBAL_CATALOG), ro))
        self.controllers = tuple(found)

    def _read_points(self, rows: list[tuple[str, Raw]]) -> None:
        values, found = self._values, []
        for dn, raw in rows:
            values.take(dn, raw)
            keywords = values.texts("keywords")
            folded = {word.lower() for word in keywords}
            if not folded & {_URL, _POINTER}:
                continue  # of another product
            sites = [word[5:] for word in keywords if word[:5].lower() == "site="]
            others = [
                word
                for word in keywords
                if word[:5].lower() != "site=" and word.lower() not in (_URL, _POINTER)
            ]
            url = values.text("serviceBindingInformation")
            found.append(AutodiscoverPoint(first(dn), url, tuple(sites), tuple(others)))
        self.autodiscover_points = tuple(found)
