"""A mail server of the lab: SMTP on the ports of one machine, with STARTTLS, LOGIN and NTLM.

    host = ExchangeHost(world, people, "ls-ex1", "127.0.11.22")
    async with MailServer(host, accounts, certificate.context(), "127.0.11.22", {25: 10025}):
        ...

aiosmtpd reads and writes the protocol; what is said comes from `mailmig.lab.smtp_visits`, in
threads, since that waits for the world. Not spoken: BDAT, DSN, GSSAPI and what Exchange servers say
among themselves; none of it is offered. Like Windows the machine refuses connections while the
service is stopped.
"""

import asyncio
import base64
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.following import Following
from mailmig.lab.smtp_visits import Client, Host, Visit
from mailmig.lab.wsman.authentication import Doorkeeper, Logon

_LOG = logging.getLogger(__name__)
_REFUSED: Final = "535 5.7.3 Authentication unsuccessful"
# What aiosmtpd says by itself, and what Exchange says instead [MEM].
_WORDS: Final = {
    "220 Ready to start TLS": "220 2.0.0 SMTP server ready",
    "221 Bye": "221 2.0.0 Service closing transmission channel",
    "354 End data with <CR><LF>.<CR><LF>": "354 Start mail input; end with <CRLF>.<CRLF>",
    "454 TLS not available": "454 4.7.0 TLS not available due to local problem",
    "501 Not enough value": "501 5.5.4 Unrecognized parameter",
    "503 Error: send HELO first": "503 5.5.2 Send hello first",
    "503 Error: send EHLO first": "503 5.5.2 Send hello first",
    "503 Error: nested MAIL command": "503 5.5.2 Sender already specified",
    "503 Error: need MAIL command": "503 5.5.2 Need mail command",
    "503 Error: need RCPT command": "503 5.5.2 Need rcpt command",
    "504 5.5.4 Unrecognized authentication type": "504 5.7.4 Unrecognized authentication type",
    "552 Error: message size exceeds fixed maximum message size": (
        "552 5.3.4 Message size exceeds fixed maximum message size"
    ),
    "552 Error: Too much mail data": "552 5.3.4 Message size exceeds fixed maximum message size",
}  # fmt: skip
_UNKNOWN: Final = '500 Error: command "'
# What a log has instead of secrets, with a blank before what follows it [MEM].
_HIDDEN: Final = "<authentication information>"


