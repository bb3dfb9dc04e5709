"""One cmdlet call as a value: a name, and parameters with typed values.

    Command("Move-ActiveMailboxDatabase", (("Identity", "DB1"), ("ActivateOnServer", "EX2")))

A command is sent as it is (typed values, never a script), and printed as PowerShell text that
an admin can paste: `str(command)`. The text means the same as what is sent, whatever the names
in it: `$`, quotes, umlauts and control characters are data.

Traps: a `Get-` cmdlet with a null or empty identity returns *everything*, so such a command
cannot be made (domain/migration.md 1.3). Moments are written as UTC, the only form that no
server's date format turns around. PowerShell takes four more signs for a single quote.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from mailmig.model.errors import MailmigError
from mailmig.model.secret import Secret

Single: TypeAlias = str | bool | int | UUID | datetime | timedelta | Secret
Array: TypeAlias = tuple[Single, ...] | list[Single]
Table: TypeAlias = Mapping[str, Single | Array]
Parameter: TypeAlias = Single | Array | Table
"""A value of a parameter. A bool is a switch or a boolean, a mapping `@{Add = ...}`."""

_NAME = re.compile(r"[A-Za-z]+-[A-Za-z][A-Za-z0-9]*")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_READING = ("Get-", "Test-")
# PowerShell takes all of these for a single quote, as beginning and as end.
_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
_CONTROL = re.compile("([\x00-\x1f\x7f-\x9f\u2028\u2029]+)")


class BadCommand(MailmigError):
    """A command that nobody should send: mend the parameter that is named."""

    def __init__(self, name: str, parameter: str, reason: str) -> None:
        where = f"{name} -{parameter}" if parameter else repr(name)
        super().__init__(f"{where}: {reason}; nothing was sent")
        self.name = name
        self.parameter = parameter
        self.reason = reason


class EmptyIdentity(BadCommand):
    """Asked for one object without saying which: the answer would be all of them."""

    def __init__(self, name: str, parameter: str) -> None:
        super().__init__(name, parameter, "it is empty, and that would mean every object")


@dataclass(frozen=True, slots=True)
class Command:
    """One call of a cmdlet. Parameters keep their order.

    Raises:
        EmptyIdentity: `Identity` is empty, or anything that a reading cmdlet is asked for.
        BadCommand: no name of a cmdlet or a parameter, a parameter twice, a null, or a value
            of a kind that is not in `Parameter`.
    """

    name: str
    parameters: tuple[tuple[str, Parameter], ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadCommand(self.name, "", "this is not the name of a cmdlet")
        seen: set[str] = set()
        for name, value in self.parameters:
            if not _PARAMETER.fullmatch(name):
                raise BadCommand(self.name, name, "this is not the name of a parameter")
            if name.lower() in seen:
                raise BadCommand(self.name, name, "it stands there twice")
            seen.add(name.lower())
            self._check(name, value)

    def _check(self, name: str, value: object) -> None:
        if _is_empty(value) and (self.is_reading or name.lower() == "identity"):
            raise EmptyIdentity(self.name, name)
        for part in _parts(value):
            if part is None:
                raise BadCommand(self.name, name, "a null is never sent")
            if not isinstance(part, str | bool | int | UUID | datetime | timedelta | Secret):
                raise BadCommand(self.name, name, f"{type(part).__name__} is no kind of parameter")
            if isinstance(part, datetime) and part.tzinfo is None:
                raise BadCommand(self.name, name, "a moment without a zone")

    @property
    def is_reading(self) -> bool:
        """Whether it changes nothing, so that it may be asked again."""
        return self.name.lower().startswith(tuple(verb.lower() for verb in _READING))

    def get(self, name: str, default: Parameter | None = None) -> Parameter | None:
        """The value of the parameter of that name, whatever the case."""
        for known, value in self.parameters:
            if known.lower() == name.lower():
                return value
        return default

    def __str__(self) -> str:
        """The call as PowerShell text, on one line."""
        return " ".join((self.name, *(_argument(*pair) for pair in self.parameters)))


def moment_text(moment: datetime) -> str:
    """An aware moment as Exchange takes it on every server: UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def duration_text(duration: timedelta) -> str:
    """A duration as .NET reads it: `1.02:03:04`, with seven digits where there are fractions."""
    sign = "-" if duration < timedelta(0) else ""
    whole = abs(duration)
    hours, rest = divmod(whole.seconds, 3600)
    fraction = f".{whole.microseconds:06}0" if whole.microseconds else ""
    return f"{sign}{whole.days}.{hours:02}:{rest // 60:02}:{rest % 60:02}{fraction}"


def quoted(text: str) -> str:
    """A text as one PowerShell value in which nothing is evaluated."""
    pieces = []
    for number, piece in enumerate(_CONTROL.split(text)):
        if number % 2:
            pieces += [f"[char]{ord(sign)}" for sign in piece]
        elif piece or not number:
            pieces.append("'" + _QUOTES.sub(r"\1\1", piece) + "'")
    return pieces[0] if len(pieces) == 1 else f"({' + '.join(pieces)})"


def _argument(name: str, value: Parameter) -> str:
    if isinstance(value, bool):  # with a colon it is right for switches and for booleans
        return f"-{name}:{_text(value)}"
    return f"-{name} {_text(value)}"


def _text(value: Parameter) -> str:
    if isinstance(value, bool):
        return "$true" if value else "$false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, Secret):
        return "(Read-Host -AsSecureString)"
    if isinstance(value, datetime):
        return quoted(moment_text(value))
    if isinstance(value, timedelta):
        return quoted(duration_text(value))
    if isinstance(value, Mapping):
        entries = "; ".join(f"{quoted(key)} = {_text(entry)}" for key, entry in value.items())
        return f"@{{{entries}}}"
    if isinstance(value, tuple | list):
        return f"@({', '.join(_text(part) for part in value)})"
    return quoted(str.__str__(value) if isinstance(value, str) else str(value))


def _parts(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return [part for entry in value.items() for half in entry for part in _parts(half)]
    return list(value) if isinstance(value, tuple | list) else [value]


def _is_empty(value: object) -> bool:
    """Whether a server would take it for "no matter which"; false and zero say something."""
    if value is None or (isinstance(value, UUID) and value.int == 0):
        return True
    if isinstance(value, str):
        return not _CONTROL.sub("", value).strip()
    if isinstance(value, tuple | list | Mapping):
        return all(_is_empty(part) for part in _parts(value))
    return False
