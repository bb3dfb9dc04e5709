"""The WS-Management service of one server: an ASGI application, and that application listening.

    exchange = Service("EX1", accounts, [ExchangeEndpoint(engine)], schemes=IIS_SCHEMES)
    async with Server(exchange, Listener(exchange, "127.0.1.1", 443, tls=context)):
        ...

Several listeners may serve one application, as ports 80 and 443 of one IIS do: a shell is
known on both. `Switches` are plain attributes that faults set while it runs.

A request whose client is gone is given up at once; its shell stays until it expires, as on a
real server.
"""

import asyncio
import gzip
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.wsman import encryption, envelopes
from mailmig.lab.wsman.authentication import Doorkeeper, Headers
from mailmig.lab.wsman.bindings import TokenChecking
from mailmig.lab.wsman.envelopes import Fault, Request
from mailmig.lab.wsman.listening import Connection, Listener, Message, Receive, Scope, Send
from mailmig.lab.wsman.shells import Clock, Endpoint, Shell, Shells
from mailmig.lab.wsman.switches import Switches

# What WinRM itself offers, and Exchange's virtual directory once Basic is allowed there.
WINRM_SCHEMES: Final = ("Negotiate", "NTLM", "Basic")
# Windows Server since 2012 allows 30 shells; Exchange's default policy 18 (PowerShellMaxConcurrency).
SHELLS_PER_ACCOUNT: Final = 30
LARGEST_BODY: Final = 4 * 1024**2
_SOAP_TYPE: Final = "application/soap+xml;charset=UTF-8"
_SHELL_URI: Final = envelopes.SHELL
_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Please accept our terms</h1></body></html>"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    kind: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Service:
    """The ASGI application. `name` is the machine that faults name.

    `checking` says how logons over TLS must be bound: those of WinRM as its `CbtHardeningLevel`,
    which is "Relaxed" unless somebody sets it, those of Exchange as its virtual directory.
    """

    def __init__(
        self,
        name: str,
        accounts: Accounts,
        endpoints: Sequence[Endpoint],
        *,
        schemes: tuple[str, ...] = WINRM_SCHEMES,
        allow_unencrypted: bool = False,
        keytab: Path | None = None,
        takes_ntlm: bool = True,
        shells_per_account: int = SHELLS_PER_ACCOUNT,
        now: Clock = lambda: datetime.now(UTC),
        switches: Switches | None = None,
        checking: Callable[[], TokenChecking] = lambda: TokenChecking.ALLOW,
    ) -> None:
        self.name = name
        self.allow_unencrypted = allow_unencrypted
        self.switches = Switches() if switches is None else switches
        self.shells = Shells(now, shells_per_account)
        self.doorkeeper = Doorkeeper(accounts, schemes, keytab=keytab, takes_ntlm=takes_ntlm)
        self._endpoints = tuple(endpoints)
        self._checking = checking

    async def expire_shells(self) -> None:
        """Every shell is gone now: its client's next request meets an unknown shell."""
        await self.shells.clear()

    async def close(self) -> None:
        """Ends all shells and whatever their endpoints still run."""
        await self.shells.clear()
        for endpoint in self._endpoints:
            await endpoint.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            return
        work = asyncio.ensure_future(self._answer(scope, body))
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await self._send(scope, send, work.result(), gone)
        finally:
            work.cancel()
            gone.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    # what is answered

    async def _answer(self, scope: Scope, body: bytes) -> _Answer:
        if self.switches.status is not None:
            return _Answer(self.switches.status)
        if self.switches.page:
            return _Answer(200, _PAGE, "text/html; charset=utf-8")
        headers = {key.decode("latin-1"): value for key, value in scope["headers"]}
        path = scope["path"].rstrip("/").lower()
        endpoints = [known for known in self._endpoints if known.path.lower() == path]
        if not endpoints:
            return _Answer(404)
        connection: Connection = scope["state"]["connection"]
        authorization = headers.get("authorization", b"").decode("latin-1")
        verdict = self.doorkeeper.admit(connection.logon, authorization, self._checking())
        more = tuple(verdict.headers)
        if verdict.account is None:
            return _Answer(401, headers=more)
        if scope["method"] != "POST":
            return _Answer(405, headers=(*more, (b"allow", b"POST")))
        if len(body) > LARGEST_BODY:
            return _Answer(413, headers=more)
        if not body:  # only to log on, before messages can be sealed
            return _Answer(200, headers=more)
        kind = headers.get("content-type", b"").decode("latin-1")
        answer = await self._unsealed(scope, connection, verdict.account, endpoints, kind, body)
        await self._slow()
        return _Answer(answer.status, answer.body, answer.kind, (*answer.headers, *more))

    async def _unsealed(
        self,
        scope: Scope,
        connection: Connection,
        account: Account,
        endpoints: Sequence[Endpoint],
        kind: str,
        body: bytes,
    ) -> _Answer:
        """Opens a sealed body, has it answered, and seals the answer in the same way."""
        how = encryption.protocol(kind)
        if how is None:
            if scope["scheme"] == "http" and not self.allow_unencrypted:
                return _Answer(403, b"unencrypted messages are not allowed here", "text/plain")
            status, plain = await self._soap(account, endpoints, body)
            return _Answer(status, plain, _SOAP_TYPE)
        session = connection.logon.session
        if session is None:
            return _Answer(400)
        try:
            opened = encryption.unseal(session, body)
        except encryption.Unreadable:
            connection.logon.forget()  # both sides have lost count of the messages
            return _Answer(400)
        status, plain = await self._soap(account, endpoints, opened)
        blank = self.switches.stray_blank
        sealed_kind, sealed = encryption.seal(session, how, plain, stray_blank=blank)
        return _Answer(status, sealed, sealed_kind)

    async def _soap(
        self, account: Account, endpoints: Sequence[Endpoint], raw: bytes
    ) -> tuple[int, bytes]:
        message_id = ""
        try:
            request = envelopes.parse(raw)
            message_id = request.message_id
            await self.shells.expire()
            return 200, envelopes.answer(request, await self._verb(account, endpoints, request))
        except Fault as fault:
            return 500, envelopes.fault(fault, message_id, self.name)

    async def _verb(self, account: Account, endpoints: Sequence[Endpoint], request: Request) -> str:
        uri = request.resource_uri
        if request.verb is None:
            raise envelopes.unknown_action(request.action)
        if request.verb == "create":
            return self._create(account, endpoints, request)
        shell = self.shells.get(request.shell_id, account)
        if self.switches.forget_shells:
            await self.shells.remove(shell)
            raise envelopes.unknown_shell(request.shell_id)
        if request.verb == "get" and uri == _SHELL_URI:
            return shell.described()
        if uri.lower() != shell.resource_uri.lower():
            raise envelopes.unknown_resource(uri)
        if request.verb == "delete":
            await self.shells.remove(shell)
            return ""
        return await self._use(shell, request)

    def _create(self, account: Account, endpoints: Sequence[Endpoint], request: Request) -> str:
        uri = request.resource_uri
        for endpoint in endpoints:
            if endpoint.resource_uri.lower() == uri.lower():
                if self.switches.no_new_shells:
                    raise envelopes.too_many_shells(self.shells.per_account)
                self.shells.check_quota(account)
                shell = endpoint.open(request, account)
                self.shells.add(shell)
                return shell.created(f"http://{self.name}{endpoint.path}")
        raise envelopes.unknown_resource(uri)

    async def _use(self, shell: Shell, request: Request) -> str:
        verbs = {
            "command": shell.command, "receive": shell.receive, "send": shell.send,
            "signal": shell.signal,
        }  # fmt: skip
        run = verbs.get(request.verb or "")
        if run is None:
            raise envelopes.unknown_action(request.action)
        shell.under_way += 1
        try:
            return await run(request)
        finally:
            shell.under_way -= 1
            self.shells.touch(shell)

    async def _slow(self) -> None:
        if self.switches.delay_s:
            await asyncio.sleep(self.switches.delay_s)
        while self.switches.hang:
            await asyncio.sleep(0.02)

    # how it is sent

    async def _send(
        self, scope: Scope, send: Send, answer: _Answer, gone: "asyncio.Future[None]"
    ) -> None:
        body = answer.body
        headers: Headers = list(answer.headers)
        if answer.kind is not None:
            headers.append((b"content-type", answer.kind.encode()))
        if self.switches.compress and body and _wants_gzip(scope):
            body = gzip.compress(body, 1)
            headers.append((b"content-encoding", b"gzip"))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if self.switches.hang_midway and len(body) > 1:
            half = len(body) // 2
            await send({"type": "http.response.body", "body": body[:half], "more_body": True})
            body = body[half:]
            while self.switches.hang_midway and not gone.done():
                await asyncio.sleep(0.02)
            if gone.done():
                return
        cut = self.switches.truncate_at
        if cut is not None and len(body) > cut:
            await send({"type": "http.response.body", "body": body[:cut], "more_body": True})
            connection: Connection = scope["state"]["connection"]
            await connection.cut()
            return
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes | None:
    """The whole body, or a little more than is allowed; None when the client went away."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        size += len(part)
        if size - len(part) <= LARGEST_BODY:  # what comes beyond is read and dropped
            parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _until_gone(receive: Receive) -> None:
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":
        message = await receive()


def _wants_gzip(scope: Scope) -> bool:
    accepted = dict(scope["headers"]).get(b"accept-encoding", b"").lower()
    return b"gzip" in accepted or b"*" in accepted


class Server:
    """A service with its listeners: starts and ends them together."""

    def __init__(self, service: Service, *listeners: Listener) -> None:
        self.service = service
        self.listeners = listeners
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.service.close)
            for listener in self.listeners:
                await stack.enter_async_context(listener)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()
