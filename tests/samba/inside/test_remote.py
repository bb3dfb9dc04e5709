"""Remote PowerShell and WinRM with Kerberos: our clients, and stock pypsrp, at the lab's servers.

The lab's servers have keytabs from Samba and take, like Exchange's own endpoint, no NTLM.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pypsrp.exceptions import AuthenticationError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.windows import Answer, WindowsEndpoint
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.command import Command
from mailmig.model.errors import MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.model.windows import SystemStart
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.kerberos_errors import NoTicket, TicketRefused, UnknownService
from mailmig.sources.remote_errors import LoginRefused
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.windows import Windows, WindowsSettings
from mailmig.wire.windows_answers import asked, printed
from tests.samba.controller import ADDRESS
from tests.samba.inside.conftest import READER, STRANGER, UNLUCKY_THERE, Town
from tests.samba.inside.test_logons import kinit, wrong_attempts
from tests.sources.remote_lab import Town as Cmdlets
from tests.sources.test_windows import row

COMMAND = Command("Get-Mailbox", (("ResultSize", 20),))
WAYS = [True, False]


@dataclass
class Here:
    """One server with Exchange and WinRM, and the ways to it."""

    town: Town
    name: str
    accounts: Accounts
    authority: Path
    tls: Listener
    plain: Listener
    addresses: AddressMap

    def options(self, tls: bool, more: dict[str, Any]) -> dict[str, Any]:
        return {
            "account": f"{READER.name}@{self.town.organisation.domain}",
            "password": READER.password, "scheme": Scheme.KERBEROS, "tls": tls,
            "ca_file": self.authority if tls else None, "connect_timeout_s": 5.0,
            "answer_timeout_s": 10.0,
        } | more  # fmt: skip

    def exchange(self, tls: bool = True, gate: LogonGate | None = None, **more: Any) -> Exchange:
        settings = ExchangeSettings(**self.options(tls, more))
        return Exchange(self.name, settings, self.addresses, gate)

    def windows(self, tls: bool = True, gate: LogonGate | None = None, **more: Any) -> Windows:
        settings = WindowsSettings(**self.options(tls, more))
        return Windows(self.name, settings, self.addresses, gate)


async def scripts(account: Account, script: str) -> Answer | None:
    found = asked(script)
    if found is None or found[0] != "boot_time":
        return None
    now = datetime.now(UTC)
    start = row(Name="EX1", Version="10.0", StartedAt=now - timedelta(days=9), Now=now)
    return Answer(printed([start]))


@asynccontextmanager
async def serving(town: Town, folder: Path, host: str = "ls-ex1") -> AsyncIterator[Here]:
    """The lab's server of this name, with the keys of ls-ex1."""
    name = f"{host}.{town.organisation.domain}"
    keytab = town.controller.keytab(f"HTTP/ls-ex1.{town.organisation.domain}")
    accounts = Accounts([Account(READER.name, town.organisation.domain, READER.password)])
    authority = Authority()
    service = Service(
        "LS-EX1", accounts, [ExchangeEndpoint(Cmdlets()), WindowsEndpoint(scripts)],
        schemes=("Negotiate", "Kerberos"), keytab=keytab, takes_ntlm=False,
    )  # fmt: skip
    context = authority.certificate(name).context()
    tls, plain = Listener(service, ADDRESS, tls=context), Listener(service, ADDRESS)
    async with Server(service, tls, plain):
        secure, open_ = tls.where, plain.where
        ways = {443: secure, 80: open_, 5986: secure, 5985: open_}
        addresses = {(name, port): where for port, where in ways.items()}
        yield Here(town, name, accounts, authority.write(folder / "ca.pem"), tls, plain, addresses)


@pytest_asyncio.fixture(name="here")
async def _here(town: Town, tmp_path: Path) -> AsyncIterator[Here]:
    async with serving(town, tmp_path) as found:
        yield found


async def names(exchange: Exchange) -> list[Any]:
    async with asyncio.timeout(40):
        asked_for = exchange.ask(COMMAND, ("Name",), cut_ok=True)
        return [item.adapted.get("Name", item.extended.get("Name")) async for item in asked_for]


async def fails(exchange: Exchange, kind: type[MailmigError]) -> MailmigError:
    with pytest.raises(kind) as caught:
        await names(exchange)
    return caught.value


@pytest.mark.parametrize("tls", WAYS, ids=["https", "http-sealed"])
async def test_exchange_takes_a_ticket_made_of_a_password(tls: bool, here: Here) -> None:
    async with here.exchange(tls) as exchange:
        assert await names(exchange) == [f"user{number}" for number in range(20)]
    assert {attempt.name for attempt in here.accounts.attempts if attempt.accepted} == {
        f"{READER.name}@{here.town.controller.realm}"
    }


