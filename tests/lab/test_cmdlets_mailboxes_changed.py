"""Quotas and Full Access are changed by cmdlets and seen wherever else they show."""

import asyncio
from typing import Any

import pytest

from mailmig.lab.cmdlets.mailboxes_changed import HIGHEST
from mailmig.lab.exchange.calls import Call, Warning
from mailmig.lab.population import Mailbox, Protocols
from mailmig.lab.protocols_of import ews, mapi_http
from mailmig.lab.web.people import People
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, KIB, MIB, UNLIMITED, Quota, Quotas
from mailmig.wire import security_descriptor as sd
from tests.lab.asking import Shell, account, read, said, text, town
from tests.lab.town_directory import running

FULL = "FullAccess"


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(40))


def strangers(shell: Shell) -> tuple[Mailbox, Mailbox]:
    """A mailbox, and somebody who may not use it; the others may not either."""
    held = {owner for owner, _ in shell.world.organisation.full_access}
    users = [one for one in shell.world.organisation.present(Kind.USER) if one.number not in held]
    return users[0], users[1]


def holders(shell: Shell, mailbox: Mailbox) -> list[str]:
    return [
        text(one, "User") for one in shell.objects("Get-MailboxPermission", Identity=mailbox.guid)
    ]


def warning(shell: Shell, name: str, **given: object) -> str:
    """The only thing that a call gives."""
    (found,) = shell.ask(name, **given)
    assert isinstance(found, Warning), found
    return found.text


def test_every_mailbox_tells_by_which_protocols_it_is_reached(shell: Shell) -> None:
    found = shell.objects("Get-CASMailbox", ResultSize="Unlimited")
    same = shell.objects("Get-Mailbox", ResultSize="Unlimited")
    assert [one["Guid"] for one in found] == [one["Guid"] for one in same]
    anna = shell.someone()
    (one,) = shell.objects("Get-CASMailbox", Identity=anna.alias)
    on = ("MAPIEnabled", "OWAEnabled", "ImapEnabled", "PopEnabled", "ActiveSyncEnabled")
    assert all(one[name] is True for name in on)
    assert (one["MapiHttpEnabled"], one["EwsEnabled"]) == (None, None)
    assert text(one, "PrimarySmtpAddress") == anna.address
    assert one["DisplayName"] == anna.display_name


def test_client_access_is_narrowed_as_mailboxes_are(shell: Shell) -> None:
    anna = shell.someone()
    some = shell.ask("Get-CASMailbox", ResultSize=3)
    assert len(read(some)) == 3 and "more results" in said(some)[0]
    (one,) = shell.objects("Get-CASMailbox", Filter=f"SamAccountName -eq '{anna.account}'")
    assert one["SamAccountName"] == anna.account
    assert not shell.objects("Get-CASMailbox", Filter="MAPIEnabled -eq $false")
    monitoring = shell.objects("Get-CASMailbox", Monitoring=None)
    known = {str(one["Guid"]) for one in shell.objects("Get-Mailbox", Monitoring=None)}
    assert {str(one["Guid"]) for one in monitoring} == known
    piped = shell.outputs(
        Call("Get-Mailbox", (("Identity", anna.guid),)), Call("Get-CASMailbox", ())
    )
    assert [str(row["Guid"]) for row in read(piped)] == [anna.guid]
    assert shell.error("Get-CASMailbox", Identity="nobody").reason == (
        "ManagementObjectNotFoundException"
    )
    assert "-ProtocolSettings" in shell.error("Get-CASMailbox", ProtocolSettings=None).message


