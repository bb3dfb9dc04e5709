"""Clients of the lab's HTTP servers that are slow, silent, or stop in the middle of a request."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ssl import SSLContext, create_default_context

import pytest

from mailmig.lab.certificates import Authority
from mailmig.lab.wsman import listening
from mailmig.lab.wsman.listening import Listener, Receive, Scope, Send

HOST = "127.0.0.1"
SILENCE_S = 1.0
PATIENCE_S = 10.0
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
HALVES = {
    "nothing": b"",
    "half a head": HEAD[:20],
    "half a body": HEAD + b"1234",
    "a request and half of the next": HEAD + b"123456789" + HEAD[:20],
}

Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Application:
    """Says how long the body was, `after_s` seconds after it was there."""

    def __init__(self) -> None:
        self.after_s = 0.0
        self.left = 0
        self.seen: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen, size, more = scope, 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        await asyncio.sleep(self.after_s)
        body = str(size).encode()
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Place:
    """The application, where it listens, and how to get there."""

    def __init__(self, application: Application, listener: Listener, tls: SSLContext) -> None:
        self.application = application
        self.listener = listener
        self._tls = tls

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        async with asyncio.timeout(PATIENCE_S):
            wire = await asyncio.open_connection(*self.listener.where, ssl=self._tls)
            try:
                yield wire
            finally:
                wire[1].transport.abort()


@pytest.fixture(name="place")
async def _place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(listening, "KEEP_ALIVE_S", SILENCE_S)
    authority, application = Authority(), Application()
    tls = create_default_context(cadata=authority.pem.decode())
    context = authority.certificate(HOST).context()
    async with Listener(application, HOST, tls=context) as listener:
        yield Place(application, listener, tls)


@pytest.mark.parametrize("words", HALVES.values(), ids=HALVES)
async def test_who_stops_before_the_end_of_a_request_is_cut(place: Place, words: bytes) -> None:
    async with place.wire() as (reader, writer):
        writer.write(words)
        said = await reader.read()
    assert said.endswith(b"\r\n\r\n9") is words.startswith(HEAD + b"123456789")
    while place.listener.connections:
        await asyncio.sleep(0.01)
    assert place.application.left == (words == HALVES["half a body"])


async def test_who_sends_slowly_is_heard_to_the_end(place: Place) -> None:
    async with place.wire() as (reader, writer):
        writer.write(HEAD[:20])
        for piece in (HEAD[20:], b"123", b"456", b"789"):
            await asyncio.sleep(SILENCE_S / 2)
            writer.write(piece)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(1) == b"9"


async def test_who_waits_long_for_an_answer_may_ask_again(place: Place) -> None:
    place.application.after_s = 2 * SILENCE_S
    async with place.wire() as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"123456789")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(1) == b"9"
            place.application.after_s = 0.0


@pytest.mark.parametrize("rounds", range(5))
async def test_who_is_accepted_while_listening_ends_is_cut_and_not_lost(rounds: int) -> None:
    listener = await Listener(Application(), HOST).__aenter__()
    await asyncio.sleep(0.01)  # it waits for somebody
    with socket.create_connection(listener.where, PATIENCE_S) as client:
        for _ in range(rounds):  # in one of them the client is accepted, and nobody knows it yet
            await asyncio.sleep(0)
        await listener.close()
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.to_thread(client.recv, 1) == b""
    gc.collect()  # a socket that nobody closed warns


async def test_who_says_that_he_comes_from_elsewhere_is_not_believed() -> None:
    seen: list[Scope] = []

    async def looks(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async with Listener(looks, HOST) as listener:
        reader, writer = await asyncio.open_connection(*listener.where)
        mine = writer.get_extra_info("sockname")
        told = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + told + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        writer.transport.abort()
    assert [(one["scheme"], tuple(one["client"])) for one in seen] == [("http", mine)]


async def test_who_is_cut_hears_what_was_said_and_nobody_complains(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def cuts(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"9")]
        if scope["path"] == "/half":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"1234", "more_body": True})
        await scope["state"]["connection"].cut()

    async with Listener(cuts, HOST) as listener:
        for path, said in (("/half", b"\r\n\r\n1234"), ("/none", b"")):
            reader, writer = await asyncio.open_connection(*listener.where)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            found = await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert found.endswith(said) and bool(found) is bool(said)
            writer.transport.abort()
    assert caplog.records == []


async def test_nobody_can_say_by_a_header_where_he_comes_from(place: Place) -> None:
    """IIS believes no proxy; uvicorn would believe whoever comes from 127.0.0.1."""
    claims = b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n"
    async with place.wire() as (reader, writer):
        writer.write(HEAD[:-2] + claims + b"\r\n123456789")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    seen = place.application.seen
    assert (seen["client"][0], seen["scheme"]) == (HOST, "https")
