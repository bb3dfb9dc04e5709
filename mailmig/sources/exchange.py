"""Asks Exchange servers with their own cmdlets, over remote PowerShell.

    async with Exchange("ex1.town.example", settings) as exchange:
        command = Command("Get-Mailbox", (("ResultSize", "Unlimited"),))
        async for mailbox in exchange.ask(command, ("Name", "Guid", "ProhibitSendQuota")):
            ...

One instance speaks with one server by its own name, never by a name that several servers
share, and has at most `parallel` sessions there. Objects come while the cmdlet still runs; a
loop that may end early goes into `contextlib.aclosing`. Blocking work runs in threads, one per
session. What is given up is stopped at the server in the background; `aclose` waits for that.

A password that was refused is never shown again: every later question raises `LoginRefused`
at once. Instances and channels that use one account share a `LogonGate`, so that this holds
for all of them.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from mailmig.model.command import Command, EmptyIdentity
from mailmig.model.errors import MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.settings import setting
from mailmig.sources.exchange_outcome import error_of, is_about_select
from mailmig.sources.exchange_session import Outcome, Session, fresh
from mailmig.sources.remote_errors import (
    LoginRefused,
    NoSuchObject,
    NotTheOne,
    ResultCut,
    ShellExpired,
)
from mailmig.sources.remote_http import lower_names, warn_unverified
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import RemoteSettings
from mailmig.wire.clixml import Obj, Value

# Where objects of Exchange carry the GUID by which they are asked for.
GUIDS: Final = ("Guid", "ExchangeGuid", "MailboxGuid", "ObjectGuid", "ArchiveGuid")
# Cmdlets stop here unless they are told otherwise (every page of the reference).
RESULT_SIZE: Final = 1000
_LOG = logging.getLogger(__name__)
T = TypeVar("T")

OnError = Callable[[MailmigError], None]
OnWarning = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ExchangeSettings(RemoteSettings):
    """`[exchange]`: which Exchange server is asked, by whom, and how patiently."""

    server: str = setting(
        "", "The server that is asked, by its own full name; best one of the newest version: an "
        "older one tells lies about newer ones. --server of a command goes first.",
        example="ls-ex1.ad.lindenstadt.example",
    )  # fmt: skip


class _Line:
    """A session and the one thread that may use it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._thread = ThreadPoolExecutor(1, "exchange")

    async def do(self, function: Callable[..., T], *words: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *words)

    async def close(self) -> None:
        """Waits for what the thread does now, then ends the session and the thread."""
        try:
            await self.do(self.session.close)
        finally:
            self._thread.shutdown(wait=False)


@dataclass(slots=True)
class _Run:
    """What is known about one playing of a command."""

    count: int = 0
    accepted: bool = False
    outcome: Outcome = field(default_factory=Outcome)


class _SelectRefused(Exception):
    """The session has no Select-Object, or not with these parameters."""


