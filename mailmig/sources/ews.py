"""Opens mailboxes over EWS at an address, as one of the probe accounts.

    ews = Ews(web, logons, {"probe@town.example": credential})
    seen = await ews.read("192.0.2.11", "mail.town.example", "/EWS/Exchange.asmx",
                          "probe@town.example", "sales@town.example")

Folders are read and nothing is changed. Whatever servers do is part of the answer; it raises only
where no password may be shown. Sizes: the property 0x0E08 as Long is that of a folder's own items
(protocols.md 2.3); EWS has no total.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeVar

from exchangelib import Account, ExtendedProperty, Folder, Mailbox
from exchangelib.errors import EWSError, ResponseMessageError
from exchangelib.fields import FieldPath
from exchangelib.folders import RecoverableItemsRoot, Root, RootOfHierarchy
from exchangelib.items import ID_ONLY
from exchangelib.properties import DistinguishedFolderId
from exchangelib.services import FindFolder, GetFolder

from mailmig.model.ews import MailboxRead
from mailmig.model.web import HTTPS_PORT, Stage, Trouble
from mailmig.sources.ews_line import Channel
from mailmig.sources.web import Web
from mailmig.sources.web_line import LineBroken, Reply
from mailmig.sources.web_session import Credential, Logons, NotOffered, WebSession, session

T = TypeVar("T")
_OK, _UNAUTHORIZED = 200, 401
_CONTENT: Final = (("Content-Type", "text/xml; charset=utf-8"),)
_SIZE: Final = "mailmig_size"
# Faults of SOAP come with 500; a page of IIS or of a proxy has none.
_ENVELOPE: Final = b":Envelope"
_SHOWN: Final = 200
# Who answered, in each answer, also in one that refuses.
_VERSION: Final = re.compile(rb"<[^>]*ServerVersionInfo [^>]*>")
_NUMBER: Final = re.compile(rb'(\w+)="(\d{1,9})"')
_PARTS: Final = (b"MajorVersion", b"MinorVersion", b"MajorBuildNumber", b"MinorBuildNumber")


class _Size(ExtendedProperty):  # type: ignore[misc]
    """PidTagMessageSize; as Integer it overflows above 2 GiB."""

    property_tag = 0x0E08
    property_type = "Long"


for _kind in (Folder, RootOfHierarchy):
    _kind.register(_SIZE, _Size)


class Ews:
    """EWS, asked by address. `credentials` by the addresses of their mailboxes."""

    def __init__(self, web: Web, logons: Logons, credentials: Mapping[str, Credential]) -> None:
        self._web = web
        self._logons = logons
        self._credentials = credentials

    async def read(
        self, address: str, host: str, path: str, caller: str, mailbox: str,
        port: int = HTTPS_PORT,
    ) -> MailboxRead:  # fmt: skip
        """See the module.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        begun, stage = monotonic(), Stage.TCP
        limit = self._web.settings.timeout_s
        visit = EwsVisit(path, self._web.settings.agent)
        try:
            async with (
                asyncio.timeout(limit) as clock,
                self.session(address, host, caller, port) as web,
            ):  # fmt: skip
                stage = Stage.HTTP
                if await visit.enter(web):
                    clock.reschedule(asyncio.get_running_loop().time() + limit)
                    await visit.read(mailbox)
        except TimeoutError:
            late = Trouble(stage, f"no answer within {limit:g} s", timed_out=True)
            visit.seen = replace(visit.seen, trouble=late)
        except LineBroken as error:
            visit.seen = replace(visit.seen, status=error.status, trouble=error.trouble)
        return replace(visit.seen, took_s=monotonic() - begun)

    def session(
        self, address: str, host: str, caller: str, port: int = HTTPS_PORT
    ) -> AbstractAsyncContextManager[WebSession]:
        """A connection for an `EwsVisit`. Entering it raises `LineBroken`."""
        return session(
            self._web.trusting, self._web.addresses, self._logons, self._credentials[caller],
            address, host, port,
        )  # fmt: skip


