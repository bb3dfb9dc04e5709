"""Move requests: asked for, watched, held back, set going again, taken away.

The states and what leads from one to the other are those of migration.md 4.2; how far a move is
follows from `mailmig.lab.moving`. A completed request stays until it is removed, and stands in the
way of the next one.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from mailmig.lab.cmdlets.moves_shown import request, statistics
from mailmig.lab.cmdlets.moves_wanted import (
    ONLY_NEW,
    SETTINGS,
    TASKS,
    configure,
    refuse_home,
    refuse_mailbox,
    refuse_settings,
    refuse_target,
    refused,
    target_of,
)
from mailmig.lab.cmdlets.narrowing import in_order, units
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.databases import Database
from mailmig.lab.moving import Move, NotNow, flags_of
from mailmig.lab.population import Mailbox

_NO_REQUEST: Final = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
_NOT_THERE: Final = "Couldn't find a move request that corresponds to the specified identity '{0}'."


def _all(ask: Ask) -> list[Move]:
    return [*ask.organisation.moves, *ask.organisation.completed]


def _chosen(ask: Ask) -> list[Move]:
    """The request of a mailbox, or all of them where a `Get-` has no identity. Raises `Failed`."""
    if not ask.identity:
        return _all(ask)
    found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
    move = ask.organisation.request_of(found) if isinstance(found, Mailbox) else None
    if move is not None:
        return [move]
    raise ask.failed(_NOT_THERE.format(ask.identity), _NO_REQUEST)


def _get(ask: Ask) -> Iterator[Given]:
    found = [move for move in _chosen(ask) if _fits(ask, move)]
    unit = units(ask)
    people = ask.organisation.mailboxes
    found = [move for move in found if unit is None or unit.holds(people[move.mailbox].path)]
    rows = [_row(ask, "Get-MoveRequest", move) for move in found]
    yield from in_order(ask, rows)


def _fits(ask: Ask, move: Move) -> bool:
    """Whether a request is one of those that the filters leave."""
    now = ask.organisation.now
    batch, status = ask.bound.get("BatchName"), ask.bound.get("MoveStatus")
    wanted = ask.bound.get("Flags")
    flags = {flag.lower() for flag in flags_of(move)[0].split(", ")}
    source, target = ask.database("SourceDatabase"), ask.database("TargetDatabase")
    return not (
        (source is not None and move.source != source.name)
        or (target is not None and move.target != target.name)
        or (batch is not None and move.batch.lower() != str(batch).lower())
        or (status is not None and move.status(now).lower() != str(status).lower())
        or (wanted is not None and not {w.strip() for w in str(wanted).lower().split(",")} <= flags)
        or _differs(ask, "Suspend", move.suspended)
        or _differs(ask, "SuspendWhenReadyToComplete", move.waits_when_ready)
        or _differs(ask, "Offline", move.offline)
        or _differs(ask, "HighPriority", "highpriority" in flags)
    )


def _differs(ask: Ask, name: str, value: bool) -> bool:
    wanted = ask.bound.get(name)
    return wanted is not None and wanted != value


def _get_statistics(ask: Ask) -> Iterator[Given]:
    queue, wanted = ask.database("MoveRequestQueue"), ask.bound.get("MailboxGuid")
    people = ask.organisation.mailboxes
    for move in _chosen(ask):
        if queue is not None and move.target != queue.name:
            continue
        if wanted is not None and str(wanted).lower() != people[move.mailbox].exchange_guid:
            continue
        yield _row(ask, "Get-MoveRequestStatistics", move)


def _row(ask: Ask, shape: str, move: Move) -> Row:
    make = request if shape == "Get-MoveRequest" else statistics
    key = ask.organisation.mailboxes[move.mailbox].guid
    return Row(shape, key, None, partial(make, ask, move))


def _new(ask: Ask) -> Iterator[Given]:
    found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
    assert isinstance(found, Mailbox)
    refuse_mailbox(ask, found, ask.organisation.request_of(found))
    target = target_of(ask, found)
    archive = ask.database("ArchiveTargetDatabase")
    if archive is not None and archive is not target:
        refuse_target(ask, found, archive, primary=False)
    refuse_settings(ask)
    if ask.bound.is_on("WhatIf"):
        return
    move = ask.organisation.move(
        found, target.name,
        primary=not ask.bound.is_on("ArchiveOnly"), archive=not ask.bound.is_on("PrimaryOnly"),
    )  # fmt: skip
    move.requested = True
    configure(ask, move)
    move.large_allowed = ask.bound.is_on("AllowLargeItems")
    move.new_signature = ask.bound.is_on("DoNotPreserveMailboxSignature")
    move.offline = ask.bound.is_on("ForceOffline")
    move.note(move.queued, f"'{ask.caller}' created move request.")
    if ask.bound.is_on("Suspend"):
        ask.organisation.suspend(move, str(ask.bound.get("SuspendComment") or ""))
    yield _row(ask, "Get-MoveRequestStatistics", move)


def _set(ask: Ask) -> Iterator[Given]:
    (move,) = _chosen(ask)
    if move.ended is not None:
        raise _not_now(ask, move)
    target, archive = ask.database("TargetDatabase"), ask.database("ArchiveTargetDatabase")
    moved = target is not None or archive is not None
    if moved and move.status(ask.organisation.now) != "Queued":
        raise _not_now(ask, move)
    _refuse_other_targets(ask, move, target, archive)
    refuse_settings(ask)
    if ask.bound.is_on("WhatIf"):
        return
    configure(ask, move)
    target = target if move.primary else archive
    if target is not None:
        move.target = target.name
    move.note(ask.organisation.now, f"'{ask.caller}' modified move request.")
    ask.organisation.replan(move)
    yield from ()


def _refuse_other_targets(
    ask: Ask, move: Move, target: Database | None, archive: Database | None
) -> None:
    """Targets that a request cannot be given afterwards. Raises `Failed`."""
    mailbox = ask.organisation.mailboxes[move.mailbox]
    if target is not None and not move.primary:
        raise refused(ask, "Use ArchiveTargetDatabase to say where an archive alone goes.")
    if archive is not None and move.archive_left:
        raise refused(ask, "ArchiveTargetDatabase can't be used: the archive stays where it is.")
    for database, primary in ((target, True), (archive, False)):
        if database is not None:
            refuse_target(ask, mailbox, database, primary=primary)
    main = target if move.primary else archive
    if main is not None and main.name == move.source:
        refuse_home(ask, mailbox, main)


def _suspend(ask: Ask) -> Iterator[Given]:
    (move,) = _chosen(ask)
    if not ask.bound.is_on("WhatIf"):
        try:
            ask.organisation.suspend(move, str(ask.bound.get("SuspendComment") or ""))
        except NotNow:
            raise _not_now(ask, move) from None
    yield from ()


def _resume(ask: Ask) -> Iterator[Given]:
    (move,) = _chosen(ask)
    if not ask.bound.is_on("WhatIf"):
        try:
            ask.organisation.resume(move)
        except NotNow:
            raise _not_now(ask, move) from None
        if "SuspendWhenReadyToComplete" in ask.bound.values:
            move.waits_when_ready = ask.bound.is_on("SuspendWhenReadyToComplete")
    yield from ()


def _remove(ask: Ask) -> Iterator[Given]:
    queue, wanted = ask.database("MoveRequestQueue"), str(ask.bound.get("MailboxGuid") or "")
    if queue is None:
        (move,) = _chosen(ask)
    else:
        people = ask.organisation.mailboxes
        found = [m for m in _all(ask) if people[m.mailbox].exchange_guid == wanted.lower()]
        if not found or found[0].target != queue.name:
            raise ask.failed(_NOT_THERE.format(wanted), _NO_REQUEST)
        move = found[0]
    if not ask.bound.is_on("WhatIf"):
        try:
            ask.organisation.cancel(move)
        except NotNow:
            raise _not_now(ask, move) from None
    yield from ()


def _not_now(ask: Ask, move: Move) -> Exception:
    status = move.status(ask.organisation.now)
    return ask.failed(
        f"The operation can't be performed because the move request is in state '{status}'.",
        f"{TASKS}.CannotModifyMoveRequestException", "InvalidOperation",
    )  # fmt: skip


CMDLETS: Final = (
    Simulated(
        "Get-MoveRequest", _get,
        ("Identity", "BatchName", "MoveStatus", "SourceDatabase", "TargetDatabase", "Suspend",
         "SuspendWhenReadyToComplete", "Flags", "Offline", "HighPriority", "OrganizationalUnit",
         "SortBy"),
        limited=True,
    ),
    Simulated(
        "Get-MoveRequestStatistics", _get_statistics,
        ("Identity", "MoveRequestQueue", "MailboxGuid", "IncludeReport"),
    ),
    Simulated(
        "New-MoveRequest", _new, ("Identity", *SETTINGS, *ONLY_NEW),
        changes=True,
    ),
    Simulated("Set-MoveRequest", _set, ("Identity", *SETTINGS), changes=True),
    Simulated(
        "Suspend-MoveRequest", _suspend, ("Identity", "SuspendComment"), asks=True, changes=True
    ),
    Simulated(
        "Resume-MoveRequest", _resume, ("Identity", "SuspendWhenReadyToComplete"), changes=True
    ),
    Simulated(
        "Remove-MoveRequest", _remove, ("Identity", "Force", "MoveRequestQueue", "MailboxGuid"),
        asks=True, changes=True,
    ),
)  # fmt: skip
