"""Logging on at a domain controller with a Kerberos ticket (SASL GSSAPI, RFC 4752).

ldap3 knows no security layer, and refuses controllers that want one: so the handshake is ours,
on ldap3's connection. Inside TLS no layer is asked for (Windows allows none there), and the
ticket is tied to the TLS connection. Without TLS everything afterwards is sealed by Kerberos,
which is what controllers that demand signing want.

The ticket is for the controller's name, wherever its address leads.
"""

import socket
import ssl
from typing import Any, Final

import spnego
from spnego.exceptions import SpnegoError

from mailmig.model.secret import Secret
from mailmig.sources import kerberos
from mailmig.sources.directory_errors import LogonRefused, WrongPassword
from mailmig.sources.kerberos_errors import KerberosFailed, TicketRefused
from mailmig.sources.remote_logon import LogonGate

_SERVICE: Final = "ldap"
_WHAT: Final = "logging on at a domain controller with Kerberos"
# What a controller may want instead, by whether the connection is inside TLS.
_OTHERWISE: Final = {
    True: 'it takes no Kerberos inside TLS; set [directory] encryption = "none": Kerberos seals '
    "the connection by itself",
    False: 'it does not let Kerberos seal the connection; set [directory] encryption = "ldaps"',
}
_SUCCESS, _STRONGER_AUTH, _IN_PROGRESS, _INVALID = 0, 8, 14, 49
# The layers of RFC 4752 3.1, one bit each, and the most that we take in one piece.
_NO_LAYER, _SEALED = 1, 4
_MOST: Final = 0xFFFFFF
_LENGTH: Final = 4


def log_on(
    connection: Any, server: str, account: str, password: Secret | None, gate: LogonGate
) -> None:
    """Log on; where nothing is raised, the connection's `result` says how it went. Blocks.

    Raises:
        WrongPassword, LogonRefused: the domain or the controller does not let the account in.
        MissingExtra, the errors of `kerberos_errors`, and what the gate raises.
    """
    who = account or "the account of this ticket"
    over_tls = isinstance(connection.socket, ssl.SSLSocket)
    try:
        credential = kerberos.log_on(account, password, gate, _WHAT)
        layered = _bind(connection, server, credential)
    except TicketRefused as error:
        if error.code in kerberos.WRONG:
            raise WrongPassword(server, account) from error
        raise LogonRefused(server, account, error.reason) from error
    except SpnegoError as error:
        found = kerberos.meaning(error, server, _SERVICE, account)
        raise found or KerberosFailed(server, str(error)) from error
    code, said = connection.result["result"], str(connection.result["message"]).strip()
    if not layered or code == _STRONGER_AUTH:
        raise LogonRefused(server, who, _OTHERWISE[over_tls])
    if code == _INVALID:
        raise LogonRefused(server, who, f"it does not take the ticket ({said})")


def _bind(connection: Any, server: str, credential: kerberos.Credential) -> bool:
    """The handshake; False where the controller wants another layer than ours."""
    line = connection.socket
    over_tls = isinstance(line, ssl.SSLSocket)
    certificate = line.getpeercert(True) if over_tls else None
    context = spnego.client(
        credential, hostname=server, service=_SERVICE, protocol="kerberos",
        channel_bindings=kerberos.bindings(certificate),
    )  # fmt: skip
    answer = None
    while not context.complete:
        token = context.step(answer)
        result = _send(connection, token or b"")
        if result["result"] != _IN_PROGRESS:
            return True
        answer = result.get("saslCreds") or b""
    offered = context.unwrap(answer or b"").data
    wanted, most = (_NO_LAYER, 0) if over_tls else (_SEALED, _MOST)
    if len(offered) != 4 or not offered[0] & wanted:
        return False
    choice = bytes([wanted]) + most.to_bytes(3, "big")
    result = _send(connection, context.wrap(choice, encrypt=False).data)
    if result["result"] == _SUCCESS and not over_tls:
        connection.socket = Sealed(line, context, int.from_bytes(offered[1:], "big"))
    return True


def _send(connection: Any, token: bytes) -> Any:
    from ldap3.protocol.sasl import sasl

    send: Any = sasl.send_sasl_negotiation
    connection.sasl_mechanism = "GSSAPI"
    connection.sasl_in_progress = True
    try:
        return send(connection, None, token)
    finally:
        connection.sasl_in_progress = False


class Sealed:
    """A socket whose content is sealed: what ldap3 uses of one, the rest is the socket's own.

    Each piece is its length in four bytes, then what Kerberos made of it (RFC 4422 3.7).
    """

    def __init__(self, line: socket.socket, context: spnego.ContextProxy, most: int) -> None:
        self._line = line
        self._context = context
        self._piece = max(1024, most // 2)  # sealing makes it a little longer
        self._open = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), self._piece):
            sealed = self._context.wrap(data[at : at + self._piece]).data
            self._line.sendall(len(sealed).to_bytes(_LENGTH, "big") + sealed)

    def recv(self, most: int) -> bytes:
        """As a socket's: b"" at the end.

        Raises:
            OSError: a piece cannot be opened, or is longer than we said we take.
        """
        while not self._open:
            length = int.from_bytes(self._exactly(_LENGTH), "big")
            if length > _MOST:
                raise OSError("a sealed answer is too long")
            sealed = self._exactly(length)
            if not sealed:
                return b""
            try:
                self._open = self._context.unwrap(sealed).data
            except SpnegoError as error:
                raise OSError(f"a sealed answer cannot be opened ({error})") from error
        found, self._open = self._open[:most], self._open[most:]
        return found

    def _exactly(self, count: int) -> bytes:
        """So many bytes, or none when the other side has closed."""
        got = bytearray()
        while len(got) < count:
            part = self._line.recv(count - len(got))
            if not part:
                return b""
            got += part
        return bytes(got)
