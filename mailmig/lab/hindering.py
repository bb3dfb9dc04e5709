"""What keeps moves from going on, and what ends them: the causes, without the moves' own states.

A hindrance stalls a move as long as it lasts; one that lasts too long becomes a failure. A failure
waits for `Resume-MoveRequest`. Part of it follows from the organisation (databases, copies, services,
quotas), part lies in `Troubles`, where faults put it. Sources: migration.md 4.3, 6, 7.3, 14; names
that those mark as from memory are so here [MEM], as are all codes and messages.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab.replicating import (
    COPY_LOGS_PER_S,
    INITIALIZING,
    SEED_BYTES_PER_S,
    connected,
    status,
)
from mailmig.model.quota import MIB

if TYPE_CHECKING:
    from mailmig.lab.databases import Copy, Database
    from mailmig.lab.moving import Move
    from mailmig.lab.organisation import Organisation
    from mailmig.lab.population import Mailbox

SERVICE: Final = "msexchangemailboxreplication"
# Of a move, the share that the first copying takes; what is left is the final one (migration.md 4.3).
SEEDED: Final = 0.95
# A passive copy satisfies the constraint with fewer log files than that to copy (migration.md 6).
QUEUE_LOGS: Final = 10
# ... and that are replayed within so much time beyond its lag, at the speed of a replay [MEM].
REPLAY: Final = timedelta(minutes=10)
REPLAY_LOGS: Final = 40.0 * REPLAY.total_seconds()
# 60 retries, one every 30 s, then a transient failure is permanent (migration.md 4.2).
RETRIES: Final = 60
PATIENCE: Final = timedelta(seconds=30 * RETRIES)
# How long a move waits at most for the copies of its target (migration.md 6).
GUARANTEE: Final = timedelta(days=1)
# Less than that is no room.
NO_ROOM: Final = 256 * MIB
# Which duration counter runs for a resource, on the source and on the target side.
RESOURCES: Final = {
    "MdbReplication": ("HA", "HA"), "MdbAvailability": ("HA", "HA"),
    "DataGuaranteeWait": ("DataReplicationWait", "DataReplicationWait"),
    "DiskLatency": ("ReadThrottle", "WriteThrottle"), "Processor": ("ReadCpu", "WriteCpu"),
    "ContentIndexing": ("CI", "CI"), "UnknownReason": ("ReadUnknown", "WriteUnknown"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a move failed: FailureType and its code, StatusDetail, FailureSide, Message."""

    kind: str
    code: int
    message: str
    detail: str = "FailedOther"
    side: str = "Target"


@dataclass(frozen=True, slots=True)
class Hindrance:
    """Why a move stands still: its StatusDetail and the duration counter that runs.

    With an empty detail nobody tells: the service that would is not there. One that was not picked
    up yet stays Queued where `queued` is true. After `patience` it fails with `failure`.
    """

    detail: str
    counter: str = ""
    queued: bool = False
    patience: timedelta | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class Ailments:
    """What is wrong with one mailbox when it is moved; items are numbers of items."""

    bad: int = 0
    large: int = 0
    missing: int = 0
    locked: bool = False
    disturbed: bool = False
    failure: Failure | None = None
    warning: str = ""


@dataclass(slots=True)
class Troubles:
    """What faults did to moves: mailboxes by number, databases by name.

    `resources` are those that stall every move from or to a database, `slowness` is how many times
    as long moves take, `inflation` by how much a mailbox is larger after its move.
    """

    mailboxes: dict[int, Ailments] = field(default_factory=dict)
    resources: dict[str, list[str]] = field(default_factory=dict)
    slowness: dict[str, float] = field(default_factory=dict)
    inflation: dict[str, float] = field(default_factory=dict)

    def of(self, mailbox: int) -> Ailments:
        """What is wrong with this mailbox, to be changed."""
        return self.mailboxes.setdefault(mailbox, Ailments())


