"""The directory of the town: two controllers, one of them late, and who may ask them."""

import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mailmig.lab import founding, story
from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.directory import DomainController, Forest, Standing
from mailmig.lab.organisation import Organisation
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret

with warnings.catch_warnings():
    # ldap3 2.9.1 calls parts of pyasn1 by names that are deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException

__all__ = ["LDAPException", "ldap3"]  # for tests, so that only one place knows this

DELAY = timedelta(minutes=15)
READER = "LINDENSTADT\\leser"
ADMIN = "LINDENSTADT\\verwalter"
PASSWORD = Secret("Nur-im-Labor-1")
DACL_ONLY = ("1.2.840.113556.1.4.801", True, b"\x30\x03\x02\x01\x04")


class Clock:
    """The world's time; a test moves it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Town:
    """What a test holds of the town's directory."""

    organisation: Organisation
    clock: Clock
    forest: Forest
    accounts: Accounts
    authority: Authority
    first: DomainController
    second: DomainController

    @property
    def base(self) -> str:
        return self.forest.base

    @property
    def addresses(self) -> AddressMap:
        """(name, standard port) -> (address, port) of both controllers."""
        found = {}
        for controller in (self.first, self.second):
            found[controller.fqdn, 389] = controller.where
            found[controller.fqdn, 636] = controller.secure
        return found

    def url(self, controller: DomainController | None = None) -> str:
        host, port = (controller or self.first).where
        return f"ldap://{host}:{port}"

    def ca_file(self, folder: Path) -> Path:
        return self.authority.write(folder / "ca.pem")

    @contextmanager
    def connection(self, user: str = READER, **options: Any) -> Iterator[Any]:
        """A stock ldap3 connection, logged on; call it in a thread."""
        url = self.url(options.pop("at", None))
        with stock(url, user, PASSWORD.reveal(), auto_referrals=False, **options) as found:
            assert found.bind(), found.result
            yield found


@contextmanager
def stock(server: Any, user: str | None, password: str | None, **options: Any) -> Iterator[Any]:
    """A stock ldap3 connection that is not logged on yet; its socket is closed in any case."""
    if isinstance(server, str):
        server = ldap3.Server(server, get_info=ldap3.NONE, connect_timeout=2)
    connection: Any = ldap3.Connection(server, user, password, receive_timeout=3, **options)
    try:
        yield connection
    finally:
        with suppress(LDAPException, OSError):
            connection.unbind()
        if connection.socket is not None:
            connection.socket.close()


def founded(mailboxes: int | None = None, seed: int = 1) -> Organisation:
    """The town of the story, or one of another size."""
    return founding.found(story.read("town"), mailboxes, seed)


@asynccontextmanager
async def running(
    organisation: Organisation, *, change: Callable[[Town], None] | None = None
) -> AsyncIterator[Town]:
    """Both controllers on free ports; `change` may set switches before they start."""
    clock = Clock(organisation.now)
    standing = Standing("ls-dc1", "Rathaus"), Standing("ls-dc2", "Stadthaus", delay=DELAY)
    forest = Forest(organisation, clock, controllers=standing)
    accounts = Accounts(
        [
            Account("leser", "LINDENSTADT", PASSWORD),
            Account("verwalter", "LINDENSTADT", PASSWORD, frozenset({"Domain Admins"})),
        ]
    )
    authority = Authority()
    made = []
    for name, host in (("ls-dc1", "127.0.1.10"), ("ls-dc2", "127.0.2.10")):
        certificate = authority.certificate(f"{name}.{organisation.domain}")
        made.append(DomainController(forest, name, accounts, host=host, certificate=certificate))
    town = Town(organisation, clock, forest, accounts, authority, *made)
    if change is not None:
        change(town)
    async with town.first, town.second:
        yield town
