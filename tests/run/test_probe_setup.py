"""The script of `mailmig probe setup`: parsed by an independent grammar, bound to the reference."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig import config
from mailmig.model.database import Database
from mailmig.model.directory import Mailbox
from mailmig.model.organisation import Server
from mailmig.rules.probe_accounts import DatabaseProbes, grant, probes
from mailmig.run.probe_setup import (
    Known,
    NoMailDomain,
    NothingKnown,
    domain_of,
    keep_passwords,
    planned,
    script,
    settings_text,
)
from mailmig.run.probing import ProbeSettings, pairs
from tests.wire.test_collect_script import (
    argument,
    below,
    commands,
    name_of,
    parameters,
    parse,
    text_of,
)

# PowerShell's own cmdlets and the script's functions, with the parameters that they take.
OWN = {
    "Join-Path": {"Path", "ChildPath"},
    "Get-Content": {"LiteralPath", "TotalCount"},
    "ConvertTo-SecureString": {"String", "AsPlainText", "Force"},
    "Read-Host": {"Prompt", "AsSecureString"},
    "Get-ProbePassword": set[str](),
    "Get-NobodysPassword": set[str](),
    "Test-Probe": set[str](),
}
CHANGING = {"New-Mailbox", "Set-Mailbox", "Add-MailboxPermission"}
VERSIONS = ("2013", "2016", "2019", "SE")
ODD = ("DB'1", "Bürger", "$(Remove-Mailbox)", "a\nRemove-Mailbox x", "\u2019; calc #", "`x", "{0}")


def made(*names: str) -> tuple[DatabaseProbes, ...]:
    databases = [Database(name, server="EX1") for name in names]
    return probes(databases, [Server("EX1", build=(15, 2, 2562, 17))], "town.example", "ad.example")


def known(*names: str, hosts: tuple[str, ...] = ()) -> Known:
    return Known((), tuple(Database(name) for name in names), "ad.example", {}, hosts)


@pytest.mark.parametrize("names", [("DB1",), ("DB1", "DB2"), ODD])
def test_every_command_and_parameter_is_in_the_reference(
    names: tuple[str, ...], data_folder: Path
) -> None:
    reference = json.loads((data_folder / "exchange-cmdlets.json").read_text("utf-8"))["cmdlets"]
    root = parse(script(made(*names)))
    assert not root.has_error
    found = commands(root)
    for command in found:
        name, used = name_of(command), parameters(command)
        if name in OWN:
            assert used <= OWN[name], text_of(command)
            continue
        assert name in CHANGING | {"Get-Mailbox"}, text_of(command)
        for version in VERSIONS:
            facts = reference[name]
            assert version in facts["versions"]
            there = {
                one for one, its in facts["parameters"].items()
                if version in its.get("versions", facts["versions"])
            }  # fmt: skip
            given = {one.partition(":")[0] for one in used}
            assert given <= there | {"ErrorAction"}, text_of(command)
    called = [name_of(command) for command in found]
    count = len(names)
    assert [called.count(one) for one in sorted(CHANGING)] == [count, 2 * count, 2 * count]


def test_a_mailbox_that_is_there_is_not_made_again_and_not_anybodys() -> None:
    root = parse(script(made("DB1")))
    branches = [node for node in below(root) if node.type == "if_statement"]
    inside = [name_of(one) for branch in branches for one in commands(branch)]
    assert inside.count("New-Mailbox") == 2 and "Set-Mailbox" not in inside
    assert "throw" in script(made("DB1")), "the mailbox of somebody else is left alone"
    titles = [argument(one, "DisplayName") for one in commands(root)
              if name_of(one) == "New-Mailbox"]  # fmt: skip
    assert titles == ["'mailmig probe (DB1)'", "'mailmig probe, shared (DB1)'"]


@given(st.lists(st.text(min_size=1, max_size=20), max_size=3, unique_by=str.lower))
def test_no_name_of_a_database_is_ever_code(names: list[str]) -> None:
    found = made(*names)
    wanted = {one.account for pair in found for one in (pair.delegate, pair.shared)}
    text = script(found)
    root = parse(text)
    called = {name_of(command) for command in commands(root)}
    assert called <= set(OWN) | CHANGING | {"Get-Mailbox"}
    assert all(f"'{one}'" in text for one in wanted)


def test_who_may_open_what_stands_at_the_end() -> None:
    (pair,) = made("DB1")
    right = grant(pair.delegate.logon_name, pair.shared.address)
    assert script((pair,)).endswith(f"[void]({right})\n")


@pytest.mark.parametrize("folder", ["probe-passwords", "C:/Users/Jürgen {}/p", 'a"b'])
def test_the_settings_are_read_as_probes(folder: str) -> None:
    tables = tomllib.loads(settings_text(made(*ODD), folder))
    for account in tables["probe"]["passwords"]:
        tables["probe"]["passwords"][account] = {"env": "PROBE"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROBE", "x")
        read = config.Config(tables=tables).section("probe", ProbeSettings)
    assert {(one.delegate, one.shared) for one in pairs(read)} == {
        (pair.delegate.address, pair.shared.address) for pair in made(*ODD)
    }


def test_passwords_are_kept_and_those_that_are_there_stay(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "passwords"
    first = keep_passwords(folder, made("DB1"))
    assert [one.name for one in first] == ["probe-db1.txt"]
    text = first[0].read_text()
    (folder / ".probe-db2.txt.part").write_text("of a run that was killed")
    second = keep_passwords(folder, made("DB1", "DB2"))
    assert [one.name for one in second] == ["probe-db2.txt"] and first[0].read_text() == text
    assert len(list(folder.iterdir())) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
    for file in folder.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
        kinds = [str.isupper, str.islower, str.isdigit]
        assert all(any(kind(sign) for sign in file.read_text()) for kind in kinds)
        assert ":" not in file.read_text()


def test_addresses_are_in_the_domain_that_autodiscover_is_asked_in() -> None:
    (pair,) = planned(known("DB1"), ("mail.town.example", "Autodiscover.Town.Example"))
    assert pair.delegate.address == "probe-db1@town.example"
    (point,) = planned(known("DB1", hosts=("autodiscover.b.example",)), ())
    assert point.delegate.address == "probe-db1@b.example"
    with pytest.raises(NoMailDomain, match=r"--domain town\.example"):
        planned(known("DB1"), ("mail.town.example",))
    with pytest.raises(NothingKnown):
        planned(known(), ("autodiscover.town.example",))


def test_the_domain_of_accounts_follows_from_names_in_the_directory() -> None:
    mailbox = Mailbox("1", distinguished_name=r"CN=a\, b,OU=x,DC=AD,DC=Town,dc=example")
    assert domain_of(mailbox.distinguished_name) == "ad.town.example"
    assert domain_of("") == ""
