"""Message encryption of WinRM: a SOAP body sealed by the logged-on session (MS-WSMV 2.2.9.1).

The body is MIME of two parts: what was sealed, then four bytes (little-endian) with the length
of the seal, the seal, and the sealed text. The announced length counts the padding.
"""

import struct
from typing import Protocol

BOUNDARY = b"Encrypted Boundary"
SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
KERBEROS = "application/HTTP-Kerberos-session-encrypted"
_PLAIN_TYPE = b"application/soap+xml;charset=UTF-8"
_OCTETS = b"application/octet-stream\r\n"


class Sealed(Protocol):
    """What `wrap_winrm` of a session gives."""

    @property
    def header(self) -> bytes: ...
    @property
    def data(self) -> bytes: ...
    @property
    def padding_length(self) -> int: ...


class Session(Protocol):
    """A logged-on session that can seal and open: a context of pyspnego."""

    def wrap_winrm(self, data: bytes, /) -> Sealed: ...
    def unwrap_winrm(self, header: bytes, data: bytes, /) -> bytes: ...


class Unreadable(Exception):
    """A sealed body that cannot be opened."""


def protocol(content_type: str) -> str | None:
    """How the body was sealed, or None for a plain one."""
    if not content_type.lower().startswith("multipart/encrypted"):
        return None
    return KERBEROS if "kerberos" in content_type.lower() else SPNEGO


def unseal(session: Session, body: bytes) -> bytes:
    """The SOAP body. Raises `Unreadable`."""
    start = body.find(_OCTETS) + len(_OCTETS)
    end = body.rfind(b"--", 0, body.rfind(BOUNDARY))
    if start < len(_OCTETS) or end < start + 4:
        raise Unreadable("no sealed part in it")
    (length,) = struct.unpack_from("<I", body, start)
    if length > end - start - 4:
        raise Unreadable("the seal is longer than the body")
    seal = body[start + 4 : start + 4 + length]
    try:
        return session.unwrap_winrm(seal, body[start + 4 + length : end])
    except Exception as error:  # every mechanism has errors of its own
        raise Unreadable(str(error)) from error


def seal(session: Session, how: str, body: bytes, *, stray_blank: bool) -> tuple[str, bytes]:
    """Content type and sealed body. With `stray_blank` as IIS writes it: `-- Encrypted ...`."""
    sealed = session.wrap_winrm(body)
    line = (b"-- " if stray_blank else b"--") + BOUNDARY
    content = b"".join((
        line, b"\r\n\tContent-Type: ", how.encode(),
        b"\r\n\tOriginalContent: type=", _PLAIN_TYPE,
        b";Length=%d\r\n" % (len(body) + sealed.padding_length),
        line, b"\r\n\tContent-Type: ", _OCTETS,
        struct.pack("<I", len(sealed.header)), sealed.header, sealed.data,
        line, b"--\r\n",
    ))  # fmt: skip
    kind = f'multipart/encrypted;protocol="{how}";boundary="{BOUNDARY.decode()}"'
    return kind, content
