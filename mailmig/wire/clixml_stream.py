"""Bytes in, complete top-level elements out, whatever the bytes are.

The tree is built by the C parser of the standard library; an element is taken off it as soon as
the next one begins. What the elements mean is for `clixml_tree`.

The pieces that are fed are small: with bigger ones Python's garbage collector walks the
half-built trees over and over, which costs half as much again. While one object goes on and on
the pieces grow with it, so that a token that spans many of them stays cheap.

Hostile input: no DTD and so no entity beyond XML's own five; one object, one value and the
nesting are bounded (`Limits`); nothing is ever looked up outside of the file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

from mailmig.wire.clixml_tree import NAMESPACE, NESTING, Document, Fault, is_value

PIECE = 4096
# Objects can be referred to from at least this many bytes further on (see clixml_tree): as long
# as a file has no reference at all, and from the first one on. Few objects are much faster to
# keep than many, because then the same memory is used over and over.
NEAR = 128 * 1024
FAR = 4 * 1024**2
# How the beginning of a file tells UTF-16: by its mark, or by a "<" of two bytes.
ENCODINGS = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}
OBJS = ("Objs", f"{{{NAMESPACE}}}Objs")
EXPORT_AGAIN = "export it again with -Encoding UTF8"
NOTHING = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
TRUNCATED = tuple(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
_ROOT = re.compile(rb'(\A(?:\xef\xbb\xbf)?<Objs[^<>]*?)( xmlns="%s")' % NAMESPACE.encode())
REMARK = b"#< CLIXML"  # powershell.exe puts it in front when it writes to a pipe


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may ask for. `value` and `object` are bytes, `nodes` are per object.

    Whole Exchange objects have 0.1 MB; lists that were passed to Export-Clixml as one object
    can have many.
    """

    nesting: int = NESTING
    value: int = 16 * 1024**2
    object: int = 64 * 1024**2
    nodes: int = 500_000


LIMITS = Limits()


def batches(
    stream: BinaryIO, document: Document, limits: Limits, encoding: str | None
) -> Iterator[list[Element]]:
    """The top-level elements, as soon as they are known to be complete."""
    guard = _Guard(encoding)
    tree = _Tree(encoding)
    room = _Room(limits)
    since_forgotten = 0
    piece = _head(stream)
    while piece:
        guard.feed(piece)
        room.look(piece)
        finished = tree.feed(piece)
        yield finished
        if tree.fault is not None:
            raise tree.fault
        if finished:
            room.clear()
        else:
            room.fill(piece, tree)
        since_forgotten += len(piece)
        if since_forgotten > (FAR if document.has_references else NEAR):
            since_forgotten = 0
            document.forget()
        piece = stream.read(room.next_piece)
    yield tree.close()
    if tree.fault is not None:
        raise tree.fault


def _head(stream: BinaryIO) -> bytes:
    """The first bytes, when they can be the beginning of an XML document."""
    head = b""
    while len(head) < 32 and (more := stream.read(PIECE)):
        head += more
    head = head.removeprefix(REMARK)
    if not head:
        raise Fault("it is empty")
    start = head[:32].decode(ENCODINGS.get(head[:2], "utf-8-sig"), "replace").lstrip()
    if start and not start.startswith("<"):
        raise Fault(f"it begins with {start[:12]!r} and is no XML")
    return _ROOT.sub(_without_namespace, head)


def _without_namespace(found: re.Match[bytes]) -> bytes:
    """The root without its namespace, every byte in its place.

    Nodes in no namespace mean the same to us, and the parser need not put this long name in
    front of every tag: that is a twentieth of all time.
    """
    return found[1] + b" " * len(found[2])


