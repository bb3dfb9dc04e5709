"""Primitive values as CLIXML writes them, both directions side by side.

Source: MS-PSRP 2.2.5.1 (primitive types), and real Export-Clixml files for what it leaves
open. Each reader takes the text of one node, None for an empty one, and raises `ValueError`
or `TypeError` for text that is not of its kind. Each writer gives the text without XML
escaping, save `escape`, which does both.

Traps: the `_xHHHH_` escapes stand for UTF-16 code units, so a character beyond U+FFFF takes
two of them, and halves may come alone. Times have seven digits in their fraction, Python
has six: the last one is cut off. A time may have no zone and then stays naive.
"""

import re
from base64 import b64encode
from binascii import Error as BadBase64
from binascii import a2b_base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isinf, isnan
from typing import TypeVar
from uuid import UUID, SafeUUID

from mailmig.wire.clixml_values import (
    Char,
    Int8,
    Int16,
    Int64,
    SecureString,
    Single,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)  # fmt: skip

Integer = TypeVar("Integer", bound=int)

# .NET's own have at most 31 characters.
LONGEST_DECIMAL = 1000
INT32 = range(-(2**31), 2**31)
INT64 = range(-(2**63), 2**63)
UINT64 = range(2**64)
RANGES: dict[type[int], range] = {
    Int8: range(-128, 128), UInt8: range(256), Int16: range(-(2**15), 2**15),
    UInt16: range(2**16), int: INT32, UInt32: range(2**32), Int64: INT64, UInt64: UINT64,
}  # fmt: skip

_ESCAPED = re.compile("_[xX]([0-9A-Fa-f]{4})_")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What Export-Clixml escapes (control characters, surrogates, "_x"), what XML escapes, and
# U+FFFE and U+FFFF, which no XML document can hold.
_UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff_&<>"]')
_TO_ESCAPE = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]|_(?=[xX])"
)
_DECIMAL = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\s*")
_DURATION = re.compile(
    r"(-)?P(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)D)?"
    r"(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)(?:\.([0-9]+))?S)?)?"
)
_new = object.__new__
_octets = bytes.fromhex
_number = int.from_bytes
_set_number = UUID.__dict__["int"].__set__
_set_is_safe = UUID.__dict__["is_safe"].__set__


def unescape(text: str) -> str:
    """Text with its `_xHHHH_` escapes resolved."""
    plain = _ESCAPED.sub(_code_unit, text)
    if _SURROGATE.search(plain):  # two halves of one character come as two escapes
        return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return plain


def escape(text: str, *, attribute: bool = False) -> str:
    """Text as it stands in the file: `_xHHHH_` escapes and XML's own."""
    if not _UNSAFE.search(text):
        return text
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if attribute:
        text = text.replace('"', "&quot;")
    return _TO_ESCAPE.sub(_escape_one, text)


def read_string(text: str | None) -> str:
    if text is None:
        return ""
    return unescape(text) if "_" in text else text


def read_integer(kind: type[Integer]) -> Callable[[str | None], Integer]:
    """The reader of one kind of integer; out of its range is an error."""
    allowed = RANGES[kind]
    low, high = allowed.start, allowed.stop

    def read(text: str | None) -> Integer:
        number = _whole(text)
        if not low <= number < high:
            raise ValueError(text)
        return kind(number)

    return read


def read_int32(text: str | None) -> int:
    if text is None or "_" in text or not text.isascii():  # as in _whole: this one is hot
        raise ValueError(text)
    number = int(text)
    if not -0x8000_0000 <= number <= 0x7FFF_FFFF:
        raise ValueError(text)
    return number


def read_int64(text: str | None) -> int:
    """A plain `int` where that is written as I64 again, else an `Int64`."""
    number = _whole(text)
    if -0x8000_0000 <= number <= 0x7FFF_FFFF:
        return Int64(number)
    if number not in INT64:
        raise ValueError(text)
    return number


def read_uint64(text: str | None) -> int:
    """A plain `int` where that is written as U64 again, else a `UInt64`."""
    number = _whole(text)
    if number in INT64 and number >= 0:
        return UInt64(number)
    if number not in UINT64:
        raise ValueError(text)
    return number


