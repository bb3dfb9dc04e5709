"""Objects as CLIXML texts, quickly: written for this one purpose, and kept while they hold.

`write` says the same as `clixml.dumps`, faster, for what the lab's objects are made of: leaves,
objects with a text, properties and lists. The same number, type list or blob comes thousands of
times, so their texts are remembered.

`Texts` keeps the texts of objects that can come again, up to a number of characters; a text holds
as long as the facts it was made from (its `stamp`) are the same.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from threading import Lock
from typing import Final
from uuid import UUID

from mailmig.wire import clixml
from mailmig.wire.clixml import Obj, Value
from mailmig.wire.clixml_text import escape, write_bytes

# Characters of text that are kept: 10,000 mailboxes with the properties of an inventory.
KEPT: Final = 200_000_000


def write(value: Obj) -> str:
    """The CLIXML of one object, as remote PowerShell sends it."""
    writer = _Writer()
    writer.obj(value, "")
    return "".join(writer.out)


class Texts:
    """Texts by what they stand for. Threads may ask at the same time."""

    def __init__(self, most: int = KEPT) -> None:
        self.most = most
        self.size = 0
        self.made = 0
        self._known: OrderedDict[Hashable, tuple[Hashable, str]] = OrderedDict()
        self._lock = Lock()

    def text(self, key: Hashable, stamp: Hashable, make: Callable[[], Obj]) -> str:
        """The text under this key if its stamp is still the same, else a new one."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and known[0] == stamp:
                self._known.move_to_end(key)
                return known[1]
        text = write(make())
        with self._lock:
            self.made += 1
            self._forget(key)
            self._known[key] = (stamp, text)
            self.size += len(text)
            while self.size > self.most and len(self._known) > 1:
                self._forget(next(iter(self._known)))
        return text

    def once(self, make: Callable[[], Obj]) -> str:
        """The text of something that does not come again."""
        self.made += 1
        return write(make())

    def _forget(self, key: Hashable) -> None:
        old = self._known.pop(key, None)
        if old is not None:
            self.size -= len(old[1])


@lru_cache(maxsize=4096)
def _name(name: str) -> str:
    return f' N="{escape(name, attribute=True)}"'


@lru_cache(maxsize=2048)
def _types(types: tuple[str, ...]) -> str:
    return "".join(f"<T>{escape(one)}</T>" for one in types)


@lru_cache(maxsize=1024)
def _bytes(value: bytes) -> str:
    return write_bytes(value)


@lru_cache(maxsize=16384, typed=True)
def _number(value: float) -> tuple[str, str]:
    return _split(clixml.dumps(value))


def _split(leaf: str) -> tuple[str, str]:
    """A leaf's text before and after the place where its name goes."""
    end = leaf.index(">")
    if leaf[end - 1] == "/":
        end -= 2 if leaf[end - 2] == " " else 1
    return leaf[:end], leaf[end:]


class _Writer:
    """One top-level object."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._objects: dict[int, int] = {}
        self._next = 0

    def obj(self, obj: Obj, name: str) -> None:
        out = self.out
        known = self._objects.setdefault(id(obj), self._next)
        if known != self._next:
            out.append(f'<Ref{name} RefId="{known}" />')
            return
        out.append(f'<Obj{name} RefId="{known}">')
        self._next += 1
        if obj.types:
            self._type_list(obj.types)
        if obj.text is not None:
            out.append(f"<ToString>{escape(obj.text)}</ToString>" if obj.text else "<ToString />")
        if isinstance(obj.value, list):
            self._list(obj.value)
        elif obj.value is not None:
            out.append(
                "".join(_number(obj.value)) if type(obj.value) is int else clixml.dumps(obj.value)
            )
        for tag, members in (("Props", obj.adapted), ("MS", obj.extended)):
            if members:
                out.append(f"<{tag}>")
                for key, value in members.items():
                    self._value(value, _name(key))
                out.append(f"</{tag}>")
        out.append("</Obj>")

    def _type_list(self, types: tuple[str, ...]) -> None:
        number = self._numbers.get(types)
        if number is not None:
            self.out.append(f'<TNRef RefId="{number}" />')
            return
        number = self._numbers[types] = len(self._numbers)
        self.out.append(f'<TN RefId="{number}">{_types(types)}</TN>')

    def _list(self, values: list[Value]) -> None:
        if not values:
            self.out.append("<LST />")
            return
        self.out.append("<LST>")
        for value in values:
            self._value(value, "")
        self.out.append("</LST>")

    def _value(self, value: Value, name: str) -> None:
        out = self.out
        match value:
            case Obj():
                self.obj(value, name)
            case None:
                out.append(f"<Nil{name} />")
            case bool():
                out.append(f"<B{name}>{'true' if value else 'false'}</B>")
            case bytes():
                out.append(f"<BA{name}>{_bytes(value)}</BA>")
            case UUID():
                out.append(f"<G{name}>{value}</G>")
            case _ if type(value) is str:
                out.append(f"<S{name}>{escape(value)}</S>")
            case int() | float():
                tag, rest = _number(value)
                out.append(f"{tag}{name}{rest}")
            case _:
                tag, rest = _split(clixml.dumps(value))
                out.append(f"{tag}{name}{rest}")
