"""CLIXML: PowerShell objects as XML, one Python value per object (MS-PSRP 2.2.5).

    for mailbox in clixml.read("Get-Mailbox.xml"):
        mailbox["ExchangeGuid"], mailbox.get("ArchiveGuid")

`read` streams Export-Clixml files of any size in flat memory, `loads` takes one message of
remote PowerShell, `write` and `dumps` are the way back. What the objects become is told in
`clixml_values`; sizes, versions and other texts of Exchange are not interpreted here.

A broken file ends in one `BrokenClixml`. What was read until then has been yielded by then.

This module is the whole surface. Behind it: `clixml_stream` takes the file apart and guards
against hostile ones, `clixml_tree` makes values of the parts, `clixml_text` knows how each
primitive is spelt, `clixml_writer` writes.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import (
    Element,
    ParseError,
    TreeBuilder,
    XMLParser,
)

from mailmig.model.errors import BadFile
from mailmig.wire.clixml_stream import LIMITS, Limits, batches, is_objs
from mailmig.wire.clixml_tree import Document, Fault
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
    items,
)  # fmt: skip
from mailmig.wire.clixml_writer import Unwritable, dumps, write

__all__ = [
    "BrokenClixml", "Char", "Container", "Enumerable", "Int8", "Int16", "Int64", "Limits",
    "MemberSet", "Obj", "Progress", "Queue", "Reader", "Script", "SecureString", "Single", "Stack",
    "UInt8", "UInt16", "UInt32", "UInt64", "Unwritable", "Uri", "Value", "Version", "XmlText",
    "dumps", "items", "loads", "read", "write",
]  # fmt: skip

Source = str | os.PathLike[str] | BinaryIO

SMALL = 1024**2
# An element in UTF-8: neither a declaration nor a byte order mark, nor a DTD without "<!".
_BEGIN = re.compile(rb"<[A-Za-z]")


class BrokenClixml(BadFile):
    """A file that is not, or not to its end, CLIXML: export it again.

    `object_number` counts from 1 and names the object that could not be read; the ones before
    it are good.
    """

    def __init__(self, file: str, object_number: int, reason: str) -> None:
        super().__init__(file, reason, f"object {object_number}")
        self.object_number = object_number


class Reader(Iterable[Value]):
    """The values of one file, in order. `broken` tells afterwards why it ended early, if so."""

    def __init__(
        self, source: Source, partial: bool, limits: Limits, encoding: str | None = None
    ) -> None:
        self.broken: BrokenClixml | None = None
        self._partial = partial
        self._values = self._read(source, limits, encoding)

    def __iter__(self) -> Iterator[Value]:
        return self._values

    def __next__(self) -> Value:
        return next(self._values)

    def _read(self, source: Source, limits: Limits, encoding: str | None) -> Iterator[Value]:
        number = 1
        try:
            document = Document(limits.nesting)
            with _opened(source) as stream:
                for elements in batches(stream, document, limits, encoding):
                    for element in elements:
                        yield document.value(element)
                        number += 1
        except Fault as fault:
            self.broken = BrokenClixml(_name(source), number, fault.reason)
            if not self._partial:
                raise self.broken from None


def read(source: Source, *, partial: bool = False, limits: Limits = LIMITS) -> Reader:
    """One value per top-level object of a file or a binary stream, in flat memory.

    Raises `BrokenClixml` where the file breaks; everything before has been yielded by then.
    With `partial` reading just ends there, and `broken` of the reader holds the error. A file
    that is not there is an `OSError`. A path is opened with the first value and closed with
    the last; a stream is left open.
    """
    return Reader(source, partial, limits)


def loads(data: bytes | str) -> list[Value]:
    """All values of one document in memory: a message, or a small file.

    Raises `BrokenClixml`, whose `file` is "the message".
    """
    encoding = None
    if isinstance(data, str):
        encoding = "utf-8"
        data = data.encode(encoding, "surrogatepass")  # the parser refuses halves by itself
    if len(data) > SMALL or not _BEGIN.match(data) or (b"!" in data and b"<!" in data):
        return list(Reader(_Message(data), False, LIMITS, encoding))
    root = _message(data)
    if root is None:  # once more, to tell what is good and what is not
        return list(Reader(_Message(data), False, LIMITS, encoding))
    number = 1
    values: list[Value] = []
    try:
        document = Document()
        for element in root if is_objs(root) else [root]:
            values.append(document.value(element))
            number += 1
    except Fault as fault:
        raise BrokenClixml(_Message.name, number, fault.reason) from None
    return values


class _Message(BytesIO):
    name = "the message"


class _Messages:
    """One parser for many messages: making one takes a sixth of the time of reading one.

    The messages become children of one root, each followed by an empty element of ours. What
    is not one whole element shows there: then `element` gives None and nothing that was fed
    must be used, nor this parser again. A parser keeps the names of all elements that it ever
    saw, so each has only so much `left` to read.
    """

    END = b"<end/>"

    def __init__(self) -> None:
        builder = TreeBuilder()
        holder = builder.start("holder", {})
        self._parser = XMLParser(target=builder, encoding="utf-8")  # noqa: S314 - no DTD inside
        self._parser.feed(b"<messages>")
        self._root = holder[0]
        self.left = SMALL

    def element(self, data: bytes) -> Element | None:
        self.left -= len(data)
        try:
            self._parser.feed(data + self.END)
        except ParseError:
            return None
        root = self._root
        if len(root) != 2 or len(root[1]) or root[1].tag != "end":
            return None
        element = root[0]
        if element.tail is not None and element.tail.strip(" \t\r\n"):
            return None
        root.clear()
        return element


_idle: list[_Messages] = []


def _message(data: bytes) -> Element | None:
    """The root element of a small document in UTF-8 without "<!"; None when it is broken."""
    try:
        messages = _idle.pop()  # nobody else has it now: this may run in many threads
    except IndexError:
        messages = _Messages()
    root = messages.element(data)
    if root is not None and messages.left > 0 and len(_idle) < 8:
        _idle.append(messages)
    return root


def _opened(source: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    return nullcontext(source)


def _name(source: Source) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "the stream"
