"""The reverse proxy of a running lab: from outside, by strangers, while rules and servers change."""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import exchangelib
import pytest
import pytest_asyncio
import requests
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.running.whole import Lab
from mailmig.lab.server_tls import Kind, Showing
from mailmig.lab.web.gateway_rules import PUBLISHED, Rule
from mailmig.wire.mapihttp import rops
from tests.lab.remote_servers import outside
from tests.lab.running_lab import dig, running
from tests.lab.web.clients import exchange, password, session, staff
from tests.lab.web.mapi_client import Client

MAIL, AUTODISCOVER = "mail.lindenstadt.example", "autodiscover.lindenstadt.example"
HEALTH = f"https://{MAIL}/owa/healthcheck.htm"
NODES = {"LS-EX1", "LS-EX2"}
T = TypeVar("T")


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path, cut_over=True) as found:
        yield found


async def asked(
    lab: Lab, url: str = HEALTH, method: str = "GET", gateway: str = "gateway1", **options: object
) -> requests.Response:
    """What somebody outside gets, over a connection of his own."""

    def ask() -> requests.Response:
        names = {MAIL.replace(".", "_"): gateway, AUTODISCOVER.replace(".", "_"): gateway}
        with session(lab, **names) as found:
            chosen = {"timeout": 10, "allow_redirects": False} | options
            return found.request(method, url, **chosen)  # type: ignore[arg-type]

    return await outside(ask)


async def fronts(lab: Lab, count: int = 8, url: str = HEALTH) -> Counter[str]:
    """Which servers answer so many connections; statuses of what the gateway answers itself."""
    found: Counter[str] = Counter()
    for _ in range(count):
        answer = await asked(lab, url)
        found[answer.headers.get("X-FEServer", str(answer.status_code))] += 1
    return found


def is_of_gateway(answer: requests.Response) -> bool:
    """Whether the gateway said it by itself."""
    own = answer.headers.get("Server") == "webgate" and "X-FEServer" not in answer.headers
    assert own or answer.headers["Server"] == "Microsoft-IIS/10.0"
    return own


async def test_the_names_of_clients_lead_to_the_gateways_from_outside_only(lab: Lab) -> None:
    gateways = sorted(one.address for one in lab.layout.web_gateways)
    nodes = sorted(one.address for one in lab.layout.exchange if "ex16" not in one.name)
    away = lab.layout.outside.address
    for name in (MAIL, AUTODISCOVER):
        assert (await dig(lab, "ls-dc1", name))[0] == nodes
        assert (await dig(lab, away, name))[0] == gateways
    assert lab.layout.addresses()[gateways[0], 443] == (gateways[0], lab.layout.port(443))


