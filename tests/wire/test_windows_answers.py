"""The scripts for WinRM: PowerShell that parses, arguments that stay data, typed answers."""

import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from mailmig.model.errors import BadFile
from mailmig.model.windows import (
    Checkpoint,
    ClientLog,
    ClientUse,
    ClusterHeartbeat,
    ClusterNode,
    ClusterWitness,
    Counter,
    EventLog,
    HyperVHost,
    LogRead,
    MachineHealth,
    NetworkCard,
    NodeState,
    PageFile,
    ResourceState,
    Service,
    SystemStart,
    VirtualMachine,
    Volume,
    ZoneAgeing,
    ZoneRecord,
)
from mailmig.wire import clixml
from mailmig.wire.client_logs import question
from mailmig.wire.clixml import Int64, Obj, UInt64
from mailmig.wire.windows_answers import (
    ARGUMENTS,
    ScriptError,
    answer,
    asked,
    printed,
    script,
    script_names,
)

PARSER = Parser(Language(tree_sitter_powershell.language()))
SOME: dict[str, Any] = {
    "names": ["MSExchangeIS"], "zone": "town.example", "name": "mail", "type": "A",
    **question(ClientLog.MAPI, datetime(2027, 1, 12, tzinfo=UTC))[1],
}  # fmt: skip
# Everything that our scripts may call: nothing in it changes anything.
READING = {
    "Get-ChildItem", "Get-CimInstance", "Get-Cluster", "Get-ClusterGroup", "Get-ClusterNode",
    "Get-ClusterParameter", "Get-ClusterQuorum", "Get-DnsServerResourceRecord",
    "Get-DnsServerScavenging", "Get-DnsServerZone", "Get-DnsServerZoneAging", "Get-ItemProperty",
    "Get-VM", "Get-VMHardDiskDrive", "Get-VMIntegrationService", "Get-VMSnapshot", "Get-WinEvent",
    "Measure-Object", "Test-Path", "Where-Object", "ForEach-Object", "ConvertFrom-Json",
    "New-Object", "Sort-Object",
}  # fmt: skip
NASTY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def arguments(name: str) -> dict[str, Any]:
    return {key: SOME[key] for key in ARGUMENTS[name]}


def nodes(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in nodes(child))]


def listed(*values: Any) -> Obj:
    return Obj(("System.Object[]", "System.Array", "System.Object"), value=list(values))


def row(**members: Any) -> Obj:
    types = ("System.Management.Automation.PSCustomObject", "System.Object")
    return Obj(types, extended=members)


@pytest.mark.parametrize("name", script_names())
def test_every_script_is_powershell_that_only_reads(name: str) -> None:
    tree = PARSER.parse(script(name, arguments(name)).encode())
    assert not tree.root_node.has_error
    called = {
        node.text.decode()
        for node in nodes(tree.root_node)
        if node.type == "command_name" and node.text is not None
    }
    assert called <= READING, called - READING


@pytest.mark.parametrize("name", script_names())
def test_every_script_fits_into_one_line_of_the_command_shell(name: str) -> None:
    encoded = b64encode(script(name, arguments(name)).encode("utf-16-le"))
    assert len(encoded) < 8000


@given(NASTY, NASTY, NASTY)
def test_arguments_stay_data(zone: str, name: str, kind: str) -> None:
    given_ = {"zone": zone, "name": name, "type": kind}
    text = script("dns_records", given_)
    assert asked(text) == ("dns_records", given_)
    # but for one run of base64 it is the same script for all arguments
    bare = re.sub(r"FromBase64String\('[A-Za-z0-9+/=]*'\)", "()", text)
    other = script("dns_records", {"zone": "", "name": "", "type": ""})
    assert bare == re.sub(r"FromBase64String\('[A-Za-z0-9+/=]*'\)", "()", other)


def test_a_foreign_text_was_not_asked() -> None:
    text = script("volumes")
    assert asked(text) == ("volumes", {})
    for other in ("", "Get-Service", text + "; Remove-Item C:\\", text.replace("e30=", "?")):
        assert asked(other) is None


