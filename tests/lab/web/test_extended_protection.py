"""Extended Protection: logons that must be bound to the certificate that the client sees."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest
import requests
import spnego
from exchangelib.errors import UnauthorizedError
from pypsrp.negotiate import HTTPNegotiateAuth
from requests_ntlm import HttpNtlmAuth
from spnego.channel_bindings import GssChannelBindings

from mailmig.lab import server_tls
from mailmig.lab.certificates import end_point
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.directories import DIRECTORIES
from mailmig.lab.web.gateway import Gateway
from mailmig.lab.web.upstream import Member, Pool
from mailmig.lab.wsman.bindings import TokenChecking
from mailmig.lab.wsman.listening import Listener
from tests.lab.asking import Shell, text
from tests.lab.remote_servers import outside
from tests.lab.strangers import needs
from tests.lab.web.clients import account, exchange, password, session, staff
from tests.lab.web.test_front_end import run

EX1 = "ls-ex1.ad.lindenstadt.example"
MAIL = "mail.lindenstadt.example"
PATH = "/EWS/Exchange.asmx"
NONE, ALLOW, REQUIRE = TokenChecking
Make = Callable[[str, str], requests.auth.AuthBase]
# Clients that speak NTLM, and whether they bind; found by trying.
BINDING: dict[str, Make] = {
    "requests-ntlm": HttpNtlmAuth,
    "pypsrp": lambda name, secret: HTTPNegotiateAuth(name, secret, auth_provider="ntlm"),
    "pypsrp, negotiate": lambda name, secret: HTTPNegotiateAuth(name, secret),
}
NOT_BINDING: dict[str, Make] = {
    "requests-ntlm": lambda name, secret: HttpNtlmAuth(name, secret, send_cbt=False),
    "pypsrp": lambda name, secret: HTTPNegotiateAuth(name, secret, send_cbt=False),
}


def protect(lab: Lab, checking: TokenChecking, server: str = "LS-EX1") -> None:
    """An admin sets it for EWS on one server."""
    shell = Shell(lab.world, server)
    shell.objects(
        "Set-WebServicesVirtualDirectory", Identity=rf"{server}\EWS (Default Web Site)",
        ExtendedProtectionTokenChecking=checking.value,
    )  # fmt: skip


async def status(lab: Lab, make: Make, secret: str = "") -> int:
    """What somebody with the right password gets from EWS."""
    person = staff(lab)[0]

    def ask() -> int:
        with session(lab) as found:
            who = make(rf"LINDENSTADT\{person.account}", secret or password(person))
            return found.get(f"https://{EX1}{PATH}", auth=who, timeout=10).status_code

    return await outside(ask)


def wrong_attempts(lab: Lab) -> int:
    return lab.accounts.wrong(staff(lab)[0].account)


async def raw(lab: Lab, scheme: str, bound_to: bytes, secret: str = "") -> int:
    """The handshake by hand, bound to whatever is wanted."""
    person = staff(lab)[0]
    binding = GssChannelBindings(application_data=bound_to) if bound_to else None
    negotiate = spnego.NegotiateOptions.use_negotiate
    ntlm = spnego.NegotiateOptions.use_ntlm
    client = spnego.client(
        rf"LINDENSTADT\{person.account}", secret or password(person), protocol=scheme,
        options=negotiate if scheme == "negotiate" else ntlm, hostname=EX1, service="HTTP",
        channel_bindings=binding,
    )  # fmt: skip

    def ask() -> int:
        with session(lab) as found:
            token = client.step()
            while token:
                header = {"Authorization": f"{scheme} {b64encode(token).decode()}"}
                answer = found.get(f"https://{EX1}{PATH}", headers=header, timeout=10)
                _, _, said = answer.headers.get("www-authenticate", "").partition(" ")
                offered_anew = answer.headers.get("www-authenticate") == "Negotiate, NTLM"
                token = client.step(b64decode(said)) if said and not offered_anew else None
            return answer.status_code

    return await outside(ask)


def shown(lab: Lab, server: str = "LS-EX1") -> bytes:
    """What a right binding to a server's certificate carries."""
    return end_point(lab.world.tls.of(server, server_tls.IIS).certificate.pem)


