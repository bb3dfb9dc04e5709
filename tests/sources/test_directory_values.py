"""Raw values: KB and bytes, absent and broken, names with every sign in them."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.places import Places, rdn
from mailmig.model.organisation import NO_BUILD
from mailmig.model.quota import UNKNOWN, UNLIMITED
from mailmig.sources.directory_values import (
    Raw,
    Values,
    above,
    canonical,
    canonical_unit,
    first,
    key,
    parent,
)  # fmt: skip

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: name.strip() == name
)


def values(**raw: list[bytes]) -> Values:
    found = Values()
    taken: Raw = raw
    found.take("CN=x", taken)
    return found


def test_a_limit_is_kilobytes_there_and_bytes_here() -> None:
    found = values(a=[b"2097151"], zero=[b"0"])
    assert found.quota("a") == 2_147_482_624
    assert found.quota("zero") == 0
    assert found.quota("absent") is UNLIMITED
    assert not found.faults


@pytest.mark.parametrize("broken", [b"", b"-1", b"many", b"1.5", b"\xff"])
def test_a_limit_that_cannot_be_read_is_unknown_and_counted(broken: bytes) -> None:
    found = values(a=[broken])
    assert found.quota("a") is UNKNOWN
    assert found.faults == {"a": 1}


def test_what_cannot_be_read_is_missing_and_counted() -> None:
    found = values(guid=[b"short"], flag=[b"yes"], number=[b"x"], text=[b"\xff"])
    assert (found.guid("guid"), found.flag("flag"), found.number("number")) == ("", None, None)
    assert found.text("text") == "\ufffd"
    assert found.faults == {"guid": 1, "flag": 1, "number": 1, "text": 1}


def test_a_guid_has_its_first_parts_turned_round() -> None:
    raw = bytes(range(16))
    assert values(g=[raw]).guid("g") == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert UUID("03020100-0504-0706-0809-0a0b0c0d0e0f").bytes_le == raw


@pytest.mark.parametrize(
    ("text", "build"),
    [
        (b"Version 15.2 (Build 32562.17)", (15, 2, 2562, 17)),
        (b"Version 15.1 (Build 2507.6)", (15, 1, 2507, 6)),
        (b"Version 14.3 (Build 30123.4)", (14, 3, 123, 4)),
        (b"something else", NO_BUILD),
    ],
)
def test_a_build_loses_the_thirty_thousand_that_the_directory_adds(
    text: bytes, build: tuple[int, int, int, int]
) -> None:
    assert values(b=[text]).build("b") == build


@given(st.lists(NAMES, min_size=1, max_size=4), NAMES)
def test_names_are_taken_apart_and_written_as_exchange_prints_them(
    path: list[str], name: str
) -> None:
    places = Places("town.example", "Town")
    dn = places.distinguished(tuple(path), name)
    assert first(dn) == name
    assert parent(dn) == above(dn) == places.unit(tuple(path))[1]
    if path[0] not in ("Users", "Microsoft Exchange System Objects"):
        assert canonical(dn) == places.canonical(tuple(path), name)
        assert canonical_unit(parent(dn)) == places.unit(tuple(path))[0]


@given(NAMES)
def test_names_are_equal_however_they_are_escaped(name: str) -> None:
    hexed = "".join(f"\\{byte:02x}" for byte in name.encode())
    assert key(f"CN={rdn(name)},DC=x") == key(f"cn={hexed},dc=x")
    assert key(f"CN={hexed}x,DC=x") != key(f"cn={hexed},dc=x")
