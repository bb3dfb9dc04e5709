"""What the reading cmdlets give: how many, of whom, in which shape, at what price."""

import pytest

from mailmig.lab.cmdlets import engine
from mailmig.lab.cmdlets.engine import Costs
from mailmig.lab.cmdlets.texts import Texts, write
from mailmig.lab.cultures import ENGLISH
from mailmig.lab.exchange.calls import Call, ErrorRecord, Item, Warning
from mailmig.lab.exchange.selecting import Selection
from mailmig.lab.places import Places
from mailmig.lab.shapes import Session, shape, whole_object
from mailmig.lab.stores import Stores
from mailmig.lab.values import fresh
from mailmig.lab.world import World
from mailmig.model.directory import Kind
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import BY_NAME, EXPORTS, MAILBOX_PROPERTIES, Each
from tests.lab.asking import Shell, read, said, text, town

WORLD = town(40)


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(WORLD)


def test_a_mailbox_is_found_by_every_spelling_of_its_identity(shell: Shell) -> None:
    anna, state = shell.someone(), WORLD.organisation
    places = Places(state.domain, state.name)
    for identity in (
        anna.guid, anna.guid.upper(), f"{{{anna.guid}}}", anna.exchange_guid, anna.alias,
        anna.address.upper(), anna.display_name, anna.name, rf"{state.netbios}\{anna.account}",
        f"{anna.account}@{state.domain}", places.distinguished(anna.path, anna.name),
        places.canonical(anna.path, anna.name), places.legacy(anna.guid, anna.name),
    ):  # fmt: skip
        (found,) = shell.objects("Get-Mailbox", Identity=identity)
        assert str(found["ExchangeGuid"]) == anna.exchange_guid, identity


@pytest.mark.parametrize("identity", ["nobody", "$(x)", "a?", "' OR 1", 'Größe "q"'])
def test_an_identity_that_nobody_has_is_not_found_and_ends_nothing(
    shell: Shell, identity: str
) -> None:
    record = shell.error("Get-Mailbox", Identity=identity)
    assert record.reason == "ManagementObjectNotFoundException"
    assert f"'{identity}'" in record.message and not record.terminating
    assert record.fully_qualified_id.endswith("RecipientTasks.GetMailbox")
    assert record.fully_qualified_id.startswith("[Server=LS-EX16,")


def test_an_identity_that_two_have_is_refused() -> None:
    shell = Shell(town(40))
    one, other = shell.someone(0), shell.someone(1)
    other.display_name = one.display_name
    record = shell.error("Get-Mailbox", Identity=one.display_name)
    assert record.reason == "ManagementObjectAmbiguousException"


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_empty_identity_gives_everything(shell: Shell, nothing: object) -> None:
    everything = len(shell.objects("Get-Mailbox"))
    assert len(shell.objects("Get-Mailbox", Identity=nothing)) == everything == 40
    assert len(shell.objects("Get-MailboxStatistics", Identity=nothing)) > 30


def test_each_switch_shows_its_own_mailboxes_and_hides_the_others(shell: Shell) -> None:
    kinds = {
        "Arbitration": {"ArbitrationMailbox"}, "PublicFolder": {"PublicFolderMailbox"},
        "Monitoring": {"MonitoringMailbox"}, "AuditLog": {"AuditLogMailbox"},
        "AuxAuditLog": set(), "Migration": set(),
    }  # fmt: skip
    for switch, names in kinds.items():
        found = shell.objects("Get-Mailbox", ResultSize="Unlimited", **{switch: None})
        assert {text(one, "RecipientTypeDetails") for one in found} == names, switch
    plain = {text(one, "RecipientTypeDetails") for one in shell.objects("Get-Mailbox")}
    assert plain <= {"UserMailbox", "SharedMailbox", "RoomMailbox", "EquipmentMailbox",
                     "DiscoveryMailbox", "LinkedMailbox"}  # fmt: skip


def test_filters_by_database_server_archive_and_kind(shell: Shell) -> None:
    anna = shell.someone()
    here = shell.objects("Get-Mailbox", Database=anna.database)
    assert {text(one, "Database") for one in here} == {anna.database}
    assert 0 < len(here) < 40
    assert len(shell.objects("Get-Mailbox", Server="ls-ex16")) == 40
    assert shell.objects("Get-Mailbox", Server="LS-EX1") == []
    shared = shell.objects("Get-Mailbox", RecipientTypeDetails="SharedMailbox")
    count = sum(1 for _ in WORLD.organisation.present(Kind.SHARED))
    assert len(shared) == count > 0


