"""Faults of the network between servers, and of single ports (health.md 2.13)."""

from typing import Final

from mailmig.lab.faults.machines import Claiming, Worse
from mailmig.lab.faults.servers import server_named
from mailmig.lab.lines import Lines
from mailmig.lab.world import World

# Far above the 500 ms of round trip that a DAG is supported with: seconds one way.
DELAY_S: Final = 0.4
# What clients and other servers need of an Exchange server, as far as it listens here.
PORTS: Final = (25, 443, 444, 587, 5985)


class PortClosed(Claiming):
    id = "port-closed"
    family = "network"
    shows = ("net_ports", "tr_smtp_listener", "ca_probe_<protocol>")
    description = (
        "the server's firewall lets nobody in at one port; 443 takes 80 along, 5985 takes 5986, 444 "
        "is what front ends of other servers use"
    )
    wants = f"server and one of the ports {', '.join(map(str, PORTS))}, as EX1:25"

    def __init__(self) -> None:
        super().__init__()
        self._closed = ("", 0)

    def on(self, world: World, target: str) -> None:
        server, _, port = target.partition(":")
        name = server_named(self, world, server)
        if port not in map(str, PORTS):
            raise self.bad(target)
        self._closed = (name.lower(), int(port))
        self.claim(world, target, [("port", *self._closed)])
        world.surroundings.lines.closed.add(self._closed)

    def off(self, world: World, target: str) -> None:
        world.surroundings.lines.closed.discard(self._closed)
        self.release(world)


class OneWay(Claiming):
    id = "line-one-way"
    family = "network"
    shows = ("net_ports", "mapi_connect")
    description = (
        "connections that servers of one site begin to those of another get no answer; the other "
        "way round all is well"
    )
    wants = r"two sites, from and to, as Rathaus\Stadthaus"

    def __init__(self) -> None:
        super().__init__()
        self._way = ("", "")

    def on(self, world: World, target: str) -> None:
        known = {one.site.lower(): one.site for one in world.organisation.servers}
        begins, _, ends = target.lower().partition("\\")
        if begins not in known or ends not in known or begins == ends:
            raise self.bad(target)
        self._way = known[begins], known[ends]
        self.claim(world, target, [("line", *self._way)])
        world.surroundings.lines.barred.add(self._way)

    def off(self, world: World, target: str) -> None:
        world.surroundings.lines.barred.discard(self._way)
        self.release(world)


class Slow(Worse):
    id = "line-slow"
    family = "network"
    shows = ("net_rtt_pair", "dag_latency", "mapi_connect")
    description = f"a packet between two sites takes {DELAY_S * 1000:g} ms more, each way"
    wants = ""

    def what(self, world: World, target: str) -> Lines:
        return world.surroundings.lines

    def worse(self, world: World, target: str) -> dict[str, object]:
        return {"delay_s": DELAY_S}
