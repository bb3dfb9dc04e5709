"""Which cmdlets and parameters a session of remote PowerShell has, found out by asking.

Roles take cmdlets and parameters away (RBAC), and then they are no commands and no parameters at
all. So each cmdlet is asked with the very parameters that our exports give, for an object that
cannot exist, or for one object at most: "no such object" means that it may be asked. Nothing is
changed, and next to nothing is read.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from mailmig.model.command import Command, Parameter
from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.run.questions import given
from mailmig.sources.exchange import Exchange
from mailmig.sources.exchange_outcome import PARAMETER_NOT_FOUND
from mailmig.sources.remote_errors import CmdletNotAllowed, CommandError, NoSuchObject
from mailmig.wire.collection import Each, Export

# So many questions to one server may fail before it is asked no more.
PATIENCE: Final = 2

Given = tuple[tuple[str, Parameter], ...]


class NotAnsweredInTime(MailmigError):
    """A question came to no end: look at the load of the server."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, what: str, waited_s: float) -> None:
        super().__init__(
            f"{server} did not answer {what} within {waited_s:g} s; look at its load, or wait "
            "longer with --timeout"
        )
        self.server = server
        self.what = what
        self.waited_s = waited_s


async def in_time(work: Awaitable[object], server: str, what: str, limit_s: float) -> None:
    """Raises `NotAnsweredInTime`."""
    try:
        async with asyncio.timeout(limit_s):
            await work
    except TimeoutError as error:
        raise NotAnsweredInTime(server, what, limit_s) from error


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a session has what an export needs: "" where it has, else what it lacks.

    `unknown` says why it could not be found out.
    """

    cmdlet: str
    lacks: str = ""
    unknown: str = ""


class Cmdlets:
    """Questions to one server; `late` are those that came to no end."""

    def __init__(self, exchange: Exchange, limit_s: float) -> None:
        self._exchange = exchange
        self._limit_s = limit_s
        self._turns = asyncio.Semaphore(exchange.settings.parallel)
        self.late: list[MailmigError] = []

    async def may_in_time(self, export: Export) -> Answer:
        """The same as `may`; a server that does not answer is unknown, and soon given up."""
        async with self._turns:
            if len(self.late) >= PATIENCE:
                return Answer(export.cmdlet, unknown=str(self.late[-1]))
            try:
                return await self.may(export)
            except MailmigError as error:
                self.late.append(error)
                return Answer(export.cmdlet, unknown=str(error))

    async def may(self, export: Export) -> Answer:
        """Whether the session has the cmdlet of an export with all its parameters.

        Raises:
            NotAnsweredInTime, and what `Exchange` raises.
        """
        answer = await self._may_use(export, export.cmdlet)
        if answer.lacks and export.older:
            older = await self._may_use(export, export.older)
            return answer if older.lacks else older
        return answer

    async def _may_use(self, export: Export, cmdlet: str) -> Answer:
        wanted = _limited(export, cmdlet)
        aim = _aim(export, wanted)
        refusal = await self._refusal(cmdlet, (*wanted, *aim))
        if refusal is not None and aim and _is_parameter(refusal) and export.each is Each.ONCE:
            aim = ()  # there is only one such object, and it takes no name
            refusal = await self._refusal(cmdlet, wanted)
        if refusal is None or isinstance(refusal, NoSuchObject):
            return Answer(cmdlet)
        if not isinstance(refusal, CmdletNotAllowed):
            return Answer(cmdlet, unknown=str(refusal))
        if not _is_parameter(refusal):
            return Answer(cmdlet, lacks=cmdlet)
        names = [f"-{one[0]}" for one in (*wanted, *aim) if await self._lacks(cmdlet, one, aim)]
        return Answer(cmdlet, lacks=" ".join((cmdlet, *names)))

    async def _lacks(self, cmdlet: str, one: tuple[str, Parameter], aim: Given) -> bool:
        """Whether it is this parameter that the session lacks."""
        refusal = await self._refusal(cmdlet, (one, *(a for a in aim if a != one)))
        return refusal is not None and _is_parameter(refusal)

    async def _refusal(self, cmdlet: str, parameters: Given) -> CommandError | None:
        """Asks; what the cmdlet had against it."""
        command = Command(cmdlet, parameters)

        async def ask() -> None:
            async with aclosing(self._exchange.ask(command, ("Name",), cut_ok=True)) as rows:
                async for _ in rows:
                    pass

        try:
            await in_time(ask(), self._exchange.server, str(command), self._limit_s)
        except CommandError as error:
            return error
        return None


def _limited(export: Export, cmdlet: str) -> Given:
    pairs = given(export, cmdlet)
    return tuple((name, 1 if name == "ResultSize" else value) for name, value in pairs)


def _aim(export: Export, wanted: Given) -> Given:
    """A name that nobody has; nothing where the number of objects is limited already."""
    if any(name == "ResultSize" for name, _ in wanted):
        return ()
    by = export.by if export.each is Each.DATABASE else "Identity"
    return ((by, str(uuid4())),)


def _is_parameter(error: CommandError) -> bool:
    """Whether it is a parameter that the session lacks, and not the cmdlet."""
    return error.fq_id.partition(",")[0] == PARAMETER_NOT_FOUND
