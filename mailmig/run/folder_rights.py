"""Who may use whose calendar and inbox: a run of its own, as it takes some calls per mailbox.

    run = FolderRights(snapshot, state_folder)
    await run.ask(exchange, progress)
    snapshots.add(run.reading(exchange.server, now))

Folders have names in the language of their owner, so the default calendar and inbox are looked
up first (by type, not by name), then who may use them. Each mailbox that was asked is written down at
once, in a file beside the snapshots: a run that was killed goes on where it was. What cannot be asked
about one mailbox is counted, and asked again by the next run; what concerns all (a cmdlet that the
role lacks, a server that is gone or silent for several mailboxes in a row) ends the run, and the
next one goes on.

The result is a new snapshot: all that the old one holds, and these rights besides.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, TextIO

from mailmig.model.command import Command
from mailmig.model.directory import PEOPLE, Edge, Mailbox, Right, TrusteeKind, UsageState
from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.snapshot import Gap, Snapshot
from mailmig.run.export_rows import said
from mailmig.run.questions import Progress, in_order
from mailmig.run.ready import Ready
from mailmig.sources.exchange import Exchange
from mailmig.sources.export_rights import Directory
from mailmig.sources.remote_errors import BrokenReply, CmdletFailed, NoSuchObject, TookTooLong
from mailmig.wire.clixml import Obj

FOLDER_RIGHTS: Final = (Right.DELEGATE, Right.CALENDAR_EDITOR, Right.CALENDAR_REVIEWER)
# Seconds per mailbox before anything is measured: four calls at a busy server [MEM].
GUESS_S: Final = 3.0
_FOLDERS: Final = ("Calendar", "Inbox")
# Roles and single rights (Add-MailboxFolderPermission) by what they let somebody do.
_WRITE: Final = frozenset(
    "owner publishingeditor editor publishingauthor author noneditingauthor contributor createitems "
    "editalliitems editallitems editowneditems deleteallitems".split()
)
_READ: Final = frozenset({"reviewer", "readitems"})
_NOT_PEOPLE: Final = frozenset({"default", "anonymous"})
# These concern one mailbox, the silent ones unless they come so often in a row; all others end the run.
_SILENT: Final = (BrokenReply, TookTooLong)
_OF_ONE: Final = (CmdletFailed, NoSuchObject, *_SILENT)
_GIVE_UP: Final = 3
_SCHEMA: Final = 1

# Right, user as printed, and user as the directory calls him.
_Rights = list[tuple[str, str, str]]


class CannotRemember(MailmigError):
    """What was asked cannot be written down: look at the state folder and the disk."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}; look at the disk")
        self.path = path


