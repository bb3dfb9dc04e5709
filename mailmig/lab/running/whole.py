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
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mailmig.lab import founding, newcomers, server_tls
from mailmig.lab.accounts import Account
from mailmig.lab.certificates import ServerContext
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
from mailmig.lab.running.zones import KEY, answering, client_names
from mailmig.lab.smtp import MailServer
from mailmig.lab.smtp_visits import ExchangeHost, GatewayHost, Host
from mailmig.lab.story import Story
from mailmig.lab.web.directories import DIRECTORIES
from mailmig.lab.web.front_end import POWERSHELL
from mailmig.lab.web.gateway import Gateway
from mailmig.lab.web.serving import WebServer
from mailmig.lab.web.upstream import Member, Pool
from mailmig.lab.web.whole import Web, add_staff
from mailmig.lab.windows import WindowsEndpoint
from mailmig.lab.world import STEP, World
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Service
from mailmig.model.errors import MailmigError
from mailmig.model.secret import Secret

DEFAULT_OFFSET: Final = 10_000
FASTEST: Final = 100_000.0
# How often the lab looks whether time has passed: seconds of ours.
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
        cut_over: bool = False,
        probes: bool = False,
    ) -> None:
        """With `cut_over` the names of clients lead to both nodes of the DAG already.

        With `probes` the organisation has its probe accounts, and the settings name them.
        """
        if not math.isfinite(speed) or not 0 <= speed <= FASTEST:
            raise BadSpeed(speed)
        self.organisation = founding.found(story, mailboxes, seed)
        if cut_over:
            self.organisation.answering = self.organisation.dag.servers[0]
        self.probes = newcomers.found_probes(self.organisation) if probes else ()
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
        self.accounts = self.world.accounts
        for account in self.accounts_for.values():
            self.accounts.add(account)
        add_staff(self.world, self.accounts)
        self.web = Web(self.world, self.accounts)
        self.authority = self.world.tls.authority
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
                self.authority.pem, self.probes,
            )  # fmt: skip
            await stack.enter_async_context(Control(self.faults, self.folder))
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
        _ = self.world.logs.past  # else the first client waits for the world, and all with him
        for machine in self.layout:
            running = RunningMachine(
                machine, self.layout.port, tuple(self._servers(machine)),
                partial(self.world.surroundings.machines.reach, machine.name, machine.site),
            )  # fmt: skip
            self.machines.append(await stack.enter_async_context(running))
        living = asyncio.ensure_future(self._live())
        stack.push_async_callback(_ended, living)

    async def _live(self) -> None:
        """Time passes also when nobody asks; while somebody has the world, he sees to that."""
        synced, lock = self.world.now, self.world.lock
        while True:
            await asyncio.sleep(LOOK_S)
            if self.world.now - synced >= STEP and lock.acquire(blocking=False):
                try:
                    synced = self.world.now
                    self.world.sync()
                    self.world.surroundings.forest.look_at_few()
                finally:
                    lock.release()

    def _servers(self, machine: Machine) -> Iterator[AbstractAsyncContextManager[object]]:
        """All that listens on a machine."""
        services = machine.services
        if machine in self.layout.web_gateways:
            yield from self._web_gateway(machine)
        elif HTTPS in services:
            yield from self._exchange(machine)
        elif SMTP in services:
            gateway = GatewayHost(self.world, self.web.people, machine.name)
            certificate = self.authority.certificate(machine.name, machine.address)
            yield self._mail_server(machine, gateway, certificate.context())
        if WINRM in services:
            yield self._winrm(machine)
        if LDAP in services:
            yield self._controller(machine)
        if DNS in services:
            names = self.world.surroundings.names
            yield from (one for one in names if one.host == machine.address)

    def _exchange(self, machine: Machine) -> Iterator[AbstractAsyncContextManager[object]]:
        """The web server and the mail server of an Exchange server."""
        server = next(one for one in self.organisation.servers if one.fqdn == machine.name)
        tls = self.world.tls
        yield self._web_server(machine, server.name, tls.of(server.name, server_tls.IIS).context)
        host = ExchangeHost(self.world, self.web.people, server.name, machine.address)
        yield self._mail_server(machine, host, tls.of(server.name, server_tls.SMTP).context)

    def _web_server(self, machine: Machine, name: str, tls: ServerContext) -> WebServer:
        """IIS of an Exchange server: all that clients use, and remote PowerShell."""
        switches = self.world.conditions(name).management
        endpoint = ExchangeEndpoint(ExchangeCmdlets(self.world, name), switches=switches)
        service = Service(
            machine.name, self.accounts, (endpoint,), switches=switches,
            checking=lambda: self.web.directories.settings(name, DIRECTORIES[POWERSHELL]).checking,
        )  # fmt: skip
        front = self.web.front_end(name, service)
        plain, secure = map(self.layout.port, (HTTP, HTTPS))
        listeners = (
            Listener(front, machine.address, plain, server_header=IIS),
            Listener(front, machine.address, secure, tls=tls, server_header=IIS),
        )
        lines = self.world.surroundings.lines
        return WebServer(
            service, listeners, lambda: self.web.runs(name) and not lines.is_closed(name, HTTPS)
        )

    def _web_gateway(self, machine: Machine) -> Iterator[AbstractAsyncContextManager[object]]:
        """A reverse proxy in front of the servers that the clients' name leads to inside."""
        organisation, rules = self.organisation, self.world.surroundings.gateway
        where = {one.name: one.address for one in self.layout.exchange}
        port = self.layout.port(HTTPS)
        members = [Member(one, where[one.fqdn], port) for one in organisation.servers]
        pool = Pool(rules, members, lambda: answering(organisation), machine.address)
        gateway = Gateway(rules, pool, client_names(organisation))
        yield gateway
        yield Listener(
            gateway, machine.address, port, tls=self.world.tls.gateway.context, server_header=""
        )

    def _mail_server(self, machine: Machine, host: Host, tls: ServerContext) -> MailServer:
        ports = {
            one: self.layout.port(one) for one in (SMTP, SUBMISSION) if one in machine.services
        }
        return MailServer(host, self.accounts, tls, machine.address, ports)

    def _winrm(self, machine: Machine) -> WebServer:
        """WinRM is a service of its own, with a certificate for the machine alone."""
        endpoint = WindowsEndpoint(Scripts(self.world, machine.name))
        service = Service(machine.name, self.accounts, (endpoint,))
        plain, secure = map(self.layout.port, (WINRM, WINRM_TLS))
        certificate = self.authority.certificate(machine.name, machine.address)
        listeners = (
            Listener(service, machine.address, plain),
            Listener(service, machine.address, secure, tls=certificate.context()),
        )
        lines, name = self.world.surroundings.lines, machine.name.partition(".")[0]
        return WebServer(service, listeners, lambda: not lines.is_closed(name, WINRM))

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
