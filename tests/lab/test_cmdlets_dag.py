"""Cmdlets about the DAG: settings that change, site switchover, what a version does not have."""

from dataclasses import asdict
from datetime import timedelta

import pytest

from mailmig.lab.cultures import GERMAN
from mailmig.wire.clixml import Int64, Obj, items
from tests.lab.asking import Shell, read, text, town

HERE, THERE = "LS-EX1", "LS-EX2"
NO_ASKING = {"Confirm": False}


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(20), HERE)


def dag(shell: Shell, name: str) -> object:
    asked = {"Identity": "LS-DAG1", "Status": None}
    (found,) = read(shell.ask("Get-DatabaseAvailabilityGroup", **asked))  # warnings left aside
    value = found[name]
    if isinstance(value, Obj) and isinstance(value.value, list):
        return [one.text if isinstance(one, Obj) else one for one in items(value)]
    return text(found, name)


def mounted(shell: Shell) -> dict[str, str]:
    found = shell.objects("Get-MailboxDatabase", Status=None)
    return {
        text(one, "Name"): text(one, "Server")
        for one in found
        if one["Mounted"] is True and text(one, "Name").startswith("SE-")
    }


def test_without_status_nothing_live_is_told(shell: Shell) -> None:
    (found,) = shell.objects("Get-DatabaseAvailabilityGroup")
    live = ("OperationalServers", "PrimaryActiveManager", "WitnessShareInUse", "NetworkNames",
            "ServersInMaintenance")  # fmt: skip
    assert all(found[name] is None for name in live)
    assert dag(shell, "OperationalServers") == [HERE, THERE]
    assert dag(shell, "NetworkNames") == ["MapiDagNetwork"]
    servers = shell.objects("Get-ExchangeServer")
    assert {text(one, "CurrentConfigDomainController") for one in servers} == {""}
    asked = shell.objects("Get-ExchangeServer", Status=None)
    controllers = [text(one, "CurrentConfigDomainController") for one in asked]
    assert controllers == [f"ls-dc{n}.ad.lindenstadt.example" for n in (1, 1, 2)]


def test_settings_of_the_dag_change(shell: Shell) -> None:
    changed = shell.ask(
        "Set-DatabaseAvailabilityGroup", Identity="LS-DAG1", AlternateWitnessServer="ls-fs9",
        AlternateWitnessDirectory=r"C:\w", DatacenterActivationMode="off",
        PreferenceMoveFrequency="02:30:00", ReplicationPort=64400,
    )  # fmt: skip
    assert changed == []
    shown = [dag(shell, name) for name in (
        "AlternateWitnessServer", "AlternateWitnessDirectory", "DatacenterActivationMode",
        "PreferenceMoveFrequency", "ReplicationPort",
    )]  # fmt: skip
    assert shown == ["ls-fs9", r"C:\w", "Off", "02:30:00", "64400"]


@pytest.mark.parametrize("value", ["-00:00:00.0010000", timedelta(milliseconds=-1)])
def test_moves_to_the_preferred_copy_can_be_switched_off(shell: Shell, value: object) -> None:
    shell.ask("Set-DatabaseAvailabilityGroup", Identity="LS-DAG1", PreferenceMoveFrequency=value)
    (found,) = shell.objects("Get-DatabaseAvailabilityGroup")
    never = found["PreferenceMoveFrequency"]
    assert isinstance(never, Obj)
    assert (never.text, never["Ticks"]) == ("-00:00:00.0010000", Int64(-10_000))
    shell.objects(
        "Move-ActiveMailboxDatabase", Identity="SE-DB01", ActivateOnServer=THERE, **NO_ASKING
    )
    shell.world.advance(timedelta(days=3))
    assert mounted(shell)["SE-DB01"] == THERE


@pytest.mark.parametrize(("name", "value"), [
    ("DatacenterActivationMode", "Sometimes"), ("PreferenceMoveFrequency", "an hour"),
])  # fmt: skip
def test_a_value_that_is_none_is_refused_and_nothing_changes(
    shell: Shell, name: str, value: str
) -> None:
    before = dag(shell, name)
    parameters = {"Identity": "LS-DAG1", "AlternateWitnessServer": "ls-fs9", name: value}
    assert "Cannot convert" in shell.error("Set-DatabaseAvailabilityGroup", **parameters).message
    assert dag(shell, name) == before
    assert dag(shell, "AlternateWitnessServer") == "ls-fs2.ad.lindenstadt.example"


def test_without_parameters_the_quorum_model_is_applied_again(shell: Shell) -> None:
    shell.world.organisation.cluster.has_witness = False
    assert dag(shell, "WitnessShareInUse") == "None"
    assert shell.ask("Set-DatabaseAvailabilityGroup", Identity="LS-DAG1") == []
    assert dag(shell, "WitnessShareInUse") == "Primary"
    assert "couldn't be found" in shell.error("Set-DatabaseAvailabilityGroup", Identity="x").message


