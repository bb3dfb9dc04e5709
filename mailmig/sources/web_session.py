"""Requests to a web server with a logon: to one address, over one connection.

    async with session(context, addresses, logons, credential, address, host) as web:
        bare = await web.knock("POST", "/mapi/emsmdb/?MailboxId=...", headers)
        if bare.status == 401:
            await web.log_on("POST", "/mapi/emsmdb/?MailboxId=...", headers)
            reply = web.shown                     # the answer to the request that logged on
            reply = await web.ask("POST", "/mapi/emsmdb/?MailboxId=...", headers, body)

Before anything is shown, a request without a logon asks what is offered: a scheme that is not
offered is not tried. NTLM and Kerberos bind the logon to the TLS connection (RFC 5929). The logon
passes `Logons`: one doubtful attempt at a time for an account, and none after a refusal.

A 401 to a right password is no wrong password: Extended Protection behind a proxy, or a front end
that reaches no domain controller, refuses too. So an account that was let in at one address is
logged on there once more before a refusal elsewhere counts as one of the password.
"""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import spnego
from spnego.exceptions import SpnegoError

from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.model.web import HTTPS_PORT, Headers, Stage, Trouble
from mailmig.sources.kerberos import bindings
from mailmig.sources.remote_errors import NotShownAgain
from mailmig.sources.remote_logon import LogonClosed, LogonGate
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.web_line import Line, LineBroken, Reply, connected, words

_UNAUTHORIZED: Final = 401
_MOST: Final = 1024 * 1024
# Exactly this one is used: a client at home that falls back from Kerberos asks for a password.
_WORDS: Final = {Scheme.BASIC: "Basic", Scheme.NTLM: "NTLM", Scheme.KERBEROS: "Negotiate"}

Show = Callable[[], Awaitable[bool]]


class NotOffered(MailmigError):
    """The server does not offer the scheme that we are to use: nothing was shown to it."""

    exit_code = UNREACHABLE

    def __init__(self, where: str, scheme: str, offered: tuple[str, ...]) -> None:
        super().__init__(f"{where} offers {', '.join(offered) or 'no scheme'}, not {scheme}")
        self.offered = offered


@dataclass(frozen=True, slots=True)
class Credential:
    """An account, its password, and the one scheme that is tried."""

    account: str
    password: Secret
    scheme: Scheme = Scheme.NTLM


@dataclass
class _Standing:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    let_in: dict[tuple[str, Scheme], Show] = field(default_factory=dict)


class Logons:
    """Which account was let in where. Use one instance in one event loop."""

    def __init__(self, gate: LogonGate) -> None:
        self._gate = gate
        self._standings: dict[tuple[str, Secret], _Standing] = {}

    async def attempt(self, who: Credential, where: str, show: Show, prove: Show) -> bool:
        """`show` logs on and says whether it was let in; `prove` may do the same again later.

        Raises:
            NotShownAgain, LogonHeld: the password may not be shown (any more).
            LineBroken: the connection failed.
        """
        standing = self._standings.setdefault((who.account, who.password), _Standing())
        here = where, who.scheme
        if here not in standing.let_in:
            async with standing.turn:
                if here not in standing.let_in:
                    return await self._settled(standing, who, here, show, prove)
        if await show():
            return True
        async with standing.turn:
            return await self._settled(standing, who, here, None, prove)

    async def _settled(
        self, standing: _Standing, who: Credential, here: tuple[str, Scheme], show: Show | None,
        prove: Show,
    ) -> bool:  # fmt: skip
        """An attempt that counts; without `show` it has been made already, and was refused."""
        where, scheme = here
        attempt = self._gate.attempt(who.account, who.password, where)
        try:
            noted = await asyncio.to_thread(attempt.__enter__)
        except LogonClosed as error:
            raise NotShownAgain(where, who.account, scheme.value, error.server) from error
        try:
            if show is not None and await show():
                noted.accepted()
                standing.let_in[here] = prove
                return True
            standing.let_in.pop(here, None)
            proofs = list(standing.let_in.values())
            if proofs and await proofs[0]():
                noted.accepted()  # it is the address, not the password
            else:
                noted.refused("HTTP says 401")
            return False
        finally:
            attempt.__exit__(None, None, None)


