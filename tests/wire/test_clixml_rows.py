"""The fast way through flat rows gives what the general reader gives, or leaves it to it."""

import io
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.wire import clixml, clixml_rows
from mailmig.wire.clixml_text import escape

HEAD = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">\n'


def node(name: str, value: Any, number: int) -> str:
    match value:
        case None:
            return f'      <Nil N="{name}" />\n'
        case bool():
            return f'      <B N="{name}">{str(value).lower()}</B>\n'
        case int():
            return f'      <I64 N="{name}">{value}</I64>\n'
        case list():
            items = "".join(f"          <S>{escape(item)}</S>\n" for item in value)
            inner = f"        <LST>\n{items}        </LST>\n" if items else "        <LST />\n"
            types = f'        <TN RefId="7{number}">\n          <T>A[]</T>\n        </TN>\n'
            return f'      <Obj N="{name}" RefId="9{number}">\n{types}{inner}      </Obj>\n'
    tag = "G" if name == "Guid" else "DT" if name == "When" else "S"
    return f'      <{tag} N="{name}">{escape(value)}</{tag}>\n'


def document(rows: list[dict[str, Any]]) -> str:
    """Rows as Select-Object and Export-Clixml write them at depth 1."""
    parts = [HEAD]
    for number, row in enumerate(rows):
        types = '    <TNRef RefId="0" />\n'
        if number == 0:
            types = '    <TN RefId="0">\n      <T>Selected.X</T>\n      <T>Y</T>\n    </TN>\n'
        members = "".join(node(n, v, number * 10 + i) for i, (n, v) in enumerate(row.items()))
        parts.append(f'  <Obj RefId="{number}">\n{types}    <MS>\n{members}    </MS>\n  </Obj>\n')
    return "".join(parts) + "</Objs>"


def plain(value: Any) -> Any:
    """A value of the general reader as the fast one gives it."""
    if isinstance(value, clixml.Obj):
        if isinstance(value.value, list) and not value.extended:
            return [plain(item) for item in value.value]
        return {name: plain(inner) for name, inner in value.extended.items()}
    return str(value) if type(value).__name__ == "UUID" else value


def both(raw: bytes) -> tuple[Any, Any]:
    """What each reader gives: the rows, and how it ended."""
    results = []
    for read in (clixml_rows.read, clixml.read):
        rows, end = [], ""
        try:
            for value in read(io.BytesIO(raw)):
                rows.append(plain(value))
        except clixml.BrokenClixml as error:
            end = str(error)
        results.append((rows, end))
    return results[0], results[1]


def test_another_indent_of_type_names_loses_no_list() -> None:
    raw = document([{"Name": "a", "Holds": ["h1", "h2"]}])
    raw = raw.replace("          <T>A[]</T>\n        </TN>", "    <T>A[]</T>\n   </TN>")
    fast, general = both(raw.encode())
    assert fast == general
    assert fast[0] == [{"Name": "a", "Holds": ["h1", "h2"]}]


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw + "\u2028",  # a blank for Python, but none for XML
        lambda raw: raw.replace(">7<", ">\N{ARABIC-INDIC DIGIT SEVEN}<"),
    ],
)
def test_what_only_python_takes_for_a_blank_or_a_digit_is_refused(
    change: Callable[[str], str],
) -> None:
    fast, general = both(change(document([{"Count": 7}])).encode())
    assert fast == general
    assert general[1]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(
    TEXTS,
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.lists(TEXTS, max_size=3),
    st.sampled_from(["a_x0041_b", "<&>\"'", "Büro & Söhne", "_x000A_", "\r\n", " x ", "_xD83D_"]),
)
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["A", "B", "Name", "X9"]), VALUES, min_size=1), max_size=4
)