def test_a_protocol_is_switched_for_one_mailbox_and_back(shell: Shell) -> None:
    anna, bert = strangers(shell)
    off = {
        "MAPIEnabled": False, "MapiHttpEnabled": False, "EwsEnabled": False, "OWAEnabled": False,
        "ECPEnabled": False, "ActiveSyncEnabled": False, "PopEnabled": False, "ImapEnabled": False,
    }  # fmt: skip
    for name, value in off.items():
        assert not shell.ask("Set-CASMailbox", Identity=anna.alias, WhatIf=None, **{name: value})
        assert anna.protocols == Protocols()
        assert not shell.ask("Set-CASMailbox", Identity=anna.alias, **{name: value})
        (row,) = shell.objects("Get-CASMailbox", Identity=anna.guid)
        assert {one for one in off if row[one] is False} == {name}
        told = warning(shell, "Set-CASMailbox", Identity=anna.alias, **{name: value})
        assert "no settings of" in told and anna.name in told
        again = None if name in ("MapiHttpEnabled", "EwsEnabled") else True
        assert not shell.ask("Set-CASMailbox", Identity=anna.alias, **{name: again})
    assert not shell.ask("Set-CASMailbox", Identity=anna.alias, **off)
    found = shell.objects("Get-CASMailbox", ResultSize="Unlimited", Filter="OWAEnabled -eq $false")
    assert [str(one["Guid"]) for one in found] == [anna.guid]
    assert bert.protocols == Protocols()


def test_what_a_mailbox_leaves_open_the_organisation_decides(shell: Shell) -> None:
    organisation, (anna, bert) = shell.world.organisation, strangers(shell)
    for name, may in (("MapiHttpEnabled", mapi_http), ("EwsEnabled", ews)):
        assert not shell.ask("Set-CASMailbox", Identity=bert.alias, **{name: True})
        assert not shell.ask("Set-OrganizationConfig", **{name: False})
        assert (may(organisation, anna), may(organisation, bert)) == (False, True)
        assert shell.objects("Get-OrganizationConfig")[0][name] is False
        assert not shell.ask("Set-CASMailbox", Identity=anna.alias, **{name: True})
        assert may(organisation, anna)
    assert not shell.ask("Set-OrganizationConfig", EwsEnabled=None)
    assert shell.objects("Get-OrganizationConfig")[0]["EwsEnabled"] is None
    assert not shell.ask("Set-CASMailbox", Identity=anna.alias, EwsEnabled=None, MAPIEnabled=False)
    assert ews(organisation, anna) and not mapi_http(organisation, anna)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"OWAEnabled": None}, "OWAEnabled"),
        ({"OWAEnabled": "maybe"}, "OWAEnabled"),
        ({"ActiveSyncMailboxPolicy": "Default"}, "-ActiveSyncMailboxPolicy"),
        ({"Identity": "nobody", "OWAEnabled": False}, "nobody"),
    ],
)
def test_a_switch_that_cannot_be_is_refused(
    shell: Shell, given: dict[str, object], words: str
) -> None:
    anna = shell.someone()
    record = shell.error("Set-CASMailbox", **{"Identity": anna.alias, **given})
    assert words in record.message
    assert anna.protocols == Protocols()


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1.5GB", GIB + 512 * MIB),
        ("2 gb", 2 * GIB),
        ("3 GB (3,221,225,472 bytes)", 3 * GIB),
        (5 * GIB, 5 * GIB),
        ("unlimited", UNLIMITED),
        (10 * GIB + 1, 10 * GIB + KIB),
        (HIGHEST, HIGHEST),
    ],
)
def test_a_quota_is_read_as_exchange_reads_sizes(
    shell: Shell, given: object, stored: Quota
) -> None:
    anna = shell.someone()
    anna.own = Quotas(GIB, GIB, 7 * GIB)
    assert not shell.ask("Set-Mailbox", Identity=anna.alias, ProhibitSendReceiveQuota=given)
    assert anna.own == Quotas(GIB, GIB, stored)


