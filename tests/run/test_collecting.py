"""The folder that is collected live from the town is what the lab exports of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mailmig.lab import founding, story
from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.cmdlets.engine import FREE, ExchangeCmdlets
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.export import write_export
from mailmig.lab.organisation import Organisation
from mailmig.lab.world import World
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.errors import MissingExtra
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.model.snapshot import Snapshot
from mailmig.run.collecting import Collected, collect
from mailmig.run.export_writing import CannotWriteExport, FolderInTheWay
from mailmig.sources import exports
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.kerberos_errors import NoTicket
from mailmig.sources.remote_errors import LoginRefused, Unreachable
from mailmig.sources.remote_settings import Scheme
from mailmig.store.engine import Store
from mailmig.wire.collection import EXPORTS

TOLD = story.read("town")
COUNT = 30
ADDRESS = "127.0.3.9"
PASSWORD = Secret("Grün-Passw0rd!")
PARTS = ("servers", "dags", "databases", "copies", "mailboxes", "edges", "groups")


@dataclass
class Town:
    """A town's answering server, and how to ask it."""

    organisation: Organisation
    world: World
    account: Account
    accounts: Accounts
    service: Service
    addresses: AddressMap
    authority: Path
    name: str

    def exchange(self, **more: Any) -> Exchange:
        options: dict[str, Any] = {
            "account": "TOWN\\anna", "password": PASSWORD, "scheme": Scheme.BASIC,
            "ca_file": self.authority, "connect_timeout_s": 5.0, "answer_timeout_s": 10.0,
        }  # fmt: skip
        return Exchange(self.name, ExchangeSettings(**(options | more)), self.addresses)

    async def collect(self, folder: Path, **more: Any) -> Collected:
        async with self.exchange(**more) as exchange:
            return await collect(exchange, folder)


@asynccontextmanager
async def town(folder: Path, count: int = COUNT) -> AsyncIterator[Town]:
    organisation = founding.found(TOLD, count)
    world = World(organisation)
    server = organisation.server(organisation.answering)
    authority = Authority()
    roles = frozenset({"Organization Management"})
    anna = Account("anna", "town.example", PASSWORD, roles)
    accounts = Accounts([anna])
    endpoint = ExchangeEndpoint(ExchangeCmdlets(world, server.name, costs=FREE))
    service = Service(server.name, accounts, [endpoint])
    tls = Listener(service, ADDRESS, tls=authority.certificate(server.fqdn).context())
    folder.mkdir(exist_ok=True)
    async with Server(service, tls):
        file = authority.write(folder / "ca.pem")
        addresses = {(server.fqdn, 443): tls.where}
        yield Town(organisation, world, anna, accounts, service, addresses, file, server.fqdn)


def snapshot(folder: Path, state: Path) -> Snapshot:
    with Store.open(state) as store:
        added = store.snapshots.add(exports.read(folder))
        return store.snapshots.load(added.info.id)


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text("utf-8"))
    return found


def files(folder: Path) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in manifest(folder)["files"]}


@pytest.mark.parametrize("selects", [True, False])
async def test_live_and_exported_make_the_same_snapshot(tmp_path: Path, selects: bool) -> None:
    async with town(tmp_path / "pki") as lab:
        async with lab.exchange() as exchange:
            exchange.selects = selects
            collected = await collect(exchange, tmp_path / "live")
        write_export(lab.organisation, TOLD, tmp_path / "written")
        live = await asyncio.to_thread(snapshot, tmp_path / "live", tmp_path / "one")
        written = await asyncio.to_thread(snapshot, tmp_path / "written", tmp_path / "two")
    assert [entry.error for entry in collected.lacking] == []
    assert live.info.gaps == written.info.gaps == ()
    for part in PARTS:
        assert getattr(live, part) == getattr(written, part), part
        assert getattr(live, part), part
    ours, theirs = ({k: v for k, v in s.facts.items() if k != "import"} for s in (live, written))
    assert ours == theirs
    known, told = manifest(tmp_path / "live"), manifest(tmp_path / "written")
    for key in ("schema", "culture", "server_version", "self"):
        assert known[key] == told[key], key
    assert known["finished"] is not None
    assert [entry["name"] for entry in known["files"]] == [export.name for export in EXPORTS]
    assert not list((tmp_path / "live").glob("*.part"))


async def test_a_wrong_password_is_shown_once_and_leaves_nothing(tmp_path: Path) -> None:
    async with town(tmp_path / "pki") as lab:
        with pytest.raises(LoginRefused):
            await lab.collect(tmp_path / "live", password=Secret("falsch"))
        assert not (tmp_path / "live").exists()
        assert lab.accounts.wrong("anna") == 1