LET_IN = {
    NONE: {"right", "wrong", "none"},
    ALLOW: {"right", "none"},
    REQUIRE: {"right"},
}


@pytest.mark.parametrize("checking", TokenChecking)
@pytest.mark.parametrize("scheme", ["ntlm", "negotiate"])
async def test_a_directory_lets_in_who_is_bound_as_it_is_set(
    lab: Lab, checking: TokenChecking, scheme: str
) -> None:
    protect(lab, checking)
    bound = {"right": shown(lab), "wrong": shown(lab, "LS-EX2"), "none": b""}
    found = {kind: await raw(lab, scheme, to) for kind, to in bound.items()}
    assert found == {kind: 200 if kind in LET_IN[checking] else 401 for kind in bound}
    assert wrong_attempts(lab) == 0


async def test_an_unbound_logon_locks_nobody_and_a_wrong_password_does(lab: Lab) -> None:
    protect(lab, REQUIRE)
    for _ in range(lab.accounts.lock_after + 2):
        assert await raw(lab, "ntlm", b"") == 401
    assert await raw(lab, "ntlm", shown(lab)) == 200
    for _ in range(lab.accounts.lock_after):
        assert await raw(lab, "ntlm", b"", "wrong") == 401
    assert await raw(lab, "ntlm", shown(lab)) == 401


@pytest.mark.parametrize("name", BINDING)
async def test_these_clients_bind_by_themselves(lab: Lab, name: str) -> None:
    protect(lab, REQUIRE)
    assert await status(lab, BINDING[name]) == 200
    assert await status(lab, BINDING[name], "wrong") == 401


@pytest.mark.parametrize("name", NOT_BINDING)
async def test_these_clients_can_be_told_not_to_bind(lab: Lab, name: str) -> None:
    protect(lab, REQUIRE)
    assert await status(lab, NOT_BINDING[name]) == 401
    protect(lab, ALLOW)
    assert await status(lab, NOT_BINDING[name]) == 200


async def test_exchangelib_binds(lab: Lab) -> None:
    person = staff(lab)[0]
    protect(lab, REQUIRE)

    def ask(secret: str = "") -> str:
        with exchange(lab):
            return str(account(lab, person, server="ls-ex1", secret=secret).root.name)

    assert await outside(ask)
    with pytest.raises(UnauthorizedError):
        await outside(ask, "wrong")


async def test_a_new_certificate_is_a_new_binding(lab: Lab) -> None:
    protect(lab, REQUIRE)
    before = shown(lab)
    lab.world.tls.of("LS-EX1", server_tls.IIS).show(server_tls.Showing())
    assert shown(lab) != before
    assert [await raw(lab, "ntlm", to) for to in (before, shown(lab))] == [401, 200]


async def test_the_ntlm_of_curl_binds_nothing(lab: Lab) -> None:
    curl, port = needs("curl"), lab.layout.port(443)
    machine = next(one for one in lab.layout.exchange if one.name == EX1)
    person = staff(lab)[0]
    found = {}
    for checking in TokenChecking:
        protect(lab, checking)
        found[checking] = await run(
            curl, "-sSo", "/dev/null", "-w", "%{http_code}", "--ntlm", "-u",
            rf"LINDENSTADT\{person.account}:{password(person)}",
            "--cacert", str(lab.folder / "ca.pem"),
            "--resolve", f"{EX1}:{port}:{machine.address}", f"https://{EX1}:{port}{PATH}",
        )  # fmt: skip
    assert found == {NONE: "200", ALLOW: "200", REQUIRE: "401"}


async def through(
    lab: Lab, url: str = f"https://{MAIL}{PATH}", **options: object
) -> requests.Response:
    """What somebody with the right password gets through the gateway."""

    def ask() -> requests.Response:
        with session(lab, **{MAIL.replace(".", "_"): "gateway1"}) as found:
            return found.get(url, timeout=10, **options)  # type: ignore[arg-type]

    return await outside(ask)


