"""Mailboxes from an export, joined with what statistics, databases and users say of them.

Everything is joined by GUID: statistics by MailboxGuid (the ExchangeGuid of the mailbox, or
the ArchiveGuid of its archive), departments by the Guid of the user. Sizes are bytes.

Traps (statistics of a database hold more than its mailboxes): rows with a DisconnectDate are
what was deleted or moved away and is still kept, rows with IsMoveDestination are copies that
a running move is filling; both would be counted twice. A mailbox that nobody ever used has
no row at all: that is a known zero, but only where the statistics of its database are there.
A mailbox that has only such other rows was moved while the script ran: its size is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mailmig.model.database import Database
from mailmig.model.directory import Archive, Kind, Mailbox, Usage, UsageState
from mailmig.model.organisation import Server
from mailmig.sources.export_rows import RECIPIENT_TYPES, Cells, kind_of, short

NEVER_USED: Final = Usage(UsageState.NEVER_USED, 0, 0, 0, 0)
UNKNOWN_USAGE: Final = Usage()


@dataclass(slots=True)
class Statistics:
    """What Get-MailboxStatistics said, by MailboxGuid.

    `covered` are the databases (small letters) whose mailboxes were all asked for; a mailbox
    there without a row was never used. `archives_covered` says so of all archives.
    """

    covered: set[str] = field(default_factory=set)
    archives_covered: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    _rows: dict[str, tuple[str, Usage]] = field(default_factory=dict)
    _doubles: dict[tuple[str, str], Usage] = field(default_factory=dict)
    _put_aside: set[str] = field(default_factory=set)
    _last: str = ""

    def take(self, rows: Iterable[Cells], *, by_database: bool) -> None:
        """Read the rows of one file; `by_database` when it asked for whole databases in turn."""
        for cells in rows:
            database = (cells.text("DatabaseName") or cells.name("Database")).casefold()
            if database == self._last:
                database = self._last  # one string for all rows of a database
            elif database:
                self._last = database
                if by_database:
                    self.covered.add(database)
            if cells.is_set("DisconnectDate"):
                self.counts["disconnected"] += 1
                self._put_aside.add(cells.guid("MailboxGuid"))
            elif cells.flag("IsMoveDestination"):
                self.counts["move destinations"] += 1
                self._put_aside.add(cells.guid("MailboxGuid"))
            else:
                self._keep(cells, database)

    def cut_short(self) -> None:
        """The file by database broke off: of the last one only a part was read."""
        self.covered.discard(self._last)

    def doubt(self) -> None:
        """Rows are missing and nobody knows of which database."""
        self.covered.clear()

    def of(self, guid: str, database: str, *, archive: bool = False) -> Usage:
        """The usage of a mailbox or an archive that lives in a database."""
        database = database.casefold()
        row = self._rows.get(guid)
        if row is None:
            asked = database in self.covered or (archive and self.archives_covered)
            return NEVER_USED if asked and guid not in self._put_aside else UNKNOWN_USAGE
        where, usage = row
        if where != database and self._doubles:
            return self._doubles.get((guid, database), usage)
        return usage

    def _keep(self, cells: Cells, database: str) -> None:
        guid = cells.guid("MailboxGuid")
        if not guid:
            self.counts["statistics without GUID"] += 1
            return
        usage = _usage(cells)
        if guid not in self._rows:
            self._rows[guid] = database, usage
        elif self._rows[guid][0] != database:
            # The same mailbox in two databases: the one that the mailbox names will count.
            self._doubles[guid, database] = usage
            self.counts["statistics in two databases"] += 1


def _usage(cells: Cells) -> Usage:
    size = cells.size("TotalItemSize")
    deleted = cells.size("TotalDeletedItemSize")
    return Usage(
        UsageState.UNKNOWN if size is None else UsageState.KNOWN,
        None if size is None else size.bytes,
        cells.number_of("ItemCount"),
        None if deleted is None else deleted.bytes,
        cells.number_of("DeletedItemCount"),
        any(part is not None and part.approximate for part in (size, deleted)),
    )


class Homes:
    """Where a database is: its server, that server's site and version."""

    def __init__(self, servers: Iterable[Server], databases: Iterable[Database]) -> None:
        self._servers = {server.name.casefold(): server for server in servers}
        self._databases = {database.name.casefold(): database for database in databases}

    def of(self, database: str, server: str) -> tuple[str, str, str]:
        """Server, site and version of a database; `server` is what the mailbox names itself.

        In a DAG a mailbox may name a server on which its database has long been mounted no more.
        """
        home = self._databases.get(database.casefold())
        name = (home.server if home else "") or short(server)
        found = self._servers.get(name.casefold())
        return (found.name, found.site, found.version) if found else (name, "", "unknown")


