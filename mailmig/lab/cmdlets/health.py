"""Component states and services: what a server does, and what it is asked not to do."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Final

from mailmig.lab import services
from mailmig.lab import values as v
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.components import STATES, Components, Wish
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj, Value

_PRESENTED: Final = f"{v.DIRECTORY}.Management.ServerComponentStatePresentationObject"
_DETAILS: Final = f"{_PRESENTED}+RequesterDetails"
_DETAIL_LIST: Final = (
    (
        f"System.Collections.Generic.List`1[[{_DETAILS}, {v.DIRECTORY}, Version=15.0.0.0, "
        "Culture=neutral, PublicKeyToken=31bf3856ad364e35]]"
    ),
    "System.Object",
)
_SERVICE_STATUS: Final = "Microsoft.Exchange.Monitoring.ExchangeServicesStatus"
_EVERY_ROLE: Final = ("IISAdmin", "MSExchangeADTopology", "MSExchangeServiceHost")
_LAST: Final = ("W3Svc", "WinRM")
# Services per role as 2019 has them; 2016 adds the last one (its services from memory [MEM]).
ROLES: Final[dict[str, tuple[str, ...]]] = {
    "Mailbox Server Role": (
        "IISAdmin", "MSExchangeADTopology", "MSExchangeDelivery", "MSExchangeIS",
        "MSExchangeMailboxAssistants", "MSExchangeRepl", "MSExchangeRPC", "MSExchangeServiceHost",
        "MSExchangeSubmission", "MSExchangeThrottling", "MSExchangeTransportLogSearch", *_LAST,
    ),
    "Client Access Server Role": (
        "IISAdmin", "MSExchangeADTopology", "MSExchangeMailboxReplication", "MSExchangeRPC",
        "MSExchangeServiceHost", *_LAST,
    ),
    "Hub Transport Server Role": (
        "IISAdmin", "MSExchangeADTopology", "MSExchangeEdgeSync", "MSExchangeServiceHost",
        "MSExchangeTransport", "MSExchangeTransportLogSearch", *_LAST,
    ),
    "Unified Messaging Server Role": (*_EVERY_ROLE, "MSExchangeUM", *_LAST),
}  # fmt: skip


def _component_states(ask: Ask) -> Iterator[Given]:
    server = _server(ask, "Identity")
    components = ask.world.components(server.name)
    wanted = ask.bound.get("Component")
    if wanted is not None:
        _known_component(ask, components, str(wanted))
    for name in components.names():
        if wanted is None or name.lower() == str(wanted).lower():
            make = partial(_shown, ask, server, components, name)
            yield Row("Get-ServerComponentState", server.name, None, make)


def _shown(ask: Ask, server: Server, components: Components, name: str) -> tuple[str, Live]:
    state = components.state(name)
    names = ask.view.stores.server_names(server.name)
    return _PRESENTED, {
        "ServerFqdn": server.fqdn,
        "Component": name,
        "State": v.enum(f"{v.DATA}.ServiceState", state, STATES[state]),
        "ServerWideOfflineIsOffline": components.is_offline,
        "RemoteStates": _wishes(name, components.remote.get(name, {})),
        "LocalStates": _wishes(name, components.local.get(name, {})),
        "Identity": v.configuration_id(
            ask.view.places, names, guid(ask.organisation.seed, *names)
        ),
    }  # fmt: skip


def _wishes(component: str, wishes: dict[str, Wish]) -> Obj:
    shown: list[Value] = [
        Obj(
            (_DETAILS, "System.Object"),
            f"Requestor:{wish.requester}; State:{wish.state}; Timestamp:{_american(wish.at)}",
            {
                "Requester": wish.requester, "State": wish.state, "Timestamp": wish.at,
                "Component": component,
            },
        )
        for wish in wishes.values()
    ]  # fmt: skip
    return Obj(_DETAIL_LIST, value=shown)


def _american(at: datetime) -> str:
    """A moment as .NET prints it in en-US: "9/28/2021 5:32:01 PM"."""
    half = "AM" if at.hour < 12 else "PM"
    return f"{at.month}/{at.day}/{at.year} {at.hour % 12 or 12}:{at:%M:%S} {half}"


def _set_component_state(ask: Ask) -> Iterator[Given]:
    server = _server(ask, "Identity")
    components = ask.world.components(server.name)
    name = _known_component(ask, components, str(ask.bound.get("Component")))
    state = str(ask.bound.get("State")).capitalize()
    if not ask.bound.is_on("WhatIf"):
        components.ask(
            name, str(ask.bound.get("Requester")), state, ask.organisation.now,
            local=not ask.bound.is_on("RemoteOnly"), remote=not ask.bound.is_on("LocalOnly"),
        )  # fmt: skip
        services.follow_components(ask.world, server.name)
    yield from ()


def _known_component(ask: Ask, components: Components, wanted: str) -> str:
    """The component's name as the server spells it. Raises `Failed`; words from memory [MEM]."""
    for name in components.names():
        if name.lower() == wanted.lower():
            return name
    raise ask.failed(
        f"The component '{wanted}' isn't a valid component name.",
        "Microsoft.Exchange.Data.Directory.ServerComponentApiException", "InvalidArgument",
    )  # fmt: skip


def _service_health(ask: Ask) -> Iterator[Given]:
    server = ask.reached("Server")
    stopped = ask.world.conditions(server.name).stopped_services
    for role, required in ROLES.items():
        if role.startswith("Unified") and server.version not in ("2013", "2016"):
            continue
        missing = [name for name in required if name.lower() in stopped]
        running = [name for name in required if name.lower() not in stopped]
        live: Live = {
            "Role": role,
            "RequiredServicesRunning": not missing,
            "ServicesNotRunning": v.strings(missing),
            "ServicesRunning": v.strings(running),
        }
        yield Row("Test-ServiceHealth", role, None, partial(_same, live))


def _same(live: Live) -> tuple[str, Live]:
    return _SERVICE_STATUS, live


def _server(ask: Ask, parameter: str) -> Server:
    """The server that is named, this one else."""
    return ask.server_named(parameter) or ask.server


CMDLETS: Final = (
    Simulated("Get-ServerComponentState", _component_states, ("Identity", "Component")),
    Simulated(
        "Set-ServerComponentState", _set_component_state,
        ("Identity", "Component", "State", "Requester", "LocalOnly", "RemoteOnly"),
        changes=True,
    ),
    Simulated("Test-ServiceHealth", _service_health, ("Server",)),
)  # fmt: skip
