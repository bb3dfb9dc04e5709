"""What stood in the logs before the lab began: two weeks of clients, made up.

Who worked, with what and when is drawn from the seed, so the same town has the same past; nothing
of it happened. Working days between 6 and 16 o'clock UTC, a sample of at most `MOST` people:

- people by the service name with Outlook, some with a phone, a browser or a Mac;
- on the old server a few who still use its own name: some people and a scanner by EWS;
- on every server Exchange's own probes (operations.md 10: health mailboxes, AMProbe);
- by SMTP three devices that no relay connector serves, and what the gateway brings; the front end
  hands it on.

The devices of the relay connector are not seen: its protocol log is off. Reading stops where the
lab began; from then on the logs hold what really asked, and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from mailmig.lab.connectors import is_cut_over
from mailmig.lab.logs import sending
from mailmig.lab.logs.records import SmtpLine, WebVisit
from mailmig.lab.organisation import Organisation, share
from mailmig.lab.population import Mailbox
from mailmig.lab.usage import stream
from mailmig.model.directory import Kind
from mailmig.model.organisation import Server

if TYPE_CHECKING:
    from mailmig.lab.world import World

DAYS: Final = 14
MOST: Final = 400
_OPENS, _WORKS_S = 6, 10 * 3600
_SATURDAY: Final = 5
_WEEKEND: Final = 0.04
_LOYAL: Final = 0.02
SCANNER: Final = "ScanStation/3.1"
PROBE: Final = "AMProbe/Local/ClientAccess"
# How long after a client came the transport service gets its message.
_HANDED_ON: Final = timedelta(milliseconds=45)


class _Client(NamedTuple):
    """What somebody works with; `part` is the share of people who do."""

    path: str
    method: str
    scheme: str
    agent: str
    part: float
    action: str = ""
    application: str = ""


_CLIENTS: Final = (
    _Client("/mapi/emsmdb/", "POST", "Negotiate",
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", 0.95,
            "Execute", "Outlook/16.0.17928.20114"),
    _Client("/Microsoft-Server-ActiveSync/", "POST", "Basic", "Apple-iPhone14C5/2110.60", 0.25),
    _Client("/owa/", "GET", "FBA", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
            "(KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", 0.2),
    _Client("/EWS/Exchange.asmx", "POST", "Negotiate", "MacOutlook/16.78.3.24", 0.08),
    _Client("/autodiscover/autodiscover.xml", "POST", "Negotiate",
            "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)", 0.4),
)  # fmt: skip
_SCRIPT: Final = _Client("/EWS/Exchange.asmx", "POST", "Basic", "Postfachabgleich/2.4", 1.0)
_SCANNER: Final = _Client("/EWS/Exchange.asmx", "POST", "Basic", SCANNER, 1.0)
_PROBED: Final = ("/mapi/emsmdb/", "/owa/", "/EWS/Exchange.asmx", "/Microsoft-Server-ActiveSync/")
# What a device calls itself, and its address: none of these is in the relay connector's ranges.
_DEVICES: Final = (
    ("printer-3", "10.20.11.31"), ("ScanStation-EG", "10.20.11.32"), ("zeiterfassung", "10.20.7.5"),
)  # fmt: skip


class _Person(NamedTuple):
    """`front` is the server that this person's programs, `clients`, are led to."""

    user: str
    home: str
    address: str
    front: str = ""
    clients: tuple[_Client, ...] = ()
    loyal: bool = False


