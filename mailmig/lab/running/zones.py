"""The names of a running lab: the domain's zone, the mail domains inside and outside, a key.

Inside, names lead to the loopback addresses of the machines. Outside, the names of clients lead to
the reverse proxies, and mail goes to the mail gateway.
"""

import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import dns.name

from mailmig.lab.names import Grant, NameServer, Resolver, View, Zone
from mailmig.lab.organisation import Organisation
from mailmig.lab.running.layout import DNS, HTTPS, LDAP, Layout, Machine
from mailmig.model.names import UpdateKey
from mailmig.model.secret import Secret

# How long a change takes from one controller to the others; as in the directory.
DELAY: Final = timedelta(minutes=15)
# Base64 of "lab-only-names-key-no-secret!!!!".
KEY: Final = UpdateKey("mailmig-lab", Secret("bGFiLW9ubHktbmFtZXMta2V5LW5vLXNlY3JldCEhISE="))
_CLIENT_TTL: Final = 300


@dataclass(frozen=True, slots=True)
class NameServers:
    """The authoritative servers, inside and outside, and the resolver of each site.

    `zones` are the inside ones: the domain's and those of the mail domains.
    """

    zones: tuple[Zone, ...]
    inside: tuple[NameServer, ...]
    outside: NameServer
    resolvers: tuple[Resolver, ...]

    def __iter__(self) -> Iterator[NameServer | Resolver]:
        return iter((*self.inside, self.outside, *self.resolvers))

    def zone_of(self, name: str, *, outside: bool = False) -> Zone | None:
        """The zone in which a name lies; None where nobody here holds it."""
        server = self.outside if outside else self.inside[0]
        return server.view.zone_of(dns.name.from_text(name.lower()), server.name)


def name_servers(
    organisation: Organisation, layout: Layout, now: Callable[[], datetime]
) -> NameServers:
    """All name servers of the layout, not started yet."""
    both = [machine.name for machine in layout.controllers]
    published = client_addresses(organisation, layout)
    proxies = layout.web_gateways[: len(published)]
    zones = [Zone.from_text(organisation.domain, domain_text(layout), both, now, delay=DELAY)]
    clients = client_names(organisation)
    external = []
    for domain in organisation.mail_domains:
        name, gateway = layout.outside.name, layout.gateway
        relay = f"{gateway.name}. A {gateway.address}\n"
        relay *= gateway.name.endswith(f".{domain}")
        inside = mail_text(domain, clients, organisation.namespace, published, both) + relay
        zones.append(Zone.from_text(domain, inside, both, now, delay=DELAY))
        outside = relay + mail_text(
            domain, clients, organisation.namespace, [one.address for one in proxies], [name],
            mail=gateway.name,
        )  # fmt: skip
        for machine in (layout.outside, *layout.web_gateways):
            if machine.name.endswith(f".{domain}"):
                outside += f"{machine.name}. A {machine.address}\n"
        external.append(Zone.from_text(domain, outside, [name], now, primary=name))
    view, grants = View("internal", zones), [Grant(KEY, frozenset(clients))]
    port = layout.port(DNS)
    servers = tuple(
        NameServer(machine.name, view, host=machine.address, port=port, grants=grants)
        for machine in layout.controllers
    )
    away = layout.outside
    outer = NameServer(away.name, View("external", external), host=away.address, port=port)
    resolvers = tuple(
        Resolver(
            machine.site, _nearest(machine, layout, servers), now, host=machine.address, port=port
        )
        for machine in layout.resolvers
    )
    return NameServers(tuple(zones), servers, outer, resolvers)


def client_names(organisation: Organisation) -> tuple[str, ...]:
    """The names that clients use: the namespace, and autodiscover of each mail domain."""
    found = [f"autodiscover.{domain}" for domain in organisation.mail_domains]
    return (organisation.namespace, *found)


def client_addresses(organisation: Organisation, layout: Layout) -> tuple[str, ...]:
    """Where the names of clients lead at first."""
    names = {organisation.server(name).fqdn for name in answering(organisation)}
    return tuple(machine.address for machine in layout.exchange if machine.name in names)


def answering(organisation: Organisation) -> tuple[str, ...]:
    """The servers that answer clients: the source, or every node when the target answers."""
    if organisation.answering == organisation.source:
        return (organisation.source,)
    return organisation.dag.servers


def domain_text(layout: Layout) -> str:
    """The zone of the Active Directory domain: machines, and who its controllers are."""
    lines = [f"{machine.name}. A {machine.address}" for machine in layout.windows]
    for controller in layout.controllers:
        site = f"_ldap._tcp.{_label(controller.site)}"
        lines += [
            f"@ NS {controller.name}.",
            f"_ldap._tcp SRV 0 100 {LDAP} {controller.name}.",
            f"_ldap._tcp.dc._msdcs SRV 0 100 {LDAP} {controller.name}.",
            f"{site}._sites.dc._msdcs SRV 0 100 {LDAP} {controller.name}.",
        ]
    return "\n".join(lines) + "\n"


def mail_text(
    domain: str, clients: tuple[str, ...], namespace: str, addresses: Sequence[str],
    servers: list[str], mail: str = "",
) -> str:  # fmt: skip
    """The zone of a mail domain; only what lies in it. Mail goes to `mail`, or to the namespace."""
    lines = [f"@ NS {name}." for name in servers]
    lines += [f"@ MX 10 {mail or namespace}.", f"_autodiscover._tcp SRV 0 0 {HTTPS} {namespace}."]
    lines += [
        f"{name}. {_CLIENT_TTL} A {address}"
        for name in clients
        for address in addresses
        if name.endswith(f".{domain}")
    ]
    return "\n".join(lines) + "\n"


def _nearest(
    resolver: Machine, layout: Layout, servers: tuple[NameServer, ...]
) -> list[NameServer]:
    """The controllers, that of the resolver's own site first."""
    pairs = zip(layout.controllers, servers, strict=True)
    return [server for _, server in sorted(pairs, key=lambda pair: pair[0].site != resolver.site)]


def _label(text: str) -> str:
    r"""A label as it stands in a zone file: a site may be called "B\195\188ro"."""
    plain = (string.ascii_letters + string.digits + "-").encode()
    return "".join(chr(byte) if byte in plain else f"\\{byte:03}" for byte in text.encode())
