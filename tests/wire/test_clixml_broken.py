"""Broken and hostile input: one sentence, in short time and little memory."""

import contextlib
import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.errors import MailmigError
from mailmig.wire import clixml

NAMESPACE = b"http://schemas.microsoft.com/powershell/2004/04"
START = b'<Objs Version="1.1.0.1" xmlns="' + NAMESPACE + b'">'
GOOD = b'<Obj RefId="%d"><Props><S N="Name">%d</S></Props></Obj>'


def objs(inside: str) -> bytes:
    return START + inside.encode() + b"</Objs>"


def broken(data: bytes, limits: clixml.Limits | None = None) -> tuple[int, clixml.BrokenClixml]:
    """How many values came before the error, and the error."""
    reader = clixml.read(io.BytesIO(data), limits=limits or clixml.Limits())
    count = 0
    try:
        for _ in reader:
            count += 1
    except clixml.BrokenClixml as error:
        assert reader.broken is error
        return count, error
    raise AssertionError("nothing was broken")


STRUCTURE = {
    "": "it is empty",
    "Name,Database\r\nanna,DB01\r\n": "it begins with 'Name,Databas' and is no XML",
    "   ": "there is no element in it",
    "<!-- nothing else -->": "there is no element in it",
    "<html><body /></html>": "its root is <html> instead of <Objs>",
    "<Objs xmlns='urn:other' />": "its root is <{urn:other}Objs> instead of <Objs>",
    "<Objs Version='2.0' />": "its CLIXML version is '2.0'; 1.1 is known",
    "<TN RefId='0' />": "its root is <TN> instead of <Objs>",
    "<?xml version='1.0' encoding='windows-1252'?><Objs />":
        "its encoding is 'windows-1252'; export it again with -Encoding UTF8",
    "<Objs><S>a</S></Objs><Objs />": "junk after document element in line 1, column 22",
    "<Objs><S>a</S>": "it ends in the middle",
    "<Objs><S>a</S></Objs": "it ends in the middle",
    "<Objs><S>a</S": "it ends in the middle",
    "<Objs><S N=": "it ends in the middle",
    "<Objs><S><![CDATA[a": "it ends in the middle",
    "<Objs><S>a</B></Objs>": "mismatched tag in line 1, column 13",
    "<Objs><S>a & b</S></Objs>": "not well-formed (invalid token) in line 1, column 13",
    "<Objs><S>&nbsp;</S></Objs>": "undefined entity in line 1, column 10",
    "<Objs><S>&#0;</S></Objs>": "reference to invalid character number in line 1, column 10",
    "<Objs><S N='a' N='b' /></Objs>": "duplicate attribute in line 1, column 16",
    "<!DOCTYPE Objs><Objs />": "it has a DTD, and a DTD is refused",
}  # fmt: skip

