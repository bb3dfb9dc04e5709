"""The report of a move, and what a mailbox remembers of its moves.

A report is what `-IncludeReport` brings: lines, failures, items that were left out, and how long
either side took. Property names follow migration.md 4.4; type names and words are from memory [MEM].
"""

from datetime import datetime, timedelta
from typing import Final

from mailmig.lab import values as v
from mailmig.lab.cmdlets.simulated import Ask
from mailmig.lab.hindering import SEEDED, Failure, met
from mailmig.lab.moving import Move
from mailmig.wire.clixml import Obj, UInt64, Value

_SERVICE: Final = "Microsoft.Exchange.MailboxReplicationService"
_LIST: Final = "System.Collections.Generic.List`1"
# Of the time that a move ran, what the source took and what the target did (migration.md 7.2).
_SOURCE_PART: Final = 0.7
_TARGET_PART: Final = 0.3
_LATENCY_MS: Final = 4


def report(ask: Ask, move: Move) -> Obj:
    """The report of a request so far."""
    server = ask.organisation.server(ask.organisation.databases[move.target].server).name
    entries = [_entry(at, server, text) for at, text in move.notes]
    lines = "\r\n".join(entry.text or "" for entry in entries)
    ailments = ask.organisation.troubles.mailboxes.get(move.mailbox)
    share = move.done_share(ask.organisation.now)
    bad = met(ailments.bad, share) if ailments else 0
    large = met(ailments.large, share) if ailments else 0
    missing = ailments.missing if ailments and share > SEEDED else 0
    failures: list[Value] = [_failure(at, failure) for at, failure in move.failures]
    return _object(
        "Report", lines,
        Entries=_many("ReportEntry", list(entries)),
        Failures=_many("FailureRec", failures),
        BadItems=_many("BadMessageRec", [
            *_items(ask, move, "CorruptItem", bad), *_items(ask, move, "MissingItem", missing)
        ]),
        LargeItems=_many("BadMessageRec", _items(ask, move, "LargeItem", large)),
        SessionStatistics=_session(ask, move),
    )  # fmt: skip


def history(ask: Ask, mailbox: int, *, reports: bool) -> Obj | None:
    """The completed moves of a mailbox, the latest first; None when it never moved."""
    moves = ask.organisation.move_history.get(mailbox)
    if not moves:
        return None
    return _many("MoveHistoryEntryInternal", [_remembered(ask, move, reports) for move in moves])


def _remembered(ask: Ask, move: Move, with_report: bool) -> Obj:
    assert move.ended is not None
    status = move.status(ask.organisation.now)
    spent = move.spent_on(move.ended)
    return _object(
        "MoveHistoryEntry", f"{status}: {move.source} -> {move.target}",
        Status=v.enum(f"{v.DIRECTORY}.Recipient.RequestStatus", status,
                      10 if status == "Completed" else 11),
        SourceDatabase=ask.view.stores.database_id(move.source),
        TargetDatabase=ask.view.stores.database_id(move.target),
        BatchName=move.batch,
        BadItemsEncountered=_bad(ask, move),
        QueuedTimestamp=move.queued,
        StartTimestamp=move.begun,
        CompletionTimestamp=move.ended,
        OverallDuration=v.time_span(move.ended - move.queued),
        TotalQueuedDuration=v.time_span(timedelta(seconds=spent.get("Queued", 0.0))),
        TotalMailboxSize=v.size(ask.view.culture, move.size),
        TotalMailboxItemCount=UInt64(move.items),
        Report=report(ask, move) if with_report else None,
    )  # fmt: skip


def _bad(ask: Ask, move: Move) -> int:
    ailments = ask.organisation.troubles.mailboxes.get(move.mailbox)
    return ailments.bad + ailments.missing if ailments else 0


def _entry(at: datetime, server: str, text: str) -> Obj:
    return _object(
        "ReportEntry", f"{at:%m/%d/%Y %H:%M:%S} [{server}] {text}",
        CreationTime=at, ServerName=server, Message=text,
        Type=v.enum(f"{_SERVICE}.ReportEntryType", "Informational", 0),
    )  # fmt: skip


def _failure(at: datetime, failure: Failure) -> Obj:
    return _object(
        "FailureRec", f"{failure.kind}: {failure.message}",
        Timestamp=at, FailureType=failure.kind, FailureCode=failure.code, Message=failure.message,
        FailureSide=v.enum(
            f"{_SERVICE}.ExceptionSide", failure.side, 1 if failure.side == "Source" else 2
        ),
    )  # fmt: skip


def _items(ask: Ask, move: Move, kind: str, number: int) -> list[Value]:
    """Items that cannot come along, in folders of a German mailbox."""
    folders = ("Posteingang", "Gesendete Elemente", "Kalender", "Gelöschte Elemente")
    size = 180 * 2**20 if kind == "LargeItem" else 48 * 2**10
    return [
        _object(
            "BadMessageRec", f"{kind} in {folders[place % len(folders)]}",
            Kind=v.enum(f"{_SERVICE}.BadItemKind", kind, 1),
            FolderName=folders[place % len(folders)], Subject=f"Vorgang {place + 1}",
            MessageSize=v.size(ask.view.culture, size + place),
        )
        for place in range(number)
    ]  # fmt: skip


def _session(ask: Ask, move: Move) -> Obj:
    """How long either side took of the time that the move ran."""
    ran = move.spent_on(ask.organisation.now).get("InProgress", 0.0)

    def provider(name: str, part: float) -> Obj:
        return _object(
            name, "", TotalDuration=v.time_span(timedelta(seconds=ran * part)),
        )  # fmt: skip

    def latency(name: str) -> Obj:
        return _object(name, "", Average=_LATENCY_MS, NumberOfLatencySamples=round(ran))

    return _object(
        "SessionStatistics", "",
        SourceProviderInfo=provider("SourceProviderInfo", _SOURCE_PART),
        DestinationProviderInfo=provider("DestinationProviderInfo", _TARGET_PART),
        SourceLatencyInfo=latency("SourceLatencyInfo"),
        DestinationLatencyInfo=latency("DestinationLatencyInfo"),
        TotalTimeProcessingMessages=v.time_span(timedelta(seconds=ran)),
    )  # fmt: skip


def _object(name: str, text: str, **properties: Value) -> Obj:
    return Obj((f"{_SERVICE}.{name}", "System.Object"), text, properties)


def _many(name: str, values: list[Value]) -> Obj:
    argument = f"[[{_SERVICE}.{name}, {_SERVICE}.Common, {v.TOKEN}]]"
    return Obj((f"{_LIST}{argument}", "System.Object"), value=values)
