"""A timeline as SVG: bars stand where their times are, and no text can write into the page."""

import itertools
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mailmig.model.document import Document, Lane, Span, Timeline
from mailmig.render import html, machine, text
from mailmig.render.timeline import LEAST, LEFT, RIGHT, WIDTH, drawn

START = datetime(2027, 1, 1, tzinfo=UTC)


def span(begin: float, end: float, value: float = 1.0, label: str = "x") -> Span:
    return Span(START + timedelta(days=begin), START + timedelta(days=end), value, label)


def timeline(*lanes: Lane, shaded: tuple[Span, ...] = ()) -> Timeline:
    return Timeline("timeline", "What <b> moves", "about", lanes, shaded)


def test_bars_are_as_long_as_their_times_and_as_high_as_their_values() -> None:
    tall = Lane("Moved", (span(0, 5, 10.0), span(5, 10, 5.0), span(9, 9.001, 0.0)), tall=True)
    drawing = drawn(timeline(tall, Lane("flat", (span(5, 5.0001),))))
    one, half = drawing.lanes[0].bars
    whole = WIDTH - LEFT - RIGHT
    assert (one.x, one.width, half.x) == (LEFT, whole / 2, LEFT + whole / 2)
    assert one.height == 2 * half.height
    assert one.y + one.height == half.y + half.height == drawing.lanes[0].base
    assert drawing.lanes[1].bars[0].width == LEAST
    assert drawing.lanes[1].base <= drawing.height


def test_dates_stand_at_midnights_with_room_between_them() -> None:
    for days in (1, 9, 40, 400, 4000):
        ticks = drawn(timeline(Lane("a", (span(0.3, days),)))).ticks
        assert 1 <= len(ticks) <= 13
        assert all(b[0] - a[0] >= 50 for a, b in itertools.pairwise(ticks))
    assert drawn(timeline(Lane("a", (span(0.5, 3),)))).ticks[0][1] == "02 Jan"


def test_a_night_in_which_the_clocks_change_is_as_long_as_it_lasts() -> None:
    """Seven hours from 20:00 to 4:00 when summer time begins, nine when it ends."""
    zone = ZoneInfo("Europe/Berlin")
    for date, hours in (("2027-03-27", 7), ("2027-10-30", 9)):
        begin = datetime.fromisoformat(f"{date}T20:00").replace(tzinfo=zone)
        night = Span(begin, begin + timedelta(hours=8), 1.0, "night")
        after = Span(night.end, night.end + timedelta(hours=hours), 1.0, "as long")
        one, other = drawn(timeline(Lane("x", (night, after)))).lanes[0].bars
        assert one.width == pytest.approx(other.width, abs=0.2)


def test_windows_are_named_where_there_is_room() -> None:
    spans = tuple(
        Span(START + timedelta(days=n), START + timedelta(days=n, hours=8), 5.0, "x", f"w{n}")
        for n in (0, 1, 2, 100)
    )
    lane = drawn(timeline(Lane("Moved", spans, tall=True))).lanes[0]
    assert [name for _, _, name in lane.names] == ["w0", "w100"]
    assert all(lane.top < y <= bar.y for (_, y, _), bar in zip(lane.names, lane.bars, strict=False))
    assert ">w100</text>" in html.render(
        Document("x", 1, "t", "s", START, (timeline(Lane("Moved", spans, tall=True)),))
    )


def test_names_from_elsewhere_are_escaped_and_the_rest_is_left_to_pictures() -> None:
    evil = "<script>alert(1)</script>\u202e"
    block = timeline(Lane(evil, (span(0, 1, 1.0, evil),)), shaded=(span(0, 1, 0.0, evil),))
    document = Document("x", 1, "t", "s", START, (block,))
    page = html.render(document)
    assert "<script" not in page and "\u202e" not in page
    assert len(re.findall("<rect", page)) == 2
    assert "&lt;script&gt;" in page
    assert "Moved" not in text.render(document) and "timeline" not in machine.render(document)
