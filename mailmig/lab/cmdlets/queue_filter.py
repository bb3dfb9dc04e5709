"""The filters of the queue cmdlets: `MessageCount -gt 0 -and DeliveryType -ne 'ShadowRedundancy'`.

Operators -eq, -ne, -gt, -ge, -lt, -le, -like and -notlike; comparisons joined by -and and -or, -and
first, with parentheses. Texts compare without case; a star stands for any signs.
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final

_TOKEN: Final = re.compile(r"""\s*(?:(\()|(\))|'((?:[^']|'')*)'|"([^"]*)"|([^\s()'"]+))""")
_JOINS: Final = ("-and", "-or")
Fact = str | int | float


class BadFilter(ValueError):
    """The filter cannot be read: the message says where."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(f'Invalid filter syntax. "{text}" cannot be read at "{where}".')


def _compare(one: Fact, other: str, test: Callable[[Fact, Fact], bool]) -> bool:
    if isinstance(one, int | float):
        try:
            return test(one, float(other))
        except ValueError:
            raise BadFilter(other, other) from None
    return test(one.lower(), other.lower())


_TESTS: Final[dict[str, Callable[[Fact, Fact], bool]]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-gt": lambda a, b: not isinstance(a, str) and not isinstance(b, str) and a > b,
    "-ge": lambda a, b: not isinstance(a, str) and not isinstance(b, str) and a >= b,
    "-lt": lambda a, b: not isinstance(a, str) and not isinstance(b, str) and a < b,
    "-le": lambda a, b: not isinstance(a, str) and not isinstance(b, str) and a <= b,
    "-like": lambda a, b: fnmatchcase(str(a), str(b)),
    "-notlike": lambda a, b: not fnmatchcase(str(a), str(b)),
}


def matches(text: str, facts: Mapping[str, Fact]) -> bool:
    """Whether an object with these facts (names in lower case) fits. Raises `BadFilter`."""
    reader = _Reader(text, facts)
    found = reader.any()
    if reader.rest:
        raise BadFilter(text, reader.rest[0])
    return found


class _Reader:
    def __init__(self, text: str, facts: Mapping[str, Fact]) -> None:
        self.text = text
        self.facts = facts
        self.rest = _tokens(text)

    def any(self) -> bool:
        found = self.all()
        while self._takes("-or"):
            found = self.all() or found
        return found

    def all(self) -> bool:
        found = self.one()
        while self._takes("-and"):
            found = self.one() and found
        return found

    def one(self) -> bool:
        if self._takes("("):
            found = self.any()
            if not self._takes(")"):
                raise BadFilter(self.text, self._next())
            return found
        name, operator, value = self._next(), self._next().lower(), self._next()
        if operator not in _TESTS:
            raise BadFilter(self.text, operator)
        if name.lower() not in self.facts:
            raise BadFilter(self.text, name)
        return _compare(self.facts[name.lower()], value, _TESTS[operator])

    def _takes(self, token: str) -> bool:
        if self.rest and self.rest[0].lower() == token:
            self.rest.pop(0)
            return True
        return False

    def _next(self) -> str:
        if not self.rest:
            raise BadFilter(self.text, "end")
        return self.rest.pop(0)


def _tokens(text: str) -> list[str]:
    """Words, parentheses and quoted texts; braces around the whole are those of a script block."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    found, place = [], 0
    while place < len(inner):
        match = _TOKEN.match(inner, place)
        if match is None:
            raise BadFilter(text, inner[place:])
        opening, closing, single, double, word = match.groups()
        quoted = single.replace("''", "'") if single is not None else double
        found.append(opening or closing or (quoted if quoted is not None else word))
        place = match.end()
    return found
