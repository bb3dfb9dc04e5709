"""HTML: one file, whole, without script, and with every text escaped."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from mailmig.model.document import Document
from mailmig.model.errors import MissingExtra
from mailmig.render import html
from mailmig.render.units import plain
from tests.render.quota_documents import DOCUMENTS, document, full_document, row, table

VOID = frozenset({"meta", "br", "hr", "link", "img", "input"})
# Everything that would make a browser ask somebody else, or run something.
FORBIDDEN = frozenset(
    {"script", "link", "img", "iframe", "object", "embed", "base", "form", "svg", "video", "audio"}
)


class Page(HTMLParser):
    """Collects tags, attributes and cells, and checks that all elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[str] = []
        self.titles: list[str] = []
        self.ids: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["td"]:
            self.cells[-1] += data
        if self._open[-1:] == ["h2"]:
            self.titles.append(data)


def test_a_page_has_every_block() -> None:
    text = html.render(full_document())
    page = Page(text)
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert page.titles == ["A few", "Others", "Everybody", "Sums"]
    assert page.ids == ["few", "others", "people", "sums"]
    assert "<title>A report</title>" in text
    assert '<p class="lead">First of all.</p>' in text
    assert '<p class="note warning">Take care.</p>' in text
    assert '<dd class="value">+600 MB</dd>' in text
    assert "Made 2026-11-24 08:00 UTC." in text


def test_numbers_have_a_real_minus_and_names_keep_what_they_have() -> None:
    cells = Page(html.render(document(table(row("-5 degrees", -1024, percent_more=-50.0))))).cells
    assert cells[0] == "-5 degrees"
    assert "−1 KB" in cells
    assert "−50 %" in cells


def test_marked_rows_stand_out_by_more_than_nothing() -> None:
    text = html.render(full_document())
    assert text.count('<tr class="marked">') == 1


def test_the_page_asks_nobody_and_runs_nothing() -> None:
    text = html.render(full_document())
    page = Page(text)
    assert not FORBIDDEN & set(page.tags)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    assert ("content", policy) in page.attributes
    assert not re.search(r"url\(|@import|https?://|//\w", text)
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("src", "style", "srcset")
        assert name != "href" or value.removeprefix("#") in page.ids


def test_lists_end_where_the_reader_wants_and_say_so_but_everybody_is_there() -> None:
    people = table(*(row(f"p{n}") for n in range(30)))
    few = table(*(row(f"q{n}") for n in range(30)), key="few", detail=False, rest="--lines 0")
    text = html.render(document(few, people), lines=10)
    cells = Page(text).cells
    assert "q9" in cells
    assert "q10" not in cells
    assert "p29" in cells
    assert "… and 20 more; --lines 0</p>" in text
    assert "q29" in Page(html.render(document(few, people), lines=None)).cells


def test_without_the_extra_the_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtra) as caught:
        html.render(document())
    assert (
        str(caught.value)
        == "an HTML report needs the extra 'report': pip install 'mailmig[report]'"
    )


@given(DOCUMENTS)
@settings(max_examples=60, deadline=None)
def test_every_text_comes_out_as_it_is_and_adds_no_element(drawn: Document) -> None:
    page = Page(html.render(drawn))
    rows = drawn.tables[0].rows
    assert page.tags.count("td") == 8 * len(rows)
    assert not FORBIDDEN & set(page.tags)
    for number, original in enumerate(rows):
        assert isinstance(original[1], str)
        assert page.cells[8 * number] == plain(original[1])


def test_titles_and_notes_are_escaped_too() -> None:
    text = html.render(document(table(title="<script>x</script>"), title="A & <b>"))
    assert "<script>" not in text
    assert "<h1>A &amp; &lt;b&gt;</h1>" in text
