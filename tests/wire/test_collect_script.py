"""The collect script: known cmdlets, known parameters, old syntax, and nothing that writes.

The script is parsed by an independent grammar (tree-sitter-powershell), so these tests look at
commands and parameters and not at lines of text. No PowerShell is at hand here to run it.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from mailmig.wire import clixml
from mailmig.wire.collect_script import call, script
from mailmig.wire.collection import ALL, BY_NAME, EXPORTS, MANIFEST, MANIFEST_SCHEMA, Each, Export

GRAMMAR = Language(tree_sitter_powershell.language())
SCRIPT = script("1.2.3")

# PowerShell's own cmdlets that the script may use, with their parameters as PowerShell 3.0 has
# them. Everything here was there in 2.0, but ConvertTo-Json and each -LiteralPath (3.0).
OWN = {
    "ConvertTo-Json": {"Depth"},
    "Export-Clixml": {"LiteralPath", "Depth", "Encoding"},
    "ForEach-Object": set[str](),
    "Get-Command": {"Name", "ErrorAction"},
    "Get-Culture": set[str](),
    "Get-Date": {"Format"},
    "Get-PSSession": set[str](),
    "Join-Path": {"Path", "ChildPath"},
    "New-Item": {"ItemType", "Path", "Force", "ErrorAction"},
    "New-Object": {"TypeName", "ArgumentList"},
    "Out-File": {"LiteralPath", "Encoding"},
    "Select-Object": {"Property", "First", "Last"},
    "Sort-Object": set[str](),
    "Test-Path": {"LiteralPath"},
    "Where-Object": set[str](),
    "Write-Host": {"ForegroundColor"},
    "Write-Progress": {"Activity", "Status", "PercentComplete", "Completed"},
}
# The one cmdlet of Exchange that is no Get-: it changes the session, not the organisation.
SESSION_ONLY = {"Set-ADServerSettings": {"ViewEntireForest"}}

# Syntax that came after PowerShell 3 (or that only workflows have), by its name in the grammar.
NEWER = {
    "class_statement": "classes (5.0)",
    "enum_statement": "enums (5.0)",
    "pipeline_chain_tail": "&& and || (7.0)",
    "invokation_foreach_expression": ".ForEach{} (4.0)",
    "inlinescript_statement": "workflows",
    "parallel_statement": "workflows",
    "sequence_statement": "workflows",
    "foreach_parameter": "workflows",
    "workflow": "workflows",
    "file_redirection_operator": "writing to files past the manifest",
}
NEWER_MEMBERS = {"new", "foreach", "where"}
TYPES = {
    "string", "int", "datetime", "scriptblock", "void", "math", "ordered", "pscustomobject",
    "System.Management.Automation.ErrorRecord", "System.Security.Principal.NTAccount",
}  # fmt: skip


# Reading the script ---------------------------------------------------------------------------


@cache
def parse(text: str) -> Node:
    return Parser(GRAMMAR).parse(text.encode()).root_node


def below(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from below(child)


def text_of(node: Node | None) -> str:
    return node.text.decode() if node is not None and node.text else ""


def commands(node: Node) -> list[Node]:
    return [found for found in below(node) if found.type == "command"]


def name_of(command: Node) -> str:
    return text_of(command.child_by_field_name("command_name"))


def elements(command: Node) -> list[Node]:
    """Parameters and arguments of a command, without those of commands inside of it."""
    given = command.child_by_field_name("command_elements")
    return [one for one in given.children if one.is_named] if given is not None else []


def parameters(command: Node) -> set[str]:
    return {
        text_of(one).removeprefix("-")
        for one in elements(command)
        if one.type == "command_parameter"
    }


def argument(command: Node, parameter: str) -> str:
    """The text that follows a parameter."""
    given = [one for one in elements(command) if one.type != "command_argument_sep"]
    for one, following in pairwise(given):
        if text_of(one) == f"-{parameter}":
            return text_of(following)
    return ""


def defined(root: Node) -> dict[str, set[str]]:
    """The script's own functions with their parameters."""
    found = {}
    for node in below(root):
        if node.type == "function_statement":
            named = next(text_of(one) for one in node.children if one.type == "function_name")
            found[named] = {
                text_of(variable).removeprefix("$")
                for one in below(node)
                if one.type == "script_parameter"
                for variable in one.children
                if variable.type == "variable"
            }
    return found


