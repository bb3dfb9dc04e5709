"""Collects an inventory live: asks one server what the collect script asks, writes its folder.

    async with Exchange("ex1.town.example", settings) as exchange:
        collected = await collect(exchange, Path("before-the-move"))

The questions are those of `mailmig.wire.collection`, one file after the other, so that
`mailmig inventory import` reads the folder as it reads the script's. Questions for each database
or mailbox run side by side, as many as the server's settings allow; their rows stay in order.

What a cmdlet refuses is noted in the manifest and the next one is asked. What means that nobody
can ask any more (a password refused, a server that is gone) ends it at once. An end before the
end, also a cancelled task, leaves a folder whose manifest names what is there and has no
`finished`; when nothing had come, the folder is taken away again.

The session of a server sees its own domain unless told otherwise: recipients are asked for with
`IgnoreDefaultScope`, so those of all domains of the forest come.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mailmig.model.command import BadCommand, Command
from mailmig.model.errors import MailmigError
from mailmig.run.export_rows import KEEP, guid_of, is_about, is_self, row, said
from mailmig.run.export_writing import ExportWriter, FileEntry, Manifest, RowFile
from mailmig.run.questions import Progress, given, in_order
from mailmig.sources.exchange import Exchange
from mailmig.sources.exchange_session import CULTURE
from mailmig.sources.remote_errors import (
    BrokenReply,
    CmdletNotAllowed,
    CommandError,
    NotTheOne,
    ResultCut,
    ServerFault,
    ShellExpired,
    TookTooLong,
)
from mailmig.wire.clixml import Obj
from mailmig.wire.collect_script import call
from mailmig.wire.collection import EXPORTS, MAILBOX_FILES, Each, Export

# After these the next question may go well; when it does not so often in a row, a file is given up.
_PATIENCE: Final = (ShellExpired, TookTooLong, BrokenReply, ServerFault)
# These are about one question. After any other error nobody can ask any more, or nothing can be
# written: no connection, no trust, no logon, no room.
_OF_ONE: Final = (CommandError, BadCommand, NotTheOne, ResultCut, *_PATIENCE)
_GIVE_UP: Final = 3


@dataclass(slots=True)
class Collected:
    """What came of it; `files` as the manifest names them."""

    folder: Path
    files: list[FileEntry]

    @property
    def objects(self) -> int:
        return sum(entry.count for entry in self.files)

    @property
    def lacking(self) -> list[FileEntry]:
        """Files that are not there, or not complete."""
        return [entry for entry in self.files if entry.state != "done" or entry.error]


async def collect(
    exchange: Exchange,
    folder: Path,
    *,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Collected:
    """Ask for everything and write it into a new folder.

    Raises:
        FolderInTheWay: the folder holds something; nothing was asked.
        CannotWriteExport: the disk does not take it.
        Unreachable, TlsNotTrusted, LoginRefused, RemotingNotAllowed, WrongEndpoint,
        TooManySessions: the server cannot be asked, or not any more.
    """
    writer = ExportWriter(folder, Manifest(now(), exchange.server, CULTURE))
    try:
        collector = _Collector(exchange, writer, progress or (lambda *_: None))
        for export in EXPORTS:
            await collector.save(export)
        writer.manifest.finished = now()
        writer.save()
    finally:
        if not any(entry.count or entry.state == "done" for entry in writer.manifest.files):
            writer.discard()
    return Collected(folder, writer.manifest.files)


@dataclass(frozen=True, slots=True)
class _Mailbox:
    """What is remembered of a mailbox; GUIDs as text, `archive` is "" where there is none."""

    exchange_guid: object
    by: dict[str, str]
    archive: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Question:
    command: Command
    database: str = ""
    mailbox: _Mailbox | None = None


@dataclass(slots=True)
class _Answer:
    rows: list[Obj] = field(default_factory=list)
    errors: list[MailmigError] = field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    """Errors of one file. `broken`: the asking did not come to its end."""

    count: int = 0
    first: str = ""
    broken: bool = False
    in_a_row: int = 0

    def add(self, error: object) -> None:
        self.first = self.first or " ".join(str(error).split())
        self.count += 1

    def look(self, answer: _Answer) -> bool:
        """Counts the errors of one question; whether the file is to be given up."""
        for error in answer.errors:
            self.add(error)
        silent = any(isinstance(error, _PATIENCE) for error in answer.errors)
        self.in_a_row = self.in_a_row + 1 if silent else 0
        return self.in_a_row >= _GIVE_UP

    @property
    def text(self) -> str:
        return f"{self.count} errors, the first: {self.first}" if self.count else ""


class _Collector:
    """One run over the table; remembers the mailboxes and databases that are asked about later."""

    def __init__(self, exchange: Exchange, writer: ExportWriter, progress: Progress) -> None:
        self._exchange = exchange
        self._writer = writer
        self._progress = progress
        self._databases: list[str] = []
        self._mailboxes: list[_Mailbox] = []
        self._listed: set[str] = set()  # GUIDs of mailboxes with statistics

    async def save(self, export: Export) -> None:
        """One file and its entry in the manifest."""
        start = time.monotonic()
        entry = FileEntry(export.name, f"{export.name}.xml", call(export))
        tally = _Tally()
        file = RowFile(self._writer.folder, export.name)
        kept = True
        try:
            kept = await self._fill(export, entry, file, tally)
        except BaseException as error:  # also when the task is cancelled: what came is kept
            tally.broken, kept = True, file.count > 0
            tally.add(error if isinstance(error, MailmigError) else "interrupted")
            raise
        finally:
            await (file.close() if kept else file.drop())
            entry.count = file.count
            entry.seconds = round(time.monotonic() - start, 1)
            entry.error = entry.error or tally.text
            if tally.broken or (tally.count and not file.count):
                entry.state = "failed"
            self._writer.add(entry)

    async def _fill(
        self, export: Export, entry: FileEntry, file: RowFile, tally: _Tally
    ) -> bool:  # fmt: skip
        """Asks and writes the rows; False when the session has no such cmdlet."""
        try:
            try:
                await self._ask(export, export.cmdlet, file, tally)
            except CmdletNotAllowed:
                if not export.older or file.count:
                    raise
                entry.cmdlet = call(export, export.older)
                await self._ask(export, export.older, file, tally)
        except CmdletNotAllowed as error:
            if not file.count:
                entry.state, entry.error = "not available", " ".join(str(error).split())
                return False
            tally.broken = True
            tally.add(error)
        return True

    async def _ask(self, export: Export, cmdlet: str, file: RowFile, tally: _Tally) -> None:
        if export.each is Each.ONCE:
            await self._ask_once(export, cmdlet, file, tally)
            return
        unsure = self._unsure(export)
        if unsure:
            tally.add(f"not everything could be asked about: {unsure}")
        questions = list(self._questions(export, cmdlet))

        def answered(question: _Question) -> Awaitable[_Answer]:
            return self._answer(export, question)

        ahead = 2 * self._exchange.settings.parallel
        async with aclosing(in_order(questions, answered, ahead)) as answers:
            done = 0
            async for question, answer in answers:
                for item in answer.rows:
                    await self._take(export, item, file, question.mailbox)
                done += 1
                self._progress(export.name, done, len(questions))
                if tally.look(answer):
                    tally.broken = True
                    return

    async def _ask_once(self, export: Export, cmdlet: str, file: RowFile, tally: _Tally) -> None:
        command = Command(cmdlet, tuple(given(export, cmdlet)))
        try:
            async with aclosing(self._rows(command, export, tally.add)) as rows:
                async for item in rows:
                    await self._take(export, item, file, None)
                    self._progress(export.name, file.count, None)
        except CmdletNotAllowed:
            raise
        except _OF_ONE as error:
            tally.broken = True
            tally.add(error)

    def _rows(
        self, command: Command, export: Export, on_error: Callable[[MailmigError], None]
    ) -> AsyncGenerator[Obj]:
        """The objects of one question; an error that means a lacking cmdlet is raised."""

        def heard(error: MailmigError) -> None:
            if isinstance(error, CmdletNotAllowed):
                raise error
            on_error(error)

        wanted = export.properties
        if export.each is Each.MAILBOX:
            wanted = (*wanted, "Identity")
        return self._exchange.ask(command, wanted, on_error=heard)

    async def _answer(self, export: Export, question: _Question) -> _Answer:
        """What one question of many gave. Raises what ends the file or everything."""
        answer = _Answer()
        keep = KEEP.get(export.name)
        names = question.mailbox.names if question.mailbox else frozenset[str]()
        archive = question.mailbox.archive if question.mailbox else ""
        try:
            async with aclosing(self._rows(question.command, export, answer.errors.append)) as rows:
                async for item in rows:
                    if export.each is Each.ARCHIVE:
                        if guid_of(item.get("MailboxGuid")) != archive:
                            continue
                    elif not is_about(item, question.database, names):
                        answer.rows.clear()
                        came = (said(item.get("Identity") or item.get("DatabaseName")),)
                        asked = question.database or question.command.get("Identity")
                        raise NotTheOne(self._exchange.server, question.command, asked, came)
                    if is_self(item):
                        self._writer.manifest.self_name = said(item.get("User"))
                    if keep is None or keep(item):
                        answer.rows.append(item)
        except CmdletNotAllowed:
            raise
        except _OF_ONE as error:
            answer.errors.append(error)
        return answer

    async def _take(
        self, export: Export, item: Obj, file: RowFile, mailbox: _Mailbox | None
    ) -> None:
        self._remember(export, item)
        owner = mailbox.exchange_guid if mailbox else None
        await file.add(row(item, export.properties, export.depth, owner))  # type: ignore[arg-type]

    def _remember(self, export: Export, item: Obj) -> None:
        """Nothing empty is remembered: asked about nothing, a cmdlet answers with everything."""
        if export.name in MAILBOX_FILES:
            found = _mailbox(item)
            if all(found.by.values()):
                self._mailboxes.append(found)
        elif export.name == "databases":
            name = said(item.get("Name"))
            if name.strip() and said(item.get("Recovery")).casefold() != "true":
                self._databases.append(name)
        elif export.name == "statistics":
            self._listed.add(guid_of(item.get("MailboxGuid")))
        elif export.name == "servers":
            names = {said(item.get(name)).casefold() for name in ("Fqdn", "Name")}
            if self._exchange.server.casefold() in names:
                version = said(item.get("AdminDisplayVersion"))
                self._writer.manifest.server_version = version

    def _questions(self, export: Export, cmdlet: str) -> Iterator[_Question]:
        common = tuple(given(export, cmdlet))
        if export.each is Each.DATABASE:
            for name in self._databases:
                yield _Question(Command(cmdlet, (*common, (export.by, name))), name)
            return
        for mailbox in self._mailboxes:
            if export.each is Each.ARCHIVE and (
                not mailbox.archive or mailbox.archive in self._listed
            ):
                continue
            command = Command(cmdlet, (*common, ("Identity", mailbox.by[export.by])))
            yield _Question(command, mailbox=mailbox)

    def _unsure(self, export: Export) -> str:
        """The files that name what is asked about, and are not whole; "" when all are.

        Kinds of mailboxes that the session does not know are no reason to doubt.
        """
        basis = ("databases",) if export.each is Each.DATABASE else MAILBOX_FILES
        known = self._databases if export.each is Each.DATABASE else self._mailboxes
        bad = [
            f"{entry.name} {entry.state if entry.state != 'done' else 'is not complete'}"
            for entry in self._writer.manifest.files
            if entry.name in basis
            and (entry.state == "failed" or (entry.state == "done" and entry.error)
                 or (entry.state == "not available" and not known))
        ]  # fmt: skip
        return ", ".join(bad)


def _mailbox(item: Obj) -> _Mailbox:
    dn = said(item.get("DistinguishedName"))
    names = {said(item.get("Identity")).casefold(), dn.casefold()}
    return _Mailbox(
        item.get("ExchangeGuid"), {"Guid": guid_of(item.get("Guid")), "DistinguishedName": dn},
        guid_of(item.get("ArchiveGuid")), frozenset(names - {""}),
    )  # fmt: skip
