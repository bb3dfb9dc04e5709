"""What the organisation's mail servers say to whoever connects to them.

A visit is one connection: it is let in or not, may log on, and brings messages. Exchange's front
end asks the receive connector that serves the client's address (the narrowest range wins), the
component states, and whether the transport service takes mail; the gateway outside takes mail for
the organisation and hands it over when an Exchange server takes it.

Codes: protocols.md 2.7 and health.md 7.2; their sentences are from memory [MEM]. With the front end
inactive a connection is refused at once, with the transport service draining or inactive at MAIL
FROM, and a message of which no second copy can be made at its end. Answers are what the client is
told; "" means that all is well. Methods take the world's lock themselves and may wait for it: call
them in a thread.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from ipaddress import ip_address, ip_network
from typing import Final, Protocol

from mailmig.lab import connectors, messages, server_certificates, services
from mailmig.lab.accounts import Account
from mailmig.lab.contents import Message
from mailmig.lab.delivering import OVERHEAD
from mailmig.lab.logs import sending
from mailmig.lab.logs.keeping import Session
from mailmig.lab.organisation import guid
from mailmig.lab.settings import Connector
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.model.organisation import Server
from mailmig.model.quota import MIB

# Defaults of New-ReceiveConnector: MaxMessageSize as Setup makes them, MaxRecipientsPerMessage.
LARGEST: Final = 36 * MIB
MOST_RECIPIENTS: Final = 200
NOT_ACTIVE: Final = "421 4.3.2 Service not active"
NOT_AVAILABLE: Final = "421 4.3.2 Service not available"
PRESSURE: Final = "452 4.3.1 Insufficient system resources"
NO_HUB: Final = "451 4.7.0 Temporary server error. Please try again later. PRX2"
NO_SHADOW: Final = "451 4.4.0 Message failed to be made redundant"
ANONYMOUS: Final = (
    "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM"
)
NOT_HIS: Final = "550 5.7.60 SMTP; Client does not have permissions to send as this sender"
UNKNOWN: Final = (
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
)
NO_RELAY: Final = "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"
NO_RELAY_2013: Final = "550 5.7.1 Unable to relay"
TOO_MANY: Final = "452 4.5.3 Too many recipients"


@dataclass(frozen=True, slots=True)
class Client:
    """Who is there: the address it comes from, what it calls itself, and how it talks."""

    address: str
    name: str = ""
    secure: bool = False
    account: Account | None = None


class Visit(Protocol):
    """One connection to a mail server. `schemes` are the ways to log on, LOGIN and NTLM."""

    banner: str
    extensions: tuple[str, ...]
    schemes: tuple[str, ...]
    login_needs_tls: bool
    largest: int

    def tls(self, usual: ssl.SSLContext) -> ssl.SSLContext | None:
        """What STARTTLS shows, `usual` is the server's own; None: it is not offered."""

    def note(self, event: str, data: str, context: str) -> None:
        """A line for the protocol log, if there is one."""

    def mail(self, client: Client, sender: str) -> str:
        """Whether this sender may bring a message; else the refusal. "<>" is nobody."""

    def rcpt(self, client: Client, recipient: str, before: int) -> str:
        """Whether this recipient is taken after so many others; else the refusal."""

    def data(self, client: Client, sender: str, recipients: list[str], raw: bytes) -> str:
        """The message itself; what the client is told in the end."""


class Host(Protocol):
    """A mail server; `name` is its full name."""

    name: str

    def listens(self, port: int) -> bool:
        """Whether something listens on a standard port."""

    def visit(self, peer: tuple[str, int], port: int) -> Visit | str:
        """Somebody connects to a standard port; a text is the refusal that ends it."""


class ExchangeHost:
    """The front-end transport service of one Exchange server; `address` is the server's own."""

    def __init__(self, world: World, people: People, server: str, address: str) -> None:
        self.world = world
        self.people = people
        self.server: Server = world.organisation.server(server)
        self.name = self.server.fqdn
        self.address = address

    def listens(self, port: int) -> bool:
        """It does while its service runs and the port is not closed."""
        if self.world.surroundings.lines.is_closed(self.server.name, port):
            return False
        return services.runs(self.world.conditions(self.server.name), services.FRONTEND)

    def visit(self, peer: tuple[str, int], port: int) -> Visit | str:
        """See `Host.visit`."""
        with self.world.lock:
            self.world.sync()
            if self.is_away():
                return NOT_ACTIVE
            found = self._connector(peer[0], port)
            if found is None:
                return NOT_AVAILABLE
            return ExchangeVisit(self, *found, _log(self, found[1], peer, port))

    def is_away(self) -> bool:
        """Whether the front end does not serve now: maintenance."""
        return self.world.components(self.server.name).state("FrontendTransport") != "Active"

    def trouble(self) -> str:
        """Why no message can be taken now; "" when one can."""
        name, transport = self.server.name, self.world.transport
        post = transport.posts[name]
        if self.is_away():
            return NOT_ACTIVE
        if transport.accepts_from_outside(name):
            return ""
        if {"Medium", "High"} & set(post.pressure.values()):
            return PRESSURE
        hub_away = self.world.components(name).state("HubTransport") == "Inactive"
        if hub_away or post.draining:
            return NOT_AVAILABLE
        return NO_SHADOW if transport.runs(name) else NO_HUB

    def _connector(self, address: str, port: int) -> tuple[str, Connector] | None:
        """The connector that serves a client, and its GUID."""
        settings = self.world.organisation.settings
        bindings = {f"{where}:{port}" for where in (connectors.ANY, self.address)}
        fitting = [
            (width, key, one)
            for key, one in connectors.standing(self.world.organisation).items()
            if one.server == self.server.name
            and not bindings.isdisjoint(one.bindings)
            and settings.value(key, "Enabled", True)
            and (width := narrowest(one.ranges, address)) is not None
        ]
        if not fitting:
            return None
        _, key, one = min(fitting, key=lambda each: each[0])
        return key, one


