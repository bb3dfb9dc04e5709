"""What a domain tells about itself: its controllers by DNS, all else by LDAP."""

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from mailmig.model.database import Dag, Database
from mailmig.model.forest import Site
from mailmig.model.names import AddressMap
from mailmig.model.organisation import Server
from mailmig.run.taking import open_directory
from mailmig.sources.directory_settings import DirectorySettings
from mailmig.sources.remote_logon import LogonGate


@dataclass(frozen=True, slots=True)
class Discovery:
    """An Exchange organisation as the directory knows it; `client_names` are those of its SCPs."""

    controllers: tuple[str, ...]
    servers: tuple[Server, ...]
    dags: tuple[Dag, ...]
    databases: tuple[Database, ...]
    sites: tuple[Site, ...]
    client_names: tuple[str, ...]

    @property
    def newest(self) -> str:
        """The full name of a server of the newest version: older ones tell lies about newer ones."""
        known = [server for server in self.servers if server.fqdn]
        return max(known, key=lambda server: server.build).fqdn if known else ""


async def discover(
    controllers: tuple[str, ...],
    settings: DirectorySettings,
    addresses: AddressMap,
    gate: LogonGate,
) -> Discovery:
    """Log on to the first controller that answers, once, and read the configuration.

    Raises:
        NoExchange: there is no Exchange organisation.
        what `open_directory` raises.
    """
    settings = replace(settings, servers=controllers)
    async with open_directory(settings, addresses, gate) as directory:
        found = await directory.configuration()
    hosts = (urlsplit(point.url).hostname for point in found.autodiscover_points)
    names = tuple(dict.fromkeys(host for host in hosts if host))
    return Discovery(
        controllers, found.servers, found.dags, found.databases, found.sites, names
    )  # fmt: skip
