"""Tries every channel to every server, and what the account may do there. Nothing is changed.

    diagnosis = await examine(Setup(names, directory, exchange, windows, addresses, gate))

First somebody is only knocked at: is there an answer, is the certificate trusted? Then passwords
are shown, and a wrong one must not lock the account: one domain controller is logged on to alone;
only when it has let us in come the others. Without LDAP, and for every other account, the first
server that answers goes alone. After a refusal nobody else is shown a password.

What a session has is found out by asking: each cmdlet for an object that cannot exist, or for one
object at most. Every question has a time limit, so that a server that hangs costs its own answers.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from mailmig.model.errors import MailmigError
from mailmig.model.logon import LogonHeld, account_key
from mailmig.model.names import DNS_PORT, AddressMap
from mailmig.run.controllers import controllers, domain_of
from mailmig.run.doctor_cmdlets import Answer, Cmdlets, NotAnsweredInTime, in_time
from mailmig.sources.directory import MAILBOXES_FILTER, Directory
from mailmig.sources.directory_configuration import Configuration
from mailmig.sources.directory_connection import (
    DACL_ONLY,
    LDAP_PORT,
    LDAPS_PORT,
    DirectoryConnection,
)  # fmt: skip
from mailmig.sources.directory_errors import (
    DirectoryUnreachable,
    NotTrusted,
    Refused,
    SigningRequired,
)
from mailmig.sources.directory_settings import DirectorySettings, Encryption
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.names import Names, NamesSettings
from mailmig.sources.remote_errors import (
    CommandError,
    LoginRefused,
    RemotingNotAllowed,
    TlsNotTrusted,
    TooManySessions,
    Unreachable,
    WrongEndpoint,
)
from mailmig.sources.remote_http import lower_names
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_reach import reach, trusting
from mailmig.sources.remote_settings import RemoteSettings
from mailmig.sources.windows import Windows, WindowsSettings
from mailmig.wire.collection import EXPORTS

# How many mailboxes are looked at to see whether rights can be read.
SAMPLE: Final = 10
# After these no server is shown this account's password again.
_REFUSALS: Final = (Refused, LoginRefused, LogonHeld)
_UNTRUSTED: Final = (NotTrusted, TlsNotTrusted)
_SILENT: Final = (DirectoryUnreachable, Unreachable)
# The account is in; what comes is about what it may do.
_LET_IN: Final = (RemotingNotAllowed, TooManySessions, CommandError)
_DESCRIPTORS: Final = ("msExchMailboxSecurityDescriptor", "nTSecurityDescriptor")


class Channel(Enum):
    """A way to ask a server."""

    NAMES = "DNS"
    DIRECTORY = "LDAP"
    EXCHANGE = "remote PowerShell"
    WINDOWS = "WinRM"


class NothingToExamine(MailmigError):
    """The configuration names nobody who could be asked: make one first."""

    def __init__(self) -> None:
        super().__init__(
            "neither [directory] nor [exchange] says who is asked: run "
            "`mailmig config init --domain town.example`, or fill in these tables"
        )


@dataclass(frozen=True, slots=True)
class Setup:
    """What the configuration says; None for a channel that is not configured.

    `parallel` is how many servers are asked at a time, `timeout_s` the limit of each question.
    """

    names: NamesSettings
    directory: DirectorySettings | None
    exchange: ExchangeSettings | None
    windows: WindowsSettings | None
    addresses: AddressMap
    gate: LogonGate
    timeout_s: float = 20.0
    parallel: int = 8


@dataclass(slots=True)
class Look:
    """What came of one channel to one server. None: not tried, or there is no such thing.

    `rights` has "" per kind of facts that LDAP shows, else why not; `answers` one per export.
    """

    channel: Channel
    server: str
    port: int
    reached: bool | None = None
    trusted: bool | None = None
    logged_on: bool | None = None
    trouble: MailmigError | None = None
    untried: str = ""
    version: str = ""
    rights: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return self.trouble is None and not self.untried


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All looks; `asked` is the Exchange server that commands ask unless told otherwise."""

    looks: tuple[Look, ...]
    asked: str = ""

    def of(self, channel: Channel) -> tuple[Look, ...]:
        return tuple(look for look in self.looks if look.channel is channel)


async def examine(setup: Setup) -> Diagnosis:
    """Look at everything.

    Raises:
        NothingToExamine: neither a directory nor an Exchange server is configured.
        BadFile: a file with authorities that cannot be read.
        NoDomain, NoControllersPublished and what `controllers` raises.
    """
    if setup.directory is None and (setup.exchange is None or not setup.exchange.server):
        raise NothingToExamine
    return await _Doctor(setup).examine()


