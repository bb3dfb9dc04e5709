"""Faults of versions: builds that differ, are old or out of support, and what an update left.

A build is what AdminDisplayVersion shows: the cumulative update. Which security update is on top
of it, only the file version of ExSetup.exe tells (health.md 2.14). Builds: migration.md 3 and
CSS-Exchange Get-ExchangeBuildVersionInformation.ps1.
"""

from typing import ClassVar

from mailmig.lab import services
from mailmig.lab.faults.machines import Claiming
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.world import World
from mailmig.model.organisation import NO_BUILD, Build

EXCHANGE_2013_CU23: Build = (15, 0, 1497, 2)
EXCHANGE_2019_CU15: Build = (15, 2, 1748, 10)
# The cumulative update before the last one, by version; before SE came 2019 CU15.
ONE_BEFORE: dict[str, Build] = {
    "2016": (15, 1, 2375, 7), "2019": (15, 2, 1544, 4), "SE": EXCHANGE_2019_CU15,
}  # fmt: skip


class _OtherBuild(Claiming):
    """A server has another build."""

    wants = "a server"
    build: ClassVar[Build]

    def __init__(self) -> None:
        super().__init__()
        self._before: Build = NO_BUILD

    def on(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        build = self.wrong(world, target)
        self.claim(world, target, [("build", name)])
        self._before = world.organisation.server(name).build
        world.organisation.change_server(name, build=build)

    def off(self, world: World, target: str) -> None:
        name = server_named(self, world, target)
        world.organisation.change_server(name, build=self._before)
        self.release(world)

    def wrong(self, world: World, target: str) -> Build:
        """The build that the server has while the fault is on. Raises `BadTarget`."""
        return self.build


class NodesDiffer(_OtherBuild):
    id = "node-version-differs"
    family = "versions"
    shows = ("ver_same",)
    description = "one member of the DAG is still on 2019 CU15 while the other one is not"
    wants = "a member of the DAG that is on SE"
    build = EXCHANGE_2019_CU15

    def wrong(self, world: World, target: str) -> Build:
        server = world.organisation.server(server_named(self, world, target))
        if not server.dag or server.version != "SE":
            raise self.bad(target)
        return self.build


class Server2013Asked(_OtherBuild):
    id = "server-2013-asked"
    family = "versions"
    shows = ("ver_supported", "db_content_index")
    description = (
        "the server is one of Exchange 2013: out of support, fewer cmdlets, and it shows the content "
        'index of copies on 2019 and SE as "11"'
    )
    wants = "a server outside of the DAG"
    build = EXCHANGE_2013_CU23

    def wrong(self, world: World, target: str) -> Build:
        server = world.organisation.server(server_named(self, world, target))
        if server.dag:
            raise self.bad(target)
        return self.build


class Outdated(_OtherBuild):
    id = "server-outdated"
    family = "versions"
    shows = ("ver_latest_su", "ver_supported")
    description = "the server lacks the latest cumulative update"
    wants = "a server of 2016, 2019 or SE"

    def wrong(self, world: World, target: str) -> Build:
        server = world.organisation.server(server_named(self, world, target))
        if server.version not in ONE_BEFORE:
            raise self.bad(target)
        return ONE_BEFORE[server.version]


class SetupResidue(Fault):
    id = "setup-residue"
    family = "versions"
    shows = ("ver_setup_residue", "svc_component_requesters")
    description = (
        "an update stopped half-way: ServerWideOffline and Monitoring are Inactive by the requester "
        "Functional"
    )
    wants = "a server"

    def on(self, world: World, target: str) -> None:
        self._ask(world, target, "Inactive")

    def off(self, world: World, target: str) -> None:
        self._ask(world, target, "Active")

    def _ask(self, world: World, target: str, state: str) -> None:
        server = server_named(self, world, target)
        for component in ("ServerWideOffline", "Monitoring", "RecoveryActionsEnabled"):
            world.components(server).ask(component, "Functional", state, world.organisation.now)
        services.follow_components(world, server)
