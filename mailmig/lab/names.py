"""The lab's name servers: authoritative ones, and the caching resolver of a site.

    zone = Zone.from_text("town.example", text, ["dc1", "dc2"], now, delay=timedelta(minutes=15))
    view = View("internal", [zone])
    async with NameServer("dc1", view, host="127.0.1.10") as dc1, Resolver("A", [dc1], now) as dns:
        ...  # dc1.where and dns.where are (address, port)

Which view answers is decided by the server that is asked, never by who asks. TTLs run by
the world's time; only switches such as `delay_s` and time limits between resolver and
servers are real seconds. How a server can misbehave: see `names_serving.Serving`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.tsig
from dns.message import Message
from dns.name import Name
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.SOA import SOA

from mailmig.lab.names_answers import UDP_BYTES, answer, respond, rrset, turned
from mailmig.lab.names_serving import Serving
from mailmig.lab.names_update import Grant, update
from mailmig.lab.names_zone import Ageing, Record, View, Zone

__all__ = ["Ageing", "Grant", "NameServer", "Resolver", "View", "Zone"]

# What RFC 8767 advises for records that are given out beyond their TTL.
_STALE_TTL_S: Final = 30


class NameServer(Serving):
    """An authoritative server: answers from the zones of its view, takes signed updates.

    `name` is the name under which the zones know it. `grants` may be changed while it
    runs. `rotates` False gives every set in the order in which it was written.
    """

    def __init__(
        self,
        name: str,
        view: View,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        grants: Sequence[Grant] = (),
    ) -> None:
        super().__init__(name, host, port)
        self.view = view
        self.grants = list(grants)
        self.rotates = True
        self._turns: Counter[tuple[Name, RdataType]] = Counter()

    async def answer(self, query: Message) -> Message:
        if query.opcode() == dns.opcode.QUERY:
            return answer(query, self.view, self.name, self._turn)
        if query.opcode() == dns.opcode.UPDATE:
            return update(query, self.view, self.name, self._granted())
        return respond(query, Rcode.NOTIMP)

    def keyring(self) -> dict[Name, dns.tsig.Key]:
        return {
            name: dns.tsig.Key(name, grant.key.secret.reveal(), grant.key.algorithm)
            for name, grant in self._granted().items()
        }

    def _granted(self) -> dict[Name, Grant]:
        return {dns.name.from_text(grant.key.name.lower()): grant for grant in self.grants}

    def _turn(self, name: Name, rdtype: RdataType) -> int:
        if not self.rotates:
            return 0
        self._turns[name, rdtype] += 1
        return self._turns[name, rdtype] - 1


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the servers said, and when: aliases and the set, or that there is none."""

    rcode: Rcode
    records: tuple[tuple[Name, Record], ...]
    soa: tuple[Name, Record] | None
    at: datetime
    ttl: int


class Resolver(Serving):
    """The caching server of a site: asks `servers` one after the other, keeps what they say.

    `ignores_ttl` gives out what it has for ever, as some resolvers do; `longest_ttl_s` cuts
    each TTL to that. `patience_s` are real seconds for one server.
    """

    def __init__(
        self,
        name: str,
        servers: Sequence[Serving],
        now: Callable[[], datetime],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, host, port)
        self.servers = list(servers)
        self.ignores_ttl = False
        self.longest_ttl_s: int | None = None
        self.rotates = True
        self.patience_s = 1.0
        self._now = now
        self._kept: dict[tuple[Name, RdataType], _Kept] = {}
        self._turns: Counter[tuple[Name, RdataType]] = Counter()

    def flush(self) -> None:
        """Forget everything, as Clear-DnsServerCache does."""
        self._kept.clear()

    async def answer(self, query: Message) -> Message:
        if query.opcode() != dns.opcode.QUERY:
            return self._respond_with(query, Rcode.NOTIMP)
        if len(query.question) != 1:
            return self._respond_with(query, Rcode.FORMERR)
        question = query.question[0]
        name, rdtype = question.name, question.rdtype
        if question.rdclass != dns.rdataclass.IN or dns.rdatatype.is_metatype(rdtype):
            return self._respond_with(query, Rcode.REFUSED)
        kept = self._from_cache(name, rdtype)
        if kept is None and query.flags & dns.flags.RD:
            kept = await self._ask_servers(name, rdtype)
        if kept is None:
            known = bool(query.flags & dns.flags.RD)
            return self._respond_with(query, Rcode.SERVFAIL if known else Rcode.REFUSED)
        return self._give(query, kept)

    def _respond_with(self, query: Message, rcode: Rcode) -> Message:
        response = respond(query, rcode)
        response.flags |= dns.flags.RA
        return response

    def _give(self, query: Message, kept: _Kept) -> Message:
        """What was kept, with the TTLs that are left."""
        response = self._respond_with(query, kept.rcode)
        name, rdtype = query.question[0].name, query.question[0].rdtype
        aliases = [pair for pair in kept.records if pair[1].rdata.rdtype != rdtype]
        wanted = [pair for pair in kept.records if pair[1].rdata.rdtype == rdtype]
        by = self._turns[name, rdtype] if self.rotates else 0
        self._turns[name, rdtype] += 1
        ordered = turned([record for _, record in wanted], by)
        owner = wanted[0][0] if wanted else name
        given = [*aliases, *((owner, record) for record in ordered)]
        response.answer = [rrset(n, self._left(record, kept)) for n, record in given]
        if kept.soa is not None:
            response.authority = [rrset(kept.soa[0], self._left(kept.soa[1], kept))]
        return response

    def _left(self, record: Record, kept: _Kept) -> Record:
        age = (self._now() - kept.at) // timedelta(seconds=1)
        left = record.ttl - age
        return replace(record, ttl=left if left > 0 or age == 0 else _STALE_TTL_S)

    def _from_cache(self, name: Name, rdtype: RdataType) -> _Kept | None:
        kept = self._kept.get((name, rdtype))
        if kept is None or self.ignores_ttl:
            return kept
        if self._now() < kept.at + timedelta(seconds=kept.ttl):
            return kept
        del self._kept[name, rdtype]
        return None

    async def _ask_servers(self, name: Name, rdtype: RdataType) -> _Kept | None:
        """Ask until one answers; None where none does."""
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=UDP_BYTES)
        for server in self.servers:
            host, port = server.where
            try:
                response, _ = await dns.asyncquery.udp_with_fallback(
                    query, host, self.patience_s, port
                )
            except (dns.exception.DNSException, OSError, EOFError):
                continue
            if response.rcode() in (Rcode.NOERROR, Rcode.NXDOMAIN):
                return self._keep(name, rdtype, response)
        return None

    def _keep(self, name: Name, rdtype: RdataType, response: Message) -> _Kept:
        records = [
            (given.name, Record(rdata, self._capped(given.ttl)))
            for given in response.answer
            for rdata in given
        ]
        soas = [
            (given.name, Record(given[0], self._capped(given.ttl)))
            for given in response.authority
            if isinstance(given[0], SOA)
        ]
        soa = soas[0] if soas else None
        ttls = [record.ttl for _, record in records]
        if soa is not None:
            assert isinstance(soa[1].rdata, SOA)
            ttls.append(min(soa[1].ttl, soa[1].rdata.minimum))
        kept = _Kept(response.rcode(), tuple(records), soa, self._now(), min(ttls, default=0))
        if ttls:
            self._kept[name, rdtype] = kept
        return kept

    def _capped(self, ttl: int) -> int:
        return ttl if self.longest_ttl_s is None else min(ttl, self.longest_ttl_s)
