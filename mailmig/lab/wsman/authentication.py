"""Logging on over HTTP: Basic per request, NTLM, Negotiate and Kerberos per TCP connection.

pyspnego takes the passwords of an NTLM server and the keytab of a Kerberos one only from
files that environment variables name. Both are set for the length of one step, under a lock,
and the file with the password holds one account and lives just as long: nothing of it is seen
by other servers of this process.

Only the last message of NTLM shows a password, so only that one counts as an attempt. A right
password in a message that is not bound to its connection as it must be is refused with the very
answer that a wrong one gets, and counts neither way [MEM].
"""

import base64
import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

import spnego

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.wsman.bindings import (
    NTLM,
    NTLM_AUTHENTICATE,
    TokenChecking,
    is_let_in,
    ntlm_field,
    of_connection,
)

_UNICODE: Final = 1
_ENVIRONMENT = Lock()

Headers = list[tuple[bytes, bytes]]


class Logon:
    """What one TCP connection has reached; `end_point` is what a client binds to over TLS."""

    def __init__(self, end_point: bytes = b"") -> None:
        self.end_point = end_point
        self.account: Account | None = None
        self.session: spnego.ContextProxy | None = None

    def forget(self) -> None:
        self.account = None
        self.session = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who it is, or None and a 401; `headers` go with the answer in both cases."""

    account: Account | None
    headers: Headers


class Doorkeeper:
    """Decides per request who it is from. `schemes` are offered in this order.

    Without `takes_ntlm`, Negotiate means Kerberos alone, as at Exchange's own endpoint.
    """

    def __init__(
        self,
        accounts: Accounts,
        schemes: tuple[str, ...],
        *,
        realm: str = "WSMAN",
        keytab: Path | None = None,
        takes_ntlm: bool = True,
    ) -> None:
        self.accounts = accounts
        self.schemes = schemes
        self._realm = realm
        self._keytab = keytab
        self._takes_ntlm = takes_ntlm

    def admit(
        self, logon: Logon, authorization: str, checking: TokenChecking = TokenChecking.NONE
    ) -> Verdict:
        """Looks at the header; without one the connection's earlier logon holds."""
        if not authorization:
            return Verdict(logon.account, [] if logon.account else self._challenge())
        scheme, _, token = authorization.strip().partition(" ")
        if scheme.lower() not in (known.lower() for known in self.schemes):
            return self._refuse(logon)
        try:
            content = base64.b64decode(token.strip(), validate=True)
        except ValueError:
            return self._refuse(logon)
        if scheme.lower() == "basic":
            return self._basic(logon, content)
        return self._step(logon, scheme, content, checking)

    def _challenge(self) -> Headers:
        basic = f'Basic realm="{self._realm}"'
        return [
            (b"www-authenticate", (basic if scheme == "Basic" else scheme).encode())
            for scheme in self.schemes
        ]

    def _refuse(self, logon: Logon) -> Verdict:
        logon.forget()
        return Verdict(None, self._challenge())

    def _basic(self, logon: Logon, content: bytes) -> Verdict:
        """Holds for this one request: nothing is kept on the connection."""
        logon.forget()
        name, _, password = _basic_text(content).partition(":")
        account = self.accounts.check(name, password, "Basic")
        return Verdict(account, [] if account else self._challenge())

    def _step(self, logon: Logon, scheme: str, token: bytes, checking: TokenChecking) -> Verdict:
        """One message of NTLM or Kerberos, bare or inside of SPNEGO.

        The C library looks at what Kerberos binds; one that binds nothing is let in.
        """
        if not self._takes_ntlm and NTLM in token:
            return self._refuse(logon)
        if logon.session is None or logon.session.complete:
            logon.forget()
        name = ntlm_name(token)
        if name is not None and logon.session is None:
            return self._refuse(logon)  # of another connection: nobody can judge its password
        shown = None if name is None else self.accounts.find(name)
        if name is not None and (shown is None or self.accounts.is_locked(shown)):
            self.accounts.refused(name, scheme)
            return self._refuse(logon)
        try:
            with _environment(name, shown, self._keytab):
                if logon.session is None:
                    logon.session = _session(scheme)
                binding = None
                if checking is not TokenChecking.NONE and NTLM not in token:
                    binding = of_connection(logon.end_point)
                answer = logon.session.step(token, channel_bindings=binding)
        except OSError:  # no room for the file: nobody's password is wrong
            logon.forget()
            raise
        except Exception:  # noqa: BLE001  a wrong password and plain nonsense look alike from outside
            if name is not None:
                self.accounts.refused(name, scheme)
            return self._refuse(logon)
        session = logon.session
        headers = _token_header(scheme, answer)
        if not session.complete:
            return Verdict(None, headers)
        if name is not None and not is_let_in(checking, token, logon.end_point):
            return self._refuse(logon)
        return self._complete(logon, session, shown, name, scheme, headers)

    def _complete(
        self,
        logon: Logon,
        session: spnego.ContextProxy,
        shown: Account | None,
        name: str | None,
        scheme: str,
        headers: Headers,
    ) -> Verdict:
        principal = name or session.client_principal or ""
        account = shown or self.accounts.find(principal)
        if account is None:
            self.accounts.refused(principal, scheme)
            return self._refuse(logon)
        self.accounts.accepted(account, principal, scheme)
        logon.account = account
        return Verdict(account, headers)


def _basic_text(content: bytes) -> str:
    """Clients disagree about the encoding: curl sends UTF-8, requests Latin 1."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _session(scheme: str) -> spnego.ContextProxy:
    protocol = scheme.lower()
    if protocol == "negotiate":
        return spnego.server(protocol=protocol, options=spnego.NegotiateOptions.use_negotiate)
    return spnego.server(protocol=protocol)


def _token_header(scheme: str, token: bytes | None) -> Headers:
    if not token:
        return []
    return [(b"www-authenticate", scheme.encode() + b" " + base64.b64encode(token))]


@contextlib.contextmanager
def _environment(name: str | None, account: Account | None, keytab: Path | None) -> Iterator[None]:
    """One account for NTLM, spelt as the client spelt it, and the keytab, for a moment."""
    line = ""
    if name is not None and account is not None:
        domain, _, user = name.rpartition("\\")
        line = f"{domain}:{user}:{account.password.reveal()}\n"
    with _ENVIRONMENT, tempfile.NamedTemporaryFile(prefix="lab-logon-") as file:
        file.write(line.encode())
        file.flush()
        wanted = {"NTLM_USER_FILE": file.name}
        if keytab is not None:
            wanted["KRB5_KTNAME"] = str(keytab)
        before = {key: os.environ.get(key) for key in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value


def ntlm_name(token: bytes) -> str | None:
    """`DOMAIN\\user` from NTLM's last message, also inside of SPNEGO; None for other messages.

    Layout: MS-NLMP 2.2.1.3. An empty domain gives the bare name, and an unreadable message "".
    """
    start = token.find(NTLM_AUTHENTICATE)
    if start < 0:
        return None
    message = token[start:]
    try:
        (flags,) = struct.unpack_from("<I", message, 60)
        encoding = "utf-16-le" if flags & _UNICODE else "cp437"
        domain, user = (ntlm_field(message, at).decode(encoding) for at in (28, 36))
    except (struct.error, UnicodeDecodeError):
        return ""
    return f"{domain}\\{user}" if domain else user
