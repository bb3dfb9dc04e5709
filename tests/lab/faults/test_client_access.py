"""Faults of client access and of lines, seen by requests, smtplib and plain sockets."""

import asyncio
import smtplib
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.faults.machines import AlreadyChanged
from mailmig.lab.faults.switchboard import BadTarget, kinds
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.wire.autodiscover import v2
from tests.lab.asking import Shell
from tests.lab.web.clients import password, session, staff
from tests.lab.web.evidence import INSIDE, Walker
from tests.lab.web.mapi_client import client

# Tests share the event loop in which the lab lives.
in_lab = pytest.mark.asyncio(loop_scope="module")
EX16, EX1, EX2 = (f"ls-{name}.ad.lindenstadt.example" for name in ("ex16", "ex1", "ex2"))
NAMESPACE = "mail.lindenstadt.example"
PATIENCE_S = 2.0
# Where an answer is sure to come, on whatever machine.
LONG_S = 30.0
Look = Callable[[Lab], Any]


def health(lab: Lab, server: str = EX1, path: str = "mapi", patience_s: float = PATIENCE_S) -> str:
    """What a probe of the healthcheck page meets, in a word."""
    with session(lab) as http:
        try:
            found = http.get(
                f"https://{server}/{path}/healthcheck.htm", timeout=patience_s,
                allow_redirects=False,
            )  # fmt: skip
        except requests.Timeout:
            return "no answer in time"
        except requests.exceptions.ChunkedEncodingError:
            return "half an answer"
        except requests.ConnectionError as error:
            return "refused" if "refused" in str(error) else "cut"
    return str(found.status_code)


def both(lab: Lab) -> tuple[str, str]:
    """The same path at the node with the fault and at the other one."""
    return health(lab, EX1), health(lab, EX2)


def other_path(lab: Lab) -> tuple[str, str]:
    return health(lab, EX1, "ews"), health(lab, EX1, "owa")


def loops(lab: Lab) -> int:
    """How many redirects lead from an address to itself, as far as requests follows."""
    with session(lab) as http:
        http.max_redirects = 4
        url = f"https://{EX1}/owa/healthcheck.htm"
        try:
            return len(http.get(url, timeout=PATIENCE_S).history)
        except requests.TooManyRedirects as error:
            assert error.response is not None
            assert error.response.headers["location"] == url
            return http.max_redirects


def offered(lab: Lab) -> str:
    """What the node and its peer offer at EWS."""
    with session(lab) as http:
        found = (http.get(f"https://{one}/EWS/Exchange.asmx", timeout=5) for one in (EX1, EX2))
        return " | ".join(one.headers["www-authenticate"].partition(" realm")[0] for one in found)


def bound(lab: Lab) -> tuple[int, int]:
    """Statuses of NTLM with a channel binding and without, at EWS."""
    person = staff(lab)[0]
    statuses = []
    for binds in (True, False):
        with session(lab) as http:
            name = rf"LINDENSTADT\{person.account}"
            http.auth = HttpNtlmAuth(name, password(person), send_cbt=binds)
            statuses.append(http.get(f"https://{EX1}/EWS/Exchange.asmx", timeout=5).status_code)
    return statuses[0], statuses[1]


def told_inside(lab: Lab) -> str:
    """The host of MAPI that Autodiscover tells to somebody on the old server."""
    person = staff(lab)[0]
    return Walker(lab, person, INSIDE).discover(person).url.split("/")[2]


def told_outside(lab: Lab) -> str:
    """Where EWS is, as V2 tells everybody."""
    with session(lab) as http:
        url = f"https://{EX16}{v2.Request(staff(lab)[0].address, v2.EWS).encode()}"
        found = v2.decode(http.get(url, timeout=5).content)
    return found.url if isinstance(found, v2.Found) else found.code


def cookies(lab: Lab) -> tuple[str, ...]:
    """The cookies of a MAPI session at the node."""
    person = staff(lab)[0]
    with client(lab, person, server="ls-ex1") as mapi:
        mapi.connect(lab.web.people.legacy(person))
        return tuple(name for name, _ in mapi.jar.cookies)


