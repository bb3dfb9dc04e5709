"""The texts that Exchange prints for sizes, quotas, versions, times and names, made values.

Every function takes one property value as a reader hands it over: a text (CSV, or CLIXML
that was cut at depth 1), a `clixml.Obj` (an object that kept its properties), a Python
value (`int`, `bool`, `datetime`, `timedelta`, `UUID`), or `None` when the property is missing
or null. An object is anything with `.text` (its ToString), `.value` and `.get(name)`.
Nonsense ends in `BadValue`, never in anything else.

Units: sizes are bytes as `int`, binary units (1 KB is 1024 bytes). Times are aware, in UTC.

Traps
- The short part of a size is rounded ("1.899 GB" may be 2,039,480,320 bytes); only the number
  in the parentheses is exact. What a session in another language prints is not established,
  so neither group separators nor words are trusted.
- "Unlimited", "unknown" and zero are three things: a missing quota is `UNKNOWN`.
- A date in a CSV file is in the machine's own short format: 02/03/2026 is a day in March or
  in February. Without a culture such a date is `None`, not a guess.
- Export-Csv writes the .NET type name in place of a list. That is `LostList`: the values are
  not in the file.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from mailmig.model.errors import MailmigError
from mailmig.model.organisation import NO_BUILD, Build
from mailmig.model.quota import UNKNOWN, UNLIMITED, Quota

_SHOWN: Final = 60  # of a bad value
_LONGEST: Final = 200  # text that is looked at as a size or a date
_LARGEST: Final = 2**64 - 1  # ByteQuantifiedSize holds an unsigned 64-bit number


class BadValue(MailmigError, ValueError):
    """A value that is not what the property should hold: look at the row that it came from."""

    def __init__(self, value: object, wanted: str) -> None:
        self.value = _shown(value)
        self.wanted = wanted
        super().__init__(f"{self.value} is not {wanted}")


class LostList(BadValue):
    """A list that the export wrote as a type name or cut short: export it as CLIXML."""

    def __init__(self, value: object) -> None:
        super().__init__(value, "a list: the export lost its values")


class Size(NamedTuple):
    """A number of bytes; `approximate` when only a rounded text was there."""

    bytes: int
    approximate: bool = False


def size(value: object) -> Size:
    """The size in a value such as "1.899 GB (2,039,480,320 bytes)", "6672B", "2 Go" or 6672.

    Raises `BadValue` for anything else, a missing value and "Unlimited" too.
    """
    text = _text(value)
    if text is None or len(text) > _LONGEST:
        raise BadValue(value, "a size")
    return _size_of(text)


def optional_size(value: object) -> Size | None:
    """As `size`, but `None` when the value is missing or empty."""
    return None if _missing(value) else size(value)


def quota(value: object) -> Quota:
    """The quota in a value: bytes, `UNLIMITED`, or `UNKNOWN` when it is missing or empty.

    Not rounded to whole KB. Whether a finite one is only approximate says `size`.
    """
    unlimited = _property(value, "IsUnlimited")
    if unlimited is not None:
        if flag(unlimited):
            return UNLIMITED
        inner = _property(value, "Value")
        value = value if _missing(inner) else inner
    if _missing(value):
        return UNKNOWN
    if (_text(value) or "").casefold() == "unlimited":
        return UNLIMITED
    return size(value).bytes


def build(value: object) -> Build:
    """The build in "Version 15.2 (Build 986.5)", "15.2.986.5" or a ServerVersion object.

    `NO_BUILD` when the value is missing. "15.2" alone is refused: 2019 and SE share it.
    """
    names = ("Major", "Minor", "Build", "Revision")
    parts = value if isinstance(value, tuple) else [_property(value, name) for name in names]
    numbers = [part for part in parts if isinstance(part, int) and 0 <= part < 2**31]
    if len(numbers) != 4:
        if _missing(value):
            return NO_BUILD
        found = _BUILD.fullmatch(_text(value) or "")
        if found is None:
            raise BadValue(value, "a version")
        numbers = [int(part or 0) for part in found.group(1, 2, 3, 4)]
    major, minor, number, revision = numbers
    return (major, minor, number - _OFFSET if number >= _OFFSET else number, revision)


def duration(value: object) -> timedelta:
    """The time span in "10.00:00:00", "-00:00:05.1234567" or a `timedelta`.

    The seventh decimal (100 ns) is dropped. Raises `BadValue`, for a missing value too.
    """
    inner = _unwrapped(value)
    if isinstance(inner, timedelta):
        return inner
    found = _DURATION.fullmatch(_text(value) or "")
    if found is None:
        raise BadValue(value, "a time span")
    days, hours, minutes, seconds = (int(part or 0) for part in found.group(2, 3, 4, 5))
    span = timedelta(days, seconds, _micros(found[6]), hours=hours, minutes=minutes)
    return -span if found[1] else span


def name_of(value: object) -> str:
    """The short name of an object: `Name` of an ADObjectId, or the end of its canonical path.

    "dom.example/Staff/Meier\\/Huber" is "Meier/Huber", "CN=DB1,CN=Databases,..." is "DB1", a
    bare name is itself. "" when the value is missing.
    """
    name = _property(value, "Name")
    if isinstance(name, str) and name:
        return name
    text = canonical(value)
    named = _FIRST_RDN.match(text)
    if named:
        return re.sub(r"\\(.)", r"\1", named[1])
    return _BARE_SLASH.split(text)[-1].replace("\\/", "/")


def canonical(value: object) -> str:
    """The whole text of a value as Exchange prints it (ToString); "" when it is missing."""
    if value is None:
        return ""
    text = _text(value)
    if text is None:
        raise BadValue(value, "a text")
    return text


def enum_name(value: object, table: Mapping[int, str] | None = None) -> str:
    """The name of an enum value; several flags are separated by ", " as Exchange prints them.

    Where only the number came, `table` names it; a number that the table does not know stays
    as text. "" when the value is missing.
    """
    text = canonical(value)
    if table and _INTEGER.fullmatch(text):
        return table.get(int(text), text)
    return text


def flag(value: object) -> bool | None:
    """True, False, or `None` when the value is missing. .NET never translates these words."""
    inner = _unwrapped(value)
    if isinstance(inner, bool):
        return inner
    if _missing(value):
        return None
    truth = {"true": True, "false": False}.get((_text(value) or "").casefold())
    if truth is None:
        raise BadValue(value, "True or False")
    return truth


def moment(value: object, culture: str = "", zone: tzinfo = UTC) -> datetime | None:
    """The time in a value, in UTC, or `None`: missing, "no date", or day and month are unclear.

    `culture` is that of the machine that wrote a CSV file ("de-DE"); it decides what
    02/03/2026 is. `zone` holds for times that carry no offset of their own, as those in CSV
    files. Years up to 1601 and 9999 are how .NET and Windows write "no date". Raises
    `BadValue` for what is no date, or none in that culture.
    """
    inner = _unwrapped(value)
    if isinstance(inner, datetime):
        when: datetime | None = inner
    else:
        when = None if _missing(value) else _read_moment(_text(value) or "", culture)
    if when is None or when.year <= 1601 or when.year == 9999:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)


def texts(value: object) -> tuple[str, ...]:
    """The values of a multi-valued property, in their order; () when there are none.

    Reads list objects and lists (each value by its ToString), and texts that were flattened:
    "{a, b}", "a, b", "a;b", one per line. Commas inside canonical paths, inside
    distinguished names and inside "[EX1, 1]" do not separate. Raises `LostList` for a .NET
    type name in place of the values, and for a text that was cut ("{a, b...}").
    """
    inner = value if isinstance(value, list | tuple) else getattr(value, "value", None)
    if isinstance(inner, list | tuple):
        return tuple(canonical(item) for item in inner if item is not None)
    text = canonical(value)
    if _TYPE_NAME.fullmatch(text):
        raise LostList(text)
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
        if text.endswith(("...", "\u2026")):
            raise LostList(value)
    return tuple(part for part in map(str.strip, _parts(text)) if part)


# Any value to its text ------------------------------------------------------------------------


def _text(value: object) -> str | None:
    """The text of a value without blanks around it; `None` where it has none to give."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int):
        return str(value) if abs(value) <= _LARGEST else None
    if isinstance(value, float | Decimal):
        number = Decimal(value)
        whole = number.is_finite() and abs(number) <= _LARGEST and number == int(number)
        return str(int(number)) if whole else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    text = getattr(value, "text", None)
    if isinstance(text, str) and text.strip():
        return text.strip()
    inner = getattr(value, "value", None)
    if isinstance(inner, str | int):
        return _text(inner)
    return "" if _is_object(value) and inner is None else None


