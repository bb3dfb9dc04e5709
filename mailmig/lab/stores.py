"""The organisation, its servers and the databases as Exchange's objects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from mailmig.lab import setting_values
from mailmig.lab import values as v
from mailmig.lab.availability import Availability
from mailmig.lab.databases import MOUNT_DIALS, POLICIES, Database
from mailmig.lab.objects import Configuration, Live
from mailmig.lab.organisation import guid
from mailmig.model.directory import Kind
from mailmig.model.organisation import Server
from mailmig.model.quota import GIB, MIB
from mailmig.wire.clixml import Obj, Value

_EDITIONS: Final = {"Standard": 1, "Enterprise": 3}


class Stores(Configuration):
    """Objects of the organisation, servers and databases; those of the DAG and the copies too."""

    def files(self) -> dict[str, Callable[[], Iterator[tuple[str, Live]]]]:
        """Per file: ToString and given properties of each object, in order."""
        return {
            "organization": lambda: self.organisation.settings.applied(
                self._organization(), setting_values.makers(self)
            ),
            "servers": self._servers,
            "mailbox_servers": self._mailbox_servers,
            "databases": self._databases,
            **Availability(self.organisation, self.places, self.culture).files(),
        }

    def _organization(self) -> Iterator[tuple[str, Live]]:
        name = self.organisation.name
        object_guid = guid(self.organisation.seed, "organisation")
        dn = self.places.configuration(())
        own = v.directory_id(self.places, dn, name, "Microsoft Exchange", object_guid, name)
        folders = next(iter(self.organisation.present(Kind.PUBLIC_FOLDER)), None)
        root = v.NO_GUID if folders is None else UUID(folders.exchange_guid)
        changed = self.organisation.now - timedelta(days=30)
        yield (
            name,
            {
                "Name": name, "Identity": own, "Id": own, "Guid": UUID(object_guid),
                "DistinguishedName": dn,
                "ObjectCategory": v.schema_id(
                    self.places, "ms-Exch-Organization-Container", guid("schema", "organisation")
                ),
                "ObjectClass": v.strings(("top", "container", "msExchOrganizationContainer")),
                **self.dates(changed, changed - timedelta(days=3600)),
                "OrganizationId": v.organization_id(),
                "OriginatingServer": f"ls-dc1.{self.places.domain}",
                "LegacyExchangeDN": f"/o={name}",
                **self._organization_lists(name),
                "MapiHttpEnabled": True,
                "EwsEnabled": None,
                "PublicFoldersEnabled": v.enum(
                    f"{v.DIRECTORY}.PublicFoldersDeployment", "Local", 1
                ),
                "PublicFoldersLockedForMigration": False,
                "PublicFolderMigrationComplete": False,
                "PublicFolderMailboxesLockedForNewConnections": False,
                "PublicFolderMailboxesMigrationComplete": False,
                "RootPublicFolderMailbox": Obj(
                    (f"{v.DATA}.PublicFolderInformation", "System.Object"),
                    str(root) if folders else "",
                    {
                        "IsValid": folders is not None, "CanUpdate": True,
                        "HierarchyMailboxGuid": root, "LockedForMigration": False,
                    },
                ),
                "RemotePublicFolderMailboxes": v.identities(),
                "DefaultPublicFolderProhibitPostQuota": v.limit(self.culture, 2 * GIB),
            },
        )  # fmt: skip

    def _organization_lists(self, name: str) -> Live:
        """What the organisation's own recipient, its resource lists and its policies look like."""
        local = f"MicrosoftExchange{guid(self.organisation.seed, name).replace('-', '')}"
        address = f"{local}@{self.organisation.mail_domains[0]}"
        rooms = ("All Rooms", "All Address Lists", "Address Lists Container")
        policy = ("OrgWideDefault", "Auth Policies")
        return {
            "MicrosoftExchangeRecipientEmailAddresses": v.proxy_addresses([address]),
            "MicrosoftExchangeRecipientPrimarySmtpAddress": v.smtp_address(address),
            "ResourceAddressLists": v.identities(
                [v.configuration_id(self.places, rooms, guid("list", rooms), "\\All Rooms")]
            ),
            "DistributionGroupNamingPolicy": Obj(
                (f"{v.SYSTEM}.DistributionGroupNamingPolicy", "System.Object"), "",
                {"PrefixElements": None, "SuffixElements": None, "IsEmpty": True},
                v.blob("DistributionGroupNamingPolicy", 250),
            ),
            "DefaultAuthenticationPolicy": v.configuration_id(
                self.places, policy, guid("policy", policy)
            ),
        }  # fmt: skip

    def _servers(self) -> Iterator[tuple[str, Live]]:
        for server in self.organisation.servers:
            yield (
                server.name,
                {
                    **self.common(
                        self.server_names(server.name), "ms-Exch-Exchange-Server", "server",
                        "msExchExchangeServer",
                    ),
                    "Domain": self.places.domain,
                    "Edition": v.enum(
                        f"{v.DATA}.ServerEditionType", server.edition, _EDITIONS[server.edition]
                    ),
                    "ExchangeLegacyDN": self.places.legacy_server(server.name),
                    "Fqdn": server.fqdn,
                    "Site": v.site_id(self.places, server.site, guid("site", server.site)),
                    "AdminDisplayVersion": v.server_version(server.build),
                    "ServerRole": v.enum(f"{v.SYSTEM}.ServerRole", "Mailbox", 2),
                    "IsMailboxServer": True, "IsEdgeServer": False,
                    "OrganizationalUnit": f"{self.places.domain}/{server.name}",
                    "NetworkAddress": self._network_addresses(server),
                    "CurrentDomainControllers": v.strings(),
                    "CurrentGlobalCatalogs": v.strings(),
                    "CurrentConfigDomainController": "",
                },
            )  # fmt: skip

    def controllers(self, server: str) -> Live:
        """The domain controllers that a server uses, those of its site: told with `-Status` only."""
        sites = list(dict.fromkeys(one.site for one in self.organisation.servers))
        site = self.organisation.server(server).site
        name = f"ls-dc{sites.index(site) + 1}.{self.places.domain}"
        return {
            "CurrentDomainControllers": v.strings([name]),
            "CurrentGlobalCatalogs": v.strings([name]),
            "CurrentConfigDomainController": name,
        }

    @staticmethod
    def _network_addresses(server: Server) -> Obj:
        types = (
            f"{v.DATA}.NetworkAddressCollection",
            f"{v.DATA}.ProtocolAddressCollection`1[[{v.DATA}.NetworkAddress, {v.DATA}, {v.TOKEN}]]",
            *v.many(f"{v.DATA}.NetworkAddress, {v.DATA}, {v.TOKEN}"),
        )
        element = (
            f"{v.DATA}.CustomNetworkAddress", f"{v.DATA}.NetworkAddress",
            f"{v.DATA}.ProtocolAddress", "System.Object",
        )  # fmt: skip
        names = {
            "ncacn_vns_spp": server.name, "netbios": server.name, "ncacn_np": server.name,
            "ncacn_spx": server.name, "ncacn_ip_tcp": server.fqdn, "ncalrpc": server.name,
        }  # fmt: skip
        return Obj(
            types,
            value=[
                Obj(element, f"{protocol}:{to}", {"ProtocolType": protocol, "AddressString": to})
                for protocol, to in names.items()
            ],
        )

    def _mailbox_servers(self) -> Iterator[tuple[str, Live]]:
        for server in self.organisation.servers:
            activation = self.organisation.activation[server.name]
            yield (
                server.name,
                {
                    **self.common(
                        self.server_names(server.name), "ms-Exch-Exchange-Server", "server",
                        "msExchExchangeServer",
                    ),
                    "DatabaseAvailabilityGroup": self.dag_id() if server.dag else None,
                    "DatabaseCopyAutoActivationPolicy": v.enum(
                        f"{v.SYSTEM}.DatabaseCopyAutoActivationPolicyType", activation.policy,
                        POLICIES[activation.policy],
                    ),
                    "DatabaseCopyActivationDisabledAndMoveNow": activation.move_now is not None,
                    "AutoDatabaseMountDial": v.enum(
                        f"{v.SYSTEM}.AutoDatabaseMountDial", activation.mount_dial,
                        MOUNT_DIALS[activation.mount_dial],
                    ),
                    "MaximumActiveDatabases": activation.maximum,
                    "MaximumPreferredActiveDatabases": activation.preferred,
                    "AdminDisplayVersion": v.server_version(server.build),
                    "ServerRole": v.enum(f"{v.SYSTEM}.ServerRole", "Mailbox", 2),
                },
            )  # fmt: skip

    def _databases(self) -> Iterator[tuple[str, Live]]:
        for database in self.organisation.databases.values():
            yield (
                database.name,
                {
                    **self.common(
                        self.database_names(database.name), "ms-Exch-Private-MDB", "msExchMDB",
                        "msExchPrivateMDB", known=database.guid,
                    ),
                    **self._database_places(database),
                    **self._database_limits(database),
                    **self._database_state(database),
                },
            )  # fmt: skip

    def _database_places(self, database: Database) -> Live:
        owner = self.dag_id() if database.dag else self.server_id(database.server, with_guid=True)
        folder = rf"D:\Databases\{database.name}"
        copies = sorted(self.organisation.copies_of(database), key=lambda copy: copy.server)
        preferences = _pairs({copy.server: copy.preference for copy in copies})
        lags = {copy.server: v.time_span(copy.replay_lag) for copy in copies}
        none = dict.fromkeys(lags, v.time_span(timedelta()))
        replicated = database.dag and len(copies) > 1
        return {
            "Server": self.server_id(database.server, with_guid=True),
            "ServerName": database.server,
            "AdminDisplayVersion": v.server_version(
                self.organisation.server(database.server).build
            ),
            "Servers": v.identities([self.server_id(s, with_guid=True) for s in database.servers]),
            "MasterServerOrAvailabilityGroup": owner,
            "MasterType": v.enum(
                f"{v.SYSTEM}.MasterType",
                "DatabaseAvailabilityGroup" if database.dag else "Server", 1 if database.dag else 0,
            ),
            "ReplicationType": v.enum(
                f"{v.SYSTEM}.ReplicationType", "Remote" if replicated else "None",
                2 if replicated else 0,
            ),
            "DatabaseCopies": self._copy_ids(database, [copy.server for copy in copies]),
            "InvalidDatabaseCopies": self._copy_ids(database, database.half_removed),
            "ActivationPreference": preferences,
            "ReplayLagTimes": _pairs(lags),
            "TruncationLagTimes": _pairs(none),
            "EdbFilePath": v.local_path(rf"{folder}\{database.name}.edb"),
            "LogFolderPath": v.local_path(rf"E:\Logs\{database.name}"),
        }  # fmt: skip

    def _copy_ids(self, database: Database, servers: Sequence[str]) -> Obj:
        return v.identities(
            [
                v.configuration_id(
                    self.places, (server, *self.database_names(database.name)), None,
                    rf"{database.name}\{server}",
                )
                for server in servers
            ]
        )  # fmt: skip

    def _database_limits(self, database: Database) -> Live:
        culture = self.culture
        return {
            "CircularLoggingEnabled": database.circular_logging,
            "Recovery": False,
            "IssueWarningQuota": v.limit(culture, database.quotas.warn),
            "ProhibitSendQuota": v.limit(culture, database.quotas.send),
            "ProhibitSendReceiveQuota": v.limit(culture, database.quotas.receive),
            "RecoverableItemsQuota": v.limit(culture, database.recoverable),
            "RecoverableItemsWarningQuota": v.limit(culture, 20 * GIB),
            "CalendarLoggingQuota": v.limit(culture, 6 * GIB),
            "DeletedItemRetention": v.time_span(timedelta(days=14)),
            "MailboxRetention": v.time_span(timedelta(days=30)),
            "DataMoveReplicationConstraint": v.enum(
                f"{v.SYSTEM}.DataMoveReplicationConstraintParameter",
                "SecondDatacenter" if database.dag else "None", 2 if database.dag else 0,
            ),
        }  # fmt: skip

    def _database_state(self, database: Database) -> Live:
        backup = self.organisation.backups.of(database.name)
        return {
            "MountAtStartup": database.mount_at_startup,
            "WorkerProcessId": 6024 if database.mounted else None,
            "BackupInProgress": self.organisation.backups.in_progress(
                database, self.organisation.now
            ),
            "SnapshotLastFullBackup": None if backup.full is None else True,
            "SnapshotLastIncrementalBackup": None if backup.incremental is None else True,
            "Mounted": database.mounted,
            "MountedOnServer": self.organisation.server(database.server).fqdn,
            "DatabaseSize": v.size(self.culture, -(-database.size // MIB) * MIB),
            "AvailableNewMailboxSpace": v.size(self.culture, database.white_space // MIB * MIB),
            "LastFullBackup": backup.full,
            "LastIncrementalBackup": backup.incremental,
        }


def _pairs(by_server: Mapping[str, int | Obj]) -> Obj:
    """A list of servers with a value each: `{[EX1, 1], [EX2, 2]}`."""
    pairs: list[Value] = []
    for server, value in by_server.items():
        number = isinstance(value, int)
        argument = f"System.Int32, {v.MSCORLIB}"
        if not number:
            argument = f"{v.DATA}.EnhancedTimeSpan, {v.DATA}, {v.TOKEN}"
        key = f"{v.DIRECTORY}.ADObjectId, {v.DIRECTORY}, {v.TOKEN}"
        pair = f"System.Collections.Generic.KeyValuePair`2[[{key}],[{argument}]]"
        types = (pair, "System.ValueType", "System.Object")
        shown = value.text if isinstance(value, Obj) else value
        pairs.append(Obj(types, f"[{server}, {shown}]", {"Key": server, "Value": value}))
    return Obj(("System.Object[]", "System.Array", "System.Object"), value=pairs)
