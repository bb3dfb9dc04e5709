"""What is written is read back equal, value and kind, whatever it is."""

import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailmig.wire import clixml


def joined(text: str) -> str:
    """Two halves side by side are one character, to everybody who speaks UTF-16."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


ANY_TEXT = st.one_of(
    st.text(st.characters(codec=None, exclude_categories=[]), max_size=20),  # surrogates too
    st.text("_xX0041dD8\x00\r\n\t\x1f\x7f\x9f\ufffe\uffff\ud83d\ude00😀&<>\"' ", max_size=20),
    st.sampled_from(["_x0041_", "_x005F_x0041_", "__x000D__", "]]>", "<!--", "", " "]),
).map(joined)
UTC_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(0, 255).map(clixml.UInt8),
    st.integers(-128, 127).map(clixml.Int8),
    st.integers(-(2**15), 2**15 - 1).map(clixml.Int16),
    st.integers(0, 2**16 - 1).map(clixml.UInt16),
    st.integers(0, 2**32 - 1).map(clixml.UInt32),
    st.integers(-(2**31), 2**31 - 1).map(clixml.Int64),
    st.integers(0, 2**63 - 1).map(clixml.UInt64),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False, width=32).map(clixml.Single),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
)
TEXTS = st.one_of(
    ANY_TEXT,
    st.characters(codec=None, exclude_categories=[], max_codepoint=0xFFFF).map(clixml.Char),
    *(ANY_TEXT.map(kind) for kind in (clixml.Uri, clixml.Version, clixml.XmlText, clixml.Script)),
)
TIMES = st.one_of(
    st.datetimes(),
    st.datetimes(timezones=st.one_of(st.just(UTC), UTC_OFFSETS)),
    st.timedeltas(timedelta(days=-10675199), timedelta(days=10675199)),
)
INT32 = st.integers(-(2**31), 2**31 - 1)
PROGRESS = st.builds(
    clixml.Progress, ANY_TEXT, INT32, st.none() | ANY_TEXT.filter(bool), INT32, INT32, ANY_TEXT,
    INT32, ANY_TEXT,
)  # fmt: skip
PRIMITIVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, TIMES, st.binary(max_size=40), st.uuids(),
    st.just(clixml.SecureString()), PROGRESS,
)  # fmt: skip
NAMES = ANY_TEXT.filter(lambda name: name != "SerializationData")


def objects(inner: st.SearchStrategy[clixml.Value]) -> st.SearchStrategy[clixml.Value]:
    lists = st.lists(inner, max_size=3)
    members = st.dictionaries(NAMES, inner, max_size=4)
    values = st.one_of(
        PRIMITIVES,
        lists,
        lists.map(clixml.Stack),
        lists.map(clixml.Queue),
        lists.map(clixml.Enumerable),
        st.dictionaries(PRIMITIVES.filter(lambda key: key is not None), inner, max_size=3),
        inner.filter(lambda value: isinstance(value, clixml.Obj)),
    )
    return st.builds(
        clixml.Obj,
        st.lists(ANY_TEXT.filter(bool), max_size=3).map(tuple),
        st.none() | ANY_TEXT,
        members,
        st.dictionaries(NAMES, inner | members.map(clixml.MemberSet), max_size=3),
        values,
    )


VALUES: st.SearchStrategy[clixml.Value] = st.recursive(PRIMITIVES, objects, max_leaves=12)


def exact(value: object) -> object:
    """The value with the kinds of all its parts, so that an Int64 is no UInt8."""
    if isinstance(value, clixml.Obj):
        return (value.types, value.text, *map(exact, (value.adapted, value.extended, value.value)))
    if isinstance(value, list):
        return type(value), [exact(item) for item in value]
    if isinstance(value, dict):
        return type(value), [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, datetime):
        return value, value.utcoffset()
    if isinstance(value, float):
        return type(value), math.copysign(1, value), value
    return type(value), value


def file_of(values: list[clixml.Value]) -> bytes:
    stream = io.BytesIO()
    clixml.write(stream, values)
    return stream.getvalue()


@given(st.lists(VALUES, max_size=3))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@example(["\ud83d", "\ude00", "\ude00\ud83d", "_x005F_", "\r\n", "\ufffe\uffff"])
@example([-0.0, 5e-324, 1.7976931348623157e308, 1 / 12, math.inf, -math.inf])
@example([Decimal("0.1") ** 28, Decimal(2) ** 95])
@example([Decimal("1.50"), Decimal("1E+9"), Decimal("0E-10"), Decimal("-0")])
@example([timedelta(microseconds=-1), timedelta(days=-1), timedelta(0)])
def test_a_file_is_read_back_equal(values: list[clixml.Value]) -> None:
    data = file_of(values)
    assert exact(list(clixml.read(io.BytesIO(data)))) == exact(values)
    assert exact(clixml.loads(data)) == exact(values)


@given(VALUES)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_message_is_read_back_equal(value: clixml.Value) -> None:
    text = clixml.dumps(value)
    assert "\n" not in text and "xmlns" not in text
    assert exact(clixml.loads(text)) == exact([value])
    assert exact(clixml.loads(text.encode())) == exact([value])


@given(VALUES)
def test_what_is_written_is_plain_xml_to_everybody(value: clixml.Value) -> None:
    ElementTree.fromstring(clixml.dumps(value))
    ElementTree.fromstring(file_of([value]))


def test_the_file_has_the_shape_of_export_clixml(tmp_path: Path) -> None:
    kind = ("Selected.Microsoft.Exchange.Data.Directory.Management.Mailbox", "System.Object")
    enum = clixml.Obj(("My.Kind", "System.Enum"), "Room & more", value=clixml.Int64(16))
    empty = clixml.Obj(("System.Collections.ArrayList", "System.Object"), value=[])
    first = clixml.Obj(kind, "", {"Name": 'a "b"', 'x"y': "", "None": None}, {"Kind": enum})
    second = clixml.Obj(kind, None, {"Kind": enum, "Same": enum, "List": empty})
    file = tmp_path / "Get-Mailbox.xml"
    with file.open("wb") as stream:
        clixml.write(stream, [first, second])
    lines = """\
