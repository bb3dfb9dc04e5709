"""What Windows says to the scripts of mailmig, as far as the organisation knows the facts.

A script about something that the machine has not, or that nobody here knows, is not recognised:
cluster scripts outside of the DAG, services of a machine without Exchange, volumes.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from mailmig.lab.accounts import Account
from mailmig.lab.cmdlets.health import ROLES
from mailmig.lab.organisation import share
from mailmig.lab.windows import Answer
from mailmig.lab.world import World
from mailmig.model.organisation import Server
from mailmig.model.windows import NodeState, ResourceState
from mailmig.wire.clixml import Obj, Value
from mailmig.wire.windows_answers import asked, printed

CLUSTER_SERVICE: Final = "ClusSvc"
_CUSTOM: Final = ("System.Management.Automation.PSCustomObject", "System.Object")
# Windows Server 2016 below Exchange 2016, 2022 below all else.
_WINDOWS_2016, _WINDOWS_2022 = "10.0.14393", "10.0.20348"
# A machine was started this long ago when the lab began: days.
_UP_AT_LEAST, _UP_SPREAD = 3, 35


class Scripts:
    """Answers for one machine; a handler of `mailmig.lab.windows`.

    `name` is its full name. It has Exchange's services where a server has that name.
    """

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name.partition(".")[0]
        servers = world.organisation.servers
        self._server = next((one for one in servers if one.fqdn.lower() == name.lower()), None)
        away = share(world.organisation.seed, "start", name) * _UP_SPREAD + _UP_AT_LEAST
        self._started = (world.now - timedelta(days=away)).replace(microsecond=0)

    def __call__(self, account: Account, text: str) -> Answer | None:
        found = asked(text)
        if found is None:
            return None
        script, arguments = found
        with self._world.lock:
            rows = self._rows(script, arguments)
        return None if rows is None else Answer(printed(rows))

    def _rows(self, script: str, arguments: dict[str, str | list[str]]) -> list[Obj] | None:
        if script == "boot_time":
            return [self._start()]
        if self._server is None:
            return None
        if script == "services":
            names = arguments["names"]
            wanted = {name.lower() for name in ([names] if isinstance(names, str) else names)}
            return self._services(self._server, wanted)
        in_dag: dict[str, Callable[[], list[Obj]]] = {
            "cluster_nodes": self._nodes, "cluster_witness": self._witness,
        }  # fmt: skip
        if script in in_dag and self._server.name in self._world.organisation.dag.servers:
            return in_dag[script]()
        return None

    def _start(self) -> Obj:
        old = self._server is not None and self._server.version in ("2013", "2016")
        return row(
            Name=self._name.upper(), Version=_WINDOWS_2016 if old else _WINDOWS_2022,
            StartedAt=self._started, Now=_seconds(self._world.now),
        )  # fmt: skip

    def _services(self, server: Server, wanted: set[str]) -> list[Obj]:
        stopped = self._world.conditions(server.name).stopped_services
        known = {name for names in ROLES.values() for name in names}
        if server.name in self._world.organisation.dag.servers:
            known.add(CLUSTER_SERVICE)
        return [
            self._service(name, name.lower() not in stopped)
            for name in sorted(known, key=str.lower)
            if not wanted or name.lower() in wanted
        ]

    def _service(self, name: str, runs: bool) -> Obj:
        process = 600 + 4 * int(share(self._name, name) * 4000) if runs else 0
        return row(
            Name=name, Title=name, State="Running" if runs else "Stopped", StartMode="Auto",
            Delayed=False, ProcessId=process, ExitCode=0,
        )  # fmt: skip

    def _nodes(self) -> list[Obj]:
        found = []
        for name in self._world.organisation.dag.servers:
            up = self._is_up(name)
            state = NodeState.UP if up else NodeState.DOWN
            found.append(row(Name=name, State=int(state), Weight=1, DynamicWeight=int(up)))
        return found

    def _witness(self) -> list[Obj]:
        organisation = self._world.organisation
        dag = organisation.dag
        up = [name for name in dag.servers if self._is_up(name)]
        return [
            row(
                Cluster=dag.name,
                Kind="File Share Witness",
                State=int(ResourceState.ONLINE),
                Owner=up[0] if up else "",
                Share=rf"\\{dag.witness}\{dag.name.lower()}.{organisation.domain}",
                # With dynamic quorum the witness votes when the nodes alone could be split evenly.
                DynamicWeight=int(len(up) % 2 == 0),
                DynamicQuorum=True,
            )
        ]

    def _is_up(self, name: str) -> bool:
        stopped = self._world.conditions(name).stopped_services
        return name not in self._world.organisation.down and CLUSTER_SERVICE.lower() not in stopped


def row(**values: Value) -> Obj:
    """One object as a script gives it."""
    return Obj(_CUSTOM, extended=values)


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
