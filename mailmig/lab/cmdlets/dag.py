"""Cmdlets about the DAG, its members and their health.

Words and classes of errors are from memory [MEM]. Get-MailboxServerRedundancy stands in no public
reference; what it tells is known from one admin's output only (health.md 2.1 dag_redundancy).
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from mailmig.lab import values as v
from mailmig.lab.activating import set_preference_move, settle
from mailmig.lab.availability import Availability
from mailmig.lab.cluster import short
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.configuration import plain
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.databases import MOUNT_DIALS, POLICIES
from mailmig.lab.exchange.calls import Warning
from mailmig.lab.objects import Live
from mailmig.lab.organisation import CLUSTER_SERVICE, Organisation
from mailmig.lab.replicating import status
from mailmig.lab.replication_health import failures
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj

_TASKS: Final = "Microsoft.Exchange.Management.SystemConfigurationTasks"
_MONITORING: Final = "Microsoft.Exchange.Monitoring"
_NOT_DAC: Final = f"{_TASKS}.DagTaskNotInDacModeException"
_SPAN: Final = re.compile(r"(-?)(?:(\d+)\.)?(\d+):(\d\d)(?::(\d\d)(?:\.\d+)?)?")
_RESULTS: Final = {"Passed": 1, "Failed": 3}
# The German words for "passed" are known (health.md 0.2), those for "failed" are assumed.
_SHOWN: Final = {
    "en-US": {"Passed": "Passed", "Failed": "*FAILED*"},
    "de-DE": {"Passed": "Prüfung bestanden", "Failed": "*FEHLGESCHLAGEN*"},
}
_WITNESS_FAILED: Final = (
    "Database availability group '{0}' witness is in a failed state. The database availability "
    "group requires the witness server to maintain quorum. Please use the "
    "Set-DatabaseAvailabilityGroup cmdlet to re-create the witness server and directory."
)


def _dags(ask: Ask) -> Iterator[Given]:
    yield from plain("dags", ask)
    cluster = ask.organisation.cluster
    if ask.bound.is_on("Status") and cluster.share_in_use == "InvalidConfiguration":
        yield Warning(_WITNESS_FAILED.format(ask.organisation.dag.name))


def _networks(ask: Ask) -> Iterator[Given]:
    dag = ask.organisation.dag
    member = ask.server_named("Server")
    name, _, network_name = ask.identity.partition("\\")
    shown = Availability(ask.organisation, ask.view.places, ask.view.culture)
    found = False
    for network in dag.networks:
        if name and not is_meant(name, dag.name, dag.guid):
            continue
        if network_name and not is_meant(network_name, network.name):
            continue
        if member is not None and member.name not in network.interfaces:
            continue
        found = True
        text, live = shown.network(network)
        yield Row("Get-DatabaseAvailabilityGroupNetwork", text, None, partial(_same, text, live))
    if ask.identity and not found:
        raise ask.not_found()


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


def _this_dag(ask: Ask) -> None:
    """See whether the identity means the DAG. Raises `Failed`."""
    dag = ask.organisation.dag
    dn = ask.view.places.configuration(ask.view.stores.dag_names())
    if not is_meant(ask.identity, dag.name, dag.guid, dn):
        raise ask.not_found()


def _set_dag(ask: Ask) -> Iterator[Given]:
    _this_dag(ask)
    dag = ask.organisation.dag
    every = _span(ask, "PreferenceMoveFrequency")
    mode = _one_of(ask, "DatacenterActivationMode", {"Off": 0, "DagOnly": 1})
    port = _port(ask)
    _refuse_member(ask)
    if ask.bound.is_on("WhatIf"):
        return
    for name, attribute in _TEXTS.items():
        value = str(ask.bound.get(name) or "")
        if value or (name in ask.bound.values and name in _MAY_BE_EMPTY):
            setattr(dag, attribute, value)
    dag.activation_mode = mode or dag.activation_mode
    dag.replication_port = port or dag.replication_port
    if every is not None:
        set_preference_move(ask.organisation, None if every < timedelta() else every)
    ask.organisation.cluster.apply_model()
    settle(ask.organisation)
    yield from ()


def _port(ask: Ask) -> int | None:
    """A UInt16. Raises `Failed`."""
    value = ask.bound.get("ReplicationPort")
    if value is None:
        return None
    text = str(value)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**16):
        raise errors.unconvertible(ask.bound.cmdlet, "ReplicationPort", value, "System.UInt16")
    return int(text)


def _refuse_member(ask: Ask) -> None:
    """A witness is no member of the DAG (the cmdlet's documentation). Raises `Failed`."""
    for name in ("WitnessServer", "AlternateWitnessServer"):
        value = str(ask.bound.get(name) or "")
        if short(value) in map(short, ask.organisation.dag.servers):
            raise ask.failed(
                f"The witness server '{value}' can't be a member of the database availability "
                "group.",
                f"{_TASKS}.DagFswServerNotAMailboxServerException", "InvalidArgument",
            )  # fmt: skip


_MAY_BE_EMPTY: Final = ("AlternateWitnessServer", "AlternateWitnessDirectory")
_TEXTS: Final = {
    "WitnessServer": "witness", "WitnessDirectory": "witness_folder",
    "AlternateWitnessServer": "alternate_witness", "AlternateWitnessDirectory": "alternate_folder",
}  # fmt: skip


def _stop(ask: Ask) -> Iterator[Given]:
    """DAC mode: these members may not mount any more; without -ConfigurationOnly they stop now."""
    _this_dag(ask)
    members = _members(ask)
    only = ask.bound.is_on("ConfigurationOnly")
    if not only:
        _refuse_gone(ask, members)
    if ask.bound.is_on("WhatIf"):
        return
    for name in members:
        ask.organisation.dag.stopped.add(name)
        if not only:
            ask.organisation.stopped_services(name).add(CLUSTER_SERVICE)
    settle(ask.organisation)
    yield from ()


def _refuse_gone(ask: Ask, members: list[str]) -> None:
    for name in members:
        if name in ask.organisation.down:
            raise ask.failed(
                f"Server '{name}' couldn't be contacted. Use ConfigurationOnly when it is down.",
                f"{_TASKS}.DagTaskComputerAccountException", "ResourceUnavailable",
            )  # fmt: skip


def _start(ask: Ask) -> Iterator[Given]:
    _this_dag(ask)
    members = _members(ask)
    if not ask.bound.is_on("ConfigurationOnly"):
        _refuse_gone(ask, members)
    if ask.bound.is_on("WhatIf"):
        return
    cluster = ask.organisation.cluster
    for name in members:
        ask.organisation.dag.stopped.discard(name)
        if not ask.bound.is_on("ConfigurationOnly"):
            cluster.nodes[name].evicted = False
            ask.organisation.stopped_services(name).discard(CLUSTER_SERVICE)
    settle(ask.organisation)
    yield from ()


def _restore(ask: Ask) -> Iterator[Given]:
    """The members that were not stopped go on alone, with the alternate witness if there is one."""
    _this_dag(ask)
    _dac(ask)
    dag = ask.organisation.dag
    left = [name for name in dag.servers if name not in dag.stopped]
    if not dag.stopped or not left:
        raise ask.failed(
            f"Database availability group '{dag.name}' has no stopped and running members: stop "
            "those of the failed site first.",
            f"{_TASKS}.DagTaskRestoreException", "InvalidOperation",
        )  # fmt: skip
    if ask.bound.is_on("WhatIf"):
        return
    for name in ("AlternateWitnessServer", "AlternateWitnessDirectory"):
        if name in ask.bound.values:
            setattr(dag, _TEXTS[name], str(ask.bound.get(name)))
    alternate = bool(dag.alternate_witness) and not ask.bound.is_on("UsePrimaryWitnessServer")
    for name in left:
        ask.organisation.stopped_services(name).discard(CLUSTER_SERVICE)
    ask.organisation.cluster.force(left, alternate=alternate)
    settle(ask.organisation)
    yield from ()


def _dac(ask: Ask) -> None:
    if ask.organisation.dag.activation_mode == "Off":
        raise ask.failed(
            f"Database availability group '{ask.organisation.dag.name}' isn't in datacenter "
            "activation mode.",
            _NOT_DAC, "InvalidOperation",
        )  # fmt: skip


def _members(ask: Ask) -> list[str]:
    """The members that a server or a site names. Raises `Failed`."""
    _dac(ask)
    one = ask.server_named("MailboxServer")
    site = str(ask.bound.get("ActiveDirectorySite") or "")
    found = [
        name
        for name in ask.organisation.dag.servers
        if (one is not None and one.name == name)
        or (site and ask.organisation.server(name).site.lower() == site.lower())
    ]
    if not found:
        raise ask.not_found(site or str(ask.bound.get("MailboxServer")))
    return found


def _set_mailbox_server(ask: Ask) -> Iterator[Given]:
    server = _member(ask)
    settings = ask.organisation.activation[server.name]
    policy = _one_of(ask, "DatabaseCopyAutoActivationPolicy", POLICIES)
    dial = _one_of(ask, "AutoDatabaseMountDial", MOUNT_DIALS)
    if ask.bound.is_on("WhatIf"):
        return
    settings.policy = policy or settings.policy
    settings.mount_dial = dial or settings.mount_dial
    values = ask.bound.values
    if "MaximumActiveDatabases" in values:
        settings.maximum = _number(ask.bound.get("MaximumActiveDatabases"))
    if "MaximumPreferredActiveDatabases" in values:
        settings.preferred = _number(ask.bound.get("MaximumPreferredActiveDatabases"))
    if "DatabaseCopyActivationDisabledAndMoveNow" in values:
        wanted = ask.bound.is_on("DatabaseCopyActivationDisabledAndMoveNow")
        since = settings.move_now or ask.organisation.now
        settings.move_now = since if wanted else None
    settle(ask.organisation)
    yield from ()


def _replication_health(ask: Ask) -> Iterator[Given]:
    server = _member(ask)
    if server.name in ask.organisation.down:
        raise ask.failed(
            f"Server '{server.name}' couldn't be contacted.",
            f"{_MONITORING}.ReplicationHealthServerUnreachableException", "ResourceUnavailable",
        )  # fmt: skip
    words = _SHOWN[ask.view.culture.name]
    for check, said in failures(ask.organisation, server.name):
        result = "Failed" if said else "Passed"
        number = _RESULTS[result]
        live: Live = {
            "Server": server.name,
            "Check": check,
            "CheckDescription": f"{check} on {server.name}.",
            "Result": Obj(
                (f"{_MONITORING}.ReplicationCheckResult", "System.Object"), words[result],
                {"Value": v.enum(f"{_MONITORING}.ReplicationCheckResultEnum", result, number)},
            ),
            "Error": said,
            "Identity": f"{check}-{server.name}",
        }  # fmt: skip
        yield Row("Test-ReplicationHealth", check, None, partial(_same, "", live))


def _redundancy(ask: Ask) -> Iterator[Given]:
    """In a DAG of two copies no server is ever safe to be taken away (dag_redundancy)."""
    wanted = str(ask.bound.get("DatabaseAvailabilityGroup") or "")
    dag = ask.organisation.dag
    if wanted and not is_meant(wanted, dag.name, dag.guid):
        raise ask.not_found(wanted)
    one = ask.server_named("Identity")
    for name in dag.servers:
        if one is not None and one.name != name:
            continue
        live: Live = {
            "Identity": name,
            "IsInMaintenance": ask.organisation.cluster.nodes[name].paused,
            "RepairUrgency": "Prohibited" if _last_copies(ask.organisation, name) else "Normal",
            "SafeForMaintenance": False,
            "HealthInfoLastUpdateTime": ask.organisation.now,
        }
        yield Row("Get-MailboxServerRedundancy", name, None, partial(_same, name, live))


def _last_copies(state: Organisation, server: str) -> bool:
    """Whether some database would be gone without this server."""
    for database in state.databases.values():
        whole = [
            copy.server
            for copy in state.copies_of(database)
            if status(state, database, copy) in ("Mounted", "Healthy")
        ]
        if database.dag and whole == [server]:
            return True
    return False


def _member(ask: Ask) -> Server:
    """The server that the identity names, this one when there is none."""
    return ask.server_named("Identity") or ask.server


def _one_of(ask: Ask, parameter: str, names: Mapping[str, int]) -> str | None:
    """The value of an enum as it is spelled; a number counts too. Raises `Failed`."""
    value = ask.bound.get(parameter)
    if value is None:
        return None
    for name, number in names.items():
        if str(value).lower() in (name.lower(), str(number)):
            return name
    raise errors.unconvertible(ask.bound.cmdlet, parameter, value, parameter)


def _number(value: object) -> int | None:
    return None if value in (None, "") else int(str(value))


def _span(ask: Ask, parameter: str) -> timedelta | None:
    """A TimeSpan: typed, or as text "1.00:00:00". Raises `Failed`."""
    value = ask.bound.get(parameter)
    if value is None or isinstance(value, timedelta):
        return value
    found = _SPAN.fullmatch(str(value))
    if found is None:
        raise errors.unconvertible(ask.bound.cmdlet, parameter, value, "System.TimeSpan")
    sign, days, hours, minutes, seconds = found.groups(default="0")
    whole = timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=int(seconds))
    return -max(whole, timedelta(milliseconds=1)) if sign == "-" else whole