Reference = dict[str, Any]


def objections(text: str, reference: Reference) -> list[str]:
    """Everything about a script that this project does not want; empty for a good one."""
    root = parse(text)
    own = OWN | SESSION_ONLY | defined(root)
    said = []
    for node in below(root):
        where = f"line {node.start_point.row + 1}"
        if node.type == "ERROR" or node.is_missing:
            said.append(f"{where}: cannot be parsed")
        elif node.type in NEWER:
            said.append(f"{where}: {NEWER[node.type]}")
        elif node.type == "member_name" and text_of(node).casefold() in NEWER_MEMBERS:
            said.append(f"{where}: the member {text_of(node)} (4.0 or later)")
        elif node.type == "type_literal" and text_of(node)[1:-1] not in TYPES:
            said.append(f"{where}: the type {text_of(node)}")
        elif node.type == "variable" and text_of(node).casefold().startswith("$using:"):
            said.append(f"{where}: $using:")
    for command in commands(root):
        where, name = f"line {command.start_point.row + 1}", name_of(command)
        if name == "$Question" or name.startswith("{"):  # script blocks: looked at by themselves
            continue
        if name in own:
            known = own[name]
        elif name in reference and name.startswith("Get-"):
            known = set(reference[name]["parameters"]) | {"ErrorAction"}
        else:
            said.append(f"{where}: the command {name}")
            continue
        said += [f"{where}: {name} -{one}" for one in sorted(parameters(command) - known)]
    return said


def lacks(export: Export, reference: Reference) -> list[str]:
    """For which of its versions a row of the table cannot be called, and why."""
    said = []
    for version in export.versions:
        names = [
            name
            for name in (export.cmdlet, export.older)
            if version in reference.get(name, {}).get("versions", ())
        ]
        if not names:
            said.append(f"{version}: no cmdlet {export.cmdlet}")
            continue
        used = {name for name, _ in export.parameters}
        if export.each is Each.DATABASE:
            used.add(export.by)
        elif export.each is not Each.ONCE:
            used.add("Identity")
        known = {
            name: facts
            for name, facts in reference[names[0]]["parameters"].items()
            if version in facts.get("versions", [version])
        }
        said += [f"{version}: no parameter {one}" for one in sorted(used - known.keys())]
        if used <= known.keys() and not _one_set_fits(used, known):
            said.append(f"{version}: no parameter set takes {sorted(used)}")
    return said


def _one_set_fits(used: set[str], known: Reference) -> bool:
    sets = {one for facts in known.values() for one in facts.get("sets", ())} or {""}
    return any(
        all(one in known[name].get("sets", [one]) for name in used)
        and all(
            name in used
            for name, facts in known.items()
            if facts.get("required") and one in facts.get("sets", [one])
        )
        for one in sets
    )


@pytest.fixture
def reference(data_folder: Path) -> Reference:
    return load(data_folder / "exchange-cmdlets.json")


@cache
def load(file: Path) -> Reference:
    found: Reference = json.loads(file.read_text("utf-8"))["cmdlets"]
    return found


# The table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_a_row_can_be_called_in_every_version_that_it_names(
    export: Export, reference: Reference
) -> None:
    assert lacks(export, reference) == []


@pytest.mark.parametrize(
    ("name", "change", "lack"),
    [
        ("mailboxes", {"cmdlet": "Get-Postbox"}, "2013: no cmdlet Get-Postbox"),
        ("client_access", {"older": ""}, "2013: no cmdlet Get-ClientAccessService"),
        ("audit_log_mailboxes", {"versions": ALL}, "2013: no parameter AuditLog"),
        ("users", {"parameters": (("Colour", None),)}, "2016: no parameter Colour"),
        (
            "statistics",
            {"parameters": (("Archive", None),)},
            "SE: no parameter set takes ['Archive', 'Database']",
        ),
        ("full_access", {"each": Each.ONCE}, "2019: no parameter set takes []"),
    ],
)
def test_a_wrong_row_is_found(
    name: str, change: dict[str, Any], lack: str, reference: Reference
) -> None:
    assert lack in lacks(replace(BY_NAME[name], **change), reference)


