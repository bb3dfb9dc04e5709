"""The evidence matrix: each fault of MAPI gives its own row and no other one.

Own and shared mailbox, inside and outside, at every address (protocols.md 1.8.2). The caller's
mailbox has moved to the new servers, the shared one is still on the old one; clients find the new
servers. One lab serves all tests; each leaves it as it was.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from mailmig.lab.faults.switchboard import kinds
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.model.directory import Kind
from tests.lab.running_lab import running
from tests.lab.web.clients import staff
from tests.lab.web.evidence import INSIDE, OUTSIDE, Vantage, Walker, matrix, walk

in_lab = pytest.mark.asyncio(loop_scope="module")

OLD, NEW = "LS-EX16", "LS-EX1"
CELLS = ("own inside", "own outside", "shared inside", "shared outside")
WELL = dict.fromkeys(CELLS, "ok")
# What a server of Exchange offers at Autodiscover and at /mapi.
BOTH = "http 401 exchange Negotiate, NTLM"
WITH_BASIC = f'{BOTH}, Basic realm="autodiscover.lindenstadt.example"'


def shared(seen: str, outside: str = "") -> dict[str, str]:
    """The shared mailbox alone, inside and outside alike unless told otherwise."""
    return {"shared inside": seen, "shared outside": outside or seen}


def outside(seen: str) -> dict[str, str]:
    """Everything from outside, and nothing inside."""
    return {"own outside": seen, "shared outside": seen}


def every(seen: str) -> dict[str, str]:
    return dict.fromkeys(CELLS, seen)


# fault: its target, and the cells that are not "ok"
ROWS: dict[str, tuple[str, dict[str, str]]] = {
    # broken from outside only, and for the shared mailbox only
    "shared-outside-not-published": (OLD, {"shared outside": "ping: http 404 webgate"}),
    "shared-outside-negotiate-only": (OLD, {"shared outside": "ping: http 401 exchange Negotiate"}),
    "shared-outside-extended-protection": (OLD, {"shared outside": f"ping: {BOTH}"}),
    "shared-outside-cookies-lost": (OLD, {"shared outside": "execute: code 13"}),
    "shared-outside-headers-lost": (OLD, {"shared outside": "ping: code 7"}),
    "shared-outside-chunks-forbidden": (OLD, {"shared outside": "ping: http 502 webgate"}),
    "mapi-url-outside-wrong": (OLD, {"shared outside": "dns: no address"}),
    # broken from outside, for everybody
    "mapi-url-outside-missing": ("", outside("autodiscover: no url")),
    "gateway-blocks": ("mapi", outside("ping: http 403 webgate")),
    "gateway-forbids-post": ("mapi", outside("ping: http 405 webgate")),
    "gateway-not-published": ("mapi", outside("ping: http 404 webgate")),
    "gateway-strips-cookies": ("mapi", outside("execute: code 13")),
    "gateway-hides-cookies": ("mapi", outside("execute: code 13")),
    "gateway-forbids-chunks": ("mapi", outside("ping: http 502 webgate")),
    "gateway-cuts-chunks": ("mapi", outside("ping: half an answer")),
    "gateway-half-answers": ("mapi", outside("ping: half an answer")),
    "gateway-adds-device-info": ("mapi", outside("ping: X-DeviceInfo")),
    "gateway-negotiate-only": ("mapi", outside("ping: http 401 exchange Negotiate")),
    "gateway-redirect-loop": ("mapi", outside("ping: http 302 webgate")),
    "gateway-hangs": ("mapi", outside("ping: no answer in time")),
    "gateway-slow": ("mapi", outside("ping: no answer in time")),
    "gateway-certificate-expired": ("", outside("autodiscover: tls certificate has expired")),
    "gateway-certificate-wrong-names": ("", outside("autodiscover: tls Hostname mismatch")),
    "gateway-certificate-unknown-authority": (
        "", outside("autodiscover: tls unable to get local issuer certificate"),
    ),
    # the same from both sides
    "mapi-no-permission": (r"{shared}\{own}", shared("folder: no owner, 0x8004010f")),
    "mailbox-route-stale": ("{shared}", shared("logon: 0x478 {id}")),
    "mailbox-in-transit": ("{shared}", shared("logon: 0x50c")),
    "mailbox-disabled": ("{shared}", shared("autodiscover: error 500")),
    "mapi-disabled-for-mailbox": ("{shared}", shared("autodiscover: no mapiHttp")),
    "mapi-proxy-broken": (OLD, shared("execute: http 500 exchange")),
    "mapi-late-failure": (OLD, shared("execute: late code 1")),
    "mapi-slow": (OLD, shared("execute: no answer in time")),
    "database-dismounted": ("{database}", shared("logon: 0x80040111")),
    "server-down": (OLD, shared("ping: tcp refused", "ping: http 503 exchange")),
    "autodiscover-wrong-identity": ("{own}", every("connect: error 0x80070005")),
    "account-locked": ("{own}", every(f"autodiscover: {WITH_BASIC}")),
    "password-changed": ("{own}", every(f"autodiscover: {WITH_BASIC}")),
    "mapi-disabled": ("", every("autodiscover: no mapiHttp")),
    # at one front end, that of the old server, which the shared mailbox has inside only
    "mapi-execute-refused": (rf"{OLD}\mapi", {"shared inside": "execute: http 401 exchange"}),
}  # fmt: skip


@dataclass(frozen=True)
class Town:
    """The lab, somebody on a new server, and a shared mailbox on the old one that he may open."""

    lab: Lab
    own: Mailbox
    shared: Mailbox

    async def seen(self) -> dict[str, str]:
        return await asyncio.to_thread(matrix, self.lab, self.own, self.shared)

    async def cell(self, name: str) -> str:
        kind, vantage = name.split()
        mailbox = self.own if kind == "own" else self.shared
        return await asyncio.to_thread(
            walk, self.lab, self.own, mailbox, Vantage[vantage.upper()]
        )  # fmt: skip

    def filled(self, text: str) -> str:
        return text.format(
            own=self.own.alias, shared=self.shared.alias,
            database=self.shared.database, id=f"{self.shared.exchange_guid}@{self.shared.domain}",
        )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="running_town")
async def _running_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    async with running(tmp_path_factory.mktemp("evidence"), cut_over=True) as lab:
        state, may = lab.organisation, lab.web.people.may
        common, own = next(
            (one, person)
            for one in state.present(Kind.SHARED) for person in staff(lab)
            if lab.web.people.home(one).name == OLD and not may("full_access", person, one)
        )  # fmt: skip
        own.database = next(one.name for one in state.databases.values() if one.server == NEW)
        state.full_access.grant(common.number, own.number)
        town = Town(lab, own, common)
        assert await town.seen() == WELL
        yield town
        assert await town.seen() == WELL


@pytest.fixture(name="town")
def _town(running_town: Town) -> Iterator[Town]:
    yield running_town
    running_town.lab.faults.all_off()


@pytest.mark.parametrize("name", ROWS)
@in_lab
async def test_a_fault_gives_its_own_row(town: Town, name: str) -> None:
    target, told = ROWS[name]
    expected = WELL | {cell: town.filled(seen) for cell, seen in told.items()}
    town.lab.faults.on(name, town.filled(target))
    if name == "server-down":  # a machine goes and comes in a moment of ours
        await until(lambda: town.cell("shared inside"), expected["shared inside"])
    assert await town.seen() == expected
    town.lab.faults.off(name, town.filled(target))
    if name == "server-down":
        await until(lambda: town.cell("shared inside"), "ok")
    for cell in told:
        assert await town.cell(cell) == "ok", cell


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """What follows the world does so in a moment of ours."""
    async with asyncio.timeout(20):
        while await look() != wanted:
            await asyncio.sleep(0.05)


def test_rows_that_look_alike_are_few_and_known() -> None:
    """What the matrix alone cannot tell apart needs more evidence: headers, DNS, the cmdlets."""
    alike: dict[str, set[str]] = {}
    for name, (_, told) in ROWS.items():
        alike.setdefault(repr(sorted(told.items())), set()).add(name)
    assert sorted(sorted(names) for names in alike.values() if len(names) > 1) == [
        ["account-locked", "password-changed"],
        ["gateway-cuts-chunks", "gateway-half-answers"],
        ["gateway-hangs", "gateway-slow"],
        ["gateway-hides-cookies", "gateway-strips-cookies"],
    ]


def test_every_fault_of_mapi_and_of_what_is_outside_is_tried_here() -> None:
    elsewhere = {"gateway-asks-no-health", "gateway-knows-one-node", "gateway-cuts-long-requests"}
    mine = {name for name, kind in kinds().items() if kind.family in ("mapi", "gateway")}
    assert mine - elsewhere <= set(ROWS)


@in_lab
async def test_a_disabled_mailbox_is_an_unknown_user_for_who_remembers_it(town: Town) -> None:
    inside = Walker(town.lab, town.own, INSIDE)
    own, known = await asyncio.to_thread(
        lambda: (inside.discover(town.own), inside.discover(town.shared))
    )
    (address, *_) = await asyncio.to_thread(inside.addresses, "mail.lindenstadt.example")
    remembered = type(own)(own.url, known.dn)
    where = await asyncio.to_thread(inside.at, address, remembered, own.dn)
    assert where.startswith("logon: 0x478")  # one session for two servers: a redirect
    town.lab.faults.on("mailbox-disabled", town.shared.alias)
    assert await asyncio.to_thread(inside.at, address, remembered, own.dn) == "logon: 0x3eb"


@in_lab
async def test_other_delegates_succeed_where_one_has_no_permission(town: Town) -> None:
    other = next(
        one for one in staff(town.lab)
        if one is not town.own and town.lab.web.people.may("full_access", one, town.shared)
    )  # fmt: skip
    town.lab.faults.on("mapi-no-permission", rf"{town.shared.alias}\{town.own.alias}")
    for vantage in Vantage:
        seen = await asyncio.to_thread(walk, town.lab, other, town.shared, vantage)
        assert seen == "ok"


@in_lab
async def test_one_server_down_is_one_address_inside_and_nothing_outside(town: Town) -> None:
    town.lab.faults.on("server-down", NEW)
    walker = Walker(town.lab, town.own, INSIDE)

    async def inside() -> dict[str, str]:
        return await asyncio.to_thread(walker.walk, town.own)

    # its databases fail over
    await until(inside, {"127.0.11.22": "ping: tcp refused", "127.0.12.23": "ok"})
    assert await town.cell("own outside") == "ok"
    town.lab.faults.on("gateway-asks-no-health")
    assert {await one_ping(town) for _ in range(8)} == {"ok", "http 502 webgate"}
    town.lab.faults.all_off()
    await until(inside, {"127.0.11.22": "ok", "127.0.12.23": "ok"})


async def one_ping(town: Town) -> str:
    """What one new connection from outside meets at the health page."""
    found = await front_end(town)
    return found if found.startswith("http") else "ok"


async def front_end(town: Town) -> str:
    """The server behind the gateway's first address, or the failure in its place."""
    walker = Walker(town.lab, town.own, OUTSIDE)
    name = "mail.lindenstadt.example"

    def ask() -> str:
        (address, *_) = walker.addresses(name)
        with walker.session(name, address) as http:
            http.auth = None
            found = http.get(f"https://{name}/owa/healthcheck.htm")
        if found.status_code != 200:
            return f"http {found.status_code} {found.headers['server']}"
        return found.headers["X-FEServer"]

    return await asyncio.to_thread(ask)


