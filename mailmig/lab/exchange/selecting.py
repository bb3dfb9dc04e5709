"""`Select-Object -Property ...` at the end of a pipeline, done on CLIXML texts.

The wanted members go over as they stand, in the order in which they were asked for; nothing is
understood and nothing is lost. A member that is not there becomes null, as with the real one.
What a member names by number (`TNRef`, `Ref`) and what is defined outside of it is put in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Self
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape, quoteattr

from mailmig.lab.exchange.calls import Call, ErrorRecord, Item, not_simulated

NAME = "Select-Object"
ALIASES = ("select-object", "select", "microsoft.powershell.utility\\select-object")
_LINES = {"\r": "&#13;"}
_SPECIAL = re.compile("[&<>\r]")
_REFERENCES = {"TN": "TNRef", "Obj": "Ref"}
_ROOT_TYPES = ("System.Management.Automation.PSCustomObject", "System.Object")
_BINDING = "System.Management.Automation.ParameterBindingException"


class Refused(Exception):
    """A call of Select-Object that fails; `record` says how."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message)
        self.record = record


@dataclass(frozen=True, slots=True)
class Selection:
    """Names in their order; `*` and `?` stand for any signs."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, call: Call) -> Self:
        """What a call asks for. Raises `Refused`."""
        names: list[str] = []
        for name, value in call.parameters:
            if name is not None and not "property".startswith(name.lower().strip("-:")):
                raise Refused(_unknown_parameter(name))
            for text in value if isinstance(value, list) else [value]:
                if not isinstance(text, str):
                    raise Refused(not_simulated(f"{NAME} with calculated properties"))
                names.append(text)
        return cls(tuple(names))

    def item(self, item: Item) -> Item:
        """The chosen members of one object as an object of their own."""
        root = fromstring(item.xml)  # noqa: S314  the lab's own text
        writer = _Writer(root)
        writer.begin(_first_type(root))
        for name, member in self._chosen(root):
            writer.member(name, member)
        return Item(writer.end())

    def _chosen(self, root: Element) -> Iterator[tuple[str, Element | None]]:
        """In the order of the names, then in that of the object; nothing twice."""
        found: dict[int, list[tuple[str, Element]]] = {}
        for part in root:
            if part.tag in ("Props", "MS"):
                for member in part:
                    name = member.get("N", "")
                    place = _place(name, self.names)
                    if place is not None:
                        found.setdefault(place, []).append((name, member))
        for place, asked in enumerate(self.names or ("*",)):
            if place in found:
                yield from found[place]
            elif not _is_pattern(asked) and _place(asked, self.names) == place:
                yield asked, None


@lru_cache(maxsize=16384)
def _place(name: str, names: tuple[str, ...]) -> int | None:
    """Which of the names that were asked for a member has first, if any."""
    low = name.lower()
    for place, asked in enumerate(names or ("*",)):
        if low == asked.lower() or (_is_pattern(asked) and fnmatchcase(low, asked.lower())):
            return place
    return None


def _is_pattern(asked: str) -> bool:
    return "*" in asked or "?" in asked


def is_select(name: str) -> bool:
    return name.lower() in ALIASES


def _unknown_parameter(name: str) -> ErrorRecord:
    return ErrorRecord(
        f"A parameter cannot be found that matches parameter name '{name}'.",
        f"NamedParameterNotFound,{NAME}", "InvalidArgument", exception=_BINDING, activity=NAME,
        terminating=True,
    )  # fmt: skip


def _first_type(root: Element) -> str:
    first = root.findtext("TN/T")
    return first.removeprefix("Selected.") if first else "System.Object"


@lru_cache(maxsize=16384)
def _quoted(text: str) -> str:
    return quoteattr(text, _LINES)


class _Writer:
    """The text of one object, out of members that were parts of another."""

    def __init__(self, root: Element) -> None:
        self._types = {tn.get("RefId"): tn for tn in root.iter("TN")}
        self._objects: dict[str | None, Element] | None = None
        self._root = root
        self._named: set[str | None] = set()
        self._written: set[str | None] = {root.get("RefId")}
        self._out: list[str] = []

    def begin(self, first_type: str) -> None:
        number = 1 + max((int(key) for key in self._types if key and key.isdigit()), default=-1)
        names = (f"Selected.{first_type}", *_ROOT_TYPES)
        types = "".join(f"<T>{escape(name)}</T>" for name in names)
        self._out.append(
            f'<Obj RefId="{self._root.get("RefId", "0")}"><TN RefId="{number}">{types}</TN><MS>'
        )

    def member(self, name: str, member: Element | None) -> None:
        if member is None:
            self._out.append(f"<Nil N={_quoted(name)}/>")
        else:
            self._element(member, name)

    def end(self) -> str:
        self._out.append("</MS></Obj>")
        return "".join(self._out)

    def _element(self, element: Element, name: str | None) -> None:
        """Writes one element; `name` is the name it has here, None where it has none."""
        number = element.get("RefId")
        if element.tag == "TNRef" and number not in self._named:
            element = self._types.get(number, element)
        elif element.tag == "Ref" and number not in self._written:
            target = self._object(number)
            element = element if target is None else target
        if element.tag in _REFERENCES and number is not None:
            seen = self._named if element.tag == "TN" else self._written
            if number in seen:  # it went ahead, where something named it by number
                self._tag(Element(_REFERENCES[element.tag], RefId=number), name)
                return
            seen.add(number)
        self._tag(element, name)

    def _tag(self, element: Element, name: str | None) -> None:
        marks = "" if name is None else f" N={_quoted(name)}"
        for key, value in element.items():
            if key != "N":
                marks += f" {key}={_quoted(value)}"
        out = self._out
        out.append(f"<{element.tag}{marks}>")
        if element.text:
            text = element.text
            out.append(escape(text, _LINES) if _SPECIAL.search(text) else text)
        for part in element:
            self._element(part, part.get("N"))
        out.append(f"</{element.tag}>")

    def _object(self, number: str | None) -> Element | None:
        if self._objects is None:
            self._objects = {obj.get("RefId"): obj for obj in self._root.iter("Obj")}
        return self._objects.get(number)
