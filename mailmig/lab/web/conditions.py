"""How the web server of one Exchange server misbehaves, per virtual directory.

    world.conditions("LS-EX1").web["mapi"].delay_s = 8.0

Faults set plain attributes, the front end reads them with each request; all off is a healthy
directory. What applies to a directory applies to its healthcheck page as well, unless it says
something else. Times are real seconds.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from mailmig.lab.wsman.listening import Application, Connection, Message, Receive, Scope, Send

# How often a request that hangs looks whether it still has to: real seconds.
_LOOK_S: Final = 0.05


@dataclass(slots=True)
class WebCondition:
    """One virtual directory of one server."""

    delay_s: float = 0.0  # before each answer
    hang: bool = False  # no answer until it is switched off
    drop: bool = False  # the connection is cut instead of an answer
    halve: bool = False  # half of each body, then the connection is cut
    status: int | None = None  # an empty answer with this status, before anybody logs on
    redirect: bool = False  # every request is sent to where it came from
    strip_cookies: bool = False  # neither side sees the other's cookies
    no_execute: bool = False  # Execute of MAPI alone is refused with 401, whoever logs on


_HEALTHY: Final = WebCondition()


@dataclass(slots=True)
class Discovery:
    """What Autodiscover has wrong, by numbers of mailboxes.

    A mailbox in `stale` is still told to be at that server; one in `mistaken` to be known by the
    legacyExchangeDN of the other one.
    """

    stale: dict[int, str] = field(default_factory=dict)
    mistaken: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class WebConditions:
    """All virtual directories of one server.

    The front end still goes to the server in `misrouted` for a mailbox, by its number. With
    `no_back_end` nobody can be proxied to this server: its binding of port 444 has no certificate.
    """

    of: dict[str, WebCondition] = field(default_factory=dict)
    misrouted: dict[int, str] = field(default_factory=dict)
    no_back_end: bool = False

    def __getitem__(self, directory: str) -> WebCondition:
        """The condition of a directory, by its path in lower case, to be changed."""
        return self.of.setdefault(directory, WebCondition())

    def now(self, directory: str) -> WebCondition:
        """The condition of whatever a client asks for."""
        return self.of.get(directory, _HEALTHY)


async def serve(
    condition: WebCondition, application: Application, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let an application answer one request as the condition says."""
    connection: Connection = scope["state"]["connection"]
    gone = connection.ended
    while condition.hang and not gone.is_set():
        await _within(_LOOK_S, gone)
    if condition.hang or condition.drop:
        await connection.cut()
        return
    if condition.delay_s:
        await _within(condition.delay_s, gone)
    if condition.status is not None:
        await _bare(send, condition.status)
    elif condition.redirect:
        await _bare(send, 302, (b"location", _address(scope)))
    elif not gone.is_set():
        if condition.strip_cookies:
            kept = [one for one in scope["headers"] if one[0] != b"cookie"]
            scope = dict(scope, headers=kept)
        await application(scope, receive, _Sending(condition, connection, send))


class _Sending:
    """Sends an answer on as the condition leaves it."""

    def __init__(self, condition: WebCondition, connection: Connection, send: Send) -> None:
        self._condition = condition
        self._connection = connection
        self._send = send
        self._is_cut = False

    async def __call__(self, message: Message) -> None:
        if self._is_cut:
            return
        if message["type"] == "http.response.start":
            if self._condition.strip_cookies:
                kept = [one for one in message["headers"] if one[0].lower() != b"set-cookie"]
                message = dict(message, headers=kept)
        elif self._condition.halve and message.get("body"):
            body: bytes = message["body"]
            message = dict(message, body=body[: len(body) // 2], more_body=True)
            self._is_cut = True
        await self._send(message)
        if self._is_cut:
            await self._connection.cut()


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but not longer."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


async def _bare(send: Send, status: int, *headers: tuple[bytes, bytes]) -> None:
    """An answer without a body."""
    told = [*headers, (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": b""})


def _address(scope: Scope) -> bytes:
    """What the client asked for, as an absolute address."""
    host: bytes = dict(scope["headers"]).get(b"host", b"")
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    target: bytes = scope["raw_path"].partition(b"?")[0] + query
    return f"{scope['scheme']}://".encode() + host + target
