"""An admin's exports as one inventory: the files that `mailmig collect --script` makes.

`read(path)` looks at what is there and refuses what cannot be used; `pour` of what it gives
reads every file once, in the order in which they explain each other, and hands the inventory
on in portions, so that memory holds names and sizes of all mailboxes but no file as a whole.

All or nothing: a file that breaks off in the middle is refused, unless partial files are
accepted. What is missing, failed at the source or partial becomes a `Gap` with what it costs.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from mailmig.model.bulk import no_search_for_cycles
from mailmig.model.database import Database
from mailmig.model.directory import Mailbox
from mailmig.model.errors import MailmigError
from mailmig.model.organisation import NO_BUILD, Server, version_name
from mailmig.model.snapshot import Gap, Intake
from mailmig.sources import export_folder
from mailmig.sources import export_rows as values
from mailmig.sources.export_files import Files
from mailmig.sources.export_folder import ExportFolder
from mailmig.sources.export_machines import machines
from mailmig.sources.export_mailboxes import Homes, Mailboxes, Statistics
from mailmig.sources.export_rights import RIGHTS, Directory, Rights, permissions
from mailmig.wire import quantities
from mailmig.wire.collection import EXPORTS, MAILBOX_FILES, MANIFEST, Export

# Files whose objects become values of the model or are read apart; all others are facts.
_INTERPRETED: Final = frozenset(
    {"organization", "mailbox_servers", "servers", "dags", "databases", "copies", *MAILBOX_FILES,
     "users", "groups", "statistics", "archive_statistics", *RIGHTS}
)  # fmt: skip
# The files whose rows a snapshot keeps as they are.
FACTS: Final = tuple(export.name for export in EXPORTS if export.name not in _INTERPRETED)
_ERROR_SHOWN: Final = 300  # characters
IMPORT: Final = "import"  # the kind of fact that tells about the import itself
# What it costs when only a part of the mailboxes is there; without any there is no inventory.
_PART_OF_MAILBOXES: Final = (
    "the other mailboxes are not in the inventory and would be forgotten on the source"
)
_CUT_AT: Final = 1000  # rows that Get-Mailbox and its like give when nobody asks for more
_ERRORS: Final = re.compile("([0-9]{1,9}) errors?,")  # as the script counts them

Progress = Callable[[str, int, int], None]
"""Called with the name of a file, the bytes of the whole export read so far, and all of them."""


class NoInventory(MailmigError):
    """The mailboxes are not there: without them there is no inventory."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}, so there is no inventory: run the script that "
            "`mailmig collect --script` prints, and import the folder that it makes"
        )
        self.path = path
        self.reason = reason


def read(
    path: Path, *, accept_partial: bool = False, progress: Progress | None = None
) -> ExportReading:
    """The export in a folder or a ZIP, ready to be poured.

    Raises NotAnExport, UnsafeZip, BadFile (a ZIP or a manifest that cannot be read) and
    NoInventory. Pouring raises BrokenExport, BadFile, and Changing when somebody writes
    into the folder meanwhile.
    """
    folder = export_folder.find(path)
    if "mailboxes" not in folder.members:
        raise NoInventory(path, "there is neither mailboxes.xml nor mailboxes.csv in it")
    return ExportReading(folder, accept_partial, progress)


