"""A listening HTTP or HTTPS socket for any ASGI application, with a state per TCP connection.

    async with Listener(application, "127.0.1.1", 0, tls=context) as listener:
        listener.port

An application finds the state as `scope["state"]["connection"]`: NTLM logs on a connection, not
a request, and some faults cut one. uvicorn reads and writes HTTP; its own server is not used,
since that one takes over signals and waits for clients when it ends. Connections are accepted
here and not by asyncio's server, which would keep those that never finish their TLS handshake.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Final, Self

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from mailmig.lab.certificates import ServerContext
from mailmig.lab.wsman.authentication import Logon

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# http.sys closes a silent connection after two minutes, also in the middle of a request.
KEEP_ALIVE_S: Final = 120
# An NTLM or Kerberos token is one header line: 64 KiB are not always enough.
LARGEST_HEAD: Final = 1024**2
HANDSHAKE_S: Final = 30.0
GRACE_S: Final = 2.0


class Connection:
    """One TCP connection: who logged on over it, what is called when it ends, a way to cut it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        secure = transport.get_extra_info("ssl_object")
        shown = secure.context if secure is not None else None
        self.logon = Logon(shown.end_point if isinstance(shown, ServerContext) else b"")
        self.ends: list[Callable[[], None]] = []
        self.ended = asyncio.Event()
        self._transport = transport

    async def cut(self) -> None:
        """Ends the connection after what was written so far, and waits until it has ended.

        uvicorn complains of an application that leaves before both its answer and the client.
        """
        self._transport.close()
        await self.ended.wait()


class _Http(H11Protocol):
    """uvicorn copies `app_state` shallowly into the scope of every request.

    It waits without end for the first request of a connection and for the rest of one that has
    begun; here neither may take longer than the next request of a connection that stays open.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = dict(self.app_state, connection=Connection(transport))
        self._heard = self.loop.time()
        self._look = self.loop.call_later(self.timeout_keep_alive, self._cut_silent)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        super().data_received(data)

    def _cut_silent(self) -> None:
        """Between two requests uvicorn's own timer runs."""
        begun = self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused
        awaited = self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None
        left = self._heard + self.timeout_keep_alive - self.loop.time()
        if left <= 0 and (begun or awaited):
            self.transport.abort()
            return
        after = left if left > 0 else self.timeout_keep_alive
        self._look = self.loop.call_later(after, self._cut_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._look.cancel()
        connection: Connection = self.app_state["connection"]
        connection.ended.set()
        for end in connection.ends:
            end()


class Listener:
    """Serves an application on one address and port; port 0 takes any that is free.

    Without `server_header` the application says itself who it is.
    """

    def __init__(
        self,
        application: Application,
        address: str,
        port: int = 0,
        *,
        tls: ServerContext | None = None,
        server_header: str = "Microsoft-HTTPAPI/2.0",
    ) -> None:
        self.address = address
        self.port = port
        self.tls = tls
        self._application = application
        self._state = ServerState()
        if server_header:
            self._state.default_headers = [(b"server", server_header.encode())]
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._greeting: set[asyncio.Task[None]] = set()

    @property
    def where(self) -> tuple[str, int]:
        """Address and port."""
        return self.address, self.port

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{'https' if self.tls else 'http'}://{self.address}:{self.port}"

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._state.connections)

    async def __aenter__(self) -> Self:
        config = Config(
            self._application, http=_Http, ws="none", lifespan="off", log_config=None,
            access_log=False, interface="asgi3", timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=LARGEST_HEAD, proxy_headers=False,
        )  # fmt: skip
        config.load()

        def protocol() -> asyncio.Protocol:
            return _Http(config=config, server_state=self._state, app_state={})

        self._socket = socket.create_server((self.address, self.port), backlog=256)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._accepting = asyncio.ensure_future(self._accept(self._socket, protocol))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends listening, cuts every connection and waits until their requests have ended."""
        listening, accepting = self._socket, self._accepting
        if listening is None or accepting is None:
            return
        self._socket = self._accepting = None
        # Whom `sock_accept` has already, a cancelled task would lose: nobody more, then a round.
        with contextlib.suppress(NotImplementedError):  # Windows' loop keeps what it accepted
            asyncio.get_running_loop().remove_reader(listening)
        await asyncio.sleep(0)
        accepting.cancel()
        await asyncio.gather(accepting, return_exceptions=True)
        listening.close()
        await asyncio.sleep(0)  # every greeting has begun and owns its socket
        greeting = tuple(self._greeting)
        for task in greeting:
            task.cancel()
        await asyncio.gather(*greeting, return_exceptions=True)
        for connection in list(self._state.connections):
            connection.transport.abort()
        # the requests see that their client is gone in the next round of the loop
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=GRACE_S)
        while self._state.connections:
            await asyncio.sleep(0)

    async def _accept(
        self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        loop = asyncio.get_running_loop()
        while listening is self._socket:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except OSError:  # it was gone again, or there are too many
                await asyncio.sleep(0.05)
                continue
            task = asyncio.ensure_future(self._greet(accepted, protocol))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(
        self, accepted: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        """Makes a connection of a socket, with TLS if that is wanted."""
        loop = asyncio.get_running_loop()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # TLS that failed among them: the client hears it
            await loop.connect_accepted_socket(
                protocol,
                accepted,
                ssl=self.tls,
                ssl_handshake_timeout=HANDSHAKE_S if self.tls else None,
            )
