"""What becomes of single requests and answers between a client and a server of the test's own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import h11
import pytest
import pytest_asyncio

from mailmig.lab.certificates import Authority
from mailmig.lab.web import upstream
from mailmig.lab.web.gateway import Gateway
from mailmig.lab.web.gateway_rules import Chunks, GatewayRules, Rule
from mailmig.lab.web.upstream import Member, Pool
from mailmig.lab.wsman import listening
from mailmig.lab.wsman.listening import Connection, Listener, Receive, Scope, Send
from mailmig.model.organisation import Server

HOST, OUTSIDE, INSIDE = "mail.town.example", "127.0.9.41", "127.0.11.21"
PIECES = (
    b"PROCESSING\r\n",
    b"PENDING\r\n",
    b"DONE\r\nX-StartTime: now\r\n\r\n" + bytes(range(256)),
)


@dataclass
class Seen:
    """What a server got to read of one request."""

    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: str
    connection: Connection


@dataclass
class Behind:
    """A server that does what the path says."""

    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        target: bytes = scope["raw_path"] + b"?" + scope["query_string"]
        connection = scope["state"]["connection"]
        one = Seen(scope["method"], target, scope["headers"], body, scope["client"][0], connection)
        self.seen.append(one)
        what = scope["path"].rpartition("/")[2]
        headers = [(b"x-feserver", b"EX1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        if what in ("plain", "healthcheck.htm"):
            headers.append((b"content-length", b"5"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if what in ("plain", "healthcheck.htm"):
            await send({"type": "http.response.body", "body": b"plain"})
            return
        for piece in PIECES:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.15 if what == "slow" else 0)
            if what == "broken":
                await connection.cut()
        await send({"type": "http.response.body", "body": b""})


@dataclass
class Town:
    """A gateway, a server behind it, and a client that sees what is on the wire."""

    rules: GatewayRules
    behind: Behind
    gateway: Gateway
    outer: Listener
    inner: Listener

    async def line(self) -> "Line":
        reader, writer = await asyncio.open_connection(*self.outer.where, ssl=upstream._TLS)
        return Line(reader, writer)

    async def ask(self, what: str, method: str = "GET", body: bytes = b"", **headers: str) -> "Got":
        line = await self.line()
        try:
            return await line.ask(what, method, body, **headers)
        finally:
            line.close()


@dataclass
class Got:
    """An answer; `chunks` are its pieces as they came, `at` when, `whole` whether it ended."""

    status: int
    headers: list[tuple[bytes, bytes]]
    chunks: list[bytes]
    at: list[float]
    whole: bool

    def all(self, name: bytes) -> list[bytes]:
        return [value for known, value in self.headers if known == name]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    async def ask(self, what: str, method: str = "GET", body: bytes = b"", **headers: str) -> Got:
        known = {"host": f"{HOST}:8443"} | {k.replace("_", "-"): v for k, v in headers.items()}
        if body and "transfer-encoding" not in known:
            known["content-length"] = str(len(body))
        request = h11.Request(method=method, target=f"/mapi/{what}", headers=list(known.items()))
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        async with asyncio.timeout(10):
            return await self._answer()

    async def ask_half(self) -> Got:
        """The beginning of a request, and never its end."""
        sizes = [("host", f"{HOST}:8443"), ("content-length", "1000")]
        for event in (
            h11.Request(method="POST", target="/mapi/plain", headers=sizes), h11.Data(data=b"half"),
        ):  # fmt: skip
            self._writer.write(self._http.send(event) or b"")
        async with asyncio.timeout(10):
            return await self._answer()

    async def _answer(self) -> Got:
        got = Got(0, [], [], [], False)
        began = time.monotonic()
        with contextlib.suppress(h11.RemoteProtocolError, ConnectionError):
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(65536))
                elif isinstance(event, h11.Response):
                    got.status, got.headers = event.status_code, list(event.headers)
                elif isinstance(event, h11.Data):
                    got.chunks.append(bytes(event.data))
                    got.at.append(time.monotonic() - began)
                elif isinstance(event, h11.EndOfMessage):
                    got.whole = True
                    if self._http.our_state is h11.DONE:
                        self._http.start_next_cycle()
                    break
                else:
                    break
        return got

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def made() -> AsyncIterator[Town]:
    authority, rules, behind = Authority(), GatewayRules(), Behind()
    async with AsyncExitStack() as stack:
        inner = Listener(behind, INSIDE, tls=authority.certificate("ex1.town.example").context())
        await stack.enter_async_context(inner)
        server = Server("EX1", "ex1.town.example", "A", (15, 2, 2562, 17), "Standard")
        pool = Pool(rules, [Member(server, *inner.where)], lambda: ("EX1",), OUTSIDE)
        gateway = await stack.enter_async_context(Gateway(rules, pool, [HOST]))
        outer = Listener(
            gateway, OUTSIDE, tls=authority.certificate(HOST).context(), server_header=""
        )
        await stack.enter_async_context(outer)
        yield Town(rules, behind, gateway, outer, inner)
    async with asyncio.timeout(5):
        while inner.connections or outer.connections or gateway._lines:
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture(name="town")
async def _town() -> AsyncIterator[Town]:
    async with made() as town:
        yield town


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not what():
            await asyncio.sleep(0.02)


async def test_a_request_reaches_the_server_as_it_is(town: Town) -> None:
    body = bytes(range(256)) * 400
    got = await town.ask(
        "plain?MailboxId=%C3%BC@x", "POST", body, cookie="a=1; b=2", x_requesttype="Ping"
    )
    seen = town.behind.seen[-1]
    assert (got.status, seen.method, seen.body) == (200, "POST", body)
    assert seen.target == b"/mapi/plain?MailboxId=%C3%BC@x"
    headers = dict(seen.headers)
    assert headers[b"host"] == f"{HOST}:8443".encode()
    assert (headers[b"cookie"], headers[b"x-requesttype"]) == (b"a=1; b=2", b"Ping")
    assert (seen.client, headers[b"x-forwarded-for"]) == (OUTSIDE, b"127.0.0.1")


async def test_a_body_in_chunks_stays_one(town: Town) -> None:
    await town.ask("plain", "POST", b"in pieces", transfer_encoding="chunked")
    seen = town.behind.seen[-1]
    assert seen.body == b"in pieces"
    assert dict(seen.headers)[b"transfer-encoding"] == b"chunked"
    assert b"content-length" not in dict(seen.headers)


async def test_an_answer_reaches_the_client_as_it_is(town: Town) -> None:
    got = await town.ask("plain")
    assert (got.body, got.all(b"content-length"), got.whole) == (b"plain", [b"5"], True)
    assert got.all(b"set-cookie") == [b"a=1", b"b=2"]
    assert got.all(b"server") == [b"Microsoft-HTTPAPI/2.0"]
    head = await town.ask("plain", "HEAD")
    assert (head.status, head.body, head.whole) == (200, b"", True)


async def test_chunks_come_one_by_one_when_the_server_sends_them(town: Town) -> None:
    got = await town.ask("slow")
    assert got.chunks == list(PIECES)
    assert got.all(b"transfer-encoding") == [b"chunked"]
    assert got.at[2] - got.at[0] > 0.25


async def test_chunks_may_be_gathered(town: Town) -> None:
    town.rules.extra.append(Rule(chunks=Chunks.WHOLE))
    got = await town.ask("slow")
    assert (got.body, got.whole) == (b"".join(PIECES), True)
    assert got.all(b"content-length") == [str(len(got.body)).encode()]
    assert got.at[-1] - got.at[0] < 0.15


async def test_chunks_may_be_refused_or_cut(town: Town) -> None:
    town.rules.extra.append(Rule(chunks=Chunks.REFUSED))
    got = await town.ask("slow")
    assert (got.status, got.all(b"server"), got.whole) == (502, [b"webgate"], True)
    town.rules.extra[:] = [Rule(chunks=Chunks.CUT)]
    got = await town.ask("slow")
    assert (got.status, got.chunks, got.whole) == (200, [PIECES[0]], False)
    assert (await town.ask("plain")).body == b"plain"


async def test_cookies_may_be_stripped_on_either_way(town: Town) -> None:
    town.rules.extra.append(Rule(no_cookies=True))
    got = await town.ask("plain", cookie="a=1")
    assert b"cookie" not in dict(town.behind.seen[-1].headers)
    assert len(got.all(b"set-cookie")) == 2
    town.rules.extra[:] = [Rule(no_set_cookies=True)]
    got = await town.ask("plain", cookie="a=1")
    assert dict(town.behind.seen[-1].headers)[b"cookie"] == b"a=1"
    assert got.all(b"set-cookie") == []


async def test_a_device_header_may_be_put_in(town: Town) -> None:
    town.rules.extra.append(Rule(directory="mapi", device_info="webgate"))
    assert (await town.ask("plain")).all(b"x-deviceinfo") == [b"webgate"]


async def test_half_answers_end_in_a_cut(town: Town) -> None:
    town.rules.extra.append(Rule(cut_after=3))
    got = await town.ask("plain")
    assert (got.status, got.body, got.whole) == (200, b"pla", False)
    got = await town.ask("slow")
    assert (got.status, got.body, got.whole) == (200, PIECES[0][:3], False)


async def test_long_requests_may_be_cut_or_refused(town: Town) -> None:
    town.rules.extra.append(Rule(longest_s=0.2))
    got = await town.ask("slow")
    assert (got.status, got.whole, got.body) == (200, False, PIECES[0] + PIECES[1])
    town.rules.extra.append(Rule(chunks=Chunks.WHOLE))
    got = await town.ask("slow")
    assert (got.status, got.all(b"server")) == (504, [b"webgate"])
    assert (await town.ask("plain")).body == b"plain"


async def test_a_rule_may_delay(town: Town) -> None:
    town.rules.extra.append(Rule(delay_s=0.3))
    began = time.monotonic()
    assert (await town.ask("plain")).status == 200
    assert time.monotonic() - began >= 0.3


async def test_who_hangs_is_cut_when_the_rule_goes(town: Town) -> None:
    town.rules.extra.append(Rule(hang=True))
    waiting = asyncio.ensure_future(town.ask("plain"))
    await asyncio.sleep(0.3)
    assert not waiting.done() and not town.behind.seen
    town.rules.extra.clear()
    assert (await waiting).status == 0
    assert (await town.ask("plain")).status == 200


async def test_each_client_has_a_line_of_its_own_to_the_server(town: Town) -> None:
    first, second = await town.line(), await town.line()
    for line in (first, second, first, second):
        assert (await line.ask("plain")).status == 200
    lines = [one.connection for one in town.behind.seen if one.target == b"/mapi/plain?"]
    assert lines[0] is lines[2] and lines[1] is lines[3] and lines[0] is not lines[1]
    first.close()
    await until(lambda: len(town.gateway._lines) == 1)
    assert (await second.ask("plain")).status == 200
    second.close()


async def test_a_line_that_the_server_closed_is_replaced(town: Town) -> None:
    line = await town.line()
    assert (await line.ask("plain")).status == 200
    await town.behind.seen[-1].connection.cut()
    await asyncio.sleep(0.1)
    assert (await line.ask("plain")).status == 200
    line.close()


async def test_a_server_that_breaks_off_breaks_the_answer_off(town: Town) -> None:
    got = await town.ask("broken")
    assert (got.status, got.whole) == (200, False)


async def test_a_client_that_leaves_leaves_nothing_behind(town: Town) -> None:
    lines = [await town.line() for _ in range(5)]
    asking = [asyncio.ensure_future(line.ask("slow")) for line in lines]
    await until(lambda: len(town.gateway._lines) == 5)
    for line in lines:
        line.close()
    await asyncio.gather(*asking, return_exceptions=True)
    await until(lambda: not town.gateway._lines)
    assert (await town.ask("plain")).status == 200


async def test_clients_that_stop_in_the_middle_of_a_body_are_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listening, "KEEP_ALIVE_S", 0.5)
    async with made() as town:
        town.rules.asks_health = False
        lines = [await town.line() for _ in range(5)]
        answers = [asyncio.ensure_future(line.ask_half()) for line in lines]
        await until(lambda: len(town.gateway._lines) == 5)
        assert (await town.ask("plain")).status == 200
        assert [(got.status, got.whole) for got in await asyncio.gather(*answers)] == [
            (0, False)
        ] * 5
        await until(lambda: not town.gateway._lines)


@pytest.mark.parametrize("said", [
    b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\x00" * 100_000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
])  # fmt: skip
async def test_rubbish_from_the_server_is_a_502_or_a_cut(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
        writer.close()

    async with made() as town:
        context = Authority().certificate("ex1.town.example").context()
        server = await asyncio.start_server(talk, INSIDE, 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        (member,) = town.gateway._pool.members()
        town.gateway._pool._servers["ex1"] = Member(member.server, INSIDE, port)
        town.rules.asks_health = False
        got = await town.ask("plain")
        assert got.status == 502 or (got.status == 200 and not got.whole)
        server.close()
        await server.wait_closed()
