"""Get-MailboxFolderStatistics and Get-MailboxFolderPermission: calendar and inbox, and who may.

Each mailbox has its folders in the language of its first logon: German here, English for every
ninth. Whoever may send on behalf is the delegate of the calendar, every third mailbox lets the next
of its department read the calendar, and Default sees when somebody is busy [DEF]. A mailbox that
nobody ever used has no folders (words and class from memory [MEM]).
"""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Final
from uuid import UUID

from mailmig.lab import contents
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.objects import Live
from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Mailbox
from mailmig.wire.clixml import Obj, UInt32, Value

_STORE: Final = "Microsoft.Exchange.Management.StoreTasks"
# FolderType to the folder itself and one below it.
_FOLDERS: Final = {"Calendar": ("calendar", "birthdays"), "Inbox": ("inbox", "invoices")}


def _name(mailbox: Mailbox, kind: str) -> str:
    return contents.FOLDERS[_FOLDERS[kind][0]].name(mailbox)


def _statistics(ask: Ask) -> Iterator[Given]:
    mailbox = _mailbox(ask, ask.identity)
    wanted = str(ask.bound.get("FolderScope") or "All")
    for kind, (own, inner) in _FOLDERS.items():
        if wanted.lower() not in ("all", kind.lower()):
            continue
        name = _name(mailbox, kind)
        below = contents.FOLDERS[inner].name(mailbox)
        for folder, path, what in (
            (own, f"/{name}", kind),
            (inner, f"/{name}/{below}", "User Created"),
        ):
            key = f"{mailbox.guid}{path}"
            yield Row("Get-MailboxFolderStatistics", key, None,
                      partial(_folder, ask, mailbox, folder, path, what))  # fmt: skip


def _folder(ask: Ask, mailbox: Mailbox, folder: str, path: str, what: str) -> tuple[str, Live]:
    name = contents.FOLDERS[folder].name(mailbox)
    place = ask.view.places.canonical(mailbox.path, mailbox.name)
    return name, {
        "Name": name,
        "Identity": place + path.replace("/", "\\"),
        "FolderPath": path,
        "FolderId": _folder_id(mailbox, path),
        "FolderType": what,
        "ItemsInFolder": UInt32(ask.world.contents.count(mailbox, folder)),
        "ContentMailboxGuid": UUID(mailbox.exchange_guid),
    }


def _folder_id(mailbox: Mailbox, path: str) -> str:
    return "LgAAAA" + sha256(f"{mailbox.exchange_guid}{path}".encode()).hexdigest()[:40].upper()


def _permissions(ask: Ask) -> Iterator[Given]:
    whose, _, path = ask.identity.partition(":")
    mailbox = _mailbox(ask, whose)
    for kind in _FOLDERS:
        name = _name(mailbox, kind)
        if path.lower() in (f"\\{name}".lower(), _folder_id(mailbox, f"/{name}").lower()):
            for place, held in enumerate(rights(ask.organisation, mailbox, kind)):
                yield Row("Get-MailboxFolderPermission", f"{mailbox.guid}/{kind}/{place}", None,
                          partial(_right, ask, mailbox, name, *held))  # fmt: skip
            return
    raise ask.failed(
        f"The operation couldn't be performed because '{ask.identity}' couldn't be found.",
        "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
        "ObjectNotFound",
    )  # fmt: skip


def rights(
    organisation: Organisation, mailbox: Mailbox, kind: str
) -> Iterator[tuple[str | Mailbox, str, str]]:
    """Who may do what: a word or a mailbox, the right, and what a calendar shares."""
    calendar = kind == "Calendar"
    yield "Default", "AvailabilityOnly" if calendar else "None", ""
    yield "Anonymous", "None", ""
    everybody = organisation.mailboxes
    for number in mailbox.on_behalf:
        if not everybody[number].gone:
            flags = "Delegate" if calendar else ""
            yield everybody[number], "Editor" if calendar else "Reviewer", flags
    following = everybody[(mailbox.number + 1) % len(everybody)]
    near = following.department == mailbox.department and not following.gone
    if calendar and near and mailbox.number % 3 == 0 and following.number not in mailbox.on_behalf:
        yield following, "Reviewer", ""


def _right(
    ask: Ask, mailbox: Mailbox, folder: str, user: str | Mailbox, right: str, flags: str
) -> tuple[str, Live]:
    place = ask.view.places.canonical(mailbox.path, mailbox.name)
    access = Obj((f"{_STORE}.MailboxFolderAccessRight", "System.Object"), right, {"IsRole": True})
    text = f"{place}:\\{folder}"
    return text, {
        "FolderName": folder,
        "User": _user(ask, user),
        "AccessRights": Obj(
            (f"System.Collections.ObjectModel.Collection`1[[{_STORE}.MailboxFolderAccessRight]]",
             "System.Object"), value=[access],
        ),
        "SharingPermissionFlags": flags or None,
        "Identity": text,
    }  # fmt: skip


def _user(ask: Ask, user: str | Mailbox) -> Obj:
    types = (f"{_STORE}.MailboxFolderUserId", "System.Object")
    if isinstance(user, str):
        properties: dict[str, Value] = {
            "DisplayName": user, "UserType": user, "ADRecipient": None,
        }  # fmt: skip
        return Obj(types, user, properties)
    known = ask.view.recipients.mailbox_id(user)
    properties = {"DisplayName": user.display_name, "UserType": "Internal", "ADRecipient": known}
    return Obj(types, user.display_name, properties)


def _mailbox(ask: Ask, identity: str) -> Mailbox:
    found = ask.the_one(list(ask.register.mailboxes(identity)))
    assert isinstance(found, Mailbox)
    if found.last_logon is None:
        raise ask.failed(
            f"The mailbox '{found.name}' was never logged on to; it has no folders.",
            "Microsoft.Exchange.Data.Storage.MailboxUnavailableException", "ResourceUnavailable",
        )  # fmt: skip
    return found


CMDLETS: Final = (
    Simulated("Get-MailboxFolderStatistics", _statistics, ("Identity", "FolderScope")),
    Simulated("Get-MailboxFolderPermission", _permissions, ("Identity",)),
)
