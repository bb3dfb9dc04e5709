"""The export folder: which cmdlet's objects lie in which file, and the manifest beside them.

One table serves three sides: the PowerShell script that an admin runs (`collect_script`),
the reader of the folder, and the lab that writes the same folder. A file holds the objects
of one cmdlet as CLIXML (`<name>.xml`, Export-Clixml) or CSV (`<name>.csv`, Export-Csv).

Shape of the files. The script selects the properties that are listed here (the type name
then begins with `Selected.`) and exports them with `depth` levels. At depth 1 the values of
properties that are objects become their text (`2 GB (2,147,483,648 bytes)`, a database's
name, an enum's name): a mailbox then takes 2 kB instead of 120. At depth 2, the default of
Export-Clixml, they stay objects. Lists are not counted as a level: they stay lists at depth 1,
of texts. That depth cuts like this shows in real exports: the
`Parent` inside an `ADObjectId` at depth 2 is plain text. The reader takes both, and whole
objects too.

Versions are those in which the cmdlet (or the `older` one) and all its parameters exist
(public cmdlet reference of August 2026). A property that a version does not have yet comes
out empty.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

ALL: Final = ("2013", "2016", "2019", "SE")
FROM_2016: Final = ("2016", "2019", "SE")

MANIFEST: Final = "manifest.json"
MANIFEST_SCHEMA: Final = 1


class Each(Enum):
    """What a cmdlet is called for: once, or for each object of another file."""

    ONCE = "once"
    DATABASE = "database"
    MAILBOX = "mailbox"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Export:
    """One file of the export folder.

    `parameters` are name and value; a value of None is a switch. A cmdlet that is called for
    each mailbox or archive gets `-Identity` (`by` names the property of the mailbox that is
    passed: the cmdlets accept the object's GUID or its distinguished name, not all of them an
    ExchangeGuid), one called for each database gets `by` as parameter name with the database's
    name; recovery databases are left out, their mailboxes are copies. Archives are asked for
    only where the rows of their database did not show them.

    `keep` is a PowerShell condition on `$_` that drops rows at the source; `$self` are the names
    of the account SELF. Rows of a cmdlet that is called for each mailbox or archive carry the
    property `OwnerGuid` (the mailbox's ExchangeGuid) in front of their own. `older` is what the
    cmdlet is called in shells that do not have it. `cost` completes the sentence "no <file>: ...".
    """

    name: str
    cmdlet: str
    properties: tuple[str, ...]
    cost: str
    parameters: tuple[tuple[str, str | None], ...] = ()
    each: Each = Each.ONCE
    by: str = ""
    keep: str = ""
    depth: int = 1
    versions: tuple[str, ...] = ALL
    optional: bool = False
    older: str = ""


_UNLIMITED: Final = ("ResultSize", "Unlimited")
_AD_ONLY: Final = (("ADPropertiesOnly", None),)

# Texts are compared, because flags arrive as booleans in one shell and as objects in another.
_GRANTED: Final = (
    "\"$($_.IsInherited)\" -ne 'True' -and \"$($_.Deny)\" -ne 'True' -and\n"
    '$self -notcontains "$($_.User)"'
)

# What is read of a mailbox: migration.md 2.2. The order is the order of the columns.
MAILBOX_PROPERTIES: Final = (
    "ExchangeGuid", "Guid", "Identity", "DistinguishedName", "DisplayName", "Alias",
    "SamAccountName", "UserPrincipalName", "PrimarySmtpAddress", "LegacyExchangeDN",
    "LinkedMasterAccount", "RecipientTypeDetails", "OrganizationalUnit", "Office",
    "Database", "ServerName", "ArchiveGuid", "ArchiveDatabase", "ArchiveStatus",
    "ArchiveQuota", "ArchiveWarningQuota", "IssueWarningQuota", "ProhibitSendQuota",
    "ProhibitSendReceiveQuota", "RecoverableItemsQuota", "RecoverableItemsWarningQuota",
    "CalendarLoggingQuota", "UseDatabaseQuotaDefaults", "GrantSendOnBehalfTo",
    "LitigationHoldEnabled", "InPlaceHolds", "HiddenFromAddressListsEnabled",
    "MaxSendSize", "MaxReceiveSize", "WhenMailboxCreated", "DefaultPublicFolderMailbox",
    "IsRootPublicFolderMailbox", "ForwardingAddress", "ForwardingSmtpAddress",
)  # fmt: skip

STATISTICS_PROPERTIES: Final = (
    "MailboxGuid", "DisplayName", "DatabaseName", "ItemCount", "TotalItemSize",
    "DeletedItemCount", "TotalDeletedItemSize", "DisconnectDate", "DisconnectReason",
    "IsArchiveMailbox", "IsMoveDestination", "IsQuarantined", "LastLogonTime",
    "MailboxTypeDetail",
)  # fmt: skip

_URLS: Final = (
    "Identity", "Name", "Server", "InternalUrl", "ExternalUrl",
    "InternalAuthenticationMethods", "ExternalAuthenticationMethods",
)  # fmt: skip


def _virtual_directory(name: str, cmdlet: str, *more: str) -> Export:
    return Export(
        name, cmdlet, (*_URLS, *more), "client addresses of this kind cannot be compared",
        _AD_ONLY, depth=2,
    )  # fmt: skip


def _kind_of_mailbox(name: str, switch: str, versions: tuple[str, ...] = ALL) -> Export:
    what = name.removesuffix("_mailboxes").replace("_", " ")
    return Export(
        name, "Get-Mailbox", MAILBOX_PROPERTIES,
        f"{what} mailboxes are not in the inventory and would be forgotten on the source",
        ((switch, None), _UNLIMITED), versions=versions,
    )  # fmt: skip


EXPORTS: Final[tuple[Export, ...]] = (
    Export(
        "organization", "Get-OrganizationConfig",
        ("Name", "Identity", "Guid", "MapiHttpEnabled", "PublicFoldersEnabled",
         "PublicFoldersLockedForMigration", "PublicFolderMigrationComplete",
         "PublicFolderMailboxesLockedForNewConnections", "PublicFolderMailboxesMigrationComplete",
         "RootPublicFolderMailbox", "RemotePublicFolderMailboxes",
         "DefaultPublicFolderProhibitPostQuota"),
        "the organisation has no name and its public-folder flags are unknown", depth=2,
    ),
    Export(
        "servers", "Get-ExchangeServer",
        ("Name", "Fqdn", "Guid", "Site", "AdminDisplayVersion", "Edition", "ServerRole",
         "IsMailboxServer", "IsEdgeServer"),
        "versions and sites are unknown: nobody can tell source from target", depth=2,
    ),
    Export(
        "mailbox_servers", "Get-MailboxServer",
        ("Name", "Guid", "DatabaseAvailabilityGroup", "DatabaseCopyAutoActivationPolicy",
         "DatabaseCopyActivationDisabledAndMoveNow", "AutoDatabaseMountDial",
         "MaximumActiveDatabases"),
        "it is unknown which server belongs to which DAG", depth=2,
    ),
    Export(
        "dags", "Get-DatabaseAvailabilityGroup",
        ("Name", "Guid", "Servers", "WitnessServer", "WitnessDirectory", "AlternateWitnessServer",
         "DatacenterActivationMode", "OperationalServers", "PrimaryActiveManager"),
        "the DAG and its witness are unknown", (("Status", None),), depth=2,
    ),
    Export(
        "databases", "Get-MailboxDatabase",
        ("Name", "Guid", "Server", "Servers", "MasterServerOrAvailabilityGroup", "MasterType",
         "ReplicationType", "ActivationPreference", "CircularLoggingEnabled", "Recovery",
         "IssueWarningQuota", "ProhibitSendQuota", "ProhibitSendReceiveQuota",
         "RecoverableItemsQuota", "RecoverableItemsWarningQuota", "CalendarLoggingQuota",
         "DeletedItemRetention", "MailboxRetention", "DataMoveReplicationConstraint",
         "Mounted", "MountedOnServer", "DatabaseSize", "AvailableNewMailboxSpace",
         "LastFullBackup", "LastIncrementalBackup", "EdbFilePath", "LogFolderPath"),
        "effective quotas are unknown for everyone who uses the database's defaults",
        (("Status", None),), depth=2,
    ),
    Export(
        "copies", "Get-MailboxDatabaseCopyStatus",
        ("Identity", "DatabaseName", "MailboxServer", "Status", "ActivationPreference",
         "ActivationSuspended", "CopyQueueLength", "ReplayQueueLength", "ContentIndexState",
         "DiskFreeSpace", "DiskTotalSpace", "LastInspectedLogTime", "LatestFullBackupTime"),
        "the state of the database copies is unknown", each=Each.DATABASE, by="Identity", depth=2,
    ),
    Export(
        "mailboxes", "Get-Mailbox", MAILBOX_PROPERTIES, "there is no inventory at all",
        (_UNLIMITED,),
    ),
    _kind_of_mailbox("arbitration_mailboxes", "Arbitration"),
    _kind_of_mailbox("public_folder_mailboxes", "PublicFolder"),
    _kind_of_mailbox("monitoring_mailboxes", "Monitoring"),
    _kind_of_mailbox("audit_log_mailboxes", "AuditLog", FROM_2016),
    _kind_of_mailbox("aux_audit_log_mailboxes", "AuxAuditLog", FROM_2016),
    _kind_of_mailbox("migration_mailboxes", "Migration", FROM_2016),
    Export(
        "users", "Get-User",
        ("Guid", "SamAccountName", "Department", "Office", "Company", "Title"),
        "departments are unknown: no sums per department, no waves by department",
        (_UNLIMITED,),
    ),
    Export(
        "groups", "Get-Group",
        ("Guid", "Name", "SamAccountName", "Identity", "DistinguishedName",
         "RecipientTypeDetails", "Members"),
        "rights that are given to groups cannot be traced to people", (_UNLIMITED,),
    ),
    Export(
        "statistics", "Get-MailboxStatistics", STATISTICS_PROPERTIES,
        "sizes are unknown: no usage against quotas, and plans guess",
        each=Each.DATABASE, by="Database",
    ),
    Export(
        "archive_statistics", "Get-MailboxStatistics", STATISTICS_PROPERTIES,
        "sizes of archives are unknown",
        (("Archive", None),), each=Each.ARCHIVE, by="Guid", optional=True,
    ),
    Export(
        "full_access", "Get-MailboxPermission",
        ("User", "AccessRights", "IsInherited", "Deny"),
        "no full-access rights: the plan cannot keep shared mailboxes together with their people",
        each=Each.MAILBOX, by="Guid", keep=_GRANTED,
    ),
    Export(
        "send_as", "Get-ADPermission",
        ("User", "ExtendedRights", "IsInherited", "Deny"),
        "no send-as rights: the plan cannot keep shared mailboxes together with their people",
        each=Each.MAILBOX, by="DistinguishedName",
        keep=f"{_GRANTED} -and\n\"$($_.ExtendedRights)\" -like '*Send-As*'",
    ),
    Export(
        "accepted_domains", "Get-AcceptedDomain",
        ("Name", "DomainName", "DomainType", "Default"), "accepted domains are unknown", depth=2,
    ),
    Export(
        "client_access", "Get-ClientAccessService",
        ("Name", "Fqdn", "AutoDiscoverServiceInternalUri", "AutoDiscoverSiteScope"),
        "the service connection points are unknown", depth=2, older="Get-ClientAccessServer",
    ),
    _virtual_directory("mapi", "Get-MapiVirtualDirectory", "IISAuthenticationMethods"),
    _virtual_directory("ews", "Get-WebServicesVirtualDirectory", "MRSProxyEnabled"),
    _virtual_directory("owa", "Get-OwaVirtualDirectory"),
    _virtual_directory("ecp", "Get-EcpVirtualDirectory"),
    _virtual_directory("activesync", "Get-ActiveSyncVirtualDirectory"),
    _virtual_directory("oab", "Get-OabVirtualDirectory"),
    _virtual_directory("autodiscover", "Get-AutodiscoverVirtualDirectory"),
    _virtual_directory("powershell", "Get-PowerShellVirtualDirectory"),
    Export(
        "outlook_anywhere", "Get-OutlookAnywhere",
        ("Identity", "Server", "InternalHostname", "ExternalHostname",
         "InternalClientAuthenticationMethod", "ExternalClientAuthenticationMethod",
         "IISAuthenticationMethods"),
        "client addresses of this kind cannot be compared", _AD_ONLY, depth=2,
    ),
    Export(
        "send_connectors", "Get-SendConnector",
        ("Name", "Identity", "Enabled", "AddressSpaces", "SmartHosts", "SourceTransportServers",
         "Fqdn", "MaxMessageSize", "RequireTLS"),
        "send connectors that need the new servers cannot be named", depth=2,
    ),
    Export(
        "receive_connectors", "Get-ReceiveConnector",
        ("Name", "Identity", "Server", "Enabled", "Bindings", "RemoteIPRanges", "AuthMechanism",
         "PermissionGroups", "Fqdn", "MaxMessageSize", "TransportRole"),
        "relay addresses that the new servers need cannot be named", depth=2,
    ),
)  # fmt: skip

BY_NAME: Final = {export.name: export for export in EXPORTS}
MAILBOX_FILES: Final = tuple(e.name for e in EXPORTS if e.cmdlet == "Get-Mailbox")
