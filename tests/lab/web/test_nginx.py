"""A stranger's reverse proxy in front of the lab's nodes breaks what it breaks in reality."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
import requests
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.wire.mapihttp import rops
from tests.lab.asking import Shell
from tests.lab.nginx import SHARED, UNBUFFERED, nginx
from tests.lab.remote_servers import outside
from tests.lab.running_lab import running
from tests.lab.web.clients import Adapter, leading, password, staff
from tests.lab.web.mapi_client import Client

MAIL = "mail.lindenstadt.example"
EWS = f"https://{MAIL}/EWS/Exchange.asmx"
NODES = ("LS-EX1", "LS-EX2")
PLAIN = "", ""


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path, cut_over=True) as found:
        for server in NODES:
            shell = Shell(found.world, server)
            shell.objects(
                "Set-WebServicesVirtualDirectory", Identity=rf"{server}\EWS (Default Web Site)",
                BasicAuthentication=True,
            )  # fmt: skip
            shell.objects(
                "Set-MapiVirtualDirectory", Identity=rf"{server}\mapi (Default Web Site)",
                IISAuthenticationMethods=["Basic", "Ntlm"],
            )  # fmt: skip
        yield found


@contextmanager
def behind(lab: Lab, settings: tuple[str, str] = PLAIN, *servers: str) -> Iterator[type[Adapter]]:
    """An adapter whose name of clients leads to an nginx before these servers."""
    port = lab.layout.port(443)
    names = [f"{one.lower()}.ad.lindenstadt.example" for one in servers or NODES]
    nodes = [(one.address, port) for one in lab.layout.exchange if one.name in names]
    certificate = lab.authority._authority.issue_cert(MAIL)
    with nginx(lab.folder.parent / "nginx", nodes, port, certificate, settings) as where:
        adapter = leading(lab)
        adapter.where[MAIL] = where
        yield adapter


def line(adapter: type[Adapter]) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", adapter())
    return session


def name(person: Mailbox) -> str:
    return rf"LINDENSTADT\{person.account}"


async def test_basic_passes_and_ntlm_breaks_where_each_request_has_its_own_line(lab: Lab) -> None:
    person = staff(lab)[0]

    def ask() -> tuple[set[str], list[int]]:
        with behind(lab) as adapter, line(adapter) as http:
            basic = [http.get(EWS, auth=(name(person), password(person))) for _ in range(4)]
            assert {one.status_code for one in basic} == {200}
            ntlm = HttpNtlmAuth(name(person), password(person))
            return (
                {one.headers["X-FEServer"] for one in basic},
                [http.get(EWS, auth=ntlm).status_code for _ in range(4)],
            )

    assert await outside(ask) == (set(NODES), [401] * 4)
    assert lab.accounts.wrong(person.account) == 0  # nobody judged his password


async def test_a_line_that_all_share_lets_strangers_in_under_the_name_of_one(lab: Lab) -> None:
    person = staff(lab)[0]

    def ask() -> tuple[int, int]:
        with behind(lab, SHARED, "LS-EX1") as adapter, line(adapter) as his, line(adapter) as other:
            ntlm = HttpNtlmAuth(name(person), password(person))
            return his.get(EWS, auth=ntlm).status_code, other.get(EWS).status_code

    assert await outside(ask) == (200, 200)


@pytest.mark.parametrize("checking", ["None", "Allow", "Require"])
async def test_extended_protection_breaks_behind_it_and_basic_does_not(
    lab: Lab, checking: str
) -> None:
    person = staff(lab)[0]
    shell = Shell(lab.world, "LS-EX1")
    shell.objects(
        "Set-WebServicesVirtualDirectory", Identity=r"LS-EX1\EWS (Default Web Site)",
        ExtendedProtectionTokenChecking=checking,
    )  # fmt: skip

    def ask() -> list[int]:
        with behind(lab, SHARED, "LS-EX1") as adapter:
            found = []
            for auth in (
                (name(person), password(person)),
                HttpNtlmAuth(name(person), password(person), send_cbt=False),
                HttpNtlmAuth(name(person), password(person)),
            ):
                with line(adapter) as http:
                    # a first word without logon: the shared line forgets who was on it
                    http.get(EWS, headers={"Authorization": "Basic nonsense"})
                    found.append(http.get(EWS, auth=auth).status_code)
            return found

    unbound, bound = {"None": (200, 200), "Allow": (200, 401), "Require": (401, 401)}[checking]
    assert await outside(ask) == [200, unbound, bound]
    assert lab.accounts.wrong(person.account) == 0


@pytest.mark.parametrize("settings", [PLAIN, UNBUFFERED], ids=["buffered", "unbuffered"])
async def test_mapi_passes_and_its_signs_of_life_wait_where_answers_are_gathered(
    lab: Lab, settings: tuple[str, str]
) -> None:
    person = staff(lab)[0]
    mapi = lab.world.conditions(lab.web.people.home(person).name).mapi
    url = f"https://{MAIL}/mapi/emsmdb/?MailboxId={person.exchange_guid}@{person.domain}"
    legacy = lab.web.people.legacy(person)

    def ask() -> tuple[float, list[str]]:
        begun: list[tuple[float, str]] = []
        with behind(lab, settings) as adapter, line(adapter) as http:
            http.auth = (name(person), password(person))
            client = Client(http, url)
            client.connect(legacy)
            mapi.delay_s, mapi.pending_period_ms = 0.8, 200
            http.hooks["response"].append(
                lambda answer, **_: begun.append(
                    (time.monotonic(), answer.headers.get("Transfer-Encoding", ""))
                )
            )
            assert isinstance(client.logon(legacy), rops.LoggedOn)
            return time.monotonic() - begun[-1][0], [kind for _, kind in begun]

    waited, kinds = await outside(ask)
    assert kinds == ["chunked"]
    assert waited > 0.5 if settings is UNBUFFERED else waited < 0.3
