"""Mail on its way: the queues of each server, what fills them and what empties them.

Mail is a flow. Each server takes in so many messages per second, sorts them into a queue per next
hop, and a hop that works takes them at once; what is counted are messages that wait. A hop that
does not work lets its queue grow, is tried again at the times that Exchange keeps (below), and
empties its queue at the first try that succeeds, not before. Counts are numbers of messages and
not whole while they flow; times are the world's.

Laws: health.md 2.5 and 7.1 to 7.4. Draining begins with the next start of the transport service;
Redirect-Message carries off what is active and leaves shadow and poison messages; a primary
server that is gone for three hours is replaced by the holder of its shadow messages.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mailmig.lab import connectors, services
from mailmig.lab.databases import Database
from mailmig.lab.organisation import guid
from mailmig.lab.places import server_names
from mailmig.lab.queues import Post, Queue
from mailmig.lab.setting_values import span
from mailmig.model.directory import Kind

if TYPE_CHECKING:
    from mailmig.lab.world import World

# Messages that one mailbox gets a day, and the share of them that goes out of the organisation.
PER_MAILBOX_A_DAY: Final = 60
OUTWARD: Final = 0.15
# What one queue delivers, and what Redirect-Message carries away, in messages per second.
DELIVERED_PER_S: Final = 100.0
REDIRECTED_PER_S: Final = 50.0
EXPIRES: Final = timedelta(days=2)
# Shadow messages: how long one is kept until its primary reports, and how long before the holder
# takes over (ShadowHeartbeatFrequency and ShadowResubmitTimeSpan by default).
HEARTBEAT_S: Final = 120.0
RESUBMIT: Final = timedelta(hours=3)
# After a start the service answers nobody for a while (health.md 7.3: up to about a minute).
SILENT_AFTER_START: Final = timedelta(seconds=45)
_COUNTED_FOR: Final = timedelta(minutes=1)
_DAY_S: Final = 86400.0

NOT_CONNECTED: Final = (
    '[{LED=441 4.4.1 Error encountered while communicating with primary target IP address: "Failed '
    'to connect. Winsock error code: 10061, Win32 error code: 10061."}]'
)
NOT_MOUNTED: Final = (
    "[{LED=432 4.3.2 STOREDRV.Deliver; mailbox database is offline};{MSG=};{FQDN=};{IP=}]"
)


class Transport:
    """The mail flow of a world; `advance` lets it run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._now = world.organisation.now
        self._counted: tuple[datetime, dict[str, int]] | None = None
        self.outside = 0.0  # messages that nobody took in and that wait at the gateway
        # The gateway's list, by short names; None: the servers that the clients' name leads to.
        self.gateway_to: tuple[str, ...] | None = None
        self.came = self.delivered = self.expired = 0.0
        names = [server.name for server in world.organisation.servers]
        self.posts = {name: Post(name) for name in names}
        for post in self.posts.values():
            for name, delivery, hop in (
                ("Submission", "Undefined", "Submission"),
                ("Poison", "Undefined", "Poison Message"),
            ):
                post.queues[name] = Queue(post.name, name, delivery, hop)
        self.advance(self._now)

    def queues(self, server: str) -> list[Queue]:
        """A server's queues, the one that always is at the end; an idle one goes away."""
        self.advance(self._world.organisation.now)
        found = [
            one
            for one in self.posts[server].queues.values()
            if one.always or one.rate or one.waiting >= 1 or one.suspended
        ]
        return sorted(found, key=lambda one: (one.always, one.name))

    def why_silent(self, server: str) -> str:
        """Why nobody can ask the server for its queues: "down", "stopped", "starting", or ""."""
        conditions = self._world.conditions(server)
        if server in self._world.organisation.down:
            return "down"
        if not services.runs(conditions, services.TRANSPORT):
            return "stopped"
        at = services.started(conditions, services.TRANSPORT)
        now = self._world.organisation.now
        return "starting" if at is not None and now - at < SILENT_AFTER_START else ""

    def runs(self, server: str) -> bool:
        """Whether the transport service works, taking mail or not."""
        conditions = self._world.conditions(server)
        up = server not in self._world.organisation.down
        return up and services.runs(conditions, services.TRANSPORT)

    def accepts(self, server: str) -> bool:
        """Whether the server takes new messages from others."""
        return self._takes(server) and (not self._must_shadow or self._holder(server) is not None)

    def accepts_from_outside(self, server: str) -> bool:
        """Whether mail from beyond Exchange gets in here."""
        front = services.runs(self._world.conditions(server), services.FRONTEND)
        active = self._world.components(server).state("FrontendTransport") == "Active"
        eased = "Medium" not in self.posts[server].pressure.values()
        return front and active and eased and self.accepts(server)

    @property
    def next_hops(self) -> tuple[str, ...]:
        """The servers to which the gateway outside gives mail, in turn, if they take it."""
        if self.gateway_to is not None:
            return self.gateway_to
        return self._group(self._world.organisation.answering)

    def entrances(self) -> list[str]:
        """Those of them that take mail now: the gateway passes over the others."""
        return [name for name in self.next_hops if self.accepts_from_outside(name)]

    def holds(self, server: str, database: Database) -> bool:
        """Whether messages for a database stand in a queue of this server."""
        post = self.posts[server]
        hop = self._hop(server, database)
        found = (post.queues["Submission"], post.queues.get(self._number(post, hop)))
        return any(one is not None and (one.suspended or one.failing) for one in found)

    def redirect(self, server: str, target: str) -> None:
        """Carry the active messages of one server to another one, from now on."""
        self.advance(self._world.organisation.now)
        self.posts[server].redirect = target

    def retry(self, queue: Queue) -> None:
        """Try the next hop now; a queue that fails again goes on as before."""
        self.advance(self._world.organisation.now)
        if queue.failing is not None and not self._trouble(queue):
            queue.failing, queue.error = None, ""

    def advance(self, to: datetime) -> None:
        """Let mail flow until `to`; what holds now held all the time since the last call."""
        for post in self.posts.values():
            self._follow_service(post)
        seconds = max(0.0, (to - self._now).total_seconds())
        rates = self._rates()
        for post in self.posts.values():
            self._open(post, rates.get(post.name, 0.0))
        if seconds:
            self._take_in(rates, seconds)
            running = [post for post in self.posts.values() if self.runs(post.name)]
            for post in running:
                self._carry(post, seconds)
            free = [one for post in running for one in self._empty(post, to, seconds)]
            for queue, left in free:  # what another server handed over in the meantime
                self._deliver(queue, left)
        self._shadow(to, rates, seconds)
        self._now = max(self._now, to)

    def _follow_service(self, post: Post) -> None:
        """What the component says counts from the next start of the service on."""
        conditions = self._world.conditions(post.name)
        runs = self.runs(post.name)
        at = services.started(conditions, services.TRANSPORT)
        if runs and (not post.ran or at != post.started):
            wanted = self._world.components(post.name).wanted("HubTransport")
            post.draining = wanted == "Draining"
        post.ran, post.started = runs, at

    def _takes(self, server: str) -> bool:
        post = self.posts[server]
        inactive = self._world.components(server).state("HubTransport") == "Inactive"
        full = "High" in post.pressure.values()
        return self.runs(server) and not (post.draining or inactive or full)

    @property
    def _must_shadow(self) -> bool:
        return self._shadows and self._is_set("RejectMessageOnShadowFailure", first=False)

    @property
    def _shadows(self) -> bool:
        return self._is_set("ShadowRedundancyEnabled", first=True)

    def _is_set(self, name: str, *, first: bool) -> bool:
        """Whether a setting of the organisation's transport is on."""
        key = guid(self._world.organisation.seed, "transport")
        return bool(self._world.organisation.settings.value(key, name, first))

    def _holder(self, server: str) -> str | None:
        """Who keeps the shadow copies of a server's messages: another member of its DAG."""
        members = self._world.organisation.dag.servers
        if server not in members or not self._shadows:
            return None
        return next((one for one in members if one != server and self._takes(one)), None)

    def _group(self, server: str) -> tuple[str, ...]:
        """The servers that deliver to the same databases: a DAG, or one server."""
        members = self._world.organisation.dag.servers
        return members if server in members else (server,)

    def _per_database(self) -> dict[str, int]:
        """Mailboxes per database; counted once a minute."""
        now = self._world.organisation.now
        if self._counted is None or now - self._counted[0] >= _COUNTED_FOR:
            counts = dict.fromkeys(self._world.organisation.databases, 0)
            for mailbox in self._world.organisation.present():
                if mailbox.kind is not Kind.MONITORING and mailbox.database in counts:
                    counts[mailbox.database] += 1
            self._counted = (now, counts)
        return self._counted[1]

    def _rates(self) -> dict[str, float]:
        """Messages per second that come to each server; what nobody takes goes to "".

        Half of all mail comes from outside to the servers that answer there, half is sent where
        the mailboxes are.
        """
        organisation = self._world.organisation
        counts = self._per_database()
        whole = sum(counts.values()) * PER_MAILBOX_A_DAY / _DAY_S
        rates = {"": 0.0}
        self._split(rates, self.entrances(), whole / 2)
        for name, count in counts.items():
            group = self._group(organisation.databases[name].server)
            share = whole / 2 * count / max(1, sum(counts.values()))
            self._split(rates, [s for s in group if self.accepts(s)], share)
        return rates

    @staticmethod
    def _split(rates: dict[str, float], servers: list[str], rate: float) -> None:
        for server in servers or [""]:
            rates[server] = rates.get(server, 0.0) + rate / max(1, len(servers))

    def _open(self, post: Post, rate: float) -> None:
        """The queues that a server has now, and what comes into each per second."""
        wanted = {one.name: one for one in self._hops(post, rate)}
        for name, queue in wanted.items():
            known = post.queues.setdefault(name, queue)
            known.rate = queue.rate
        post.queues["Submission"].rate = rate
        for name, queue in list(post.queues.items()):
            gone = name not in wanted and name.isdigit()
            if gone:
                queue.rate = 0.0
                if queue.waiting < 1:
                    self.delivered += queue.waiting
                    del post.queues[name]

    def _hops(self, post: Post, rate: float) -> Iterator[Queue]:
        organisation = self._world.organisation
        counts = self._per_database()
        all_ = max(1, sum(counts.values()))
        relayed: dict[str, float] = {}
        group = self._group(post.name)
        for name, count in counts.items():
            database = organisation.databases[name]
            part = rate * (1 - OUTWARD) * count / all_
            hop = self._hop(post.name, database)
            if database.server in group:
                yield Queue(
                    post.name, self._number(post, hop), "SmtpDeliveryToMailbox", hop,
                    rate=part, database=name,
                )  # fmt: skip
            else:
                relayed[hop] = relayed.get(hop, 0.0) + part
        for hop, part in relayed.items():
            in_dag = hop == organisation.dag.name.lower()
            kind = "SmtpRelayToDag" if in_dag else "SmtpRelayToMailboxDeliveryGroup"
            yield Queue(post.name, self._number(post, hop), kind, hop, rate=part)
        yield self._outward(post, rate * OUTWARD)

    def _hop(self, server: str, database: Database) -> str:
        """Where a server sends what is for a database: itself, its DAG or another group."""
        if database.server in self._group(server):
            return database.name.lower()
        dag = self._world.organisation.dag
        in_dag = database.server in dag.servers
        return dag.name.lower() if in_dag else self._delivery_group(database.server)

    def _outward(self, post: Post, rate: float) -> Queue:
        out = connectors.outbound(self._world.organisation)
        if post.name in out.sources and out.enabled:
            hop = ",".join(out.hosts)
            return Queue(
                post.name, self._number(post, hop), "SmartHostConnectorDelivery", hop, out.guid,
                "External", rate,
            )  # fmt: skip
        hop = connectors.SEND.lower()
        return Queue(
            post.name, self._number(post, hop), "SmtpRelayToConnectorSourceServers", hop, out.guid,
            rate=rate,
        )  # fmt: skip

    def _delivery_group(self, server: str) -> str:
        found = self._world.organisation.server(server)
        return f"site:{found.site.lower()}; version:{found.build[0]}"

    def _number(self, post: Post, hop: str) -> str:
        """A queue's number: it follows from its hop and stays."""
        return str(3 + int(guid("queue", post.name, hop)[:4], 16))

    def _take_in(self, rates: dict[str, float], seconds: float) -> None:
        """What came in stands in the queues; the gateway hands over what waited there."""
        self.came += sum(rates.values()) * seconds
        self.outside += rates[""] * seconds
        takers = self.entrances()
        for name, rate in rates.items():
            if name:
                self._sort_in(self.posts[name], rate * seconds)
        handed = min(self.outside, DELIVERED_PER_S * seconds) if takers else 0.0
        for name in takers:
            self._sort_in(self.posts[name], handed / len(takers))
        self.outside -= handed

    def _sort_in(self, post: Post, messages: float) -> None:
        """New messages go to the next hops as mail is spread; without any to the submission queue."""
        hops = [one for one in post.queues.values() if one.name.isdigit() and one.rate > 0]
        whole = sum(one.rate for one in hops)
        if not hops or post.queues["Submission"].suspended:
            post.queues["Submission"].waiting += messages
            return
        for queue in hops:
            queue.waiting += messages * queue.rate / whole

    def _empty(self, post: Post, to: datetime, seconds: float) -> list[tuple[Queue, float]]:
        """Each queue of a server delivers what it can; returns those that work, and for how long."""
        waits = post.queues["Submission"]
        if waits.waiting and not waits.suspended and any(q.rate for q in self._numbered(post)):
            taken, waits.waiting = waits.waiting, 0.0
            self._sort_in(post, taken)
        free = []
        for queue in self._numbered(post):
            works = self._works(queue, to, seconds)
            self._deliver(queue, works)
            self._expire(queue)
            if works:
                free.append((queue, works))
        return free

    def _works(self, queue: Queue, to: datetime, seconds: float) -> float:
        """How many of the last seconds the next hop took messages from the queue."""
        trouble = self._trouble(queue)
        if trouble:
            if queue.failing is None and (queue.waiting or queue.rate):
                queue.failing = self._now
            queue.error = trouble
            return 0.0
        if queue.failing is None:
            return seconds
        following = queue.tries(self._now)[2]
        if following > to:
            return 0.0
        queue.failing, queue.error = None, ""
        return (to - following).total_seconds()

    def _deliver(self, queue: Queue, seconds: float) -> None:
        if seconds and not queue.suspended:
            gone = min(queue.waiting, DELIVERED_PER_S * seconds)
            queue.waiting -= gone
            self._arrive(queue, gone)

    @staticmethod
    def _numbered(post: Post) -> list[Queue]:
        return [queue for queue in post.queues.values() if queue.name.isdigit()]

    def _arrive(self, queue: Queue, messages: float) -> None:
        """Delivered, or handed to the servers of the next group, who deliver it in turn."""
        if not queue.delivery.startswith("SmtpRelay"):
            self.delivered += messages
            return
        takers = self._next(queue)
        for name in takers:
            self._forward(self.posts[name], queue, messages / len(takers))

    def _forward(self, post: Post, queue: Queue, messages: float) -> None:
        outward = queue.delivery == "SmtpRelayToConnectorSourceServers"
        fitting = [
            one for one in self._numbered(post)
            if (one.category == "External" if outward else bool(one.database))
        ]  # fmt: skip
        whole = sum(one.rate for one in fitting)
        for one in fitting:
            one.waiting += messages * (one.rate / whole if whole else 1 / len(fitting))
        if not fitting:
            post.queues["Submission"].waiting += messages

    def _next(self, queue: Queue) -> list[str]:
        """The servers that could take what a relaying queue holds."""
        organisation = self._world.organisation
        if queue.delivery == "SmtpRelayToDag":
            names = organisation.dag.servers
        elif queue.delivery == "SmtpRelayToConnectorSourceServers":
            out = connectors.outbound(organisation)
            names = out.sources if out.enabled else ()
        else:
            names = tuple(
                one.name for one in organisation.servers
                if self._delivery_group(one.name) == queue.hop and not one.dag
            )  # fmt: skip
        return [name for name in names if name in self.posts and self._takes(name)]

    def _trouble(self, queue: Queue) -> str:
        """Why the next hop does not take messages; "" when it does."""
        refused = self.posts[queue.server].refused
        if queue.hop in refused:
            return refused[queue.hop]
        if queue.database:
            found = self._world.organisation.databases.get(queue.database)
            return "" if found is None else self._store_trouble(found)
        if queue.delivery.startswith("SmtpRelay") and not self._next(queue):
            return NOT_CONNECTED
        return ""

    def _store_trouble(self, database: Database) -> str:
        conditions = self._world.conditions(database.server)
        down = database.server in self._world.organisation.down
        if down or not services.runs(conditions, services.DELIVERY):
            return NOT_CONNECTED
        return "" if database.mounted else NOT_MOUNTED

    def _expire(self, queue: Queue) -> None:
        """After two days, or when the server is told, a message goes back to its sender."""
        if not queue.rate or queue.failing is None:
            return
        key = guid(self._world.organisation.seed, *server_names(queue.server))
        told = self._world.organisation.settings.value(key, "MessageExpirationTimeout", EXPIRES)
        most = queue.rate * span(told).total_seconds()
        if queue.waiting > max(most, 1.0):
            self.expired += queue.waiting - most
            queue.waiting = most

    def _carry(self, post: Post, seconds: float) -> None:
        """Redirect-Message at work: it ends when nothing active waits any more."""
        if not post.redirect:
            return
        found = [q for q in post.queues.values() if q.is_active and not q.suspended]
        whole = sum(queue.waiting for queue in found)
        if not self.accepts(post.redirect):
            return
        part = min(1.0, REDIRECTED_PER_S * seconds / whole) if whole else 1.0
        for queue in found:
            self._sort_in(self.posts[post.redirect], queue.waiting * part)
            queue.waiting *= 1 - part
        if part == 1.0:
            post.redirect = ""

    def _shadow(self, to: datetime, rates: dict[str, float], seconds: float) -> None:
        """Each member of a DAG keeps copies of what another one has not delivered yet."""
        members = self._world.organisation.dag.servers
        for primary in members:
            for holder in (one for one in members if one != primary):
                if self._shadows:
                    self._keep(self.posts[holder], primary, to, rates.get(primary, 0.0), seconds)
                else:
                    self.posts[holder].queues.pop(self._shadow_name(primary), None)

    def _keep(self, post: Post, primary: str, to: datetime, rate: float, seconds: float) -> None:
        name = self._shadow_name(primary)
        fqdn = self._world.organisation.server(primary).fqdn
        queue = post.queues.setdefault(name, Queue(post.name, name, "ShadowRedundancy", fqdn))
        if not self.runs(post.name):
            return
        if self.runs(primary) and primary not in post.unheard:
            post.silent.pop(primary, None)
            own = (q.waiting for q in self.posts[primary].queues.values() if q.is_active)
            queue.waiting = rate * HEARTBEAT_S + sum(own)
            return
        since = post.silent.setdefault(primary, self._now)
        if self.runs(primary):
            queue.waiting += rate * seconds
        elif to - since >= RESUBMIT:
            self._take_over(post, self.posts[primary])
            queue.waiting = 0.0

    def _take_over(self, post: Post, primary: Post) -> None:
        """The holder sends what the primary never delivered; that one drops it when it is back."""
        for queue in primary.queues.values():
            if queue.is_active and queue.waiting:
                self._sort_in(post, queue.waiting)
                queue.waiting = 0.0

    def _shadow_name(self, primary: str) -> str:
        names = [server.name for server in self._world.organisation.servers]
        return rf"Shadow\{4 + names.index(primary)}"