@pytest.mark.parametrize("checking", TokenChecking)
@pytest.mark.parametrize("binds", [True, False])
async def test_a_gateway_with_a_certificate_of_its_own_breaks_bound_logons(
    lab: Lab, checking: TokenChecking, binds: bool
) -> None:
    lab.world.surroundings.gateway.members = ("LS-EX1",)
    protect(lab, checking)
    person = staff(lab)[0]
    who = HttpNtlmAuth(rf"LINDENSTADT\{person.account}", password(person), send_cbt=binds)
    answer = await through(lab, auth=who)
    right = checking is NONE or (checking is ALLOW and not binds)
    assert answer.status_code == (200 if right else 401)
    assert answer.headers["X-FEServer"] == "LS-EX1"
    assert await status(lab, HttpNtlmAuth) == 200  # inside it works in every case
    assert wrong_attempts(lab) == 0


async def test_a_gateway_with_the_certificate_of_the_server_breaks_nothing(lab: Lab) -> None:
    """As Microsoft demands it for bridging."""
    rules = replace(lab.world.surroundings.gateway, members=("LS-EX1",))
    protect(lab, REQUIRE)
    machine, port = lab.layout.exchange[1], lab.layout.port(443)
    member = Member(lab.organisation.server("LS-EX1"), machine.address, port)
    person = staff(lab)[0]
    tls = lab.world.tls.of("LS-EX1", server_tls.IIS).context
    async with (
        Gateway(rules, Pool(rules, [member], lambda: (), "127.0.9.49"), [MAIL]) as gateway,
        Listener(gateway, "127.0.9.49", port, tls=tls, server_header=""),
    ):

        def ask() -> int:
            with session(lab) as found:
                adapter = found.get_adapter("https://")
                adapter.where[MAIL] = ("127.0.9.49", port)  # type: ignore[attr-defined]
                who = HttpNtlmAuth(rf"LINDENSTADT\{person.account}", password(person))
                return found.get(f"https://{MAIL}{PATH}", auth=who, timeout=10).status_code

        assert await outside(ask) == 200


async def test_basic_goes_through_the_gateway_whatever_is_required(lab: Lab) -> None:
    lab.organisation.extended_protection = True
    lab.world.surroundings.gateway.members = ("LS-EX1",)
    person = staff(lab)[0]
    name, secret = rf"LINDENSTADT\{person.account}", password(person)
    url = f"https://{MAIL}/rpc/rpcproxy.dll?{person.exchange_guid}@{person.domain}:6001"
    assert (await through(lab, url, auth=HttpNtlmAuth(name, secret))).status_code == 401
    assert (await through(lab, url, auth=(name, secret))).status_code != 401


async def test_setup_switches_it_on_since_2019_cu14_where_nobody_forbids_it(lab: Lab) -> None:
    def found(server: str) -> dict[str, str]:
        return {
            path: lab.web.directories.settings(server, one).checking.value
            for path, one in DIRECTORIES.items()
        }

    off = dict.fromkeys(DIRECTORIES, "None")
    assert found("LS-EX1") == found("LS-EX16") == off  # as the town's admins wanted it
    lab.organisation.extended_protection = True
    assert found("LS-EX16") == off
    assert found("LS-EX1") == {
        "owa": "Require", "ecp": "Require", "ews": "Allow", "mapi": "Require", "rpc": "Require",
        "oab": "Require", "microsoft-server-activesync": "Allow", "autodiscover": "None",
        "powershell": "Require",
    }  # fmt: skip
    shell = Shell(lab.world, "LS-EX1")
    shown = {
        text(one, "Server"): text(one, "ExtendedProtectionTokenChecking")
        for one in shell.objects("Get-MapiVirtualDirectory")
    }
    assert shown == {"LS-EX16": "None", "LS-EX1": "Require", "LS-EX2": "Require"}


async def test_remote_powershell_is_bound_as_its_directory_is_set(lab: Lab) -> None:
    lab.organisation.extended_protection = True

    def ask(server: str, binds: bool) -> int:
        with session(lab) as found:
            who = HTTPNegotiateAuth(
                r"LINDENSTADT\svc-mailmig", "lab-only-svc-mailmig", auth_provider="ntlm",
                send_cbt=binds,
            )  # fmt: skip
            url = f"https://{server}.ad.lindenstadt.example/PowerShell"
            return found.post(url, auth=who, timeout=10).status_code

    statuses = [
        await outside(ask, server, binds)
        for server in ("ls-ex1", "ls-ex16") for binds in (True, False)
    ]  # fmt: skip
    assert statuses == [200, 401, 200, 200]
