"""What an Execute body carries: headers, ROPs back to back, handles (notes 1.7).

    RPC_HEADER_EXT (8 bytes) | u16 RopSize (with these two bytes) | ROPs | u32 handle ...

MS-OXCRPC 2.2.2.1, MS-OXCROPS 2.2.1. A request has one header, and it is the last one. A response
may have several. Obfuscated bytes (each ^ 0xA5) are read; compressed ones are refused: our
requests forbid both, and a server has to obey.

A response does not say everything about itself: rows are read with the tags of the request, so
`RopResponses.decode` takes what was asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from typing import ClassVar, Final, Self

from mailmig.wire.mapihttp.octets import Message, Reader, Writer
from mailmig.wire.mapihttp.rops import (
    Release,
    RopRequest,
    RopResponse,
    is_last,
    read_request,
    read_response,
)

TO_BE_FILLED: Final = 0xFFFFFFFF  # a handle that an operation of the same buffer will return
XOR_MAGIC: Final = 0xA5
MOST_ROPS: Final = 255  # handle indexes have one byte
MOST_BLOCKS: Final = 64
_XOR: Final = bytes(number ^ XOR_MAGIC for number in range(256))


class BlockFlag(IntFlag):
    """Flags of RPC_HEADER_EXT."""

    COMPRESSED = 1
    XOR_MAGIC = 2
    LAST = 4


@dataclass(frozen=True, slots=True)
class RopRequests(Message):
    """What a client asks in one Execute; each operation names handles by their index."""

    NAME: ClassVar = "ROP requests"
    rops: tuple[RopRequest, ...]
    handles: tuple[int, ...] = (TO_BE_FILLED,)

    def write(self, out: Writer) -> None:
        _write_block(out, self.rops, self.handles, is_last_block=True)

    @classmethod
    def read(cls, raw: Reader) -> Self:
        payload, is_last_block = _read_block(raw)
        if not is_last_block:
            raw.fail("the header of a request is not marked as the last")
        area = _rop_area(payload)
        rops: list[RopRequest] = []
        while area.left:
            rops.append(read_request(area))
            if len(rops) > MOST_ROPS:
                area.fail(f"it has more than {MOST_ROPS} operations")
        return cls(tuple(rops), _handles(payload))


@dataclass(frozen=True, slots=True)
class RopResponses:
    """What a server answers in one block; `handles` has the place of each index filled."""

    rops: tuple[RopResponse, ...]
    handles: tuple[int, ...] = ()

    NAME: ClassVar = "ROP responses"

    def encode(self) -> bytes:
        """One block, which is the last.

        Raises:
            BadMapi: a value has no place in it.
        """
        return encode_responses((self,))

    @classmethod
    def decode(cls, raw: bytes, asked: Iterable[RopRequest]) -> Self:
        """The answer to a buffer without Chain, which has one block.

        Raises:
            BadMapi: the bytes end early, go on, have several blocks, or answer something else.
        """
        first, *others = decode_responses(raw, asked)
        if others:
            Reader(cls.NAME, raw).fail(f"it has {1 + len(others)} blocks and one was expected")
        return cls(first.rops, first.handles)


def encode_responses(blocks: tuple[RopResponses, ...]) -> bytes:
    """Several blocks, the last of them marked.

    Raises:
        BadMapi: a value has no place in them, or there is no block.
    """
    out = Writer(RopResponses.NAME)
    if not blocks:
        out.fail("there is no block")
    for number, block in enumerate(blocks, 1):
        _write_block(out, block.rops, block.handles, is_last_block=number == len(blocks))
    return bytes(out.raw)


def decode_responses(raw: bytes, asked: Iterable[RopRequest]) -> tuple[RopResponses, ...]:
    """All blocks of a response up to the one that is marked as the last.

    Raises:
        BadMapi: the bytes end early, go on, or answer something else.
    """
    reader = Reader(RopResponses.NAME, raw)
    # Release is the one operation that is not answered.
    open_requests: list[RopRequest] = [
        request for request in asked if not isinstance(request, Release)
    ]
    blocks: list[RopResponses] = []
    is_last_block = False
    while not is_last_block:
        payload, is_last_block = _read_block(reader)
        area = _rop_area(payload)
        rops: list[RopResponse] = []
        while area.left:
            rops.append(read_response(area, open_requests))
            if is_last(rops[-1]):
                break
        blocks.append(RopResponses(tuple(rops), _handles(payload)))
        if len(blocks) > MOST_BLOCKS:
            reader.fail(f"it has more than {MOST_BLOCKS} blocks")
    reader.finish()
    return tuple(blocks)


def _write_block(
    out: Writer,
    rops: tuple[RopRequest, ...] | tuple[RopResponse, ...],
    handles: tuple[int, ...],
    is_last_block: bool,
) -> None:
    area = Writer(out.what)
    for rop in rops:
        rop.write(area)
    size = len(area.raw) + 2
    whole = size + 4 * len(handles)
    out.u16(0, "Version")
    out.u16(BlockFlag.LAST if is_last_block else 0, "Flags")
    out.u16(whole, "Size")
    out.u16(whole, "SizeActual")
    out.u16(size, "RopSize")
    out.put(bytes(area.raw))
    for handle in handles:
        out.u32(handle, "handle")


def _read_block(raw: Reader) -> tuple[Reader, bool]:
    """A reader for the payload behind the next header, and whether it is the last."""
    start = raw.at
    version, flags = raw.u16("Version"), raw.u16("Flags")
    size, actual = raw.u16("Size"), raw.u16("SizeActual")
    if version or flags & ~0x7:
        raw.fail(f"its header has version {version} and flags {flags:#x}", start)
    if flags & BlockFlag.COMPRESSED:
        raw.fail("it is compressed, which was not allowed", start + 2)
    if size != actual:
        raw.fail(f"its sizes differ without compression: {size} and {actual}", start + 4)
    payload = raw.part(size, "the ROP buffer")
    if flags & BlockFlag.XOR_MAGIC:
        clear = payload.raw[payload.at : payload.end].translate(_XOR)
        payload.raw = payload.raw[: payload.at] + clear
    return payload, bool(flags & BlockFlag.LAST)


def _rop_area(payload: Reader) -> Reader:
    """A reader for the ROPs; the payload's own then stands before the handles."""
    size = payload.u16("RopSize")
    if size < 2:
        payload.fail(f"RopSize is {size} and counts itself", payload.at - 2)
    return payload.part(size - 2, "the ROPs")


def _handles(payload: Reader) -> tuple[int, ...]:
    if payload.left % 4:
        payload.fail(f"{payload.left} bytes of handles are no multiple of 4")
    return tuple([payload.u32("handle") for _ in range(payload.left // 4)])