def test_a_thousand_come_and_a_warning_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.setattr(engine, "LIMIT", 25)
    *found, warning = shell.ask("Get-Mailbox")
    assert len(found) == 25 and isinstance(warning, Warning)
    assert warning.text.startswith("By default, only the first 1000 items are returned.")
    *found, warning = shell.ask("Get-Mailbox", ResultSize=3)
    assert len(found) == 3 and isinstance(warning, Warning)
    assert warning.text.startswith("There are more results available")
    assert said(shell.ask("Get-Mailbox", ResultSize="unlimited")) == []
    assert said(shell.ask("Get-Mailbox", ResultSize=40)) == []
    assert shell.error("Get-Mailbox", ResultSize="many").category == "InvalidArgument"


def test_the_limit_is_a_thousand() -> None:
    shell = Shell(town(1001))
    *found, warning = shell.ask("Get-Mailbox")
    assert len(found) == engine.LIMIT == 1000 and isinstance(warning, Warning)


def test_statistics_by_database_hold_what_is_disconnected_and_on_its_way() -> None:
    world = town(40)
    shell = Shell(world)
    anna, bert = [m for m in world.organisation.present(Kind.USER) if m.last_logon][:2]
    target = next(d.name for d in world.organisation.databases.values() if d.dag)
    world.organisation.disable(bert)
    move = world.organisation.move(anna, target)
    world.organisation.advance(world.now)
    assert move.due is not None
    world.advance((move.due - world.now) / 2)
    (coming,) = [
        one for one in shell.objects("Get-MailboxStatistics", Database=target)
        if str(one["MailboxGuid"]) == anna.exchange_guid
    ]  # fmt: skip
    assert coming["IsMoveDestination"] is True
    (left,) = [
        one for one in shell.objects("Get-MailboxStatistics", Database=bert.database)
        if str(one["MailboxGuid"]) == bert.exchange_guid
    ]  # fmt: skip
    assert left["DisconnectDate"] is not None and text(left, "DisconnectReason") == "Disabled"


def test_a_mailbox_that_was_never_used_gives_a_warning_and_no_object() -> None:
    shell = Shell(town(40))
    anna = shell.someone()
    anna.last_logon = None
    (warning,) = shell.ask("Get-MailboxStatistics", Identity=anna.alias)
    assert isinstance(warning, Warning) and "hasn't logged on" in warning.text


def test_rights_are_those_of_the_organisation_beside_the_owners_own(shell: Shell) -> None:
    state = WORLD.organisation
    owner, trustee = next((o, t) for o, t in state.full_access if t >= 0)
    mailbox = state.mailboxes[owner]
    rows = shell.objects("Get-MailboxPermission", Identity=mailbox.guid)
    users = [text(row, "User") for row in rows]
    assert users[0] == r"NT AUTHORITY\SELF"
    assert rf"{state.netbios}\{state.mailboxes[trustee].account}" in users
    assert [row["IsInherited"] for row in rows][:3] == [False, True, True]
    granted = sum(1 for o, _ in state.full_access if o == owner)
    assert len(rows) == 3 + granted
    (one,) = shell.objects("Get-MailboxPermission", Identity=mailbox.guid, User=users[-1])
    assert text(one, "User") == users[-1]


def test_directory_rights_are_not_found_by_an_alias(shell: Shell) -> None:
    anna = shell.someone()
    assert shell.error("Get-ADPermission", Identity=anna.alias).reason == (
        "ManagementObjectNotFoundException"
    )
    assert shell.objects("Get-ADPermission", Identity=anna.guid)


def test_only_status_fills_what_the_store_must_be_asked_for(shell: Shell) -> None:
    (plain,) = shell.objects("Get-MailboxDatabase", Identity="Buerger")
    (asked,) = shell.objects("Get-MailboxDatabase", Identity="buerger", Status=None)
    assert (plain["Mounted"], asked["Mounted"]) == (None, True)
    assert plain["DatabaseSize"] is None and "bytes)" in text(asked, "DatabaseSize")
    (dag,) = shell.objects("Get-DatabaseAvailabilityGroup")
    assert dag["PrimaryActiveManager"] is None
    assert shell.error("Get-MailboxDatabase", Identity="nix").reason.startswith("ManagementObject")


