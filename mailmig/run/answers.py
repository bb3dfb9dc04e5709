"""What one Exchange server is asked when the directory tells the rest.

    answers = await ask(exchange)
    answers.rows("databases"), answers.statistics

The questions are those of `mailmig.wire.collection` without the mailboxes, people, groups and
rights, which LDAP gives in a fraction of the time. All or nothing: the first error is raised, and
what still runs is stopped. Databases that are not mounted are not asked for their mailboxes: the
store would only say that it cannot.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Final

from mailmig.model.command import Command, Parameter
from mailmig.model.directory import Mailbox
from mailmig.model.errors import MailmigError
from mailmig.run.export_rows import guid_of, is_about, row, said
from mailmig.run.questions import Progress, given, in_order
from mailmig.sources.exchange import Exchange
from mailmig.sources.export_mailboxes import Statistics
from mailmig.sources.export_rights import RIGHTS
from mailmig.sources.export_rows import Cells, Faults
from mailmig.sources.remote_errors import CmdletNotAllowed, NotTheOne
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import BY_NAME, EXPORTS, MAILBOX_FILES, Each, Export

_BY_LDAP: Final = frozenset({*MAILBOX_FILES, "users", "groups", *RIGHTS})
ASKED: Final = tuple(export for export in EXPORTS if export.name not in _BY_LDAP)
_ONCE: Final = tuple(export for export in ASKED if export.each is Each.ONCE)
# The directory does not say which mailbox is the root of the public folders.
_ROOTS: Final = BY_NAME["public_folder_mailboxes"]
_ROOT_PROPERTIES: Final = ("ExchangeGuid", "IsRootPublicFolderMailbox")
# What is read of statistics: there is a row for each mailbox, so no more is asked for.
_COUNTED: Final = (
    "MailboxGuid", "DatabaseName", "ItemCount", "TotalItemSize", "DeletedItemCount",
    "TotalDeletedItemSize", "DisconnectDate", "IsMoveDestination",
)  # fmt: skip


class Answers:
    """What came. `roots` are ExchangeGuids, `unmounted` and `mounted` names of databases."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.statistics = Statistics()
        self.counts: dict[str, int] = {}
        self.mounted: list[str] = []
        self.unmounted: list[str] = []
        self.roots: set[str] = set()
        self.listed: set[str] = set()
        self._files: dict[str, list[Obj]] = {}

    def rows(self, name: str) -> Iterator[Cells]:
        """The objects of one question, as the file of that name would hold them."""
        yield from self._cells(name, self._files.get(name, ()), 0)

    def keep(self, export: Export, objects: Iterable[Obj]) -> None:
        found = [row(item, export.properties, export.depth) for item in objects]
        self._files.setdefault(export.name, []).extend(found)
        self.counts[export.name] = len(self._files[export.name])

    def count(self, export: Export, objects: Sequence[Obj], *, by_database: bool) -> None:
        """Statistics are read at once: there is one row for each mailbox."""
        before = self.counts.get(export.name, 0)
        self.statistics.take(self._cells(export.name, objects, before), by_database=by_database)
        self.counts[export.name] = before + len(objects)
        self.listed.update(guid_of(item.get("MailboxGuid")) for item in objects)

    def _cells(self, name: str, objects: Iterable[Obj], before: int) -> Iterator[Cells]:
        cells = Cells(name, self.faults)
        for number, item in enumerate(objects, before + 1):
            cells.number, cells.row = number, item
            yield cells


async def ask(exchange: Exchange, progress: Progress) -> Answers:
    """All questions that need no mailbox, side by side.

    Raises:
        MailmigError: whatever went wrong first; what came until then is of no use.
    """
    answers = Answers()
    await _ask_once(exchange, BY_NAME["databases"], answers)  # alone: it logs on, too
    _sort_databases(answers)
    async with asyncio.TaskGroup() as group:
        for name in ("statistics", "copies"):
            group.create_task(_ask_each(exchange, BY_NAME[name], answers, progress))
        for export in _ONCE:
            if export.name != "databases":
                group.create_task(_ask_once(exchange, export, answers))
        group.create_task(_ask_roots(exchange, answers))
    answers.statistics.covered.update(name.casefold() for name in answers.mounted)
    return answers


