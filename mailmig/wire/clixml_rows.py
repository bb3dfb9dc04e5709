"""The fast way through a CLIXML file of flat rows: selected properties, a few texts each.

    for row in clixml_rows.read(stream):
        row.get("ExchangeGuid")

`Select-Object | Export-Clixml -Depth 1` writes one element per line, always in the same form.
Where a file has exactly this form, two regular expressions per object do what the general
reader does node by node, in a third of the time or less; such a row is a plain `dict`. At the
first object that looks in any way different, the general reader (`clixml.read`) takes over
from there, to the end of the file, and gives what it gives: its objects, and its errors.

What differs for those who take the rows: GUIDs are the texts of the file, lists are plain
lists of texts, names of properties are compared with case. Numbers of references (RefId) are
not looked at: flat rows refer to nothing but the names of their types.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import BinaryIO, Final

from mailmig.wire import clixml
from mailmig.wire.clixml_text import unescape

Plain = str | int | bool | datetime | list[str] | None
Row = dict[str, Plain]

PIECE: Final = 256 * 1024
LONGEST: Final = 16 * 1024**2  # characters of one object; beyond that the general reader decides

_HEADER: Final = re.compile(
    r'\ufeff?<Objs Version="1\.1\.0\.1" '
    r'xmlns="http://schemas\.microsoft\.com/powershell/2004/04">\n'
)
_HEADER_LENGTH: Final = 100
_FOOTER: Final = re.compile(r"</Objs>[ \t\r\n]*")
_END: Final = "\n  </Obj>\n"
_NO_TEXT: Final = "]]>"  # no text may hold it, says XML

# Text as XML writes it: no markup, no line break, no entities but XML's own. All repetitions
# are possessive (`*+`): a text that does not fit is given up at once.
_CHARACTERS: Final = r"[^<&\x00-\x1f\ufffe\uffff]*+"
_TEXT: Final = rf"{_CHARACTERS}(?:&(?:amp|lt|gt|quot|apos);{_CHARACTERS})*+"
_NAME: Final = r'N="[A-Za-z0-9]++"'
# Numbers of fewer digits than the kind can hold; longer ones are the general reader's.
_NUMBERS: Final = {"I32": r"-?\d{1,9}", "I64": r"-?\d{1,18}", "U32": r"\d{1,9}", "U64": r"\d{1,18}"}
_GUID: Final = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,7})?(?:Z|[+-]\d\d:\d\d)?"
_TYPES: Final = rf'<TN(?:Ref RefId="\d++" />| RefId="\d++">\n(?: ++<T>{_TEXT}</T>\n)++ ++</TN>)\n'
_LIST: Final = rf"<LST(?: />|>\n(?:          <S>{_TEXT}</S>\n)*+        </LST>)\n"
_MEMBER: Final = "|".join(
    (
        rf"<S {_NAME}>{_TEXT}</S>",
        rf"<Nil {_NAME} />",
        rf"<G {_NAME}>{_GUID}</G>",
        rf"<B {_NAME}>(?:true|false)</B>",
        *(rf"<{tag} {_NAME}>{digits}</{tag}>" for tag, digits in _NUMBERS.items()),
        rf"<DT {_NAME}>{_TIME}</DT>",
        rf'<Obj {_NAME} RefId="\d++">\n        {_TYPES}        {_LIST}      </Obj>',
    )
)
_OBJECT: Final = re.compile(
    rf'  <Obj RefId="\d++">\n    {_TYPES}    <MS>\n((?:      (?:{_MEMBER})\n)*+)    </MS>\n  </Obj>\n',
    re.ASCII,  # of the digits only; texts are told by what they may not hold
)
# The same members once more, now that their form is known: tag, name, and text or list.
_PARTS: Final = re.compile(
    r'      <(\w+) N="(\w+)"(?: />| RefId="\d+">\n(?: +(?:<TN|<T>|</TN>).*\n)+'
    r"        <LST(?: />|>\n((?:          <S>.*\n)*)        </LST>)\n      </Obj>|>(.*)</\w+>)\n"
)
_ITEM: Final = re.compile(r"<S>(.*)</S>")
_BOOLEANS: Final = {"true": True, "false": False}
_ENTITIES: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}
_ENTITY: Final = re.compile("&[a-z]+;")


def read(stream: BinaryIO) -> Iterator[Row | clixml.Value]:
    """The rows of a file, each a dict, and what the general reader makes of the rest.

    The stream is read from where it stands, has to be seekable and is left open. Raises
    BrokenClixml where the file breaks.
    """
    start = stream.tell()
    for count, row in enumerate(_rows(stream)):
        if row is None:  # not the form that is read here
            stream.seek(start)
            yield from islice(clixml.read(stream), count, None)
            return
        yield row


def _rows(stream: BinaryIO) -> Iterator[Row | None]:
    """The rows, up to the end or to the first place of another form: there comes a `None`."""
    pieces = _pieces(stream)
    text = ""
    while len(text) < _HEADER_LENGTH and (piece := next(pieces, None)) is not None:
        text += piece
    header = _HEADER.match(text)
    if header is None:
        yield None
        return
    at = header.end()
    for piece in _and_the_end(pieces):
        if _NO_TEXT in text or len(text) > LONGEST:
            yield None
            return
        while (end := text.find(_END, at)) >= 0:
            found = _OBJECT.match(text, at)
            row = _row(found[1]) if found and found.end() == end + len(_END) else None
            yield row
            if row is None:
                return
            at = end + len(_END)
        text, at = text[at:] + (piece or ""), 0
    if not _FOOTER.fullmatch(text):
        yield None


def _pieces(stream: BinaryIO) -> Iterator[str]:
    """The text of the stream, line ends as XML takes them; ends early where it is not UTF-8."""
    decoder = getincrementaldecoder("utf-8")()
    held = ""
    try:
        while piece := stream.read(PIECE):
            text = held + decoder.decode(piece)
            held = "\r" if text.endswith("\r") else ""
            yield text.removesuffix("\r").replace("\r\n", "\n")
        yield held + decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        yield "\0"  # fits nowhere, so the general reader tells what is wrong


def _and_the_end(pieces: Iterator[str]) -> Iterator[str | None]:
    yield from pieces
    yield None


def _row(members: str) -> Row | None:
    """The properties of one object whose form was checked; `None` for a day that is none."""
    escaped = "&" in members or "_x" in members
    row: Row = {}
    for tag, name, items, text in _PARTS.findall(members):
        if tag == "S":
            row[name] = _clear(text) if escaped else text
        elif tag == "Nil":
            row[name] = None
        elif tag == "Obj":
            found = _ITEM.findall(items)
            row[name] = list(map(_clear, found)) if escaped else found
        elif tag == "B":
            row[name] = _BOOLEANS[text]
        elif tag in _NUMBERS:
            row[name] = int(text)
        elif tag == "DT":
            try:
                row[name] = datetime.fromisoformat(text)
            except ValueError:
                return None
        else:
            row[name] = text
    return row


def _clear(text: str) -> str:
    if "&" in text:
        text = _ENTITY.sub(lambda found: _ENTITIES[found[0]], text)
    return unescape(text) if "_x" in text else text
