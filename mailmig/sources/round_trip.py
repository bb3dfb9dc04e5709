"""Sends a probe message over SMTP to one address, finds it by EWS, times it, and removes it.

    trip = RoundTrip(Smtp(), ews, "mailmig", Patience(smtp_s=5, delivery_s=20))
    look = Way("192.0.2.11", "mail.town.example", "probe@town.example")
    came = await trip.send("192.0.2.12", look, "/EWS/Exchange.asmx")

This writes: one message per trip, in a mailbox of ours. First the mailbox is opened, so that nothing is
sent that could not be removed. A message that comes when nobody waits for it any more is removed by the
next trip: its subject tells by our own clock when it was sent. Nothing else is touched.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from exchangelib import Account, FolderCollection, Mailbox
from exchangelib.folders import Inbox, JunkEmail, Root
from exchangelib.items import HARD_DELETE
from exchangelib.properties import DistinguishedFolderId

from mailmig.model.mail import SMTP_PORT, Delivery
from mailmig.model.web import Stage, Trouble
from mailmig.sources.ews import Ews, EwsVisit
from mailmig.sources.smtp import Smtp
from mailmig.sources.web_entering import Way
from mailmig.sources.web_line import LineBroken

WORD: Final = "mailmig-probe"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_SUBJECT: Final = re.compile(rf"{WORD} (\d{{8}}T\d{{6}}Z)-[0-9a-f]{{32}}")
# Older ones are nobody's any more: no trip lasts that long.
_LEFT: Final = timedelta(hours=1)
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_TAKEN: Final = 250
_BY: Final = re.compile(r"\bby\s+([\w.-]+)", re.IGNORECASE)
_BODY: Final = "A probe of mail flow by mailmig. It is removed as soon as it is found.\n"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that handing over and delivery may take, each."""

    smtp_s: float
    delivery_s: float


class RoundTrip:
    """See the module. Without a `sender` the mailbox writes to itself."""

    def __init__(
        self, smtp: Smtp, ews: Ews, agent: str, patience: Patience, sender: str = ""
    ) -> None:
        self._smtp = smtp
        self._ews = ews
        self._agent = agent
        self._patience = patience
        self._sender = sender

    async def send(self, address: str, look: Way, path: str, port: int = SMTP_PORT) -> Delivery:
        """To the mailbox of `look.caller`, who looks for it there.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more); nothing was sent.
        """
        visit = EwsVisit(path, self._agent)
        trip = _Trip(look.caller)
        try:
            async with (
                asyncio.timeout(self._patience.smtp_s) as opening,
                self._ews.session(look.address, look.host, look.caller, look.port) as web,
            ):
                if not await visit.enter(web) or not await trip.tidy(visit):
                    return Delivery(looking=_why(visit))
                limit_s = 3 * self._patience.smtp_s + self._patience.delivery_s
                opening.reschedule(asyncio.get_running_loop().time() + limit_s)
                return await self._carried(address, port, trip, visit)
        except TimeoutError:
            return replace(trip.seen, looking="EWS does not answer in time")
        except LineBroken as error:
            return replace(trip.seen, looking=f"EWS: {error.trouble.reason}")

    async def _carried(
        self, address: str, port: int, trip: "_Trip", visit: EwsVisit
    ) -> Delivery:  # fmt: skip
        sender = self._sender or trip.mailbox
        message = trip.message(sender)
        try:
            async with asyncio.timeout(2 * self._patience.smtp_s):  # each command has its own
                handed = await self._smtp.send(address, port, sender, trip.mailbox, message)
        except TimeoutError:
            late = f"not taken within {2 * self._patience.smtp_s:g} s"
            trip.seen = Delivery(trouble=Trouble(Stage.SMTP, late, timed_out=True))
            return trip.seen
        trip.seen = Delivery(handed.code, handed.said, trouble=handed.trouble)
        if handed.code == _TAKEN:
            await trip.wait(visit, self._patience.delivery_s)
        return trip.seen