class MailServer(Following):
    """Serves a host at an address; `ports` leads standard ports to those that are really used.

    A port 0 takes any that is free.
    """

    def __init__(
        self,
        host: Host,
        accounts: Accounts,
        tls: ssl.SSLContext,
        address: str,
        ports: Mapping[int, int],
    ) -> None:
        self.host = host
        self.accounts = accounts
        self.tls = tls
        self._address = address
        self._ports = ports
        self._listening: dict[int, asyncio.Server] = {}
        self._connected: set[_Connection] = set()

    def port(self, standard: int) -> int:
        """Where it listens for a standard port. Raises `KeyError` while it does not."""
        found: int = self._listening[standard].sockets[0].getsockname()[1]
        return found

    async def follow(self) -> None:
        """Listen where the host does, and nowhere else."""
        wanted = [port for port in self._ports if self.host.listens(port)]
        if not wanted:
            await self.end()
        for standard in set(self._listening) - set(wanted):
            self._listening.pop(standard).close()  # who is connected may stay
        for standard in wanted:
            if standard not in self._listening:
                self._listening[standard] = await self._listen(standard)

    async def _listen(self, standard: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def connection() -> _Connection:
            return _Connection(self, self._connected, standard)

        return await loop.create_server(connection, self._address, self._ports[standard])

    async def end(self) -> None:
        """End listening, cut every connection and wait until their tasks have ended."""
        servers = list(self._listening.values())
        self._listening.clear()
        for server in servers:
            server.close()
        tasks = [task for one in tuple(self._connected) if (task := one.cut()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in servers:
            await server.wait_closed()


class _Session(Session):
    """aiosmtpd's own warns about this attribute whenever it sets it."""

    login_data = None


class _Connection(SMTP):
    """One connection, in Exchange's words.

    aiosmtpd looks at every attribute while this is made: nothing here may be a property.
    """

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, server: MailServer, connected: "set[_Connection]", standard: int) -> None:
        self._server = server
        self._connected = connected
        self._standard = standard
        super().__init__(
            _Handler(self, server), hostname=server.host.name, tls_context=server.tls,
            enable_SMTPUTF8=True, authenticator=self._log_on, auth_require_tls=False,
            auth_exclude_mechanism=("PLAIN",), loop=asyncio.get_running_loop(),
        )  # fmt: skip
        self.visit: Visit | None = None
        self._bids_farewell = False
        self._smtp_methods = {
            command: self._heard(command, method) for command, method in self._smtp_methods.items()
        }

    def client(self) -> Client:
        """Who is connected, as far as known."""
        assert self.session is not None
        account = self.session.auth_data
        return Client(
            _peer(self.session), str(self.session.host_name or ""),
            secure=self.session.ssl is not None,
            account=account if isinstance(account, Account) else None,
        )  # fmt: skip

    def schemes(self) -> tuple[str, ...]:
        """The ways to log on that there are now."""
        assert self.session is not None and self.visit is not None
        hidden = "LOGIN" if self.visit.login_needs_tls and self.session.ssl is None else ""
        return tuple(scheme for scheme in self.visit.schemes if scheme != hidden)

    def _create_session(self) -> Session:
        return _Session(self.loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connected.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connected.discard(self)
        self.note("-", "", "Local" if self._bids_farewell else "Remote")
        super().connection_lost(error)

    def cut(self) -> "asyncio.Task[None] | None":
        """End the connection at once; gives the task that served it."""
        self._connected.discard(self)
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()
        lowest = self._original_transport or self.transport
        if isinstance(lowest, asyncio.Transport):
            lowest.abort()
        return self._handler_coroutine

    async def _handle_client(self) -> None:
        assert self.session is not None
        peer = _peer(self.session), int(self.session.peer[1]) if self.session.peer else 0
        visit = await asyncio.to_thread(self._server.host.visit, peer, self._standard)
        if isinstance(visit, str):
            await self.push(visit)
            self.end()
            return
        self.visit = visit
        self.data_size_limit = visit.largest
        self.tls_context = visit.tls(self._server.tls)
        await super()._handle_client()

    def end(self) -> None:
        """Close after what was said."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.close()

    async def push(self, status: Any) -> None:
        """Says it in the host's words; 421 ends the connection."""
        said = status.decode() if isinstance(status, bytes) else status
        if self.visit is not None and said.startswith(f"220 {self.hostname} "):
            said = self.visit.banner
        if said.startswith(_UNKNOWN):
            said = "500 5.3.3 Unrecognized command"
        said = _WORDS.get(said, said)
        self._bids_farewell = said.startswith(("221 ", "421 "))
        self.note(">", f"334 {_HIDDEN}" if said.startswith("334 ") else said)
        await super().push(said)
        if said.startswith("421 "):
            self.end()

    def note(self, event: str, data: str, context: str = "") -> None:
        """A line for the protocol log, if this connection has one."""
        if self.visit is not None:
            self.visit.note(event, data, context)

    def _heard(
        self, command: str, method: Callable[[str | None], Awaitable[None]]
    ) -> Callable[[str | None], Awaitable[None]]:
        async def run(arg: str | None) -> None:
            said = (arg or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            if command == "AUTH":
                scheme, blank, _ = said.partition(" ")
                said = f"{scheme} {_HIDDEN}" if blank else scheme
            self.note("<", f"{command} {said}".rstrip())
            await method(arg)

        return run

    async def smtp_AUTH(self, arg: str | None) -> None:
        """Schemes are named in either case; what is not offered is not taken."""
        assert self.session is not None
        scheme, blank, rest = (arg or "").partition(" ")
        if self.session.host_name and scheme and scheme.upper() not in self.schemes():
            await self.push("504 5.7.4 Unrecognized authentication type")
            return
        await super().smtp_AUTH(scheme.upper() + blank + rest)

    def _log_on(
        self, server: SMTP, session: Session, envelope: Envelope, scheme: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        name, password = (part.decode("utf-8", "replace") for part in given)
        return self.result(self._server.accounts.check(name, password, scheme))

    def result(self, account: Account | None) -> AuthResult:
        """How logging on ended."""
        if account is None:
            return AuthResult(success=False, handled=False, message=_REFUSED)
        self.note("*", account.logon_name, "authenticated")
        return AuthResult(success=True, auth_data=account)


class _Handler:
    """What aiosmtpd asks when a client said something."""

    def __init__(self, connection: _Connection, server: MailServer) -> None:
        self._connection = connection
        self._doorkeeper = Doorkeeper(server.accounts, ("NTLM",))

    def _visit(self) -> Visit:
        assert self._connection.visit is not None
        return self._connection.visit

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, name: str, usual: Sequence[str]
    ) -> list[str]:
        """The host's own list."""
        session.host_name = name
        schemes = self._connection.schemes()
        offers = [f"SIZE {self._visit().largest}", *self._visit().extensions]
        offers += ["STARTTLS"] if session.ssl is None and server.tls_context else []
        offers += [f"AUTH {' '.join(schemes)}"] if schemes else []
        lines = [f"{server.hostname} Hello [{_peer(session)}]", *offers]
        return [*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]

    async def handle_HELO(
        self, server: SMTP, session: Session, envelope: Envelope, name: str
    ) -> str:
        """A greeting of the old sort."""
        session.host_name = name
        return f"250 {server.hostname} Hello [{_peer(session)}]"

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, sender: str, options: list[str]
    ) -> str:
        """A message begins."""
        refusal = await asyncio.to_thread(self._visit().mail, self._connection.client(), sender)
        if refusal:
            return refusal
        envelope.mail_from = sender
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, to: str, options: list[str]
    ) -> str:
        """One more recipient."""
        refusal = await asyncio.to_thread(
            self._visit().rcpt, self._connection.client(), to, len(envelope.rcpt_tos)
        )
        if refusal:
            return refusal
        envelope.rcpt_tos.append(to)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The message is there."""
        raw = envelope.original_content or b""
        sender = envelope.mail_from or ""
        return await asyncio.to_thread(
            self._visit().data, self._connection.client(), sender, list(envelope.rcpt_tos), raw
        )

    async def handle_RSET(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """All anew."""
        return "250 2.0.0 Resetting"

    async def handle_NOOP(
        self, server: SMTP, session: Session, envelope: Envelope, arg: str
    ) -> str:
        """Nothing."""
        return "250 2.0.0 OK"

    async def handle_exception(self, error: Exception) -> str:
        """TLS that fails is the client's affair; all else would be a mistake of the lab."""
        if not isinstance(error, TLSSetupException):
            _LOG.error("SMTP failed", exc_info=error)
        return "451 4.3.0 Temporary server error"

    async def auth_NTLM(self, server: SMTP, words: list[str]) -> AuthResult:
        """Three messages of NTLM, in base64; "334 NTLM supported" asks for the first."""
        logon = Logon()
        token: object = words[1] if len(words) > 1 else None
        if token is None:
            token = await _token(server, b"NTLM supported")
        for _ in range(2):
            if not isinstance(token, str):
                return AuthResult(success=False, handled=True)
            verdict = await asyncio.to_thread(self._doorkeeper.admit, logon, f"NTLM {token}")
            if verdict.account is not None:
                return self._connection.result(verdict.account)
            _, _, challenge = (verdict.headers[0][1] if verdict.headers else b"").partition(b" ")
            if not challenge:
                break
            token = await _token(server, challenge)
        return self._connection.result(None)


async def _token(server: SMTP, challenge: bytes) -> str | None:
    """The client's answer in base64; None when it gave up and was told so."""
    answer = await server.challenge_auth(challenge, encode_to_b64=False)
    return base64.b64encode(answer).decode() if isinstance(answer, bytes) else None


def _peer(session: Session) -> str:
    """The address that the client comes from."""
    return str(session.peer[0]) if session.peer else ""
