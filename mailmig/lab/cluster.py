"""The DAG and the failover cluster below it: nodes, votes, witness, owner of the core group.

    cluster = world.organisation.cluster
    cluster.has_quorum, cluster.owner            # whether it runs, and the PAM ("" without one)
    node = cluster.nodes["LS-EX1"]
    cluster.state(node), node.weight, cluster.vote(node)
    cluster.witness_state, cluster.witness_weight, cluster.witness_share, cluster.kind
    cluster.pause("LS-EX1"), cluster.resume("LS-EX1"), cluster.move_group("LS-EX2")

Names of nodes are short, as in `Dag.servers`. Who reads through a protocol calls `world.sync()`
first: it lets the laws act on what was changed since (`mailmig.lab.activating.settle`).

Votes (health.md 0.5, 7.8). With all nodes up, the witness votes when it works and the nodes alone
could be split evenly. A node that goes down keeps its vote, and the witness keeps its own: of three
votes two are left. Without a witness in use, two nodes have two votes, and one is no majority.

Two-member rule of DAC (health.md 2.1 dag_witness_uptime, 7.12): a member that was restarted may
mount again when another member that may is there, when all members are there, or when the witness
was not restarted since the member last might.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailmig.model.windows import NodeState, ResourceState

# PreferenceMoveFrequency as it comes, and the longest that the replication service survives:
# a 32-bit number of milliseconds (health.md 2.1 dag_preference_move).
HOURLY: Final = timedelta(hours=1)
LONGEST_FREQUENCY: Final = timedelta(milliseconds=2**32 - 1)
FILE_SHARE_WITNESS: Final = "File Share Witness"


@dataclass(slots=True)
class DagNetwork:
    """A network of the DAG. `subnets` and `interfaces` are per member: name to address.

    `failed` are members whose interface does not work.
    """

    name: str
    subnets: dict[str, str]
    interfaces: dict[str, str]
    mapi: bool = True
    replication: bool = True
    misconfigured: bool = False
    failed: set[str] = field(default_factory=set)

    @classmethod
    def plain(cls, sites: Mapping[str, str]) -> "DagNetwork":
        """One network for all; `sites` are the sites of the members, each with a subnet of its own."""
        numbers = {
            site: 20 + 10 * place for place, site in enumerate(dict.fromkeys(sites.values()))
        }
        return cls(
            "MapiDagNetwork",
            {name: f"10.{numbers[site]}.0.0/16" for name, site in sites.items()},
            {n: f"10.{numbers[site]}.0.{host}" for host, (n, site) in enumerate(sites.items(), 21)},
        )


@dataclass(slots=True)
class Dag:
    """The two target servers as one availability group; the witness stands at a third place.

    `preference_move` None is "never". `stopped` are the members that DAC keeps out.
    """

    name: str
    guid: str
    servers: tuple[str, ...]
    witness: str
    witness_folder: str
    alternate_witness: str = ""
    alternate_folder: str = ""
    activation_mode: str = "DagOnly"
    stopped: set[str] = field(default_factory=set)
    preference_move: timedelta | None = HOURLY
    replication_port: int = 64327
    networks: list[DagNetwork] = field(default_factory=list)


@dataclass(slots=True)
class Node:
    """One member as the cluster knows it.

    `weight` is the vote that an admin lets it have, `reaches_witness` whether it gets to the
    share, `may_mount` the bit of DAC mode. `left` is when it was last there before it went.
    """

    name: str
    paused: bool = False
    weight: int = 1
    reaches_witness: bool = True
    evicted: bool = False
    may_mount: bool = True
    left: datetime | None = None


@dataclass(slots=True)
class Cluster:
    """The cluster. `off` are the machines that are gone (the organisation's own set).

    `gone` are those that are no members, such as the witness server. `has_witness` is false where
    the quorum model knows of no witness although the share is there, `group_failed` where nothing
    can own the core group. `booted` holds machines that were restarted: nodes and the witness.
    `closed` are nodes that nobody reaches at the replication port. Names in `gone` and `booted`
    are short and in lower case.
    """

    dag: Dag
    off: set[str]
    service_stopped: Callable[[str], bool] = field(
        default=lambda name: False, repr=False, compare=False
    )
    nodes: dict[str, Node] = field(default_factory=dict)
    has_witness: bool = True
    gone: set[str] = field(default_factory=set)
    on_alternate: bool = False
    witness_weight: int = 1
    group_owner: str = ""
    group_failed: bool = False
    has_quorum: bool = True
    booted: dict[str, datetime] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.nodes = {name: Node(name) for name in self.dag.servers}
        self.group_owner = next(iter(self.dag.servers), "")

    def is_up(self, name: str) -> bool:
        """Whether the node's cluster service takes part; a paused one does."""
        node = self.nodes[name]
        return not (node.evicted or name in self.off or self.service_stopped(name))

    def up(self) -> tuple[str, ...]:
        """The nodes that take part."""
        return tuple(name for name in self.nodes if self.is_up(name))

    def state(self, node: Node) -> NodeState:
        """What Get-ClusterNode says."""
        if not self.is_up(node.name):
            return NodeState.DOWN
        return NodeState.PAUSED if node.paused else NodeState.UP

    def vote(self, node: Node) -> int:
        """The node's dynamic weight: one that is down keeps its vote."""
        return 0 if node.evicted else node.weight

    @property
    def operational(self) -> tuple[str, ...]:
        """The members that run and talk to each other; none without quorum."""
        return self.up() if self.has_quorum else ()

    @property
    def owner(self) -> str:
        """The node that owns the core group, the Primary Active Manager; "" when there is none."""
        return "" if self.group_failed or not self.has_quorum else self.group_owner

    def reaches_witness(self, name: str) -> bool:
        """Whether the node would get to the share: a witness on a member goes with that one."""
        host = short(self.witness_host)
        if host in self.gone or host in map(short, self.off):
            return False
        return self.on_alternate or self.nodes[name].reaches_witness

    @property
    def witness_reached(self) -> bool:
        """Whether some node that is up gets to the share."""
        return any(map(self.reaches_witness, self.up()))

    @property
    def kind(self) -> str:
        """The type of the quorum resource; "" where there is none."""
        return FILE_SHARE_WITNESS if self.has_witness else ""

    @property
    def witness_state(self) -> ResourceState:
        """The state of the witness as a cluster resource; UNKNOWN where there is none."""
        if not self.has_witness:
            return ResourceState.UNKNOWN
        return ResourceState.ONLINE if self.witness_reached else ResourceState.FAILED

    @property
    def share_in_use(self) -> str:
        """WitnessShareInUse: Primary, Alternate, None, InvalidConfiguration (names [MEM])."""
        if not self.has_witness:
            return "None"
        if not self.witness_reached:
            return "InvalidConfiguration"
        return "Alternate" if self.on_alternate else "Primary"

    @property
    def witness_host(self) -> str:
        """The server of the witness that is in use."""
        return self.dag.alternate_witness if self.on_alternate else self.dag.witness

    @property
    def witness_share(self) -> str:
        """The path of the share that the cluster uses."""
        _, _, domain = self.dag.witness.partition(".")
        return rf"\\{self.witness_host}\{self.dag.name.lower()}.{domain}"

    def pause(self, name: str) -> None:
        """Suspend-ClusterNode: it keeps its vote and can own nothing new."""
        self.nodes[name].paused = True

    def resume(self, name: str) -> None:
        """Resume-ClusterNode."""
        self.nodes[name].paused = False

    def move_group(self, name: str) -> bool:
        """Move-ClusterGroup "Cluster Group": false when that node cannot own it."""
        if not self.is_up(name) or self.nodes[name].paused:
            return False
        self.group_owner = name
        return True

    def lost(self, name: str, now: datetime) -> None:
        """The machine goes: it will have to be allowed to mount again."""
        if name in self.nodes and self.nodes[name].may_mount:
            self.nodes[name].left = now
            self.nodes[name].may_mount = False

    def force(self, names: Iterable[str], *, alternate: bool) -> None:
        """Restore-DatabaseAvailabilityGroup: these go on alone, whatever the votes were."""
        kept = set(names)
        for name, node in self.nodes.items():
            node.evicted = name not in kept
            node.may_mount = node.may_mount or name in kept
        self.on_alternate = alternate
        self._count_anew()
        self.has_quorum = bool(self.up())

    def apply_model(self) -> None:
        """Set-DatabaseAvailabilityGroup without parameters: the quorum model that fits, again."""
        self.has_witness = True
        for name, node in self.nodes.items():
            if name not in self.dag.stopped:
                node.evicted = False
        if not any(node.evicted for node in self.nodes.values()):
            self.on_alternate = False
        self.settle()

    def settle(self) -> None:
        """Who has quorum now, who owns the group, who may mount."""
        members = [node for node in self.nodes.values() if not node.evicted]
        up = self.up()
        if len(up) == len(members):
            self._count_anew()
        votes = sum(self.vote(self.nodes[name]) for name in up)
        if self.has_witness and self.witness_reached:
            votes += self.witness_weight
        every = sum(map(self.vote, members)) + self.witness_weight
        self.has_quorum = bool(up) and 2 * votes > every
        if self.has_quorum and self.group_owner not in up:
            free = [name for name in up if not self.nodes[name].paused]
            self.group_owner = (free or list(up))[0]
        self._allow(up)

    def _count_anew(self) -> None:
        """The witness votes when it works and the nodes alone could be split evenly."""
        nodes = sum(map(self.vote, self.nodes.values()))
        works = self.has_witness and self.witness_reached
        self.witness_weight = int(works and nodes % 2 == 0)

    def _allow(self, up: tuple[str, ...]) -> None:
        """The bit of DAC mode, for those that were restarted."""
        expected = [name for name in self.nodes if name not in self.dag.stopped]
        for name in up if self.has_quorum else ():
            node = self.nodes[name]
            if node.may_mount or name in self.dag.stopped:
                continue
            others = any(self.nodes[other].may_mount for other in up if other != name)
            witness = self.booted.get(short(self.witness_host))
            stands = node.left is not None and (witness is None or witness < node.left)
            two = len(self.nodes) == 2 and self.witness_reached and stands
            off = self.dag.activation_mode == "Off"
            node.may_mount = off or others or set(expected) <= set(up) or two


def short(name: str) -> str:
    """The first part of a machine's full name, in lower case."""
    return name.partition(".")[0].lower()
