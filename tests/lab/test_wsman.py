"""Strangers knock at the lab's WS-Management service: curl, requests, pypsrp, and rubbish."""

import asyncio
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import requests
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.secret import Secret
from tests.lab.remote_servers import (
    ADDRESS,
    NAME,
    PASSWORD,
    PLAIN_PASSWORD,
    Machine,
    envelope,
    invoke,
    machine,
    names,
    outside,
)
from tests.lab.strangers import needs

CREATE = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"
DELETE = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete"


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine(tmp_path) as running:
        yield running


def fault_code(response: requests.Response) -> str:
    found = re.search(r'Code="(\d+)"', response.text)
    assert response.status_code == 500, response.text
    assert found is not None, response.text
    return found.group(1)


async def curl(*words: str) -> str:
    """Head and body of curl's answer."""
    process = await asyncio.create_subprocess_exec(
        needs("curl"), "--silent", "--include", "--noproxy", "*", "--max-time", "10", *words,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


async def test_curl_is_told_how_to_log_on(server: Machine) -> None:
    said = await curl(f"{server.plain.url}/PowerShell")
    assert said.startswith("HTTP/1.1 401")
    assert re.findall("(?i)www-authenticate: (.*)\r", said) == [
        "Negotiate", "NTLM", 'Basic realm="WSMAN"',
    ]  # fmt: skip


async def test_curl_logs_on_with_basic_and_ntlm(server: Machine) -> None:
    secure = ["--cacert", str(server.authority), f"{server.tls.url}/powershell/", "--data", ""]
    for scheme in ("--basic", "--ntlm"):
        said = await curl(scheme, "--user", f"TOWN\\carl:{PLAIN_PASSWORD}", *secure)
        assert said.split("HTTP/1.1 ")[-1].startswith("200"), (scheme, said)
    refused = await curl("--basic", "--user", f"{NAME}:wrong", *secure)
    assert refused.startswith("HTTP/1.1 401")


async def test_only_its_own_paths_and_posts_are_served(server: Machine) -> None:
    user = ["--basic", "--user", f"{NAME}:{PASSWORD}"]
    assert (await curl(*user, f"{server.plain.url}/owa")).startswith("HTTP/1.1 404")
    assert (await curl(*user, f"{server.plain.url}/PowerShell")).startswith("HTTP/1.1 405")


async def test_an_unencrypted_message_is_refused_over_plain_http(server: Machine) -> None:
    body = envelope(DELETE)
    plain = {"auth": (NAME, PASSWORD.encode())}
    url = f"{server.plain.url}/PowerShell"
    refused = await outside(requests.post, url, body, timeout=10, **plain)
    assert refused.status_code == 403
    server.service.allow_unencrypted = True
    allowed = await outside(requests.post, url, body, timeout=10, **plain)
    assert fault_code(allowed) == "2150858843"


async def test_pypsrp_may_speak_unencrypted_where_that_is_allowed(server: Machine) -> None:
    with pytest.raises(WinRMTransportError):
        await outside(server.wsman("basic", encryption="never").get_server_config)
    server.service.allow_unencrypted = True

    def talk() -> list[str]:
        with server.pool("basic", encryption="never") as pool:
            return names(invoke(pool, "Get-Mailbox"))

    assert await outside(talk) == ["user0", "user1", "user2"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nonsense", "2150858817"),
        (b"<a/>", "2150858817"),
        (b"\xff\xfe\x00<", "2150858817"),
        (b'<!DOCTYPE x [<!ENTITY e "e">]>' + envelope(CREATE), "2150858817"),
        (b'<?xml version="1.0" encoding="klingon"?>' + envelope(CREATE), "2150858817"),
        (envelope("http://town.example/Dance"), "2150858771"),
        (envelope(CREATE, uri="http://schemas.microsoft.com/powershell/Town"), "2150858811"),
        (envelope(CREATE), "87"),
        (envelope(CREATE, "<rsp:Shell/>"), "87"),
        (envelope(DELETE, shell="not a shell"), "2150858843"),
    ],
)
async def test_a_broken_request_gets_a_fault(server: Machine, body: bytes, code: str) -> None:
    response = await outside(server.post, body)
    assert fault_code(response) == code
    assert len(server.service.shells) == 0


async def test_a_fault_names_the_request_and_the_machine(server: Machine) -> None:
    body = envelope(DELETE, message="uuid:&lt;4711&gt;")
    response = await outside(server.post, body)
    assert "<a:RelatesTo>uuid:&lt;4711&gt;</a:RelatesTo>" in response.text
    assert 'Machine="EX1"' in response.text


async def test_a_huge_body_is_refused(server: Machine) -> None:
    response = await outside(server.post, b"x" * (6 * 1024**2))
    assert response.status_code == 413


