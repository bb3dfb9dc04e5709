"""Migration batches and their users (migration.md 5): local moves by a list.

A batch's moves show among the move requests as `MigrationService:<batch>`; a move that somebody
made without a batch shows here nowhere. Endpoints are for moves between organisations: there are
none. Numbers of the status enums are from memory [MEM].
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.batches import SUMMARY, Batch, User
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.connectors import texts
from mailmig.lab.exchange.calls import not_simulated
from mailmig.lab.moving import Move, NotNow
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid, share
from mailmig.wire.clixml import Int64, Obj

_SPACE: Final = f"{v.DATA}.Storage.Management"
_MIGRATION: Final = "Microsoft.Exchange.Migration"
_BATCH_STATES: Final = (
    "Created", "Syncing", "Stopping", "Stopped", "Completed", "Failed", "Removing", "Synced",
    "IncrementalSyncing", "Completing", "CompletedWithErrors", "SyncedWithErrors", "Corrupted",
    "Waiting", "Starting",
)  # fmt: skip
_USER_STATES: Final = (
    "Queued", "Syncing", "Failed", "Synced", "IncrementalFailed", "Completing", "Completed",
    "CompletionFailed", "Corrupted", "Provisioning", "ProvisionUpdating", "CompletionSynced",
    "Validating", "IncrementalSyncing", "IncrementalSynced", "CompletedWithWarnings", "Starting",
    "Stopping", "Stopped", "IncrementalStopped", "Removing",
)  # fmt: skip
_SUMMARIES: Final = ("Active", "Failed", "Synced", "Completed", "Stopped")
_COLUMNS: Final = (
    "EmailAddress", "TargetDatabase", "TargetArchiveDatabase", "BadItemLimit", "MailboxType",
)  # fmt: skip
# What must have happened before the batch can be completed (migration.md 5).
_COMPLETABLE: Final = ("Synced", "SyncedWithErrors", "CompletedWithErrors")
_WHOLE: Final = "PrimaryAndArchive"
_MOST_BATCHES: Final = 100
_CONFIG: Final = "migration configuration"


def _chosen(ask: Ask) -> list[Batch]:
    """The batch of an identity, or all where a `Get-` has none. Raises `Failed`."""
    if not ask.identity:
        return list(ask.world.batches.values())
    found = ask.world.batches.get(ask.identity.lower())
    if found is None:
        raise ask.failed(
            f"The migration batch '{ask.identity}' can't be found.",
            f"{_MIGRATION}.MigrationBatchNotFoundException", "ObjectNotFound",
        )  # fmt: skip
    return [found]


def _get(ask: Ask) -> Iterator[Given]:
    wanted = ask.bound.get("Status")
    for batch in _chosen(ask):
        status = batch.status(ask.organisation)
        if wanted is None or str(wanted).lower() == status.lower():
            yield Row("Get-MigrationBatch", batch.name, None, partial(_shown, ask, batch))


def _shown(ask: Ask, batch: Batch) -> tuple[str, Live]:
    status = batch.status(ask.organisation)
    counts = batch.counts(ask.organisation)
    started = batch.started
    return batch.name, {
        "BatchGuid": UUID(guid(ask.organisation.seed, "batch", batch.name, batch.created)),
        "Status": v.enum(f"{_SPACE}.MigrationBatchStatus", status, _BATCH_STATES.index(status)),
        "State": v.enum(f"{_SPACE}.MigrationState", *_state(status)),
        "TotalCount": len(batch.users),
        "ActiveCount": counts["Active"],
        "StoppedCount": counts["Stopped"],
        "SyncedCount": counts["Synced"],
        "FinalizedCount": counts["Completed"],
        "FailedCount": counts["Failed"],
        "FailedInitialSyncCount": counts["Failed"],
        "PendingCount": 0 if started else counts["Active"],
        "ProvisionedCount": 0,
        "CreationDateTime": batch.created,
        "CreationDateTimeUTC": batch.created.astimezone(UTC),
        "StartDateTime": started,
        "StartDateTimeUTC": started.astimezone(UTC) if started else None,
        "SubmittedByUser": batch.by,
        "NotificationEmails": v.strings(batch.notify),
        "TargetDatabases": v.strings(batch.targets),
        "BadItemLimit": v.unlimited_number(batch.bad_item_limit),
        "SupportedActions": ", ".join(_actions(status)),
        "Identity": Obj(
            (f"{_SPACE}.MigrationBatchId", f"{v.DATA}.ObjectId", "System.Object"), batch.name,
            {"Name": batch.name, "Id": batch.name},
        ),
    }  # fmt: skip


def _state(status: str) -> tuple[str, int]:
    """What the batch does as a whole, besides its status."""
    names = ("Active", "Waiting", "Completed", "Failed", "Corrupted", "Disabled", "Stopped")
    name = {
        "Created": "Stopped", "Stopped": "Stopped", "Completed": "Completed",
        "CompletedWithErrors": "Completed", "Synced": "Waiting", "SyncedWithErrors": "Waiting",
    }.get(status, "Active")  # fmt: skip
    return name, names.index(name)


def _actions(status: str) -> list[str]:
    if status in ("Created", "Stopped"):
        return ["Start", "Set", "Remove"]
    return ["Complete", "Remove"] if status in _COMPLETABLE else ["Stop", "Set"]


def _new(ask: Ask) -> Iterator[Given]:
    name = str(ask.bound.get("Name"))
    if not ask.bound.is_on("Local"):
        raise errors.refused(ask.bound.cmdlet, "Only local moves have a list.", "NotLocal")
    if name.lower() in ask.world.batches:
        raise ask.failed(
            f"The migration batch '{name}' already exists.",
            f"{_MIGRATION}.MigrationBatchExistsException", "ResourceExists",
        )  # fmt: skip
    if len(ask.world.batches) >= _most(ask):
        raise ask.failed(
            f"There are already {_most(ask)} migration batches.",
            f"{_MIGRATION}.TooManyBatchesException", "LimitsExceeded",
        )  # fmt: skip
    targets = tuple(_database(ask, one) for one in texts(ask.bound.get("TargetDatabases") or ()))
    batch = Batch(
        name, f"{ask.organisation.domain}/Users/Administrator", ask.organisation.now,
        _users(ask, targets), targets, ask.bound.is_on("AutoComplete"),
        _limit(ask, ask.bound.get("BadItemLimit")),
        texts(ask.bound.get("NotificationEmails") or ()),
    )  # fmt: skip
    if ask.bound.is_on("WhatIf"):
        return
    ask.world.batches[name.lower()] = batch
    if ask.bound.is_on("AutoStart"):
        batch.start(ask.organisation)
    yield Row("Get-MigrationBatch", batch.name, None, partial(_shown, ask, batch))


def _limit(ask: Ask, value: object) -> int | None:
    """A limit of bad items, 0 without a value. Raises `Failed`."""
    return 0 if value in (None, "") else ask.limit("BadItemLimit", value)


def _database(ask: Ask, name: str) -> str:
    for database in ask.organisation.databases.values():
        if name.lower() in (database.name.lower(), database.guid):
            return database.name
    raise ask.not_found(name)


def _users(ask: Ask, targets: tuple[str, ...]) -> list[User]:
    """The rows of the list. Raises `Failed` for a list that no batch can be made of."""
    rows = _rows(ask)
    found = []
    for place, row in enumerate(rows):
        _refuse_parts(row)
        address = row.get("EmailAddress") or ""
        target = row.get("TargetDatabase") or ""
        if target:
            target = _database(ask, target)
        elif targets:
            target = targets[int(share(address, place) * len(targets))]
        else:
            raise _bad_list(ask, f"row {place + 2} has no target database")
        mailboxes = ask.register.mailboxes(address) if address else []
        error = "" if mailboxes else f"The recipient '{address}' couldn't be found."
        limit = _limit(ask, row.get("BadItemLimit") or ask.bound.get("BadItemLimit"))
        number = mailboxes[0].number if mailboxes else None
        found.append(User(address, number, target, limit, error))
    return found


def _refuse_parts(row: dict[str, str]) -> None:
    """Raises `Failed` for a row that wants mailbox and archive to go different ways."""
    if (row.get("MailboxType") or _WHOLE).lower() != _WHOLE.lower():
        raise errors.Failed(not_simulated(f"MailboxType {row['MailboxType']} in a list"))
    if row.get("TargetArchiveDatabase"):
        raise errors.Failed(not_simulated("TargetArchiveDatabase in a list"))


def _rows(ask: Ask) -> list[dict[str, str]]:
    data = ask.bound.get("CSVData")
    if not isinstance(data, bytes):
        raise errors.unconvertible(ask.bound.cmdlet, "CSVData", data, "System.Byte[]")
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        rows, names = list(reader), list(reader.fieldnames or ())
    except (UnicodeDecodeError, csv.Error) as error:
        raise _bad_list(ask, str(error)) from None
    if "EmailAddress" not in names:
        raise _bad_list(ask, "the column EmailAddress is missing")
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown and not ask.bound.is_on("AllowUnknownColumnsInCsv"):
        raise _bad_list(ask, f"the column '{unknown[0]}' isn't known")
    if not rows:
        raise _bad_list(ask, "it has no rows")
    return rows


def _bad_list(ask: Ask, what: str) -> Exception:
    return ask.failed(
        f"The CSV file can't be used: {what}.",
        f"{_MIGRATION}.MigrationCSVParsingException", "InvalidData",
    )  # fmt: skip


def _change(what: str, ask: Ask) -> Iterator[Given]:
    """Start, stop, complete: what the batch's state allows."""
    (batch,) = _chosen(ask) if ask.identity else _only(ask)
    status = batch.status(ask.organisation)
    allowed = {
        "start": status in ("Created", "Stopped"), "stop": status not in ("Created", "Stopped",
                                                                          "Completed"),
        "complete": status in _COMPLETABLE,
    }  # fmt: skip
    if not allowed[what]:
        raise ask.failed(
            f"The migration batch '{batch.name}' can't be changed: its status is '{status}'.",
            f"{_MIGRATION}.MigrationBatchCannotBeChangedException", "InvalidOperation",
        )  # fmt: skip
    if not ask.bound.is_on("WhatIf"):
        getattr(batch, what)(ask.organisation)
    yield from ()


