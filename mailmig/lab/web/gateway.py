"""The reverse proxy outside: an ASGI application in front of the Exchange servers.

    async with Gateway(rules, pool, names) as gateway:
        Listener(gateway, "127.0.9.41", 443, tls=context, server_header="")

It ends TLS with its own certificate and encrypts anew, so channel bindings do not survive it. Of
each request host, cookies, bodies in chunks and all other headers go through as they are; the server
learns the client's address from `X-Forwarded-For`. `GatewayRules` say what it does otherwise.
"""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable
from html import escape
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import h11

from mailmig.lab.web.gateway_rules import Chunks, GatewayRules, Rule
from mailmig.lab.web.messages import HTML, Answer, send_answer
from mailmig.lab.web.upstream import Headers, Pool, Unavailable, Upstream
from mailmig.lab.wsman.bindings import NTLM
from mailmig.lab.wsman.listening import Connection, Receive, Scope, Send

SERVER: Final = "webgate"
# Longer than MAPI over HTTP lets a client wait for events.
ANSWER_S: Final = 600.0
# How often a request that hangs looks whether it still has to.
_LOOK_S: Final = 0.05
# Those that belong to one connection (RFC 9110, 7.6.1), and what the ends agree on by themselves.
_OWN: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
     b"upgrade", b"expect")
)  # fmt: skip


class Gateway:
    """The application of one gateway; `names` are the hosts that it serves, in lower case."""

    def __init__(self, rules: GatewayRules, pool: Pool, names: Iterable[str]) -> None:
        self._rules = rules
        self._pool = pool
        self._names = frozenset(names)
        self._lines: dict[Connection, Upstream] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            visit = _Visit(scope, receive, send)
            await self._serve(visit, _Orders(self._rules, visit))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.close()

    async def _serve(self, visit: "_Visit", orders: "_Orders") -> None:
        """First what the gateway decides alone."""
        await asyncio.sleep(orders.first("delay_s"))
        if await self._hangs(visit, orders):
            await visit.connection.cut()
        elif not self._publishes(visit):
            await visit.refuse(404)
        elif status := orders.first("refuse"):
            await visit.refuse(status)
        elif where := orders.first("redirect"):
            await visit.refuse(302, ("Location", visit.url if where == "." else where))
        else:
            await self._limited(visit, orders)

    def _publishes(self, visit: "_Visit") -> bool:
        known = visit.host in self._names or visit.host in self._rules.hosts
        return known and visit.directory in self._rules.published

    async def _hangs(self, visit: "_Visit", orders: "_Orders") -> bool:
        """Wait until the rule is gone, or the client."""
        hanging = [rule for rule in orders.rules if rule.hang]
        if not hanging:
            return False
        gone = visit.connection.ended
        while not gone.is_set() and any(rule in self._rules.extra for rule in hanging):
            await asyncio.sleep(_LOOK_S)
        return True

    async def _limited(self, visit: "_Visit", orders: "_Orders") -> None:
        """What a server says, if it says so in time."""
        longest = orders.first("longest_s")
        try:
            async with asyncio.timeout(ANSWER_S if longest is None else longest):
                await self._passed_on(visit, orders)
        except TimeoutError:
            self._hang_up(visit.connection)
            await visit.refuse(504)
        except Unavailable:
            self._hang_up(visit.connection)
            await visit.refuse(502)

    async def _passed_on(self, visit: "_Visit", orders: "_Orders") -> None:
        upstream = await self._line(visit, orders.first("members"))
        if upstream is None:
            await visit.refuse(503)
            return
        head = await upstream.ask(
            visit.scope["method"].encode(), visit.target, _inwards(visit, orders), visit.body()
        )
        headers = _outwards(head, orders)
        wanted = orders.first("chunks")
        if wanted is None or not _is_chunked(head):
            await visit.answer(head.status_code, headers, upstream.pieces(), orders)
        elif wanted is Chunks.REFUSED:
            raise Unavailable("chunks")
        elif wanted is Chunks.WHOLE:
            whole = b"".join([piece async for piece in upstream.pieces()])
            headers.append((b"content-length", str(len(whole)).encode()))
            await visit.answer(head.status_code, headers, _once(whole), orders)
        else:
            await visit.answer(head.status_code, headers, upstream.pieces(), orders, pieces=1)

    async def _line(self, visit: "_Visit", members: tuple[str, ...]) -> Upstream | None:
        """The client's own line to a server: the one that it has, if that still may be used."""
        connection = visit.connection
        upstream = self._lines.get(connection)
        if upstream and upstream.usable and upstream.member in self._pool.members(members):
            return upstream
        if not connection.ends:
            connection.ends.append(lambda: self._hang_up(connection))
        self._hang_up(connection)
        upstream = await self._pool.connect(visit.directory, members)
        if upstream is not None:
            self._lines[connection] = upstream
            if connection.ended.is_set():
                raise Unavailable("the client is gone")
        return upstream

    def _hang_up(self, connection: Connection) -> None:
        upstream = self._lines.pop(connection, None)
        if upstream is not None:
            upstream.close()


