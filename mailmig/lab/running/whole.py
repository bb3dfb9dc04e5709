"""The whole lab of one story, running.

    async with Lab(story.read("town"), folder) as lab:
        lab.settings                    # the mailmig.toml that leads there
        lab.layout.addresses()          # (name, standard port) -> (address, port)

The world lives at `speed` seconds per second of ours. Sessions expire and signatures and
certificates are checked by the real clock, since the clients live by that one.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mailmig.lab import founding
from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority, Certificate
from mailmig.lab.cmdlets.engine import ExchangeCmdlets
from mailmig.lab.directory import DomainController
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.faults.switchboard import Switchboard
from mailmig.lab.running import folder as files
from mailmig.lab.running.control import Control, refuse_second
from mailmig.lab.running.layout import (
    DNS,
    HTTP,
    HTTPS,
    LDAP,
    LDAPS,
    SMTP,
    SUBMISSION,
    WINRM,
    WINRM_TLS,
    Layout,
    Machine,
)
from mailmig.lab.running.machine import RunningMachine
from mailmig.lab.running.scripts import Scripts
from mailmig.lab.running.zones import KEY, client_addresses, client_names
from mailmig.lab.smtp import MailServer
from mailmig.lab.smtp_visits import ExchangeHost, GatewayHost, Host
from mailmig.lab.story import Story
from mailmig.lab.web.serving import WebServer
from mailmig.lab.web.whole import Web, add_staff
from mailmig.lab.windows import WindowsEndpoint
from mailmig.lab.world import STEP, World
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.directory import Kind
from mailmig.model.errors import MailmigError
from mailmig.model.secret import Secret

DEFAULT_OFFSET: Final = 10_000
FASTEST: Final = 100_000.0
# How often the servers look at what the world says of their machines: seconds of ours.
LOOK_S: Final = 0.1
# What IIS on every Windows since 2016 calls itself.
IIS: Final = "Microsoft-IIS/10.0"
# Who may log on, by what they are for. Lab secrets: they open nothing but this lab.
ROLES: Final = {
    "admin": (
        "svc-mailmig",
        frozenset({"Organization Management", "Domain Admins", "Mailbox Import Export"}),
    ),
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
        FolderTaken, LabRuns, CannotListen, CannotWriteLab: when it is entered; then nothing runs.
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
        self.world = World(self.organisation, speed=speed, layout=self.layout)
        self.faults = Switchboard(self.world)
        self.accounts_for = {
            use: Account(
                name,
                self.organisation.netbios,
                Secret(f"lab-only-{name}"),
                roles,
                self.organisation.domain,
            )
            for use, (name, roles) in ROLES.items()
        }
        self.accounts = Accounts(self.accounts_for.values())
        add_staff(self.world, self.accounts)
        self.web = Web(self.world, self.accounts)
        self.authority = Authority()
        self.machines: list[RunningMachine] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        files.check(self.folder)
        await asyncio.to_thread(refuse_second, self.folder)
        self.layout.probe()
        async with AsyncExitStack() as stack:
            await self._start(stack)
            stack.callback(self.world.close)  # called first: nobody waits for the world any more
            files.write(
                self.folder, self.organisation, self.layout, self.accounts_for, KEY,
                self.authority.pem,
            )  # fmt: skip
            await stack.enter_async_context(Control(self.faults, self.folder))
            self._stack = stack.pop_all()
        return self

    def curl(self) -> str:
        """A line for a shell that asks the server behind the clients' name for its health."""
        name, port = self.organisation.namespace, self.layout.port(HTTPS)
        address = client_addresses(self.organisation, self.layout)[0]
        return (
            f"curl --cacert {self.folder / files.AUTHORITY} --resolve {name}:{port}:{address} "
            f"https://{name}:{port}/mapi/healthcheck.htm"
        )

    def swaks(self) -> str:
        """A line for a shell that sends somebody a message through the gateway; "" for nobody."""
        to = next((one.address for one in self.organisation.present(Kind.USER)), "")
        where = f"{self.layout.gateway.address}:{self.layout.port(SMTP)}"
        return to and (
            f"swaks --server {where} --from probe@out.example --to {to} "
            f"--tls --tls-verify --tls-ca-path {self.folder / files.AUTHORITY}"
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        for machine in self.layout:
            running = RunningMachine(machine, self.layout.port, tuple(self._servers(machine)))
            self.machines.append(await stack.enter_async_context(running))
        living = asyncio.ensure_future(self._live())
        stack.push_async_callback(_ended, living)

    async def _live(self) -> None:
        """Time passes also when nobody asks, and machines go and come as the world says."""
        synced = self.world.now
        while True:
            await asyncio.sleep(LOOK_S)
            if self.world.now - synced >= STEP:
                synced = self.world.now
                with self.world.lock:
                    self.world.sync()
                    self.world.surroundings.forest.look_at_few()
            for machine in self.machines:
                machine.become(self.world.surroundings.machines.reach(machine.name, machine.site))

    def _servers(self, machine: Machine) -> Iterator[AbstractAsyncContextManager[object]]:
        """All that listens on a machine."""
        services = machine.services
        if HTTPS in services:
            yield from self._exchange(machine)
        elif SMTP in services:
            gateway = GatewayHost(self.world, self.web.people, machine.name)
            certificate = self.authority.certificate(machine.name, machine.address)
            yield self._mail_server(machine, gateway, certificate)
        if WINRM in services:
            yield self._winrm(machine)
        if LDAP in services:
            yield self._controller(machine)
        if DNS in services:
            names = self.world.surroundings.names
            yield from (one for one in names if one.host == machine.address)

    def _exchange(self, machine: Machine) -> Iterator[AbstractAsyncContextManager[object]]:
        """The web server and the mail server of an Exchange server, with one certificate."""
        server = next(one for one in self.organisation.servers if one.fqdn == machine.name)
        names = (machine.name, machine.address, *client_names(self.organisation))
        certificate = self.authority.certificate(*names)
        self.world.certificates.serve(server.name, certificate.pem)
        yield self._web_server(machine, server.name, certificate)
        host = ExchangeHost(self.world, self.web.people, server.name, machine.address)
        yield self._mail_server(machine, host, certificate)

    def _web_server(self, machine: Machine, name: str, certificate: Certificate) -> WebServer:
        """IIS of an Exchange server: all that clients use, and remote PowerShell."""
        switches = self.world.conditions(name).management
        endpoint = ExchangeEndpoint(ExchangeCmdlets(self.world, name), switches=switches)
        service = Service(machine.name, self.accounts, (endpoint,), switches=switches)
        front = self.web.front_end(name, service)
        plain, secure = map(self.layout.port, (HTTP, HTTPS))
        listeners = (
            Listener(front, machine.address, plain, server_header=IIS),
            Listener(front, machine.address, secure, tls=certificate.context(), server_header=IIS),
        )
        return WebServer(service, listeners, lambda: self.web.runs(name))

    def _mail_server(self, machine: Machine, host: Host, certificate: Certificate) -> MailServer:
        ports = {
            one: self.layout.port(one) for one in (SMTP, SUBMISSION) if one in machine.services
        }
        return MailServer(host, self.accounts, certificate.context(), machine.address, ports)

    def _winrm(self, machine: Machine) -> Server:
        """WinRM is a service of its own, with a certificate for the machine alone."""
        endpoint = WindowsEndpoint(Scripts(self.world, machine.name))
        service = Service(machine.name, self.accounts, (endpoint,))
        plain, secure = map(self.layout.port, (WINRM, WINRM_TLS))
        certificate = self.authority.certificate(machine.name, machine.address)
        return Server(
            service,
            Listener(service, machine.address, plain),
            Listener(service, machine.address, secure, tls=certificate.context()),
        )

    def _controller(self, machine: Machine) -> DomainController:
        return DomainController(
            self.world.surroundings.forest, machine.name.partition(".")[0], self.accounts,
            host=machine.address, port=self.layout.port(LDAP),
            secure_port=self.layout.port(LDAPS),
            certificate=self.authority.certificate(machine.name, machine.address),
        )  # fmt: skip


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
