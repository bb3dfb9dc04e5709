"""What Active Directory publishes about places and ways in: sites, controllers, service points."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """A site of Active Directory; `subnets` as it writes them: "10.20.0.0/16"."""

    name: str
    subnets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteController:
    """A domain controller as the configuration knows it, with the site that it stands in."""

    name: str
    site: str = ""
    global_catalog: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class AutodiscoverPoint:
    """A service connection point: where domain-joined Outlooks of `sites` begin to ask.

    `url` is "" for a pointer to another forest, whose `keywords` then say whose.
    """

    server: str
    url: str
    sites: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