class ExchangeVisit:
    """One connection to an Exchange server, served by one receive connector."""

    def __init__(
        self, host: ExchangeHost, key: str, connector: Connector, log: Session | None
    ) -> None:
        self._host = host
        self._log = log
        self._certificate = host.world.certificates.for_smtp(host.server)
        self._world = host.world
        self._people = host.people
        changed: Mapping[str, object] = host.world.organisation.settings.changed.get(key, {})
        self._connector = connector
        self._groups = _words(changed.get("PermissionGroups", connector.groups))
        mechanisms = _words(changed.get("AuthMechanism", connector.mechanisms))
        name = str(changed.get("Fqdn") or host.name)
        now = format_datetime(self._world.now)
        self.banner = f"220 {name} Microsoft ESMTP MAIL Service ready at {now}"
        self.extensions: tuple[str, ...] = (
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
            "8BITMIME",
            "SMTPUTF8",
        )
        ways = (("NTLM", "integrated"), ("LOGIN", "basicauth"))
        self.schemes = tuple(scheme for scheme, word in ways if word in mechanisms)
        self.login_needs_tls = "basicauthrequiretls" in mechanisms
        self.largest = LARGEST
        # Anonymous clients may relay where admins gave them the right to, as on this connector.
        trusted = "externalauthoritative" in mechanisms and "exchangeservers" in self._groups
        self._relays = trusted or connector.name == connectors.RELAY

    def tls(self, usual: ssl.SSLContext) -> ssl.SSLContext | None:
        """See `Visit.tls`; it is what the organisation has assigned to SMTP."""
        found = self._certificate
        if found is None:
            return None
        served = self._world.certificates.is_served(self._host.server, found)
        return usual if served else server_certificates.context(found)

    def note(self, event: str, data: str, context: str) -> None:
        """See `Visit.note`."""
        if self._log is not None:
            self._log.write(event, data, context)

    def mail(self, client: Client, sender: str) -> str:
        """See `Visit.mail`; whoever logged on sends for himself or whom he may send as."""
        with self._world.lock:
            self._world.sync()
            if client.account is None and not (self._relays or "anonymoususers" in self._groups):
                return ANONYMOUS
            if client.account is not None and not self._is_his(client.account, sender):
                return NOT_HIS
            trouble = self._host.trouble()
            return "" if trouble == NO_SHADOW else trouble

    def rcpt(self, client: Client, recipient: str, before: int) -> str:
        """See `Visit.rcpt`."""
        with self._world.lock:
            if before >= MOST_RECIPIENTS:
                return TOO_MANY
            if _is_ours(self._world, recipient):
                return UNKNOWN if self._people.reached(recipient) is None else ""
            if client.account is not None or self._relays:
                return ""
            return NO_RELAY_2013 if self._host.server.version == "2013" else NO_RELAY

    def data(self, client: Client, sender: str, recipients: list[str], raw: bytes) -> str:
        """See `Visit.data`."""
        with self._world.lock:
            self._world.sync()
            trouble = self._host.trouble()
            if trouble:
                return trouble
            server = self._host.server
            build = ".".join(str(part) for part in server.build)
            way = f"Microsoft SMTP Server{_tls(client)} id {build} via Frontend Transport"
            number = self._world.delivering.number()
            message = _message(self._world, self._host.name, number, client, sender, raw, way)
            known = [pair for one in recipients for pair in self._people.sent_to(one)]
            self._world.delivering.send(message, known, server.name)
            said = (
                f"250 2.6.0 {message.message_id} [InternalId={number}, "
                f"Hostname={self._host.name}] Queued mail for delivery"
            )
            sending.to_hub(self._world, server.name, sender, recipients, said)
            self._log_hub(sender, recipients, said)
            return said

    def _log_hub(self, sender: str, recipients: list[str], said: str) -> None:
        """What the transport service writes when the front end hands a message over."""
        host = self._host
        hub = next(
            (
                one for one in connectors.standing(self._world.organisation).values()
                if one.server == host.server.name and one.role == connectors.HUB
                and one.name.startswith(f"{connectors.DEFAULT_HUB} ")
            ),
            None,
        )  # fmt: skip
        peer = host.address, sending.FROM_PORT
        log = None if hub is None else _log(host, hub, peer, sending.HUB_PORT, "Hub")
        if log is None:
            return
        for event, data in (
            ("<", f"EHLO {host.name}"), ("<", f"MAIL FROM:{sender}"),
            *(("<", f"RCPT TO:<{one}>") for one in recipients), (">", said), ("<", "QUIT"),
            ("-", ""),
        ):  # fmt: skip
            log.write(event, data)

    def _is_his(self, account: Account, sender: str) -> bool:
        own = self._people.mailbox_of(account)
        named = self._people.addressed(sender)
        return own is not None and named is not None and self._people.may("send_as", own, named)


