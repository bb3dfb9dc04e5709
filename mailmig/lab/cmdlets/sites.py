"""Active Directory as Exchange sees it: domain controllers, sites, and which of them it asks.

Set-ADServerSettings counts for one session on a real server; the lab's servers keep no settings
per session, so it is checked and then forgotten.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final
from uuid import UUID

from mailmig.lab import values as v
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid


def _sites(ask: Ask) -> Iterator[Given]:
    found = False
    for name in _site_names(ask):
        number = guid("site", name)
        if ask.identity and not is_meant(ask.identity, name, number):
            continue
        found = True
        identity = v.site_id(ask.view.places, name, number)
        live: Live = {
            **ask.view.stores.common((name,), "Site", "site", text=name),
            "Identity": identity, "Id": identity, "Guid": UUID(number),
            "DistinguishedName": f"CN={name},CN=Sites,CN=Configuration,{ask.view.places.base}",
        }  # fmt: skip
        yield Row("Get-ADSite", name, None, partial(_same, name, live))
    if ask.identity and not found:
        raise ask.not_found()


def _site_names(ask: Ask) -> list[str]:
    return list(ask.world.surroundings.forest.sites)


def _controllers(ask: Ask) -> dict[str, str]:
    """Full name to site, the one that writes first."""
    found = ask.world.surroundings.forest.controllers
    return {f"{one.name}.{ask.organisation.domain}": one.site for one in found}


def _domain_controllers(ask: Ask) -> Iterator[Given]:
    wanted = str(ask.bound.get("DomainName") or ask.organisation.domain)
    if wanted.lower() != ask.organisation.domain.lower():
        raise ask.not_found(wanted)
    base = ask.view.places.base
    for place, (name, site) in enumerate(_controllers(ask).items()):
        short = name.partition(".")[0].upper()
        number = guid(ask.organisation.seed, "controller", name)
        dn = f"CN={short},CN=Servers,CN={site},CN=Sites,CN=Configuration,{base}"
        identity = v.directory_id(ask.view.places, dn, name, "Servers", number, short)
        live: Live = {
            **ask.view.stores.common((short,), "Server", "server", text=name),
            "Identity": identity, "Id": identity, "Guid": UUID(number), "DistinguishedName": dn,
            "DnsHostName": name,
            "ADSite": v.site_id(ask.view.places, site, guid("site", site)),
            "DomainId": v.directory_id(
                ask.view.places, base, ask.organisation.domain, "", None,
                ask.organisation.domain.partition(".")[0],
            ),
            "IsPDCOfDomain": place == 0,
            "IsInLocalSite": site == ask.server.site,
        }  # fmt: skip
        yield Row("Get-DomainController", name, None, partial(_same, name, live))


def _settings(ask: Ask) -> Iterator[Given]:
    known = _controllers(ask)
    near = next((n for n, site in known.items() if site == ask.server.site), next(iter(known)))
    live: Live = {
        "DefaultGlobalCatalog": near,
        "DefaultGlobalCatalogsForAllForests": v.strings([f"<{ask.organisation.domain}, {near}>"]),
        "DefaultConfigurationDomainController": near,
        "DefaultPreferredDomainControllers": v.strings([near]),
        "DefaultConfigurationDomainControllersForAllForests": v.strings(
            [f"<{ask.organisation.domain}, {near}>"]
        ),
        "UserPreferredGlobalCatalog": None,
        "UserPreferredConfigurationDomainController": None,
        "UserPreferredDomainControllers": v.strings(),
        "RecipientViewRoot": "",
        "ViewEntireForest": True,
    }
    yield Row("Get-ADServerSettings", near, None, partial(_same, "", live))


def _set(ask: Ask) -> Iterator[Given]:
    known = {name.lower() for name in _controllers(ask)}
    for name in ("PreferredServer", "ConfigurationDomainController", "PreferredGlobalCatalog"):
        given = ask.bound.get(name)
        if given is not None and str(given).lower() not in known:
            raise ask.not_found(str(given))
    yield from ()


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


CMDLETS: Final = (
    Simulated("Get-ADSite", _sites, ("Identity",)),
    Simulated("Get-DomainController", _domain_controllers, ("DomainName",)),
    Simulated("Get-ADServerSettings", _settings),
    Simulated(
        "Set-ADServerSettings", _set,
        ("PreferredServer", "ConfigurationDomainController", "PreferredGlobalCatalog",
         "ViewEntireForest"),
        changes=True,
    ),
)  # fmt: skip
