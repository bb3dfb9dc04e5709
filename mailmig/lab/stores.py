"""The organisation, its servers, the DAG and the databases as Exchange's objects."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.objects import Configuration, Live
from mailmig.lab.organisation import COPY_LOGS_PER_S, Copy, Database, guid
from mailmig.model.directory import Kind
from mailmig.model.organisation import Server
from mailmig.model.quota import GIB, MIB
from mailmig.wire.clixml import Int64, Obj

_EDITIONS: Final = {"Standard": 1, "Enterprise": 3}
_PAIR: Final = (
    (
        f"System.Collections.Generic.KeyValuePair`2[[{v.DIRECTORY}.ADObjectId, {v.DIRECTORY}, "
        f"{v.TOKEN}],[System.Int32, {v.MSCORLIB}]]"
    ),
    "System.ValueType",
    "System.Object",
)
# Versions whose search index lies in the mailboxes: a copy has none of its own.
_INDEX_IN_MAILBOX: Final = ("2019", "SE")


class Stores(Configuration):
    """Objects of the organisation, servers, DAG, databases and their copies."""

    def files(self) -> dict[str, Callable[[], Iterator[tuple[str, Live]]]]:
        """Per file: ToString and given properties of each object, in order."""
        return {
            "organization": self._organization,
            "servers": self._servers,
            "mailbox_servers": self._mailbox_servers,
            "dags": self._dags,
            "databases": self._databases,
            "copies": self._copies,
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
                },
            )  # fmt: skip

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
            yield (
                server.name,
                {
                    **self.common(
                        self.server_names(server.name), "ms-Exch-Exchange-Server", "server",
                        "msExchExchangeServer",
                    ),
                    "DatabaseAvailabilityGroup": self.dag_id() if server.dag else None,
                    "DatabaseCopyAutoActivationPolicy": v.enum(
                        f"{v.SYSTEM}.DatabaseCopyAutoActivationPolicyType", "Unrestricted", 0
                    ),
                    "DatabaseCopyActivationDisabledAndMoveNow": False,
                    "AutoDatabaseMountDial": v.enum(
                        f"{v.SYSTEM}.AutoDatabaseMountDial", "GoodAvailability", 6
                    ),
                    "MaximumActiveDatabases": None,
                    "AdminDisplayVersion": v.server_version(server.build),
                    "ServerRole": v.enum(f"{v.SYSTEM}.ServerRole", "Mailbox", 2),
                },
            )  # fmt: skip

    def _dags(self) -> Iterator[tuple[str, Live]]:
        dag = self.organisation.dag
        servers = [self.server_id(name, with_guid=True) for name in dag.servers]
        yield (
            dag.name,
            {
                **self.common(
                    self.dag_names(), "ms-Exch-MDB-Availability-Group",
                    "msExchMDBAvailabilityGroup", known=dag.guid,
                ),
                "Servers": v.identities(servers),
                "WitnessServer": dag.witness,
                "WitnessDirectory": v.local_path(dag.witness_folder),
                "AlternateWitnessServer": "",
                "AlternateWitnessDirectory": None,
                "DatacenterActivationMode": v.enum(
                    f"{v.SYSTEM}.DatacenterActivationModeOption", "DagOnly", 1
                ),
                "StartedMailboxServers": v.strings(
                    self.organisation.server(name).fqdn for name in dag.servers
                ),
                "StoppedMailboxServers": v.strings(),
                "OperationalServers": v.identities(
                    [self.server_id(name, with_guid=True) for name in dag.servers]
                ),
                "PrimaryActiveManager": self.server_id(dag.servers[0], with_guid=True),
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
        preferences = {
            copy.server: copy.preference
            for copy in self.organisation.copies
            if copy.database == database.name
        }
        pairs = [
            Obj(_PAIR, f"[{server}, {place}]", {"Key": server, "Value": place})
            for server, place in sorted(preferences.items())
        ]
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
                f"{v.SYSTEM}.ReplicationType", "Remote" if database.dag else "None",
                2 if database.dag else 0,
            ),
            "ActivationPreference": Obj(("System.Object[]", "System.Array", "System.Object"),
                                        value=list(pairs)),
            "EdbFilePath": v.local_path(rf"{folder}\{database.name}.edb"),
            "LogFolderPath": v.local_path(rf"E:\Logs\{database.name}"),
        }  # fmt: skip

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
        backup = (self.organisation.now - timedelta(hours=19)).replace(minute=41, second=7)
        return {
            "Mounted": database.mounted,
            "MountedOnServer": self.organisation.server(database.server).fqdn,
            "DatabaseSize": v.size(self.culture, -(-database.size // MIB) * MIB),
            "AvailableNewMailboxSpace": v.size(self.culture, database.white_space // MIB * MIB),
            "LastFullBackup": backup,
            "LastIncrementalBackup": None,
        }

    def _copies(self) -> Iterator[tuple[str, Live]]:
        for database in self.organisation.databases.values():
            for copy in self.organisation.copies:
                if copy.database == database.name:
                    yield self.copy_status(database, copy)

    def _copy_state(self, database: Database, copy: Copy) -> tuple[str, int]:
        """Status of a copy with its number; those beyond the first two are from memory."""
        if copy.server in self.organisation.down:
            return "ServiceDown", 7
        if copy.active:
            return ("Mounted", 11) if database.mounted else ("Dismounted", 12)
        return "Healthy", 4

    def copy_status(self, database: Database, copy: Copy) -> tuple[str, Live]:
        """A row of Get-MailboxDatabaseCopyStatus."""
        text = f"{copy.database}\\{copy.server}"
        names = (copy.server, *self.database_names(copy.database))
        queue = 0 if copy.active else round(copy.queue_logs)
        lag = timedelta(seconds=queue / COPY_LOGS_PER_S + 3)
        status = self._copy_state(database, copy)
        state = f"{v.DATA}.ContentIndexStatusType"
        inside = self.organisation.server(copy.server).version in _INDEX_IN_MAILBOX
        identity = v.configuration_id(
            self.places, names, guid(self.organisation.seed, "copy", text), text
        )
        return text, {
            "Identity": identity,
            "Id": identity,
            "Name": text,
            "DatabaseName": copy.database,
            "MailboxServer": copy.server,
            "ActiveDatabaseCopy": database.server.lower(),
            "Status": v.enum("Microsoft.Exchange.Management.SystemConfigurationTasks.CopyStatus",
                             *status),
            "ActivationPreference": copy.preference,
            "ActivationSuspended": False,
            "ActiveCopy": copy.active,
            "StatusRetrievedTime": self.organisation.now,
            "LatestAvailableLogTime": None if copy.active else self.organisation.now,
            "CopyQueueLength": Int64(queue),
            "ReplayQueueLength": Int64(0 if copy.active else queue // 9),
            "ContentIndexState": v.enum(
                state, *(("NotApplicable", 5) if inside else ("Healthy", 0))
            ),
            "DiskFreeSpace": v.size(self.culture, copy.disk_free),
            "DiskTotalSpace": v.size(self.culture, copy.disk_total),
            "LastInspectedLogTime": None if copy.active else self.organisation.now - lag,
            "LatestFullBackupTime": (self.organisation.now - timedelta(hours=19)).replace(
                minute=41, second=7
            ),
        }  # fmt: skip
