r"""Faults of certificates and TLS as servers show them (health.md 2.9).

A target is a server, or SERVER\IIS or SERVER\SMTP for one of its services alone. What the servers'
stores hold besides is in `certificates`.
"""

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

from mailmig.lab.faults.machines import Claiming, Worse
from mailmig.lab.faults.servers import server_named
from mailmig.lab.server_tls import SERVICES, Kind, ServiceTls, Showing, Versions
from mailmig.lab.web.conditions import WebConditions
from mailmig.lab.world import World

WANTS: Final = r"a server, or server and service, as EX1\SMTP"
ENDED_FOR: Final = timedelta(days=3)
# Below the thirty days at which an expiry is critical.
ENDS_IN: Final = timedelta(days=20)
_A_YEAR: Final = timedelta(days=365)


class ServiceFault(Claiming):
    """TLS of one service, or of both, of a server."""

    family = "tls"
    wants = WANTS

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[ServiceTls] = []

    def begin(self, world: World, target: str, what: str) -> list[ServiceTls]:
        """The services that are meant, claimed. Raises `BadTarget`, `AlreadyChanged`."""
        server, blank, word = target.partition("\\")
        name = server_named(self, world, server)
        services = [one for one in SERVICES if not blank or one.lower() == word.lower()]
        if not services:
            raise self.bad(target)
        self.claim(world, target, [(what, name, one) for one in services])
        self._changed = [world.tls.of(name, one) for one in services]
        return self._changed


class CertificateFault(ServiceFault):
    """Another certificate is shown."""

    @abstractmethod
    def showing(self, world: World) -> Showing:
        """What is shown; clients judge it by the real clock."""

    def on(self, world: World, target: str) -> None:
        for service in self.begin(world, target, "certificate"):
            service.show(self.showing(world))

    def off(self, world: World, target: str) -> None:
        for service in self._changed:
            service.show(None)
        self.release(world)


class Expired(CertificateFault):
    id = "certificate-expired"
    shows = ("tls_expiry",)
    description = "the certificate ended three days ago"

    def showing(self, world: World) -> Showing:
        now = datetime.now(UTC)
        return Showing(since=now - _A_YEAR, until=now - ENDED_FOR)


class Expires(CertificateFault):
    id = "certificate-expires"
    shows = ("tls_expiry",)
    description = "the certificate ends in twenty days"

    def showing(self, world: World) -> Showing:
        now = datetime.now(UTC)
        return Showing(since=now - _A_YEAR, until=now + ENDS_IN)


class WrongNames(CertificateFault):
    id = "certificate-wrong-names"
    shows: ClassVar[tuple[str, ...]] = ("tls_names", "tls_same")
    description = "the certificate covers none of the names that clients use"

    def showing(self, world: World) -> Showing:
        return Showing(names=(f"intranet.{world.organisation.domain}",))


class NameMissing(CertificateFault):
    id = "certificate-name-missing"
    shows: ClassVar[tuple[str, ...]] = ("tls_names", "tls_same")
    description = "the certificate covers the namespace, but not autodiscover"

    def showing(self, world: World) -> Showing:
        return Showing(names=(world.organisation.namespace,))


class Unknown(CertificateFault):
    id = "certificate-unknown-authority"
    shows: ClassVar[tuple[str, ...]] = ("tls_chain", "tls_same")
    description = "the certificate is signed by an authority that no client knows"

    def showing(self, world: World) -> Showing:
        return Showing(Kind.UNKNOWN)


class Chainless(CertificateFault):
    id = "certificate-chain-incomplete"
    shows: ClassVar[tuple[str, ...]] = ("tls_chain", "tls_same")
    description = "the certificate of the authority between is not sent along"

    def showing(self, world: World) -> Showing:
        return Showing(Kind.CHAINLESS)


class SmallKey(CertificateFault):
    id = "certificate-small-key"
    shows = ("tls_key",)
    description = "the certificate has an RSA key of 1024 bits"

    def showing(self, world: World) -> Showing:
        return Showing(Kind.SMALL_KEY)


class VersionsFault(ServiceFault):
    """Other versions of TLS can be had."""

    shows = ("tls_protocols",)
    versions: ClassVar[Versions]

    def on(self, world: World, target: str) -> None:
        for service in self.begin(world, target, "versions"):
            service.allow(self.versions)

    def off(self, world: World, target: str) -> None:
        for service in self._changed:
            service.allow(Versions.MODERN)
        self.release(world)


class OldVersions(VersionsFault):
    id = "tls-old-versions"
    description = "TLS 1.0 and 1.1 are still on"
    versions = Versions.OLD_TOO


class NewestOnly(VersionsFault):
    id = "tls-12-off"
    description = "TLS 1.2 is off: older clients and servers find nothing in common"
    versions = Versions.NEWEST_ONLY


class NoBackEnd(Worse):
    id = "back-end-certificate-missing"
    family = "tls"
    shows = ("tls_backend_binding",)
    description = (
        "the binding of port 444 has no certificate: no front end reaches mailboxes on the server"
    )
    wants = "a server"

    def what(self, world: World, target: str) -> WebConditions:
        return world.conditions(server_named(self, world, target)).web

    def worse(self, world: World, target: str) -> dict[str, object]:
        return {"no_back_end": True}
