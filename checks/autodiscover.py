"""Autodiscover: what is told about mailboxes, at every address, inside and outside alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mailmig.api import (
    INSIDE,
    OUTSIDE,
    Answer,
    Ask,
    BadDocument,
    Check,
    Discover,
    DiscoverBySoap,
    Discovered,
    Fact,
    FetchPage,
    Finding,
    Page,
    Question,
    Severity,
    SoapSettings,
    Stage,
    Trouble,
    WayIn,
    autodiscover_v2,
    discovery_ways,
    ways_in,
)

_MAILBOX_ID: Final = re.compile(r"[?&]mailboxid=([0-9a-f-]{36})@", re.IGNORECASE)
# ErrorCode of POX (protocols.md 5.1).
_ERRORS: Final = {
    500: "the address is not found", 501: "there are no settings for it",
    600: "the request is refused as invalid", 601: "its schema is not known",
    602: "it is not set up", 603: "an internal error",
}  # fmt: skip
# What has to be the same wherever one asks.
_SAME: Final = {
    "legacy_dn": "LegacyDN", "mapi_inside": "the URL of MAPI inside",
    "mapi_outside": "the URL of MAPI outside", "shared": "the shared mailboxes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What one address tells one probe account about one mailbox, in three ways.

    `shared` is the other mailbox of the pair where this one is the account's own.
    """

    way: WayIn
    delegate: str
    mailbox: str
    pox: Answer[Discovered]
    soap: Answer[SoapSettings]
    json: Answer[Page]
    shared: tuple[str, ...] = ()


async def gather(ask: Ask) -> tuple[Told, ...]:
    ways = await ways_in(ask)
    opens: dict[str, list[str]] = {}
    for pair in ask.scope.probes:
        opens.setdefault(pair.delegate, []).extend(filter(None, [pair.shared]))
    # A mailbox is offered the same whoever asks: the first who may open it does.
    askers = {shared: delegate for delegate, all_ in reversed(opens.items()) for shared in all_}
    askers |= {delegate: delegate for delegate in opens}
    asked = [
        (way, delegate, mailbox)
        for mailbox, delegate in sorted(askers.items())
        for way in discovery_ways(ways, mailbox)
    ]
    questions: list[Question[Any]] = [
        question
        for way, delegate, mailbox in asked
        for question in _questions(way, delegate, mailbox)
    ]
    answers = iter(await ask.each(questions))
    return tuple(
        Told(
            way, delegate, mailbox, next(answers), next(answers), next(answers),
            tuple(opens[delegate]) if mailbox == delegate else (),
        )
        for way, delegate, mailbox in asked
    )  # fmt: skip


def _questions(way: WayIn, delegate: str, mailbox: str) -> tuple[Question[Any], ...]:
    """POX, SOAP and V2, all at once: a server that hangs is waited for once."""
    place = way.vantage, way.address, way.name
    path = autodiscover_v2.Request(mailbox, autodiscover_v2.EWS).encode()
    return (
        Discover(*place, mailbox, delegate), DiscoverBySoap(*place, mailbox, delegate),
        FetchPage(*place, path),
    )  # fmt: skip


def judge(seen: tuple[Told, ...]) -> Iterator[Finding]:
    """Every address tells the same about a mailbox, inside and outside, and all that clients need.

    That is: a LegacyDN, URLs of MAPI/HTTP with the mailbox's own id, a URL of EWS, and for the
    delegate the shared mailboxes that Outlook opens by itself. POX is what Outlook asks, SOAP what
    others ask; V2 is asked too and only shown, since many block it on purpose. A dead address is
    left to client_access.probe.

    Source: protocols.md 5; migration.md 12.
    To do: compare URLs and authentication of the virtual directories on all servers; addresses that
    differ after a move agree again within minutes, or the application pool of Autodiscover is recycled.
    """
    if not seen:
        summary = (
            "nothing to log on with, or no name of Autodiscover to ask: see [probe] and [check]"
        )
        yield Finding("Autodiscover", Severity.OK, summary, skipped=True)
    groups: dict[tuple[str, str], list[Told]] = {}
    for one in seen:
        groups.setdefault((one.delegate, one.mailbox), []).append(one)
    for (delegate, mailbox), here in groups.items():
        subject = mailbox if mailbox == delegate else f"{mailbox}, asked by {delegate}"
        for vantage in (INSIDE, OUTSIDE):
            places = [one for one in here if one.way.vantage == vantage]
            if places:
                yield from _judged(subject, vantage, places)
        yield from _sides(subject, here)


