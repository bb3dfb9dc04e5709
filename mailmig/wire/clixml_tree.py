"""From the XML tree of one top-level object to its value.

This is the hot path of every import: one walk over elements that the C parser built, one
look-up per node and no call per string property. Facts of the format: MS-PSRP 2.2.5.2 (complex
objects), 2.2.5.2.7 (extended properties); what PowerShell's own reader tolerates is tolerated
(an `Obj` or `TN` without a `RefId`, a property that comes twice: the last one counts).

References. A type list (`TN`) is known to the end of the document. An object can be referred
to (`Ref`) from later top-level objects too: real exports share one OrganizationId that way.
Keeping all objects would keep the whole file in memory, so `Document` keeps two generations,
and the caller says with `forget` when a new one begins. An object that is used again moves
into the young one, so a shared object stays as long as it is in use.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, TypeVar
from xml.etree.ElementTree import Element

from mailmig.wire.clixml_text import (
    read_bytes,
    read_char,
    read_decimal,
    read_double,
    read_duration,
    read_guid,
    read_int32,
    read_int64,
    read_integer,
    read_secret,
    read_single,
    read_string,
    read_uint64,
    unescape,
)  # fmt: skip
from mailmig.wire.clixml_values import (
    Container,
    Enumerable,
    Int8,
    Int16,
    MemberSet,
    Obj,
    Progress,
    Queue,
    Script,
    Stack,
    UInt8,
    UInt16,
    UInt32,
    Uri,
    Value,
    Version,
    XmlText,
)  # fmt: skip

NAMESPACE = "http://schemas.microsoft.com/powershell/2004/04"
BLOB = "SerializationData"
NESTING = 100
# Real lists have some hundred characters, and a file some hundred lists.
TYPE_LIST_CHARACTERS = 20_000
TYPE_LISTS = 10_000
SHOWN = 40

ReadText: TypeAlias = Callable[[str | None], Value]


class Fault(Exception):
    """Why an object cannot be read; the reason is the end of a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Document:
    """What is known while one document is read: type lists, and objects to refer to."""

    __slots__ = ("_depth", "_nesting", "_old", "_types", "_young", "has_references")

    def __init__(self, nesting: int = NESTING) -> None:
        self._types: dict[str, tuple[str, ...]] = {}
        self._young: dict[str, Obj] = {}
        self._old: dict[str, Obj] = {}
        self._depth = 0
        self._nesting = nesting
        self.has_references = False

    def forget(self) -> None:
        """Begin a new generation: drop the objects that nobody referred to in the last one."""
        self._old = self._young
        self._young = {}

    def value(self, element: Element) -> Value:
        """The value of one top-level element; `Fault` when it has none."""
        try:
            return self._value(element)
        except Fault:
            raise
        except RecursionError:
            raise Fault("it is nested too deeply") from None
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise Fault(_explain(element, error)) from None

    def _value(self, element: Element) -> Value:
        convert = _texts[element.tag]
        if convert is None:
            return _NODES[element.tag](self, element)
        if len(element):
            raise Fault(f"there is an element inside {_label(element)}")
        return convert(element.text)

    def _obj(self, element: Element) -> Obj:
        obj = _new_obj(Obj)
        ref = element.get("RefId")
        if ref is not None and (self._young.setdefault(ref, obj) is not obj or ref in self._old):
            raise Fault(f"two objects have the RefId {_quoted(ref)}")
        self._depth += 1
        if self._depth > self._nesting:
            raise Fault(f"objects are nested more than {self._nesting} deep")
        obj.types = ()
        obj.text = None
        adapted: dict[str, Value] = {}
        extended: dict[str, Value] = {}
        obj.adapted = adapted
        obj.extended = extended
        obj.value = None
        for part in element:
            kind = _parts[part.tag]
            if kind is _PROPS:
                self._members(part, adapted)
            elif kind is _TO_STRING:
                text = part.text
                obj.text = "" if text is None else unescape(text) if "_" in text else text
            elif kind is _TN_REF:
                obj.types = self._known_types(part)
            elif kind is _MS:
                self._members(part, extended)
            elif kind is _TN:
                obj.types = self._new_types(part)
            elif kind is _CONTAINER:
                obj.value = _CONTAINERS[part.tag](self, part)
            else:
                obj.value = self._value(part)
        self._depth -= 1
        return obj

    def _members(self, element: Element, members: dict[str, Value]) -> None:
        names = _names
        texts = _texts
        for member in element[:]:
            convert = texts[member.tag]
            name = names[member.attrib["N"]]
            if convert is read_string:  # most of all nodes: spare the call
                text = member.text
                members[name] = "" if text is None else unescape(text) if "_" in text else text
            elif convert is None:
                members[name] = _MEMBERS[member.tag](self, member)
                continue
            elif name != BLOB or convert is not read_bytes:
                members[name] = convert(member.text)
            if len(member):
                raise Fault(f"there is an element inside {_label(member)}")

    def _known_types(self, element: Element) -> tuple[str, ...]:
        ref = element.get("RefId", "")
        try:
            return self._types[ref]
        except KeyError:
            raise Fault(f"a TNRef names the RefId {_quoted(ref)}, which no TN has") from None

    def _new_types(self, element: Element) -> tuple[str, ...]:
        types = _type_lists[tuple([name.text for name in element])]
        ref = element.get("RefId")
        if ref is not None:
            if ref in self._types:
                raise Fault(f"two type lists have the RefId {_quoted(ref)}")
            if len(self._types) >= TYPE_LISTS:
                raise Fault(f"there are more than {TYPE_LISTS:,} type lists")
            self._types[ref] = types
        return types

    def _reference(self, element: Element) -> Obj:
        self.has_references = True
        ref = element.get("RefId", "")
        obj = self._young.get(ref)
        if obj is None:
            obj = self._old.get(ref)
            if obj is None:
                raise Fault(
                    f"a Ref names the RefId {_quoted(ref)}, which no object within reach has"
                )
            self._young[ref] = obj
        return obj

    def _null(self, element: Element) -> None:
        if len(element):
            raise Fault(f"there is an element inside {_label(element)}")

    def _member_set(self, element: Element) -> MemberSet:
        self._depth += 1
        if self._depth > self._nesting:
            raise Fault(f"objects are nested more than {self._nesting} deep")
        members = MemberSet()
        self._members(element, members)
        self._depth -= 1
        return members

    def _progress(self, element: Element) -> Progress:
        if len(element) != 8:
            raise Fault(f"a progress record has {len(element)} parts instead of 8")
        activity, number, operation, parent, percent, kind, seconds, status = (
            part.text for part in element
        )
        try:
            return Progress(
                activity=read_string(activity),
                activity_id=read_int32(number),
                operation=None if operation is None else read_string(operation),
                parent_id=read_int32(parent),
                percent=read_int32(percent),
                kind=read_string(kind),
                seconds_left=read_int32(seconds),
                status=read_string(status),
            )
        except (ValueError, TypeError):
            raise Fault("a progress record has a number that is none") from None

    def _list(self, element: Element) -> Container:
        return list(map(self._value, element))

    def _stack(self, element: Element) -> Container:
        return Stack(map(self._value, element))

    def _queue(self, element: Element) -> Container:
        return Queue(map(self._value, element))

    def _enumerable(self, element: Element) -> Container:
        return Enumerable(map(self._value, element))

    def _dictionary(self, element: Element) -> Container:
        entries: dict[Value, Value] = {}
        for entry in element:
            names = [part.get("N", "").casefold() for part in entry]
            if names != ["key", "value"] or _local(entry.tag) != "En":
                raise Fault("a dictionary has an entry without key and value")
            key = self._value(entry[0])
            if key is None:
                raise Fault("a dictionary has an entry whose key is null")
            if key in entries:
                raise Fault(f"a dictionary has two keys that are equal: {_quoted(str(key))}")
            entries[key] = self._value(entry[1])
        return entries