async def test_a_locked_account_gets_the_answer_of_a_wrong_password(server: Machine) -> None:
    def answers(password: str) -> tuple[int, str, dict[str, str]]:
        found = server.post(b"", auth=(NAME, password.encode()))
        return found.status_code, found.text, dict(found.headers)

    wrong = [await outside(answers, "wrong") for _ in range(2)]
    assert (await outside(answers, PASSWORD))[0] == 200
    assert server.accounts.wrong("anna") == 0
    wrong += [await outside(answers, "wrong") for _ in range(3)]
    assert [await outside(answers, PASSWORD)] * 5 == wrong
    server.accounts.unlock("anna")
    assert (await outside(answers, PASSWORD))[0] == 200


@pytest.mark.parametrize("kind", ["ntlm", "negotiate", "ntlm-https", "basic-https"])
async def test_a_wrong_password_is_one_attempt(server: Machine, kind: str) -> None:
    def knock(**who: str) -> None:
        with pytest.raises(AuthenticationError), server.pool(kind, **who):
            pass

    await outside(knock, password="wrong")
    assert server.accounts.wrong("anna") == 1
    await outside(knock, username="TOWN\\nobody")
    assert [attempt.accepted for attempt in server.accounts.attempts] == [False, False]


@pytest.mark.parametrize("kind", ["ntlm", "negotiate"])
async def test_a_locked_account_cannot_log_on_with_ntlm(server: Machine, kind: str) -> None:
    for _ in range(3):
        server.accounts.refused("anna", "LDAP")

    def knock() -> None:
        with pytest.raises(AuthenticationError), server.pool(kind):
            pass

    await outside(knock)


@pytest.mark.parametrize("name", ["anna", "anna@town.example", "town.example\\Anna", "town\\ANNA"])
async def test_a_name_may_be_written_in_many_ways(server: Machine, name: str) -> None:
    def talk() -> int:
        with server.pool("ntlm", username=name) as pool:
            return len(invoke(pool, "Get-Mailbox").output)

    assert await outside(talk) == 3
    assert {attempt.accepted for attempt in server.accounts.attempts} == {True}


async def test_a_connection_that_logged_on_stays_logged_on_and_no_other(server: Machine) -> None:
    def talk() -> tuple[int, int]:
        with server.pool("ntlm-https") as pool:
            for _ in range(3):
                invoke(pool, "Get-Mailbox")
            other = server.post(b"", auth=None)
            return len(server.accounts.attempts), other.status_code

    assert await outside(talk) == (1, 401)


async def test_nobody_uses_a_shell_of_somebody_else(server: Machine) -> None:
    def talk() -> str:
        with server.pool() as pool:
            body = envelope(DELETE, shell=pool.id)
            return fault_code(server.post(body, auth=("TOWN\\bert", PASSWORD.encode())))

    assert await outside(talk) == "2150858843"


async def test_a_shell_expires_when_the_world_moved_on(server: Machine) -> None:
    def talk() -> None:
        with server.pool() as pool:
            server.clock.pass_(timedelta(minutes=14))
            invoke(pool, "Get-Mailbox")
            server.clock.pass_(timedelta(minutes=16))
            invoke(pool, "Get-Mailbox")

    with pytest.raises(WSManFaultError) as caught:
        await outside(talk)
    assert caught.value.code == 2150858843


async def test_shells_can_be_made_to_expire_at_once(server: Machine) -> None:
    loop = asyncio.get_running_loop()

    def talk() -> None:
        with server.pool() as pool:
            expire = asyncio.run_coroutine_threadsafe(server.service.expire_shells(), loop)
            expire.result(5)
            assert not pool.is_alive()
            invoke(pool, "Get-Mailbox")

    with pytest.raises(WSManFaultError) as caught:
        await outside(talk)
    assert caught.value.code == 2150858843


async def test_an_account_has_only_so_many_shells(tmp_path: Path) -> None:
    async with machine(tmp_path, shells_per_account=2) as server:

        def talk() -> None:
            with server.pool(), server.pool("basic-https", username="TOWN\\bert"), server.pool():
                with server.pool("basic-https", username="TOWN\\bert"):
                    pass
                with server.pool():
                    pass

        with pytest.raises(WSManFaultError) as caught:
            await outside(talk)
        assert caught.value.code == 2150859173


async def test_iis_compresses_unless_told_not_to(server: Machine) -> None:
    server.service.switches.compress = True
    body = envelope(DELETE)
    for accepted, encoding in (("gzip, deflate", "gzip"), ("identity", None)):
        response = await outside(server.post, body, headers={"Accept-Encoding": accepted})
        assert response.headers.get("Content-Encoding") == encoding
        assert fault_code(response) == "2150858843"
    shell = await outside(server.call, "Get-Mailbox")
    assert names(shell) == ["user0", "user1", "user2"]


