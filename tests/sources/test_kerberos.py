"""Kerberos without a domain: what its numbers mean, what is missing, and sealed connections.

With a domain, see `tests/samba`.
"""

import socket
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spnego.exceptions import SpnegoError

from mailmig.model.errors import MailmigError, MissingExtra
from mailmig.model.secret import Secret
from mailmig.sources import kerberos
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_errors import BadLogon
from mailmig.sources.directory_kerberos import Sealed
from mailmig.sources.directory_settings import Encryption, Logon
from mailmig.sources.kerberos_errors import (
    ClocksApart,
    KdcUnreachable,
    KerberosFailed,
    NoPasswordHere,
    NoTicket,
    TicketExpired,
    TicketRefused,
    UnknownService,
)
from mailmig.sources.remote_logon import LogonGate

BASE = -1_765_328_384
NAME = "ls-dc1.town.example"


class _Broken(Exception):
    """An error of gssapi (`min_code`, without a sign) or of krb5 (`err_code`)."""

    def __init__(self, **codes: int) -> None:
        super().__init__("Major (851968): Unspecified, Minor (2529638919): Server not found")
        self.__dict__.update(codes)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (6, TicketRefused), (18, TicketRefused), (23, TicketRefused), (24, TicketRefused),
        (31, TicketRefused), (210, TicketRefused), (7, UnknownService), (37, ClocksApart),
        (148, ClocksApart), (32, TicketExpired), (154, KdcUnreachable), (156, KdcUnreachable),
        (195, NoTicket), (141, NoTicket), (14, KerberosFailed), (60, KerberosFailed),
    ],
)  # fmt: skip
def test_each_number_is_one_thing_to_do(number: int, kind: type[MailmigError]) -> None:
    of_gssapi = _Broken(maj_code=851_968, min_code=BASE + number + 2**32)
    of_spnego = SpnegoError(base_error=of_gssapi, context_msg="Processing security token")
    for error in (of_gssapi, of_spnego, _Broken(err_code=BASE + number)):
        found = kerberos.meaning(error, NAME, "HTTP", "anna@TOWN.EXAMPLE")
        assert type(found) is kind
        assert "Major" not in str(found) and "Minor" not in str(found)


def test_what_is_not_kerberos_affair_has_no_meaning_there() -> None:
    assert kerberos.meaning(ValueError("x"), NAME, "HTTP", "") is None
    assert kerberos.meaning(SpnegoError(error_code=9, context_msg="x"), NAME, "HTTP", "") is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows brings its own")
@pytest.mark.parametrize("package", ["gssapi", "krb5"])
async def test_what_is_missing_is_named_and_nothing_is_shown(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    gate = LogonGate()
    with pytest.raises(MissingExtra, match=r"mailmig\[kerberos\]"):
        kerberos.log_on("anna@town.example", Secret("geheim"), gate, "logging on")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = DirectorySettings(logon=Logon.KERBEROS, encryption=Encryption.NONE)
        addresses = {(NAME, 389): listening.getsockname()[:2]}
        with pytest.raises(MissingExtra):
            await Directory(NAME, settings, addresses).open()
        line, _ = listening.accept()
        with line:
            assert line.recv(100) == b""


def test_on_windows_a_password_is_not_shown_past_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kerberos.sys, "platform", "win32")  # type: ignore[attr-defined]
    with pytest.raises(NoPasswordHere, match="runas"):
        kerberos.log_on("anna@town.example", Secret("geheim"), LogonGate(), "logging on")
    assert kerberos.log_on("", None, LogonGate(), "logging on") is None


async def test_a_password_of_nobody_is_refused_before_anything_is_sent() -> None:
    settings = DirectorySettings(logon=Logon.KERBEROS, password=Secret("geheim"))
    with pytest.raises(BadLogon, match="account is not set"):
        await Directory(NAME, settings).open()


class _Turned:
    """Seals by turning the bytes round; what does not end with the mark cannot be opened."""

    def wrap(self, data: bytes) -> Any:
        return type("Wrapped", (), {"data": data[::-1] + b"!"})

    def unwrap(self, data: bytes) -> Any:
        if not data.endswith(b"!"):
            raise SpnegoError(error_code=9, context_msg="no")
        return type("Opened", (), {"data": data[-2::-1] if len(data) > 1 else b""})


@given(st.binary(max_size=9000), st.integers(0, 5000), st.integers(1, 700))
def test_what_is_sealed_arrives_whole(data: bytes, most: int, at_a_time: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        context: Any = _Turned()
        sender, receiver = Sealed(ours, context, most), Sealed(theirs, context, most)
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        got = bytearray()
        while part := receiver.recv(at_a_time):
            assert len(part) <= at_a_time
            got += part
    assert bytes(got) == data


@pytest.mark.parametrize(
    "broken", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x01abc", b"\x00\x00\x00\x03abc"]
)
def test_what_cannot_be_opened_ends_the_connection(broken: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(broken)
        ours.shutdown(socket.SHUT_WR)
        context: Any = _Turned()
        with pytest.raises(OSError, match="sealed answer"):
            Sealed(theirs, context, 0).recv(10)


@pytest.mark.parametrize("broken", [b"", b"\x00\x00", b"\x00\x00\x00\x05ab"])
def test_a_connection_that_breaks_off_is_at_its_end(broken: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(broken)
        ours.shutdown(socket.SHUT_WR)
        context: Any = _Turned()
        assert Sealed(theirs, context, 0).recv(10) == b""
