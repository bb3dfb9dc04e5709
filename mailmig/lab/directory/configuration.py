"""The objects of the configuration: sites, controllers, Exchange's servers, DAG and databases.

They are few, so all are made anew for each search, from the organisation as it is now.
Whether Active Directory always knows on which server of a DAG a database is mounted is not
established: here msExchOwningServer names the one that holds it active.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab.databases import Database
from mailmig.lab.directory import people
from mailmig.lab.directory.people import Plain, Values, binary, kilobytes, number, text
from mailmig.lab.directory.syntaxes import folded, parent, rdns
from mailmig.lab.organisation import guid
from mailmig.lab.places import ADMIN_GROUP, rdn
from mailmig.model.organisation import Build, Server
from mailmig.model.quota import GIB

if TYPE_CHECKING:
    from mailmig.lab.directory.forest import Forest

# Keywords of Exchange's service connection points: the one with a URL (migration.md 12.1).
URL_KEYWORD: Final = "77378F46-2C66-4aa9-A6A6-3E7A48B19596"
_GROUPS: Final = "Administrative Groups"
# Exchange keeps a build as this much more than people write: 15.2 (Build 32562.17).
_BUILD_OFFSET: Final = 30_000
# A mailbox server of 2016 and later: mailbox, client access, transport, unified messaging.
_MAILBOX_ROLES: Final = 16_439
_DAG_ONLY: Final = 1
_GLOBAL_CATALOG: Final = 1
_DOMAIN_PARTITION: Final = 3
_CONTAINER: Final = ("container",)


def entries(forest: "Forest") -> Iterator[Plain]:
    """All objects of the configuration."""
    yield from _frame(forest)
    yield from _sites(forest)
    yield from _organisation(forest)
    for server in forest.organisation.servers:
        yield from _server(forest, server)
    yield from _dag(forest)
    for database in forest.organisation.databases.values():
        yield from _database(forest, database)


def schema(forest: "Forest") -> Iterator[Plain]:
    """What is asked of the schema: its version as Setup of Exchange wrote it."""
    yield plain(forest, forest.schema, ("dMD",), {})
    yield plain(
        forest, f"CN=ms-Exch-Schema-Version-Pt,{forest.schema}", ("attributeSchema",),
        {"rangeUpper": number(forest.schema_version)},
    )  # fmt: skip


def plain(
    forest: "Forest", dn: str, classes: Iterable[str], values: dict[str, Values], known: str = ""
) -> Plain:
    """An object with what every object has; `known` is its GUID where somebody else knows it."""
    created: datetime = forest.born
    name = rdns(dn)[0][1]
    classes = ("top", *classes)
    return Plain(
        dn,
        folded(parent(dn)),
        {
            "objectClass": [one.encode() for one in classes],
            "objectCategory": text(forest.category(classes[-1])),
            "distinguishedName": text(dn),
            "name": text(name),
            "cn": text(name) if dn[:3].upper() == "CN=" else [],
            "objectGUID": binary(known or guid(forest.organisation.seed, "ldap", dn)),
            "whenCreated": people.moment(created),
            "whenChanged": people.moment(created + timedelta(days=861)),
            **values,
        },
    )


def _frame(forest: "Forest") -> Iterator[Plain]:
    top = forest.configuration
    yield plain(forest, top, ("configuration",), {})
    for name in ("Sites", "Services", "Partitions"):
        kind = {"Sites": "sitesContainer", "Partitions": "crossRefContainer"}.get(name, "container")
        yield plain(forest, f"CN={name},{top}", (kind,), {})
    netbios = forest.organisation.netbios
    yield plain(
        forest, f"CN={netbios},CN=Partitions,{top}", ("crossRef",),
        {"nCName": text(forest.base), "nETBIOSName": text(netbios),
         "dnsRoot": text(forest.organisation.domain), "systemFlags": number(_DOMAIN_PARTITION)},
    )  # fmt: skip
    for name, context in (("Enterprise Configuration", top), ("Enterprise Schema", forest.schema)):
        yield plain(
            forest, f"CN={name},CN=Partitions,{top}", ("crossRef",),
            {"nCName": text(context), "dnsRoot": text(forest.organisation.domain),
             "systemFlags": number(1)},
        )  # fmt: skip
    for foreign in forest.foreign:
        label = foreign.partition(".")[0].upper()
        yield plain(
            forest, f"CN={label},CN=Partitions,{top}", ("crossRef",),
            {"nCName": text(",".join(f"DC={part}" for part in foreign.split("."))),
             "nETBIOSName": text(label), "dnsRoot": text(foreign),
             "systemFlags": number(_DOMAIN_PARTITION)},
        )  # fmt: skip


def _sites(forest: "Forest") -> Iterator[Plain]:
    top = f"CN=Sites,{forest.configuration}"
    subnets = f"CN=Subnets,{top}"
    yield plain(forest, subnets, ("subnetContainer",), {})
    for site in (*forest.sites, *(f"Site-{n + 1}" for n in range(forest.more_sites))):
        dn = forest.site_dn(site)
        yield plain(forest, dn, ("site",), {"location": text(site)}, guid("site", site))
        yield plain(forest, f"CN=Servers,{dn}", ("serversContainer",), {})
    for network, site in forest.subnets.items():
        values = {"siteObject": text(forest.site_dn(site))}
        yield plain(forest, f"CN={network},{subnets}", ("subnet",), values)
    for controller in forest.controllers:
        dn = forest.controller_dn(controller.name)
        name = f"{controller.name}.{forest.organisation.domain}"
        yield plain(
            forest, dn, ("server",),
            {"dNSHostName": text(name),
             "serverReference": text(forest.computer_dn(controller.name.upper(), controller=True))},
        )  # fmt: skip
        contexts = [one.encode() for one in (forest.base, forest.configuration, forest.schema)]
        yield plain(
            forest, f"CN=NTDS Settings,{dn}", ("applicationSettings", "nTDSDSA"),
            {"hasMasterNCs": contexts, "msDS-HasDomainNCs": contexts[:1],
             "options": number(_GLOBAL_CATALOG * controller.is_global_catalog)},
        )  # fmt: skip


def _organisation(forest: "Forest") -> Iterator[Plain]:
    name = forest.organisation.name
    services = f"CN=Microsoft Exchange,CN=Services,{forest.configuration}"
    yield plain(forest, services, ("msExchConfigurationContainer",), {})
    top = forest.places.configuration(())
    build = max(server.build for server in forest.organisation.servers)
    yield plain(
        forest, top, ("container", "msExchOrganizationContainer"),
        {"objectVersion": number(forest.organisation_version), "displayName": text(name),
         "serialNumber": text(serial(build))},
        guid(forest.organisation.seed, "organisation"),
    )  # fmt: skip
    yield plain(forest, f"CN={_GROUPS},{top}", ("msExchAdminGroupContainer",), {})
    groups = f"CN={rdn(ADMIN_GROUP)},CN={_GROUPS},{top}"
    yield plain(forest, groups, ("msExchAdminGroup",), {})
    for inner, kind in (
        ("Servers", "msExchServersContainer"),
        ("Databases", "msExchMDBContainer"),
        ("Database Availability Groups", "msExchMDBAvailabilityGroupContainer"),
    ):
        yield plain(forest, f"CN={inner},{groups}", (*_CONTAINER, kind), {})


def _server(forest: "Forest", server: Server) -> Iterator[Plain]:
    dn = forest.server_dn(server.name)
    protocols = ("ncacn_vns_spp", "netbios", "ncacn_np", "ncacn_spx", "ncalrpc")
    addresses = [f"{protocol}:{server.name}".encode() for protocol in protocols]
    values = {
        "serialNumber": text(serial(server.build)),
        "versionNumber": number(_version_number(server.build)),
        "networkAddress": [*addresses, f"ncacn_ip_tcp:{server.fqdn}".encode()],
        "msExchServerSite": text(forest.site_dn(server.site)),
        "msExchCurrentServerRoles": number(_MAILBOX_ROLES),
        "legacyExchangeDN": text(forest.places.legacy_server(server.name)),
        "msExchMDBAvailabilityGroupLink": text(forest.dag_dn) if server.dag else [],
    }
    names = (server.name, "Servers", ADMIN_GROUP, _GROUPS)
    known = guid(forest.organisation.seed, *names)
    yield plain(forest, dn, ("server", "msExchExchangeServer"), values, known)
    yield plain(forest, f"CN=Protocols,{dn}", ("container", "protocolCfg"), {})
    parent_dn = f"CN=Autodiscover,CN=Protocols,{dn}"
    yield plain(forest, parent_dn, ("container", "protocolCfg"), {})
    url = forest.organisation.autodiscover_url(server)
    yield plain(
        forest, f"CN={rdn(server.name)},{parent_dn}",
        ("leaf", "connectionPoint", "serviceConnectionPoint"),
        {"keywords": [URL_KEYWORD.encode(), f"Site={server.site}".encode()],
         "serviceBindingInformation": text(url) if url else [],
         "serviceClassName": text("ms-Exchange-AutoDiscover-Service"),
         "serviceDNSName": text(server.name)},
    )  # fmt: skip


def _dag(forest: "Forest") -> Iterator[Plain]:
    dag = forest.organisation.dag
    share = dag.witness_folder.rpartition("\\")[2]
    yield plain(
        forest, forest.dag_dn, ("msExchMDBAvailabilityGroup",),
        {"msExchFileShareWitness": text(rf"\\{dag.witness}\{share}"),
         "msExchFileShareWitnessDirectory": text(dag.witness_folder),
         "msExchDatacenterActivationMode": number(_DAG_ONLY)},
        dag.guid,
    )  # fmt: skip


def _database(forest: "Forest", database: Database) -> Iterator[Plain]:
    dn = forest.database_dn(database.name).decode()
    master = forest.dag_dn if database.dag else forest.server_dn(database.server)
    values = {
        "mDBStorageQuota": kilobytes(database.quotas.warn),
        "mDBOverQuotaLimit": kilobytes(database.quotas.send),
        "mDBOverHardQuotaLimit": kilobytes(database.quotas.receive),
        "msExchDumpsterQuota": kilobytes(database.recoverable),
        "msExchDumpsterWarningQuota": kilobytes(20 * GIB),
        "msExchOwningServer": text(forest.server_dn(database.server)),
        "msExchMasterServerOrAvailabilityGroup": text(master),
    }
    yield plain(forest, dn, ("msExchMDB", "msExchPrivateMDB"), values, database.guid)
    preferences = {
        copy.server: copy.preference
        for copy in forest.organisation.copies
        if copy.database == database.name
    }
    for server in database.servers:
        yield plain(
            forest, f"CN={rdn(server)},{dn}", ("msExchMDBCopy",),
            {"msExchHostServerLink": text(forest.server_dn(server)),
             "msExchActivationPreference": number(preferences.get(server, 1))},
        )  # fmt: skip


def serial(build: Build) -> str:
    """A build as the directory spells it: "Version 15.2 (Build 32562.17)"."""
    major, minor, number, revision = build
    return f"Version {major}.{minor} (Build {_BUILD_OFFSET + number}.{revision})"


def _version_number(build: Build) -> int:
    """The same as a number; [MEM] its layout: 7 bits of "valid", major, minor, build."""
    major, minor, number, _ = build
    return 0x70000000 | major << 22 | minor << 16 | 0x8000 | number
