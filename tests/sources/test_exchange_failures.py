"""Our client of remote PowerShell meets servers that refuse, hang, break off or forget."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mailmig.lab.certificates import Authority
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.model.command import Command
from mailmig.model.errors import UNREACHABLE, BadFile, MailmigError, MissingExtra
from mailmig.model.secret import Secret
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.remote_errors import (
    BrokenReply,
    LoginRefused,
    RemotingNotAllowed,
    SchemeNotOffered,
    ServerFault,
    ShellExpired,
    TlsNotTrusted,
    TookTooLong,
    TooManySessions,
    Unreachable,
    WrongEndpoint,
)
from mailmig.sources.remote_faults import of_fault
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import Scheme
from mailmig.store.logons import Logons
from tests.sources.remote_lab import ADDRESS, LATER, SERVER, Lab, Town, lab, until
from tests.sources.test_exchange import FEW, client, get, names


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as running:
        yield running


async def fails(exchange: Exchange, error: type[MailmigError], command: Command = FEW) -> Any:
    with pytest.raises(error) as caught:
        await names(exchange, command)
    return caught.value


# logging on


@pytest.mark.parametrize(
    ("scheme", "tls"), [(Scheme.BASIC, True), (Scheme.NTLM, True), (Scheme.NTLM, False)]
)
async def test_a_wrong_password_is_shown_exactly_once(
    server: Lab, scheme: Scheme, tls: bool
) -> None:
    async with client(server, scheme=scheme, tls=tls, password=Secret("falsch")) as exchange:
        answers = await asyncio.gather(
            *(names(exchange, FEW) for _ in range(4)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [LoginRefused] * 4
        error = await fails(exchange, LoginRefused)
    assert [attempt.accepted for attempt in server.accounts.attempts] == [False]
    assert server.accounts.wrong("anna") == 1
    assert "tried once" in str(error) and "falsch" not in str(error)
    assert error.exit_code == UNREACHABLE


async def test_a_password_that_changes_meanwhile_is_noticed_once(server: Lab) -> None:
    async with client(server, scheme=Scheme.NTLM, parallel=2) as exchange:
        assert len(await names(exchange, get("slow"))) == 2
        account = server.accounts.find("anna")
        assert account is not None
        server.accounts.add(type(account)(account.name, account.domain, Secret("neu")))
        await server.service.expire_shells()
        await fails(exchange, LoginRefused)
        await fails(exchange, LoginRefused)
    assert server.accounts.wrong("anna") == 1


async def test_giving_up_in_the_background_shows_a_wrong_password_to_nobody_else(
    server: Lab,
) -> None:
    """To stop a cmdlet whose connection was cut one has to log on once more."""
    async with client(server, scheme=Scheme.NTLM) as exchange:
        asking = asyncio.ensure_future(names(exchange, get("silent")))
        await until(server.town.begun.is_set)
        account = server.accounts.find("anna")
        assert account is not None
        server.accounts.add(type(account)(account.name, account.domain, Secret("neu")))
        asking.cancel()
        await until(lambda: server.accounts.wrong("anna") == 1)
        await until(lambda: not exchange._ending)
        for _ in range(3):
            await fails(exchange, LoginRefused)
    assert server.accounts.wrong("anna") == 1
    await server.service.expire_shells()


async def test_channels_that_share_a_gate_share_its_refusal(server: Lab) -> None:
    gate = LogonGate()
    wrong = server.settings(password=Secret("falsch"))
    async with Exchange(SERVER, wrong, server.addresses, gate) as exchange:
        await fails(exchange, LoginRefused)
    for scheme in (Scheme.BASIC, Scheme.NTLM):
        settings = server.settings(password=Secret("falsch"), scheme=scheme)
        async with Exchange(SERVER, settings, server.addresses, gate) as exchange:
            await fails(exchange, LoginRefused)
    assert server.accounts.wrong("anna") == 1


async def test_nothing_else_is_tried_where_the_scheme_is_not_offered(tmp_path: Path) -> None:
    async with lab(tmp_path, schemes=("Basic",)) as server:
        async with client(server, scheme=Scheme.NTLM) as exchange:
            error = await fails(exchange, SchemeNotOffered)
        assert error.offered == ("basic",)
        assert not server.accounts.attempts
    async with lab(tmp_path, schemes=("Negotiate",)) as server:
        async with client(server) as exchange:
            error = await fails(exchange, SchemeNotOffered)
        assert error.offered == ("negotiate",) and "set `scheme`" in str(error)
        assert not [attempt for attempt in server.accounts.attempts if attempt.accepted]


async def test_a_server_whose_negotiate_is_kerberos_alone_has_seen_no_password(
    tmp_path: Path,
) -> None:
    """As Exchange's own endpoint: it says 401 to the first word of NTLM."""
    gate = LogonGate(Logons(tmp_path / "state"))
    async with lab(tmp_path, schemes=("Negotiate", "Basic"), takes_ntlm=False) as server:
        settings = server.settings(scheme=Scheme.NTLM)
        async with Exchange(SERVER, settings, server.addresses, gate) as exchange:
            error = await fails(exchange, SchemeNotOffered)
        assert error.offered == ("kerberos",)
        basic = server.settings(scheme=Scheme.BASIC)
        async with Exchange(SERVER, basic, server.addresses, gate) as exchange:
            assert len(await names(exchange, FEW, cut_ok=True)) == 3
    assert not list((tmp_path / "state" / "logons").glob("*.json"))


