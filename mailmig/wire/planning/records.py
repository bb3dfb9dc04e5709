"""JSON objects to dataclasses and back, by the types of their fields.

Strict: unknown keys, missing ones, keys given twice, other types, numbers below zero and
numbers that are none (NaN) are errors with file and place. A field may be left out, or be
null, where its class has a default. Enums are written as their names in lower case. Times
are ISO 8601; one without a zone is read in the zone given, and all become UTC. A time that
the clocks pass twice is the first of the two (write an offset to mean the other); one that
they leave out is an error.
"""

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, tzinfo
from enum import Enum
from math import isfinite
from typing import Any, TypeVar

from mailmig.model.errors import BadFile, nearest

T = TypeVar("T")

# No disk and no window is larger; beyond it something other than bytes was written down.
LARGEST = 2**63 - 1


def parse(text: str, file: object) -> Any:
    """The JSON value of a text. Raises `BadFile`, with line and column where there is one."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(found)
        if len(result) < len(found):
            names = [name for name, _ in found]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadFile(file, f'the key "{twice}" is given twice in one object')
        return result

    def constant(word: str) -> Any:
        raise BadFile(file, f"{word} is no number")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadFile(file, f"is no JSON: {error.msg}", where) from error
    except (RecursionError, ValueError) as error:
        raise BadFile(
            file, "is no JSON that can be used: nested too deep, or a number too long"
        ) from error


def encode(value: Any) -> Any:
    """A value as JSON: dataclasses as objects, times in UTC."""
    if is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        return {name: _encoded(hint, getattr(value, name)) for name, hint in hints.items()}
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {key: encode(of) for key, of in value.items()}
    if isinstance(value, tuple):
        return [encode(of) for of in value]
    return value


def _encoded(hint: Any, value: Any) -> Any:
    """A whole number in a field for real ones is written as it will be read."""
    real = type(value) is int and (hint is float or float in typing.get_args(hint))
    return float(value) if real else encode(value)


class Decoder:
    """Reads the values of one file."""

    def __init__(self, file: object, zone: tzinfo = UTC) -> None:
        self.file = file
        self.zone = zone

    def record(self, cls: type[T], value: object, where: str = "") -> T:
        """A dataclass from a JSON object; `where` is its place in the file.

        Raises `BadFile`.
        """
        given = self.mapping(value, where)
        hints = _hints(cls)
        known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
        for key in given:
            if key not in known:
                raise self.bad(where, f'there is no key "{key}" here{nearest(key, known)}')
        values: dict[str, Any] = {}
        for name, field in known.items():
            if given.get(name) is not None:
                values[name] = self.value(hints[name], given[name], _inside(where, name))
            elif field.default is MISSING and field.default_factory is MISSING:
                if _optional(hints[name]):
                    values[name] = None
                else:
                    raise self.bad(where, f'the key "{name}" is missing')
        return cls(**values)

    def value(self, hint: Any, value: object, where: str) -> Any:
        """A value of the type that `hint` names. Raises `BadFile`."""
        if isinstance(hint, types.UnionType):
            options = typing.get_args(hint)
            if value is None and type(None) in options:
                return None
            hint = next(option for option in options if option is not type(None))
        origin, inner = typing.get_origin(hint), typing.get_args(hint)
        if origin is tuple:
            items = self.array(value, where)
            return tuple(self.value(inner[0], of, f"{where}[{n}]") for n, of in enumerate(items))
        if origin is Mapping:
            pairs = self.mapping(value, where).items()
            return {key: self.value(inner[1], of, _inside(where, key)) for key, of in pairs}
        if is_dataclass(hint):
            return self.record(typing.cast(type[Any], hint), value, where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return self._choice(hint, value, where)
        return self._plain(hint, value, where)

    def mapping(self, value: object, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.bad(where, f"must be an object, not {_word(value)}")
        return value

    def array(self, value: object, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise self.bad(where, f"must be a list, not {_word(value)}")
        return value

    def bad(self, where: str, reason: str) -> BadFile:
        return BadFile(self.file, reason, where)

    def _choice(self, choices: type[Enum], value: object, where: str) -> Enum:
        names = [choice.name.lower() for choice in choices]
        if value not in names:
            raise self.bad(where, f"must be one of {', '.join(names)}, not {_word(value)}")
        return choices[str(value).upper()]

    def _plain(self, hint: Any, value: object, where: str) -> Any:
        if hint is datetime:
            return self.time(value, where)
        if hint is str and isinstance(value, str):
            return value
        if hint is bool and isinstance(value, bool):
            return value
        if hint is int and type(value) is int:
            return self._number(value, where)
        if hint is float and type(value) in (int, float):
            return float(self._number(typing.cast(float, value), where))
        words = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
        raise self.bad(where, f"must be {words.get(hint, str(hint))}, not {_word(value)}")

    def _number(self, value: float, where: str) -> float:
        if not isfinite(value) or value > LARGEST:
            raise self.bad(where, f"{value} is too large")
        if value < 0:
            raise self.bad(where, f"must not be below zero, but is {value}")
        return value

    def time(self, value: object, where: str) -> datetime:
        """A moment in UTC. Raises `BadFile`."""
        if not isinstance(value, str):
            raise self.bad(where, f"must be a time, not {_word(value)}")
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
            there = moment.replace(tzinfo=self.zone).astimezone(UTC)
            back = there.astimezone(self.zone).replace(tzinfo=None)
        except (ValueError, OverflowError) as error:
            reason = f"must be a time like 2027-01-12T20:00:00, not {_word(value)}"
            raise self.bad(where, reason) from error
        if back != moment:
            reason = f"{value} does not exist in {self.zone}: the clocks go forward over it"
            raise self.bad(where, reason)
        return there


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(cls: type) -> dict[str, Any]:
    """The types of a dataclass's fields; found once per class, because looking is slow."""
    if cls not in _HINTS:
        _HINTS[cls] = typing.get_type_hints(cls)
    return _HINTS[cls]


def _optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _word(value: object) -> str:
    """A JSON value in a sentence, shortened."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
