"""What New- and Set-MoveRequest are given: taken over into the move, or refused before.

Words of refusals are from memory [MEM]; which calls are refused follows migration.md 4.1 and 14.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NoReturn, TypeVar

from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.binding import whole
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.simulated import Ask
from mailmig.lab.databases import Database
from mailmig.lab.hindering import quota
from mailmig.lab.moving import Move
from mailmig.lab.organisation import share
from mailmig.lab.population import Mailbox
from mailmig.lab.setting_values import span
from mailmig.model.directory import NEVER_MOVED
from mailmig.model.quota import GIB

TASKS: Final = "Microsoft.Exchange.Management.RecipientTasks"
PERMANENT: Final = "Microsoft.Exchange.Configuration.Tasks.RecipientTaskException"
# From so many bad items on, the loss must be accepted by name (migration.md 4.1).
_MANY_BAD_ITEMS: Final = 51
_LONGEST_INTERVAL: Final = timedelta(days=120)

SETTINGS: Final = (
    "TargetDatabase", "ArchiveTargetDatabase", "BatchName", "BadItemLimit", "LargeItemLimit",
    "AcceptLargeDataLoss", "Priority", "StartAfter", "CompleteAfter", "IncrementalSyncInterval",
    "CompletedRequestAgeLimit", "SuspendWhenReadyToComplete", "PreventCompletion",
)  # fmt: skip
ONLY_NEW: Final = (
    "PrimaryOnly", "ArchiveOnly", "AllowLargeItems", "DoNotPreserveMailboxSignature",
    "ForceOffline", "Suspend", "SuspendComment",
)  # fmt: skip

Plain = TypeVar("Plain")


def refuse_mailbox(ask: Ask, mailbox: Mailbox, known: Move | None) -> None:
    """What stops a request for this mailbox, wherever to. Raises `Failed`."""
    name = ask.view.places.canonical(mailbox.path, mailbox.name)
    if known is not None:
        what = "completed" if known.ended is not None else "pending"
        raise ask.failed(
            f"Mailbox '{name}' already has a {what} move request.",
            f"{TASKS}.MailboxAlreadyHasMoveRequestException", "InvalidArgument",
        )  # fmt: skip
    if mailbox.kind in NEVER_MOVED:
        raise ask.failed(f"Mailbox '{name}' cannot be moved.", PERMANENT, "InvalidArgument")
    ailments = ask.organisation.troubles.mailboxes.get(mailbox.number)
    if ailments is not None and ailments.locked:
        raise ask.failed(
            f"Mailbox '{name}' is locked: it is already being moved.",
            f"{TASKS}.SourceMailboxAlreadyBeingMovedTransientException", "InvalidOperation",
        )  # fmt: skip
    primary, archive = ask.bound.is_on("PrimaryOnly"), ask.bound.is_on("ArchiveOnly")
    if primary and archive:
        raise refused(ask, "The PrimaryOnly and ArchiveOnly parameters can't be used together.")
    if (primary or archive) and mailbox.archive is None:
        which = "PrimaryOnly" if primary else "ArchiveOnly"
        raise refused(ask, f"Mailbox '{name}' has no archive: {which} can't be used.")
    if archive and ask.bound.get("TargetDatabase"):
        raise refused(ask, "Use ArchiveTargetDatabase to say where an archive alone goes.")
    if primary and ask.bound.get("ArchiveTargetDatabase"):
        raise refused(ask, "ArchiveTargetDatabase can't be used together with PrimaryOnly.")


def target_of(ask: Ask, mailbox: Mailbox) -> Database:
    """Where what is moved goes; without a target Exchange picks a database by chance."""
    name = "ArchiveTargetDatabase" if ask.bound.is_on("ArchiveOnly") else "TargetDatabase"
    target = ask.database(name) or _somewhere(ask, mailbox)
    alone = ask.bound.is_on("ArchiveOnly") and mailbox.archive is not None
    home = mailbox.archive.database if alone and mailbox.archive else mailbox.database
    if target.name == home:
        refuse_home(ask, mailbox, target)
    refuse_target(ask, mailbox, target, primary=not alone)
    return target


def refuse_home(ask: Ask, mailbox: Mailbox, target: Database) -> NoReturn:
    """The mailbox, or the archive that goes alone, is there already. Raises `Failed`."""
    name = ask.view.places.canonical(mailbox.path, mailbox.name)
    raise refused(ask, f"Mailbox '{name}' is already on the target database '{target.name}'.")


def refuse_target(ask: Ask, mailbox: Mailbox, target: Database, *, primary: bool) -> None:
    """A database that is not there, or where the mailbox would be over its quota. Raises `Failed`."""
    if not target.mounted or target.server in ask.organisation.down:
        raise ask.failed(
            f"Target database '{target.name}' isn't mounted.", PERMANENT, "InvalidOperation"
        )
    limit = quota(ask.organisation, mailbox, target.name)
    if primary and limit is not None and mailbox.used > limit:
        name = ask.view.places.canonical(mailbox.path, mailbox.name)
        raise ask.failed(
            f"The size of the mailbox '{name}' exceeds the target quota of {limit / GIB:.2f} GB.",
            f"{TASKS}.MailboxDataExceedsQuotaException", "InvalidArgument",
        )  # fmt: skip


def _somewhere(ask: Ask, mailbox: Mailbox) -> Database:
    state = ask.organisation
    near = [
        database
        for database in state.databases.values()
        if database.mounted
        and database.name != mailbox.database
        and state.server(database.server).site == ask.server.site
    ]
    if not near:
        raise ask.failed("No available mailbox database was found.", PERMANENT)
    return near[int(share(state.seed, "target", mailbox.guid) * len(near))]


def refuse_settings(ask: Ask) -> None:
    """Limits, intervals and moments that do not go together. Raises `Failed`."""
    none: int | None = 0
    for name in ("BadItemLimit", "LargeItemLimit"):
        limit = _converted(ask, name, none, _number)
        many = limit is None or limit >= _MANY_BAD_ITEMS
        if limit is not None and limit < 0:
            raise errors.unconvertible(ask.bound.cmdlet, name, limit, "Unlimited")
        if name == "BadItemLimit" and many and not ask.bound.is_on("AcceptLargeDataLoss"):
            raise refused(
                ask, "To move a mailbox with a BadItemLimit of 51 or higher, use "
                "-AcceptLargeDataLoss.",
            )  # fmt: skip
    if ask.bound.is_on("AllowLargeItems") and "LargeItemLimit" in ask.bound.values:
        raise refused(ask, "AllowLargeItems can't be used together with LargeItemLimit.")
    interval = _converted(ask, "IncrementalSyncInterval", timedelta(), span)
    if not timedelta() <= interval <= _LONGEST_INTERVAL:
        raise refused(ask, "IncrementalSyncInterval must be from 00:00:00 to 120.00:00:00.")
    _converted(ask, "CompletedRequestAgeLimit", None, _age)
    start, complete = moment(ask, "StartAfter"), moment(ask, "CompleteAfter")
    if start is not None and complete is not None and complete < start:
        raise refused(ask, "CompleteAfter must not be before StartAfter.")


def configure(ask: Ask, move: Move) -> None:
    """What New- and Set-MoveRequest both set; only what was given."""
    given = ask.bound.values
    move.bad_item_limit = _converted(ask, "BadItemLimit", move.bad_item_limit, _number)
    move.large_item_limit = _converted(ask, "LargeItemLimit", move.large_item_limit, _number)
    move.interval = _converted(ask, "IncrementalSyncInterval", move.interval, span)
    move.kept_for = _converted(ask, "CompletedRequestAgeLimit", move.kept_for, _age)
    if "BatchName" in given:
        move.batch = str(given["BatchName"] or "")
    if "Priority" in given:
        move.priority = str(given["Priority"])
    if "SuspendWhenReadyToComplete" in given:
        move.waits_when_ready = ask.bound.is_on("SuspendWhenReadyToComplete")
    if "PreventCompletion" in given:
        move.prevented = ask.bound.is_on("PreventCompletion")
    if "StartAfter" in given:
        move.start_after = moment(ask, "StartAfter")
    if "CompleteAfter" in given:
        move.complete_after = moment(ask, "CompleteAfter")
    archive = ask.database("ArchiveTargetDatabase")
    if archive is not None and move.primary:
        move.archive_target = archive.name


def moment(ask: Ask, name: str) -> datetime | None:
    """A time without a zone is one of the server: the lab's servers live in UTC."""
    value = ask.bound.get(name)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _converted(ask: Ask, name: str, known: Plain, convert: Callable[[object], Plain]) -> Plain:
    value = ask.bound.get(name)
    if value is None:
        return known
    try:
        return convert(value)
    except ValueError:
        raise errors.unconvertible(ask.bound.cmdlet, name, value, "Unlimited") from None


def _number(value: object) -> int | None:
    return None if str(value).lower() == "unlimited" else whole(str(value))


def _age(value: object) -> timedelta | None:
    """Unlimited, a time span, or a number of days."""
    if str(value).lower() == "unlimited":
        return None
    return timedelta(days=whole(str(value))) if str(value).isdecimal() else span(value)


def refused(ask: Ask, message: str) -> Failed:
    """A request that contradicts itself or the state of its mailbox."""
    return ask.failed(message, PERMANENT, "InvalidArgument")
