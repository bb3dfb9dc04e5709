"""Walks into mailboxes over MAPI/HTTP, from one address, as one of the probe accounts.

    mapi = Mapi(web, logons, {"probe": credential})
    walk = await mapi.walk("192.0.2.11", "mail.town.example", "/mapi/emsmdb/?MailboxId=...",
                           "probe", caller_dn, mailbox_dn)

A walk is PING, Connect, Execute with RopLogon, Execute with RopOpenFolder (the inbox) and
RopGetPropertiesSpecific, Disconnect (protocols.md 1.1). Nothing is written to any mailbox.
Whatever servers do is part of the walk; it raises only where no password may be shown.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Final, TypeVar
from uuid import uuid4

from mailmig.model.mapi import Step, Walk
from mailmig.model.web import HTTPS_PORT, Headers, Stage, Trouble
from mailmig.sources.web import Web
from mailmig.sources.web_line import LineBroken, Reply
from mailmig.sources.web_session import Credential, Logons, NotOffered, WebSession, session
from mailmig.wire.mapihttp.codes import ErrorCode, RequestType
from mailmig.wire.mapihttp.cookies import Jar
from mailmig.wire.mapihttp.frame import Frame
from mailmig.wire.mapihttp.head import RequestHead, ResponseHead, counted
from mailmig.wire.mapihttp.mailbox import (
    ConnectRequest,
    ConnectResponse,
    DisconnectRequest,
    DisconnectResponse,
    ExecuteRequest,
    ExecuteResponse,
    Failure,
)
from mailmig.wire.mapihttp.octets import BadMapi
from mailmig.wire.mapihttp.properties import (
    MESSAGE_SIZE_EXTENDED,
    PROHIBIT_RECEIVE_QUOTA,
    PROHIBIT_SEND_QUOTA,
)
from mailmig.wire.mapihttp.rop_buffer import TO_BE_FILLED, RopRequests, RopResponses
from mailmig.wire.mapihttp.rops import (
    INBOX,
    GetProperties,
    LoggedOn,
    Logon,
    Opened,
    OpenFolder,
    Properties,
    Redirected,
    Refused,
    ResponseFlag,
    RopRequest,
    RopResponse,
)

_KIB: Final = 1024
_TAGS: Final = (MESSAGE_SIZE_EXTENDED, PROHIBIT_SEND_QUOTA, PROHIBIT_RECEIVE_QUOTA)
_OK, _UNAUTHORIZED = 200, 401
# As Outlook names itself: some servers look for it [MEM].
_APPLICATION: Final = "Outlook/16.0.17928.20114"
_PAGE: Final = 200
A = TypeVar("A", ConnectResponse, ExecuteResponse, DisconnectResponse)


class Mapi:
    """MAPI/HTTP, asked by address. `credentials` by the names that questions use."""

    def __init__(self, web: Web, logons: Logons, credentials: Mapping[str, Credential]) -> None:
        self._web = web
        self._logons = logons
        self._credentials = credentials

    async def walk(
        self, address: str, host: str, path: str, caller: str, caller_dn: str, mailbox_dn: str,
        port: int = HTTPS_PORT,
    ) -> Walk:  # fmt: skip
        """See the module.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
        """
        limit = self._web.settings.timeout_s
        walker = _Walker(path, self._web.settings.agent, limit)
        begun = monotonic()
        try:
            async with asyncio.timeout(limit) as walker.clock:
                async with session(
                    self._web.trusting, self._web.addresses, self._logons,
                    self._credentials[caller], address, host, port,
                ) as web:  # fmt: skip
                    await walker.walk(web, caller_dn, mailbox_dn)
        except TimeoutError:
            late = f"no answer within {limit:g} s"
            walker.broke(Trouble(walker.stage, late, timed_out=True))
        except LineBroken as error:
            walker.broke(error.trouble, error.status)
        return replace(walker.seen, took_s=monotonic() - begun)


class _Walker:
    """One walk: keeps what was seen, however far it comes.

    `clock` ends it; each step winds it up again, for `limit_s` seconds: a walk of many requests is
    not late because all of them together take long.
    """

    def __init__(self, path: str, agent: str, limit_s: float) -> None:
        self.seen = Walk()
        self.clock = asyncio.timeout(None)
        self._limit_s = limit_s
        self.stage = Stage.TCP
        self._path = path
        self._agent = agent
        self._guid, self._client, self._counter = uuid4(), uuid4(), 0
        self._jar = Jar()
        self._at = ""

    def broke(self, trouble: Trouble, status: int = 0) -> None:
        """The connection ended, within the step that was on its way."""
        self._add(Step(self._at or trouble.stage.value, status, trouble=trouble))

    async def walk(self, web: WebSession, caller_dn: str, mailbox_dn: str) -> None:
        """All steps until one fails."""
        self.stage = Stage.HTTP
        if not await self._log_on(web):
            return
        connected = await self._put(
            web, RequestType.CONNECT, ConnectRequest(caller_dn).encode(), ConnectResponse
        )
        if connected is None or connected.error_code:
            return
        await self._enter(web, mailbox_dn)
        await self._put(
            web, RequestType.DISCONNECT, DisconnectRequest().encode(), DisconnectResponse
        )

    async def _log_on(self, web: WebSession) -> bool:
        """PING, without a logon at first: is anybody there, and what is offered?"""
        self._begin("knock")
        reply = await web.knock("POST", self._path, self._head(RequestType.PING))
        self._note(reply)
        self.seen = replace(self.seen, offered=web.offered)
        if reply.status != _UNAUTHORIZED:
            self._add(_step("knock", reply))
            return False
        self._begin("logon")
        try:
            let_in = await web.log_on("POST", self._path, self._head(RequestType.PING))
        except NotOffered:
            self._add(_step("knock", reply))
            return False
        self.seen = replace(self.seen, let_in=let_in)
        if not let_in:
            self._add(Step("logon", _UNAUTHORIZED))
            return False
        assert web.shown is not None
        self._at = RequestType.PING.value
        step, _ = self._framed(web.shown, has_body=False)
        self._add(step)
        return step.is_good

    async def _enter(self, web: WebSession, mailbox_dn: str) -> None:
        """Log on to the mailbox, open its inbox, read its size and quotas."""
        answer = await self._execute(web, "RopLogon", (Logon(mailbox_dn),), (TO_BE_FILLED,))
        if answer is None:
            return
        handles = answer.handles
        said = answer.rops[0] if answer.rops else None
        self._take_logon(said)
        if not isinstance(said, LoggedOn):
            return
        inbox = said.folder_ids[INBOX]
        rops = (OpenFolder(inbox), GetProperties(_TAGS))
        answer = await self._execute(web, "RopOpenFolder", rops, (*handles[:1], TO_BE_FILLED))
        for one in answer.rops if answer else ():
            self._take_content(one)

    def _take_logon(self, said: RopResponse | None) -> None:
        if isinstance(said, LoggedOn):
            flags = said.response_flags
            self.seen = replace(
                self.seen, logon_value=0, mailbox_guid=str(said.mailbox_guid),
                owner=bool(flags & ResponseFlag.OWNER_RIGHT),
                send_as=bool(flags & ResponseFlag.SEND_AS_RIGHT), server_time=said.logon_time,
            )  # fmt: skip
        elif isinstance(said, Redirected):
            wrong = int(ErrorCode.ecWrongServer)
            self.seen = replace(self.seen, logon_value=wrong, redirect=said.server_dn)
        elif isinstance(said, Refused):
            self.seen = replace(self.seen, logon_value=said.return_value)

    def _take_content(self, said: RopResponse) -> None:
        if isinstance(said, Opened):
            self.seen = replace(self.seen, folder_value=0)
        elif isinstance(said, Refused) and said.rop_id == OpenFolder.ID:
            self.seen = replace(self.seen, folder_value=said.return_value)
        elif isinstance(said, Properties):
            size, send, receive = (_number(cell) for cell in said.row)
            self.seen = replace(
                self.seen, size=size, send_quota=_bytes(send), send_receive_quota=_bytes(receive)
            )

    async def _execute(
        self, web: WebSession, name: str, rops: tuple[RopRequest, ...], handles: tuple[int, ...]
    ) -> RopResponses | None:
        body = ExecuteRequest(RopRequests(rops, handles).encode()).encode()
        answer = await self._put(web, RequestType.EXECUTE, body, ExecuteResponse, name)
        if answer is None or answer.error_code:
            return None
        try:
            return RopResponses.decode(answer.rop_buffer, rops)
        except BadMapi as error:
            self.broke(Trouble(Stage.HTTP, str(error)), 200)
            return None

    async def _put(
        self, web: WebSession, kind: RequestType, body: bytes, wanted: type[A], name: str = ""
    ) -> A | None:
        """One request; its answer, None where there is none, and then the walk has ended."""
        self._begin(name or kind.value)
        reply = await web.ask("POST", self._path, self._head(kind), body)
        step, inner = self._framed(reply)
        if not step.is_good:
            self._add(step)
            return None
        try:
            answer = wanted.decode_answer(inner)
        except BadMapi as error:
            self._add(replace(step, trouble=Trouble(Stage.HTTP, str(error))))
            return None
        if isinstance(answer, Failure):
            self._add(replace(step, error_code=answer.status_code))
            return None
        self._add(replace(step, error_code=answer.error_code))
        return answer

    def _framed(self, reply: Reply, *, has_body: bool = True) -> tuple[Step, bytes]:
        """What an answer says of itself, in its head or late in its frame, and the body inside."""
        self._note(reply)
        code = ResponseHead.read(reply.headers).response_code
        step = _step(self._at, reply, code)
        if reply.status != _OK or code != 0 or not (reply.body or has_body):
            return step, b""
        try:
            frame = Frame.decode(reply.body)
        except BadMapi as error:
            return replace(step, trouble=Trouble(Stage.HTTP, str(error))), b""
        late = frame.late_response_code
        return replace(step, response_code=code if late is None else late), frame.body

    def _head(self, kind: RequestType) -> Headers:
        self._counter += 1
        head = RequestHead(
            kind, counted(self._guid, self._counter), counted(self._client, 1), _APPLICATION
        )
        cookies = (("Cookie", self._jar.header),) if self._jar.header else ()
        return (*head.headers(), ("User-Agent", self._agent), *cookies)

    def _note(self, reply: Reply) -> None:
        """What every answer tells: cookies, and who answered."""
        with contextlib.suppress(BadMapi):
            self._jar = self._jar.after(reply.values("set-cookie"))
        seen = self.seen
        self.seen = replace(
            seen, front_end=reply.header("x-feserver") or seen.front_end,
            back_end=reply.header("x-beserver") or seen.back_end,
            software=reply.header("server") or seen.software,
            application=reply.header("x-serverapplication") or seen.application,
            device_info=reply.header("x-deviceinfo") or seen.device_info,
        )  # fmt: skip

    def _begin(self, name: str) -> None:
        self._at = name
        self.clock.reschedule(asyncio.get_running_loop().time() + self._limit_s)

    def _add(self, step: Step) -> None:
        self.seen = replace(self.seen, steps=(*self.seen.steps, step))


def _step(name: str, reply: Reply, code: int | None = None) -> Step:
    page = "" if reply.status == 200 else reply.body[:_PAGE].decode("utf-8", "replace")
    return Step(
        name, reply.status, code, page=page, by_exchange=reply.by_exchange, took_s=reply.took_s
    )  # fmt: skip


def _number(cell: object) -> int | None:
    return cell if isinstance(cell, int) else None


def _bytes(kilobytes: int | None) -> int | None:
    """-1 and an absent value are no limit (protocols.md 1.7)."""
    return None if kilobytes is None or kilobytes < 0 else kilobytes * _KIB
