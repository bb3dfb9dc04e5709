"""The export folder: files, manifest, kinds of values, replacement and refusal."""

import json
import resource
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from mailmig.lab import founding, story
from mailmig.lab.cultures import GERMAN
from mailmig.lab.export import CannotWriteFolder, FolderInTheWay, write_export
from mailmig.lab.story import Story
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import BY_NAME, EXPORTS, MANIFEST

NAMES = {export.name for export in EXPORTS}
HEADER = (
    b'\xef\xbb\xbf<Objs Version="1.1.0.1" '
    b'xmlns="http://schemas.microsoft.com/powershell/2004/04">\r\n'
)


@pytest.fixture(scope="module")
def told() -> Story:
    return story.read("town")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, told: Story) -> Path:
    target = tmp_path_factory.mktemp("town") / "export"
    write_export(founding.found(told), told, target)
    return target


def rows(file: Path) -> list[Obj]:
    return [row for row in clixml.read(file) if isinstance(row, Obj)]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def manifest(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / MANIFEST).read_text("utf-8"))
    return found


def test_every_file_that_a_2016_server_can_answer_is_there(folder: Path) -> None:
    files = {file.name for file in folder.iterdir()}
    assert files == {f"{name}.xml" for name in NAMES - {"client_access_2013"}} | {
        MANIFEST, "calendar",
    }  # fmt: skip


def test_the_manifest_tells_what_is_in_each_file(folder: Path) -> None:
    found = manifest(folder)
    assert found["server_version"] == "Version 15.1 (Build 2507.6)"
    assert (found["culture"], found["self"]) == ("en-US", r"NT AUTHORITY\SELF")
    assert (found["schema"], found["tool"]) == (1, "mailmig collect")
    assert str(found["started"]) < str(found["finished"])
    assert isinstance(found["files"], list)
    assert [entry["name"] for entry in found["files"]] == [export.name for export in EXPORTS]
    for entry in found["files"]:
        assert entry.keys() == {"name", "file", "cmdlet", "count", "seconds", "state", "error"}
        if entry["name"] == "client_access_2013":
            assert entry["state"] == "not available" and entry["error"]
        else:
            assert (entry["state"], entry["error"]) == ("done", "")
            assert entry["count"] == len(rows(folder / entry["file"])), entry["name"]
            assert entry["cmdlet"].startswith(BY_NAME[entry["name"]].cmdlet)


def test_selected_objects_carry_their_properties_as_notes_in_the_order_of_the_table(
    folder: Path,
) -> None:
    for export in EXPORTS:
        file = folder / f"{export.name}.xml"
        for row in rows(file) if file.exists() else []:
            assert row.types[0].startswith("Selected.Microsoft.Exchange.")
            assert row.types[1:] == (
                "System.Management.Automation.PSCustomObject", "System.Object",
            )  # fmt: skip
            assert row.text is None and row.adapted == {}
            columns = [name for name in row.extended if name != "OwnerGuid"]
            assert columns == list(export.properties), export.name


def test_at_depth_1_objects_are_texts_and_lists_stay_lists(folder: Path) -> None:
    mailbox = rows(folder / "mailboxes.xml")[0]
    assert isinstance(mailbox["ExchangeGuid"], UUID)
    assert mailbox["RecipientTypeDetails"] == "UserMailbox"
    assert mailbox["RecoverableItemsQuota"] == "30 GB (32,212,254,720 bytes)"
    assert mailbox["UseDatabaseQuotaDefaults"] is True
    assert mailbox["ArchiveDatabase"] is None
    holders = mailbox["GrantSendOnBehalfTo"]
    assert isinstance(holders, Obj) and holders.types[0].startswith(
        "Microsoft.Exchange.Data.Directory.ADMultiValuedProperty`1[["
    )
    assert clixml.items(holders) and all(isinstance(one, str) for one in clixml.items(holders))