class TakenOver(MailmigError):
    """Another run asks for the same: wait for that one."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"another run asks for the same folder rights and goes on with what this one had ({path}); "
            "wait for that one"
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class Forecast:
    """How much there is to do: mailboxes in all and asked already, and seconds to go."""

    mailboxes: int
    done: int
    seconds: float

    def __str__(self) -> str:
        minutes = max(1, round(self.seconds / 60))
        left = f"{self.mailboxes - self.done:,} mailboxes to ask"
        asked = f" ({self.done:,} were asked before)" if self.done else ""
        how_long = f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
        return f"{left}{asked}, about {how_long}"


class FolderRights:
    """The run over one snapshot; what was asked before is read when it is made."""

    def __init__(self, snapshot: Snapshot, folder: Path) -> None:
        self.snapshot = snapshot
        self.path = folder / f"folder-rights-{snapshot.info.id}.jsonl"
        self._answers = _read(self.path, snapshot.info.digest)
        self._failed: list[str] = []
        self._silent = 0  # mailboxes in a row that the server said nothing of
        self._wanted = [
            one for one in snapshot.mailboxes
            if one.kind in PEOPLE and one.guid and one.usage.state is not UsageState.NEVER_USED
        ]  # fmt: skip

    def forecast(self, parallel: int) -> Forecast:
        """Before anything is measured; with so many questions at a time."""
        done = sum(one.exchange_guid in self._answers for one in self._wanted)
        return Forecast(len(self._wanted), done, (len(self._wanted) - done) * GUESS_S / parallel)

    async def ask(self, exchange: Exchange, progress: Progress | None = None) -> None:
        """Ask about everybody who was not asked yet.

        Raises:
            CannotRemember, TakenOver, and whatever ends the run; then the next one goes on here.
        """
        open_ = [one for one in self._wanted if one.exchange_guid not in self._answers]
        before, began = len(self._wanted) - len(open_), time.monotonic()
        self._failed.clear()

        async def answer(mailbox: Mailbox) -> _Rights | MailmigError:
            try:
                return await _rights(exchange, mailbox)
            except _OF_ONE as error:
                return error

        try:
            with self._open() as file:
                answers = in_order(open_, answer, exchange.settings.parallel)
                async with aclosing(answers) as found:
                    number = 0
                    async for mailbox, rights in found:
                        number += 1
                        self._keep(mailbox, rights, file)
                        if progress is not None:
                            left = (time.monotonic() - began) / number * (len(open_) - number)
                            what = f"folder rights, about {max(1, round(left / 60))} min left"
                            progress(what, before + number, len(self._wanted))
        except OSError as error:
            raise CannotRemember(self.path, error) from error

    def _keep(self, mailbox: Mailbox, rights: _Rights | MailmigError, file: TextIO) -> None:
        """Write down what came. Raises the error that comes once too often in a row."""
        if isinstance(rights, MailmigError):
            self._failed.append(" ".join(str(rights).split()))
            self._silent = self._silent + 1 if isinstance(rights, _SILENT) else 0
            if self._silent == _GIVE_UP:
                raise rights
            return
        self._silent = 0
        if not os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
            raise TakenOver(self.path)
        line: dict[str, object] = {"mailbox": mailbox.exchange_guid, "rights": rights}
        self._answers[mailbox.exchange_guid] = line
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()

    def reading(self, server: str, now: datetime) -> Ready:
        """The snapshot with what came, to be stored as a new one."""
        old = self.snapshot
        names = _names(old)
        edges = tuple(dict.fromkeys(self._edges(names)))
        gaps = list(old.info.gaps)
        if self._failed:
            gaps.append(
                Gap(
                    f"folder rights of {len(self._failed):,} mailboxes could not be asked "
                    f"(the first: {self._failed[0][:300]})",
                    "the plan may part people who share calendars",
                )
            )
        mark = sha256(repr((old.info.digest, edges)).encode("utf-8", "replace")).hexdigest()
        return Ready(
            old.info.organisation, old.info.taken_at,
            f"snapshot {old.info.id} with folder rights from {server} at {now:%Y-%m-%d %H:%M} UTC",
            old.servers, old.dags, old.databases, old.copies, old.mailboxes,
            (*(edge for edge in old.edges if edge.right not in FOLDER_RIGHTS), *edges),
            old.groups, old.facts, tuple(gaps), mark,
        )  # fmt: skip

    def forget(self) -> None:
        """Take the file away, when its content is stored."""
        self.path.unlink(missing_ok=True)

    def _edges(self, names: Directory) -> Iterator[Edge]:
        for owner, line in self._answers.items():
            rights = line.get("rights")
            for right, text, account in rights if isinstance(rights, list) else ():
                kind, delegate = names.trustee(account or text)
                if kind is TrusteeKind.OTHER:
                    delegate = ""
                if delegate != owner:
                    yield Edge(owner, Right(right), account or text, kind, delegate)

    def _open(self) -> TextIO:
        """The file for what comes; a line that broke off in the middle is cut away."""
        whole = [json.dumps({"schema": _SCHEMA, "snapshot": self.snapshot.info.digest})]
        whole += [json.dumps(line, ensure_ascii=False) for line in self._answers.values()]
        part = self.path.with_suffix(".part")
        part.write_text("\n".join(whole) + "\n", "utf-8")
        part.replace(self.path)
        return self.path.open("a", encoding="utf-8")


async def _rights(exchange: Exchange, mailbox: Mailbox) -> _Rights:
    """Who may use the calendar and the inbox."""
    found = []
    for folder in _FOLDERS:
        for identity in await _default_folder(exchange, mailbox, folder):
            command = Command("Get-MailboxFolderPermission", (("Identity", identity),))
            wanted = ("User", "AccessRights", "SharingPermissionFlags")
            rows = [item async for item in exchange.ask(command, wanted)]
            for item in rows:
                text, account = _user(item)
                if text.casefold() not in _NOT_PEOPLE:
                    found += [(right.value, text, account) for right in _meant(folder, item)]
    return found


async def _default_folder(exchange: Exchange, mailbox: Mailbox, folder: str) -> list[str]:
    """The identity of the default folder of a kind, if there is one; not of those below it."""
    command = Command(
        "Get-MailboxFolderStatistics", (("Identity", mailbox.guid), ("FolderScope", folder))
    )
    rows = exchange.ask(command, ("FolderType", "FolderPath", "FolderId"))
    found = [item async for item in rows]
    names = [
        said(item.get("FolderId")) or said(item.get("FolderPath")).replace("/", "\\")
        for item in found
        if said(item.get("FolderType")).casefold() == folder.casefold()
    ]
    return [f"{mailbox.guid}:{name}" for name in names if name]


def _user(item: Obj) -> tuple[str, str]:
    """Who holds a right: the name as printed, and that of the account where one is behind it."""
    user = item.get("User")
    account = user.get("ADRecipient") if isinstance(user, Obj) else None
    return said(user), said(account)


def _meant(folder: str, item: Obj) -> Iterator[Right]:
    """What the rights on a folder come to; seeing when somebody is busy is none.

    Whoever may open the inbox is a delegate, as is whom the calendar says to be one.
    """
    rights = {word.strip().casefold() for word in _words(item.get("AccessRights"))}
    writes, reads = rights & _WRITE, rights & _READ
    if folder == "Inbox":
        if writes or reads:
            yield Right.DELEGATE
        return
    if "delegate" in said(item.get("SharingPermissionFlags")).casefold():
        yield Right.DELEGATE
    if writes:
        yield Right.CALENDAR_EDITOR
    elif reads:
        yield Right.CALENDAR_REVIEWER


def _words(value: object) -> list[str]:
    inner = value.value if isinstance(value, Obj) else None
    parts = [said(one) for one in inner] if isinstance(inner, list) else [said(value)]  # type: ignore[arg-type]
    return [word for part in parts for word in part.split(",")]


def _names(snapshot: Snapshot) -> Directory:
    """Everybody in the snapshot by all his names; groups only by what they are called."""
    names = Directory()
    for mailbox in snapshot.mailboxes:
        names.add_mailbox(mailbox, "")
    for group in snapshot.groups:
        names.short.setdefault(group.name.lower(), (TrusteeKind.GROUP, group.guid))
    return names


def _read(path: Path, digest: str) -> dict[str, dict[str, object]]:
    """What was asked before, by mailbox; nothing where the file is of another snapshot."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(path, f"cannot be read ({error}): take it away to begin again") from error
    found: dict[str, dict[str, object]] = {}
    for number, text in enumerate(lines):
        try:
            line = json.loads(text)
        except ValueError:
            break  # the program was ended while it wrote this
        if number == 0 and line != {"schema": _SCHEMA, "snapshot": digest}:
            return {}
        if number and isinstance(line, dict) and "rights" in line:
            found[str(line.get("mailbox", ""))] = line
    return found