class _Trip:
    """One message: keeps what was seen of it, however far it comes."""

    def __init__(self, mailbox: str) -> None:
        self.mailbox = mailbox
        self.seen = Delivery()
        self._sent_at = datetime.now(UTC)
        self._subject = f"{WORD} {self._sent_at:{_STAMP}}-{uuid4().hex}"

    def message(self, sender: str) -> bytes:
        """The message; it asks for no automatic answer."""
        made = EmailMessage()
        made["From"], made["To"] = sender, self.mailbox
        made["Subject"] = self._subject
        made["Date"] = format_datetime(self._sent_at)
        made["Message-ID"] = f"<{self._subject.rpartition('-')[2]}@mailmig.invalid>"
        made["Auto-Submitted"] = "auto-generated"
        made["X-Auto-Response-Suppress"] = "All"
        made["X-Mailmig-Probe"] = self._subject
        made.set_content(_BODY)
        return made.as_bytes().replace(b"\n", b"\r\n")

    async def tidy(self, visit: EwsVisit) -> bool:
        """Remove what earlier trips left; False where the mailbox cannot be opened."""

        def work(account: Account) -> bool:
            for place in _places(account):
                found = place.filter(subject__startswith=WORD).only("subject")
                _remove(account, [one for one in found if _is_left(one.subject, self._sent_at)])
            return True

        return await visit.work(self.mailbox, work) or False

    async def wait(self, visit: EwsVisit, patience_s: float) -> None:
        """Look for the message until it is there or the time is over."""
        begun, pause_s = monotonic(), _PAUSE_S
        while True:
            found = await visit.work(self.mailbox, self._found)
            waited_s = monotonic() - begun
            self.seen = replace(self.seen, waited_s=waited_s)
            if found is None:
                self.seen = replace(self.seen, looking=_why(visit))
                return
            messages, in_junk = found
            if messages:
                self.seen = replace(self.seen, found_s=waited_s, in_junk=in_junk)
                gone = await visit.work(self.mailbox, partial(self._taken, messages))
                self.seen = gone or replace(self.seen, looking=_why(visit))
                return
            if waited_s >= patience_s:
                return
            await asyncio.sleep(min(pause_s, patience_s - waited_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _found(self, account: Account) -> tuple[list[Any], bool]:
        """The message, and whether it lies in Junk E-Mail; runs in a thread."""
        for place in _places(account):
            found = list(place.filter(subject=self._subject).only("subject"))
            if found:
                return found, isinstance(place.folders[0], JunkEmail)
        return [], False

    def _taken(self, found: list[Any], account: Account) -> Delivery:
        """Read its way, and take it away; runs in a thread."""
        (whole, *_) = account.fetch(ids=found, only_fields=["headers"])
        lines = [one.value for one in whole.headers or () if one.name.lower() == "received"]
        passed = [match[1].lower() for line in reversed(lines) if (match := _BY.search(line))]
        return replace(self.seen, hops=tuple(passed), removed=_remove(account, found))


def _places(account: Account) -> Iterator[FolderCollection]:
    """Where a message may arrive: the inbox, then Junk E-Mail; without `account.root`."""
    owner = Mailbox(email_address=account.primary_smtp_address)
    root = Root(_distinguished_id=DistinguishedFolderId(id="root", mailbox=owner), account=account)
    for kind in (Inbox, JunkEmail):
        named = DistinguishedFolderId(id=kind.DISTINGUISHED_FOLDER_ID, mailbox=owner)
        yield FolderCollection(account, [kind(_distinguished_id=named, root=root)])


def _is_left(subject: str | None, now: datetime) -> bool:
    found = _SUBJECT.fullmatch(subject or "")
    if found is None:
        return False
    return now - datetime.strptime(found[1], _STAMP).replace(tzinfo=UTC) > _LEFT


def _remove(account: Account, items: Iterable[Any]) -> bool:
    """Take messages away for good; whether all of them are gone."""
    gone = account.bulk_delete(ids=list(items), delete_type=HARD_DELETE)
    return all(one is True for one in gone)


def _why(visit: EwsVisit) -> str:
    """Why the mailbox could not be looked into."""
    seen = visit.seen
    if seen.error:
        return f"EWS says {seen.error}"
    if seen.let_in is False:
        return "EWS refuses the password"
    if seen.trouble is not None:
        return f"EWS: {seen.trouble.reason}"
    return f"EWS answers with status {seen.status}"
