"""Client access: every protocol of every address behind the names that clients use."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailmig.api import (
    AUTODISCOVER,
    OUTSIDE,
    Answer,
    Ask,
    AskSyncOptions,
    Check,
    Discover,
    Fact,
    FetchPage,
    Finding,
    Page,
    Severity,
    Stage,
    SyncOptions,
    WayIn,
    discovery_ways,
    ways_in,
)

PROTOCOLS: Final = (
    "owa", "ecp", "ews", "mapi", "rpc", "oab", "autodiscover", "Microsoft-Server-ActiveSync",
)  # fmt: skip
# What a request without a logon is answered with (protocols.md 3): 401, or OWA's form.
ENTRIES: Final = {
    "OWA": "/owa/", "ECP": "/ecp/", "EWS": "/EWS/Exchange.asmx", "MAPI": "/mapi/emsmdb/",
    "Autodiscover": "/autodiscover/autodiscover.xml", "OAB": "/OAB/",
    "ActiveSync": "/Microsoft-Server-ActiveSync", "RPC": "/rpc/rpcproxy.dll",
}  # fmt: skip
_FORMS: Final = ("OWA", "ECP")
# What ActiveSync's statuses mean (MS-ASHTTP 2.2.2.1.1; protocols.md 3), and how bad they are.
_SYNC: Final = {
    403: (Severity.WARNING, "phones are refused: ActiveSync is off for the account, or blocked"),
    404: (Severity.CRITICAL, "there is no ActiveSync"),
    451: (Severity.WARNING, "phones are sent to another server"),
    456: (Severity.WARNING, "the account is blocked"),
    457: (Severity.WARNING, "the account's password has expired"),
    503: (Severity.CRITICAL, "ActiveSync is down"),
}
_NUMBER: Final = re.compile(r"\d{1,4}")
_WELL: Final = re.compile(r"200 OK<br ?/>\s*([\w.-]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """What one address says about one protocol."""

    way: WayIn
    protocol: str
    answer: Answer[Page]


async def gather(ask: Ask) -> tuple[Healthcheck, ...]:
    asked = [(way, protocol) for way in await ways_in(ask) for protocol in PROTOCOLS]
    answers = await ask.each(
        FetchPage(way.vantage, way.address, way.name, f"/{protocol}/healthcheck.htm")
        for way, protocol in asked
    )
    return tuple(
        Healthcheck(way, protocol, answer)
        for (way, protocol), answer in zip(asked, answers, strict=True)
    )


def judge(seen: tuple[Healthcheck, ...]) -> Iterator[Finding]:
    """Each address behind a client name answers for all protocols that clients use.

    The front end answers healthcheck.htm from memory, without a logon, as long as Exchange itself
    thinks the protocol healthy and the server is not in maintenance; the page names the server. ECP
    answers 404 outside where it is not published, as it should not be.

    Source: health.md 2.6, ca_probe; protocols.md 3.
    To do: look at the component states and application pools of the server. A dead address has to
    leave DNS: round-robin has no health check of its own, and clients go on connecting to it.
    """
    ways: dict[WayIn, list[Healthcheck]] = {}
    for one in seen:
        ways.setdefault(one.way, []).append(one)
    for way, here in ways.items():
        subject = f"{way.name} at {way.address}"
        sick = {one.protocol: why for one in here if (why := _complaint(one))}
        servers = sorted({name for one in here if (name := _server(one.answer))})
        evidence = tuple(sick.items())
        if not sick:
            names = ", ".join(servers)
            summary = f"all {len(here)} protocols answer ({names})"
            severity = Severity.OK if len(servers) == 1 else Severity.NOTICE
            yield Finding(subject, severity, summary, way.vantage)
        elif len(set(sick.values())) == 1 and len(sick) == len(here):
            summary = f"no protocol answers: {next(iter(sick.values()))}"
            yield Finding(subject, Severity.CRITICAL, summary, way.vantage, evidence)
        else:
            listed = ", ".join(sick)
            summary = f"{len(sick)} of {len(here)} protocols do not answer: {listed}"
            yield Finding(subject, Severity.CRITICAL, summary, way.vantage, evidence)


def _complaint(one: Healthcheck) -> str:
    """Why it is not well, or nothing."""
    if not isinstance(one.answer, Fact):
        return one.answer.reason
    page = one.answer.value
    if page.trouble is not None:
        return page.trouble.reason
    if _is_hidden(one.way, one.protocol, page):
        return ""
    if page.status != 200:
        return f"status {page.status} {page.reason}".rstrip()
    return "" if _WELL.search(page.body) else "status 200 with another page than Exchange's"


def _server(answer: Answer[Page]) -> str:
    """The server that answered, by its own page."""
    found = _WELL.search(answer.value.body) if isinstance(answer, Fact) else None
    return found[1].lower() if found else ""


probes = Check(
    id="client_access.probe",
    question="Does every address behind the client names answer for every protocol?",
    gather=gather,
    judge=judge,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """How one address answers at one entry point, without a logon."""

    way: WayIn
    entry: str
    answer: Answer[Page]


async def gather_entries(ask: Ask) -> tuple[Entry, ...]:
    asked = [(way, entry) for way in await ways_in(ask) for entry in ENTRIES]
    answers = await ask.each(
        FetchPage(way.vantage, way.address, way.name, ENTRIES[entry]) for way, entry in asked
    )
    return tuple(
        Entry(way, entry, answer) for (way, entry), answer in zip(asked, answers, strict=True)
    )


def judge_entries(seen: tuple[Entry, ...]) -> Iterator[Finding]:
    """Every entry point asks who is there, at every address of a name in the same way.

    401 with the schemes that clients use is as it should be, for OWA and ECP also the way to the
    logon form. A page without a question means that something else answers; addresses that offer
    different schemes make half of the clients fail. A dead address is left to client_access.probe.

    Source: protocols.md 3; health.md 2.6, ca_auth, and 2.7, mapi_endpoint.
    To do: compare the authentication methods of the virtual directories on both servers; a page
    that is not Exchange's comes from a proxy, a filter, or another site of IIS.
    """
    entries: dict[tuple[str, str, str], list[tuple[WayIn, Page]]] = {}
    for one in seen:
        if isinstance(one.answer, Fact) and _is_reached(one.answer.value):
            found = entries.setdefault((one.way.vantage, one.way.name, one.entry), [])
            found.append((one.way, one.answer.value))
    for (vantage, name, entry), here in entries.items():
        subject = f"{entry} of {name}"
        said = {way.address: _asks(way, entry, page) for way, page in here}
        evidence = tuple(said.items())
        wrong = {address: words for address, words in said.items() if not words.startswith("asks")}
        if wrong:
            listed = ", ".join(f"{address}: {words}" for address, words in wrong.items())
            yield Finding(subject, Severity.CRITICAL, listed, vantage, evidence)
        elif len(set(said.values())) > 1:
            summary = "its addresses ask for different ways to log on"
            yield Finding(subject, Severity.WARNING, summary, vantage, evidence)
        else:
            yield Finding(subject, Severity.OK, next(iter(said.values())), vantage, evidence)


def _is_hidden(way: WayIn, protocol: str, page: Page) -> bool:
    """The admin's pages have no business outside (protocols.md 3)."""
    return way.vantage == OUTSIDE and protocol.lower() == "ecp" and page.status == 404


