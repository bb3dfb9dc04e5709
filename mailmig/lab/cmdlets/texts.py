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

from mailmig.lab.values import Constant
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
        if type(obj) is Constant:
            self._constant(obj, name)
            return
        known = self._objects.setdefault(id(obj), self._next)
        if known != self._next:
            self.out.append(f'<Ref{name} RefId="{known}" />')
            return
        self._open(f"<Obj{name}", obj.types)
        self._inside(obj)

    def _open(self, before: str, types: tuple[str, ...]) -> None:
        """The beginning of an object: its number and its type names."""
        self.out.append(f'{before} RefId="{self._next}">')
        self._next += 1
        if not types:
            return
        number = self._numbers.get(types)
        if number is not None:
            self.out.append(f'<TNRef RefId="{number}" />')
            return
        number = self._numbers[types] = len(self._numbers)
        self.out.append(f'<TN RefId="{number}">{_types(types)}</TN>')

    def _inside(self, obj: Obj) -> None:
        out = self.out
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

    def _constant(self, obj: Constant, name: str) -> None:
        """Only numbers depend on where it stands; the text between them is kept."""
        pieces = obj.pieces
        if not pieces:
            pieces = obj.pieces = _Pieces(obj).found()
        before = f"<Obj{name}"
        for inner, types, after in pieces:
            self._open(before + inner, types)
            self.out.append(after)
            before = ""

    def _list(self, values: list[Value]) -> None:
        if not values:
            self.out.append("<LST />")
            return
        self.out.append("<LST>")
        for value in values:
            self._value(value, "")
        self.out.append("</LST>")

    def _value(self, value: Value, name: str) -> None:
        kind = type(value)
        if kind is str:
            self.out.append(f"<S{name}>{escape(value)}</S>")  # type: ignore[arg-type]
        elif kind is Constant:
            self._constant(value, name)  # type: ignore[arg-type]
        elif value is None:
            self.out.append(f"<Nil{name} />")
        elif isinstance(value, Obj):
            self.obj(value, name)
        elif kind is bool:
            self.out.append(f"<B{name}>{'true' if value else 'false'}</B>")
        elif kind is UUID:
            self.out.append(f"<G{name}>{value!s}</G>")
        elif isinstance(value, bytes):
            self.out.append(f"<BA{name}>{_bytes(value)}</BA>")
        elif isinstance(value, int | float):
            tag, rest = _number(value)
            self.out.append(f"{tag}{name}{rest}")
        else:
            tag, rest = _split(clixml.dumps(value))
            self.out.append(f"{tag}{name}{rest}")


class _Pieces(_Writer):
    """The text of a constant, cut where the numbers of its objects stand."""

    def __init__(self, constant: Constant) -> None:
        super().__init__()
        self._constant_itself = constant
        self._heads: list[tuple[str, tuple[str, ...]]] = []
        self._texts: list[str] = []

    def found(self) -> tuple[tuple[str, tuple[str, ...], str], ...]:
        """Per object: what stands before its number, its type names, what comes after them."""
        self._heads.append(("", self._constant_itself.types))
        self._inside(self._constant_itself)
        self._texts.append("".join(self.out))
        return tuple(
            (before, types, after)
            for (before, types), after in zip(self._heads, self._texts, strict=True)
        )

    def _open(self, before: str, types: tuple[str, ...]) -> None:
        self._texts.append("".join(self.out))
        self._heads.append((before, types))
        self.out.clear()
        self._next += 1