def test_quotas_that_were_set_show_and_do_not_switch_off_the_databases(shell: Shell) -> None:
    anna = shell.someone()
    anna.use_database_quotas = True
    three = {
        "IssueWarningQuota": "4GB",
        "ProhibitSendQuota": "5GB",
        "ProhibitSendReceiveQuota": "6GB",
    }
    assert not shell.ask("Set-Mailbox", Identity=anna.alias, **three)
    (row,) = shell.objects("Get-Mailbox", Identity=anna.guid)
    assert [text(row, name) for name in three] == [
        "4 GB (4,294,967,296 bytes)", "5 GB (5,368,709,120 bytes)", "6 GB (6,442,450,944 bytes)",
    ]  # fmt: skip
    assert row["UseDatabaseQuotaDefaults"] is True
    assert not shell.ask("Set-Mailbox", Identity=anna.alias, UseDatabaseQuotaDefaults=False)
    (row,) = shell.objects("Get-Mailbox", Identity=anna.guid)
    assert row["UseDatabaseQuotaDefaults"] is False
    told = warning(shell, "Set-Mailbox", Identity=anna.alias, UseDatabaseQuotaDefaults=False)
    assert "no settings of" in told and anna.name in told


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({"IssueWarningQuota": "6GB"}, "IssueWarningQuota", "ProhibitSendQuota"),
        ({"ProhibitSendQuota": "7GB"}, "ProhibitSendQuota", "ProhibitSendReceiveQuota"),
        ({"ProhibitSendQuota": "unlimited"}, "ProhibitSendQuota", "ProhibitSendReceiveQuota"),
        ({"ProhibitSendReceiveQuota": "3GB"}, "IssueWarningQuota", "ProhibitSendReceiveQuota"),
    ],
)
def test_quotas_that_do_not_rise_are_refused(
    shell: Shell, given: dict[str, object], low: str, high: str
) -> None:
    anna = shell.someone()
    before = anna.own = Quotas(4 * GIB, 5 * GIB, 6 * GIB)
    record = shell.error("Set-Mailbox", Identity=anna.alias, **given)
    assert f"'{low}' must be less than or equal to that of property '{high}'" in record.message
    assert record.reason == "DataValidationException" and anna.own == before


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"ProhibitSendQuota": "much"}, "ParameterBindingException"),
        ({"ProhibitSendQuota": "-1"}, "ParameterBindingException"),
        ({"ProhibitSendQuota": None}, "ParameterBindingException"),
        ({"UseDatabaseQuotaDefaults": None}, "ParameterBindingException"),
        ({"ProhibitSendReceiveQuota": HIGHEST + 1}, "DataValidationException"),
        ({"CustomAttribute1": "x"}, "NotImplementedException"),
        ({"RecoverableItemsQuota": "1GB"}, "NotImplementedException"),
    ],
)
def test_what_cannot_be_set_changes_nothing(
    shell: Shell, given: dict[str, object], reason: str
) -> None:
    anna = shell.someone()
    before = anna.own = Quotas(UNLIMITED, UNLIMITED, UNLIMITED)
    assert shell.error("Set-Mailbox", Identity=anna.alias, **given).reason == reason
    assert anna.own == before


def test_only_tried_and_mailboxes_of_the_system(shell: Shell) -> None:
    anna = shell.someone()
    before = anna.own
    assert not shell.ask("Set-Mailbox", Identity=anna.guid, IssueWarningQuota="1MB", WhatIf=None)
    assert anna.own == before
    folders = next(shell.world.organisation.present(Kind.PUBLIC_FOLDER))
    new = {"Identity": folders.guid, "IssueWarningQuota": "1MB"}
    assert shell.error("Set-Mailbox", **new).reason == "ManagementObjectNotFoundException"
    assert not shell.ask("Set-Mailbox", **new, PublicFolder=None)
    assert folders.own.warn == MIB


def test_full_access_is_granted_once_and_taken_again(shell: Shell) -> None:
    anna, bert = strangers(shell)
    before = holders(shell, anna)
    name = rf"{shell.world.organisation.netbios}\{bert.account}"
    given = {"Identity": anna.alias, "User": bert.alias, "AccessRights": FULL}
    (row,) = shell.objects("Add-MailboxPermission", **given)
    assert text(row, "User") == name and row["IsInherited"] is False
    assert holders(shell, anna) == [*before, name]
    assert "already present" in warning(shell, "Add-MailboxPermission", **given)
    assert holders(shell, anna) == [*before, name]
    refused = shell.error("Remove-MailboxPermission", **given)
    assert "prompts the user" in refused.message
    assert not shell.ask("Remove-MailboxPermission", **given, Confirm=False)
    assert holders(shell, anna) == before
    told = warning(shell, "Remove-MailboxPermission", **given, Confirm=False)
    assert "because the ACE doesn't exist" in told and name in told


def test_a_group_may_use_a_mailbox_too_and_a_dead_sid_is_taken_away(shell: Shell) -> None:
    state = shell.world.organisation
    anna, bert = strangers(shell)
    group = next(one for one in state.principals if one.is_group)
    given = {"Identity": anna.guid, "AccessRights": [FULL]}
    (row,) = shell.objects("Add-MailboxPermission", **given, User=group.name, InheritanceType="All")
    assert text(row, "User") == group.text
    assert shell.objects("Add-MailboxPermission", **given, User=bert.address)
    bert.gone = True
    sid = holders(shell, anna)[-1]
    assert sid.startswith("S-1-5-")
    assert not shell.ask("Remove-MailboxPermission", **given, User=sid, Confirm=False)
    assert holders(shell, anna)[-1] == group.text


