"""The virtual directories of a server: what IIS makes of the organisation's settings.

Each has a component whose state decides over its healthcheck page, an application pool in front and
one behind (health.md 2.4, 2.6), and ways to log on. Those follow from the object that the cmdlets
show and change: `IISAuthenticationMethods` where there is such a property, else
`InternalAuthenticationMethods`, for ActiveSync two switches of its own;
`ExtendedProtectionTokenChecking` says how they must be bound.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailmig.lab import services
from mailmig.lab.cultures import ENGLISH
from mailmig.lab.front_ends import FrontEnds
from mailmig.lab.objects import Live
from mailmig.lab.places import Places
from mailmig.lab.world import World
from mailmig.lab.wsman.bindings import TokenChecking
from mailmig.wire.clixml import Obj

# The order in which IIS offers them.
NEGOTIATE, NTLM, BASIC = "Negotiate", "NTLM", "Basic"
_MEANS: Final = {
    NEGOTIATE: {"windowsintegrated", "negotiate"}, NTLM: {"windowsintegrated", "ntlm"},
    BASIC: {"basic"},
}  # fmt: skip
_OF_ACTIVESYNC: Final = {"BasicAuthEnabled": "basic", "WindowsAuthEnabled": "windowsintegrated"}
IIS: Final = "W3Svc"


@dataclass(frozen=True, slots=True)
class Directory:
    """What is the same on every server; `file` is the name of its objects in `FrontEnds`."""

    path: str
    file: str
    component: str
    front_pool: str
    back_pool: str


DIRECTORIES: Final = {
    one.path: one
    for one in (
        Directory("owa", "owa", "OwaProxy", "OWA", "OWA"),
        Directory("ecp", "ecp", "EcpProxy", "ECPFrontEnd", "ECP"),
        Directory("ews", "ews", "EwsProxy", "ServicesFrontEnd", "Services"),
        Directory("mapi", "mapi", "MapiProxy", "MapiFrontEnd", "MapiMailbox"),
        Directory("rpc", "outlook_anywhere", "RpcProxy", "RpcProxyFrontEnd", "RpcProxy"),
        Directory("oab", "oab", "OabProxy", "OABFrontEnd", "OAB"),
        Directory("microsoft-server-activesync", "activesync", "ActiveSyncProxy", "SyncFrontEnd",
                  "Sync"),
        Directory("autodiscover", "autodiscover", "AutoDiscoverProxy", "AutodiscoverFrontEnd",
                  "Autodiscover"),
        Directory("powershell", "powershell", "RpsProxy", "PowerShellFrontEnd", "PowerShell"),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """One virtual directory of one server, as the organisation has set it.

    `schemes` are what HTTP offers, `methods` the words of the object in lower case; URLs are empty
    where there is none. For Outlook Anywhere they are host names.
    """

    schemes: tuple[str, ...]
    methods: frozenset[str]
    inside: str
    outside: str
    checking: TokenChecking

    @property
    def by_form(self) -> bool:
        """Whether people log on with a form instead of a scheme of HTTP."""
        return "fba" in self.methods


class Directories:
    """The virtual directories of all servers of a world."""

    def __init__(self, world: World) -> None:
        organisation = world.organisation
        self._world = world
        places = Places(organisation.domain, organisation.name)
        self._objects = FrontEnds(organisation, places, ENGLISH).files()
        # Together, since threads ask too: what one of them still makes of an old state is not kept.
        self._known: tuple[object, dict[str, dict[str, Settings]]] = (None, {})

    def settings(self, server: str, directory: Directory) -> Settings:
        """How a server's directory is set now."""
        stamp = self._now()
        made_of, known = self._known
        if made_of != stamp:
            known = {}
            self._known = stamp, known
        found = known.get(directory.file)
        if found is None:
            objects = self._objects[directory.file]()
            found = {text.partition("\\")[0]: _settings(directory, live) for text, live in objects}
            known[directory.file] = found
        return found[server]

    def _now(self) -> object:
        """What the objects depend on."""
        organisation = self._world.organisation
        set_by_hand = organisation.settings
        return (
            organisation.answering, organisation.servers, organisation.extended_protection,
            repr(set_by_hand.changed), len(set_by_hand.removed),
        )  # fmt: skip

    def scp(self, server: str) -> str:
        """The autodiscover address that the directory names for a server."""
        for text, live in self._objects["client_access"]():
            if text == server:
                return str(live["AutoDiscoverServiceInternalUri"])
        return ""

    def is_healthy(self, server: str, directory: Directory) -> bool:
        """Whether its healthcheck page says so: its proxy component is active."""
        return self._world.components(server).state(directory.component) == "Active"

    def pool_runs(self, server: str, name: str) -> bool:
        """Whether an application pool answers."""
        stopped = self._world.conditions(server).stopped_pools
        pool = f"MSExchange{name}AppPool".lower()
        return not any(one.lower() == pool for one in tuple(stopped))

    def iis_runs(self, server: str) -> bool:
        """Whether the web server itself runs."""
        return services.runs(self._world.conditions(server), IIS)


def _settings(directory: Directory, live: Live) -> Settings:
    own = "IISAuthenticationMethods"
    words = _words(live[own] if own in live else live.get("InternalAuthenticationMethods"))
    words |= {word for name, word in _OF_ACTIVESYNC.items() if live.get(name)}
    schemes = tuple(scheme for scheme, means in _MEANS.items() if means & words)
    if directory.file == "outlook_anywhere":
        urls = live["InternalHostname"], live["ExternalHostname"]
    else:
        urls = live["InternalUrl"], live["ExternalUrl"]
    inside, outside = (_text(one) for one in urls)
    checking = TokenChecking(_text(live["ExtendedProtectionTokenChecking"]))
    return Settings(schemes, words, inside, outside, checking)


def _words(value: object) -> frozenset[str]:
    found = value.value if isinstance(value, Obj) else ()
    assert isinstance(found, Iterable)
    return frozenset(_text(one).lower() for one in found)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.text or "" if isinstance(value, Obj) else str(value)
