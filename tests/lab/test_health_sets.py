"""Services and managed availability of the lab: what stops, what is noticed, what is muted."""

from datetime import timedelta

import pytest

from mailmig.lab import services
from mailmig.lab.health_sets import DEGRADED_FOR, MONITORS, SETTLES_IN
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from tests.lab.asking import Shell, text, town

M = "LS-EX1"
SECOND = timedelta(seconds=1)


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(20), M)


def alert(shell: Shell, health_set: str, server: str = M) -> str:
    (one,) = shell.objects("Get-HealthReport", Identity=server, HealthSet=health_set)
    return text(one, "AlertValue")


def test_a_healthy_server_reports_nothing_else(shell: Shell) -> None:
    found = shell.objects("Get-HealthReport", Identity=M)
    assert {text(one, "AlertValue") for one in found} == {"Healthy"}
    assert {text(one, "HealthSet") for one in found} == {one.health_set for one in MONITORS}
    states = {text(one, "HealthSet"): text(one, "State") for one in found}
    assert states["OWA.Proxy"] == "Online" and states["Store"] == "NotApplicable"
    single = shell.objects("Get-HealthReport", Identity="LS-EX16")
    assert "Clustering" not in {text(one, "HealthSet") for one in single}


def test_what_is_wrong_is_degraded_for_a_minute_and_unhealthy_then(shell: Shell) -> None:
    services.stop(shell.world, M, services.TRANSPORT)
    assert alert(shell, "HubTransport") == "Degraded"
    shell.world.advance(DEGRADED_FOR - SECOND)
    assert alert(shell, "HubTransport") == "Degraded"
    shell.world.advance(2 * SECOND)
    assert alert(shell, "HubTransport") == "Unhealthy"
    assert alert(shell, "HubTransport", "LS-EX2") == "Healthy"
    services.start(shell.world, M, services.TRANSPORT)
    shell.world.advance(SETTLES_IN - SECOND)
    assert alert(shell, "HubTransport") == "Unhealthy"
    shell.world.advance(2 * SECOND)
    assert alert(shell, "HubTransport") == "Healthy"


def test_the_monitors_of_a_set_tell_which_of_them_is_red(shell: Shell) -> None:
    services.stop(shell.world, M, services.TRANSPORT)
    shell.world.advance(timedelta(minutes=5))
    found = shell.objects("Get-ServerHealth", Identity=M, HealthSet="HubTransport")
    red = [text(one, "Name") for one in found if text(one, "AlertValue") == "Unhealthy"]
    assert red == ["TransportServiceRunningMonitor"] and len(found) == 3
    (report,) = shell.objects("Get-HealthReport", Identity=M, HealthSet="HubTransport")
    assert report["MonitorCount"] == 3
    entries = report["Entries"]
    assert isinstance(entries, Obj) and len(clixml.items(entries)) == 3
    (item, *_) = shell.objects("Get-MonitoringItemIdentity", Identity="Store", Server=M)
    assert text(item, "ItemType") == "Probe"


def test_without_its_health_manager_a_server_tells_nothing(shell: Shell) -> None:
    services.stop(shell.world, M, services.HEALTH_MANAGER)
    for cmdlet in ("Get-HealthReport", "Get-ServerHealth"):
        assert "Health Manager" in shell.error(cmdlet, Identity=M).message
    probe = r"OutlookMapiHttp.Protocol\OutlookMapiHttpSelfTestProbe"
    error = shell.error("Test-OutlookConnectivity", ProbeIdentity=probe)
    assert "Health Manager" in error.message
    services.start(shell.world, M, services.HEALTH_MANAGER)
    assert alert(shell, "Store") == "Healthy"


def test_a_hanging_alert_goes_when_the_health_manager_starts_anew(shell: Shell) -> None:
    shell.world.monitoring.hanging.add((M.lower(), "owa.proxy"))
    assert alert(shell, "OWA.Proxy") == "Unhealthy"
    services.restart(shell.world, M, services.HEALTH_MANAGER)
    shell.world.advance(SECOND)
    assert alert(shell, "OWA.Proxy") == "Healthy"


def test_an_override_mutes_a_monitor_until_it_ends_or_is_removed(shell: Shell) -> None:
    item = r"HubTransport\TransportServiceRunningMonitor"
    given = {"Identity": item, "ItemType": "Monitor", "PropertyName": "Enabled"}
    services.stop(shell.world, M, services.TRANSPORT)
    shell.world.advance(timedelta(hours=1))
    assert shell.ask("Add-ServerMonitoringOverride", Server=M, PropertyValue="0",
                     Duration="0.04:00:00", **given) == []  # fmt: skip
    assert alert(shell, "HubTransport") == "Disabled"
    (one,) = shell.objects("Get-ServerMonitoringOverride", Server=M)
    assert text(one, "MonitoringItemName") == "TransportServiceRunningMonitor"
    assert shell.objects("Get-GlobalMonitoringOverride") == []
    error = shell.error("Add-ServerMonitoringOverride", Server=M, PropertyValue="0", **given)
    assert "already exists" in error.message
    shell.world.advance(timedelta(hours=5))
    assert alert(shell, "HubTransport") == "Unhealthy"
    assert len(shell.objects("Get-ServerMonitoringOverride", Server=M)) == 1
    assert shell.ask("Remove-ServerMonitoringOverride", Server=M, Confirm=False, **given) == []
    assert shell.objects("Get-ServerMonitoringOverride", Server=M) == []


