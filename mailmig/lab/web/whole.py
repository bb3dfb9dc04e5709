"""All web servers of a world: what they share, and the front end of each."""

from collections.abc import Iterator
from dataclasses import dataclass

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.population import Mailbox
from mailmig.lab.web.autodiscover import Autodiscover
from mailmig.lab.web.directories import Directories
from mailmig.lab.web.entry_points import ActiveSync, AddressBooks, RpcProxy, WebPages
from mailmig.lab.web.ews.service import WebServices
from mailmig.lab.web.front_end import BackEnd, FrontEnd
from mailmig.lab.web.mapi.service import MapiService
from mailmig.lab.web.people import People, password
from mailmig.lab.world import World
from mailmig.lab.wsman.listening import Application
from mailmig.model.directory import Kind


@dataclass(frozen=True, slots=True)
class Example:
    """An account to try something with, and what for."""

    logon_name: str
    password: str
    what: str


class Web:
    """The web side of a world."""

    def __init__(self, world: World, accounts: Accounts) -> None:
        self._world = world
        self._accounts = accounts
        self.people = People(world)
        self.directories = Directories(world)
        self.address_books = AddressBooks(self.people)
        pages = WebPages()
        autodiscover = Autodiscover(world, self.people, self.directories)
        self.back_ends: dict[str, BackEnd] = {
            "owa": pages,
            "ecp": pages,
            "oab": self.address_books,
            "microsoft-server-activesync": ActiveSync(),
            "rpc": RpcProxy(self.people),
            "ews": WebServices(world, self.people),
            "autodiscover": autodiscover,
            "mapi": MapiService(world, self.people, self.directories, autodiscover.mapi_urls),
        }

    def front_end(self, server: str, remote_powershell: Application) -> FrontEnd:
        """What listens on a server's web ports."""
        return FrontEnd(
            self._world, server, self._accounts, self.people, self.directories, self.back_ends,
            remote_powershell,
        )  # fmt: skip

    def examples(self) -> Iterator[Example]:
        """Somebody with a mailbox, and somebody who opens a shared one beside his own."""
        organisation = self.people.organisation
        staff = [one for one in organisation.present(Kind.USER) if one.last_logon is not None]
        if staff:
            yield self._example(staff[0], f"mailbox {staff[0].address}")
        for person in staff[1:]:
            shared = [one for one in self.people.opens(person) if one.kind is Kind.SHARED]
            if shared:
                yield self._example(person, f"{person.address}, opens {shared[0].address}")
                return

    def _example(self, person: Mailbox, what: str) -> Example:
        name = rf"{self.people.organisation.netbios}\{person.account}"
        return Example(name, password(person.account).reveal(), what)

    def runs(self, server: str) -> bool:
        """Whether the server's IIS runs."""
        return self.directories.iis_runs(server)


def add_staff(world: World, accounts: Accounts) -> None:
    """Everybody with a mailbox of his own may log on; the password follows from the account."""
    organisation = world.organisation
    for mailbox in organisation.present(Kind.USER):
        secret = password(mailbox.account)
        accounts.add(
            Account(mailbox.account, organisation.netbios, secret, dns=organisation.domain)
        )