class _Doctor:
    """One examination."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._addresses = lower_names(setup.addresses)
        self._looks: dict[tuple[Channel, str], Look] = {}
        self._turns = asyncio.Semaphore(setup.parallel)
        self._organisation: Configuration | None = None
        self._contexts = {
            channel: trusting(settings.ca_file, https=channel is not Channel.DIRECTORY)
            for channel in (Channel.DIRECTORY, Channel.EXCHANGE, Channel.WINDOWS)
            if (settings := self._settings(channel)) is not None and not settings.unverified
        }

    async def examine(self) -> Diagnosis:
        refused = await self._directory_first()
        self._add_all()
        looks = self._looks.values()
        await self._side_by_side(self._knock(look) for look in looks if look.reached is None)
        names = [look for look in looks if look.channel is Channel.NAMES]
        others = [look for look in looks if look not in names and look.logged_on is None]
        if refused is not None:
            _leave(others, refused)
            others = []
        groups: dict[object, list[Look]] = {}
        for look in others:
            groups.setdefault(self._account(look.channel), []).append(look)
        await asyncio.gather(
            self._side_by_side(self._ask_names(look) for look in names),
            *(self._log_on_all(account, group) for account, group in groups.items()),
        )
        return Diagnosis(tuple(self._looks.values()), self._asked())

    # who is looked at

    async def _directory_first(self) -> Look | None:
        """Logs on to the first controller that answers; the look, if it refused."""
        settings = self._setup.directory
        if settings is None:
            return None
        names = Names(self._setup.names, self._setup.addresses)
        looks = [self._add(Channel.DIRECTORY, name) for name in await controllers(settings, names)]
        await self._side_by_side(self._knock(look) for look in looks)
        for look in looks:
            await self._log_on(look)
            if isinstance(look.trouble, _REFUSALS) and not isinstance(
                look.trouble, SigningRequired
            ):
                _leave([one for one in looks if one is not look and one.reached], look)
                return look
            if look.logged_on:
                break
        return None

    def _add_all(self) -> None:
        """Everybody whom the configuration or the directory names."""
        setup, found = self._setup, self._organisation
        if setup.directory is not None and found is not None:
            for controller in found.controllers:
                self._add(Channel.DIRECTORY, controller.name)
        servers = {server.fqdn.lower(): server.version for server in found.servers} if found else {}
        named = setup.exchange.server.lower() if setup.exchange else ""
        fqdns = [name for name in dict.fromkeys((named, *servers)) if name]
        if setup.exchange is not None:
            for name in fqdns:
                self._add(Channel.EXCHANGE, name).version = servers.get(name, "")
        if setup.windows is not None:
            witnesses = [dag.witness.lower() for dag in found.dags if dag.witness] if found else []
            for name in dict.fromkeys((*fqdns, *witnesses)):
                self._add(Channel.WINDOWS, name)
        for server in setup.names.servers:
            self._add(Channel.NAMES, server)

    def _add(self, channel: Channel, server: str) -> Look:
        port = DNS_PORT
        if channel is Channel.DIRECTORY and self._setup.directory is not None:
            ldaps = self._setup.directory.encryption is Encryption.LDAPS
            port = LDAPS_PORT if ldaps else LDAP_PORT
        elif isinstance(settings := self._settings(channel), RemoteSettings):
            tls, plain = (443, 80) if channel is Channel.EXCHANGE else (5986, 5985)
            port = tls if settings.tls else plain
        return self._looks.setdefault((channel, server.lower()), Look(channel, server, port))

    def _settings(self, channel: Channel) -> DirectorySettings | RemoteSettings | None:
        setup = self._setup
        return {
            Channel.DIRECTORY: setup.directory, Channel.EXCHANGE: setup.exchange,
            Channel.WINDOWS: setup.windows,
        }.get(channel)  # fmt: skip

    def _account(self, channel: Channel) -> object:
        settings = self._settings(channel)
        assert settings is not None
        return account_key(settings.account), settings.password

    def _asked(self) -> str:
        """The Exchange server of the configuration, else the first that let us in."""
        if self._setup.exchange is not None and self._setup.exchange.server:
            return self._setup.exchange.server
        looks = [look for look in self._looks.values() if look.channel is Channel.EXCHANGE]
        return next((look.server for look in looks if look.logged_on), "")

    # how they are asked

    async def _side_by_side(self, work: Iterable[Awaitable[None]]) -> None:
        async def turn(one: Awaitable[None]) -> None:
            async with self._turns:
                await one

        await asyncio.gather(*(turn(one) for one in work))

    async def _knock(self, look: Look) -> None:
        """Whether somebody answers, and with which certificate. Name servers are asked at once."""
        if look.channel is Channel.NAMES:
            return
        context = self._contexts.get(look.channel) if look.port in (443, 636, 5986) else None
        try:
            await reach(look.server, look.port, self._addresses, context, self._setup.timeout_s / 2)
        except MailmigError as error:
            self._note(look, error)
            return
        look.reached, look.trusted = True, True if context else None

    async def _log_on_all(self, account: object, looks: list[Look]) -> None:
        """One alone until somebody has let the account in; then the rest, or nobody."""
        waiting = [look for look in looks if look.reached and look.trouble is None]
        directory = self._setup.directory
        proven = directory is not None and self._organisation is not None and (
            self._account(Channel.DIRECTORY) == account
        )  # fmt: skip
        while waiting and not proven:
            first = waiting.pop(0)
            await self._log_on(first)
            if isinstance(first.trouble, _REFUSALS):
                _leave(waiting, first)
                return
            proven = bool(first.logged_on)
        await self._side_by_side(self._log_on(look) for look in waiting)

    async def _log_on(self, look: Look) -> None:
        """Logs on and asks what there is to be asked; what fails is noted in the look."""
        if not look.reached or look.trouble is not None:
            return
        ask = {
            Channel.DIRECTORY: self._ask_directory, Channel.EXCHANGE: self._ask_exchange,
            Channel.WINDOWS: self._ask_windows,
        }[look.channel]  # fmt: skip
        try:
            await ask(look)
        except MailmigError as error:
            self._note(look, error)

    def _note(self, look: Look, error: MailmigError) -> None:
        look.trouble = error
        if isinstance(error, _SILENT):
            look.reached = False
        elif isinstance(error, _UNTRUSTED):
            look.reached, look.trusted = True, False
        elif isinstance(error, _LET_IN):
            look.logged_on = True
        elif not isinstance(error, WrongEndpoint | NotAnsweredInTime) and look.logged_on is None:
            look.logged_on = False

    async def _ask_names(self, look: Look) -> None:
        directory = self._setup.directory
        domain = domain_of(directory or DirectorySettings()) or look.server.partition(".")[2]
        names = Names(self._setup.names, self._setup.addresses)
        try:
            await names.ask(domain or ".", "SOA", look.server, absent_ok=True)
            look.reached = True
        except MailmigError as error:
            look.reached, look.trouble = False, error

    async def _ask_directory(self, look: Look) -> None:
        settings = self._setup.directory
        assert settings is not None
        limit = self._setup.timeout_s
        settings = replace(settings, timeout_s=min(limit, settings.timeout_s))
        gate = self._setup.gate
        async with Directory(look.server, settings, self._setup.addresses, gate) as directory:
            look.logged_on = True
            look.trusted = None if settings.encryption is Encryption.NONE else True
            if self._organisation is not None:
                return  # one controller tells about rights
            try:
                self._organisation = await directory.configuration()
                look.rights["configuration"] = ""
            except MailmigError as error:
                look.rights["configuration"] = str(error)
                look.trouble = error
            await self._look_at_mailboxes(look, settings, directory.base)

    async def _look_at_mailboxes(self, look: Look, settings: DirectorySettings, base: str) -> None:
        few = replace(settings, page_size=SAMPLE)
        connection = DirectoryConnection(
            look.server, few, self._setup.addresses, self._setup.gate
        )  # fmt: skip
        try:
            await connection.open()
            pages = connection.pages(
                base, MAILBOXES_FILTER, _DESCRIPTORS, lambda _, raw: set(raw), controls=(DACL_ONLY,)
            )
            found = await anext(pages)
            await pages.aclose()  # type: ignore[attr-defined]
        finally:
            await connection.close()
        shown = {name.lower() for names in found for name in names}
        hidden = [name for name in _DESCRIPTORS if name.lower() not in shown]
        look.rights["mailboxes"] = "" if found else f"no mailbox can be seen below {base}"
        look.rights["rights"] = f"{', '.join(hidden)} cannot be read" if hidden else ""

    async def _ask_windows(self, look: Look) -> None:
        settings = self._setup.windows
        assert settings is not None
        limit = self._setup.timeout_s
        settings = replace(settings, answer_timeout_s=min(limit, settings.answer_timeout_s))
        asked = Windows(look.server, settings, self._setup.addresses, self._setup.gate)
        async with asked:
            await in_time(asked.run("boot_time"), look.server, "when it was started", limit)
        look.logged_on = True

    async def _ask_exchange(self, look: Look) -> None:
        settings = self._setup.exchange
        assert settings is not None
        limit = self._setup.timeout_s
        settings = replace(settings, answer_timeout_s=min(limit, settings.answer_timeout_s))
        asked = Exchange(look.server, settings, self._setup.addresses, self._setup.gate)
        async with asked:
            cmdlets = Cmdlets(asked, limit)
            first, *others = EXPORTS
            look.answers[first.name] = await cmdlets.may(first)
            look.logged_on = True
            said = await asyncio.gather(*(cmdlets.may_in_time(export) for export in others))
            look.answers |= {export.name: one for export, one in zip(others, said, strict=True)}
            look.trouble = next(iter(cmdlets.late), None)


def _leave(looks: Iterable[Look], refused: Look) -> None:
    """Shows nobody else a password."""
    for look in looks:
        if look.channel is not Channel.NAMES and look.trouble is None:
            look.untried = f"not tried: {refused.server} refused the logon"