def test_a_site_is_given_up_and_taken_back(shell: Shell) -> None:
    """health.md 5, SR-Q3: the documented site switchover and switchback."""
    world = shell.world
    lost = Shell(world, THERE)
    world.organisation.cluster.gone.add("ls-fs3")
    world.organisation.take_down(HERE)
    assert (mounted(lost), dag(lost, "OperationalServers")) == ({}, [])
    site = {"Identity": "LS-DAG1", "ActiveDirectorySite": "Rathaus", **NO_ASKING}
    assert "couldn't be contacted" in lost.error("Stop-DatabaseAvailabilityGroup", **site).message
    assert lost.ask("Stop-DatabaseAvailabilityGroup", **site, ConfigurationOnly=None) == []
    assert dag(lost, "StoppedMailboxServers") == ["ls-ex1.ad.lindenstadt.example"]
    here = {"Identity": "LS-DAG1", "ActiveDirectorySite": "Stadthaus", **NO_ASKING}
    assert lost.ask("Restore-DatabaseAvailabilityGroup", **here) == []
    assert dag(lost, "OperationalServers") == [THERE]
    assert set(mounted(lost).values()) == {THERE} and len(mounted(lost)) == 4

    world.organisation.cluster.gone.clear()
    world.organisation.bring_back(HERE)
    world.advance(timedelta(minutes=2))
    assert dag(lost, "OperationalServers") == [THERE]
    start = {"Identity": "LS-DAG1", "ActiveDirectorySite": "Rathaus"}
    assert lost.ask("Start-DatabaseAvailabilityGroup", **start) == []
    assert lost.ask("Set-DatabaseAvailabilityGroup", Identity="LS-DAG1") == []
    assert (dag(lost, "OperationalServers"), dag(lost, "StoppedMailboxServers")) == (
        [HERE, THERE], [],
    )  # fmt: skip
    assert dag(lost, "WitnessShareInUse") == "Primary"
    world.advance(timedelta(hours=2))
    assert sorted(mounted(lost).values()) == [HERE, HERE, THERE, THERE]


def test_a_member_that_is_stopped_hands_over_its_databases(shell: Shell) -> None:
    one = {"Identity": "LS-DAG1", "MailboxServer": THERE, **NO_ASKING}
    assert shell.ask("Stop-DatabaseAvailabilityGroup", **one) == []
    assert dag(shell, "OperationalServers") == [HERE]
    assert set(mounted(shell).values()) == {HERE} and len(mounted(shell)) == 4
    one.pop("Confirm")
    assert shell.ask("Start-DatabaseAvailabilityGroup", **one) == []
    assert dag(shell, "OperationalServers") == [HERE, THERE]


def test_site_cmdlets_need_datacenter_activation_mode(shell: Shell) -> None:
    shell.ask("Set-DatabaseAvailabilityGroup", Identity="LS-DAG1", DatacenterActivationMode="Off")
    one = {"Identity": "LS-DAG1", "MailboxServer": THERE, **NO_ASKING}
    record = shell.error("Stop-DatabaseAvailabilityGroup", **one)
    assert record.exception.endswith("DagTaskNotInDacModeException")
    shell.ask(
        "Set-DatabaseAvailabilityGroup", Identity="LS-DAG1", DatacenterActivationMode="DagOnly"
    )
    record = shell.error("Restore-DatabaseAvailabilityGroup", Identity="LS-DAG1", **NO_ASKING)
    assert "no stopped and running members" in record.message
    one["MailboxServer"] = "LS-EX16"
    assert "couldn't be found" in shell.error("Stop-DatabaseAvailabilityGroup", **one).message


def test_settings_of_a_member_change(shell: Shell) -> None:
    changed = shell.ask(
        "Set-MailboxServer", Identity=THERE, DatabaseCopyAutoActivationPolicy="blocked",
        AutoDatabaseMountDial="Lossless", MaximumActiveDatabases=3,
        MaximumPreferredActiveDatabases=2, DatabaseCopyActivationDisabledAndMoveNow=True,
    )  # fmt: skip
    assert changed == []
    names = ("DatabaseCopyAutoActivationPolicy", "AutoDatabaseMountDial", "MaximumActiveDatabases",
             "MaximumPreferredActiveDatabases", "DatabaseCopyActivationDisabledAndMoveNow")  # fmt: skip
    (found,) = shell.objects("Get-MailboxServer", Identity=THERE)
    assert [text(found, name) for name in names] == ["Blocked", "Lossless", "3", "2", "True"]
    (mirrored,) = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=rf"SE-DB01\{THERE}")
    assert text(mirrored, "AutoActivationPolicy") == "Blocked"
    assert mirrored["ActivationDisabledAndMoveNow"] is True
    shell.ask("Set-MailboxServer", Identity=THERE, MaximumActiveDatabases=None)
    (found,) = shell.objects("Get-MailboxServer", Identity=THERE)
    assert found["MaximumActiveDatabases"] is None
    record = shell.error("Set-MailboxServer", Identity=THERE, AutoDatabaseMountDial="Always")
    assert "Cannot convert" in record.message


