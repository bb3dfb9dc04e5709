"""The parts of WS-Management alone: envelopes, seals, tokens, accounts."""

import base64
import contextlib
import errno
import struct
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from xml.etree.ElementTree import fromstring

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.accounts import Account, Accounts, BadAccount
from mailmig.lab.wsman import encryption, envelopes
from mailmig.lab.wsman.authentication import Doorkeeper, Logon, ntlm_name
from mailmig.model.secret import Secret
from tests.lab.remote_servers import envelope

TEXT = st.text(st.characters(exclude_categories=["C"]), max_size=20)


@given(st.binary(max_size=400))
def test_bytes_are_a_request_or_a_fault(raw: bytes) -> None:
    with pytest.raises(envelopes.Fault):
        envelopes.parse(raw)


@given(st.integers(0, 2000), st.integers(0, 255))
def test_a_request_with_one_wrong_byte_is_a_request_or_a_fault(at: int, byte: int) -> None:
    raw = bytearray(envelope("http://town.example/a", "<rsp:Shell/>", shell="1"))
    raw[at % len(raw)] = byte
    with contextlib.suppress(envelopes.Fault):
        envelopes.parse(bytes(raw))


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_read_as_seconds(minutes: int, seconds: int, thousandths: int) -> None:
    text = f"PT{minutes}M{seconds}.{thousandths:03}S"
    expected = timedelta(minutes=minutes, seconds=seconds, milliseconds=thousandths)
    assert envelopes.seconds(text, -1) == pytest.approx(expected.total_seconds())


@given(st.text(max_size=12))
def test_what_is_no_duration_is_the_default(text: str) -> None:
    assert envelopes.seconds(text, 7.0) >= 0


@given(TEXT, TEXT)
def test_a_fault_is_xml_whatever_it_says(reason: str, message_id: str) -> None:
    made = envelopes.fault(envelopes.Fault(1, "w:TimedOut", reason), message_id, 'E"X&1')
    root = fromstring(made)
    text = root.find("s:Body/s:Fault/s:Reason/s:Text", envelopes.NAMES)
    assert text is not None and (text.text or "") == reason
    related = root.findtext("s:Header/a:RelatesTo", "", envelopes.NAMES)
    assert related == message_id


@dataclass
class Plain:
    """A session that seals with eight zeros and an exclusive or."""

    header: bytes = bytes(8)
    data: bytes = b""
    padding_length: int = 0

    def wrap_winrm(self, data: bytes) -> "Plain":
        return Plain(data=bytes(byte ^ 0x5A for byte in data))

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        if header != bytes(8):
            raise ValueError("a broken seal")
        return bytes(byte ^ 0x5A for byte in data)


@given(st.binary(max_size=300), st.booleans())
def test_what_is_sealed_can_be_opened(body: bytes, stray_blank: bool) -> None:
    kind, sealed = encryption.seal(Plain(), encryption.SPNEGO, body, stray_blank=stray_blank)
    assert encryption.protocol(kind) == encryption.SPNEGO
    assert encryption.unseal(Plain(), sealed) == body
    assert sealed.startswith(b"-- " if stray_blank else b"--E")


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_what_was_not_sealed_is_unreadable(head: bytes, tail: bytes) -> None:
    body = head + b"application/octet-stream\r\n" + struct.pack("<I", 2**31) + tail
    for broken in (head, body, body + b"--Encrypted Boundary--\r\n"):
        with pytest.raises(encryption.Unreadable):
            encryption.unseal(Plain(), broken)


@given(st.sampled_from(["NTLM", "Negotiate", "Basic", "Kerberos", ""]), st.binary(max_size=120))
def test_no_token_breaks_the_door(scheme: str, token: bytes) -> None:
    accounts = Accounts([Account("anna", "town.example", Secret("right"))])
    door = Doorkeeper(accounts, ("Negotiate", "NTLM", "Basic"))
    for start in (b"", b"NTLMSSP\x00\x01\x00\x00\x00", b"NTLMSSP\x00\x03\x00\x00\x00"):
        text = base64.b64encode(start + token).decode()
        verdict = door.admit(Logon(), f"{scheme} {text}")
        assert verdict.account is None
        assert verdict.headers


