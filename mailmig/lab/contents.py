"""What lies in mailboxes: folders and messages.

Only what was changed is stored: messages that were delivered, written or moved, what somebody
changed in the others, and which of these are gone. The rest is made when somebody looks, always the same, so that the folders of a
mailbox hold exactly the bytes and items that Get-MailboxStatistics tells of it. Recoverable Items
are apart, as there: `used` and `items` are all other folders, `deleted` and `deleted_items` these.

Sizes are bytes, times aware. Hold the world's lock. Which share of a mailbox lies in which folder
is made up; names of folders come in the mailbox's language (German, English for every ninth).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from mailmig.lab.organisation import Organisation, share
from mailmig.lab.population import Mailbox

INBOX, SENT, OUTBOX, TRASH, DRAFTS = "inbox", "sentitems", "outbox", "deleteditems", "drafts"
ROOT, TOP, DUMPSTER = "root", "msgfolderroot", "recoverableitemsroot"
DELETIONS: Final = "recoverableitemsdeletions"
# What is not stored came in over so long before the lab began.
_SPAN: Final = timedelta(days=900)
# So much of an item's place among the others may shift: they have different sizes.
_JITTER: Final = 0.9


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder that every mailbox has; `key` is its distinguished id, or the lab's own.

    `part` is its share of the bytes that are not stored, `count` that of the items.
    """

    key: str
    parent: str
    german: str
    english: str
    kind: str = "IPF.Note"
    part: float = 0.0
    count: float = 0.0
    distinguished: bool = True

    def name(self, mailbox: Mailbox) -> str:
        """How it is called in this mailbox."""
        return self.english if mailbox.number % 9 == 0 else self.german


FOLDERS: Final = {
    one.key: one
    for one in (
        Folder(ROOT, "", "root", "root", ""),
        Folder(TOP, ROOT, "Oberste Ebene des Informationsspeichers", "Top of Information Store",
               ""),
        Folder(INBOX, TOP, "Posteingang", "Inbox"),
        Folder("invoices", INBOX, "Rechnungen", "Invoices", part=0.1, count=0.06,
               distinguished=False),
        Folder(DRAFTS, TOP, "Entwürfe", "Drafts", part=0.004, count=0.005),
        Folder(SENT, TOP, "Gesendete Elemente", "Sent Items", part=0.27, count=0.26),
        Folder(TRASH, TOP, "Gelöschte Elemente", "Deleted Items", part=0.08, count=0.09),
        Folder(OUTBOX, TOP, "Postausgang", "Outbox"),
        Folder("junkemail", TOP, "Junk-E-Mail", "Junk Email", part=0.006, count=0.02),
        Folder("calendar", TOP, "Kalender", "Calendar", "IPF.Appointment", 0.05, 0.08),
        Folder("birthdays", "calendar", "Geburtstage", "Birthdays", "IPF.Appointment",
               distinguished=False),
        Folder("contacts", TOP, "Kontakte", "Contacts", "IPF.Contact", 0.01, 0.03),
        Folder("tasks", TOP, "Aufgaben", "Tasks", "IPF.Task", 0.001, 0.005),
        Folder("notes", TOP, "Notizen", "Notes", "IPF.StickyNote"),
        Folder("journal", TOP, "Journal", "Journal", "IPF.Journal"),
        Folder("searchfolders", ROOT, "Finder", "Finder", ""),
        Folder(DUMPSTER, ROOT, "Recoverable Items", "Recoverable Items", ""),
        Folder(DELETIONS, DUMPSTER, "Deletions", "Deletions", ""),
        Folder("recoverableitemsversions", DUMPSTER, "Versions", "Versions", "", 0.1, 0.1),
        Folder("recoverableitemspurges", DUMPSTER, "Purges", "Purges", ""),
    )
}  # fmt: skip


def below(key: str) -> Iterator[Folder]:
    """All folders below one, each after its parent."""
    found = {key}
    for one in FOLDERS.values():
        if one.parent in found:
            found.add(one.key)
            yield one


