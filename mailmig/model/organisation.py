"""The organisation: its sites and servers, and which Exchange version a build belongs to."""

from dataclasses import dataclass

Build = tuple[int, int, int, int]
"""Major, minor, build, revision: (15, 2, 2562, 17) is Exchange SE RTM."""

NO_BUILD: Build = (0, 0, 0, 0)

# Source: CSS-Exchange Shared/Get-ExchangeBuildVersionInformation.ps1, April 2026:
# 15.0 is 2013, 15.1 is 2016, 15.2 is 2019 below build 2562 and SE from there on.
_FIRST_SE_BUILD = 2562
_BY_MINOR = {0: "2013", 1: "2016"}


def version_name(build: Build) -> str:
    """The product version of a build: "2010", "2013", "2016", "2019", "SE" or "unknown"."""
    major, minor, number, _ = build
    if major == 14:
        return "2010"
    if major != 15:
        return "unknown"
    if minor == 2:
        return "SE" if number >= _FIRST_SE_BUILD else "2019"
    return _BY_MINOR.get(minor, "unknown")


def build_text(build: Build) -> str:
    """The build as admins write it: "15.2.2562.17"; "unknown" for `NO_BUILD`."""
    return ".".join(map(str, build)) if build != NO_BUILD else "unknown"


@dataclass(frozen=True, slots=True)
class Server:
    """One Exchange server. `site` is the short name of its Active Directory site."""

    name: str
    fqdn: str = ""
    site: str = ""
    build: Build = NO_BUILD
    edition: str = ""
    dag: str = ""

    @property
    def version(self) -> str:
        return version_name(self.build)
