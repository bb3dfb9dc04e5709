"""OPATH, the language of `-Filter`: "Department -eq 'Bau' -and -not (Alias -like 'r*')".

    wanted = parse("Alias -like 'r*'")
    wanted.names           # the properties that it speaks of, as written
    wanted.fits(value_of)  # value_of("Alias") is a property's value

Operators: -eq -ne -like -notlike -gt -ge -lt -le, bound by -not, -and, -or in this order. Values are
texts in quotes (a quote in it is doubled), numbers, $true, $false, $null. Texts are compared
without case; of -like only `*` stands for any signs; an id is equal to each of its spellings; of a list one element must fit, and for
-ne and -notlike none may be equal. Sizes compare as bytes, "2GB" or "2 GB (...)", unlimited is the
largest. An empty value is null. What the public reference leaves open is so from memory [MEM].
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final
from uuid import UUID

from mailmig.wire.clixml import Obj, Value
from mailmig.wire.clixml_values import items

ValueOf = Callable[[str], Value]
Literal = str | int | float | bool | None
Plain = str | int | float | bool | datetime

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<open>\() | (?P<close>\))
      | -(?P<word>[A-Za-z]+)(?![\w.])
      | '(?P<single>(?:[^']|'')*)' | "(?P<double>(?:[^"]|"")*)"
      | (?P<number>-?\d+(?:\.\d+)?)(?![\w.])
      | \$(?P<constant>true|false|null)\b
      | (?P<name>[A-Za-z]\w*)
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# Brackets and -not in each other; nobody writes that many.
_DEEPEST: Final = 50
# Digits and sign of the largest 64-bit number; nothing that is counted has more.
_LONGEST_NUMBER: Final = 20
# How moments are written besides ISO 8601: as the public examples do, in the culture of the session.
_MOMENTS: Final = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
                   "%m/%d/%Y %I:%M:%S %p")  # fmt: skip
_ORDERS: Final = ("gt", "ge", "lt", "le")
_OPERATORS: Final = ("eq", "ne", "like", "notlike", *_ORDERS)
_CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", re.IGNORECASE)
_EXACT: Final = re.compile(r".*\(([\d.,]+) bytes\)", re.IGNORECASE)
# What patterns of files have beyond the star.
_SPECIAL: Final = re.compile(r"[?\[]")
_UNITS: Final = {"b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40}
# What of an id is one of its spellings.
_SPELLINGS: Final = ("Name", "DistinguishedName", "ObjectGuid")


class BadFilter(ValueError):
    """The filter cannot be read: `why`, and `at` which sign, counted from 1."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(f"{why} at position {at}")
        self.why = why
        self.at = at


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter that was read."""

    names: tuple[str, ...]
    fits: Callable[[ValueOf], bool]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def parse(text: str) -> Wanted:
    """What a filter asks for. Raises `BadFilter`."""
    reader = _Reader(list(_tokens(_without_braces(text))))
    fits = reader.either()
    rest = reader.peek()
    if rest is not None:
        raise BadFilter(f'unexpected "{rest.text}"', rest.at)
    return Wanted(tuple(reader.names), fits)


def _without_braces(text: str) -> str:
    """Script blocks arrive with their braces or without."""
    stripped = text.strip()
    braced = stripped.startswith("{") and stripped.endswith("}")
    return stripped[1:-1] if braced else text


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            start = end - len(text[at:end].lstrip())
            raise BadFilter("invalid filter syntax", start + 1)
        kind = found.lastgroup
        yield _Token(kind, found[kind], found.start(kind) + 1)
        at = found.end()


class _Reader:
    def __init__(self, tokens: list[_Token]) -> None:
        self.names: list[str] = []
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self, expected: str) -> _Token:
        token = self.peek()
        if token is None:
            end = self._tokens[-1].at + len(self._tokens[-1].text) if self._tokens else 1
            raise BadFilter(f"the filter ends where {expected} is expected", end)
        self._at += 1
        return token

    def _takes(self, word: str) -> bool:
        token = self.peek()
        if token is None or token.kind != "word" or token.text.lower() != word:
            return False
        self._at += 1
        return True

    def either(self) -> Callable[[ValueOf], bool]:
        parts = [self._both()]
        while self._takes("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda of: any(part(of) for part in parts)

    def _both(self) -> Callable[[ValueOf], bool]:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda of: all(part(of) for part in parts)

    def _one(self) -> Callable[[ValueOf], bool]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadFilter("the filter is nested too deeply", self._next("a property").at)
        found = self._alone()
        self._depth -= 1
        return found

    def _alone(self) -> Callable[[ValueOf], bool]:
        if self._takes("not"):
            inner = self._one()
            return lambda of: not inner(of)
        token = self._next("a property")
        if token.kind == "open":
            inside = self.either()
            close = self._next('")"')
            if close.kind != "close":
                raise BadFilter(f'unexpected "{close.text}"', close.at)
            return inside
        if token.kind != "name":
            raise BadFilter(f'"{token.text}" is no property', token.at)
        return self._comparison(token)

    def _comparison(self, name: _Token) -> Callable[[ValueOf], bool]:
        operator = self._next("an operator")
        how = operator.text.lower()
        if operator.kind != "word" or how not in _OPERATORS:
            raise BadFilter(f'"{operator.text}" is no operator', operator.at)
        value = self._literal()
        if how in ("like", "notlike") and not isinstance(value, str):
            raise BadFilter(f"-{how} wants a text", operator.at)
        self.names.append(name.text)
        return lambda of: compare(of(name.text), how, value)

    def _literal(self) -> Literal:
        token = self._next("a value")
        if token.kind == "constant":
            return _CONSTANTS[token.text.lower()]
        if token.kind == "number":
            if len(token.text) > _LONGEST_NUMBER:
                raise BadFilter(f'"{token.text[:_LONGEST_NUMBER]}..." is no number', token.at)
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind in ("single", "double"):
            quote = "'" if token.kind == "single" else '"'
            return token.text.replace(quote * 2, quote)
        raise BadFilter(f'"{token.text}" is no value', token.at)


def compare(value: Value, how: str, literal: Literal) -> bool:
    """Whether a property's value stands so to a literal."""
    found = [plain for one in items(value) for plain in _plain(one)]
    if how in ("ne", "notlike"):
        return not compare(value, "eq" if how == "ne" else "like", literal)
    if literal is None or literal == "":
        return how == "eq" and not found
    if how == "like":
        return any(is_like(str(one), str(literal)) for one in found)
    if how == "eq":
        return any(_equal(one, literal) for one in found)
    return any(_ordered(one, how, literal) for one in found)


