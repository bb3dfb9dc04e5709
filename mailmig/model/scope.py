"""What a sweep covers: vantages, servers, the names that clients use, and the probe accounts.

From inside it is read from the directory and the configuration, from outside from the
configuration alone. It is saved with the facts, so that they can be judged again elsewhere.
"""

from dataclasses import dataclass

from mailmig.model.forest import AutodiscoverPoint
from mailmig.model.organisation import Server


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place that questions are asked from: a site, or the outside.

    `resolvers` are the name servers that clients there ask; without one this machine's own answer.
    """

    name: str
    inside: bool
    resolvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbePair:
    """Addresses of a mailbox of ours and of a shared one that it may open; "" where there is none."""

    delegate: str
    shared: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Everything that a check may want to iterate over; names are in lower case.

    `client_names` are host names that clients connect to, `authoritative` the name servers that
    hold their zone inside, `service_points` where domain members ask for Autodiscover, `mail_domains` those behind `autodiscover.`. `only` are addresses that a
    sweep is limited to, empty where it is not.
    """

    vantages: tuple[Vantage, ...] = ()
    servers: tuple[Server, ...] = ()
    client_names: tuple[str, ...] = ()
    mail_domains: tuple[str, ...] = ()
    authoritative: tuple[str, ...] = ()
    probes: tuple[ProbePair, ...] = ()
    service_points: tuple[AutodiscoverPoint, ...] = ()
    only: frozenset[str] = frozenset()

    def vantage(self, name: str) -> Vantage:
        """The vantage of this name."""
        return next(one for one in self.vantages if one.name == name)

    def server_at(self, fqdn: str) -> Server | None:
        """The Exchange server with this full name."""
        wanted = fqdn.lower().rstrip(".")
        return next((one for one in self.servers if one.fqdn.lower() == wanted), None)
