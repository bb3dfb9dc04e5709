"""Messages of remote PowerShell and their fragments, as bytes (MS-PSRP 2.2.1 and 2.2.4).

psrpcore can write all of this, but wants each object as its own kind of value first and then
serialises it: some thousand objects per second. Ready CLIXML only needs two small headers.
"""

import struct
from collections import deque
from collections.abc import Iterator
from typing import Final
from uuid import UUID

TO_CLIENT: Final = 1
PIPELINE_OUTPUT: Final = 0x00041004
NOBODY: Final = UUID(int=0)
FRAGMENT_HEADER: Final = 21
# A fragment with less than this is not begun: the next answer takes the message.
LEAST_FRAGMENT: Final = 1024
_MESSAGE = struct.Struct("<II")
_FRAGMENT = struct.Struct(">QQBI")
_START, _END = 1, 2


def message_header(kind: int, runspace_pool: UUID, pipeline: UUID | None) -> bytes:
    """The 40 bytes in front of a message's CLIXML."""
    return (
        _MESSAGE.pack(TO_CLIENT, kind)
        + runspace_pool.bytes_le
        + (NOBODY if pipeline is None else pipeline).bytes_le
    )


def messages(payload: bytes) -> Iterator[bytes]:
    """The messages in a payload of whole fragments, as psrpcore gives them without a limit."""
    parts: list[bytes] = []
    at = 0
    while at < len(payload):
        _, _, flags, length = _FRAGMENT.unpack_from(payload, at)
        at += FRAGMENT_HEADER
        parts.append(payload[at : at + length])
        at += length
        if flags & _END:
            yield b"".join(parts)
            parts = []


class Outbox:
    """Messages on their way to one receiver, cut into fragments as answers have room.

    `ids` numbers the objects of a whole runspace pool, in the order in which they were put.
    """

    def __init__(self, ids: Iterator[int]) -> None:
        self.waiting = 0
        self._ids = ids
        self._queue: deque[tuple[int, bytes]] = deque()
        self._sent = 0  # bytes of the first message, and fragments
        self._fragments = 0

    def put(self, message: bytes) -> None:
        self._queue.append((next(self._ids), message))
        self.waiting += len(message)

    def take(self, room: int) -> bytes:
        """The next fragments, at most `room` bytes; empty when nothing waits."""
        if room < FRAGMENT_HEADER + 1:
            raise ValueError(f"a fragment needs more than {room} bytes")
        parts: list[bytes] = []
        queue = self._queue
        while queue:
            number, message = queue[0]
            rest = len(message) - self._sent
            space = room - FRAGMENT_HEADER
            if parts and rest > space < LEAST_FRAGMENT:
                break
            size = min(rest, space)
            last = size == rest
            flags = (_START if self._fragments == 0 else 0) | (_END if last else 0)
            parts.append(_FRAGMENT.pack(number, self._fragments, flags, size))
            parts.append(message if size == len(message) else message[self._sent :][:size])
            room -= FRAGMENT_HEADER + size
            self.waiting -= size
            if last:
                queue.popleft()
                self._sent = self._fragments = 0
            else:
                self._sent += size
                self._fragments += 1
        return b"".join(parts)