class Exchange:
    """One server, asked from one event loop. `server` is its fully qualified name.

    Besides the errors named below, all questions raise `Unreachable`, `TlsNotTrusted`,
    `LoginRefused`, `RemotingNotAllowed`, `WrongEndpoint`, `TooManySessions`, `ShellExpired`,
    `TookTooLong`, `BrokenReply` and `ServerFault`.
    """

    def __init__(
        self,
        server: str,
        settings: ExchangeSettings | None = None,
        addresses: AddressMap | None = None,
        gate: LogonGate | None = None,
    ) -> None:
        self.server = server
        self.settings = settings or ExchangeSettings()
        self.selects = True  # whether the server takes Select-Object, as far as we know
        self._addresses = lower_names(addresses)
        self._gate = gate or LogonGate()
        self._turns = asyncio.Semaphore(self.settings.parallel)
        self._opening = asyncio.Lock()
        self._idle: list[_Line] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._refused: LoginRefused | None = None
        self._warned = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends all sessions that nobody uses, and waits for those that are being given up."""
        idle, self._idle = self._idle, []
        for line in idle:
            self._end(line)
        while self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)

    async def ask(
        self,
        command: Command,
        properties: tuple[str, ...] = (),
        *,
        cut_ok: bool = False,
        on_error: OnError | None = None,
        on_warning: OnWarning | None = None,
    ) -> AsyncGenerator[Obj]:
        """The objects that a command gives, while it runs.

        With `properties` the server is asked for these only; an object may have all of them
        nonetheless, where a server refuses Select-Object. Errors that did not end the command
        are raised after the last object, unless `on_error` takes them.

        Raises:
            CmdletNotAllowed, NoSuchObject, CmdletFailed: the command failed.
            ResultCut: the server stopped at its limit, unless `cut_ok`; after the last object.
        """
        async with self._turns:
            run = _Run()
            again = True
            while True:
                wanted = properties if self.selects else ()
                try:
                    async with aclosing(self._play(command, wanted, run)) as objects:
                        async for item in objects:
                            yield item
                    break
                except _SelectRefused:
                    self.selects = False
                except ShellExpired:
                    if not again or run.count or (run.accepted and not command.is_reading):
                        raise
                    again = False
                    self._forget_idle()
        self._judge(command, run, cut_ok, on_error, on_warning)

    async def send(
        self, command: Command, *, on_warning: OnWarning | None = None
    ) -> tuple[Obj, ...]:
        """Runs a command to its end, for one that changes something; what it gave.

        Raises:
            CmdletNotAllowed, NoSuchObject, CmdletFailed: the command failed, or a part of it.
        """
        answer = self.ask(command, cut_ok=True, on_warning=on_warning)
        return tuple([item async for item in answer])

    async def ask_one(
        self, command: Command, properties: tuple[str, ...] = (), *, guid: UUID | None = None
    ) -> Obj:
        """The one object that a command asks for by `Identity`.

        When the identity is a GUID, or `guid` is given, the object must carry it.

        Raises:
            EmptyIdentity: the command has no identity.
            NoSuchObject: nothing came.
            NotTheOne: several came, or another one.
        """
        identity = command.get("Identity")
        if identity is None:
            raise EmptyIdentity(command.name, "Identity")
        asked = guid or _guid(identity)
        wanted = properties and tuple(dict.fromkeys((*properties, *(GUIDS if asked else ()))))
        found = [item async for item in self.ask(command, wanted, cut_ok=True)]
        if not found:
            raise NoSuchObject(self.server, command, "nothing came")
        right = asked is None or asked in [_guid(found[0].get(name)) for name in GUIDS]
        if len(found) > 1 or not right:
            names = tuple(str(item.text or item.get("Name")) for item in found[:5])
            raise NotTheOne(self.server, command, asked or identity, names)
        return found[0]

    # one playing of a command

    async def _play(
        self, command: Command, wanted: tuple[str, ...], run: _Run
    ) -> AsyncGenerator[Obj]:
        line = await self._line()
        session = line.session
        kept = False
        try:
            try:
                run.accepted = False
                await line.do(session.start, command, wanted)
                run.accepted = True
                while not session.done:
                    for item in await line.do(session.poll):
                        run.count += 1
                        yield item
                run.outcome = await line.do(session.end)
            except LoginRefused as error:
                self._refused = self._refused or error
                raise
            kept = session.usable
        finally:
            if kept:
                self._idle.append(line)
            else:
                self._end(line)
        if wanted and not run.count and any(map(is_about_select, run.outcome.errors)):
            raise _SelectRefused

    async def _line(self) -> _Line:
        """A session that nobody uses, or a new one; they log on one after the other."""
        self._check()
        if self._idle:
            return self._idle.pop()
        async with self._opening:
            self._check()
            if self.settings.unverified and self.settings.tls and not self._warned:
                self._warned = True
                warn_unverified(self.server)
            line = _Line(Session(self.server, self.settings, self._addresses, self._gate))
            try:
                await line.do(line.session.open)
            except BaseException as error:
                if isinstance(error, LoginRefused):
                    self._refused = error
                self._end(line)
                raise
            return line

    def _check(self) -> None:
        if self._refused is not None:
            raise fresh(self._refused)

    def _forget_idle(self) -> None:
        """When one session has expired the others have, most likely."""
        idle, self._idle = self._idle, []
        for line in idle:
            self._end(line)

    def _end(self, line: _Line) -> None:
        """Ends a session in the background, whatever its thread is waiting for."""
        if not line.session.idle:
            line.session.cut()
        task = asyncio.ensure_future(line.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _judge(
        self,
        command: Command,
        run: _Run,
        cut_ok: bool,
        on_error: OnError | None,
        on_warning: OnWarning | None,
    ) -> None:
        """Errors and warnings, after the last object."""
        outcome = run.outcome
        for text in outcome.warnings:
            if on_warning is not None:
                on_warning(text)
            else:
                _LOG.info("%s: %s: %s", self.server, command.name, text)
        errors = [error_of(self.server, command, record) for record in outcome.errors]
        if outcome.failed and errors:
            last = outcome.errors[-1]
            raise error_of(self.server, command, last, terminating=True, more=len(errors) - 1)
        if errors and on_error is None:
            raise error_of(self.server, command, outcome.errors[0], more=len(errors) - 1)
        for error in errors:
            assert on_error is not None
            on_error(error)
        if not cut_ok and outcome.warnings and run.count == _limit(command):
            raise ResultCut(self.server, command, run.count, outcome.warnings[-1])


def _limit(command: Command) -> int | None:
    """After how many objects a server stops; None for never.

    The warning about it is text, so it is not read: that one came with just so many is enough.
    """
    size = command.get("ResultSize", RESULT_SIZE)
    if isinstance(size, int):
        return size
    return int(size) if isinstance(size, str) and size.isdecimal() else None


def _guid(value: Value | object) -> UUID | None:
    if isinstance(value, UUID):
        return value
    with contextlib.suppress(ValueError):
        return UUID(value) if isinstance(value, str) else None
    return None
