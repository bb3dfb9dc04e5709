"""Dynamic updates as RFC 2136 says: zone, prerequisites, rights, then all changes or none.

Only signed updates are taken. A key may change only the names it was given; a change that
would have no effect is checked for rights all the same. SOA and the last NS of the zone
stay whatever is asked.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import dns.rcode
import dns.rdataclass
import dns.rdatatype
from dns.message import Message
from dns.name import Name
from dns.rcode import Rcode
from dns.rdata import Rdata
from dns.rdatatype import RdataType
from dns.rrset import RRset
from dns.update import UpdateMessage

from mailmig.lab.names_answers import respond
from mailmig.lab.names_zone import Draft, View, Zone, rdata_of
from mailmig.model.names import UpdateKey


@dataclass(frozen=True, slots=True)
class Grant:
    """A key and the names it may change, as "mail.town.example"; None is every name."""

    key: UpdateKey
    names: frozenset[str] | None = frozenset()

    def covers(self, name: Name) -> bool:
        text = name.to_text(omit_final_dot=True).lower()
        return self.names is None or text in self.names


class _Refused(Exception):
    """The update ends here, with an rcode and without any change."""

    def __init__(self, rcode: Rcode) -> None:
        super().__init__(dns.rcode.to_text(rcode))
        self.rcode = rcode


def update(query: Message, view: View, server: str, grants: Mapping[Name, Grant]) -> Message:
    """Carry out one update at one server, or say why not."""
    assert isinstance(query, UpdateMessage)
    try:
        _carry_out(query, view, server, grants)
    except _Refused as refused:
        return respond(query, refused.rcode)
    return respond(query)


def _carry_out(query: UpdateMessage, view: View, server: str, grants: Mapping[Name, Grant]) -> None:
    zone = _zone(query, view, server)
    if not query.had_tsig or query.keyname is None:
        raise _Refused(dns.rcode.REFUSED)
    if zone.primary not in (None, server):
        raise _Refused(dns.rcode.REFUSED)
    _check_prerequisites(query, zone, server)
    grant = grants[query.keyname]
    for rrset in query.update:
        if not rrset.name.is_subdomain(zone.origin):
            raise _Refused(dns.rcode.NOTZONE)
        if not grant.covers(rrset.name):
            raise _Refused(dns.rcode.REFUSED)
        _check_shape(rrset)
    draft = zone.edit(server, dynamic=True)
    for rrset in query.update:
        _apply(rrset, draft, zone)
    draft.commit()


def _zone(query: UpdateMessage, view: View, server: str) -> Zone:
    if len(query.zone) != 1:
        raise _Refused(dns.rcode.FORMERR)
    asked = query.zone[0]
    zone = view.zone_of(asked.name, server)
    if zone is None or zone.origin != asked.name or asked.rdclass != dns.rdataclass.IN:
        raise _Refused(dns.rcode.NOTAUTH)
    return zone


def _check_prerequisites(query: UpdateMessage, zone: Zone, server: str) -> None:
    """RFC 2136, 3.2. Sets named by their values are compared whole, at the end."""
    whole: dict[tuple[Name, RdataType], set[Rdata]] = defaultdict(set)
    for rrset in query.prerequisite:
        name, rdtype = rrset.name, rrset.rdtype
        if not name.is_subdomain(zone.origin):
            raise _Refused(dns.rcode.NOTZONE)
        records = zone.edit(server, dynamic=True).records(name)
        if name == zone.origin:
            records = (zone.soa(server), *records)
        has = [r for r in records if rdtype in (r.rdata.rdtype, dns.rdatatype.ANY)]
        of_any_type = rdtype == dns.rdatatype.ANY
        if rrset.deleting == dns.rdataclass.ANY and not has:
            raise _Refused(dns.rcode.NXDOMAIN if of_any_type else dns.rcode.NXRRSET)
        if rrset.deleting == dns.rdataclass.NONE and has:
            raise _Refused(dns.rcode.YXDOMAIN if of_any_type else dns.rcode.YXRRSET)
        if rrset.deleting is None:
            if rrset.ttl != 0 or not len(rrset):
                raise _Refused(dns.rcode.FORMERR)
            whole[name, rdtype].update(rrset)
    for (name, rdtype), wanted in whole.items():
        records = zone.edit(server, dynamic=True).records(name)
        if rdata_of(r for r in records if r.rdata.rdtype == rdtype) != wanted:
            raise _Refused(dns.rcode.NXRRSET)


def _check_shape(rrset: RRset) -> None:
    """RFC 2136, 3.4.1: questions about everything can be deleted, never added."""
    meta = dns.rdatatype.is_metatype(rrset.rdtype)
    deletes_all = rrset.deleting == dns.rdataclass.ANY and rrset.rdtype == dns.rdatatype.ANY
    if meta and not deletes_all:
        raise _Refused(dns.rcode.FORMERR)
    if rrset.deleting != dns.rdataclass.ANY and not len(rrset):
        raise _Refused(dns.rcode.FORMERR)


def _apply(rrset: RRset, draft: Draft, zone: Zone) -> None:
    name, rdtype = rrset.name, rrset.rdtype
    if rdtype == dns.rdatatype.SOA:
        return
    if rrset.deleting == dns.rdataclass.ANY:
        if name == zone.origin:
            _clear_apex(draft, name, rdtype)
        else:
            draft.take(name, None if rdtype == dns.rdatatype.ANY else rdtype)
    elif rrset.deleting == dns.rdataclass.NONE:
        for rdata in rrset:
            if not _is_last_name_server(draft, zone, name, rdata):
                draft.take(name, rdtype, rdata)
    elif _fits_alias_rule(draft, name, rdtype):
        for rdata in rrset:
            if rdtype == dns.rdatatype.CNAME:
                draft.take(name, rdtype)
            draft.put(name, rdata, rrset.ttl)


def _clear_apex(draft: Draft, name: Name, rdtype: RdataType) -> None:
    """At the top of the zone its name servers stay."""
    kinds = {record.rdata.rdtype for record in draft.records(name)} - {dns.rdatatype.NS}
    for kind in kinds if rdtype == dns.rdatatype.ANY else kinds & {rdtype}:
        draft.take(name, kind)


def _is_last_name_server(draft: Draft, zone: Zone, name: Name, rdata: Rdata) -> bool:
    if name != zone.origin or rdata.rdtype != dns.rdatatype.NS:
        return False
    servers = [r.rdata for r in draft.records(name) if r.rdata.rdtype == dns.rdatatype.NS]
    return servers == [rdata]


def _fits_alias_rule(draft: Draft, name: Name, rdtype: RdataType) -> bool:
    """An alias stands alone: whatever would break that is left out, silently (3.4.2.2)."""
    kinds = {record.rdata.rdtype for record in draft.records(name)}
    alias = dns.rdatatype.CNAME
    return not kinds or (rdtype == alias) == (alias in kinds)