@dataclass(frozen=True, slots=True)
class Past:
    """The last days before `ends`. Addresses are those of servers, by name."""

    seed: int
    ends: datetime
    begins: datetime
    servers: Mapping[str, Server]
    addresses: Mapping[str, str]
    fronts: tuple[str, ...]
    source: str
    name: str
    netbios: str
    gateway: tuple[str, str]
    people: tuple[_Person, ...]
    probes: Mapping[str, str]

    @classmethod
    def of(cls, world: "World") -> "Past":
        """What was before now, as the organisation is now."""
        organisation, layout = world.organisation, world.surroundings.layout
        databases = organisation.databases
        ends = organisation.now.astimezone(UTC)
        names = {one.fqdn: one.name for one in organisation.servers}
        staff = [one for one in organisation.present(Kind.USER) if one.last_logon is not None]
        staff.sort(key=lambda one: share(organisation.seed, "logs", one.account))
        fronts = organisation.dag.servers if is_cut_over(organisation) else (organisation.source,)
        people = tuple(
            _person(organisation, one, fronts, place == 0) for place, one in enumerate(staff[:MOST])
        )
        probes = {
            databases[one.database].server: rf"{organisation.netbios}\{one.name}"
            for one in organisation.present(Kind.MONITORING)
        }
        return cls(
            organisation.seed, ends, ends - timedelta(days=DAYS),
            {one.name: one for one in organisation.servers},
            {names[one.name]: one.address for one in layout.exchange},
            fronts, organisation.source, organisation.namespace, organisation.netbios,
            (layout.gateway.name, layout.gateway.address), people, probes,
        )  # fmt: skip

    def since(self, moment: datetime | None) -> "Past":
        """The same, beginning no earlier than then."""
        return self if moment is None else replace(self, begins=max(self.begins, moment))

    def front(self, server: str) -> list[WebVisit]:
        """What a server's front end answered, in order."""
        return self._in_order(one for day in self._days() for one in self._requests(server, day))

    def back(self, server: str) -> list[WebVisit]:
        """What front ends handed to a server, in order."""
        days = list(self._days())
        found = (
            one for front in self.servers for day in days for one in self._requests(front, day)
            if one.target is not None and one.target.name == server
        )  # fmt: skip
        return self._in_order(found)

    def smtp(self, server: str, way: str) -> list[SmtpLine]:
        """What a server's front end wrote of one of `formats.WAYS`, in order.

        The default connector took the messages, and they were handed to the transport service.
        """
        if server not in self.fronts:
            return []
        clients = (*_DEVICES, self.gateway)
        lines = [
            one
            for day in self._days() if day.weekday() < _SATURDAY
            for name, address in clients
            for one in self._sessions(server, day, name, address, way)
        ]  # fmt: skip
        found = [one for one in lines if self.begins <= one.at < self.ends]
        return sorted(found, key=lambda one: (one.at, one.session, one.number))

    def _days(self) -> Iterator[date]:
        day = self.begins.date()
        while day <= self.ends.date():
            yield day
            day += timedelta(days=1)

    def _in_order(self, found: Iterator[WebVisit]) -> list[WebVisit]:
        return sorted(
            (one for one in found if self.begins <= one.at < self.ends), key=attrgetter("at")
        )

    def _requests(self, server: str, day: date) -> Iterator[WebVisit]:
        draw = stream(self.seed, f"logs {server} {day}")
        busy = 1.0 if day.weekday() < _SATURDAY else _WEEKEND
        yield from self._probing(server, day)
        for person in self.people:
            for client in person.clients if person.front == server else ():
                if draw.random() < busy:
                    yield self._visit(draw, server, day, self.name, person, client)
        if server != self.source:
            return
        own = self.servers[server].fqdn
        for person in self.people:
            if person.loyal and draw.random() < busy:
                yield self._visit(draw, server, day, own, person, _SCRIPT)
        scanner = _Person(rf"{self.netbios}\svc-scan", server, "10.20.11.32")
        for _ in range(round(6 * busy)):
            yield self._visit(draw, server, day, own, scanner, _SCANNER)

    def _visit(
        self, draw: Random, front: str, day: date, host: str, person: _Person, client: _Client
    ) -> WebVisit:
        at = _at(day, _OPENS * 3600 + draw.random() * _WORKS_S)
        return WebVisit(
            at, front, self.addresses[front], 443, client.method, client.path, host,
            client.scheme, person.user, "", client.agent, person.address, 200,
            5 + int(draw.expovariate(1 / 40)), self.servers[person.home], "200", client.action,
            client.application, "0" if client.action else "",
        )  # fmt: skip

    def _probing(self, server: str, day: date) -> Iterator[WebVisit]:
        """Exchange's own probes, one per protocol and hour; from loopback."""
        user = self.probes.get(server)
        if user is None:
            return
        for hour in range(24):
            for place, path in enumerate(_PROBED):
                mapi = ("Connect", "AMProbe/15.0", "0") if place == 0 else ("", "", "")
                yield WebVisit(
                    _at(day, hour * 3600 + 60 * place + 7), server, "127.0.0.1", 443, "POST", path,
                    "localhost", "Basic", user, "", PROBE, "127.0.0.1", 200, 12,
                    self.servers[server], "200", *mapi,
                )  # fmt: skip

    def _sessions(
        self, server: str, day: date, name: str, address: str, way: str
    ) -> Iterator[SmtpLine]:
        draw = stream(self.seed, f"logs {server} {day} {name}")
        own = self.servers[server].fqdn
        here = self.addresses[server]
        for _ in range(4):
            at = _at(day, _OPENS * 3600 + draw.random() * _WORKS_S)
            session = f"08DD{draw.getrandbits(48):012X}"
            port = draw.randrange(49_152, 65_536)
            if way == "SmtpReceive":
                connector = rf"{server}\Default Frontend {server}"
                ends = f"{here}:25", f"{address}:{port}"
                lines = _dialogue(own, name, session)
            else:
                connector = sending.PROXY
                ends = f"{here}:{port}", f"{here}:{sending.HUB_PORT}"
                lines = sending.dialogue(own, own, _sender(own, name), (), _taken(own, session))
                at, session = at + _HANDED_ON, session.replace("08DD", "08DC", 1)
            for number, (event, data) in enumerate(lines):
                when = at + timedelta(milliseconds=7 * number)
                yield SmtpLine(when, connector, session, number, *ends, event, data)