class EwsVisit:
    """One visit over one connection: `seen` tells how far it came, also when it was cut short.

    All methods raise `LineBroken` when the connection fails.
    """

    def __init__(self, path: str, agent: str) -> None:
        self.seen = MailboxRead()
        self._path = path
        self._agent = agent
        self._channel: Channel | None = None

    async def enter(self, web: WebSession) -> bool:
        """Knock and log on; False where it ends before.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        headers = (*_CONTENT, ("User-Agent", self._agent))
        self._note(await web.knock("POST", self._path, headers))
        self.seen = replace(self.seen, offered=web.offered)
        if self.seen.status != _UNAUTHORIZED:
            return False
        try:
            let_in = await web.log_on("POST", self._path, headers)
        except NotOffered:
            return False
        self.seen = replace(self.seen, let_in=let_in)
        if let_in and web.shown is not None and not web.shown.by_exchange:
            self._note(web.shown)
            return False
        self._channel = Channel(web, self._path, self._agent)
        return let_in

    async def read(self, mailbox: str) -> None:
        """Read the folders of a mailbox into `seen`."""
        found = await self.work(mailbox, lambda account: list(_folders(account)))
        if found is None:
            return
        (top, dumpster), *inner = found[:2], *found[2:]
        if isinstance(top, Exception):
            self._failed(top)
            return
        apart = set() if isinstance(dumpster, Exception) else _below(dumpster.id, inner)
        kept = [one for one in (top, *inner) if one.id not in apart]
        hidden = [one for one in inner if one.id in apart]
        self.seen = replace(
            self.seen, folders=len(inner) + 1, size=_sum(kept, _SIZE),
            items=_sum(kept, "total_count"),
            recoverable_size=_sum(hidden, _SIZE) if apart else None,
        )  # fmt: skip

    async def work(self, mailbox: str, what: Callable[[Account], T]) -> T | None:
        """Something that blocks, with an account; None where it failed, and `seen` says why."""
        assert self._channel is not None, "enter comes first"
        try:
            return await self._channel.work(mailbox, what)
        except (EWSError, OSError) as error:  # requests raises OSErrors
            if self._channel.broken is not None:
                raise self._channel.broken from error
            self._failed(error)
            return None
        finally:
            if self._channel.last is not None:
                self._note(self._channel.last)

    def _failed(self, error: Exception) -> None:
        """EWS's own code, a status of HTTP, or an answer that is none of EWS."""
        last = self._channel.last if self._channel else None
        if last is not None and last.status != _OK and _ENVELOPE not in last.body:
            self._note(last)  # exchangelib calls many of these "busy"
        elif isinstance(error, ResponseMessageError):
            back_off = getattr(error, "back_off", None)
            self.seen = replace(self.seen, error=type(error).__name__, back_off_s=back_off)
        else:
            why = f"another answer than that of EWS: {str(error)[:_SHOWN]}"
            self.seen = replace(self.seen, trouble=Trouble(Stage.HTTP, why))

    def _note(self, reply: Reply) -> None:
        found = _VERSION.search(reply.body)
        numbers = dict(_NUMBER.findall(found[0])) if found else {}
        named = [numbers.get(name, b"").decode() for name in _PARTS]
        self.seen = replace(
            self.seen, status=reply.status,
            front_end=reply.header("x-feserver") or self.seen.front_end,
            back_end=reply.header("x-beserver") or self.seen.back_end,
            redirect=reply.header("location") if 300 <= reply.status < 400 else "",
            version=".".join(named) if all(named) else self.seen.version,
        )  # fmt: skip


def _folders(account: Account) -> Iterator[Any]:
    """The root and Recoverable Items, or the errors in their places; then all folders below."""
    owner = Mailbox(email_address=account.primary_smtp_address)
    fields = {
        FieldPath(Folder.get_field_by_fieldname(name))
        for name in (_SIZE, "total_count", "parent_folder_id")
    }
    root = Root(_distinguished_id=DistinguishedFolderId(id="root", mailbox=owner), account=account)
    dumpster = RecoverableItemsRoot(
        _distinguished_id=DistinguishedFolderId(id="recoverableitemsroot", mailbox=owner), root=root
    )
    found = list(GetFolder(account=account).call([root, dumpster], fields, ID_ONLY))
    yield from found
    if not isinstance(found[0], Exception):
        yield from FindFolder(account=account).call(
            [found[0]], fields, None, ID_ONLY, "Deep", None, 0
        )


def _below(top: str, folders: Iterable[Any]) -> set[str]:
    """The ids of a folder and of all below it."""
    found, size = {top}, 0
    while len(found) != size:
        size = len(found)
        found |= {one.id for one in folders if one.parent_folder_id.id in found}
    return found


def _sum(folders: Iterable[Any], field: str) -> int:
    return sum(getattr(one, field) or 0 for one in folders)
