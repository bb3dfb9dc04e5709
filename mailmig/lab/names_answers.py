"""What an authoritative name server answers: a question goes in, a whole answer comes out.

Sets are written as one RRset per record, because dnspython shuffles the records of a
larger one while writing; so the order is the one that `turn` asks for. No sockets here.
"""

from collections.abc import Callable, Sequence
from typing import Final

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.message import Message
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.IN.SRV import SRV

from mailmig.lab.names_zone import Record, View, Zone

# What we take and send over UDP: fits into one packet on every line (DNS flag day 2020).
UDP_BYTES: Final = 1232
_CHAIN: Final = 12
_ADDRESSES: Final = (dns.rdatatype.A, dns.rdatatype.AAAA)

Turn = Callable[[Name, RdataType], int]
"""How far the set of a name and type is to be turned in this answer."""


def respond(query: Message, rcode: dns.rcode.Rcode = dns.rcode.NOERROR) -> Message:
    """An empty answer to a question, signed if the question was."""
    response = dns.message.make_response(query, our_payload=UDP_BYTES)
    response.set_rcode(rcode)
    return response


def answer(query: Message, view: View, server: str, turn: Turn) -> Message:
    """The answer of one server to one question, from the zones of its view."""
    if len(query.question) != 1:
        return respond(query, dns.rcode.FORMERR)
    question = query.question[0]
    if question.rdtype in (dns.rdatatype.AXFR, dns.rdatatype.IXFR):
        return respond(query, dns.rcode.REFUSED)
    any_type = question.rdtype == dns.rdatatype.ANY
    if dns.rdatatype.is_metatype(question.rdtype) and not any_type:
        return respond(query, dns.rcode.NOTIMP)
    zone = view.zone_of(question.name, server)
    if zone is None or question.rdclass != dns.rdataclass.IN:
        return respond(query, dns.rcode.REFUSED)
    response = respond(query)
    _follow(response, question.name, question.rdtype, view, server, turn)
    _add_addresses(response, view, server)
    return response


def turned(records: Sequence[Record], by: int) -> tuple[Record, ...]:
    """The records in another order: the first `by` go to the end."""
    by = by % len(records) if records else 0
    return (*records[by:], *records[:by])


def rrset(name: Name, record: Record) -> dns.rrset.RRset:
    return dns.rrset.from_rdata(name, record.ttl, record.rdata)


def _follow(
    response: Message, name: Name, rdtype: RdataType, view: View, server: str, turn: Turn
) -> None:
    """Answer for a name, and for the name behind it where it is an alias."""
    for _ in range(_CHAIN):
        zone = view.zone_of(name, server)
        if zone is None:
            return
        cut = zone.cut(server, name)
        if cut is not None:
            response.authority += [rrset(cut, r) for r in _of(zone, server, cut, dns.rdatatype.NS)]
            return
        if not response.answer:
            response.flags |= dns.flags.AA
        found = zone.records(server, name)
        if found is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        wanted = [r for r in found or () if rdtype in (r.rdata.rdtype, dns.rdatatype.ANY)]
        if wanted:
            ordered = turned(wanted, turn(name, rdtype))
            response.answer += [rrset(name, record) for record in ordered]
            return
        aliases = [r for r in found or () if isinstance(r.rdata, CNAME)]
        if not aliases:
            response.authority.append(_denial(zone, server))
            return
        response.answer.append(rrset(name, aliases[0]))
        assert isinstance(aliases[0].rdata, CNAME)
        name = aliases[0].rdata.target


def _denial(zone: Zone, server: str) -> dns.rrset.RRset:
    """The SOA that goes with "no": its TTL says how long that may be kept (RFC 2308)."""
    soa = zone.soa(server)
    return dns.rrset.from_rdata(zone.origin, min(soa.ttl, zone.soa_times[-1]), soa.rdata)


def _add_addresses(response: Message, view: View, server: str) -> None:
    """The addresses of the hosts that were named, as far as we know them."""
    for given in (*response.answer, *response.authority):
        rdata = given[0]
        target = (
            rdata.target if isinstance(rdata, SRV | NS)
            else rdata.exchange if isinstance(rdata, MX) else None
        )  # fmt: skip
        zone = view.zone_of(target, server) if target is not None else None
        if zone is None or target is None:
            continue
        for rdtype in _ADDRESSES:
            for record in _of(zone, server, target, rdtype):
                extra = rrset(target, record)
                if extra not in response.additional:
                    response.additional.append(extra)


def _of(zone: Zone, server: str, name: Name, rdtype: RdataType) -> tuple[Record, ...]:
    return zone.of_type(server, name, rdtype)
