"""The parts of remote PowerShell alone: fragments, Select-Object, values."""

import itertools
import struct
import uuid
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import fromstring

import psrpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psrpcore import types
from pypsrp.powershell import Fragment

from mailmig.lab.exchange.calls import Call, Item
from mailmig.lab.exchange.messages import Outbox, message_header, messages
from mailmig.lab.exchange.plain import plain
from mailmig.lab.exchange.selecting import Refused, Selection
from mailmig.model.secret import Secret
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj

MESSAGES = st.lists(st.binary(min_size=1, max_size=3000), max_size=12)
ROOMS = st.lists(st.integers(22, 4000), min_size=1, max_size=6)


def answers(put: list[bytes], rooms: list[int]) -> Iterator[bytes]:
    box = Outbox(itertools.count(1))
    for message in put:
        box.put(message)
    assert box.waiting == sum(map(len, put))
    for room in itertools.cycle(rooms):
        data = box.take(room)
        assert len(data) <= room
        if not data:
            assert box.waiting == 0
            return
        yield data


@given(MESSAGES, ROOMS)
def test_strangers_put_fragments_together_again(put: list[bytes], rooms: list[int]) -> None:
    """pypsrp's own reader, whatever room each answer had."""
    found: list[bytes] = []
    parts: dict[int, bytes] = {}
    counts: dict[int, int] = {}
    for data in answers(put, rooms):
        while data:
            fragment, data = Fragment.unpack(data)
            number = fragment.object_id
            assert fragment.fragment_id == counts.get(number, 0)
            assert fragment.start == (number not in parts)
            counts[number] = fragment.fragment_id + 1
            parts[number] = parts.get(number, b"") + fragment.data
            if fragment.end:
                found.append(parts[number])
    assert found == put
    assert list(parts) == list(range(1, len(put) + 1))


@given(MESSAGES)
def test_messages_come_out_of_whole_fragments(put: list[bytes]) -> None:
    box = Outbox(itertools.count(1))
    for message in put:
        box.put(message)
    assert list(messages(box.take(10**6))) == put


def test_a_room_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 21"):
        Outbox(itertools.count(1)).take(21)


@given(st.uuids(), st.uuids() | st.none())
def test_a_header_is_the_one_that_psrpcore_writes(pool: uuid.UUID, pipe: uuid.UUID | None) -> None:
    half = psrpcore.ServerRunspacePool()
    half.runspace_pool_id = pool
    half.prepare_message(types.PSString("x"), types.PSRPMessageType.PipelineOutput, pipe)
    payload = half.data_to_send()
    assert payload is not None
    (theirs,) = messages(payload.data)
    assert theirs[:40] == message_header(0x00041004, pool, pipe)
    assert struct.unpack_from("<I", theirs) == (1,)


NAMES = st.sampled_from(["Name", "Size", "Größe", "a b", "Q<&>", "Database", "database2"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | TEXTS
TYPES = st.sampled_from([("A", "System.Object"), ("B", "A", "System.Object"), ()])
NESTED = st.builds(
    Obj, TYPES, st.none() | TEXTS, adapted=st.dictionaries(NAMES, SCALARS, max_size=3)
)
VALUES = SCALARS | NESTED | st.lists(SCALARS, max_size=3) | st.lists(NESTED, max_size=2)


@given(
    st.dictionaries(NAMES, VALUES, max_size=6),
    st.dictionaries(st.sampled_from(["Extra", "RunspaceId"]), VALUES, max_size=2),
    st.lists(NAMES | st.just("Extra") | st.just("Missing"), min_size=1, max_size=5, unique=True),
    TYPES,
)
def test_select_object_keeps_what_was_asked_for(
    adapted: dict[str, Any], extended: dict[str, Any], asked: list[str], kind: tuple[str, ...]
) -> None:
    item = Item.of(Obj(kind, "text", adapted=adapted, extended=extended))
    (before,) = clixml.loads(item.xml)
    (after,) = clixml.loads(Selection(tuple(asked)).item(item).xml)
    assert isinstance(before, Obj) and isinstance(after, Obj)
    members = {**before.adapted, **before.extended}
    assert after.adapted == {}
    assert after.extended == {name: members.get(name) for name in asked}
    first = kind[0] if kind else "System.Object"
    assert after.types[0] == f"Selected.{first}"
    assert after.text is None


def test_an_object_that_is_named_by_number_is_put_in() -> None:
    inner = Obj(("T", "System.Object"), "inner", extended={"a": 1})
    item = Item.of(Obj(("T", "System.Object"), "o", extended={"One": inner, "Two": inner}))
    assert "<Ref " in str(item.xml) and "<TNRef " in str(item.xml)
    (after,) = clixml.loads(Selection(("Two",)).item(item).xml)
    assert isinstance(after, Obj)
    assert after.extended == {"Two": inner}
    numbers = [
        e.get("RefId") for e in fromstring(Selection(("Two", "One")).item(item).xml).iter("TN")
    ]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("name",), ["Name"]),
        (("*",), ["Name", "SendQuota", "WarnQuota"]),
        (("*quota", "Name"), ["SendQuota", "WarnQuota", "Name"]),
        (("W?rnQuota",), ["WarnQuota"]),
        (("[Name]",), ["[Name]"]),
        (("Nothing*",), []),
    ],
)
def test_names_may_have_any_case_and_wildcards(names: tuple[str, ...], expected: list[str]) -> None:
    item = Item.of(Obj((), extended={"Name": "a", "SendQuota": "b", "WarnQuota": "c"}))
    (after,) = clixml.loads(Selection(names).item(item).xml)
    assert isinstance(after, Obj)
    assert list(after.extended) == expected


def test_calls_of_select_object_are_read_as_powershell_reads_them() -> None:
    for name in ("Property", "property", "Prop", "P", None):
        assert Selection.of(Call("select", ((name, ["a", "b"]),))) == Selection(("a", "b"))
    assert Selection.of(Call("select", ((None, "a"), (None, "b")))) == Selection(("a", "b"))
    for name in ("First", "ExpandProperty", "Unique"):
        with pytest.raises(Refused, match=f"parameter name '{name}'"):
            Selection.of(Call("select", ((name, 1),)))
    with pytest.raises(Refused, match="calculated"):
        Selection.of(Call("select", (("Property", [{"n": "x"}]),)))


@given(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=8), st.uuids())
def test_values_lose_their_kind_and_nothing_else(
    text: str, number: int, data: bytes, some: uuid.UUID
) -> None:
    given_: list[tuple[Any, Any]] = [
        (types.PSString(text), text), (types.PSInt64(number), number),
        (types.PSByteArray(data), data), (types.PSGuid(int=some.int), some),
        (types.PSList([types.PSString(text), types.PSBool(True)]), [text, True]),
        (types.PSDict({types.PSString("k"): types.PSInt64(number)}), {"k": number}),
        (types.PSSecureString(text), Secret(text)), (None, None),
    ]  # fmt: skip
    for value, expected in given_:
        found = plain(value)
        assert found == expected
        assert type(found) is type(expected)


def test_an_object_with_a_text_becomes_that_text() -> None:
    value = types.PSObject()
    value.PSObject.to_string = "DB1"
    assert plain(value) == "DB1"