def test_every_selected_property_is_there_in_the_real_exports(data_folder: Path) -> None:
    seen = set()
    for export in EXPORTS:
        file = data_folder / "clixml" / f"{export.cmdlet.replace('-', '')}.xml"
        if file.exists():
            seen.add(export.cmdlet)
            for found in clixml.read(file):
                assert isinstance(found, clixml.Obj)
                assert set(export.properties) <= found.properties.keys(), export.name
    assert seen == {
        "Get-OrganizationConfig", "Get-ExchangeServer", "Get-MailboxServer", "Get-AcceptedDomain",
        "Get-WebServicesVirtualDirectory", "Get-OwaVirtualDirectory", "Get-SendConnector",
        "Get-ReceiveConnector",
    }  # fmt: skip


def test_names_and_properties_are_said_once() -> None:
    assert len(BY_NAME) == len(EXPORTS)
    for export in EXPORTS:
        assert len({one.casefold() for one in export.properties}) == len(export.properties)


# The script -----------------------------------------------------------------------------------


def test_the_script_is_plain_ascii_with_unix_line_ends() -> None:
    assert set(SCRIPT) <= {"\n", *map(chr, range(32, 127))}
    assert SCRIPT.endswith("\n") and "\n\n\n" not in SCRIPT
    assert max(map(len, SCRIPT.splitlines())) <= 125


def test_the_script_names_its_version_and_leaves_no_mark_of_the_template() -> None:
    assert "version 1.2.3." in SCRIPT
    assert f"schema = {MANIFEST_SCHEMA}" in SCRIPT
    assert not any(mark in SCRIPT for mark in ("{version}", "{schema}", "{rows}"))


def test_the_script_has_no_objection_against_it(reference: Reference) -> None:
    assert objections(SCRIPT, reference) == []


@pytest.mark.parametrize(
    ("old", "new", "objection"),
    [
        ("function Save-Manifest {", "function Save-Manifest", "cannot be parsed"),
        ("$done = 0", "$done = $a ? 1 : 2", "cannot be parsed"),
        ("$done = 0", "$done = $a ?? 0", "cannot be parsed"),
        ("$done = 0", "a && b", "&& and ||"),
        ("$done = 0", "class A { [int]$B }", "classes"),
        ("$done = 0", "enum A { B }", "enums"),
        ("$done = 0", "$done = [int]::new()", "the member new"),
        ("$done = 0", "@(1).Where({ $_ })", "the member Where"),
        ("$done = 0", "workflow a { b }", "workflows"),
        ("$done = 0", "using namespace System", "the command using"),
        ("$done = 0", "$done = $using:a", "$using:"),
        ("$done = 0", "'x' > a.txt", "writing to files"),
        ("$done = 0", "[System.IO.File]::Delete('a')", "the type [System.IO.File]"),
        ("$done = 0", "$done | ForEach-Object -Parallel { $_ }", "ForEach-Object -Parallel"),
        ("$done = 0", "Get-FileHash -Path a", "the command Get-FileHash"),
        ("$done = 0", "Set-Mailbox -Identity a", "the command Set-Mailbox"),
        ("$done = 0", "Remove-Item -Path a", "the command Remove-Item"),
        ("$done = 0", "Invoke-Expression 'a'", "the command Invoke-Expression"),
        ("$done = 0", "& $Name", "the command $Name"),
        ("    Get-Mailbox -Arbitration", "    Get-Mailbox -Arbiter", "Get-Mailbox -Arbiter"),
        ("-ViewEntireForest $true", "-PreferredServer $a", "Set-ADServerSettings -PreferredServer"),
    ],
)
def test_a_script_that_was_spoilt_is_found(
    old: str, new: str, objection: str, reference: Reference
) -> None:
    assert old in SCRIPT
    said = objections(SCRIPT.replace(old, new, 1), reference)
    assert any(objection in one for one in said), said


def test_the_kinds_of_newer_syntax_are_known_to_the_grammar() -> None:
    kinds = {GRAMMAR.node_kind_for_id(number) for number in range(GRAMMAR.node_kind_count)}
    assert NEWER.keys() <= kinds


def test_only_the_session_is_set_and_the_head_says_so() -> None:
    head = SCRIPT.partition("#>")[0]
    for command in commands(parse(SCRIPT)):
        name = name_of(command)
        if name.startswith("Set-"):
            assert name in SESSION_ONLY
            assert name in head


