"""Single messages on their way into the simulated mailboxes.

`Transport` lets mail flow as numbers; what somebody wrote or a probe sent is followed one by one.
A message is delivered as soon as the way is open: a transport service that takes it in, the
recipient's database mounted, the delivery service of its server running, and no queue on the way
standing. Until then it waits, and as long as a slow server needs. What the gateway took in from
outside waits there until an Exchange server takes it. What cannot be delivered comes back to a
sender inside with the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from mailmig.lab import services
from mailmig.lab.contents import INBOX, Message
from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.model.quota import KIB

if TYPE_CHECKING:
    from mailmig.lab.world import World

# What the store adds to a message: properties, an index entry [MEM].
OVERHEAD: Final = 2 * KIB
UNKNOWN: Final = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address"
FULL: Final = "554 5.2.2 STOREDRV.Deliver; mailbox full"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message for one recipient; `at` is the server that has it, and has it done by `ready`.

    It is "" while the gateway outside has it, whose full name is `gateway`.
    """

    message: Message
    recipient: Mailbox
    at: str
    ready: datetime
    gateway: str = ""


class Delivering:
    """The messages of a world that are on their way; hold its lock."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._waiting: list[_Waiting] = []
        self._sent = 0
        # What left the organisation: recipients and the message.
        self.outward: list[tuple[str, Message]] = []

    @property
    def waiting(self) -> int:
        """How many messages wait, counted per recipient."""
        return len(self._waiting)

    def send(
        self, message: Message, recipients: Sequence[tuple[str, Mailbox | None]], server: str
    ) -> None:
        """Put a message on its way from a server.

        Recipients are addresses with the mailbox of each; without one in a domain of ours nobody
        has the address, in others it leaves the organisation. A mailbox gets it once.
        """
        reached: set[int] = set()
        for address, mailbox in recipients:
            if mailbox is not None:
                if mailbox.number not in reached:
                    self._waiting.append(_Waiting(message, mailbox, server, self._ready(server)))
                reached.add(mailbox.number)
            elif address.rpartition("@")[2].lower() in self._world.organisation.mail_domains:
                self._return(message, address, UNKNOWN, server)
            else:
                self.outward.append((address, message))
        self.settle()

    def send_from_outside(
        self, message: Message, recipients: Sequence[Mailbox], gateway: str
    ) -> None:
        """Put a message on its way that the gateway with this full name took in."""
        now = self._world.organisation.now
        once = {one.number: one for one in recipients}.values()
        self._waiting += [_Waiting(message, one, "", now, gateway) for one in once]
        self.settle()

    def number(self) -> int:
        """The number of a new message; each is given once."""
        self._sent += 1
        return self._sent

    def written(
        self, sender: str, to: Sequence[str], subject: str, body: str, cc: Sequence[str] = ()
    ) -> Message:
        """A new message, as it leaves its sender now."""
        now = self._world.organisation.now
        organisation = self._world.organisation
        number = guid(organisation.seed, "message", self.number())
        size = len(subject.encode()) + len(body.encode()) + OVERHEAD
        return Message(
            INBOX, 0, True, subject, sender, tuple(to), now, now, size,
            f"<{number.replace('-', '')}@{organisation.domain}>", tuple(cc), body, read=False,
        )  # fmt: skip

    def settle(self) -> None:
        """Deliver what can be delivered now, and what comes back because of it."""
        self._hand_over()
        open_now = [one for one in self._waiting if self._is_open(one)]
        while open_now:
            self._waiting = [one for one in self._waiting if one not in open_now]
            for one in open_now:
                self._deliver(one)
            open_now = [one for one in self._waiting if self._is_open(one)]

    def _hand_over(self) -> None:
        """The gateway gives what it has to the first server that takes mail from outside."""
        organisation = self._world.organisation
        taker = next(iter(self._world.transport.entrances()), None)
        if taker is None:
            return
        name, when = organisation.server(taker).fqdn, format_datetime(organisation.now)
        for place, one in enumerate(self._waiting):
            if not one.at:
                way = f"from {one.gateway} by {name} with Microsoft SMTP Server"
                hop = ("Received", f"{way} via Frontend Transport; {when}")
                message = replace(one.message, headers=(hop, *one.message.headers))
                self._waiting[place] = _Waiting(message, one.recipient, taker, self._ready(taker))

    def _ready(self, server: str) -> datetime:
        """When a server will have done its part with a message that it gets now."""
        post = self._world.transport.posts[server]
        return self._world.organisation.now + timedelta(seconds=post.delay_s)

    def _is_open(self, one: _Waiting) -> bool:
        if not one.at or self._world.organisation.now < one.ready:
            return False
        organisation, transport = self._world.organisation, self._world.transport
        database = organisation.databases[one.recipient.database]
        conditions = self._world.conditions(database.server)
        members = organisation.dag.servers
        takers = members if one.at in members else (one.at,)
        return (
            any(transport.accepts(name) for name in takers)
            and transport.runs(database.server)
            and database.mounted
            and services.runs(conditions, services.DELIVERY)
            and not transport.holds(one.at, database)
        )

    def _deliver(self, one: _Waiting) -> None:
        organisation = self._world.organisation
        limit = organisation.effective(one.recipient).receive
        if isinstance(limit, int) and one.recipient.used + one.message.size > limit:
            self._return(one.message, one.recipient.address, FULL, one.at)
            return
        home = organisation.databases[one.recipient.database].server
        headers = (*self._hops(one.message, one.at, home), *one.message.headers)
        kept = replace(one.message, folder=INBOX, received=organisation.now, headers=headers)
        self._world.contents.put(one.recipient, kept)

    def _hops(self, message: Message, at: str, home: str) -> Iterator[tuple[str, str]]:
        """From server to server, the newest first. Form from memory [MEM]."""
        organisation = self._world.organisation
        when = format_datetime(organisation.now)
        source, target = (organisation.server(name).fqdn for name in (at, home))
        if at != home:
            yield "Received", f"from {source} by {target} with Microsoft SMTP Server; {when}"
        if not any(name == "Received" for name, _ in message.headers):  # written in a mailbox here
            yield "Received", f"from {source} by {source} with mapi; {when}"

    def _return(self, message: Message, address: str, reason: str, server: str) -> None:
        """The sender is told, if he is one of ours; a report about a report is never sent."""
        sender = next(
            (one for one in self._world.organisation.present()
             if one.address.lower() == message.sender.lower()),
            None,
        )  # fmt: skip
        if sender is None:
            return
        postmaster = f"postmaster@{self._world.organisation.mail_domains[0]}"
        report = self.written(
            postmaster, (sender.address,), f"Unzustellbar: {message.subject}",
            f"{address}\n{reason}",
        )  # fmt: skip
        self._waiting.append(_Waiting(report, sender, server, self._world.organisation.now))
