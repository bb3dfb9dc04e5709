"""Move requests as Exchange's objects.

Percentages follow the anchors of migration.md 4.3: 20 to 95 while items are copied, 95 while it
waits, then 100. Of the enums' numbers only that of the status is established; the others are from
memory [MEM], and so is where the sizes stand in a request that still waits.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.move_reports import report
from mailmig.lab.cmdlets.simulated import Ask
from mailmig.lab.hindering import SEEDED, met
from mailmig.lab.moving import STATUS_NUMBERS, Move, flags_of, rank
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid
from mailmig.wire.clixml import Obj, UInt64, Value

_RECIPIENT: Final = f"{v.DIRECTORY}.Recipient"
_SERVICE: Final = "Microsoft.Exchange.MailboxReplicationService"
_COPYING: Final = 20
# Other details (StalledDueToTarget_..., compound since 2013) have a number of their own after these.
_DETAILS: Final = {
    "Queued": 1, "InProgress": 2, "InitializingMove": 3, "CopyingMessages": 9, "IncrementalSync": 11,
    "Finalization": 12, "StalledDueToHA": 15, "TransientFailure": 16, "MDBOffline": 17,
    "Suspended": 20, "AutoSuspended": 21, "Synced": 22, "Failed": 24, "FailedBadItemLimit": 25,
    "FailedNetwork": 26, "FailedStallDueToHA": 27, "FailedMAPI": 29, "FailedOther": 30,
    "Completed": 32, "CompletedWithWarning": 33, "StalledDueToMailboxLock": 40,
}  # fmt: skip
_COMPOUND: Final = 100
# Which duration shows which counter (migration.md 4.4).
_DURATIONS: Final = {
    "TotalQueuedDuration": "Queued", "TotalSuspendedDuration": "Suspended",
    "TotalFailedDuration": "Failed", "TotalIdleDuration": "Idle",
    "TotalFinalizationDuration": "Finalization", "TotalTransientFailureDuration": "Transient",
    "TotalDataReplicationWaitDuration": "DataReplicationWait",
    "TotalStalledDueToCIDuration": "CI", "TotalStalledDueToHADuration": "HA",
    "TotalStalledDueToMailboxLockedDuration": "MailboxLocked",
    "TotalStalledDueToReadThrottle": "ReadThrottle",
    "TotalStalledDueToWriteThrottle": "WriteThrottle",
    "TotalStalledDueToReadCpu": "ReadCpu", "TotalStalledDueToWriteCpu": "WriteCpu",
    "TotalStalledDueToReadUnknown": "ReadUnknown", "TotalStalledDueToWriteUnknown": "WriteUnknown",
}  # fmt: skip
# All that is not part of TotalInProgressDuration.
_NOT_IN_PROGRESS: Final = ("Queued", "Suspended", "Failed", "Done")


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
        **_limits(ask, move),
        **_failure(move),
        "Priority": v.enum(
            f"{_SERVICE}.RequestPriority", move.priority, 10 * rank(move.priority)
        ),
        "PreventCompletion": move.prevented,
        "DoNotPreserveMailboxSignature": move.new_signature,
        "RequestGuid": UUID(guid(ask.organisation.seed, "request", mailbox.guid, move.queued)),
        "RequestQueue": ask.view.stores.database_id(move.target),
        "Report": report(ask, move) if ask.bound.is_on("IncludeReport") else None,
    }  # fmt: skip
    return name, live


def _limits(ask: Ask, move: Move) -> Live:
    """Items that are broken or too large: how many may be, and how many were met so far."""
    ailments = ask.organisation.troubles.mailboxes.get(move.mailbox)
    share = move.done_share(ask.organisation.now)
    bad = met(ailments.bad, share) if ailments else 0
    if ailments and share > SEEDED:
        bad += ailments.missing
    return {
        "BadItemLimit": v.unlimited_number(move.bad_item_limit),
        "BadItemsEncountered": bad,
        "LargeItemLimit": v.unlimited_number(move.large_item_limit),
        "LargeItemsEncountered": met(ailments.large, share) if ailments else 0,
        "AllowLargeItems": move.large_allowed,
    }


def _failure(move: Move) -> Live:
    """What it failed of; a transient one is told in the message alone (migration.md 4.2)."""
    failure = move.failure
    if failure is None:
        stalled = move.stalled
        hinted = stalled.failure if stalled is not None and stalled.detail else None
        return {
            "FailureType": None, "FailureCode": None, "FailureSide": None,
            "FailureTimestamp": move.failed,
            "Message": f"Informational: {hinted.message}" if hinted else "",
        }  # fmt: skip
    return {
        "FailureType": failure.kind,
        "FailureCode": failure.code,
        "FailureSide": v.enum(
            f"{_SERVICE}.ExceptionSide", failure.side, 1 if failure.side == "Source" else 2
        ),
        "FailureTimestamp": move.failed,
        "Message": f"Error: {failure.message}",
    }


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


def _both(ask: Ask, move: Move) -> Live:
    status = move.status(ask.organisation.now)
    archive = (move.archive_source, move.archive_target or move.target)
    database = ask.view.stores.database_id
    return {
        "SourceDatabase": database(move.source) if move.primary else None,
        "TargetDatabase": database(move.target) if move.primary else None,
        "SourceArchiveDatabase": database(archive[0]) if archive[0] else None,
        "TargetArchiveDatabase": database(archive[1]) if archive[0] else None,
        "BatchName": move.batch,
        "Status": v.enum(f"{_RECIPIENT}.RequestStatus", status, STATUS_NUMBERS[status]),
        "Suspend": move.suspended,
        "SuspendWhenReadyToComplete": move.waits_when_ready,
        "IsOffline": move.offline,
        "Flags": v.enum(f"{_RECIPIENT}.RequestFlags", *flags_of(move)),
    }


def _detail(ask: Ask, move: Move) -> str:
    """StatusDetail: the status, or what a running one does or waits for (migration.md 4.3)."""
    now = ask.organisation.now
    status = move.status(now)
    if move.failure is not None:
        return move.failure.detail
    if move.stalled is not None and move.stalled.detail and status != "Queued":
        return move.stalled.detail
    if status == "CompletionInProgress":
        return "Finalization"
    if status != "InProgress":
        return status
    if move.synced is not None:
        return "IncrementalSync"
    if move.started is None and move.stalled is None:
        return "Queued"
    return "CopyingMessages" if move.done_share(now) > 0 else "InitializingMove"


def _number(detail: str) -> int:
    return _DETAILS.get(detail, _COMPOUND + sum(map(ord, detail)) % _COMPOUND)


def _stage(detail: str) -> tuple[str, int]:
    """SyncStage by what is being done; numbers from memory [MEM]."""
    stages = {
        "CopyingMessages": ("CopyingMessages", 60), "Synced": ("IncrementalSync", 70),
        "AutoSuspended": ("IncrementalSync", 70), "Finalization": ("FinalIncrementalSync", 80),
        "Completed": ("SyncFinished", 100), "InitializingMove": ("CreatingMailbox", 10),
        "CompletedWithWarning": ("SyncFinished", 100), "IncrementalSync": ("IncrementalSync", 70),
    }  # fmt: skip
    return stages.get(detail, ("None", 0))


def _progress(ask: Ask, move: Move) -> Live:
    state = ask.organisation
    mailbox, done = state.mailboxes[move.mailbox], move.done_share(state.now)
    archive = mailbox.archive if move.archive else None
    carried = round(move.size * done)
    detail = _detail(ask, move)
    ran = _in_progress(move, state.now) / 60
    return {
        "StatusDetail": v.enum(f"{_SERVICE}.RequestState", detail, _number(detail)),
        "SyncStage": v.enum(f"{_SERVICE}.SyncStage", *_stage(detail)),
        "TotalMailboxSize": _size(ask, move.size - move.archive_size),
        "TotalMailboxItemCount": UInt64(move.items),
        "TotalArchiveSize": _size(ask, move.archive_size) if archive else None,
        "TotalArchiveItemCount": UInt64(archive.items) if archive else None,
        "ItemsTransferred": UInt64(round(move.items * done)),
        "BytesTransferred": _size(ask, carried),
        "BytesTransferredPerMinute": _size(ask, round(carried / ran) if ran >= 1 else 0),
        "PercentComplete": percent(move, state.now),
        "PositionInQueue": _position(ask, move) if detail == "Queued" else None,
    }


def _position(ask: Ask, move: Move) -> str:
    """Its place among the requests that wait for the same database, as "3/7" [MEM]."""
    queue = [
        one.mailbox
        for one in ask.organisation.moves
        if one.counter == "Queued" and one.target == move.target
    ]
    return f"{queue.index(move.mailbox) + 1}/{len(queue)}" if move.mailbox in queue else ""


def _size(ask: Ask, number: int) -> Obj:
    return v.size(ask.view.culture, max(0, number))


def _places(ask: Ask, move: Move) -> Live:
    state = ask.organisation
    found: dict[str, Value] = {}
    archive = move.archive_source
    for side, name in (
        ("Source", move.source), ("Target", move.target), ("SourceArchive", archive),
        ("TargetArchive", (move.archive_target or move.target) if archive else ""),
    ):  # fmt: skip
        server = state.server(state.databases[name].server) if name else None
        found[f"{side}Server"] = server.fqdn if server is not None else None
        found[f"{side}Version"] = v.server_version(server.build) if server is not None else None
    found["MRSServerName"] = found["TargetServer"] if move.started is not None else ""
    return found


def _in_progress(move: Move, now: datetime) -> float:
    """Seconds of TotalInProgressDuration: stalls, waits and transient failures are part of it."""
    spent = move.spent_on(now)
    return sum(seconds for name, seconds in spent.items() if name not in _NOT_IN_PROGRESS)


def _times(ask: Ask, move: Move) -> Live:
    now = ask.organisation.now
    end = move.ended or now
    spent = move.spent_on(now)
    durations = {
        name: v.time_span(timedelta(seconds=spent[counter])) if counter in spent else None
        for name, counter in _DURATIONS.items()
    }
    silent = move.stalled is not None and not move.stalled.detail
    still = (
        move.stalled_at if silent else (move.failed or (move.rested if move.suspended else None))
    )
    seeded = move.seeded_at(now)
    return {
        **durations,
        "StartAfter": move.start_after,
        "CompleteAfter": move.complete_after,
        "IncrementalSyncInterval": v.time_span(move.interval),
        "CompletedRequestAgeLimit": (None if move.kept_for is None else v.time_span(move.kept_for)),
        "QueuedTimestamp": move.queued,
        "StartTimestamp": move.begun,
        "LastUpdateTimestamp": still or end,
        "InitialSeedingCompletedTimestamp": seeded,
        "FinalSyncTimestamp": move.final or (None if move.holds else seeded),
        "CompletionTimestamp": move.ended,
        "SuspendedTimestamp": move.rested if move.suspended else None,
        "OverallDuration": v.time_span(end - move.queued),
        "TotalInProgressDuration": v.time_span(timedelta(seconds=_in_progress(move, now))),
    }
