"""Our WinRM client against the lab's."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.windows import Answer, WindowsEndpoint
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.command import BadCommand
from mailmig.model.errors import MailmigError, MissingExtra
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.model.windows import ClusterNode, NodeState, SystemStart, WindowsAnswer
from mailmig.sources.remote_errors import (
    BrokenReply,
    CmdletFailed,
    CmdletNotAllowed,
    LoginRefused,
    NoSuchObject,
    NotShownAgain,
    SchemeNotOffered,
    ShellExpired,
    TlsNotTrusted,
    TookTooLong,
    Unreachable,
    WrongEndpoint,
)
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.windows import Windows, WindowsSettings
from mailmig.store.logons import Logons
from mailmig.wire.clixml import Obj
from mailmig.wire.windows_answers import asked, printed
from tests.lab.remote_servers import Clock
from tests.sources.remote_lab import until
from tests.sources.test_exchange_failures import listening

ADDRESS = "127.0.3.4"
SERVER = "ex1.town.example"
PASSWORD = Secret("Grün-Passw0rd!")
NODES = [("EX1", 0), ("EX2 ü€", 2)]


def row(**members: Any) -> Obj:
    return Obj(("System.Management.Automation.PSCustomObject", "System.Object"), extended=members)


@dataclass
class Machine:
    """What the lab's machine answers; `mood` says how."""

    accounts: Accounts
    service: Service
    endpoint: WindowsEndpoint
    authority: Path
    addresses: AddressMap
    clock: Clock
    tls: Listener
    mood: str = ""
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    def settings(self, **more: Any) -> WindowsSettings:
        options: dict[str, Any] = {
            "account": "TOWN\\anna", "password": PASSWORD, "scheme": Scheme.NTLM,
            "ca_file": self.authority, "connect_timeout_s": 3.0, "answer_timeout_s": 8.0,
        }  # fmt: skip
        return WindowsSettings(**(options | more))

    def client(self, **more: Any) -> Windows:
        return Windows(SERVER, self.settings(**more), self.addresses, now=self.clock)

    async def answers(self, account: Account, script: str) -> Answer | None:
        found = asked(script)
        if found is None or self.mood == "unknown":
            return None
        self.heard.append(found)
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            return await self._answer(found[0])
        finally:
            self.running -= 1

    async def _answer(self, name: str) -> Answer:
        if self.mood == "silent":
            await asyncio.sleep(3600)
        if self.mood == "slow":
            await asyncio.sleep(0.3)
        if self.mood in ERRORS:
            category, fq_id, reason, _ = ERRORS[self.mood]
            failed = row(MailmigError="Geht nicht", Category=category, Id=fq_id, Reason=reason)
            return Answer(printed([failed]))
        if name == "boot_time":
            now = self.clock()
            start = row(Name="EX1", Version="10.0", StartedAt=now - timedelta(days=9), Now=now)
            return Answer(printed([start]))
        nodes = NODES * (2000 if self.mood == "many" else 1)
        return Answer(printed([row(Name=n, State=s, Weight=1, DynamicWeight=1) for n, s in nodes]))


ERRORS: dict[str, tuple[int, str, str, type[MailmigError]]] = {
    "missing": (13, "CommandNotFoundException", "CommandNotFoundException", CmdletNotAllowed),
    "nothing": (13, "NoNode,Get-ClusterNode", "ClusterObjectNotFound", NoSuchObject),
    "denied": (18, "AccessDenied,Get-Cluster", "ClusterCmdletException", CmdletFailed),
}