class Hindering:
    """Asks for many moves at one moment; what concerns databases is found once."""

    def __init__(self, organisation: "Organisation") -> None:
        self._organisation = organisation
        self._of_pair: dict[tuple[str, str], Hindrance | None] = {}

    def hindrance(self, move: "Move") -> Hindrance | None:
        """Why the move stands still now."""
        ailments = self._organisation.troubles.mailboxes.get(move.mailbox)
        pair = (move.source, move.target)
        if pair not in self._of_pair:
            self._of_pair[pair] = next(self._between(*pair), None)
        found = self._of_pair[pair]
        if found is not None or ailments is None:
            return found
        if ailments.locked:
            return Hindrance("StalledDueToMailboxLock", "MailboxLocked")
        if ailments.disturbed:
            return Hindrance("TransientFailure", "Transient", patience=PATIENCE, failure=BROKEN)
        return None

    def _between(self, source: str, target: str) -> Iterator[Hindrance]:
        state = self._organisation
        databases = state.databases
        if SERVICE in state.stopped_services(databases[target].server):
            yield Hindrance("", queued=True)
        if not (databases[source].mounted and databases[target].mounted):
            yield Hindrance("MDBOffline", "Transient", queued=True)
        for side, name in (("Source", source), ("Target", target)):
            for resource in state.troubles.resources.get(name, ()):
                yield _stalled(resource, side)
        missing = _guarantee(state, databases[target])
        if missing:
            yield missing


def _stalled(resource: str, side: str, **more: object) -> Hindrance:
    counter = RESOURCES[resource][side == "Target"]
    return Hindrance(f"StalledDueTo{side}_{resource}", counter, **more)  # type: ignore[arg-type]


def _guarantee(state: "Organisation", database: "Database") -> Hindrance | None:
    """DataMoveReplicationConstraint: enough copies of the target follow closely enough.

    A queue that shrinks by itself stalls nobody: it is the moves' own log files, and the end would
    depend on how finely time passes.
    """
    default = "SecondDatacenter" if database.dag else "None"
    wanted = str(state.settings.value(database.guid, "DataMoveReplicationConstraint", default))
    others = [copy for copy in state.copies_of(database) if not copy.active]
    if wanted in ("None", "CINoReplication"):
        return None
    far = [copy for copy in others if _site(state, copy.server) != _site(state, database.server)]
    counted = far if "Datacenter" in wanted else others
    healthy = [copy for copy in counted if status(state, database, copy) == "Healthy"]
    close = [copy for copy in healthy if copy.fetching or copy.queue_logs < QUEUE_LOGS]
    good = [copy for copy in close if copy.replaying or copy.replay_logs < REPLAY_LOGS + _lag(copy)]
    needed = len(counted) if wanted.startswith("All") else 1
    if len(good) >= needed:
        return None
    if len(close) >= needed:
        return _stalled("MdbAvailability", "Target", patience=GUARANTEE, failure=NOT_SECURED)
    if len(healthy) >= needed:
        return _stalled("MdbReplication", "Target", patience=GUARANTEE, failure=NOT_SECURED)
    return Hindrance("StalledDueToHA", "HA", patience=GUARANTEE, failure=NOT_SECURED)


def next_turn(state: "Organisation", to: datetime) -> datetime:
    """When a copy that moves wait for is there again by itself, `to` at the latest.

    What stands in the way is asked for at the beginning of a stretch of time: one that went on
    beyond this moment would stall moves for nothing.
    """
    waited_for = {
        name for name in {move.target for move in state.moves}
        if _guarantee(state, state.databases[name]) is not None
    }  # fmt: skip
    turns = [_ready(state, copy) for copy in state.copies if copy.database in waited_for]
    return min([to, *(turn for turn in turns if turn is not None)])


def _ready(state: "Organisation", copy: "Copy") -> datetime | None:
    """When this copy has caught up or is seeded, as far as can be seen now."""
    if copy.active or copy.failed or copy.suspended:
        return None
    if not connected(state, state.databases[copy.database], copy):
        return None
    if copy.seeding is not None:
        return state.now + _at_least(copy.seeding / SEED_BYTES_PER_S)
    if copy.starting is None or not copy.fetching:
        return None
    begun = (copy.starting + INITIALIZING - state.now).total_seconds()
    return state.now + _at_least(max(begun, copy.queue_logs / COPY_LOGS_PER_S))


def _at_least(seconds: float) -> timedelta:
    """A stretch of time that is worth living through."""
    return max(timedelta(seconds=seconds), INITIALIZING)


def _lag(copy: "Copy") -> float:
    """Log files that a lagged copy keeps unreplayed by design, at most."""
    return 40.0 * copy.replay_lag.total_seconds()


def _site(state: "Organisation", server: str) -> str:
    """The server's site; one that the state does not know is a place of its own."""
    return next((one.site for one in state.servers if one.name == server), server)


