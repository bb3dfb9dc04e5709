"""What a pipeline's error records mean, by what is typed in them and never by their text."""

from typing import Any, Final

from mailmig.model.command import Command
from mailmig.sources.remote_errors import (
    CmdletFailed,
    CmdletNotAllowed,
    CommandError,
    NoSuchObject,
)

# System.Management.Automation.ErrorCategory, by its numbers.
CATEGORIES: Final = tuple(
    "NotSpecified OpenError CloseError DeviceError DeadlockDetected InvalidArgument InvalidData "
    "InvalidOperation InvalidResult InvalidType MetadataError NotImplemented NotInstalled "
    "ObjectNotFound OperationStopped OperationTimeout SyntaxError ParserError PermissionDenied "
    "ResourceBusy ResourceExists ResourceUnavailable ReadError WriteError FromStdErr "
    "SecurityError ProtocolError ConnectionError AuthenticationError LimitsExceeded "
    "QuotaExceeded NotEnabled".split()
)
COMMAND_NOT_FOUND: Final = "CommandNotFoundException"
PARAMETER_NOT_FOUND: Final = "NamedParameterNotFound"
OBJECT_NOT_FOUND: Final = "ManagementObjectNotFoundException"
_SELECT: Final = ("select-object", "selectobject")


def category(number: object) -> str:
    """The name of an error category; a number that nobody knows stays one."""
    if isinstance(number, int) and 0 <= number < len(CATEGORIES):
        return CATEGORIES[number]
    return str(number)


def error_of(
    server: str, command: Command, record: Any, *, terminating: bool = False, more: int = 0
) -> CommandError:
    """An error record of pypsrp as one of ours."""
    fq_id, reason = str(record.fq_error or ""), str(record.reason or "")
    return kind_of(fq_id, reason, category(record.category))(
        server, command, _message(record), category=category(record.category), fq_id=fq_id,
        reason=reason, terminating=terminating, more=more,
    )  # fmt: skip


def kind_of(fq_id: str, reason: str, category: str) -> type[CommandError]:
    """The class of an error, by its id, its exception and its category."""
    first = fq_id.partition(",")[0]
    if COMMAND_NOT_FOUND in (first, reason) or first == PARAMETER_NOT_FOUND:
        return CmdletNotAllowed
    if reason == OBJECT_NOT_FOUND or category == "ObjectNotFound":
        return NoSuchObject
    return CmdletFailed


def is_about_select(record: Any) -> bool:
    """Whether it is Select-Object that was refused, and not the cmdlet before it."""
    said = (record.fq_error, record.target_name, record.activity)
    text = " ".join(str(part or "") for part in said).lower()
    return any(word in text for word in _SELECT)


def _message(record: Any) -> str:
    """The text; what a record built by psrpcore lacks stands in its exception."""
    text = str(record) if record is not None else ""
    if text and text != "None":
        return text
    return str(getattr(record, "exception", None) or "no reason given")