async def test_without_kerberos_the_extra_is_named(
    server: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    async with client(server, scheme=Scheme.KERBEROS) as exchange:
        error = await fails(exchange, MissingExtra)
    assert "mailmig[kerberos]" in str(error)
    assert not server.accounts.attempts


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": Scheme.BASIC, "tls": False, "account": "a", "password": Secret("b")},
        {"scheme": Scheme.NTLM, "account": "a"},
        {"parallel": 0},
        {"answer_timeout_s": 0.0},
        {"unverified": True, "ca_file": Path("x")},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        ExchangeSettings(**options)


# certificates


async def test_an_unknown_authority_is_not_trusted(server: Lab, tmp_path: Path) -> None:
    other = Authority().write(tmp_path / "other.pem")
    for file in (other, None):
        async with client(server, ca_file=file) as exchange:
            error = await fails(exchange, TlsNotTrusted)
            assert "ca_file" in str(error) and SERVER in str(error)
    assert not server.accounts.attempts


async def test_authorities_of_the_environment_do_not_win(
    server: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority().write(tmp_path / "other.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.3.99:9")
    async with client(server) as exchange:
        assert len(await names(exchange, FEW, cut_ok=True)) == 3


async def test_an_expired_certificate_and_one_of_another_name_are_not_trusted(
    tmp_path: Path,
) -> None:
    authority = Authority()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    expired = authority.certificate(SERVER, since=past, until=past + timedelta(days=30))
    for certificate, word in ((expired, "expired"), (authority.certificate("mail.x"), "match")):
        async with lab(tmp_path, certificate=certificate) as server:
            file = authority.write(tmp_path / "right.pem")
            async with client(server, ca_file=file) as exchange:
                assert word in str(await fails(exchange, TlsNotTrusted))


async def test_a_file_without_certificates_is_named(server: Lab, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing", "utf-8")
    for file in (empty, tmp_path / "missing.pem"):
        async with client(server, ca_file=file) as exchange:
            assert str(file) in str(await fails(exchange, BadFile))


# the network


@asynccontextmanager
async def listening(
    answer: bytes | None, *, port: int = 443
) -> AsyncIterator[dict[tuple[str, int], tuple[str, int]]]:
    """A server that takes connections and says one thing, or nothing at all."""
    writers: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if answer is not None:
            await reader.read(10)
            writer.write(answer)
            await writer.drain()
            writer.close()

    running = await asyncio.start_server(greet, "127.0.3.2")
    try:
        yield {(SERVER, port): running.sockets[0].getsockname()[:2]}
    finally:
        running.close()
        for writer in writers:
            writer.transport.abort()
        await running.wait_closed()


async def test_a_server_that_is_not_there_is_unreachable(server: Lab) -> None:
    addresses = {(SERVER, 443): ("127.0.3.9", 9)}
    async with Exchange(SERVER, server.settings(), addresses) as exchange:
        error = await fails(exchange, Unreachable)
    assert f"{SERVER}:443: connection refused" in str(error)
    async with Exchange("no.such.example", server.settings()) as exchange:
        await fails(exchange, Unreachable)


@pytest.mark.parametrize("tls", [True, False])
async def test_a_half_open_connection_ends_in_time(server: Lab, tls: bool) -> None:
    settings = server.settings(
        tls=tls, scheme=Scheme.NTLM, connect_timeout_s=1.0, answer_timeout_s=1.0
    )
    async with listening(None, port=443 if tls else 80) as addresses:
        start = time.monotonic()
        async with Exchange(SERVER, settings, addresses) as exchange:
            assert "in time" in str(await fails(exchange, Unreachable))
        assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", Unreachable),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", MailmigError),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.3.9:9/x\r\n\r\n", WrongEndpoint),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", WrongEndpoint),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", RemotingNotAllowed),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 3\r\n\r\n<x>", ServerFault),
    ],
)
async def test_rubbish_is_told_as_something(
    server: Lab, said: bytes, error: type[MailmigError]
) -> None:
    settings = server.settings(scheme=Scheme.NTLM, tls=False, answer_timeout_s=3.0)
    async with (
        listening(said, port=80) as addresses,
        Exchange(SERVER, settings, addresses) as exchange,
    ):
        await fails(exchange, error)


