"""The names that clients use: the same set everywhere, short-lived, and every address alive."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailmig.api import (
    INSIDE,
    Answer,
    Ask,
    AutodiscoverPoint,
    Check,
    Fact,
    Finding,
    NameAnswer,
    NoAnswer,
    Resolved,
    ResolveName,
    Severity,
    limit,
    resolved,
)

_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Sets:
    """One client name: what each server that holds the zone says, and each resolver."""

    name: str
    held: tuple[Answer[NameAnswer], ...]


async def gather_sets(ask: Ask) -> tuple[Sets, ...]:
    scope = ask.scope
    found = []
    for name in scope.client_names:
        questions = [ResolveName(INSIDE, name, "A", server) for server in scope.authoritative]
        found.append(Sets(name, await ask.each(questions)))
    return tuple(found)


def judge_sets(sets: tuple[Sets, ...]) -> Iterator[Finding]:
    """Every name server that holds the zone gives out the same addresses for a client name.

    Round-robin spreads clients over the addresses of one set. Where two servers differ, half of
    the clients keep an address that the other half has lost, and no test at one's own desk sees it.

    Source: health.md 2.8, dns_rr_set.
    To do: look at the serials in the evidence. Where they differ, replication is late: wait, or
    force it (repadmin /syncall). Where they are equal, correct the record.
    """
    for one in sets:
        answers = [said.value for said in one.held if isinstance(said, Fact)]
        yield from _silent(one.held, one.name)
        different = {frozenset(answer.values) for answer in answers}
        evidence = tuple((answer.server, _shown(answer)) for answer in answers)
        if len(different) > 1:
            summary = "its name servers give out different addresses"
            yield Finding(one.name, Severity.CRITICAL, summary, evidence=evidence)
        elif different == {frozenset()}:
            yield Finding(one.name, Severity.CRITICAL, "it has no address", evidence=evidence)
        elif answers:
            summary = f"{', '.join(sorted(answers[0].values))} everywhere"
            yield Finding(one.name, Severity.OK, summary, evidence=evidence)


@dataclass(frozen=True, slots=True)
class TtlLimits:
    """How long resolvers and clients may keep an address that has left the set."""

    warning_s: int = limit(300, "s", "above it a drain takes longer than planned")
    critical_s: int = limit(3600, "s", "above it a drain is out of the question")


def judge_ttl(sets: tuple[Sets, ...], limits: TtlLimits) -> Iterator[Finding]:
    """A client that was told an address forgets it soon after it has left the set.

    Source: health.md 2.8, dns_ttl; five minutes for all client names is Microsoft's advice.
    To do: lower the TTL of the record, one old TTL before maintenance begins.
    """
    for one in sets:
        kept = [said.value.ttl_s for said in one.held if isinstance(said, Fact)]
        longest = max((ttl for ttl in kept if ttl is not None), default=None)
        if longest is None:
            continue
        severity = Severity.OK
        if longest > limits.critical_s:
            severity = Severity.CRITICAL
        elif longest > limits.warning_s:
            severity = Severity.WARNING
        yield Finding(one.name, severity, f"kept for {_span(longest)} after a change")


def judge_caches(found: tuple[Resolved, ...]) -> Iterator[Finding]:
    """The resolvers of each site, and outside, know every client name, and agree at one vantage.

    Source: health.md 2.8, dns_cache_view.
    To do: ask the resolver that differs again after twice the TTL; clear its cache if it does not
    follow (dnscmd /clearcache), and look whether it forwards to somebody else.
    """
    said: dict[tuple[str, str], list[Resolved]] = {}
    for one in found:
        said.setdefault((one.vantage, one.name), []).append(one)
    for (vantage, name), here in said.items():
        yield from _silent([one.answer for one in here], name)
        answers = [one.answer.value for one in here if isinstance(one.answer, Fact)]
        evidence = tuple((answer.server, _shown(answer)) for answer in answers)
        different = {frozenset(answer.values) for answer in answers}
        if len(different) > 1:
            summary = "resolvers of one vantage give out different addresses"
            yield Finding(name, Severity.WARNING, summary, vantage, evidence)
        elif different == {frozenset()}:
            yield Finding(name, Severity.CRITICAL, "it has no address", vantage, evidence)
        elif answers:
            summary = ", ".join(sorted(answers[0].values))
            yield Finding(name, Severity.OK, summary, vantage, evidence)


async def gather_resolved(ask: Ask) -> tuple[Resolved, ...]:
    return await resolved(ask)


def _silent(answers: Iterable[Answer[NameAnswer]], name: str) -> Iterator[Finding]:
    for said in answers:
        if isinstance(said, NoAnswer):
            who = (("asked", said.origin.who),)
            yield Finding(name, Severity.UNKNOWN, said.reason, said.origin.vantage, who)


def _shown(answer: NameAnswer) -> str:
    values = ", ".join(sorted(answer.values)) or answer.rcode
    serial = "" if answer.serial is None else f", serial {answer.serial}"
    return f"{values}{serial}"


def _span(seconds: int) -> str:
    return f"{seconds // _MINUTE_S} min" if seconds >= 2 * _MINUTE_S else f"{seconds} s"


same_set = Check(
    id="namespace.round_robin_set",
    question="Do all name servers give out the same addresses?",
    gather=gather_sets,
    judge=judge_sets,
)
short_lived = Check(
    id="namespace.ttl",
    question="How long do clients keep an address that is gone?",
    gather=gather_sets,
    judge=judge_ttl,
    limits=TtlLimits(),
)
caches = Check(
    id="namespace.cache_view",
    question="What do clients at each site, and outside, get for the names they use?",
    gather=gather_resolved,
    judge=judge_caches,
)


@dataclass(frozen=True, slots=True)
class Points:
    """The service connection points, and the full names of all Exchange servers."""

    points: tuple[AutodiscoverPoint, ...]
    servers: tuple[str, ...]


async def gather_points(ask: Ask) -> Points:
    scope = ask.scope
    return Points(scope.service_points, tuple(server.fqdn.lower() for server in scope.servers))


def judge_points(seen: Points) -> Iterator[Finding]:
    """Domain members are sent to a name for Autodiscover, never to one server.

    A service connection point that names a server leads everybody there who asks Active Directory
    first; when that server is down or drained, Outlook finds nothing.

    Source: health.md 2.8, dns_autodiscover.
    To do: Set-ClientAccessService SERVER -AutoDiscoverServiceInternalUri
    https://autodiscover.DOMAIN/Autodiscover/Autodiscover.xml for each server.
    """
    for point in seen.points:
        if not point.url:
            continue
        host = (urlsplit(point.url).hostname or "").lower()
        evidence = (("address", point.url),)
        if host in seen.servers:
            summary = f"it sends domain members to one server, {host}"
            yield Finding(point.server, Severity.CRITICAL, summary, INSIDE, evidence)
        else:
            yield Finding(point.server, Severity.OK, f"it names {host}", INSIDE, evidence)


@dataclass(frozen=True, slots=True)
class NodeName:
    """What the resolvers inside say about a server's own name."""

    server: str
    answers: tuple[Answer[NameAnswer], ...]


