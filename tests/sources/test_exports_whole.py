"""Whole exports: the town's, in every shape and culture, and real objects of a real server."""

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import pytest

from mailmig.lab.cultures import CULTURES
from mailmig.lab.export import write_export
from mailmig.lab.founding import found
from mailmig.lab.story import read as read_story
from mailmig.model.directory import Kind, Right, TrusteeKind, UsageState
from mailmig.sources import exports
from mailmig.wire import clixml
from mailmig.wire.collection import BY_NAME

PARTS = ("servers", "dags", "databases", "copies", "mailboxes", "edges", "groups")


def town(folder: Path, culture: str = "en-US", *, whole: bool = False) -> Path:
    story = read_story("town")
    organisation = found(story, 80, 7)
    write_export(organisation, story, folder, culture=CULTURES[culture], whole=whole)
    return folder


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return town(tmp_path_factory.mktemp("town") / "en")


def parts(poured: Any) -> dict[str, Any]:
    return {name: poured.parts.get(name, []) for name in PARTS}


def test_the_town_is_read_without_a_gap(english: Path, make_export: Any) -> None:
    poured = make_export(english).pour()
    assert poured.gaps == ()
    organisation = found(read_story("town"), 80, 7)
    mailboxes = {m.exchange_guid: m for m in poured.parts["mailboxes"]}
    assert set(mailboxes) == {m.exchange_guid for m in organisation.present()}
    for real in organisation.present():
        seen = mailboxes[real.exchange_guid]
        assert (seen.kind, seen.address, seen.database) == (real.kind, real.address, real.database)
        assert (seen.own, seen.department) == (real.own, real.department)
        assert seen.use_database_quotas == real.use_database_quotas
        if real.last_logon is None:
            assert seen.usage.state is UsageState.NEVER_USED
        else:
            assert (seen.usage.size_bytes, seen.usage.items) == (real.used, real.items)
        assert (seen.archive is None) == (real.archive is None)
        assert len([e for e in poured.parts["edges"] if (
            e.owner == real.exchange_guid and e.right is Right.SEND_ON_BEHALF
        )]) == len(real.on_behalf)  # fmt: skip
    rights = len(organisation.full_access) + len(organisation.send_as)
    kept = sum(e.right is not Right.SEND_ON_BEHALF for e in poured.parts["edges"])
    assert 0.9 * rights < kept <= rights
    kinds = {edge.trustee_kind for edge in poured.parts["edges"]}
    assert {TrusteeKind.MAILBOX, TrusteeKind.GROUP} <= kinds


@pytest.mark.parametrize("culture", ["en-US", "de-DE"])
@pytest.mark.parametrize("whole", [False, True])
def test_every_shape_and_culture_says_the_same(
    culture: str, whole: bool, english: Path, tmp_path: Path, make_export: Any
) -> None:
    other = town(tmp_path / "other", culture, whole=whole)
    here, there = make_export(english).pour(), make_export(other).pour()
    assert parts(there) == parts(here)
    assert there.gaps == ()


def flat(value: Any) -> str:
    """A value as `Export-Csv` writes it, lists joined by semicolons as admins do it."""
    inner = getattr(value, "value", None)
    if isinstance(inner, list):
        return ";".join(flat(item) for item in inner)
    text = getattr(value, "text", None)
    return "" if value is None else str(text if text is not None else value)


def as_csv(folder: Path, target: Path, encoding: str, delimiter: str, *, typed: bool) -> Path:
    """The same export as CSV files."""
    target.mkdir()
    for file in folder.glob("*.xml"):
        out = io.StringIO(newline="")
        rows: list[Any] = list(clixml.read(file))
        if rows:
            names = list(rows[0].extended)
            if typed:
                out.write("#TYPE Selected.Microsoft.Exchange.Data.Thing\r\n")
            writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
            writer.writerow(names)
            writer.writerows([flat(row.get(name)) for name in names] for row in rows)
        (target / f"{file.stem}.csv").write_bytes(out.getvalue().encode(encoding, "replace"))
    shutil.copy(folder / "manifest.json", target)
    return target