def _missing(value: object) -> bool:
    return value is None or _text(value) == ""


def _is_object(value: object) -> bool:
    return hasattr(value, "text") and hasattr(value, "get")


def _unwrapped(value: object) -> object:
    """The value inside of an object, such as a date that a script put properties on."""
    if not _is_object(value):
        return value
    present = _property(value, "IsPresent")  # of a SwitchParameter
    return getattr(value, "value", None) if present is None else present


def _property(value: object, name: str) -> object:
    return value.get(name) if _is_object(value) else None  # type: ignore[attr-defined]


def _shown(value: object) -> str:
    text = _text(value)
    if text is None:
        return "nothing" if value is None else f"a value of type {type(value).__name__}"
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}..."'


# Sizes ----------------------------------------------------------------------------------------

# Group separators that were seen or are thought possible; U+00A0 and U+202F are blanks.
_GROUPS: Final = ",.'\u2019 \u00a0\u202f"
_DROP_GROUPS: Final = str.maketrans("", "", _GROUPS)
_EXACT: Final = re.compile(rf"\([{_GROUPS}]*([0-9][0-9{_GROUPS}]*)[^()0-9]*\)")
_SHORT: Final = re.compile(rf"([0-9][0-9{_GROUPS}]*?)[{_GROUPS}]*([a-z]*)", re.IGNORECASE)
_BYTE_WORDS: Final = frozenset({"", "b", "o", "byte", "bytes", "octet", "octets"})
_UNITS: Final = {
    letter + ending: 1024**power
    for power, letter in enumerate("kmgtp", 1)
    for ending in ("b", "o", "ib", "io")
}


