"""What Exchange's objects look like as a whole: type names, and every property in its order.

A shape is a text file per cmdlet in `properties/`. `type` lines name the types, the most
special one first ("~" stands for Microsoft.Exchange.Data), `blob` is the size of the blob
that the object carries. Then one line per property: `Name *` is a property that says
something about the organisation and is given by whoever builds the object; all the others
are what an untouched object has: a name, a word for the kind of node, the value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cultures import ENGLISH, Culture
from mailmig.model.quota import UNLIMITED
from mailmig.wire.clixml import Int64, Obj, UInt16, UInt32, UInt64, Value

Make = Callable[[Culture], Value]

# The note on rows that were asked for mailbox by mailbox: whose they are.
OWNER: Final = "OwnerGuid"

_PREFIX: Final = "Microsoft.Exchange.Data"
_SPAN: Final = f"[[{v.DATA}.EnhancedTimeSpan, {v.DATA}, {v.TOKEN}]]"


@dataclass(frozen=True, slots=True)
class Shape:
    """The types of an object and its properties; `None` instead of a maker: to be given."""

    types: tuple[str, ...]
    blob: int
    properties: tuple[tuple[str, Make | None], ...]

    def given(self) -> frozenset[str]:
        """The properties that whoever builds such an object must give."""
        return frozenset(name for name, make in self.properties if make is None)


@dataclass(frozen=True, slots=True)
class Session:
    """The remote session that every object tells of."""

    computer: str
    runspace: str


def whole_object(
    cmdlet: str, culture: Culture, session: Session, text: str, live: Mapping[str, Value]
) -> Obj:
    """An object as the cmdlet returns it: `text` is its ToString, `live` what is given."""
    found = shape(cmdlet)
    properties = {
        name: live[name] if make is None else make(culture) for name, make in found.properties
    }
    notes: dict[str, Value] = {
        "PSComputerName": session.computer,
        "RunspaceId": UUID(session.runspace),
        "PSShowComputerName": False,
    }
    if OWNER in live:
        notes = {OWNER: live[OWNER], **notes}
    if found.blob:
        notes |= v.blob(cmdlet, found.blob)
    return Obj(found.types, text, properties, notes)


@lru_cache(maxsize=64)
def shape(cmdlet: str) -> Shape:
    """The shape of what a cmdlet returns."""
    types: list[str] = []
    blob = 0
    properties: list[tuple[str, Make | None]] = []
    text = (files("mailmig.lab") / "properties" / f"{cmdlet}.txt").read_text("utf-8")
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name == "#":
            continue
        if name == "type":
            types.append(_full(rest))
        elif name == "blob":
            blob = int(rest)
        elif rest == "*":
            properties.append((name, None))
        else:
            word, _, value = rest.partition(" ")
            properties.append((name, _constant(word, value)))
    return Shape(tuple(types), blob, tuple(properties))


def _full(name: str) -> str:
    return _PREFIX + name[1:] if name.startswith("~") else name


def _always(value: Value) -> Make:
    return lambda culture: value


def _constant(word: str, text: str) -> Make:
    """What an untouched object has is made once per culture, and not for every object."""
    make = _MAKERS[word](text)
    first = make(ENGLISH)
    if not isinstance(first, Obj):
        return make

    @lru_cache(maxsize=8)
    def made(culture: Culture) -> Value:
        value = make(culture)
        return v.Constant.of(value) if isinstance(value, Obj) else value

    return made


def _enum(text: str) -> Make:
    type_name, number, name = text.split(" ", 2)
    long = name.endswith(" long")
    name = name.removesuffix(" long")
    return lambda culture: v.enum(_full(type_name), name, int(number), long=long)


def _limit(text: str) -> Make:
    quota = UNLIMITED if text == "unlimited" else int(text)
    return lambda culture: v.limit(culture, quota)


def _number(text: str) -> Make:
    number = None if text == "unlimited" else int(text)
    return lambda culture: v.unlimited_number(number)


def _version(text: str) -> Make:
    numbers, _, build = text.partition(" ")
    major, minor = (int(part) for part in numbers.split("."))
    return lambda culture: v.object_version(minor, build.strip("()"), major)


def _list(text: str) -> Make:
    types = tuple(text.split())
    return lambda culture: Obj(types, value=[])


def _values(text: str) -> Make:
    type_name, assembly = (_full(word) for word in text.split())
    if not assembly.startswith(_PREFIX):
        types = v.many(f"{type_name}, {v.MSCORLIB.replace('mscorlib', assembly)}")
        return lambda culture: Obj(types, value=[])
    return lambda culture: v.values(type_name, assembly)


def _text(text: str) -> Make:
    """An object of which nothing but its type's name is written."""
    types = (*text.split(), "System.Object")
    return lambda culture: Obj(types, types[0], {"IsDefaulted": False})


def _empty_address(text: str) -> Make:
    del text
    types = (f"{v.DATA}.SmtpAddress", "System.ValueType", "System.Object")
    properties: dict[str, Value] = {
        "Length": 0, "Local": None, "Domain": None, "Address": None, "IsUTF8": False,
        "IsValidAddress": False,
    }  # fmt: skip
    return lambda culture: Obj(types, "", dict(properties), v.blob("SmtpAddress", 250))


def _unlimited_span(text: str) -> Make:
    del text
    types = (f"{v.DATA}.Unlimited`1{_SPAN}", "System.ValueType", "System.Object")
    return lambda culture: Obj(
        types, "Unlimited", {"IsUnlimited": True}, v.blob("UnlimitedSpan", 390)
    )


_MAKERS: Final[dict[str, Callable[[str], Make]]] = {
    "Nil": lambda text: _always(None),
    "S": _always,
    "B": lambda text: _always(text == "true"),
    "I32": lambda text: _always(int(text)),
    "I64": lambda text: _always(Int64(text)),
    "U16": lambda text: _always(UInt16(text)),
    "U32": lambda text: _always(UInt32(text)),
    "U64": lambda text: _always(UInt64(text)),
    "G": lambda text: _always(UUID(text)),
    "DT": lambda text: _always(datetime.fromisoformat(text)),
    "enum": _enum,
    "strings": lambda text: lambda culture: v.strings(text.split("|") if text else ()),
    "values": _values,
    "directory": lambda text: lambda culture: v.directory_values(_full(text)),
    "list": _list,
    "span": lambda text: lambda culture: v.time_span(timedelta(seconds=int(text))),
    "span-unlimited": _unlimited_span,
    "limit": _limit,
    "size": lambda text: lambda culture: v.size(culture, int(text)),
    "number": _number,
    "version": _version,
    "path": lambda text: lambda culture: v.local_path(text),
    "smtp": _empty_address,
    "text": _text,
}