def test_at_depth_2_ids_keep_their_properties_and_their_parent_is_text(folder: Path) -> None:
    server = rows(folder / "servers.xml")[0]
    site = server["Site"]
    assert isinstance(site, Obj)
    assert site.text == "ad.lindenstadt.example/Configuration/Sites/Rathaus"
    assert site.adapted["Parent"] == "ad.lindenstadt.example/Configuration/Sites"
    assert site.adapted["Depth"] == 5 and isinstance(site.adapted["ObjectGuid"], UUID)
    version = server["AdminDisplayVersion"]
    assert isinstance(version, Obj)
    numbers = [version.adapted[name] for name in ("Major", "Minor", "Build", "Revision")]
    assert (version.text, numbers) == ("Version 15.1 (Build 2507.6)", [15, 1, 2507, 6])
    quota = rows(folder / "databases.xml")[0]["ProhibitSendQuota"]
    assert isinstance(quota, Obj)
    assert quota.adapted == {"IsUnlimited": False, "Value": "150 MB (157,286,400 bytes)"}


def test_umlauts_and_escapes_come_through(folder: Path) -> None:
    mailboxes = rows(folder / "mailboxes.xml")
    names = {str(row["DisplayName"]) for row in mailboxes}
    assert "Poststelle Büro des Oberbürgermeisters" in names
    assert any("ß" in name for name in names)
    dns = {str(row["DistinguishedName"]) for row in mailboxes}
    assert any(r"OU=Kinder\, Jugend und Familie" in dn for dn in dns)
    assert any(r"Grünflächen \/ Friedhöfe" in str(row["Identity"]) for row in mailboxes)
    addresses = {str(row["PrimarySmtpAddress"]) for row in mailboxes}
    assert all(address.isascii() for address in addresses) and len(addresses) == 588


def test_statistics_hold_the_rows_that_mislead(folder: Path) -> None:
    found = rows(folder / "statistics.xml")
    assert sum(row["IsMoveDestination"] is True for row in found) == 1
    assert sum(row["DisconnectDate"] is not None for row in found) == 1
    archives = [row for row in found if row["IsArchiveMailbox"]]
    assert len(archives) == 26 == len(rows(folder / "archive_statistics.xml"))
    known = {row["MailboxGuid"] for row in found}
    never = [r for r in rows(folder / "mailboxes.xml") if r["ExchangeGuid"] not in known]
    assert len(never) == 9


def test_rights_name_their_owner_and_leave_out_what_the_script_drops(folder: Path) -> None:
    owners = {
        row["ExchangeGuid"]
        for name in ("mailboxes", "public_folder_mailboxes")
        for row in rows(folder / f"{name}.xml")
    }
    for name in ("full_access", "send_as"):
        found = rows(folder / f"{name}.xml")
        assert found and all(row["OwnerGuid"] in owners for row in found)
        assert not any(row["IsInherited"] or row["Deny"] for row in found)
        assert r"NT AUTHORITY\SELF" not in {row["User"] for row in found}
        assert any(str(row["User"]).startswith("S-1-5-21-") for row in found) or name == "send_as"


def test_a_file_without_objects_is_one_empty_element(folder: Path) -> None:
    assert (folder / "migration_mailboxes.xml").read_bytes() == HEADER[:-3] + b" />"
    assert (folder / "mailboxes.xml").read_bytes().startswith(HEADER)


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path, told: Story, folder: Path) -> None:
    write_export(founding.found(told), told, tmp_path / "again")
    assert digest(tmp_path / "again") == digest(folder)
    write_export(founding.found(told, seed=2), told, tmp_path / "other")
    assert digest(tmp_path / "other")["mailboxes.xml"] != digest(folder)["mailboxes.xml"]