class _Room:
    """How much the object that is being read may still take, and how much to read next.

    It looks at pieces, not at nodes: an object may be larger than its limit by one piece.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._run = 0
        self.clear()

    def clear(self) -> None:
        """An object was finished."""
        self.next_piece = PIECE
        self._bytes = self._marks = 0

    def look(self, piece: bytes) -> None:
        """A piece comes: how long is the text, or the tag, that goes through it?"""
        first = piece.find(b"<")
        self._run += len(piece) if first < 0 else first
        if self._run > self._limits.value:
            raise Fault(f"one value is larger than {self._limits.value:,} bytes")
        if first >= 0:
            self._run = len(piece) - piece.rfind(b"<")

    def fill(self, piece: bytes, tree: "_Tree") -> None:
        """A piece went by and no object was finished."""
        limits = self._limits
        self._bytes += len(piece)
        # Each element has one or two "<", each attribute one "=".
        self._marks += piece.count(b"<") + piece.count(b"=")
        if self._bytes > limits.object or self._marks > 3 * limits.nodes:
            raise Fault(
                f"it is larger than {limits.object:,} bytes or {limits.nodes:,} nodes; "
                "pipe the objects into Export-Clixml instead of passing them as one list"
            )
        if tree.is_deeper_than(4 * limits.nesting):  # Obj, DCT, En, Value: four for one level
            raise Fault(f"objects are nested more than {limits.nesting} deep")
        # Growing pieces: a token over many of them is scanned again with each one.
        self.next_piece = max(PIECE, self._bytes // 4)


class _Guard:
    """Reads along up to the root element and refuses what CLIXML never has in front of it."""

    def __init__(self, encoding: str | None) -> None:
        self._done = False
        self._parser = expat.ParserCreate(encoding)
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._root
        if encoding is None:
            self._parser.XmlDeclHandler = self._declaration

    def feed(self, piece: bytes) -> None:
        if self._done:
            return
        try:
            self._parser.Parse(piece, False)
        except _AtRoot:
            self._done = True
        except expat.ExpatError as error:
            raise Fault(_xml_reason(error.code, error.lineno, error.offset, piece)) from None

    def _doctype(self, *_: object) -> NoReturn:
        raise Fault("it has a DTD, and a DTD is refused")

    def _declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf-16", "us-ascii"):
            raise Fault(f"its encoding is {encoding[:20]!r}; {EXPORT_AGAIN}")

    def _root(self, *_: object) -> NoReturn:
        raise _AtRoot


class _AtRoot(Exception):
    """The root element begins."""


class _Tree:
    """Bytes in, finished top-level elements out."""

    def __init__(self, encoding: str | None) -> None:
        self.fault: Fault | None = None
        self._builder = TreeBuilder()
        # The document becomes a child of an element of ours: the only way to hold its root
        # while it is still being built.
        self._holder = self._builder.start("holder", {})
        self._parent: Element | None = None
        self._parser = XMLParser(target=self._builder, encoding=encoding)  # noqa: S314

    def feed(self, data: bytes) -> list[Element]:
        """The elements that are complete now. Look at `fault` after using them."""
        try:
            self._parser.feed(data)
        except ParseError as error:
            return self._end_with(error, data)
        # Whether the last one is complete shows when the next one begins.
        return self._take(1)

    def close(self) -> list[Element]:
        """The rest, at the end of the document. Look at `fault` after using them."""
        try:
            self._parser.close()
        except ParseError as error:
            return self._end_with(error, b"")
        return self._take(0)

    def is_deeper_than(self, levels: int) -> bool:
        """Whether the elements that are open now are nested that deep."""
        element = self._holder
        for _ in range(levels + 2):
            if not len(element):
                return False
            element = element[-1]
        return True

    def _take(self, stay: int) -> list[Element]:
        parent = self._parent
        if parent is None and (parent := self._find_parent()) is None:
            return []
        count = len(parent) - stay
        if count < 1:
            return []
        complete = parent[:count]
        del parent[:count]
        return complete

    def _find_parent(self) -> Element | None:
        """The element whose children are the top-level ones, once the root has begun."""
        if not len(self._holder):
            return None
        root = self._holder[0]
        self._parent = root if is_objs(root) else self._holder
        return self._parent

    def _end_with(self, error: ParseError, data: bytes) -> list[Element]:
        """What is complete although the document breaks off here."""
        self.fault = Fault(_xml_reason(error.code, *error.position, data))
        parent = self._find_parent()
        if parent is None:
            if error.code == NOTHING:
                self.fault = Fault("there is no element in it")
            return []
        innermost = outer = None
        try:
            while outer is not parent:
                innermost, outer = outer, self._builder.end("")
        except IndexError:  # the parent itself was closed already, and so were its children
            innermost = None
        return self._take(0 if innermost is None else 1)


def is_objs(root: Element) -> bool:
    """True for a document of many objects, False for one whose root is its one object."""
    if is_value(root.tag):
        return False
    if root.tag not in OBJS:
        raise Fault(f"its root is <{root.tag[:80]}> instead of <Objs>")
    version = root.get("Version", "1.")
    if not version.startswith("1."):
        raise Fault(f"its CLIXML version is {version[:20]!r}; 1.1 is known")
    return True


def _xml_reason(code: int, line: int, column: int, piece: bytes) -> str:
    """The parser's complaint in words for somebody who did not write the file by hand."""
    message = expat.ErrorString(code) or "unknown error"
    if code in TRUNCATED:
        return "it ends in the middle"
    if message == expat.errors.XML_ERROR_INVALID_TOKEN and not _is_utf8(piece):
        return f"it is neither UTF-8 nor UTF-16; {EXPORT_AGAIN}"
    return f"{message} in line {line}, column {column + 1}"


def _is_utf8(piece: bytes) -> bool:
    """Whether bytes cut out anywhere can be UTF-8."""
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start < 3 or error.start > len(piece) - 4 or b"\x00" in piece
    return True