def test_replication_health_of_each_member_and_of_a_server_outside(shell: Shell) -> None:
    own = shell.objects("Test-ReplicationHealth")
    assert len(own) == 19
    assert {text(one, "Result") for one in own} == {"Passed"}
    results = [one["Result"] for one in own]
    assert {text(one, "Value") for one in results if isinstance(one, Obj)} == {"Passed"}
    outside = shell.objects("Test-ReplicationHealth", Identity="LS-EX16")
    assert [text(one, "Check") for one in outside] == ["ReplayService", "ActiveManager"]
    shell.world.organisation.take_down(THERE)
    record = shell.error("Test-ReplicationHealth", Identity=THERE)
    assert record.category == "ResourceUnavailable"
    gone = {text(o, "Check") for o in shell.objects("Test-ReplicationHealth") if o["Error"]}
    assert gone == {"DagMembersUp", "DatabaseRedundancy"}


def test_a_german_server_says_it_in_german(shell: Shell) -> None:
    shell.world.conditions(HERE).culture = GERMAN
    shell.world.organisation.cluster.group_failed = True
    found = {text(o, "Check"): text(o, "Result") for o in shell.objects("Test-ReplicationHealth")}
    assert found["ClusterService"] == "Prüfung bestanden"
    assert found["QuorumGroup"] not in ("Passed", "*FAILED*", "Prüfung bestanden")


def test_a_copy_that_is_the_last_one_may_not_be_repaired_away(shell: Shell) -> None:
    def urgency() -> list[tuple[str, str, str]]:
        names = ("Identity", "RepairUrgency", "SafeForMaintenance")
        found = shell.objects("Get-MailboxServerRedundancy", DatabaseAvailabilityGroup="LS-DAG1")
        return [tuple(text(one, name) for name in names) for one in found]  # type: ignore[misc]

    assert urgency() == [(HERE, "Normal", "False"), (THERE, "Normal", "False")]
    shell.ask("Suspend-MailboxDatabaseCopy", Identity=rf"SE-DB01\{THERE}", **NO_ASKING)
    assert urgency() == [(HERE, "Prohibited", "False"), (THERE, "Normal", "False")]
    shell.world.organisation.change_server(HERE, build=(15, 0, 1497, 2))
    record = shell.error("Get-MailboxServerRedundancy")
    assert record.category == "ObjectNotFound"


def test_the_network_of_the_dag_is_found_by_its_name_and_by_member(shell: Shell) -> None:
    for identity in ("LS-DAG1", r"ls-dag1\mapidagnetwork", None):
        (found,) = shell.objects("Get-DatabaseAvailabilityGroupNetwork", Identity=identity)
        assert text(found, "Identity") == r"LS-DAG1\MapiDagNetwork"
        assert (found["MapiAccessEnabled"], found["ReplicationEnabled"]) == (True, True)
    assert shell.objects("Get-DatabaseAvailabilityGroupNetwork", Server="LS-EX16") == []
    record = shell.error("Get-DatabaseAvailabilityGroupNetwork", Identity=r"LS-DAG1\nix")
    assert "couldn't be found" in record.message


@pytest.mark.parametrize(("name", "value", "sentence"), [
    ("ReplicationPort", "x", "System.UInt16"),
    ("ReplicationPort", 70_000, "System.UInt16"),
    ("ReplicationPort", -1, "System.UInt16"),
    ("WitnessServer", HERE, "can't be a member"),
    ("AlternateWitnessServer", "ls-ex2.ad.lindenstadt.example", "can't be a member"),
])  # fmt: skip
def test_what_a_dag_cannot_have_is_refused_and_nothing_is_changed(
    shell: Shell, name: str, value: object, sentence: str
) -> None:
    before = asdict(shell.world.organisation.dag)
    given = {"Identity": "LS-DAG1", "DatacenterActivationMode": "Off", name: value}
    assert sentence in shell.error("Set-DatabaseAvailabilityGroup", **given).message
    assert asdict(shell.world.organisation.dag) == before


def test_an_enum_may_be_given_as_a_number(shell: Shell) -> None:
    assert shell.ask("Set-MailboxServer", Identity=HERE, DatabaseCopyAutoActivationPolicy=2) == []
    (one,) = shell.objects("Get-MailboxServer", Identity=HERE)
    assert text(one, "DatabaseCopyAutoActivationPolicy") == "Blocked"


def test_a_member_that_is_gone_cannot_be_started(shell: Shell) -> None:
    world = shell.world
    given = {"Identity": "LS-DAG1", "MailboxServer": THERE}
    stop = "Stop-DatabaseAvailabilityGroup"
    assert shell.ask(stop, **given, ConfigurationOnly=None, **NO_ASKING) == []
    world.organisation.take_down(THERE)
    start = "Start-DatabaseAvailabilityGroup"
    assert "couldn't be contacted" in shell.error(start, **given).message
    assert world.organisation.dag.stopped == {THERE}
    assert shell.ask(start, **given, ConfigurationOnly=None) == []
    assert world.organisation.dag.stopped == set()
