"""Stock pypsrp reads what every cmdlet of the lab gives.

Its reader leaves a list of Exchange's own (`MultiValuedProperty`) as raw XML, and so never learns
of the types and objects that are told there for the first time: where one is referred to later, it
ends in `KeyError`. A real send connector is such an object too (see the last test). Therefore all
is told in full first; every reference that leads nowhere still shows.
"""

from copy import deepcopy
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from pypsrp.complex_objects import GenericComplexObject
from pypsrp.serializer import Serializer

from mailmig.lab.cmdlets.engine import simulated
from mailmig.lab.exchange.calls import ErrorRecord, Item
from mailmig.lab.faults.switchboard import Switchboard
from mailmig.lab.population import PstFile
from mailmig.model.directory import Kind
from mailmig.model.quota import MIB
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from tests.lab.asking import ADMIN, Shell, said, town

SERVER = "LS-EX1"
NAMESPACE = "{http://schemas.microsoft.com/powershell/2004/04}"
# A type that a list of Exchange's own tells first and something later uses.
TOLD_IN_A_LIST = {"Get-DatabaseAvailabilityGroup", "Get-Group", "Get-SendConnector"}
READING = sorted(one.name for one in simulated().values() if one.name.startswith(("Get-", "Test-")))
OF_SERVER = ("Get-HealthReport", "Get-ServerComponentState", "Get-ServerHealth")
OF_SOMEBODY = (
    "Get-MailboxFolderStatistics",
    "Get-MailboxPermission", "Get-MoveRequestStatistics",
)  # fmt: skip
# What each cmdlet is given where it gives nothing without.
GIVEN: dict[str, dict[str, object]] = {
    "Get-ExchangeDiagnosticInfo": {"Process": "EdgeTransport", "Component": "ResourceThrottling"},
    "Get-ADPermission": {"Identity": "{name}"},
    "Get-MailboxFolderPermission": {"Identity": "{calendar}"},
    "Get-MailboxImportRequestStatistics": {"Identity": "{somebody}\\MailboxImport"},
    "Get-MailboxStatistics": {"Database": "SE-DB01"},
    "Get-MonitoringItemIdentity": {"Identity": "Store", "Server": SERVER},
    "Get-PublicFolderClientPermission": {"Identity": "{folder}"},
    "Get-PublicFolderMailboxDiagnostics": {"Identity": "{folders}"},
    "Get-PublicFolderMoveRequestStatistics": {"Identity": "\\PublicFolderMove"},
    "Get-ServerMonitoringOverride": {"Server": SERVER},
    "Test-OutlookConnectivity": {
        "ProbeIdentity": r"OutlookMapiHttp.Protocol\OutlookMapiHttpSelfTestProbe"
    },
    **{name: {"Identity": "{somebody}"} for name in OF_SOMEBODY},
    **{name: {"Identity": SERVER} for name in OF_SERVER},
}
# A member that our reader leaves out.
UNREAD = "SerializationData"
# Nothing of it is left to Exchange 2019 and later, or in the lab.
EMPTY = {"Get-GlobalMonitoringOverride", "Get-MigrationEndpoint", "Get-PublicFolderDatabase"}


@pytest.fixture(name="shell", scope="module")
def _shell() -> Shell:
    """A town in which there is something of everything."""
    world = town(400)
    shell = Shell(world, SERVER, ADMIN, "Mailbox Import Export")
    board = Switchboard(world)
    board.on("monitoring-override", rf"{SERVER}\Store\DatabaseMountedMonitor")
    mine = next(world.organisation.present(Kind.USER)).alias
    folders = world.public_folders.mailboxes()
    folder = next(one for one in world.public_folders.all()[1:] if one.mailbox == folders[0].number)
    done(shell, "New-MoveRequest", Identity=mine, TargetDatabase="SE-DB01")
    csv = f"EmailAddress\r\n{shell.someone(1).address}\r\n".encode()
    done(
        shell,
        "New-MigrationBatch",
        Name="Welle",
        Local=None,
        TargetDatabases=["SE-DB01"],
        CSVData=csv,
    )
    world.organisation.pst_files.append(PstFile(0, r"\\ls-fs1\pst$\a.pst", MIB))
    done(shell, "New-MailboxImportRequest", Mailbox=mine, FilePath=r"\\ls-fs1\pst$\a.pst")
    done(shell, "New-PublicFolderMoveRequest", Folders=[folder.identity],
         TargetMailbox=folders[1].alias)  # fmt: skip
    return shell