def _only(ask: Ask) -> list[Batch]:
    """Without an identity: the only batch there is. Raises `Failed`."""
    found = list(ask.world.batches.values())
    if len(found) != 1:
        raise ask.failed(
            "Name the migration batch.", f"{_MIGRATION}.MigrationBatchNotFoundException",
            "ObjectNotFound",
        )  # fmt: skip
    return found


def _remove(ask: Ask) -> Iterator[Given]:
    """With -Force the requests of its users stay behind (migration.md 5)."""
    (batch,) = _chosen(ask) if ask.identity else _only(ask)
    status = batch.status(ask.organisation)
    if status in ("Syncing", "Completing") and not ask.bound.is_on("Force"):
        raise ask.failed(
            f"The migration batch '{batch.name}' can't be removed: its status is '{status}'.",
            f"{_MIGRATION}.MigrationBatchCannotBeRemovedException", "InvalidOperation",
        )  # fmt: skip
    if not ask.bound.is_on("WhatIf"):
        if ask.bound.is_on("Force"):
            ask.world.left_behind.append(batch)
        else:
            batch.remove(ask.organisation)
        del ask.world.batches[batch.name.lower()]
    yield from ()


def _get_users(ask: Ask) -> Iterator[Given]:
    batch_id, status, summary = (
        ask.bound.get(name) for name in ("BatchId", "Status", "StatusSummary")
    )
    found = False
    for batch in _with_users(ask):
        if batch_id is not None and batch.name.lower() != str(batch_id).lower():
            continue
        for user, move in batch.pairs(ask.organisation):
            if ask.identity and user.address.lower() != ask.identity.lower():
                continue
            found = True
            own = batch.user_status(ask.organisation.now, user, move)
            if status is not None and own.lower() != str(status).lower():
                continue
            if summary is not None and str(summary).lower() != SUMMARY.get(own, "Active").lower():
                continue
            make = partial(_user_shown, ask, batch, user, move)
            yield Row("Get-MigrationUser", user.address, None, make)
    if ask.identity and not found:
        raise ask.not_found()