def test_a_german_session_exports_german_texts(tmp_path: Path, told: Story) -> None:
    write_export(founding.found(told, 60), told, tmp_path / "de", culture=GERMAN)
    found = manifest(tmp_path / "de")
    assert (found["culture"], found["self"]) == ("de-DE", r"NT-AUTORITÄT\SELBST")
    mailbox = rows(tmp_path / "de" / "mailboxes.xml")[0]
    assert mailbox["RecoverableItemsQuota"] == "30 GB (32.212.254.720 Bytes)"
    database = rows(tmp_path / "de" / "databases.xml")[0]["ProhibitSendQuota"]
    assert isinstance(database, Obj) and database.text == "150 MB (157.286.400 Bytes)"


def test_two_thousand_mailboxes_make_ten_thousand_rights(tmp_path: Path, told: Story) -> None:
    written = write_export(founding.found(told, 2_000), told, tmp_path / "large")
    assert written.counts["mailboxes"] == 2_000
    assert 9_000 < written.counts["full_access"] + written.counts["send_as"] < 11_000
    assert written.bytes == sum(
        file.stat().st_size for file in (tmp_path / "large").rglob("*.*") if file.parent.name != "calendar"
    )  # fmt: skip


def test_an_older_export_is_replaced_as_a_whole(tmp_path: Path, told: Story) -> None:
    folder = tmp_path / "export"
    write_export(founding.found(told, 5), told, folder)
    (folder / "left.csv").write_text("from an older export")
    write_export(founding.found(told, 6), told, folder)
    assert len(rows(folder / "mailboxes.xml")) == 6
    assert not (folder / "left.csv").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]


def test_an_empty_folder_is_taken(tmp_path: Path, told: Story) -> None:
    (tmp_path / "export").mkdir()
    write_export(founding.found(told, 2), told, tmp_path / "export")
    assert (tmp_path / "export" / MANIFEST).is_file()


@pytest.mark.parametrize("make", ["file", "folder", "link"])
def test_what_is_no_export_is_left_alone(tmp_path: Path, told: Story, make: str) -> None:
    folder = tmp_path / "mine"
    if make == "file":
        folder.write_text("mine")
    elif make == "folder":
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FolderInTheWay, match="name a folder that is new, empty or an older export"):
        write_export(founding.found(told, 2), told, folder)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("text", ['\ufeff{"schema": 1, "tool": "mailmig collect"}', "[]", "{"])
def test_the_export_of_a_real_organisation_is_never_replaced(
    tmp_path: Path, told: Story, text: str
) -> None:
    (tmp_path / MANIFEST).write_text(text, "utf-8")
    (tmp_path / "mailboxes.xml").write_text("hours of work")
    with pytest.raises(FolderInTheWay, match="holds an export that is not of the lab: name a"):
        write_export(founding.found(told, 2), told, tmp_path)
    assert (tmp_path / "mailboxes.xml").read_text() == "hours of work"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, told: Story) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteFolder, match="cannot be written"):
        write_export(founding.found(told, 2), told, tmp_path / "file" / "export")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the kernel refuses in the middle."""
    ended = subprocess.run(
        [sys.executable, "-m", "mailmig", "lab", "export", "export", "--mailboxes", "300"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )  # fmt: skip
    assert ended.returncode == 2
    assert (
        ended.stderr
        == "mailmig: export cannot be written: File too large; nothing was left behind\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_older_export_survives_a_full_disk(tmp_path: Path, told: Story) -> None:
    folder = tmp_path / "export"
    write_export(founding.found(told, 5), told, folder)
    before = digest(folder)
    subprocess.run(
        [sys.executable, "-m", "mailmig", "lab", "export", str(folder), "--mailboxes", "300"],
        cwd=tmp_path, capture_output=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
    )  # fmt: skip
    assert digest(folder) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]


def test_an_older_export_comes_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "export"
    write_export(founding.found(told, 5), told, folder)
    before, rename = digest(folder), Path.rename
    calls: list[Path] = []

    def fail_second(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(CannotWriteFolder, match="Input/output error; nothing was left behind"):
        write_export(founding.found(told, 6), told, folder)
    assert digest(folder) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]
