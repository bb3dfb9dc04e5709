"""Every way to log on to EWS and Autodiscover: exchangelib, requests, curl; what works, what not.

Kerberos is not offered by the lab: Negotiate carries NTLM there.
"""

import subprocess
from collections.abc import Callable
from typing import Any

import exchangelib
import pytest
import requests
from exchangelib import Account, Configuration, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials
from exchangelib.errors import TransportError, UnauthorizedError
from exchangelib.transport import NOAUTH
from exchangelib.version import Build
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.wire.autodiscover import pox
from tests.lab.remote_servers import outside
from tests.lab.strangers import needs
from tests.lab.web.clients import account, exchange, password, session, staff
from tests.lab.web.test_ews_requests import envelope, get_folder, of

EX1 = "ls-ex1.ad.lindenstadt.example"
EWS, AUTODISCOVER = "/EWS/Exchange.asmx", "/autodiscover/autodiscover.xml"
BUILD = Version(Build(15, 2, 2562, 17))


async def by_exchangelib(lab: Lab, work: Callable[[], Any]) -> Any:
    def run() -> Any:
        with exchange(lab):
            return work()

    return await outside(run)


def offer(lab: Lab, *methods: str) -> None:
    """EWS of every server offers these ways from now on."""
    for _, live in lab.web.directories._objects["ews"]():
        lab.organisation.settings.change(
            str(live["Guid"]),
            {"InternalAuthenticationMethods": list(methods)},
            lab.organisation.now,
        )


def opened(lab: Lab, caller: Mailbox, config: Configuration) -> str:
    found = Account(
        caller.address, config=config, autodiscover=False, access_type=exchangelib.DELEGATE
    )
    return str(found.root.name)


@pytest.mark.parametrize(
    ("methods", "guessed"),
    [
        (("Ntlm", "WindowsIntegrated"), exchangelib.NTLM),
        (("Ntlm",), exchangelib.NTLM),
        (("Ntlm", "Basic"), exchangelib.NTLM),
        (("Basic",), exchangelib.BASIC),
    ],
)
async def test_exchangelib_finds_out_how_to_log_on(
    lab: Lab, methods: tuple[str, ...], guessed: str
) -> None:
    anna = staff(lab)[0]
    offer(lab, *methods)

    def work() -> str:
        found = account(lab, anna, auth_type=None)
        assert found.root.name == "root"
        return str(found.protocol.auth_type)

    assert await by_exchangelib(lab, work) == guessed


async def test_exchangelib_cannot_guess_negotiate_alone(lab: Lab) -> None:
    anna = staff(lab)[0]
    offer(lab, "Negotiate")
    with pytest.raises(TransportError):
        await by_exchangelib(lab, lambda: account(lab, anna, auth_type=None).root)


@pytest.mark.parametrize("scheme", [exchangelib.DIGEST, NOAUTH])
async def test_what_exchange_does_not_offer_is_401(lab: Lab, scheme: str) -> None:
    anna = staff(lab)[0]
    with pytest.raises(UnauthorizedError):
        await by_exchangelib(lab, lambda: account(lab, anna, auth_type=scheme).root)


async def test_a_token_is_401_since_nobody_here_gives_any(lab: Lab) -> None:
    anna = staff(lab)[0]
    token = {"access_token": "e30.e30.", "token_type": "Bearer", "expires_in": 3600}

    def work() -> None:
        credentials = OAuth2AuthorizationCodeCredentials(access_token=token)
        config = Configuration(
            server=EX1, credentials=credentials, auth_type=exchangelib.OAUTH2, version=BUILD
        )
        opened(lab, anna, config)

    with pytest.raises(UnauthorizedError):
        await by_exchangelib(lab, work)


async def posted(lab: Lab, path: str, auth: Any) -> requests.Response:
    anna = staff(lab)[0]
    ews = envelope(get_folder(of(anna)))
    body = ews if path == EWS else pox.Request(anna.address).encode()

    def ask() -> requests.Response:
        with session(lab) as found:
            return found.post(f"https://{EX1}{path}", data=body, auth=auth, timeout=10)

    return await outside(ask)


@pytest.mark.parametrize("path", [EWS, AUTODISCOVER])
async def test_requests_logs_on_with_ntlm_and_basic_and_with_nothing_else(
    lab: Lab, path: str
) -> None:
    offer(lab, "Ntlm", "Basic")
    anna = staff(lab)[0]
    who = rf"LINDENSTADT\{anna.account}", password(anna)
    for auth in (HttpNtlmAuth(*who), HTTPBasicAuth(*who)):
        found = await posted(lab, path, auth)
        assert found.status_code == 200
        assert anna.display_name in found.text or "<m:ResponseCode>NoError<" in found.text
    for refused in (None, HTTPDigestAuth(*who), HttpNtlmAuth(who[0], "wrong")):
        found = await posted(lab, path, refused)
        assert found.status_code == 401
        assert "WWW-Authenticate" in found.headers


@pytest.mark.parametrize("path", [EWS, AUTODISCOVER])
async def test_curl_logs_on_with_ntlm_and_basic_and_has_no_ticket(lab: Lab, path: str) -> None:
    offer(lab, "Ntlm", "WindowsIntegrated", "Basic")
    anna = staff(lab)[0]
    body = envelope(get_folder(of(anna))) if path == EWS else pox.Request(anna.address).encode()
    for scheme, status in (("--ntlm", "200"), ("--basic", "200"), ("--negotiate", "401")):
        said = await curl(lab, anna, path, body, scheme)
        assert said.endswith(status), (scheme, said)
        assert ("NoError" in said or anna.display_name in said) is (status == "200")


async def curl(lab: Lab, who: Mailbox, path: str, body: bytes, scheme: str) -> str:
    port = lab.layout.port(443)
    machine = next(one for one in lab.layout.exchange if one.name == EX1)
    user = ":" if scheme == "--negotiate" else rf"LINDENSTADT\{who.account}:{password(who)}"
    done: Any = await outside(
        subprocess.run,
        [
            needs("curl"), "-sSo", "-", "-w", "%{http_code}", scheme, "-u", user,
            "--cacert", str(lab.folder / "ca.pem"), "--resolve", f"{EX1}:{port}:{machine.address}",
            "-H", "Content-Type: text/xml; charset=utf-8", "--data-binary", "@-",
            f"https://{EX1}:{port}{path}",
        ],
        input=body, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return bytes(done.stdout + done.stderr).decode()
