"""Faults of Active Directory, as its controllers show it (health.md 2.12).

What is changed in the directory reaches the other controllers after their delay.
"""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta

from mailmig.lab.directory.computers import TRUSTED
from mailmig.lab.directory.forest import Forest, Standing
from mailmig.lab.faults.machines import Claiming, Worse
from mailmig.lab.machines import Reach
from mailmig.lab.world import World
from mailmig.model.organisation import Server

# As Setup of Exchange 2016 CU23 leaves schema and organisation [MEM].
PREPARED_FOR_2016 = (15_334, 16_223)
# How long ago the controller heard of the others for the last time.
CUT_SINCE = timedelta(hours=3)
MANY_GROUPS, MANY_SITES = 140, 1_050

Changes = Mapping[str, object]


class ServerFault(Claiming):
    """What the directory says of one Exchange server is wrong."""

    family = "directory"
    wants = "an Exchange server, as LS-EX1"

    @abstractmethod
    def spoil(self, forest: Forest, server: Server) -> None:
        """Let it be wrong."""

    @abstractmethod
    def mend(self, forest: Forest, server: Server) -> None:
        """Let it be right again."""

    def on(self, world: World, target: str) -> None:
        server, forest = self._server(world, target), world.surroundings.forest
        self.claim(world, target, [(self.id, server.name)])
        self.spoil(forest, server)
        forest.look_at_few()  # the change is of now

    def off(self, world: World, target: str) -> None:
        forest = world.surroundings.forest
        self.mend(forest, self._server(world, target))
        forest.look_at_few()
        self.release(world)

    def _server(self, world: World, target: str) -> Server:
        for server in world.organisation.servers:
            if target.lower() in (server.name.lower(), server.fqdn.lower()):
                return server
        raise self.bad(target)


class ControllerFault(Worse):
    """A domain controller is not as it should be."""

    family = "directory"
    wants = "a domain controller, as ls-dc2"

    def what(self, world: World, target: str) -> Standing:
        domain = world.organisation.domain
        for standing in world.surroundings.forest.controllers:
            if target.lower() in (standing.name, f"{standing.name}.{domain}"):
                return standing
        raise self.bad(target)


class NoGlobalCatalog(ControllerFault):
    id = "ad-no-global-catalog"
    shows = ("ad_dc_per_site",)
    description = "the controller is no global catalogue any more"

    def worse(self, world: World, target: str) -> Changes:
        return {"is_global_catalog": False}


class NoReplication(ControllerFault):
    id = "ad-replication-stops"
    shows = ("ad_replication",)
    description = "the controller has heard of no change for three hours, and hears of none"

    def worse(self, world: World, target: str) -> Changes:
        world.surroundings.forest.look()
        return {"cut_at": world.now - CUT_SINCE}

    def off(self, world: World, target: str) -> None:
        super().off(world, target)
        standing = self.what(world, target)
        if world.surroundings.machines.reach(standing.name) is Reach.UP:
            standing.cut_at = None


class WrongSite(ServerFault):
    id = "ad-subnet-wrong-site"
    shows = ("ad_node_site", "dag_site_spread")
    description = "the subnet of the server's address belongs to another site"

    def __init__(self) -> None:
        super().__init__()
        self._moved: tuple[str, ...] = ()

    def spoil(self, forest: Forest, server: Server) -> None:
        other = next(site for site in (*forest.sites, "") if site != server.site)
        self._moved = tuple(net for net, site in forest.subnets.items() if site == server.site)
        forest.subnets.update(dict.fromkeys(self._moved, other))

    def mend(self, forest: Forest, server: Server) -> None:
        forest.subnets.update(dict.fromkeys(self._moved, server.site))


class NotInGroup(ServerFault):
    id = "ad-group-missing"
    shows = ("ad_group_membership",)
    description = "the server's account is not in Exchange Trusted Subsystem"

    def spoil(self, forest: Forest, server: Server) -> None:
        forest.not_members.add((TRUSTED, server.name))

    def mend(self, forest: Forest, server: Server) -> None:
        forest.not_members.discard((TRUSTED, server.name))


class LargeToken(ServerFault):
    id = "ad-token-large"
    shows = ("ad_token_size",)
    description = "the server's account is in 140 groups more"

    def spoil(self, forest: Forest, server: Server) -> None:
        forest.more_groups[server.name] = MANY_GROUPS

    def mend(self, forest: Forest, server: Server) -> None:
        del forest.more_groups[server.name]


class NodeIsController(ServerFault):
    id = "ad-node-is-controller"
    shows = ("ad_node_not_dc",)
    description = "somebody made a domain controller of the server"

    def spoil(self, forest: Forest, server: Server) -> None:
        forest.promoted.add(server.name)

    def mend(self, forest: Forest, server: Server) -> None:
        forest.promoted.discard(server.name)


class ForestFault(Worse):
    """The forest as a whole is not as it should be."""

    family = "directory"
    wants = ""

    def what(self, world: World, target: str) -> Forest:
        return world.surroundings.forest

    def on(self, world: World, target: str) -> None:
        super().on(world, target)
        world.surroundings.forest.look_at_few()

    def off(self, world: World, target: str) -> None:
        super().off(world, target)
        world.surroundings.forest.look_at_few()


class ManySites(ForestFault):
    id = "ad-sites-many"
    shows = ("ad_site_count",)
    description = "the forest has more than a thousand sites"

    def worse(self, world: World, target: str) -> Changes:
        return {"more_sites": MANY_SITES}


class OldSchema(ForestFault):
    id = "ad-schema-old"
    shows = ("ad_schema",)
    description = "schema and organisation are prepared for Exchange 2016 only"

    def worse(self, world: World, target: str) -> Changes:
        schema, organisation = PREPARED_FOR_2016
        return {"schema_version": schema, "organisation_version": organisation}