def test_a_global_override_counts_for_every_server(shell: Shell) -> None:
    shell.world.conditions("LS-EX2").stopped_pools.add("MSExchangeMapiFrontEndAppPool")
    shell.world.advance(timedelta(minutes=5))
    assert alert(shell, "OutlookMapiHttp.Proxy", "LS-EX2") == "Unhealthy"
    shell.ask(
        "Add-GlobalMonitoringOverride", ItemType="Monitor", PropertyName="Enabled",
        PropertyValue="0", ApplyVersion="15.2.2562.17",
        Identity=r"OutlookMapiHttp.Proxy\OutlookMapiHttpProxyTestMonitor",
    )  # fmt: skip
    assert alert(shell, "OutlookMapiHttp.Proxy", "LS-EX2") == "Disabled"


@pytest.mark.parametrize(("name", "value"), [
    ("Identity", "Store"), ("Identity", r"Nix\X"), ("ItemType", "Thing"), ("Duration", "long"),
])  # fmt: skip
def test_an_override_of_nothing_is_refused(shell: Shell, name: str, value: str) -> None:
    good = {
        "Identity": r"Store\DatabaseMountedMonitor", "ItemType": "Monitor", "Duration": "1.00:00:00",
        "PropertyName": "Enabled", "PropertyValue": "0", "Server": M,
    }  # fmt: skip
    assert shell.error("Add-ServerMonitoringOverride", **(good | {name: value})).message
    assert shell.objects("Get-ServerMonitoringOverride", Server=M) == []


def test_services_of_a_proxy_that_is_switched_off_stop_and_stay_stopped(shell: Shell) -> None:
    services.start(shell.world, M, "MSExchangeImap4")
    conditions = shell.world.conditions(M)
    assert services.runs(conditions, "msexchangeimap4")
    for state in ("Inactive", "Active"):
        shell.world.advance(SECOND)
        shell.ask("Set-ServerComponentState", Identity=M, Component="ServerWideOffline",
                  State=state, Requester="Maintenance")  # fmt: skip
        assert not services.runs(conditions, "MSExchangeImap4")


def test_a_disabled_service_does_not_start(shell: Shell) -> None:
    conditions = shell.world.conditions(M)
    conditions.disabled_services.add("msexchangemailboxassistants")
    services.stop(shell.world, M, "MSExchangeMailboxAssistants")
    with pytest.raises(services.CannotStart):
        services.start(shell.world, M, "MSExchangeMailboxAssistants")
    service = services.named(shell.world.organisation.server(M), "MSExchangeMailboxAssistants")
    assert service is not None and services.start_mode(conditions, service) == "Disabled"


def test_each_version_has_its_own_services(shell: Shell) -> None:
    old, new = (shell.world.organisation.server(name) for name in ("LS-EX16", M))
    assert services.named(old, "MSExchangeUM") and not services.named(new, "MSExchangeUM")
    assert services.named(new, services.CLUSTER) and not services.named(old, services.CLUSTER)
    assert services.resting(new) == {
        "bits", "pla", "msexchangeimap4", "msexchangeimap4be", "msexchangepop3",
        "msexchangepop3be",
    }  # fmt: skip


def test_the_probe_of_outlook_says_what_its_monitor_says(shell: Shell) -> None:
    probe = r"OutlookMapiHttp.Protocol\OutlookMapiHttpSelfTestProbe"
    (one,) = shell.objects("Test-OutlookConnectivity", ProbeIdentity=probe)
    assert text(one, "ResultType") == "Succeeded"
    shell.world.conditions(M).stopped_pools.add("MSExchangeMapiMailboxAppPool")
    shell.world.advance(timedelta(minutes=2))
    (one,) = shell.objects("Test-OutlookConnectivity", ProbeIdentity=probe)
    assert text(one, "ResultType") == "Failed"
    assert "doesn't exist" in shell.error("Test-OutlookConnectivity", ProbeIdentity="X\\Y").message


def test_an_alert_tells_when_it_last_changed_and_when_it_began(shell: Shell) -> None:
    began = shell.world.organisation.now
    services.stop(shell.world, M, services.TRANSPORT)
    shell.world.advance(timedelta(hours=1))
    (report,) = shell.objects("Get-HealthReport", Identity=M, HealthSet="HubTransport")
    assert report["LastTransitionTime"] == began + DEGRADED_FOR
    found = shell.objects("Get-ServerHealth", Identity=M, HealthSet="HubTransport")
    (red,) = (one for one in found if text(one, "AlertValue") == "Unhealthy")
    assert red["FirstAlertObservedTime"] == began
    services.start(shell.world, M, services.TRANSPORT)
    right = shell.world.organisation.now
    shell.world.advance(timedelta(hours=1))
    (report,) = shell.objects("Get-HealthReport", Identity=M, HealthSet="HubTransport")
    assert report["LastTransitionTime"] == right + SETTLES_IN


def test_an_override_mutes_the_monitor_of_its_name_and_no_other(shell: Shell) -> None:
    shell.ask("Add-ServerMonitoringOverride", Server=M, ItemType="Monitor", PropertyName="Enabled",
              PropertyValue="0", Duration="1", Identity=r"Store\DatabaseMountedMonitor2")  # fmt: skip
    assert len(shell.objects("Get-ServerMonitoringOverride", Server=M)) == 1
    assert alert(shell, "Store") == "Healthy"
