"""One DNS message out, one back: UDP, TCP where the answer is too long, time limits.

UDP sockets are connected, so that a closed port is noticed at once and packets of others
never reach us. Packets that do not belong to the question are passed over.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
from dns.message import Message

from mailmig.sources.names_errors import BrokenAnswer, NameServerUnreachable

_HEADER_BYTES = 12


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name server is asked: its name as we know it, and where to connect."""

    server: str
    address: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


async def over_udp(query: Message, place: Place, timeout_s: float, tries: int) -> Message:
    """Ask over UDP; a packet that is lost is sent again, `tries` times in all.

    Raises:
        NameServerUnreachable: nothing came back in `tries` times `timeout_s`.
        BrokenAnswer: what came back cannot be read.
    """
    wire, strays = query.to_wire(), 0
    for _ in range(tries):
        try:
            back = await _one_packet(wire, place, timeout_s)
        except TimeoutError as error:
            strays += error.args[0] if error.args else 0
            continue
        except OSError as error:
            raise NameServerUnreachable(place.server, str(place), _reason(error)) from error
        return _read(back, query, place)
    if strays:
        raise BrokenAnswer(place.server, _asked(query), "its packets do not fit the question")
    waited = f"no answer in {tries * timeout_s:g} s"
    raise NameServerUnreachable(place.server, str(place), waited)


async def over_tcp(query: Message, place: Place, timeout_s: float) -> Message:
    """Ask over TCP, once.

    Raises:
        NameServerUnreachable: no connection in `timeout_s`; surely nothing was sent.
        TimeoutError, ConnectionError, asyncio.IncompleteReadError: sent, but no answer.
        BrokenAnswer: what came back cannot be read.
        dns.tsig.PeerError: the server does not accept the signature.
    """
    wire = query.to_wire()
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(place.address, place.port)
    except TimeoutError as error:
        waited = f"no TCP connection in {timeout_s:g} s"
        raise NameServerUnreachable(place.server, str(place), waited) from error
    except OSError as error:
        raise NameServerUnreachable(place.server, str(place), _reason(error)) from error
    try:
        async with asyncio.timeout(timeout_s):
            writer.write(len(wire).to_bytes(2) + wire)
            await writer.drain()
            back = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return _read(back, query, place)


async def over_either(query: Message, place: Place, timeout_s: float, tries: int) -> Message:
    """Ask over UDP, and over TCP where the answer is too long for a packet.

    Raises:
        NameServerUnreachable: no answer, or TCP is closed and the answer needs it.
        BrokenAnswer: what came back cannot be read.
    """
    back = await over_udp(query, place, timeout_s, tries)
    if not back.flags & dns.flags.TC:
        return back
    try:
        return await over_tcp(query, place, timeout_s)
    except NameServerUnreachable as error:
        reason = f"the answer needs TCP, and there {error.reason}"
        raise NameServerUnreachable(place.server, str(place), reason) from error
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        reason = f"the answer needs TCP, and there {_reason(error)}"
        raise NameServerUnreachable(place.server, str(place), reason) from error


async def _one_packet(wire: bytes, place: Place, timeout_s: float) -> bytes:
    """The first packet that belongs to ours.

    Raises:
        TimeoutError: none came; its argument is how many came that do not belong to ours.
        OSError: the port is closed, or there is no way to the address.
    """
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(
        lambda: _Waiting(wire), remote_addr=(place.address, place.port)
    )
    try:
        transport.sendto(wire)
        async with asyncio.timeout(timeout_s):
            return await waiting.answer
    except TimeoutError as error:
        raise TimeoutError(waiting.strays) from error
    finally:
        transport.close()


class _Waiting(asyncio.DatagramProtocol):
    """Waits for the packet that has our number and is an answer."""

    def __init__(self, sent: bytes) -> None:
        self._number = sent[:2]
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.strays = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) < _HEADER_BYTES or data[:2] != self._number or not data[2] & 0x80:
            self.strays += 1
        elif not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


def _read(back: bytes, query: Message, place: Place) -> Message:
    try:
        answer = dns.message.from_wire(
            back, keyring=query.keyring, request_mac=query.mac if query.had_tsig else b""
        )
    except dns.tsig.PeerError:
        raise
    except Exception as error:
        unsigned = _unsigned(back) if query.had_tsig else None
        if unsigned is not None:
            return unsigned
        reason = f"the packet cannot be read ({type(error).__name__})"
        raise BrokenAnswer(place.server, _asked(query), reason) from error
    if not query.is_response(answer):
        raise BrokenAnswer(place.server, _asked(query), "it belongs to another question")
    return answer


def _unsigned(back: bytes) -> Message | None:
    """A refusal that was not signed although the question was: all it may say is no."""
    try:
        answer = dns.message.from_wire(back, keyring=False)
    except Exception:  # noqa: BLE001
        return None
    return answer if answer.rcode() != dns.rcode.NOERROR else None


def _asked(query: Message) -> str:
    if not query.question:
        return "a question"
    return query.question[0].name.to_text(omit_final_dot=True)


def _reason(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens on this port"
    if isinstance(error, TimeoutError):
        return "no answer came in time"
    if isinstance(error, asyncio.IncompleteReadError):
        return "the connection was closed before the answer"
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