def is_recoverable(key: str) -> bool:
    """Whether a folder belongs to Recoverable Items, which count against a quota of their own."""
    return key == DUMPSTER or FOLDERS[key].parent == DUMPSTER


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in an item; `number` is its own there, `kind` its MIME type."""

    number: int
    name: str
    kind: str
    content: bytes
    content_id: str = ""
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One item. `number` is its own among the stored ones, or its place among the others.

    Addresses are texts; `headers` are those of the transport, the newest hop first. `body` is plain
    text, `html` the same as HTML, "" where nobody wrote any. `properties` are what clients set and
    the lab only keeps: how EWS calls a property, and its element as EWS writes it.
    """

    folder: str
    number: int
    stored: bool
    subject: str
    sender: str
    to: tuple[str, ...]
    sent: datetime
    received: datetime
    size: int
    message_id: str
    cc: tuple[str, ...] = ()
    body: str = ""
    read: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    bcc: tuple[str, ...] = ()
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Changed:
    """What is different in one mailbox.

    `edited` are made items that somebody changed, `gone` holds the size of each that is gone.
    """

    stored: dict[int, Message] = field(default_factory=dict)
    edited: dict[tuple[str, int], Message] = field(default_factory=dict)
    gone: dict[tuple[str, int], int] = field(default_factory=dict)


