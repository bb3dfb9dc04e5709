"""Mail transport: who takes mail, at each server and at the gateway outside, and whether it arrives."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Final

from mailmig.api import (
    INSIDE,
    OUTSIDE,
    Answer,
    Ask,
    Check,
    Delivery,
    Fact,
    Finding,
    GreetSmtp,
    ResolveName,
    SendProbe,
    Severity,
    SmtpGreeting,
    Stage,
    limit,
    opened_first,
)

_READY, _TAKEN = 220, 250
_SHUT: Final = 421
_SECURE: Final = "STARTTLS"


@dataclass(frozen=True, slots=True)
class Listener:
    """How one mail server greets."""

    vantage: str
    name: str
    address: str
    answer: Answer[SmtpGreeting]


async def gather(ask: Ask) -> tuple[Listener, ...]:
    """How all of them greet."""
    ways = await _ways(ask)
    greetings = await ask.each(GreetSmtp(vantage, address) for vantage, _, address in ways)
    return tuple(
        Listener(vantage, name, address, answer)
        for (vantage, name, address), answer in zip(ways, greetings, strict=True)
    )


async def _ways(ask: Ask) -> tuple[tuple[str, str, str], ...]:
    """(vantage, name, address): inside every Exchange server, outside whoever the MX records name."""
    asked, only = [], ask.scope.only
    for place in ask.scope.vantages:
        if place.inside:
            names = tuple(server.fqdn.lower() for server in ask.scope.servers if server.fqdn)
            vantage = INSIDE
        else:
            names, vantage = await _exchangers(ask, place.name, place.resolvers), OUTSIDE
        for name in names:
            answers = await ask.each(
                ResolveName(place.name, name, "A", server) for server in place.resolvers
            )
            known = [one.value.addresses for one in answers if isinstance(one, Fact)]
            asked += [(vantage, name, address) for addresses in known for address in addresses]
    return tuple(sorted({way for way in asked if not only or way[2] in only}))


async def _exchangers(ask: Ask, vantage: str, resolvers: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts of the MX records of every mail domain."""
    answers = await ask.each(
        ResolveName(vantage, domain, "MX", server)
        for domain in ask.scope.mail_domains
        for server in resolvers
    )
    found = [one.value.values for one in answers if isinstance(one, Fact)]
    return tuple({value.split()[-1].rstrip(".").lower() for values in found for value in values})


def judge(seen: tuple[Listener, ...]) -> Iterator[Finding]:
    """Each Exchange server, and each host of an MX record, takes mail and offers TLS.

    Source: health.md 2.5, tr_smtp_listener; protocols.md 2.7.
    To do: behind 421 look at the components FrontendTransport and HubTransport (maintenance?), behind
    a refused connection at the service MSExchangeFrontEndTransport; where STARTTLS is missing, give
    a certificate to SMTP (Enable-ExchangeCertificate -Services SMTP).
    """
    for one in seen:
        subject = f"{one.name} at {one.address}"
        if not isinstance(one.answer, Fact):
            yield Finding(subject, Severity.UNKNOWN, one.answer.reason, one.vantage)
            continue
        greeting = one.answer.value
        evidence = (("banner", f"{greeting.code} {greeting.banner}"),)
        if greeting.trouble is not None:
            reason = f"it takes no mail: {greeting.trouble.reason}"
            yield Finding(subject, Severity.CRITICAL, reason, one.vantage)
        elif greeting.code != _READY:
            why = "not in service (maintenance?)" if greeting.code == _SHUT else "not ready"
            summary = f"it takes no mail: {greeting.code}, {why}"
            yield Finding(subject, Severity.CRITICAL, summary, one.vantage, evidence)
        elif _SECURE not in greeting.features:
            summary = "it offers no STARTTLS: mail goes in the clear"
            yield Finding(subject, Severity.WARNING, summary, one.vantage, evidence)
        else:
            yield Finding(subject, Severity.OK, "takes mail, with TLS", one.vantage, evidence)


listeners = Check(
    id="transport.smtp_listener",
    question="Does every server, and the gateway outside, take mail?",
    gather=gather,
    judge=judge,
)


@dataclass(frozen=True, slots=True)
class Trip:
    """One message by one way to one probe mailbox; `answer` is None where none was sent."""

    vantage: str
    name: str
    address: str
    mailbox: str
    answer: Answer[Delivery] | None = None


@dataclass(frozen=True, slots=True)
class TripLimits:
    """How long a message may take. How long it is waited for is `[probe] delivery_s`."""

    warning_s: float = limit(10.0, "s", "inside, a message takes a few seconds")