INSIDE = {
    "<I32>twelve</I32>": "<I32> should hold a whole number (I32) and holds 'twelve'",
    "<I32>2147483648</I32>": "<I32> should hold a whole number (I32) and holds '2147483648'",
    "<I32>1_000</I32>": "<I32> should hold a whole number (I32) and holds '1_000'",
    "<I32>٣</I32>": "<I32> should hold a whole number (I32) and holds '٣'",
    "<I32 />": "<I32> should hold a whole number (I32) and holds nothing",
    "<I64>9223372036854775808</I64>":
        "<I64> should hold a whole number (I64) and holds '9223372036854775808'",
    "<U64>-1</U64>": "<U64> should hold a whole number (U64) and holds '-1'",
    "<By>256</By>": "<By> should hold a number from 0 to 255 and holds '256'",
    f"<I32>{'9' * 5000}</I32>":
        f"<I32> should hold a whole number (I32) and holds '{'9' * 40}…'",
    "<C>65536</C>": "<C> should hold the number of a character and holds '65536'",
    "<B>yes</B>": "<B> should hold true or false and holds 'yes'",
    "<Db>1,5</Db>": "<Db> should hold a number and holds '1,5'",
    "<D>NaN</D>": "<D> should hold a decimal number and holds 'NaN'",
    "<D>1E5</D>": "<D> should hold a decimal number and holds '1E5'",
    "<DT>yesterday</DT>": "<DT> should hold a date and time and holds 'yesterday'",
    "<DT>2021-13-01T00:00:00Z</DT>":
        "<DT> should hold a date and time and holds '2021-13-01T00:00:00Z'",
    "<DT />": "<DT> should hold a date and time and holds nothing",
    "<TS>10:00:00</TS>": "<TS> should hold a duration and holds '10:00:00'",
    "<TS>P</TS>": "<TS> should hold a duration and holds 'P'",
    "<TS>P1DT</TS>": "<TS> should hold a duration and holds 'P1DT'",
    "<TS>P9999999999D</TS>": "<TS> should hold a duration and holds 'P9999999999D'",
    "<BA>AQI</BA>": "<BA> should hold base64 and holds 'AQI'",
    "<BA>Ä===</BA>": "<BA> should hold base64 and holds 'Ä==='",
    "<G>792e5b37</G>": "<G> should hold a GUID and holds '792e5b37'",
    "<G>792e5b37-4505-47ef-b7d2-8711bb7affag</G>":
        "<G> should hold a GUID and holds '792e5b37-4505-47ef-b7d2-8711bb7affag'",
    "<G>792e5b37-4505-47ef-b7d2-8711bb7a  a8</G>":
        "<G> should hold a GUID and holds '792e5b37-4505-47ef-b7d2-8711bb7a  a8'",
    "<Foo>a</Foo>": "it has an unknown element <Foo>",
    "<S xmlns='urn:other'>a</S>": "it has an unknown element <{urn:other}S>",
    "<S>a<b />c</S>": "there is an element inside <S>",
    "<Nil><S /></Nil>": "there is an element inside <Nil>",
    "<LST><S>a</S></LST>": "its elements do not fit together (KeyError)",
    "<Ref RefId='7' />": "a Ref names the RefId '7', which no object within reach has",
    "<Ref />": "a Ref names the RefId nothing, which no object within reach has",
    "<Obj><Props><I32>1</I32></Props></Obj>": "a property <I32> has no name",
    "<Obj><MS><Obj /></MS></Obj>": "a property <Obj> has no name",
    "<Obj><Props><I32 N='ItemCount'>many</I32></Props></Obj>":
        "<I32> ItemCount should hold a whole number (I32) and holds 'many'",
    "<Obj><Props><Obj N='a'><MS><DT N='When'>x</DT></MS></Obj></Props></Obj>":
        "<DT> When should hold a date and time and holds 'x'",
    "<Obj RefId='1'><MS><Obj N='a' RefId='1' /></MS></Obj>": "two objects have the RefId '1'",
    "<Obj><TN RefId='1' /><MS><Obj N='a'><TN RefId='1' /></Obj></MS></Obj>":
        "two type lists have the RefId '1'",
    "<Obj><TNRef RefId='3' /></Obj>": "a TNRef names the RefId '3', which no TN has",
    "<Obj><TNRef /></Obj>": "a TNRef names the RefId nothing, which no TN has",
    f"<Obj><TN><T>{'a' * 20_001}</T></TN></Obj>": "a type list is too long",
    "<Obj><DCT><En><S N='Key'>a</S></En></DCT></Obj>":
        "a dictionary has an entry without key and value",
    "<Obj><DCT><S N='Key'>a</S></DCT></Obj>": "a dictionary has an entry without key and value",
    "<Obj><DCT><En><Nil N='Key' /><Nil N='Value' /></En></DCT></Obj>":
        "a dictionary has an entry whose key is null",
    "<Obj><DCT>" + "<En><S N='Key'>a</S><Nil N='Value' /></En>" * 2 + "</DCT></Obj>":
        "a dictionary has two keys that are equal: 'a'",
    "<PR><AV>a</AV></PR>": "a progress record has 1 parts instead of 8",
    "<PR><AV /><AI>x</AI><Nil /><PI /><PC /><T /><SR /><SD /></PR>":
        "a progress record has a number that is none",
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), STRUCTURE.items())
def test_a_document_that_is_none_ends_in_one_sentence(text: str, reason: str) -> None:
    _, error = broken(text.encode())
    assert error.reason == reason
    with pytest.raises(clixml.BrokenClixml) as in_memory:
        clixml.loads(text.encode())
    assert in_memory.value.reason == reason