async def test_no_tls_behind_the_port_of_tls_is_told(server: Lab) -> None:
    addresses = {(SERVER, 443): server.plain.where}
    async with Exchange(SERVER, server.settings(), addresses) as exchange:
        assert "TLS failed" in str(await fails(exchange, Unreachable))


@pytest.mark.parametrize("scheme", [Scheme.BASIC, Scheme.NTLM])
async def test_a_truncated_answer_is_no_answer(server: Lab, scheme: Scheme) -> None:
    async with client(server, scheme=scheme, tls=scheme is Scheme.BASIC) as exchange:
        assert len(await names(exchange, get("slow"))) == 2
        server.service.switches.truncate_at = 700
        assert "broke off" in str(await fails(exchange, Unreachable))
        server.service.switches.truncate_at = None
        assert len(await names(exchange, get("slow"))) == 2


async def test_a_hanging_server_is_unreachable_and_healthy_again_later(server: Lab) -> None:
    async with client(server, answer_timeout_s=1.0) as exchange:
        assert len(await names(exchange, get("slow"))) == 2
        server.service.switches.hang = True
        start = time.monotonic()
        await fails(exchange, Unreachable)
        assert time.monotonic() - start < 5
        server.service.switches.hang = False
        assert len(await names(exchange, get("slow"))) == 2
    await until(lambda: server.town.running == 0)


async def test_a_server_that_hangs_in_the_middle_is_given_up_in_time(server: Lab) -> None:
    """pypsrp would ask five times more, with longer and longer sleeps between: two minutes."""
    async with client(server, answer_timeout_s=1.0) as exchange:
        start = time.monotonic()
        with pytest.raises(Unreachable):
            async with aclosing(exchange.ask(get("forever"))) as objects:
                async for _ in objects:
                    server.service.switches.hang = True
        assert time.monotonic() - start < 8
        server.service.switches.hang = False
    await until(lambda: server.town.running == 0)


async def test_a_slow_server_is_waited_for(server: Lab) -> None:
    server.service.switches.delay_s = 0.7
    async with client(server, answer_timeout_s=2.0) as exchange:
        assert len(await names(exchange, get("slow"))) == 2


@pytest.mark.parametrize("scheme", [Scheme.BASIC, Scheme.NTLM])
async def test_oddities_of_iis_do_no_harm(server: Lab, scheme: Scheme) -> None:
    server.service.switches.compress = server.service.switches.stray_blank = True
    async with client(server, scheme=scheme, tls=scheme is Scheme.BASIC) as exchange:
        assert len(await names(exchange, FEW, cut_ok=True)) == 3


# the service


async def test_another_service_at_this_address_is_told_apart(tmp_path: Path) -> None:
    elsewhere = ExchangeEndpoint(Town(), path="/other")
    async with lab(tmp_path, endpoint=elsewhere) as server, client(server) as exchange:
        assert "404" in str(await fails(exchange, WrongEndpoint))
    other = ExchangeEndpoint(Town(), resource_uri="http://schemas.microsoft.com/powershell/Other")
    async with lab(tmp_path, endpoint=other) as server, client(server) as exchange:
        assert "resource URI" in str(await fails(exchange, WrongEndpoint))


async def test_too_many_sessions_are_told_as_that(tmp_path: Path) -> None:
    async with lab(tmp_path, shells_per_account=1) as server, client(server) as exchange:
        answers = await asyncio.gather(
            *(names(exchange, get("slow")) for _ in range(2)), return_exceptions=True
        )
        assert ["user0", "user1"] in answers
        assert any(isinstance(answer, TooManySessions) for answer in answers)


async def test_a_session_that_expired_while_idle_is_opened_again(server: Lab) -> None:
    async with client(server) as exchange:
        for identity in ("slow", "Müller"):
            assert await names(exchange, get(identity))
            server.clock.pass_(LATER)
            assert await exchange.send(Command("Set-Mailbox", (("Identity", identity),)))
    assert [call.name for call in server.town.called] == ["Get-Mailbox", "Set-Mailbox"] * 2


