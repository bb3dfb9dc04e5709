r"""Public folders: the tree, what is in it, who may use it, and moves of folders between mailboxes.

An identity is a path from the root, `\Bauamt\Termine`. A `/` in a name stands as it is; a
backslash cannot be in one. Without a public folder mailbox every cmdlet here fails (words from
memory [MEM]).
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.connectors import texts
from mailmig.lab.exchange.calls import Warning
from mailmig.lab.moving import STATUS_NUMBERS
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid, share
from mailmig.lab.places import rdn
from mailmig.lab.population import Mailbox
from mailmig.lab.public_folders import EDITORS, READERS, Folder, FolderMove
from mailmig.wire.clixml import Obj, UInt32

_SPACE: Final = f"{v.DATA}.Storage.Management"
_STORE: Final = "Microsoft.Exchange.Management.StoreTasks"
_RECIPIENT: Final = f"{v.DIRECTORY}.Recipient"
_NOT_READY: Final = "Microsoft.Exchange.Data.Storage.ObjectNotFoundException"
_SYSTEM_OBJECTS: Final = "Microsoft Exchange System Objects"
# Numbers of folder rights from memory [MEM].
_RIGHTS: Final = {"None": 0, READERS: 1025, EDITORS: 1275, "Owner": 2043, "CreateItems": 2}


def _asked(ask: Ask) -> Folder:
    """The folder of an identity, the root without one. Raises `Failed`."""
    if not ask.world.public_folders.mailboxes():
        raise ask.failed(
            "No active public folder mailboxes were found.", _NOT_READY, "ObjectNotFound"
        )
    path = tuple(part for part in ask.identity.split("\\") if part)
    found = ask.world.public_folders.find(path)
    if found is None:
        raise ask.failed(
            f"Public folder '{ask.identity}' couldn't be found.", _NOT_READY, "ObjectNotFound"
        )
    return found


def _get(ask: Ask) -> Iterator[Given]:
    folder = _asked(ask)
    known = ask.world.public_folders
    found = [folder]
    if ask.bound.is_on("Recurse"):
        found += known.below(folder.path, deep=True)
    elif ask.bound.is_on("GetChildren"):
        found = known.below(folder.path, deep=False)
    holder = _holder(ask)
    for one in found:
        if not ask.bound.is_on("ResidentFolders") or holder is None or one.mailbox == holder.number:
            yield Row("Get-PublicFolder", one.identity, None, partial(_shown, ask, one))


def _holder(ask: Ask) -> Mailbox | None:
    """The public folder mailbox that a parameter names. Raises `Failed`."""
    wanted = ask.bound.get("Mailbox")
    if wanted is None:
        return None
    low = str(wanted).lower()
    for mailbox in ask.world.public_folders.mailboxes():
        if low in (mailbox.name.lower(), mailbox.alias.lower(), mailbox.display_name.lower(),
                   mailbox.exchange_guid, mailbox.guid, mailbox.address.lower()):  # fmt: skip
            return mailbox
    raise ask.not_found(str(wanted))


def _folder_id(folder: Folder) -> Obj:
    types = (f"{_SPACE}.PublicFolderId", f"{v.DATA}.ObjectId", "System.Object")
    return Obj(types, folder.identity, {"MapiFolderPath": folder.identity})


def _entry(folder: Folder, what: str = "entry") -> str:
    """An entry id: 46 bytes in hexadecimal, 92 digits as real ones have."""
    words = [guid(what, *folder.path, part).replace("-", "") for part in range(3)]
    return "".join(words)[:92].upper()


def _shown(ask: Ask, folder: Folder) -> tuple[str, Live]:
    mailbox = ask.organisation.mailboxes[folder.mailbox]
    return folder.identity, {
        "Name": folder.name,
        "MailEnabled": bool(folder.mail),
        "MailRecipientGuid": UUID(guid("mail", *folder.path)) if folder.mail else None,
        "ParentPath": folder.parent if folder.path else "",
        "ContentMailboxName": mailbox.name,
        "ContentMailboxGuid": UUID(mailbox.exchange_guid),
        "EntryId": _entry(folder),
        "DumpsterEntryId": _entry(folder, "dumpster"),
        "ParentFolder": _entry(Folder(folder.path[:-1], 0, 0, 0)),
        "OrganizationId": v.organization_id(),
        "FolderSize": folder.size,
        "HasSubfolders": folder.children,
        "FolderClass": folder.kind,
        "FolderPath": v.strings(folder.path),
        "Identity": _folder_id(folder),
    }  # fmt: skip


def _statistics(ask: Ask) -> Iterator[Given]:
    """Of one folder, or of all; the root has none of its own."""
    holder = _holder(ask)
    asked = _asked(ask)
    found = [asked] if ask.identity else ask.world.public_folders.below((), deep=True)
    for one in found:
        if holder is None or one.mailbox == holder.number:
            yield Row("Get-PublicFolderStatistics", one.identity, None,
                      partial(_statistics_shown, ask, one))  # fmt: skip


def _statistics_shown(ask: Ask, folder: Folder) -> tuple[str, Live]:
    now = ask.organisation.now
    mailbox = ask.organisation.mailboxes[folder.mailbox]
    age = share(ask.organisation.seed, "folder", *folder.path)
    return folder.name, {
        "CreationTime": (now - timedelta(days=400 + 3000 * age)).replace(microsecond=0),
        "EntryId": _entry(folder),
        "FolderPath": v.strings(folder.path),
        "ItemCount": UInt32(folder.items),
        "LastModificationTime": (now - timedelta(days=200 * age)).replace(microsecond=0),
        "MailboxOwnerId": ask.view.recipients.mailbox_id(mailbox),
        "Name": folder.name,
        "OwnerCount": UInt32(1),
        "TotalItemSize": v.size(ask.view.culture, folder.size),
        "Identity": _entry(folder),
    }  # fmt: skip


def _permissions(ask: Ask) -> Iterator[Given]:
    """Everybody reads, the department writes; mail-enabled ones take mail from outside."""
    folder = _asked(ask)
    for user, right in _rights(folder):
        live: Live = {
            "FolderName": folder.name,
            "User": Obj(
                (f"{_STORE}.MailboxFolderUserId", "System.Object"), user,
                {"DisplayName": user, "UserType": "Default"},
            ),
            "AccessRights": Obj(
                (f"System.Collections.ObjectModel.Collection`1[[{_STORE}.MailboxFolderAccessRight]]",
                 "System.Object"),
                value=[
                    Obj((f"{_STORE}.MailboxFolderAccessRight", "System.Object"), right,
                        {"IsRole": True, "Permission": _RIGHTS[right]})
                ],
            ),
            "Identity": _folder_id(folder),
        }  # fmt: skip
        yield Row("Get-PublicFolderClientPermission", f"{folder.identity}\\{user}", None,
                  partial(_same, folder.identity, live))  # fmt: skip


def _rights(folder: Folder) -> list[tuple[str, str]]:
    found = [("Default", READERS), ("Anonymous", "CreateItems" if folder.mail else "None")]
    return [*found, (folder.path[0], EDITORS)] if folder.path else found


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


def _mail_folders(ask: Ask) -> Iterator[Given]:
    found = False
    for folder in ask.world.public_folders.all():
        number = guid("mail", *folder.path)
        names = (folder.mail, folder.name, folder.mail.partition("@")[0], number, folder.identity)
        if not folder.mail:
            continue
        if ask.identity and ask.identity.lower() not in {name.lower() for name in names}:
            continue
        found = True
        yield Row("Get-MailPublicFolder", number, None, partial(_mail_shown, ask, folder))
    if ask.identity and not found:
        raise ask.not_found()


def _mail_shown(ask: Ask, folder: Folder) -> tuple[str, Live]:
    mailbox = ask.organisation.mailboxes[folder.mailbox]
    number = guid("mail", *folder.path)
    dn = f"CN={rdn(folder.name)},CN={_SYSTEM_OBJECTS},{ask.view.places.base}"
    text = f"{ask.view.places.domain}/{_SYSTEM_OBJECTS}/{folder.name.replace('/', chr(92) + '/')}"
    address = v.smtp_address(folder.mail)
    return folder.name, {
        "ContentMailbox": ask.view.recipients.mailbox_id(mailbox),
        "EntryId": _entry(folder),
        "Alias": folder.mail.partition("@")[0],
        "DisplayName": folder.name,
        "EmailAddresses": v.proxy_addresses([folder.mail]),
        "PrimarySmtpAddress": address,
        "WindowsEmailAddress": address,
        "Name": folder.name,
        "DistinguishedName": dn,
        "Guid": UUID(number),
        "Identity": v.directory_id(
            ask.view.places, dn, text, f"{ask.view.places.domain}/{_SYSTEM_OBJECTS}", number,
            folder.name,
        ),
    }  # fmt: skip


def _databases(ask: Ask) -> Iterator[Given]:
    """Databases for public folders ended with Exchange 2010: there are none."""
    if ask.identity:
        raise ask.not_found()
    yield from ()


def _pf_mailbox(ask: Ask) -> Mailbox:
    """The public folder mailbox of an identity. Raises `Failed`."""
    known = {mailbox.number for mailbox in ask.world.public_folders.mailboxes()}
    found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
    if not isinstance(found, Mailbox) or found.number not in known:
        raise ask.not_found()
    return found


def _update(ask: Ask) -> Iterator[Given]:
    mailbox = _pf_mailbox(ask)
    if mailbox.root_public_folder:
        yield Warning("The mailbox holds the primary hierarchy: there is nothing to synchronize.")
        return
    if not ask.bound.is_on("WhatIf"):
        ask.world.public_folders.synchronised[mailbox.number] = ask.organisation.now


def _diagnostics(ask: Ask) -> Iterator[Given]:
    mailbox = _pf_mailbox(ask)
    known = ask.world.public_folders
    now = ask.organisation.now
    synced = known.synchronised.get(mailbox.number, now - timedelta(seconds=now.timestamp() % 900))
    own = [one for one in known.all() if one.mailbox == mailbox.number]
    hierarchy = Obj(
        (f"{_RECIPIENT}.HierarchyInfo", "System.Object"),
        str(len(known.all())),
        {"TotalFolderCount": len(known.all()), "ResidentFolderCount": len(own)},
    )
    live: Live = {
        "SyncInfo": Obj(
            (f"{_RECIPIENT}.PublicFolderMailboxSynchronizerInfo", "System.Object"), str(synced),
            {"NumberofFoldersSynced": len(known.all()), "LastAttemptedSyncTime": synced,
             "LastSuccessfulSyncTime": synced, "LastSyncFailure": None},
        ),
        "DumpsterInfo": None,
        "HierarchyInfo": hierarchy if ask.bound.is_on("IncludeHierarchyInfo") else None,
        "DisplayName": f"Public Folder Diagnostics Information for mailbox: {mailbox.name}",
        "Identity": ask.view.recipients.mailbox_id(mailbox),
    }  # fmt: skip
    yield Row("Get-PublicFolderMailboxDiagnostics", mailbox.guid, None,
              partial(_same, mailbox.name, live))  # fmt: skip


def _new_move(ask: Ask) -> Iterator[Given]:
    """One request at a time; the target is another public folder mailbox (migration.md 8)."""
    known = ask.world.public_folders
    if known.request is not None:
        raise ask.failed(
            "There's already a public folder move request in the organization. Remove it before "
            "you create another one.",
            "Microsoft.Exchange.Management.RecipientTasks.ExistingMoveRequestException",
            "ResourceExists",
        )  # fmt: skip
    wanted = texts(ask.bound.get("Folders"))
    folders = [known.find(tuple(part for part in one.split("\\") if part)) for one in wanted]
    lost = [one for one, folder in zip(wanted, folders, strict=True) if folder is None]
    if lost:
        raise ask.failed(
            f"Public folder '{lost[0]}' couldn't be found.", _NOT_READY, "ObjectNotFound"
        )
    target = _target(ask)
    found = [folder for folder in folders if folder is not None]
    if len({one.mailbox for one in found}) > 1 or found[0].mailbox == target.number:
        raise ask.failed(
            "All folders must be in the same mailbox, and not in the target mailbox.",
            "Microsoft.Exchange.Management.RecipientTasks.RecipientTaskException",
            "InvalidArgument",
        )  # fmt: skip
    if ask.bound.is_on("WhatIf"):
        return
    move = known.move(str(ask.bound.get("Name") or "PublicFolderMove"), found, target)
    move.suspended = ask.bound.is_on("Suspend")
    yield _move_row(ask, "Get-PublicFolderMoveRequest", move)


def _target(ask: Ask) -> Mailbox:
    wanted = str(ask.bound.get("TargetMailbox"))
    numbers = {one.number for one in ask.world.public_folders.mailboxes()}
    found = [one for one in ask.register.mailboxes(wanted) if one.number in numbers]
    if len(found) != 1:
        raise ask.not_found(wanted)
    return found[0]


def _moves(shape: str, ask: Ask) -> Iterator[Given]:
    move = ask.world.public_folders.request
    if move is None or (ask.identity and not _is(ask, move)):
        if ask.identity:
            raise ask.not_found()
        return
    yield _move_row(ask, shape, move)


def _is(ask: Ask, move: FolderMove) -> bool:
    low = ask.identity.lower().lstrip("\\")
    return low in (move.name.lower(), _move_guid(ask, move))


def _move_guid(ask: Ask, move: FolderMove) -> str:
    return guid(ask.organisation.seed, "folder move", move.name, move.queued)


def _move_row(ask: Ask, shape: str, move: FolderMove) -> Row:
    return Row(shape, _move_guid(ask, move), None, partial(_move_shown, ask, shape, move))


def _move_shown(ask: Ask, shape: str, move: FolderMove) -> tuple[str, Live]:
    now, mailboxes = ask.organisation.now, ask.organisation.mailboxes
    status, percent = move.status(now), move.percent(now)
    target = mailboxes[move.target]
    found: Live = {
        "Name": move.name,
        "RequestGuid": UUID(_move_guid(ask, move)),
        "SourceMailbox": ask.view.recipients.mailbox_id(mailboxes[move.source]),
        "TargetMailbox": ask.view.recipients.mailbox_id(target),
        "RequestQueue": ask.view.stores.database_id(target.database),
        "Status": v.enum(f"{_RECIPIENT}.RequestStatus", status, STATUS_NUMBERS[status]),
        "Suspend": move.suspended,
        "Identity": f"\\{move.name}",
    }
    if shape.endswith("Statistics"):
        detail = {"InProgress": ("CopyingMessages", 9), "Completed": ("Completed", 32)}.get(
            status, (status, STATUS_NUMBERS[status])
        )
        found = {
            **found,
            "StatusDetail": v.enum("Microsoft.Exchange.MailboxReplicationService.RequestState",
                                   *detail),
            "BytesTransferred": v.size(ask.view.culture, move.size * percent // 100),
            "EstimatedTransferSize": v.size(ask.view.culture, move.size),
            "PercentComplete": percent,
            "QueuedTimestamp": move.queued,
            "CompletionTimestamp": move.due if status == "Completed" else None,
        }  # fmt: skip
    return f"\\{move.name}", found


def _remove_move(ask: Ask) -> Iterator[Given]:
    move = ask.world.public_folders.request
    if move is None or not _is(ask, move):
        raise ask.not_found()
    if not ask.bound.is_on("WhatIf"):
        ask.world.public_folders.all()  # what was completed stays where it went
        ask.world.public_folders.request = None
    yield from ()


CMDLETS: Final = (
    Simulated(
        "Get-PublicFolder", _get,
        ("Identity", "Recurse", "GetChildren", "Mailbox", "ResidentFolders"), limited=True,
    ),
    Simulated("Get-PublicFolderStatistics", _statistics, ("Identity", "Mailbox"), limited=True),
    Simulated("Get-PublicFolderClientPermission", _permissions, ("Identity", "Mailbox")),
    Simulated("Get-MailPublicFolder", _mail_folders, ("Identity",), limited=True),
    Simulated("Get-PublicFolderDatabase", _databases, ("Identity", "Status")),
    Simulated("Update-PublicFolderMailbox", _update,
              ("Identity", "InvokeSynchronizer", "FullSync", "SuppressStatus"), changes=True),
    Simulated("Get-PublicFolderMailboxDiagnostics", _diagnostics,
              ("Identity", "IncludeHierarchyInfo")),
    Simulated(
        "New-PublicFolderMoveRequest", _new_move, ("Folders", "TargetMailbox", "Name", "Suspend"),
        changes=True,
    ),
    *(
        Simulated(name, partial(_moves, name), ("Identity",))
        for name in ("Get-PublicFolderMoveRequest", "Get-PublicFolderMoveRequestStatistics")
    ),
    Simulated("Remove-PublicFolderMoveRequest", _remove_move, ("Identity",), asks=True,
              changes=True),
)  # fmt: skip
