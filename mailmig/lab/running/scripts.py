"""What Windows says to the scripts of mailmig, on each machine of the lab.

A script of mailmig runs everywhere. Where the machine lacks what it asks for (a cluster, a DNS
server, Hyper-V), it fails as it does there: PowerShell does not know the cmdlet.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from mailmig.lab import services
from mailmig.lab.accounts import Account
from mailmig.lab.logs import counting
from mailmig.lab.machines import Machine, Role
from mailmig.lab.organisation import share
from mailmig.lab.running import names_rows, windows_rows
from mailmig.lab.running.windows_rows import Failed, row
from mailmig.lab.windows import Answer
from mailmig.lab.world import World
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj
from mailmig.wire.windows_answers import asked, printed

Arguments = dict[str, str | list[str]]
# Services of machines without Exchange, beside those of every Windows.
_EVERYWHERE: Final = ("EventLog", "LanmanServer", "W32Time", "WinRM")
_OF_ROLE: Final = {
    Role.CONTROLLER: ("DNS", "Kdc", "Netlogon", "NTDS"), Role.HOST: ("ClusSvc", "vmms"),
}  # fmt: skip
# The first cmdlet of each script that needs more than Windows itself.
_FIRST: Final = {
    "cluster_heartbeat": "Get-Cluster", "cluster_nodes": "Get-ClusterNode",
    "cluster_witness": "Get-Cluster", "dns_records": "Get-DnsServerResourceRecord",
    "dns_zone": "Get-DnsServerZone", "virtual_machines": "Get-VM",
}  # fmt: skip


class Scripts:
    """Answers for one machine, by its full name; a handler of `mailmig.lab.windows`."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        servers = world.organisation.servers
        self._server = next((one for one in servers if one.fqdn.lower() == name.lower()), None)

    def __call__(self, account: Account, text: str) -> Answer | Awaitable[Answer] | None:
        found = asked(text)
        if found is None:
            return None
        script, arguments = found
        if script in counting.SCRIPTS:
            return asyncio.to_thread(self._counted, script, arguments)
        with self._world.lock:
            self._world.sync()
            try:
                rows = self._rows(script, arguments)
            except Failed as failed:
                rows = [failed.row]
        return Answer(printed(rows))

    def _counted(self, script: str, arguments: Arguments) -> Answer:
        """What is in the logs of an Exchange server; other machines have none."""
        folder = counting.path(str(arguments["folder"]))
        files = self._world.logs.files(self._server.name, folder) if self._server else ()
        return Answer(printed([row(**one) for one in counting.answer(script, files, arguments)]))

    def _rows(self, script: str, arguments: Arguments) -> list[Obj]:
        machine = self._world.surroundings.machines.of(self._name)
        assert machine is not None, f"{self._name} is no machine of the layout"
        everywhere = windows_rows.EVERYWHERE.get(script)
        if everywhere is not None:
            return everywhere(self._world, machine)
        if script == "services":
            names = arguments["names"]
            wanted = {name.lower() for name in ([names] if isinstance(names, str) else names)}
            found = self._services(machine)
            return [one for one in found if not wanted or str(one["Name"]).lower() in wanted]
        known = self._special(machine).get(script)
        if known is None:
            raise windows_rows.unknown_cmdlet(_FIRST[script])
        return known(arguments)

    def _special(self, machine: Machine) -> dict[str, Callable[[Arguments], list[Obj]]]:
        """What only some machines can answer."""
        world, around = self._world, self._world.surroundings
        if machine.place.role is Role.EXCHANGE and self._server and self._server.dag:
            return {
                "cluster_nodes": lambda _: self._nodes(),
                "cluster_witness": lambda _: self._witness(),
                "cluster_heartbeat": lambda _: [windows_rows.heartbeat(around.heartbeat)],
            }
        if machine.place.role is Role.CONTROLLER:
            server = next(one for one in around.names.inside if one.name == machine.place.name)
            return {
                "dns_records": lambda given: names_rows.records(server, given),
                "dns_zone": lambda given: names_rows.zone(server, given),
            }
        if machine.place.role is Role.HOST:
            return {
                "cluster_nodes": lambda _: windows_rows.hosts(world),
                "virtual_machines": lambda _: windows_rows.guests(world, machine),
            }
        return {}

    def _services(self, machine: Machine) -> list[Obj]:
        if self._server is not None:
            return self._services_of(self._server)
        names = (*_EVERYWHERE, *_OF_ROLE.get(machine.place.role, ()))
        return [self._service(name, name) for name in sorted(names, key=str.lower)]

    def _services_of(self, server: Server) -> list[Obj]:
        conditions = self._world.conditions(server.name)
        return [
            self._service(
                one.name, one.title, services.runs(conditions, one.name),
                services.start_mode(conditions, one),
            )
            for one in services.of(server)
        ]  # fmt: skip

    def _service(self, name: str, title: str, runs: bool = True, starts: str = "Auto") -> Obj:
        process = 600 + 4 * int(share(self._name, name) * 4000) if runs else 0
        return row(
            Name=name, Title=title, State="Running" if runs else "Stopped", StartMode=starts,
            Delayed=False, ProcessId=process, ExitCode=0,
        )  # fmt: skip

    def _nodes(self) -> list[Obj]:
        cluster = self._world.organisation.cluster
        self._running_cluster()
        return [
            row(
                Name=node.name, State=int(cluster.state(node)), Weight=node.weight,
                DynamicWeight=cluster.vote(node),
            )
            for node in cluster.nodes.values()
        ]  # fmt: skip

    def _witness(self) -> list[Obj]:
        cluster = self._world.organisation.cluster
        self._running_cluster()
        there = bool(cluster.kind)
        return [
            row(
                Cluster=cluster.dag.name, Kind=cluster.kind,
                State=int(cluster.witness_state) if there else None,
                Owner=cluster.owner if there else "",
                Share=cluster.witness_share if there else None,
                DynamicWeight=cluster.witness_weight, DynamicQuorum=True,
            )
        ]  # fmt: skip

    def _running_cluster(self) -> None:
        """Raises `Failed` where the cluster service does not answer; its words [MEM]."""
        assert self._server is not None
        if self._server.name not in self._world.organisation.cluster.operational:
            raise Failed(
                "The cluster service is not running. Make sure that the service is running on "
                "all nodes in the cluster.", "ConnectionError",
                "ClusterServiceNotRunning,Microsoft.FailoverClusters.PowerShell.GetClusterCommand",
                "ClusterCmdletException",
            )  # fmt: skip
