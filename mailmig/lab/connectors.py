"""The organisation's connectors: the one that leads out, and those that take mail in.

What stands here are names and plain values; `mailmig.lab.front_ends` makes objects of them and
`mailmig.lab.transport` lets mail flow through them. Setup makes five receive connectors per
server; the sixth, for devices and applications, admins made (health.md 2.5).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mailmig.lab.organisation import Organisation, guid
from mailmig.lab.places import ADMIN_GROUP, ROUTING_GROUP, server_names
from mailmig.lab.settings import Connector

SEND: Final = "Internet über Gateway"
RELAY: Final = "Relay Fachverfahren"
ANY: Final = "0.0.0.0"  # noqa: S104  a value in an export, nothing listens
_ANYBODY: Final = ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255")
_ALL_MECHANISMS: Final = "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer"
_SERVERS_ONLY: Final = "ExchangeUsers, ExchangeServers, ExchangeLegacyServers"
HUB, FRONT = "HubTransport", "FrontendTransport"
# The one that takes mail from everywhere, the only one whose protocol is logged by default; and
# the one that takes what the front end hands over.
DEFAULT_FRONT, DEFAULT_HUB = "Default Frontend", "Default"
# Title, port, role, mechanisms, permission groups.
_SETUP: Final = (
    (DEFAULT_HUB, 2525, HUB, _ALL_MECHANISMS, _SERVERS_ONLY),
    ("Client Proxy", 465, HUB, _ALL_MECHANISMS, "ExchangeUsers, ExchangeServers"),
    (DEFAULT_FRONT, 25, FRONT, _ALL_MECHANISMS,
     "AnonymousUsers, ExchangeServers, ExchangeLegacyServers"),
    ("Outbound Proxy Frontend", 717, FRONT, _ALL_MECHANISMS, _SERVERS_ONLY),
    ("Client Frontend", 587, FRONT, _ALL_MECHANISMS, "ExchangeUsers"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outbound:
    """The send connector as it is now; `sources` are servers that may send through it.

    `logging` is its ProtocolLoggingLevel.
    """

    guid: str
    sources: tuple[str, ...]
    hosts: tuple[str, ...]
    enabled: bool
    logging: str


def send_names() -> tuple[str, ...]:
    """The way from the send connector outwards."""
    return (SEND, "Connections", ROUTING_GROUP, "Routing Groups", ADMIN_GROUP,
            "Administrative Groups")  # fmt: skip


def is_cut_over(organisation: Organisation) -> bool:
    """Whether the target has taken over the service names and the way out."""
    return organisation.answering != organisation.source


def outbound(organisation: Organisation) -> Outbound:
    """How mail leaves the organisation."""
    number = guid(organisation.seed, *send_names())
    known = organisation.settings
    first = organisation.dag.servers if is_cut_over(organisation) else (organisation.source,)
    sources = known.value(number, "SourceTransportServers", list(first))
    hosts = known.value(number, "SmartHosts", [organisation.smart_host])
    return Outbound(
        number, texts(sources), texts(hosts), bool(known.value(number, "Enabled", True)),
        str(known.value(number, "ProtocolLoggingLevel", "None")),
    )  # fmt: skip


def receive(organisation: Organisation) -> Iterator[Connector]:
    """All receive connectors, those that were removed too, server by server."""
    for server in organisation.servers:
        for title, port, role, mechanisms, groups in _SETUP:
            yield Connector(
                server.name, f"{title} {server.name}", (f"{ANY}:{port}", f"[::]:{port}"), _ANYBODY,
                role, mechanisms, groups, "Verbose" if title == DEFAULT_FRONT else "None",
            )  # fmt: skip
        if server.name == organisation.source or is_cut_over(organisation):
            yield Connector(
                server.name, RELAY, (f"{ANY}:25", "[::]:25"), organisation.relay_addresses, FRONT,
                "Tls", "AnonymousUsers",
            )  # fmt: skip
        yield from (one for one in organisation.settings.connectors if one.server == server.name)


def standing(organisation: Organisation) -> dict[str, Connector]:
    """The receive connectors that there are now, with what was changed of them, by GUID."""
    known = organisation.settings
    each = ((guid(organisation.seed, *receive_names(one)), one) for one in receive(organisation))
    return {
        key: with_changes(one, known.changed.get(key, {}))
        for key, one in each
        if key not in known.removed
    }


def with_changes(one: Connector, changed: Mapping[str, object]) -> Connector:
    """The connector with where and for whom it listens, and what it logs, changed."""
    return replace(
        one, bindings=texts(changed.get("Bindings", one.bindings)),
        ranges=texts(changed.get("RemoteIPRanges", one.ranges)),
        role=str(changed.get("TransportRole", one.role)),
        logging=str(changed.get("ProtocolLoggingLevel", one.logging)),
    )  # fmt: skip


def is_verbose(level: object) -> bool:
    """Whether sessions are written down at this ProtocolLoggingLevel."""
    return str(level).lower() == "verbose"


def rival(organisation: Organisation, key: str, wanted: Connector) -> Connector | None:
    """Another connector of the server that a connector cannot stand beside.

    Two services cannot listen on one port; within one service two connectors share a port when
    they serve different addresses (documentation of the Bindings property).
    """
    for number, one in standing(organisation).items():
        if number == key or one.server != wanted.server:
            continue
        same_port = not set(one.bindings).isdisjoint(wanted.bindings)
        same_service = one.role.lower() == wanted.role.lower()
        if same_port and not (same_service and set(one.ranges).isdisjoint(wanted.ranges)):
            return one
    return None


def receive_names(connector: Connector) -> tuple[str, ...]:
    """The way from a receive connector outwards."""
    return server_names(connector.server, connector.name, "SMTP Receive Connectors", "Protocols")


def texts(value: object) -> tuple[str, ...]:
    """One text or many, as many; null is none."""
    found = value if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(str(one) for one in found)