def is_like(text: str, pattern: str) -> bool:
    """Whether a text is of this pattern, without case; only `*` is special in it."""
    return fnmatchcase(text.lower(), _SPECIAL.sub(r"[\g<0>]", pattern.lower()))


def _plain(value: Value) -> Iterator[Plain]:
    """What a value may be compared as; nothing for null and for an empty text."""
    if isinstance(value, Obj):
        if value.text:
            yield value.text
        if isinstance(value.value, int):
            yield int(value.value)
        for name in _SPELLINGS:
            yield from _plain(value.adapted.get(name))
    elif isinstance(value, UUID):
        yield str(value)
    elif isinstance(value, bool | int | float | datetime | str) and value != "":
        yield value


def _equal(value: Plain, literal: Literal) -> bool:
    if isinstance(value, bool) or isinstance(literal, bool):
        return str(value).lower() == str(literal).lower()
    if isinstance(value, str) and isinstance(literal, str):
        if value.lower() == literal.strip("{}").lower() or value.lower() == literal.lower():
            return True
        return (size := _bytes(value)) is not None and "(" in value and size == _bytes(literal)
    pair = _pair(value, literal)
    return pair is not None and pair[0] == pair[1]


def _ordered(value: Plain, how: str, literal: Literal) -> bool:
    pair = _pair(value, literal)
    if pair is None:
        return False
    one, other = pair
    larger, same = one > other, one == other
    return {"gt": larger, "ge": larger or same, "lt": not larger and not same,
            "le": not larger}[how]  # fmt: skip


def _pair(value: Plain, literal: Literal) -> tuple[float, float] | None:
    """Both as numbers: moments, sizes, or what they are; `None` when they are not comparable."""
    if isinstance(value, datetime):
        other = _moment(str(literal))
        return None if other is None else (value.timestamp(), other.timestamp())
    mine = _bytes(value) if isinstance(value, str) else float(value)
    other_number = _bytes(literal) if isinstance(literal, str) else literal
    if mine is None or other_number is None:
        return None
    return mine, float(other_number)


def _bytes(text: str) -> float | None:
    if text.lower() == "unlimited":
        return float("inf")
    exact = _EXACT.fullmatch(text)
    if exact is not None:
        return float(exact[1].replace(",", "").replace(".", ""))
    found = _SIZE.fullmatch(text.strip())
    return None if found is None else float(found[1]) * _UNITS[(found[2] or "B").lower()]


def _moment(text: str) -> datetime | None:
    """A moment; one without a zone is in that of the server, which lives in UTC."""
    for form in (None, *_MOMENTS):
        with suppress(ValueError):
            found = (
                datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007  its zone comes next
            )
            return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return None