def test_copies_come_by_database_by_copy_by_server_or_for_the_server_itself() -> None:
    shell = Shell(WORLD, "LS-EX1")
    names = [text(one, "Identity") for one in shell.objects(
        "Get-MailboxDatabaseCopyStatus", Identity="SE-DB01")]  # fmt: skip
    assert names == [r"SE-DB01\LS-EX1", r"SE-DB01\LS-EX2"]
    assert len(shell.objects("Get-MailboxDatabaseCopyStatus", Identity=r"se-db01\ls-ex2")) == 1
    of_server = shell.objects("Get-MailboxDatabaseCopyStatus", Server="LS-EX2")
    own = shell.objects("Get-MailboxDatabaseCopyStatus")
    everything = shell.objects("Get-MailboxDatabaseCopyStatus", Identity=None)
    assert {text(one, "MailboxServer") for one in own} == {"LS-EX1"}
    assert len(of_server) == len(own) == 4 < len(everything)


def test_virtual_directories_come_by_server_and_by_name(shell: Shell) -> None:
    assert len(shell.objects("Get-OwaVirtualDirectory", ADPropertiesOnly=None)) == 3
    (one,) = shell.objects("Get-OwaVirtualDirectory", Server="LS-EX1")
    assert text(one, "Server") == "LS-EX1"
    (one,) = shell.objects("Get-OwaVirtualDirectory", Identity=r"LS-EX2\owa (Default Web Site)")
    assert text(one, "Server") == "LS-EX2"


def test_a_pipeline_asks_for_each_object(shell: Shell) -> None:
    found = read(
        shell.outputs(Call("Get-Mailbox", (("ResultSize", 5),)), Call("Get-MailboxStatistics"))
    )
    names = [
        text(one, "DisplayName") for one in shell.objects("Get-MailboxStatistics", Identity="")
    ]
    assert found and {text(one, "DisplayName") for one in found} <= set(names)
    (record,) = shell.outputs(Call("Get-Mailbox"), Call("Get-OrganizationConfig"))
    assert isinstance(record, ErrorRecord)
    assert record.fully_qualified_id == "InputObjectNotBound,Get-OrganizationConfig"


def test_error_action_and_warning_action_count(shell: Shell) -> None:
    (record,) = shell.ask("Get-Mailbox", Identity="nobody", ErrorAction="Stop")
    assert isinstance(record, ErrorRecord) and record.terminating
    assert shell.ask("Get-Mailbox", Identity="nobody", ea="SilentlyContinue") == []
    assert len(shell.ask("Get-Mailbox", ResultSize=3, wa="SilentlyContinue")) == 3


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_chosen_members_are_those_that_are_cut_out_of_whole_objects(export: object) -> None:
    one = next(e for e in EXPORTS if e is export)
    if (
        one.each is not Each.ONCE
        or WORLD.organisation.server("LS-EX16").version not in one.versions
    ):
        return
    shell = Shell(WORLD)
    if not shell.engine.knows(shell.account, one.cmdlet):
        return
    call = Call(one.cmdlet, one.parameters)
    for names in (one.properties, ("identity", "Nix", "*Guid*"), ("*",), ()):
        whole = shell.outputs(call)
        chosen = list(shell.engine.select(shell.account, (call,), names))
        for before, after in zip(whole, chosen, strict=True):
            if isinstance(before, Item) and isinstance(after, Item):
                wanted = clixml.loads(Selection(names).item(before).xml)
                assert clixml.loads(after.xml) == wanted


def test_texts_say_the_same_as_the_general_writer() -> None:
    state = WORLD.organisation
    places = Places(state.domain, state.name)
    session = Session("x", "59ce2f71-eaa2-4ddf-a4fa-f25069d0b324")
    for file, source in Stores(state, places, ENGLISH).files().items():
        cmdlet = next(e.cmdlet for e in EXPORTS if e.name == file)
        for name, live in source():
            whole = whole_object(cmdlet, ENGLISH, session, name, live)
            assert write(whole) == clixml.dumps(whole)


