"""What a sweep covers: from the configuration, and, from inside, from the directory.

Outside nobody reaches a domain controller, and nothing more than the names is needed there.
"""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from mailmig.model.errors import MailmigError
from mailmig.model.finding import OUTSIDE, Ask, Fact
from mailmig.model.names import AddressMap, ResolveName
from mailmig.model.scope import Scope, Vantage
from mailmig.run.check_settings import CheckSettings
from mailmig.run.taking import open_directory
from mailmig.sources.directory_settings import DirectorySettings
from mailmig.sources.remote_logon import LogonGate


class NothingToCheck(MailmigError):
    """No name is known that clients use: write them into the configuration."""

    def __init__(self) -> None:
        super().__init__(
            "no names are known that clients use: write them into the configuration, "
            '[check] names = ["mail.town.example"], or let [directory] name domain controllers'
        )


class NoSuchVantage(MailmigError):
    """A vantage that the configuration does not know."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"there is no vantage {name!r}; known are {', '.join(known) or 'none'} "
            "([check] resolvers names them)"
        )


class NoSuchServer(MailmigError):
    """No Exchange server is called so, or stands in such a site."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        listed = ", ".join(known)
        super().__init__(
            f"no Exchange server is called {name!r} or stands there; "
            + (f"known are {listed}" if listed else "none are known: [directory] names them")
        )


async def scope(
    settings: CheckSettings,
    name_servers: tuple[str, ...],
    directory: DirectorySettings | None,
    addresses: AddressMap,
    gate: LogonGate,
    wanted: tuple[str, ...] = (),
) -> Scope:
    """What there is. `wanted` are names of vantages; only from inside the directory is asked.

    Raises:
        NothingToCheck, NoSuchVantage.
        what `open_directory` raises.
    """
    vantages = tuple(
        Vantage(name, name != OUTSIDE, servers) for name, servers in settings.resolvers.items()
    )
    known = [one.name for one in vantages]
    for name in wanted:
        if name not in known:
            raise NoSuchVantage(name, known)
    vantages = tuple(one for one in vantages if not wanted or one.name in wanted)
    names = tuple(name.lower().rstrip(".") for name in settings.names)
    found = Scope(vantages=vantages, client_names=names)
    if any(one.inside for one in vantages):
        found = replace(found, authoritative=name_servers)
        if directory is not None:
            found = await _with_directory(found, directory, addresses, gate)
    if not found.client_names:
        raise NothingToCheck
    domains = (name.partition(".") for name in found.client_names)
    behind = tuple(rest for first, _, rest in domains if first == "autodiscover")
    return replace(found, mail_domains=behind)


async def _with_directory(
    found: Scope, settings: DirectorySettings, addresses: AddressMap, gate: LogonGate
) -> Scope:
    async with open_directory(settings, addresses, gate) as directory:
        configuration = await directory.configuration()
    hosts = (urlsplit(point.url).hostname for point in configuration.autodiscover_points)
    points = tuple(dict.fromkeys(host.lower() for host in hosts if host))
    return replace(
        found, servers=configuration.servers, client_names=found.client_names or points,
        service_points=configuration.autodiscover_points,
    )  # fmt: skip


async def limited_to(found: Scope, ask: Ask, site: str, server: str) -> Scope:
    """The part of a scope that is about the servers of a site, or about one server.

    Raises:
        NoSuchServer: no server is there, or is called so, by its name or its full name.
    """
    wanted = server.lower()
    chosen = tuple(
        one
        for one in found.servers
        if site.lower() in ("", one.site.lower())
        and wanted in ("", one.name.lower(), one.fqdn.lower())
    )
    if not chosen:
        raise NoSuchServer(server or site, [one.name for one in found.servers])
    answers = await ask.each(
        ResolveName(place.name, one.fqdn, "A", resolver)
        for place in found.vantages
        if place.inside
        for one in chosen
        for resolver in place.resolvers
    )
    only = {a for said in answers if isinstance(said, Fact) for a in said.value.addresses}
    return replace(found, servers=chosen, only=frozenset(only))
