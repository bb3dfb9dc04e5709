"""Bodies of the mailbox endpoint: Connect, Execute, Disconnect (MS-OXCMAPIHTTP 2.2.4, notes 1.6).

PING has no body in either direction (notes 1.5), NotificationWait is not spoken. Auxiliary
buffers are opaque: their layout differs between builds.

Responses begin with StatusCode. Where it is not 0 only the auxiliary buffer follows, and
`decode_answer` gives a `Failure`. gromox repeats the status in the place of that buffer's size;
so the size is clamped to what is there, in failures only, and a failure that was cut off inside
its auxiliary buffer cannot be told from a whole one.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mailmig.wire.mapihttp.octets import Message, Reader, Writer

# Execute request: do not compress, do not obfuscate; a probe asks for both.
NO_COMPRESSION: Final = 1
NO_XOR_MAGIC: Final = 2
CHAIN: Final = 4
# Where a server draws the line for what it executes; the codec reads beyond, so that it can say so.
LEAST_ROP_BUFFER: Final = 8
MOST_ROP_BUFFER: Final = 0x40000
MOST_AUXILIARY: Final = 0x1008


@dataclass(frozen=True, slots=True)
class Failure(Message):
    """A response body whose StatusCode is not 0, to whichever request."""

    NAME: ClassVar = "MAPI/HTTP failure"
    status_code: int
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        if not self.status_code:
            out.fail("a failure has a StatusCode other than 0")
        out.u32(self.status_code, "StatusCode")
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        status_code = raw.u32("StatusCode")
        if not status_code:
            raw.fail("its StatusCode is 0, which is no failure", raw.at - 4)
        size = raw.u32("AuxiliaryBufferSize")
        return cls(status_code, raw.take(min(size, raw.left), "AuxiliaryBuffer"))


class Answer(Message):
    """A response body whose StatusCode is 0; `read` and `write` begin with it."""

    __slots__ = ()

    @classmethod
    def decode_answer(cls, raw: bytes) -> Self | Failure:
        """The response, or the failure that came in its place.

        Raises:
            BadMapi: it is neither.
        """
        return Failure.decode(raw) if any(raw[:4]) else cls.decode(raw)

    @staticmethod
    def read_status(raw: Reader) -> None:
        status_code = raw.u32("StatusCode")
        if status_code:
            raw.fail(f"its StatusCode is {status_code:#x}: a failure", raw.at - 4)


@dataclass(frozen=True, slots=True)
class ConnectRequest(Message):
    """The caller opens a session context (MS-OXCMAPIHTTP 2.2.4.1.1).

    `user_dn` is the caller's legacyExchangeDN. The order of the two LCIDs is in doubt: the
    specification and Microsoft's test client write Sort first, gromox and ruler String first.
    Here Sort is first; send the same value in both.
    """

    NAME: ClassVar = "Connect request"
    user_dn: str
    flags: int = 0
    code_page: int = 1252
    lcid_sort: int = 0x0409
    lcid_string: int = 0x0409
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.ascii_z(self.user_dn, "UserDn")
        out.u32(self.flags, "Flags")
        out.u32(self.code_page, "DefaultCodePage")
        out.u32(self.lcid_sort, "LcidSort")
        out.u32(self.lcid_string, "LcidString")
        if len(self.auxiliary) > MOST_AUXILIARY:
            out.fail(f"AuxiliaryBuffer has more than {MOST_AUXILIARY} bytes")
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        user_dn = raw.ascii_z("UserDn")
        flags, code_page = raw.u32("Flags"), raw.u32("DefaultCodePage")
        lcid_sort, lcid_string = raw.u32("LcidSort"), raw.u32("LcidString")
        auxiliary = raw.sized("AuxiliaryBuffer")
        if len(auxiliary) > MOST_AUXILIARY:
            raw.fail(f"AuxiliaryBuffer has more than {MOST_AUXILIARY} bytes")
        return cls(user_dn, flags, code_page, lcid_sort, lcid_string, auxiliary)


@dataclass(frozen=True, slots=True)
class ConnectResponse(Answer):
    """MS-OXCMAPIHTTP 2.2.4.1.2. Connected only when `error_code` is 0. DnPrefix is often empty.

    ruler reads DnPrefix as UTF-16 and DisplayName as ASCII, which is a fault there.
    """

    NAME: ClassVar = "Connect response"
    error_code: int = 0
    polls_max_ms: int = 60_000
    retry_count: int = 6
    retry_delay_ms: int = 10_000
    dn_prefix: str = ""
    display_name: str = ""
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(0, "StatusCode")
        out.u32(self.error_code, "ErrorCode")
        out.u32(self.polls_max_ms, "PollsMax")
        out.u32(self.retry_count, "RetryCount")
        out.u32(self.retry_delay_ms, "RetryDelay")
        out.ascii_z(self.dn_prefix, "DnPrefix")
        out.utf16_z(self.display_name, "DisplayName")
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_status(raw)
        return cls(
            raw.u32("ErrorCode"), raw.u32("PollsMax"), raw.u32("RetryCount"), raw.u32("RetryDelay"),
            raw.ascii_z("DnPrefix"), raw.utf16_z("DisplayName"), raw.sized("AuxiliaryBuffer"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExecuteRequest(Message):
    """MS-OXCMAPIHTTP 2.2.4.2.1. `rop_buffer` comes from `rop_buffer.RopRequests`.

    A server refuses fewer than 8 bytes of it with 0x80040115, more than 0x40000 with 0x6F7.
    """

    NAME: ClassVar = "Execute request"
    rop_buffer: bytes
    flags: int = NO_COMPRESSION | NO_XOR_MAGIC
    max_rop_out: int = 0x10008
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(self.flags, "Flags")
        out.sized(self.rop_buffer, "RopBuffer")
        out.u32(self.max_rop_out, "MaxRopOut")
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        flags, rop_buffer = raw.u32("Flags"), raw.sized("RopBuffer")
        return cls(rop_buffer, flags, raw.u32("MaxRopOut"), raw.sized("AuxiliaryBuffer"))


@dataclass(frozen=True, slots=True)
class ExecuteResponse(Answer):
    """MS-OXCMAPIHTTP 2.2.4.2.2. `rop_buffer` is empty when `error_code` is not 0."""

    NAME: ClassVar = "Execute response"
    rop_buffer: bytes = b""
    error_code: int = 0
    flags: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(0, "StatusCode")
        out.u32(self.error_code, "ErrorCode")
        out.u32(self.flags, "Flags")
        out.sized(self.rop_buffer, "RopBuffer")
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_status(raw)
        error_code, flags = raw.u32("ErrorCode"), raw.u32("Flags")
        return cls(raw.sized("RopBuffer"), error_code, flags, raw.sized("AuxiliaryBuffer"))


@dataclass(frozen=True, slots=True)
class DisconnectRequest(Message):
    """MS-OXCMAPIHTTP 2.2.4.3.1. Afterwards the cookie is dead (X-ResponseCode 10)."""

    NAME: ClassVar = "Disconnect request"
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        return cls(raw.sized("AuxiliaryBuffer"))


@dataclass(frozen=True, slots=True)
class DisconnectResponse(Answer):
    """MS-OXCMAPIHTTP 2.2.4.3.2."""

    NAME: ClassVar = "Disconnect response"
    error_code: int = 0
    auxiliary: bytes = b""

    def write(self, out: Writer) -> None:
        out.u32(0, "StatusCode")
        out.u32(self.error_code, "ErrorCode")
        out.sized(self.auxiliary, "AuxiliaryBuffer")

    @classmethod
    def read(cls, raw: Reader) -> Self:
        cls.read_status(raw)
        return cls(raw.u32("ErrorCode"), raw.sized("AuxiliaryBuffer"))
