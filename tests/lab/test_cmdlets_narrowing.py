"""What -Filter, -SortBy, -Anr, -OrganizationalUnit and identities with a star leave of all objects."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.cmdlets.opath import BadFilter, compare, parse
from mailmig.lab.population import Mailbox
from mailmig.lab.rows import KIND_NAMES
from mailmig.model.directory import Kind
from mailmig.model.quota import MIB
from mailmig.wire.clixml import Obj, Value
from tests.lab.asking import Shell, town

FACTS: dict[str, Value] = {
    "Odd": "Bau [x]?", "Dollar": "$(x)", "Quoted": "O'Brien \"Süß\"",
    "Alias": "anna.muster", "Office": "Rathaus", "Title": "", "Hidden": True, "Count": 12,
    "When": datetime(2026, 11, 21, 12, tzinfo=UTC), "Guid": UUID(int=7),
    "Size": Obj(text="2 GB (2,147,483,648 bytes)"), "Limit": Obj(text="Unlimited"),
    "Kind": Obj(("T", "System.Enum"), "UserMailbox", value=1),
    "Home": Obj(text="a.example/Bau/DB1", adapted={"Name": "DB1", "DistinguishedName": "CN=DB1"}),
    "Addresses": Obj(value=["SMTP:a@b.c", "smtp:x@y.z"]), "Nobody": Obj(value=[]), "Nothing": None,
}  # fmt: skip


def fits(text: str) -> bool:
    return parse(text).fits(FACTS.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "Alias -eq 'ANNA.muster'", "{Alias -eq 'anna.muster'}", "Alias -ne 'otto'",
        "Alias -like 'anna*'", "Alias -notlike 'otto*'", 'Alias -like "*.muster"',
        "Hidden -eq $true", "Hidden -eq 'True'", "Hidden -ne $false", "Title -eq $null",
        "Nothing -eq $null", "Nobody -eq $null", "Alias -ne $null", "Count -eq 12", "Count -eq '12'",
        "Count -gt 11", "Count -ge 12", "Count -lt 12.5", "Count -le 12", "Size -gt '1GB'",
        "Size -ge '2 GB'", "Size -eq '2GB'", "Size -lt 2147483649", "Limit -gt '100TB'",
        "Limit -eq 'unlimited'", "Kind -eq 'usermailbox'", "Kind -eq 1", "Home -eq 'DB1'",
        "Home -eq 'cn=db1'", "Home -like '*/Bau/*'", "Addresses -like '*x@y.z'",
        "Addresses -eq 'SMTP:a@b.c'", "Addresses -ne 'nobody'", "When -gt '2026-11-20'",
        "When -lt '11/22/2026'", "Guid -eq '{00000000-0000-0000-0000-000000000007}'",
        "(Alias -eq 'x') -or (Office -eq 'Rathaus')", "-not (Alias -eq 'x')", "-not -not Count -eq 12",
        "Alias -eq 'x' -and Office -eq 'y' -or Count -eq 12",
        "Alias -eq 'x' -and (Office -eq 'y' -or Count -eq 12) -or Hidden -eq $true",
        "When -gt '11/21/2026 11:59:59 AM'", "When -lt '11/21/2026 12:30'", "Odd -like '*[x]?'",
        "When -eq '2026-11-21 12:00:00Z'", "When -eq '2026-11-21T13:00:00+01:00'",
        "Dollar -eq '$(x)'", "Dollar -like '$(*'", "Hidden -EQ $TRUE -AND Nothing -eq $Null",
        "Quoted -eq 'O''Brien \"Süß\"'", 'Quoted -eq "O\'Brien ""süß"""',
        "-not Alias -eq 'x' -and Count -eq 12", "Count -eq 12 -or Count -eq 13 -and Count -eq 14",
    ],
)  # fmt: skip
def test_a_filter_that_fits(text: str) -> None:
    assert fits(text)