@asynccontextmanager
async def machine(folder: Path, path: str = "/wsman", **options: Any) -> AsyncIterator[Machine]:
    authority = Authority()
    accounts, clock = Accounts([Account("anna", "town.example", PASSWORD)]), Clock()
    endpoint = WindowsEndpoint(lambda account, script: made.answers(account, script), path=path)
    service = Service("EX1", accounts, [endpoint], now=clock, **options)
    context = authority.certificate(SERVER).context()
    tls, plain = Listener(service, ADDRESS, tls=context), Listener(service, ADDRESS)
    async with Server(service, tls, plain):
        addresses = {(SERVER, 5986): tls.where, (SERVER, 5985): plain.where}
        file = authority.write(folder / "ca.pem")
        made = Machine(accounts, service, endpoint, file, addresses, clock, tls)
        yield made
        await until(lambda: made.running == 0)
        await until(lambda: len(service.shells) == 0)
    await until(lambda: not [t for t in threading.enumerate() if t.name.startswith("windows")])


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine(tmp_path) as running:
        yield running


async def ask(windows: Windows, name: str = "cluster_nodes", **given: Any) -> WindowsAnswer:
    async with asyncio.timeout(20):
        return await windows.run(name, **given)


@pytest.mark.parametrize(
    "how",
    [{}, {"tls": False, "ca_file": None}, {"scheme": Scheme.BASIC}],
    ids=["ntlm-https", "ntlm-http-sealed", "basic-https"],
)
async def test_scripts_answer_with_typed_facts(server: Machine, how: dict[str, Any]) -> None:
    server.endpoint.progress_noise = True
    async with server.client(**how) as windows:
        answer = await ask(windows)
        start = await ask(windows, "boot_time")
    assert answer.facts == tuple(ClusterNode(name, NodeState(s), 1, 1) for name, s in NODES)
    assert (answer.server, answer.script, answer.origin) == (SERVER, "cluster_nodes", "winrm")
    assert answer.seen_at == datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    (fact,) = start.facts
    assert isinstance(fact, SystemStart) and fact.uptime == timedelta(days=9)


async def test_arguments_reach_the_machine_as_they_are(server: Machine) -> None:
    names = ["'; Remove-Item C:\\ #", "$(x)", "Ünï €\n"]
    server.mood = "denied"
    async with server.client() as windows:
        with pytest.raises(CmdletFailed):
            await ask(windows, "services", names=names)
    assert server.heard == [("services", {"names": names})]


@pytest.mark.parametrize("mood", ERRORS)
async def test_errors_of_a_script_are_typed(server: Machine, mood: str) -> None:
    server.mood = mood
    async with server.client() as windows:
        with pytest.raises(ERRORS[mood][3]) as caught:
            await ask(windows)
    assert "Geht nicht" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given_"),
    [("format_disk", {}), ("services", {}), ("volumes", {"x": "y"}),
     ("services", {"names": ["x" * 50] * 200})],
)  # fmt: skip
async def test_what_is_no_script_of_ours_never_leaves(
    server: Machine, name: str, given_: dict[str, Any]
) -> None:
    async with server.client() as windows:
        with pytest.raises(BadCommand, match="nothing was sent"):
            await ask(windows, name, **given_)
    assert not server.accounts.attempts


async def test_long_answers_come_whole(server: Machine) -> None:
    server.mood = "many"
    async with server.client() as windows:
        assert len((await ask(windows)).facts) == 4000


async def test_what_a_machine_does_not_know_is_told_with_its_words(server: Machine) -> None:
    server.mood = "unknown"
    async with server.client() as windows:
        with pytest.raises(BrokenReply, match="not recognized"):
            await ask(windows)