class Contents:
    """The contents of all mailboxes of an organisation."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._founded = organisation.now
        # Who wrote the items that are made; those who come later wrote none of them.
        self._writers = len(organisation.mailboxes)
        self._changed: dict[int, _Changed] = {}
        self._next = 0

    def count(self, mailbox: Mailbox, key: str) -> int:
        """How many items lie in a folder itself."""
        return self._held(mailbox, key)[0]

    def size(self, mailbox: Mailbox, key: str) -> int:
        """Bytes of the items in a folder itself."""
        return self._held(mailbox, key)[1]

    def unread(self, mailbox: Mailbox, key: str) -> int:
        """How many of them nobody has read."""
        changed = self._of(mailbox)
        known = (*changed.stored.values(), *changed.edited.values())
        return sum(one.folder == key and not one.read for one in known)

    def items(self, mailbox: Mailbox, key: str) -> Iterator[Message]:
        """The items of a folder, the newest first; made one by one."""
        changed = self._of(mailbox)
        stored = [one for one in changed.stored.values() if one.folder == key]
        yield from sorted(stored, key=lambda one: (one.received, one.number), reverse=True)
        count, size = self._made(mailbox, key)
        for number in range(count):
            if (key, number) not in changed.gone:
                edited = changed.edited.get((key, number))
                yield edited or self._make(mailbox, key, number, count, size)

    def item(self, mailbox: Mailbox, key: str, number: int, *, stored: bool) -> Message | None:
        """One item; None when it is not there (any more)."""
        changed = self._of(mailbox)
        if stored:
            return changed.stored.get(number)
        count, size = self._made(mailbox, key)
        if not 0 <= number < count or (key, number) in changed.gone:
            return None
        edited = changed.edited.get((key, number))
        return edited or self._make(mailbox, key, number, count, size)

    def put(self, mailbox: Mailbox, message: Message) -> Message:
        """A message lies in this mailbox from now on, in `message.folder`; as it is stored."""
        self._next += 1
        kept = replace(message, number=self._next, stored=True)
        self._changed.setdefault(mailbox.number, _Changed()).stored[kept.number] = kept
        self._count(mailbox, kept, +1)
        self._organisation.databases[mailbox.database].size += kept.size
        return kept

    def edit(self, mailbox: Mailbox, message: Message) -> None:
        """An item that is there is like this from now on; what was made keeps its size."""
        changed = self._changed.setdefault(mailbox.number, _Changed())
        if not message.stored:
            known = self.item(mailbox, message.folder, message.number, stored=False)
            assert known is not None, "only what is there can be changed"
            place = message.folder, message.number
            changed.edited[place] = replace(message, size=known.size)
            return
        grown = message.size - changed.stored[message.number].size
        changed.stored[message.number] = message
        mailbox.used += 0 if is_recoverable(message.folder) else grown
        mailbox.deleted += grown if is_recoverable(message.folder) else 0
        self._organisation.databases[mailbox.database].size += grown

    def take(self, mailbox: Mailbox, message: Message) -> None:
        """A message is gone; its room in the database stays as white space."""
        changed = self._changed.setdefault(mailbox.number, _Changed())
        if message.stored:
            del changed.stored[message.number]
        else:
            changed.gone[message.folder, message.number] = message.size
            changed.edited.pop((message.folder, message.number), None)
        self._count(mailbox, message, -1)
        database = self._organisation.databases[mailbox.database]
        database.size -= message.size
        database.white_space += message.size

    def move(self, mailbox: Mailbox, message: Message, key: str) -> Message:
        """A message lies in another folder from now on."""
        self.take(mailbox, message)
        self._organisation.databases[mailbox.database].white_space -= message.size
        return self.put(mailbox, replace(message, folder=key))

    def _of(self, mailbox: Mailbox) -> _Changed:
        return self._changed.get(mailbox.number) or _Changed()

    def _count(self, mailbox: Mailbox, message: Message, sign: int) -> None:
        """The mailbox's own figures follow what comes and goes."""
        if is_recoverable(message.folder):
            mailbox.deleted = max(0, mailbox.deleted + sign * message.size)
            mailbox.deleted_items = max(0, mailbox.deleted_items + sign)
        else:
            mailbox.used = max(0, mailbox.used + sign * message.size)
            mailbox.items = max(0, mailbox.items + sign)

    def _held(self, mailbox: Mailbox, key: str) -> tuple[int, int]:
        """Items and bytes of a folder."""
        changed = self._of(mailbox)
        count, size = self._made(mailbox, key)
        stored = [one.size for one in changed.stored.values() if one.folder == key]
        gone = [bytes_ for (folder, _), bytes_ in changed.gone.items() if folder == key]
        return count - len(gone) + len(stored), size - sum(gone) + sum(stored)

    def _made(self, mailbox: Mailbox, key: str) -> tuple[int, int]:
        """Items and bytes of a folder that were there before anything changed, as far as they grew.

        One folder of each half takes what the others leave.
        """
        folder, half = FOLDERS[key], is_recoverable(key)
        rest = DELETIONS if half else INBOX
        if key != rest and not folder.part:
            return 0, 0
        items, size = self._whole(mailbox, recoverable=half)
        if key != rest:
            return _part(folder, items, size)
        others = [
            _part(one, items, size)
            for one in FOLDERS.values()
            if one.part and is_recoverable(one.key) is half
        ]
        return items - sum(one[0] for one in others), size - sum(one[1] for one in others)

    def _whole(self, mailbox: Mailbox, *, recoverable: bool) -> tuple[int, int]:
        """Items and bytes of one half of a mailbox, without what is stored, with what is gone."""
        changed = self._of(mailbox)
        stored = [one.size for one in changed.stored.values()
                  if is_recoverable(one.folder) is recoverable]  # fmt: skip
        gone = [size for (key, _), size in changed.gone.items()
                if is_recoverable(key) is recoverable]  # fmt: skip
        items = mailbox.deleted_items if recoverable else mailbox.items
        size = mailbox.deleted if recoverable else mailbox.used
        return (
            max(0, items - len(stored) + len(gone)), max(0, size - sum(stored) + sum(gone)),
        )  # fmt: skip

    def _make(self, mailbox: Mailbox, key: str, number: int, count: int, size: int) -> Message:
        begins, ends = (
            _boundary(mailbox, key, one, count, size) for one in (number, number + 1)
        )  # fmt: skip
        at = self._founded - _SPAN * ((number + 0.5) / count)
        day = at.replace(microsecond=0)
        everybody = self._organisation.mailboxes
        other = everybody[int(share(mailbox.guid, key, number, "who") * self._writers)]
        own = key in (SENT, DRAFTS)
        sender, to = (mailbox, other) if own else (other, mailbox)
        return Message(
            key, number, False, f"Vorgang {day.year}/{count - number}", sender.address,
            (to.address,), day, day, ends - begins,
            f"<{mailbox.exchange_guid}.{key}.{number}@{self._organisation.domain}>",
        )  # fmt: skip


def _part(folder: Folder, items: int, size: int) -> tuple[int, int]:
    """A folder's share; without an item it has no bytes either."""
    count = int(items * folder.count)
    return (count, int(size * folder.part)) if count else (0, 0)


def _boundary(mailbox: Mailbox, key: str, number: int, count: int, size: int) -> int:
    """Where an item begins in its folder, if all lay one behind the other."""
    if number in (0, count):
        return size if number else 0
    return int(size * (number + _JITTER * share(mailbox.guid, key, number)) / count)