@given(ROWS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_rows_are_what_the_general_reader_gives(
    rows: list[dict[str, Any]], ends: str, encoding: str
) -> None:
    raw = document(rows).replace("\n", ends).encode(encoding)
    fast, general = both(raw)
    assert fast == general
    assert len(fast[0]) == len(rows)


@given(ROWS, st.integers(1, 40))
def test_the_size_of_the_pieces_makes_no_difference(rows: list[dict[str, Any]], size: int) -> None:
    raw = document(rows).replace("\n", "\r\n").encode()
    whole = list(clixml_rows.read(io.BytesIO(raw)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clixml_rows, "PIECE", size)
        assert list(clixml_rows.read(io.BytesIO(raw))) == whole


ROW = {"Guid": "00000000-0000-4000-8000-00000000000a", "When": "2026-11-21T10:00:00.5000000+01:00",
       "Name": "Büro & Söhne", "Flag": True, "Count": 5, "Members": ["a", "b"], "No": None}  # fmt: skip


def test_the_usual_form_is_read_without_the_general_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the general reader was asked")

    monkeypatch.setattr(clixml, "read", refuse)
    when = datetime(2026, 11, 21, 10, 0, 0, 500_000, timezone(timedelta(hours=1)))
    row = {**ROW, "When": when}
    assert list(clixml_rows.read(io.BytesIO(document([ROW] * 3).encode()))) == [row] * 3


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Version=", "version=", 1),
        lambda text: text.replace('<S N="Name">', '<S  N="Name">', 1),
        lambda text: text.replace('<S N="Name">', '<S N="Name"><!-- -->', 1),
        lambda text: text.replace("B&uuml;ro", "Büro"),
        lambda text: text.replace("Büro", "B&#252;ro"),
        lambda text: text.replace("Büro", "<![CDATA[Büro]]>"),
        lambda text: text.replace("<I64", "<Db").replace("</I64", "</Db"),
        lambda text: text.replace("<MS>", "<Props>").replace("</MS>", "</Props>"),
        lambda text: text.replace("      <B", "     <B"),
        lambda text: text.replace("</Objs>", "  <S>alone</S>\n</Objs>"),
        lambda text: text.replace("</Objs>", "</Objs><!-- end -->"),
        lambda text: text.replace("true", "TRUE"),
        lambda text: text.replace("2026-11", "2026-13"),
        lambda text: text.replace("Büro", "B]]>ro"),
        lambda text: text.replace("Büro", "B\ufffero"),
        lambda text: text.replace(">5<", ">99999999999999999999<"),
        lambda text: text.replace("<S>b</S>", "<G>00000000-0000-4000-8000-00000000000a</G>"),
        lambda text: text.replace('<Nil N="No" />', '<Nil N="No"/>'),
        lambda text: text.replace("</Objs>", ""),
        lambda text: text[: text.rindex("Members")],
        lambda text: text[: text.rindex("</Obj>")] + text[text.rindex("</Obj>") + 6 :],
        lambda text: text.replace("Büro", "B\x00ro"),
        lambda text: text.replace("Büro", "B<ro"),
        lambda text: text + text,
        lambda text: "",
    ],
)
def test_any_other_form_is_left_to_the_general_reader(change: Callable[[str], str]) -> None:
    for rows in ([ROW], [ROW] * 3):
        usual = document(rows)
        cut = usual.rindex('  <Obj RefId="') if len(rows) > 1 else 0
        text = usual[:cut] + change(usual[cut:])
        fast, general = both(text.encode())
        if "<Props>" in text:  # those are the object's own properties, here and there
            general[0][-1] = fast[0][-1]
        assert fast == general


def test_bytes_that_are_no_utf8_end_as_in_the_general_reader() -> None:
    raw = document([ROW, ROW]).encode("latin-1")
    fast, general = both(raw)
    assert fast[1] == general[1] != ""


def test_utf16_is_left_to_the_general_reader() -> None:
    fast, general = both(document([ROW]).encode("utf-16"))
    assert fast == general
    assert len(fast[0]) == 1


def test_an_object_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clixml_rows, "LONGEST", 10_000)
    monkeypatch.setattr(clixml_rows, "PIECE", 1000)
    row = ROW | {"Members": ["x"] * 5000}
    fast, general = both(document([ROW, row, ROW]).encode())
    assert fast == general
    assert len(fast[0]) == 3


def test_a_stream_is_read_from_where_it_stands() -> None:
    raw = document([ROW]).replace("<Nil", "<Nil ").encode()
    stream = io.BytesIO(b"before" + raw)
    stream.seek(6)
    assert len(list(clixml_rows.read(stream))) == 1
    assert not stream.closed


# Digits would change the numbers of references, which are not looked at here.
NOISE = st.binary(max_size=200).map(lambda raw: bytes(b for b in raw if b not in b"0123456789"))


@given(NOISE, st.integers(0, 2000))
def test_damage_anywhere_ends_as_in_the_general_reader(noise: bytes, at: int) -> None:
    usual = document([ROW] * 2).encode()
    fast, general = both(usual[:at] + noise + usual[at + len(noise) :])
    assert fast == general