def _user_shown(ask: Ask, batch: Batch, user: User, move: Move | None) -> tuple[str, Live]:
    organisation = ask.organisation
    status = batch.user_status(organisation.now, user, move)
    summary = SUMMARY.get(status, "Active")
    mailbox = organisation.mailboxes[user.mailbox] if user.mailbox is not None else None
    items = move.items if move is not None else 0
    done = move.done_share(organisation.now) if move is not None else 0.0
    return user.address, {
        "Guid": UUID(guid(organisation.seed, "user", batch.name, user.address)),
        "Identifier": user.address,
        "BatchId": batch.name,
        "MailboxEmailAddress": v.smtp_address(user.address),
        "SyncedItemCount": Int64(round(items * done)),
        "MailboxGuid": UUID(mailbox.exchange_guid) if mailbox else None,
        "MailboxLegacyDN": (
            ask.view.places.legacy(mailbox.guid, mailbox.name) if mailbox else None
        ),
        "RequestGuid": UUID(guid(organisation.seed, "request", mailbox.guid, move.queued))
        if mailbox and move else None,
        "LastSuccessfulSyncTime": move.synced if move else None,
        "Status": v.enum(f"{_SPACE}.MigrationUserStatus", status, _USER_STATES.index(status)),
        "StatusSummary": v.enum(
            f"{_SPACE}.MigrationUserStatusSummary", summary, _SUMMARIES.index(summary)
        ),
        "State": v.enum(f"{_SPACE}.MigrationState", *_state(status)),
        "ErrorSummary": user.error or None,
        "Identity": Obj(
            (f"{_SPACE}.MigrationUserId", f"{v.DATA}.ObjectId", "System.Object"), user.address,
            {"Id": user.address},
        ),
    }  # fmt: skip