class _Names(dict[str, str]):
    """Property names, decoded and shared: the same few come thousands of times."""

    def __missing__(self, written: str) -> str:
        name = unescape(written)
        if len(written) <= 200:
            if len(self) >= 4096:
                self.clear()
            self[written] = name
        return name


class _TypeLists(dict[tuple[str | None, ...], tuple[str, ...]]):
    """Type lists, decoded and shared: each message of remote PowerShell brings its own."""

    def __missing__(self, written: tuple[str | None, ...]) -> tuple[str, ...]:
        types = tuple([read_string(name) for name in written])
        if sum(map(len, types)) > TYPE_LIST_CHARACTERS:
            raise Fault("a type list is too long")
        if len(self) >= 1024:
            self.clear()
        self[written] = types
        return types


def _explain(element: Element, error: Exception) -> str:
    """Which node is to blame; a second, slow walk that only broken objects take."""
    for node in element.iter():
        local = _local(node.tag)
        convert = _texts.get(node.tag)
        if convert is not None:
            try:
                convert(node.text)
            except (ValueError, TypeError, LookupError, ArithmeticError):
                kind = _MEANINGS.get(local, local)
                return f"{_label(node)} should hold {kind} and holds {_quoted(node.text)}"
        elif local not in _STRUCTURE or node.tag not in (local, f"{{{NAMESPACE}}}{local}"):
            name = node.tag.removeprefix(f"{{{NAMESPACE}}}")
            return f"it has an unknown element <{_cut(name)}>"
        elif local in ("Props", "MS"):
            for member in node:
                if "N" not in member.attrib:
                    return f"a property <{_cut(_local(member.tag))}> has no name"
    return f"its elements do not fit together ({type(error).__name__})"