async def ask_archives(
    exchange: Exchange, answers: Answers, mailboxes: Iterable[Mailbox], progress: Progress
) -> None:
    """The statistics of the archives that their databases did not show. Raises as `ask`."""
    export = BY_NAME["archive_statistics"]
    common = tuple(given(export, export.cmdlet))
    unmounted = {name.casefold() for name in answers.unmounted}
    missing = [
        one for one in mailboxes
        if one.archive is not None and one.archive.guid not in answers.listed
        and one.archive.database.casefold() not in unmounted
    ]  # fmt: skip

    async def answer(mailbox: Mailbox) -> list[Obj]:
        command = Command(export.cmdlet, (*common, ("Identity", mailbox.guid)))
        archive = mailbox.archive.guid if mailbox.archive else ""
        found = exchange.ask(command, _COUNTED)
        return [item async for item in found if guid_of(item.get("MailboxGuid")) == archive]

    done = 0
    async with aclosing(in_order(missing, answer, _ahead(exchange))) as found:
        async for _, objects in found:
            done += 1
            progress("archives", done, len(missing))
            answers.count(export, objects, by_database=False)


async def _ask_once(exchange: Exchange, export: Export, answers: Answers) -> None:
    try:
        found = await _objects(exchange, export, export.cmdlet)
    except CmdletNotAllowed:
        if not export.older:
            raise
        found = await _objects(exchange, export, export.older)
    answers.keep(export, found)


async def _objects(exchange: Exchange, export: Export, cmdlet: str) -> list[Obj]:
    command = Command(cmdlet, tuple(given(export, cmdlet)))
    return [item async for item in exchange.ask(command, export.properties)]


async def _ask_roots(exchange: Exchange, answers: Answers) -> None:
    command = Command(_ROOTS.cmdlet, tuple(given(_ROOTS, _ROOTS.cmdlet)))
    async for item in exchange.ask(command, _ROOT_PROPERTIES):
        if said(item.get("IsRootPublicFolderMailbox")).casefold() == "true":
            answers.roots.add(guid_of(item.get("ExchangeGuid")))


def _sort_databases(answers: Answers) -> None:
    for cells in answers.rows("databases"):
        if not cells.flag("Recovery") and cells.text("Name"):
            off = cells.flag("Mounted") is False
            (answers.unmounted if off else answers.mounted).append(cells.text("Name"))


async def _ask_each(
    exchange: Exchange, export: Export, answers: Answers, progress: Progress
) -> None:
    """One question for each database; statistics only where it is mounted."""
    common = tuple(given(export, export.cmdlet))
    counted = export.name == "statistics"
    wanted = _COUNTED if counted else export.properties
    databases = answers.mounted if counted else [*answers.mounted, *answers.unmounted]
    done = 0

    async def answer(database: str) -> list[Obj]:
        nonlocal done
        parameter: tuple[str, Parameter] = (export.by, database)
        command = Command(export.cmdlet, (*common, parameter))
        found = []
        async with aclosing(exchange.ask(command, wanted)) as objects:
            async for item in objects:
                if not is_about(item, database):
                    came = (said(item.get("DatabaseName")),)
                    raise NotTheOne(exchange.server, command, database, came)
                found.append(item)
                done += 1
                if counted:
                    progress("sizes", done, None)
        return found

    async with aclosing(in_order(databases, answer, _ahead(exchange))) as answered:
        async for _, objects in answered:
            if counted:
                answers.count(export, objects, by_database=True)
            else:
                answers.keep(export, objects)


def _ahead(exchange: Exchange) -> int:
    return 2 * exchange.settings.parallel


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first of what ran side by side, an error of ours before any other."""
    flat: list[BaseException] = []
    for error in group.exceptions:
        flat.append(first_of(error) if isinstance(error, BaseExceptionGroup) else error)
    return next((error for error in flat if isinstance(error, MailmigError)), flat[0])