@asynccontextmanager
async def session(
    context: ssl.SSLContext, addresses: AddressMap, logons: Logons, who: Credential,
    address: str, host: str, port: int = HTTPS_PORT,
) -> AsyncIterator["WebSession"]:  # fmt: skip
    """A connection with TLS until the end of the block. Raises `LineBroken`."""
    async with connected(address, port, addresses) as line:
        await line.start_tls(context, host)

        async def prove(method: str, target: str, headers: Headers) -> bool:
            async with session(context, addresses, logons, who, address, host, port) as another:
                return await another.show(method, target, headers)

        yield WebSession(line, logons, who, host, f"{host} at {address}", prove)


class WebSession:
    """See the module; `offered` are the schemes of the first 401.

    `shown` is the last answer to a request with a logon: behind a proxy that answers by itself the
    connection is another one afterwards, and a second request would only meet a 401.
    """

    def __init__(
        self, line: Line, logons: Logons, who: Credential, host: str, where: str,
        prove: Callable[[str, str, Headers], Awaitable[bool]],
    ) -> None:  # fmt: skip
        self.line = line
        self.offered: tuple[str, ...] = ()
        self.shown: Reply | None = None
        self._logons = logons
        self._who = who
        self._host = host
        self._where = where
        self._prove = prove
        self._each: Headers = ()

    async def knock(self, method: str, target: str, headers: Headers) -> Reply:
        """A request without a logon and without a body. Raises `LineBroken`."""
        reply = await self.ask(method, target, headers)
        self.offered = tuple(
            dict.fromkeys(
                value.partition(" ")[0] for value in reply.values("www-authenticate") if value
            )
        )
        return reply

    async def log_on(self, method: str, target: str, headers: Headers) -> bool:
        """Log on behind a 401; False when that is refused.

        Raises:
            NotOffered: the scheme is none of those that `knock` saw; nothing was shown.
            NotShownAgain, LogonHeld: the password may not be shown (any more).
            LineBroken: the connection failed.
        """
        word = _WORDS[self._who.scheme]
        if word.lower() not in {one.lower() for one in self.offered}:
            raise NotOffered(self._where, word, self.offered)
        return await self._logons.attempt(
            self._who, self._where, lambda: self.show(method, target, headers),
            lambda: self._prove(method, target, headers),
        )  # fmt: skip

    async def ask(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Reply:
        """One request, logged on as far as this session is. Raises `LineBroken`."""
        named = (("Host", self._host), *headers, *self._each)
        return await self.line.ask(method, target, named, body, most=_MOST)

    async def show(self, method: str, target: str, headers: Headers) -> bool:
        """Show the password, or its proof, and say whether it let in. Raises `LineBroken`."""
        if self._who.scheme is Scheme.BASIC:
            pair = f"{self._who.account}:{self._who.password.reveal()}".encode()
            self._each = (("Authorization", f"Basic {base64.b64encode(pair).decode()}"),)
            self.shown = await self.ask(method, target, headers)
            return self.shown.status != _UNAUTHORIZED
        return await self._negotiated(method, target, headers)

    async def _negotiated(self, method: str, target: str, headers: Headers) -> bool:
        """NTLM: two requests, the second of them with the proof."""
        tied = bindings(self.line.certificate)
        context = spnego.client(
            self._who.account, self._who.password.reveal(), hostname=self._host, service="HTTP",
            protocol=self._who.scheme.value, channel_bindings=tied,
        )  # fmt: skip
        word = _WORDS[self._who.scheme]
        token: bytes | None = None
        while True:
            try:
                mine = context.step(token, channel_bindings=tied)
            except SpnegoError as error:
                raise LineBroken(Trouble(Stage.HTTP, f"{word}: {words(error)}")) from error
            shown = f"{word} {base64.b64encode(mine or b'').decode()}"
            reply = await self.ask(method, target, (*headers, ("Authorization", shown)))
            if reply.status != _UNAUTHORIZED:
                self.shown = reply
                return True
            token = _token(reply, word)
            if token is None or context.complete:
                return False


def _token(reply: Reply, word: str) -> bytes | None:
    """The server's part of a handshake; None where it does not go on."""
    for value in reply.values("www-authenticate"):
        scheme, _, text = value.partition(" ")
        if scheme.lower() == word.lower() and text:
            try:
                return base64.b64decode(text, validate=True)
            except ValueError:
                return None
    return None
