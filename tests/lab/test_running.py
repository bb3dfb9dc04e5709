"""`mailmig lab run` as a process of its own, asked by strangers; and in this process by us."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mailmig import config
from mailmig.cli.frame import SECTIONS
from mailmig.lab import founding, story
from mailmig.lab.running.layout import CannotListen, Layout
from mailmig.lab.running.whole import Lab
from mailmig.model.addresses import AddressSettings
from mailmig.model.command import Command
from mailmig.model.names import AddressMap
from mailmig.model.windows import NodeState, Service
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.names import Names, NamesSettings
from mailmig.sources.remote_errors import CmdletNotAllowed, NoSuchObject
from mailmig.sources.windows import Windows, WindowsSettings
from tests.lab.remote_servers import outside
from tests.lab.running_lab import free_offset
from tests.lab.strangers import needs
from tests.lab.town_directory import stock

EX16, EX1, DC1, DC2, WITNESS = (
    f"ls-{name}.ad.lindenstadt.example" for name in ("ex16", "ex1", "dc1", "dc2", "fs3")
)
ADMIN = "LINDENSTADT\\svc-mailmig"
PASSWORD = "lab-only-svc-mailmig"
PATIENCE_S = 30.0
COUNT = 40


def is_free(offset: int) -> bool:
    """Nothing of a lab listens at this offset any more."""
    try:
        Layout.of(founding.found(story.read("town"), 8), offset).probe()
    except CannotListen:
        return False
    return True


@dataclass
class Started:
    """A lab that runs as a process."""

    process: "subprocess.Popen[str]"
    offset: int
    folder: Path
    said: str

    def settings(self) -> config.Config:
        return config.load(self.folder / "mailmig.toml", SECTIONS)

    def where(self, name: str, port: int) -> tuple[str, int]:
        found = self.settings().section("addresses", AddressSettings).map
        return found[name, port]

    @contextmanager
    def pool(self, name: str = EX16) -> Iterator[RunspacePool]:
        """Stock pypsrp, with nothing but what lies in the folder."""
        host, port = self.where(name, 443)
        password = (self.folder / "password-svc-mailmig.txt").read_text("utf-8").strip()
        options: dict[str, Any] = {
            "port": port, "ssl": True, "auth": "basic", "username": ADMIN, "password": password,
            "path": "PowerShell", "no_proxy": True, "cert_validation": str(self.folder / "ca.pem"),
        }  # fmt: skip
        with (
            WSMan(host, **options) as connection,
            RunspacePool(connection, configuration_name="Microsoft.Exchange") as pool,
        ):
            yield pool

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Ends it by its process id; its code, and what it said on standard error."""
        os.kill(self.process.pid, how)
        _, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, err