<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">
  <Obj RefId="0">
    <TN RefId="0">
      <T>Selected.Microsoft.Exchange.Data.Directory.Management.Mailbox</T>
      <T>System.Object</T>
    </TN>
    <ToString />
    <Props>
      <S N="Name">a "b"</S>
      <S N="x&quot;y"></S>
      <Nil N="None" />
    </Props>
    <MS>
      <Obj N="Kind" RefId="1">
        <TN RefId="1">
          <T>My.Kind</T>
          <T>System.Enum</T>
        </TN>
        <ToString>Room &amp; more</ToString>
        <I64>16</I64>
      </Obj>
    </MS>
  </Obj>
  <Obj RefId="2">
    <TNRef RefId="0" />
    <Props>
      <Obj N="Kind" RefId="3">
        <TNRef RefId="1" />
        <ToString>Room &amp; more</ToString>
        <I64>16</I64>
      </Obj>
      <Ref N="Same" RefId="3" />
      <Obj N="List" RefId="4">
        <TN RefId="2">
          <T>System.Collections.ArrayList</T>
          <T>System.Object</T>
        </TN>
        <LST />
      </Obj>
    </Props>
  </Obj>
</Objs>"""
    assert file.read_bytes() == b"\xef\xbb\xbf" + lines.replace("\n", "\r\n").encode()
    assert list(clixml.read(file)) == [first, second]


def test_a_file_of_no_objects_is_one_empty_element() -> None:
    assert file_of([]) == (
        b'\xef\xbb\xbf<Objs Version="1.1.0.1" '
        b'xmlns="http://schemas.microsoft.com/powershell/2004/04" />'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (10.0, "<Db>10</Db>"),
        (1 / 12, "<Db>0.083333333333333329</Db>"),
        (1e16, "<Db>1E+16</Db>"),
        (math.nan, "<Db>NaN</Db>"),
        (2**31, "<I64>2147483648</I64>"),
        (2**63, "<U64>9223372036854775808</U64>"),
        (True, "<B>true</B>"),
        (datetime(2021, 9, 28, 17, 32, 1, 52210, UTC), "<DT>2021-09-28T17:32:01.05221Z</DT>"),
        (datetime(2021, 9, 28, tzinfo=timezone(timedelta(hours=-7))),
         "<DT>2021-09-28T00:00:00-07:00</DT>"),
        (datetime(1900, 1, 1, 0, 53, 28, tzinfo=timezone(timedelta(seconds=3208))),
         "<DT>1900-01-01T00:00:00Z</DT>"),
        (timedelta(days=10, minutes=5), "<TS>P10DT5M</TS>"),
        (-timedelta(seconds=1.5), "<TS>-PT1.5S</TS>"),
        (clixml.Char("a"), "<C>97</C>"),
        ("😀_x", "<S>_xD83D__xDE00__x005F_x</S>"),
        (clixml.SecureString(), "<SS />"),
        (UUID(int=5), "<G>00000000-0000-0000-0000-000000000005</G>"),
        (Decimal("1E+3"), "<D>1000</D>"),
    ],
)  # fmt: skip
def test_a_value_is_written_as_powershell_writes_it(value: clixml.Value, text: str) -> None:
    assert clixml.dumps(value) == text


def test_plain_lists_and_dicts_become_what_powershell_makes_of_them() -> None:
    read = clixml.loads(clixml.dumps(clixml.Obj(extended={"List": ["a"], "Map": {"k": 1}})))[0]  # type: ignore[dict-item]
    assert isinstance(read, clixml.Obj)
    assert clixml.items(read["List"]) == ["a"]
    inner = read["Map"]
    assert isinstance(inner, clixml.Obj)
    assert inner.is_a("System.Collections.Hashtable")
    assert inner.value == {"k": 1}
    for kind, name in [(clixml.Stack, "Stack"), (clixml.Queue, "Queue")]:
        [again] = clixml.loads(clixml.dumps(kind(["a", None])))
        assert isinstance(again, clixml.Obj)
        assert again.is_a(f"System.Collections.{name}")
        assert again.value == kind(["a", None])


def test_an_object_that_refers_to_itself_is_written_and_read_back() -> None:
    me = clixml.Obj(text="me")
    me.extended["Me"] = me
    me.adapted["List"] = clixml.Obj(value=[me, "x"])
    [again] = clixml.loads(clixml.dumps(me))
    assert isinstance(again, clixml.Obj)
    assert again == me
    assert again["Me"] is again


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2**64, "the number is too large"),
        (clixml.UInt8(256), "256 is no UInt8"),
        (clixml.Char("ab"), "a Char is one UTF-16 code unit"),
        (clixml.Char("😀"), "a Char is one UTF-16 code unit"),
        (Decimal("NaN"), "NaN is no finite number"),
        (object(), "object is no kind of it"),
        (clixml.MemberSet(), "a MemberSet stands only among the extended properties"),
        ({None: 1}, "a dictionary's key is null"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(value: clixml.Value, reason: str) -> None:
    with pytest.raises(clixml.Unwritable) as caught:
        clixml.dumps(value)
    assert caught.value.reason == reason
    if not isinstance(value, dict):
        with pytest.raises(clixml.Unwritable, match="property Size cannot be written as CLIXML"):
            clixml.dumps(clixml.Obj(adapted={"Size": value}))


def test_values_nested_too_deeply_are_refused() -> None:
    value: clixml.Value = None
    for _ in range(100):
        value = clixml.Obj(extended={"Inner": value})
    assert clixml.loads(clixml.dumps(value)) == [value]
    with pytest.raises(clixml.Unwritable, match="nested more than 100 deep"):
        clixml.dumps(clixml.Obj(extended={"Inner": value}))


def test_values_are_written_one_by_one_as_they_come() -> None:
    stream = io.BytesIO()
    sizes = []

    def come() -> Iterator[clixml.Value]:
        for number in range(3):
            sizes.append(len(stream.getvalue()))
            yield clixml.Obj(text="x" * 1000, value=number)

    clixml.write(stream, come())
    assert sizes[1] > 1000 and sizes[2] > 2000