def _with_users(ask: Ask) -> list[Batch]:
    """All batches, those too that were removed by force."""
    return [*ask.world.batches.values(), *ask.world.left_behind]


def _remove_user(ask: Ask) -> Iterator[Given]:
    for batch in _with_users(ask):
        for user, move in batch.pairs(ask.organisation):
            if user.address.lower() != ask.identity.lower():
                continue
            if not ask.bound.is_on("WhatIf"):
                try:
                    if move is not None:
                        ask.organisation.cancel(move)
                except NotNow as error:
                    raise ask.failed(
                        f"The migration user '{user.address}' can't be removed: {error}.",
                        f"{_MIGRATION}.MigrationUserCannotBeRemovedException", "InvalidOperation",
                    ) from None  # fmt: skip
                batch.users.remove(user)
            return
    raise ask.not_found()
    yield


def _endpoints(ask: Ask) -> Iterator[Given]:
    """Local moves need none; a name that is asked for does not exist."""
    if ask.identity:
        raise ask.not_found()
    yield from ()


def _config(ask: Ask) -> Iterator[Given]:
    live: Live = {
        "MaxNumberOfBatches": _most(ask),
        "MaxConcurrentMigrations": v.unlimited_number(None),
        "CanSubmitNewBatch": len(ask.world.batches) < _most(ask),
        "Identity": ask.organisation.name,
    }
    yield Row("Get-MigrationConfig", ask.organisation.name, None, partial(_same, live))


def _set_config(ask: Ask) -> Iterator[Given]:
    number = ask.bound.get("MaxNumberOfBatches")
    if isinstance(number, int) and not 0 < number <= _MOST_BATCHES:
        raise errors.unconvertible(
            ask.bound.cmdlet, "MaxNumberOfBatches", number, f"1 to {_MOST_BATCHES}"
        )
    if isinstance(number, int) and not ask.bound.is_on("WhatIf"):
        change = {"MaxNumberOfBatches": number}
        ask.organisation.settings.change(_CONFIG, change, ask.organisation.now)
    yield from ()


def _most(ask: Ask) -> int:
    """How many batches there may be."""
    value = ask.organisation.settings.value(_CONFIG, "MaxNumberOfBatches", _MOST_BATCHES)
    return value if isinstance(value, int) else _MOST_BATCHES


def _same(live: Live) -> tuple[str, Live]:
    return "", live


CMDLETS: Final = (
    Simulated("Get-MigrationBatch", _get, ("Identity", "Status"), limited=True),
    Simulated(
        "New-MigrationBatch", _new,
        ("Local", "Name", "CSVData", "TargetDatabases", "AutoStart", "AutoComplete",
         "BadItemLimit", "NotificationEmails", "AllowUnknownColumnsInCsv"),
        changes=True,
    ),
    Simulated("Start-MigrationBatch", partial(_change, "start"), ("Identity",), changes=True),
    Simulated("Stop-MigrationBatch", partial(_change, "stop"), ("Identity",), asks=True,
              changes=True),
    Simulated("Complete-MigrationBatch", partial(_change, "complete"), ("Identity",), asks=True,
              changes=True),
    Simulated("Remove-MigrationBatch", _remove, ("Identity", "Force"), asks=True, changes=True),
    Simulated(
        "Get-MigrationUser", _get_users, ("Identity", "BatchId", "Status", "StatusSummary"),
        limited=True,
    ),
    Simulated("Remove-MigrationUser", _remove_user, ("Identity", "Force"), asks=True,
              changes=True),
    Simulated("Get-MigrationEndpoint", _endpoints, ("Identity",)),
    Simulated("Get-MigrationConfig", _config),
    Simulated("Set-MigrationConfig", _set_config, ("MaxNumberOfBatches",), changes=True),
)  # fmt: skip
