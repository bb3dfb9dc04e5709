"""`mailmig collect`, as a script and live."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from mailmig import __version__
from mailmig.lab.certificates import Authority
from mailmig.wire.collect_script import script
from tests.conftest import Mailmig
from tests.run.test_collecting import PASSWORD, town


def test_the_script_goes_to_standard_output(mailmig: Mailmig) -> None:
    outcome = mailmig("collect", "--script")
    assert outcome.code == 0
    assert outcome.out == script(__version__)
    assert outcome.err == ""


def test_a_file_gets_windows_line_ends(mailmig: Mailmig, tmp_path: Path) -> None:
    outcome = mailmig("collect", "--script", "--out", "collect.ps1")
    assert outcome.code == 0
    assert outcome.out == ""
    raw = (tmp_path / "collect.ps1").read_bytes()
    assert raw == script(__version__).replace("\n", "\r\n").encode("ascii")


@pytest.mark.parametrize("words", [["collect"], ["collect", "--out", "collect.ps1"]])
def test_without_script_it_says_what_to_do(
    mailmig: Mailmig, tmp_path: Path, words: list[str]
) -> None:
    outcome = mailmig(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "use mailmig collect --script" in outcome.err
    assert not (tmp_path / "collect.ps1").exists()


def test_a_file_that_cannot_be_written_is_one_sentence(mailmig: Mailmig) -> None:
    outcome = mailmig("collect", "--script", "--out", "nowhere/collect.ps1")
    assert outcome.code == 2
    assert "nowhere/collect.ps1 cannot be written" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--live", "folder"], "name the server"),
        (["--live", "folder", "--script", "--server", "ex1"], "without --script"),
        (["--live", "folder", "--out", "x.ps1", "--server", "ex1"], "without --script and --out"),
        (["--script", "--server", "ex1"], "--server goes with --live"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    mailmig: Mailmig, tmp_path: Path, words: list[str], said: str
) -> None:
    outcome = mailmig("collect", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert not (tmp_path / "folder").exists()


CONFIGURATION = """
[exchange]
account = "TOWN\\\\anna"
password = {{ env = "TOWN_PASSWORD" }}
scheme = "basic"
ca_file = "pki/ca.pem"
connect_timeout_s = 5

[addresses]
instead = {{ "{name}:443" = "{address}:{port}" }}
"""


def configure(folder: Path, name: str, where: tuple[str, int]) -> None:
    text = CONFIGURATION.format(name=name, address=where[0], port=where[1])
    (folder / "mailmig.toml").write_text(text)


async def test_what_is_collected_live_can_be_imported(
    mailmig: Mailmig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with town(tmp_path / "pki", 12) as lab:
        configure(tmp_path, lab.name, lab.addresses[lab.name, 443])
        monkeypatch.setenv("TOWN_PASSWORD", "falsch")
        words = ("collect", "--live", "live", "--server", lab.name)
        refused = await asyncio.to_thread(mailmig, *words)
        assert (refused.code, refused.out) == (3, "")
        assert refused.err.count("\n") == 1 and "it was tried once" in refused.err
        assert lab.accounts.wrong("anna") == 1
        assert not (tmp_path / "live").exists()
        monkeypatch.setenv("TOWN_PASSWORD", str(PASSWORD.reveal()))
        collected = await asyncio.to_thread(mailmig, *words)
        again = await asyncio.to_thread(mailmig, *words)
    assert (collected.code, collected.err) == (0, "")
    assert collected.out.startswith(f"{lab.name}: ")
    assert again.code == 2 and "is not empty; nothing was asked" in again.err
    imported = mailmig("inventory", "import", "live")
    assert imported.code == 0 and "Stadt Lindenstadt" in imported.out
    assert imported.err == ""


def test_nobody_there_is_exit_code_3(
    mailmig: Mailmig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pki").mkdir()
    Authority().write(tmp_path / "pki" / "ca.pem")
    configure(tmp_path, "ex1.town.example", ("127.0.3.9", 1))
    monkeypatch.setenv("TOWN_PASSWORD", "x")
    outcome = mailmig("collect", "--live", "live", "--server", "ex1.town.example")
    assert outcome.code == 3
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "live").exists()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_what_is_stopped_leaves_a_true_manifest(tmp_path: Path, how: signal.Signals) -> None:
    async with town(tmp_path / "pki", 60) as lab:
        configure(tmp_path, lab.name, lab.addresses[lab.name, 443])
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mailmig", "collect", "--live", "live", "--server", lab.name,
            cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "TOWN_PASSWORD": PASSWORD.reveal()},
        )  # fmt: skip
        async with asyncio.timeout(60):
            while not (tmp_path / "live" / "full_access.xml.part").exists():
                await asyncio.sleep(0.01)
            running.send_signal(how)
            _, said = await running.communicate()
    told = json.loads((tmp_path / "live" / "manifest.json").read_text("utf-8"))
    files = {entry["name"]: entry for entry in told["files"]}
    assert told["finished"] is None
    assert files["statistics"]["state"] == "done" and "send_as" not in files
    if how is signal.SIGINT:
        assert running.returncode == 130
        assert said.decode().strip() == "mailmig: interrupted"
        assert files["full_access"]["state"] == "failed"