async def test_a_server_that_hangs_is_given_up_in_time(tmp_path: Path) -> None:
    async with town(tmp_path / "pki") as lab:
        lab.service.switches.hang = True
        start = time.monotonic()
        with pytest.raises(Unreachable):
            await lab.collect(tmp_path / "live", answer_timeout_s=1.0)
        lab.service.switches.hang = False
        assert time.monotonic() - start < 8
    assert not (tmp_path / "live").exists()


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    addresses = {("ex1.town.example", 80): (ADDRESS, 1), ("ex1.town.example", 443): (ADDRESS, 1)}
    settings = ExchangeSettings(account="anna", password=PASSWORD, scheme=Scheme.BASIC)
    async with Exchange("ex1.town.example", settings, addresses) as exchange:
        with pytest.raises(Unreachable) as caught:
            await collect(exchange, tmp_path / "live")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "live").exists()


async def test_without_a_ticket_or_the_kerberos_extra_nothing_is_asked(tmp_path: Path) -> None:
    async with Exchange("ex1.town.example", ExchangeSettings()) as exchange:
        with pytest.raises((NoTicket, MissingExtra)):
            await collect(exchange, tmp_path / "live")
    assert not (tmp_path / "live").exists()


async def test_a_cmdlet_that_the_role_lacks_is_not_available(tmp_path: Path) -> None:
    async with town(tmp_path / "pki") as lab:
        lab.world.lacking["anna"] = {"get-adpermission", "get-user", "get-clientaccessservice"}
        await lab.collect(tmp_path / "live")
        found = await asyncio.to_thread(snapshot, tmp_path / "live", tmp_path / "state")
    states = files(tmp_path / "live")
    for name in ("send_as", "users"):
        assert states[name]["state"] == "not available"
        assert not (tmp_path / "live" / f"{name}.xml").exists()
    assert "Get-ADPermission" in states["send_as"]["error"]
    assert states["full_access"]["state"] == "done" and states["full_access"]["error"] == ""
    assert states["client_access"]["cmdlet"] == "Get-ClientAccessServer"
    gaps = [gap.what.partition(" ")[0] for gap in found.info.gaps]
    assert "send_as" in gaps and "users" in gaps


async def test_without_databases_sizes_are_unknown_and_not_zero(tmp_path: Path) -> None:
    async with town(tmp_path / "pki") as lab:
        lab.world.lacking["anna"] = {"get-mailboxdatabase"}
        await lab.collect(tmp_path / "live")
        found = await asyncio.to_thread(snapshot, tmp_path / "live", tmp_path / "state")
    states = files(tmp_path / "live")
    assert states["databases"]["state"] == "not available"
    assert states["statistics"]["state"] == "failed"
    assert "databases" in states["statistics"]["error"]
    assert {one.usage.state.name for one in found.mailboxes} == {"UNKNOWN"}


async def test_what_is_stopped_says_how_far_it_came(tmp_path: Path) -> None:
    async with town(tmp_path / "pki") as lab:
        reached = asyncio.Event()

        def tell(name: str, done: int, total: int | None) -> None:
            if name == "full_access" and done == 5:
                reached.set()

        async with lab.exchange() as exchange:
            task = asyncio.ensure_future(collect(exchange, tmp_path / "live", progress=tell))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        found = await asyncio.to_thread(snapshot, tmp_path / "live", tmp_path / "state")
    told = manifest(tmp_path / "live")
    last = told["files"][-1]
    assert told["finished"] is None
    assert (last["name"], last["state"]) == ("full_access", "failed")
    assert "interrupted" in last["error"]
    gaps = [gap.what for gap in found.info.gaps]
    assert "the script did not finish" in gaps and "send_as is missing" in gaps
    assert not list((tmp_path / "live").glob("*.part"))


async def test_a_password_that_changes_meanwhile_leaves_a_true_manifest(tmp_path: Path) -> None:
    async with town(tmp_path / "pki") as lab:

        def tell(name: str, done: int, total: int | None) -> None:
            if name == "full_access" and done == 5:
                lab.accounts.add(replace(lab.account, password=Secret("another one")))

        async with lab.exchange(parallel=1) as exchange:
            with pytest.raises(LoginRefused):
                await collect(exchange, tmp_path / "live", progress=tell)
    told = manifest(tmp_path / "live")
    assert told["finished"] is None
    assert told["files"][-1]["name"] == "full_access"
    assert told["files"][-1]["state"] == "failed"
    assert "refused" in told["files"][-1]["error"]


@pytest.mark.parametrize("kind", ["full", "file", "below a file"])
async def test_a_folder_in_the_way_is_left_alone(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "live"
    if kind == "full":
        folder.mkdir()
        (folder / "letter.txt").write_text("dear")
    else:
        folder.write_text("dear")
    if kind == "below a file":
        folder = folder / "deeper"
    async with town(tmp_path / "pki") as lab:
        with pytest.raises((FolderInTheWay, CannotWriteExport)):
            await lab.collect(folder)
        assert not lab.service.shells
    left = [path for path in tmp_path.rglob("*") if path.name not in ("pki", "ca.pem")]
    assert all(path.name in ("live", "letter.txt") for path in left)
