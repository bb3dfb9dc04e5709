"""Restrictions: what GetMatches of the address book filters by (MS-OXCDATA 2.12).

The notes say only where one stands (1.10). All layouts and numbers here are [MEM], among them
that And and Or count their parts in 32 bits in the address book. Nothing that the probes need
depends on them.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from mailmig.wire.mapihttp.octets import Reader, Writer
from mailmig.wire.mapihttp.properties import Place, Value, read_value, write_value

DEEPEST: Final = 16


class Relation(IntEnum):
    """How a property is compared."""

    LESS = 0
    LESS_OR_EQUAL = 1
    GREATER = 2
    GREATER_OR_EQUAL = 3
    EQUAL = 4
    NOT_EQUAL = 5
    MATCHES = 6
    MEMBER_OF = 0x64


@dataclass(frozen=True, slots=True)
class And:
    parts: "tuple[Restriction, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    parts: "tuple[Restriction, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    part: "Restriction"


@dataclass(frozen=True, slots=True)
class Content:
    """Text in a text; `fuzzy_low` 0 whole, 1 part, 2 beginning; `fuzzy_high` 1 any case."""

    tag: int
    value: Value
    fuzzy_low: int = 0
    fuzzy_high: int = 0


@dataclass(frozen=True, slots=True)
class Compare:
    """A property against a value."""

    tag: int
    relation: int
    value: Value


@dataclass(frozen=True, slots=True)
class CompareProperties:
    tag: int
    relation: int
    other: int


@dataclass(frozen=True, slots=True)
class BitMask:
    """`is_set`: one of the mask's bits is set; else none of them."""

    tag: int
    mask: int
    is_set: bool


@dataclass(frozen=True, slots=True)
class Size:
    tag: int
    relation: int
    size: int


@dataclass(frozen=True, slots=True)
class Exists:
    tag: int


Restriction: TypeAlias = (
    And | Or | Not | Content | Compare | CompareProperties | BitMask | Size | Exists
)
_AND, _OR, _NOT, _CONTENT, _COMPARE, _COMPARE_PROPERTIES, _BIT_MASK, _SIZE, _EXISTS = range(9)


def write_restriction(out: Writer, restriction: Restriction, depth: int = 0) -> None:
    """Raises: BadMapi when it is nested more than `DEEPEST` deep, or a value does not fit."""
    if depth > DEEPEST:
        out.fail(f"its restrictions are nested more than {DEEPEST} deep")
    match restriction:
        case And(parts) | Or(parts):
            out.u8(_AND if isinstance(restriction, And) else _OR, "restriction")
            out.u32(len(parts), "the number of parts")
            for part in parts:
                write_restriction(out, part, depth + 1)
        case Not(part):
            out.u8(_NOT, "restriction")
            write_restriction(out, part, depth + 1)
        case _:
            _write_leaf(out, restriction)


def _write_leaf(out: Writer, leaf: Restriction) -> None:
    match leaf:
        case Content(tag, value, low, high):
            out.u8(_CONTENT, "restriction")
            out.u16(low, "FuzzyLevelLow")
            out.u16(high, "FuzzyLevelHigh")
            _write_tagged(out, tag, value)
        case Compare(tag, relation, value):
            out.u8(_COMPARE, "restriction")
            out.u8(relation, "RelOp")
            _write_tagged(out, tag, value)
        case CompareProperties(tag, relation, other):
            out.u8(_COMPARE_PROPERTIES, "restriction")
            out.u8(relation, "RelOp")
            out.u32(tag, "PropTag1")
            out.u32(other, "PropTag2")
        case BitMask(tag, mask, is_set):
            out.u8(_BIT_MASK, "restriction")
            out.u8(is_set, "BitmapRelOp")
            out.u32(tag, "PropTag")
            out.u32(mask, "Mask")
        case Size(tag, relation, size):
            out.u8(_SIZE, "restriction")
            out.u8(relation, "RelOp")
            out.u32(tag, "PropTag")
            out.u32(size, "Size")
        case Exists(tag):
            out.u8(_EXISTS, "restriction")
            out.u32(tag, "PropTag")


def read_restriction(raw: Reader, depth: int = 0) -> Restriction:
    """Raises: BadMapi when it is nested more than `DEEPEST` deep, unknown, or ends early."""
    if depth > DEEPEST:
        raw.fail(f"its restrictions are nested more than {DEEPEST} deep")
    kind = raw.u8("restriction")
    if kind in (_AND, _OR):
        count = raw.u32("the number of parts")
        parts = raw.items(count, lambda: read_restriction(raw, depth + 1), "restrictions", 1)
        return And(parts) if kind == _AND else Or(parts)
    if kind == _NOT:
        return Not(read_restriction(raw, depth + 1))
    return _read_leaf(raw, kind)


def _read_leaf(raw: Reader, kind: int) -> Restriction:
    if kind == _CONTENT:
        low, high = raw.u16("FuzzyLevelLow"), raw.u16("FuzzyLevelHigh")
        tag, value = _read_tagged(raw)
        return Content(tag, value, low, high)
    if kind == _COMPARE:
        relation = raw.u8("RelOp")
        tag, value = _read_tagged(raw)
        return Compare(tag, relation, value)
    if kind == _COMPARE_PROPERTIES:
        relation, tag = raw.u8("RelOp"), raw.u32("PropTag1")
        return CompareProperties(tag, relation, raw.u32("PropTag2"))
    if kind == _BIT_MASK:
        is_set, tag = raw.u8("BitmapRelOp") != 0, raw.u32("PropTag")
        return BitMask(tag, raw.u32("Mask"), is_set)
    if kind == _SIZE:
        relation, tag = raw.u8("RelOp"), raw.u32("PropTag")
        return Size(tag, relation, raw.u32("Size"))
    if kind == _EXISTS:
        return Exists(raw.u32("PropTag"))
    return raw.fail(f"restriction {kind:#04x} is unknown", raw.at - 1)


def _write_tagged(out: Writer, tag: int, value: Value) -> None:
    """The restriction's tag, and its value with a tag of its own, which is the same here."""
    out.u32(tag, "PropTag")
    out.u32(tag, "the value's tag")
    write_value(out, tag, value, Place.ADDRESS_BOOK)


def _read_tagged(raw: Reader) -> tuple[int, Value]:
    tag, of_value = raw.u32("PropTag"), raw.u32("the value's tag")
    if tag != of_value:
        raw.fail(f"a value of {of_value:#010x} is compared with {tag:#010x}", raw.at - 4)
    value = read_value(raw, of_value, Place.ADDRESS_BOOK)
    if value is None:
        raw.fail("a restriction compares with nothing")
    return tag, value
