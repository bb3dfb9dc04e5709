"""`mailmig doctor`, `mailmig config init --domain` and refused logons, in a running lab."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mailmig import config
from mailmig.cli.frame import SECTIONS, section_class
from mailmig.lab import story
from mailmig.lab.running.whole import Lab
from mailmig.sources.directory import DirectorySettings
from tests.conftest import Mailmig, Outcome
from tests.lab.running_lab import free_offset

DOMAIN = "ad.lindenstadt.example"
ACCOUNT = "svc-mailmig"


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    lab = Lab(
        story.read("town"), tmp_path / "lab", mailboxes=20, speed=1000, offset=free_offset()
    )  # fmt: skip
    async with asyncio.timeout(180), lab:
        yield lab


async def run(mailmig: Mailmig, *words: object) -> Outcome:
    return await asyncio.to_thread(mailmig, "--config", "lab/mailmig.toml", *words)


def let_in(lab: Lab) -> list[bool]:
    return [attempt.accepted for attempt in lab.accounts.attempts]


def spoil(lab: Lab) -> Path:
    """The file with the password, with another one in it."""
    file = lab.folder / f"password-{ACCOUNT}.txt"
    file.write_text("falsch\n")
    return file


async def test_a_good_configuration_is_code_0_and_a_lack_is_code_1(
    lab: Lab, mailmig: Mailmig
) -> None:
    good = await run(mailmig, "doctor")
    assert (good.code, good.err) == (0, "")
    assert "inventory take --ldap-only  yes" in good.out and "What is wrong" not in good.out
    lab.faults.on("role-lacks", f"{ACCOUNT}:Get-ADPermission")
    lacking = await run(mailmig, "doctor")
    assert lacking.code == 1
    assert "  lacks Get-ADPermission: no send-as rights" in lacking.out
    assert '  ask for the role group "View-Only Organization Management"' in lacking.out
    told = json.loads((await run(mailmig, "doctor", "--format", "json")).out)
    assert told["schema"] == "mailmig.doctor/1" and len(told["servers"]) == 11
    assert [one["can"] for one in told["commands"]] == ["in part", "no", "yes", "yes"]
    assert all(one["answers"] for one in told["servers"])


async def test_a_wrong_password_is_shown_once_whatever_is_run(lab: Lab, mailmig: Mailmig) -> None:
    file = spoil(lab)
    first = await run(mailmig, "doctor")
    assert first.code == 3 and "NO" in first.out
    assert first.out.count("it was tried once") == 1 and "(see above)" in first.out
    assert let_in(lab) == [False]
    for words in (
        ("doctor",), ("inventory", "take"), ("inventory", "take", "--ldap-only"),
        ("collect", "--live", "export"),
        ("config", "init", "--domain", DOMAIN, "other.toml"),
    ):  # fmt: skip
        again = await run(mailmig, *words)
        assert again.code == 3, words
        assert "--retry-login" in again.err + again.out
    assert let_in(lab) == [False]
    once = await run(mailmig, "--retry-login", "doctor")
    assert once.code == 3 and lab.accounts.wrong(ACCOUNT) == 2
    file.write_text(f"lab-only-{ACCOUNT}\n")
    assert (await run(mailmig, "doctor")).code == 0
    assert let_in(lab)[:2] == [False, False] and False not in let_in(lab)[2:]


async def test_a_password_that_was_right_after_all_is_taken_with_retry_login(
    lab: Lab, mailmig: Mailmig
) -> None:
    for _ in range(3):
        lab.accounts.refused(ACCOUNT, "elsewhere")  # somebody else has locked it
    locked = await run(mailmig, "inventory", "take", "--ldap-only")
    assert locked.code == 3 and "locked" in locked.err
    lab.accounts.unlock(ACCOUNT)
    still = await run(mailmig, "inventory", "take", "--ldap-only")
    assert still.code == 3 and "refused the password" in still.err
    assert (await run(mailmig, "--retry-login", "inventory", "take", "--ldap-only")).code == 0
    assert (await run(mailmig, "inventory", "take", "--ldap-only")).code == 0


async def test_processes_that_are_started_together_show_a_wrong_password_once(
    lab: Lab, tmp_path: Path
) -> None:
    spoil(lab)
    words = ("-m", "mailmig", "--config", "lab/mailmig.toml")
    commands = (("doctor",), ("inventory", "take"), ("collect", "--live", "export"), ("doctor",))
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, *words, *command, cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for command in commands
    ]  # fmt: skip
    said = [await one.communicate() for one in running]
    assert [one.returncode for one in running] == [3, 3, 3, 3]
    assert let_in(lab) == [False]
    told = [(out + err).decode() for out, err in said]
    assert sum("it was tried once" in text for text in told) == 1
    assert sum("--retry-login" in text for text in told) == 3


async def test_a_broken_record_lets_no_password_out(lab: Lab, mailmig: Mailmig) -> None:
    spoil(lab)
    await run(mailmig, "doctor")
    (record,) = (Path("state") / "logons").glob("*.json")
    record.write_text("{")
    for words in (("inventory", "take"), ("collect", "--live", "export")):
        outcome = await run(mailmig, *words)
        assert outcome.code == 2 and outcome.err.count("\n") == 1
        assert "delete the file if the configured one is right" in outcome.err
    assert not Path("export").exists()
    assert let_in(lab) == [False]


async def test_a_domain_is_found_and_written_and_can_be_used(
    lab: Lab, mailmig: Mailmig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PASSWORD", f"lab-only-{ACCOUNT}")
    words = ("config", "init", "--domain", DOMAIN, "--password", "env:LAB_PASSWORD", "found.toml")
    outcome = await run(mailmig, *words)
    assert (outcome.code, outcome.out) == (0, "")
    text = Path("found.toml").read_text("utf-8")
    for line in (
        "#   server ls-ex1.ad.lindenstadt.example: Exchange SE, Rathaus, DAG LS-DAG1",
        "#   DAG LS-DAG1: LS-EX1, LS-EX2, witness ls-fs3.ad.lindenstadt.example",
        "#   database SE-DB01: LS-EX1, LS-EX2", "#   site Stadthaus: 127.0.12.0/24",
        "#   clients use autodiscover.lindenstadt.example",
        'server = "ls-ex1.ad.lindenstadt.example"', 'password = { env = "LAB_PASSWORD" }',
        'account = "LINDENSTADT\\\\svc-mailmig"',
    ):  # fmt: skip
        assert f"\n{line}\n" in text, line
    assert f"lab-only-{ACCOUNT}" not in text
    found = config.load(Path("found.toml"), SECTIONS)
    for name in SECTIONS:
        found.section(name, section_class(name))
    directory = found.section("directory", DirectorySettings)
    assert directory.servers == ("ls-dc1.ad.lindenstadt.example", "ls-dc2.ad.lindenstadt.example")
    assert (await asyncio.to_thread(mailmig, "--config", "found.toml", "doctor")).code == 0
    again = await run(mailmig, *words)
    assert again.code == 2 and "--overwrite" in again.err
    assert Path("found.toml").read_text("utf-8") == text
    assert (await run(mailmig, *words, "--overwrite")).code == 0


async def test_nothing_is_left_of_a_configuration_that_could_not_be_made(
    lab: Lab, mailmig: Mailmig
) -> None:
    init = ("config", "init", "found.toml", "--domain")
    for words, code, said in (
        (("nirgends.example",), 2, "does not hold that zone"),
        (("lindenstadt.example",), 2, "knows no domain controllers of lindenstadt.example"),
        (("lindenstädt.example",), 2, "does not hold that zone"),
        ((DOMAIN, "--password", "geheim"), 2, "file:PATH, env:NAME or keyring"),
        ((DOMAIN, "--password", "env:NOBODY_SET_THIS"), 2, "NOBODY_SET_THIS is not set"),
        ((DOMAIN, "--ca-file", "lab/names.key"), 2, "names.key, ca_file: no certificates"),
    ):
        outcome = await run(mailmig, *init, *words)
        assert (outcome.code, outcome.out) == (code, ""), outcome.err
        assert said in outcome.err
    bare = Path("bare.toml")
    bare.write_text("".join(_without_logons(lab.settings.read_text("utf-8"))))
    alone = await asyncio.to_thread(mailmig, "--config", bare, *init, DOMAIN)
    assert alone.code == 2 and "nobody is there to be asked: say --account" in alone.err
    assert (
        let_in(lab) == [] and not list(Path().glob(".found*")) and not Path("found.toml").exists()
    )


def _without_logons(text: str) -> list[str]:
    keys = ("account", "password", "ca_file", "scheme", "server =")
    return [line for line in text.splitlines(keepends=True) if not line.startswith(keys)]


async def test_an_empty_directory_is_said_to_be_one(
    lab: Lab, mailmig: Mailmig, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mailmig.sources import directory_configuration

    monkeypatch.setattr(directory_configuration.Configuration, "_read_servers", lambda *_: None)
    outcome = await run(mailmig, "config", "init", "--domain", DOMAIN, "found.toml")
    assert outcome.code == 2 and "no Exchange server below CN=Configuration" in outcome.err
    assert not Path("found.toml").exists()
