"""Asks the machines below Exchange over WinRM: cluster, services, volumes, start, DNS records.

    windows = Windows("ex1.town.example", settings)
    answer = await windows.run("services", names=["MSExchangeIS"])
    answer.facts[0].is_running

Only the scripts in `wire/windows_scripts` are ever run; their arguments are data. pywinrm does
the talking, one connection and one thread per script; NTLM seals the messages where there is no
TLS. A script that is given up is stopped at the server in the background; `aclose` waits for it.
"""

import asyncio
import contextlib
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self
from xml.etree.ElementTree import ParseError

import requests
from pypsrp.negotiate import HTTPNegotiateAuth
from spnego.exceptions import SpnegoError
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol
from winrm.transport import Transport

from mailmig.model.command import BadCommand
from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.windows import ClientLog, WindowsAnswer
from mailmig.sources import kerberos
from mailmig.sources.exchange_outcome import category, kind_of
from mailmig.sources.remote_errors import (
    BrokenReply,
    LoginRefused,
    NotShownAgain,
    ShellExpired,
    TookTooLong,
    Unreachable,
)
from mailmig.sources.remote_faults import of_fault, of_status
from mailmig.sources.remote_http import (
    Routes,
    checked_authority,
    lower_names,
    of_transport,
    warn_unverified,
)
from mailmig.sources.remote_logon import LogonClosed, LogonGate
from mailmig.sources.remote_settings import RemoteSettings, Scheme
from mailmig.wire import client_logs
from mailmig.wire.windows_answers import ScriptError, answer, script

POLL_S: Final = 5
CLOSE_S: Final = 5
# cmd.exe takes no longer line.
LONGEST_LINE: Final = 8191
_UTF8: Final = 65001
_PROGRAM: Final = "powershell -NoProfile -NonInteractive -EncodedCommand "


@dataclass(frozen=True, slots=True)
class WindowsSettings(RemoteSettings):
    """`[windows]`: who asks the machines below Exchange over WinRM, and how patiently."""