@contextmanager
def started(folder: Path, *words: object) -> Iterator[Started]:
    offset = free_offset()
    command = [
        sys.executable, "-W", "error", "-m", "mailmig", "lab", "run",
        "--port-offset", str(offset), "--folder", str(folder / "lab"), *map(str, words),
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        late = threading.Timer(PATIENCE_S, process.kill)
        late.start()
        try:
            said = _until_ready(process)
            late.cancel()
            yield Started(process, offset, folder / "lab", said)
        finally:
            late.cancel()
            process.kill()
            process.communicate()


def _until_ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C ends it." in line:
            return "".join(lines)
    assert process.stderr is not None
    raise AssertionError(f"it ended: {''.join(lines)}{process.stderr.read()}")


def test_strangers_reach_a_lab_by_what_lies_in_its_folder(tmp_path: Path) -> None:
    with started(tmp_path, "--mailboxes", COUNT, "--seed", 3) as lab:
        host, port = lab.where(EX16, 443)
        assert f"{host}:{port}" in lab.said and f"{COUNT} mailboxes" in lab.said
        assert f"{ADMIN}, password {PASSWORD} (admin)" in lab.said
        with lab.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox")
            assert len(shell.invoke()) == COUNT and not shell.had_errors
        found = dig(lab.where(DC1, 53), "mail.lindenstadt.example")
        assert found == dig(lab.where("127.0.12.53", 53), "mail.lindenstadt.example") == [host]
        inside = dig(lab.where(DC2, 53), "_ldap._tcp.Stadthaus._sites.dc._msdcs", "SRV")
        assert inside == [f"0 100 389 {DC2}."]
        away = dig(lab.where("ns1.lindenstadt.example", 53), "mail.lindenstadt.example")
        assert away == [lab.where("gateway1.lindenstadt.example", 443)[0]]
        outside = lab.where("ns1.lindenstadt.example", 53)
        assert dig(outside, "lindenstadt.example", "MX") == ["10 relay.lindenstadt.example."]
        (gateway,) = dig(outside, "relay.lindenstadt.example")
        assert gateway == lab.where("relay.lindenstadt.example", 25)[0]
        children = Path(f"/proc/{lab.process.pid}/task/{lab.process.pid}/children")
        assert not children.exists() or children.read_text() == ""
        assert lab.end() == (0, "")
        assert is_free(lab.offset)


def dig(where: tuple[str, int], name: str, kind: str = "A") -> list[str]:
    if "." not in name or name.endswith("_msdcs"):
        name += ".ad.lindenstadt.example"
    command = [needs("dig"), "+short", "-p", str(where[1]), f"@{where[0]}", name, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return done.stdout.split("\n")[:-1]


def test_nsupdate_moves_the_namespace_with_the_key_of_the_folder(tmp_path: Path) -> None:
    with started(tmp_path, "--mailboxes", 8) as lab:
        host, port = lab.where(DC1, 53)
        commands = (
            f"server {host} {port}\nzone lindenstadt.example\n"
            "update delete mail.lindenstadt.example A\n"
            "update add mail.lindenstadt.example 60 A 127.0.11.22\nsend\n"
        )
        program = [needs("nsupdate"), "-k", str(lab.folder / "names.key")]
        subprocess.run(program, input=commands, text=True, timeout=PATIENCE_S, check=True)
        assert dig((host, port), "mail.lindenstadt.example") == ["127.0.11.22"]
        late = dig(lab.where(DC2, 53), "mail.lindenstadt.example")
        assert late == ["127.0.11.21"]  # the change is on its way


def test_ctrl_c_ends_a_lab_although_a_cmdlet_is_at_work(tmp_path: Path) -> None:
    """Two seconds of the organisation are more than three minutes of ours at this speed."""
    with started(tmp_path, "--mailboxes", 8, "--speed", 0.01) as lab:
        began = threading.Event()

        def ask() -> None:
            with suppress(Exception), lab.pool() as pool:
                shell = PowerShell(pool).add_cmdlet("Get-ADPermission")
                shell.add_parameter("Identity", "svc")
                shell.begin_invoke()
                began.set()
                shell.end_invoke()

        client = threading.Thread(target=ask)
        client.start()
        assert began.wait(PATIENCE_S)
        assert lab.end(signal.SIGINT) == (0, "")
        client.join(PATIENCE_S)
        assert not client.is_alive() and is_free(lab.offset)


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    offset = free_offset()
    before, threads = asyncio.all_tasks(), set(threading.enumerate())
    lab = Lab(story.read("town"), tmp_path / "lab", mailboxes=COUNT, offset=offset)
    async with lab:
        yield lab
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left - {asyncio.current_task()}
    await asyncio.get_running_loop().shutdown_default_executor()
    # A thread of one of our clients may be about to end; one of the lab's would stay.
    await _until(lambda: not set(threading.enumerate()) - threads)
    assert is_free(offset)


def read(lab: Lab) -> tuple[config.Config, AddressMap]:
    found = config.load(lab.settings, SECTIONS)
    return found, found.section("addresses", AddressSettings).map


async def test_our_clients_take_the_written_settings(lab: Lab) -> None:
    settings, addresses = read(lab)
    exchange = settings.section("exchange", ExchangeSettings)
    async with Exchange(EX1, exchange, addresses) as server:
        rows = [one async for one in server.ask(Command("Get-Mailbox"))]
        assert len(rows) == COUNT
    names = Names(settings.section("names", NamesSettings), addresses)
    found = await names.compare("mail.lindenstadt.example", "A", names.servers())
    assert found.agree and len(found.answers) == 2


async def test_windows_says_what_the_organisation_knows(lab: Lab) -> None:
    settings, addresses = read(lab)
    windows = settings.section("windows", WindowsSettings)
    lab.world.conditions("LS-EX1").stopped_services.add("msexchangeis")
    async with Windows(EX1, windows, addresses) as node:
        answer = await node.run("services", names=["msexchangeis", "MSExchangeRepl"])
        states = {one.name: one.is_running for one in answer.facts if isinstance(one, Service)}
        assert states == {"MSExchangeIS": False, "MSExchangeRepl": True}
        nodes = (await node.run("cluster_nodes")).facts
        assert [(one.name, one.state) for one in nodes] == [  # type: ignore[union-attr]
            ("LS-EX1", NodeState.UP), ("LS-EX2", NodeState.UP),
        ]  # fmt: skip
        lab.faults.on("server-down", "LS-EX2")
        nodes = (await node.run("cluster_nodes")).facts
        assert [one.state for one in nodes] == [  # type: ignore[union-attr]
            NodeState.UP, NodeState.DOWN,
        ]  # fmt: skip
        lab.faults.off("server-down", "LS-EX2")
        (witness,) = (await node.run("cluster_witness")).facts
        assert (witness.share, witness.votes) == (  # type: ignore[union-attr]
            r"\\ls-fs3.ad.lindenstadt.example\ls-dag1.ad.lindenstadt.example", 1,
        )  # fmt: skip
    async with Windows(WITNESS, windows, addresses) as machine:
        (start,) = (await machine.run("boot_time")).facts
        assert start.name == "LS-FS3" and start.uptime.days >= 3  # type: ignore[union-attr]
        for script in ("cluster_nodes", "virtual_machines"):
            with pytest.raises(CmdletNotAllowed, match="is not recognized as the name of a cmdlet"):
                await machine.run(script)


async def test_every_machine_answers_what_every_windows_can(lab: Lab) -> None:
    settings, addresses = read(lab)
    scripts = ("boot_time", "counters", "event_logs", "machine_health", "network_cards", "volumes")
    names = [f"ls-{n}.ad.lindenstadt.example" for n in ("ex16", "dc2", "fs3", "hv1", "hv2")]
    for name in (*names, EX1):
        async with Windows(
            name, settings.section("windows", WindowsSettings), addresses
        ) as machine:
            for script in scripts:
                assert (await machine.run(script)).facts, (name, script)
            services = (await machine.run("services", names=[])).facts
            assert "WinRM" in {one.name for one in services if isinstance(one, Service)}


async def test_windows_dns_servers_give_the_records_that_dns_gives(lab: Lab) -> None:
    settings, addresses = read(lab)
    names = Names(settings.section("names", NamesSettings), addresses)
    dns_name = "mail.lindenstadt.example"
    async with Windows(DC2, settings.section("windows", WindowsSettings), addresses) as machine:
        asked = {"zone": "lindenstadt.example", "type": "A"}
        rows = (await machine.run("dns_records", name="mail", **asked)).facts
        said = await names.ask(dns_name, "A", DC2)
        assert [(one.value, one.ttl_s, one.stamped) for one in rows] == [  # type: ignore[union-attr]
            (record.value, record.ttl_s, None) for record in said.records
        ]  # fmt: skip
        nothing = ({"name": "no"}, {"name": "mail", "type": "QUATSCH"}, {"zone": "no.example"})
        for wrong in nothing:
            assert (
                await machine.run("dns_records", **{"name": "mail"} | asked | wrong)
            ).facts == ()
        with pytest.raises(NoSuchObject, match="was not found"):
            await machine.run("dns_zone", zone="no.example")


async def test_ldap_answers_with_the_same_accounts(lab: Lab) -> None:
    host, port = read(lab)[1][DC1, 389]

    def search() -> int:
        with stock(f"ldap://{host}:{port}", ADMIN, PASSWORD) as connection:
            assert connection.bind(), connection.result
            base, wanted = "DC=ad,DC=lindenstadt,DC=example", "(msExchMailboxGuid=*)"
            connection.search(base, wanted, attributes=["mail"], paged_size=500)
            return len(connection.response)

    assert await outside(search) >= COUNT


async def test_secrets_are_for_their_owner_only_and_the_folder_is_written_anew(lab: Lab) -> None:
    passwords = {"password-svc-mailmig.txt", "password-svc-reader.txt"}
    secret = passwords | {"control.json", "names.key"}
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in lab.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == secret
    assert set(modes) == secret | {"ca.pem", "mailmig.toml"}
    (lab.folder / "password-svc-mailmig.txt").chmod(0o644)
    (lab.folder / "control.json").unlink()  # as if this lab had ended
    second = Lab(story.read("town"), lab.folder, mailboxes=8, offset=free_offset())
    async with second:
        mode = (lab.folder / "password-svc-mailmig.txt").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


async def test_time_passes_at_the_speed_without_anybody_asking(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {"mailboxes": 8, "offset": free_offset()}
    async with Lab(story.read("town"), tmp_path / "lab", speed=3600, **wanted) as lab:
        before = lab.organisation.now
        await _until(lambda: lab.organisation.now > before)
    async with Lab(story.read("town"), tmp_path / "lab", speed=0, **wanted) as still:
        assert still.world.now == still.organisation.now == before


async def _until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not happened():
            await asyncio.sleep(0.05)
