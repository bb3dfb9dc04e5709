"""Faults of certificates in the servers' stores, as far as the cmdlets show them."""

from datetime import timedelta

from mailmig.lab.faults.machines import Claiming
from mailmig.lab.faults.servers import server_named
from mailmig.lab.server_certificates import Stored
from mailmig.lab.world import World

ENDED_FOR = timedelta(days=3)


class _OfStores(Claiming):
    """What servers have in their stores; it is given back as it was."""

    family = "tls"

    def __init__(self) -> None:
        super().__init__()
        self._stores: dict[str, list[Stored]] = {}

    def keep(self, world: World, target: str, *servers: str) -> None:
        """Remember the stores of these servers. Raises `AlreadyChanged`."""
        self.claim(world, target, [("certificates", name) for name in servers])
        for name in servers:
            self._stores[name] = world.certificates.kept(world.organisation.server(name))

    def off(self, world: World, target: str) -> None:
        for name, stored in self._stores.items():
            world.certificates.put_back(world.organisation.server(name), stored)
        self.release(world)


class AuthCertificateExpired(_OfStores):
    id = "auth-certificate-expired"
    shows = ("tls_auth_cert",)
    description = "the certificate for tokens between servers (OAuth) ended three days ago"
    wants = ""

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    def on(self, world: World, target: str) -> None:
        store = world.certificates
        names = [one.name for one in world.organisation.servers]
        self.keep(world, target, *names)
        self._before = store.auth_thumbprint()
        store.auth = store.replace_auth(world.organisation.now - ENDED_FOR, *names).thumbprint

    def off(self, world: World, target: str) -> None:
        super().off(world, target)
        world.certificates.auth = self._before


class AuthCertificateMissing(_OfStores):
    id = "auth-certificate-missing"
    shows = ("tls_auth_cert",)
    description = "a server lacks the certificate for tokens between servers (OAuth)"
    wants = "a server that has it"

    def on(self, world: World, target: str) -> None:
        server = world.organisation.server(server_named(self, world, target))
        thumbprint = world.certificates.auth_thumbprint()
        if not any(one.thumbprint == thumbprint for one in world.certificates.on(server)):
            raise self.bad(target)
        self.keep(world, target, server.name)
        world.certificates.remove(server, thumbprint)


class TransportCertificateMissing(_OfStores):
    id = "transport-certificate-missing"
    shows = ("tls_internal_transport",)
    description = "the server's own certificate for SMTP between servers is gone from its store"
    wants = "a server that has it"

    def on(self, world: World, target: str) -> None:
        server = world.organisation.server(server_named(self, world, target))
        store = world.certificates
        own = [
            one for one in store.kept(server)
            if "SMTP" in one.services and one.thumbprint != store.auth_thumbprint()
        ]  # fmt: skip
        if not own:
            raise self.bad(target)
        self.keep(world, target, server.name)
        for one in own:
            store.remove(server, one.thumbprint)
