"""Error, warning and progress records as psrpcore's values, in the shape of a real server's.

These are few, so psrpcore may serialise them. What it leaves out is put in here: the type names
of the exception, the colon in an error's category line, and the text of a warning.
"""

from psrpcore import types

from mailmig.lab.exchange.calls import ErrorRecord, Progress, Warning

_EXCEPTIONS = ["System.Exception", "System.Object"]


class _Category(types.ErrorCategoryInfo):
    def __str__(self) -> str:
        target = f"({self.TargetName}:{self.TargetType})"
        return f"{self.Category.name}: {target} [{self.Activity}], {self.Reason}"


def error(record: ErrorRecord) -> types.ErrorRecord:
    exception = types.NETException(Message=record.message)
    names = [name for name in (record.exception,) if name not in _EXCEPTIONS]
    exception.PSObject.type_names = [*names, *_EXCEPTIONS]
    exception.PSObject.to_string = f"{record.exception}: {record.message}"
    target = record.target
    made = types.ErrorRecord(
        Exception=exception,
        CategoryInfo=_Category(
            Category=types.ErrorCategory[record.category],
            Activity=record.activity,
            Reason=record.reason,
            TargetName=target or "",
            TargetType=record.target_type if target is not None else "",
        ),
        TargetObject=target,
        FullyQualifiedErrorId=record.fully_qualified_id,
    )
    made.PSObject.to_string = record.message
    return made


def failed(record: ErrorRecord) -> types.PipelineState:
    """The end of a pipeline by a terminating error."""
    return types.PipelineState(
        PipelineState=int(types.PSInvocationState.Failed), ExceptionAsErrorRecord=error(record)
    )


def warning(record: Warning) -> types.WarningRecord:
    made = types.WarningRecord(Message=record.text)
    made.PSObject.to_string = record.text
    return made


def progress(record: Progress) -> types.ProgressRecordMsg:
    kind = types.ProgressRecordType
    return types.ProgressRecordMsg(
        Activity=record.activity,
        ActivityId=0,
        StatusDescription=record.status,
        PercentComplete=record.percent,
        Type=kind.Completed if record.finished else kind.Processing,
    )