CMDLETS: Final = (
    Simulated("Get-DatabaseAvailabilityGroup", _dags, ("Identity", "Status")),
    Simulated("Get-DatabaseAvailabilityGroupNetwork", _networks, ("Identity", "Server")),
    Simulated(
        "Set-DatabaseAvailabilityGroup", _set_dag,
        ("Identity", *_TEXTS, "DatacenterActivationMode", "PreferenceMoveFrequency",
         "ReplicationPort", "SkipDagValidation"),
        changes=True,
    ),
    Simulated(
        "Stop-DatabaseAvailabilityGroup", _stop,
        ("Identity", "MailboxServer", "ActiveDirectorySite", "ConfigurationOnly"),
        changes=True, asks=True,
    ),
    Simulated(
        "Start-DatabaseAvailabilityGroup", _start,
        ("Identity", "MailboxServer", "ActiveDirectorySite", "ConfigurationOnly"), changes=True,
    ),
    Simulated(
        "Restore-DatabaseAvailabilityGroup", _restore,
        ("Identity", "ActiveDirectorySite", "AlternateWitnessServer", "AlternateWitnessDirectory",
         "UsePrimaryWitnessServer"),
        changes=True, asks=True,
    ),
    Simulated(
        "Set-MailboxServer", _set_mailbox_server,
        ("Identity", "DatabaseCopyAutoActivationPolicy", "AutoDatabaseMountDial",
         "DatabaseCopyActivationDisabledAndMoveNow", "MaximumActiveDatabases",
         "MaximumPreferredActiveDatabases"),
        changes=True,
    ),
    Simulated("Test-ReplicationHealth", _replication_health, ("Identity",)),
    Simulated("Get-MailboxServerRedundancy", _redundancy, ("Identity", "DatabaseAvailabilityGroup")),
)  # fmt: skip
