"""Get-ExchangeDiagnosticInfo: what the transport process says of its resources, as XML.

Only back pressure is simulated: process EdgeTransport, component ResourceThrottling (health.md
2.5). Elements, resources and limits are those of a real export of Exchange 2019; there the memory
of the whole system is High on a healthy server, too, and that does not stop mail.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from mailmig.lab import services
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.exchange.calls import not_simulated
from mailmig.lab.objects import Live
from mailmig.lab.organisation import share
from mailmig.model.organisation import Server, build_text
from mailmig.model.quota import MIB

_DATA: Final = r"C:\Program Files\Microsoft\Exchange Server\V15\TransportRoles\data"
QUEUE_FILE: Final = rf"{_DATA}\Queue\mail.que"
DATABASE_SPACE: Final = rf"DatabaseUsedSpace[{_DATA}\Queue]"
QUEUE_DISK: Final = rf"UsedDiskSpace[{_DATA}\Queue]"
DATA_DISK: Final = rf"UsedDiskSpace[{_DATA}]"
VERSION_BUCKETS: Final = f"UsedVersionBuckets[{QUEUE_FILE}]"
# Per resource: to High, back to Medium, to Medium, back to Low; and its usual figure.
METERS: Final[dict[str, tuple[tuple[int, int, int, int], int]]] = {
    "PrivateBytes": ((75, 73, 72, 71), 6),
    "SystemMemory": ((94, 89, 88, 84), 92),
    VERSION_BUCKETS: ((1500, 1000, 999, 800), 2),
    f"JetSessions[{QUEUE_FILE}]": ((1500, 1400, 1000, 900), 14),
    f"CheckpointDepth[{QUEUE_FILE}]": ((300, 280, 250, 230), 0),
    DATABASE_SPACE: ((99, 97, 96, 94), 33),
    QUEUE_DISK: ((99, 94, 90, 88), 33),
    DATA_DISK: ((99, 94, 90, 88), 33),
}
_OBSERVERS: Final = (
    "BootScanner", "ContentAggregator", "DelayedDelivery", "EnhancedDns", "IsMemberOfResolver",
    "MessageResubmission", "MessagingDatabase", "Pickup", "RemoteDelivery", "ShadowRedundancy",
    "Replication", "SmtpIn", "Categorizer",
)  # fmt: skip
# What stops under pressure: taking mail in, from files and from other servers.
_PAUSED: Final = ("Pickup", "Replication", "SmtpIn", "MessageResubmission")
_ORDER: Final = ("Low", "Medium", "High")


def _info(ask: Ask) -> Iterator[Given]:
    server = ask.server_named("Server") or ask.server
    process = str(ask.bound.get("Process") or "").lower()
    component = str(ask.bound.get("Component") or "").lower()
    if process not in ("edgetransport", "edgetransport.exe") or component != "resourcethrottling":
        given = f"process {process or 'none'}, component {component or 'none'}"
        yield not_simulated(f"Get-ExchangeDiagnosticInfo for {given}")
        return
    if not ask.world.transport.runs(server.name):
        raise ask.failed(
            f"Couldn't connect to the process 'EdgeTransport' on server '{server.name}'.",
            "Microsoft.Exchange.Data.Common.LocalizedException", "ReadError",
        )  # fmt: skip
    text = "\r\n".join(_document(ask, server)) + "\r\n"
    yield Row("Get-ExchangeDiagnosticInfo", server.name, None, partial(_same, text))


def _same(text: str) -> tuple[str, Live]:
    return text, {"Result": text}


def _document(ask: Ask, server: Server) -> Iterator[str]:
    yield "<Diagnostics>"
    yield "  <ProcessInfo>"
    for name, value in _process(ask, server):
        yield f"    <{name}>{escape(str(value))}</{name}>"
    yield "  </ProcessInfo>"
    yield "  <Components>"
    yield "    <ResourceThrottling>"
    yield from _tracker(ask.world.transport.posts[server.name].pressure)
    yield from _mediator(ask.world.transport.posts[server.name].pressure)
    yield "    </ResourceThrottling>"
    yield "  </Components>"
    yield "</Diagnostics>"


def _process(ask: Ask, server: Server) -> Iterator[tuple[str, object]]:
    now = ask.organisation.now
    conditions = ask.world.conditions(server.name)
    away = 1 + share(ask.organisation.seed, "transport", server.name) * 20
    began = services.started(conditions, services.TRANSPORT) or now - timedelta(days=away)
    lives = now - began
    hours, rest = divmod(lives.seconds, 3600)
    yield "id", 2000 + 4 * int(share("process", server.name) * 3000)
    yield "serverName", server.name.upper()
    yield "startTime", _utc(began)
    yield "currentTime", _utc(now)
    yield "lifetime", f"{lives.days}.{hours:02}:{rest // 60:02}:{rest % 60:02}"
    yield "threadCount", 48
    yield "handleCount", 1760
    yield "workingSet", ask.view.culture.size(115 * MIB)
    yield "fastTrainExchangeVersion", build_text(server.build)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def _tracker(pressure: dict[str, str]) -> Iterator[str]:
    levels = {name: _level(pressure, name) for name in METERS}
    whole = max(
        (level for name, level in levels.items() if name != "SystemMemory"), key=_ORDER.index
    )
    yield "      <ResourceTracker>"
    yield f"        <AggregateUse>{whole}</AggregateUse>"
    for name, ((high, down, medium, low), usual) in METERS.items():
        figures = {"Low": usual, "Medium": medium, "High": high}
        shown = usual if name == "SystemMemory" else figures[levels[name]]
        yield f"        <ResourceMeter Resource={quoteattr(name)}>"
        yield f"          <CurrentResourceUse>{levels[name]}</CurrentResourceUse>"
        yield f"          <PreviousResourceUse>{levels[name]}</PreviousResourceUse>"
        yield (
            f"          <PressureTransitions>[PressureTransitions: MediumToHigh={high} "
            f"HighToMedium={down} LowToMedium={medium} MediumToLow={low}]</PressureTransitions>"
        )
        yield f"          <Pressure>{shown}</Pressure>"
        yield "        </ResourceMeter>"
    yield "      </ResourceTracker>"


def _level(pressure: dict[str, str], name: str) -> str:
    return "High" if name == "SystemMemory" else pressure.get(name, "Low")


def _mediator(pressure: dict[str, str]) -> Iterator[str]:
    pressed = "High" in pressure.values()
    yield "      <ResourceLevelMediator>"
    for name in _OBSERVERS:
        yield f'        <ResourceLevelObserver Name="{name}">'
        yield f"          <Paused>{str(pressed and name in _PAUSED).lower()}</Paused>"
        yield "          <SubStatus></SubStatus>"
        yield "        </ResourceLevelObserver>"
    yield "      </ResourceLevelMediator>"


CMDLETS: Final = (
    Simulated(
        "Get-ExchangeDiagnosticInfo", _info, ("Server", "Process", "Component", "Argument")
    ),
)  # fmt: skip
