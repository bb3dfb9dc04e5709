"""One connection to one domain controller: open, log on exactly once, ask page by page.

ldap3 is synchronous and its connections know one question at a time: each connection has one
thread of its own. A time limit or a cancelled task closes the socket, on which the thread
ends.
"""

import asyncio
import contextlib
import logging
import re
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Any, Final, TypeVar

import spnego

from mailmig.model.logon import Attempt
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.sources import directory_kerberos
from mailmig.sources.directory_errors import (
    AccountLocked,
    BadLogon,
    DirectoryUnreachable,
    Elsewhere,
    LogonRefused,
    NoEncryption,
    NotTrusted,
    QuestionFailed,
    Refused,
    SigningRequired,
    TooManyObjects,
    WrongPassword,
)  # fmt: skip
from mailmig.sources.directory_line import MappedServer, Ntlm, Tls
from mailmig.sources.directory_reader import plug_in
from mailmig.sources.directory_settings import DirectorySettings, Encryption, Logon
from mailmig.sources.directory_values import Raw
from mailmig.sources.remote_http import checked_authority
from mailmig.sources.remote_logon import LogonClosed, LogonGate

with warnings.catch_warnings():
    # ldap3 2.9.1 calls parts of pyasn1 by names that are deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException
    from ldap3.operation.bind import bind_operation

log = logging.getLogger(__name__)

# Another process may be showing the same password at this moment (`mailmig.store.logons`).
WAIT_FOR_OTHERS_S: Final = 100.0
LDAP_PORT: Final = 389
LDAPS_PORT: Final = 636
SD_FLAGS: Final = "1.2.840.113556.1.4.801"
# SEQUENCE { INTEGER 4 }: the list of rights only; the rest needs a privilege (MS-ADTS 3.1.1.3.4.1.11).
DACL_ONLY: Final = (SD_FLAGS, True, b"\x30\x03\x02\x01\x04")
# What ldap3 raises where a connection or an answer is not as it should be.
_BROKEN: Final = (LDAPException, OSError, LookupError, ValueError, TypeError, AttributeError)
_PAGED: Final = "1.2.840.113556.1.4.319"
# Beyond this a controller has gone round in circles.
_MOST_PAGES: Final = 100_000

_SUCCESS, _SIZE_LIMIT, _STRONGER_AUTH, _REFERRAL, _NO_OBJECT, _INVALID = 0, 4, 8, 10, 32, 49
# busy and unavailable; these, authMethodNotSupported, strongerAuthRequired and
# confidentialityRequired come of a controller that looked at no password (RFC 4511 A.2).
_NOT_NOW: Final = (51, 52)
_NOT_JUDGED: Final = (*_NOT_NOW, 7, _STRONGER_AUTH, 13)
_WINDOWS_REASON: Final = re.compile(r"\bdata ([0-9a-f]{2,4})\b")
# Windows' own error numbers behind "data" (winerror.h), in hexadecimal.
_REASONS: Final = {
    "530": "not at this time of day",
    "531": "not from this machine",
    "532": "its password has expired",
    "533": "it is disabled",
    "534": "it lacks the right to log on there",
    "701": "it has expired",
    "773": "its password must be changed first",
}
_LOCKED: Final = "775"

T = TypeVar("T")
Control = tuple[str, bool, bytes]