async def test_pypsrp_lives_with_the_stray_blank_of_iis(server: Machine) -> None:
    server.service.switches.stray_blank = True
    shell = await outside(server.call, "Get-Mailbox", kind="ntlm")
    assert names(shell) == ["user0", "user1", "user2"]


async def test_a_slow_server_answers_late(server: Machine) -> None:
    server.service.switches.delay_s = 0.3
    start = asyncio.get_running_loop().time()
    await outside(server.post, envelope(DELETE))
    assert asyncio.get_running_loop().time() - start >= 0.3


async def test_a_hanging_server_answers_nothing_until_it_is_let_go(server: Machine) -> None:
    server.service.switches.hang = True
    with pytest.raises(requests.ReadTimeout):
        await outside(server.post, envelope(DELETE), timeout=0.5)
    waiting = asyncio.ensure_future(outside(server.post, envelope(DELETE)))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    server.service.switches.hang = False
    assert fault_code(await waiting) == "2150858843"


async def test_an_answer_can_be_cut(server: Machine) -> None:
    server.service.switches.truncate_at = 100
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        await outside(server.post, envelope(DELETE))


async def test_half_open_connections_do_not_hold_up_the_end(tmp_path: Path) -> None:
    opened = []
    async with machine(tmp_path) as server:
        for listener in (server.plain, server.tls):
            for words in (
                b"",
                b"POST /PowerShell HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
            ):
                one = socket.create_connection(listener.where, timeout=5)
                one.sendall(words)
                opened.append(one)
        await asyncio.sleep(0.1)
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - start < 1.8
    for one in opened:
        one.close()


async def test_a_server_that_hangs_ends_at_once(tmp_path: Path) -> None:
    async with machine(tmp_path) as server:
        server.service.switches.hang = True
        waiting = asyncio.ensure_future(outside(server.post, envelope(DELETE)))
        await asyncio.sleep(0.3)
        start = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - start < 1.8
    with pytest.raises(requests.ConnectionError):
        await waiting


async def test_rubbish_on_the_socket_is_survived(server: Machine) -> None:
    async def throw(listener: Listener, words: bytes) -> None:
        reader, writer = await asyncio.open_connection(*listener.where)
        writer.write(words)
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()

    for words in (b"\x00\x01\x02\r\n\r\n", b"GET", b"POST / HTTP/9.9\r\n\r\n", b"\x16\x03\x01"):
        await throw(server.plain, words)
        await throw(server.tls, words)
    assert (await outside(server.post, b"")).status_code == 200


async def test_a_taken_port_is_an_error_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with machine(tmp_path) as server:
        service = Service("EX2", Accounts(), [])
        free = Listener(service, ADDRESS)
        taken = Listener(service, *server.plain.where)
        with pytest.raises(OSError, match="in use"):
            async with Server(service, free, taken):
                pass
        with pytest.raises(OSError):
            socket.create_connection(free.where, timeout=2).close()


async def test_a_server_starts_and_ends_in_no_time_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    loop = asyncio.get_running_loop()
    async with machine(tmp_path):
        pass
    start = loop.time()
    for _ in range(20):
        service = Service("EX1", Accounts(), [])
        async with Server(service, Listener(service, ADDRESS)):
            pass
    assert loop.time() - start < 1
    assert set(threading.enumerate()) <= before


async def test_certificates_are_those_of_the_authority_and_have_their_time() -> None:
    authority, stranger = Authority(), Authority()
    now = datetime.now(UTC)
    day = timedelta(days=1)
    service = Service("EX1", Accounts(), [])

    async def visit(certificate: Any, trusted: Authority) -> str:
        context = ssl.create_default_context(cadata=trusted.pem.decode())
        listener = Listener(service, ADDRESS, tls=certificate.context())
        async with listener:
            try:
                _, writer = await asyncio.open_connection(*listener.where, ssl=context)
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
            writer.close()
            return ""

    good = authority.certificate(ADDRESS)
    assert await visit(good, authority) == ""
    assert "unable to get local issuer" in await visit(good, stranger)
    old = authority.certificate(ADDRESS, since=now - 2 * day, until=now - day)
    assert "expired" in await visit(old, authority)
    early = authority.certificate(ADDRESS, since=now + day, until=now + 2 * day)
    assert "not yet valid" in await visit(early, authority)
    assert "mismatch" in await visit(authority.certificate("ex9.town.example"), authority)


async def test_accounts_of_one_organisation_are_counted_over_all_its_servers(
    tmp_path: Path,
) -> None:
    shared = Accounts([Account("anna", "town.example", Secret(PASSWORD))])
    async with (
        machine(tmp_path / "one", accounts=shared) as one,
        machine(tmp_path / "two", accounts=shared) as other,
    ):
        for server in (one, other, one):
            await outside(server.post, b"", auth=(NAME, "wrong"))
        assert shared.is_locked(next(iter(shared)))
