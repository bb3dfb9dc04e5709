"""The front end of each server: health, logon, proxying; asked by requests, curl, openssl."""

import asyncio
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
import requests
import spnego
from requests_ntlm import HttpNtlmAuth

from mailmig.lab import services
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.directories import DIRECTORIES
from tests.lab.remote_servers import outside
from tests.lab.strangers import needs
from tests.lab.web.clients import password, session, staff

EX16, EX1, EX2 = (f"ls-{name}.ad.lindenstadt.example" for name in ("ex16", "ex1", "ex2"))
NODES = {"LS-EX16": EX16, "LS-EX1": EX1, "LS-EX2": EX2}
SYNC = "/Microsoft-Server-ActiveSync"


async def asked(lab: Lab, url: str, method: str = "GET", **options: Any) -> requests.Response:
    """What one server answers to one request of plain requests."""

    def ask() -> requests.Response:
        with session(lab) as found:
            return found.request(method, url, timeout=10, allow_redirects=False, **options)

    return await outside(ask)


async def healthy(lab: Lab, server: str, path: str) -> bool:
    found = await asked(lab, f"https://{server}/{path}/healthcheck.htm")
    if found.status_code != 200:
        return False
    assert found.text == f"200 OK<br/>{server}"
    return True


async def test_every_protocol_of_every_node_names_the_node_itself(lab: Lab) -> None:
    for server in NODES.values():
        for path in DIRECTORIES:
            assert await healthy(lab, server, path), (server, path)


async def test_a_server_in_maintenance_says_so_on_every_healthcheck_page(lab: Lab) -> None:
    now = lab.organisation.now
    lab.world.components("LS-EX1").ask("ServerWideOffline", "Maintenance", "Inactive", now)
    for path in DIRECTORIES:
        assert not await healthy(lab, EX1, path), path
        assert await healthy(lab, EX2, path), path
    lab.world.components("LS-EX1").ask("ServerWideOffline", "Maintenance", "Active", now)
    assert await healthy(lab, EX1, "owa")


async def test_one_inactive_proxy_is_one_unhealthy_protocol(lab: Lab) -> None:
    components = lab.world.components("LS-EX1")
    components.ask("MapiProxy", "HealthApi", "Inactive", lab.organisation.now)
    found = {path: await healthy(lab, EX1, path) for path in DIRECTORIES}
    assert found == {path: path != "mapi" for path in DIRECTORIES}


async def test_a_stopped_front_pool_takes_its_protocol_away(lab: Lab) -> None:
    lab.world.conditions("LS-EX1").stopped_pools.add("MSExchangeServicesFrontEndAppPool")
    found = await asked(lab, f"https://{EX1}/ews/healthcheck.htm")
    assert found.status_code == 503
    assert (await asked(lab, f"https://{EX1}/EWS/Exchange.asmx")).status_code == 503
    assert await healthy(lab, EX1, "owa")


async def test_a_stopped_back_pool_leaves_the_healthcheck_and_breaks_the_protocol(lab: Lab) -> None:
    lab.world.conditions("LS-EX16").stopped_pools.add("MSExchangeSyncAppPool")
    person = staff(lab)[0]
    who = (person.account, password(person))
    assert await healthy(lab, EX16, "microsoft-server-activesync")
    for server in (EX16, EX1):
        found = await asked(lab, f"https://{server}{SYNC}", "OPTIONS", auth=who)
        assert found.status_code == 503
        assert found.headers["X-CalculatedBETarget"] == EX16
        assert "X-BEServer" not in found.headers


