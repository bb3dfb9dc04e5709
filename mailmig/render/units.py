"""How values look: sizes, per cents, counts, and texts that came from elsewhere.

Sizes are binary and named as Exchange names them: KB is 1024 bytes, MB 1024**2, GB 1024**3.
A size is rounded only here, from exact bytes and in whole numbers; a rounded size is never
added to anything. Texts from a directory are not trusted: a display name may hold escape
sequences, line breaks or signs that turn the direction of writing.
"""

import re
import unicodedata
from datetime import datetime
from enum import Enum
from functools import lru_cache

from mailmig.model.document import Cell, Nothing, Unit

SIZE_UNITS = ("B", "KB", "MB", "GB", "TB", "PB", "EB")
MINUS = "-"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# What a reader sees for values that are no number. Programs get the words of the values.
NOTHING_SHOWN = {Nothing.NONE: "–", Nothing.UNDEFINED: "n/a"}


def size_text(size: int, *, signed: bool = False) -> str:
    """A size for people: `600 MB`, `1.21 GB`, `-12.5 KB`; with a plus when `signed`.

    Three digits count: two decimals below 10, one below 100, none from there on; half is
    rounded away from zero. Only zero bytes are `0 B`.
    """
    return _sign(size, signed) + _amount(abs(size))


def percent_text(percent: float, *, signed: bool = False) -> str:
    """Per cent for people: `312 %`, `0.4 %`; one decimal below ten. Only nothing is `0 %`."""
    digits = 1 if abs(percent) < 9.95 else 0
    number = f"{abs(percent):,.{digits}f}".removesuffix(".0")
    if number == "0" and percent:
        return "≈ 0 %"
    return f"{_sign(percent, signed)}{number} %"


def count_text(count: int, *, signed: bool = False) -> str:
    """A whole number with a comma between thousands."""
    return f"{_sign(count, signed)}{abs(count):,}"


def number_of(count: int, one: str, many: str) -> str:
    """`1 person`, `1,200 people`."""
    return f"{count:,} {one if count == 1 else many}"


def time_text(moment: datetime) -> str:
    """A moment to the minute, with its offset from UTC."""
    if moment.utcoffset():
        return f"{moment:%Y-%m-%d %H:%M} {moment:%z}"
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def shown(cell: Cell, unit: Unit, *, signed: bool = False) -> str:
    """A cell as people read it."""
    if isinstance(cell, str):
        return cell.replace("_", " ") if unit is Unit.WORD else plain(cell)
    if isinstance(cell, Nothing):
        return NOTHING_SHOWN[cell]
    if isinstance(cell, Enum):
        return str(cell.value).replace("_", " ")
    if isinstance(cell, datetime):
        return time_text(cell)
    if isinstance(cell, tuple):
        return str(cell)
    return _number(cell, unit, signed)


def exact(cell: Cell) -> str | int | float:
    """A cell as programs read it: a number, or a word for what is no number.

    Times are ISO 8601 with offset, months `2031-04`.
    """
    if isinstance(cell, str | int | float):
        return cell
    if isinstance(cell, Enum):
        return str(cell.value)
    return cell.isoformat() if isinstance(cell, datetime) else str(cell)


def plain(text: str) -> str:
    """Text from elsewhere on one line and without effects.

    Line breaks and tabs become spaces. Control characters, signs that turn the direction of
    writing, halves of surrogate pairs and code points that no document may hold become the
    replacement character.
    """
    return text if text.isprintable() else _cleaned(text)


def unbroken(text: str) -> str:
    """Text that can be written as UTF-8: halves of surrogate pairs are replaced."""
    return text if text.isprintable() else _HALF_PAIRS.sub(REPLACEMENT, text)


@lru_cache(maxsize=4096)
def _cleaned(text: str) -> str:
    return "".join(map(_clean, text))


_HALF_PAIRS = re.compile("[\ud800-\udfff]")
_BREAKS = frozenset("\t\n\v\f\r\x85\u2028\u2029")
# Cc control, Cf format (turns of direction, zero-width marks), Cs surrogates, Cn no character
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Cn"})
# Zero-width joiners are part of the spelling in several languages; a soft hyphen does no harm.
_WANTED = frozenset("\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}\N{SOFT HYPHEN}")


def _clean(character: str) -> str:
    if character in _BREAKS:
        return " "
    if unicodedata.category(character) in _UNWANTED and character not in _WANTED:
        return REPLACEMENT
    return character


def _number(number: float, unit: Unit, signed: bool) -> str:
    if unit is Unit.PERCENT:
        return percent_text(number, signed=signed)
    if unit is Unit.MULTIPLE:
        return f"{number:,.1f} ×"
    if isinstance(number, float):
        return f"{number:,.2f}"
    if unit is Unit.BYTES:
        return size_text(number, signed=signed)
    return count_text(number, signed=signed)


def _sign(number: float, signed: bool) -> str:
    if number < 0:
        return MINUS
    return "+" if signed and number > 0 else ""


@lru_cache(maxsize=65536)
def _amount(size: int) -> str:
    step = 0
    while step + 1 < len(SIZE_UNITS) and size >= 1024 ** (step + 1):
        step += 1
    number = _three_digits(size, 1024**step)
    if number == "1024" and step + 1 < len(SIZE_UNITS):  # 1023.9 MB
        number, step = "1", step + 1
    return f"{number} {SIZE_UNITS[step]}"


def _three_digits(size: int, unit: int) -> str:
    """`size / unit` with two, one or no decimals, trailing zeros dropped."""
    for decimals, below in ((2, 10), (1, 100), (0, None)):
        scale = 10**decimals
        scaled = (2 * size * scale + unit) // (2 * unit)
        if below is None or scaled < below * scale:
            break
    if not decimals:
        return str(scaled)
    whole, part = divmod(scaled, scale)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")
