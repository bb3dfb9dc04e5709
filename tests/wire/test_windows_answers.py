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
    ClusterNode,
    ClusterWitness,
    NodeState,
    ResourceState,
    Service,
    SystemStart,
    Volume,
    ZoneRecord,
)
from mailmig.wire import clixml
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
    "names": ["MSExchangeIS"], "zone": "town.example", "name": "mail", "type": "A"
}  # fmt: skip
# Everything that our scripts may call: nothing in it changes anything.
READING = {
    "Get-CimInstance", "Get-Cluster", "Get-ClusterNode", "Get-ClusterParameter",
    "Get-ClusterQuorum", "Get-DnsServerResourceRecord", "Where-Object", "ForEach-Object",
    "ConvertFrom-Json",
}  # fmt: skip
NASTY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def arguments(name: str) -> dict[str, Any]:
    return {key: SOME[key] for key in ARGUMENTS[name]}


def nodes(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in nodes(child))]


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
    ]  # fmt: skip
    for name, seen, fact in kinds:
        assert answer(name, printed([seen, seen])) == (fact, fact)
        assert answer(name, printed([])) == ()
    assert Service("a", "", "Running", "Auto", False, 1, 0).is_running
    assert SystemStart("x", "", at, later).uptime == timedelta(days=20)


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