def _label(node: Element) -> str:
    """The node in an error: its property name, else its kind."""
    name = node.get("N")
    local = _cut(_local(node.tag))
    return f"<{local}>" if name is None else f"<{local}> {_cut(name)}"


def _quoted(text: str | None) -> str:
    return "nothing" if not text else repr(_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


Entry = TypeVar("Entry")


def _both(table: dict[str, Entry]) -> dict[str, Entry]:
    """The table for nodes in PowerShell's namespace (files) and in none (remote PowerShell)."""
    return table | {f"{{{NAMESPACE}}}{tag}": entry for tag, entry in table.items()}


_new_obj = object.__new__
_names = _Names()
_type_lists = _TypeLists()

_BOOLEANS: dict[str | None, bool] = {"true": True, "false": False, "1": True, "0": False}
_TEXTS: dict[str, ReadText] = {
    "S": read_string,
    "C": read_char,
    "B": _BOOLEANS.__getitem__,
    "By": read_integer(UInt8),
    "SB": read_integer(Int8),
    "I16": read_integer(Int16),
    "U16": read_integer(UInt16),
    "I32": read_int32,
    "U32": read_integer(UInt32),
    "I64": read_int64,
    "U64": read_uint64,
    "Sg": read_single,
    "Db": read_double,
    "D": read_decimal,
    "DT": datetime.fromisoformat,  # type: ignore[dict-item] # None is a TypeError, which is meant
    "TS": read_duration,
    "BA": read_bytes,
    "G": read_guid,
    "URI": lambda text: Uri(read_string(text)),
    "Version": lambda text: Version(read_string(text)),
    "XD": lambda text: XmlText(read_string(text)),
    "SBK": lambda text: Script(read_string(text)),
    "SS": read_secret,
}
_NODES: dict[str, Callable[[Document, Element], Value]] = {
    "Obj": Document._obj,
    "Ref": Document._reference,
    "Nil": Document._null,
    "PR": Document._progress,
}
_MEMBERS = _both(_NODES | {"MS": Document._member_set})
_CONTAINERS: dict[str, Callable[[Document, Element], Container]] = {
    "LST": Document._list,
    "IE": Document._enumerable,
    "STK": Document._stack,
    "QUE": Document._queue,
    "DCT": Document._dictionary,
}
# What an element is among the parts of an Obj.
_VALUE, _PROPS, _MS, _TO_STRING, _TN, _TN_REF, _CONTAINER = range(7)
_parts = _both(
    dict.fromkeys((*_TEXTS, *_NODES), _VALUE)
    | dict.fromkeys(_CONTAINERS, _CONTAINER)
    | {"Props": _PROPS, "MS": _MS, "ToString": _TO_STRING, "TN": _TN, "TNRef": _TN_REF}
)
# None: not one text but a node with parts, or without any.
_texts: dict[str, ReadText | None] = _both({**_TEXTS, **dict.fromkeys((*_NODES, "MS"))})
_NODES = _both(_NODES)
_CONTAINERS = _both(_CONTAINERS)


def is_value(tag: str) -> bool:
    """Whether an element of that name is a value, and so may be the root of a document."""
    return tag in _NODES or _texts.get(tag) is not None


_STRUCTURE = frozenset(
    "Obj Ref Nil PR AV AI PI PC T SR SD LST IE STK QUE DCT En TN TNRef ToString Props MS".split()
)
_MEANINGS = {
    "B": "true or false", "C": "the number of a character", "DT": "a date and time",
    "TS": "a duration", "BA": "base64", "G": "a GUID", "D": "a decimal number",
    "Db": "a number", "Sg": "a number", "By": "a number from 0 to 255",
} | {kind: f"a whole number ({kind})" for kind in "SB I16 U16 I32 U32 I64 U64".split()}  # fmt: skip