def fatal(state: "Organisation", move: "Move") -> Failure | None:
    """What ends the move now, wherever it is; only requests of admins end like that."""
    if not move.requested:
        return None
    mailbox = state.mailboxes[move.mailbox]
    if mailbox.gone:
        return GONE
    ailments = state.troubles.mailboxes.get(move.mailbox)
    if ailments is not None and ailments.failure is not None and not _excused(move, ailments):
        return ailments.failure
    limit = quota(state, mailbox, move.target)
    if move.primary and limit is not None and mailbox.used > limit:
        return OVER_QUOTA
    home = state.copy_on(state.databases[move.target], state.databases[move.target].server)
    if home is not None and home.disk_total and home.disk_free < NO_ROOM:
        return FULL
    return None


def _excused(move: "Move", ailments: Ailments) -> bool:
    """Named properties go their way when the mailbox gets a new signature."""
    return ailments.failure is NAMED_PROPERTIES and move.new_signature


def quota(state: "Organisation", mailbox: "Mailbox", target: str) -> int | None:
    """The limit that a mailbox would have in the database; `None` when there is none."""
    own = state.databases[target].quotas if mailbox.use_database_quotas else mailbox.own
    return own.receive if isinstance(own.receive, int) else None


def breaking(state: "Organisation", move: "Move") -> tuple[float, Failure] | None:
    """The share at which the move breaks by items that it may not leave out, if it does."""
    ailments = state.troubles.mailboxes.get(move.mailbox)
    if ailments is None:
        return None
    for number, limit, failure in (
        (ailments.bad, move.bad_item_limit, BAD_ITEMS),
        (0 if move.large_allowed else ailments.large, move.large_item_limit, LARGE_ITEMS),
    ):
        if limit is not None and number > limit:
            return SEEDED * (limit + 1) / (number + 1), failure
    limit = move.bad_item_limit
    if limit is not None and ailments.bad + ailments.missing > limit:
        return SEEDED, MISSING_ITEMS
    return None


def met(number: int, share: float) -> int:
    """How many of so many items a move has met when it has carried this share."""
    return min(number, int((number + 1) * min(1.0, share / SEEDED) + 1e-9))


BAD_ITEMS: Final = Failure(
    "TooManyBadItemsPermanentException", -2146233088,
    "This mailbox exceeded the maximum number of corrupted items that were specified for this "
    "move request.", "FailedBadItemLimit", "Source",
)  # fmt: skip
LARGE_ITEMS: Final = Failure(
    "TooManyLargeItemsPermanentException",
    -2146233088,
    "This mailbox exceeded the maximum number of large items that were specified for this request.",
    "FailedOther",
    "Source",
)
MISSING_ITEMS: Final = Failure(
    "TooManyMissingItemsPermanentException",
    -2146233088,
    "Content verification found more missing items than were specified for this move request.",
)
BROKEN: Final = Failure(
    "CommunicationErrorTransientException",
    -2146233088,
    "Communication with remote service failed; the job was retried 60 times and gave up.",
    "FailedNetwork",
    "Source",
)
NOT_SECURED: Final = Failure(
    "DataReplicationFailedPermanentException", -2146233088,
    "The DataMoveReplicationConstraint is not satisfied for the target database: there are no "
    "available healthy database copies.", "FailedStallDueToHA",
)  # fmt: skip
GONE: Final = Failure(
    "MailboxNotFoundPermanentException",
    -2146233088,
    "The mailbox that the request was made for can no longer be found.",
    "FailedOther",
    "Source",
)
OVER_QUOTA: Final = Failure(
    "MapiExceptionShutoffQuotaExceeded",
    1245,
    "The size of the mailbox exceeds the quota that holds on the target database.",
    "FailedMAPI",
)
FULL: Final = Failure(
    "MapiExceptionNotEnoughDisk",
    1309,
    "There is not enough room on the disk of the target database.",
    "FailedMAPI",
)
STORE_ERROR: Final = Failure(
    "MapiExceptionNotFound",
    -2147221233,
    "Unable to open the entry: the object could not be found in the store.",
    "FailedMAPI",
    "Source",
)
RULES_TOO_BIG: Final = Failure(
    "MapiExceptionRulesTooBig",
    -2147219201,
    "The rules of the mailbox are larger than its RulesQuota allows.",
    "FailedMAPI",
    "Target",
)
NAMED_PROPERTIES: Final = Failure(
    "MapiExceptionNamedPropsQuotaExceeded", 2306,
    "The ids of named properties are used up. Move the mailbox with DoNotPreserveMailboxSignature.",
    "FailedMAPI", "Target",
)  # fmt: skip
