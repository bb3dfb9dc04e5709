"""Tests that Exchange makes of itself: mail flow, the store, Outlook's way in.

What they say follows from databases, services and queues; they do not wait for it. Their results
are texts in the session's language with an enum behind them (health.md 0.2): the German words are
from memory [MEM], and so are the errors' words.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import services
from mailmig.lab import values as v
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.monitoring import answering
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.databases import Database
from mailmig.lab.health_sets import DEGRADED, DISABLED, UNHEALTHY
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid, share
from mailmig.lab.population import Mailbox
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Int64, Obj

_SPACE: Final = "Microsoft.Exchange.Monitoring"
_WORDS: Final = {"en-US": ("Success", "*FAILURE*"), "de-DE": ("Erfolgreich", "*FEHLER*")}
STORE, RPC = "MSExchangeIS", "MSExchangeRPC"
_OFFLINE: Final = (
    "[Microsoft.Exchange.Data.Storage.MailboxOfflineException]: Cannot open mailbox. "
    "Inner error [Microsoft.Mapi.MapiExceptionMdbOffline]"
)
_UNREACHABLE: Final = (
    "[Microsoft.Exchange.Data.Storage.ConnectionFailedTransientException]: Cannot open mailbox. "
    "Inner error [Microsoft.Mapi.MapiExceptionNetworkError]"
)


def _mail_flow(ask: Ask) -> Iterator[Given]:
    """From one server to the mailboxes of another, or of one database."""
    source = ask.server_named("Identity") or ask.server
    database = ask.database("TargetDatabase")
    target = ask.server_named("TargetMailboxServer") or source
    if database is None:
        own = [d for d in ask.organisation.databases.values() if d.server == target.name]
        database = next((d for d in own if d.mounted), None)
    if database is None:
        raise ask.failed(
            f"No mailbox database is mounted on server '{target.name}'.",
            f"{_SPACE}.NoMdbForOperationException", "ObjectNotFound",
        )  # fmt: skip
    latency = _latency(ask, source, database)
    right = latency is not None
    live: Live = {
        "TestMailflowResult": _words(ask, right),
        "MessageLatencyTime": v.time_span(timedelta(seconds=latency or 0)),
        "IsRemoteTest": database.server != source.name,
        "Identity": None,
    }  # fmt: skip
    yield Row("Test-Mailflow", source.name, None, partial(_same, "", live))


def _execution_timeout(ask: Ask) -> float:
    """How long the cmdlet waits for the message: 240 s unless told otherwise."""
    given = ask.bound.get("ExecutionTimeout")
    return float(given) if isinstance(given, int) else 240.0


def _latency(ask: Ask, source: Server, database: Database) -> int | None:
    """Seconds that a message takes to a database; None when it does not arrive."""
    transport = ask.world.transport
    transport.advance(ask.organisation.now)
    if not transport.accepts(source.name) or not _holds(ask, database):
        return None
    submission = transport.posts[source.name].queues["Submission"]
    if submission.suspended:
        return None
    for queue in transport.posts[source.name].queues.values():
        stands = queue.failing is not None or queue.suspended
        if stands and (queue.database == database.name or _leads_there(ask, queue.hop, database)):
            return None
    needs = 3 + int(3 * share("mail", source.name, database.name))
    slow = int(transport.posts[source.name].delay_s)
    if needs + slow > _execution_timeout(ask):
        return None
    return needs + slow


def _leads_there(ask: Ask, hop: str, database: Database) -> bool:
    site = ask.organisation.server(database.server).site.lower()
    return hop == database.dag.lower() or (not database.dag and hop.startswith(f"site:{site};"))


def _holds(ask: Ask, database: Database) -> bool:
    """Whether mailboxes of the database can be had."""
    return not _store_error(ask, database)


def _store_error(ask: Ask, database: Database) -> str:
    conditions = ask.world.conditions(database.server)
    if database.server in ask.organisation.down:
        return _UNREACHABLE
    if not all(services.runs(conditions, name) for name in (STORE, RPC)):
        return _UNREACHABLE
    return "" if database.mounted else _OFFLINE


def _words(ask: Ask, right: bool) -> str:
    good, bad = _WORDS.get(ask.view.culture.name, _WORDS["en-US"])
    return good if right else bad


def _mapi(ask: Ask) -> Iterator[Given]:
    """One logon per database: the active ones of a server, one database, or one mailbox."""
    mailbox = _mailbox(ask)
    database = ask.database("Database")
    server = ask.server_named("CopyOnServer") or ask.server_named("Server") or ask.server
    passive = ask.bound.is_on("IncludePassive") or "CopyOnServer" in ask.bound.values
    if mailbox is not None:
        found = [ask.organisation.databases[mailbox.database]]
    elif database is not None:
        found = [database]
    else:
        found = [
            one for one in ask.organisation.databases.values()
            if one.server == server.name or (passive and server.name in one.servers)
        ]  # fmt: skip
    for one in found:
        name = server.name if passive and server.name in one.servers else one.server
        make = partial(_logon, ask, one, mailbox, name)
        yield Row("Test-MAPIConnectivity", f"{one.name}-{name}", None, make)


def _mailbox(ask: Ask) -> Mailbox | None:
    if "Identity" not in ask.bound.values or not ask.identity:
        return None
    found = ask.the_one(list(ask.register.mailboxes(ask.identity)))
    assert isinstance(found, Mailbox)
    return found


def _logon(ask: Ask, database: Database, mailbox: Mailbox | None, server: str) -> tuple[str, Live]:
    active = database.server == server
    error = _store_error(ask, database)
    if not active:
        conditions = ask.world.conditions(server)
        gone = server in ask.organisation.down or not services.runs(conditions, STORE)
        error = _UNREACHABLE if gone else ""
    name = (
        mailbox.display_name if mailbox else "SystemMailbox{" + guid("system", database.name) + "}"
    )
    taken = 4 + int(9 * share("mapi", database.name, server))
    value = "Failure" if error else "Success"
    text = f"{database.name}\\{server}"
    return text, {
        "MailboxServer": ask.organisation.server(server).name,
        "Database": database.name,
        "Mailbox": name,
        "MailboxGuid": UUID(mailbox.exchange_guid if mailbox else guid("system", database.name)),
        "IsDatabaseCopyActive": active,
        "Result": Obj(
            (f"{_SPACE}.MapiTransactionResult", "System.Object"), _words(ask, not error),
            {"Value": v.enum(f"{_SPACE}.MapiTransactionResultEnum", value, int(bool(error)) + 1)},
        ),
        "Latency": _milliseconds(0 if error else taken),
        "Error": error,
        "Identity": None,
    }  # fmt: skip


def _milliseconds(number: int) -> Obj:
    """A time span below a second: "00:00:00.0070000"."""
    whole = v.time_span(timedelta(0))
    text = f"00:00:00.{number * 10_000:07}" if number else "00:00:00"
    changed: Live = {
        "Milliseconds": number, "Ticks": Int64(number * 10_000), "TotalDays": number / 86_400_000,
        "TotalHours": number / 3_600_000, "TotalMilliseconds": float(number),
        "TotalMinutes": number / 60_000, "TotalSeconds": number / 1000, "Sign": int(number > 0),
    }  # fmt: skip
    return Obj(whole.types, text, {**whole.adapted, **changed}, whole.extended)


def _outlook(ask: Ask) -> Iterator[Given]:
    r"""Test-OutlookConnectivity -ProbeIdentity `OutlookMapiHttp.Protocol\...SelfTestProbe`."""
    server = ask.server_named("RunFromServerId") or ask.server
    wanted = str(ask.bound.get("ProbeIdentity") or "")
    health_set, _, rest = wanted.partition("\\")
    name = rest.partition("\\")[0]
    monitors = [
        (monitor, value)
        for monitor, value, _ in ask.world.monitoring.monitors(server)
        if monitor.health_set.lower() == health_set.lower()
        and name.lower() == f"{monitor.name.removesuffix('Monitor')}Probe".lower()
    ]
    if not monitors:
        raise errors.refused(
            ask.bound.cmdlet, f"The probe '{wanted}' doesn't exist.", "InvalidProbeIdentity"
        )
    answering(ask, server)
    yield Row("Test-OutlookConnectivity", wanted, None,
              partial(_probe, ask, server, wanted, monitors[0][1]))  # fmt: skip


def _probe(ask: Ask, server: Server, name: str, value: str) -> tuple[str, Live]:
    now = ask.organisation.now
    failed = value in (DEGRADED, UNHEALTHY)
    result = "Failed" if failed else "Succeeded" if value != DISABLED else "Rejected"
    numbers = {"Succeeded": 2, "Failed": 3, "Rejected": 5}
    return name, {
        "Server": server.name,
        "MonitorIdentity": name,
        "RequestId": UUID(guid("probe", name, now)),
        "ExecutionStartTime": now,
        "ExecutionEndTime": now + timedelta(seconds=1),
        "Error": "HTTP status code 503" if failed else "",
        "SampleValue": 0.0 if failed else 93.0,
        "ResultType": v.enum(
            "Microsoft.Office.Datacenter.WorkerTaskFramework.ResultType", result, numbers[result]
        ),
        "ResultName": name.partition("\\")[2],
        "ServiceName": name.partition("\\")[0],
        "Identity": None,
    }  # fmt: skip


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


CMDLETS: Final = (
    Simulated(
        "Test-Mailflow", _mail_flow,
        ("Identity", "TargetDatabase", "TargetMailboxServer", "ExecutionTimeout"),
    ),
    Simulated(
        "Test-MAPIConnectivity", _mapi,
        ("Identity", "Database", "Server", "IncludePassive", "CopyOnServer",
         "PerConnectionTimeout", "AllConnectionsTimeout"),
    ),
    Simulated("Test-OutlookConnectivity", _outlook, ("ProbeIdentity", "RunFromServerId")),
)  # fmt: skip