def certificate(lab: Lab, address: str) -> bytes:
    """What is shown at an address to somebody who wants the name of clients."""
    context = ssl.create_default_context(cafile=lab.folder / "ca.pem")
    with (
        socket.create_connection((address, lab.layout.port(443)), 5) as line,
        context.wrap_socket(line, server_hostname=MAIL) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    assert shown
    return shown


async def test_the_gateways_show_one_certificate_with_a_key_of_its_own(lab: Lab) -> None:
    shown = [await outside(certificate, lab, one.address) for one in lab.layout.web_gateways]
    behind = [await outside(certificate, lab, one.address) for one in lab.layout.exchange]
    assert shown[0] == shown[1]
    assert shown[0] not in behind
    for name in (MAIL, AUTODISCOVER):
        assert (await asked(lab, f"https://{name}/owa/healthcheck.htm", gateway="gateway2")).ok


@pytest.mark.parametrize(
    ("showing", "words"),
    [
        (Showing(since=datetime(2020, 1, 1, tzinfo=UTC), until=datetime(2021, 1, 1, tzinfo=UTC)),
         "expired"),
        (Showing(names=("other.example",)), "mismatch"),
        (Showing(Kind.UNKNOWN), "unable to get local issuer"),
    ],
)  # fmt: skip
async def test_a_wrong_certificate_is_seen_outside_and_not_inside(
    lab: Lab, showing: Showing, words: str
) -> None:
    gateway, node = lab.layout.web_gateways[0].address, lab.layout.exchange[1].address
    lab.world.tls.gateway.show(showing)
    with pytest.raises(ssl.SSLCertVerificationError, match=words):
        await outside(certificate, lab, gateway)
    assert await outside(certificate, lab, node)
    lab.world.tls.gateway.show(None)
    assert await outside(certificate, lab, gateway)


async def test_connections_are_spread_over_the_nodes(lab: Lab) -> None:
    assert await fronts(lab) == {"LS-EX1": 4, "LS-EX2": 4}
    assert {(await asked(lab, gateway="gateway2")).headers["X-FEServer"] for _ in "ab"} == NODES


async def test_a_node_in_maintenance_gets_no_connections_any_more(lab: Lab) -> None:
    components, now = lab.world.components("LS-EX1"), lab.organisation.now
    components.ask("ServerWideOffline", "Maintenance", "Inactive", now)
    assert await fronts(lab) == {"LS-EX2": 8}
    components.ask("ServerWideOffline", "Maintenance", "Active", now)
    await asyncio.sleep(1.5)  # nobody waits to hear that a bad one is bad still
    await fronts(lab, 2)
    assert set(await fronts(lab)) == NODES


async def test_one_unhealthy_protocol_is_led_around_and_the_others_are_not(lab: Lab) -> None:
    lab.world.components("LS-EX1").ask("MapiProxy", "HealthApi", "Inactive", lab.organisation.now)
    assert await fronts(lab, url=f"https://{MAIL}/mapi/healthcheck.htm") == {"LS-EX2": 8}
    assert set(await fronts(lab)) == NODES


async def test_without_any_healthy_node_the_gateway_says_503_itself(lab: Lab) -> None:
    for name in NODES:
        lab.world.components(name).ask(
            "ServerWideOffline", "Maintenance", "Inactive", lab.organisation.now
        )
    answer = await asked(lab)
    assert (answer.status_code, is_of_gateway(answer)) == (503, True)


@pytest.mark.parametrize("how", ["down", "hung"])
async def test_a_dead_node_is_led_around_unless_nobody_asks_for_health(lab: Lab, how: str) -> None:
    machine = lab.world.surroundings.machines.of("ls-ex1")
    assert machine is not None
    setattr(machine, how, True)
    running = next(one for one in lab.machines if one.name.startswith("ls-ex1."))
    async with asyncio.timeout(10):
        while running.reach.name == "UP":
            await asyncio.sleep(0.05)
    assert await fronts(lab, 4) == {"LS-EX2": 4}
    lab.world.surroundings.gateway.asks_health = False
    assert await fronts(lab, 4) == {"LS-EX2": 2, "502": 2}


async def test_one_node_alone_may_be_known_to_the_gateway(lab: Lab) -> None:
    rules = lab.world.surroundings.gateway
    rules.members = ("LS-EX1",)
    assert await fronts(lab) == {"LS-EX1": 8}
    rules.extra.append(Rule(host=AUTODISCOVER, members=("LS-EX16",)))
    autodiscover = f"https://{AUTODISCOVER}/autodiscover/healthcheck.htm"
    assert await fronts(lab, url=autodiscover) == {"LS-EX16": 8}
    assert await fronts(lab) == {"LS-EX1": 8}


async def test_before_the_cut_over_the_gateway_leads_to_the_source(tmp_path: Path) -> None:
    async with running(tmp_path) as lab:
        assert await fronts(lab, 2) == {"LS-EX16": 2}
        assert (await dig(lab, lab.layout.outside.address, MAIL))[0] == ["127.0.9.41"]


@pytest.mark.parametrize("directory", ["ecp", "powershell", "nothing"])
async def test_what_is_not_published_is_unknown_outside(lab: Lab, directory: str) -> None:
    answer = await asked(lab, f"https://{MAIL}/{directory}/healthcheck.htm")
    assert (answer.status_code, is_of_gateway(answer)) == (404, True)


async def test_all_that_is_published_comes_from_the_servers(lab: Lab) -> None:
    for directory in PUBLISHED:
        answer = await asked(
            lab, f"https://{MAIL}/{directory}/healthcheck.htm" if directory else f"https://{MAIL}/"
        )
        assert not is_of_gateway(answer), directory
        assert answer.status_code == (200 if directory else 302)


async def test_other_hosts_are_unknown_to_the_gateway(lab: Lab) -> None:
    answer = await asked(lab, headers={"Host": "ls-ex1.ad.lindenstadt.example"})
    assert (answer.status_code, is_of_gateway(answer)) == (404, True)


async def test_a_directory_may_be_unpublished_for_one_name_alone(lab: Lab) -> None:
    rule = Rule(host=AUTODISCOVER, directory="mapi", refuse=404)
    lab.world.surroundings.gateway.extra.append(rule)
    for name, status in ((MAIL, 200), (AUTODISCOVER, 404)):
        answer = await asked(lab, f"https://{name}/mapi/healthcheck.htm")
        assert (answer.status_code, is_of_gateway(answer)) == (status, status == 404)
        assert (await asked(lab, f"https://{name}/ews/healthcheck.htm")).status_code == 200


@pytest.mark.parametrize(("rule", "status"), [
    (Rule(directory="mapi", refuse=403), 403),
    (Rule(method="post", refuse=405), 405),
    (Rule(request_type="Execute", refuse=501), 501),
    (Rule(query="MailboxId=4711", refuse=502), 502),
    (Rule(request_type="Connect", refuse=501), None),
    (Rule(directory="ews", refuse=501), None),
    (Rule(query="MailboxId=4712", refuse=501), None),
])  # fmt: skip
async def test_requests_may_be_blocked_by_what_they_are(
    lab: Lab, rule: Rule, status: int | None
) -> None:
    lab.world.surroundings.gateway.extra.append(rule)
    url = f"https://{MAIL}/mapi/emsmdb/?MailboxId=4711@lindenstadt.example"
    answer = await asked(lab, url, "POST", headers={"X-RequestType": "Execute"})
    assert answer.status_code == (status or 401)
    assert is_of_gateway(answer) is (status is not None)


async def test_other_schemes_may_be_offered_outside(lab: Lab) -> None:
    url = f"https://{MAIL}/EWS/Exchange.asmx"
    before = (await asked(lab, url)).raw.headers.getlist("www-authenticate")
    assert before == ["Negotiate", "NTLM"]
    lab.world.surroundings.gateway.extra.append(Rule(directory="ews", challenges=("Negotiate",)))
    assert (await asked(lab, url)).raw.headers.getlist("www-authenticate") == ["Negotiate"]


async def test_redirects_may_lead_round_in_a_circle(lab: Lab) -> None:
    lab.world.surroundings.gateway.extra.append(Rule(directory="owa", redirect="."))
    with pytest.raises(requests.TooManyRedirects):
        await asked(lab, f"{HEALTH}?a=b", allow_redirects=True)
    answer = await asked(lab, f"{HEALTH}?a=b")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{HEALTH}?a=b")


async def test_ntlm_belongs_to_one_connection_and_to_nobody_else(lab: Lab) -> None:
    """Two people and a stranger take turns on lines of their own."""
    anna, bert = staff(lab)[:2]
    url = f"https://{MAIL}/EWS/Exchange.asmx"

    def ask() -> None:
        name = {MAIL.replace(".", "_"): "gateway1"}
        with (
            session(lab, **name) as first,
            session(lab, **name) as second,
            session(lab, **name) as third,
        ):
            for line, one in ((first, anna), (second, bert)):
                who = HttpNtlmAuth(rf"LINDENSTADT\{one.account}", password(one))
                assert line.get(url, auth=who, timeout=10).status_code == 200
            for _ in range(5):
                assert first.get(url, timeout=10).status_code == 200
                assert third.get(url, timeout=10).status_code == 401
                assert second.get(url, timeout=10).status_code == 200

    await outside(ask)


async def test_exchangelib_reads_a_mailbox_from_outside(lab: Lab) -> None:
    person = staff(lab)[0]

    def ask() -> tuple[str, int]:
        with exchange(lab, **{MAIL.replace(".", "_"): "gateway1"}):
            config = exchangelib.Configuration(
                server=MAIL, auth_type=exchangelib.NTLM, max_connections=1,
                credentials=exchangelib.Credentials(
                    rf"LINDENSTADT\{person.account}", password(person)
                ),
            )  # fmt: skip
            found = exchangelib.Account(
                person.address, config=config, autodiscover=False,
                access_type=exchangelib.DELEGATE,
            )  # fmt: skip
            return found.inbox.name, found.inbox.total_count

    name, count = await outside(ask)
    assert name and count >= 0


async def mapi(lab: Lab, play: Callable[[Client, str], T]) -> T:
    """Somebody's session with his own mailbox, by NTLM through the gateway, once connected."""
    person = staff(lab)[0]
    legacy = lab.web.people.legacy(person)

    def ask() -> T:
        with session(lab, **{MAIL.replace(".", "_"): "gateway1"}) as http:
            http.auth = HttpNtlmAuth(rf"LINDENSTADT\{person.account}", password(person))
            url = f"https://{MAIL}/mapi/emsmdb/?MailboxId={person.exchange_guid}@{person.domain}"
            client = Client(http, url)
            client.connect(legacy)
            return play(client, legacy)

    return await outside(ask)


async def test_a_mailbox_is_opened_over_mapi_from_outside(lab: Lab) -> None:
    found = await mapi(lab, lambda client, legacy: client.logon(legacy))
    assert isinstance(found, rops.LoggedOn)


@pytest.mark.parametrize(
    "rule",
    [Rule(directory="mapi", no_cookies=True), Rule(directory="mapi", no_set_cookies=True)],
    ids=["cookie", "set-cookie"],
)
async def test_a_mapi_session_breaks_without_its_cookies(lab: Lab, rule: Rule) -> None:
    lab.world.surroundings.gateway.extra.append(rule)
    assert await mapi(lab, lambda client, _: client.ask("Execute").code) == 13  # missing cookie


async def test_execute_alone_may_be_refused(lab: Lab) -> None:
    rule = Rule(directory="mapi", request_type="Execute", refuse=501)
    lab.world.surroundings.gateway.extra.append(rule)
    assert await mapi(lab, lambda client, _: client.ask("Execute").status) == 501
    assert await mapi(lab, lambda client, _: client.ask("PING").status) == 200