def shown(cmdlet: str, name: str) -> Look:
    """A property of each server's object."""

    def look(lab: Lab) -> list[str]:
        found = Shell(lab.world, "LS-EX1").objects(cmdlet)
        return [str(one[name]) for one in found]

    return look


OWA_WELL = ("200", "200")
BYPASS = f"https://{NAMESPACE}/ews/exchange.asmx"
EWS_URL = f"https://{NAMESPACE}/EWS/Exchange.asmx"
INTEGRATED = "Negotiate, NTLM"
ASA = r"LINDENSTADT\svc-exchange-asa$"
# fault: its target, what to look at, what it is when all is well, what it is with the fault
SEEN: dict[str, tuple[str, Look, Any, Any]] = {
    "web-error": (r"LS-EX1\mapi", both, OWA_WELL, ("500", "200")),
    "web-drops": (r"ls-ex1\MAPI", both, OWA_WELL, ("cut", "200")),
    "web-half-answers": (r"LS-EX1\mapi", both, OWA_WELL, ("half an answer", "200")),
    "web-hangs": (r"LS-EX1\mapi", both, OWA_WELL, ("no answer in time", "200")),
    "web-slow": (r"LS-EX1\ews", other_path, OWA_WELL, ("no answer in time", "200")),
    "web-redirect-loop": ("LS-EX1", loops, 0, 4),
    "web-cookies-lost": (r"LS-EX1\mapi", cookies, ("MapiContext", "MapiSequence"), ()),
    "directory-basic-only": (r"LS-EX1\ews", offered, f"{INTEGRATED} | {INTEGRATED}",
                             f"Basic | {INTEGRATED}"),
    "extended-protection-differs": (r"LS-EX1\ews", bound, (200, 200), (200, 401)),
    "url-names-server": (r"LS-EX16\mapi", told_inside, NAMESPACE, EX16),
    "url-outside-missing": (r"LS-EX16\ews", told_outside, EWS_URL, "ProtocolNotSupported"),
    "ews-bypass-url": (r"LS-EX1\ews", shown("Get-WebServicesVirtualDirectory",
                                            "InternalNLBBypassUrl"),
                       ["None"] * 3, ["None", BYPASS, "None"]),
    "mrs-proxy-on": (r"LS-EX2\ews", shown("Get-WebServicesVirtualDirectory", "MRSProxyEnabled"),
                     ["False"] * 3, ["False", "False", "True"]),
    "kerberos-account-on-one": ("LS-EX1", shown("Get-ClientAccessService",
                                                "AlternateServiceAccountConfiguration"),
                                ["None"] * 3, ["None", ASA, "None"]),
}  # fmt: skip


@in_lab
@pytest.mark.parametrize("name", SEEN)
async def test_clients_see_the_fault_while_it_is_on(lab: Lab, name: str) -> None:
    target, look, healthy, ill = SEEN[name]
    assert await asyncio.to_thread(look, lab) == healthy
    lab.faults.on(name, target)
    assert await asyncio.to_thread(look, lab) == ill
    lab.faults.off(name, target)
    assert await asyncio.to_thread(look, lab) == healthy
    for wrong in (r"LS-EX1\nothing", r"nobody\mapi", "nobody"):
        with pytest.raises(BadTarget):
            lab.faults.on(name, wrong)


def test_every_fault_of_client_access_is_tried_here() -> None:
    mine = {name for name, kind in kinds().items() if kind.family == "client_access"}
    assert mine == set(SEEN)


@in_lab
async def test_two_faults_of_one_directory_do_not_mix(lab: Lab) -> None:
    lab.faults.on("web-slow", r"LS-EX1\mapi")
    with pytest.raises(AlreadyChanged):
        lab.faults.on("web-slow", "LS-EX1")
    lab.faults.on("web-error", "LS-EX1")
    lab.faults.off("web-slow", r"LS-EX1\mapi")
    assert await asyncio.to_thread(other_path, lab) == ("500", "500")