@pytest.mark.parametrize("how", [{}, {"tls": False, "ca_file": None}, {"scheme": Scheme.BASIC}])
async def test_a_wrong_password_is_shown_exactly_once(server: Machine, how: dict[str, Any]) -> None:
    async with server.client(password=Secret("falsch"), **how) as windows:
        answers = await asyncio.gather(*(ask(windows) for _ in range(4)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [LoginRefused] + [NotShownAgain] * 3
        assert "is not shown again" in str(answers[3])
    assert [attempt.accepted for attempt in server.accounts.attempts] == [False]


async def test_a_machine_whose_negotiate_is_kerberos_alone_has_seen_no_password(
    tmp_path: Path,
) -> None:
    async with machine(tmp_path, schemes=("Negotiate",), takes_ntlm=False) as server:
        gate = LogonGate(Logons(tmp_path / "state"))
        async with Windows(SERVER, server.settings(), server.addresses, gate) as windows:
            with pytest.raises(SchemeNotOffered, match="it offers kerberos"):
                await ask(windows)
    assert not list((tmp_path / "state" / "logons").glob("*.json"))


async def test_questions_wait_for_their_turn(server: Machine) -> None:
    server.mood = "slow"
    async with server.client(parallel=2) as windows:
        await asyncio.gather(*(ask(windows) for _ in range(5)))
    assert server.most_running == 2


async def test_kerberos_that_is_not_installed_is_named(
    server: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "gssapi", None)
    async with server.client(scheme=Scheme.KERBEROS) as windows:
        with pytest.raises(MissingExtra):
            await ask(windows)
    assert not server.accounts.attempts


async def test_certificates_are_checked(
    server: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority().write(tmp_path / "other.pem")
    for file in (other, None):
        async with server.client(ca_file=file) as windows:
            with pytest.raises(TlsNotTrusted):
                await ask(windows)
    assert not server.accounts.attempts
    with caplog.at_level(logging.WARNING):
        async with server.client(ca_file=None, unverified=True) as windows:
            await asyncio.gather(ask(windows), ask(windows))
    assert len([r for r in caplog.records if "NOT checked" in r.message]) == 1


async def test_no_machine_no_answer_and_half_an_answer_are_unreachable(server: Machine) -> None:
    settings = server.settings(connect_timeout_s=1.0, answer_timeout_s=2.0)
    async with Windows(SERVER, settings, {(SERVER, 5986): ("127.0.3.9", 9)}) as windows:
        with pytest.raises(Unreachable, match="refused"):
            await ask(windows)
    async with listening(None, port=5986) as addresses:
        start = time.monotonic()
        async with Windows(SERVER, settings, addresses) as windows:
            with pytest.raises(Unreachable, match="in time"):
                await ask(windows)
        assert time.monotonic() - start < 8
    for fault in ("truncate_at", "hang"):
        setattr(server.service.switches, fault, 300 if fault == "truncate_at" else True)
        async with Windows(SERVER, settings, server.addresses) as windows:
            with pytest.raises(Unreachable):
                await ask(windows)
        setattr(server.service.switches, fault, None if fault == "truncate_at" else False)
    await server.service.expire_shells()


async def test_compressed_and_slow_answers_do_no_harm(server: Machine) -> None:
    server.service.switches.compress, server.service.switches.delay_s = True, 0.1
    async with server.client() as windows:
        assert len((await ask(windows)).facts) == 2


async def test_another_path_is_told_as_the_wrong_place(tmp_path: Path) -> None:
    async with machine(tmp_path, path="/other") as server, server.client() as windows:
        with pytest.raises(WrongEndpoint, match="404"):
            await ask(windows)


async def test_a_shell_that_expires_meanwhile_is_told(server: Machine) -> None:
    server.mood = "silent"
    async with server.client() as windows:
        asking = asyncio.ensure_future(ask(windows))
        await until(lambda: server.running)
        await server.service.expire_shells()
        with pytest.raises(ShellExpired):
            await asking


async def test_a_silent_script_is_stopped_when_patience_ends(server: Machine) -> None:
    server.mood = "silent"
    async with server.client(patience_s=0.5) as windows:
        with pytest.raises(TookTooLong):
            await ask(windows)


@pytest.mark.parametrize("tls", [True, False])
async def test_a_cancelled_question_leaves_nothing_running(server: Machine, tls: bool) -> None:
    server.mood = "silent"
    how = {} if tls else {"tls": False, "ca_file": None}
    async with server.client(**how) as windows:
        asking = asyncio.ensure_future(ask(windows))
        await until(lambda: server.running)
        asking.cancel()
        start = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert time.monotonic() - start < 0.5
        await until(lambda: server.running == 0, 4)
        server.mood = ""
        assert len((await ask(windows)).facts) == 2
