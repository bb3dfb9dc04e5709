r"""Faults of names in DNS (health.md 2.8), as the inside servers give them.

A target NAME\SERVER is a client's name and the address of an Exchange server in its set.
"""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from datetime import timedelta

from dns.exception import DNSException
from dns.name import Name
from dns.rdatatype import RdataType
from dns.rdtypes.IN.A import A

from mailmig.lab.faults.machines import Claiming, Worse, machine_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.machines import Role
from mailmig.lab.names import NameServer, Resolver, Zone
from mailmig.lab.names_zone import STATIC, Ageing, Record, hours
from mailmig.lab.organisation import autodiscover_at
from mailmig.lab.world import World

A_RECORD = RdataType.A
# Nobody has this address: a block for documentation (RFC 5737).
NOBODY = "198.51.100.7"
A_DAY_S = 86_400
# A record that was refreshed so long ago is removed by the next scavenging but one.
STALE = timedelta(days=13)
SCAVENGES_EVERY = timedelta(days=1)
_A_NAME = "a client's name, as mail.lindenstadt.example"
_NAME_AND_SERVER = r"NAME\SERVER, as mail.lindenstadt.example\LS-EX1"

_A_SERVER = "a name server inside, as ls-dc2"

Records = tuple[Record, ...]
Changes = Mapping[str, object]


class NamesFault(Claiming):
    """Something is wrong with names, as they are given inside unless it is `outside`."""

    family = "namespace"
    outside = False

    def zone(self, world: World, name: str) -> Zone:
        """The zone that holds a name. Raises `BadTarget`."""
        try:
            found = world.surroundings.names.zone_of(name, outside=self.outside)
        except DNSException:  # it cannot be a name
            raise self.bad(name) from None
        if found is None:
            raise self.bad(name)
        return found


class SetFault(NamesFault):
    """The set of addresses of a name is another one, at every inside server.

    `of_server` is whether the target is NAME\\SERVER.
    """

    wants = _A_NAME
    of_server = False

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[str, Records] = {}

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        """The set as the fault makes it. Raises `BadTarget`."""
        raise NotImplementedError

    def things(self, zone: Zone, name: Name) -> list[Hashable]:
        """What nobody else may change meanwhile."""
        return [("name", self.outside, name)]

    def on(self, world: World, target: str) -> None:
        name, backslash, server = target.partition("\\")
        if bool(backslash) is not self.of_server or bool(server) is not self.of_server:
            raise self.bad(target)
        zone = self.zone(world, name)
        whole = _whole(zone, name)
        before = {one: zone.of_type(one, whole, A_RECORD) for one in zone.servers}
        if not all(before.values()):
            raise self.bad(target)
        worse = {one: self.worse(world, name, server, r) for one, r in before.items()}
        self.claim(world, target, self.things(zone, whole))
        for one, records in worse.items():
            zone.set_at(one, whole, A_RECORD, records)
        self._before = before

    def off(self, world: World, target: str) -> None:
        name = target.partition("\\")[0]
        zone = self.zone(world, name)
        for one, records in self._before.items():
            zone.set_at(one, _whole(zone, name), A_RECORD, records)
        self.release(world)


class NodeMissing(SetFault):
    id = "dns-node-missing"
    shows = ("dns_rr_set", "dag_maintenance_leftover")
    description = "the address of one node is missing from the set"
    wants = _NAME_AND_SERVER
    of_server = True

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        address = _address(self, world, server, rf"{name}\{server}")
        kept = tuple(one for one in records if _address_of(one) != address)
        if kept == records:
            raise self.bad(rf"{name}\{server}")
        return kept


class OneAddress(SetFault):
    id = "dns-one-address"
    shows = ("dns_min_one", "dns_rr_set")
    description = "only this node's address is left in the set: taking it away leaves nothing"
    wants = _NAME_AND_SERVER
    of_server = True

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        address = _address(self, world, server, rf"{name}\{server}")
        kept = tuple(one for one in records if _address_of(one) == address)
        if not kept:
            raise self.bad(rf"{name}\{server}")
        return kept


