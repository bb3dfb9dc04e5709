"""Where an object lies in the directory, in each of the spellings that Exchange prints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mailmig.lab.people import plain

ADMIN_GROUP: Final = "Exchange Administrative Group (FYDIBOHF23SPDLT)"
ROUTING_GROUP: Final = "Exchange Routing Group (DWBGZMFD01QNBJR)"

# RFC 4514: what must be escaped inside a relative distinguished name.
_SPECIAL: Final = re.compile(r'([,+"\\<>;=])|^([# ])|( )$')
_LEGACY_NAME: Final = 15


def rdn(name: str) -> str:
    r"""A name as it stands in a distinguished name: "Kinder\, Jugend und Familie"."""
    return _SPECIAL.sub(lambda found: "\\" + found[0], name)


def canonical_part(name: str) -> str:
    r"""A name as it stands in a canonical name: "Grünflächen \/ Friedhöfe"."""
    return name.replace("/", r"\/")


@dataclass(slots=True)
class Places:
    """Spellings for the objects of one domain; `path` names organisational units from the top.

    The containers "Users" and "Microsoft Exchange System Objects" are no organisational units.
    """

    domain: str
    organisation: str
    _units: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)
    _configured: dict[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """The domain's distinguished name."""
        return ",".join(f"DC={part}" for part in self.domain.split("."))

    def unit(self, path: tuple[str, ...]) -> tuple[str, str]:
        """Canonical name and distinguished name of an organisational unit or container."""
        found = self._units.get(path)
        if found is None:
            kind = (
                "OU"
                if path[:1] not in (("Users",), ("Microsoft Exchange System Objects",))
                else "CN"
            )
            canonical = "/".join((self.domain, *map(canonical_part, path)))
            parts = [f"{kind}={rdn(name)}" for name in reversed(path)]
            found = self._units[path] = (canonical, ",".join((*parts, self.base)))
        return found

    def canonical(self, path: tuple[str, ...], name: str) -> str:
        """What the id of a recipient prints: "domain/unit/name"."""
        return f"{self.unit(path)[0]}/{canonical_part(name)}"

    def distinguished(self, path: tuple[str, ...], name: str) -> str:
        """The distinguished name of a recipient."""
        return f"CN={rdn(name)},{self.unit(path)[1]}"

    def configuration(self, names: Sequence[str]) -> str:
        """The distinguished name of an object below the organisation, innermost name first."""
        key = tuple(names)
        found = self._configured.get(key)
        if found is None:
            parts = [f"CN={rdn(name)}" for name in (*key, self.organisation, "Microsoft Exchange")]
            found = self._configured[key] = ",".join(
                (*parts, "CN=Services", "CN=Configuration", self.base)
            )
        return found

    def legacy(self, guid: str, name: str) -> str:
        """The X.500-like address that Exchange keeps for a recipient.

        It is ASCII: MAPI carries it as such. How Exchange spells umlauts there, and a slash, is
        from memory [MEM].
        """
        short = plain(name.replace("/", "_"))[:_LEGACY_NAME].rstrip()
        return f"{self._legacy_root}/cn=Recipients/cn={guid.replace('-', '')}-{short}"

    def legacy_server(self, server: str) -> str:
        """The same for a server."""
        return f"{self._legacy_root}/cn=Configuration/cn=Servers/cn={server}"

    @property
    def _legacy_root(self) -> str:
        return f"/o={plain(self.organisation)}/ou={ADMIN_GROUP}"


def server_names(server: str, *inner: str) -> tuple[str, ...]:
    """The way from an object of a server (or the server itself) outwards."""
    return (*inner, server, "Servers", ADMIN_GROUP, "Administrative Groups")
