"""Exports made by hand: small files in the shape that Export-Clixml writes, and their reading."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

from mailmig.model.snapshot import Gap
from mailmig.sources import exports

Fields = Mapping[str, object]
Raw = type("Raw", (str,), {})
"""A property that is written as it is: `<Obj N="{name}">...</Obj>`, with {name} left open."""


def guid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def clixml(rows: Iterable[Fields], type_name: str = "Selected.Thing") -> bytes:
    """Rows as Select-Object and Export-Clixml write them."""
    lines = ['<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">']
    for number, row in enumerate(rows):
        lines.append(f'  <Obj RefId="{number}">\n    <TN RefId="{number}">')
        lines.append(f"      <T>{type_name}</T>\n    </TN>\n    <MS>")
        lines += [f"      {node(name, value)}" for name, value in row.items()]
        lines.append("    </MS>\n  </Obj>")
    return ("\r\n".join([*lines, "</Objs>"])).encode("utf-8-sig")


def node(name: str, value: object) -> str:
    if isinstance(value, Raw):
        return str(value).replace("{name}", name)
    if value is None:
        return f'<Nil N="{name}" />'
    if isinstance(value, bool):
        return f'<B N="{name}">{str(value).lower()}</B>'
    if isinstance(value, int):
        return f'<I64 N="{name}">{value}</I64>'
    if isinstance(value, list):
        items = "".join(f"<S>{escape(str(item))}</S>" for item in value)
        return f'<Obj N="{name}"><LST>{items}</LST></Obj>'
    tag = "G" if name.endswith("Guid") else "S"
    return f'<{tag} N="{name}">{escape(str(value))}</{tag}>'


def mailbox(number: int, **fields: object) -> dict[str, object]:
    """A user's mailbox with all that is asked of one."""
    row: dict[str, object] = {
        "ExchangeGuid": guid(number),
        "Guid": guid(number + 0x1000),
        "Identity": f"town.example/Staff/user {number}",
        "DistinguishedName": f"CN=user {number},OU=Staff,DC=town,DC=example",
        "DisplayName": f"User {number}",
        "Alias": f"user{number}",
        "SamAccountName": f"u{number}",
        "UserPrincipalName": f"u{number}@town.example",
        "PrimarySmtpAddress": f"user{number}@town.example",
        "LegacyExchangeDN": f"/o=Town/cn=user{number}",
        "LinkedMasterAccount": "",
        "RecipientTypeDetails": "UserMailbox",
        "OrganizationalUnit": "town.example/Staff",
        "Database": "DB1",
        "ServerName": "ex1",
        "ArchiveGuid": "00000000-0000-0000-0000-000000000000",
        "IssueWarningQuota": "450 MB (471,859,200 bytes)",
        "ProhibitSendQuota": "500 MB (524,288,000 bytes)",
        "ProhibitSendReceiveQuota": "Unlimited",
        "RecoverableItemsQuota": "30 GB (32,212,254,720 bytes)",
        "UseDatabaseQuotaDefaults": False,
        "GrantSendOnBehalfTo": [],
        "LitigationHoldEnabled": False,
        "InPlaceHolds": [],
        "HiddenFromAddressListsEnabled": False,
    }
    return row | fields


def usage(number: int, size: int = 1024, **fields: object) -> dict[str, object]:
    row: dict[str, object] = {
        "MailboxGuid": guid(number),
        "DatabaseName": "DB1",
        "ItemCount": 7,
        "TotalItemSize": f"1 KB ({size:,} bytes)",
        "DeletedItemCount": 1,
        "TotalDeletedItemSize": "10 B (10 bytes)",
        "DisconnectDate": None,
        "IsArchiveMailbox": False,
        "IsMoveDestination": False,
    }
    return row | fields


def right(owner: int, user: str, **fields: object) -> dict[str, object]:
    row: dict[str, object] = {
        "OwnerGuid": guid(owner),
        "User": user,
        "AccessRights": ["FullAccess"],
        "IsInherited": False,
        "Deny": False,
    }
    return row | fields


