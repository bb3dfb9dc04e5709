"""The rows that the scripts of mailmig print about a Windows DNS server, made of its zones."""

from typing import Final

import dns.exception
import dns.name
import dns.rdatatype
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from mailmig.lab.names import NameServer, Zone
from mailmig.lab.names_zone import Record, moment
from mailmig.lab.running.windows_rows import Failed, row
from mailmig.wire.clixml import Int64, Obj

Arguments = dict[str, str | list[str]]
_SECURE: Final = "Secure"


def records(server: NameServer, asked: Arguments) -> list[Obj]:
    """The records of one name and type; none where there is no such zone, name or type."""
    try:
        zone = _zone(server, str(asked["zone"]))
        name = dns.name.from_text(str(asked["name"]).lower(), zone.origin)
        rdtype = dns.rdatatype.RdataType.make(str(asked["type"]))
    except (Failed, dns.exception.DNSException, ValueError):
        return []
    node = zone.replica(server.name).nodes.get(name)
    relative = name.relativize(zone.origin).to_text()
    return [
        row(
            Name=relative, Type=dns.rdatatype.to_text(rdtype), Value=_value(one),
            TimeToLive=Int64(one.ttl), Stamped=moment(one.stamp),
        )
        for one in (node.records if node else ())
        if one.rdata.rdtype == rdtype
    ]  # fmt: skip


def zone(server: NameServer, asked: Arguments) -> list[Obj]:
    """How the server treats old records of a zone. Raises `Failed`: there is no such zone."""
    found = _zone(server, str(asked["zone"]))
    ageing = found.ageing
    every = found.replica(server.name).scavenges_every
    return [
        row(
            Name=found.origin.to_text(omit_final_dot=True), InDirectory=found.primary is None,
            Update=_SECURE, Ageing=ageing.enabled,
            NoRefresh=Int64(ageing.no_refresh.total_seconds()),
            Refresh=Int64(ageing.refresh.total_seconds()),
            Scavenging=None if every is None else Int64(every.total_seconds()),
        )
    ]  # fmt: skip


def _zone(server: NameServer, name: str) -> Zone:
    """Raises `Failed` as Get-DnsServerZone does [MEM]."""
    try:
        origin = dns.name.from_text(name.lower())
        found = server.view.zone_of(origin, server.name)
    except dns.exception.DNSException:
        found = None
    if found is None or found.origin != origin:
        raise Failed(
            f"The zone {name} was not found on server {server.name.partition('.')[0].upper()}.",
            "ObjectNotFound", "WIN32 9601,Get-DnsServerZone", "CimException",
        )  # fmt: skip
    return found


def _value(record: Record) -> str:
    rdata = record.rdata
    if isinstance(rdata, A | AAAA):
        return str(rdata.address)
    return rdata.target.to_text() if isinstance(rdata, CNAME) else ""
