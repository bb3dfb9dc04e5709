"""The outside of a lab name server: UDP and TCP on one address, and how it can misbehave.

What a packet means is decided by `answer`, which the servers in `names` bring along. The
signature of a packet (TSIG) is checked against the real clock, not the world's, because
whoever signs it uses the real one. The switches are plain attributes; they may be set
while the server runs and hold from the next packet on.
"""

import asyncio
import logging
import struct
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.renderer
import dns.rrset
import dns.tsig
from dns.message import Message
from dns.name import Name
from dns.rcode import Rcode
from dns.rdtypes.ANY.TSIG import TSIG

from mailmig.lab.names_answers import UDP_BYTES, respond

log = logging.getLogger(__name__)

_HEADER: Final = struct.Struct("!HHHHHH")
_PLAIN_UDP: Final = 512
_TCP_BYTES: Final = 65535
# A server that is flooded loses packets; ours keeps this many at work, TCP connections too.
_AT_WORK: Final = 500
_TCP_IDLE_S: Final = 10.0
_SAME_PORT_TRIES: Final = 20

_TSIG_ERRORS: Final[dict[type[Exception], Rcode]] = {
    dns.message.UnknownTSIGKey: Rcode.BADKEY,
    dns.tsig.BadKey: Rcode.BADKEY,
    dns.tsig.BadAlgorithm: Rcode.BADKEY,
    dns.tsig.BadSignature: Rcode.BADSIG,
    dns.tsig.BadTime: Rcode.BADTIME,
}


class Serving(ABC):
    """A name server on one address and port; port 0 takes a free one.

    Switches: `delay_s` waits (real seconds) before each answer; `drops` never answers;
    `fails_with` answers every question with that rcode; `truncates` says over UDP that
    the answer is too long; `garbles` sends answers that cannot be read.
    """

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self.host = host
        self.port = port
        self.delay_s = 0.0
        self.drops = False
        self.fails_with: Rcode | None = None
        self.truncates = False
        self.garbles = False
        self.asked = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    async def answer(self, query: Message) -> Message:
        """The answer to a question that could be read; its signature, if any, was right."""

    def keyring(self) -> dict[Name, dns.tsig.Key]:
        """The keys that this server knows."""
        return {}

    @property
    def where(self) -> tuple[str, int]:
        """Address and port."""
        return self.host, self.port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address or the port cannot be had.
        """
        loop = asyncio.get_running_loop()
        for attempt in range(_SAME_PORT_TRIES):
            self._udp, _ = await loop.create_datagram_endpoint(
                lambda: _Packets(self), local_addr=self.where
            )
            port = self._udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await asyncio.start_server(self._converse, self.host, port)
            except OSError:
                self._udp.close()
                if self.port or attempt == _SAME_PORT_TRIES - 1:
                    raise
            else:
                self.port = port
                return

    async def close(self) -> None:
        """Stop listening and end everything at work. The port is kept for `start`."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tcp is not None:
            await self._tcp.wait_closed()
        self._udp = self._tcp = None
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.close()

    async def reply(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """What goes back for one packet; None where nothing does."""
        self.asked += 1
        if self.drops:
            return None
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        query = self._read(wire)
        if not isinstance(query, Message):
            return query
        response = await self._respond(query)
        room = _TCP_BYTES
        if not tcp:
            asked_for = query.payload if query.edns >= 0 else _PLAIN_UDP
            room = max(_PLAIN_UDP, min(asked_for, UDP_BYTES))
        if self.truncates and not tcp:
            response.answer, response.authority, response.additional = [], [], []
            response.flags |= dns.flags.TC
        out = response.to_wire(max_size=room, prefer_truncation=True)
        return out[:12] + b"\xff" * (len(out) - 12) if self.garbles else out

    async def _respond(self, query: Message) -> Message:
        if query.edns > 0:
            return respond(query, Rcode.BADVERS)
        if self.fails_with is not None:
            return respond(query, self.fails_with)
        try:
            return await self.answer(query)
        except Exception:
            log.exception("%s could not answer: %s", self.name, query.question)
            return respond(query, Rcode.SERVFAIL)

    def _read(self, wire: bytes) -> Message | bytes | None:
        """The question in a packet; else the error to send, or None to keep silent."""
        if len(wire) < _HEADER.size or wire[2] & 0x80:
            return None
        try:
            return dns.message.from_wire(wire, keyring=self.keyring())
        except tuple(_TSIG_ERRORS) as error:
            return self._refuse_signature(wire, error)
        except Exception:  # noqa: BLE001  whatever the packet broke: it was malformed
            return _formerr(wire)

    def _refuse_signature(self, wire: bytes, error: Exception) -> bytes:
        """NOTAUTH with the reason in an unsigned TSIG record (RFC 8945, 5.2)."""
        try:
            query = dns.message.from_wire(wire, keyring=False)
            response = respond(query, Rcode.NOTAUTH)
        except Exception:  # noqa: BLE001  the same
            return _formerr(wire)
        assert query.tsig is not None
        theirs = query.tsig[0]
        assert isinstance(theirs, TSIG)
        reason = _TSIG_ERRORS[type(error)]
        ours = theirs.replace(mac=b"", error=reason, other=b"")
        response.tsig = dns.rrset.from_rdata(query.tsig.name, 0, ours)
        response.want_tsig_sign = False
        return response.to_wire(max_size=_PLAIN_UDP, prefer_truncation=True)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the loop, ended by `close` at the latest."""
        if len(self._tasks) >= _AT_WORK:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection: questions one after the other until the client has enough."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                async with asyncio.timeout(_TCP_IDLE_S):
                    length = int.from_bytes(await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                out = await self.reply(wire, tcp=True)
                if out is not None:
                    writer.write(len(out).to_bytes(2) + out)
                    await writer.drain()
                elif not self.drops:
                    return
        except (asyncio.IncompleteReadError, TimeoutError, OSError, asyncio.CancelledError):
            return  # the client went away, fell silent, or the server is being closed
        finally:
            self._tasks.discard(task)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()


class _Packets(asyncio.DatagramProtocol):
    """Hands each packet to the server and sends back what it says."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._server.begin(self._answer(data, addr))

    async def _answer(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        out = await self._server.reply(data, tcp=False)
        if out is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(out, addr)


def _formerr(wire: bytes) -> bytes:
    """FORMERR for a packet of which only the header is known; it keeps id, opcode and RD."""
    number, flags, *_ = _HEADER.unpack_from(wire)
    keep = flags & (0x7800 | dns.flags.RD)
    return _HEADER.pack(number, keep | dns.flags.QR | Rcode.FORMERR, 0, 0, 0, 0)
