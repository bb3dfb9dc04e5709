"""The whole collection, fetched by pypsrp over the lab's protocol, is what the lab exports."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import Serializer

from mailmig.lab import founding, story
from mailmig.lab.cmdlets.engine import FREE, ExchangeCmdlets
from mailmig.lab.export import write_export
from mailmig.lab.shapes import OWNER
from mailmig.lab.world import World
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj
from mailmig.wire.collection import EXPORTS, MAILBOX_FILES, Each, Export
from tests.lab.remote_servers import Machine, invoke, machine, outside

COUNT = 25
TOLD = story.read("town")
ORGANISATION = founding.found(TOLD, COUNT)


class OurReader(Serializer):
    """pypsrp's reader, except that objects of the output are read by ours."""

    def deserialize(self, element: Any, metadata: Any = None, clear: bool = True) -> Any:
        if isinstance(element, str) and metadata is None:
            return clixml.loads(element)[0]
        return super().deserialize(element, metadata, clear)


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Machine]:
    world = World(ORGANISATION)
    async with machine(tmp_path / "pki", ExchangeCmdlets(world, "LS-EX16", costs=FREE)) as running:
        yield running


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "whole"
    write_export(ORGANISATION, TOLD, folder, whole=True)
    return folder


def fetch(server: Machine) -> dict[str, list[Obj]]:
    """Every file of the collection, asked for as the collect script does."""
    found: dict[str, list[Obj]] = {}
    with server.wsman() as connection:
        pool = RunspacePool(connection, configuration_name="Microsoft.Exchange")
        reader = OurReader()
        pool._serializer = pool._fragmenter.serializer = reader
        with pool:
            for export in EXPORTS:
                found[export.name] = [
                    one
                    for parameters in calls(export, found)
                    for one in ask(pool, export, parameters)
                ]
    return found


def ask(pool: RunspacePool, export: Export, parameters: dict[str, object]) -> list[Obj]:
    shell = PowerShell(pool).add_cmdlet(export.cmdlet)
    for name, value in parameters.items():
        shell.add_parameter(name, value)
    output = shell.invoke()
    assert not shell.had_errors and not shell.streams.error, (export.name, shell.streams.error)
    return list(output)


def calls(export: Export, found: dict[str, list[Obj]]) -> list[dict[str, object]]:
    fixed: dict[str, object] = dict(export.parameters)
    match export.each:
        case Each.ONCE:
            return [fixed]
        case Each.DATABASE:
            return [{**fixed, export.by: one["Name"]} for one in found["databases"]]
    mailboxes = [one for name in MAILBOX_FILES for one in found[name]]
    if export.each is Each.ARCHIVE:
        mailboxes = [one for one in mailboxes if one["ArchiveDatabase"] is not None]
    return [{**fixed, "Identity": str(one[export.by])} for one in mailboxes]


def rows(folder: Path, name: str) -> list[Obj]:
    found = []
    for row in clixml.read(folder / f"{name}.xml"):
        assert isinstance(row, Obj)
        row.extended.pop(OWNER, None)
        found.append(row)
    return found


async def test_what_is_fetched_live_is_what_the_lab_exports(server: Machine, folder: Path) -> None:
    found = await outside(fetch, server)
    for export in EXPORTS:
        live, exported = found[export.name], rows(folder, export.name)
        if export.each is Each.MAILBOX:
            # The export lists only mailboxes on which something was granted.
            there = {str(getattr(row["Identity"], "text", "")) for row in exported}
            live = [row for row in live if str(getattr(row["Identity"], "text", "")) in there]
        assert live == exported, export.name
    assert len(found["mailboxes"]) == COUNT and len(found["full_access"]) > COUNT


async def test_a_stranger_sees_errors_warnings_and_chosen_members(server: Machine) -> None:
    def talk() -> None:
        with server.pool() as pool:
            shell = invoke(pool, "Get-Mailbox", Identity="nobody")
            assert not shell.had_errors
            (error,) = shell.streams.error
            assert error.reason == "ManagementObjectNotFoundException"
            shell = invoke(pool, "Get-RoleGroup")
            assert shell.had_errors and shell.streams.error[0].fq_error == "LabNotSimulated"
            shell = invoke(pool, "Get-NoSuchThing")
            assert shell.streams.error[0].fq_error == "CommandNotFoundException"
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox").add_parameter("ResultSize", 3)
            shell.add_cmdlet("Select-Object").add_parameter("Property", ["Alias", "Nix"])
            shell.invoke()
            assert len(shell.output) == 3
            assert list(shell.output[0].extended_properties) == ["Alias", "Nix"]
            (warning,) = shell.streams.warning
            assert "There are more results available" in str(warning)

    await outside(talk)
