"""TLS of the Exchange servers: which certificate and versions each service shows, at any moment.

    iis = world.tls.of("LS-EX1", IIS)
    iis.context                            # for a listener: it follows what is changed meanwhile
    iis.show(Showing(until=yesterday))

IIS and SMTP begin with one certificate that covers the server's own names and those of clients. A
certificate is chosen when a handshake begins, versions when a connection is accepted: connections
that stand keep what they have. All keys live in memory only.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Final

from mailmig.lab.certificates import Authority, Certificate, ServerContext
from mailmig.lab.organisation import Organisation
from mailmig.lab.running.layout import Layout
from mailmig.lab.running.zones import client_names
from mailmig.lab.server_certificates import ServerCertificates

IIS, SMTP = "IIS", "SMTP"
SERVICES: Final = (IIS, SMTP)


class Kind(Enum):
    """What is special about a certificate."""

    USUAL = "signed by the lab's authority"
    CHAINLESS = "signed by an authority below that, whose own certificate is not sent along"
    UNKNOWN = "signed by an authority that nobody knows"
    SMALL_KEY = "its RSA key is too small"


class Versions(Enum):
    """The lowest version of TLS that can be had."""

    MODERN = ssl.TLSVersion.TLSv1_2
    OLD_TOO = ssl.TLSVersion.MINIMUM_SUPPORTED
    NEWEST_ONLY = ssl.TLSVersion.TLSv1_3


@dataclass(frozen=True, slots=True)
class Showing:
    """What a service shows; empty `names` are those of the server and those that clients use.

    `since` and `until` count for a usual certificate only.
    """

    kind: Kind = Kind.USUAL
    names: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class ServiceTls:
    """TLS of one service of one server. `context` is what listens and stays the same object."""

    def __init__(
        self, authority: Authority, first: Certificate, changed: Callable[[], None]
    ) -> None:
        self.certificate = first
        self._authority = authority
        self._first = first
        self._changed = changed
        self._shown = first.context()
        self.context: ServerContext = first.context()
        self.context.sni_callback = self._choose
        self.allow(Versions.MODERN)

    def show(self, showing: Showing | None) -> None:
        """Show this from the next handshake on; None is what it began with."""
        self.certificate = self._first if showing is None else self._made(showing)
        self._shown = self.certificate.context()
        self._changed()

    def allow(self, versions: Versions) -> None:
        """These versions can be had from the next connection on."""
        self.context.minimum_version = versions.value

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, of: ssl.SSLContext
    ) -> None:
        connection.context = self._shown

    def _made(self, showing: Showing) -> Certificate:
        names = showing.names or self._first.names
        if showing.kind is Kind.SMALL_KEY:
            return self._authority.with_small_key(*names)
        if showing.kind is Kind.CHAINLESS:
            return self._authority.without_chain(*names)
        known = showing.kind is Kind.USUAL
        authority = self._authority if known else Authority("unknown authority")
        return authority.certificate(*names, since=showing.since, until=showing.until)


class ServersTls:
    """TLS of all Exchange servers, by the servers' names; made when somebody asks for it.

    What IIS and SMTP show stands in the stores that the cmdlets list.
    """

    def __init__(
        self, organisation: Organisation, layout: Layout, stores: ServerCertificates
    ) -> None:
        self.authority = Authority()
        self._organisation = organisation
        self._layout = layout
        self._stores = stores
        self._of: dict[str, dict[str, ServiceTls]] = {}

    def of(self, server: str, service: str) -> ServiceTls:
        """One service of a server."""
        if server not in self._of:
            self._of[server] = self._begin(server)
        return self._of[server][service]

    @cached_property
    def gateway(self) -> ServiceTls:
        """The reverse proxies outside: one certificate with a key of its own."""
        machines = [text for one in self._layout.web_gateways for text in (one.name, one.address)]
        first = self.authority.certificate(*client_names(self._organisation), *machines)
        return ServiceTls(self.authority, first, lambda: None)

    def _begin(self, server: str) -> dict[str, ServiceTls]:
        full = self._organisation.server(server).fqdn
        machine = next(one for one in self._layout.exchange if one.name == full)
        names = (machine.name, machine.address, *client_names(self._organisation))
        first = self.authority.certificate(*names)

        def changed() -> None:
            self._store(server)

        found = {one: ServiceTls(self.authority, first, changed) for one in SERVICES}
        self._stores.serve(server, {first.pem: SERVICES})
        return found

    def _store(self, server: str) -> None:
        """Tell the store which certificates are shown, and by which services."""
        shown: dict[bytes, tuple[str, ...]] = {}
        for service, tls in self._of[server].items():
            pem = tls.certificate.pem
            shown[pem] = (*shown.get(pem, ()), service)
        self._stores.serve(server, shown)
