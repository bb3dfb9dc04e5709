"""Do the probe accounts stand? Each logs on, opens its own mailbox and the shared ones of `[probe]`.

It is asked as `mailmig check mapi` asks, from inside and at the first address that answers: whether
every way leads there is a question of checks. Nobody is asked twice, and a refused password is not shown
again. What is missing is named with what mends it.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar, cast
from urllib.parse import urlsplit

from mailmig.model.errors import MailmigError
from mailmig.model.finding import INSIDE, Answer, Fact, NoAnswer, Origin, Question
from mailmig.model.mapi import Discover, Discovered, WalkMailbox
from mailmig.model.names import ResolveName
from mailmig.rules.mapi_causes import Case, Cell, cause
from mailmig.rules.probe_accounts import grant
from mailmig.run.asking import Asking
from mailmig.run.doctor_cmdlets import NotAnsweredInTime
from mailmig.run.probing import ProbeSettings, pairs

T = TypeVar("T")

_AUTODISCOVER: Final = "autodiscover."
_SETUP: Final = "`mailmig probe setup --script` prints what makes it"
_LOGON: Final = "mend the password in [probe.passwords], or unlock the account and set it anew"
_MAPI: Final = "`mailmig check mapi` tells the ways in apart"


@dataclass(frozen=True, slots=True)
class ProbeLook:
    """What came of one mailbox, opened by one delegate. `trouble` is "" where it is well.

    `mend` says what mends it, where the sentence itself does not; it may be a cmdlet.
    """

    delegate: str
    mailbox: str
    trouble: str = ""
    mend: str = ""

    @property
    def is_good(self) -> bool:
        return not self.trouble


async def examine_probes(
    settings: ProbeSettings, asking: Asking, name_servers: tuple[str, ...], limit_s: float
) -> tuple[ProbeLook, ...]:
    """Looks at all mailboxes of `[probe]`, the accounts side by side; each question has `limit_s`."""
    doctor = _ProbeDoctor(settings, asking, name_servers, limit_s)
    opened: dict[str, dict[str, None]] = {}
    for pair in pairs(settings):
        opened.setdefault(pair.delegate, {pair.delegate: None})
        if pair.shared:
            opened[pair.delegate][pair.shared] = None
    found = await asyncio.gather(*(doctor.look(who, list(into)) for who, into in opened.items()))
    return tuple(look for looks in found for look in looks)


class _ProbeDoctor:
    """One examination; addresses are asked for once."""

    def __init__(
        self, settings: ProbeSettings, asking: Asking, name_servers: tuple[str, ...], limit_s: float
    ) -> None:
        self._accounts = {key.lower(): name for key, name in settings.accounts.items()}
        self._asking = asking
        self._name_servers = name_servers
        self._limit_s = limit_s
        self._addresses: dict[str, asyncio.Task[tuple[str, ...] | str]] = {}

    async def look(self, delegate: str, mailboxes: list[str]) -> list[ProbeLook]:
        """All mailboxes of one delegate, one after the other, its own first."""
        cells: list[Cell] = []
        looks: list[ProbeLook] = []
        caller = ""
        for mailbox in mailboxes:
            if looks and not (caller and cells[0].let_in):
                looks.append(ProbeLook(delegate, mailbox, f"not tried: see {delegate}"))
                continue
            found = await self._cell(delegate, mailbox, caller)
            if isinstance(found, str):
                looks.append(ProbeLook(delegate, mailbox, found, _MAPI))
                continue
            if mailbox == delegate and found.settings is not None:
                caller = found.settings.legacy_dn
            cells.append(found)
            looks.append(self._judged(Case(tuple(cells)), found))
        return looks

    async def _cell(self, delegate: str, mailbox: str, caller: str) -> Cell | str:
        """How far one gets; a sentence where not even an address is known."""
        name = _AUTODISCOVER + mailbox.rpartition("@")[2]
        addresses = await self._known(name)
        if isinstance(addresses, str):
            return addresses
        cell = Cell(INSIDE, "", delegate, mailbox)
        for address in addresses:
            said = await self._put(Discover(INSIDE, address, name, mailbox, delegate))
            cell = replace(cell, way=f"{name} at {address}", discovered=said)
            if not isinstance(said, Fact) or said.value.trouble is None:
                break
        told = cell.settings
        host = (urlsplit(told.mapi_inside).hostname or "") if told else ""
        if told is None or not host:
            return cell
        places = await self._known(host)
        if isinstance(places, str):
            return places
        return await self._walked(cell, told, host, places, caller or told.legacy_dn)

    async def _walked(
        self, cell: Cell, told: Discovered, host: str, addresses: tuple[str, ...], caller: str
    ) -> Cell:
        """The same at the first address that answers, else at the last."""
        parts = urlsplit(told.mapi_inside)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        for address in addresses:
            walk = WalkMailbox(INSIDE, address, host, path, cell.delegate, caller, told.legacy_dn)
            said = await self._put(walk)
            cell = replace(cell, way=f"{host} at {address}", host=host, walk=said)
            if not (cell.failed and cell.failed.trouble):
                break
        return cell

    def _judged(self, case: Case, cell: Cell) -> ProbeLook:
        row = cause(case, cell)
        if row is None:
            return ProbeLook(cell.delegate, cell.mailbox)
        for answer in (cell.discovered, cell.walk):
            if isinstance(answer, NoAnswer):
                return ProbeLook(cell.delegate, cell.mailbox, answer.reason)
        mend = {
            "credentials": _LOGON, "disabled": _SETUP,
            "no_permission": str(grant(self._accounts[cell.delegate], cell.mailbox)),
        }.get(row.key, _MAPI)  # fmt: skip
        return ProbeLook(cell.delegate, cell.mailbox, row.summary, mend)

    async def _known(self, name: str) -> tuple[str, ...] | str:
        """The addresses of a name, or why there are none."""
        if name not in self._addresses:
            self._addresses[name] = asyncio.ensure_future(self._resolve(name))
        return await self._addresses[name]

    async def _resolve(self, name: str) -> tuple[str, ...] | str:
        why = f"{name} has no address: no name server is known, [names] servers"
        for server in self._name_servers:
            answer = await self._put(ResolveName(INSIDE, name, "A", server))
            if isinstance(answer, NoAnswer):
                why = answer.reason
            elif answer.value.addresses:
                return tuple(answer.value.addresses)
            else:
                return f"{name} has no address"
        return why

    async def _put(self, question: Question[T]) -> Answer[T]:
        """Never raises: what cannot be answered is a `NoAnswer`."""
        origin = Origin(question.target, question.protocol, question.vantage)
        try:
            async with asyncio.timeout(self._limit_s):
                return cast("Answer[T]", await self._asking.put(question))
        except TimeoutError:
            late = NotAnsweredInTime(question.target, question.protocol, self._limit_s)
            return NoAnswer(str(late), datetime.now(UTC), origin)
        except MailmigError as error:
            return NoAnswer(str(error), datetime.now(UTC), origin)
