"""Mail servers of a small town after its migration, for tests of one protocol."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from mailmig.lab.accounts import Accounts
from mailmig.lab.afterwards import migrate
from mailmig.lab.contents import INBOX, Message
from mailmig.lab.founding import found
from mailmig.lab.population import Mailbox
from mailmig.lab.server_tls import SMTP
from mailmig.lab.smtp import MailServer
from mailmig.lab.smtp_visits import ExchangeHost, GatewayHost
from mailmig.lab.story import read as read_story
from mailmig.lab.web.people import People
from mailmig.lab.web.whole import add_staff
from mailmig.lab.world import World
from mailmig.model.directory import Kind

M, P, OLD = "LS-EX1", "LS-EX2", "LS-EX16"
OUTSIDER = "x@out.example"
HOST = "127.0.0.1"


class MailTown:
    """The world, its authority and a server each: one node and the gateway."""

    def __init__(self) -> None:
        story = read_story("town")
        organisation = found(story, 80)
        migrate(organisation, story)
        self.world = World(organisation)
        self.accounts = Accounts()
        add_staff(self.world, self.accounts)
        self.authority = self.world.tls.authority
        people = People(self.world)
        node = organisation.server(M)
        self.name = node.fqdn
        self.gateway_name = organisation.smart_host
        self.node = MailServer(
            ExchangeHost(self.world, people, M, HOST), self.accounts,
            self.world.tls.of(M, SMTP).context, HOST, {25: 0, 587: 0},
        )  # fmt: skip
        self.gateway = MailServer(
            GatewayHost(self.world, people, self.gateway_name), self.accounts,
            self.authority.certificate(self.gateway_name, HOST).context(), HOST, {25: 0},
        )  # fmt: skip

    @property
    def staff(self) -> list[Mailbox]:
        """People who use their mailboxes; each receives what the nodes deliver."""
        members = self.world.organisation.dag.servers
        databases = self.world.organisation.databases
        return [
            one for one in self.world.organisation.present(Kind.USER)
            if one.last_logon is not None and databases[one.database].server in members
        ]  # fmt: skip

    def inbox(self, mailbox: Mailbox, subject: str) -> list[Message]:
        """What lies in somebody's inbox with this subject."""
        with self.world.lock:
            items = self.world.contents.items(mailbox, INBOX)
            return [one for one in items if one.stored and one.subject == subject]


@asynccontextmanager
async def mail_town() -> AsyncIterator[MailTown]:
    """Both servers listening."""
    town = MailTown()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(town.node)
        await stack.enter_async_context(town.gateway)
        yield town


def password(mailbox: Mailbox) -> str:
    return f"lab-only-{mailbox.account}"


def letter(subject: str, text: str = "Guten Tag") -> bytes:
    return f"From: {OUTSIDER}\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()
