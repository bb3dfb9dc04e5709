"""One session of remote PowerShell with one Exchange server: blocking, for one thread.

    session = Session("ex1.town.example", settings, {})
    session.open()
    session.start(command, ("Name", "Guid"))
    while not session.done:
        objects = session.poll()
    outcome = session.end()

Facts that shaped it (domain/lab.md 1): Exchange answers in IIS on port 443 or 80 under
`/PowerShell`, in no-language mode, so only cmdlets with typed parameters are sent; a command
without errors may still have had some, so the error stream is read; a pipeline stays at the
server until it is signalled. Moments, durations and GUIDs are sent as text: parameters take
them so on every server, and pypsrp cannot write a moment at all.
"""

import contextlib
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from xml.etree.ElementTree import ParseError

import requests
from pypsrp.complex_objects import ObjectMeta, PSInvocationState
from pypsrp.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMTransportError,
    WSManFaultError,
)
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue
from pypsrp.wsman import WSMan
from spnego.exceptions import SpnegoError

from mailmig.model.command import Command, Parameter, duration_text, moment_text
from mailmig.model.errors import MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.sources import kerberos
from mailmig.sources.exchange_reader import as_obj, plug_in
from mailmig.sources.remote_errors import (
    BrokenReply,
    LoginRefused,
    NotShownAgain,
    ShellExpired,
    TookTooLong,
    WrongEndpoint,
)
from mailmig.sources.remote_faults import of_fault, of_status
from mailmig.sources.remote_http import Routes, checked_authority, of_transport
from mailmig.sources.remote_logon import LogonClosed, LogonGate
from mailmig.sources.remote_settings import RemoteSettings, Scheme
from mailmig.wire.clixml import BrokenClixml, Obj