@pytest.mark.parametrize(("text", "reason"), INSIDE.items(), ids=lambda text: text[:50])
def test_an_object_that_cannot_be_read_is_named_with_its_number(text: str, reason: str) -> None:
    count, error = broken(objs(f"<S>one</S><S>two</S>{text}<S>four</S>"))
    assert (count, error.object_number, error.reason) == (2, 3, reason)
    assert str(error) == f"the stream, object 3: {reason}"
    with pytest.raises(clixml.BrokenClixml) as in_memory:
        clixml.loads(objs(f"<S>one</S><S>two</S>{text}"))
    assert (in_memory.value.object_number, in_memory.value.reason) == (3, reason)
    assert in_memory.value.file == "the message"


def test_the_error_is_for_an_admin_and_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "Get-Mailbox.xml"
    file.write_bytes(START + GOOD % (0, 0) + GOOD[:20] % 1)
    with pytest.raises(MailmigError) as caught:
        list(clixml.read(file))
    assert str(caught.value) == f"{file}, object 2: it ends in the middle"
    with pytest.raises(clixml.BrokenClixml, match=r"Get-Mailbox\.xml, object 2"):
        list(clixml.read(str(file)))
    with file.open("rb") as stream, pytest.raises(clixml.BrokenClixml, match="Get-Mailbox"):
        list(clixml.read(stream))


def test_a_file_that_is_not_there_is_no_broken_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(clixml.read(tmp_path / "none.xml"))


def test_all_before_the_break_is_kept_wherever_the_file_is_cut() -> None:
    whole = START + b"".join(GOOD % (n, n) for n in range(5)) + b"</Objs>"
    ends = [whole.index(b"</Obj>", len(START) + n * len(GOOD % (0, 0))) + 6 for n in range(5)]
    for cut in range(len(whole)):
        reader = clixml.read(io.BytesIO(whole[:cut]), partial=True)
        values = list(reader)
        complete = sum(end <= cut for end in ends)
        assert [v["Name"] for v in values if isinstance(v, clixml.Obj)] == [
            str(n) for n in range(complete)
        ], whole[:cut]
        assert reader.broken is not None
        assert reader.broken.object_number == complete + 1


def test_all_before_a_bad_byte_is_kept() -> None:
    count, error = broken(START + GOOD % (0, 0) + GOOD % (1, 1) + b"<Obj RefId=\0")
    assert (count, error.object_number) == (2, 3)


def test_partial_reading_just_ends_and_leaves_the_error_with_the_reader() -> None:
    reader = clixml.read(io.BytesIO(objs("<S>a</S><I32>b</I32><S>c</S>")), partial=True)
    assert reader.broken is None
    assert next(reader) == "a"
    assert list(reader) == []
    assert reader.broken is not None
    assert reader.broken.object_number == 2
    good = clixml.read(io.BytesIO(objs("<S>a</S>")), partial=True)
    assert list(good) == ["a"]
    assert good.broken is None


