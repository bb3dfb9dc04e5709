"""MAPI over HTTP as clients come to it: where Autodiscover leads, then the mailbox at every address."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mailmig.model.finding import INSIDE, OUTSIDE, Answer, Ask, Fact
from mailmig.model.mapi import Discover, Discovered, WalkMailbox
from mailmig.rules.ews_ways import discovery_ways
from mailmig.rules.mapi_causes import Cell
from mailmig.rules.ways_in import WayIn, ways_in, ways_to


@dataclass(frozen=True, slots=True)
class Errand:
    """A delegate who wants into a mailbox, at a vantage."""

    vantage: str
    delegate: str
    mailbox: str


@dataclass(frozen=True, slots=True)
class Told:
    """What one address says about a mailbox."""

    way: WayIn
    said: Answer[Discovered]

    @property
    def settings(self) -> Discovered | None:
        """What it says, where it knows the mailbox."""
        said = self.said
        return said.value if isinstance(said, Fact) and said.value.legacy_dn else None


async def walked(ask: Ask) -> tuple[Cell, ...]:
    """Each probe account's own mailbox and its shared ones, every way, from inside and outside."""
    ways = await ways_in(ask)
    errands = _errands(ask)
    told = await _discovered(ask, ways, errands)
    places = await _places(ask, {(one.vantage, _host(one, told[one])) for one in errands})
    cells: list[Cell] = []
    walks: list[tuple[Cell, WalkMailbox]] = []
    for errand in errands:
        found = told[errand]
        best = _best(found)
        host = _host(errand, found)
        if best is None and (found or not ask.scope.only):
            cells.extend(_unfound(errand, found))
        elif best and (not host or (errand.vantage, host) not in places):
            cells.append(_cell(errand, best, host))
        elif best and (caller := _caller(errand, told)):
            for way in places[errand.vantage, host]:
                cell = _cell(errand, best, host, way)
                walks.append((cell, _walk(errand, best, caller, way)))
    answers = await ask.each(walk for _, walk in walks)
    whole = (replace(cell, walk=one) for (cell, _), one in zip(walks, answers, strict=True))
    return (*cells, *whole)


def _errands(ask: Ask) -> tuple[Errand, ...]:
    kinds = dict.fromkeys(INSIDE if one.inside else OUTSIDE for one in ask.scope.vantages)
    return tuple(
        dict.fromkeys(
            Errand(vantage, pair.delegate, mailbox)
            for vantage in sorted(kinds)
            for pair in ask.scope.probes
            for mailbox in (pair.delegate, pair.shared)
            if mailbox
        )
    )


async def _discovered(
    ask: Ask, ways: Iterable[WayIn], errands: Iterable[Errand]
) -> dict[Errand, tuple[Told, ...]]:
    """What Autodiscover says about each mailbox: the first address, and the others if need be."""
    asked = {
        errand: [
            way for way in discovery_ways(ways, errand.mailbox) if way.vantage == errand.vantage
        ]
        for errand in errands
    }
    found: dict[Errand, tuple[Told, ...]] = dict.fromkeys(asked, ())
    for part in (slice(0, 1), slice(1, None)):
        open_ones = [(errand, way) for errand in asked for way in asked[errand][part]
                        if not _best(found[errand])]  # fmt: skip
        answers = await ask.each(
            Discover(way.vantage, way.address, way.name, errand.mailbox, errand.delegate)
            for errand, way in open_ones
        )
        for (errand, way), said in zip(open_ones, answers, strict=True):
            found[errand] = (*found[errand], Told(way, said))
    return found


def _best(found: tuple[Told, ...]) -> Told | None:
    """The first that knows the mailbox."""
    return next((one for one in found if one.settings), None)


def _host(errand: Errand, found: tuple[Told, ...]) -> str:
    return urlsplit(_url(errand, _best(found))).hostname or ""


def _url(errand: Errand, told: Told | None) -> str:
    if told is None or told.settings is None:
        return ""
    inside = errand.vantage == INSIDE
    return told.settings.mapi_inside if inside else told.settings.mapi_outside


def _caller(errand: Errand, told: dict[Errand, tuple[Told, ...]]) -> str:
    """The delegate's own mailbox as servers name it: without one there is no session."""
    own = _best(told[Errand(errand.vantage, errand.delegate, errand.delegate)])
    return own.settings.legacy_dn if own and own.settings else ""


async def _places(
    ask: Ask, hosts: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], tuple[WayIn, ...]]:
    """The ways to each published host at its vantage; a host without an address is left out.

    In a sweep of some servers only, an address that is left out is no address that is missing.
    """
    found = {}
    for vantage, host in sorted(hosts):
        ways = await ways_to(ask, vantage, host) if host else ()
        if ask.scope.only or any(way.name == host for way in ways):
            found[vantage, host] = ways
    return found


def _walk(errand: Errand, told: Told, caller: str, way: WayIn) -> WalkMailbox:
    parts = urlsplit(_url(errand, told))
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    assert told.settings is not None
    return WalkMailbox(
        errand.vantage, way.address, way.name, path, errand.delegate, caller,
        told.settings.legacy_dn,
    )  # fmt: skip


def _unfound(errand: Errand, found: tuple[Told, ...]) -> Iterator[Cell]:
    """Nobody knows the mailbox: every address tells why."""
    if not found:
        yield Cell(errand.vantage, "", errand.delegate, errand.mailbox)
    for told in found:
        yield _cell(errand, told, "")


def _cell(errand: Errand, told: Told, host: str, way: WayIn | None = None) -> Cell:
    at = way or told.way
    name = f"{at.name} at {at.address}"
    return Cell(errand.vantage, name, errand.delegate, errand.mailbox, told.said, host)