@pytest.mark.parametrize(
    ("name", "given_"), [("no", {}), ("services", {}), ("volumes", {"x": "y"}), ("frame", {})]
)
def test_only_known_scripts_with_their_own_arguments(name: str, given_: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        script(name, given_)


def test_every_kind_of_answer_becomes_typed_values() -> None:
    at = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)
    later = at.astimezone(timezone(timedelta(hours=1))) + timedelta(days=20)
    kinds: list[tuple[str, Obj, object]] = [
        ("boot_time", row(Name="EX1", Version="10.0.17763", StartedAt=at.replace(tzinfo=None),
                          Now=later),
         SystemStart("EX1", "10.0.17763", at, later)),
        ("cluster_nodes", row(Name="EX1", State=2, Weight=1, DynamicWeight=0),
         ClusterNode("EX1", NodeState.PAUSED, 1, 0)),
        ("cluster_nodes", row(Name="EX1", State=77, Weight=1, DynamicWeight=0),
         ClusterNode("EX1", NodeState.UNKNOWN, 1, 0)),
        ("cluster_witness", row(Cluster="DAG1", Kind="File Share Witness", State=2, Owner="EX1",
                                Share="\\\\fs1\\DAG1", DynamicWeight=1, DynamicQuorum=True),
         ClusterWitness("DAG1", "File Share Witness", ResourceState.ONLINE, "EX1",
                        "\\\\fs1\\DAG1", 1, True)),
        ("cluster_witness", row(Cluster="DAG1", Kind="", State=None, Owner="", Share=None,
                                DynamicWeight=0, DynamicQuorum=True),
         ClusterWitness("DAG1", "", ResourceState.UNKNOWN, "", "", 0, True)),
        ("services", row(Name="MSExchangeIS", Title="Käse €", State="Running", StartMode="Auto",
                         Delayed=False, ProcessId=4711, ExitCode=Int64(0)),
         Service("MSExchangeIS", "Käse €", "Running", "Auto", False, 4711, 0)),
        ("volumes", row(Id="\\\\?\\Volume{1}\\", Path="D:\\", Label=None, FileSystem="ReFS",
                        Capacity=UInt64(2**41), Free=UInt64(0), BlockSize=None),
         Volume("\\\\?\\Volume{1}\\", "D:\\", "", "ReFS", 2**41, 0, None)),
        ("dns_records", row(Name="mail", Type="A", Value="192.0.2.1", TimeToLive=Int64(300),
                            Stamped=None),
         ZoneRecord("mail", "A", "192.0.2.1", 300, None)),
        ("dns_zone", row(Name="town.example", InDirectory=True, Update="Secure", Ageing=False,
                         NoRefresh=Int64(604800), Refresh=Int64(604800), Scavenging=None),
         ZoneAgeing("town.example", True, "Secure", False, timedelta(days=7), timedelta(days=7),
                    None)),
        ("cluster_heartbeat", row(SameSubnetDelay=1000, SameSubnetThreshold=10,
                                  CrossSubnetDelay=1000, CrossSubnetThreshold=20),
         ClusterHeartbeat(1000, 10, 1000, 20)),
        ("machine_health",
         row(Name="EX1", Version="10.0.17763", Revision=None, ProductType=3, Memory=Int64(2**37),
             Processors=12, Reboot=listed("Rename"), Setup=listed(), PageAutomatic=False,
             PageFiles=listed(row(Path="C:\\pagefile.sys", Initial=32768, Largest=32768)),
             PowerPlan="Microsoft:PowerPlan\\{8C5E7FDA-E8BF-4A96-9A85-A6E23A8C635C}",
             KeepAlive=None, IPv6=255, Proxy="", CredentialGuard=False, DotNet=528049,
             Runtimes=listed("Microsoft Visual C++ 2013 Redistributable (x64) - 12.0.40664")),
         MachineHealth("EX1", "10.0.17763", None, False, 2**37, 12, ("Rename",), (), False,
                       (PageFile("C:\\pagefile.sys", 32768, 32768),),
                       "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c", None, 255, "", False, 528049,
                       ("Microsoft Visual C++ 2013 Redistributable (x64) - 12.0.40664",))),
        ("network_cards", row(Name="Käse #2", Addresses=listed("10.1.0.11", "fe80::1"),
                              Discarded=None, Registers=True),
         NetworkCard("Käse #2", ("10.1.0.11", "fe80::1"), None, True)),
        ("event_logs", row(Name="System", Size=Int64(69632), Largest=Int64(2**24), Full=False,
                           Oldest=None),
         EventLog("System", 69632, 2**24, False, None)),
        ("counters", row(Group="PerfOS_Processor", Instance="_Total", Name="PercentProcessorTime",
                         Value=12.5),
         Counter("PerfOS_Processor", "_Total", "PercentProcessorTime", 12.5)),
        ("hyper_v_host", row(Name="HV1", Cores=24, Memory=Int64(2**38), Features=listed(6, 20)),
         HyperVHost("HV1", 24, 2**38, (6, 20))),
        ("virtual_machines",
         row(Name="EX1", State="Running", Host="HV1", Processors=12, Memory=Int64(2**37),
             DynamicMemory=False, StopAction="ShutDown", CheckpointType="Disabled",
             Checkpoints=listed(row(Name="vor dem Update", At=at, Kind="Standard")),
             TimeSync=False, Disks="D:\\EX1.vhdx", Apart=None),
         VirtualMachine("EX1", "Running", "HV1", 12, 2**37, False, "ShutDown", "Disabled",
                        (Checkpoint("vor dem Update", at, "Standard"),), False,
                        ("D:\\EX1.vhdx",), ())),
        ("client_use", row(Client="mail.town.example\tMapi\tOutlook 16\t192.0.2.4\tTOWN\\anna",
                           Requests=3, Accepted=2, Last="2026-11-01 04:30:00"),
         ClientUse("mail.town.example", "Mapi", "Outlook 16", "192.0.2.4", "TOWN\\anna", 3, 2, at)),
        ("client_use", row(Folder="D:\\x", There=True, Files=2, Lines=7, Unread=1, Left=0,
                           Oldest="2026-11-01 04:30:00"),
         LogRead("D:\\x", True, 2, 7, 1, 0, at)),
        ("smtp_use", row(Client="|\tEX1\\Relay\tprinter-3\t192.0.2.80\t", Requests=1, Accepted=0,
                         Last="2026-11-01 04:30:00"),
         ClientUse(None, "EX1\\Relay", "printer-3", "192.0.2.80", "", 1, 0, at)),
        ("smtp_use", row(Folder="D:\\x", There=False, Files=0, Lines=0, Unread=0, Left=0, Oldest="9"),
         LogRead("D:\\x", False, 0, 0, 0, 0, None)),
    ]  # fmt: skip
    assert {name for name, _, _ in kinds} == set(script_names())
    for name, seen, fact in kinds:
        assert answer(name, printed([seen, seen])) == (fact, fact)
        assert answer(name, printed([])) == ()
    assert Service("a", "", "Running", "Auto", False, 1, 0).is_running
    assert SystemStart("x", "", at, later).uptime == timedelta(days=20)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("counters", {"Group": "", "Instance": "", "Name": "x", "Value": "12,5"}),
        ("counters", {"Group": "", "Instance": "", "Name": "x", "Value": True}),
        ("hyper_v_host", {"Name": "HV1", "Cores": 4, "Memory": 1, "Features": "Hyper-V"}),
        ("event_logs", {"Name": "System", "Size": None, "Largest": 1, "Full": True, "Oldest": None}),
        ("dns_zone", {"Name": "x", "InDirectory": True, "Update": "", "Ageing": True,
                      "NoRefresh": "7 Tage", "Refresh": 1, "Scavenging": None}),
    ],
)  # fmt: skip
def test_a_row_with_something_else_in_it_is_told(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadFile, match="cannot be understood"):
        answer(name, printed([row(**wrong)]))


def test_an_error_of_the_script_keeps_its_kind() -> None:
    failed = row(MailmigError="Zugriff verweigert", Category=18, Id="X,Get-Cluster", Reason="E")
    with pytest.raises(ScriptError) as caught:
        answer("cluster_nodes", printed([failed]))
    assert (caught.value.message, caught.value.category) == ("Zugriff verweigert", 18)


@pytest.mark.parametrize(
    "text",
    [
        "", "Zugriff verweigert", "QUJD", "QUJ", printed([row(Name="x")]),
        printed([row(Name="x", State="Up", Weight=1, DynamicWeight=1)]),
        b64encode(clixml.dumps("text").encode()).decode(),
        printed([row(Name="x", State=1, Weight=1, DynamicWeight=1)])[:-40],
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_as_that(text: str) -> None:
    with pytest.raises(BadFile):
        answer("cluster_nodes", text)
