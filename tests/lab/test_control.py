"""Faults of a lab that runs are switched from another process; nobody else may."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mailmig.lab.faults.switchboard import Active, Switchboard, kinds
from mailmig.lab.running.control import (
    FILE,
    CannotReadControl,
    Control,
    LabRefuses,
    LabRuns,
    NoLab,
    NotYourLab,
    talk,
)
from mailmig.lab.running.folder import CannotWriteLab
from mailmig.lab.world import World
from tests.conftest import Mailmig
from tests.lab.asking import Shell, read, text, town
from tests.lab.running_lab import free_offset, running

PATIENCE_S = 60.0


async def told(folder: Path, *words: str) -> list[Active]:
    return await asyncio.to_thread(talk, folder, *words)


async def test_faults_are_switched_and_told(tmp_path: Path) -> None:
    world = town(20)
    board, shell = Switchboard(world), Shell(world, "LS-EX1")
    async with Control(board, tmp_path):
        assert await told(tmp_path, "list") == []
        paused = Active("vote-missing", "LS-EX1")
        assert await told(tmp_path, "on", *("vote-missing", "LS-EX1")) == [paused]
        both = await told(tmp_path, "on", "witness-unused")
        assert both == [paused, Active("witness-unused", "")] == list(board)
        (dag,) = read(shell.ask("Get-DatabaseAvailabilityGroup", Status=None))
        assert text(dag, "WitnessShareInUse") == "None"
        assert await told(tmp_path, "off", "vote-missing", "ls-ex1") == both[1:]
        assert await told(tmp_path, "off") == await told(tmp_path, "list") == list(board) == []


async def test_the_file_is_for_its_owner_only_and_goes_with_the_lab(tmp_path: Path) -> None:
    board = Switchboard(town(20))
    (tmp_path / FILE).write_text("left by a lab that was killed")
    async with Control(board, tmp_path):
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        port = json.loads((tmp_path / FILE).read_text())["port"]
    assert not (tmp_path / FILE).exists()
    with pytest.raises(NoLab, match=r"it holds no control\.json"):
        talk(tmp_path, "list")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 2)


async def test_a_later_lab_of_the_folder_keeps_its_file(tmp_path: Path) -> None:
    first = Control(Switchboard(town(20)), tmp_path)
    await first.__aenter__()
    async with Control(Switchboard(town(20)), tmp_path):
        await first.__aexit__(None, None, None)
        assert await told(tmp_path, "list") == []


async def test_a_second_lab_does_not_take_the_folder_of_one_that_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as lab:
        before = {path: path.read_bytes() for path in lab.folder.iterdir() if path.is_file()}
        with pytest.raises(LabRuns, match="end it, or name another --folder"):
            async with running(tmp_path, mailboxes=8):
                raise AssertionError("two labs run with one folder")
        assert {path: path.read_bytes() for path in before} == before
        assert await told(lab.folder, "list") == []
    async with running(tmp_path, mailboxes=8):
        assert await told(lab.folder, "list") == []


@pytest.mark.parametrize(("words", "sentence"), [
    (("on", "vote-mising", "LS-EX1"), 'there is no fault "vote-mising" (did you mean "vote-missing"?)'),
    (("on", "vote-missing", "LS-EX16"), "name a member of the DAG"),
    (("on", "vote-missing"), "name a member of the DAG"),
    (("on", "dac-off", "LS-EX1"), 'takes no target: leave "LS-EX1" out'),
    (("off", "dac-off"), "fault dac-off is not on"),
    (("off", "nix"), 'there is no fault "nix"'),
])  # fmt: skip
async def test_what_the_lab_refuses_it_says_in_one_sentence(
    tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    board = Switchboard(town(20))
    async with Control(board, tmp_path):
        with pytest.raises(LabRefuses) as refused:
            await told(tmp_path, *words)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)
    assert list(board) == []


async def test_whoever_has_no_token_switches_nothing(tmp_path: Path) -> None:
    board = Switchboard(town(20))
    async with Control(board, tmp_path):
        path = tmp_path / FILE
        where = json.loads(path.read_text())
        path.write_text(json.dumps(where | {"token": "guessed"}))
        with pytest.raises(NotYourLab, match="does not take the token"):
            await told(tmp_path, "on", "dac-off")
        path.write_text(json.dumps(where))
    assert list(board) == []


@pytest.mark.parametrize("sent", [b"\n", b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b'"x"\n', b"{}\n",
                                  b"x" * 70_000, b"\xff\xfe\n", b"[" * 60_000 + b"\n"])  # fmt: skip
async def test_nonsense_is_answered_with_nothing_and_ends_nothing(
    tmp_path: Path, sent: bytes
) -> None:
    board = Switchboard(town(20))
    async with Control(board, tmp_path):
        port = json.loads((tmp_path / FILE).read_text())["port"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        try:
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        except ConnectionResetError:
            answer = b""
        writer.close()
        assert b'"on"' not in answer
        assert await told(tmp_path, "list") == []


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"port": 0, "token": "x"}',
                                     '{"port": "a", "token": "x"}', '{"port": 99999, "token": 1}'])  # fmt: skip
def test_a_damaged_file_leads_nowhere(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(NoLab, match="is damaged"):
        talk(tmp_path, "list")


def test_somebody_else_at_the_port_is_no_lab(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = {"port": other.getsockname()[1], "token": "x"}
        (tmp_path / FILE).write_text(json.dumps(where))
        pid = os.fork()
        if pid == 0:
            connected, _ = other.accept()
            connected.sendall(b"220 mail.example ESMTP\r\n")
            connected.close()
            os._exit(0)
        try:
            with pytest.raises(NoLab, match="is none, or it failed"):
                talk(tmp_path, "list")
        finally:
            os.waitpid(pid, 0)


async def test_a_fault_that_breaks_leaves_the_lab_reachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Switchboard(town(20))

    def breaks(world: World, target: str) -> None:
        raise RuntimeError("a mistake in the fault")

    monkeypatch.setattr(kinds()["dac-off"], "on", lambda self, world, target: breaks(world, target))
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with Control(board, tmp_path):
        with pytest.raises(NoLab, match="see its output"):
            await told(tmp_path, "on", "dac-off")
        assert await told(tmp_path, "list") == []


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(CannotReadControl, match="cannot be read"):
        talk(tmp_path, "list")


async def test_a_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWriteLab):
        async with Control(Switchboard(town(20)), tmp_path / "file"):
            pass


async def test_a_whole_lab_can_be_reached(tmp_path: Path) -> None:
    async with running(tmp_path) as lab:
        on = await told(lab.folder, "on", "server-down", "ls-ex1")
        assert on == [Active("server-down", "ls-ex1")]
        assert "LS-EX1" in lab.organisation.down
        await told(lab.folder, "off")
        assert not lab.organisation.down
    assert not (lab.folder / FILE).exists()


@contextmanager
def process(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """`mailmig lab run` until its table is told."""
    command = [
        sys.executable, "-m", "mailmig", "lab", "run", "--mailboxes", "20", "--port-offset",
        str(free_offset()), "--folder", str(folder),
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running_lab:
        assert running_lab.stdout is not None
        try:
            for line in running_lab.stdout:
                if "Ctrl-C" in line:
                    break
            yield running_lab
        finally:
            running_lab.kill()


def test_the_command_line_switches_faults_of_another_process(
    mailmig: Mailmig, tmp_path: Path
) -> None:
    folder = ("--folder", "läb")
    with process(tmp_path / "läb") as lab:
        done = mailmig("lab", "fault", "on", "copy-failed", r"SE-DB01\LS-EX2", *folder)
        assert (done.code, done.out) == (0, "on now:\n  copy-failed SE-DB01\\LS-EX2\n")
        done = mailmig("lab", "fault", "on", "copy-failed", r"se-db01\ls-ex2", *folder)
        assert (done.code, done.out) == (2, "") and "already on" in done.err
        listed = mailmig("lab", "fault", "list", *folder)
        assert listed.out.endswith("on now:\n  copy-failed SE-DB01\\LS-EX2\n")
        assert "witness-unused" in listed.out
        done = mailmig("lab", "fault", "on", "nix", *folder)
        assert done.code == 2 and 'there is no fault "nix"' in done.err
        assert mailmig("lab", "fault", "off", *folder).out == "nothing is on\n"
        lab.send_signal(signal.SIGKILL)
        lab.wait(PATIENCE_S)
    assert (tmp_path / "läb" / FILE).exists()
    killed = mailmig("lab", "fault", "off", *folder)
    assert killed.code == 2 and "nobody answers on port" in killed.err
    assert killed.err.count("\n") == 1
    listed = mailmig("lab", "fault", "list", *folder)
    assert listed.code == 0 and "\nnothing is on: no lab runs with the folder läb" in listed.out


def test_a_lab_in_the_folder_of_one_that_was_killed_is_reached(
    mailmig: Mailmig, tmp_path: Path
) -> None:
    with process(tmp_path / "lab") as lab:
        lab.send_signal(signal.SIGKILL)
        lab.wait(PATIENCE_S)
    with process(tmp_path / "lab") as lab:
        assert mailmig("lab", "fault", "on", "dac-off").out == "on now:\n  dac-off\n"
        lab.send_signal(signal.SIGTERM)
        assert lab.wait(PATIENCE_S) == 0
    assert not (tmp_path / "lab" / FILE).exists()
