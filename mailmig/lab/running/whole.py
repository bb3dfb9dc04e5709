"""The whole lab of one story, running.

    async with Lab(story.read("town"), folder) as lab:
        lab.settings                    # the mailmig.toml that leads there
        lab.layout.addresses()          # (name, standard port) -> (address, port)

The world lives at `speed` seconds per second of ours. Sessions expire and signatures and
certificates are checked by the real clock, since the clients live by that one.
"""

import asyncio
import math
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mailmig.lab import founding
from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.cmdlets.engine import ExchangeCmdlets
from mailmig.lab.directory import DomainController, Forest, Standing
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.faults.switchboard import Switchboard
from mailmig.lab.running import folder as files
from mailmig.lab.running.layout import (
    HTTP,
    HTTPS,
    LDAP,
    LDAPS,
    WINRM,
    WINRM_TLS,
    CannotListen,
    Layout,
    Machine,
)
from mailmig.lab.running.scripts import Scripts
from mailmig.lab.running.zones import DELAY, KEY, name_servers
from mailmig.lab.story import Story
from mailmig.lab.windows import WindowsEndpoint
from mailmig.lab.world import STEP, World
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.lab.wsman.shells import Endpoint
from mailmig.model.errors import MailmigError
from mailmig.model.secret import Secret

DEFAULT_OFFSET: Final = 10_000
FASTEST: Final = 100_000.0
# Who may log on, by what they are for. Lab secrets: they open nothing but this lab.
ROLES: Final = {
    "admin": ("svc-mailmig", frozenset({"Organization Management", "Domain Admins"})),
    "reader": ("svc-reader", frozenset({"View-Only Organization Management"})),
}


class BadSpeed(MailmigError):
    """Time cannot pass like that: take another speed."""

    def __init__(self, speed: float) -> None:
        super().__init__(
            f"a speed of {speed:g} cannot be: take a number from 0 (time stands still) to "
            f"{FASTEST:,.0f}"
        )
        self.speed = speed


class Lab:
    """One story's organisation with all its servers; enter it once.

    Raises:
        BadSpeed, BadOffset, WrongNumber: when it is made.
        FolderTaken, CannotListen, CannotWriteLab: when it is entered; then nothing runs.
    """

    def __init__(
        self,
        story: Story,
        folder: Path,
        *,
        mailboxes: int | None = None,
        seed: int = 1,
        speed: float = 1.0,
        offset: int = DEFAULT_OFFSET,
    ) -> None:
        if not math.isfinite(speed) or not 0 <= speed <= FASTEST:
            raise BadSpeed(speed)
        self.organisation = founding.found(story, mailboxes, seed)
        self.mailboxes = story.mailboxes if mailboxes is None else mailboxes
        self.layout = Layout.of(self.organisation, offset)
        self.folder = folder
        self.settings = folder / files.SETTINGS
        self.world = World(self.organisation, speed=speed)
        self.faults = Switchboard(self.world)
        self.accounts_for = {
            use: Account(name, self.organisation.netbios, Secret(f"lab-only-{name}"), roles)
            for use, (name, roles) in ROLES.items()
        }
        self.accounts = Accounts(self.accounts_for.values())
        self.authority = Authority()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        files.check(self.folder)
        self.layout.probe()
        async with AsyncExitStack() as stack:
            await self._start(stack)
            stack.callback(self.world.close)  # called first: nobody waits for the world any more
            files.write(
                self.folder, self.organisation, self.layout, self.accounts_for, KEY,
                self.authority.pem,
            )  # fmt: skip
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        for machine in self.layout.exchange:
            await self._listen(stack, machine, self._exchange(machine))
        for machine in (*self.layout.controllers, self.layout.witness):
            await self._listen(stack, machine, ())
        for controller in self._controllers():
            await _entered(stack, controller, controller.host, controller.port)
        for server in name_servers(self.organisation, self.layout, lambda: self.world.now):
            await _entered(stack, server, *server.where)
        if self.world.speed:
            living = asyncio.ensure_future(self._live())
            stack.push_async_callback(_ended, living)

    async def _live(self) -> None:
        """The organisation keeps up with its time also when only the directory is asked."""
        while True:
            await asyncio.sleep(STEP.total_seconds())
            self.world.sync()

    def _exchange(self, machine: Machine) -> tuple[Endpoint, ...]:
        server = next(one for one in self.organisation.servers if one.fqdn == machine.name)
        return (ExchangeEndpoint(ExchangeCmdlets(self.world, server.name)),)

    async def _listen(
        self, stack: AsyncExitStack, machine: Machine, exchange: tuple[Endpoint, ...]
    ) -> None:
        """IIS with Exchange and WinRM are two services of one machine, each on its own ports."""
        context = self.authority.certificate(machine.name, machine.address).context()
        port = self.layout.port
        winrm = (WindowsEndpoint(Scripts(self.world, machine.name)),)
        for endpoints, plain, secure in ((exchange, HTTP, HTTPS), (winrm, WINRM, WINRM_TLS)):
            if not endpoints:
                continue
            service = Service(machine.name, self.accounts, endpoints)
            listeners = (
                Listener(service, machine.address, port(plain)),
                Listener(service, machine.address, port(secure), tls=context),
            )
            server = Server(service, *listeners)
            await _entered(stack, server, machine.address, port(plain))

    def _controllers(self) -> list[DomainController]:
        """The first one writes; changes reach the others later."""
        standing = tuple(
            Standing(machine.name.partition(".")[0], machine.site)
            for machine in self.layout.controllers
        )
        forest = Forest(self.organisation, lambda: self.world.now, controllers=standing)
        return [
            DomainController(
                forest, one.name, self.accounts, host=machine.address,
                port=self.layout.port(LDAP), secure_port=self.layout.port(LDAPS),
                certificate=self.authority.certificate(machine.name, machine.address),
                delay=DELAY * (place > 0),
            )
            for place, (one, machine) in enumerate(
                zip(standing, self.layout.controllers, strict=True)
            )
        ]  # fmt: skip


async def _entered(
    stack: AsyncExitStack, server: AbstractAsyncContextManager[object], address: str, port: int
) -> None:
    try:
        await stack.enter_async_context(server)
    except OSError as error:
        raise CannotListen(address, port, error) from error


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