@pytest.mark.parametrize(
    "text",
    [
        "Alias -eq 'anna'", "Alias -eq $null", "Title -ne $null", "Count -gt 12", "Count -lt 12",
        "Size -gt '2GB'", "Limit -lt '100TB'", "Alias -gt 3", "Kind -eq 2", "Home -eq 'DB'",
        "Addresses -notlike '*x@y.z'", "Addresses -ne 'smtp:a@b.c'", "When -gt '2026-11-22'",
        "Hidden -eq $false", "Alias -like 'anna'", "When -gt 'tomorrow'",
        "Alias -eq 'anna.muster' -and Office -eq 'y'", "-not Count -eq 12",
        "Odd -like '*x??'", "Alias -like 'anna[.]muster'", "Alias -like 'anna?muster'",
        "-not Alias -eq 'x' -and Count -eq 13",
    ],
)  # fmt: skip
def test_a_filter_that_does_not(text: str) -> None:
    assert not fits(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", 1), ("Alias", 6), ("Alias 'x'", 8), ("Alias -eq", 9), ("Alias -is 'x'", 8),
        ("Alias -eq x", 11), ("Alias -eq 'x", 11), ("(Alias -eq 'x'", 14), ("Alias -eq 'x')", 14),
        ("-and Alias -eq 'x'", 2), ("Alias -eq 'x' Office -eq 'y'", 15), ("Alias -like 3", 8),
        ("Count -eq " + "9" * 5000, 11), ("Count -gt " + "9" * 400, 11), ("Dollar -eq $(x)", 13),
        ("Get-Mailbox | Remove-Mailbox", 13), ("'x' -eq Alias", 2), ("Alias -eq $home", 11),
    ],
)  # fmt: skip
def test_nonsense_is_refused_where_it_stands(text: str, at: int) -> None:
    with pytest.raises(BadFilter) as told:
        parse(text)
    assert abs(told.value.at - at) <= 1, told.value


@pytest.mark.parametrize("opening", ["(", "-not ", "-not ("])
def test_a_filter_without_end_is_refused(opening: str) -> None:
    with pytest.raises(BadFilter, match="deeply"):
        parse(opening * 5000 + "Alias -eq 'x'")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except BadFilter as bad:
        assert bad.at >= 1


@given(st.text(max_size=30).filter(lambda text: text != ""))
def test_any_value_is_equal_to_itself_in_quotes(value: str) -> None:
    quoted = value.replace("'", "''")
    assert parse(f"Alias -eq '{quoted}'").fits(lambda name: value)
    assert not parse(f"Alias -ne '{quoted}'").fits(lambda name: value)


@given(st.integers(0, 2**45), st.integers(0, 2**45))
def test_sizes_compare_as_bytes(one: int, other: int) -> None:
    value = Obj(text=f"{one / MIB:.3g} MB ({one:,} bytes)")
    assert compare(value, "gt", f"{other}B") is (one > other)
    assert compare(value, "le", other) is (one <= other)


@pytest.fixture(name="shell", scope="module")
def _shell() -> Shell:
    return Shell(town(80), "LS-EX16")


def everybody(shell: Shell, fits: Callable[[Mailbox], bool] = lambda one: True) -> set[str]:
    kinds = (Kind.USER, Kind.LINKED, Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT, Kind.DISCOVERY)
    return {m.guid for m in shell.world.organisation.present(*kinds) if fits(m)}


def guids(shell: Shell, cmdlet: str, **parameters: object) -> set[str]:
    return {str(one["Guid"]) for one in shell.objects(cmdlet, **parameters)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("RecipientTypeDetails -eq 'SharedMailbox'", lambda m: m.kind is Kind.SHARED),
        ("HiddenFromAddressListsEnabled -eq $true", lambda m: m.hidden),
        ("UseDatabaseQuotaDefaults -eq $false -and ProhibitSendQuota -gt '1MB'",
         lambda m: not m.use_database_quotas),
        ("ArchiveDatabase -ne $null", lambda m: m.archive is not None),
        ("DisplayName -like '*ü*' -or Alias -like 'a*'",
         lambda m: "ü" in m.display_name.lower() or m.alias.startswith("a")),
        ("IsShared -eq $false -and -not (Alias -like '*e*')",
         lambda m: m.kind is not Kind.SHARED and "e" not in m.alias),
    ],
)  # fmt: skip
def test_mailboxes_are_filtered_by_what_they_show(
    shell: Shell, text: str, wanted: Callable[[Mailbox], bool]
) -> None:
    found = everybody(shell, wanted)
    assert found and found != everybody(shell)
    assert guids(shell, "Get-Mailbox", Filter=text) == found


