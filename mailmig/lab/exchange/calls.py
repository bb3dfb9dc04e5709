"""The seam between remote PowerShell and the cmdlets behind it.

    class Cmdlets:
        def knows(self, caller: Account, name: str) -> bool: ...
        def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> Iterator[Output]:
            yield Warning("By default, only the first 1000 items are returned.")
            yield Item(clixml.dumps(mailbox))

An engine decides everything about cmdlets: who may call which, what they answer, how long they
take. The protocol asks `knows` first, so that a pipeline with an unknown name fails before its
first cmdlet runs. What an engine yields is sent while it goes on; it is paused when the client
does not fetch.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from mailmig.lab.accounts import Account
from mailmig.wire import clixml

COMMAND_NOT_FOUND = "System.Management.Automation.CommandNotFoundException"


@dataclass(frozen=True, slots=True)
class Caller(Account):
    """An account in a session. The locales are those that its client asked for (RFC 3066)."""

    locale: str = "en-US"
    data_locale: str = "en-US"

    @classmethod
    def of(cls, account: Account, locale: str, data_locale: str) -> Self:
        return cls(
            account.name, account.domain, account.password, account.roles, account.dns,
            locale=locale, data_locale=data_locale,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One cmdlet of a pipeline as it was called; a positional argument has the name None.

    Values are plain Python (`plain.plain`); None is a switch without a value, or $null.
    """

    name: str
    parameters: tuple[tuple[str | None, object], ...] = ()

    def get(self, name: str, default: object = None) -> object:
        """The value of the parameter of that name, whatever the case."""
        for known, value in self.parameters:
            if known is not None and known.lower() == name.lower():
                return value
        return default


@dataclass(frozen=True, slots=True)
class Item:
    """One object, as CLIXML of remote PowerShell: no `Objs` around it, no namespace.

    It is sent as it stands, so a cached text costs nothing.
    """

    xml: bytes | str

    @classmethod
    def of(cls, value: "clixml.Value | clixml.Container") -> Self:
        """The text of a value; slower than a text that is at hand."""
        return cls(clixml.dumps(value))


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """One error. A terminating one ends the pipeline: nothing after it is asked for.

    `category` is a name of PowerShell's ErrorCategory; `exception` the full .NET name, whose
    last part is shown as the reason; `activity` the cmdlet.
    """

    message: str
    fully_qualified_id: str
    category: str = "NotSpecified"
    target: str | None = None
    target_type: str = "String"
    exception: str = "System.Exception"
    activity: str = ""
    terminating: bool = False

    @property
    def reason(self) -> str:
        return self.exception.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Warning:
    """A line on the warning stream."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A progress bar; `percent` is -1 when it is not known, `finished` takes it away."""

    activity: str
    status: str = "Processing"
    percent: int = -1
    finished: bool = False


Output = Item | ErrorRecord | Warning | Progress


class Engine(Protocol):
    """The cmdlets of one server."""

    def knows(self, caller: Account, name: str) -> bool:
        """Whether the caller's session has a cmdlet of that name, whatever the case."""
        ...

    def invoke(
        self, caller: Account, pipeline: tuple[Call, ...]
    ) -> AsyncIterator[Output] | Iterator[Output]:
        """What the pipeline gives. A plain iterator runs in a thread and may block."""
        ...


@runtime_checkable
class SelectingEngine(Engine, Protocol):
    """An engine that gives chosen members itself, quicker than they are cut out of whole objects."""

    def select(
        self, caller: Account, pipeline: tuple[Call, ...], names: tuple[str, ...]
    ) -> AsyncIterator[Output] | Iterator[Output]:
        """What the pipeline gives through `Select-Object -Property names` (`selecting`)."""
        ...


def command_not_found(name: str) -> ErrorRecord:
    """What a session says to a name that it does not have."""
    return ErrorRecord(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or "
        "operable program. Check the spelling of the name, or if a path was included, verify that "
        "the path is correct and try again.",
        "CommandNotFoundException", "ObjectNotFound", target=name,
        exception=COMMAND_NOT_FOUND, terminating=True,
    )  # fmt: skip


def no_language(script: str) -> ErrorRecord:
    """What a session in no-language mode says to a script."""
    return ErrorRecord(
        "The syntax is not supported by this runspace. This might be because it is in no-language "
        "mode.", "ScriptsNotAllowed", "ParserError", target=script,
        exception="System.Management.Automation.ParseException", terminating=True,
    )  # fmt: skip


def not_simulated(what: str) -> ErrorRecord:
    """The lab's own refusal: a real server could do this, and an empty success would lie."""
    return ErrorRecord(
        f"The lab does not simulate {what}.", "LabNotSimulated", "NotImplemented",
        exception="System.NotImplementedException", terminating=True,
    )  # fmt: skip