def _judged(subject: str, vantage: str, here: list[Told]) -> Iterator[Finding]:
    """One mailbox from one vantage."""
    alive = [one for one in here if not _is_dead(one)]
    if not alive:
        yield Finding(subject, Severity.CRITICAL, "no address answers", vantage)
        return
    evidence = tuple(pair for one in alive for pair in _evidence(one))
    wrong: dict[tuple[Severity, str], list[str]] = {}
    for one in alive:
        for complaint in (*_complaints(one, vantage), *_soap_complaints(one, vantage)):
            wrong.setdefault(complaint, []).append(_place(one))
    differ = _differences(alive)
    if differ:
        words = f"its addresses tell different things: {', '.join(differ)}"
        wrong[Severity.CRITICAL, words] = [_place(one) for one in alive]
    for (severity, words), places in wrong.items():
        where = f" ({', '.join(places)})" if len(places) < len(alive) else ""
        yield Finding(subject, severity, f"{words}{where}", vantage, evidence)
    if not wrong:
        many = "1 address tells" if len(alive) == 1 else f"{len(alive)} addresses tell the same"
        yield Finding(subject, Severity.OK, f"{many}, with MAPI and EWS", vantage, evidence)


def _sides(subject: str, here: list[Told]) -> Iterator[Finding]:
    """Inside and outside are told the same: one place tells all, and each side picks its URL."""
    firsts = []
    for vantage in (INSIDE, OUTSIDE):
        good = [one for one in here if one.way.vantage == vantage and _settings(one)]
        firsts.extend(good[:1])
    differ = _differences(firsts)
    if differ:
        words = f"outside is told something else than inside: {', '.join(differ)}"
        evidence = tuple(pair for one in firsts for pair in _evidence(one))
        yield Finding(subject, Severity.WARNING, words, OUTSIDE, evidence)


def _settings(one: Told) -> Discovered | None:
    """What POX tells; None where it tells no settings."""
    said = one.pox.value if isinstance(one.pox, Fact) else None
    if said is None or said.status != 200 or not said.let_in:
        return None
    return None if said.trouble or said.redirect or said.error is not None else said


def _differences(here: list[Told]) -> list[str]:
    told = [settings for one in here if (settings := _settings(one))]
    return [
        words for field, words in _SAME.items() if len({getattr(one, field) for one in told}) > 1
    ]


def _complaints(one: Told, vantage: str) -> Iterator[tuple[Severity, str]]:
    """What is wrong with the answer of POX."""
    if not isinstance(one.pox, Fact):
        yield Severity.UNKNOWN, one.pox.reason
        return
    said = _settings(one)
    if said is None:
        yield Severity.CRITICAL, _refusal(one.pox.value)
        return
    if not said.legacy_dn:
        yield Severity.CRITICAL, "it tells no LegacyDN"
    if not said.mapi:
        yield Severity.WARNING, "it offers no MAPI/HTTP: Outlook falls back to RPC over HTTP"
    elif not (said.mapi_inside if vantage == INSIDE else said.mapi_outside):
        yield Severity.CRITICAL, f"it names no URL of MAPI for {_side(vantage)}"
    ids = {
        found[1].lower() if (found := _MAILBOX_ID.search(url)) else ""
        for url in (said.mapi_inside, said.mapi_outside)
        if url
    }
    if "" in ids or len(ids) > 1:
        yield Severity.CRITICAL, "its URLs of MAPI do not lead to one mailbox: see MailboxId"
    for other in one.shared:
        if other not in {address.lower() for address in said.shared}:
            yield Severity.NOTICE, f"Outlook does not open {other} by itself (no automapping)"