def _is_reached(page: Page) -> bool:
    return page.trouble is None or page.trouble.stage is Stage.HTTP


def _asks(way: WayIn, entry: str, page: Page) -> str:
    """How it asks who is there; another first word where it does not."""
    if page.trouble is not None:
        return page.trouble.reason
    if _is_hidden(way, entry, page):
        return "asks nobody: not published, as it should be"
    if page.status == 401:
        offered = (value for key, value in page.headers if key == "www-authenticate")
        schemes = sorted({value.partition(" ")[0] for value in offered})
        return f"asks for {', '.join(schemes)}" if schemes else "status 401 without any scheme"
    location = page.header("location")
    if page.status == 302 and entry in _FORMS and "/auth/logon.aspx" in location.lower():
        return "asks by its form"
    where = f" to {location}" if location else ""
    return f"status {page.status} {page.reason}{where}".rstrip()


entry_points = Check(
    id="client_access.entry_points",
    question="Does every entry point ask who is there, the same at every address?",
    gather=gather_entries,
    judge=judge_entries,
)


@dataclass(frozen=True, slots=True)
class Phone:
    """How one address answers a phone; `answer` is None where nothing was shown to it."""

    way: WayIn
    delegate: str
    answer: Answer[SyncOptions] | None = None


async def gather_phones(ask: Ask) -> tuple[Phone, ...]:
    """Phones show the password itself: first it has to be known as good at Autodiscover."""
    ways = await ways_in(ask)
    found: list[Phone] = []
    for delegate in dict.fromkeys(pair.delegate for pair in ask.scope.probes):
        is_known = await _is_let_in(ask, discovery_ways(ways, delegate), delegate)
        targets = [way for way in ways if not way.name.startswith(AUTODISCOVER)]
        questions = [
            AskSyncOptions(way.vantage, way.address, way.name, delegate) for way in targets
        ]
        answers = await ask.each(questions) if is_known else [None] * len(targets)
        found.extend(
            Phone(way, delegate, answer) for way, answer in zip(targets, answers, strict=True)
        )
    return tuple(found)


