r"""Public folders: the tree, what each folder holds, and which mailbox holds it.

Every department has a folder below the root with a few below it; their content lies in the
public folder mailboxes, department by department. Sizes add up to what those mailboxes hold.
Paths are tuples of names from the root, the root itself is ().

A folder moves to another mailbox by a request; the organisation has one at a time
(migration.md 8). Its content is where it was until the request is completed.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from mailmig.lab.contents import Message
from mailmig.lab.organisation import Organisation, guid, share
from mailmig.lab.population import Mailbox
from mailmig.model.directory import Kind
from mailmig.model.quota import KIB

_BELOW: Final = ("Termine", "Kontakte", "Vorlagen", "Protokolle", "Archiv vor 2020")
_ITEM_BYTES: Final = 70 * KIB
_BYTES_PER_HOUR: Final = 2 * 1024**3
_EVERY_MAIL_ENABLED: Final = 4
ROOT_NAME: Final = "IPM_SUBTREE"
READERS, EDITORS = "Reviewer", "PublishingEditor"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder. `mailbox` is the number of the one that holds its content."""

    path: tuple[str, ...]
    mailbox: int
    items: int
    size: int
    kind: str = "IPF.Note"
    mail: str = ""
    children: bool = False

    @property
    def name(self) -> str:
        return self.path[-1] if self.path else ROOT_NAME

    @property
    def parent(self) -> str:
        return "\\" + "\\".join(self.path[:-1])

    @property
    def identity(self) -> str:
        return "\\" + "\\".join(self.path)


@dataclass(slots=True)
class FolderMove:
    """The one request that moves folders between public folder mailboxes."""

    name: str
    folders: tuple[tuple[str, ...], ...]
    source: int
    target: int
    size: int
    queued: datetime
    suspended: bool = False
    carried: bool = False

    @property
    def due(self) -> datetime:
        return self.queued + timedelta(minutes=2, hours=self.size / _BYTES_PER_HOUR)

    def status(self, now: datetime) -> str:
        """The name of its RequestStatus."""
        if self.suspended:
            return "Suspended"
        if now >= self.due:
            return "Completed"
        return "InProgress" if now > self.queued else "Queued"

    def percent(self, now: datetime) -> int:
        part = (now - self.queued) / (self.due - self.queued)
        return 0 if self.suspended else min(100, int(100 * part))


@dataclass
class PublicFolders:
    """All public folders of an organisation."""

    organisation: Organisation
    request: FolderMove | None = None
    synchronised: dict[int, datetime] = field(default_factory=dict)
    received: dict[tuple[str, ...], list[Message]] = field(default_factory=dict)
    _moved: dict[tuple[str, ...], int] = field(default_factory=dict)

    def all(self) -> list[Folder]:
        """Every folder, parents first."""
        self.follow()
        return [self._now(one) for one in self._founded]

    def put(self, path: tuple[str, ...], message: Message) -> None:
        """A message that was sent to a folder's address lies in it from now on."""
        folder = self.find(path)
        assert folder is not None, "only folders that are there get mail"
        self.received.setdefault(folder.path, []).append(message)
        mailbox = self.organisation.mailboxes[folder.mailbox]
        mailbox.used += message.size
        mailbox.items += 1
        self.organisation.databases[mailbox.database].size += message.size

    def mailboxes(self) -> list[Mailbox]:
        """The public folder mailboxes, the one of the hierarchy first."""
        return list(self.organisation.present(Kind.PUBLIC_FOLDER))

    def find(self, path: tuple[str, ...]) -> Folder | None:
        """The folder of this path, whatever the case."""
        low = tuple(part.lower() for part in path)
        return next((f for f in self.all() if tuple(p.lower() for p in f.path) == low), None)

    def below(self, path: tuple[str, ...], *, deep: bool) -> list[Folder]:
        """What lies below a folder: its children, or all of it."""
        size = len(path)
        return [
            folder
            for folder in self.all()
            if folder.path[:size] == path
            and (len(folder.path) > size if deep else len(folder.path) == size + 1)
        ]

    def move(self, name: str, folders: list[Folder], target: Mailbox) -> FolderMove:
        """Ask for folders to be moved; whoever asks has seen to it that no request is there."""
        self.request = FolderMove(
            name, tuple(one.path for one in folders), folders[0].mailbox, target.number,
            sum(one.size for one in folders), self.organisation.now,
        )  # fmt: skip
        return self.request

    def follow(self) -> None:
        """A request that is completed takes its content along, once."""
        request = self.request
        if request is None or request.carried:
            return
        if request.status(self.organisation.now) == "Completed":
            request.carried = True
            self._moved |= dict.fromkeys(request.folders, request.target)
            source, target = (
                self.organisation.mailboxes[n] for n in (request.source, request.target)
            )
            moved = min(request.size, source.used)
            source.used -= moved
            target.used += moved
            self.organisation.databases[target.database].size += moved

    def _now(self, founded: Folder) -> Folder:
        """A folder with what came since, in the mailbox that has it now."""
        came = self.received.get(founded.path, ())
        if not came and founded.path not in self._moved:
            return founded
        return replace(
            founded, mailbox=self._moved.get(founded.path, founded.mailbox),
            items=founded.items + len(came), size=founded.size + sum(one.size for one in came),
        )  # fmt: skip

    @cached_property
    def _founded(self) -> tuple[Folder, ...]:
        mailboxes = self.mailboxes()
        if not mailboxes:
            return ()
        paths: list[tuple[tuple[str, ...], int]] = []
        for place, department in enumerate(self.organisation.departments):
            number = mailboxes[place % len(mailboxes)].number
            paths.append(((department.name,), number))
            paths += [((department.name, name), number) for name in self._below(department.name)]
        found = [Folder((), mailboxes[0].number, 0, 0, children=True)]
        weights = {path: 0.05 + share(self.organisation.seed, *path) for path, _ in paths}
        for path, number in paths:
            whole = sum(weights[p] for p, holder in paths if holder == number)
            used = self.organisation.mailboxes[number].used
            found.append(self._folder(path, number, int(used * weights[path] / whole)))
        return tuple(found)

    def _below(self, name: str) -> tuple[str, ...]:
        return _BELOW[: 2 + int(share(self.organisation.seed, "folders", name) * 4)]

    def _folder(self, path: tuple[str, ...], number: int, size: int) -> Folder:
        kinds = {"Termine": "IPF.Appointment", "Kontakte": "IPF.Contact"}
        picked = share(self.organisation.seed, "mail", *path) * _EVERY_MAIL_ENABLED < 1
        domain = self.organisation.mail_domains[0]
        mail = f"{guid('folder', *path)[:8]}.ordner@{domain}" if picked and len(path) == 1 else ""
        return Folder(
            path, number, max(1, size // _ITEM_BYTES), size, kinds.get(path[-1], "IPF.Note"), mail,
            children=len(path) == 1,
        )  # fmt: skip
