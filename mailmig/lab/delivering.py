"""Single messages on their way into the simulated mailboxes.

`Transport` lets mail flow as numbers; what somebody wrote or a probe sent is followed one by one.
A message is delivered as soon as the way is open: a transport service that takes it in, the
recipient's database mounted, the delivery service of its server running, and no queue on the way
standing. Until then it waits, and as long as a slow server needs. What is for a public folder is
delivered to the mailbox that has its content. What the gateway took in from outside waits there
until a server of `Transport.next_hops` takes it, which are asked in turn. What cannot be delivered
comes back to a sender inside with the reason.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from mailmig.lab import services
from mailmig.lab.contents import INBOX, Message
from mailmig.lab.logs import sending
from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.public_folders import Folder
from mailmig.model.quota import KIB

if TYPE_CHECKING:
    from mailmig.lab.world import World

# What the store adds to a message: properties, an index entry [MEM].
OVERHEAD: Final = 2 * KIB
UNKNOWN: Final = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address"
FULL: Final = "554 5.2.2 STOREDRV.Deliver; mailbox full"


def size_of(message: Message) -> int:
    """Bytes of a message that was written here."""
    texts = (message.subject, message.body, message.html)
    files = sum(len(one.content) for one in message.attachments)
    return OVERHEAD + files + sum(len(text.encode(errors="replace")) for text in texts)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message for one recipient; `at` is the server that has it, and has it done by `ready`.

    It is "" while the gateway outside has it, whose full name is `gateway`. `folder` is the path of
    a public folder that the recipient holds.
    """

    message: Message
    recipient: Mailbox
    at: str
    ready: datetime
    gateway: str = ""
    folder: tuple[str, ...] | None = None


class Delivering:
    """The messages of a world that are on their way; hold its lock."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._waiting: list[_Waiting] = []
        self._sent = 0
        self._turn = 0
        # What left the organisation: recipients and the message.
        self.outward: list[tuple[str, Message]] = []

    @property
    def waiting(self) -> int:
        """How many messages wait, counted per recipient."""
        return len(self._waiting)

    def send(
        self,
        message: Message,
        recipients: Sequence[tuple[str, Mailbox | Folder | None]],
        server: str,
    ) -> None:
        """Put a message on its way from a server.

        Recipients are addresses with the mailbox or public folder of each; without one in a domain
        of ours nobody has the address, in others it leaves the organisation. Each gets it once.
        """
        ready = self._ready(server)
        self._waiting += self._once(message, [one for _, one in recipients if one], server, ready)
        beyond: list[str] = []
        for address, known in recipients:
            if known is not None:
                continue
            if address.rpartition("@")[2].lower() in self._world.organisation.mail_domains:
                self._return(message, address, UNKNOWN, server)
            else:
                beyond.append(address)
        if beyond:
            self.outward += [(address, message) for address in beyond]
            sending.outward(self._world, server, message.sender, beyond, message.message_id)
        self.settle()

    def send_from_outside(
        self, message: Message, recipients: Sequence[Mailbox | Folder], gateway: str
    ) -> None:
        """Put a message on its way that the gateway with this full name took in."""
        now = self._world.organisation.now
        self._waiting += self._once(message, recipients, "", now, gateway)
        self.settle()

    def _once(
        self, message: Message, recipients: Sequence[Mailbox | Folder], at: str, ready: datetime,
        gateway: str = "",
    ) -> list[_Waiting]:  # fmt: skip
        """The message for each recipient, however often it is named."""
        found: dict[object, _Waiting] = {}
        for one in recipients:
            if isinstance(one, Folder):
                holder = self._world.organisation.mailboxes[one.mailbox]
                found[one.path] = _Waiting(message, holder, at, ready, gateway, one.path)
            else:
                found[one.number] = _Waiting(message, one, at, ready, gateway)
        return list(found.values())

    def number(self) -> int:
        """The number of a new message; each is given once."""
        self._sent += 1
        return self._sent

    def written(
        self, sender: str, to: Sequence[str], subject: str, body: str, cc: Sequence[str] = ()
    ) -> Message:
        """A new message, as it leaves its sender now."""
        now = self._world.organisation.now
        message = Message(
            INBOX, 0, True, subject, sender, tuple(to), now, now, 0, self.message_id(), tuple(cc),
            body, read=False,
        )  # fmt: skip
        return replace(message, size=size_of(message))

    def message_id(self) -> str:
        """A new Message-ID of this organisation."""
        organisation = self._world.organisation
        number = guid(organisation.seed, "message", self.number())
        return f"<{number.replace('-', '')}@{organisation.domain}>"

    def settle(self) -> None:
        """Deliver what can be delivered now, and what comes back because of it."""
        self._hand_over()
        while True:
            open_now: list[_Waiting] = []
            waiting: list[_Waiting] = []
            for one in self._waiting:
                (open_now if self._is_open(one) else waiting).append(one)
            if not open_now:
                return
            self._waiting = waiting
            for one in open_now:
                self._deliver(one)

    def _hand_over(self) -> None:
        """The gateway gives what it has to the servers that take mail from outside, in turn."""
        organisation = self._world.organisation
        takers = self._world.transport.entrances()
        when = format_datetime(organisation.now)
        given: dict[str, str] = {}
        for place, one in enumerate(self._waiting if takers else ()):
            if not one.at:
                if one.message.message_id not in given:
                    given[one.message.message_id] = takers[self._turn % len(takers)]
                    self._turn += 1
                taker = given[one.message.message_id]
                name = organisation.server(taker).fqdn
                way = f"from {one.gateway} by {name} with Microsoft SMTP Server"
                hop = ("Received", f"{way} via Frontend Transport; {when}")
                message = replace(one.message, headers=(hop, *one.message.headers))
                self._waiting[place] = replace(
                    one, message=message, at=taker, ready=self._ready(taker), gateway=""
                )

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
        home = organisation.databases[one.recipient.database].server
        headers = (*self._hops(one.message, one.at, home), *one.message.headers)
        if one.at != home:
            to, number = [one.recipient.address], one.message.message_id
            sending.to_server(self._world, one.at, home, one.message.sender, to, number)
        if one.folder is not None:
            kept = replace(one.message, received=organisation.now, headers=headers, bcc=())
            self._world.public_folders.put(one.folder, kept)
            return
        limit = organisation.effective(one.recipient).receive
        if isinstance(limit, int) and one.recipient.used + one.message.size > limit:
            self._return(one.message, one.recipient.address, FULL, one.at)
            return
        kept = replace(
            one.message, folder=INBOX, received=organisation.now, headers=headers, bcc=(),
        )  # fmt: skip
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