async def test_a_stopped_web_server_refuses_connections_and_comes_back(lab: Lab) -> None:
    lab.world.conditions("LS-EX1").stopped_services.add("w3svc")

    async def until(works: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not await outside(works):
                await asyncio.sleep(0.05)

    def refused() -> bool:
        try:
            with session(lab) as found:
                found.get(f"https://{EX1}/owa/healthcheck.htm", timeout=5)
        except requests.ConnectionError:
            return True
        return False

    await until(refused)
    assert await healthy(lab, EX2, "owa")
    services.start(lab.world, "LS-EX1", "W3Svc")
    await until(lambda: not refused())
    assert await healthy(lab, EX1, "owa")


async def test_a_front_end_hands_requests_to_the_server_of_the_mailbox(lab: Lab) -> None:
    person = staff(lab)[0]
    who = (rf"LINDENSTADT\{person.account}", password(person))
    for front, name in ((EX1, "LS-EX1"), (EX2, "LS-EX2"), (EX16, "LS-EX16")):
        found = await asked(lab, f"https://{front}{SYNC}", "OPTIONS", auth=who)
        assert found.status_code == 200
        assert (found.headers["X-FEServer"], found.headers["X-BEServer"]) == (name, "LS-EX16")
        assert found.headers["MS-Server-ActiveSync"] == "15.1"
    target = next(one for one in lab.organisation.databases.values() if one.dag)
    person.database = target.name  # moved
    found = await asked(lab, f"https://{EX16}{SYNC}", "OPTIONS", auth=who)
    assert found.headers["X-BEServer"] == target.server
    assert found.headers["MS-Server-ActiveSync"] == "15.2"


async def test_a_back_end_that_is_off_is_503_at_the_front_end(lab: Lab) -> None:
    person = staff(lab)[0]
    who = (person.account, password(person))
    lab.world.surroundings.machines.of("ls-ex16").down = True  # type: ignore[union-attr]
    found = await asked(lab, f"https://{EX1}{SYNC}", "OPTIONS", auth=who)
    assert (found.status_code, found.headers["X-FEServer"]) == (503, "LS-EX1")
    assert found.headers["X-CalculatedBETarget"] == EX16


async def test_a_back_end_without_network_is_waited_for(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = staff(lab)[0]
    person.database = next(
        one.name for one in lab.organisation.databases.values() if one.server == "LS-EX2"
    )
    monkeypatch.setattr("mailmig.lab.web.front_end.GIVES_UP_S", 0.5)
    lab.world.surroundings.machines.cut_sites.add(lab.organisation.server("LS-EX2").site)
    who = (person.account, password(person))
    found = await asked(lab, f"https://{EX1}{SYNC}", "OPTIONS", auth=who)
    assert found.status_code == 503
    assert found.elapsed.total_seconds() >= 0.5


@pytest.mark.parametrize(
    ("path", "schemes"),
    [
        ("/ews/exchange.asmx", ["Negotiate", "NTLM"]),
        ("/oab/", ["Negotiate", "NTLM"]),
        (SYNC, ["Basic"]),
        ("/Autodiscover/Autodiscover.xml", ["Negotiate", "NTLM", "Basic"]),
        ("/rpc/rpcproxy.dll", ["Negotiate", "NTLM", "Basic"]),
    ],
)
async def test_each_directory_offers_what_it_is_set_to(
    lab: Lab, path: str, schemes: list[str]
) -> None:
    found = await asked(lab, f"https://{EX1}{path}")
    assert found.status_code == 401
    offered = found.raw.headers.getlist("www-authenticate")
    assert [one.partition(" ")[0] for one in offered] == schemes


async def test_a_changed_setting_is_offered_at_once(lab: Lab) -> None:
    settings = lab.organisation.settings
    objects = lab.web.directories._objects["outlook_anywhere"]
    live = next(live for text, live in objects() if text.startswith("LS-EX1\\"))
    settings.change(str(live["Guid"]), {"IISAuthenticationMethods": ["Ntlm"]}, lab.organisation.now)
    found = await asked(lab, f"https://{EX1}/rpc/rpcproxy.dll")
    assert found.raw.headers.getlist("www-authenticate") == ["NTLM"]
    found = await asked(lab, f"https://{EX2}/rpc/rpcproxy.dll")
    assert len(found.raw.headers.getlist("www-authenticate")) == 3


async def test_who_is_let_in_waits_for_the_world_and_nobody_waits_with_him(lab: Lab) -> None:
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lab.world.lock:
            held.set()
            assert free.wait(10)

    holding = asyncio.ensure_future(asyncio.to_thread(hold))
    await asyncio.to_thread(held.wait, 10)
    waiting = asyncio.ensure_future(asked(lab, f"https://{EX1}/ews/exchange.asmx"))
    try:
        assert await healthy(lab, EX1, "ews")
        await asyncio.sleep(0.3)
        assert not waiting.done()
    finally:
        free.set()
    assert (await waiting).status_code == 401
    await holding


async def test_owa_and_ecp_lead_to_the_logon_page(lab: Lab) -> None:
    for path in ("owa", "ecp"):
        found = await asked(lab, f"https://{EX1}/{path}/")
        assert found.status_code == 302
        where = found.headers["Location"]
        assert where.startswith(
            f"https://{EX1}/owa/auth/logon.aspx?url=https%3A%2F%2F{EX1}%2F{path}"
        )
        assert found.headers["X-OWA-Version"] == "15.2.2562.17"
        assert (await asked(lab, where)).status_code == 200


async def test_the_address_book_is_there_under_its_own_id_only(lab: Lab) -> None:
    person = staff(lab)[0]
    who = HttpNtlmAuth(rf"LINDENSTADT\{person.account}", password(person))
    books = lab.web.back_ends["oab"]._books()  # type: ignore[attr-defined]
    own = next(str(live["Guid"]) for _, live in books)
    found = await asked(lab, f"https://{EX1}/OAB/{own}/oab.xml", auth=who)
    assert found.status_code == 200
    assert own in found.text
    other = own.replace(own[0], "0" if own[0] != "0" else "1")
    assert (await asked(lab, f"https://{EX1}/OAB/{other}/oab.xml", auth=who)).status_code == 404


async def test_rpc_over_http_answers_its_echo(lab: Lab) -> None:
    person = staff(lab)[0]
    url = f"https://{EX2}/rpc/rpcproxy.dll?{person.exchange_guid}@{person.domain}:6001"
    found = await asked(lab, url, "RPC_IN_DATA", auth=(person.account, password(person)))
    assert (found.status_code, len(found.content)) == (200, 20)
    assert found.headers["X-BEServer"] == "LS-EX16"


async def test_who_has_no_mailbox_has_no_activesync(lab: Lab) -> None:
    who = ("svc-reader", "lab-only-svc-reader")
    found = await asked(lab, f"https://{EX1}{SYNC}", "OPTIONS", auth=who)
    assert found.status_code == 403


async def test_a_wrong_password_is_401_and_three_of_them_lock(lab: Lab) -> None:
    person = staff(lab)[0]
    for _ in range(3):
        found = await asked(lab, f"https://{EX1}{SYNC}", auth=(person.account, "wrong"))
        assert found.status_code == 401
    found = await asked(lab, f"https://{EX1}{SYNC}", auth=(person.account, password(person)))
    assert found.status_code == 401


@pytest.mark.parametrize(
    "form", ["{}", r"LINDENSTADT\{}", r"ad.lindenstadt.example\{}", "{}@ad.lindenstadt.example"]
)
async def test_an_account_has_several_spellings(lab: Lab, form: str) -> None:
    person = staff(lab)[0]
    who = (form.format(person.account), password(person))
    assert (await asked(lab, f"https://{EX1}{SYNC}", "OPTIONS", auth=who)).status_code == 200
    who = (f"{person.account}@other.example", password(person))
    assert (await asked(lab, f"https://{EX1}{SYNC}", "OPTIONS", auth=who)).status_code == 401


async def test_negotiate_carries_ntlm_and_logs_the_connection_on(lab: Lab) -> None:
    person = staff(lab)[0]

    def ask() -> list[int]:
        client = spnego.client(
            rf"LINDENSTADT\{person.account}", password(person), protocol="negotiate",
            options=spnego.NegotiateOptions.use_negotiate, hostname=EX1, service="HTTP",
        )  # fmt: skip
        statuses = []
        token = client.step()
        with session(lab) as found:
            while token:
                header = {"Authorization": f"Negotiate {b64encode(token).decode()}"}
                answer = found.get(f"https://{EX1}/oab/x", headers=header, timeout=10)
                statuses.append(answer.status_code)
                said = answer.headers.get("www-authenticate", "").partition(" ")[2]
                token = client.step(b64decode(said)) if said else None
            statuses.append(found.get(f"https://{EX1}/oab/x", timeout=10).status_code)
        return statuses

    assert await outside(ask) == [401, 404, 404]  # let in: there is no such address book


async def test_a_shared_mailbox_cannot_log_on(lab: Lab) -> None:
    shared = next(one for one in lab.organisation.present() if one.kind.name == "SHARED")
    found = await asked(lab, f"https://{EX1}{SYNC}", auth=(shared.account, password(shared)))
    assert found.status_code == 401


async def test_unknown_paths_and_large_bodies_are_refused(lab: Lab) -> None:
    assert (await asked(lab, f"https://{EX1}/nothing/")).status_code == 404
    large = b"x" * (17 * 1024**2)
    found = await asked(lab, f"https://{EX1}/EWS/Exchange.asmx", "POST", data=large)
    assert found.status_code == 413


async def run(*words: str) -> str:
    """What a program says; both its outputs together."""
    done = await outside(
        subprocess.run, words, capture_output=True, timeout=20, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout + done.stderr


async def test_curl_reaches_every_node_under_the_name_of_the_clients(lab: Lab) -> None:
    curl, port = needs("curl"), lab.layout.port(443)
    for machine in lab.layout.exchange:
        said = await run(
            curl, "-sS", "--cacert", str(lab.folder / "ca.pem"), "--resolve",
            f"mail.lindenstadt.example:{port}:{machine.address}",
            f"https://mail.lindenstadt.example:{port}/mapi/healthcheck.htm",
        )  # fmt: skip
        assert said == f"200 OK<br/>{machine.name}"


async def test_curl_logs_on_with_ntlm_and_basic(lab: Lab) -> None:
    curl, port = needs("curl"), lab.layout.port(443)
    machine = next(one for one in lab.layout.exchange if one.name == EX2)
    person = staff(lab)[0]
    for scheme in ("--ntlm", "--basic"):
        said = await run(
            curl, "-sSo", "-", "-w", "%{http_code}", scheme, "-u",
            rf"LINDENSTADT\{person.account}:{password(person)}",
            "--cacert", str(lab.folder / "ca.pem"),
            "--resolve", f"{EX2}:{port}:{machine.address}",
            f"https://{EX2}:{port}/Autodiscover/Autodiscover.xml",
        )  # fmt: skip
        assert "<ErrorCode>600</ErrorCode>" in said
        assert said.endswith("200")


async def test_plain_http_is_for_remote_powershell_only(lab: Lab) -> None:
    curl, port = needs("curl"), lab.layout.port(80)
    machine = lab.layout.exchange[0]
    said = await run(curl, "-sSi", f"http://{machine.address}:{port}/owa/healthcheck.htm")
    assert said.startswith("HTTP/1.1 403")


async def test_openssl_sees_the_names_of_the_node_and_of_the_clients(lab: Lab) -> None:
    openssl, port = needs("openssl"), lab.layout.port(443)
    for machine in lab.layout.exchange:
        for name in (machine.name, "mail.lindenstadt.example", "autodiscover.lindenstadt.example"):
            said = await run(
                openssl, "s_client", "-connect", f"{machine.address}:{port}", "-servername", name,
                "-CAfile", str(lab.folder / "ca.pem"), "-verify_hostname", name, "-brief",
            )  # fmt: skip
            assert "Verification: OK" in said
            assert f"Verified peername: {name}" in said
    said = await run(
        openssl, "s_client", "-connect", f"{machine.address}:{port}", "-servername", "other.example",
        "-CAfile", str(lab.folder / "ca.pem"), "-verify_hostname", "other.example", "-brief",
    )  # fmt: skip
    assert "hostname mismatch" in said.lower()