class OutsideMissing(SetFault):
    id = "dns-outside-missing"
    shows = ("dns_rr_set",)
    description = "outside, the set lacks the address of the last node"
    outside = True

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        return records[:-1]


class DeadAddress(SetFault):
    id = "dns-dead-address"
    shows = ("dns_rr_set", "dns_each_address")
    description = "the set holds an address at which nobody answers"

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        return (*records, _elsewhere(records[0]))


class OutsideDead(DeadAddress):
    id = "dns-outside-dead-address"
    description = "outside, the set holds an address at which nobody answers"
    outside = True


class LongTtl(SetFault):
    id = "dns-ttl-long"
    shows = ("dns_ttl",)
    description = "resolvers may keep the set for a day"

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        return tuple(replace(one, ttl=A_DAY_S) for one in records)


class NameMissing(SetFault):
    id = "dns-name-missing"
    shows = ("dns_autodiscover", "dns_rr_set")
    description = "the name has no address any more"

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        return ()


class WrongNodeName(SetFault):
    id = "dns-node-name-wrong"
    shows = ("dns_node_names", "ad_node_site")
    description = "the server's own name leads to another address"
    wants = "the full name of an Exchange server"

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        machine = machine_named(self, world, name)
        if machine.place.role is not Role.EXCHANGE:
            raise self.bad(name)
        return tuple(_elsewhere(one) for one in records)


class AgeingRecord(SetFault):
    id = "dns-record-ages"
    shows = ("dns_record_aging",)
    description = (
        "the records carry a timestamp in a zone whose old records are removed: tomorrow they are"
    )

    def __init__(self) -> None:
        super().__init__()
        self._ageing = Ageing()
        self._every: dict[str, timedelta | None] = {}

    def things(self, zone: Zone, name: Name) -> list[Hashable]:
        return [*super().things(zone, name), ("ageing", zone.origin)]

    def on(self, world: World, target: str) -> None:
        super().on(world, target)
        zone = self.zone(world, target)
        self._ageing = zone.ageing
        zone.ageing = Ageing(enabled=True)
        first, *_ = zone.servers
        self._every = {first: zone.replica(first).scavenges_every}
        zone.replica(first).scavenges_every = SCAVENGES_EVERY

    def off(self, world: World, target: str) -> None:
        zone = self.zone(world, target)
        zone.ageing = self._ageing
        for server, every in self._every.items():
            zone.replica(server).scavenges_every = every
        super().off(world, target)

    def worse(self, world: World, name: str, server: str, records: Records) -> Records:
        if any(one.stamp != STATIC for one in records):
            raise self.bad(name)
        return tuple(replace(one, stamp=hours(world.now - STALE)) for one in records)


class StaleZone(NamesFault):
    id = "dns-zone-stale"
    shows = ("dns_rr_set", "dns_ttl")
    description = "the name server gets no changes any more and still gives addresses of long ago"
    wants = _A_SERVER

    def __init__(self) -> None:
        super().__init__()
        self._before: list[tuple[Zone, Name, Records]] = []

    def on(self, world: World, target: str) -> None:
        server = server_named(self, world, target).name
        domain, *clients = world.surroundings.names.zones
        for zone in clients:
            names = [
                (name, zone.of_type(server, name, A_RECORD)) for name in zone.replica(server).nodes
            ]
            self._before += [(zone, name, found) for name, found in names if found]
        things = [("name", False, name) for _, name, _ in self._before]
        self.claim(world, target, [*things, ("replica", server)])
        serials = {zone: zone.replica(server).serial for zone in clients}
        for zone, name, found in self._before:
            zone.set_at(server, name, A_RECORD, [_elsewhere(found[0])])
        for zone in (domain, *clients):
            zone.replica(server).receives = False
        for zone, serial in serials.items():
            zone.replica(server).serial = max(1, serial - 1)

    def off(self, world: World, target: str) -> None:
        server = server_named(self, world, target).name
        for zone, name, found in self._before:
            if zone.of_type(server, name, A_RECORD) == (_elsewhere(found[0]),):
                zone.set_at(server, name, A_RECORD, found)
        for zone in world.surroundings.names.zones:
            zone.replica(server).receives = True
        self.release(world)


