"""What ldap3 is given in place of its own: the way to a server, TLS, and NTLM.

ldap3's own NTLM needs MD4 of OpenSSL, which no longer has it, so NTLM is pyspnego's; its own
TLS looks at names in an old way, so the standard library's is used.
"""

import socket
import ssl
import warnings
from typing import Any

import spnego

from mailmig.model.secret import Secret
from mailmig.sources.directory_settings import DirectorySettings

with warnings.catch_warnings():
    # ldap3 2.9.1 calls parts of pyasn1 by names that are deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3


class MappedServer(ldap3.Server):
    """Connects to where the map says; the name stays for everything else."""

    to: tuple[str, int] | None = None

    @property
    def address_info(self) -> Any:
        if self.to is None:
            return super().address_info
        family = socket.AF_INET6 if ":" in self.to[0] else socket.AF_INET
        return [[family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", self.to, None, None]]


class Tls(ldap3.Tls):
    """TLS by the standard library: chain, time and name are checked as everywhere else."""

    def __init__(self, name: str, settings: DirectorySettings) -> None:
        super().__init__()
        self._name = name
        self._settings = settings
        self.trouble: Exception | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        try:
            context = ssl.create_default_context(cafile=self._settings.ca_file or None)
            if self._settings.unverified:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            # Known to the connection before it greets: so a greeting that hangs can be ended.
            connection.socket = context.wrap_socket(
                connection.socket, server_hostname=self._name, do_handshake_on_connect=False
            )
            connection.socket.do_handshake()
        except (OSError, ValueError) as error:
            self.trouble = error
            raise


class Ntlm:
    """NTLM by pyspnego in the shape in which ldap3 asks for it."""

    def __init__(self, account: str, password: Secret) -> None:
        self._context = spnego.client(account, password.reveal(), protocol="ntlm")
        self._challenge: bytes = b""

    def create_negotiate_message(self) -> bytes:
        return self._context.step() or b""

    def parse_challenge_message(self, message: bytes) -> None:
        self._challenge = message

    def create_authenticate_message(self) -> bytes:
        return self._context.step(self._challenge) or b""
