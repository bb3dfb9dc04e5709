"""What FindItem looks for: restrictions, orders, and pages."""

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final
from xml.etree.ElementTree import Element

from mailmig.lab.contents import Message
from mailmig.lab.web.ews.envelopes import NAMES, TYPES, Refused
from mailmig.lab.web.ews.fields import Value, typed, value

Test = Callable[[Message], bool]
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "IsEqualTo": operator.eq, "IsNotEqualTo": operator.ne, "IsGreaterThan": operator.gt,
    "IsGreaterThanOrEqualTo": operator.ge, "IsLessThan": operator.lt,
    "IsLessThanOrEqualTo": operator.le,
}  # fmt: skip
_CONTAINED: Final[dict[str, Callable[[str, str], bool]]] = {
    "Substring": lambda text, part: part in text,
    "Prefixed": str.startswith,
    "FullString": operator.eq,
    "PrefixOnWords": lambda text, part: any(word.startswith(part) for word in text.split()),
    "ExactPhrase": lambda text, part: part in text,
}
LARGEST_PAGE: Final = 1000  # EWSFindCountLimit by default


def restriction(asked: Element) -> Test:
    """The test of an operation's Restriction; all pass where there is none. Raises `Refused`."""
    found = asked.find("m:Restriction", NAMES)
    inner = None if found is None else next(iter(found), None)
    return _always if inner is None else _test(inner)


def _always(one: Message) -> bool:
    return True


def _test(element: Element) -> Test:
    kind = element.tag.removeprefix(f"{{{TYPES}}}")
    if kind in ("And", "Or"):
        parts = [_test(one) for one in element]
        every = kind == "And"
        return lambda one: (all if every else any)(part(one) for part in parts)
    if kind == "Not":
        inner = _test(_first(element))
        return lambda one: not inner(one)
    if kind == "Exists":
        name = _field(element)
        return lambda one: value(one, name) is not None
    if kind == "Contains":
        return _contains(element)
    if kind in _COMPARE:
        return _comparison(_COMPARE[kind], element)
    raise Refused("ErrorUnsupportedPathForQuery")


def _first(element: Element) -> Element:
    found = next(iter(element), None)
    if found is None:
        raise Refused("ErrorInvalidRequest")
    return found


def _field(element: Element) -> str:
    """The property that an expression is about. Raises `Refused` for one that nobody can search."""
    found = element.find("t:FieldURI", NAMES)
    name = "" if found is None else found.get("FieldURI", "")
    try:
        value(_NOTHING, name)
    except KeyError:
        raise Refused("ErrorUnsupportedPathForQuery") from None
    return name


def _comparison(compare: Callable[[Any, Any], bool], element: Element) -> Test:
    name = _field(element)
    constant = element.find("t:FieldURIOrConstant/t:Constant", NAMES)
    if constant is None:
        raise Refused("ErrorUnsupportedPathForQuery")
    wanted = _constant(constant.get("Value", ""), value(_NOTHING, name))
    folds = isinstance(wanted, str)

    def test(one: Message) -> bool:
        found = value(one, name)
        if folds:  # Exchange compares texts without case
            return compare(str(found).lower(), str(wanted).lower())
        return found is not None and compare(found, wanted)

    return test


def _constant(text: str, like: Value | None) -> Value:
    """A constant as a value of the property's kind. Raises `Refused`."""
    try:
        return typed(text, like)
    except ValueError:
        raise Refused("ErrorInvalidRequest") from None


def _contains(element: Element) -> Test:
    name = _field(element)
    constant = element.find("t:Constant", NAMES)
    contained = _CONTAINED.get(element.get("ContainmentMode", "FullString"))
    if constant is None or contained is None:
        raise Refused("ErrorInvalidRequest")
    exact = element.get("ContainmentComparison", "Exact") == "Exact"
    part = constant.get("Value", "")

    def test(one: Message) -> bool:
        text = str(value(one, name))
        return contained(text, part) if exact else contained(text.lower(), part.lower())

    return test


def in_order(found: Iterable[Message], asked: Element) -> Iterator[Message]:
    """In the order that was asked for; else as they lie, the newest first. Raises `Refused`."""
    orders = asked.findall("m:SortOrder/t:FieldOrder", NAMES)
    if not orders:
        yield from found
        return
    items = list(found)
    for order in reversed(orders):
        try:
            name = _field(order)
        except Refused:
            raise Refused("ErrorUnsupportedPathForSortGroup") from None
        items.sort(
            key=lambda one: _comparable(value(one, name)),
            reverse=order.get("Order") == "Descending",
        )
    yield from items


def _comparable(found: Value | None) -> tuple[bool, float, str]:
    """Values of one property are all of one kind; those without come first."""
    if isinstance(found, str):
        return True, 0.0, found.lower()
    if isinstance(found, datetime):
        return True, found.timestamp(), ""
    return found is not None, float(found or 0), ""


def page(count: int, asked: Element, tag: str) -> tuple[int, int]:
    """Offset and length of the page that was asked for. Raises `Refused`."""
    view = asked.find(f"m:{tag}", NAMES)
    if view is None:
        return 0, min(count, LARGEST_PAGE)
    try:
        offset = int(view.get("Offset", "0"))
        most = int(view.get("MaxEntriesReturned", str(LARGEST_PAGE)))
    except ValueError:
        raise Refused("ErrorInvalidRequest") from None
    if offset < 0 or most <= 0:
        raise Refused("ErrorInvalidRequest")
    if view.get("BasePoint", "Beginning") == "End":
        offset = max(0, count - offset - min(most, LARGEST_PAGE))
    return min(offset, count), min(most, LARGEST_PAGE)


@dataclass(frozen=True, slots=True)
class CalendarView:
    """What of a calendar lies between two moments, and how many entries are wanted at most."""

    test: Test
    most: int | None


def calendar_view(asked: Element) -> CalendarView | None:
    """The view of a calendar that was asked for. Raises `Refused`."""
    view = asked.find("m:CalendarView", NAMES)
    if view is None:
        return None
    most = _constant(view.get("MaxEntriesReturned", "0"), 0)
    assert isinstance(most, int)
    begin, end = (
        _comparable(_constant(view.get(name, ""), _EPOCH)) for name in ("StartDate", "EndDate")
    )
    if begin > end:
        raise Refused("ErrorCalendarEndDateIsEarlierThanStartDate")

    def test(one: Message) -> bool:
        starts, ends = (_comparable(value(one, f"calendar:{name}")) for name in ("Start", "End"))
        return starts < end and ends > begin

    return CalendarView(test, most if most > 0 else None)


def starts(one: Message) -> datetime:
    """When an entry of a calendar begins."""
    found = value(one, "calendar:Start")
    assert isinstance(found, datetime)
    return found


def cut(found: Iterable[Message], offset: int, length: int) -> list[Message]:
    """One page of them."""
    return list(islice(found, offset, offset + length))


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# An item that shows of which kind the value of each property is.
_NOTHING: Final = Message("inbox", 0, False, "", "", (), _EPOCH, _EPOCH, 0, "")