async def test_a_ticket_that_is_bound_to_another_certificate_is_refused(here: Here) -> None:
    """As behind a proxy that shows its own."""
    assert here.tls.tls is not None
    here.tls.tls.end_point = b"tls-server-end-point:" + bytes(32)
    async with here.exchange() as exchange:
        await fails(exchange, LoginRefused)


@pytest.mark.parametrize("tls", WAYS, ids=["https", "http-sealed"])
async def test_both_channels_take_the_ticket_of_whoever_runs_it(
    tls: bool, here: Here, tmp_path: Path
) -> None:
    kinit(here.town, tmp_path / "tickets")
    async with here.exchange(tls, account="", password=None) as exchange:
        assert len(await names(exchange)) == 20
    async with here.windows(tls, account="", password=None) as windows:
        answer = await windows.run("boot_time")
    assert isinstance(answer.facts[0], SystemStart)


@pytest.mark.parametrize("tls", WAYS, ids=["https", "http-sealed"])
async def test_winrm_takes_a_ticket_made_of_a_password(tls: bool, here: Here) -> None:
    async with here.windows(tls) as windows:
        for _ in range(3):
            answer = await windows.run("boot_time")
            assert isinstance(answer.facts[0], SystemStart)


async def test_a_wrong_password_is_shown_once_over_all_channels(here: Here) -> None:
    gate = LogonGate()
    before = await wrong_attempts(here.town, UNLUCKY_THERE)
    wrong: dict[str, Any] = {
        "account": f"{UNLUCKY_THERE.name}@{here.town.organisation.domain}", "password": Secret("falsch3")
    }  # fmt: skip
    async with here.exchange(gate=gate, **wrong) as exchange:
        error = await fails(exchange, TicketRefused)
        assert "wrong password" in str(error) and "tried once" in str(error)
        await fails(exchange, LoginRefused)
    async with here.exchange(gate=gate, **wrong) as exchange:
        await fails(exchange, LoginRefused)
    async with here.windows(gate=gate, **wrong) as windows:
        with pytest.raises(LoginRefused):
            await windows.run("boot_time")
    assert await wrong_attempts(here.town, UNLUCKY_THERE) == before + 1
    assert not here.accounts.attempts


async def test_an_account_that_the_server_does_not_know_is_refused_but_not_its_password(
    here: Here,
) -> None:
    gate = LogonGate()
    right: dict[str, Any] = {"account": f"{STRANGER.name}@{here.town.organisation.domain}",
             "password": STRANGER.password}  # fmt: skip
    async with here.exchange(gate=gate, **right) as exchange:
        await fails(exchange, LoginRefused)
    async with here.town.directory(gate, **right) as asked_there:
        assert len(await asked_there.servers()) == 3


async def test_without_a_ticket_kinit_is_named(here: Here) -> None:
    async with here.exchange(account="", password=None) as exchange:
        await fails(exchange, NoTicket)
    async with here.windows(account="", password=None) as windows:
        with pytest.raises(NoTicket):
            await windows.run("boot_time")


async def test_a_server_without_a_service_name_is_told_from_a_refusal(
    town: Town, tmp_path: Path
) -> None:
    async with serving(town, tmp_path, "mail") as here:
        async with here.exchange() as exchange:
            error = await fails(exchange, UnknownService)
        assert f"setspn -S HTTP/{here.name}" in str(error)
        async with here.windows() as windows:
            with pytest.raises(UnknownService):
                await windows.run("boot_time")


def stock(here: Here, auth: str, tls: bool, encryption: str) -> list[Any]:
    """What pypsrp by itself gets, with nothing of ours between."""
    host, port = (here.tls if tls else here.plain).where
    assert host == ADDRESS
    with (
        WSMan(
            here.name, port=port, ssl=tls, path="PowerShell", auth=auth, encryption=encryption,
            cert_validation=str(here.authority),  # type: ignore[arg-type]
            negotiate_service="HTTP", no_proxy=True,
            username=f"{READER.name}@{here.town.controller.realm}",
            password=READER.password.reveal(),
        ) as wsman,
        RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool,
    ):  # fmt: skip
        shell = PowerShell(pool).add_cmdlet("Get-Mailbox").add_parameter("ResultSize", 20)
        found: list[Any] = shell.invoke()
        return found


@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
@pytest.mark.parametrize(
    ("tls", "encryption"), [(True, "auto"), (True, "always"), (False, "always")]
)
async def test_stock_pypsrp_logs_on_with_kerberos(
    auth: str, tls: bool, encryption: str, here: Here
) -> None:
    found = await asyncio.to_thread(stock, here, auth, tls, encryption)
    assert len(found) == 20


async def test_stock_pypsrp_gets_nowhere_with_ntlm(here: Here) -> None:
    with pytest.raises(AuthenticationError):
        await asyncio.to_thread(stock, here, "ntlm", True, "auto")
    assert not [attempt for attempt in here.accounts.attempts if attempt.accepted]