class _Visit:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.connection: Connection = scope["state"]["connection"]
        self.headers: Headers = scope["headers"]
        self.directory = scope["path"].lower().lstrip("/").partition("/")[0]
        self._asked_for = self.header(b"host")
        self.host = self._asked_for.partition(":")[0].lower()
        self.target: bytes = scope["raw_path"]
        if scope["query_string"]:
            self.target += b"?" + scope["query_string"]
        self._receive = receive
        self._send = send
        self._begun = False

    @property
    def url(self) -> str:
        """What was asked for, as an absolute address."""
        return f"https://{self._asked_for}{self.target.decode('latin-1')}"

    def header(self, name: bytes) -> str:
        return dict(self.headers).get(name, b"").decode("latin-1")

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body; it breaks off when the client does."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Unavailable("the client is gone")
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def refuse(self, status: int, *headers: tuple[str, str]) -> None:
        """The gateway's own words; behind the beginning of an answer only a cut is left."""
        if self._begun:
            await self.connection.cut()
            return
        title = f"{status} {escape(HTTPStatus(status).phrase)}"
        page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
        answer = Answer(status, page.encode(), HTML, (("Server", SERVER), *headers))
        await send_answer(self._send, answer, head_only=self.scope["method"] == "HEAD")

    async def answer(
        self, status: int, headers: Headers, body: AsyncIterator[bytes], orders: "_Orders",
        *, pieces: int | None = None,
    ) -> None:  # fmt: skip
        """A server's answer, up to so many of its pieces or of its bytes."""
        self._begun = True
        left = orders.first("cut_after")
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        async for piece in body:
            part = piece if left is None else piece[:left]
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
            left = None if left is None else left - len(part)
            pieces = None if pieces is None else pieces - 1
            if left == 0 or pieces == 0:
                raise Unavailable("cut")
        await self._send({"type": "http.response.body", "body": b""})


class _Orders:
    """The rules that hold for a request."""

    def __init__(self, rules: GatewayRules, visit: _Visit) -> None:
        self.rules = tuple(
            rules.holding(
                visit.host, visit.directory, visit.scope["method"],
                visit.header(b"x-requesttype"), visit.scope["query_string"].decode("latin-1"),
            )
        )  # fmt: skip

    def first(self, name: str) -> Any:
        """What the first rule says that says something about this, else what nobody says."""
        unset = getattr(_NOTHING, name)
        found = (getattr(rule, name) for rule in self.rules)
        return next((value for value in found if value != unset), unset)


def _inwards(visit: _Visit, orders: _Orders) -> Headers:
    """What the server gets to read."""
    away = _OWN | ({b"cookie"} if orders.first("no_cookies") else set())
    away |= {name.encode() for name in orders.first("no_headers")}
    if orders.first("challenges") and _is_ntlm(visit.header(b"authorization")):
        away |= {b"authorization"}
    headers = [(name, value) for name, value in visit.headers if name not in away]
    if b"chunked" in visit.header(b"transfer-encoding").lower().encode():
        headers.append((b"transfer-encoding", b"chunked"))
    client = visit.scope["client"][0].encode()
    return [*headers, (b"x-forwarded-for", client), (b"x-forwarded-proto", b"https")]


def _is_ntlm(authorization: str) -> bool:
    """Whether a header carries NTLM, bare or inside of Negotiate."""
    try:
        return NTLM in b64decode(authorization.partition(" ")[2])
    except ValueError:
        return False


def _outwards(head: h11.Response, orders: _Orders) -> Headers:
    """What the client gets to read."""
    away = _OWN | ({b"set-cookie"} if orders.first("no_set_cookies") else set())
    schemes = orders.first("challenges") if head.status_code == HTTPStatus.UNAUTHORIZED else ()
    if schemes:
        away |= {b"www-authenticate"}
    headers = [(bytes(name), bytes(value)) for name, value in head.headers if name not in away]
    headers += [(b"www-authenticate", scheme.encode()) for scheme in schemes]
    device = orders.first("device_info")
    return [*headers, (b"x-deviceinfo", device.encode())] if device else headers


def _is_chunked(head: h11.Response) -> bool:
    return b"chunked" in dict(head.headers).get(b"transfer-encoding", b"").lower()


async def _once(whole: bytes) -> AsyncIterator[bytes]:
    yield whole


_NOTHING: Final = Rule()