def _soap_complaints(one: Told, vantage: str) -> Iterator[tuple[Severity, str]]:
    """What is wrong with the answer of SOAP, beside that of POX."""
    pox = _settings(one)
    if pox is None:
        return
    if not isinstance(one.soap, Fact):
        yield Severity.UNKNOWN, f"SOAP: {one.soap.reason}"
        return
    said = one.soap.value
    if said.error or said.trouble or not said.let_in or said.status != 200:
        yield Severity.CRITICAL, f"SOAP: {_soap_refusal(said)}"
        return
    if not (said.ews_inside if vantage == INSIDE else said.ews_outside):
        yield Severity.CRITICAL, f"it names no URL of EWS for {_side(vantage)}"
    if said.user_dn and said.user_dn.lower() != pox.legacy_dn.lower():
        yield Severity.CRITICAL, "POX and SOAP tell different LegacyDNs"
    if said.mapi is not None and said.mapi is not pox.mapi:
        yield Severity.WARNING, "POX and SOAP do not agree on MAPI/HTTP"


def _refusal(said: Discovered) -> str:
    """Why there are no settings."""
    if said.trouble is not None:
        return said.trouble.reason
    if said.error is not None:
        return f"{_ERRORS.get(said.error, 'an error')} (ErrorCode {said.error})"
    if said.redirect:
        return f"it leads on to {said.redirect}"
    if said.let_in is False:
        return "the password is refused here"
    if said.status == 401:
        return f"the scheme is not offered, only {', '.join(said.offered)}"
    asked = "" if said.let_in else ", and no question who is there"
    return f"status {said.status}{asked}"


def _soap_refusal(said: SoapSettings) -> str:
    if said.trouble is not None:
        return said.trouble.reason
    return said.error or f"status {said.status}"


def _is_dead(one: Told) -> bool:
    trouble: Trouble | None = one.pox.value.trouble if isinstance(one.pox, Fact) else None
    return trouble is not None and trouble.stage is Stage.TCP


def _place(one: Told) -> str:
    return f"{one.way.name} at {one.way.address}"


def _side(vantage: str) -> str:
    return "inside" if vantage == INSIDE else "outside"


def _evidence(one: Told) -> Iterator[tuple[str, str]]:
    place = _place(one)
    said = _settings(one)
    if said is not None:
        yield f"{place}, LegacyDN", said.legacy_dn
        yield f"{place}, MAPI inside", said.mapi_inside or "none"
        yield f"{place}, MAPI outside", said.mapi_outside or "none"
        yield f"{place}, shared mailboxes", ", ".join(said.shared) or "none"
    if isinstance(one.soap, Fact) and one.soap.value.user_dn:
        yield f"{place}, EWS inside", one.soap.value.ews_inside or "none"
        yield f"{place}, EWS outside", one.soap.value.ews_outside or "none"
    yield f"{place}, V2", _v2(one.json)


def _v2(answer: Answer[Page]) -> str:
    """What V2 says; it may well be blocked or not there."""
    if not isinstance(answer, Fact):
        return answer.reason
    if answer.value.trouble is not None:
        return answer.value.trouble.reason
    try:
        said = autodiscover_v2.decode(answer.value.body.encode())
    except BadDocument:
        return f"not there or blocked (status {answer.value.status})"
    return said.url if isinstance(said, autodiscover_v2.Found) else said.code


autodiscover = Check(
    id="client_access.autodiscover",
    question="Does every address tell clients the same, and all that they need?",
    gather=gather,
    judge=judge,
)