@in_lab
async def test_a_proxy_that_knows_one_node_is_lost_with_it(town: Town) -> None:
    assert {await front_end(town) for _ in range(6)} == {"LS-EX1", "LS-EX2"}
    town.lab.faults.on("gateway-knows-one-node", "ls-ex2")
    assert {await front_end(town) for _ in range(6)} == {"LS-EX2"}
    components = town.lab.world.components("LS-EX2")
    components.ask("OwaProxy", "Maintenance", "Inactive", town.lab.organisation.now)
    await until(lambda: front_end(town), "http 503 webgate")  # health is asked once a second
    town.lab.faults.off("gateway-knows-one-node", "ls-ex2")
    assert await front_end(town) == "LS-EX1"
    components.ask("OwaProxy", "Maintenance", "Active", town.lab.organisation.now)
    await until(lambda: front_end(town), "LS-EX2")


@in_lab
async def test_long_requests_are_cut_by_the_proxy_and_short_ones_are_not(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailmig.lab.faults.gateway.LONGEST_S", 1.0)
    town.lab.faults.on("gateway-cuts-long-requests", "mapi")
    assert await town.cell("shared outside") == "ok"
    town.lab.world.conditions(OLD).mapi.delay_s = 1.5
    assert await town.cell("shared inside") == "ok"
    assert await town.cell("shared outside") == "execute: half an answer"
    town.lab.world.conditions(OLD).mapi.delay_s = 0.0
