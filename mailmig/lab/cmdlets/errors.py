"""Errors as Exchange's cmdlets and PowerShell's binder give them.

Messages, categories and ids follow what PowerShell prints; where no public document shows them
they are from memory and marked so. Clients should go by exception and category, not by words.
"""

from typing import Final

from mailmig.lab.exchange.calls import ErrorRecord

BINDING: Final = "System.Management.Automation.ParameterBindingException"
_VALIDATION: Final = "System.Management.Automation.ParameterBindingValidationException"
_TASKS: Final = "Microsoft.Exchange.Configuration.Tasks"
NOT_FOUND: Final = f"{_TASKS}.ManagementObjectNotFoundException"
AMBIGUOUS: Final = f"{_TASKS}.ManagementObjectAmbiguousException"


class Failed(Exception):
    """A cmdlet that ends with this error; `record` says how."""

    def __init__(self, record: ErrorRecord) -> None:
        super().__init__(record.message)
        self.record = record


def refused(
    cmdlet: str, message: str, error_id: str, *, exception: str = BINDING, target: str | None = None
) -> Failed:
    """The binder's refusal: it ends the pipeline before the cmdlet runs."""
    return Failed(
        ErrorRecord(
            message, f"{error_id},{cmdlet}", "InvalidArgument", target=target,
            exception=exception, activity=cmdlet, terminating=True,
        )
    )  # fmt: skip


def unknown_parameter(cmdlet: str, name: str) -> Failed:
    return refused(
        cmdlet,
        f"A parameter cannot be found that matches parameter name '{name}'.",
        "NamedParameterNotFound",
    )


def ambiguous_parameter(cmdlet: str, name: str, matches: list[str]) -> Failed:
    listed = "".join(f" -{match}" for match in matches)
    return refused(
        cmdlet,
        f"Parameter cannot be processed because the parameter name '{name}' is ambiguous. "
        f"Possible matches include: {listed}.",
        "AmbiguousParameter",
    )


def bound_twice(cmdlet: str, name: str) -> Failed:
    return refused(
        cmdlet,
        f"Cannot bind parameter because parameter '{name}' is specified more than once. To provide "
        "multiple values to parameters that can accept multiple values, use the array syntax.",
        "ParameterAlreadyBound",
    )


def no_position(cmdlet: str, value: object) -> Failed:
    return refused(
        cmdlet,
        f"A positional parameter cannot be found that accepts argument '{value}'.",
        "PositionalParameterNotFound",
    )


def mixed_sets(cmdlet: str) -> Failed:
    return refused(
        cmdlet,
        "Parameter set cannot be resolved using the specified named parameters.",
        "AmbiguousParameterSet",
    )


def missing(cmdlet: str, names: list[str]) -> Failed:
    """What a session says that cannot ask its user for the value."""
    return refused(
        cmdlet,
        "Cannot process command because of one or more missing mandatory parameters: "
        f"{' '.join(names)}.",
        "MissingMandatoryParameter",
    )


def unconvertible(cmdlet: str, name: str, value: object, type_name: str) -> Failed:
    """A value of a kind that the parameter does not take. Words from memory [MEM]."""
    return refused(
        cmdlet,
        f'Cannot bind parameter \'{name}\'. Cannot convert value "{value}" to type "{type_name}".',
        "CannotConvertArgumentNoMessage",
        target=str(value),
    )


def empty_value(cmdlet: str, name: str, value: object) -> Failed:
    what = "null" if value is None else "an empty string"
    error_id = "Null" if value is None else "EmptyString"
    return refused(
        cmdlet,
        f"Cannot bind argument to parameter '{name}' because it is {what}.",
        f"ParameterArgumentValidationError{error_id}NotAllowed",
        exception=_VALIDATION,
    )


def cannot_ask(cmdlet: str) -> Failed:
    """A cmdlet that asks before it acts, in a session without a host. From memory [MEM]."""
    return Failed(
        ErrorRecord(
            "A command that prompts the user failed because the host program or the command type "
            "does not support user interaction. The host was attempting to request confirmation.",
            f"HostFunctionNotSupported,{cmdlet}", "NotImplemented",
            exception="System.Management.Automation.Host.HostException", activity=cmdlet,
            terminating=True,
        )
    )  # fmt: skip


def task_error(
    server: str,
    cmdlet: str,
    message: str,
    exception: str,
    *,
    category: str = "InvalidData",
    target: str | None = None,
) -> Failed:
    """An error of a running cmdlet. It does not end the pipeline.

    The id begins with the server's name and a request id that changes with every call; the eight
    hexadecimal digits after it follow from the message [MEM].
    """
    number = sum(ord(sign) * (place + 1) * 2654435761 for place, sign in enumerate(message))
    reason = exception.rpartition(".")[2]
    return Failed(
        ErrorRecord(
            message,
            f"[Server={server},RequestId=00000000-0000-0000-0000-000000000000] "
            f"[FailureCategory=Cmdlet-{reason}] {number % 2**32:X},{class_of(cmdlet)}",
            category, target=target, exception=exception, activity=cmdlet,
        )
    )  # fmt: skip


def not_found(server: str, cmdlet: str, identity: str, domain_controller: str) -> Failed:
    return task_error(
        server, cmdlet,
        f"The operation couldn't be performed because object '{identity}' couldn't be found on "
        f"'{domain_controller}'.",
        NOT_FOUND, target=identity,
    )  # fmt: skip


def not_unique(server: str, cmdlet: str, identity: str) -> Failed:
    return task_error(
        server, cmdlet,
        f"The operation couldn't be performed because '{identity}' matches multiple entries.",
        AMBIGUOUS, target=identity,
    )  # fmt: skip


def class_of(cmdlet: str) -> str:
    """The .NET class behind a cmdlet, the second part of an error's id [MEM for most of them]."""
    verb, _, noun = cmdlet.partition("-")
    spaces = "SystemConfigurationTasks"
    if noun in ("Mailbox", "CASMailbox", "MailboxPermission", "ADPermission", "User", "Group",
                "Recipient", "MoveRequest", "MoveRequestStatistics"):  # fmt: skip
        spaces = "RecipientTasks"
    if noun == "MailboxStatistics":
        spaces = "MapiTasks"
    return f"Microsoft.Exchange.Management.{spaces}.{verb}{noun}"
