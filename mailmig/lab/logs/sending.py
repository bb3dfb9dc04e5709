r"""What a server writes when it sends a message on; its own words are `>`, what it hears is `<`.

Mail leaves a server on three ways, each by a connector of its own (operations.md 10):

- the front end hands what it took to the transport service beside it: always written;
- the transport service sends to the one of another server: written where
  `IntraOrgConnectorProtocolLoggingLevel` of the server is `Verbose`;
- it sends out of the organisation: written where `ProtocolLoggingLevel` of the send connector is.

The first two connectors are in no list; their names and all words are from memory [MEM]. Hold the
world's lock.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from mailmig.lab import connectors
from mailmig.lab.organisation import guid
from mailmig.lab.places import server_names

if TYPE_CHECKING:
    from mailmig.lab.world import World

PROXY: Final = "Inbound Proxy Internal Send Connector"
BETWEEN: Final = "Intra-Organization SMTP Send Connector"
LEVEL: Final = "IntraOrgConnectorProtocolLoggingLevel"
# Where transport services listen for each other; what a sender's port may be.
HUB_PORT: Final = 2525
FROM_PORT: Final = 49_152
_SMTP: Final = 25


def dialogue(
    own: str, taker: str, sender: str, recipients: Sequence[str], reply: str
) -> Iterator[tuple[str, str]]:
    """Event and data of each line of a session in which one message was sent; full names."""
    yield "+", ""
    yield "<", f"220 {taker} ESMTP"
    yield ">", f"EHLO {own}"
    yield "<", f"250-{taker} Hello"
    yield "<", "250 8BITMIME"
    yield ">", f"MAIL FROM:<{sender}>"
    yield "<", "250 2.1.0 Sender OK"
    for one in recipients:
        yield ">", f"RCPT TO:<{one}>"
        yield "<", "250 2.1.5 Recipient OK"
    yield ">", "DATA"
    yield "<", "354 Start mail input; end with <CRLF>.<CRLF>"
    yield "<", reply
    yield ">", "QUIT"
    yield "<", "221 2.0.0 Service closing transmission channel"
    yield "-", ""


def to_hub(world: "World", server: str, sender: str, recipients: Sequence[str], reply: str) -> None:
    """The front end of a server handed a message to the transport service, which replied this."""
    name = world.organisation.server(server).fqdn
    _write(world, "FrontEnd", server, PROXY, (name, HUB_PORT), sender, recipients, reply)


def to_server(
    world: "World", server: str, taker: str, sender: str, recipients: Sequence[str], message: str
) -> None:
    """A transport service sent a message with this Message-ID to that of another server."""
    key = guid(world.organisation.seed, *server_names(server))
    if connectors.is_verbose(world.organisation.settings.value(key, LEVEL, "None")):
        name = world.organisation.server(taker).fqdn
        reply = f"250 2.6.0 {message} Queued mail for delivery"
        _write(world, "Hub", server, BETWEEN, (name, HUB_PORT), sender, recipients, reply)


def outward(
    world: "World", server: str, sender: str, recipients: Sequence[str], message: str
) -> None:
    """A message left the organisation that this server had: by itself, else by a source server."""
    out = connectors.outbound(world.organisation)
    if not (out.enabled and out.sources and out.hosts):
        return
    source = server if server in out.sources else out.sources[0]
    if source != server:
        to_server(world, server, source, sender, recipients, message)
    if connectors.is_verbose(out.logging):
        taker = out.hosts[0].strip("[]"), _SMTP
        _write(world, "Hub", source, connectors.SEND, taker, sender, recipients, "250 2.0.0 Ok")


def _write(
    world: "World", role: str, server: str, connector: str, taker: tuple[str, int], sender: str,
    recipients: Sequence[str], reply: str,
) -> None:  # fmt: skip
    own = world.organisation.server(server).fqdn
    addresses = {one.name: one.address for one in world.layout}
    name, port = taker
    local = f"{addresses[own]}:{FROM_PORT}"
    remote = f"{addresses.get(name, name)}:{port}"
    log = world.logs.session(server, connector, local, remote, role=role, way="SmtpSend")
    for event, data in dialogue(own, name, sender.strip("<>"), recipients, reply):
        if event != "+":  # the session has begun with it
            log.write(event, data)