async def _is_let_in(ask: Ask, ways: tuple[WayIn, ...], delegate: str) -> bool:
    """Whether Autodiscover accepts the password at one of these."""
    for way in ways:
        said = await ask(Discover(way.vantage, way.address, way.name, delegate, delegate))
        if isinstance(said, Fact) and said.value.let_in:
            return True
    return False


def judge_phones(seen: tuple[Phone, ...]) -> Iterator[Finding]:
    """A phone that logs on as a probe account is told which versions of ActiveSync there are.

    It logs on with Basic, as phones do, and only where the password was accepted before. While
    mailboxes move, 451 tells a phone where its mailbox is now. A dead address is left to
    client_access.probe.

    Source: protocols.md 3; MS-ASHTTP 2.2.3 and 3.2.5.2.
    To do: for 403 look at Get-CASMailbox and at what is published; for 451 at the external URL of the
    ActiveSync virtual directory on the new server; where Basic is missing, at its authentication.
    """
    if not seen:
        summary = "nothing to log on with: see [probe]"
        yield Finding("ActiveSync", Severity.OK, summary, skipped=True)
    groups: dict[tuple[str, str, str], list[Phone]] = {}
    for one in seen:
        if _is_answered(one):
            key = one.way.vantage, one.way.name, one.delegate
            groups.setdefault(key, []).append(one)
    for (vantage, name, delegate), here in groups.items():
        said = {one.way.address: _synchronised(one) for one in here}
        evidence = tuple((address, words) for address, (_, words) in said.items())
        for verdict in dict.fromkeys(said.values()):
            places = [address for address, other in said.items() if other == verdict]
            where = f" ({', '.join(places)})" if len(places) < len(said) else ""
            severity, words = verdict
            yield Finding(f"{delegate} at {name}", severity, words + where, vantage, evidence)


def _is_answered(one: Phone) -> bool:
    trouble = one.answer.value.trouble if isinstance(one.answer, Fact) else None
    return trouble is None or trouble.stage is not Stage.TCP


def _synchronised(one: Phone) -> tuple[Severity, str]:
    if one.answer is None:
        return Severity.UNKNOWN, "not asked: Autodiscover did not accept the password"
    if not isinstance(one.answer, Fact):
        return Severity.UNKNOWN, one.answer.reason
    seen = one.answer.value
    if seen.trouble is not None:
        return Severity.CRITICAL, seen.trouble.reason
    if seen.status == 200 and seen.let_in and seen.versions:
        newest = max(seen.versions, key=lambda text: [int(part) for part in _NUMBER.findall(text)])
        return Severity.OK, f"phones are welcome, up to version {newest}"
    if seen.status == 200:
        return Severity.CRITICAL, "another page than that of ActiveSync"
    if seen.let_in is False:
        return Severity.CRITICAL, "Basic is refused, though the password is right"
    if seen.status == 401:
        return Severity.WARNING, f"Basic is not offered, only {', '.join(seen.offered)}"
    unknown = Severity.CRITICAL, "it does not work"
    severity, words = _SYNC.get(seen.status, unknown)
    moved = f": {seen.moved_to}" if seen.moved_to else ""
    return severity, f"{words}{moved} (status {seen.status})"


activesync = Check(
    id="client_access.activesync",
    question="Are phones welcome at every address?",
    gather=gather_phones,
    judge=judge_phones,
)