@lru_cache(maxsize=8192)
def _size_of(text: str) -> Size:
    at = text.rfind("(")
    exact = _EXACT.fullmatch(text, at) if at >= 0 else None
    short = _SHORT.fullmatch(text) if at < 0 else None
    number: int | None = None
    if exact:
        number = int(exact[1].translate(_DROP_GROUPS))
    elif short and short[2].lower() in _BYTE_WORDS:
        number = _whole(short[1])
    elif short and short[2].lower() in _UNITS:
        number = round(_decimal(short[1]) * _UNITS[short[2].lower()])
    if number is None or number > _LARGEST:
        raise BadValue(text, "a size")
    return Size(number, approximate=short is not None and short[2].lower() in _UNITS)


def _whole(number: str) -> int | None:
    """The bytes of "6672" or "2,039,480,320"; there are no fractions of a byte."""
    first, *rest = re.split(f"[{_GROUPS}]", number)
    if rest and (len(first) > 3 or any(len(group) != 3 for group in rest)):
        return None
    return int("".join((first, *rest)))


def _decimal(number: str) -> Decimal:
    """The short part of a size has at most four digits, so a single separator is the point."""
    marks = [at for at, letter in enumerate(number) if letter in ",."]
    if not marks or number[marks[-1]] in number[: marks[-1]]:
        return Decimal(number.translate(_DROP_GROUPS))
    whole, fraction = number[: marks[-1]], number[marks[-1] + 1 :]
    return Decimal(f"{whole.translate(_DROP_GROUPS)}.{fraction.translate(_DROP_GROUPS)}")


# Versions, time spans, names ------------------------------------------------------------------

# AdminDisplayVersion, or dotted; files carry "15.02.0986.005".
_BUILD: Final = re.compile(
    r"(?:[^0-9().]*)([0-9]{1,9})\.([0-9]{1,9})"
    r"(?:\.|\s*\([^0-9()]*)([0-9]{1,9})(?:\.([0-9]{1,9}))?\)?"
)
# The attribute serialNumber in Active Directory adds this to the number of the build.
_OFFSET: Final = 30000

_DURATION: Final = re.compile(
    r"(-)?(?:([0-9]{1,8})\.)?([01]?[0-9]|2[0-3]):([0-5]?[0-9]):([0-5]?[0-9])(?:\.([0-9]{1,7}))?"
)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}")
_FIRST_RDN: Final = re.compile(r"(?:CN|OU)=((?:\\.|[^,\\])*),\s*(?:CN|OU|DC)=", re.IGNORECASE)
_BARE_SLASH: Final = re.compile(r"(?<!\\)/")


def _micros(fraction: str | None) -> int:
    return int((fraction or "")[:6].ljust(6, "0"))


# Dates ----------------------------------------------------------------------------------------

