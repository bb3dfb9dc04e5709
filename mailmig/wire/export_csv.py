"""CSV as Export-Csv writes it, and as people leave it after a spreadsheet has had it.

    with path.open("rb") as stream:
        for row in export_csv.read(stream, str(path)):
            row["ExchangeGuid"]

What is found out from the file: the encoding (UTF-8 with and without a byte order mark,
UTF-16 with one, else the code page that is asked for), the delimiter (comma, semicolon or tab,
whichever stands most often between the names of the header), and whether a `#TYPE` line comes
first. Rows are read one at a time, whatever the size of the file.

All values are text. A property that is missing in an object is an empty text here; Export-Csv
makes no difference. Flattened lists stay the text they are (`quantities.texts`).

Traps
- Without a byte order mark a file is UTF-8 when all of it is valid UTF-8. To know that, a
  stream is read once before; so it must be seekable, as files and members of a ZIP are.
- A quotation mark that is never closed swallows the rest of the file into one field; the limit
  on a field (`FIELD`) ends that.
"""

import codecs
import csv
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from typing import IO, Final

from mailmig.model.errors import BadFile

# Characters. A group of 50,000 members, flattened, has about 3 million.
FIELD: Final = 4 * 1024**2
LINE: Final = 2 * FIELD
COLUMNS: Final = 10_000

DELIMITERS: Final = ",;\t"
_PIECE: Final = 1024**2
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_AGAIN: Final = "export it again with -Encoding UTF8"


class BrokenCsv(BadFile):
    """A CSV file that cannot be used: look at the line that is named, or export it again.

    `line` counts from 1; 0 stands for the whole file.
    """

    def __init__(self, file: str, line: int, reason: str) -> None:
        super().__init__(file, reason, f"line {line}" if line else "")
        self.line = line


def read(
    source: bytes | IO[bytes], file: str = "CSV", code_page: str = "cp1252"
) -> Iterator[dict[str, str]]:
    """The rows of a file, each a dict from the names of the header to texts, in their order.

    `file` is what an error calls it; `code_page` is what a file is taken for that is neither
    UTF-8 nor UTF-16. A stream is read from where it stands and is left open. Raises
    `BrokenCsv` before the first row that cannot be read; the rows before it are good.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    # Process-wide, as the csv module has it; raised, never lowered.
    csv.field_size_limit(max(FIELD, csv.field_size_limit()))
    text = TextIOWrapper(stream, _encoding(stream, code_page), newline="")
    try:
        yield from _rows(_Lines(text, file), file)
    finally:
        if not stream.closed:
            text.detach()


def _encoding(stream: IO[bytes], code_page: str) -> str:
    start = stream.tell()
    piece = stream.read(_PIECE)
    found = next((name for mark, name in _MARKS if piece.startswith(mark)), "")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while not found:
            decoder.decode(piece, final=not piece)
            if not piece:
                found = "utf-8"
            piece = stream.read(_PIECE)
    except UnicodeDecodeError:
        found = code_page
    stream.seek(start)
    return found


class _Lines(Iterator[str]):
    """The lines of a text with their line ends, bounded; `number` is that of the last one."""

    def __init__(self, text: TextIOWrapper, file: str) -> None:
        self._text = text
        self._file = file
        self._again: list[str] = []
        self.number = 0

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._read()
        if not line:
            raise StopIteration
        self.number += 1
        return line

    def put_back(self, lines: list[str]) -> None:
        """The lines will come again, the first of them first."""
        self._again.extend(reversed(lines))
        self.number -= len(lines)

    def _read(self) -> str:
        number = self.number + 1
        try:
            line = self._text.readline(LINE)
        except UnicodeError as error:
            coding = self._text.encoding
            raise BrokenCsv(
                self._file, number, f"here or soon after it is no text in {coding}: {_AGAIN}"
            ) from error
        if "\0" in line:
            raise BrokenCsv(self._file, number, f"there is a NUL byte in it: {_AGAIN}")
        if len(line) >= LINE:
            raise BrokenCsv(self._file, number, f"it is longer than {LINE:,} characters")
        return line


def _rows(lines: _Lines, file: str) -> Iterator[dict[str, str]]:
    _skip_type(lines)
    delimiter = _delimiter(lines)
    records = _records(lines, delimiter, file)
    line, header = next(records, (0, []))
    _check_header(header, line, file)
    for line, record in records:
        if len(record) != len(header):
            raise BrokenCsv(
                file, line, f"the row has {len(record)} values, the header {len(header)} names"
            )
        yield dict(zip(header, record, strict=True))


def _skip_type(lines: _Lines) -> None:
    """Windows PowerShell writes `#TYPE System.Something` first; spreadsheets quote it."""
    line = next(lines, "")
    if line and not line.lstrip('"').startswith("#TYPE "):
        lines.put_back([line])


def _delimiter(lines: _Lines) -> str:
    """The delimiter that stands most often outside of quotation marks in the header."""
    taken, counts, quoted = [], dict.fromkeys(DELIMITERS, 0), False
    for line in lines:
        taken.append(line)
        for number, part in enumerate(line.split('"')):
            if number:
                quoted = not quoted
            if not quoted:
                for delimiter in DELIMITERS:
                    counts[delimiter] += part.count(delimiter)
        if not quoted and line.strip():
            break
        if sum(map(len, taken)) > LINE:
            break
    lines.put_back(taken)
    return max(DELIMITERS, key=counts.__getitem__)


def _records(lines: _Lines, delimiter: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line; empty lines are no records."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        first = lines.number + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise BrokenCsv(file, first, _plainly(error)) from error
        if record is None:
            return
        if record:
            yield first, record


def _plainly(error: csv.Error) -> str:
    said = str(error)
    if "field larger" in said:
        return f"a value has more than {FIELD:,} characters; is a quotation mark not closed?"
    if "unexpected end" in said:
        return "a quotation mark that opens here is never closed: the file is cut off"
    if "expected after" in said:
        return "after a closing quotation mark there is more text; quotation marks are doubled"
    return said


def _check_header(header: list[str], line: int, file: str) -> None:
    if not header:
        raise BrokenCsv(file, 0, "the file is empty: there is no header")
    if len(header) > COLUMNS:
        raise BrokenCsv(file, line, f"there are {len(header):,} columns: this is no export")
    seen = set[str]()
    for number, name in enumerate(header, 1):
        if not name.strip():
            raise BrokenCsv(file, line, f"column {number} has no name")
        if name.casefold() in seen:
            raise BrokenCsv(file, line, f'there are two columns "{name[:60]}"')
        seen.add(name.casefold())