class Windows:
    """One machine, asked from one event loop. `server` is its fully qualified name."""

    def __init__(
        self,
        server: str,
        settings: WindowsSettings | None = None,
        addresses: AddressMap | None = None,
        gate: LogonGate | None = None,
        *,
        vantage: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.server = server
        self.settings = settings or WindowsSettings()
        self._addresses = lower_names(addresses)
        self._gate = gate or LogonGate()
        self._vantage = vantage
        self._now = now
        self._turns = asyncio.Semaphore(self.settings.parallel)
        self._first = asyncio.Lock()
        self._let_in = False
        self._ending: set[asyncio.Future[Any]] = set()
        self._warned = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Waits for the scripts that are being given up."""
        while self._ending:
            await asyncio.gather(*self._ending, return_exceptions=True)

    async def run(self, name: str, /, **arguments: str | list[str]) -> WindowsAnswer:
        """What one script says. Nothing is asked twice.

        Raises:
            BadCommand: no such script, other arguments, or more than a command line takes.
            CmdletNotAllowed: the machine lacks the cmdlets, or they are not for this account.
            NoSuchObject, CmdletFailed: the script failed.
            Unreachable, TlsNotTrusted, LoginRefused, RemotingNotAllowed, WrongEndpoint,
                TooManySessions, ShellExpired, TookTooLong, BrokenReply, ServerFault: as told there.
        """
        line = _line(name, arguments)
        async with self._turns:
            if self._let_in:
                printed = await self._play(name, line)
            else:  # whoever comes first shows the password alone
                async with self._first:
                    printed = await self._play(name, line)
                    self._let_in = True
        try:
            facts = answer(name, printed.out)
        except ScriptError as error:
            kind = category(error.category)
            raise kind_of(error.fq_id, error.reason, kind)(
                self.server, f"script {name}", error.message, category=kind, fq_id=error.fq_id,
                reason=error.reason, terminating=True,
            ) from None  # fmt: skip
        except BadFile as error:
            said = printed.err.strip()[:500]
            reason = f"{error}" + (f"; it says: {said}" if said else "")
            raise BrokenReply(self.server, reason) from error
        return WindowsAnswer(self.server, name, facts, self._now(), vantage=self._vantage)

    async def client_use(self, log: ClientLog, since: datetime) -> WindowsAnswer:
        """Who used an Exchange server since an aware moment, as one of its logs has it.

        Counted on the server: one `LogRead`, and a `ClientUse` per client; never lines. A file that
        is missing shows in `LogRead`, a field that is missing as None. Raises as `run` does.
        """
        name, arguments = client_logs.question(log, since)
        return await self.run(name, **arguments)

    async def _play(self, name: str, line: str) -> "_Printed":
        if self.settings.unverified and self.settings.tls and not self._warned:
            self._warned = True
            warn_unverified(self.server)
        call = _Call(self.server, self.settings, self._addresses, self._gate, name)
        thread = ThreadPoolExecutor(1, "windows")
        work = asyncio.get_running_loop().run_in_executor(thread, call.play, line)
        self._ending.add(work)
        work.add_done_callback(self._ending.discard)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            call.cut()
            work.add_done_callback(_forget)
            raise
        finally:
            thread.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class _Printed:
    out: str
    err: str


class _Transport(Transport):
    """pywinrm's transport; it logs on while it builds its session, so that is where we come in."""

    def __init__(
        self, routes: Routes, watch: Callable[[requests.Session], None], **options: Any
    ) -> None:
        super().__init__(**options)
        self._routes = routes
        self._watch = watch
        self._prepared: requests.Session | None = None

    def build_session(self) -> requests.Session:
        session = super().build_session()
        self._prepare(session)
        return session

    def setup_encryption(self, session: requests.Session) -> None:
        self._prepare(session)
        super().setup_encryption(session)

    def _prepare(self, session: requests.Session) -> None:
        if session is not self._prepared:
            self._prepared = session
            session.trust_env = False
            self._routes.mount_into(session)
            self._watch(session)


class _Tickets(HTTPNegotiateAuth):
    """pypsrp's logging on, with what pywinrm wants to seal messages. `host` is its own affair."""

    def wrap_winrm(self, host: str, message: bytes) -> tuple[bytes, bytes]:
        sealed = self.contexts[host].wrap_winrm(message)
        return sealed.data, sealed.header

    def unwrap_winrm(self, host: str, message: bytes, header: bytes) -> bytes:
        opened: bytes = self.contexts[host].unwrap_winrm(header, message)
        return opened


class _KerberosTransport(_Transport):
    """The same with Kerberos: pywinrm's own wants pykerberos, a second way to what we have."""

    def __init__(
        self, routes: Routes, watch: Callable[[requests.Session], None],
        credential: kerberos.Credential, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(routes, watch, **options)
        self._credential: Any = credential

    def build_session(self) -> requests.Session:
        if self.session is None:
            plain = self.endpoint.startswith("http:")
            session = self.session = requests.Session()
            session.headers.update(self.default_headers)
            checked = self.server_cert_validation == "validate"
            session.verify = checked and (self.ca_trust_path or True)
            session.auth = _Tickets(
                self._credential, auth_provider="kerberos", service="HTTP", wrap_required=plain
            )
            self._prepare(session)
            if plain:
                self.setup_encryption(session)
        return self.session


class _Call:
    """One script at one machine: blocking. Only `cut` may come from another thread."""

    def __init__(
        self, server: str, settings: RemoteSettings, addresses: AddressMap, gate: LogonGate,
        name: str,
    ) -> None:  # fmt: skip
        self._server = server
        self._port = 5986 if settings.tls else 5985
        self._settings = settings
        self._routes = Routes(addresses, settings.connect_timeout_s)
        self._gate = gate
        self._name = name
        self._given_up = threading.Event()

    def cut(self) -> None:
        """Gives up: what `play` waits for ends, and it leaves nothing at the server."""
        self._given_up.set()
        self._routes.cut()

    def play(self, line: str) -> _Printed:
        shell = ""
        protocol: Protocol | None = None
        gone = False
        try:
            protocol = self._protocol()
            shell = protocol.open_shell(codepage=_UTF8, noprofile=True)
            command = protocol.run_command(shell, line)
            printed = self._fetched(protocol, shell, command)
            protocol.cleanup_command(shell, command)
            return printed
        except MailmigError:
            raise
        except Exception as error:
            found = self._meaning(error)
            if found is None:
                raise
            gone = isinstance(found, ShellExpired | LoginRefused)
            raise found from error
        finally:
            if protocol is not None:
                self._close(protocol, "" if gone else shell)

    def _fetched(self, protocol: Protocol, shell: str, command: str) -> _Printed:
        out, err = bytearray(), bytearray()
        heard = time.monotonic()
        done = False
        while not done:
            if self._given_up.is_set():
                raise Unreachable(self._server, self._port, "given up")
            try:
                more, said, _, done = protocol.get_command_output_raw(shell, command)
            except WinRMOperationTimeoutError:
                more = said = b""
            out += more
            err += said
            if more or said:
                heard = time.monotonic()
            elif not done and time.monotonic() - heard > self._settings.patience_s:
                raise TookTooLong(self._server, self._name, self._settings.patience_s)
        return _Printed(out.decode("ascii", "replace"), err.decode("utf-8", "replace"))

    def _close(self, protocol: Protocol, shell: str) -> None:
        """Leaves nothing at the server, as far as it answers."""
        protocol.transport.read_timeout_sec = CLOSE_S
        with contextlib.suppress(Exception):  # it expires by itself; there is nobody to tell
            if shell:
                if self._given_up.is_set():
                    protocol.transport.close_session()  # cut connections have to log on again
                protocol.close_shell(shell, close_session=False)
        protocol.transport.close_session()
        self._routes.close()

    def _protocol(self) -> Protocol:
        settings = self._settings
        verify = settings.tls and settings.ca_file is not None
        authority = checked_authority(settings.ca_file) if verify else None
        read_s = max(2, int(settings.answer_timeout_s))
        poll_s = max(1, int(min(POLL_S, read_s - 1, settings.patience_s)))
        scheme = "https" if settings.tls else "http"
        account = settings.account or None
        password = None if settings.password is None else settings.password.reveal()
        endpoint = f"{scheme}://{self._server}:{self._port}/wsman"
        common: dict[str, Any] = {
            "endpoint": endpoint, "username": account, "password": password,
            "ca_trust_path": authority, "read_timeout_sec": read_s, "proxy": None,
            "server_cert_validation": "ignore" if settings.unverified else "validate",
        }  # fmt: skip
        made = Protocol(transport=settings.scheme.value, operation_timeout_sec=poll_s, **common)

        by_ticket = settings.scheme is Scheme.KERBEROS
        gate, secret = self._gate, settings.password
        if by_ticket:  # the password goes to the domain, and the server sees a ticket only
            what = "logging on to WinRM with Kerberos"
            credential = kerberos.log_on(settings.account, secret, gate, what)
            gate, secret = LogonGate(), None

        def watch(session: requests.Session) -> None:
            gate.watch(session, settings.scheme.value, settings.account, secret, self._server)

        options = {"auth_method": settings.scheme.value, "service": "HTTP", **common}
        if by_ticket:
            made.transport = _KerberosTransport(self._routes, watch, credential, **options)
        else:
            made.transport = _Transport(self._routes, watch, **options)
        return made

    def _meaning(self, error: Exception) -> MailmigError | None:
        place = self._server, self._port, self._settings.account, f"script {self._name}"
        if isinstance(error, WSManFaultError):
            return of_fault(error.wsman_fault_code, str(error.reason), *place)
        if isinstance(error, WinRMTransportError):
            return of_status(int(error.code), *place)
        if isinstance(error, WinRMOperationTimeoutError):
            return Unreachable(self._server, self._port, "connected, but it did not answer in time")
        if isinstance(error, SpnegoError) and self._settings.scheme is Scheme.KERBEROS:
            found = kerberos.meaning(error, self._server, "HTTP", self._settings.account)
            if found is not None:
                return found
        scheme = self._settings.scheme.value
        if isinstance(error, LogonClosed):
            return NotShownAgain(self._server, self._settings.account, scheme, error.server)
        if isinstance(error, AuthenticationError | SpnegoError | PermissionError):
            said = str(error) if isinstance(error, SpnegoError) else ""
            return LoginRefused(self._server, self._settings.account, scheme, said)
        transport = of_transport(error, self._server, self._port)
        if transport is not None:
            return transport
        kinds = WinRMError | ParseError | ValueError | LookupError | StopIteration | AssertionError
        if isinstance(error, kinds):
            return BrokenReply(self._server, f"{type(error).__name__}: {error}")
        return None


def _line(name: str, arguments: dict[str, str | list[str]]) -> str:
    """The command line. PowerShell wants the text as base64 of UTF-16."""
    try:
        text = script(name, arguments)
    except KeyError as error:
        raise BadCommand(name, "", f"no such script, or not so: {error.args[0]}") from None
    line = _PROGRAM + b64encode(text.encode("utf-16-le")).decode()
    if len(line) > LONGEST_LINE:
        raise BadCommand(
            name, "", f"its arguments make a line of {len(line):,} signs; ask for less"
        )
    return line


def _forget(work: "asyncio.Future[Any]") -> None:
    """Nobody asks any more how it ended."""
    if not work.cancelled():
        work.exception()
