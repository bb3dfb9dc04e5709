"""The gateway's side towards the servers: which of them gets a connection, and that connection.

Each connection of a client has at most one to a server, and it alone: a logon by NTLM belongs to a
connection, so whoever shares one lets others in under his name, and whoever changes it loses the
logon. The server's certificate is not checked, as most proxies have it.

A server gets no new connections while the healthcheck page of the directory is not 200 (protocols.md
3). Its state is at most `CHECK_S` old; of one that was not well nobody waits to hear that it still
is not. Times are seconds of ours.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self

import h11

from mailmig.lab.web.gateway_rules import GatewayRules
from mailmig.model.organisation import Server

CONNECT_S: Final = 3.0
HEALTH_S: Final = 3.0
CHECK_S: Final = 1.0
_PIECE: Final = 64 * 1024
_LARGEST_HEAD: Final = 1024**2

Headers = list[tuple[bytes, bytes]]


class Unavailable(Exception):
    """The server does not answer, or breaks off: the client gets 502."""


@dataclass(frozen=True, slots=True)
class Member:
    """A server of the pool, and where it listens."""

    server: Server
    address: str
    port: int


class Upstream:
    """One connection to a server. `source` is the address that it comes from."""

    def __init__(
        self, member: Member, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.member = member
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)

    @classmethod
    async def connect(cls, member: Member, source: str) -> Self:
        """Raises `Unavailable`."""
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    member.address, member.port, ssl=_TLS, server_hostname=member.server.fqdn,
                    local_addr=(source, 0), limit=_PIECE,
                )  # fmt: skip
        except OSError as error:  # TimeoutError and ssl.SSLError are some, too
            raise Unavailable(str(error)) from error
        return cls(member, reader, writer)

    @property
    def usable(self) -> bool:
        """Whether one more request can go over it; a server closes what is silent for long."""
        fresh = self._http.our_state is h11.IDLE and self._http.their_state is h11.IDLE
        return fresh and not self._reader.at_eof() and not self._writer.is_closing()

    async def ask(
        self, method: bytes, target: bytes, headers: Headers, body: AsyncIterator[bytes]
    ) -> h11.Response:
        """Send a request and wait for the head of its answer. Raises `Unavailable`."""
        request = h11.Request(method=method, target=target, headers=headers)
        try:
            await self._send(request)
            async for piece in body:
                await self._send(h11.Data(data=piece))
            await self._send(h11.EndOfMessage())
        except (OSError, h11.LocalProtocolError) as error:
            raise Unavailable(str(error)) from error
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise Unavailable("no answer")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The answer's body, chunk by chunk as the server sends it. Raises `Unavailable`."""
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise Unavailable("half an answer")
        if self._http.their_state is h11.DONE and self._http.our_state is h11.DONE:
            self._http.start_next_cycle()

    def close(self) -> None:
        """Whoever waits for it is `Unavailable`."""
        self._writer.transport.abort()

    async def _send(self, event: h11.Request | h11.Data | h11.EndOfMessage) -> None:
        raw = self._http.send(event)
        if raw:
            self._writer.write(raw)
            await self._writer.drain()

    async def _event(self) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_PIECE))
        except (OSError, h11.RemoteProtocolError) as error:
            raise Unavailable(str(error)) from error
        return event


class Pool:
    """The servers behind one gateway; `servers` are those that may be members, by short name.

    `serving` names those that the clients' name leads to; `source` is the gateway's own address.
    """

    def __init__(
        self,
        rules: GatewayRules,
        servers: Iterable[Member],
        serving: Callable[[], Iterable[str]],
        source: str,
    ) -> None:
        self._rules = rules
        self._servers = {one.server.name.lower(): one for one in servers}
        self._serving = serving
        self._source = source
        self._turn = 0
        self._known: dict[tuple[str, str], tuple[float, bool]] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[bool]] = {}

    def members(self, names: Iterable[str] = ()) -> tuple[Member, ...]:
        """Those of the names, else of the rules, else all that serve; unknown names are nobody."""
        wanted = tuple(names) or self._rules.members
        found = self._serving() if wanted is None else wanted
        return tuple(self._servers[one.lower()] for one in found if one.lower() in self._servers)

    async def connect(self, directory: str, names: Iterable[str] = ()) -> Upstream | None:
        """A connection to the next member that is well; None when none is.

        Raises `Unavailable` where nobody asks for health: the next one is taken, dead or alive.
        """
        members = self.members(names)
        if self._rules.asks_health:
            well = await asyncio.gather(*(self._is_well(one, directory) for one in members))
            members = tuple(one for one, good in zip(members, well, strict=True) if good)
        self._turn += 1
        first = self._turn % max(1, len(members))
        for member in (*members[first:], *members[:first]):
            try:
                return await Upstream.connect(member, self._source)
            except Unavailable:
                if not self._rules.asks_health:
                    raise
                self._known[member.server.name, directory] = (time.monotonic(), False)
        return None

    async def close(self) -> None:
        """Asks nobody any more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _is_well(self, member: Member, directory: str) -> bool:
        key = member.server.name, directory
        at, good = self._known.get(key, (-CHECK_S, True))
        if time.monotonic() - at < CHECK_S:
            return good
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._checked(member, directory))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task) if good else False

    async def _checked(self, member: Member, directory: str) -> bool:
        good = False
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(HEALTH_S):
                good = await _says_200(member, self._source, directory or "owa")
        self._known[member.server.name, directory] = (time.monotonic(), good)
        return good


async def _says_200(member: Member, source: str, directory: str) -> bool:
    upstream = await Upstream.connect(member, source)
    try:
        headers = [(b"host", member.server.fqdn.encode()), (b"connection", b"close")]
        target = f"/{directory}/healthcheck.htm".encode()
        return (await upstream.ask(b"GET", target, headers, _nothing())).status_code == 200
    finally:
        upstream.close()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TLS: Final = _unchecked()