class ExportReading:
    """One export that can be poured into an intake, once."""

    def __init__(
        self, folder: ExportFolder, accept_partial: bool, progress: Progress | None
    ) -> None:
        self.folder = folder
        self.manifest = folder.manifest
        self._accept_partial = accept_partial
        self._progress = progress
        self._files = Files(folder, accept_partial, self._report)
        self._counts: Counter[str] = Counter()
        self._servers: tuple[Server, ...] = ()
        self._mailbox_servers: tuple[dict[str, object], ...] = ()
        self._bytes = sum(member.size_bytes for member in folder.members.values())

    @property
    def origin(self) -> str:
        """Where it was read; with the machine that exported it, when that is known."""
        where = str(self.folder.path.absolute())
        computer = self.manifest.computer
        return values.whole(f"{where} (from {computer})" if computer else where)

    @property
    def digest(self) -> str:
        return self.folder.digest

    @property
    def taken_at(self) -> datetime:
        """When the script ran; without a manifest, when the youngest file was written."""
        when = self.manifest.finished or self.manifest.started
        return when or self.folder.newest

    @cached_property
    def organisation(self) -> str:
        """The name of the organisation; "" when the export does not have it."""
        for fact in self._organisation:
            return str(fact.get("Name") or fact.get("Identity") or "")
        return ""

    def pour(self, into: Intake) -> tuple[Gap, ...]:
        """Read everything into the intake and tell what is missing."""
        with no_search_for_cycles():
            databases = self._pour_machines(into)
            self._pour_facts(into)
            statistics = self._read_statistics(databases)
            mailboxes = Mailboxes(
                Homes(self._servers, databases), statistics, self._read_departments()
            )
            directory, grants = Directory(), dict[str, tuple[str, ...]]()
            into.mailboxes(self._mailboxes(mailboxes, directory, grants))
            if not grants:
                raise NoInventory(self.folder.path, "there is no mailbox in it")
            for cells in self._files.rows("groups"):
                directory.add_group(cells)
            rights = Rights(directory, grants, self.manifest.self_name)
            for name, (column, wanted, right) in RIGHTS.items():
                granted = permissions(self._files.rows(name), column, wanted, rights.counts)
                into.edges(rights.edges(granted, right))
            into.edges(rights.on_behalf(grants.items()))
            into.groups(rights.groups())
        self.folder.check_unchanged()
        into.facts(IMPORT, [self._about(mailboxes, rights)])
        return (*self._gaps(mailboxes, rights), *self._files.faults.gaps())

    # The parts, in the order of reading ---------------------------------------------------------

    def _pour_machines(self, into: Intake) -> tuple[Database, ...]:
        found = machines(self._files.rows)
        self._servers, self._mailbox_servers = found.servers, found.mailbox_servers
        self._counts["recovery databases"] += found.recovery
        into.servers(found.servers)
        into.dags(found.dags)
        into.databases(found.databases)
        into.copies(found.copies)
        return found.databases

    def _pour_facts(self, into: Intake) -> None:
        into.facts("organization", self._organisation)
        into.facts("mailbox_servers", self._mailbox_servers)
        for name in FACTS:
            into.facts(name, map(values.fact, self._files.rows(name)))

    @cached_property
    def _organisation(self) -> list[dict[str, object]]:
        return [values.fact(cells) for cells in self._files.rows("organization")]

    def _read_statistics(self, databases: Sequence[Database]) -> Statistics:
        statistics = Statistics()
        statistics.take(self._files.rows("statistics"), by_database=True)
        claim = self.manifest.claim("statistics")
        stopped = self._unfinished("statistics") or (claim is not None and claim.state != "done")
        if "statistics" in self._files.broken or stopped:
            statistics.cut_short()
        elif claim is None or not self._files.whole("statistics"):
            statistics.doubt()  # without a manifest nobody knows whether a file is whole
        if claim and claim.error:
            # Each error may be a database that did not answer at all. Where there are more of
            # them, one that did answer may have done so in part, and nobody knows which.
            silent = sum(one.name.casefold() not in statistics.covered for one in databases)
            if _errors(claim.error) > silent:
                statistics.doubt()
        statistics.take(self._files.rows("archive_statistics"), by_database=False)
        if claim and claim.state == "done" and not claim.error and self._files.whole("statistics"):
            # Asked for every database, so those without a single row are known as well.
            statistics.covered.update(one.name.casefold() for one in databases)
        archives = self.manifest.claim("archive_statistics")
        if archives and archives.state == "done" and not archives.error:
            statistics.archives_covered = self._files.whole("archive_statistics")
        self._counts += statistics.counts
        return statistics

    def _read_departments(self) -> dict[str, str]:
        shared: dict[str, str] = {}
        found = {}
        for cells in self._files.rows("users"):
            department = cells.text("Department")
            if department:
                found[cells.guid("Guid")] = shared.setdefault(department, department)
        return found

    def _mailboxes(
        self, mailboxes: Mailboxes, directory: Directory, grants: dict[str, tuple[str, ...]]
    ) -> Iterator[Mailbox]:
        """All mailboxes of all files; on the way their names and grants are remembered."""
        for name in MAILBOX_FILES:
            for cells in self._files.rows(name):
                mailbox = mailboxes.of(cells, name)
                if mailbox is not None:
                    directory.add_mailbox(mailbox, cells.text("LinkedMasterAccount"))
                    grants[mailbox.exchange_guid] = cells.names("GrantSendOnBehalfTo")
                    yield mailbox

    def _report(self, name: str, bytes_read: int) -> None:
        if self._progress:
            self._progress(name, bytes_read, self._bytes)

    # What is missing ----------------------------------------------------------------------------

    def _gaps(self, mailboxes: Mailboxes, rights: Rights) -> Iterator[Gap]:
        if not self.manifest.present:
            yield Gap(
                f"{MANIFEST} is missing",
                "nobody knows whether the files are complete; the time is that of the files",
            )
        elif self.manifest.finished is None:
            yield Gap("the script did not finish", "files may be missing or cut short")
        for export in EXPORTS:
            what = self._missing(export, mailboxes)
            if what:
                partial = export.name == "mailboxes"
                yield Gap(what, _PART_OF_MAILBOXES if partial else export.cost)
        if mailboxes.without_flag:
            yield Gap(
                f"{mailboxes.without_flag:,} of {len(mailboxes):,} mailboxes do not say "
                "UseDatabaseQuotaDefaults",
                "their effective quotas are unknown",
            )
        if rights.counts["name fits several"]:
            yield Gap(
                f"{rights.counts['name fits several']:,} rights are held by a name that "
                "several mailboxes or groups have",
                "the plan cannot keep these people together with what they use",
            )

    def _missing(self, export: Export, mailboxes: Mailboxes) -> str:
        """What one file lacks, as the beginning of a sentence; "" when nothing does."""
        name = export.name
        claim = self.manifest.claim(name)
        member = self.folder.members.get(name)
        rows = self._files.counts.get(name, 0)
        if not self._expected(export, mailboxes):
            return ""
        if name in self._files.broken:
            return f"{name} is cut short after {rows:,} objects ({self._files.broken[name]})"
        if claim and claim.state == "not available":
            return f"{name} is not available{_told(claim.error)}"
        if claim and claim.state != "done":
            return f"{name} failed after {rows:,} objects{_told(claim.error)}"
        if member is None:
            return f"{name} is missing"
        if not self._files.whole(name) and claim:
            return f"{name} has {rows:,} objects and the script counted {claim.count:,}"
        if claim and claim.error:
            return f"{name} is not complete{_told(claim.error)}"
        if self._unfinished(name):
            return f"{name} may end early, after {rows:,} objects"
        if claim is None and rows == _CUT_AT and ("ResultSize", "Unlimited") in export.parameters:
            return (
                f"{name} has exactly {rows:,} objects, where Exchange stops without "
                "-ResultSize Unlimited"
            )
        return ""

    def _unfinished(self, name: str) -> bool:
        """Whether the script was stopped while it wrote a file, which may look whole."""
        stopped = self.manifest.present and self.manifest.finished is None
        return stopped and name in self.folder.members and self.manifest.claim(name) is None

    def _expected(self, export: Export, mailboxes: Mailboxes) -> bool:
        """Whether an organisation of this version has what the file holds."""
        if export.name == "archive_statistics":
            return mailboxes.archives_unknown > 0
        builds = [server.build for server in self._servers if server.build != NO_BUILD]
        if not builds and self.manifest.server_version:
            try:
                builds = [quantities.build(self.manifest.server_version)]
            except quantities.BadValue:
                builds = []
        newest = version_name(max(builds)) if builds else "unknown"
        return newest in ("unknown", *export.versions)

    def _about(self, mailboxes: Mailboxes, rights: Rights) -> dict[str, object]:
        """What the import itself saw: rows per file, and what was counted and not kept."""
        return {
            "rows": dict(self._files.counts),
            "ignored files": sorted(map(values.whole, self.folder.ignored)),
            "culture": values.whole(self.manifest.culture),
            "counts": dict(self._counts + mailboxes.counts),
            "rights": dict(rights.counts),
        }


def _errors(error: str) -> int:
    """How many errors the script noted; any number where it does not say."""
    found = _ERRORS.match(error)
    return int(found[1]) if found else sys.maxsize


def _told(error: str) -> str:
    """What the script noted, in brackets; cut, because some servers write pages."""
    text = values.whole(error)
    return f" ({text[:_ERROR_SHOWN]}{'…' if len(text) > _ERROR_SHOWN else ''})" if text else ""