@dataclass
class Poured:
    """An intake that keeps everything."""

    parts: dict[str, list[Any]] = field(default_factory=dict)
    kinds: dict[str, list[Any]] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def take(rows: Iterable[Any]) -> None:
            self.parts.setdefault(name, []).extend(rows)

        return take

    def facts(self, kind: str, rows: Iterable[Any]) -> None:
        self.kinds.setdefault(kind, []).extend(rows)

    @property
    def costs(self) -> dict[str, str]:
        return {gap.what: gap.cost for gap in self.gaps}


class Export:
    """An export folder that is being made."""

    guid = staticmethod(guid)
    mailbox = staticmethod(mailbox)
    usage = staticmethod(usage)
    right = staticmethod(right)
    raw = Raw

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def write(self, name: str, rows: Iterable[Fields]) -> "Export":
        (self.folder / f"{name}.xml").write_bytes(clixml(rows))
        return self

    def manifest(self, /, **fields: object) -> "Export":
        """A manifest that says what is there; `files` overrides lines by name."""
        files = dict(fields.pop("files", {}))  # type: ignore[call-overload]
        lines = []
        names = {path.stem for path in self.folder.glob("*.xml")} | set(files)
        for name in sorted(names):
            rows = len(self.poured_rows(name))
            line = {
                "name": name,
                "file": f"{name}.xml",
                "count": rows,
                "state": "done",
                "error": "",
            }
            lines.append(line | files.get(name, {}))
        about = {
            "schema": 1,
            "tool": "mailmig collect",
            "started": "2026-11-21T20:00:00Z",
            "finished": "2026-11-21T20:04:00Z",
            "culture": "en-US",
            "computer": "EX1",
            "server_version": "Version 15.1 (Build 2507.6)",
            "self": "NT AUTHORITY\\SELF",
            "files": lines,
        }
        (self.folder / "manifest.json").write_text(json.dumps(about | fields), "utf-8")
        return self

    def poured_rows(self, name: str) -> list[bytes]:
        path = self.folder / f"{name}.xml"
        return path.read_bytes().split(b"  <Obj RefId=")[1:] if path.exists() else []

    def pour(self, path: Path | None = None, **options: Any) -> Poured:
        into = Poured()
        into.gaps = exports.read(path or self.folder, **options).pour(into)
        return into


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """An export folder with two mailboxes in one database."""
    made = Export(tmp_path / "export")
    made.write("mailboxes", [mailbox(1), mailbox(2)])
    made.write(
        "servers",
        [
            {
                "Name": "EX1", "Fqdn": "ex1.town.example", "Site": "town.example/Sites/North",
                "AdminDisplayVersion": "Version 15.1 (Build 2507.6)", "Edition": "Standard",
            }
        ],
    )  # fmt: skip
    made.write(
        "databases",
        [
            {
                "Name": "DB1", "Guid": guid(0xDB1), "Server": "EX1",
                "MountedOnServer": "ex1.town.example", "Servers": ["EX1"],
                "MasterServerOrAvailabilityGroup": "EX1", "Recovery": False,
                "IssueWarningQuota": "1.899 GB (2,039,480,320 bytes)",
                "ProhibitSendQuota": "2 GB (2,147,483,648 bytes)",
                "ProhibitSendReceiveQuota": "2.3 GB (2,469,396,480 bytes)",
                "RecoverableItemsQuota": "30 GB (32,212,254,720 bytes)",
                "DatabaseSize": "10 GB (10,737,418,240 bytes)", "CircularLoggingEnabled": True,
            }
        ],
    )  # fmt: skip
    made.write("statistics", [usage(1), usage(2)])
    return made


ExportMaker = Callable[[Path], Export]


@pytest.fixture
def make_export() -> ExportMaker:
    return Export
