"""What stands around Exchange: the machines, the names, the directory. Faults reach them here.

Everything exists without listening anywhere; a running lab serves these very objects.
"""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime

from mailmig.lab.directory.forest import Forest, Standing
from mailmig.lab.hypervisors import Heartbeat
from mailmig.lab.lines import Lines
from mailmig.lab.machines import Machines, Place, Role
from mailmig.lab.organisation import Organisation
from mailmig.lab.running.layout import Layout
from mailmig.lab.running.zones import DELAY, NameServers, name_servers
from mailmig.lab.web.gateway_rules import GatewayRules


@dataclass(slots=True)
class Surroundings:
    """The surroundings of one organisation.

    `gateway` is how the reverse proxy outside is set. `claims` are the things that a fault has
    changed, and which one: two would not find back.
    """

    layout: Layout
    machines: Machines
    names: NameServers
    forest: Forest
    heartbeat: Heartbeat
    gateway: GatewayRules = field(default_factory=GatewayRules)
    lines: Lines = field(default_factory=Lines)
    claims: dict[Hashable, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        organisation: Organisation,
        layout: Layout,
        now: Callable[[], datetime],
        lock: AbstractContextManager[object],
    ) -> "Surroundings":
        """Healthy surroundings. `lock` is held by whoever reads or changes the organisation."""
        # The first controller writes; changes reach the others later.
        controllers = tuple(
            Standing(machine.name.partition(".")[0], machine.site, delay=DELAY * (place > 0))
            for place, machine in enumerate(layout.controllers)
        )
        forest = Forest(organisation, now, controllers=controllers, lock=lock)
        forest.subnets = {layout.network(site): site for site in forest.sites}
        return cls(
            layout, Machines(organisation, places(layout)),
            name_servers(organisation, layout, now), forest, Heartbeat(),
        )  # fmt: skip


def places(layout: Layout) -> tuple[Place, ...]:
    """The Windows machines of a layout, and what each is for."""
    roles = (
        (layout.exchange, Role.EXCHANGE), (layout.controllers, Role.CONTROLLER),
        ((layout.witness,), Role.WITNESS), (layout.hosts, Role.HOST),
    )  # fmt: skip
    return tuple(
        Place(machine.name, machine.site, machine.address, role)
        for machines, role in roles
        for machine in machines
    )