async def gather_trips(ask: Ask) -> tuple[Trip, ...]:
    """A message by each way, and one to each probe mailbox: the only question that writes.

    Ways and mailboxes are paired in turn, so that there are no more messages than there are of either.
    None is sent to a mailbox that EWS does not open, since it could not be removed again.
    """
    mailboxes = tuple(dict.fromkeys(pair.delegate for pair in ask.scope.probes))
    ways = await _ways(ask) if mailboxes else ()
    looks = {
        (vantage, mailbox): await opened_first(ask, vantage, mailbox)
        for vantage in dict.fromkeys(vantage for vantage, *_ in ways)
        for mailbox in mailboxes
    }
    count = max(len(ways), len(mailboxes)) if ways else 0
    turns = islice(zip(cycle(ways), cycle(mailboxes), strict=False), count)
    trips = [(*way, mailbox) for way, mailbox in turns]
    questions = {}
    for vantage, name, address, mailbox in trips:
        look = looks[vantage, mailbox]
        if look is not None and look.way is not None:
            questions[vantage, name, address, mailbox] = SendProbe(
                vantage, address, mailbox, look.way.address, look.way.name, look.path
            )
    answers = dict(zip(questions, await ask.each(questions.values()), strict=True))
    return tuple(Trip(*trip, answers.get(trip)) for trip in trips)


def judge_trips(seen: tuple[Trip, ...], limits: TripLimits) -> Iterator[Finding]:
    """A message that is sent to each server, and to the gateway outside, lies in the mailbox in time.

    This check writes: one message by each way, and one into each probe mailbox, found by EWS, timed,
    and removed for good; a late one is removed by the next sweep. Nothing else there is touched. Whoever
    does not want it leaves it out by naming other checks. A server that takes no mail at all is left to
    transport.smtp_listener.

    Source: health.md 2.5, tr_mailflow; protocols.md 2.7.
    To do: where nothing arrives, look at the queues of the servers on its way (Get-Queue, Get-MessageTrackingLog)
    and at the database of the mailbox; a refusal tells its reason itself. A sender that the gateway
    refuses is replaced by [probe] sender.
    """
    if not seen:
        summary = "no probe mailbox to send to, or nobody who takes mail: see [probe]"
        yield Finding("mail", Severity.OK, summary, skipped=True)
    for one in seen:
        subject = f"{one.name} at {one.address} to {one.mailbox}"
        if one.answer is None:
            summary = "nothing was sent: EWS does not open the mailbox (client_access.ews says why)"
            yield Finding(subject, Severity.UNKNOWN, summary, one.vantage)
        elif not isinstance(one.answer, Fact):
            yield Finding(subject, Severity.UNKNOWN, one.answer.reason, one.vantage)
        elif _is_shut(one.answer.value):
            summary = "nothing was sent: it takes no mail (transport.smtp_listener)"
            yield Finding(subject, Severity.OK, summary, one.vantage, skipped=True)
        else:
            severity, summary = _arrived(one.answer.value, limits)
            came = one.answer.value
            evidence = [("answer", f"{came.code} {came.said}")] if came.code else []
            evidence += [("way", " -> ".join(came.hops))] if came.hops else []
            yield Finding(subject, severity, summary, one.vantage, tuple(evidence))


def _is_shut(came: Delivery) -> bool:
    """Nobody listens, or it says so before anything was sent."""
    refused = came.trouble is not None and came.trouble.stage is Stage.TCP
    return refused or (came.code == _SHUT and "not active" in came.said)


def _arrived(came: Delivery, limits: TripLimits) -> tuple[Severity, str]:
    if came.trouble is not None:
        return Severity.CRITICAL, f"not taken: {came.trouble.reason}"
    if came.code not in (0, _TAKEN):
        return Severity.CRITICAL, f"not taken: {came.code} {came.said}"
    if came.looking:
        taken = "taken, but not to be looked for" if came.code else "nothing was sent"
        return Severity.UNKNOWN, f"{taken}: {came.looking}"
    if came.found_s is None:
        return Severity.CRITICAL, f"taken, and not there after {came.waited_s:.0f} s"
    found = f"there after {came.found_s:.1f} s"
    if not came.removed:
        return Severity.WARNING, f"{found}, but could not be removed"
    if came.in_junk:
        return Severity.WARNING, f"{found}, in Junk E-Mail"
    if came.found_s > limits.warning_s:
        return Severity.WARNING, found
    return Severity.OK, f"{found}, and removed"


round_trip = Check(
    id="transport.round_trip",
    question="Does a message arrive that is sent to each server, and to the gateway outside?",
    gather=gather_trips,
    judge=judge_trips,
    limits=TripLimits(),
)