# The year first: ISO 8601, and the short dates of Hungary, Japan, China (2026/11/21).
_YEAR_FIRST: Final = re.compile(
    r"(?P<year>[0-9]{4})([-/.])\s?(?P<month>[0-9]{1,2})\2\s?(?P<day>[0-9]{1,2})\.?"
    r"(?:(?:T|\s+)(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?)?)?"
    r"\s*(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_FIELDS: Final = ("year", "month", "day", "hour", "minute", "second")
_LOCAL: Final = re.compile(
    r"([0-9]{1,2})([/.-])\s?([0-9]{1,2})\2\s?([0-9]{4})\.?"
    r"(?:,?\s+([0-9]{1,2})[:.]([0-9]{2})(?:[:.]([0-9]{2}))?(?:\s*([AP])\.?\s?M\.?)?)?",
    re.IGNORECASE,
)
# What comes first in the short dates of Windows, by culture or language (lower case).
_MONTH_FIRST: Final = frozenset({"en-us", "es-us", "en-ph", "fil-ph"})
_DAY_FIRST: Final = frozenset(
    {"ar", "bg", "ca", "cs", "da", "de", "el", "es", "et", "fi", "fr", "hr", "id", "is", "it",
     "lv", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "tr", "uk", "vi",
     "en-gb", "en-au", "en-nz", "en-ie", "en-in", "en-sg", "en-hk", "en-mt"}
)  # fmt: skip


def _read_moment(text: str, culture: str) -> datetime | None:
    if len(text) > _LONGEST:
        raise BadValue(text, "a date")
    year_first = _YEAR_FIRST.fullmatch(text)
    if year_first:
        return _plain_moment(year_first)
    local = _LOCAL.fullmatch(text)
    if local is None:
        raise BadValue(text, "a date")
    return _local_moment(local, culture)


def _plain_moment(found: re.Match[str]) -> datetime:
    fields = [int(part or 0) for part in found.group(*_FIELDS)]
    offset = (found["offset"] or "").replace(":", "")
    try:
        zone = UTC if offset == "Z" else None
        if offset and zone is None:
            away = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
            zone = timezone(-away if offset[0] == "-" else away)
        return _date(fields, _micros(found["fraction"]), zone)
    except ValueError as error:
        raise BadValue(found[0], "a date") from error


def _local_moment(found: re.Match[str], culture: str) -> datetime | None:
    """Day and month in the order of the culture; `None` when two orders would do."""
    one, other, year = int(found[1]), int(found[3]), int(found[4])
    hour, minute, second = (int(part or 0) for part in found.group(5, 6, 7))
    if found[8]:
        hour = (hour % 12 + (12 if found[8] in "pP" else 0)) if 1 <= hour <= 12 else 99
    order = "." if found[2] == "." else culture.casefold()
    read = []
    for day, month in _orders(one, other, order):
        try:
            read.append(_date([year, month, day, hour, minute, second], 0, None))
        except ValueError:
            continue
    if not read:
        wanted = f"a date in the culture {culture}" if culture else "a date"
        raise BadValue(found[0], wanted)
    return read[0] if len(read) == 1 else None


def _orders(one: int, other: int, culture: str) -> set[tuple[int, int]]:
    """The pairs (day, month) that two numbers may mean. Dots always put the day first."""
    if culture in _MONTH_FIRST:
        return {(other, one)}
    if culture == "." or culture in _DAY_FIRST:
        return {(one, other)}
    if culture.partition("-")[0] in _DAY_FIRST:
        return {(one, other)}
    return {(one, other), (other, one)}


def _date(fields: list[int], micros: int, zone: tzinfo | None) -> datetime:
    year, month, day, hour, minute, second = fields
    return datetime(year, month, day, hour, minute, second, micros, zone)


# Lists ----------------------------------------------------------------------------------------

_TYPE_NAME: Final = re.compile(
    r"(?:Deserialized\.)?(?:System|Microsoft)\.[\w.+]+"
    r"(?:\[\]|`[0-9]+\[.*\]|Collection|List|Array|MultiValuedProperty\w*)",
    re.DOTALL,
)
_PATH: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+/")
_DN: Final = re.compile(r"(?:CN|OU)=", re.IGNORECASE)


def _parts(text: str) -> list[str]:
    """The values in a flattened text, with blanks around them."""
    if text.startswith("[") and text.endswith("]"):
        return [f"[{part}]" for part in re.split(r"\]\s*[,;]\s*\[", text[1:-1])]
    if ";" in text or "\n" in text:
        return re.split(r"[;\r\n]", text)
    if _DN.match(text):
        return re.split(r"(?<!\\), ", text)
    parts = text.split(", ") if ", " in text else text.split(",")
    if not _PATH.match(text):
        return parts
    # "dom.example/Staff/Meier, Anna, dom.example/Staff/Huber": a path begins with its domain.
    joined: list[str] = []
    for part in parts:
        if joined and not _PATH.match(part):
            joined[-1] += f", {part}" if ", " in text else f",{part}"
        else:
            joined.append(part)
    return joined
