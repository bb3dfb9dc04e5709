"""Move requests as Exchange's objects.

Percentages follow the anchors of migration.md 4.3: 20 to 95 while items are copied, 95 while it
waits, then 100. Of the enums' numbers only that of the status is established; the others are from
memory [MEM], and so is where the sizes stand in a request that still waits.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.simulated import Ask
from mailmig.lab.moving import SEEDED, STATUS_NUMBERS, Move
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid
from mailmig.wire.clixml import Obj, UInt64, Value

_RECIPIENT: Final = f"{v.DIRECTORY}.Recipient"
_SERVICE: Final = "Microsoft.Exchange.MailboxReplicationService"
_PRIORITIES: Final = ("Lowest", "Lower", "Low", "Normal", "High", "Higher", "Highest", "Emergency")
_COPYING: Final = 20
_DETAILS: Final = {
    "Queued": 1, "InitializingMove": 3, "CopyingMessages": 9, "IncrementalSync": 11,
    "Finalization": 12, "Suspended": 20, "AutoSuspended": 21, "Synced": 22, "Failed": 24,
    "Completed": 32, "MDBOffline": 17,
}  # fmt: skip


def request(ask: Ask, move: Move) -> tuple[str, Live]:
    """A row of Get-MoveRequest: what the directory knows, no sizes."""
    mailbox = ask.organisation.mailboxes[move.mailbox]
    name, person = ask.view.recipients.mailbox(mailbox)
    taken = (
        "ExchangeGuid", "Alias", "DisplayName", "RecipientTypeDetails", "Name", "Identity", "Id",
        "DistinguishedName", "Guid", "ObjectCategory", "ObjectClass", "WhenChanged", "WhenCreated",
        "WhenChangedUTC", "WhenCreatedUTC", "OrganizationId", "OriginatingServer",
    )  # fmt: skip
    return name, {
        **{key: person[key] for key in taken},
        **_both(ask, move),
        "Flags": v.enum(f"{_RECIPIENT}.RequestFlags", *_flags(move)),
    }


def statistics(ask: Ask, move: Move) -> tuple[str, Live]:
    """A row of Get-MoveRequestStatistics."""
    mailbox = ask.organisation.mailboxes[move.mailbox]
    identity = ask.view.recipients.mailbox_id(mailbox)
    name, person = ask.view.recipients.mailbox(mailbox)
    live = {
        "MailboxIdentity": identity,
        "Identity": identity,
        "ArchiveGuid": UUID(mailbox.archive.guid) if mailbox.archive else None,
        **{key: person[key] for key in (
            "DistinguishedName", "DisplayName", "Alias", "ExchangeGuid", "RecipientTypeDetails")},
        **_both(ask, move),
        **_progress(ask, move),
        **_places(ask, move),
        **_times(ask, move),
        "Flags": v.enum(f"{_RECIPIENT}.RequestFlags", *_flags(move)),
        "Priority": v.enum(
            f"{_SERVICE}.RequestPriority", move.priority, 10 * _priority(move.priority)
        ),
        "PreventCompletion": move.prevented,
        "BadItemLimit": v.unlimited_number(move.bad_item_limit),
        "LargeItemLimit": v.unlimited_number(move.large_item_limit),
        "FailureType": move.failure or None,
        "FailureSide": v.enum(f"{_SERVICE}.ExceptionSide", "Target", 2) if move.failure else None,
        "Message": f"Error: {move.failure}" if move.failure else "",
        "FailureTimestamp": move.failed,
        "RequestGuid": UUID(guid(ask.organisation.seed, "request", mailbox.guid, move.queued)),
        "RequestQueue": ask.view.stores.database_id(move.target),
    }  # fmt: skip
    return name, live


def percent(move: Move, now: datetime) -> int:
    """How far the request says that it is."""
    done = move.done_share(now)
    if move.ended is not None:
        return 100
    if done > SEEDED:
        return min(99, round(95 + 5 * (done - SEEDED) / (1 - SEEDED)))
    if move.started is None and not done:
        return 0
    return int(_COPYING + (95 - _COPYING) * done / SEEDED)


def _priority(name: str) -> int:
    names = [one.lower() for one in _PRIORITIES]
    return names.index(name.lower()) if name.lower() in names else names.index("normal")


def _flags(move: Move) -> tuple[str, int]:
    """A plain local move reads "IntraOrg, Pull"; bits of the others from memory [MEM]."""
    names, number = ["IntraOrg", "Pull"], 6
    if move.suspended:
        names.append("Suspend")
        number |= 256
    if move.waits_when_ready:
        names.append("SuspendWhenReadyToComplete")
        number |= 512
    return ", ".join(names), number


def _both(ask: Ask, move: Move) -> Live:
    status = move.status(ask.organisation.now)
    return {
        "SourceDatabase": ask.view.stores.database_id(move.source),
        "TargetDatabase": ask.view.stores.database_id(move.target),
        "BatchName": move.batch,
        "Status": v.enum(f"{_RECIPIENT}.RequestStatus", status, STATUS_NUMBERS[status]),
        "Suspend": move.suspended,
        "SuspendWhenReadyToComplete": move.waits_when_ready,
    }


def _detail(ask: Ask, move: Move) -> str:
    """StatusDetail: the status, or what a running one does or waits for (migration.md 4.3)."""
    status = move.status(ask.organisation.now)
    if status == "CompletionInProgress":
        return "Finalization"
    if status != "InProgress":
        return status
    sides = (move.source, move.target)
    if not all(ask.organisation.databases[side].mounted for side in sides):
        return "MDBOffline"
    if move.started is None:
        return "Queued"
    return "CopyingMessages" if move.done_share(ask.organisation.now) > 0 else "InitializingMove"


def _stage(detail: str) -> tuple[str, int]:
    """SyncStage by what is being done; numbers from memory [MEM]."""
    stages = {
        "CopyingMessages": ("CopyingMessages", 60), "Synced": ("IncrementalSync", 70),
        "AutoSuspended": ("IncrementalSync", 70), "Finalization": ("FinalIncrementalSync", 80),
        "Completed": ("SyncFinished", 100), "InitializingMove": ("CreatingMailbox", 10),
    }  # fmt: skip
    return stages.get(detail, ("None", 0))


def _progress(ask: Ask, move: Move) -> Live:
    state = ask.organisation
    mailbox, done = state.mailboxes[move.mailbox], move.done_share(state.now)
    archive = mailbox.archive
    carried = round(move.size * done)
    detail = _detail(ask, move)
    ran = _ran(move, state.now).total_seconds() / 60
    return {
        "StatusDetail": v.enum(f"{_SERVICE}.RequestState", detail, _DETAILS[detail]),
        "SyncStage": v.enum(f"{_SERVICE}.SyncStage", *_stage(detail)),
        "TotalMailboxSize": _size(ask, move.size - (archive.used if archive else 0)),
        "TotalMailboxItemCount": UInt64(move.items),
        "TotalArchiveSize": _size(ask, archive.used) if archive else None,
        "TotalArchiveItemCount": UInt64(archive.items) if archive else None,
        "ItemsTransferred": UInt64(round(move.items * done)),
        "BytesTransferred": _size(ask, carried),
        "BytesTransferredPerMinute": _size(ask, round(carried / ran) if ran >= 1 else 0),
        "PercentComplete": percent(move, state.now),
        "PositionInQueue": None,
    }


def _size(ask: Ask, number: int) -> Obj:
    return v.size(ask.view.culture, max(0, number))


def _places(ask: Ask, move: Move) -> Live:
    state = ask.organisation
    found: dict[str, Value] = {}
    for side, name in (("Source", move.source), ("Target", move.target)):
        server = state.server(state.databases[name].server)
        found[f"{side}Server"] = server.fqdn
        found[f"{side}Version"] = v.server_version(server.build)
    found["MRSServerName"] = found["TargetServer"] if move.started is not None else ""
    return found


def _ran(move: Move, now: datetime) -> timedelta:
    if move.started is None:
        return timedelta()
    return max(timedelta(), (move.ended or now) - move.started)


def _times(ask: Ask, move: Move) -> Live:
    now = ask.organisation.now
    end = move.ended or now
    final = end - move.final if move.final is not None else None
    return {
        "StartAfter": move.start_after,
        "CompleteAfter": move.complete_after,
        "QueuedTimestamp": move.queued,
        "StartTimestamp": move.started,
        "LastUpdateTimestamp": end,
        "InitialSeedingCompletedTimestamp": move.seeded,
        "FinalSyncTimestamp": move.final,
        "CompletionTimestamp": move.ended,
        "OverallDuration": v.time_span(end - move.queued),
        "TotalFinalizationDuration": None if final is None else v.time_span(final),
        "TotalQueuedDuration": v.time_span((move.started or end) - move.queued),
        "TotalInProgressDuration": v.time_span(_ran(move, now)),
    }