def read_char(text: str | None) -> Char:
    return Char(chr(read_integer(UInt16)(text)))


def write_float(number: float) -> str:
    """As .NET Framework writes it: `10`, `0.5`, `1E+16`, `NaN`, `INF`, `-INF`.

    15 digits where they are enough, else 17: 1/12 is `0.083333333333333329`.
    """
    if isnan(number):
        return "NaN"
    if isinf(number):
        return "INF" if number > 0 else "-INF"
    text = format(number, ".15g")
    return (text if float(text) == number else format(number, ".17g")).upper()


def read_single(text: str | None) -> Single:
    return Single(read_double(text))


def read_double(text: str | None) -> float:
    if text is None or "_" in text:
        raise ValueError(text)
    return float(text)


def read_decimal(text: str | None) -> Decimal:
    if text is None or len(text) > LONGEST_DECIMAL or not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def write_decimal(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError(f"{number} is no finite number")
    text = format(number, "f")
    if len(text) > LONGEST_DECIMAL:
        raise ValueError("the number has too many digits")
    return text


def write_moment(moment: datetime) -> str:
    """ISO 8601 with `Z`, an offset, or nothing for a naive time; fractions only where needed."""
    offset = moment.utcoffset()
    if offset is not None and offset % timedelta(minutes=1):  # the format has whole minutes
        moment = moment.astimezone(UTC)
    text = moment.replace(tzinfo=None).isoformat()
    if moment.microsecond:
        text = text.rstrip("0")
    if offset is None:
        return text
    zone = moment.isoformat()[-6:]
    return text + ("Z" if zone == "+00:00" else zone)


def read_duration(text: str | None) -> timedelta:
    """An xs:duration; .NET counts a year as 365 days and a month as 30."""
    found = _DURATION.fullmatch(text or "")
    if found is None or not any(found.groups()[1:]) or (text or "").endswith("T"):
        raise ValueError(text)
    sign, years, months, days, hours, minutes, seconds, fraction = found.groups()
    whole = timedelta(
        days=int(years or 0) * 365 + int(months or 0) * 30 + int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "")[:6].ljust(6, "0")),
    )
    return -whole if sign else whole


def write_duration(span: timedelta) -> str:
    sign, span = ("-", -span) if span < timedelta(0) else ("", span)
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{span.microseconds:06}".rstrip("0") if span.microseconds else ""
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if seconds or fraction:
        clock += f"{seconds}{fraction}S"
    if not clock and not span.days:
        return "PT0S"
    return f"{sign}P{f'{span.days}D' if span.days else ''}{f'T{clock}' if clock else ''}"


def read_bytes(text: str | None) -> bytes:
    if text is None:
        return b""
    try:
        return a2b_base64(text, strict_mode=True)
    except BadBase64:
        return a2b_base64("".join(text.split()), strict_mode=True)


def write_bytes(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def read_guid(text: str | None) -> UUID:
    """A UUID, put together by hand: its own constructor takes twice as long."""
    if text is None or len(text) != 36 or text[8:24:5] != "----":
        raise ValueError(text)
    octets = _octets(text.replace("-", ""))  # skips blanks, so count what is left
    if len(octets) != 16:
        raise ValueError(text)
    guid = _new(UUID)
    _set_number(guid, _number(octets, "big"))
    _set_is_safe(guid, SafeUUID.unknown)
    return guid


def read_secret(text: str | None) -> SecureString:
    """The placeholder; the text is not looked at."""
    del text
    return SECRET


SECRET = SecureString()


def _whole(text: str | None) -> int:
    """int() takes "1_000" and digits of all scripts too; the format does not."""
    if text is None or "_" in text or not text.isascii():
        raise ValueError(text)
    return int(text)


def _code_unit(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _escape_one(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"_x{code:04X}_"
    code -= 0x10000
    return f"_x{0xD800 + (code >> 10):04X}__x{0xDC00 + (code & 0x3FF):04X}_"
