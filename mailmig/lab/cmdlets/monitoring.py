r"""Managed availability: health sets, monitors, and what was muted.

Both health cmdlets ask the health manager of the server; where it does not run they fail (words
from memory [MEM]).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from mailmig.lab import setting_values
from mailmig.lab import values as v
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.health_sets import (
    ALERTS,
    DEGRADED,
    DEGRADED_FOR,
    DISABLED,
    HEALTHY,
    MONITORS,
    UNHEALTHY,
    Monitor,
    Override,
)
from mailmig.lab.objects import Live
from mailmig.model.organisation import Server, build_text
from mailmig.wire.clixml import Obj, Value

_SPACE: Final = "Microsoft.Exchange.Monitoring"
_ENTRY: Final = (f"{_SPACE}.MonitorHealthEntry", f"{v.DATA}.ConfigurableObject", "System.Object")
_WORST: Final = (UNHEALTHY, DEGRADED, DISABLED, HEALTHY)
# Numbers from memory [MEM].
_STATES: Final = {"NotApplicable": 0, "Online": 1, "PartiallyOnline": 2, "Offline": 3}
_KINDS: Final = ("Probe", "Monitor", "Responder")
_HA: Final = ("Clustering", "DataProtection", "Store")


def _report(ask: Ask) -> Iterator[Given]:
    server = _server(ask)
    sets: dict[str, list[tuple[Monitor, str, datetime]]] = {}
    for found in ask.world.monitoring.monitors(server):
        sets.setdefault(found[0].health_set, []).append(found)
    for name, entries in sorted(sets.items()):
        if _wanted(ask, name) and (not ask.bound.is_on("HaImpactingOnly") or name in _HA):
            yield Row("Get-HealthReport", name, None, partial(_set_shown, ask, server, entries))


def _wanted(ask: Ask, name: str) -> bool:
    wanted = ask.bound.get("HealthSet")
    return wanted is None or str(wanted).lower() == name.lower()


def _server(ask: Ask) -> Server:
    """The server that is asked. Raises `Failed`."""
    return answering(ask, ask.server_named("Identity") or ask.server)


def answering(ask: Ask, server: Server) -> Server:
    """The server whose health manager is asked. Raises `Failed` where it does not run."""
    if not ask.world.monitoring.runs(server.name):
        raise ask.failed(
            f"The Microsoft Exchange Health Manager service on server '{server.name}' didn't "
            "answer. Verify that the service is running.",
            f"{_SPACE}.ActiveMonitoringServerException", "ReadError",
        )  # fmt: skip
    return server


def _set_shown(
    ask: Ask, server: Server, entries: list[tuple[Monitor, str, datetime]]
) -> tuple[str, Live]:
    first = entries[0][0]
    values = [value for _, value, _ in entries]
    components = {monitor.component for monitor, _, _ in entries}
    return first.health_set, {
        "Server": server.name,
        "State": _state(ask, server, components),
        "HealthSet": first.health_set,
        "HealthGroup": v.enum(f"{_SPACE}.HealthGroup", *_group(first.group)),
        "AlertValue": _alert(min(values, key=_WORST.index)),
        "LastTransitionTime": max(at for _, _, at in entries),
        "MonitorCount": len(entries),
        "HaImpactingMonitorCount": len(entries) if first.health_set in _HA else 0,
        "Entries": Obj(
            (f"System.Collections.Generic.List`1[[{_ENTRY[0]}]]", "System.Object"),
            value=[_entry(ask, server, *entry) for entry in entries],
        ),
        "Identity": None,
    }  # fmt: skip


def _entry(ask: Ask, server: Server, monitor: Monitor, value: str, at: datetime) -> Value:
    return Obj(_ENTRY, monitor.name, {
        "Server": server.name, "Name": monitor.name, "TargetResource": "",
        "HealthSetName": monitor.health_set, "AlertValue": _alert(value),
        "ServerComponentName": monitor.component, "LastTransitionTime": at,
    })  # fmt: skip


def _group(name: str) -> tuple[str, int]:
    groups = ("None", "CustomerTouchPoints", "ServiceComponents", "ServerComponents",
              "KeyDependencies")  # fmt: skip
    return name, groups.index(name)


def _alert(value: str) -> Obj:
    return v.enum(f"{_SPACE}.MonitorAlertState", value, ALERTS[value])


def _state(ask: Ask, server: Server, components: set[str]) -> Obj:
    """Online or Offline where a server component stands behind it, else NotApplicable."""
    known = [name for name in components if name != "None"]
    if not known:
        return v.enum(f"{_SPACE}.MonitorServerComponentState", "NotApplicable", 0)
    states = ask.world.components(server.name)
    active = [states.state(name) == "Active" for name in known]
    name = "Online" if all(active) else "PartiallyOnline" if any(active) else "Offline"
    return v.enum(f"{_SPACE}.MonitorServerComponentState", name, _STATES[name])


def _health(ask: Ask) -> Iterator[Given]:
    server = _server(ask)
    for found in ask.world.monitoring.monitors(server):
        name = found[0].health_set
        if _wanted(ask, name) and (not ask.bound.is_on("HaImpactingOnly") or name in _HA):
            yield Row("Get-ServerHealth", found[0].name, None,
                      partial(_monitor_shown, ask, server, *found))  # fmt: skip


def _monitor_shown(
    ask: Ask, server: Server, monitor: Monitor, value: str, at: datetime
) -> tuple[str, Live]:
    now = ask.organisation.now
    ran = now - timedelta(seconds=now.timestamp() % 300)
    bad = value in (DEGRADED, UNHEALTHY)
    first = at - DEGRADED_FOR if value == UNHEALTHY else at
    return monitor.name, {
        "Server": server.name,
        "CurrentHealthSetState": _state(ask, server, {monitor.component}),
        "Name": monitor.name,
        "TargetResource": "",
        "HealthSetName": monitor.health_set,
        "HealthGroupName": monitor.group,
        "AlertValue": _alert(value),
        "FirstAlertObservedTime": first if bad else None,
        "IsHaImpacting": monitor.health_set in _HA,
        "DefinitionCreatedTime": ask.organisation.now.replace(hour=0, minute=0, second=0),
        "ServerComponentName": v.enum(
            f"{v.DATA}.Directory.ServerComponentEnum", monitor.component, 0
        ),
        "LastTransitionTime": at,
        "LastExecutionTime": ran,
        "LastExecutionResult": v.enum(
            "Microsoft.Office.Datacenter.WorkerTaskFramework.ResultType",
            "Failed" if bad else "Succeeded", 3 if bad else 2,
        ),
        "Identity": None,
    }  # fmt: skip


def _items(ask: Ask) -> Iterator[Given]:
    """Get-MonitoringItemIdentity: what a health set is made of."""
    server = ask.server_named("Server") or ask.server
    wanted = ask.identity.lower()
    found = [one for one in MONITORS if one.health_set.lower() == wanted]
    if not found:
        raise ask.not_found()
    for monitor in found:
        for kind in _KINDS:
            name = monitor.name.removesuffix("Monitor") + kind
            live: Live = {
                "Server": server.name, "HealthSetName": monitor.health_set, "Name": name,
                "TargetResource": "", "ItemType": _kind(kind),
                "Identity": f"{monitor.health_set}\\{name}",
            }  # fmt: skip
            yield Row("Get-MonitoringItemIdentity", name, None, partial(_same, name, live))


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


def _kind(name: str) -> Obj:
    return v.enum(f"{_SPACE}.MonitoringItemTypeEnum", name, _KINDS.index(name))


def _overrides(everywhere: bool, ask: Ask) -> Iterator[Given]:
    server = "" if everywhere else _named(ask)
    shape = f"Get-{'Global' if everywhere else 'Server'}MonitoringOverride"
    for one in ask.world.monitoring.overrides:
        if one.server.lower() == server.lower():
            live: Live = {
                "ItemType": _kind(one.kind), "PropertyName": one.setting,
                "HealthSetName": one.health_set, "MonitoringItemName": one.name,
                "TargetResource": one.target, "PropertyValue": one.value,
                "ExpirationTime": one.expires, "ApplyVersion": one.version or None,
                "CreatedBy": one.by, "CreatedTime": one.created, "Identity": one.item,
            }  # fmt: skip
            yield Row(shape, one.item, None, partial(_same, one.item, live))


def _named(ask: Ask) -> str:
    server = ask.server_named("Server")
    return (server or ask.server).name


def _add(everywhere: bool, ask: Ask) -> Iterator[Given]:
    given = ask.bound.values
    kind = str(given["ItemType"]).capitalize()
    if kind not in _KINDS:
        raise errors.unconvertible(
            ask.bound.cmdlet, "ItemType", given["ItemType"], "MonitoringItemTypeEnum"
        )
    now = ask.organisation.now
    version = given.get("ApplyVersion")
    one = Override(
        kind, ask.identity, str(given["PropertyName"]), str(given["PropertyValue"]), now,
        f"{ask.organisation.domain}/Administrator", "" if everywhere else _named(ask),
        _expires(ask), str(version or build_text(ask.server.build)),
    )  # fmt: skip
    if "\\" not in one.item or not any(
        one.health_set.lower() == monitor.health_set.lower() for monitor in MONITORS
    ):
        raise ask.failed(
            rf"'{one.item}' isn't a monitoring item; use <HealthSet>\<ItemName>.",
            f"{_SPACE}.InvalidIdentityException", "InvalidArgument",
        )  # fmt: skip
    if _find(ask, one) is not None:
        raise ask.failed(
            f"An override of '{one.setting}' for '{one.item}' already exists.",
            f"{_SPACE}.PropertyAlreadyHasAnOverrideException", "ResourceExists",
        )  # fmt: skip
    if not ask.bound.is_on("WhatIf"):
        ask.world.monitoring.overrides.append(one)
    yield from ()


def _expires(ask: Ask) -> datetime | None:
    """When it ends; an override for a version of Exchange has no end. Raises `Failed`."""
    lasts = ask.bound.get("Duration")
    if lasts is None:
        return None
    try:
        return ask.organisation.now + setting_values.span(lasts)
    except ValueError:
        raise errors.unconvertible(
            ask.bound.cmdlet, "Duration", lasts, "EnhancedTimeSpan"
        ) from None


def _find(ask: Ask, wanted: Override) -> Override | None:
    for one in ask.world.monitoring.overrides:
        same = (one.kind, one.item.lower(), one.setting.lower(), one.server.lower())
        if same == (wanted.kind, wanted.item.lower(), wanted.setting.lower(),
                    wanted.server.lower()):  # fmt: skip
            return one
    return None


def _remove(everywhere: bool, ask: Ask) -> Iterator[Given]:
    given = ask.bound.values
    wanted = Override(
        str(given["ItemType"]).capitalize(), ask.identity, str(given["PropertyName"]), "",
        ask.organisation.now, "", "" if everywhere else _named(ask),
    )  # fmt: skip
    found = _find(ask, wanted)
    if found is None:
        raise ask.not_found()
    if not ask.bound.is_on("WhatIf"):
        ask.world.monitoring.overrides.remove(found)
    yield from ()


_ITEM: Final = ("Identity", "ItemType", "PropertyName")
_ADDED: Final = (*_ITEM, "PropertyValue", "Duration", "ApplyVersion")
CMDLETS: Final = (
    Simulated("Get-HealthReport", _report, ("Identity", "HealthSet", "HaImpactingOnly")),
    Simulated("Get-ServerHealth", _health, ("Identity", "HealthSet", "HaImpactingOnly")),
    Simulated("Get-MonitoringItemIdentity", _items, ("Identity", "Server")),
    Simulated("Get-GlobalMonitoringOverride", partial(_overrides, True)),
    Simulated("Get-ServerMonitoringOverride", partial(_overrides, False), ("Server",)),
    Simulated("Add-GlobalMonitoringOverride", partial(_add, True), _ADDED, changes=True),
    Simulated("Add-ServerMonitoringOverride", partial(_add, False), (*_ADDED, "Server"),
              changes=True),
    Simulated("Remove-GlobalMonitoringOverride", partial(_remove, True), _ITEM, asks=True,
              changes=True),
    Simulated("Remove-ServerMonitoringOverride", partial(_remove, False), (*_ITEM, "Server"),
              asks=True, changes=True),
)  # fmt: skip
