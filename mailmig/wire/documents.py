"""XML documents from strangers into trees, and trees into XML.

Hostile input: no DTD and so no entity beyond XML's own five, nothing is looked up outside, and
size and nesting are bounded. Trees are those of the standard library; `child` and `text` find
elements by name, whatever their namespace. Texts are stripped: servers indent.
"""

import re
from collections.abc import Iterator
from typing import Final, NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from mailmig.model.errors import MailmigError

DOCUMENT_LIMIT: Final = 512 * 1024  # bytes; real answers have some kilobytes
DEEPEST: Final = 40
MOST_NODES: Final = 20_000
_SEPARATOR: Final = "}"
# What XML 1.0 cannot hold, not even as a reference.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?")
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadDocument(MailmigError):
    """A document of Autodiscover or EWS that cannot be read or made: look at who answered.

    `where` is the place in the document ("line 3, column 7", or an element), "" for all of it;
    `offset` counts bytes from its beginning, `None` where the place is no byte.
    """

    def __init__(self, what: str, why: str, where: str = "", offset: int | None = None) -> None:
        super().__init__(f"{what}, {where}: {why}" if where else f"{what}: {why}")
        self.what = what
        self.why = why
        self.where = where
        self.offset = offset


def parse(raw: bytes, what: str, limit: int = DOCUMENT_LIMIT) -> Element:
    """The root of an XML document of at most `limit` bytes.

    Raises:
        BadDocument: it is no XML, has a DTD, or is too large or too deep.
    """
    if len(raw) > limit:
        raise BadDocument(what, f"it has {len(raw):,} bytes; {limit:,} are read", offset=limit)
    return _Parser(what).parse(raw)


def render(root: Element) -> bytes:
    """The document in UTF-8, with its declaration.

    Raises:
        BadDocument: a name is none, a text holds a character that XML has no place for, or
            it is too large.
    """
    text = "".join(_pieces(root))
    found = _UNWRITABLE.search(text)
    if found:
        what = f"a document <{local(root)}>"
        raise BadDocument(what, f"it would hold the character U+{ord(found[0]):04X}")
    raw = f'<?xml version="1.0" encoding="utf-8"?>\n{text}'.encode()
    if len(raw) > DOCUMENT_LIMIT:
        why = f"it would have {len(raw):,} bytes; {DOCUMENT_LIMIT:,} are read"
        raise BadDocument(f"a document <{local(root)}>", why)
    return raw


def node(name: str, *children: Element, text: str | None = None, **attributes: str) -> Element:
    """A new element; `xmlns` is written as the attribute that it is."""
    element = Element(name, attributes)
    element.text = text
    element.extend(children)
    return element


def optional(name: str, text: str | None) -> tuple[Element, ...]:
    """An element with that text, or none."""
    return () if text is None else (node(name, text=text),)


def local(element: Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition(_SEPARATOR)[2]


def namespace(element: Element) -> str:
    """The namespace, "" for none."""
    return element.tag.rpartition(_SEPARATOR)[0].removeprefix("{")


def children(parent: Element, name: str) -> Iterator[Element]:
    """The elements of that name directly below."""
    return (element for element in parent if local(element) == name)


def child(parent: Element, name: str) -> Element | None:
    """The first element of that name directly below."""
    return next(children(parent, name), None)


def text(parent: Element | None, name: str) -> str | None:
    """The text of the first element of that name directly below, stripped; "" when it is empty."""
    found = None if parent is None else child(parent, name)
    return None if found is None else content(found)


def content(element: Element) -> str:
    """The element's own text, stripped."""
    return (element.text or "").strip()


def needed(parent: Element, name: str, what: str) -> Element:
    """The first element of that name directly below.

    Raises:
        BadDocument: there is none.
    """
    found = child(parent, name)
    if found is None:
        raise BadDocument(what, f"there is no <{name}>", f"<{local(parent)[:80]}>")
    return found


class _Parser:
    """Builds a tree, and stops at the first thing that is refused.

    After an exception in a handler expat itself goes on to the end of its input, without
    handlers; with the size of the input bounded that is short.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._depth = self._nodes = 0
        self._tree = TreeBuilder()
        self._expat = parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._tree.data

    def parse(self, raw: bytes) -> Element:
        try:
            self._expat.Parse(raw, True)
        except expat.ExpatError as error:
            where = f"line {error.lineno}, column {error.offset + 1}"
            why = expat.ErrorString(error.code) or "it is no XML"
            offset = max(self._expat.ErrorByteIndex, 0)
            raise BadDocument(self._what, why, where, offset) from None
        except (LookupError, ValueError):
            raise BadDocument(self._what, "its encoding is not known", offset=0) from None
        return self._tree.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._nodes += 1 + len(attributes)
        if self._depth > DEEPEST:
            self._refuse(f"its elements are nested more than {DEEPEST} deep")
        if self._nodes > MOST_NODES:
            self._refuse(f"it has more than {MOST_NODES:,} elements and attributes")
        self._tree.start(_clark(name), {_clark(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._tree.end(_clark(name))

    def _doctype(self, *_: object) -> None:
        self._refuse("it has a DTD, and a DTD is refused")

    def _refuse(self, why: str) -> NoReturn:
        line, column = self._expat.CurrentLineNumber, self._expat.CurrentColumnNumber
        offset = max(self._expat.CurrentByteIndex, 0)
        raise BadDocument(self._what, why, f"line {line}, column {column + 1}", offset)


def _clark(name: str) -> str:
    return f"{{{name}" if _SEPARATOR in name else name


def _pieces(element: Element) -> Iterator[str]:
    """An element of ours as text: its tag is what is written, prefix included."""
    if not _NAME.fullmatch(element.tag):
        raise BadDocument("a document", f"{element.tag[:40]!r} is no name of an element")
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in element.items())
    yield f"<{element.tag}{attributes}>"
    yield escape(element.text or "", {"\r": "&#13;"})
    for part in element:
        yield from _pieces(part)
    yield f"</{element.tag}>"
