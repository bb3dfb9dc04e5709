"""Our reader of LDAP entries says what ldap3's own says, however the bytes come."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.sources.directory_reader import Entries, Names, plug_in, read_entry
from tests.lab.town_directory import LDAPException, ldap3

VALUES = st.dictionaries(
    st.text(min_size=1, max_size=12), st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    max_size=6,
)  # fmt: skip
ENTRIES = st.lists(st.tuples(st.text(max_size=60), VALUES), max_size=6)


def ber(kind: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes((kind, len(content))) + content
    length = len(content).to_bytes(4, "big").lstrip(b"\0")
    return bytes((kind, 128 + len(length))) + length + content


def entry(dn: str, values: dict[str, list[bytes]], number: int = 7) -> bytes:
    attributes = b"".join(
        ber(0x30, ber(4, name.encode()) + ber(0x31, b"".join(ber(4, one) for one in of)))
        for name, of in values.items()
    )
    body = ber(0x64, ber(4, dn.encode()) + ber(0x30, attributes))
    return ber(0x30, ber(2, bytes((number,))) + body)


def done(number: int = 7, code: int = 0) -> bytes:
    return ber(
        0x30,
        ber(2, bytes((number,))) + ber(0x65, ber(10, bytes((code,))) + ber(4, b"") + ber(4, b"")),
    )


class Socket:
    """Gives bytes in pieces, and then nothing."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    def recv(self, size: int) -> bytes:
        return next(self.pieces, b"")


def connection(content: bytes, size: int = 4096) -> Any:
    made: Any = ldap3.Connection(ldap3.Server("dc1.invalid"), client_strategy=ldap3.SYNC)
    pieces = (content[at : at + size] for at in range(0, len(content), size))
    made.socket = Socket(pieces)
    return made


@given(ENTRIES, st.integers(1, 500))
def test_entries_are_those_that_were_sent(
    sent: list[tuple[str, dict[str, list[bytes]]]], size: int
) -> None:
    content = b"".join(entry(*one) for one in sent) + done()
    found = Entries(connection(content, size))(7, None)
    assert [(one["dn"], one["raw_attributes"]) for one in found[:-2]] == sent
    assert found[-2]["type"] == "searchResDone" and found[-2]["result"] == 0


@given(st.binary(max_size=200))
def test_bytes_that_are_no_entry_are_refused_and_nothing_else(noise: bytes) -> None:
    whole = entry("CN=a", {"member": [b"x"]})
    for message in (noise, whole[: len(noise) % len(whole)], whole[:9] + noise):
        try:
            read_entry(message, 7, Names(()))
        except (IndexError, UnicodeDecodeError):
            continue


def test_what_comes_for_another_question_or_breaks_off_is_an_error() -> None:
    with pytest.raises(LDAPException, match="ended the conversation"):
        Entries(connection(done(0)))(7, None)
    with pytest.raises(ConnectionResetError):
        Entries(connection(entry("CN=a", {})[:-1]))(7, None)
    with pytest.raises(LDAPException, match="without a length"):
        Entries(connection(b"\x30\x84\xff\xff\xff\xff"))(7, None)
    broken = bytearray(entry("CN=a", {"x": [b"abc"]}))
    broken[-4] = 200
    with pytest.raises(LDAPException, match="that is none"):
        Entries(connection(bytes(broken)))(7, None)


def test_ldap3_still_has_the_place_where_it_is_plugged_in() -> None:
    found = connection(b"")
    assert plug_in(found)
    assert isinstance(found.strategy._get_response, Entries)