def test_recipients_are_written_as_if_they_shared_nothing() -> None:
    view = Shell(WORLD).engine._view()
    for mailbox in WORLD.organisation.present():
        for cmdlet, make in (
            ("Get-Mailbox", view.recipients.mailbox), ("Get-User", view.recipients.user)
        ):  # fmt: skip
            for _ in range(2):  # the second time from kept pieces
                whole = whole_object(cmdlet, ENGLISH, view.session, *make(mailbox))
                text = write(whole)
                assert text.count("<Ref ") == 1, "only Id is the same object as Identity"
                assert text == clixml.dumps(fresh(whole))


def test_a_kept_text_holds_until_its_mailbox_changes() -> None:
    shell = Shell(town(40))
    anna = shell.someone()
    first = shell.ask("Get-Mailbox", Identity=anna.guid)
    made = shell.engine.texts.made
    assert shell.ask("Get-Mailbox", Identity=anna.guid) == first
    assert shell.engine.texts.made == made
    anna.hidden = not anna.hidden
    (after,) = shell.objects("Get-Mailbox", Identity=anna.guid)
    assert after["HiddenFromAddressListsEnabled"] is anna.hidden
    assert shell.engine.texts.made == made + 1


CHANGES = {
    "display_name": "New Name", "alias": "new.alias", "office": "nowhere", "hidden": True,
    "on_hold": True, "use_database_quotas": False, "recoverable": 7 * 1024**3,
    "kind": Kind.SHARED, "database": "Technik", "on_behalf": (3,),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_that_changes_is_missed_by_a_kept_text(name: str) -> None:
    shell = Shell(town(40))
    anna = next(m for m in shell.world.organisation.present(Kind.USER) if m.database != "Technik")
    before = shell.ask("Get-Mailbox", Identity=anna.guid)
    assert getattr(anna, name) != CHANGES[name]
    setattr(anna, name, CHANGES[name])
    assert shell.ask("Get-Mailbox", Identity=anna.guid) != before


def test_texts_are_forgotten_when_they_become_too_many() -> None:
    texts = Texts(most=500)
    for number in range(50):
        texts.text(number, 0, lambda: Obj(("T",), "x" * 60))
    assert texts.size <= 500
    texts.text(49, 0, lambda: pytest.fail("the latest was forgotten"))


def test_objects_cost_time_of_the_world_and_calls_too() -> None:
    world = town(40)
    shell = Shell(world, costs=Costs({"get-adpermission": 2.0}, {"get-mailbox": 0.5}))
    shell.ask("Get-Mailbox", ResultSize=4)
    assert world.spent_s == 2.0
    shell.ask("Get-ADPermission", Identity=shell.someone().guid)
    assert world.spent_s == 4.0


def test_every_shape_of_a_simulated_cmdlet_is_there() -> None:
    for name in ("Get-MoveRequest", "Get-MoveRequestStatistics", "Get-Mailbox"):
        assert shape(name).given()
    assert set(MAILBOX_PROPERTIES) <= {name for name, _ in shape("Get-Mailbox").properties}
    assert BY_NAME["mailboxes"].cmdlet == "Get-Mailbox"


def test_a_world_that_runs_keeps_its_mailboxes_growing() -> None:
    moments = [0.0]
    world = World(town(40).organisation, speed=3600, clock=lambda: moments[0])
    shell = Shell(world)
    before = {m.number: m.used for m in world.organisation.present()}
    moments[0] = 24 * 30.0
    shell.ask("Get-OrganizationConfig")
    assert any(m.used > before[m.number] for m in world.organisation.present())


def test_recipients_are_mailboxes_and_groups_in_one_list(shell: Shell) -> None:
    found = shell.objects("Get-Recipient", ResultSize="Unlimited")
    types = {text(one, "RecipientType") for one in found}
    assert types == {"UserMailbox", "MailUniversalSecurityGroup"}
    mailboxes = {str(one["Guid"]) for one in shell.objects("Get-Mailbox")}
    assert mailboxes < {str(one["Guid"]) for one in found}
    anna = shell.someone()
    (one,) = shell.objects("Get-Recipient", Identity=anna.address)
    assert (text(one, "Database"), one["Department"]) == (anna.database, anna.department)
    group = next(g for g in WORLD.organisation.principals if g.is_group)
    (one,) = shell.objects("Get-Recipient", Identity=group.name)
    assert text(one, "RecipientTypeDetails") == "MailUniversalSecurityGroup"
    assert one["Database"] is None
    shared = shell.objects("Get-Recipient", RecipientTypeDetails="sharedmailbox")
    assert shared and {text(o, "RecipientTypeDetails") for o in shared} == {"SharedMailbox"}
