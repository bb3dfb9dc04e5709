"""A DNS zone as several servers hold it: changes travel late, old dynamic records are removed.

With no `primary` the zone is one that Active Directory keeps: each server takes changes,
writes itself as the primary into the SOA, and sends what changed to the others, where it
arrives `delay` later. The unit that travels is a whole name with all its records; of two
changes to one name the higher version wins, then the later one, then the server's name.
With a `primary` only that one takes changes, and the SOA is the same everywhere.

Time is the world's, given by `now`; nothing happens by itself: each look first lets happen
what was due until then, in order of time. Record timestamps are whole hours since 1601 as
in dnsRecord; 0 is static and never scavenged. Intervals of a week, tombstones kept for 14
days and "a refresh that comes too early changes nothing" are Microsoft's defaults; that
serials are raised on arrival, never below the sender's, is from memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zonefile
from dns.name import Name
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.SOA import SOA

HOUR: Final = timedelta(hours=1)
WEEK: Final = timedelta(days=7)
TOMBSTONE_KEPT: Final = timedelta(days=14)
STATIC: Final = 0
_FIRST_HOUR: Final = datetime(1601, 1, 1, tzinfo=UTC)
_SERIALS: Final = 1 << 32
# What Windows writes into a new zone: serial, refresh, retry, expire, minimum; seconds.
_NEW_SOA: Final = (1, 900, 600, 86400, 3600)
_TTL: Final = 3600


def hours(moment: datetime) -> int:
    """A moment as a record's timestamp: whole hours since 1601."""
    return (moment - _FIRST_HOUR) // HOUR


def moment(stamp: int) -> datetime | None:
    """A record's timestamp as a moment; None for a static record."""
    return _FIRST_HOUR + stamp * HOUR if stamp != STATIC else None


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a name: data, TTL in seconds, timestamp in hours (0 = static)."""

    rdata: Rdata
    ttl: int
    stamp: int = STATIC


@dataclass(slots=True)
class Ageing:
    """May old dynamic records be scavenged? `since` is when that was switched on."""

    enabled: bool = False
    no_refresh: timedelta = WEEK
    refresh: timedelta = WEEK
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One name at one server. A tombstone (no records) keeps an older copy from coming back."""

    records: tuple[Record, ...]
    version: int
    changed_at: datetime
    changed_by: str
    serial: int

    @property
    def rank(self) -> tuple[int, datetime, str]:
        return self.version, self.changed_at, self.changed_by


@dataclass(slots=True)
class Replica:
    """One server's copy of a zone.

    `receives` False holds back what comes from other servers until it is True again.
    `scavenges_every` is None on servers that do not scavenge by themselves.
    """

    server: str
    serial: int
    nodes: dict[Name, Node] = field(default_factory=dict)
    receives: bool = True
    scavenges_every: timedelta | None = None
    scavenged_at: datetime | None = None
    held_back: list[tuple[Name, Node]] = field(default_factory=list)
    names: frozenset[Name] | None = None


@dataclass(order=True, slots=True)
class _Due:
    """Something that happens at a server: a node arrives, or (None) a tombstone is removed."""

    when: datetime
    order: int
    server: str = field(compare=False)
    name: Name = field(compare=False)
    node: Node | None = field(compare=False)


