r"""Queues and what can be done with them: looked at, stopped, tried again, carried to another server.

Queues are asked of the server that has them: without an answer from its transport service there
are none (health.md 7.3). Words of these errors are from memory [MEM].
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.queue_filter import BadFilter, Fact, matches
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.objects import Live
from mailmig.lab.queues import Queue
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj, Value

_VIEWER: Final = f"{v.DATA}.QueueViewer"
_IDENTITY: Final = (f"{_VIEWER}.QueueIdentity", f"{v.DATA}.ObjectId", "System.Object")
_LOCALIZED: Final = f"{v.DATA}.Common.LocalizedException"
_DELIVERY: Final = f"{v.DATA}.DeliveryType"
# Numbers of these enums are from memory [MEM].
DELIVERIES: Final = {
    "Undefined": 0, "SmtpRelayWithinAdSite": 4, "SmartHostConnectorDelivery": 10,
    "ShadowRedundancy": 14, "SmtpRelayToDag": 16, "SmtpRelayToMailboxDeliveryGroup": 17,
    "SmtpRelayToConnectorSourceServers": 18, "SmtpDeliveryToMailbox": 20,
}  # fmt: skip
STATES: Final = {
    "None": 0, "Active": 1, "Ready": 2, "Retry": 3, "Suspended": 4, "Connecting": 5,
}  # fmt: skip
_CATEGORIES: Final = {"None": 0, "Internal": 1, "External": 2}
_PRIORITIES: Final = ("High", "Normal", "Low", "None")
_WHY: Final = {
    "down": "The RPC server is unavailable.",
    "stopped": "The Microsoft Exchange Transport service isn't running.",
    "starting": "The Microsoft Exchange Transport service is starting and doesn't answer yet.",
}


def _get(ask: Ask) -> Iterator[Given]:
    server, name = _asked(ask)
    found = False
    for queue in _answered(ask, server):
        if name and queue.name.lower() != name.lower():
            continue
        if not _fits(ask, queue):
            continue
        found = True
        make = partial(_shown, ask, queue)
        yield Row("Get-Queue", queue.identity, None, make)
    if name and not found:
        raise _no_queue(ask, rf"{server.name}\{name}")


def _asked(ask: Ask) -> tuple[Server, str]:
    r"""The server and the queue of an identity: `EX1\50`, `EX1\Shadow\6`, or a queue of this one."""
    server = ask.server_named("Server")
    if not ask.identity:
        return server or ask.server, ""
    first, _, rest = ask.identity.partition("\\")
    if not rest or first.lower() == "shadow":
        return server or ask.server, ask.identity
    for known in ask.organisation.servers:
        if first.lower() in (known.name.lower(), known.fqdn.lower()):
            return known, rest
    raise ask.not_found(first)


def _answered(ask: Ask, server: Server) -> list[Queue]:
    """The queues of a server. Raises `Failed` when its service does not answer."""
    why = ask.world.transport.why_silent(server.name)
    if why:
        raise ask.failed(
            f'Failed to connect to the transport service on "{server.fqdn}". {_WHY[why]}',
            _LOCALIZED, "InvalidOperation",
        )  # fmt: skip
    return ask.world.transport.queues(server.name)


def _fits(ask: Ask, queue: Queue) -> bool:
    wanted = ask.bound.get("Filter")
    if wanted is None:
        return True
    try:
        return matches(str(wanted), _filtered(ask, queue))
    except BadFilter as error:
        raise ask.failed(str(error), f"{v.DATA}.ParsingException", "InvalidArgument") from None


def _filtered(ask: Ask, queue: Queue) -> dict[str, Fact]:
    """What a filter may ask for: every property but times and lists."""
    gone = _outgoing(queue)
    retries = queue.tries(ask.organisation.now)[0] if queue.failing is not None else 0
    return {
        "identity": queue.identity, "deliverytype": queue.delivery, "nexthopdomain": queue.hop,
        "nexthopconnector": queue.connector, "nexthopcategory": queue.category,
        "status": queue.status(), "messagecount": queue.count, "lasterror": queue.error,
        "deferredmessagecount": queue.deferred, "lockedmessagecount": 0, "retrycount": retries,
        "incomingrate": queue.rate, "outgoingrate": gone, "velocity": gone - queue.rate,
        "risklevel": "Normal", "outboundippool": 0, "tlsdomain": "",
    }  # fmt: skip


def _outgoing(queue: Queue) -> float:
    """Messages per second that leave the queue."""
    return queue.rate if queue.failing is None and not queue.suspended else 0.0


def _shown(ask: Ask, queue: Queue) -> tuple[str, Live]:
    now = ask.organisation.now
    tries: tuple[int, datetime | None, datetime | None] = (0, None, None)
    if queue.failing is not None:
        tries = queue.tries(now)
    identity = Obj(
        _IDENTITY, queue.identity,
        {"Server": queue.server, "RowId": _row(queue), "Type": _kind(queue),
         "NextHopDomain": queue.hop},
    )  # fmt: skip
    gone = _outgoing(queue)
    return queue.identity, {
        "DeliveryType": v.enum(_DELIVERY, queue.delivery, DELIVERIES[queue.delivery]),
        "NextHopDomain": queue.hop,
        "NextHopConnector": UUID(queue.connector),
        "Status": v.enum(f"{_VIEWER}.QueueStatus", queue.status(), STATES[queue.status()]),
        "MessageCount": queue.count,
        "LastError": queue.error or None,
        "RetryCount": tries[0],
        "LastRetryTime": tries[1],
        "NextRetryTime": tries[2],
        "FirstRetryTime": queue.failing,
        "DeferredMessageCount": queue.deferred,
        "MessageCountsPerPriority": _counts(0, queue.count, 0, 0),
        "DeferredMessageCountsPerPriority": _counts(0, queue.deferred, 0, 0),
        "NextHopCategory": v.enum(
            f"{_VIEWER}.NextHopCategory", queue.category, _CATEGORIES[queue.category]
        ),
        "IncomingRate": round(queue.rate, 3),
        "OutgoingRate": round(gone, 3),
        "Velocity": round(gone - queue.rate, 3),
        "QueueIdentity": identity,
        "PriorityDescriptions": Obj(_array("System.String"), value=list(_PRIORITIES)),
        "Identity": identity,
    }


def _row(queue: Queue) -> int:
    last = queue.name.rpartition("\\")[2]
    return int(last) if last.isdigit() else 0


def _kind(queue: Queue) -> str:
    first = queue.name.partition("\\")[0]
    return first if not first.isdigit() else "Delivery"


def _array(type_name: str) -> tuple[str, ...]:
    return (f"{type_name}[]", "System.Array", "System.Object")


def _counts(*numbers: Value) -> Obj:
    return Obj(_array("System.Int32"), value=list(numbers))


def _no_queue(ask: Ask, identity: str) -> Failed:
    return ask.failed(
        f"The queue with the identity '{identity}' doesn't exist.", _LOCALIZED, "ObjectNotFound"
    )


def _chosen(ask: Ask) -> list[Queue]:
    """The queues that an identity or a filter means. Raises `Failed`."""
    server, name = _asked(ask)
    found = [
        queue
        for queue in _answered(ask, server)
        if (not name or queue.name.lower() == name.lower()) and _fits(ask, queue)
    ]
    if name and not found:
        raise _no_queue(ask, rf"{server.name}\{name}")
    return found


def _suspend(on: bool, ask: Ask) -> Iterator[Given]:
    for queue in _chosen(ask):
        if queue.name == "Poison":
            raise ask.failed("The poison message queue can't be suspended or resumed.", _LOCALIZED,
                             "InvalidOperation")  # fmt: skip
        if not ask.bound.is_on("WhatIf"):
            queue.suspended = on
    yield from ()


def _retry(ask: Ask) -> Iterator[Given]:
    for queue in _chosen(ask):
        if not ask.bound.is_on("WhatIf"):
            ask.world.transport.retry(queue)
    yield from ()


def _redirect(ask: Ask) -> Iterator[Given]:
    """Redirect-Message: the target must be a full name (health.md 4.1, S8)."""
    server = ask.server_named("Server") or ask.server
    targets = ask.bound.get("Target")
    names = [str(one) for one in (targets if isinstance(targets, list) else [targets])]
    found = [
        known
        for name in names
        for known in ask.organisation.servers
        if known.fqdn.lower() == name.lower()
    ]
    if len(found) < len(names):
        raise ask.failed(
            f"The target server '{', '.join(names)}' isn't valid. Use the fully qualified domain "
            "name of a server that is able to accept messages.",
            _LOCALIZED, "InvalidArgument",
        )  # fmt: skip
    if server.name in {one.name for one in found}:
        raise ask.failed(
            "Messages can't be redirected to the server from which they come.", _LOCALIZED,
            "InvalidArgument",
        )  # fmt: skip
    _answered(ask, server)
    if not ask.bound.is_on("WhatIf"):
        ask.world.transport.redirect(server.name, found[0].name)
    yield from ()


CMDLETS: Final = (
    Simulated("Get-Queue", _get, ("Identity", "Server", "Filter"), limited=True),
    Simulated(
        "Suspend-Queue", partial(_suspend, True), ("Identity", "Server", "Filter"), asks=True,
        changes=True,
    ),
    Simulated(
        "Resume-Queue", partial(_suspend, False), ("Identity", "Server", "Filter"), asks=True,
        changes=True,
    ),
    Simulated(
        "Retry-Queue", _retry, ("Identity", "Server", "Filter"), asks=True, changes=True
    ),
    Simulated("Redirect-Message", _redirect, ("Server", "Target"), asks=True, changes=True),
)  # fmt: skip