def done(shell: Shell, name: str, **given: object) -> None:
    found = shell.ask(name, **given)
    assert not [one for one in found if isinstance(one, ErrorRecord)], said(found)


def given(shell: Shell, name: str) -> dict[str, object]:
    state, folders = shell.world.organisation, shell.world.public_folders
    names = {
        "{somebody}": next(state.present(Kind.USER)).alias,
        "{calendar}": calendar(shell),
        "{name}": next(state.present(Kind.USER)).name,
        "{folders}": folders.mailboxes()[0].alias,
        "{folder}": folders.all()[1].identity,
    }
    found = dict(GIVEN.get(name, {}))
    for key, value in found.items():
        for place, text in names.items():
            found[key] = value = value.replace(place, text) if isinstance(value, str) else value
    return found


def calendar(shell: Shell) -> str:
    """Somebody's calendar: its name is a matter of his language."""
    somebody = next(shell.world.organisation.present(Kind.USER)).alias
    found = shell.objects("Get-MailboxFolderStatistics", Identity=somebody, FolderScope="Calendar")
    return f"{somebody}:{str(found[0]['FolderPath']).replace('/', chr(92))}"


@pytest.mark.parametrize("name", READING)
def test_stock_pypsrp_reads_every_object_that_a_cmdlet_gives(shell: Shell, name: str) -> None:
    outputs = shell.ask(name, **given(shell, name))
    found = [as_text(one) for one in outputs if isinstance(one, Item)]
    assert bool(found) is (name not in EMPTY), said(outputs)
    for xml in found[:15]:
        theirs = Serializer().deserialize(told_in_full(ElementTree.fromstring(xml)))
        ours = clixml.loads(xml)[0]
        assert isinstance(theirs, GenericComplexObject) and isinstance(ours, Obj)
        assert set(theirs.adapted_properties) == set(ours.adapted)
        assert set(theirs.extended_properties) - {UNREAD} == set(ours.extended)
        assert theirs.types == list(ours.types) and theirs.to_string == (ours.text or "")
        if name not in TOLD_IN_A_LIST:
            assert set(Serializer().deserialize(xml).adapted_properties) == set(ours.adapted)


def as_text(item: Item) -> str:
    return item.xml.decode() if isinstance(item.xml, bytes) else item.xml


def told_in_full(root: Element) -> Element:
    """The same object, each part of it in full. KeyError: something is told nowhere."""
    types = {one.attrib["RefId"]: one for one in root.iter("TN")}
    objects = {one.attrib["RefId"]: one for one in root.iter("Obj")}
    for element in root.iter():
        for place, part in enumerate(element):
            if part.tag == "TNRef":
                element[place] = types[part.attrib["RefId"]]
            elif part.tag == "Ref":
                element[place] = deepcopy(objects[part.attrib["RefId"]])
                element[place].attrib.update({"N": part.attrib["N"]} if "N" in part.attrib else {})
    return root


def test_a_real_send_connector_ends_in_the_same_error(data_folder: Path) -> None:
    root = ElementTree.parse(data_folder / "clixml" / "GetSendConnector.xml").getroot()
    for element in root.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
    with pytest.raises(KeyError):
        Serializer().deserialize(root[0])
    assert isinstance(Serializer().deserialize(told_in_full(root[0])), GenericComplexObject)