async def gather_nodes(ask: Ask) -> tuple[NodeName, ...]:
    found = []
    for server in ask.scope.servers:
        questions = [
            ResolveName(place.name, server.fqdn.lower(), "A", resolver)
            for place in ask.scope.vantages
            if place.inside and server.fqdn
            for resolver in place.resolvers
        ]
        found.append(NodeName(server.fqdn.lower(), await ask.each(questions)))
    return tuple(found)


def judge_nodes(seen: tuple[NodeName, ...]) -> Iterator[Finding]:
    """Every server's own name leads to one address, the same at each site, and to no other server's.

    Exchange proxies and moves by these names; a leftover record sends them into the void.

    Source: health.md 2.8, dns_node_names.
    To do: correct the A record of the server; look whether its network card registers itself.
    """
    held: dict[str, list[str]] = {}
    for one in seen:
        yield from _silent(one.answers, one.server)
        found = {a for said in one.answers if isinstance(said, Fact) for a in said.value.addresses}
        for address in found:
            held.setdefault(address, []).append(one.server)
        listed = ", ".join(sorted(found))
        if len(found) == 1:
            yield Finding(one.server, Severity.OK, listed, INSIDE)
        elif found:
            yield Finding(one.server, Severity.WARNING, f"several addresses: {listed}", INSIDE)
        elif any(isinstance(said, Fact) for said in one.answers):
            yield Finding(one.server, Severity.CRITICAL, "its name has no address", INSIDE)
    for address, servers in held.items():
        if len(servers) > 1:
            summary = f"several servers have it: {', '.join(servers)}"
            yield Finding(address, Severity.CRITICAL, summary, INSIDE)


async def gather_other_kinds(ask: Ask) -> tuple[Resolved, ...]:
    return (*await resolved(ask, "A"), *await resolved(ask, "AAAA"))


def judge_other_kinds(seen: tuple[Resolved, ...]) -> Iterator[Finding]:
    """A client name is a set of A records: no alias, and no IPv6 address that nobody drains.

    A drain takes A records out of the set. Clients that find an AAAA record, or follow an alias to
    another name, go on connecting.

    Source: health.md 2.8; mailmig's own rule.
    To do: replace the alias by A records, take the AAAA record away, or drain them too.
    """
    told: set[tuple[str, str]] = set()
    for one in seen:
        if not isinstance(one.answer, Fact):
            continue
        answer = one.answer.value
        for summary in _surprises(answer):
            if (one.name, summary) not in told:
                told.add((one.name, summary))
                yield Finding(one.name, Severity.WARNING, summary, one.vantage)
    names = {one.name for one in seen}
    for name in sorted(names - {name for name, _ in told}):
        yield Finding(name, Severity.OK, "A records only")


def _surprises(answer: NameAnswer) -> Iterator[str]:
    if answer.canonical != answer.name:
        yield f"it is an alias of {answer.canonical}"
    if answer.type == "AAAA" and answer.addresses:
        yield f"it has an IPv6 address: {', '.join(sorted(answer.addresses))}"


service_points = Check(
    id="namespace.service_points",
    question="Where do domain members ask for Autodiscover?",
    gather=gather_points,
    judge=judge_points,
)
node_names = Check(
    id="namespace.node_names",
    question="Do the servers' own names lead to them?",
    gather=gather_nodes,
    judge=judge_nodes,
)
other_kinds = Check(
    id="namespace.other_records",
    question="Are there aliases or IPv6 addresses that a drain would miss?",
    gather=gather_other_kinds,
    judge=judge_other_kinds,
)
