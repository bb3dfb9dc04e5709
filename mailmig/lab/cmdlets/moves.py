"""Move requests: asked for, watched, held back, set going again, taken away.

The states and what leads from one to the other are those of migration.md 4.2; how far a move is
follows from `mailmig.lab.moving`. A completed request stays until it is removed, and stands in the
way of the next one.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.moves_shown import request, statistics
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.moving import Move, NotNow
from mailmig.lab.organisation import Database, Mailbox, share
from mailmig.model.directory import NEVER_MOVED
from mailmig.model.quota import GIB

_TASKS: Final = "Microsoft.Exchange.Management.RecipientTasks"
_PERMANENT: Final = "Microsoft.Exchange.Configuration.Tasks.RecipientTaskException"
_NO_REQUEST: Final = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
# From so many bad items on, the loss must be accepted by name (migration.md 4.1).
_MANY_BAD_ITEMS: Final = 51


def _all(ask: Ask) -> list[Move]:
    return [*ask.organisation.moves, *ask.organisation.completed]


def _chosen(ask: Ask) -> list[Move]:
    """The request of a mailbox, or all of them where a `Get-` has no identity. Raises `Failed`."""
    if not ask.identity:
        return _all(ask)
    found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
    for move in _all(ask):
        if isinstance(found, Mailbox) and move.mailbox == found.number:
            return [move]
    raise ask.failed(
        "Couldn't find a move request that corresponds to the specified identity "
        f"'{ask.identity}'.",
        _NO_REQUEST,
    )  # fmt: skip


def _get(ask: Ask) -> Iterator[Given]:
    source, target = ask.database("SourceDatabase"), ask.database("TargetDatabase")
    batch, status = ask.bound.get("BatchName"), ask.bound.get("MoveStatus")
    now = ask.organisation.now
    for move in _chosen(ask):
        if source is not None and move.source != source.name:
            continue
        if target is not None and move.target != target.name:
            continue
        if batch is not None and move.batch.lower() != str(batch).lower():
            continue
        if status is not None and move.status(now).lower() != str(status).lower():
            continue
        if _differs(ask, "Suspend", move.suspended):
            continue
        if _differs(ask, "SuspendWhenReadyToComplete", move.waits_when_ready):
            continue
        yield _row(ask, "Get-MoveRequest", move)


def _differs(ask: Ask, name: str, value: bool) -> bool:
    wanted = ask.bound.get(name)
    return wanted is not None and wanted != value


def _get_statistics(ask: Ask) -> Iterator[Given]:
    queue = ask.database("MoveRequestQueue")
    for move in _chosen(ask):
        if queue is None or move.target == queue.name:
            yield _row(ask, "Get-MoveRequestStatistics", move)


def _row(ask: Ask, shape: str, move: Move) -> Row:
    make = request if shape == "Get-MoveRequest" else statistics
    key = ask.organisation.mailboxes[move.mailbox].guid
    return Row(shape, key, None, partial(make, ask, move))


def _new(ask: Ask) -> Iterator[Given]:
    found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
    assert isinstance(found, Mailbox)
    target = ask.database("TargetDatabase") or _somewhere(ask, found)
    _refuse(ask, found, target)
    _refuse_limits(ask)
    if ask.bound.is_on("WhatIf"):
        return
    move = ask.organisation.move(found, target.name)
    move.requested = True
    _configure(ask, move)
    move.suspended = ask.bound.is_on("Suspend")
    move.comment = str(ask.bound.get("SuspendComment") or "")
    yield _row(ask, "Get-MoveRequestStatistics", move)


def _somewhere(ask: Ask, mailbox: Mailbox) -> Database:
    """Without a target Exchange picks a database of the server's site by chance."""
    state = ask.organisation
    near = [
        database
        for database in state.databases.values()
        if database.mounted
        and database.name != mailbox.database
        and state.server(database.server).site == ask.server.site
    ]
    if not near:
        raise ask.failed("No available mailbox database was found.", _PERMANENT)
    return near[int(share(state.seed, "target", mailbox.guid) * len(near))]


def _refuse(ask: Ask, mailbox: Mailbox, target: Database) -> None:
    """What stops a request before it is made. Words from memory [MEM]. Raises `Failed`."""
    name = ask.view.places.canonical(mailbox.path, mailbox.name)
    known = next((move for move in _all(ask) if move.mailbox == mailbox.number), None)
    if known is not None:
        what = "completed" if known.ended is not None else "pending"
        raise ask.failed(
            f"Mailbox '{name}' already has a {what} move request.",
            f"{_TASKS}.MailboxAlreadyHasMoveRequestException", "InvalidArgument",
        )  # fmt: skip
    if mailbox.kind in NEVER_MOVED:
        raise ask.failed(f"Mailbox '{name}' cannot be moved.", _PERMANENT, "InvalidArgument")
    if target.name == mailbox.database:
        raise ask.failed(
            f"Mailbox '{name}' is already on the target database '{target.name}'.",
            _PERMANENT, "InvalidArgument",
        )  # fmt: skip
    if not target.mounted or target.server in ask.organisation.down:
        raise ask.failed(
            f"Target database '{target.name}' isn't mounted.", _PERMANENT, "InvalidOperation"
        )
    limit = target.quotas.receive if mailbox.use_database_quotas else mailbox.own.receive
    if isinstance(limit, int) and mailbox.used > limit:
        raise ask.failed(
            f"The size of the mailbox '{name}' exceeds the target quota of {limit / GIB:.2f} GB.",
            f"{_TASKS}.MailboxDataExceedsQuotaException", "InvalidArgument",
        )  # fmt: skip


