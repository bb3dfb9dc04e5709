"""New-Mailbox and Remove-Mailbox: who is made is there for every protocol, and who is gone is not."""

import asyncio
from typing import Any

import pytest

from mailmig.lab import newcomers
from mailmig.lab.cmdlets.binding import bind
from mailmig.lab.cmdlets.reference import cmdlets
from mailmig.lab.exchange.calls import Call, Warning
from mailmig.lab.population import Mailbox
from mailmig.lab.web.people import People
from mailmig.model.database import Database
from mailmig.model.directory import Kind
from mailmig.model.quota import MIB, Quotas
from mailmig.model.secret import Secret
from mailmig.rules.probe_accounts import grant, probes
from tests.lab.asking import Shell, text, town
from tests.lab.town_directory import running

DOMAIN, FOREST = "lindenstadt.example", "ad.lindenstadt.example"


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(40))


def given(account: str = "probe-1", /, **others: object) -> dict[str, object]:
    found: dict[str, object] = {
        "Name": account, "Alias": account, "SamAccountName": account,
        "UserPrincipalName": f"{account}@{FOREST}", "PrimarySmtpAddress": f"{account}@{DOMAIN}",
        "Database": "SE-DB01", "Password": Secret("geheim-1"),
    }  # fmt: skip
    return {name: value for name, value in (found | others).items() if value is not ...}


def newest(shell: Shell) -> Mailbox:
    return shell.world.organisation.mailboxes[-1]


@pytest.mark.parametrize("version", ["2013", "2016", "2019", "SE"])
def test_what_makes_probes_can_be_bound_in_every_version(version: str) -> None:
    (pair,) = probes([Database("SE-DB01")], (), DOMAIN, FOREST)
    known, password = cmdlets(version), ("Password", Secret("x"))
    for one in (pair.delegate, pair.shared):
        made = Call("New-Mailbox", (*one.creation.parameters, password))
        bound = bind(known["new-mailbox"], made)
        assert bound.get("Database") == "SE-DB01" and bound.is_on("Shared") is one.shared
        assert bind(known["set-mailbox"], Call("Set-Mailbox", one.finish.parameters)).values
    right = grant(pair.delegate.logon_name, pair.shared.address)
    assert not bind(known["add-mailboxpermission"], Call(right.name, right.parameters)).odd


def test_probes_of_a_lab_are_like_those_that_cmdlets_make(shell: Shell) -> None:
    """Ready ones differ in nothing but when they came."""
    ready = town(40).organisation
    pair, *_ = newcomers.found_probes(ready)
    for one in (pair.delegate, pair.shared):
        shell.objects("New-Mailbox", **dict(one.creation.parameters), Password=Secret("x"))
        shell.ask("Set-Mailbox", **dict(one.finish.parameters))
        made = newest(shell)
        (found,) = [it for it in ready.present() if it.account == one.account]
        for name in ("kind", "address", "display_name", "path", "database", "hidden", "own",
                     "use_database_quotas", "used", "last_logon"):  # fmt: skip
            assert getattr(made, name) == getattr(found, name), name


def test_a_new_mailbox_is_told_of_by_every_cmdlet(shell: Shell) -> None:
    before = len(shell.objects("Get-Mailbox", ResultSize="Unlimited"))
    (made,) = shell.objects("New-Mailbox", **given(DisplayName="Probe Nr. 1"))
    assert text(made, "PrimarySmtpAddress") == f"probe-1@{DOMAIN}"
    (found,) = shell.objects("Get-Mailbox", Identity=f"probe-1@{DOMAIN}")
    assert found["Guid"] == made["Guid"] and found["DisplayName"] == "Probe Nr. 1"
    assert text(found, "RecipientTypeDetails") == "UserMailbox"
    assert text(found, "Database") == "SE-DB01"
    assert len(shell.objects("Get-Mailbox", ResultSize="Unlimited")) == before + 1
    for name in ("Get-User", "Get-CASMailbox", "Get-Recipient"):
        assert shell.objects(name, Identity="probe-1"), name
    (by_database,) = [
        one for one in shell.objects("Get-Mailbox", Database="SE-DB01") if one["Alias"] == "probe-1"
    ]
    assert by_database["Guid"] == made["Guid"]


