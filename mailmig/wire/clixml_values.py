"""What PowerShell objects become in Python.

Plain Python values stand for the kinds that Python has: `str` (S), `bool` (B), `int`, `float`
(Db), `Decimal` (D), `datetime` (DT), `timedelta` (TS), `bytes` (BA), `UUID` (G), `None` (Nil).
The other primitive kinds are slim subclasses, so that a value that was read is written with
the same kind again, and everybody else may treat them as the `str`, `int` or `float` they are.

A plain `int` is an I32 where it fits, else an I64, else a U64. The subclasses are for the rest:
`Int64(5)` is an I64 all the same, as Exchange writes the numbers of RecipientTypeDetails.

Everything with properties, every enum and every list is an `Obj`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias, TypeVar, overload
from uuid import UUID

PREFIXES = ("Deserialized.", "Selected.")


class Char(str):
    """One UTF-16 code unit (C); half of a surrogate pair is allowed."""

    __slots__ = ()


class Uri(str):
    """An address (URI), as it was written; nothing is parsed."""

    __slots__ = ()


class Version(str):
    """A .NET version such as `15.2.986.5` (Version), as it was written."""

    __slots__ = ()


class XmlText(str):
    """An XML document as text (XD); it is never parsed here."""

    __slots__ = ()


class Script(str):
    """The text of a script block (SBK); it is never run."""

    __slots__ = ()


class Int8(int):
    """SB: -128 to 127."""

    __slots__ = ()


class UInt8(int):
    """By: 0 to 255."""

    __slots__ = ()


class Int16(int):
    """I16."""

    __slots__ = ()


class UInt16(int):
    """U16."""

    __slots__ = ()


class UInt32(int):
    """U32."""

    __slots__ = ()


class Int64(int):
    """I64, where a plain `int` would be written as I32."""

    __slots__ = ()


class UInt64(int):
    """U64, where a plain `int` would be written as I32 or I64."""

    __slots__ = ()


class Single(float):
    """Sg: a 32-bit float, kept as the number that its text names."""

    __slots__ = ()


class SecureString:
    """Stands where a secret was (SS). The secret itself is never kept, in no form."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecureString)

    def __hash__(self) -> int:
        return hash(SecureString)


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress record (PR); -1 in `percent` and `seconds_left` means "not known"."""

    activity: str
    activity_id: int
    operation: str | None
    parent_id: int
    percent: int
    kind: str
    seconds_left: int
    status: str


class Stack(list["Value"]):
    """STK: the top of the stack first."""

    __slots__ = ()


class Queue(list["Value"]):
    """QUE: the next one first."""

    __slots__ = ()


class Enumerable(list["Value"]):
    """IE: what PowerShell enumerated when it wrote the object."""

    __slots__ = ()


class MemberSet(dict[str, "Value"]):
    """A named group of members inside `Obj.extended` (an MS inside an MS)."""

    __slots__ = ()


Default = TypeVar("Default")


class Obj:
    """An object with type names, text, properties, and perhaps a value.

    `types`      .NET type names, the most special one first
    `text`       what `ToString()` gave at the source, None where nothing was written
    `adapted`    the object's own properties (Props)
    `extended`   what PowerShell or a script added (MS); `Select-Object` puts all of them here
    `value`      the number of an enum, a primitive that carries properties, the list, `Stack`,
                 `Queue`, `Enumerable` or dict of a container, else None

    Two objects are equal when all five are. Names are compared without regard to case when the
    exact name is missing, as PowerShell does.
    """

    __slots__ = ("adapted", "extended", "text", "types", "value")

    def __init__(
        self,
        types: tuple[str, ...] = (),
        text: str | None = None,
        adapted: "dict[str, Value] | None" = None,
        extended: "dict[str, Value] | None" = None,
        value: "Value | Container" = None,
    ) -> None:
        self.types = types
        self.text = text
        self.adapted: dict[str, Value] = {} if adapted is None else adapted
        self.extended: dict[str, Value] = {} if extended is None else extended
        self.value: Value | Container = value

    @overload
    def get(self, name: str) -> "Value": ...

    @overload
    def get(self, name: str, default: Default) -> "Value | Default": ...

    def get(self, name: str, default: object = None) -> object:
        """The property of that name, an extended one before an adapted one."""
        if name in self.extended:
            return self.extended[name]
        if name in self.adapted:
            return self.adapted[name]
        folded = name.casefold()
        for members in (self.extended, self.adapted):
            for known, value in members.items():
                if known.casefold() == folded:
                    return value
        return default

    def __getitem__(self, name: str) -> "Value":
        value = self.get(name, _MISSING)
        if isinstance(value, _Missing):
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name, _MISSING) is not _MISSING

    @property
    def properties(self) -> "dict[str, Value]":
        """All properties in one new dict; an extended one hides an adapted one."""
        return {**self.adapted, **self.extended}

    def is_a(self, type_name: str) -> bool:
        """Whether the type or one of its bases has that full name.

        `Deserialized.` and `Selected.` in front of the names are ignored: an object says the
        same whether it came through a file, over remote PowerShell or out of `Select-Object`.
        """
        return any(_bare(known) == type_name for known in self.types)

    @property
    def enum(self) -> tuple[str, int] | None:
        """Name and number of an enum value; None for everything else."""
        if isinstance(self.value, int) and self.is_a("System.Enum"):
            return self.text or "", int(self.value)
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Obj) and _same(self, other, set())

    def __hash__(self) -> int:
        return hash((self.types, self.text))

    def __repr__(self) -> str:
        full = _bare(self.types[0]).partition("`")[0] if self.types else "object"
        kind = full.rpartition(".")[2]
        count = len(self.adapted) + len(self.extended)
        return f"<Obj {kind} {self.text!r}, {count} properties>"


Value: TypeAlias = (
    bool
    | int
    | float
    | str
    | bytes
    | Decimal
    | datetime
    | timedelta
    | UUID
    | SecureString
    | Progress
    | MemberSet
    | Obj
    | None
)
Container: TypeAlias = list[Value] | dict[Value, Value]


def items(value: "Value | Container") -> list[Value]:
    """The elements of anything that is a list in PowerShell's eyes.

    A container gives its elements, None gives nothing, and a single value is a list of one:
    PowerShell itself unwraps lists with one element here and there.
    """
    inner = value.value if isinstance(value, Obj) else value
    if isinstance(inner, list):
        return list(inner)
    if value is None:
        return []
    if isinstance(value, dict) and not isinstance(value, MemberSet):
        raise TypeError("a dictionary has entries, not items")
    return [value]  # type: ignore[list-item] # lists and dicts have gone above


class _Missing:
    """No property of that name."""


_MISSING = _Missing()


def _bare(type_name: str) -> str:
    while type_name.startswith(PREFIXES):
        type_name = type_name.partition(".")[2]
    return type_name


def _same(one: object, other: object, open_pairs: set[tuple[int, int]]) -> bool:
    """Deep equality that also ends for objects that refer to themselves."""
    if one is other:
        return True
    if isinstance(one, Obj) and isinstance(other, Obj):
        pair = (id(one), id(other))
        if pair in open_pairs:
            return True
        open_pairs.add(pair)
        return one.types == other.types and one.text == other.text and all(
            _same(left, right, open_pairs)
            for left, right in zip(_parts(one), _parts(other), strict=True)
        )  # fmt: skip
    if isinstance(one, list) and isinstance(other, list):
        return (
            type(one) is type(other)
            and len(one) == len(other)
            and all(_same(*pair, open_pairs) for pair in zip(one, other, strict=True))
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return (
            type(one) is type(other)
            and one.keys() == other.keys()
            and all(_same(one[key], other[key], open_pairs) for key in one)
        )
    return one == other


def _parts(one: Obj) -> Iterator[object]:
    yield one.adapted
    yield one.extended
    yield one.value