def test_outlook_opens_what_is_mapped(shell: Shell) -> None:
    anna, bert = strangers(shell)
    people = People(shell.world)
    given = {"Identity": anna.guid, "User": bert.guid, "AccessRights": FULL}
    shell.objects("Add-MailboxPermission", **given, AutoMapping=False)
    assert people.may("full_access", bert, anna) and anna not in list(people.opens(bert))
    assert not shell.ask("Remove-MailboxPermission", **given, Confirm=False)
    assert not people.may("full_access", bert, anna)
    shell.objects("Add-MailboxPermission", **given)
    assert anna in list(people.opens(bert))


def test_rights_that_are_not_simulated_and_people_who_are_not_there(shell: Shell) -> None:
    anna, bert = strangers(shell)
    rights = len(shell.world.organisation.full_access)
    given: dict[str, object] = {"Identity": anna.guid, "User": bert.guid, "AccessRights": FULL}
    for other in ({"AccessRights": "ReadPermission"}, {"InheritanceType": "None"}, {"Deny": None}):
        record = shell.error("Add-MailboxPermission", **{**given, **other})
        assert record.fully_qualified_id == "LabNotSimulated"
    for other in ({"User": "nobody"}, {"Identity": "nobody"}):
        record = shell.error("Add-MailboxPermission", **{**given, **other})
        assert record.reason == "ManagementObjectNotFoundException"
    plain = shell.world.organisation.accounts_only[0][1]
    record = shell.error("Add-MailboxPermission", **{**given, "User": plain})
    assert record.fully_qualified_id == "LabNotSimulated" and plain in record.message
    assert not shell.ask("Add-MailboxPermission", **given, WhatIf=None)
    assert len(shell.world.organisation.full_access) == rights


def test_who_manages_recipients_may_and_who_only_views_may_not(shell: Shell) -> None:
    changing = (
        "Set-Mailbox", "Set-CASMailbox", "Add-MailboxPermission", "Remove-MailboxPermission",
    )  # fmt: skip
    for name in (*changing, "Get-CASMailbox"):
        assert shell.engine.knows(account("Recipient Management"), name)
    viewer = account("View-Only Organization Management")
    assert shell.engine.knows(viewer, "Get-CASMailbox")
    assert not any(shell.engine.knows(viewer, name) for name in changing)


async def test_the_directory_shows_what_was_granted_and_taken(shell: Shell) -> None:
    anna, bert = strangers(shell)
    names = ("msExchMailboxSecurityDescriptor", "msExchDelegateListLink", "mDBStorageQuota")
    given = {"Identity": anna.guid, "User": bert.guid, "AccessRights": FULL}
    async with asyncio.timeout(60), running(shell.world.organisation) as directory:

        def seen() -> tuple[int, bool, list[bytes]]:
            with directory.connection() as connection:
                connection.search(
                    directory.base, f"(sAMAccountName={anna.account})", attributes=list(names)
                )
                (row,) = [one for one in connection.response if one["type"] == "searchResEntry"]
            raw: dict[str, Any] = row["raw_attributes"]
            holding = sd.full_access(raw[names[0]][0])
            links = [value.decode() for value in raw.get(names[1]) or []]
            return len(holding), any(bert.name in one for one in links), raw.get(names[2]) or []

        before = await asyncio.to_thread(seen)
        assert before[:2] == (0, False)
        shell.objects("Add-MailboxPermission", **given, AutoMapping=False)
        shell.ask("Set-Mailbox", Identity=anna.guid, IssueWarningQuota="1MB")
        assert await asyncio.to_thread(seen) == (1, False, [b"1024"])
        assert not shell.ask("Remove-MailboxPermission", **given, Confirm=False)
        assert (await asyncio.to_thread(seen))[:2] == (0, False)
        shell.objects("Add-MailboxPermission", **given)
        assert (await asyncio.to_thread(seen))[:2] == (1, True)
