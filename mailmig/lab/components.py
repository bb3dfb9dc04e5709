"""The components of a server and who asked for their states (health.md 6 and 7.1).

Each requester keeps its own wish per component, here (in the server's registry) and in the
directory; the newer of the two counts, and of all requesters the most restrictive. A server that
is offline as a whole takes all components with it but the two that watch over it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

# In the order in which the cmdlet gives them. 2016 has the first of these too.
ONLY_2016: Final = "UMCallRouter"
COMPONENTS: Final = (
    "ServerWideOffline", "HubTransport", "FrontendTransport", "Monitoring",
    "RecoveryActionsEnabled", "AutoDiscoverProxy", "ActiveSyncProxy", "EcpProxy", "EwsProxy",
    "ImapProxy", "OabProxy", "OwaProxy", "PopProxy", "PushNotificationsProxy", "RpsProxy",
    "RwsProxy", "RpcProxy", ONLY_2016, "XropProxy", "HttpProxyAvailabilityGroup",
    "ForwardSyncDaemon", "ProvisioningRps", "MapiProxy", "EdgeTransport", "HighAvailability",
    "SharedCache", "MailboxDeliveryProxy", "RoutingUpdates", "RestProxy", "DefaultProxy", "Lsass",
    "RoutingService", "E4EProxy", "CafeLAMv2", "LogExportProvider",
)  # fmt: skip
OFFLINE: Final = "ServerWideOffline"
STATES: Final = {"Inactive": 0, "Active": 1, "Draining": 2}
# Seen in real exports: nobody asked for it, and yet they are inactive.
_NEVER_ACTIVE: Final = ("ForwardSyncDaemon", "ProvisioningRps")
_ALWAYS_THERE: Final = (OFFLINE, "Monitoring", "RecoveryActionsEnabled")
_STRICTEST: Final = ("Inactive", "Draining", "Active")


@dataclass(frozen=True, slots=True)
class Wish:
    """What one requester wants of one component."""

    requester: str
    state: str
    at: datetime


@dataclass(slots=True)
class Components:
    """The components of one server."""

    version: str
    installed: datetime
    local: dict[str, dict[str, Wish]] = field(default_factory=dict)
    remote: dict[str, dict[str, Wish]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _ALWAYS_THERE:
            self.ask(name, "Functional", "Active", self.installed)

    def names(self) -> tuple[str, ...]:
        """Those that a server of this version has, in their order."""
        return tuple(n for n in COMPONENTS if n != ONLY_2016 or self.version in ("2013", "2016"))

    def ask(
        self,
        component: str,
        requester: str,
        state: str,
        now: datetime,
        *,
        local: bool = True,
        remote: bool = True,
    ) -> None:
        """A requester wants this state from now on."""
        wish = Wish(requester, state, now)
        if local:
            self.local.setdefault(component, {})[requester] = wish
        if remote:
            self.remote.setdefault(component, {})[requester] = wish

    def state(self, component: str) -> str:
        """The state that holds."""
        if component not in _ALWAYS_THERE and self.is_offline:
            return "Inactive"
        return self.wanted(component)

    def wanted(self, component: str) -> str:
        """The state that its own requesters want, whether the server is offline or not."""
        newest: dict[str, Wish] = {}
        for wishes in (self.local, self.remote):
            for wish in wishes.get(component, {}).values():
                known = newest.get(wish.requester)
                if known is None or wish.at > known.at:
                    newest[wish.requester] = wish
        wanted = {wish.state for wish in newest.values()}
        if not wanted:
            return "Inactive" if component in _NEVER_ACTIVE else "Active"
        return next(state for state in _STRICTEST if state in wanted)

    @property
    def is_offline(self) -> bool:
        """Whether the server is offline as a whole."""
        return self.state(OFFLINE) == "Inactive"
