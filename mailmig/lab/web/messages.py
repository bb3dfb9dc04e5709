"""One HTTP request as a protocol sees it, and what it answers.

Names of headers and of the query's parts are in lower case; texts are decoded as Latin 1, as HTTP
has it. A body beyond `LARGEST_BODY` is read to its end and not kept: the request is `too_large`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from mailmig.lab.accounts import Account
from mailmig.lab.population import Mailbox
from mailmig.lab.wsman.listening import Receive, Scope, Send
from mailmig.model.organisation import Server

# What IIS lets through to EWS is 64,000 KB [MEM]; nothing that a probe sends comes near this.
LARGEST_BODY: Final = 16 * 1024**2
HTML: Final = "text/html; charset=utf-8"
XML: Final = "text/xml; charset=utf-8"
JSON: Final = "application/json; charset=utf-8"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """`path` as it came, without the query; `query` and `headers` by name in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    secure: bool
    too_large: bool = False

    @property
    def directory(self) -> str:
        """The first part of the path, in lower case: the virtual directory."""
        return self.path.lower().lstrip("/").partition("/")[0]

    @property
    def rest(self) -> str:
        """What comes behind the virtual directory, in lower case, without slashes around."""
        return self.path.lower().lstrip("/").partition("/")[2].strip("/")

    @property
    def host(self) -> str:
        """The name that the client asked for, with its port."""
        return self.headers.get("host", "")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a body that is sent by itself, `after_s` seconds of ours behind the one before."""

    data: bytes
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """`kind` is the content type, empty for a body without one.

    An answer with `chunks` has them in the place of `body`, and no Content-Length. It is sent
    `after_s` seconds of ours after it was worked out.
    """

    status: int
    body: bytes = b""
    kind: str = ""
    headers: Headers = ()
    chunks: tuple[Chunk, ...] = ()
    after_s: float = 0.0

    def having(self, *headers: tuple[str, str]) -> "Answer":
        """The same answer with more headers."""
        return replace(self, headers=(*self.headers, *headers))


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it reaches a back end: from whom, and on which server.

    `caller` is None where a protocol takes everybody; `mailbox` is the caller's own, None where the
    account has none. `front` is the server that the client is connected to.
    """

    request: Request
    caller: Account | None
    mailbox: Mailbox | None
    front: Server
    server: Server


async def receive_request(scope: Scope, receive: Receive) -> Request | None:
    """The whole request; None when the client went away meanwhile."""
    parts: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        size += len(part)
        if size <= LARGEST_BODY:
            parts.append(part)
        more = message.get("more_body", False)
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query={name.lower(): value for name, value in query},
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        body=b"" if size > LARGEST_BODY else b"".join(parts),
        secure=scope["scheme"] == "https",
        too_large=size > LARGEST_BODY,
    )


async def send_answer(send: Send, answer: Answer, *, head_only: bool = False) -> None:
    """Send it; a HEAD request gets the headers only."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers]
    if answer.kind:
        headers.append((b"content-type", answer.kind.encode()))
    if answer.after_s:
        await asyncio.sleep(answer.after_s)
    if not answer.chunks:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.chunks and not head_only:
        for chunk in answer.chunks:
            if chunk.after_s:
                await asyncio.sleep(chunk.after_s)
            await send({"type": "http.response.body", "body": chunk.data, "more_body": True})
    body = b"" if head_only else answer.body
    await send({"type": "http.response.body", "body": body})