@pytest.mark.parametrize(
    ("encoding", "delimiter", "typed"),
    [("utf-8-sig", ",", True), ("utf-16", "\t", False), ("cp1252", ";", False)],
)
def test_csv_files_say_the_same_as_clixml(
    encoding: str, delimiter: str, typed: bool, english: Path, tmp_path: Path, make_export: Any
) -> None:
    flattened = as_csv(english, tmp_path / "csv", encoding, delimiter, typed=typed)
    here, there = make_export(english).pour(), make_export(flattened).pour()
    assert there.gaps == ()
    # Windows-1252 has no Vietnamese letters.
    one, other = (repr(parts(poured)).encode(encoding, "replace") for poured in (here, there))
    assert one == other


# Real objects ---------------------------------------------------------------------------------

# Which file of the table each real file stands for.
REAL = {
    "GetExchangeServer.xml": "servers",
    "GetMailboxServer.xml": "mailbox_servers",
    "GetOrganizationConfig.xml": "organization",
    "GetAcceptedDomain.xml": "accepted_domains",
    "GetOwaVirtualDirectory.xml": "owa",
    "GetWebServicesVirtualDirectory.xml": "ews",
    "GetReceiveConnector.xml": "receive_connectors",
    "GetSendConnector.xml": "send_connectors",
}


def real_export(data_folder: Path, export: Any) -> Any:
    for source, name in REAL.items():
        shutil.copy(data_folder / "clixml" / source, export.folder / f"{name}.xml")
    return export.pour()


def test_whole_objects_of_a_real_server_are_read(data_folder: Path, export: Any) -> None:
    poured = real_export(data_folder, export)
    (server,) = poured.parts["servers"]
    assert (server.name, server.fqdn) == ("SOLO-E19A", "Solo-E19A.Solo.com")
    assert (server.site, server.version) == ("Default-First-Site-Name", "2019")
    assert (server.build, server.edition) == ((15, 2, 986, 5), "StandardEvaluation")
    assert poured.kinds["organization"][0]["Name"] == "SoloORG"
    assert exports.read(export.folder).organisation == "SoloORG"
    for name in ("accepted_domains", "owa", "ews", "receive_connectors", "send_connectors"):
        facts = poured.kinds[name]
        assert facts, name
        for fact in facts:
            assert set(fact) <= set(BY_NAME[name].properties)
            assert "SerializationData" not in str(fact)
    (ews,) = poured.kinds["ews"]
    assert ews["InternalUrl"].startswith("https://")
    assert ews["Server"] == "SOLO-E19A"
    assert not [gap for gap in poured.gaps if ".xml: " in gap.what]


def test_an_object_that_is_no_mailbox_is_left_out_and_named(data_folder: Path, export: Any) -> None:
    real = data_folder / "clixml" / "GetDynamicDistributionGroupPfMailboxes.xml"
    shutil.copy(real, export.folder / "public_folder_mailboxes.xml")
    poured = export.pour()
    assert {mailbox.kind for mailbox in poured.parts["mailboxes"]} == {Kind.USER}
    assert (
        "public_folder_mailboxes.xml: ExchangeGuid cannot be used once (object 1: it has none, so "
        "this mailbox is left out)"
    ) in poured.costs


@pytest.mark.parametrize("name", [
    "GetExchangeCertificate.xml", "GetExchangeDiagnosticInfo_EdgeTransportResourceThrottling.xml",
    "GetServerComponentState.xml", "TestServiceHealth.xml", "Win32_OperatingSystem.xml",
])  # fmt: skip
def test_real_objects_of_another_kind_stop_nothing(
    name: str, data_folder: Path, export: Any
) -> None:
    for table in ("users", "groups", "databases", "statistics", "full_access", "owa"):
        shutil.copy(data_folder / "clixml" / name, export.folder / f"{table}.xml")
    assert len(export.pour().parts["mailboxes"]) == 2