@pytest.mark.parametrize("codec", ["cp1252", "cp850", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused_with_advice(codec: str) -> None:
    data = objs("<S>ok</S>" * 50 + "<S>Bürgerbüro</S>" + "<S>ok</S>" * 50).decode().encode(codec)
    if codec == "utf-16-le":  # without a mark in front it is recognised all the same
        assert len(clixml.loads(data)) == 101
        return
    count, error = broken(data)
    assert count < 51
    assert "export it again with -Encoding UTF8" in error.reason or "no XML" in error.reason


def test_no_entity_is_expanded_and_nothing_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    laughs = "".join(
        f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' if n else '<!ENTITY l0 "ha">' for n in range(10)
    )
    for dtd, inside in [
        (f"[{laughs}]", "&l9;"),
        (f'[<!ENTITY x SYSTEM "{secret.as_uri()}">]', "&x;"),
        (f'SYSTEM "{secret.as_uri()}"', "a"),
        ("[<!ATTLIST S N CDATA 'Name'>]", "a"),
    ]:
        text = f"<!DOCTYPE Objs {dtd}><Objs><S>{inside}</S></Objs>"
        for data in (text.encode(), text.encode("utf-16"), text.encode("utf-16-be")):
            assert broken(data)[1].reason == "it has a DTD, and a DTD is refused"
            with pytest.raises(clixml.BrokenClixml, match="a DTD is refused"):
                clixml.loads(data)
        with pytest.raises(clixml.BrokenClixml, match="a DTD is refused"):
            clixml.loads(text)


class Endless(io.RawIOBase):
    """A stream that never ends."""

    def __init__(self, start: bytes, again: bytes) -> None:
        self._ready, self._again = start, again

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._ready) < size:
            self._ready += self._again * (size // len(self._again) + 1)
        taken, self._ready = self._ready[:size], self._ready[size:]
        return taken


ENDLESS = {
    "value": (START + b"<S>", b"x"),
    "value of references": (START + b"<S>", b"&#65;"),
    "value of lines": (START + b"<S>", b"\n"),
    "attribute": (START + b'<S N="', b"x"),
    "attributes": (START + b"<S ", b"".join(b'a%d="" ' % n for n in range(1000))),
    "name": (START + b"<", b"x"),
    "comment": (START + b"<!--", b"x"),
    "comment before the root": (b"<!--", b"x"),
    "blanks": (b"", b" "),
    "blanks between objects": (START, b" "),
    "object": (START + b'<Obj RefId="0"><LST>', b"<S>a</S>"),
    "object of nothing": (START + b'<Obj RefId="0"><LST>', b"<Nil/>"),
    "object of attributes": (START + b"<Obj><LST>", b"<S a='' b='' c='' d='' e='' />"),
    "nesting": (START, b"<Obj><LST>"),
    "nesting of nothing known": (START, b"<x>"),
    "CDATA": (START + b"<S><![CDATA[", b"<"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_input_ends_soon_and_in_bounded_memory(kind: str) -> None:
    before_s, before_kb = time.perf_counter(), _fresh_peak_kb()
    with pytest.raises(clixml.BrokenClixml) as caught:
        list(clixml.read(Endless(*ENDLESS[kind])))  # type: ignore[arg-type]
    assert caught.value.object_number == 1
    assert any(word in caught.value.reason for word in ("larger than", "nested", "duplicate"))
    assert time.perf_counter() - before_s < 10
    assert _peak_kb() - before_kb < 250_000


def test_deep_nesting_ends_quickly_with_and_without_an_end() -> None:
    start = time.perf_counter()
    for opening, closing in [("<Obj><LST>", "</LST></Obj>"), ("<x>", "</x>"),
                             ('<MS N="a">', "</MS>")]:  # fmt: skip
        deep = f"<Obj>{opening * 100_000}"
        assert "nested more than 100 deep" in broken(objs(deep))[1].reason
        count, error = broken(objs(f"{deep}{closing * 100_000}</Obj>"))
        assert count == 0
        assert "deep" in error.reason
    small = "<Obj><LST>" * 3000 + "</LST></Obj>" * 3000
    with pytest.raises(clixml.BrokenClixml, match="nested more than 100 deep"):
        clixml.loads(small)
    with pytest.raises(clixml.BrokenClixml, match="unknown element <x>"):
        clixml.loads("<Obj>" + "<x>" * 100_000 + "</x>" * 100_000 + "</Obj>")
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("<LST>", "</LST>"), ("<Props>", "</Props>"), ("<DCT><En><S N='Key'>k</S>", "</En></DCT>")],
)
def test_nesting_up_to_the_limit_is_read_and_one_more_is_not(opening: str, closing: str) -> None:
    def nested(levels: int) -> bytes:
        inner = f"<Obj N='Value'>{opening}" * (levels - 1) + "<Obj N='Value' />"
        return objs(inner + f"{closing}</Obj>" * (levels - 1))

    assert len(clixml.loads(nested(100))) == len(list(clixml.read(io.BytesIO(nested(100))))) == 1
    assert broken(nested(101))[1].reason == "objects are nested more than 100 deep"
    assert broken(nested(6), clixml.Limits(nesting=5))[1].reason == (
        "objects are nested more than 5 deep"
    )


def test_limits_are_for_one_object_and_one_value_and_not_for_the_file() -> None:
    limits = clixml.Limits(value=20_000, object=50_000, nodes=1000)
    many = objs(f"<S>{'x' * 15_000}</S>" * 100)
    assert len(list(clixml.read(io.BytesIO(many), limits=limits))) == 100
    count, error = broken(objs(f"<S>a</S><S>{'x' * 40_000}</S>"), limits)
    assert (count, error.reason) == (1, "one value is larger than 20,000 bytes")
    text = f"<S>{'x' * 999}</S>"
    list_of_values = f"<Obj><LST>{text * 100}</LST></Obj>"
    assert "it is larger than 50,000 bytes or 1,000 nodes" in broken(
        objs(list_of_values), limits)[1].reason  # fmt: skip
    list_of_nodes = f"<Obj><LST>{'<Nil/>' * 6000}</LST></Obj>"
    assert "or 1,000 nodes; pipe the objects into Export-Clixml" in broken(
        objs(list_of_nodes), limits)[1].reason  # fmt: skip


def test_a_file_with_endless_type_lists_is_refused() -> None:
    inside = "".join(f'<Obj><TN RefId="{n}"><T>X{n}</T></TN></Obj>' for n in range(10_001))
    count, error = broken(objs(inside))
    assert (count, error.reason) == (10_000, "there are more than 10,000 type lists")


BREAKOUTS = [
    "<S>a</S><S>b</S>", "<S>a</S>b", "<S>a</S>\x85", "<S>a</S><end/>", "<S>a</S><end>", "<S>a<end/>", "<end/>",
    "<S>a", "<S>a</S", "<S>a</S></messages>", "<S>a</S></messages><messages><S>b</S>",
    "<S>a</S><?remark", "<S>a<?remark</S>", "<S N='", "</messages>", "<S>a</S>&amp;",
]  # fmt: skip


@pytest.mark.parametrize("text", BREAKOUTS)
def test_a_broken_message_is_refused_and_does_no_harm_to_the_next_one(text: str) -> None:
    assert clixml.loads("<S>before</S>") == ["before"]
    with pytest.raises(clixml.BrokenClixml):
        clixml.loads(text)
    assert clixml.loads("<S>after</S>") == ["after"]
    assert message_and_file_agree(text.encode())


def test_many_messages_are_read_in_many_threads_at_once() -> None:
    def read(number: int) -> clixml.Value:
        if number % 7 == 0:
            with pytest.raises(clixml.BrokenClixml):
                clixml.loads(f"<S>{number}")
        return clixml.loads(f'<Obj RefId="0"><MS><I32 N="n">{number}</I32></MS></Obj>')[0]

    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(read, range(20_000)))
    assert [v["n"] for v in values if isinstance(v, clixml.Obj)] == list(range(20_000))


def test_a_stream_that_comes_in_drips_is_read() -> None:
    class Drips(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(1)

    data = b"\xef\xbb\xbf" + objs("<S>a</S><Obj><MS><S N='b'>c</S></MS></Obj>")
    assert list(clixml.read(Drips(data))) == clixml.loads(data)


def _fresh_peak_kb() -> int:
    """Forget the peak of this process so far (Linux only; elsewhere it just stays)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_kb()


def _peak_kb() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0])


SAMPLE = objs(
    '<Obj RefId="0"><TN RefId="0"><T>A.B</T><T>System.Object</T></TN><ToString>x_x000D_</ToString>'
    '<Props><S N="Name">ä</S><I32 N="n">1</I32><DT N="t">2021-10-06T19:24:05.1234567Z</DT>'
    '<Obj N="q" RefId="1"><TN RefId="1"><T>U</T></TN><ToString>2 GB</ToString><Props>'
    '<B N="IsUnlimited">false</B></Props></Obj><Ref N="r" RefId="1" /></Props><MS>'
    '<G N="g">792e5b37-4505-47ef-b7d2-8711bb7affa8</G><BA N="b">AQIDBA==</BA>'
    '<TS N="ts">PT9.02S</TS><D N="d">1.50</D><C N="c">97</C><SS N="p">xx</SS></MS></Obj>'
    '<Obj RefId="2"><TNRef RefId="0" /><DCT><En><S N="Key">k</S><Nil N="Value" /></En></DCT></Obj>'
    "<PR><AV>a</AV><AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC><T>P</T><SR>-1</SR><SD>s</SD></PR>"
)


def outcome(read: Callable[[], list[clixml.Value]]) -> object:
    """The values, or the number and the reason of the error; nothing else may come."""
    try:
        return repr(read())
    except clixml.BrokenClixml as error:
        assert error.reason and "\n" not in str(error)
        return error.object_number, error.reason


def message_and_file_agree(data: bytes) -> bool:
    return outcome(lambda: clixml.loads(data)) == outcome(
        lambda: list(clixml.read(io.BytesIO(data)))
    )


@given(st.binary(max_size=200))
def test_random_bytes_never_raise_anything_else(data: bytes) -> None:
    for whole in (data, START + data, START + data + b"</Objs>", b"\xff\xfe" + data):
        assert message_and_file_agree(whole)


@given(st.text(max_size=100))
def test_random_text_never_raises_anything_else(text: str) -> None:
    for around in ("{}", "<Objs>{}</Objs>", "<Obj><MS><DT N='a'>{}</DT></MS></Obj>", "<S>a</S>{}"):
        assert message_and_file_agree(around.format(text).encode("utf-8", "surrogatepass"))


EDITS = st.lists(
    st.tuples(
        st.integers(0, len(SAMPLE)), st.integers(0, 12),
        st.sampled_from([b"", b"<", b">", b"/", b'"', b"&", b"&#x41;", b"\0", b"\xff", b"9" * 30,
                         b"-", b"<S>", b"</Obj>", b"<Obj>", b"<!--", b"_x0041_", b"Ref", b" "]),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@given(EDITS, st.booleans())
@settings(max_examples=400)
def test_damaged_files_never_raise_anything_else(
    edits: list[tuple[int, int, bytes]], shuffled: bool
) -> None:
    data = SAMPLE
    for place, dropped, put in edits:
        data = data[:place] + put + data[place + dropped :]
    if shuffled:
        data = data.decode("utf-8", "ignore").encode("utf-16")
    assert message_and_file_agree(data)


NAMES = (
    "Objs Obj S C B By SB I16 U16 I32 U32 I64 U64 Sg Db D DT TS BA G URI Version XD SBK SS Nil PR "
    "Ref LST IE QUE STK DCT En TN TNRef T ToString Props MS AV"
).split()
TREES = st.recursive(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "1", "true", "x", "2021-01-01"])).map(
        lambda leaf: f'<{leaf[0]} N="Key" RefId="{len(leaf[1])}">{leaf[1]}</{leaf[0]}>'
    ),
    lambda inner: st.tuples(
        st.sampled_from(NAMES), st.lists(inner, max_size=4), st.integers(0, 9)
    ).map(lambda node: f'<{node[0]} N="Value" RefId="{node[2]}">{"".join(node[1])}</{node[0]}>'),
)


@given(st.lists(TREES, max_size=4))
@settings(max_examples=300)
def test_elements_in_senseless_order_never_raise_anything_else(trees: list[str]) -> None:
    text = f"<Objs>{''.join(trees)}</Objs>"
    for part in (text, *trees):
        assert message_and_file_agree(part.encode())
