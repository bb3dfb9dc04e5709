"""HTTP to one server by its name: where it is reached, how it is ended, and what went wrong.

pypsrp and pywinrm both speak through a session of requests. `Routes` is mounted into it: it
connects where the address map says, while TLS, the Host header and Kerberos keep the name, and
it can cut its connections from another thread, which is the only way to end a request.

Each connection is made once: nothing is retried and no redirect is followed, since either
would show the password a second time, or to somebody else.
"""

import base64
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mailmig.model.errors import BadFile, MailmigError
from mailmig.model.names import AddressMap
from mailmig.sources.remote_errors import TlsNotTrusted, Unreachable, WrongEndpoint

_LOG: Final = logging.getLogger(__name__)
_NTLM_PROOF: Final = b"NTLMSSP\x00\x03\x00\x00\x00"
# pypsrp tells an error twice: as an exception, and with a traceback in the log.
logging.getLogger("pypsrp").setLevel(logging.CRITICAL)


class Routes(HTTPAdapter):
    """requests' adapter of one session. `addresses` has lower-case names as its keys.

    `connect_s` holds for connecting where a library gives one time for everything. `shown` turns
    true with the first byte that leaves of a request with a password in it, or with its proof.
    """

    def __init__(self, addresses: AddressMap, connect_s: float = 10.0) -> None:
        self.shown = False
        self._carries = False  # the request at hand, a password
        self._connect_s = connect_s
        self._addresses = addresses
        self._connections: set[HTTPConnection] = set()
        super().__init__(max_retries=0)

    def init_poolmanager(self, *words: Any, **options: Any) -> None:
        super().init_poolmanager(*words, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(
            self._addresses, self._connections, self._leaves
        )

    def send(
        self, request: requests.PreparedRequest, stream: bool = False, timeout: Any = None,
        verify: Any = True, cert: Any = None, proxies: Any = None,
    ) -> requests.Response:  # fmt: skip
        if isinstance(timeout, int | float):
            timeout = (min(self._connect_s, timeout), timeout)
        self._carries = _carries_password(request)
        return super().send(request, stream, timeout, verify, cert, proxies)

    def _leaves(self) -> None:
        self.shown = self.shown or self._carries

    def mount_into(self, session: requests.Session) -> None:
        """Every request of the session goes through this one from now on."""
        session.mount("http://", self)
        session.mount("https://", self)
        session.max_redirects = 0

    def cut(self) -> None:
        """Ends all connections, also those on which another thread is waiting."""
        for connection in tuple(self._connections):
            line = connection.sock
            if isinstance(line, socket.socket):
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(line, socket.SHUT_RDWR)  # past TLS: the thread reads it

    def close(self) -> None:
        """Closes all connections, also those whose answer nobody read."""
        super().close()
        for connection in tuple(self._connections):
            connection.close()
        self._connections.clear()


def lower_names(addresses: AddressMap | None) -> AddressMap:
    """The map with its names as `Routes` looks for them."""
    return {(name.rstrip(".").lower(), port): to for (name, port), to in (addresses or {}).items()}


def _carries_password(request: requests.PreparedRequest) -> bool:
    """Basic always does; of the three messages of NTLM the last (MS-NLMP 2.2.1.3)."""
    header: str | bytes = request.headers.get("Authorization", "")
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    scheme, _, token = text.partition(" ")
    if scheme.lower() == "basic":
        return True
    try:
        return _NTLM_PROOF in base64.b64decode(token)
    except ValueError:
        return True  # nothing that we know


def _pools(
    addresses: AddressMap, known: set[HTTPConnection], leaves: Callable[[], None]
) -> dict[str, Any]:
    """Pools whose connections go where the map says; urllib3 finds them by the scheme."""

    class Plain(HTTPConnection):
        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            leaves()
            super().send(data)

        def _new_conn(self) -> socket.socket:
            known.difference_update([other for other in known if other.sock is None])
            known.add(self)
            name, port = self._dns_host, self.port
            self._dns_host, self.port = addresses.get(
                (name.rstrip(".").lower(), port), (name, port)
            )
            try:
                return super()._new_conn()
            finally:
                self._dns_host, self.port = name, port

    class Tls(Plain, HTTPSConnection):
        pass

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def checked_authority(ca_file: object) -> str:
    """The path of a file with certificates that OpenSSL can read.

    Raises:
        BadFile: there is none, or it holds no certificate.
    """
    path = str(ca_file)
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one too
        reason = error.strerror or str(error)
        raise BadFile(path, f"no certificates can be read from it ({reason})", "ca_file") from error
    return path


def warn_unverified(server: str) -> None:
    _LOG.warning(
        "the certificate of %s is NOT checked (unverified = true): whoever sits between can read "
        "the password and change every answer; name its authority as ca_file instead",
        server,
    )


def of_transport(error: BaseException, server: str, port: int) -> MailmigError | None:
    """What an exception of requests means; None for one that is none of the network's."""
    if isinstance(error, requests.exceptions.SSLError):
        return _of_tls(error, server, port)
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return WrongEndpoint(server, port, "it sends us elsewhere")
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Unreachable(server, port, "nobody answered in time")
    if isinstance(error, requests.exceptions.Timeout):
        return Unreachable(server, port, "connected, but it did not answer in time")
    if isinstance(error, requests.exceptions.RequestException | OSError):
        return Unreachable(server, port, _root(error))
    return None


def _of_tls(error: BaseException, server: str, port: int) -> MailmigError:
    for link in _chain(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return TlsNotTrusted(server, port, link.verify_message or str(link))
    return Unreachable(server, port, f"TLS failed ({_root(error)})")


def _root(error: BaseException) -> str:
    """The innermost reason, in the operating system's words where it has some."""
    links = list(_chain(error))
    for link in reversed(links):
        if isinstance(link, OSError) and link.strerror:
            return link.strerror.lower()
    last = links[-1]
    return f"the answer broke off ({type(last).__name__}: {last})"


def _chain(error: BaseException) -> list[BaseException]:
    """requests and urllib3 put the reason into the arguments as often as behind the error."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            waiting += [*link.args, getattr(link, "reason", None), link.__cause__]
    return found