class GatewayHost:
    """The mail gateway outside: it takes what is for the organisation, from anybody."""

    def __init__(self, world: World, people: People, name: str) -> None:
        self.world = world
        self.people = people
        self.name = name

    def listens(self, port: int) -> bool:
        """Always."""
        return True

    def visit(self, peer: tuple[str, int], port: int) -> Visit | str:
        """Everybody is let in."""
        return GatewayVisit(self)


class GatewayVisit:
    """One connection to the gateway. Its words are those of no product."""

    schemes: tuple[str, ...] = ()
    login_needs_tls = True
    largest = LARGEST
    extensions: tuple[str, ...] = ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8")

    def __init__(self, host: GatewayHost) -> None:
        self._host = host
        self.banner = f"220 {host.name} ESMTP"

    def tls(self, usual: ssl.SSLContext) -> ssl.SSLContext | None:
        """Its own certificate, always."""
        return usual

    def note(self, event: str, data: str, context: str) -> None:
        """Its log is not Exchange's, and nobody asks for it."""

    def mail(self, client: Client, sender: str) -> str:
        """Anybody may."""
        return ""

    def rcpt(self, client: Client, recipient: str, before: int) -> str:
        """Only addresses of the organisation, and it knows which there are."""
        with self._host.world.lock:
            if before >= MOST_RECIPIENTS:
                return TOO_MANY
            if not _is_ours(self._host.world, recipient):
                return "554 5.7.1 Relay access denied"
            known = self._host.people.reached(recipient)
            refused = "550 5.1.1 Recipient address rejected: User unknown"
            return refused if known is None else ""

    def data(self, client: Client, sender: str, recipients: list[str], raw: bytes) -> str:
        """It is queued here, whether an Exchange server takes it now or later."""
        world = self._host.world
        with world.lock:
            world.sync()
            number = world.delivering.number()
            way = f"ESMTP{_tls(client)}"
            message = _message(world, self._host.name, number, client, sender, raw, way)
            known = [one for to in recipients for one in self._host.people.reached(to) or ()]
            world.delivering.send_from_outside(message, known, self._host.name)
            return f"250 2.0.0 Ok: queued as {number:08X}"


def _log(
    host: ExchangeHost, connector: Connector, peer: tuple[str, int], port: int,
    role: str = "FrontEnd",
) -> Session | None:  # fmt: skip
    """The protocol log of a new connection; None where the connector writes none."""
    if not connectors.is_verbose(connector.logging):
        return None
    ends = f"{host.address}:{port}", f"{peer[0]}:{peer[1]}"
    name = rf"{connector.server}\{connector.name}"
    return host.world.logs.session(host.server.name, name, *ends, role=role)


def narrowest(ranges: tuple[str, ...], address: str) -> int | None:
    """How many addresses the smallest range has that holds this one; None: none does.

    Ranges as Exchange takes them: one address, "first-last", "address/bits".
    """
    widths = [last - first for first, last in _bounds(ranges, ip_address(address).version)
              if first <= int(ip_address(address)) <= last]  # fmt: skip
    return min(widths, default=None)


def _bounds(ranges: tuple[str, ...], version: int) -> Iterator[tuple[int, int]]:
    for text in ranges:
        try:
            if "/" in text:
                network = ip_network(text.strip(), strict=False)
                ends = network.network_address, network.broadcast_address
            else:
                first, _, last = text.partition("-")
                ends = ip_address(first.strip()), ip_address((last or first).strip())
        except ValueError:  # nothing that a client could come from
            continue
        if ends[0].version == ends[1].version == version:
            yield int(ends[0]), int(ends[1])


def _is_ours(world: World, address: str) -> bool:
    return address.rpartition("@")[2].lower() in world.organisation.mail_domains


def _words(value: object) -> set[str]:
    found = connectors.texts(value)
    return {word.strip().lower() for text in found for word in text.split(",")}


def _tls(client: Client) -> str:
    return " (version=TLS)" if client.secure else ""


def _message(
    world: World, name: str, number: int, client: Client, sender: str, raw: bytes, way: str
) -> Message:
    """What was brought, with the hop that it just made."""
    organisation = world.organisation
    now = organisation.now
    own = guid(organisation.seed, "smtp", number)
    hop = (
        "Received",
        f"from {client.name} ({client.address}) by {name} with {way}; {format_datetime(now)}",
    )
    return messages.read(
        raw, sender.strip("<>"), now, more_bytes=OVERHEAD,
        message_id=f"<{own.replace('-', '')}@{name}>", hops=(hop,),
    )  # fmt: skip