@in_lab
async def test_a_hanging_directory_holds_nobody_else_up(lab: Lab) -> None:
    lab.faults.on("web-hangs", r"LS-EX1\mapi")
    waits = asyncio.ensure_future(asyncio.to_thread(health, lab, EX1, patience_s=LONG_S))
    assert await asyncio.to_thread(health, lab, EX1, "ews", LONG_S) == "200"
    assert await asyncio.to_thread(health, lab, EX2, "mapi", LONG_S) == "200"
    assert not waits.done()
    lab.faults.all_off()
    assert await waits == "200"


# lines and ports


def tcp(lab: Lab, server: str, port: int) -> str:
    """Whether somebody takes connections there."""
    machine = next(one for one in lab.layout.exchange if one.name == server)
    try:
        socket.create_connection((machine.address, lab.layout.port(port)), timeout=2).close()
    except ConnectionRefusedError:
        return "refused"
    return "open"


@in_lab
@pytest.mark.parametrize(
    ("port", "told"), [(25, {25}), (443, {443, 80}), (587, {587}), (5985, {5985, 5986})]
)
async def test_one_closed_port_is_closed_and_no_other(lab: Lab, port: int, told: set[int]) -> None:
    async def closed() -> set[int]:
        def ask() -> set[int]:
            assert tcp(lab, EX2, port) == "open"
            ports = (25, 80, 443, 587, 5985, 5986)
            return {one for one in ports if tcp(lab, EX1, one) == "refused"}

        return await asyncio.to_thread(ask)

    async def becomes(wanted: set[int]) -> None:
        async with asyncio.timeout(20):  # listeners look ten times a second
            while await closed() != wanted:
                await asyncio.sleep(0.05)

    assert await closed() == set()
    lab.faults.on("port-closed", f"LS-EX1:{port}")
    await becomes(told)
    lab.faults.off("port-closed", f"LS-EX1:{port}")
    await becomes(set())
    for wrong in ("LS-EX1:26", "LS-EX1", "nobody:25", "LS-EX1:x"):
        with pytest.raises(BadTarget):
            lab.faults.on("port-closed", wrong)


def somebody_at(lab: Lab, server: str) -> Mailbox:
    """Moves somebody onto a server."""
    person = staff(lab)[0 if server == "LS-EX1" else 1]
    databases = lab.organisation.databases.values()
    person.database = next(one.name for one in databases if one.server == server)
    return person


def proxied(lab: Lab, front: str, home: str) -> tuple[int, float]:
    """Status and seconds of a request to one server for a mailbox on another."""
    person = somebody_at(lab, home)
    with session(lab) as http:
        http.auth = (person.account, password(person))
        url = f"https://{front}/Microsoft-Server-ActiveSync"
        found = http.options(url, timeout=5)
        return found.status_code, found.elapsed.total_seconds()


@in_lab
async def test_the_port_between_servers_is_needed_by_the_others_only(lab: Lab) -> None:
    async def seen() -> list[int]:
        ways = ((EX1, "LS-EX1"), (EX2, "LS-EX1"), (EX1, "LS-EX2"))
        return [(await asyncio.to_thread(proxied, lab, *way))[0] for way in ways]

    assert await seen() == [200, 200, 200]
    lab.faults.on("port-closed", "LS-EX1:444")
    assert await seen() == [200, 503, 200]
    lab.faults.all_off()
    lab.faults.on("back-end-certificate-missing", "LS-EX1")
    assert await seen() == [503, 503, 200]
    assert await asyncio.to_thread(health, lab, EX1) == "200"
    lab.faults.all_off()
    assert await seen() == [200, 200, 200]


