"""Security descriptors: the sample printed in MS-DTYP 2.5.1.4, round trips, broken bytes."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.wire import security_descriptor as sd
from mailmig.wire.security_descriptor import BadDescriptor, Descriptor, Entry

# MS-DTYP 2.5.1.4: "O:BAG:BAD:P(A;CIOI;GRGX;;;BU)(A;CIOI;GA;;;BA)(A;CIOI;GA;;;SY)
# (A;CIOI;GA;;;CO)S:P(AU;FA;GR;;;WD)" in self-relative form.
PRINTED = bytes.fromhex(
    "010014b090000000a000000014000000"
    "3000000002001c000100000002801400"
    "00000080010100000000000100000000"
    "020060000400000000031800000000a0"
    "01020000000000052000000021020000"
    "00031800000000100102000000000005"
    "20000000200200000003140000000010"
    "01010000000000051200000000031400"
    "00000010010100000000000300000000"
    "01020000000000052000000020020000"
    "01020000000000052000000020020000"
)
ANNA, BEN = (sd.sid_bytes(f"S-1-5-21-1-2-3-{rid}") for rid in (1104, 1105))
OTHER_RIGHT = UUID("ab721a56-1e2f-11d0-9819-00aa0040529b")

SIDS = st.builds(
    lambda authority, parts: sd.sid_bytes("-".join(("S-1", str(authority), *map(str, parts)))),
    st.integers(0, 2**48 - 1),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
)
FLAGS, MASKS = st.integers(0, 255), st.integers(0, 2**32 - 1)
PLAIN = st.builds(Entry, st.sampled_from((sd.ALLOW, sd.DENY)), FLAGS, MASKS, SIDS)
OF_OBJECTS = st.builds(
    Entry, st.sampled_from((sd.ALLOW_OBJECT, sd.DENY_OBJECT)), FLAGS, MASKS, SIDS,
    st.none() | st.uuids(), st.none() | st.uuids(),
)  # fmt: skip
LISTS = st.none() | st.lists(PLAIN | OF_OBJECTS, max_size=6).map(tuple)
DESCRIPTORS = st.builds(Descriptor, st.none() | SIDS, st.none() | SIDS, LISTS, LISTS)


def test_the_printed_sample_is_read_as_its_text_says() -> None:
    found = sd.read(PRINTED)
    assert found.owner is not None and sd.sid_text(found.owner) == "S-1-5-32-544"
    assert found.group == found.owner
    assert found.dacl is not None and found.sacl is not None
    assert [(e.kind, e.flags, hex(e.mask), sd.sid_text(e.sid)) for e in found.dacl] == [
        (sd.ALLOW, 3, "0xa0000000", "S-1-5-32-545"),
        (sd.ALLOW, 3, "0x10000000", "S-1-5-32-544"),
        (sd.ALLOW, 3, "0x10000000", "S-1-5-18"),
        (sd.ALLOW, 3, "0x10000000", "S-1-3-0"),
    ]
    assert [(e.kind, e.flags, hex(e.mask), sd.sid_text(e.sid)) for e in found.sacl] == [
        (2, 0x80, "0x80000000", "S-1-1-0")
    ]


def test_the_printed_sample_is_written_with_the_same_meaning() -> None:
    found = sd.read(PRINTED)
    written = sd.write(found)
    assert len(written) == len(PRINTED)
    assert sd.read(written) == found


@given(DESCRIPTORS)
def test_what_is_written_is_read_again(descriptor: Descriptor) -> None:
    again = sd.read(sd.write(descriptor))
    assert (again.owner, again.group) == (descriptor.owner, descriptor.group)
    assert (again.dacl, again.sacl) == (descriptor.dacl, descriptor.sacl)


@given(DESCRIPTORS)
def test_the_quick_way_finds_what_the_whole_reading_finds(descriptor: Descriptor) -> None:
    raw = sd.write(descriptor)
    explicit = [e for e in descriptor.dacl or () if not e.flags & sd.INHERITED]
    assert sd.full_access(raw) == list(
        dict.fromkeys(
            e.sid for e in explicit if e.kind == sd.ALLOW and e.mask & 1 and e.sid != sd.SELF
        )
    )


@given(SIDS)
def test_a_sid_keeps_its_bytes_through_its_text(sid: bytes) -> None:
    assert sd.sid_bytes(sd.sid_text(sid)) == sid


@given(st.binary(max_size=200) | st.integers(0, len(PRINTED) - 1).map(lambda n: PRINTED[:n]))
def test_broken_bytes_are_refused_and_nothing_else_happens(raw: bytes) -> None:
    for read in (sd.read, sd.full_access, sd.send_as):
        try:
            read(raw)
        except BadDescriptor as error:
            assert str(error)


@given(st.integers(0, len(PRINTED) * 8 - 1))
def test_one_wrong_bit_never_breaks_the_reader(place: int) -> None:
    raw = bytearray(PRINTED)
    raw[place // 8] ^= 1 << place % 8
    for read in (sd.read, sd.full_access, sd.send_as):
        try:
            read(bytes(raw))
        except BadDescriptor as error:
            assert str(error)


def test_send_as_is_the_extended_right_of_that_name_and_no_other() -> None:
    control = sd.CONTROL_ACCESS
    raw = sd.write(
        Descriptor(
            dacl=(
                Entry(sd.ALLOW_OBJECT, 0, control, ANNA, sd.SEND_AS),
                Entry(sd.ALLOW_OBJECT, 0, control, ANNA, sd.SEND_AS, OTHER_RIGHT),
                Entry(sd.ALLOW_OBJECT, 0, control, BEN, OTHER_RIGHT),
                Entry(sd.ALLOW_OBJECT, sd.INHERITED, control, BEN, sd.SEND_AS),
                Entry(sd.DENY_OBJECT, 0, control, BEN, sd.SEND_AS),
                Entry(sd.ALLOW_OBJECT, 0, 0x10, BEN, sd.SEND_AS),
                Entry(sd.ALLOW_OBJECT, 0, control, BEN),
                Entry(sd.ALLOW, 0, 0xF01FF, BEN),
                Entry(sd.ALLOW_OBJECT, 0, control, sd.SELF, sd.SEND_AS),
            )
        )
    )
    assert sd.send_as(raw) == [ANNA]


def test_full_access_is_explicit_allowing_and_not_the_owners_own() -> None:
    raw = sd.write(
        Descriptor(
            dacl=(
                Entry(sd.ALLOW, 0, 0x20001, sd.SELF),
                Entry(sd.ALLOW, 2, 1, ANNA),
                Entry(sd.ALLOW, sd.INHERITED, 1, BEN),
                Entry(sd.DENY, 0, 1, BEN),
                Entry(sd.ALLOW, 0, 0x20000, BEN),
            )
        )
    )
    assert sd.full_access(raw) == [ANNA]


def test_without_a_list_nobody_is_named() -> None:
    assert sd.full_access(sd.write(Descriptor(owner=ANNA))) == []
    assert sd.read(sd.write(Descriptor(dacl=()))).dacl == ()
    assert sd.read(sd.write(Descriptor())).dacl is None


@pytest.mark.parametrize("text", ["", "S", "S-1", "S-2-5-10", "T-1-5-10", "S-1-5-x", "S-1-5--1"])
def test_a_text_that_is_no_sid_is_refused(text: str) -> None:
    with pytest.raises(BadDescriptor, match="no SID"):
        sd.sid_bytes(text)


@pytest.mark.parametrize("raw", [b"", b"\1\1\0\0\0\0\0\5", b"\2\0\0\0\0\0\0\5"])
def test_bytes_that_are_no_sid_are_refused(raw: bytes) -> None:
    with pytest.raises(BadDescriptor, match="no SID"):
        sd.sid_text(raw)
