r"""Imports of PST files: asked for, watched, held, taken away (migration.md 11).

The identity of a request is `<alias>\<name>`; the mailbox alone names all of its requests.
`Get-MailboxImportRequest` tells a little less and is no fresher. Numbers of enums that the move
requests do not share are from memory [MEM], and so are the errors' words.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.imports import LOCKED, Import
from mailmig.lab.moving import STATUS_NUMBERS
from mailmig.lab.objects import Live
from mailmig.lab.population import Mailbox
from mailmig.wire.clixml import Obj, UInt64

_RECIPIENT: Final = f"{v.DIRECTORY}.Recipient"
_SERVICE: Final = "Microsoft.Exchange.MailboxReplicationService"
_PERMANENT: Final = f"{_SERVICE}.RemotePermanentException"
_TASKS: Final = "Microsoft.Exchange.Management.RecipientTasks"
_NO_REQUEST: Final = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
_PRIORITIES: Final = ("Lowest", "Lower", "Low", "Normal", "High", "Higher", "Highest", "Emergency")
_SIDES: Final = {"Source": 1, "Target": 2}
_MANY_BAD_ITEMS: Final = 51


def _chosen(ask: Ask) -> list[Import]:
    """The requests that an identity means; all of them where a `Get-` has none. Raises `Failed`."""
    everything = ask.world.imports.requests
    if not ask.identity:
        return list(everything)
    owner, _, name = ask.identity.rpartition("\\")
    found = [
        one
        for one in everything
        if ask.identity.lower() == ask.world.imports.guid(one)
        or (one.name.lower() == name.lower() and owner and _is_of(ask, one, owner))
        or (not owner and _is_of(ask, one, name))
    ]
    if not found:
        raise ask.failed(
            "Couldn't find a mailbox import request that corresponds to the specified identity "
            f"'{ask.identity}'.", _NO_REQUEST,
        )  # fmt: skip
    return found


def _is_of(ask: Ask, one: Import, owner: str) -> bool:
    return any(found.number == one.mailbox for found in ask.register.mailboxes(owner))


def _get(ask: Ask) -> Iterator[Given]:
    mailbox, database = ask.bound.get("Mailbox"), ask.database("RequestQueue")
    for one in _chosen(ask):
        if mailbox is not None and not _is_of(ask, one, str(mailbox)):
            continue
        if database is not None and _target(ask, one) != database.name:
            continue
        if _differs(ask, one):
            continue
        yield _row(ask, "Get-MailboxImportRequest", one)


def _differs(ask: Ask, one: Import) -> bool:
    wanted = {
        "BatchName": one.batch.lower(), "Name": one.name.lower(), "Status": one.status().lower(),
    }  # fmt: skip
    for name, value in wanted.items():
        given = ask.bound.get(name)
        if given is not None and str(given).lower() != value:
            return True
    suspend = ask.bound.get("Suspend")
    return suspend is not None and suspend != one.suspended


def _statistics(ask: Ask) -> Iterator[Given]:
    for one in _chosen(ask):
        yield _row(ask, "Get-MailboxImportRequestStatistics", one)


def _row(ask: Ask, shape: str, one: Import) -> Row:
    make = _request_shown if shape == "Get-MailboxImportRequest" else _statistics_shown
    return Row(shape, ask.world.imports.guid(one), None, partial(make, ask, one))


def _new(ask: Ask) -> Iterator[Given]:
    found = _owner(ask)
    path = str(ask.bound.get("FilePath"))
    _refuse_file(ask, path)
    if ask.bound.is_on("IsArchive") and found.archive is None:
        raise ask.failed(
            f"The mailbox '{found.alias}' doesn't have an archive.",
            f"{_TASKS}.MailboxLacksArchivePermanentException", "InvalidArgument",
        )  # fmt: skip
    name = str(ask.bound.get("Name") or "") or ask.world.imports.free_name(found)
    if name is None:
        raise ask.failed(
            f"The name must be unique per mailbox. There isn't a default name available for a new "
            f"request owned by mailbox '{found.alias}'. Please clean up existing requests by using "
            "the Remove cmdlet, or specify a unique name.",
            f"{_TASKS}.NoAvailableNameException", "InvalidArgument",
        )  # fmt: skip
    if any(one.name.lower() == name.lower() for one in ask.world.imports.of(found)):
        raise ask.failed(
            f"The name '{name}' is already in use by another request of mailbox '{found.alias}'.",
            f"{_TASKS}.NameMustBeUniqueException", "InvalidArgument",
        )  # fmt: skip
    one = _made(ask, found, path, name)
    if not ask.bound.is_on("WhatIf"):
        ask.world.imports.requests.append(one)
        yield _row(ask, "Get-MailboxImportRequest", one)


def _owner(ask: Ask) -> Mailbox:
    """The mailbox that a file shall come into. Raises `Failed`."""
    wanted = str(ask.bound.get("Mailbox"))
    found = list(ask.register.mailboxes(wanted))
    if not found:
        raise ask.not_found(wanted)
    if len(found) > 1:
        raise errors.not_unique(ask.server.name, ask.bound.cmdlet, wanted)
    return found[0]


def _refuse_file(ask: Ask, path: str) -> None:
    r"""A file must lie on a share, be there and be readable. Raises `Failed`."""
    if not path.startswith("\\\\"):
        raise ask.failed(
            "The value you specified for FilePath isn't valid: it must be a UNC path, for example "
            r"\\server\share\file.pst.",
            "Microsoft.Exchange.Data.Common.LocalizedException", "InvalidArgument",
        )  # fmt: skip
    known = ask.world.imports.file(path)
    if known is None or ask.world.imports.broken.get(path.lower()) == LOCKED:
        why = "Could not find the file" if known is None else "The process cannot access the file"
        raise ask.failed(
            f"Unable to open PST file '{path}'. Error details: {why}. --> {why}.", _PERMANENT,
            "NotSpecified",
        )  # fmt: skip


def _made(ask: Ask, mailbox: Mailbox, path: str, name: str) -> Import:
    file = ask.world.imports.file(path)
    assert file is not None
    one = Import(mailbox.number, name, path, file.size, ask.organisation.now)
    one.archive = ask.bound.is_on("IsArchive")
    one.root = str(ask.bound.get("TargetRootFolder") or "")
    one.source_root = str(ask.bound.get("SourceRootFolder") or "")
    one.suspended = ask.bound.is_on("Suspend")
    one.comment = str(ask.bound.get("SuspendComment") or "")
    _configure(ask, one)
    return one


def _configure(ask: Ask, one: Import) -> None:
    """What New- and Set- both set; only what was given. Raises `Failed`."""
    given = ask.bound.values
    bad, large = _limit(ask, "BadItemLimit", one.bad_item_limit), _limit(
        ask, "LargeItemLimit", one.large_item_limit)  # fmt: skip
    many = bad is None or bad >= _MANY_BAD_ITEMS
    if "BadItemLimit" in given and many and not ask.bound.is_on("AcceptLargeDataLoss"):
        raise ask.failed(
            "To import a file with a BadItemLimit of 51 or higher, use -AcceptLargeDataLoss.",
            f"{_TASKS}.RecipientTaskException", "InvalidArgument",
        )  # fmt: skip
    one.bad_item_limit, one.large_item_limit = bad, large
    if "BatchName" in given:
        one.batch = str(given["BatchName"] or "")
    if "Priority" in given:
        one.priority = str(given["Priority"])


def _limit(ask: Ask, name: str, known: int | None) -> int | None:
    value = ask.bound.get(name)
    return known if value is None else ask.limit(name, value)


def _set(ask: Ask) -> Iterator[Given]:
    one, *more = _chosen(ask)
    if more:
        raise errors.not_unique(ask.server.name, ask.bound.cmdlet, ask.identity)
    if not ask.bound.is_on("WhatIf"):
        _configure(ask, one)
    yield from ()


def _suspend(ask: Ask) -> Iterator[Given]:
    for one in _chosen(ask):
        if one.ended is not None:
            raise _not_now(ask, one)
        if not ask.bound.is_on("WhatIf"):
            one.suspended, one.comment = True, str(ask.bound.get("SuspendComment") or "")
    yield from ()


def _resume(ask: Ask) -> Iterator[Given]:
    for one in _chosen(ask):
        if one.ended is not None:
            raise _not_now(ask, one)
        if not ask.bound.is_on("WhatIf"):
            ask.world.imports.resume(one)
    yield from ()


def _remove(ask: Ask) -> Iterator[Given]:
    for one in _chosen(ask):
        if not ask.bound.is_on("WhatIf"):
            ask.world.imports.requests.remove(one)
    yield from ()


def _not_now(ask: Ask, one: Import) -> Exception:
    return ask.failed(
        f"The operation can't be performed because the request is in state '{one.status()}'.",
        f"{_TASKS}.CannotSetCompletedPermanentException", "InvalidOperation",
    )  # fmt: skip


def _target(ask: Ask, one: Import) -> str:
    mailbox = ask.organisation.mailboxes[one.mailbox]
    archive = mailbox.archive
    return archive.database if one.archive and archive is not None else mailbox.database


def _identity(ask: Ask, one: Import) -> Obj:
    mailbox = ask.organisation.mailboxes[one.mailbox]
    text = f"{ask.view.bulk.canonical(mailbox)}\\{one.name}"
    types = (f"{_TASKS}.RequestJobObjectId", f"{v.DATA}.ObjectId", "System.Object")
    return Obj(types, text, {"RequestGuid": UUID(ask.world.imports.guid(one))})


def _both(ask: Ask, one: Import) -> Live:
    status = one.status()
    return {
        "FilePath": one.path,
        "Name": one.name,
        "RequestGuid": UUID(ask.world.imports.guid(one)),
        "RequestQueue": ask.view.stores.database_id(_target(ask, one)),
        "Flags": v.enum(f"{_RECIPIENT}.RequestFlags", "IntraOrg, Pull", 6),
        "BatchName": one.batch,
        "Status": v.enum(f"{_RECIPIENT}.RequestStatus", status, STATUS_NUMBERS[status]),
        "Suspend": one.suspended,
        "Identity": _identity(ask, one),
        "OrganizationId": v.organization_id(),
    }  # fmt: skip


def _request_shown(ask: Ask, one: Import) -> tuple[str, Live]:
    mailbox = ask.organisation.mailboxes[one.mailbox]
    changed = one.updated or one.queued
    dates = ask.view.stores.dates(changed, one.queued)
    return f"{mailbox.alias}\\{one.name}", {
        **_both(ask, one), "Mailbox": ask.view.recipients.mailbox_id(mailbox), **dates,
    }  # fmt: skip


def _detail(ask: Ask, one: Import) -> str:
    """StatusDetail: what a request does or waits for (migration.md 7.3)."""
    status = one.status()
    if status == "Failed":
        return "FailedBadItemLimit" if "BadItems" in one.failure else "FailedMAPI"
    if status == "Queued" and ask.world.imports.is_held(one):
        return "StalledDueToTarget_MailboxCapacityExceeded"
    return {"InProgress": "CopyingMessages"}.get(status, status)


_DETAILS: Final = {
    "Queued": 1, "CopyingMessages": 9, "Suspended": 20, "FailedBadItemLimit": 25, "FailedMAPI": 29,
    "Completed": 32, "StalledDueToTarget_MailboxCapacityExceeded": 90,
}  # fmt: skip


def _statistics_shown(ask: Ask, one: Import) -> tuple[str, Live]:
    mailbox = ask.organisation.mailboxes[one.mailbox]
    database = ask.organisation.databases[_target(ask, one)]
    detail, size = _detail(ask, one), ask.view.culture
    carried = round(one.size * one.share)
    priority = next((p for p in _PRIORITIES if p.lower() == one.priority.lower()), "Normal")
    live: Live = {
        **_both(ask, one),
        **_times(ask, one, carried),
        "StatusDetail": v.enum(f"{_SERVICE}.RequestState", detail, _DETAILS[detail]),
        "SyncStage": v.enum(f"{_SERVICE}.SyncStage", "CopyingMessages" if one.share else "None", 6),
        "Priority": v.enum(
            f"{_SERVICE}.RequestPriority", priority, 10 * _PRIORITIES.index(priority)
        ),
        "SourceRootFolder": one.source_root,
        "TargetAlias": mailbox.alias,
        "TargetIsArchive": one.archive,
        "TargetExchangeGuid": UUID(mailbox.archive.guid if one.archive and mailbox.archive
                                   else mailbox.exchange_guid),
        "TargetRootFolder": one.root,
        "TargetVersion": v.server_version(ask.organisation.server(database.server).build),
        "TargetDatabase": ask.view.stores.database_id(database.name),
        "TargetMailboxIdentity": ask.view.recipients.mailbox_id(mailbox),
        "BadItemLimit": v.unlimited_number(one.bad_item_limit),
        "BadItemsEncountered": one.bad_items,
        "LargeItemLimit": v.unlimited_number(one.large_item_limit),
        "MRSServerName": ask.organisation.server(database.server).fqdn if one.started else None,
        "EstimatedTransferSize": v.size(size, one.size),
        "EstimatedTransferItemCount": UInt64(one.items),
        "BytesTransferred": v.size(size, carried),
        "ItemsTransferred": UInt64(round(one.items * one.share)),
        "PercentComplete": int(100 * one.share) if one.ended is None else 100,
        "PositionInQueue": "Position: 1/1. Queue length: 1" if one.status() == "Queued" else None,
        "FailureType": one.failure or None,
        "FailureSide": v.enum(f"{_SERVICE}.ExceptionSide", *_side(one)) if one.failure else None,
        "Message": f"Error: {one.message}" if one.message else "",
        "FailureTimestamp": one.failed,
    }  # fmt: skip
    return f"{mailbox.alias}\\{one.name}", live


def _side(one: Import) -> tuple[str, int]:
    name = "Source" if "BadItems" in one.failure else "Target"
    return name, _SIDES[name]


def _times(ask: Ask, one: Import, carried: int) -> Live:
    now = ask.organisation.now
    end = one.ended or one.failed or now
    ran = end - one.started if one.started is not None else timedelta(0)
    minutes = ran / timedelta(minutes=1)
    return {
        "QueuedTimestamp": one.queued,
        "StartTimestamp": one.started,
        "LastUpdateTimestamp": one.updated or one.queued,
        "CompletionTimestamp": one.ended,
        "OverallDuration": v.time_span(end - one.queued),
        "TotalQueuedDuration": v.time_span((one.started or now) - one.queued),
        "TotalInProgressDuration": v.time_span(ran),
        "BytesTransferredPerMinute": v.size(
            ask.view.culture, round(carried / minutes) if minutes else 0
        ),
    }


_ASKED: Final = (
    "BatchName", "Priority", "BadItemLimit", "LargeItemLimit", "AcceptLargeDataLoss",
)  # fmt: skip
CMDLETS: Final = (
    Simulated(
        "Get-MailboxImportRequest", _get,
        ("Identity", "BatchName", "RequestQueue", "Mailbox", "Name", "Status", "Suspend"),
        limited=True,
    ),
    Simulated("Get-MailboxImportRequestStatistics", _statistics, ("Identity",)),
    Simulated(
        "New-MailboxImportRequest", _new,
        ("Mailbox", "FilePath", "Name", "IsArchive", "TargetRootFolder", "SourceRootFolder",
         "Suspend", "SuspendComment", *_ASKED),
        changes=True,
    ),
    Simulated("Set-MailboxImportRequest", _set, ("Identity", *_ASKED), changes=True),
    Simulated("Suspend-MailboxImportRequest", _suspend, ("Identity", "SuspendComment"),
              asks=True, changes=True),
    Simulated("Resume-MailboxImportRequest", _resume, ("Identity",), changes=True),
    Simulated("Remove-MailboxImportRequest", _remove, ("Identity",), asks=True, changes=True),
)  # fmt: skip
