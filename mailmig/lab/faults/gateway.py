r"""Faults of the reverse proxy outside: what it lets through and how, and what it shows in TLS.

A target is a virtual directory; what happens concerns every host that the proxy serves. From
inside nothing of all this is seen (protocols.md 1.8.2, "Proxy blocks").
"""

from typing import ClassVar, Final

from mailmig.lab.faults.machines import Worse
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.faults.tls import CertificateFault, Expired, Unknown, WrongNames
from mailmig.lab.server_tls import ServiceTls
from mailmig.lab.web.directories import DIRECTORIES
from mailmig.lab.web.gateway_rules import Chunks, GatewayRules, Rule
from mailmig.lab.world import World

SLOW_S: Final = 8.0
# Shorter than Exchange lets a client wait for events: such a request never ends well.
LONGEST_S: Final = 5.0
DEVICE_INFO: Final = "webgate"
HALF_BYTES: Final = 20
_A_DIRECTORY: Final = "a virtual directory, as mapi"
_MAPI_ONLY: Final = ("mapi",)


class GatewayFault(Fault):
    """One more rule of the proxy, for one directory."""

    family = "gateway"
    wants = _A_DIRECTORY
    shows: ClassVar[tuple[str, ...]] = ("mapi_shared_mailbox", "ca_probe_<protocol>")

    def __init__(self) -> None:
        self._rule = Rule()

    def rule(self, directory: str) -> Rule:
        """What the proxy does from now on."""
        raise NotImplementedError

    def on(self, world: World, target: str) -> None:
        if target.lower() not in DIRECTORIES:
            raise self.bad(target)
        self._rule = self.rule(target.lower())
        world.surroundings.gateway.extra.append(self._rule)

    def off(self, world: World, target: str) -> None:
        rules = world.surroundings.gateway.extra
        rules[:] = [one for one in rules if one is not self._rule]


class Blocks(GatewayFault):
    id = "gateway-blocks"
    description = "the proxy answers by itself with 403 and a page of its own"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, refuse=403)


class ForbidsPost(GatewayFault):
    id = "gateway-forbids-post"
    description = "the proxy lets only reading through: 405 for every POST, healthcheck pages work"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, method="post", refuse=405)


class NotPublished(GatewayFault):
    id = "gateway-not-published"
    description = "the proxy publishes nothing below this path: 404"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, refuse=404)


class StripsCookies(GatewayFault):
    id = "gateway-strips-cookies"
    shows = ("mapi_shared_mailbox",)
    description = "the proxy takes the clients' cookies away: MAPI sessions hold no second request"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, no_cookies=True)


class HidesCookies(GatewayFault):
    id = "gateway-hides-cookies"
    shows = ("mapi_shared_mailbox",)
    description = "the proxy takes the servers' cookies away: clients get none to send back"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, no_set_cookies=True)


class RefusesChunks(GatewayFault):
    id = "gateway-forbids-chunks"
    shows = ("mapi_shared_mailbox",)
    description = "the proxy takes no answers in chunks: 502 in their place"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, chunks=Chunks.REFUSED)


class CutsChunks(GatewayFault):
    id = "gateway-cuts-chunks"
    shows = ("mapi_shared_mailbox",)
    description = "the proxy cuts answers in chunks behind the first one"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, chunks=Chunks.CUT)


class AddsDeviceInfo(GatewayFault):
    id = "gateway-adds-device-info"
    shows = ("mapi_shared_mailbox",)
    description = "the proxy adds X-DeviceInfo to answers; they are good all the same"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, device_info=DEVICE_INFO)


class NegotiateOnly(GatewayFault):
    id = "gateway-negotiate-only"
    shows = ("mapi_shared_mailbox", "ca_auth")
    description = "the proxy offers Negotiate alone, which needs a domain controller that nobody reaches from outside"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, challenges=("Negotiate",))


class CutsLong(GatewayFault):
    id = "gateway-cuts-long-requests"
    shows = ("mapi_shared_mailbox",)
    description = f"the proxy gives up whatever takes longer than {LONGEST_S:g} s"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, longest_s=LONGEST_S)


class Loops(GatewayFault):
    id = "gateway-redirect-loop"
    description = "the proxy sends every request to where it came from"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, redirect=".")


class Slow(GatewayFault):
    id = "gateway-slow"
    description = f"the proxy lets every request wait for {SLOW_S:g} s"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, delay_s=SLOW_S)


class Hangs(GatewayFault):
    id = "gateway-hangs"
    description = "the proxy takes requests and never answers"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, hang=True)


class Halves(GatewayFault):
    id = "gateway-half-answers"
    description = f"the proxy sends {HALF_BYTES} bytes of each answer and cuts the connection"

    def rule(self, directory: str) -> Rule:
        return Rule(directory=directory, cut_after=HALF_BYTES)


class RulesFault(Worse):
    """How the proxy knows its servers."""

    family = "gateway"
    shows: ClassVar[tuple[str, ...]] = ("dns_each_address",)

    def what(self, world: World, target: str) -> GatewayRules:
        return world.surroundings.gateway


class OneNode(RulesFault):
    id = "gateway-knows-one-node"
    description = "the proxy leads all clients to one server: in its maintenance nobody gets in"
    wants = "the server that it knows"

    def worse(self, world: World, target: str) -> dict[str, object]:
        return {"members": (server_named(self, world, target),)}


class AsksNobody(RulesFault):
    id = "gateway-asks-no-health"
    description = "the proxy leads clients to servers that are down, too: their share gets 502"
    wants = ""

    def worse(self, world: World, target: str) -> dict[str, object]:
        return {"asks_health": False}


class _OfGateway(CertificateFault):
    """The certificate that the proxy shows."""

    wants = ""

    def begin(self, world: World, target: str, what: str) -> list[ServiceTls]:
        self.claim(world, target, [(what, "gateway")])
        self._changed = [world.tls.gateway]
        return self._changed


class GatewayExpired(_OfGateway, Expired):
    id = "gateway-certificate-expired"
    description = "outside, the certificate of the proxy ended three days ago"


class GatewayWrongNames(_OfGateway, WrongNames):
    id = "gateway-certificate-wrong-names"
    shows = ("tls_names",)
    description = "outside, the certificate covers none of the names that clients use"


class GatewayUnknown(_OfGateway, Unknown):
    id = "gateway-certificate-unknown-authority"
    shows = ("tls_chain",)
    description = "outside, the certificate is signed by an authority that no client knows"