async def expiring(server: Lab, command: Command) -> list[str | None]:
    """Asks, and lets the server forget the session as soon as the cmdlet runs."""
    async with client(server, parallel=1) as exchange:
        asking = asyncio.ensure_future(names(exchange, command))
        await until(server.town.begun.is_set)
        await asyncio.sleep(0.1)
        await server.service.expire_shells()
        return await asking


async def test_a_reading_cmdlet_is_asked_again_once_when_nothing_came_yet(server: Lab) -> None:
    runs: list[int] = []
    usual = server.town._run

    def once(call: Any) -> Any:
        runs.append(1)
        return usual(call if len(runs) == 1 else type(call)(call.name, (("Identity", "slow"),)))

    server.town._run = once  # type: ignore[method-assign]
    assert await expiring(server, get("silent")) == ["user0", "user1"]
    assert len(runs) == 2


async def test_a_changing_cmdlet_is_never_sent_twice(server: Lab) -> None:
    with pytest.raises(ShellExpired, match="not known"):
        await expiring(server, Command("Set-Mailbox", (("Identity", "silent"),)))
    assert len(server.town.called) == 1


async def test_objects_that_came_are_not_given_twice(server: Lab) -> None:
    with pytest.raises(ShellExpired):
        await expiring(server, get("forever"))
    assert len(server.town.called) == 1


async def test_an_object_that_cannot_be_read_is_told(server: Lab) -> None:
    async with client(server) as exchange:
        assert "object 1" in str(await fails(exchange, BrokenReply, get("broken")))
        assert len(await names(exchange, FEW, cut_ok=True)) == 3


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (2150858843, ShellExpired), (2150858811, WrongEndpoint), (2150859173, TooManySessions),
        (2150858793, Unreachable), (5, RemotingNotAllowed), ("w:InternalError", ServerFault),
    ],
)  # fmt: skip
def test_every_fault_has_its_meaning(code: object, error: type[MailmigError]) -> None:
    made = of_fault(code, "Grund", SERVER, 443, "anna", FEW)
    assert type(made) is error
    assert SERVER in str(made) and made.exit_code == UNREACHABLE


async def test_a_silent_cmdlet_is_stopped_when_patience_ends(server: Lab) -> None:
    async with client(server, patience_s=0.5) as exchange:
        error = await fails(exchange, TookTooLong, get("silent"))
        assert "0.5 s" in str(error)
        await until(lambda: server.town.running == 0)


# giving up


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("exchange")}


async def waits(condition: Callable[[], bool]) -> float:
    start = time.monotonic()
    await until(condition)
    return time.monotonic() - start


@pytest.mark.parametrize("scheme", [Scheme.BASIC, Scheme.NTLM])
async def test_a_cancelled_question_leaves_nothing_running(server: Lab, scheme: Scheme) -> None:
    before = threads()
    async with client(server, scheme=scheme, tls=scheme is Scheme.BASIC) as exchange:
        for identity in ("silent", "forever"):
            server.town.begun.clear()
            asking = asyncio.ensure_future(names(exchange, get(identity)))
            await until(server.town.begun.is_set)
            await asyncio.sleep(0.05)
            asking.cancel()
            start = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await asking
            assert time.monotonic() - start < 0.5
            assert await waits(lambda: server.town.running == 0) < 3
            assert await waits(lambda: len(server.service.shells) == 0) < 3
        assert len(await names(exchange, FEW, cut_ok=True)) == 3
    await until(lambda: threads() <= before)


async def test_a_loop_that_ends_early_ends_the_cmdlet(server: Lab) -> None:
    async with client(server) as exchange:
        async with aclosing(exchange.ask(get("forever"))) as objects:
            async for _ in objects:
                break
        await until(lambda: server.town.running == 0)
        assert len(await names(exchange, FEW, cut_ok=True)) == 3


async def test_a_question_can_be_cancelled_while_it_connects(server: Lab) -> None:
    settings = server.settings(connect_timeout_s=1.0)
    async with listening(None) as addresses, Exchange(SERVER, settings, addresses) as exchange:
        asking = asyncio.ensure_future(names(exchange, FEW))
        await asyncio.sleep(0.2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    await until(lambda: not threads())


async def test_the_lab_listens_where_the_map_says(server: Lab) -> None:
    assert server.addresses[SERVER, 443][0] == ADDRESS
    upper = {(name.upper() + ".", port): to for (name, port), to in server.addresses.items()}
    async with Exchange(SERVER, server.settings(), upper) as exchange:
        assert len(await names(exchange, FEW, cut_ok=True)) == 3
