"""EWS: probe accounts open their own mailbox and shared ones, at every address, from each vantage."""

from collections.abc import Iterator
from typing import Final

from mailmig.api import (
    INSIDE,
    Answer,
    Ask,
    Check,
    Fact,
    Finding,
    MailboxRead,
    OpenedByEws,
    Severity,
    SoapSettings,
    Stage,
    opened_by_ews,
)

_MIB: Final = 1024**2
# What EWS's own words mean (protocols.md 2.4), and how bad it is.
_CODES: Final = {
    "ErrorItemNotFound": (Severity.CRITICAL, "the account has no access to it"),
    "ErrorFolderNotFound": (Severity.CRITICAL, "the account has no access to it"),
    "ErrorAccessDenied": (Severity.CRITICAL, "the account may not read it"),
    "ErrorWrongServerVersionDelegate": (
        Severity.WARNING, "the delegate and the mailbox are on servers of different versions",
    ),
    "ErrorNonExistentMailbox": (
        Severity.CRITICAL, "there is no such mailbox, or it is disabled or disconnected",
    ),
    "ErrorMissingEmailAddress": (Severity.CRITICAL, "the account has no mailbox"),
    "ErrorMailboxMoveInProgress": (Severity.WARNING, "its move completes just now"),
    "ErrorMailboxStoreUnavailable": (
        Severity.CRITICAL, "its database is not mounted, or its server is away",
    ),
    "ErrorMailboxFailover": (Severity.WARNING, "its database has just failed over"),
    "ErrorServerBusy": (Severity.WARNING, "the account is throttled"),
    "ErrorExceededConnectionCount": (Severity.WARNING, "the account has too many connections"),
    "ErrorInvalidServerVersion": (
        Severity.CRITICAL, "an older server is behind this one, and they do not agree",
    ),
    "ErrorInvalidSchemaVersionForMailboxVersion": (
        Severity.CRITICAL, "an older server is behind this one, and they do not agree",
    ),
}  # fmt: skip
_STATUSES: Final = {
    200: "a page comes without any question who is there: it is none of EWS",
    403: "EWS is switched off for the account, or something in front refuses (status 403)",
    404: "nothing is published there (status 404)",
    503: "the service is down (status 503)",
}


async def gather(ask: Ask) -> tuple[OpenedByEws, ...]:
    return await opened_by_ews(ask)


def judge(seen: tuple[OpenedByEws, ...]) -> Iterator[Finding]:
    """Probe accounts open their own mailbox and shared ones over EWS, at each address of each vantage.

    EWS refuses delegates whose mailbox is on a server of another version than the shared one: while
    a migration runs, that is the error for people who were split. A right that is missing looks to EWS as
    if the mailbox were not there. A dead address is left to client_access.probe.

    Source: protocols.md 2.4; health.md 2.6.
    To do: what the finding says. Across versions nothing helps but moving both together; who is throttled
    asks less; a redirect to a logon page is a wrong authentication method on the virtual directory.
    """
    if not seen:
        summary = (
            "nothing to log on with, or no name of Autodiscover to ask: see [probe] and [check]"
        )
        yield Finding("EWS", Severity.OK, summary, skipped=True)
    groups: dict[tuple[str, str, str], list[OpenedByEws]] = {}
    for one in seen:
        groups.setdefault((one.vantage, one.delegate, one.mailbox), []).append(one)
    for (vantage, delegate, mailbox), ways in groups.items():
        subject = mailbox if mailbox == delegate else f"{delegate} in {mailbox}"
        yield from _judged(subject, vantage, ways)


def _judged(subject: str, vantage: str, ways: list[OpenedByEws]) -> Iterator[Finding]:
    """One mailbox from one vantage: each thing that is wrong once, with its addresses."""
    said = [(_place(one), *_said(one)) for one in ways if not _is_dead(one)]
    evidence = tuple((place, words) for place, _, words in said)
    if not said:
        yield Finding(subject, Severity.CRITICAL, "no address answers", vantage)
    wrong: dict[tuple[Severity, str], list[str]] = {}
    for place, severity, words in said:
        if severity is not Severity.OK:
            wrong.setdefault((severity, words), []).append(place)
    for (severity, words), places in wrong.items():
        where = f" ({', '.join(places)})" if len(places) < len(said) else ""
        yield Finding(subject, severity, f"{words}{where}", vantage, evidence)
    if said and not wrong:
        many = "1 address" if len(said) == 1 else f"{len(said)} addresses"
        yield Finding(subject, Severity.OK, f"opened at {many}", vantage, evidence)


def _place(one: OpenedByEws) -> str:
    return f"{one.way.name} at {one.way.address}" if one.way else "Autodiscover"


def _is_dead(one: OpenedByEws) -> bool:
    """Nobody was there: that is about the address, not about EWS."""
    if not isinstance(one.answer, Fact) or one.answer.value.trouble is None:
        return False
    return one.answer.value.trouble.stage is Stage.TCP


def _said(one: OpenedByEws) -> tuple[Severity, str]:
    if one.answer is None:
        return _no_url(one.settings, "inside" if one.vantage == INSIDE else "outside")
    if not isinstance(one.answer, Fact):
        return Severity.UNKNOWN, one.answer.reason
    return _read(one.answer.value)


def _no_url(settings: Answer[SoapSettings], side: str) -> tuple[Severity, str]:
    """Why nobody knew where to go. What Autodiscover itself lacks is another check's."""
    if not isinstance(settings, Fact):
        return Severity.UNKNOWN, settings.reason
    if settings.value.user_dn:
        return Severity.CRITICAL, f"Autodiscover names no URL of EWS for {side} that leads anywhere"
    return Severity.UNKNOWN, "Autodiscover gives no settings: see client_access.autodiscover"


def _read(seen: MailboxRead) -> tuple[Severity, str]:
    """The verdict on one way."""
    if seen.size is not None:
        kept = f"{seen.folders} folders, {seen.size / _MIB:.1f} MB"
        apart = seen.recoverable_size
        more = "" if apart is None else f" and {apart / _MIB:.1f} MB of Recoverable Items"
        by = f", by {seen.back_end}" if seen.back_end else ""
        return Severity.OK, f"{kept}{more}{by} ({seen.version or 'version not told'})"
    if seen.trouble is not None:
        return Severity.CRITICAL, seen.trouble.reason
    if seen.error:
        severity, words = _CODES.get(seen.error, (Severity.CRITICAL, "EWS refuses"))
        back_off = f", for {seen.back_off_s:.0f} s more" if seen.back_off_s else ""
        return severity, f"{words}{back_off} ({seen.error})"
    if seen.let_in is False:
        return Severity.CRITICAL, "the password is refused here"
    if seen.status == 401:
        return Severity.CRITICAL, f"the scheme is not offered, only {', '.join(seen.offered)}"
    if seen.redirect:
        return Severity.CRITICAL, f"it leads to {seen.redirect}: a page instead of EWS"
    return Severity.CRITICAL, _STATUSES.get(seen.status, f"status {seen.status}")


ews = Check(
    id="client_access.ews",
    question="Do own and shared mailboxes open over EWS, at every address?",
    gather=gather,
    judge=judge,
)
