"""A running town, somebody in it with a shared mailbox that he opens, and our clients for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mailmig.lab.contents import INBOX
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.people import password
from mailmig.model.mail import SMTP_PORT
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.web import Web, WebSettings
from mailmig.sources.web_session import Credential, Logons
from tests.lab.running_lab import addresses, running

MAIL, AUTODISCOVER = "mail.lindenstadt.example", "autodiscover.lindenstadt.example"
PATH = "/EWS/Exchange.asmx"


@dataclass
class WaysTown:
    """`own` and `shared` are addresses; the mailboxes behind them are `person` and `common`."""

    lab: Lab
    account: str
    own: str
    shared: str

    @property
    def person(self) -> Mailbox:
        return self._mailbox(self.own)

    @property
    def common(self) -> Mailbox:
        return self._mailbox(self.shared)

    def _mailbox(self, address: str) -> Mailbox:
        found = self.lab.web.people.addressed(address)
        assert found is not None
        return found

    @property
    def inside(self) -> tuple[str, ...]:
        """The old server, and both new ones."""
        return tuple(machine.address for machine in self.lab.layout.exchange)

    @property
    def outside(self) -> tuple[str, ...]:
        return tuple(machine.address for machine in self.lab.layout.web_gateways)

    @property
    def takers(self) -> dict[str, str]:
        """Who takes mail: addresses by names."""
        return {one.name: one.address for one in self.lab.layout if SMTP_PORT in one.services}

    @property
    def places(self) -> AddressMap:
        """Where the addresses of the town are."""
        return {(to, port): (to, at) for (_, port), (to, at) in addresses(self.lab).items()}

    def web(self, timeout_s: float = 10.0) -> Web:
        settings = WebSettings(ca_file=self.lab.folder / "ca.pem", timeout_s=timeout_s)
        return Web(settings, self.places)

    def credentials(self, secret: Secret | None = None) -> dict[str, Credential]:
        """With the right password unless another one is given."""
        right = password(self.account.rpartition("\\")[2])
        return {self.own: Credential(self.account, secret or right)}

    async def switch_off(self, server: str, address: str) -> None:
        """The machine is down; back when nobody listens there any more."""
        self.lab.faults.on("server-down", server)
        with suppress(ConnectionError):
            while True:
                _, writer = await asyncio.open_connection(*self.places[address, 443])
                writer.close()

    def attempts(self) -> list[bool]:
        return [one.accepted for one in self.lab.accounts.attempts]

    def subjects(self) -> list[str]:
        """What lies in the person's inbox beside the made-up messages."""
        with self.lab.world.lock:
            items = self.lab.world.contents.items(self.person, INBOX)
            return [one.subject for one in items if one.stored]


def logons() -> Logons:
    return Logons(LogonGate())


@asynccontextmanager
async def ways_town(folder: Path) -> AsyncIterator[WaysTown]:
    """A small town after the cut-over of its names; its mailboxes are still on the old server."""
    async with asyncio.timeout(180), running(folder, cut_over=True, mailboxes=60) as lab:
        _, example = lab.web.examples()
        own, shared = example.what.split(", opens ")
        yield WaysTown(lab, example.logon_name, own, shared)