def test_a_filter_by_a_database_takes_its_name(shell: Shell) -> None:
    name = next(iter(shell.world.organisation.present(Kind.USER))).database
    found = guids(shell, "Get-Mailbox", Filter=f"Database -eq '{name}'")
    assert found == everybody(shell, lambda m: m.database == name)
    assert found == guids(shell, "Get-Mailbox", Database=name)


@pytest.mark.parametrize("cmdlet", ["Get-Mailbox", "Get-User", "Get-Group", "Get-Recipient"])
def test_a_bad_filter_ends_the_call_as_a_binding_error(shell: Shell, cmdlet: str) -> None:
    for text in ("Nonsense -eq 'x'", "Name like 'x'", "Name -eq"):
        record = shell.error(cmdlet, Filter=text)
        assert record.terminating and record.category == "InvalidArgument"
        assert record.fully_qualified_id == f"ParameterBindingFailed,{cmdlet}"
        assert "Cannot bind parameter 'Filter'" in record.message and text in record.message


@pytest.mark.parametrize("cmdlet", ["Get-User", "Get-Group", "Get-Recipient"])
def test_the_others_filter_and_sort_as_well(shell: Shell, cmdlet: str) -> None:
    everyone = shell.objects(cmdlet, ResultSize="Unlimited")
    name = str(everyone[3]["Name"])
    wanted = name.replace("'", "''")
    found = shell.objects(cmdlet, Filter=f"Name -eq '{wanted}'")
    assert [str(one["Name"]) for one in found] == [name]
    sort = "Sortby" if cmdlet == "Get-User" else "SortBy"
    ordered = [str(one["Name"]) for one in shell.objects(cmdlet, **{sort: "Name"})]
    assert ordered == sorted(ordered, key=str.casefold)
    assert len(ordered) == len(everyone)


def test_an_unknown_property_sorts_nothing(shell: Shell) -> None:
    record = shell.error("Get-Mailbox", SortBy="Shoe size")
    assert "Shoe size" in record.message and record.category == "InvalidArgument"


def test_a_sorted_list_is_cut_after_it_is_sorted(shell: Shell) -> None:
    whole = [str(one["Alias"]) for one in shell.objects("Get-Mailbox", SortBy="Alias")]
    *first, warning = shell.ask("Get-Mailbox", SortBy="Alias", ResultSize=3)
    assert len(first) == 3 and "ResultSize" in str(warning)
    assert whole == sorted(whole, key=str.casefold)


def test_ambiguous_names_find_whoever_begins_like_that(shell: Shell) -> None:
    someone = next(iter(shell.world.organisation.present(Kind.USER)))
    surname = someone.display_name.split(",")[0]
    for wanted in (surname, surname.upper(), someone.alias[:9]):
        assert someone.guid in guids(shell, "Get-Mailbox", Anr=wanted)
        assert someone.guid in guids(shell, "Get-User", Anr=wanted)
        assert someone.guid in guids(shell, "Get-Recipient", Anr=wanted)
    assert shell.ask("Get-Mailbox", Anr="zzzzz") == []
    record = shell.error("Get-Mailbox", Anr=surname, Identity=someone.alias)
    assert record.fully_qualified_id == "AmbiguousParameterSet,Get-Mailbox"


def test_a_unit_is_named_in_three_ways_and_holds_all_below_it(shell: Shell) -> None:
    someone = next(iter(shell.world.organisation.present(Kind.USER)))
    places = shell.engine._view().places
    unit = someone.path[: len(someone.path) - 1] or someone.path
    inside = everybody(shell, lambda m: m.path[: len(unit)] == unit)
    canonical, distinguished = places.unit(unit)
    for name in (canonical, distinguished, canonical.upper()):
        assert guids(shell, "Get-Mailbox", OrganizationalUnit=name) == inside
    assert guids(shell, "Get-Mailbox", OrganizationalUnit=places.domain) == everybody(shell)
    record = shell.error("Get-Mailbox", OrganizationalUnit="Mars")
    assert record.reason == "ManagementObjectNotFoundException"


