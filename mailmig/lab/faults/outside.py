"""MAPI that breaks from outside only: the fault of the case study, in each of its causes.

Addresses for outside that are missing or wrong, and those named shared-outside: a server of the
other version has a name of its own outside ("old and new names side by side"), and behind that name
MAPI breaks, while mailboxes on the other servers and everything inside goes on as before
(protocols.md 1.8.1).
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from dns.rdatatype import RdataType

from mailmig.lab.faults.mapi import A_SERVER
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.setting import OtherSetting, front_end_object
from mailmig.lab.names import Zone
from mailmig.lab.server_tls import Showing
from mailmig.lab.web.gateway_rules import Chunks, Rule
from mailmig.lab.world import World
from mailmig.model.organisation import Server


class UrlOutsideMissing(OtherSetting):
    id = "mapi-url-outside-missing"
    family = "mapi"
    shows = ("ca_urls", "mapi_shared_mailbox")
    description = "no server has an address for MAPI from outside: Autodiscover names none"
    wants = ""

    def on(self, world: World, target: str) -> None:
        for server in world.organisation.servers:
            key, _ = front_end_object(world, "mapi", server.name)
            self.change(world, target, key, {"ExternalUrl": None})


class UrlOutsideWrong(OtherSetting):
    id = "mapi-url-outside-wrong"
    family = "mapi"
    shows = ("ca_urls", "mapi_shared_mailbox")
    description = "the server's address for MAPI from outside is its inside name: nobody finds it"
    wants = A_SERVER

    def on(self, world: World, target: str) -> None:
        server = world.organisation.server(server_named(self, world, target))
        key, _ = front_end_object(world, "mapi", server.name)
        self.change(world, target, key, {"ExternalUrl": f"https://{server.fqdn}/mapi"})


class OwnNameOutside(OtherSetting):
    """Outside, a server has a name of its own beside the namespace; `worse` breaks what is behind.

    Without that it would work: the name leads to the proxies, their certificate covers it, they
    lead it to this server, and Autodiscover tells it for the mailboxes there.
    """

    family = "mapi"
    shows: ClassVar[tuple[str, ...]] = ("mapi_shared_mailbox",)
    wants = A_SERVER

    def __init__(self) -> None:
        super().__init__()
        self._rules: tuple[Rule, ...] = ()

    @abstractmethod
    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        """A rule of the proxy for this host, and settings of the server's /mapi."""

    def on(self, world: World, target: str) -> None:
        server = world.organisation.server(server_named(self, world, target))
        host = self._host(world)
        rule, settings = self.worse(host)
        self.claim(world, target, [("certificate", "gateway"), ("name", True, host)])
        key, _ = front_end_object(world, "mapi", server.name)
        self.change(world, target, key, {"ExternalUrl": f"https://{host}/mapi", **settings})
        self._publish(world, host, server, rule)

    def off(self, world: World, target: str) -> None:
        host, gateway = self._host(world), world.surroundings.gateway
        gateway.extra[:] = [
            one for one in gateway.extra if not any(one is mine for mine in self._rules)
        ]
        gateway.hosts.discard(host)
        world.tls.gateway.show(None)
        zone = self._zone(world)
        for server in zone.servers:
            zone.set_at(server, zone.name(f"{host}."), RdataType.A, ())
        super().off(world, target)

    def _publish(self, world: World, host: str, server: Server, rule: Rule | None) -> None:
        gateway, zone = world.surroundings.gateway, self._zone(world)
        way = Rule(host=host, members=(server.name,))
        self._rules = (rule, way) if rule else (way,)
        gateway.extra.extend(self._rules)
        gateway.hosts.add(host)
        names = (*world.tls.gateway.certificate.names, host)
        world.tls.gateway.show(Showing(names=names))
        namespace = zone.name(f"{world.organisation.namespace}.")
        for one in zone.servers:
            records = zone.of_type(one, namespace, RdataType.A)
            zone.set_at(one, zone.name(f"{host}."), RdataType.A, records)

    @staticmethod
    def _host(world: World) -> str:
        return f"alt.{world.organisation.namespace.partition('.')[2]}"

    @staticmethod
    def _zone(world: World) -> Zone:
        found = world.surroundings.names.zone_of(world.organisation.namespace, outside=True)
        assert found is not None
        return found


class OutsideNotPublished(OwnNameOutside):
    id = "shared-outside-not-published"
    description = "the proxy does not publish /mapi for the server's own name: 404 outside"

    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        return Rule(host=host, directory="mapi", refuse=404), {}


class OutsideNegotiateOnly(OwnNameOutside):
    id = "shared-outside-negotiate-only"
    shows: ClassVar[tuple[str, ...]] = ("mapi_shared_mailbox", "ca_auth")
    description = "behind the server's own name outside, Negotiate alone is offered: 401 for ever"

    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        return Rule(host=host, directory="mapi", challenges=("Negotiate",)), {}


class OutsideProtected(OwnNameOutside):
    id = "shared-outside-extended-protection"
    shows: ClassVar[tuple[str, ...]] = ("mapi_shared_mailbox", "ca_extended_protection")
    description = (
        "the server requires Extended Protection for /mapi, and the proxy encrypts anew with "
        "another certificate: NTLM gets 401 outside"
    )

    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        return None, {"ExtendedProtectionTokenChecking": "Require"}


class OutsideCookiesLost(OwnNameOutside):
    id = "shared-outside-cookies-lost"
    description = "behind the server's own name outside, the proxy takes the clients' cookies away"

    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        return Rule(host=host, directory="mapi", no_cookies=True), {}


class OutsideHeadersLost(OwnNameOutside):
    id = "shared-outside-headers-lost"
    description = (
        "behind the server's own name outside, the proxy takes away headers of requests that it does "
        "not know: Exchange misses X-RequestId"
    )

    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        return Rule(host=host, directory="mapi", no_headers=("x-requestid",)), {}


class OutsideChunksForbidden(OwnNameOutside):
    id = "shared-outside-chunks-forbidden"
    description = "behind the server's own name outside, the proxy takes no answers in chunks: 502"

    def worse(self, host: str) -> tuple[Rule | None, Mapping[str, object]]:
        return Rule(host=host, directory="mapi", chunks=Chunks.REFUSED), {}