class NameServerFault(Worse):
    """One of the name servers inside."""

    family = "namespace"
    wants = _A_SERVER

    def what(self, world: World, target: str) -> NameServer:
        return server_named(self, world, target)


class SilentNameServer(NameServerFault):
    id = "dns-server-silent"
    shows = ("dns_rr_set",)
    description = "the name server gives no answer to anything"

    def worse(self, world: World, target: str) -> Changes:
        return {"drops": True}


class UpdateRefused(NameServerFault):
    id = "dns-update-refused"
    shows = ("dns_update_rights",)
    description = "the key may change no name at this server any more"

    def worse(self, world: World, target: str) -> Changes:
        grants = self.what(world, target).grants
        return {"grants": [replace(grant, names=frozenset()) for grant in grants]}


class StubbornResolver(Worse):
    id = "dns-resolver-keeps"
    family = "namespace"
    shows = ("dns_cache_view",)
    description = "the site's resolver gives out what it once heard, whatever the TTL says"
    wants = "the site of a resolver, as Rathaus"

    def what(self, world: World, target: str) -> Resolver:
        for resolver in world.surroundings.names.resolvers:
            if target.lower() in (resolver.name.lower(), resolver.host):
                return resolver
        raise self.bad(target)

    def worse(self, world: World, target: str) -> Changes:
        return {"ignores_ttl": True}


class ServerInDiscovery(NamesFault):
    id = "dns-scp-names-server"
    shows = ("dns_autodiscover",)
    description = "the autodiscover entry in the directory names the server, not the namespace"
    wants = "an Exchange server whose entry names something else"

    def __init__(self) -> None:
        super().__init__()
        self._before: str | None = None

    def on(self, world: World, target: str) -> None:
        machine = machine_named(self, world, target)
        organisation, forest = world.organisation, world.surroundings.forest
        server = next((s for s in organisation.servers if s.fqdn == machine.place.name), None)
        if server is None or f"//{server.fqdn}/" in organisation.autodiscover_url(server):
            raise self.bad(target)
        self.claim(world, target, [("autodiscover", server.name)])
        urls = organisation.autodiscover_urls
        self._before = urls.get(server.name)
        urls[server.name] = autodiscover_at(server.fqdn)
        forest.look_at_few()

    def off(self, world: World, target: str) -> None:
        name = machine_named(self, world, target).place.name
        server = next(s for s in world.organisation.servers if s.fqdn == name)
        urls = world.organisation.autodiscover_urls
        if urls.get(server.name) == autodiscover_at(server.fqdn):  # nobody else mended it
            del urls[server.name]
            if self._before is not None:
                urls[server.name] = self._before
        world.surroundings.forest.look_at_few()
        self.release(world)


def server_named(fault: Fault, world: World, target: str) -> NameServer:
    """The name server inside with this full or short name. Raises `BadTarget`."""
    for server in world.surroundings.names.inside:
        if target.lower() in (server.name, server.name.partition(".")[0]):
            return server
    raise fault.bad(target)


def _whole(zone: Zone, name: str) -> Name:
    return zone.name(f"{name}.")


def _address(fault: Fault, world: World, server: str, target: str) -> str:
    machine = world.surroundings.machines.of(server)
    if machine is None or machine.place.role is not Role.EXCHANGE:
        raise fault.bad(target)
    return machine.place.address


def _address_of(record: Record) -> str:
    assert isinstance(record.rdata, A)
    return str(record.rdata.address)


def _elsewhere(record: Record) -> Record:
    """The same record with an address that nobody has."""
    rdata = A(record.rdata.rdclass, A_RECORD, NOBODY)  # type: ignore[no-untyped-call]
    return replace(record, rdata=rdata)