def _person(
    organisation: Organisation, one: Mailbox, fronts: tuple[str, ...], first: bool
) -> _Person:
    """Somebody with what he works with; the first still uses the old server's own name, a few do."""

    def lot(*what: object) -> float:
        return share(organisation.seed, "logs", *what, one.account)

    return _Person(
        rf"{organisation.netbios}\{one.account}", organisation.databases[one.database].server,
        f"10.20.{40 + one.number // 200 % 200}.{10 + one.number % 200}",
        fronts[int(lot("front") * len(fronts))],
        tuple(client for place, client in enumerate(_CLIENTS) if lot(place) < client.part),
        first or lot("loyal") < _LOYAL,
    )  # fmt: skip


def _at(day: date, seconds: float) -> datetime:
    return datetime.combine(day, time(), UTC) + timedelta(seconds=seconds)


def _dialogue(own: str, name: str, session: str) -> Iterator[tuple[str, str]]:
    """A message that was taken; addresses are left out as nobody asks for them."""
    yield "+", ""
    yield ">", f"220 {own} Microsoft ESMTP MAIL Service ready"
    yield "<", f"EHLO {name}"
    yield ">", f"250-{own} Hello"
    yield ">", "250 8BITMIME"
    yield "<", f"MAIL FROM:<{_sender(own, name)}>"
    yield ">", "250 2.1.0 Sender OK"
    yield "<", "DATA"
    yield ">", "354 Start mail input; end with <CRLF>.<CRLF>"
    yield ">", _taken(own, session)
    yield "<", "QUIT"
    yield ">", "221 2.0.0 Service closing transmission channel"
    yield "-", ""


def _sender(own: str, name: str) -> str:
    return f"{name.lower()}@{own.partition('.')[2]}"


def _taken(own: str, session: str) -> str:
    return f"250 2.6.0 <{session.lower()}@{own}> Queued mail for delivery"
