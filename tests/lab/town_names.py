"""The names of a small town: two internal servers, an outside one, and a resolver per site."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mailmig.lab.names import Ageing, Grant, NameServer, Resolver, View, Zone
from mailmig.model.names import UpdateKey
from mailmig.model.secret import Secret

DELAY = timedelta(minutes=15)
MAIL_KEY = UpdateKey("mail-key", Secret("bGFiLW9ubHktbWFpbC1rZXktbm8tc2VjcmV0ISEhISE="))
ADMIN_KEY = UpdateKey(
    "admin-key", Secret("bGFiLW9ubHktYWRtaW4ta2V5LW5vLXNlY3JldCEhISE="), "hmac-sha512"
)
MAIL_NAMES = frozenset({"mail.town.example", "smtp.town.example"})

INTERNAL = """
@ 3600 SOA dc1 hostmaster 7 900 600 86400 600
@ NS dc1
@ NS dc2
@ MX 10 mail
dc1 A 10.1.0.10
dc1 AAAA 2001:db8:1::10
dc2 A 10.2.0.10
ex1 A 10.1.0.11
ex2 A 10.2.0.12
mail 300 A 10.1.0.11
mail 300 A 10.2.0.12
mail 300 AAAA 2001:db8:1::11
smtp 300 A 10.1.0.11
autodiscover 300 CNAME mail
outside CNAME www.elsewhere.example.
loop CNAME loop
_autodiscover._tcp 300 SRV 0 0 443 mail
_ldap._tcp.dc._msdcs SRV 0 100 389 dc1
_ldap._tcp.dc._msdcs SRV 0 200 389 dc2
_ldap._tcp.B\\195\\188ro._sites.dc._msdcs SRV 0 100 389 dc2
branch NS ns.branch
ns.branch A 10.9.0.1
text TXT "v=spf1 mx -all" "second"
"""
# Too long for a packet, and as many as BIND takes in one set.
LONG = "".join(f"long 60 A 10.7.0.{n + 1}\n" for n in range(100))
REVERSE = (
    "@ SOA dc1 hostmaster 1 900 600 86400 600\n@ NS dc1.town.example.\n11 PTR ex1.town.example.\n"
)
EXTERNAL = """
@ SOA ns1 hostmaster 2026112001 900 600 86400 300
@ NS ns1
ns1 A 192.0.2.53
mail 300 A 192.0.2.11
mail 300 A 192.0.2.12
"""


class Clock:
    """The world's time; a test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def wait(self, **how_long: float) -> None:
        self.at += timedelta(**how_long)


@dataclass
class Town:
    clock: Clock
    zone: Zone
    dc1: NameServer
    dc2: NameServer
    outside: NameServer
    site: Resolver

    @property
    def servers(self) -> tuple[NameServer | Resolver, ...]:
        return self.dc1, self.dc2, self.outside, self.site


@asynccontextmanager
async def town() -> AsyncIterator[Town]:
    """The servers, running; the zone of the town is one that Active Directory keeps."""
    clock, both = Clock(), ("dc1", "dc2")
    ageing = Ageing(enabled=True)
    zone = Zone.from_text("town.example", INTERNAL + LONG, both, clock, delay=DELAY, ageing=ageing)
    reverse = Zone.from_text("0.1.10.in-addr.arpa", REVERSE, both, clock)
    external = Zone.from_text("town.example", EXTERNAL, ["ns1"], clock, primary="ns1")
    inside, outside = View("internal", [zone, reverse]), View("external", [external])
    grants = (Grant(MAIL_KEY, MAIL_NAMES), Grant(ADMIN_KEY, None))
    dc1 = NameServer("dc1", inside, host="127.0.11.10", grants=grants)
    dc2 = NameServer("dc2", inside, host="127.0.12.10", grants=grants)
    ns1 = NameServer("ns1", outside, host="127.0.13.53", grants=grants)
    site = Resolver("site A", [dc1, dc2], clock, host="127.0.11.53")
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        for server in (dc1, dc2, ns1, site):
            await stack.enter_async_context(server)
        yield Town(clock, zone, dc1, dc2, ns1, site)
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    left -= {asyncio.current_task()}  # the one that ends a fixture is another than began it
    assert not left, f"the servers left something running: {left}"
