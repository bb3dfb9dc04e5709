"""LDAP messages of the server's side: sansldap where it suffices, written by hand where not.

Three things are worked around (sansldap 0.1.0): it writes an empty referral list into every
result, on which ldap3 stumbles; it knows no Sicily, the way in which ldap3 carries NTLM; and
its entries are too slow to write for tens of thousands. `NOT_READ` are requests that it
cannot read at all: changes of the directory, which the lab does not take.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import sansldap
from sansldap.asn1 import ASN1Reader, ASN1Tag, ASN1Writer, TagClass

# Sicily (MS-ADTS 5.1.1.1.3): which packages there are, NTLM's first message, its last one.
DISCOVER, NEGOTIATE, RESPOND = 9, 10, 11

SD_FLAGS: Final = "1.2.840.113556.1.4.801"
DOMAIN_SCOPE: Final = "1.2.840.113556.1.4.1339"
PAGED: Final = "1.2.840.113556.1.4.319"
# Controls that may be marked critical; those that change nothing here are accepted as well.
CONTROLS: Final = (
    PAGED, SD_FLAGS, DOMAIN_SCOPE, "1.2.840.113556.1.4.417", "1.2.840.113556.1.4.2065",
    "2.16.840.1.113730.3.4.2",
)  # fmt: skip
START_TLS: Final = "1.3.6.1.4.1.1466.20037"
WHO_AM_I: Final = "1.3.6.1.4.1.4203.1.11.3"

_SEQUENCE, _SET, _INTEGER, _OCTETS, _ENUMERATED = 0x30, 0x31, 0x02, 0x04, 0x0A
_BIND_RESPONSE, _ENTRY, _REFERENCE = 0x61, 0x64, 0x73


class Session(sansldap.LDAPServer):
    """One connection's messages; learns Sicily at birth."""

    def __init__(self) -> None:
        super().__init__()
        for credential in _SICILY:
            self.register_auth_credential(credential)

    def _send(self, msg: sansldap.LDAPMessage) -> int:
        result = getattr(msg, "result", None)
        if result is not None and not result.referrals:
            msg = replace(msg, result=replace(result, referrals=None))  # type: ignore[call-arg]
        return super()._send(msg)

    def refuse_search(
        self,
        message_id: int,
        code: sansldap.LDAPResultCode,
        text: str,
        matched: str,
        referrals: list[str],
    ) -> None:
        """End a search with an error; the library's own way takes no referrals."""
        result = sansldap.LDAPResult(
            result_code=code, matched_dn=matched, diagnostics_message=text, referrals=referrals
        )
        self._send(sansldap.SearchResultDone(message_id=message_id, controls=[], result=result))

    def answered(self, message_id: int) -> None:
        """An answer to this request was written without the library."""
        self._outstanding_requests.discard(message_id)


class SicilyCredential(sansldap.AuthenticationCredential):
    """What a Sicily bind carries: `token` is a raw NTLM message, or nothing."""

    token: bytes


def _sicily(number: int) -> type[SicilyCredential]:
    tag = ASN1Tag(TagClass.CONTEXT_SPECIFIC, number, False)

    @dataclass(frozen=True)
    class Credential(SicilyCredential):
        auth_id: int = field(init=False, repr=False, default=number)
        token: bytes = b""

        def pack(self, writer: ASN1Writer, options: sansldap.asn1.ASN1Writer | object) -> None:
            writer.write_octet_string(self.token, tag=tag)

        @classmethod
        def unpack(cls, reader: ASN1Reader, options: object) -> "Credential":
            return cls(token=bytes(reader.read_octet_string(tag=tag)))

    return Credential


_SICILY: Final = tuple(_sicily(number) for number in (DISCOVER, NEGOTIATE, RESPOND))


def sd_flags(control: sansldap.LDAPControl) -> int:
    """The number in an SD_FLAGS control.

    Raises:
        ValueError: it holds none.
    """
    return ASN1Reader(control.value or b"").read_sequence().read_integer()


def entry(message_id: int, dn: str, attributes: Iterable[tuple[str, Sequence[bytes]]]) -> bytes:
    """A search result entry."""
    parts = b"".join(
        _wrap(
            _SEQUENCE,
            _wrap(_OCTETS, name.encode())
            + _wrap(_SET, b"".join([_wrap(_OCTETS, value) for value in values])),
        )
        for name, values in attributes
    )
    body = _wrap(_OCTETS, dn.encode()) + _wrap(_SEQUENCE, parts)
    return _message(message_id, _wrap(_ENTRY, body))


def reference(message_id: int, url: str) -> bytes:
    """A search result reference: look there for what lies below."""
    return _message(message_id, _wrap(_REFERENCE, _wrap(_OCTETS, url.encode())))


def challenge(message_id: int, token: bytes) -> bytes:
    """NTLM's second message in a Sicily bind: raw bytes where a name would stand."""
    body = _wrap(_ENUMERATED, b"\0") + _wrap(_OCTETS, token) + _wrap(_OCTETS, b"")
    return _message(message_id, _wrap(_BIND_RESPONSE, body))


def _message(message_id: int, operation: bytes) -> bytes:
    number = message_id.to_bytes(message_id.bit_length() // 8 + 1)
    return _wrap(_SEQUENCE, _wrap(_INTEGER, number) + operation)


def _wrap(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
