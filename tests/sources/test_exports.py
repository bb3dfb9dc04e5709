"""Exports: what the rows become, and what is said of what is missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from mailmig.model.database import Dag, Database, DatabaseCopy
from mailmig.model.directory import Kind, Usage, UsageState
from mailmig.model.quota import UNKNOWN, UNLIMITED, Quotas
from mailmig.sources import exports
from mailmig.sources.export_files import BrokenExport
from mailmig.wire.collection import BY_NAME

MB = 1024**2


def usages(poured: Any) -> list[Usage]:
    return [mailbox.usage for mailbox in poured.parts["mailboxes"]]


def test_a_mailbox_has_what_the_files_say_together(export: Any) -> None:
    export.write("users", [{"Guid": export.guid(0x1001), "Department": "Büro für Städtebau"}])
    poured = export.pour()
    one, other = poured.parts["mailboxes"]
    assert one.exchange_guid == export.guid(1)
    assert (one.kind, one.kind_text) == (Kind.USER, "UserMailbox")
    assert (one.address, one.account) == ("user1@town.example", "u1")
    assert (one.server, one.site, one.version) == ("EX1", "North", "2016")
    assert one.own == Quotas(450 * MB, 500 * MB, UNLIMITED)
    assert one.use_database_quotas is False
    assert one.usage == Usage(UsageState.KNOWN, 1024, 7, 10, 1)
    assert one.archive is None
    assert (one.on_hold, one.hidden, one.root_public_folder) == (False, False, False)
    assert (one.department, other.department) == ("Büro für Städtebau", "")


def test_a_database_knows_its_server_its_limits_and_no_dag_where_it_stands_alone(
    export: Any,
) -> None:
    assert export.pour().parts["databases"] == [
        Database(
            "DB1", export.guid(0xDB1), "EX1", ("EX1",), "",
            Quotas(2039480320, 2147483648, 2469396480), 32212254720, 10737418240, None, True,
        )
    ]  # fmt: skip


def test_a_dag_joins_servers_databases_and_copies(export: Any) -> None:
    export.write("dags", [
        {"Name": "DAG1", "Servers": ["EX1", "EX2"], "WitnessServer": "fs.town.example",
         "DatacenterActivationMode": "DagOnly"},
    ]).write("mailbox_servers", [{"Name": "EX2", "DatabaseAvailabilityGroup": "DAG1"}])  # fmt: skip
    export.write("servers", [{"Name": "EX1"}, {"Name": "EX2"}, {"Name": "EX9"}])
    export.write("databases", [
        {"Name": "DB1", "MasterServerOrAvailabilityGroup": "dag1", "Server": "EX2",
         "ActivationPreference": ["[EX2, 1]", "[EX1, 2]"]},
        {"Name": "RDB", "Recovery": True},
    ]).write("copies", [
        {"Identity": "DB1\\EX2", "Status": "Mounted", "CopyQueueLength": 0, "DiskFreeSpace": "1 KB (1,024 bytes)"},
        {"Identity": "DB1\\EX1", "DatabaseName": "DB1", "MailboxServer": "ex1", "Status": "Healthy",
         "ActivationPreference": 2, "CopyQueueLength": 3, "ReplayQueueLength": 4},
    ])  # fmt: skip
    poured = export.pour()
    assert [server.dag for server in poured.parts["servers"]] == ["DAG1", "DAG1", ""]
    assert poured.parts["dags"] == [Dag("DAG1", ("EX1", "EX2"), "fs.town.example", "DagOnly")]
    (database,) = poured.parts["databases"]
    assert (database.dag, database.server) == ("DAG1", "EX2")
    assert database.servers == ("EX2", "EX1")
    assert poured.parts["copies"] == [
        DatabaseCopy("DB1", "EX2", "Mounted", None, 0, None, 1024),
        DatabaseCopy("DB1", "EX1", "Healthy", 2, 3, 4, None),
    ]
    assert poured.kinds["import"][0]["counts"] == {"recovery databases": 1}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("SharedMailbox", Kind.SHARED),
        (4, Kind.SHARED),
        ("4", Kind.SHARED),
        (549755813888, Kind.MONITORING),
        ("SomethingNew", Kind.OTHER),
        (None, Kind.OTHER),
    ],
)
def test_the_type_may_be_a_name_or_a_number(value: object, kind: Kind, export: Any) -> None:
    export.write("mailboxes", [export.mailbox(1, RecipientTypeDetails=value)])
    assert export.pour().parts["mailboxes"][0].kind is kind


def test_an_enum_object_is_read_by_its_name(export: Any) -> None:
    enum = export.raw(
        '<Obj N="{name}"><TN><T>Microsoft.Exchange.Data.Directory.Recipient.RecipientTypeDetails</T>'
        "<T>System.Enum</T></TN><ToString>RoomMailbox</ToString><I64>16</I64></Obj>"
    )
    export.write("mailboxes", [export.mailbox(1, RecipientTypeDetails=enum)])
    (room,) = export.pour().parts["mailboxes"]
    assert (room.kind, room.kind_text) == (Kind.ROOM, "RoomMailbox")


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("arbitration_mailboxes", Kind.ARBITRATION),
        ("audit_log_mailboxes", Kind.AUDIT_LOG),
        ("aux_audit_log_mailboxes", Kind.AUDIT_LOG),
        ("monitoring_mailboxes", Kind.MONITORING),
        ("public_folder_mailboxes", Kind.PUBLIC_FOLDER),
        ("migration_mailboxes", Kind.MIGRATION),
    ],
)
def test_the_file_tells_what_a_mailbox_is_when_its_type_does_not(
    file: str, kind: Kind, export: Any
) -> None:
    export.write(file, [export.mailbox(7), export.mailbox(8, RecipientTypeDetails=8388608)])
    *_, plain, typed = export.pour().parts["mailboxes"]
    assert plain.kind is kind
    assert typed.kind is Kind.ARBITRATION


def test_a_mailbox_that_stands_in_two_files_counts_once_and_is_no_fault(export: Any) -> None:
    export.write("arbitration_mailboxes", [export.mailbox(7)])
    export.write("migration_mailboxes", [export.mailbox(7)])
    export.manifest()
    poured = export.pour()
    assert [mailbox.kind for mailbox in poured.parts["mailboxes"]].count(Kind.ARBITRATION) == 1
    assert not [gap for gap in poured.gaps if "twice" in gap.what]
    assert poured.kinds["import"][0]["counts"]["in two files"] == 1


def test_a_mailbox_that_stands_twice_in_one_file_is_named(export: Any) -> None:
    export.write("mailboxes", [export.mailbox(1), export.mailbox(2), export.mailbox(1)])
    poured = export.pour()
    assert len(poured.parts["mailboxes"]) == 2
    assert (
        f"mailboxes.xml: ExchangeGuid cannot be used once (object 3: {export.guid(1)} is there "
        "twice, the first one counts)"
    ) in poured.costs


def test_a_row_without_exchange_guid_is_left_out_and_named(export: Any) -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    export.write("mailboxes", [export.mailbox(1), export.mailbox(2, ExchangeGuid=zero)])
    poured = export.pour()
    assert len(poured.parts["mailboxes"]) == 1
    assert (
        "mailboxes.xml: ExchangeGuid cannot be used once (object 2: it has none, so this mailbox "
        "is left out)"
    ) in poured.costs


def test_an_archive_has_its_own_limits_and_usage(export: Any) -> None:
    row = export.mailbox(
        1, ArchiveGuid=export.guid(0xA1), ArchiveDatabase="DB1", ArchiveQuota="Unlimited",
        ArchiveWarningQuota="90 GB (96,636,764,160 bytes)",
    )  # fmt: skip
    export.write("mailboxes", [row, export.mailbox(2)])
    export.write("statistics", [export.usage(1), export.usage(0xA1, 4096, IsArchiveMailbox=True)])
    archive = export.pour().parts["mailboxes"][0].archive
    assert (archive.guid, archive.database) == (export.guid(0xA1), "DB1")
    assert (archive.warn, archive.quota) == (96636764160, UNLIMITED)
    assert archive.usage.size_bytes == 4096


# Statistics -----------------------------------------------------------------------------------


def test_disconnected_rows_and_running_moves_are_counted_and_not_used(export: Any) -> None:
    moved = {"DatabaseName": "DB2", "IsMoveDestination": True}
    export.write("statistics", [
        export.usage(1, 111, DisconnectDate="11/20/2026 10:00:00 AM"),
        export.usage(1, 222, **moved),
        export.usage(1, 333),
        export.usage(2, 444, DisconnectDate=export.raw('<DT N="{name}">2026-11-20T10:00:00+01:00</DT>')),
    ]).manifest()  # fmt: skip
    poured = export.pour()
    one, other = usages(poured)
    assert one.size_bytes == 333
    assert other == Usage(), "it was in use, and where it is now was not seen"
    assert poured.kinds["import"][0]["counts"] == {"disconnected": 2, "move destinations": 1}


def test_of_two_connected_rows_the_one_of_the_mailboxs_own_database_counts(export: Any) -> None:
    export.write("statistics", [
        export.usage(1, 111, DatabaseName="DB9"), export.usage(1, 222), export.usage(2),
    ])  # fmt: skip
    assert usages(export.pour())[0].size_bytes == 222


def test_without_a_row_in_covered_statistics_a_mailbox_was_never_used(export: Any) -> None:
    export.write("statistics", [export.usage(1)]).manifest()
    assert usages(export.pour())[1] == Usage(UsageState.NEVER_USED, 0, 0, 0, 0)


def test_without_a_manifest_nobody_knows_whether_statistics_are_whole(export: Any) -> None:
    export.write("statistics", [export.usage(1)])
    known, missing = usages(export.pour())
    assert known.state is UsageState.KNOWN
    assert missing == Usage()


@pytest.mark.parametrize(
    "row", [{"DisconnectDate": "2026-11-21T20:00:00Z"}, {"IsMoveDestination": True}]
)
def test_a_mailbox_that_was_moved_while_the_script_ran_is_not_called_unused(
    row: dict[str, object], export: Any
) -> None:
    export.write("statistics", [export.usage(1), export.usage(2, **row)]).manifest()
    assert usages(export.pour())[1] == Usage()


def test_a_database_without_rows_is_covered_only_when_the_script_says_it_asked_all(
    export: Any,
) -> None:
    export.write("mailboxes", [export.mailbox(1), export.mailbox(2, Database="DB2")])
    export.write("statistics", [export.usage(1)])
    assert usages(export.pour())[1] == Usage()
    export.manifest()
    assert usages(export.pour())[1] == Usage(), "the script knew no DB2, so it did not ask there"
    export.write("databases", [{"Name": "DB1"}, {"Name": "DB2"}]).manifest()
    assert usages(export.pour())[1].state is UsageState.NEVER_USED
    export.manifest(files={"statistics": {"error": "1 errors, the first: DB2 is not mounted"}})
    poured = export.pour()
    assert usages(poured)[1] == Usage()
    assert "statistics is not complete (1 errors, the first: DB2 is not mounted)" in poured.costs


@pytest.mark.parametrize(
    "claim",
    [
        {"error": "2 errors, the first: the server went away"},  # DB2 is silent, and who else?
        {"error": "the server went away"},
        {"state": "failed", "error": "1 errors, the first: the server went away"},
        {"count": 7},
    ],
)
def test_where_rows_may_be_missing_nobody_is_said_to_be_unused(
    claim: dict[str, object], export: Any
) -> None:
    export.write("databases", [{"Name": "DB1"}, {"Name": "DB2"}])
    export.write("statistics", [export.usage(1)]).manifest(files={"statistics": claim})
    assert usages(export.pour())[1] == Usage()


def test_an_error_that_a_silent_database_explains_leaves_the_others_known(export: Any) -> None:
    export.write("databases", [{"Name": "DB1"}, {"Name": "DB2"}])
    export.write("mailboxes", [export.mailbox(n) for n in (1, 2)] +
                 [export.mailbox(3, Database="DB2")])  # fmt: skip
    claim = {"error": "1 errors, the first: DB2 is not mounted"}
    export.write("statistics", [export.usage(1)]).manifest(files={"statistics": claim})
    states = [usage.state for usage in usages(export.pour())]
    assert states == [UsageState.KNOWN, UsageState.NEVER_USED, UsageState.UNKNOWN]


def test_of_the_file_that_a_stopped_script_was_writing_the_end_is_not_believed(
    export: Any,
) -> None:
    export.write("statistics", [export.usage(1)]).manifest(finished=None)
    path = export.folder / "manifest.json"
    about = json.loads(path.read_text("utf-8"))
    about["files"] = [line for line in about["files"] if line["name"] != "statistics"]
    path.write_text(json.dumps(about), "utf-8")
    poured = export.pour()
    assert usages(poured)[1] == Usage()
    assert "statistics may end early, after 1 objects" in poured.costs


def test_the_size_of_an_archive_does_not_cover_its_database(export: Any) -> None:
    export.write("mailboxes", [export.mailbox(1), export.mailbox(2, Database="DB2")])
    export.write("statistics", [export.usage(1)])
    archive = export.usage(0xA1, 9, OwnerGuid=export.guid(1), DatabaseName="DB2")
    export.write("archive_statistics", [archive])
    assert usages(export.pour())[1] == Usage()


def test_without_statistics_all_sizes_are_unknown_and_that_is_told(export: Any) -> None:
    (export.folder / "statistics.xml").unlink()
    poured = export.pour()
    assert usages(poured) == [Usage(), Usage()]
    assert poured.costs["statistics is missing"] == BY_NAME["statistics"].cost


def test_sizes_of_another_culture_and_rounded_ones_are_read(export: Any) -> None:
    export.write("statistics", [
        export.usage(1, TotalItemSize="1,899 GB (2.039.480.320 Bytes)"),
        export.usage(2, TotalItemSize="1,5 GB", TotalDeletedItemSize=None),
    ])  # fmt: skip
    one, other = usages(export.pour())
    assert (one.size_bytes, one.approximate) == (2039480320, False)
    assert (other.size_bytes, other.approximate) == (1536 * MB, True)
    assert other.deleted_bytes is None


def test_a_value_that_cannot_be_read_is_missing_and_named_with_file_object_and_property(
    export: Any,
) -> None:
    export.write("mailboxes", [
        export.mailbox(1, ProhibitSendQuota="abc"), export.mailbox(2, UseDatabaseQuotaDefaults="maybe"),
    ])  # fmt: skip
    bad = [export.usage(n, TotalItemSize=f"bad{n}") for n in range(1, 6)]
    export.write("statistics", bad)
    poured = export.pour()
    one, other = poured.parts["mailboxes"]
    assert one.own.send is UNKNOWN
    assert other.use_database_quotas is None
    assert one.usage == Usage(UsageState.UNKNOWN, None, 7, 10, 1)
    assert [gap.what for gap in poured.gaps if ".xml: " in gap.what] == [
        (
            'statistics.xml: TotalItemSize cannot be used 5 times (object 1: "bad1" is not a size; '
            'object 2: "bad2" is not a size; object 3: "bad3" is not a size)'
        ),
        'mailboxes.xml: ProhibitSendQuota cannot be used once (object 1: "abc" is not a size)',
        (
            'mailboxes.xml: UseDatabaseQuotaDefaults cannot be used once (object 2: "maybe" is not '
            "True or False)"
        ),
    ]
    assert poured.costs["1 of 2 mailboxes do not say UseDatabaseQuotaDefaults"] == (
        "their effective quotas are unknown"
    )


def test_half_of_a_surrogate_pair_cannot_stop_an_import(export: Any) -> None:
    odd = export.raw('<S N="{name}">Anna _xD83D_ Meier</S>')
    export.write("mailboxes", [export.mailbox(1, DisplayName=odd, GrantSendOnBehalfTo=odd)])
    (one,) = export.pour().parts["mailboxes"]
    assert one.display_name == "Anna \N{REPLACEMENT CHARACTER} Meier"


# Files that are missing, partial or broken ----------------------------------------------------


def test_a_whole_export_has_no_gaps(export: Any, make_export: Any) -> None:
    for name in BY_NAME:
        if not (export.folder / f"{name}.xml").exists():
            export.write(name, [])
    export.manifest()
    assert export.pour().gaps == ()


def test_each_missing_file_is_told_with_what_it_costs(export: Any) -> None:
    export.manifest()
    poured = export.pour()
    missing = {f"{name} is missing": e.cost for name, e in BY_NAME.items() if name not in (
        "mailboxes", "servers", "databases", "statistics", "archive_statistics",
    )}  # fmt: skip
    assert poured.costs == missing
    assert "no full-access rights" in poured.costs["full_access is missing"]


def test_without_a_manifest_the_time_is_that_of_the_files_and_that_is_told(
    export: Any,
) -> None:
    import os

    for path in export.folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    reading = exports.read(export.folder)
    assert reading.taken_at.timestamp() == 1_700_000_000
    assert "manifest.json is missing" in export.pour().costs


def test_an_export_names_itself(export: Any) -> None:
    export.write("organization", [{"Name": "Stadt Lindenstadt"}]).manifest()
    reading = exports.read(export.folder)
    assert reading.organisation == "Stadt Lindenstadt"
    assert reading.taken_at.isoformat() == "2026-11-21T20:04:00+00:00"
    assert reading.origin == f"{export.folder} (from EX1)"


def test_a_script_that_was_stopped_is_told(export: Any) -> None:
    export.manifest(finished=None)
    assert "the script did not finish" in export.pour().costs


@pytest.mark.parametrize(
    ("claim", "what"),
    [
        ({"state": "failed", "error": "access denied"},
         "users failed after 1 objects (access denied)"),
        ({"state": "not available", "error": "this shell has no Get-User"},
         "users is not available (this shell has no Get-User)"),
        ({"count": 2}, "users has 1 objects and the script counted 2"),
        ({"error": "3 errors, the first: timeout"},
         "users is not complete (3 errors, the first: timeout)"),
    ],
)  # fmt: skip
def test_what_the_manifest_admits_is_a_gap(
    claim: dict[str, object], what: str, export: Any
) -> None:
    export.write("users", [{"Guid": export.guid(1)}]).manifest(files={"users": claim})
    assert export.pour().costs[what] == BY_NAME["users"].cost


def test_what_a_version_does_not_have_is_no_gap(export: Any) -> None:
    files = {"audit_log_mailboxes": {"state": "not available", "error": "no -AuditLog"}}
    export.manifest(files=files)
    assert "audit_log_mailboxes is not available (no -AuditLog)" in export.pour().costs
    row = {"Name": "EX1", "AdminDisplayVersion": "Version 15.0 (Build 1497.2)"}
    export.write("servers", [row]).manifest(files=files)
    assert not any("audit_log" in what for what in export.pour().costs)


def test_archive_statistics_are_missed_only_when_an_archive_has_no_size(export: Any) -> None:
    archive = {"ArchiveGuid": export.guid(0xA1), "ArchiveDatabase": "DB7"}
    export.write("mailboxes", [export.mailbox(1, **archive)])
    poured = export.pour()
    assert "archive_statistics is missing" in poured.costs
    assert poured.parts["mailboxes"][0].archive.usage == Usage()
    export.write("archive_statistics", [export.usage(0xA1, 9, OwnerGuid=export.guid(1))])
    poured = export.pour()
    assert "archive_statistics is missing" not in poured.costs
    assert poured.parts["mailboxes"][0].archive.usage.size_bytes == 9


def cut(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.rindex(b"MailboxGuid")])


def test_a_file_that_breaks_off_is_refused(export: Any) -> None:
    path = export.folder / "statistics.xml"
    cut(path)
    with pytest.raises(BrokenExport) as raised:
        export.pour()
    assert raised.value.rows == 1
    sentence = str(raised.value)
    assert sentence.startswith(f"{path}, object 2: ")
    assert sentence.endswith(
        "; nothing was kept: export it again, or take the 1 objects before it with --accept-partial"
    )


def test_a_file_that_breaks_off_may_be_accepted_and_is_a_gap(export: Any) -> None:
    cut(export.folder / "statistics.xml")
    export.manifest(files={"statistics": {"count": 2}})
    poured = export.pour(accept_partial=True)
    (what,) = [what for what in poured.costs if what.startswith("statistics")]
    assert what.startswith("statistics is cut short after 1 objects (object 2: ")
    one, other = usages(poured)
    assert one.state is UsageState.KNOWN
    assert other == Usage(), "of the last database nobody knows who is missing"


def test_the_number_at_which_exchange_stops_by_itself_is_told(export: Any) -> None:
    export.write("mailboxes", [export.mailbox(n) for n in range(1, 1001)])
    what = "mailboxes has exactly 1,000 objects, where Exchange stops without -ResultSize Unlimited"
    assert what in export.pour().costs
    export.manifest()
    assert what not in export.pour().costs, "the script asks for all"


def test_half_of_the_mailboxes_is_not_called_no_inventory(export: Any) -> None:
    path = export.folder / "mailboxes.xml"
    raw = path.read_bytes()
    path.write_bytes(raw[: raw.rindex(b"UserPrincipalName")])
    (gap,) = [g for g in export.pour(accept_partial=True).gaps if g.what.startswith("mailboxes")]
    assert gap.what.startswith("mailboxes is cut short after 1 objects (object 2: ")
    assert gap.cost == (
        "the other mailboxes are not in the inventory and would be forgotten on the source"
    )


def test_without_mailboxes_there_is_no_inventory(export: Any) -> None:
    hint = (
        ", so there is no inventory: run the script that `mailmig collect --script` prints, and "
        "import the folder that it makes"
    )
    export.write("mailboxes", [])
    with pytest.raises(exports.NoInventory) as raised:
        export.pour()
    assert str(raised.value) == f"{export.folder}: there is no mailbox in it{hint}"
    (export.folder / "mailboxes.xml").unlink()
    with pytest.raises(exports.NoInventory) as raised:
        export.pour()
    assert str(raised.value) == (
        f"{export.folder}: there is neither mailboxes.xml nor mailboxes.csv in it{hint}"
    )


def test_what_no_rule_needs_yet_is_kept_as_plain_facts(export: Any) -> None:
    export.write("ews", [{
        "Name": "EWS (Default Web Site)", "Server": "EX1", "InternalUrl": "https://mail/ews",
        "ExternalUrl": None, "InternalAuthenticationMethods": ["Ntlm", "OAuth"],
        "MRSProxyEnabled": True, "SomethingElse": "x",
    }])  # fmt: skip
    assert export.pour().kinds["ews"] == [{
        "Name": "EWS (Default Web Site)", "Server": "EX1", "InternalUrl": "https://mail/ews",
        "InternalAuthenticationMethods": ["Ntlm", "OAuth"], "MRSProxyEnabled": True,
    }]  # fmt: skip


def test_objects_that_were_exported_as_one_list_are_rows_all_the_same(export: Any) -> None:
    row = (
        f'<Obj><MS><G N="MailboxGuid">{export.guid(1)}</G><S N="DatabaseName">DB1</S>'
        '<S N="TotalItemSize">5 B (5 bytes)</S></MS></Obj>'
    )
    (export.folder / "statistics.xml").write_text(
        '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
        f'<Obj RefId="0"><TN RefId="0"><T>System.Object[]</T></TN><LST>{row}</LST></Obj></Objs>',
        "utf-8",
    )
    assert usages(export.pour())[0].size_bytes == 5


def test_a_list_that_holds_itself_has_no_rows(export: Any) -> None:
    path = export.folder / "mailboxes.xml"
    text = path.read_text("utf-8")
    loop = '<Obj RefId="c"><LST><Ref RefId="c" /></LST></Obj></Objs>'
    path.write_text(text.replace("</Objs>", loop), "utf-8")
    assert len(export.pour().parts["mailboxes"]) == 2


def test_progress_reaches_the_end(export: Any) -> None:
    told: list[tuple[str, int, int]] = []
    export.pour(progress=lambda *what: told.append(what))
    assert told[-1][1] == told[-1][2] == sum(p.stat().st_size for p in export.folder.iterdir())
    done = [done for _, done, _ in told]
    assert done == sorted(done)


def test_an_unknown_server_leaves_site_and_version_open(export: Any) -> None:
    export.write("servers", [{"Name": "EX9"}])
    (one, _) = export.pour().parts["mailboxes"]
    assert (one.server, one.site, one.version) == ("ex1", "", "unknown")
