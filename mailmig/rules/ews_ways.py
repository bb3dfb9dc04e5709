"""EWS as clients come to it: the URL from Autodiscover, then the mailbox at every address behind it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mailmig.model.discovery import DiscoverBySoap, SoapSettings
from mailmig.model.ews import MailboxRead, ReadMailbox
from mailmig.model.finding import INSIDE, OUTSIDE, Answer, Ask, Fact
from mailmig.rules.ways_in import AUTODISCOVER, WayIn, ways_in, ways_to


@dataclass(frozen=True, slots=True)
class Opened:
    """One way into one mailbox over EWS.

    `way` and `answer` are None where Autodiscover named no URL; then `settings` is what it said.
    """

    vantage: str
    delegate: str
    mailbox: str
    settings: Answer[SoapSettings]
    path: str = ""
    way: WayIn | None = None
    answer: Answer[MailboxRead] | None = None

    @property
    def is_read(self) -> bool:
        return isinstance(self.answer, Fact) and self.answer.value.is_read


def discovery_ways(ways: Iterable[WayIn], mailbox: str) -> tuple[WayIn, ...]:
    """Where a client asks for the settings of a mailbox: at its own domain's name, if there is one."""
    found = tuple(way for way in ways if way.name.startswith(AUTODISCOVER))
    own = AUTODISCOVER + mailbox.rpartition("@")[2]
    return tuple(way for way in found if way.name == own) or found


async def opened(ask: Ask) -> tuple[Opened, ...]:
    """Own mailboxes of the probe accounts, and shared ones, at each address of each vantage."""
    vantages = sorted({place.inside for place in ask.scope.vantages}, reverse=True)
    wanted = dict.fromkeys(
        _Wanted(INSIDE if inside else OUTSIDE, pair.delegate, mailbox)
        for inside in vantages
        for pair in ask.scope.probes
        for mailbox in (pair.delegate, pair.shared)
        if mailbox
    )
    found = await _addressed(ask, tuple(wanted))
    asked = iter(await ask.each(_question(one, one.way) for one in found if one.way))
    return tuple(replace(one, answer=next(asked)) if one.way else one for one in found)


async def first_opened(ask: Ask, vantage: str, mailbox: str) -> Opened | None:
    """The first way by which an account opens its own mailbox; None where there is none."""
    for one in await _addressed(ask, (_Wanted(vantage, mailbox, mailbox),)):
        if one.way:
            seen = replace(one, answer=await ask(_question(one, one.way)))
            if seen.is_read:
                return seen
    return None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Who wants to open what, and from where."""

    vantage: str
    delegate: str
    mailbox: str


def _question(one: Opened, way: WayIn) -> ReadMailbox:
    return ReadMailbox(
        one.vantage, way.address, way.name, one.path, one.delegate, one.mailbox
    )  # fmt: skip


async def _addressed(ask: Ask, wanted: tuple[_Wanted, ...]) -> tuple[Opened, ...]:
    """The ways to the URLs that Autodiscover gives; one without a way where there is none."""
    found: list[Opened] = []
    told = await _settings(ask, wanted)
    for which, said in told.items():
        url = ""
        if isinstance(said, Fact):
            url = said.value.ews_inside if which.vantage == INSIDE else said.value.ews_outside
        one = Opened(which.vantage, which.delegate, which.mailbox, said)
        parts = urlsplit(url)
        host = parts.hostname
        ways = await ways_to(ask, which.vantage, host) if host else ()
        found.extend(replace(one, path=parts.path, way=way) for way in ways)
        if not ways:
            found.append(one)
    return tuple(found)


async def _settings(ask: Ask, wanted: tuple[_Wanted, ...]) -> dict[_Wanted, Answer[SoapSettings]]:
    """What the first address says that has settings, else what the last one says.

    All are asked at their first address at once, then those without settings at their second.
    """
    ways = await ways_in(ask)
    left = {
        which: discovery_ways((way for way in ways if way.vantage == which.vantage), which.mailbox)
        for which in wanted
    }
    told: dict[_Wanted, Answer[SoapSettings]] = {}
    while left := {which: places for which, places in left.items() if places}:
        answers = await ask.each(
            DiscoverBySoap(
                which.vantage, places[0].address, places[0].name, which.mailbox, which.delegate
            )
            for which, places in left.items()
        )
        told |= zip(left, answers, strict=True)
        left = {
            which: () if _has_settings(told[which]) else places[1:]
            for which, places in left.items()
        }
    return told


def _has_settings(said: Answer[SoapSettings]) -> bool:
    return isinstance(said, Fact) and bool(said.value.user_dn)
