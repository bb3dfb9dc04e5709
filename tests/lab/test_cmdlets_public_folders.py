"""Public folders of the lab: the tree, its contents, and moves of folders."""

from datetime import timedelta

import pytest

from mailmig.model.directory import Kind
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.quantities import size
from tests.lab.asking import Shell, text, town


@pytest.fixture(name="shell")
def _shell() -> Shell:
    return Shell(town(400), "LS-EX16")


def mailboxes(shell: Shell) -> list[str]:
    return [one.alias for one in shell.world.public_folders.mailboxes()]


def test_the_tree_begins_at_its_root_and_every_folder_has_its_parent(shell: Shell) -> None:
    (root,) = shell.objects("Get-PublicFolder")
    assert (text(root, "Name"), text(root, "Identity")) == ("IPM_SUBTREE", "\\")
    found = shell.objects("Get-PublicFolder", Identity="\\", Recurse=None, ResultSize="Unlimited")
    paths = {text(one, "Identity") for one in found}
    assert len(paths) == len(found) > 100
    assert {text(one, "ParentPath") for one in found[1:]} <= paths
    assert any("/" in path for path in paths) and any("ü" in path for path in paths)
    children = shell.objects("Get-PublicFolder", GetChildren=None)
    assert {text(one, "ParentPath") for one in children[1:]} == {"\\"}


def test_the_contents_of_all_folders_are_what_their_mailboxes_hold(shell: Shell) -> None:
    per_mailbox: dict[str, int] = {}
    for one in shell.objects("Get-PublicFolderStatistics", ResultSize="Unlimited"):
        name = text(one, "MailboxOwnerId")
        per_mailbox[name] = per_mailbox.get(name, 0) + size(one["TotalItemSize"]).bytes
    held = sorted(one.used for one in shell.world.organisation.present(Kind.PUBLIC_FOLDER))
    for got, used in zip(sorted(per_mailbox.values()), held, strict=True):
        assert used * 0.999 < got <= used


def test_a_folder_is_found_by_its_path_and_nothing_else(shell: Shell) -> None:
    first = shell.objects("Get-PublicFolder", GetChildren=None)[1]
    path = text(first, "Identity")
    (same,) = shell.objects("Get-PublicFolder", Identity=path.upper())
    assert same["EntryId"] == first["EntryId"]
    error = shell.error("Get-PublicFolder", Identity=r"\Nirgendwo")
    assert "couldn't be found" in error.message
    rights = shell.objects("Get-PublicFolderClientPermission", Identity=path)
    assert {"Default", "Anonymous"} <= {text(one, "User") for one in rights}


def test_mail_enabled_folders_have_an_address_and_take_mail_from_outside(shell: Shell) -> None:
    folders = shell.objects("Get-MailPublicFolder")
    tree = shell.objects("Get-PublicFolder", Recurse=None, ResultSize="Unlimited")
    enabled = [one for one in tree if one["MailEnabled"] is True]
    assert len(folders) == len(enabled) > 0
    (one,) = shell.objects("Get-MailPublicFolder", Identity=text(folders[0], "PrimarySmtpAddress"))
    path = next(text(e, "Identity") for e in enabled if text(e, "Name") == text(one, "Name"))
    rights = shell.objects("Get-PublicFolderClientPermission", Identity=path)
    anonymous = next(right for right in rights if text(right, "User") == "Anonymous")[
        "AccessRights"
    ]
    assert isinstance(anonymous, Obj)
    assert [str(r.text) for r in clixml.items(anonymous) if isinstance(r, Obj)] == ["CreateItems"]


def test_folders_move_to_another_mailbox_one_request_at_a_time(shell: Shell) -> None:
    source, target = shell.world.public_folders.mailboxes()[:2]
    folder = next(f for f in shell.world.public_folders.all()[1:] if f.mailbox == source.number)
    given = {"Folders": [folder.identity], "TargetMailbox": target.alias}
    (made,) = shell.objects("New-PublicFolderMoveRequest", **given)
    assert text(made, "Status") == "Queued"
    assert "already" in shell.error("New-PublicFolderMoveRequest", **given).message
    shell.world.advance(timedelta(days=2))
    (one,) = shell.objects("Get-PublicFolderMoveRequestStatistics",
                           Identity=text(made, "Identity"))  # fmt: skip
    assert (text(one, "Status"), one["PercentComplete"]) == ("Completed", 100)
    (moved,) = shell.objects("Get-PublicFolder", Identity=folder.identity)
    assert text(moved, "ContentMailboxName") == target.name
    identity = text(made, "Identity")
    assert shell.ask("Remove-PublicFolderMoveRequest", Identity=identity, Confirm=False) == []
    (moved,) = shell.objects("Get-PublicFolder", Identity=folder.identity)
    assert text(moved, "ContentMailboxName") == target.name
    assert "same mailbox" in shell.error("New-PublicFolderMoveRequest", **given).message


def test_a_hierarchy_is_brought_up_to_date_when_somebody_asks(shell: Shell) -> None:
    root, other = mailboxes(shell)[:2]
    given = {"InvokeSynchronizer": None}
    assert shell.ask("Update-PublicFolderMailbox", Identity=other, **given) == []
    (one,) = shell.objects("Get-PublicFolderMailboxDiagnostics", Identity=other)
    info = one["SyncInfo"]
    assert isinstance(info, Obj)
    assert info["LastSuccessfulSyncTime"] == shell.world.organisation.now
    assert len(shell.ask("Update-PublicFolderMailbox", Identity=root, **given)) == 1
    someone = shell.someone().alias
    assert "couldn't be found" in shell.error("Get-PublicFolderMailboxDiagnostics",
                                              Identity=someone).message  # fmt: skip


def test_the_old_databases_for_public_folders_are_gone(shell: Shell) -> None:
    assert shell.objects("Get-PublicFolderDatabase") == []


def test_what_a_folder_holds_moves_with_it_and_moves_once(shell: Shell) -> None:
    source, target = shell.world.public_folders.mailboxes()[:2]
    source.growth = target.growth = 0.0
    folder = max(
        (f for f in shell.world.public_folders.all() if f.mailbox == source.number),
        key=lambda one: one.size,
    )
    before = source.used, target.used
    shell.objects("New-PublicFolderMoveRequest", Folders=[folder.identity],
                  TargetMailbox=target.alias)  # fmt: skip
    assert (source.used, target.used) == before
    for _ in range(2):
        shell.world.advance(timedelta(days=2))
        assert (source.used, target.used) == (before[0] - folder.size, before[1] + folder.size)
