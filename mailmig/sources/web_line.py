"""One connection to a web server: made to an address, TLS for a name, requests one after the other.

    async with connected(address, port, addresses) as line:
        await line.start_tls(context, host)
        reply = await line.ask("GET", "/ews/healthcheck.htm", headers)

HTTP/1.1 over asyncio with h11: a library that hides connections would hide what a probe is there to
see, which address answered and how far a failure came; and NTLM belongs to a connection. Nothing
is retried, no redirect is followed. What goes wrong is `LineBroken`; a time limit is the caller's.
"""

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Final

import h11

from mailmig.model.errors import MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.web import Headers, Stage, Trouble

_READ: Final = 64 * 1024
_SIGNS: Final = ("x-feserver", "x-serverapplication", "x-responsecode")


class LineBroken(MailmigError):
    """A connection that was not made, or that ended before an answer was whole."""

    def __init__(self, trouble: Trouble, status: int = 0) -> None:
        super().__init__(f"{trouble.stage.value}: {trouble.reason}")
        self.trouble = trouble
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Names of headers are in lower case; `took_s` are seconds."""

    status: int
    reason: str
    headers: Headers
    body: bytes
    truncated: bool
    took_s: float

    def header(self, name: str) -> str:
        """All values of a header, joined by commas; empty where there is none."""
        return ", ".join(self.values(name))

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a header, one by one."""
        return tuple(value for key, value in self.headers if key == name.lower())

    @property
    def by_exchange(self) -> bool:
        """Whether Exchange signed it, or IIS below it: what a proxy says by itself lacks that."""
        signed = any(self.header(name) for name in _SIGNS)
        return signed or self.header("server").startswith("Microsoft-")


@contextlib.asynccontextmanager
async def connected(address: str, port: int, addresses: AddressMap) -> AsyncIterator["Line"]:
    """A connection until the end of the block. Raises `LineBroken`."""
    started = monotonic()
    try:
        reader, writer = await asyncio.open_connection(
            *addresses.get((address, port), (address, port))
        )
    except OSError as error:
        raise LineBroken(Trouble(Stage.TCP, words(error))) from error
    try:
        yield Line(reader, writer, started)
    finally:
        writer.transport.abort()


class Line:
    """See the module. `connect_s` and `tls_s` are seconds."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, started: float
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.connect_s = monotonic() - started
        self.tls_s = 0.0
        self._http = h11.Connection(h11.CLIENT)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Greet for `host`. Raises `LineBroken`; `ssl.SSLCertVerificationError` stays its cause."""
        begun = monotonic()
        try:
            await self.writer.start_tls(context, server_hostname=host)
        except (OSError, EOFError) as error:
            raise LineBroken(Trouble(Stage.TLS, words(error))) from error
        self.tls_s = monotonic() - begun

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate (DER); None without TLS."""
        tls = self.writer.get_extra_info("ssl_object")
        found: bytes | None = tls.getpeercert(binary_form=True) if tls else None
        return found

    @property
    def is_usable(self) -> bool:
        """Whether another request can go over it."""
        return self._http.our_state in (h11.IDLE, h11.DONE)

    async def ask(
        self, method: str, target: str, headers: Headers, body: bytes = b"", *, most: int
    ) -> Reply:
        """One request; of the answer's body `most` bytes are kept, and then no more is read.

        Raises:
            LineBroken: the answer did not come whole.
        """
        begun = monotonic()
        http = self._http
        if http.our_state is h11.DONE:
            http.start_next_cycle()
        # A proxy may wait for the length of a POST without a body.
        length = [("Content-Length", str(len(body)))] if body or method == "POST" else []
        request = h11.Request(method=method, target=target, headers=[*headers, *length])
        said = b"".join(filter(None, (http.send(request), body and http.send(h11.Data(body)))))
        self.writer.write(said + (http.send(h11.EndOfMessage()) or b""))
        head: h11.Response | None = None
        kept = bytearray()
        ended = False
        try:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    data = await self.reader.read(_READ)
                    ended = not data
                    http.receive_data(data)
                elif isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    kept += event.data
                    if len(kept) > most:
                        http.send_failed()
                        break
                elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                    break
            if http.their_state is h11.DONE and http.our_state is h11.DONE:
                http.start_next_cycle()
        except (h11.RemoteProtocolError, OSError) as error:
            why = words(error)
            if ended:
                where = f"within its answer (status {head.status_code})" if head else "unanswered"
                why = f"the connection was closed {where}"
            status = head.status_code if head else 0
            raise LineBroken(Trouble(Stage.HTTP, why), status) from error
        assert head is not None
        return Reply(
            head.status_code, bytes(head.reason).decode("latin-1"), _headers(head),
            bytes(kept[:most]), len(kept) > most, monotonic() - begun,
        )  # fmt: skip


def words(error: BaseException) -> str:
    """What went wrong, in the system's own words: asyncio puts others before them."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message or str(error)
    if isinstance(error, OSError) and error.errno and error.errno > 0 and error.strerror:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__


def _headers(head: h11.Response) -> Headers:
    return tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in head.headers
    )
