"""Channel bindings: what a certificate becomes, and what stands in NTLM's last message."""

import hashlib
import struct
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import spnego
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from spnego.channel_bindings import GssChannelBindings

from mailmig.lab.certificates import Authority, end_point
from mailmig.lab.wsman.bindings import TokenChecking, is_let_in, shown_by
from tests.lab.strangers import needs

END_POINT = b"tls-server-end-point:" + bytes(range(32))
NONE, ALLOW, REQUIRE = TokenChecking


def last_message(end_point: bytes) -> bytes:
    """What pyspnego's client says in the end."""
    bound = GssChannelBindings(application_data=end_point) if end_point else None
    client = spnego.client("TOWN\\anna", "geheim", protocol="ntlm", channel_bindings=bound)
    assert client.step()
    last = client.step(challenge())
    assert last is not None
    return last


def challenge() -> bytes:
    """MS-NLMP 2.2.1.2, with the server's domain in its target info and nothing else."""
    info = struct.pack("<HH", 2, 8) + "TOWN".encode("utf-16-le") + bytes(4)
    flags = 0x00880205 | 0x20000000 | 0x40000000 | 0x80000
    return (
        b"NTLMSSP\0" + struct.pack("<IHHII", 2, 0, 0, 48, flags) + b"12345678" + bytes(8)
        + struct.pack("<HHI", len(info), len(info), 48) + info
    )  # fmt: skip


@pytest.mark.parametrize("around", [(b"", b""), (b"\xa1\x82\x02\x00", b"\xa3\x12")])
def test_the_hash_is_that_of_the_structure_in_rfc_2744(around: tuple[bytes, bytes]) -> None:
    """Four empty addresses and types, then the length of the data, then the data."""
    structure = bytes(16) + struct.pack("<I", len(END_POINT)) + END_POINT
    token = last_message(END_POINT).join(around)
    assert shown_by(token) == hashlib.md5(structure).digest()
    assert shown_by(last_message(b"").join(around)) == b""


@pytest.mark.parametrize(("checking", "right", "wrong", "absent"), [
    (NONE, True, True, True), (ALLOW, True, False, True), (REQUIRE, True, False, False),
])  # fmt: skip
def test_who_is_let_in(checking: TokenChecking, right: bool, wrong: bool, absent: bool) -> None:
    bound, unbound = last_message(END_POINT), last_message(b"")
    assert is_let_in(checking, bound, END_POINT) is right
    assert is_let_in(checking, bound, END_POINT + b"x") is wrong
    assert is_let_in(checking, unbound, END_POINT) is absent
    assert is_let_in(checking, unbound, b"") is True  # without TLS there is nothing to bind to


BOUND = last_message(END_POINT)


@given(st.integers(0, len(BOUND)))
def test_a_message_that_breaks_off_is_bound_to_nothing_wrong(length: int) -> None:
    """Its proof would not fit anyhow; what counts is that it breaks nothing."""
    assert shown_by(BOUND[:length]) in (b"", shown_by(BOUND))


@given(st.integers(0, len(BOUND) - 1), st.integers(0, 255), st.binary(max_size=30))
def test_no_message_breaks_the_reader(at: int, byte: int, tail: bytes) -> None:
    raw = bytearray(BOUND)
    raw[at] = byte
    for token in (bytes(raw), bytes(raw) + tail, tail):
        for checking in TokenChecking:
            assert is_let_in(checking, token, END_POINT) in (True, False)


def signed_with(how: hashes.HashAlgorithm) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ex1")])
    now = datetime(2026, 11, 20, tzinfo=UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(7)
        .public_key(key.public_key()).not_valid_before(now).not_valid_after(now + timedelta(1))
        .sign(key, how)  # type: ignore[arg-type]
    )  # fmt: skip
    return made.public_bytes(Encoding.PEM)


@pytest.mark.parametrize("how", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_a_certificate_is_hashed_as_it_was_signed(how: hashes.HashAlgorithm) -> None:
    pem = signed_with(how)
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    assert end_point(pem) == b"tls-server-end-point:" + hashlib.new(how.name, der).digest()


def test_sha_1_counts_as_sha_256(tmp_path: Path) -> None:
    file = tmp_path / "old.pem"
    subprocess.run(
        [needs("openssl"), "req", "-x509", "-sha1", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ex1",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(file)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA1)
    der = certificate.public_bytes(Encoding.DER)
    assert end_point(file.read_bytes()).endswith(b":" + hashlib.sha256(der).digest())


def test_the_chain_behind_a_certificate_does_not_count() -> None:
    pem = Authority().certificate("ex1.town.example").pem
    assert end_point(pem + signed_with(hashes.SHA512())) == end_point(pem)
