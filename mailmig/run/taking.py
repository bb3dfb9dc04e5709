"""Takes an inventory live: the directory and one Exchange server side by side.

    async with open_directory(settings) as directory, Exchange(server, ...) as exchange:
        taken = await take(directory, exchange)
    snapshots.add(taken.reading)

LDAP tells mailboxes, limits, people, groups and rights; the cmdlets tell sizes, the state of
databases and copies, and what the snapshot keeps as facts. Without an Exchange server (an admin
without remote PowerShell) sizes and the like are unknown, and a gap says so for each.

All or nothing: whatever fails first ends it, and nothing is made. The controller is logged on to
before anybody else is asked, so that a wrong password is shown once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.model.names import AddressMap
from mailmig.run.answers import ask, ask_archives, first_of
from mailmig.run.cross_check import SAMPLE, CrossCheck, compare
from mailmig.run.questions import Progress
from mailmig.run.ready import Ready
from mailmig.run.taken import Told, from_directory, joined
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_errors import DirectoryUnreachable
from mailmig.sources.exchange import Exchange
from mailmig.sources.remote_logon import LogonGate


class NoController(MailmigError):
    """None of the domain controllers answers: look at the network, or name others."""

    exit_code = UNREACHABLE

    def __init__(self, errors: Iterable[DirectoryUnreachable]) -> None:
        self.servers = {error.server: error.reason for error in errors}
        tried = "; ".join(f"{server}: {reason}" for server, reason in self.servers.items())
        super().__init__(
            f"no domain controller answers ({tried}); look at the network and the services there, "
            "or name others in [directory] servers"
        )


class NoControllerNamed(MailmigError):
    """Nobody said which domain controllers there are: name them."""

    def __init__(self) -> None:
        super().__init__(
            "no domain controller is named; set servers in the table [directory], for example "
            'servers = ["dc1.example.com"]'
        )


class NothingTaken(MailmigError):
    """The inventory was not taken: `error` says what failed and what to do."""

    def __init__(self, error: MailmigError) -> None:
        super().__init__(f"{error}; no snapshot was made")
        self.error = error
        self.exit_code = error.exit_code


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it; `check` is None where no cmdlet was asked."""

    reading: Ready
    check: CrossCheck | None = None


@asynccontextmanager
async def open_directory(
    settings: DirectorySettings,
    addresses: AddressMap | None = None,
    gate: LogonGate | None = None,
) -> AsyncIterator[Directory]:
    """The first of the controllers that answers, logged on to; the others are not asked.

    Raises:
        NoControllerNamed, NoController, and what `Directory.open` raises: a refused logon is
        not tried at another controller.
    """
    silent: list[DirectoryUnreachable] = []
    async with AsyncExitStack() as stack:
        for server in settings.servers:
            directory = Directory(server, settings, addresses, gate)
            try:
                await stack.enter_async_context(directory)
            except DirectoryUnreachable as error:
                silent.append(error)
                continue
            yield directory
            return
        if not silent:
            raise NoControllerNamed
        raise silent[0] if len(silent) == 1 else NoController(silent)


async def take(
    directory: Directory,
    exchange: Exchange | None,
    *,
    sample: int = SAMPLE,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Taken:
    """Ask for everything; without an Exchange server, for what the directory knows.

    Raises:
        NothingTaken: something failed, and it says what.
    """
    tell = progress or (lambda *_: None)
    try:
        if exchange is None:
            told = await _told(directory, tell, now())
            return Taken(from_directory(directory.server, told))
        return await _both(directory, exchange, sample, tell, now())
    except BaseExceptionGroup as group:
        error = first_of(group)
        if isinstance(error, MailmigError):
            raise NothingTaken(error) from group
        raise error from group
    except MailmigError as error:
        raise NothingTaken(error) from error


async def _told(directory: Directory, tell: Progress, now: datetime) -> Told:
    everybody = await directory.everybody(lambda count: tell("mailboxes", count, None))
    configuration = await directory.configuration()
    when = directory.opened_at or now
    return Told(
        directory.base, when, now.isoformat(), configuration, everybody, directory.gaps()
    )  # fmt: skip


async def _both(
    directory: Directory, exchange: Exchange, sample: int, tell: Progress, now: datetime
) -> Taken:
    async def people() -> tuple[Told, CrossCheck]:
        told = await _told(directory, tell, now)
        return told, await compare(exchange, told.everybody, sample, tell)

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ask(exchange, tell))
        found = group.create_task(people())
    answers, (told, check) = asked.result(), found.result()
    await ask_archives(exchange, answers, told.everybody.mailboxes, tell)
    origin = f"{directory.server} and {exchange.server}"
    return Taken(joined(origin, told, answers, check), check)