def test_a_new_user_logs_on_with_the_password_and_a_shared_mailbox_with_none(shell: Shell) -> None:
    shell.objects("New-Mailbox", **given())
    accounts = shell.world.accounts
    for name in ("probe-1", r"LINDENSTADT\probe-1", f"probe-1@{FOREST}"):
        assert accounts.check(name, "geheim-1", "basic") is not None, name
    assert accounts.check("probe-1", "geheim", "basic") is None
    shell.objects("New-Mailbox", **given("probe-s", Shared=True))
    assert newest(shell).kind is Kind.SHARED
    assert accounts.check("probe-s", "geheim-1", "basic") is None


def test_the_web_knows_who_was_made_and_what_he_opens(shell: Shell) -> None:
    people = People(shell.world)
    shell.objects("New-Mailbox", **given())
    delegate = newest(shell)
    shell.objects("New-Mailbox", **given("probe-s", Shared=None))
    shared = newest(shell)
    assert people.addressed(f"PROBE-1@{DOMAIN}") is delegate
    account = shell.world.accounts.find("probe-1")
    assert account is not None and people.mailbox_of(account) is delegate
    assert not people.may("full_access", delegate, shared)
    shell.ask("Add-MailboxPermission", Identity=shared.address, User=f"probe-1@{FOREST}",
              AccessRights="FullAccess")  # fmt: skip
    assert people.may("full_access", delegate, shared)
    assert list(people.opens(delegate)) == [shared]


async def test_the_directory_shows_it_and_forgets_it(shell: Shell) -> None:
    async with asyncio.timeout(60), running(shell.world.organisation) as directory:

        def seen() -> list[tuple[list[bytes], list[bytes]]]:
            with directory.connection() as connection:
                names = ("mail", "msExchHideFromAddressLists")
                connection.search(directory.base, "(mailNickname=probe-1)", attributes=list(names))
                rows: list[Any] = [
                    one["raw_attributes"]
                    for one in connection.response
                    if one["type"] == "searchResEntry"
                ]
            return [(row[names[0]], row.get(names[1]) or []) for row in rows]

        address = f"probe-1@{DOMAIN}".encode()
        shell.objects("New-Mailbox", **given())
        assert await asyncio.to_thread(seen) == [([address], [])]
        shell.ask("Set-Mailbox", Identity="probe-1", HiddenFromAddressListsEnabled=True)
        assert await asyncio.to_thread(seen) == [([address], [b"TRUE"])]
        shell.ask("Remove-Mailbox", Identity="probe-1", Confirm=False)
        assert await asyncio.to_thread(seen) == []


def test_address_lists_and_quotas_are_set_in_one_call(shell: Shell) -> None:
    shell.objects("New-Mailbox", **given())
    wanted: dict[str, object] = {
        "Identity": "probe-1", "HiddenFromAddressListsEnabled": True,
        "UseDatabaseQuotaDefaults": False, "IssueWarningQuota": "80MB",
        "ProhibitSendQuota": "90MB", "ProhibitSendReceiveQuota": "100MB",
    }  # fmt: skip
    assert shell.ask("Set-Mailbox", **wanted) == []
    one = newest(shell)
    assert (one.hidden, one.own) == (True, Quotas(80 * MIB, 90 * MIB, 100 * MIB))
    (again,) = shell.ask("Set-Mailbox", **wanted)
    assert isinstance(again, Warning) and "no settings" in again.text
    (found,) = shell.objects("Get-Mailbox", Identity="probe-1")
    assert found["HiddenFromAddressListsEnabled"] is True
    error = shell.error("Set-Mailbox", Identity="probe-1", HiddenFromAddressListsEnabled="ja")
    assert "Boolean" in error.message and one.hidden


