"""Calls are bound as PowerShell does it, against the reference of the answering version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.cmdlets import roles
from mailmig.lab.cmdlets.binding import Bound, bind
from mailmig.lab.cmdlets.engine import ODD_VALUES, simulated
from mailmig.lab.cmdlets.errors import Failed
from mailmig.lab.cmdlets.reference import REVIEWED, cmdlets
from mailmig.lab.cmdlets.simulated import ALWAYS
from mailmig.lab.exchange.calls import Call, ErrorRecord
from mailmig.wire.collection import EXPORTS, Each
from tests.lab.asking import Shell, account, town

VERSIONS = ("2013", "2016", "2019", "SE")
WORLD = town(20)


def bound(name: str, *parameters: tuple[str | None, object], version: str = "SE") -> Bound:
    return bind(cmdlets(version)[name.lower()], Call(name, parameters))


def refusal(name: str, *parameters: tuple[str | None, object], version: str = "SE") -> ErrorRecord:
    with pytest.raises(Failed) as failed:
        bound(name, *parameters, version=version)
    return failed.value.record


CASES: dict[str, tuple[str, list[tuple[str | None, object]], str, str]] = {
    "a parameter that nobody knows": (
        "Get-Mailbox", [("Nix", 1)], "NamedParameterNotFound,Get-Mailbox", "'Nix'",
    ),
    "a beginning that fits several": (
        "Get-Mailbox", [("Au", None)], "AmbiguousParameter,Get-Mailbox", "-AuditLog -AuxAuditLog",
    ),
    "an empty name": (
        "Get-Mailbox", [("", 1)], "NamedParameterNotFound,Get-Mailbox", "''",
    ),
    "the same one twice": (
        "Get-Mailbox", [("Identity", "a"), ("id", "b")], "ParameterAlreadyBound,Get-Mailbox",
        "'Identity'",
    ),
    "parameters of two sets": (
        "Get-Mailbox", [("Identity", "a"), ("Database", "b")],
        "AmbiguousParameterSet,Get-Mailbox", "Parameter set cannot be resolved",
    ),
    "a required one is missing": (
        "New-MoveRequest", [("TargetDatabase", "DB1")],
        "MissingMandatoryParameter,New-MoveRequest", "parameters: Identity.",
    ),
    "a switch with a text": (
        "Get-Mailbox", [("Archive", "yes")], "CannotConvertArgumentNoMessage,Get-Mailbox",
        "SwitchParameter",
    ),
    "more positions than there are": (
        "Get-Mailbox", [(None, "a"), (None, "b")], "PositionalParameterNotFound,Get-Mailbox", "'b'",
    ),
    "a list for one value": (
        "Get-Mailbox", [("Identity", ["a", "b"])], "CannotConvertArgumentNoMessage,Get-Mailbox",
        "System.Object[]",
    ),
    "a boolean that is none": (
        "Set-MoveRequest", [("Identity", "a"), ("PreventCompletion", "maybe")],
        "CannotConvertArgumentNoMessage,Set-MoveRequest", "Boolean",
    ),
    "a moment that is none": (
        "New-MoveRequest", [("Identity", "a"), ("CompleteAfter", "tomorrow")],
        "CannotConvertArgumentNoMessage,New-MoveRequest", "DateTime",
    ),
    "null for something required": (
        "Remove-MoveRequest", [("Identity", None)],
        "ParameterArgumentValidationErrorNullNotAllowed,Remove-MoveRequest", "it is null",
    ),
    "an empty text for something required": (
        "Remove-MoveRequest", [("Identity", "")],
        "ParameterArgumentValidationErrorEmptyStringNotAllowed,Remove-MoveRequest", "empty string",
    ),
    "a value outside a reviewed list": (
        "Get-MoveRequest", [("MoveStatus", "Sinced")],
        "CannotConvertArgumentNoMessage,Get-MoveRequest", "RequestStatus",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_call_is_refused_as_powershell_does(case: str) -> None:
    name, parameters, error_id, words = CASES[case]
    record = refusal(name, *parameters)
    assert (record.fully_qualified_id, record.category) == (error_id, "InvalidArgument")
    assert words in record.message
    assert record.reason.startswith("ParameterBinding") and record.terminating


def test_names_count_without_case_and_may_be_shortened() -> None:
    assert bound("get-MAILBOX", ("IDENTITY", "a")).values == {"Identity": "a"}
    assert bound("Get-Mailbox", ("results", 5)).values == {"ResultSize": 5}
    # "Archive" is a whole name although "ArchiveOnly" does not exist here; "Status" is whole too
    assert bound("Get-Mailbox", ("Archive", None)).values == {"Archive": True}
    assert bound("Remove-MoveRequest", ("Identity", "a"), ("cf", False)).values["Confirm"] is False
    assert bound("Get-Mailbox", ("ea", "Stop")).values == {"ErrorAction": "Stop"}


def test_a_whole_name_wins_over_a_longer_one_that_begins_with_it() -> None:
    parameters = cmdlets("SE")["new-moverequest"].parameters
    assert {"Suspend", "SuspendComment", "SuspendWhenReadyToComplete"} <= parameters.keys()
    assert bound("New-MoveRequest", ("Identity", "a"), ("suspend", None)).is_on("Suspend")


def test_what_has_no_name_goes_by_position_of_the_set_that_fits() -> None:
    assert bound("Get-Mailbox", (None, "anna")).values == {"Identity": "anna"}
    found = bound("Get-MailboxStatistics", ("Database", "DB1"), (None, "guid"))
    assert found.values == {"Database": "DB1", "StoreMailboxIdentity": "guid"}


def test_a_switch_may_be_given_false() -> None:
    assert not bound("Get-Mailbox", ("Arbitration", False)).is_on("Arbitration")
    assert bound("Get-Mailbox", ("Arbitration", 1)).is_on("Arbitration")


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_get_with_an_empty_identity_means_everything(nothing: object) -> None:
    for name in ("Get-MoveRequest", "Get-MoveRequestStatistics", "Get-MailboxStatistics"):
        assert bound(name, ("Identity", nothing)).everything
    assert not bound("Get-Mailbox", ("Identity", "a")).everything


def test_a_value_that_no_list_names_is_noted_and_passes() -> None:
    found = bound("Get-Mailbox", ("RecipientTypeDetails", ["UserMailbox", "OddMailbox"]))
    assert [(one.parameter, one.value) for one in found.odd] == [
        ("RecipientTypeDetails", "OddMailbox")
    ]
    assert bound("Get-MoveRequest", ("MoveStatus", "synced")).odd == ()


def test_reviewed_parameters_exist_and_are_lists_of_values() -> None:
    for name, parameter in REVIEWED:
        assert cmdlets("SE")[name.lower()].parameters[parameter].values, (name, parameter)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_export_can_be_asked_for_with_just_its_parameters(version: str) -> None:
    for export in EXPORTS:
        if version not in export.versions:
            continue
        name = export.cmdlet if export.cmdlet.lower() in cmdlets(version) else export.older
        parameters = list(export.parameters)
        if export.each is not Each.ONCE:
            parameters.append(
                (export.by if export.each is Each.DATABASE else "Identity", "something")
            )
        found = bound(name, *parameters, version=version)
        assert len(found.values) == len(parameters) and found.odd == ()


def test_what_a_version_does_not_have_is_not_there() -> None:
    assert "get-clientaccessservice" not in cmdlets("2013")
    assert "get-mailboxrestorerequest" in cmdlets("2013")
    record = refusal("Get-Mailbox", ("AuditLog", None), version="2013")
    assert record.fully_qualified_id == "NamedParameterNotFound,Get-Mailbox"
    assert bound("Get-Mailbox", ("AuditLog", None), version="2016").is_on("AuditLog")


def test_every_simulated_cmdlet_and_parameter_is_in_the_reference() -> None:
    for cmdlet in simulated().values():
        known = cmdlets("SE").get(cmdlet.name.lower()) or cmdlets("2016")[cmdlet.name.lower()]
        assert known.name == cmdlet.name
        assert set(cmdlet.parameters) <= set(known.parameters), cmdlet.name
        assert not set(cmdlet.parameters) & ALWAYS, cmdlet.name


NAMES = sorted(cmdlets("SE"))


@given(st.sampled_from(NAMES), st.data())
def test_any_beginning_means_the_same_as_the_whole_name_or_is_refused(
    name: str, data: st.DataObject
) -> None:
    cmdlet = cmdlets("SE")[name]
    whole = data.draw(st.sampled_from(sorted(cmdlet.parameters)))
    part = whole[: data.draw(st.integers(1, len(whole)))]
    part = part.upper() if data.draw(st.booleans()) else part.lower()
    fits = [p for p in cmdlet.parameters if p.lower().startswith(part.lower())]
    short = [
        p.name
        for p in cmdlet.parameters.values()
        if any(alias.lower().startswith(part.lower()) for alias in p.aliases)
    ]
    try:
        found = bind(cmdlet, Call(name, ((part, None),)))
    except Failed as failed:
        if failed.record.fully_qualified_id.startswith("AmbiguousParameter,"):
            assert len({*fits, *short}) > 1
        else:
            assert not failed.record.fully_qualified_id.startswith("NamedParameterNotFound")
    else:
        exact = [p for p in fits if p.lower() == part.lower()]
        aliased = [p.name for p in cmdlet.parameters.values() if part.lower() in p.aliases]
        assert list(found.values) in (exact, aliased, [whole])


def test_a_role_without_a_cmdlet_has_no_such_command() -> None:
    shell = Shell(WORLD, "LS-EX16", "View-Only Organization Management")
    assert shell.engine.knows(shell.account, "Get-Mailbox")
    assert not shell.engine.knows(shell.account, "New-MoveRequest")
    assert shell.error("New-MoveRequest").reason == "CommandNotFoundException"
    nobody = account("No such role")
    assert not shell.engine.knows(nobody, "Get-Mailbox")
    assert Shell(WORLD).engine.knows(account(), "new-moverequest")


def test_every_cmdlet_that_a_role_group_names_exists() -> None:
    for patterns in roles.ROLE_GROUPS.values():
        for pattern in patterns:
            if "*" not in pattern:
                assert pattern in cmdlets("SE"), pattern


def test_a_cmdlet_that_is_not_simulated_says_so_and_gives_no_empty_success() -> None:
    record = Shell(WORLD).error("Get-RoleGroup")
    assert (record.fully_qualified_id, record.category) == ("LabNotSimulated", "NotImplemented")
    record = Shell(WORLD).error("Get-Mailbox", RemoteArchive=None)
    assert "-RemoteArchive of Get-Mailbox" in record.message
    # a wrong parameter is told first, as a real server would
    assert "Nix" in Shell(WORLD).error("Get-RoleGroup", Nix=1).message


def test_odd_values_are_told_for_the_end_of_the_run(caplog: pytest.LogCaptureFixture) -> None:
    Shell(WORLD).ask("Get-Mailbox", RecipientTypeDetails="OddMailbox")
    Shell(WORLD).ask("Get-Mailbox", RecipientTypeDetails="SharedMailbox")
    told = [one.getMessage() for one in caplog.records if one.name == ODD_VALUES.name]
    assert told == ["Get-Mailbox -RecipientTypeDetails OddMailbox"]