def test_a_star_in_an_identity_means_all_that_fit_and_nobody_is_no_error(shell: Shell) -> None:
    begins = everybody(shell, lambda m: any(
        name.lower().startswith("a")
        for name in (m.name, m.display_name, m.alias, m.account, m.address)
    ))  # fmt: skip
    assert begins and guids(shell, "Get-Mailbox", Identity="A*") == begins
    assert begins <= guids(shell, "Get-Recipient", Identity="a*")
    assert shell.ask("Get-Mailbox", Identity="zzz*") == []
    assert shell.ask("Get-Group", Identity="zzz*") == []


def test_kinds_narrow_people_and_recipients(shell: Shell) -> None:
    shared = everybody(shell, lambda m: m.kind is Kind.SHARED)
    for cmdlet in ("Get-Mailbox", "Get-User", "Get-Recipient"):
        assert guids(shell, cmdlet, RecipientTypeDetails=KIND_NAMES[Kind.SHARED]) == shared
    assert not guids(shell, "Get-User", Arbitration=None) & everybody(shell)
    groups = guids(shell, "Get-Recipient", RecipientType="MailUniversalSecurityGroup")
    assert groups == guids(shell, "Get-Group") != set()


def test_statistics_are_filtered_within_their_database(shell: Shell) -> None:
    name = next(iter(shell.world.organisation.present(Kind.USER))).database
    everything = shell.objects("Get-MailboxStatistics", Database=name)
    gone = shell.objects(
        "Get-MailboxStatistics", Database=name, Filter="DisconnectReason -ne $null"
    )
    assert [one["DisconnectReason"] for one in gone].count(None) == 0
    assert {str(one["MailboxGuid"]) for one in gone} == {
        str(one["MailboxGuid"]) for one in everything if one["DisconnectReason"] is not None
    }  # fmt: skip
    large = shell.objects(
        "Get-MailboxStatistics", Database=name, Filter="TotalItemSize -gt '100MB'"
    )
    assert 0 < len(large) < len(everything)


def test_no_identity_still_means_everything(shell: Shell) -> None:
    for cmdlet in ("Get-Mailbox", "Get-User", "Get-Group", "Get-Recipient"):
        for nothing in (None, ""):
            assert guids(shell, cmdlet, Identity=nothing) == guids(shell, cmdlet)


@pytest.mark.parametrize(
    ("cmdlet", "parameter"),
    [("Get-Mailbox", "RemoteArchive"), ("Get-Recipient", "BookmarkDisplayName"),
     ("Get-MailboxStatistics", "NoADLookup"), ("Get-User", "Credential")],
)  # fmt: skip
def test_what_is_not_simulated_is_said_and_not_ignored(
    shell: Shell, cmdlet: str, parameter: str
) -> None:
    more = {"Server": "LS-EX16"} if cmdlet == "Get-MailboxStatistics" else {}
    value = None if parameter in ("RemoteArchive", "NoADLookup") else "x"
    record = shell.error(cmdlet, **{parameter: value}, **more)
    assert record.fully_qualified_id == "LabNotSimulated"


def test_brackets_and_question_marks_in_a_name_stand_for_themselves() -> None:
    shell = Shell(town(20), "LS-EX16")
    someone = shell.someone()
    someone.display_name = "Bau [alt]? $(x)"
    for wanted in ("Bau [alt]?*", "*[alt]? $(x)*"):
        assert guids(shell, "Get-Mailbox", Identity=wanted) == {someone.guid}
        text = f"DisplayName -like '{wanted}'"
        assert guids(shell, "Get-Mailbox", Filter=text) == {someone.guid}
    assert guids(shell, "Get-Mailbox", Identity="Bau ?alt]*") == set()


@pytest.mark.parametrize("number", ["-1", "1_000", "many", "99999999999"])
def test_a_result_size_that_is_no_number_is_refused(shell: Shell, number: str) -> None:
    record = shell.error("Get-Mailbox", ResultSize=number)
    assert number in record.message