def _refuse_limits(ask: Ask) -> None:
    """Limits must be numbers, and many bad items be accepted. Raises `Failed`."""
    for name in ("BadItemLimit", "LargeItemLimit"):
        try:
            limit = _number(ask, name, 0)
        except ValueError:
            value = ask.bound.get(name)
            raise errors.unconvertible(ask.bound.cmdlet, name, value, "Unlimited") from None
        many = limit is None or limit >= _MANY_BAD_ITEMS
        if name == "BadItemLimit" and many and not ask.bound.is_on("AcceptLargeDataLoss"):
            raise ask.failed(
                "To move a mailbox with a BadItemLimit of 51 or higher, use -AcceptLargeDataLoss.",
                _PERMANENT, "InvalidArgument",
            )  # fmt: skip


def _configure(ask: Ask, move: Move) -> None:
    """What New- and Set-MoveRequest both set; only what was given."""
    given = ask.bound.values
    move.bad_item_limit = _number(ask, "BadItemLimit", move.bad_item_limit)
    move.large_item_limit = _number(ask, "LargeItemLimit", move.large_item_limit)
    if "BatchName" in given:
        move.batch = str(given["BatchName"] or "")
    if "Priority" in given:
        move.priority = str(given["Priority"])
    if "SuspendWhenReadyToComplete" in given:
        move.waits_when_ready = ask.bound.is_on("SuspendWhenReadyToComplete")
    if "PreventCompletion" in given:
        move.prevented = ask.bound.is_on("PreventCompletion")
    if "StartAfter" in given:
        move.start_after = _moment(given["StartAfter"])
    if "CompleteAfter" in given:
        move.complete_after = _moment(given["CompleteAfter"])


def _number(ask: Ask, name: str, known: int | None) -> int | None:
    value = ask.bound.get(name)
    if value is None:
        return known
    return None if str(value).lower() == "unlimited" else int(str(value))


def _moment(value: object) -> datetime | None:
    """A time without a zone is one of the server: the lab's servers live in UTC."""
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _set(ask: Ask) -> Iterator[Given]:
    (move,) = _chosen(ask)
    if move.ended is not None:
        raise _not_now(ask, move)
    target = ask.database("TargetDatabase")
    if target is not None and move.status(ask.organisation.now) != "Queued":
        raise _not_now(ask, move)
    _refuse_limits(ask)
    if ask.bound.is_on("WhatIf"):
        return
    _configure(ask, move)
    if target is not None:
        move.target = target.name
    ask.organisation.replan(move)
    yield from ()


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
    (move,) = _chosen(ask)
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
        f"{_TASKS}.CannotModifyMoveRequestException", "InvalidOperation",
    )  # fmt: skip


_SETTINGS: Final = (
    "TargetDatabase", "BatchName", "BadItemLimit", "LargeItemLimit", "AcceptLargeDataLoss",
    "Priority", "StartAfter", "CompleteAfter", "SuspendWhenReadyToComplete", "PreventCompletion",
)  # fmt: skip
CMDLETS: Final = (
    Simulated(
        "Get-MoveRequest", _get,
        ("Identity", "BatchName", "MoveStatus", "SourceDatabase", "TargetDatabase", "Suspend",
         "SuspendWhenReadyToComplete"),
        limited=True,
    ),
    Simulated("Get-MoveRequestStatistics", _get_statistics, ("Identity", "MoveRequestQueue")),
    Simulated(
        "New-MoveRequest", _new, ("Identity", *_SETTINGS, "Suspend", "SuspendComment"),
        changes=True,
    ),
    Simulated("Set-MoveRequest", _set, ("Identity", *_SETTINGS), changes=True),
    Simulated(
        "Suspend-MoveRequest", _suspend, ("Identity", "SuspendComment"), asks=True, changes=True
    ),
    Simulated(
        "Resume-MoveRequest", _resume, ("Identity", "SuspendWhenReadyToComplete"), changes=True
    ),
    Simulated("Remove-MoveRequest", _remove, ("Identity",), asks=True, changes=True),
)  # fmt: skip