def test_whoever_is_removed_is_gone_and_may_come_again(shell: Shell) -> None:
    shell.objects("New-Mailbox", **given())
    asked = shell.error("Remove-Mailbox", Identity="probe-1")
    assert "interaction" in asked.message and not newest(shell).gone
    assert shell.ask("Remove-Mailbox", Identity="probe-1", WhatIf=True) == []
    assert shell.ask("Remove-Mailbox", Identity="probe-1", Confirm=False) == []
    assert shell.world.accounts.find("probe-1") is None
    gone = shell.error("Get-Mailbox", Identity="probe-1")
    assert gone.reason == "ManagementObjectNotFoundException"
    (again,) = shell.objects("New-Mailbox", **given())
    assert str(again["Guid"]) == newest(shell).guid
    assert shell.objects("Get-Mailbox", Identity="probe-1")[0]["Guid"] == again["Guid"]


def test_trying_changes_nothing(shell: Shell) -> None:
    before = len(shell.world.organisation.mailboxes)
    assert shell.ask("New-Mailbox", **given(WhatIf=True)) == []
    assert len(shell.world.organisation.mailboxes) == before
    assert shell.world.accounts.find("probe-1") is None


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ({"Password": ...}, "missing mandatory parameters: Password"),
        ({"Password": "geheim"}, "SecureString"),
        ({"Password": Secret("")}, "password policy"),
        ({"Password": Secret("a:b")}, "does not simulate such an account"),
        ({"Database": "DB99"}, "'DB99' couldn't be found"),
        ({"Database": ...}, "does not simulate New-Mailbox without -Database"),
        ({"SamAccountName": "x" * 21}, "longer than 20 characters"),
        ({"Name": "x" * 65}, "longer than 64 characters"),
        ({"UserPrincipalName": "probe-1"}, "user@domain"),
        ({"UserPrincipalName": f"other@{FOREST}"}, "does not simulate -UserPrincipalName"),
        ({"PrimarySmtpAddress": "probe-1@elsewhere.example"}, "-PrimarySmtpAddress"),
        ({"ResetPasswordOnNextLogon": True}, "-ResetPasswordOnNextLogon"),
        ({"Archive": True}, "the parameter -Archive"),
        ({"Room": True, "Shared": True}, "Parameter set cannot be resolved"),
    ],
)
def test_what_cannot_be_made_is_refused_with_the_reason(
    shell: Shell, others: dict[str, object], says: str
) -> None:
    before = len(shell.world.organisation.mailboxes)
    assert says in shell.error("New-Mailbox", **given(**others)).message
    assert len(shell.world.organisation.mailboxes) == before
    assert shell.world.accounts.find("probe-1") is None


@pytest.mark.parametrize(
    ("taken", "says"),
    [
        ({"Name": "probe-2", "Alias": "probe-2", "PrimarySmtpAddress": ...}, "account name"),
        ({"SamAccountName": "p2", "UserPrincipalName": f"p2@{FOREST}", "Alias": "p2",
          "PrimarySmtpAddress": ...}, "already exists"),
        ({"SamAccountName": "p2", "UserPrincipalName": f"p2@{FOREST}", "Name": "p2"},
         "proxy address"),
    ],
)  # fmt: skip
def test_a_name_that_is_taken_is_refused(shell: Shell, taken: dict[str, object], says: str) -> None:
    shell.objects("New-Mailbox", **given())
    assert says in shell.error("New-Mailbox", **given(**taken)).message


def test_only_who_may_makes_mailboxes(shell: Shell) -> None:
    reader = Shell(shell.world, "LS-EX16", "View-Only Organization Management")
    assert reader.error("New-Mailbox", **given()).category == "ObjectNotFound"
    helper = Shell(shell.world, "LS-EX16", "Recipient Management")
    assert helper.objects("New-Mailbox", **given())


def test_who_wrote_the_old_mail_does_not_change(shell: Shell) -> None:
    contents, anna = shell.world.contents, shell.someone()
    before = list(contents.items(anna, "inbox"))
    shell.objects("New-Mailbox", **given())
    assert before and list(contents.items(anna, "inbox")) == before
