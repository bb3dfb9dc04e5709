"""The ways in: under which addresses clients of each vantage find the names that they use."""

from collections.abc import Iterable
from dataclasses import dataclass

from mailmig.model.finding import INSIDE, OUTSIDE, Answer, Ask, Fact
from mailmig.model.names import NameAnswer, ResolveName

AUTODISCOVER = "autodiscover."
"""How the names begin under which Autodiscover is found."""


@dataclass(frozen=True, slots=True)
class WayIn:
    """One address of one client name; `vantage` is `INSIDE` or `OUTSIDE`."""

    vantage: str
    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a resolver of a vantage says about a client name."""

    vantage: str
    name: str
    server: str
    answer: Answer[NameAnswer]


async def resolved(ask: Ask, kind: str = "A") -> tuple[Resolved, ...]:
    """Each client name at each resolver of each vantage."""
    asked = [
        (vantage.name, name, server)
        for vantage in ask.scope.vantages
        for name in ask.scope.client_names
        for server in vantage.resolvers
    ]
    answers = await ask.each(
        ResolveName(vantage, name, kind, server) for vantage, name, server in asked
    )
    return tuple(
        Resolved(vantage, name, server, answer)
        for (vantage, name, server), answer in zip(asked, answers, strict=True)
    )


async def ways_in(ask: Ask) -> tuple[WayIn, ...]:
    """Every address of every client name, from inside and from outside; each way once, sorted."""
    only = ask.scope.only
    found = {way for way in _ways(await resolved(ask)) if not only or way.address in only}
    return tuple(sorted(found, key=lambda way: (way.vantage, way.name, way.address)))


async def ways_to(ask: Ask, vantage: str, host: str) -> tuple[WayIn, ...]:
    """Where clients of a vantage find a host that Autodiscover names to them.

    Beside it every name that they use, without those of Autodiscover itself: any of these servers
    has to lead them to any mailbox.
    """
    found = {
        way
        for way in await ways_in(ask)
        if way.vantage == vantage and not way.name.startswith(AUTODISCOVER)
    }
    if host not in {way.name for way in found}:
        answers = await ask.each(
            ResolveName(place.name, host, "A", server)
            for place in ask.scope.vantages
            if place.inside is (vantage == INSIDE)
            for server in place.resolvers
        )
        known = [one.value.addresses for one in answers if isinstance(one, Fact)]
        only = ask.scope.only
        found.update(
            WayIn(vantage, host, address)
            for addresses in known
            for address in addresses
            if not only or address in only
        )
    return tuple(sorted(found, key=lambda way: (way.name, way.address)))


def _ways(found: Iterable[Resolved]) -> Iterable[WayIn]:
    for one in found:
        if isinstance(one.answer, Fact):
            for address in one.answer.value.addresses:
                vantage = OUTSIDE if one.vantage == OUTSIDE else INSIDE
                yield WayIn(vantage, one.name, address)
