"""Values to CLIXML, in the shape that Export-Clixml gives its files.

What that shape is was taken from real files: a byte order mark, no XML declaration, two blanks
per level and CR LF between lines, RefIds numbered through the file, each type list written
once (`TN`) and named from then on (`TNRef`), an object that comes a second time inside the
same top-level object as `Ref`.

Memory stays flat: the type lists are the only thing that is remembered from one top-level
object to the next. An object that two top-level objects share is therefore written twice.

A plain list or dict as a property becomes an ArrayList or a Hashtable, as PowerShell itself
would write it; read back it is an `Obj` with that `value`. Of a `SecureString` nothing but an
empty node is written: there is nothing to write.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

from mailmig.model.errors import MailmigError
from mailmig.wire.clixml_text import (
    INT32,
    INT64,
    RANGES,
    UINT64,
    escape,
    write_bytes,
    write_decimal,
    write_duration,
    write_float,
    write_moment,
)  # fmt: skip
from mailmig.wire.clixml_tree import NAMESPACE, NESTING
from mailmig.wire.clixml_values import (
    Char,
    Container,
    Enumerable,
    Int8,
    Int16,
    Int64,
    MemberSet,
    Obj,
    Progress,
    Queue,
    Script,
    SecureString,
    Single,
    Stack,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Uri,
    Value,
    Version,
    XmlText,
)  # fmt: skip

START = f'<Objs Version="1.1.0.1" xmlns="{NAMESPACE}"'
LINE = "\r\n"
LISTS = {list: "LST", Stack: "STK", Queue: "QUE", Enumerable: "IE"}
TYPES = {
    list: ("System.Collections.ArrayList", "System.Object"),
    Stack: ("System.Collections.Stack", "System.Object"),
    Queue: ("System.Collections.Queue", "System.Object"),
    Enumerable: ("System.Object[]", "System.Array", "System.Object"),
    dict: ("System.Collections.Hashtable", "System.Object"),
}


class Unwritable(MailmigError):
    """A value that CLIXML cannot hold: look at the property that is named."""

    def __init__(self, name: str | None, value: object, reason: str) -> None:
        where = f"property {name}" if name else "a value"
        super().__init__(f"{where} cannot be written as CLIXML: {reason}")
        self.name = name
        self.value = value
        self.reason = reason


def write(stream: BinaryIO, values: Iterable["Value | Container"]) -> None:
    """All values as one file, each as one top-level object, in flat memory.

    Raises `Unwritable`; the stream then holds the objects before and no end.
    """
    writer = _Writer(indented=True)
    stream.write(b"\xef\xbb\xbf" + START.encode())
    end = " />"
    for value in values:
        # surrogates are escaped, so everything can be encoded
        stream.write(((">" if end == " />" else "") + writer.top(value)).encode())
        end = f"{LINE}</Objs>"
    stream.write(end.encode())


def dumps(value: "Value | Container") -> str:
    """One value as remote PowerShell sends it: no `Objs` around it, no namespace, one line."""
    return _Writer(indented=False).top(value)


class _Writer:
    """The numbers of one file, and the text of one top-level object at a time."""

    def __init__(self, *, indented: bool) -> None:
        self._indented = indented
        self._type_ids: dict[tuple[str, ...], int] = {}
        self._next_ref = 0
        self._refs: dict[int, int] = {}
        self._depth = 0
        self._out: list[str] = []

    def top(self, value: "Value | Container") -> str:
        self._refs = {}
        self._out = []
        self._depth = 0
        self._value(value, None, 1)
        return "".join(self._out)

    def _value(self, value: Any, name: str | None, level: int) -> None:
        write_kind = _WRITERS.get(type(value)) or _writer_of_base(value, name)
        try:
            write_kind(self, value, name, level)
        except (ValueError, OverflowError) as error:
            raise Unwritable(name, value, str(error)) from None

    def _line(self, level: int) -> str:
        if not self._indented:
            return ""
        while level >= len(_INDENTS):
            _INDENTS.append(LINE + "  " * len(_INDENTS))
        return _INDENTS[level]

    def _leaf(self, tag: str, text: str, name: str | None, level: int) -> None:
        self._out.append(f"{self._line(level)}<{tag}{_named(name)}>{text}</{tag}>")

    def _empty(self, tag: str, name: str | None, level: int) -> None:
        self._out.append(f"{self._line(level)}<{tag}{_named(name)} />")

    def _obj(self, obj: Obj, name: str | None, level: int) -> None:
        known = self._refs.get(id(obj))
        if known is not None:
            self._out.append(f'{self._line(level)}<Ref{_named(name)} RefId="{known}" />')
            return
        self._refs[id(obj)] = self._next_ref
        self._container(obj, obj.value, name, level)

    def _plain_container(self, value: Any, name: str | None, level: int) -> None:
        if isinstance(value, tuple):
            value = list(value)
        types = next(TYPES[kind] for kind in type(value).__mro__ if kind in TYPES)
        self._container(Obj(types), value, name, level)

    def _container(self, obj: Obj, value: Any, name: str | None, level: int) -> None:
        out = self._out
        out.append(f'{self._line(level)}<Obj{_named(name)} RefId="{self._next_ref}">')
        self._next_ref += 1
        self._enter(name, obj)
        inside = level + 1
        if obj.types:
            self._types(obj.types, inside)
        if obj.text is not None:
            text = escape(obj.text)
            out.append(
                self._line(inside) + (f"<ToString>{text}</ToString>" if text else "<ToString />")
            )
        if isinstance(value, list):
            self._items(value, inside)
        elif isinstance(value, dict):
            self._entries(value, inside)
        elif value is not None:
            self._value(value, None, inside)
        if obj.adapted:
            self._members("Props", obj.adapted, None, inside)
        if obj.extended:
            self._members("MS", obj.extended, None, inside)
        out.append(f"{self._line(level)}</Obj>")
        self._depth -= 1

    def _enter(self, name: str | None, value: object) -> None:
        self._depth += 1
        if self._depth > NESTING:
            raise Unwritable(name, value, f"it is nested more than {NESTING} deep")

    def _types(self, types: tuple[str, ...], level: int) -> None:
        known = self._type_ids.get(types)
        if known is not None:
            self._out.append(f'{self._line(level)}<TNRef RefId="{known}" />')
            return
        number = self._type_ids[types] = len(self._type_ids)
        names = "".join(f"{self._line(level + 1)}<T>{escape(name)}</T>" for name in types)
        self._out.append(f'{self._line(level)}<TN RefId="{number}">{names}{self._line(level)}</TN>')

    def _members(self, tag: str, members: dict[str, Value], name: str | None, level: int) -> None:
        out = self._out
        out.append(f"{self._line(level)}<{tag}{_named(name)}>")
        for member, value in members.items():
            if isinstance(value, MemberSet):
                self._member_set(value, member, level + 1)
            else:
                self._value(value, member, level + 1)
        out.append(f"{self._line(level)}</{tag}>")

    def _member_set(self, members: MemberSet, name: str, level: int) -> None:
        self._enter(name, members)
        self._members("MS", members, name, level)
        self._depth -= 1

    def _items(self, values: list[Any], level: int) -> None:
        tag = next(LISTS[kind] for kind in type(values).__mro__ if kind in LISTS)
        if not values:
            self._empty(tag, None, level)
            return
        self._out.append(f"{self._line(level)}<{tag}>")
        for value in values:
            self._value(value, None, level + 1)
        self._out.append(f"{self._line(level)}</{tag}>")

    def _entries(self, entries: dict[Any, Any], level: int) -> None:
        if not entries:
            self._empty("DCT", None, level)
            return
        out = self._out
        out.append(f"{self._line(level)}<DCT>")
        for key, value in entries.items():
            if key is None:
                raise Unwritable(None, entries, "a dictionary's key is null")
            out.append(f"{self._line(level + 1)}<En>")
            self._value(key, "Key", level + 2)
            self._value(value, "Value", level + 2)
            out.append(f"{self._line(level + 1)}</En>")
        out.append(f"{self._line(level)}</DCT>")

    def _progress(self, progress: Progress, name: str | None, level: int) -> None:
        out, line = self._out, self._line(level + 1)
        out.append(f"{self._line(level)}<PR{_named(name)}>")
        out.append(f"{line}<AV>{escape(progress.activity)}</AV>")
        out.append(f"{line}<AI>{progress.activity_id}</AI>")
        if progress.operation is None:
            out.append(f"{line}<Nil />")
        else:
            out.append(f"{line}<S>{escape(progress.operation)}</S>")
        out.append(f"{line}<PI>{progress.parent_id}</PI>{line}<PC>{progress.percent}</PC>")
        out.append(f"{line}<T>{escape(progress.kind)}</T>{line}<SR>{progress.seconds_left}</SR>")
        out.append(f"{line}<SD>{escape(progress.status)}</SD>{self._line(level)}</PR>")

    def _null(self, value: None, name: str | None, level: int) -> None:
        del value
        self._empty("Nil", name, level)

    def _secret(self, value: SecureString, name: str | None, level: int) -> None:
        del value
        self._empty("SS", name, level)

    def _not_here(self, value: MemberSet, name: str | None, level: int) -> None:
        del level
        raise Unwritable(name, value, "a MemberSet stands only among the extended properties")


WriteKind = Callable[[_Writer, Any, str | None, int], None]


def _named(name: str | None) -> str:
    return "" if name is None else f' N="{escape(name, attribute=True)}"'


def _leaf(tag: str, text: Callable[[Any], str]) -> WriteKind:
    def write_leaf(writer: _Writer, value: Any, name: str | None, level: int) -> None:
        writer._leaf(tag, text(value), name, level)

    return write_leaf


def _whole(kind: type[int]) -> Callable[[int], str]:
    allowed = RANGES[kind]

    def text(value: int) -> str:
        if int(value) not in allowed:
            raise ValueError(f"{int(value)} is no {kind.__name__}")
        return int.__repr__(value)

    return text


def _plain_int(writer: _Writer, value: int, name: str | None, level: int) -> None:
    number = int(value)
    tag = "I32" if number in INT32 else "I64" if number in INT64 else "U64"
    if tag == "U64" and number not in UINT64:
        raise ValueError("the number is too large")
    writer._leaf(tag, int.__repr__(number), name, level)


def _char(value: str) -> str:
    if len(value) != 1 or ord(value) > 0xFFFF:
        raise ValueError("a Char is one UTF-16 code unit")
    return str(ord(value))


def _writer_of_base(value: object, name: str | None) -> WriteKind:
    """The way of the nearest base class, for subclasses that are not of this module."""
    for kind in type(value).__mro__:
        if kind in _WRITERS:
            return _WRITERS[kind]
    raise Unwritable(name, value, f"{type(value).__name__} is no kind of it")


_INDENTS = [LINE]
_WRITERS: dict[type, WriteKind] = {
    type(None): _Writer._null,
    str: _leaf("S", escape),
    Char: _leaf("C", _char),
    bool: _leaf("B", lambda value: "true" if value else "false"),
    int: _plain_int,
    UInt8: _leaf("By", _whole(UInt8)),
    Int8: _leaf("SB", _whole(Int8)),
    Int16: _leaf("I16", _whole(Int16)),
    UInt16: _leaf("U16", _whole(UInt16)),
    UInt32: _leaf("U32", _whole(UInt32)),
    Int64: _leaf("I64", _whole(Int64)),
    UInt64: _leaf("U64", _whole(UInt64)),
    Single: _leaf("Sg", write_float),
    float: _leaf("Db", write_float),
    Decimal: _leaf("D", write_decimal),
    datetime: _leaf("DT", write_moment),
    timedelta: _leaf("TS", write_duration),
    bytes: _leaf("BA", write_bytes),
    UUID: _leaf("G", str),
    Uri: _leaf("URI", escape),
    Version: _leaf("Version", escape),
    XmlText: _leaf("XD", escape),
    Script: _leaf("SBK", escape),
    SecureString: _Writer._secret,
    Progress: _Writer._progress,
    Obj: _Writer._obj,
    MemberSet: _Writer._not_here,
    list: _Writer._plain_container,
    tuple: _Writer._plain_container,
    dict: _Writer._plain_container,
}
