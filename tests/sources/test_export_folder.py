"""Folders and ZIPs: what is taken, what is refused, and when two of them are the same export."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailmig.model.errors import BadFile
from mailmig.sources import export_folder, exports
from mailmig.sources.export_folder import Changing, NotAnExport, UnsafeZip

AGAIN = "; nothing was read: pack the export folder again"


def packed(export: Any, inside: str = "", method: int = zipfile.ZIP_DEFLATED) -> Path:
    path: Path = export.folder.parent / "export.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for file in sorted(export.folder.iterdir()):
            archive.write(file, inside + file.name)
    return path


def added(path: Path, name: str, content: bytes = b"", **attributes: int) -> Path:
    """A ZIP with one member more."""
    member = zipfile.ZipInfo(name)
    member.filename = name  # as it is: ZipInfo would clean it
    for attribute, value in attributes.items():
        setattr(member, attribute, value)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return path


@pytest.mark.parametrize("inside", ["", "export/", "export\\"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_is_the_same_export_as_its_folder(inside: str, method: int, export: Any) -> None:
    export.manifest()
    path = packed(export, inside, method)
    folder, archive = exports.read(export.folder), exports.read(path)
    assert folder.digest == archive.digest
    assert export.pour(path).parts == export.pour().parts


def test_any_change_of_content_is_another_export(export: Any) -> None:
    before = exports.read(export.folder).digest
    export.write("statistics", [export.usage(1), export.usage(2, 2048)])
    changed = exports.read(export.folder).digest
    export.manifest()
    assert len({before, changed, exports.read(export.folder).digest}) == 3


def test_times_and_files_that_are_no_part_of_it_do_not_make_another_export(export: Any) -> None:
    before = exports.read(export.folder).digest
    (export.folder / "notes.txt").write_text("x")
    os.utime(export.folder / "mailboxes.xml", (1, 1))
    assert exports.read(export.folder).digest == before


def test_other_files_are_ignored_and_listed(export: Any) -> None:
    (export.folder / "notes.txt").write_text("x")
    (export.folder / "mailboxes.csv").write_text("ExchangeGuid\n")
    (export.folder / "calendar").mkdir()
    poured = export.pour()
    assert poured.kinds["import"][0]["ignored files"] == ["mailboxes.csv", "notes.txt"]
    assert len(poured.parts["mailboxes"]) == 2, "XML keeps the types, so it counts"


def test_names_of_files_are_compared_without_case(export: Any) -> None:
    (export.folder / "mailboxes.xml").rename(export.folder / "Mailboxes.XML")
    assert len(export.pour().parts["mailboxes"]) == 2


@pytest.mark.parametrize(
    ("name", "attributes", "reason"),
    [
        ("/etc/users.xml", {}, "leads out of the folder"),
        ("../users.xml", {}, "leads out of the folder"),
        ("a/../../users.xml", {}, "leads out of the folder"),
        ("..\\users.xml", {}, "leads out of the folder"),
        ("C:\\users.xml", {}, "leads out of the folder"),
        ("C:users.xml", {}, "leads out of the folder"),
        ("users.xml", {"external_attr": 0o120777 << 16}, "is a link or a device"),
        ("users.xml", {"external_attr": 0o020666 << 16}, "is a link or a device"),
        ("MAILBOXES.xml", {}, "is there twice"),
    ],
)
def test_a_zip_with_a_member_that_no_export_has_is_refused_as_a_whole(
    name: str, attributes: dict[str, int], reason: str, export: Any
) -> None:
    path = added(packed(export), name, b"x", create_system=3, **attributes)
    with pytest.raises(UnsafeZip) as raised:
        exports.read(path)
    assert str(raised.value) == f"{path}: {name!r} {reason}{AGAIN}"


def test_a_locked_zip_is_refused(export: Any) -> None:
    path = packed(export)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02")
    raw[at + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(UnsafeZip, match="is locked with a password; nothing was read"):
        exports.read(path)


def test_a_bomb_is_refused_before_it_is_unpacked(export: Any) -> None:
    path = added(packed(export), "users.xml", bytes(20 * 1024**2))
    with pytest.raises(
        UnsafeZip, match=r"'users.xml' unpacks to 1\d\d\d times its size, more than"
    ):
        exports.read(path)


def test_a_zip_of_too_many_bytes_or_files_is_refused(
    export: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(export)
    monkeypatch.setattr(export_folder, "MAX_TOTAL_BYTES", 1000)
    with pytest.raises(UnsafeZip, match=r"unpacks to [\d,]+ bytes, more than 1,000; nothing"):
        exports.read(path)
    monkeypatch.setattr(export_folder, "MAX_FILE_BYTES", 999)
    monkeypatch.setattr(export_folder, "MAX_TOTAL_BYTES", 10**9)
    with pytest.raises(UnsafeZip, match=r"'\w+.xml' unpacks to [\d,]+ bytes, more than 999"):
        exports.read(path)
    monkeypatch.setattr(export_folder, "MAX_MEMBERS", 3)
    with pytest.raises(UnsafeZip, match="holds 4 files, more than 3"):
        exports.read(path)


def test_a_member_that_is_larger_than_its_zip_says_is_an_error(export: Any) -> None:
    """The sizes that were checked are those that count: what goes on beyond them is damage."""
    path = packed(export)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02")
    struct.pack_into("<I", raw, at + 24, 100)
    path.write_bytes(raw)
    with pytest.raises((BadFile, exports.NoInventory)):
        export.pour(path)
        exports.read(path).digest  # noqa: B018


def test_two_exports_in_one_zip_are_refused(export: Any) -> None:
    path = added(packed(export, "before/"), "after/mailboxes.xml", b"x")
    with pytest.raises(NotAnExport) as raised:
        exports.read(path)
    assert str(raised.value) == (
        f"{path}: holds more than one export (folders after, before): pack one alone"
    )


def test_what_a_mac_puts_beside_the_files_is_ignored(export: Any) -> None:
    path = added(packed(export, "export/"), "__MACOSX/export/._notes", b"x")
    assert len(export.pour(path).parts["mailboxes"]) == 2


@pytest.mark.parametrize("damage", [lambda raw: raw[:-30], lambda raw: raw[: len(raw) // 2]])
def test_a_zip_that_was_cut_is_refused(damage: Callable[[bytes], bytes], export: Any) -> None:
    path = packed(export)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(NotAnExport) as raised:
        exports.read(path)
    assert str(raised.value) == (
        f"{path}: neither a folder nor a whole ZIP: give the folder of the export"
    )


def test_damage_inside_a_zip_is_told_with_the_file(export: Any) -> None:
    path = packed(export, method=zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"user1@town.example")] ^= 1
    path.write_bytes(raw)
    with pytest.raises(BadFile, match=r"export.zip/mailboxes.xml: .*CRC.*: pack the export folder"):
        export.pour(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_packed_bytes_that_cannot_be_unpacked_are_told_with_the_file(
    method: int, export: Any
) -> None:
    path = packed(export, method=method)
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("mailboxes.xml")
    raw = bytearray(path.read_bytes())
    start = member.header_offset + 30 + len(member.filename)
    raw[start + 9 : start + member.compress_size] = b"\xff" * (member.compress_size - 9)
    path.write_bytes(raw)
    with pytest.raises(BadFile, match=r"export.zip/mailboxes.xml: "):
        _ = exports.read(path).digest


def test_a_path_that_the_system_refuses_is_told(
    tmp_path: Path, export: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotAnExport, match=r"a: cannot be read: "):
        exports.read(tmp_path / ("a" * 300))
    path = packed(export)

    def refuse(self: Path, mode: str) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(NotAnExport) as raised:
        exports.read(path)
    assert str(raised.value) == f"{path}: cannot be read: Permission denied"


def test_a_path_that_is_not_there_or_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAnExport) as raised:
        exports.read(tmp_path / "nowhere")
    assert str(raised.value) == f"{tmp_path / 'nowhere'}: there is no such folder or ZIP"
    file = tmp_path / "mailboxes.xml"
    file.write_text("<Objs/>")
    with pytest.raises(NotAnExport, match="neither a folder nor a whole ZIP: give the folder"):
        exports.read(file)


def test_a_file_that_changes_while_it_is_read_stops_the_import(export: Any) -> None:
    def touch(name: str, done: int, total: int) -> None:
        if name == "mailboxes":
            export.write("statistics", [export.usage(1), export.usage(2, 77777)])

    with pytest.raises(Changing) as raised:
        export.pour(progress=touch)
    assert str(raised.value) == (
        f"{export.folder}: statistics.xml changed while it was read; nothing was kept: wait until "
        "the script has finished and import again"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not readable as JSON (Expecting property name"),
        ("\xff", "not readable as JSON ('utf-8' codec"),
        ("[]", "not the manifest of an export"),
        ('{"schema": 2}', "schema 2, this mailmig knows 1: upgrade it"),
        ('{"schema": 1, "finished": "soon"}', "'soon' is no time"),
        ('{"schema": 1, "files": 3}', "not the manifest of an export"),
        ("[" * 100_000, "not readable as JSON ("),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(text: str, reason: str, export: Any) -> None:
    path = export.folder / "manifest.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadFile) as raised:
        exports.read(export.folder)
    assert str(raised.value).startswith(f"{path}: {reason}")


def test_a_manifest_of_windows_powershell_has_a_byte_order_mark(export: Any) -> None:
    export.manifest()
    path = export.folder / "manifest.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert exports.read(export.folder).manifest.computer == "EX1"


def test_a_manifest_names_no_path_that_is_followed(export: Any) -> None:
    export.manifest(files={"users": {"file": "../../etc/passwd"}})
    assert "users has 0 objects and the script counted 0" not in export.pour().costs
    assert "users is missing" in export.pour().costs


def test_a_file_of_no_rights_to_read_is_told(export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> io.BytesIO:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadFile, match=r"servers.xml: cannot be read: Permission denied$"):
        export.pour()
