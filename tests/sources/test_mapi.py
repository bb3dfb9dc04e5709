"""Walks into mailboxes of the lab: what is seen, and how often a password is shown."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from mailmig.lab.running.whole import Lab
from mailmig.lab.web.people import password
from mailmig.model.mapi import Discovered, Walk
from mailmig.model.secret import Secret
from mailmig.model.web import Stage
from mailmig.sources.autodiscover import Autodiscover
from mailmig.sources.mapi import Mapi
from mailmig.sources.remote_errors import LoginRefused
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.web import Web, WebSettings
from mailmig.sources.web_session import Credential, Logons
from tests.lab.running_lab import addresses, running

MAIL, AUTODISCOVER = "mail.lindenstadt.example", "autodiscover.lindenstadt.example"


@dataclass
class Town:
    """A running town, somebody in it, and a shared mailbox that he opens."""

    lab: Lab
    account: str
    own: str
    shared: str

    @property
    def inside(self) -> tuple[str, ...]:
        return tuple(machine.address for machine in self.lab.layout.exchange)

    @property
    def outside(self) -> tuple[str, ...]:
        return tuple(machine.address for machine in self.lab.layout.web_gateways)

    def client(
        self, secret: Secret | None = None, scheme: Scheme = Scheme.NTLM, timeout_s: float = 10.0
    ) -> tuple[Autodiscover, Mapi]:
        """Ours, with the right password unless another one is given."""
        places = {(to, port): (to, at) for (_, port), (to, at) in addresses(self.lab).items()}
        web = Web(WebSettings(ca_file=self.lab.folder / "ca.pem", timeout_s=timeout_s), places)
        right = password(self.account.rpartition("\\")[2])
        credentials = {self.own: Credential(self.account, secret or right, scheme)}
        logons = Logons(LogonGate())
        return Autodiscover(web, logons, credentials), Mapi(web, logons, credentials)

    async def discovered(self, client: Autodiscover, mailbox: str) -> Discovered:
        return await client.discover(self.inside[0], AUTODISCOVER, mailbox, self.own)

    async def walk(self, client: tuple[Autodiscover, Mapi], mailbox: str, address: str) -> Walk:
        """Where Autodiscover says that a mailbox is, at one address."""
        own = await self.discovered(client[0], self.own)
        said = await self.discovered(client[0], mailbox)
        parts = urlsplit(said.mapi_inside)
        return await client[1].walk(
            address, MAIL, f"{parts.path}?{parts.query}", self.own, own.legacy_dn, said.legacy_dn
        )

    def attempts(self) -> list[bool]:
        return [one.accepted for one in self.lab.accounts.attempts]


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[Town]:
    async with asyncio.timeout(180), running(tmp_path, cut_over=True, mailboxes=60) as lab:
        _, example = lab.web.examples()
        own, shared = example.what.split(", opens ")
        yield Town(lab, example.logon_name, own, shared)


async def test_own_and_shared_mailbox_are_entered_at_every_address(town: Town) -> None:
    client = town.client()
    people = town.lab.web.people
    for address in (*town.inside, *town.outside):
        for name in (town.own, town.shared):
            walk = await town.walk(client, name, address)
            assert walk.is_whole, walk
            mailbox = people.addressed(name)
            assert mailbox is not None
            assert walk.owner and walk.mailbox_guid == str(mailbox.exchange_guid)
            assert [step.name for step in walk.steps] == [
                "PING", "Connect", "RopLogon", "RopOpenFolder", "Disconnect",
            ]  # fmt: skip
            assert walk.back_end == people.home(mailbox).name
            assert walk.size is not None and walk.size > 0
    assert all(town.attempts())


async def test_a_right_password_is_let_in_however_many_ask_at_once(town: Town) -> None:
    discover, _ = town.client()
    said = await asyncio.gather(
        *(discover.discover(place, AUTODISCOVER, town.own, town.own) for place in town.inside * 4)
    )
    assert [one.let_in for one in said] == [True] * 4 * len(town.inside)
    assert all(town.attempts())


@pytest.mark.parametrize("many", [1, 12])
async def test_a_wrong_password_is_shown_once_however_many_ask(town: Town, many: int) -> None:
    discover, _ = town.client(Secret("falsch"))
    places = (town.inside * many)[:many]
    said = await asyncio.gather(
        *(discover.discover(place, AUTODISCOVER, town.own, town.own) for place in places),
        return_exceptions=True,
    )
    refused = [one for one in said if isinstance(one, Discovered)]
    assert [one.let_in for one in refused] == [False]
    assert all(isinstance(one, LoginRefused | Discovered) for one in said)
    assert town.attempts() == [False]


async def test_a_refusal_at_one_address_is_proved_where_the_password_was_let_in(
    town: Town,
) -> None:
    """Extended Protection behind another certificate: the password is right all the same."""
    client = town.client()
    first = await town.walk(client, town.own, town.inside[0])
    assert first.is_whole
    _protect(town, ("LS-EX16", "LS-EX1", "LS-EX2"))
    for address in town.outside:
        walk = await town.walk(client, town.own, address)
        assert (walk.let_in, walk.offered) == (False, ("Negotiate", "NTLM"))
        last = walk.last
        assert last is not None and (last.name, last.status) == ("logon", 401)
    again = await town.walk(client, town.own, town.inside[1])
    assert again.is_whole, "the account is not given up for what a proxy does"
    assert not _is_locked(town)


async def test_a_scheme_that_is_not_offered_is_not_shown_anything(town: Town) -> None:
    client = town.client(scheme=Scheme.BASIC)
    walk = await town.walk(client, town.own, town.inside[0])
    assert (walk.let_in, walk.offered) == (None, ("Negotiate", "NTLM"))
    assert [step.name for step in walk.steps] == ["knock"]


async def test_a_hanging_server_ends_the_walk_in_time(town: Town) -> None:
    client = town.client()
    own = await town.discovered(client[0], town.own)
    _, hasty = town.client(timeout_s=0.5)
    town.lab.faults.on("server-hangs", "LS-EX2")
    parts = urlsplit(own.mapi_inside)
    path = f"{parts.path}?{parts.query}"
    async with asyncio.timeout(60):
        while True:  # connections that were open when it began to hang are cut
            walk = await hasty.walk(
                town.inside[2], MAIL, path, town.own, own.legacy_dn, own.legacy_dn
            )
            assert walk.last is not None
            if walk.last.trouble is not None and walk.last.trouble.timed_out:
                break
    assert walk.last.trouble.stage in (Stage.TCP, Stage.TLS, Stage.HTTP)
    assert walk.took_s < 5


def _protect(town: Town, servers: Iterable[str]) -> None:
    for server in servers:
        town.lab.faults.on("extended-protection-differs", rf"{server}\mapi")


def _is_locked(town: Town) -> bool:
    account = town.lab.accounts.find(town.account)
    assert account is not None
    return town.lab.accounts.is_locked(account)