def test_an_endpoint_without_ntlm_refuses_its_first_message_and_offers_no_more() -> None:
    accounts = Accounts([Account("anna", "town.example", Secret("right"))])
    first = spnego.client("TOWN\\anna", "right", protocol="ntlm").step()
    assert first is not None
    for takes_ntlm in (True, False):
        door = Doorkeeper(accounts, ("Negotiate", "Kerberos"), takes_ntlm=takes_ntlm)
        verdict = door.admit(Logon(), f"Negotiate {base64.b64encode(first).decode()}")
        offered = (b"www-authenticate", b"Negotiate") in verdict.headers
        assert verdict.account is None and offered is not takes_ntlm
    assert not accounts.attempts


def test_a_full_disk_is_nobodys_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = Accounts([Account("anna", "town.example", Secret("Passw0rd"))])
    door, logon = Doorkeeper(accounts, ("NTLM",)), Logon()
    client = spnego.client("TOWN\\anna", "Passw0rd", protocol="ntlm")

    def header(challenge: bytes | None) -> str:
        token = client.step(challenge)
        assert token is not None
        return f"NTLM {base64.b64encode(token).decode()}"

    ((_, said),) = door.admit(logon, header(None)).headers
    last = header(base64.b64decode(said.partition(b" ")[2]))

    def full(**options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
    with pytest.raises(OSError, match="No space"):
        door.admit(logon, last)
    assert (accounts.wrong("TOWN\\anna"), logon.session, logon.account) == (0, None, None)


def test_a_header_that_is_no_base64_is_refused() -> None:
    door = Doorkeeper(Accounts(), ("Negotiate", "NTLM", "Basic"))
    for header in ("Basic ???", "NTLM ü", "Basic", " "):
        assert door.admit(Logon(), header).account is None


def test_a_scheme_that_is_not_offered_is_refused() -> None:
    accounts = Accounts([Account("anna", "town.example", Secret("right"))])
    header = "Basic " + base64.b64encode(b"anna:right").decode()
    assert Doorkeeper(accounts, ("Negotiate",)).admit(Logon(), header).account is None
    assert Doorkeeper(accounts, ("Basic",)).admit(Logon(), header).account is not None


@given(st.binary(max_size=100))
def test_the_name_in_a_token_is_read_or_is_empty(rest: bytes) -> None:
    name = ntlm_name(b"NTLMSSP\x00\x03\x00\x00\x00" + rest)
    assert isinstance(name, str)


@given(st.lists(st.booleans(), max_size=12))
def test_an_account_is_locked_by_three_wrong_passwords_in_a_row(rights: list[bool]) -> None:
    accounts = Accounts([Account("anna", "town.example", Secret("right"))])
    wrong = 0
    for right in rights:
        let_in = accounts.check("TOWN\\anna", "right" if right else "guess", "Basic")
        locked = wrong >= 3
        assert (let_in is not None) == (right and not locked)
        wrong = 0 if let_in is not None else wrong + 1
    assert accounts.is_locked(next(iter(accounts))) == (wrong >= 3)
    assert [attempt.name for attempt in accounts.attempts] == ["TOWN\\anna"] * len(rights)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("anna", True), ("ANNA", True), ("town\\anna", True), ("TOWN.EXAMPLE\\anna", True),
        ("anna@town.example", True), ("anna@town", True), ("anna@other.example", False),
        ("other\\anna", False), ("bert", False), ("", False), ("town\\", False),
    ],
)  # fmt: skip
def test_an_account_is_found_by_its_names(name: str, known: bool) -> None:
    accounts = Accounts([Account("anna", "town.example", Secret("right"))])
    assert (accounts.find(name) is not None) == known


@pytest.mark.parametrize(
    ("name", "domain", "password"),
    [("an:na", "t", "x"), ("anna", "t\n", "x"), ("anna", "t", "x:y"), ("anna", "t", "x\r")],
)
def test_an_account_that_no_protocol_can_carry_is_refused(
    name: str, domain: str, password: str
) -> None:
    with pytest.raises(BadAccount, match="choose another"):
        Account(name, domain, Secret(password))


def test_a_password_is_never_shown() -> None:
    assert "right" not in repr(Account("anna", "town.example", Secret("right")))