@in_lab
async def test_a_line_that_is_cut_one_way_is_open_the_other_way(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mailmig.lab.web.front_end.GIVES_UP_S", 0.5)
    lab.faults.on("line-one-way", r"rathaus\STADTHAUS")
    status, took_s = await asyncio.to_thread(proxied, lab, EX1, "LS-EX2")
    assert status == 503 and took_s >= 0.5
    assert (await asyncio.to_thread(proxied, lab, EX2, "LS-EX1"))[0] == 200
    assert (await asyncio.to_thread(proxied, lab, EX2, "LS-EX2"))[0] == 200
    lab.faults.all_off()
    assert (await asyncio.to_thread(proxied, lab, EX1, "LS-EX2"))[0] == 200
    for wrong in ("Rathaus", r"Rathaus\Rathaus", r"Rathaus\Mond"):
        with pytest.raises(BadTarget):
            lab.faults.on("line-one-way", wrong)


@in_lab
async def test_a_slow_line_is_felt_by_who_is_proxied_over_it_only(lab: Lab) -> None:
    async def longer(home: str) -> float:
        """Seconds that a request to EX1 takes more than without the fault."""
        lab.faults.all_off()
        _, before = await asyncio.to_thread(proxied, lab, EX1, home)
        lab.faults.on("line-slow")
        status, after = await asyncio.to_thread(proxied, lab, EX1, home)
        assert status == 200
        return after - before

    assert await longer("LS-EX2") > 1.0 > await longer("LS-EX1")


# mail


def extensions(lab: Lab, server: str) -> set[str]:
    """What a server offers after EHLO."""
    machine = next(one for one in lab.layout.exchange if one.name == server)
    with smtplib.SMTP(machine.address, lab.layout.port(25), timeout=LONG_S) as smtp:
        smtp.ehlo("probe.example")
        return set(smtp.esmtp_features)


@in_lab
async def test_without_a_certificate_for_smtp_there_is_no_starttls(lab: Lab) -> None:
    shell = Shell(lab.world, "LS-EX1")
    before = shell.objects("Get-ExchangeCertificate")
    assert "starttls" in await asyncio.to_thread(extensions, lab, EX1)
    lab.faults.on("smtp-no-starttls", "ls-ex1")
    assert "starttls" not in await asyncio.to_thread(extensions, lab, EX1)
    assert "starttls" in await asyncio.to_thread(extensions, lab, EX2)
    lab.faults.all_off()
    assert "starttls" in await asyncio.to_thread(extensions, lab, EX1)
    assert len(shell.objects("Get-ExchangeCertificate")) == len(before)


def written(lab: Lab, to: Mailbox, subject: str) -> list[str]:
    """Sends a letter through the gateway; the servers that took it in, as far as it arrived."""
    where = lab.layout.gateway.address, lab.layout.port(25)
    letter = f"From: a@out.example\r\nSubject: {subject}\r\n\r\nGuten Tag\r\n"
    with smtplib.SMTP(*where, timeout=LONG_S) as smtp:
        smtp.sendmail("a@out.example", [to.address], letter)
    return hops(lab, to, subject)


def hops(lab: Lab, to: Mailbox, subject: str) -> list[str]:
    with lab.world.lock:
        items = lab.world.contents.items(to, "inbox")
        found = [one for one in items if one.stored and one.subject == subject]
        received = [value for one in found for name, value in one.headers if name == "Received"]
    return [text for text in received if "Frontend Transport" in text and "relay." in text]


@in_lab
async def test_a_gateway_with_one_next_hop_keeps_the_mail_when_that_is_gone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.organisation, "answering", "LS-EX1")
    person = somebody_at(lab, "LS-EX2")
    assert await asyncio.to_thread(written, lab, person, "before")
    lab.faults.on("gateway-one-next-hop", "LS-EX2")
    (hop,) = await asyncio.to_thread(written, lab, person, "while")
    assert f"by {EX2}" in hop
    components = lab.world.components("LS-EX2")
    components.ask("FrontendTransport", "Maintenance", "Inactive", lab.organisation.now)
    assert await asyncio.to_thread(written, lab, person, "kept") == []
    lab.faults.off("gateway-one-next-hop", "LS-EX2")
    with lab.world.lock:
        lab.world.delivering.settle()
    (hop,) = await asyncio.to_thread(hops, lab, person, "kept")
    assert f"by {EX1}" in hop
    components.ask("FrontendTransport", "Maintenance", "Active", lab.organisation.now)
