"""The scripts that WinRM runs for us, and what their answers mean.

    text = script("services", {"names": ["MSExchangeIS"]})
    facts = answer("services", printed)

A script is a file of `windows_scripts/`; nothing else is ever run. Its arguments travel as
base64 of JSON inside of a quoted text, so that no name can become a part of the script. The
answer is CLIXML in base64: ASCII, whatever the code page, and typed, whatever the language of
the machine. An error comes as such an object too, with PowerShell's category and id.

`asked` is the way back, for whoever plays the machine.
"""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from mailmig.model.errors import BadFile
from mailmig.model.windows import WindowsFact
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj, items
from mailmig.wire.windows_rows import FACTS, number_of, text_of

Arguments = Mapping[str, str | list[str]]
FRAME: Final = "frame"
_HOLE_SCRIPT, _HOLE_ARGUMENTS = "{script}", "{arguments}"
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=\s]*")


class ScriptError(Exception):
    """What a script itself reports: a PowerShell error, as typed values."""

    def __init__(self, message: str, category: int, fq_id: str, reason: str) -> None:
        super().__init__(message)
        self.message = message
        self.category = category
        self.fq_id = fq_id
        self.reason = reason


def script(name: str, arguments: Arguments | None = None) -> str:
    """The text that PowerShell is given.

    Raises:
        KeyError: there is no script of that name, or it takes other arguments.
    """
    wanted = ARGUMENTS[name]
    given = dict(arguments or {})
    if set(given) != set(wanted):
        raise KeyError(f"{name} takes {', '.join(wanted) or 'no arguments'}")
    encoded = b64encode(json.dumps(given, sort_keys=True).encode()).decode()
    return _framed(name).replace(_HOLE_ARGUMENTS, encoded)


def asked(text: str) -> tuple[str, dict[str, str | list[str]]] | None:
    """Name and arguments of a text that `script` made; None for every other text."""
    for name in ARGUMENTS:
        before, after = _framed(name).split(_HOLE_ARGUMENTS)
        if text.startswith(before) and text.endswith(after):
            encoded = text[len(before) : len(text) - len(after)]
            try:
                given = json.loads(b64decode(encoded, validate=True))
            except (ValueError, NotBase64):
                return None
            return (name, given) if set(given) == set(ARGUMENTS[name]) else None
    return None


def printed(rows: list[Obj]) -> str:
    """What a script prints for these rows: the way back of `answer`."""
    listed = Obj(("System.Object[]", "System.Array", "System.Object"), value=list(rows))
    return b64encode(_document(listed).encode()).decode() + "\r\n"


def answer(name: str, text: str) -> tuple[WindowsFact, ...]:
    """The facts that a script printed.

    Raises:
        ScriptError: the script failed.
        BadFile: this is no answer, or one that lacks something.
    """
    if not text.strip() or not _BASE64.fullmatch(text):
        raise BadFile(name, "the machine printed something else than an answer")
    try:
        document = b64decode("".join(text.split()), validate=True)
    except NotBase64:
        raise BadFile(name, "the answer is not complete") from None
    rows = [row for value in clixml.loads(document) for row in items(value)]
    facts = []
    for row in rows:
        if not isinstance(row, Obj):
            raise BadFile(name, f"a row is {type(row).__name__} and no object")
        if "MailmigError" in row:
            raise ScriptError(
                text_of(row, "MailmigError"), number_of(row, "Category") or 0, text_of(row, "Id"),
                text_of(row, "Reason"),
            )  # fmt: skip
        try:
            facts.append(FACTS[name](row))
        except (KeyError, TypeError, ValueError) as error:
            raise BadFile(name, f"a row cannot be understood: {error!r}") from error
    return tuple(facts)


def script_names() -> tuple[str, ...]:
    """All scripts that may be run."""
    return tuple(ARGUMENTS)


@cache
def _file(name: str) -> str:
    """A script without its indentation: a command line has room for 3,000 signs of script."""
    folder = files("mailmig.wire") / "windows_scripts"
    lines = (folder / f"{name}.ps1").read_text("ascii").splitlines()
    return "\n".join(line.strip() for line in lines).rstrip()


@cache
def _framed(name: str) -> str:
    return _file(FRAME).replace(_HOLE_SCRIPT, _file(name))


def _document(value: Obj) -> str:
    from io import BytesIO

    target = BytesIO()
    clixml.write(target, [value])
    return target.getvalue().decode("utf-8-sig")


# Each script with the arguments that it takes.
ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(FACTS, ()),
    "client_use": ("folder", "split", "fields", "good", "since"),
    "dns_records": ("zone", "name", "type"),
    "dns_zone": ("zone",),
    "services": ("names",),
    "smtp_use": ("folder", "since"),
}
