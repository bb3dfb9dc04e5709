"""Extended Protection: whether a logon is bound to the TLS connection that it comes over.

A client that binds puts a hash into its last message: MD5 over the connection's binding
"tls-server-end-point" in the form of GSS-API (MS-NLMP 2.2.2.1, MsvAvChannelBindings; RFC 5929,
4.1). The proof of its password covers the hash, so nobody between can exchange it: behind a proxy
that shows another certificate it does not fit. All zeros mean that the client binds nothing.

Without TLS nothing can be bound, and nothing is checked.
"""

import hashlib
import struct
from collections.abc import Iterator
from enum import Enum
from typing import Final

from spnego.channel_bindings import GssChannelBindings

NTLM: Final = b"NTLMSSP\x00"
NTLM_AUTHENTICATE: Final = NTLM + b"\x03\x00\x00\x00"
_NT_RESPONSE_AT: Final = 20
# The proof, and what stands before the pairs: MS-NLMP 2.2.2.8 and 2.2.2.7.
_PAIRS_AT: Final = 16 + 28
_END, _CHANNEL_BINDINGS = 0, 10


class TokenChecking(Enum):
    """`ExtendedProtectionTokenChecking` of a virtual directory."""

    NONE = "None"
    ALLOW = "Allow"
    REQUIRE = "Require"


def of_connection(end_point: bytes) -> GssChannelBindings | None:
    """The bindings of a connection whose server showed a certificate; None without TLS."""
    return GssChannelBindings(application_data=end_point) if end_point else None


def is_let_in(checking: TokenChecking, token: bytes, end_point: bytes) -> bool:
    """Whether NTLM's last message, bare or inside of SPNEGO, is bound as it must be.

    `end_point` is the binding of the connection, empty without TLS.
    """
    right = of_connection(end_point)
    if checking is TokenChecking.NONE or right is None:
        return True
    shown = shown_by(token)
    if not shown:
        return checking is TokenChecking.ALLOW
    return shown == hashlib.md5(right.pack(), usedforsecurity=False).digest()


def shown_by(token: bytes) -> bytes:
    """The hash in NTLM's last message; empty for a client that binds nothing (or speaks version 1)."""
    start = token.find(NTLM_AUTHENTICATE)
    try:
        response = ntlm_field(token[start:], _NT_RESPONSE_AT) if start >= 0 else b""
        found = dict(_pairs(response[_PAIRS_AT:])).get(_CHANNEL_BINDINGS, b"")
    except struct.error:
        return b""
    return found if any(found) else b""


def ntlm_field(message: bytes, at: int) -> bytes:
    """What a field of an NTLM message refers to. Raises `struct.error`."""
    length, _, offset = struct.unpack_from("<HHI", message, at)
    return message[offset : offset + length]


def _pairs(text: bytes) -> Iterator[tuple[int, bytes]]:
    """The AV pairs up to their end. Raises `struct.error` where there is none."""
    at = 0
    while True:
        kind, length = struct.unpack_from("<HH", text, at)
        if kind == _END:
            return
        yield kind, text[at + 4 : at + 4 + length]
        at += 4 + length