@dataclass(slots=True)
class Mailboxes:
    """Makes mailboxes of rows; each ExchangeGuid comes once."""

    homes: Homes
    statistics: Statistics
    departments: Mapping[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    without_flag: int = 0
    archives_unknown: int = 0
    _seen: dict[str, str] = field(default_factory=dict)
    _homes: dict[tuple[str, str], tuple[str, str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._seen)

    def of(self, cells: Cells, file: str) -> Mailbox | None:
        """The mailbox of one row of a file of the table; None when it has none of its own.

        A mailbox may stand in several files: -Migration shows some of what -Arbitration
        shows. The first one counts. Twice in one file is a fault of the export.
        """
        guid = cells.guid("ExchangeGuid")
        if not guid:
            cells.note("ExchangeGuid", "it has none, so this mailbox is left out")
            return None
        before = self._seen.get(guid)
        if before is not None:
            if before == file:
                cells.note("ExchangeGuid", f"{guid} is there twice, the first one counts")
            self.counts["in two files"] += before != file
            return None
        self._seen[guid] = file
        return self._mailbox(cells, guid, file)

    def _mailbox(self, cells: Cells, guid: str, file: str) -> Mailbox:
        type_name = cells.enum("RecipientTypeDetails", RECIPIENT_TYPES)
        kind = kind_of(type_name, file)
        database = cells.name("Database")
        server, site, version = self._home(database, cells.text("ServerName"))
        user = cells.guid("Guid")
        use_defaults = cells.flag("UseDatabaseQuotaDefaults")
        self.without_flag += use_defaults is None
        usage = self.statistics.of(guid, database)
        return Mailbox(
            guid,
            kind,
            type_name,
            user,
            cells.text("PrimarySmtpAddress"),
            cells.text("DisplayName"),
            cells.text("Alias"),
            cells.text("SamAccountName"),
            cells.text("UserPrincipalName"),
            cells.text("Identity"),
            cells.text("DistinguishedName"),
            cells.text("LegacyExchangeDN"),
            self.departments.get(user, ""),
            cells.text("OrganizationalUnit"),
            database,
            server,
            site,
            version,
            use_defaults,
            cells.quotas(),
            cells.quota("RecoverableItemsQuota"),
            UNKNOWN_USAGE if kind is Kind.REMOTE else usage,
            self._archive(cells),
            _on_hold(cells),
            cells.flag("HiddenFromAddressListsEnabled"),
            cells.flag("IsRootPublicFolderMailbox") or False,
        )

    def _home(self, database: str, server: str) -> tuple[str, str, str]:
        key = database, server
        home = self._homes.get(key)
        if home is None:
            home = self._homes[key] = self.homes.of(database, server)
        return home

    def _archive(self, cells: Cells) -> Archive | None:
        guid = cells.guid("ArchiveGuid")
        if not guid:
            return None
        database = cells.name("ArchiveDatabase")
        usage = self.statistics.of(guid, database, archive=True)
        self.archives_unknown += usage.state is UsageState.UNKNOWN
        self.counts["archives"] += 1
        warn, quota = cells.quota("ArchiveWarningQuota"), cells.quota("ArchiveQuota")
        return Archive(guid, database, warn, quota, usage)


def _on_hold(cells: Cells) -> bool | None:
    """Whether anything keeps deleted items from being purged; None when the export is silent."""
    litigation = cells.flag("LitigationHoldEnabled")
    in_place = bool(cells.names("InPlaceHolds"))
    return in_place or litigation