class Zone:
    """One zone on one or more servers; the first of `servers` is where it was made."""

    def __init__(
        self,
        origin: str,
        servers: Sequence[str],
        now: Callable[[], datetime],
        *,
        delay: timedelta = timedelta(),
        primary: str | None = None,
        ageing: Ageing | None = None,
    ) -> None:
        self.origin = dns.name.from_text(origin.lower())
        self.delay = delay
        self.primary = primary
        self.ageing = ageing or Ageing()
        self.contact = dns.name.from_text("hostmaster", self.origin)
        self.soa_ttl = _TTL
        serial, *self.soa_times = _NEW_SOA
        self._now = now
        self._replicas = {server: Replica(server, serial) for server in servers}
        self._due: list[_Due] = []
        self._order = count()

    @classmethod
    def from_text(
        cls,
        origin: str,
        text: str,
        servers: Sequence[str],
        now: Callable[[], datetime],
        *,
        delay: timedelta = timedelta(),
        primary: str | None = None,
        ageing: Ageing | None = None,
    ) -> Zone:
        """A zone with the static records of a zone file, the same at every server.

        Raises:
            dns.exception.DNSException: the text is no zone file, or a name lies outside.
        """
        zone = cls(origin, servers, now, delay=delay, primary=primary, ageing=ageing)
        found: dict[Name, list[Record]] = {}
        rrsets = dns.zonefile.read_rrsets(
            text, name=None, rdclass=None, origin=zone.origin, relativize=False, default_ttl=_TTL
        )
        for rrset in rrsets:
            for rdata in rrset:
                if isinstance(rdata, SOA):
                    zone._take_soa(rdata, rrset.ttl)
                else:
                    found.setdefault(rrset.name, []).append(Record(rdata, rrset.ttl))
        for replica in zone._replicas.values():
            for name, records in found.items():
                node = Node(tuple(records), 1, now(), servers[0], replica.serial)
                replica.nodes[name] = node
        return zone

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(self._replicas)

    @property
    def on_the_way(self) -> int:
        """How many changed names have not reached every server yet."""
        self.settle()
        waiting = sum(len(replica.held_back) for replica in self._replicas.values())
        return waiting + sum(due.node is not None for due in self._due)

    def replica(self, server: str) -> Replica:
        """The copy of one server as of now."""
        self.settle()
        return self._replicas[server]

    def records(self, server: str, name: Name) -> tuple[Record, ...] | None:
        """All records of a name; empty for a name with none that has names below; else None.

        A name that does not exist is answered by the nearest `*` above it (RFC 4592).
        """
        replica = self.replica(server)
        if name in self._existing(replica):
            records = replica.nodes[name].records if name in replica.nodes else ()
            return (self.soa(server), *records) if name == self.origin else records
        above = name
        while above != self.origin:
            above = above.parent()
            if above in self._existing(replica):
                wild = replica.nodes.get(Name((b"*", *above.labels)))
                return wild.records if wild and wild.records else None
        return None

    def of_type(self, server: str, name: Name, rdtype: RdataType) -> tuple[Record, ...]:
        """The set of one name and type; empty where there is none."""
        found = self.records(server, name) or ()
        return tuple(record for record in found if record.rdata.rdtype == rdtype)

    def all_records(self, server: str) -> Iterator[tuple[Name, Record]]:
        """Every record that one server holds, but the SOA, in the order of names."""
        nodes = self.replica(server).nodes
        for name in sorted(nodes):
            for record in nodes[name].records:
                yield name, record

    def soa(self, server: str) -> Record:
        """The SOA as this server gives it."""
        primary = dns.name.from_text((self.primary or server).lower())
        serial = self.replica(server).serial
        kind = (dns.rdataclass.IN, dns.rdatatype.SOA)
        rdata = SOA(*kind, primary, self.contact, serial, *self.soa_times)  # type: ignore[no-untyped-call]
        return Record(rdata, self.soa_ttl)

    def cut(self, server: str, name: Name) -> Name | None:
        """The delegated zone in which a name lies; None where this zone answers for it."""
        nodes = self.replica(server).nodes
        depth = len(self.origin) + 1
        while depth <= len(name):
            above = Name(name.labels[-depth:])
            node = nodes.get(above)
            if node and any(r.rdata.rdtype == dns.rdatatype.NS for r in node.records):
                return above
            depth += 1
        return None

    def edit(self, server: str, *, dynamic: bool) -> Draft:
        """Begin a change at one server; nothing is changed before `commit`."""
        return Draft(self, self.replica(server), dynamic, self._now())

    def add(self, server: str, name: str, kind: str, ttl: int, value: str) -> None:
        """Add a static record, as an admin does at the server's console."""
        draft = self.edit(server, dynamic=False)
        draft.put(self.name(name), self.rdata(kind, value), ttl)
        draft.commit()

    def remove(self, server: str, name: str, kind: str, value: str | None = None) -> bool:
        """Remove one record, or the whole set; False where there was nothing to remove."""
        draft = self.edit(server, dynamic=False)
        rdata = self.rdata(kind, value) if value is not None else None
        draft.take(self.name(name), RdataType.make(kind), rdata)
        return draft.commit()

    def set_at(self, server: str, name: Name, rdtype: RdataType, records: Iterable[Record]) -> None:
        """Put a set in place of another at one server only, as if it had always been that."""
        replica = self.replica(server)
        held = replica.nodes.get(name)
        others = tuple(r for r in (held.records if held else ()) if r.rdata.rdtype != rdtype)
        node = held or Node((), 1, self._now(), server, replica.serial)
        replica.nodes[name] = replace(node, records=(*others, *records))
        replica.names = None
        replica.serial = _next(replica.serial)

    def name(self, text: str) -> Name:
        """A name of this zone: "mail", "@", or the whole name with a dot at the end."""
        return dns.name.from_text(text.lower(), self.origin)

    def rdata(self, kind: str, value: str) -> Rdata:
        return dns.rdata.from_text("IN", kind, value, origin=self.origin, relativize=False)

    def scavenge(self, server: str) -> tuple[tuple[str, str], ...]:
        """Remove what is stale at one server, now; returns (name, record) of what was removed."""
        return self._scavenge(self.replica(server), self._now())

    def push(self) -> None:
        """Send everything that is on its way at once, as `repadmin /syncall /P` does."""
        self.settle()
        early = [due for due in self._due if due.node is not None]
        self._due = [due for due in self._due if due.node is None]
        heapq.heapify(self._due)
        for due in sorted(early):
            self._happen(due)

    def settle(self) -> None:
        """Let happen, in order of time, whatever was due until now."""
        now = self._now()
        for replica in self._replicas.values():
            if replica.receives and replica.held_back:
                arrived, replica.held_back = replica.held_back, []
                for name, node in arrived:
                    self._arrive(replica, name, node)
        while True:
            replica = min(self._replicas.values(), key=lambda r: self._next_scavenging(r, now))
            scavenging = self._next_scavenging(replica, now)
            due = self._due[0].when if self._due else None
            if due is not None and due <= now and due <= scavenging:
                self._happen(heapq.heappop(self._due))
            elif scavenging <= now:
                replica.scavenged_at = scavenging
                self._scavenge(replica, scavenging)
            else:
                return

    def _next_scavenging(self, replica: Replica, now: datetime) -> datetime:
        if replica.scavenges_every is None:
            replica.scavenged_at = None
            return now + HOUR
        if replica.scavenged_at is None:
            replica.scavenged_at = now
        return replica.scavenged_at + replica.scavenges_every

    def _happen(self, due: _Due) -> None:
        replica = self._replicas[due.server]
        if due.node is None:
            node = replica.nodes.get(due.name)
            if node and not node.records and node.changed_at + TOMBSTONE_KEPT <= due.when:
                del replica.nodes[due.name]
        elif replica.receives:
            self._arrive(replica, due.name, due.node)
        else:
            replica.held_back.append((due.name, due.node))

    def _arrive(self, replica: Replica, name: Name, node: Node) -> None:
        held = replica.nodes.get(name)
        if held and held.rank >= node.rank:
            return
        before = held.records if held else ()
        if node.records != before:
            replica.serial = _later(_next(replica.serial), node.serial)
        self._store(replica, name, node)

    def _store(self, replica: Replica, name: Name, node: Node) -> None:
        replica.nodes[name] = node
        replica.names = None
        if not node.records:
            when = node.changed_at + TOMBSTONE_KEPT
            self._due_at(when, replica.server, name, None)

    def _due_at(self, when: datetime, server: str, name: Name, node: Node | None) -> None:
        heapq.heappush(self._due, _Due(when, next(self._order), server, name, node))

    def _write(
        self, replica: Replica, changed: dict[Name, tuple[Record, ...]], at: datetime
    ) -> None:
        """A change made at one server: one serial, and each name goes to the other servers."""
        replica.serial = _next(replica.serial)
        for name, records in changed.items():
            held = replica.nodes.get(name)
            version = held.version + 1 if held else 1
            node = Node(records, version, at, replica.server, replica.serial)
            self._store(replica, name, node)
            for other in self._replicas:
                if other != replica.server:
                    self._due_at(at + self.delay, other, name, node)

    def _scavenge(self, replica: Replica, at: datetime) -> tuple[tuple[str, str], ...]:
        ageing = self.ageing
        if not ageing.enabled or (ageing.since and at < ageing.since + ageing.refresh):
            return ()
        oldest = hours(at - ageing.no_refresh - ageing.refresh)
        removed, changed = [], {}
        for name, node in replica.nodes.items():
            kept = tuple(r for r in node.records if r.stamp == STATIC or r.stamp >= oldest)
            if len(kept) != len(node.records):
                changed[name] = kept
                gone = [r for r in node.records if r not in kept]
                removed += [(_text(name), r.rdata.to_text()) for r in gone]
        if changed:
            self._write(replica, changed, at)
        return tuple(removed)

    def _existing(self, replica: Replica) -> frozenset[Name]:
        """All names with records, and the names above them."""
        if replica.names is None:
            names = {self.origin}
            for name, node in replica.nodes.items():
                while node.records and name not in names:
                    names.add(name)
                    name = name.parent()
            replica.names = frozenset(names)
        return replica.names

    def _take_soa(self, soa: SOA, ttl: int) -> None:
        self.contact, self.soa_ttl = soa.rname, ttl
        self.soa_times = [soa.refresh, soa.retry, soa.expire, soa.minimum]
        for replica in self._replicas.values():
            replica.serial = soa.serial


