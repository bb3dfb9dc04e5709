"""exchangelib over a connection of ours: it writes and reads EWS, we connect, log on and wait.

    async with session(...) as web:                       # pinned to an address, logged on
        channel = Channel(web, agent)
        found = await channel.work("sales@town.example", lambda account: ...)

exchangelib gets no password, opens no connection and remembers nothing of us, so that its traps are
out of reach (protocols.md 2.6): there is no logon to repeat, no cache by endpoint and credentials, no
adapter for the whole process, no waiting for a free session; FailFast tries nothing twice. Never use
`account.root` or what hangs on it in `work`: they hold a lock of the whole process while they ask.

exchangelib blocks, so `work` runs in a thread of its own; its requests come back to the event loop. When
the session ends, a request that still waits fails, and the thread with it.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any, Final, TypeVar

import requests
from exchangelib import DELEGATE, UTC, Account, Build, Configuration, FailFast, Version
from exchangelib.protocol import CachingProtocol, Protocol
from exchangelib.transport import NOAUTH
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse

from mailmig.model.web import Headers
from mailmig.sources.web_line import LineBroken, Reply
from mailmig.sources.web_session import WebSession

T = TypeVar("T")
# 2013 SP1: the oldest server that we meet, and all newer ones know what it knows.
_VERSION: Final = Version(Build(15, 0, 847, 32))
# What of exchangelib's headers goes out: no compression, which a line does not undo.
_SENT: Final = ("content-type", "x-anchormailbox")
# Enough that a server that hangs in the middle leaves room for the others.
_THREADS: Final = ThreadPoolExecutor(64, thread_name_prefix="ews")
# It writes whole requests and answers into the log when one fails.
logging.getLogger("exchangelib").setLevel(logging.CRITICAL)


class Channel:
    """See the module; `last` is the latest answer, `broken` what ended the connection."""

    def __init__(self, web: WebSession, path: str, agent: str) -> None:
        self.last: Reply | None = None
        self.broken: LineBroken | None = None
        self._web = web
        self._path = path
        self._agent = agent
        self._loop = asyncio.get_running_loop()

    async def work(self, mailbox: str, what: Callable[[Account], T]) -> T:
        """Run a blocking function with a mailbox in a thread. Raises what exchangelib raises."""
        return await self._loop.run_in_executor(
            _THREADS, lambda: what(_account(self, mailbox, self._path))
        )

    def headers(self, more: Headers) -> Headers:
        return (*more, ("User-Agent", self._agent))

    def post(self, headers: Headers, body: bytes) -> Reply:
        """One request, from within `work`. Raises `LineBroken`."""
        asked = self._web.ask("POST", self._path, self.headers(headers), body)
        try:
            self.last = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        except LineBroken as error:
            self.broken = error
            raise
        return self.last


class _Adapter(HTTPAdapter):
    """Hands requests to a channel."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        headers = tuple(
            (name, str(value)) for name, value in request.headers.items() if name.lower() in _SENT
        )
        body = request.body
        assert isinstance(body, bytes), "exchangelib sends whole documents"
        try:
            reply = self._channel.post(headers, body)
        except (LineBroken, FutureCancelled) as error:
            raise requests.ConnectionError(str(error)) from error
        answer = HTTPResponse(
            BytesIO(reply.body), HTTPHeaderDict(reply.headers), reply.status, reason=reply.reason,
            preload_content=False,
        )  # fmt: skip
        return self.build_response(request, answer)


class _Uncached(CachingProtocol):  # type: ignore[misc]
    """Protocols of exchangelib are cached by endpoint and credentials; these are not."""

    def __call__(cls, *words: Any, **options: Any) -> Any:
        return type.__call__(cls, *words, **options)


class _Pinned(Protocol, metaclass=_Uncached):  # type: ignore[misc]
    """All its sessions use one channel."""

    def __init__(self, config: Configuration, channel: Channel) -> None:
        super().__init__(config)
        self._channel = channel

    def create_session(self) -> Any:
        session = super().create_session()
        session.mount("https://", _Adapter(self._channel))
        session.mount(self.service_endpoint, _Adapter(self._channel))
        return session


def _account(channel: Channel, mailbox: str, path: str) -> Account:
    # The name is never looked up: all requests go over the channel.
    config = Configuration(
        service_endpoint=f"https://mailmig.invalid{path}", auth_type=NOAUTH, version=_VERSION,
        retry_policy=FailFast(), max_connections=1,
    )  # fmt: skip
    account = Account(
        mailbox, config=config, autodiscover=False, access_type=DELEGATE, default_timezone=UTC,
        locale="en_US",
    )  # fmt: skip
    with suppress(KeyError):  # it has cached one that nobody uses
        del Protocol[config]
    account.protocol = _Pinned(config, channel)
    return account