def test_a_get_cmdlet_is_never_asked_about_something_that_may_be_empty() -> None:
    root = parse(SCRIPT)
    asked = {
        (name_of(command), argument(command, parameter))
        for command in commands(root)
        for parameter in ("Identity", "Database", "Server")
        if argument(command, parameter)
    }
    assert asked == {
        ("Get-ExchangeServer", "$session.ComputerName"),
        ("Get-MailboxDatabaseCopyStatus", "$database"),
        ("Get-MailboxStatistics", "$database"),
        ("Get-MailboxStatistics", "$mailbox.Guid"),
        ("Get-MailboxPermission", "$mailbox.Guid"),
        ("Get-ADPermission", "$mailbox.DistinguishedName"),
    }
    # Each of these was looked at before: when it was remembered, or right before the call.
    for guard in (
        "if ($session -and $session.ComputerName) {",
        'if ("$($_.Name)" -and ',
        'if ("$($_.Guid)" -and "$($_.DistinguishedName)") {',
        "if ($item) { $item }",
    ):
        assert guard in SCRIPT


def test_the_remote_session_runs_one_pipeline_at_a_time(reference: Reference) -> None:
    def exchange(node: Node) -> list[str]:
        return [name_of(one) for one in commands(node) if name_of(one) in reference]

    for chain in below(parse(SCRIPT)):
        stages = [one for one in chain.children if one.type == "command"]
        if chain.type == "pipeline_chain" and stages and name_of(stages[0]) in reference:
            assert [name for stage in stages[1:] for name in exchange(stage)] == []


@cache
def questions() -> dict[str, list[Node]]:
    """The calls of Save-Answers by the name of their file."""
    found: dict[str, list[Node]] = {}
    for command in commands(parse(SCRIPT)):
        if name_of(command) == "Save-Answers":
            found.setdefault(argument(command, "Name").strip("'"), []).append(command)
    return found


def test_every_row_of_the_table_is_asked_once_in_its_order() -> None:
    found = questions()
    assert list(found) == [export.name for export in EXPORTS]
    assert {name for name, calls in found.items() if len(calls) > 1} == {"client_access"}


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_what_the_manifest_calls_a_question_is_what_is_asked(
    export: Export, reference: Reference
) -> None:
    for number, question in enumerate(questions()[export.name]):
        cmdlet = (export.cmdlet, export.older)[number]
        (asked,) = [one for one in commands(question) if name_of(one) in reference]
        said = argument(question, "Call").strip("'")
        assert said == call(export, cmdlet)
        assert said.split()[0] == name_of(asked) == cmdlet
        assert {word[1:] for word in said.split() if word[0] == "-"} == parameters(asked)
        assert argument(question, "Depth") == str(export.depth)
        assert not export.keep or "".join(export.keep.split()) in "".join(text_of(question).split())


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_the_properties_of_a_row_are_selected(export: Export) -> None:
    root = parse(SCRIPT)
    for question in questions()[export.name]:
        (selection,) = [one for one in commands(question) if name_of(one) == "Select-Object"]
        wanted = argument(selection, "Property")
        if wanted.startswith("$"):
            (wanted,) = [
                text_of(node)
                for node in below(root)
                if node.type == "assignment_expression" and text_of(node).startswith(f"{wanted} =")
            ]
        strings = [text_of(one) for one in below(parse(wanted)) if one.type == "string_literal"]
        owner = ["OwnerGuid"] if export.each in (Each.MAILBOX, Each.ARCHIVE) else []
        assert [one.strip("'") for one in strings] == [*owner, *export.properties]


def test_the_manifest_has_the_fields_that_the_reader_knows() -> None:
    keys = [text_of(one) for one in below(parse(SCRIPT)) if one.type == "key_expression"]
    for name in (
        "schema", "tool", "started", "finished", "culture", "powershell", "computer",
        "server_version", "self", "files",
        "name", "file", "cmdlet", "count", "seconds", "state", "error",
    ):  # fmt: skip
        assert keys.count(name) == 1, name
    assert f"-ChildPath '{MANIFEST}'" in SCRIPT


def test_a_table_of_one_row_makes_a_script_too(reference: Reference) -> None:
    small = script("1", [BY_NAME["users"]])
    assert objections(small, reference) == []
    assert "Get-User -ResultSize Unlimited" in small
    assert "Get-MailboxPermission" not in small
