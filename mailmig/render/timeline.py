"""A timeline as SVG: bars over a time axis, one lane below the other.

Gives numbers and words for the template, which escapes every text by itself. Lengths are in
units of the drawing, WIDTH wide; a tall lane shows values as heights, a flat one as one bar
per span. Colours repeat what lane, height and words say.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailmig.model.document import Lane, Span, Timeline
from mailmig.render.units import plain, shown

WIDTH = 1120
LEFT = 250  # room for the lanes' names
RIGHT = 60  # room for a number at the end
AXIS = 34
TALL, FLAT, BETWEEN = 92, 15, 7
ABOVE = 14  # room for names above the bars of a tall lane
LETTER = 6.5  # a letter of a name is about so wide
LEAST = 3  # a short window is still seen
TICKS = 12
NAME = 38  # letters that fit before a lane

STEPS = (1, 2, 7, 14, 28, 56, 91, 182, 364)


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One lane: its name beside `middle`, a base line at `base`, its largest value in words.

    `names` are (x, y, words) above the bars of a tall lane, wherever they have room.
    """

    name: str
    whole_name: str
    middle: float
    base: float
    top: float
    most: str
    tall: bool
    bars: tuple[Bar, ...]
    names: tuple[tuple[float, float, str], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: float
    left: int
    right: int
    ticks: tuple[tuple[float, str], ...]
    shaded: tuple[Bar, ...]
    lanes: tuple[Drawn, ...]


def drawn(block: Timeline) -> Drawing:
    """The drawing of a timeline; it needs at least one span."""
    spans = [span for lane in block.lanes for span in lane.spans] + list(block.shaded)
    begin, end = min(s.begin for s in spans), max(s.end for s in spans)
    scale = _Scale(begin, max(end, begin + timedelta(hours=1)))
    lanes, y = [], float(AXIS)
    for lane in block.lanes:
        lanes.append(_lane(lane, y, scale))
        y += (TALL if lane.tall else FLAT) + BETWEEN
    shaded = tuple(_bar(span, scale, AXIS, y - AXIS) for span in block.shaded)
    return Drawing(WIDTH, y, LEFT, WIDTH - RIGHT, tuple(_ticks(scale)), shaded, tuple(lanes))


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime

    def x(self, moment: datetime) -> float:
        begin, end = self.begin.timestamp(), self.end.timestamp()  # the clocks may change between
        part = (moment.timestamp() - begin) / (end - begin)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def _lane(lane: Lane, y: float, scale: _Scale) -> Drawn:
    height = TALL if lane.tall else FLAT
    most = max((span.value for span in lane.spans), default=0.0)
    room = height - ABOVE if any(span.name for span in lane.spans) else height
    bars: list[Bar] = []
    names: list[tuple[float, float, str]] = []
    ends = 0.0
    for span in lane.spans:
        part = span.value / most if most else 0.0
        high = round(room * part, 1) if lane.tall else height
        if high:
            bar = _bar(span, scale, round(y + height - high, 1), high)
            bars.append(bar)
            word = plain(span.name)
            width = LETTER * len(word)
            left = bar.x + bar.width / 2 - width / 2
            if word and left >= ends:
                names.append((bar.x + bar.width / 2, bar.y - 3, word))
                ends = left + width + LETTER
    name = plain(lane.title)
    short = name if len(name) <= NAME else name[: NAME - 1] + "…"
    words = shown(round(most) if lane.tall else most, lane.unit)
    return Drawn(
        short, name, y + height / 2, y + height, y, words, lane.tall, tuple(bars), tuple(names)
    )


def _bar(span: Span, scale: _Scale, y: float, height: float) -> Bar:
    x = scale.x(span.begin)
    width = max(LEAST, round(scale.x(span.end) - x, 1))
    return Bar(x, y, width, height, plain(span.label))


def _ticks(scale: _Scale) -> Iterator[tuple[float, str]]:
    """Midnights, as many days apart as leave room for their dates."""
    days = (scale.end - scale.begin) / timedelta(days=1)
    step = next((step for step in STEPS if days / step <= TICKS), STEPS[-1])
    day = scale.begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while day <= scale.end:
        yield scale.x(day), f"{day:%d %b}"
        day += timedelta(days=step)
