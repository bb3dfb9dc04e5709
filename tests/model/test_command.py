"""Commands as values and as PowerShell text."""

import enum
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Node, Parser

from mailmig.model.command import BadCommand, Command, EmptyIdentity, quoted
from mailmig.model.secret import Secret

PARSER = Parser(Language(tree_sitter_powershell.language()))
QUOTES = "'‘’‚‛"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(QUOTES + '$`"(){}@\n'))


def read(text: str) -> str:
    """The text that PowerShell makes of one value, by its own rules for single quotes."""
    inner = text[1:-1] if text.startswith("(") else text
    out, at = "", 0
    while at < len(inner):
        if inner[at] == "'":
            at += 1
            while inner[at] not in QUOTES or (at + 1 < len(inner) and inner[at + 1] in QUOTES):
                at += 2 if inner[at] in QUOTES else 1
                out += inner[at - 1]
            at += 1
        elif inner[at : at + 6] == "[char]":
            end = at + 6
            while end < len(inner) and inner[end].isdigit():
                end += 1
            out += chr(int(inner[at + 6 : end]))
            at = end
        else:
            assert inner[at : at + 3] == " + "
            at += 3
    return out


def types(node: Node) -> set[str]:
    return {node.type}.union(*(types(child) for child in node.children))


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ((("Identity", "DB1"), ("ActivateOnServer", "EX2")),
         "Set-It -Identity 'DB1' -ActivateOnServer 'EX2'"),
        ((("Identity", "$(x) `\"Müller\""),), "Set-It -Identity '$(x) `\"Müller\"'"),
        ((("Identity", "O'Brien’s"),), "Set-It -Identity 'O''Brien’’s'"),
        ((("Notes", "a\r\nb"),), "Set-It -Notes ('a' + [char]13 + [char]10 + 'b')"),
        ((("Notes", ""), ("Count", 0)), "Set-It -Notes '' -Count 0"),
        ((("Confirm", False), ("Force", True)), "Set-It -Confirm:$false -Force:$true"),
        ((("Users", ("a", "b,c")), ("Few", ["x"]), ("None", ())),
         "Set-It -Users @('a', 'b,c') -Few @('x') -None @()"),
        ((("List", {"Add": ["a"], "Remove": "b"}),),
         "Set-It -List @{'Add' = @('a'); 'Remove' = 'b'}"),
        ((("Guid", UUID(int=1)), ("Size", -(2**40))),
         "Set-It -Guid '00000000-0000-0000-0000-000000000001' -Size -1099511627776"),
        ((("After", datetime(2026, 11, 21, 19, 0, tzinfo=timezone(timedelta(hours=1)))),),
         "Set-It -After '2026-11-21 18:00:00Z'"),
        ((("For", timedelta(days=1, hours=2, seconds=3)), ("Ago", -timedelta(milliseconds=5))),
         "Set-It -For '1.02:00:03' -Ago '-0.00:00:00.0050000'"),
        ((("Password", Secret("geheim")),), "Set-It -Password (Read-Host -AsSecureString)"),
    ],
)  # fmt: skip
def test_a_command_is_printed_so_that_it_can_be_pasted(parameters: Any, text: str) -> None:
    command = Command("Set-It", parameters)
    assert str(command) == text
    assert not PARSER.parse(text.replace("’’", "''").encode()).root_node.has_error


@given(TEXTS)
def test_a_text_means_itself_when_it_is_pasted(text: str) -> None:
    assert read(quoted(text)) == text


@given(TEXTS)
def test_nothing_in_a_text_is_evaluated(text: str) -> None:
    plain = "".join("'" if sign in QUOTES else sign for sign in text)
    tree = PARSER.parse(f"Set-It -Name {quoted(plain)}".encode())
    assert not types(tree.root_node) & {"variable", "sub_expression", "expandable_string_literal"}


@pytest.mark.parametrize("empty", ["", "  ", "\t\n", None, (), [""], [None], UUID(int=0), {}])
@pytest.mark.parametrize("name", ["Get-Mailbox", "get-mailbox", "Remove-Mailbox"])
def test_an_empty_identity_makes_no_command(name: str, empty: Any) -> None:
    with pytest.raises(EmptyIdentity, match="every object"):
        Command(name, (("identity", empty),))


def test_a_reading_cmdlet_is_asked_for_nothing_empty() -> None:
    with pytest.raises(EmptyIdentity):
        Command("Get-MailboxStatistics", (("Database", ""),))
    assert Command("Set-Mailbox", (("Identity", "a"), ("CustomAttribute1", ""))).get(
        "customattribute1"
    ) == ""  # fmt: skip
    assert Command("Get-Mailbox", (("Archive", False), ("Skip", 0))).is_reading


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Get-Mailbox; Remove-Mailbox", ()), ("", ()), ("Get", ()), ("$x", ()), ("Get-Mailbox ", ()),
        ("Set-It", (("a b", 1),)), ("Set-It", (("", 1),)), ("Set-It", (("A", 1), ("a", 2))),
        ("Set-It", (("A", None),)), ("Set-It", (("A", [1, None]),)), ("Set-It", (("A", 1.5),)),
        ("Set-It", (("A", b"x"),)), ("Set-It", (("A", {"Add": None}),)),
        ("Set-It", (("A", datetime(2026, 1, 1)),)),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_what_nobody_should_send_makes_no_command(name: str, parameters: Any) -> None:
    with pytest.raises(BadCommand, match="nothing was sent"):
        Command(name, parameters)


def test_texts_that_are_enums_are_their_values() -> None:
    class Kind(str, enum.Enum):  # noqa: UP042
        ROOM = "Room"

    assert str(Command("Set-It", (("Type", Kind.ROOM),))) == "Set-It -Type 'Room'"


def test_a_command_is_found_by_its_parameters() -> None:
    command = Command("Get-Mailbox", (("ResultSize", "Unlimited"),))
    assert command.get("resultsize") == "Unlimited"
    assert command.get("Identity") is None
    assert command == Command("Get-Mailbox", (("ResultSize", "Unlimited"),))
