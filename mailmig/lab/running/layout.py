"""Which machine has which address, and on which port each of its services listens.

Every machine has an address of its own, 127.0.x.y, where x stands for its site. A service listens
on its standard port plus an offset that is the same for all, so that nobody has to be root.
"""

import errno
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mailmig.lab.organisation import Organisation
from mailmig.model.errors import MailmigError

SMTP, SUBMISSION = 25, 587
DNS, HTTP, LDAP, HTTPS, LDAPS, WINRM, WINRM_TLS = 53, 80, 389, 443, 636, 5985, 5986
LARGEST_OFFSET: Final = 65535 - WINRM_TLS
_EXCHANGE: Final = {
    HTTPS: "mail clients, remote PowerShell", HTTP: "remote PowerShell", WINRM_TLS: "WinRM", WINRM: "WinRM",
    SMTP: "SMTP", SUBMISSION: "SMTP, submission",
}  # fmt: skip
_CONTROLLER: Final = {
    DNS: "DNS", LDAPS: "LDAP with TLS", LDAP: "LDAP", WINRM_TLS: "WinRM", WINRM: "WinRM",
}  # fmt: skip
_WINDOWS: Final = {WINRM_TLS: "WinRM", WINRM: "WinRM"}
_OUTSIDE: Final = "127.0.9.53"
_GATEWAY: Final = "127.0.9.25"
_WEB_GATEWAYS: Final = "127.0.9.4"


class BadOffset(MailmigError):
    """No service could listen there: take another offset."""

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"a port offset of {offset} cannot be: take a number from 0 to {LARGEST_OFFSET}"
        )
        self.offset = offset


class CannotListen(MailmigError):
    """An address or a port cannot be had: do what the message says."""

    def __init__(self, address: str, port: int, error: OSError) -> None:
        what = {
            errno.EADDRINUSE: "is in use: end what uses it (another lab?), "
            "or take another --port-offset",
            errno.EACCES: "is for root only: take the default --port-offset",
            errno.EADDRNOTAVAIL: "cannot be had: this machine has no such loopback address",
        }.get(error.errno or 0, f"cannot be had: {error.strerror or error}")
        super().__init__(f"{address} port {port} {what}")
        self.address = address
        self.port = port


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine: `services` maps standard ports to what listens there."""

    name: str
    site: str
    address: str
    services: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """All machines. Resolvers have no name: clients know them by their address.

    `gateway` takes mail from outside; `web_gateways` are the reverse proxies there, one for each
    node of the DAG, of which the first alone is used before the cut-over.
    """

    exchange: tuple[Machine, ...]
    controllers: tuple[Machine, ...]
    witness: Machine
    hosts: tuple[Machine, ...]
    resolvers: tuple[Machine, ...]
    outside: Machine
    gateway: Machine
    web_gateways: tuple[Machine, ...]
    offset: int

    @classmethod
    def of(cls, organisation: Organisation, offset: int) -> "Layout":
        """Raises `BadOffset`."""
        if not 0 <= offset <= LARGEST_OFFSET:
            raise BadOffset(offset)
        sites = list(dict.fromkeys(server.site for server in organisation.servers))
        nodes = {organisation.server(name).site for name in organisation.dag.servers}
        networks = {site: f"127.0.{number}" for number, site in enumerate(sites, 11)}
        beyond = networks.get(organisation.witness_site, f"127.0.{11 + len(sites)}")

        def machine(name: str, site: str, host: int, services: Mapping[int, str]) -> Machine:
            return Machine(name, site, f"{networks[site]}.{host}", MappingProxyType(services))

        return cls(
            exchange=tuple(
                machine(server.fqdn, server.site, host, _EXCHANGE)
                for host, server in enumerate(organisation.servers, 21)
            ),
            controllers=tuple(
                machine(f"ls-dc{number}.{organisation.domain}", site, 10, _CONTROLLER)
                for number, site in enumerate(sites, 1)
            ),
            witness=Machine(
                organisation.dag.witness, organisation.witness_site, f"{beyond}.40",
                MappingProxyType(_WINDOWS),
            ),
            hosts=tuple(
                machine(f"ls-hv{number}.{organisation.domain}", site, 30, _WINDOWS)
                for number, site in enumerate((site for site in sites if site in nodes), 1)
            ),
            resolvers=tuple(
                machine(f"{networks[site]}.53", site, 53, {DNS: "DNS, caching"}) for site in sites
            ),
            outside=Machine(
                f"ns1.{organisation.mail_domains[0]}", "outside", _OUTSIDE,
                MappingProxyType({DNS: "DNS, as seen from outside"}),
            ),
            gateway=Machine(
                organisation.smart_host, "outside", _GATEWAY,
                MappingProxyType({SMTP: "SMTP, mail gateway"}),
            ),
            web_gateways=tuple(
                Machine(
                    f"gateway{number}.{organisation.mail_domains[0]}", "outside",
                    f"{_WEB_GATEWAYS}{number}",
                    MappingProxyType({HTTPS: "mail clients, reverse proxy"}),
                )
                for number, _ in enumerate(organisation.dag.servers, 1)
            ),
            offset=offset,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Machine]:
        return iter(
            (
                *self.exchange, *self.controllers, self.witness, *self.hosts, *self.resolvers,
                self.outside, self.gateway, *self.web_gateways,
            )
        )  # fmt: skip

    @property
    def windows(self) -> tuple[Machine, ...]:
        """Those with a Windows that can be asked over WinRM."""
        return (*self.exchange, *self.controllers, self.witness, *self.hosts)

    def network(self, site: str) -> str:
        """The subnet of a site as Active Directory writes it: "127.0.11.0/24"."""
        address = next(machine.address for machine in self if machine.site == site)
        return f"{address.rpartition('.')[0]}.0/24"

    def port(self, standard: int) -> int:
        """Where a service with this standard port listens."""
        return standard + self.offset

    def addresses(self) -> dict[tuple[str, int], tuple[str, int]]:
        """(name or address, standard port) -> (address, port) of everything.

        Whoever has asked the lab's name servers comes with an address.
        """
        return {
            (known, standard): (machine.address, self.port(standard))
            for machine in self
            for known in (machine.name, machine.address)
            for standard in machine.services
        }

    def probe(self) -> None:
        """See whether every address and port can be had. Raises `CannotListen`."""
        for machine in self:
            probe(machine, self.port)


def probe(machine: Machine, port: Callable[[int], int]) -> None:
    """See whether a machine's address and ports can be had. Raises `CannotListen`."""
    for standard in machine.services:
        kinds = [socket.SOCK_STREAM, *([socket.SOCK_DGRAM] if standard == DNS else [])]
        for kind in kinds:
            _probe(machine.address, port(standard), kind)


def _probe(address: str, port: int, kind: socket.SocketKind) -> None:
    try:
        if kind is socket.SOCK_STREAM:
            socket.create_server((address, port)).close()
            return
        with socket.socket(socket.AF_INET, kind) as probed:
            probed.bind((address, port))
    except OSError as error:
        raise CannotListen(address, port, error) from error