class Draft:
    """A change in the making: all of it happens at `commit`, or nothing."""

    def __init__(self, zone: Zone, replica: Replica, dynamic: bool, now: datetime) -> None:
        self._zone = zone
        self._replica = replica
        self._dynamic = dynamic
        self._now = now
        self._changed: dict[Name, tuple[Record, ...]] = {}

    def records(self, name: Name) -> tuple[Record, ...]:
        """The records of a name with what was changed so far."""
        if name in self._changed:
            return self._changed[name]
        node = self._replica.nodes.get(name)
        return node.records if node else ()

    def put(self, name: Name, rdata: Rdata, ttl: int) -> None:
        """Add a record; the whole set takes its TTL. An equal one is refreshed."""
        same = [r for r in self.records(name) if r.rdata == rdata]
        others = tuple(
            replace(r, ttl=ttl) if r.rdata.rdtype == rdata.rdtype else r for r in self.records(name)
        )
        if same:
            stamp = self._refreshed(same[0], ttl)
            self._changed[name] = tuple(
                replace(r, stamp=stamp) if r.rdata == rdata else r for r in others
            )
            return
        stamp = hours(self._now) if self._dynamic and self._zone.primary is None else STATIC
        self._changed[name] = (*others, Record(rdata, ttl, stamp))

    def take(self, name: Name, rdtype: RdataType | None, rdata: Rdata | None = None) -> None:
        """Remove one record, else the set of a type, else all sets of the name."""

        def goes(record: Record) -> bool:
            if rdata is not None:
                return bool(record.rdata == rdata)
            return rdtype is None or record.rdata.rdtype == rdtype

        self._changed[name] = tuple(r for r in self.records(name) if not goes(r))

    def commit(self) -> bool:
        """Make the change; False where it changes nothing, and then no serial rises."""
        held = self._replica.nodes
        changed = {
            name: records
            for name, records in self._changed.items()
            if records != (held[name].records if name in held else ())
        }
        if changed:
            self._zone._write(self._replica, changed, self._now)
        return bool(changed)

    def _refreshed(self, held: Record, ttl: int) -> int:
        """The timestamp after the record came again."""
        if not self._dynamic:
            return STATIC
        if held.stamp == STATIC:
            return STATIC
        ageing, now = self._zone.ageing, hours(self._now)
        early = held.stamp + ageing.no_refresh // HOUR > now
        if held.ttl == ttl and (early or not ageing.enabled):
            return held.stamp
        return now


@dataclass(slots=True)
class View:
    """A set of zones; which view answers is decided by the server that is asked."""

    name: str
    zones: list[Zone]

    def zone_of(self, name: Name, server: str) -> Zone | None:
        """The zone, among those that the server holds, in which a name lies."""
        held = [z for z in self.zones if server in z.servers and name.is_subdomain(z.origin)]
        return max(held, key=lambda zone: len(zone.origin), default=None)


def rdata_of(records: Iterable[Record]) -> frozenset[Rdata]:
    """The data of some records, to compare sets without TTL and order."""
    return frozenset(record.rdata for record in records)


def _next(serial: int) -> int:
    return serial % (_SERIALS - 1) + 1


def _later(one: int, other: int) -> int:
    """The later of two serials in the arithmetic of RFC 1982."""
    return other if 0 < (other - one) % _SERIALS < _SERIALS // 2 else one


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