CONFIGURATION: Final = "Microsoft.Exchange"
PATH: Final = "PowerShell"
CULTURE: Final = "en-US"
# A question is open for so long at most, so that a session that is given up ends soon.
POLL_S: Final = 5
CLOSE_S: Final = 5
_I32: Final = 2**31


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pipeline said besides its objects. `failed`: its last error ended it."""

    errors: tuple[Any, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: bool = False


class Session:
    """One connection and its runspace. Only `cut` may be called from another thread.

    All methods raise the errors of `remote_errors`. After one of them it is of no use any more.
    """

    def __init__(
        self, server: str, settings: RemoteSettings, addresses: AddressMap, gate: LogonGate
    ) -> None:
        self.server = server
        self.port = 443 if settings.tls else 80
        self.usable = False
        self.reads_itself = False  # our reader is plugged in
        self.accepted = False  # the server took the command that was started last
        self._settings = settings
        self._routes = Routes(addresses)
        self._gate = gate
        self._gone = False  # there is nothing at the server that could be closed
        self._wsman: WSMan | None = None
        self._pool: RunspacePool | None = None
        self._shell: PowerShell | None = None
        self._command: Command | None = None
        self._heard = 0.0

    def open(self) -> None:
        """Connects and logs on: one attempt."""
        with self._translated():
            wsman = self._wsman = self._connection()
            pool = self._pool = RunspacePool(wsman, configuration_name=CONFIGURATION)
            self.reads_itself = plug_in(pool)
            pool.open()
            wsman.operation_timeout = max(1, int(min(
                POLL_S, wsman.operation_timeout, self._settings.patience_s
            )))  # fmt: skip
            self.usable = True

    def start(self, command: Command, properties: tuple[str, ...] = ()) -> None:
        """Sends a command; with properties, `Select-Object -Property` follows it."""
        assert self._pool is not None
        self._command, self.accepted = command, False
        with self._translated():
            shell = self._shell = PowerShell(self._pool).add_cmdlet(command.name)
            for name, value in command.parameters:
                shell.add_parameter(name, self._wire(value))
            if properties:
                shell.add_cmdlet("Select-Object").add_parameter("Property", list(properties))
            shell.begin_invoke()
        self.accepted = True
        self._heard = time.monotonic()

    @property
    def done(self) -> bool:
        return self._shell is None or _has_ended(self._shell)

    @property
    def idle(self) -> bool:
        """Whether it is open, well, and runs nothing."""
        return self.usable and self._shell is None

    def poll(self) -> list[Obj]:
        """The objects that have come; waits some seconds when there are none."""
        assert self._shell is not None
        with self._translated():
            self._shell.poll_invoke()
            objects, self._shell.output = self._shell.output, []
            found = [as_obj(value) for value in objects]
        now = time.monotonic()
        if found:
            self._heard = now
        elif not self.done and now - self._heard > self._settings.patience_s:
            self.usable = False
            raise TookTooLong(self.server, self._command, self._settings.patience_s)
        return found

    def end(self) -> Outcome:
        """Ends the pipeline at the server, and says what it said besides its objects."""
        shell = self._shell
        assert shell is not None
        try:
            with self._translated():
                shell.close()
        except MailmigError:
            self.usable = False  # all has come by now
        finally:
            self._shell = None  # not before: a session that still waits may have to be cut
        streams = shell.streams
        failed = shell.state == PSInvocationState.FAILED
        warnings = tuple(str(record.message or "") for record in streams.warning)
        return Outcome(tuple(streams.error), warnings, failed)

    def cut(self) -> None:
        """Ends whatever another thread waits for; that thread is to call `close` then."""
        self.usable = False
        self._routes.cut()

    def close(self) -> None:
        """Stops what runs and leaves nothing at the server, as far as it answers."""
        self.usable = False
        wsman, pool, shell = self._wsman, self._pool, self._shell
        self._wsman = self._pool = self._shell = None
        if wsman is None:
            return
        wsman.operation_timeout = CLOSE_S
        transport = wsman.transport
        transport.encryption = None  # a connection that was cut has to log on again
        transport.read_timeout = transport.connection_timeout = CLOSE_S
        try:
            if not self._gone and shell is not None and not _has_ended(shell):
                shell.stop()
            if not self._gone and pool is not None:
                pool.close()
        except Exception:  # noqa: BLE001, S110  it expires by itself; there is nobody to tell
            pass
        finally:
            wsman.close()

    def _connection(self) -> WSMan:
        settings = self._settings
        verify: bool | str = not settings.unverified
        if settings.tls and settings.ca_file is not None:
            verify = checked_authority(settings.ca_file)
        password, gate = settings.password, self._gate
        who: Any = settings.account or None
        if settings.scheme is Scheme.KERBEROS:
            # The password goes to the domain, and the server sees a ticket only.
            what = "logging on to Exchange with Kerberos"
            who = kerberos.log_on(settings.account, password, gate, what)
            password, gate = None, LogonGate()
        wsman = WSMan(
            self.server, port=self.port, ssl=settings.tls, path=PATH,
            username=who,
            password=password.reveal() if password is not None else None,
            auth=settings.scheme.value, cert_validation=verify,  # type: ignore[arg-type]
            connection_timeout=settings.connect_timeout_s,  # type: ignore[arg-type]
            read_timeout=settings.answer_timeout_s,  # type: ignore[arg-type]
            operation_timeout=max(1, int(settings.answer_timeout_s * 0.8)),
            no_proxy=True, locale=CULTURE, data_locale=CULTURE, negotiate_service="HTTP",
        )  # fmt: skip
        session: requests.Session = wsman.transport._build_session()
        session.trust_env = False
        self._routes.mount_into(session)
        gate.watch(
            session, settings.scheme.value, settings.account, password, self.server
        )  # fmt: skip
        wsman.transport.session = session
        wsman.transport.send = _once(wsman.transport.send)  # type: ignore[method-assign]
        return wsman

    def _wire(self, value: Parameter) -> Any:
        """A value as pypsrp sends it."""
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            number = int(value)
            return number if -_I32 <= number < _I32 else TaggedValue("I64", number)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, UUID):
            return str(value)
        if isinstance(value, datetime):
            return moment_text(value)
        if isinstance(value, timedelta):
            return duration_text(value)
        if isinstance(value, Secret):
            assert self._pool is not None
            self._pool.exchange_keys()
            return self._pool.serialize(value.reveal(), ObjectMeta("SS"))
        if isinstance(value, Mapping):
            return {key: self._wire(entry) for key, entry in value.items()}
        return [self._wire(part) for part in value]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What pypsrp, requests and spnego raise, as what an admin can do about it."""
        try:
            yield
        except BrokenClixml as error:
            self.usable = False
            raise BrokenReply(self.server, str(error)) from error
        except MailmigError:
            self.usable = False
            raise
        except Exception as error:
            self.usable = False
            found = self._meaning(error)
            if found is None:
                raise
            self._gone = isinstance(found, ShellExpired | LoginRefused | WrongEndpoint)
            raise found from error

    def _meaning(self, error: Exception) -> MailmigError | None:
        if isinstance(error, WSManFaultError):
            return self._fault(error)
        if isinstance(error, WinRMTransportError):
            return of_status(int(error.code), *self._place())
        if isinstance(error, LogonClosed):
            settings = self._settings
            return NotShownAgain(
                self.server, settings.account, settings.scheme.value, error.server
            )  # fmt: skip
        if isinstance(error, AuthenticationError):
            return self._refused("")
        if isinstance(error, SpnegoError):
            found = None
            if self._settings.scheme is Scheme.KERBEROS:
                found = kerberos.meaning(error, self.server, "HTTP", self._settings.account)
            return found or self._refused(str(error))
        transport = of_transport(error, self.server, self.port)
        if transport is not None:
            return transport
        if isinstance(error, WinRMError | ParseError | struct.error | ValueError | LookupError):
            return BrokenReply(self.server, f"{type(error).__name__}: {error}")
        return None

    def _fault(self, fault: WSManFaultError) -> MailmigError:
        reason = str(fault.provider_fault or fault.reason or "no reason given")
        return of_fault(fault.code, reason, *self._place())

    def _place(self) -> tuple[str, int, str, object]:
        return self.server, self.port, self._settings.account, self._command

    def _refused(self, reason: str) -> LoginRefused:
        settings = self._settings
        return LoginRefused(self.server, settings.account, settings.scheme.value, reason)


def _once(send: Callable[..., bytes]) -> Callable[..., bytes]:
    """A send that does not ask again when no answer came in time.

    pypsrp 0.9 repeats a Receive up to five times, with sleeps of 2, 6, 14, 30 and 62 s between: a
    server that stops answering in the middle would be noticed after two minutes, whatever the
    time limits say.
    """

    def sent(message: bytes, **options: Any) -> bytes:
        return send(message, **{**options, "retries_on_read_timeout": 0})

    return sent


def _has_ended(shell: PowerShell) -> bool:
    return bool(shell.state != PSInvocationState.RUNNING)


def fresh(error: LoginRefused) -> LoginRefused:
    """The same refusal once more, without the traceback of the first."""
    if isinstance(error, NotShownAgain):
        return NotShownAgain(error.server, error.account, error.scheme, error.refused_by)
    return LoginRefused(error.server, error.account, error.scheme, error.reason)