class DirectoryConnection:
    """A connection that logs on once. Use it in one event loop, and `close` it."""

    def __init__(
        self,
        server: str,
        settings: DirectorySettings,
        addresses: AddressMap | None = None,
        gate: LogonGate | None = None,
    ) -> None:
        self.server = server
        self.settings = settings
        self._gate = gate or LogonGate()
        port = LDAPS_PORT if settings.encryption is Encryption.LDAPS else LDAP_PORT
        there = {(name.lower(), at): to for (name, at), to in (addresses or {}).items()}
        self._to = there.get((server.lower(), port))
        address, at = self._to or (server, port)
        self.place = f"{address}:{at}"
        self._port = port
        self._password = settings.password or Secret("")
        self._used = False
        self._given_up = False
        self._shown = False  # the password, to the server
        self._refusal: Exception | None = None
        self._connection: Any = None
        self._tls = Tls(server, settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"ldap-{server}")

    async def open(self) -> None:
        """Connect and log on. A refused logon is never tried a second time.

        Raises, besides the errors of `kerberos_errors`:
            DirectoryUnreachable, NotTrusted, NoEncryption: there is no connection.
            WrongPassword, AccountLocked, LogonRefused, SigningRequired: nobody logged on.
            LogonHeld: the password was refused earlier, or may have been; it was not shown.
            BadLogon, BadFile: nothing was sent.
        """
        if self._refusal is not None:
            raise self._refusal
        self._check()
        if self._used:
            raise BadLogon("a connection is opened once; make a new one")
        self._used = True
        settings = self.settings
        await self._run(self._connect, settings.connect_timeout_s + settings.timeout_s)
        try:
            await self._run(self._log_on, settings.timeout_s + WAIT_FOR_OTHERS_S)
        except (WrongPassword, AccountLocked, LogonRefused, SigningRequired) as error:
            self._refusal = error
            await self.close()
            raise
        plug_in(self._connection)

    async def close(self) -> None:
        """End the connection; may be called more than once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._hang_up(connection)
        await asyncio.to_thread(self._thread.shutdown)

    async def pages(
        self,
        base: str,
        question: str,
        attributes: Sequence[str],
        make: Callable[[str, Raw], T | None],
        *,
        controls: Sequence[Control] = (),
    ) -> AsyncIterator[list[T]]:
        """What `make` makes of each object below `base`, page by page; None is left out.

        `make` gets the distinguished name and the raw values and runs in the thread.

        Raises:
            DirectoryUnreachable, Elsewhere, TooManyObjects, QuestionFailed
        """
        cookie: bytes | None = None
        for _ in range(_MOST_PAGES):

            def page(after: bytes | None = cookie) -> tuple[list[T], bytes]:
                rows, following = self._page(base, question, attributes, controls, after)
                made = (make(dn, raw) for dn, raw in rows)
                return [one for one in made if one is not None], following

            rows, cookie = await self._run(page, self.settings.timeout_s)
            yield rows
            if not cookie:
                return
        raise QuestionFailed(self.server, question, "too many pages", "")

    async def one(self, dn: str, attributes: Sequence[str]) -> Raw | None:
        """The raw values of one object; None where there is none.

        Raises:
            as `pages`.
        """

        def ask() -> Raw | None:
            try:
                self._search(dn, "(objectClass=*)", ldap3.BASE, attributes, ())
            except QuestionFailed as error:
                if error.code == "noSuchObject":
                    return None
                raise
            return next((raw for _, raw in self._rows()), None)

        return await self._run(ask, self.settings.timeout_s)

    async def all_at_once(
        self, base: str, question: str, attributes: Sequence[str]
    ) -> list[tuple[str, Raw]]:
        """A few objects without paging, for servers that know no pages.

        Raises:
            TooManyObjects: there are more than the server gives at a time.
            as `pages`.
        """

        def ask() -> list[tuple[str, Raw]]:
            self._search(base, question, ldap3.SUBTREE, attributes, ())
            return list(self._rows())

        return await self._run(ask, self.settings.timeout_s)

    async def all_values(self, dn: str, name: str, raw: Raw) -> list[bytes]:
        """All values of an attribute of which a controller gives only a range at a time."""
        values = list(raw.get(name) or ())
        found = _range(raw, name)
        while found is not None:
            last, some = found
            values += some
            if last is None:
                break
            following = f"{name};range={last + 1}-*"
            found = _range(await self.one(dn, [following]) or {}, name)
            if found is None:
                raise QuestionFailed(self.server, dn, f"no {following}", "")
        return values

    async def _run(self, work: Callable[[], T], limit_s: float) -> T:
        """Do blocking work in the connection's thread; give up on it by closing the socket."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._thread, work)
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(future)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._given_up = True
            if self._connection is not None:
                self._hang_up(self._connection)
            with contextlib.suppress(Exception):
                await asyncio.wait([future], timeout=1)
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            if isinstance(error, asyncio.CancelledError):
                raise
            reason = f"no answer in {limit_s:g} s"
            raise DirectoryUnreachable(self.server, self.place, reason) from error

    def _check(self) -> None:
        """Refuse what could only fail, or what would log on as nobody."""
        settings = self.settings
        by_ticket = settings.logon is Logon.KERBEROS and settings.password is None
        if not settings.account and not by_ticket:
            raise BadLogon("account is not set")
        if not self._password.reveal() and not by_ticket:
            raise BadLogon(f"the password of {settings.account} is empty")
        if settings.logon is Logon.NTLM and "\\" not in settings.account:
            raise BadLogon(f'logon = "ntlm" wants DOMAIN\\account, not {settings.account}')
        if settings.logon is Logon.SIMPLE and settings.encryption is Encryption.NONE:
            raise BadLogon('logon = "simple" without encryption would show the password to all')
        if settings.ca_file is not None:
            checked_authority(settings.ca_file)
        if settings.encryption is Encryption.NONE and settings.logon is not Logon.KERBEROS:
            log.warning("%s is asked WITHOUT encryption (encryption = none)", self.server)
        elif settings.encryption is not Encryption.NONE and settings.unverified:
            log.warning("the certificate of %s is NOT checked (unverified = true)", self.server)

    def _connect(self) -> None:
        settings = self.settings
        server = MappedServer(
            self.server,
            port=self._port,
            use_ssl=settings.encryption is Encryption.LDAPS,
            get_info=ldap3.NONE,
            connect_timeout=settings.connect_timeout_s,
            tls=self._tls,
        )
        server.to = self._to
        connection: Any = ldap3.Connection(
            server,
            user=settings.account,
            password=self._password.reveal(),
            client_strategy=ldap3.SYNC,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            return_empty_attributes=False,
            raise_exceptions=False,
            receive_timeout=max(1, ceil(settings.timeout_s)),
        )
        self._connection = connection
        try:
            connection.open(read_server_info=False)
            if settings.encryption is Encryption.STARTTLS:
                connection.start_tls(read_server_info=False)
        except _BROKEN as error:
            raise self._no_connection(error) from error

    def _no_connection(self, error: Exception) -> Exception:
        trouble = self._tls.trouble
        if isinstance(trouble, ssl.SSLCertVerificationError):
            return NotTrusted(self.server, self.place, trouble.verify_message or str(trouble))
        if trouble is None and "startTLS failed" in str(error):
            said = self._connection.result.get("message", "") if self._connection.result else ""
            return NoEncryption(self.server, self.place, said.strip() or str(error))
        return DirectoryUnreachable(self.server, self.place, _words(trouble or error))

    def _log_on(self) -> None:
        """Shows the password, once; others in this process and beside it may have to be waited for."""
        settings = self.settings
        try:
            if settings.logon is Logon.KERBEROS:
                self._log_on_by_kerberos()
                return
            with self._gate.attempt(settings.account, settings.password, self.server) as attempt:
                if self._given_up:
                    attempt.unshown()
                    raise DirectoryUnreachable(self.server, self.place, "given up")
                self._show(attempt)
        except LogonClosed as error:
            said = f"it was not asked, since {error.server} refused the password before"
            raise LogonRefused(self.server, settings.account, said) from None

    def _show(self, attempt: Attempt) -> None:
        connection = self._connection
        try:
            if self.settings.logon is Logon.NTLM:
                self._log_on_by_ntlm()
            else:
                self._shown = True
                connection.bind(read_server_info=False)
        except (*_BROKEN, spnego.exceptions.SpnegoError) as error:
            if not self._shown:
                attempt.unshown()
            raise DirectoryUnreachable(self.server, self.place, _words(error)) from error
        result = connection.result or {}
        if result.get("result") == _SUCCESS:
            attempt.accepted()
            connection.bound = True
            return
        code, said = int(result.get("result", -1)), str(result.get("message", ""))
        refusal = self._not_let_in(code, said)
        if self._shown and code not in _NOT_JUDGED:
            attempt.refused(refusal.reason)
        else:
            attempt.unshown()
        if code in _NOT_NOW:
            reason = f"it takes no logons now ({result.get('description')})"
            raise DirectoryUnreachable(self.server, self.place, reason)
        raise refusal

    def _log_on_by_ntlm(self) -> None:
        """The three messages of Sicily (MS-ADTS 5.1.1.1.3); only the last shows the password."""
        connection = self._connection
        ntlm: Any = Ntlm(self.settings.account, self._password)
        message: bytes | None = None
        for step in ("SICILY_PACKAGE_DISCOVERY", "SICILY_NEGOTIATE_NTLM", "SICILY_RESPONSE_NTLM"):
            request = bind_operation(3, step, ntlm, message)
            self._shown = step == "SICILY_RESPONSE_NTLM"
            connection.sasl_in_progress = True
            try:
                connection.post_send_single_response(connection.send("bindRequest", request, None))
            finally:
                connection.sasl_in_progress = False
            if connection.result.get("result") != _SUCCESS:
                return
            message = connection.result.get("server_creds")

    def _log_on_by_kerberos(self) -> None:
        """The domain is shown the password, if there is one; the controller sees a ticket only."""
        settings, connection = self.settings, self._connection
        try:
            directory_kerberos.log_on(
                connection, self.server, settings.account, settings.password, self._gate
            )
        except _BROKEN as error:
            raise DirectoryUnreachable(self.server, self.place, _words(error)) from error
        result = connection.result
        if result["result"] != _SUCCESS:
            raise self._not_let_in(int(result["result"]), str(result["message"]))
        connection.bound = True

    def _not_let_in(self, code: int, said: str) -> Refused:
        server, account = self.server, self.settings.account
        if code == _STRONGER_AUTH:
            return SigningRequired(server, account)
        found = _WINDOWS_REASON.search(said)
        reason = found[1] if found else ""
        if reason == _LOCKED:
            return AccountLocked(server, account)
        if reason in _REASONS:
            return LogonRefused(server, account, _REASONS[reason])
        if code == _INVALID:
            return WrongPassword(server, account)
        description = (self._connection.result or {}).get("description", f"code {code}")
        return LogonRefused(server, account, said.strip() or str(description))

    def _page(
        self,
        base: str,
        question: str,
        attributes: Sequence[str],
        controls: Sequence[Control],
        cookie: bytes | None,
    ) -> tuple[list[tuple[str, Raw]], bytes]:
        self._search(base, question, ldap3.SUBTREE, attributes, controls, cookie or b"")
        rows = list(self._rows())
        answered = self._connection.result.get("controls") or {}
        following = answered.get(_PAGED, {}).get("value", {}).get("cookie", b"")
        return rows, following or b""

    def _search(
        self,
        base: str,
        question: str,
        scope: Any,
        attributes: Sequence[str],
        controls: Sequence[Control],
        cookie: bytes | None = None,
    ) -> None:
        connection = self._connection
        if connection is None:
            raise DirectoryUnreachable(self.server, self.place, "the connection is closed")
        paged: dict[str, Any] = {}
        if cookie is not None:
            paged = {"paged_size": self.settings.page_size, "paged_cookie": cookie or None,
                     "paged_criticality": True}  # fmt: skip
        try:
            connection.search(
                base, question, scope, attributes=list(attributes),
                controls=list(controls) or None, **paged,
            )  # fmt: skip
        except _BROKEN as error:
            raise DirectoryUnreachable(self.server, self.place, _words(error)) from error
        self._look(base, question)

    def _look(self, base: str, question: str) -> None:
        """Turn a result that is no success into its error."""
        result = self._connection.result
        code = result.get("result")
        if code == _SUCCESS:
            return
        if code == _SIZE_LIMIT:
            raise TooManyObjects(self.server, question)
        if code == _REFERRAL:
            raise Elsewhere(self.server, base, result.get("referrals") or ())
        said = str(result.get("message", ""))
        raise QuestionFailed(self.server, question, str(result.get("description", code)), said)

    def _rows(self) -> Iterator[tuple[str, Raw]]:
        for row in self._connection.response or ():
            if row["type"] == "searchResEntry":
                yield row["dn"], row["raw_attributes"]

    def _hang_up(self, connection: Any) -> None:
        """Close the socket under the thread: whatever waits there ends at once."""
        end = connection.socket
        if end is not None:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                end.close()


def _range(raw: Raw, name: str) -> tuple[int | None, list[bytes]] | None:
    """The last place of a range and its values; None where there is no range, or it is the end."""
    prefix = f"{name.lower()};range="
    for key, values in raw.items():
        if key.lower().startswith(prefix):
            last = key[len(prefix) :].partition("-")[2]
            return (int(last) if last.isdigit() else None), list(values)
    return None


def _words(error: Exception) -> str:
    """What a library's error says, in one line."""
    if not isinstance(error, LDAPException | OSError):
        return f"its answer cannot be understood ({type(error).__name__}: {error})"
    return " ".join(str(error).split()) or type(error).__name__
