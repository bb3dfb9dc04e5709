"""`mailmig probe setup` and what `mailmig doctor` says of probes, in a running lab."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from mailmig import config
from mailmig.cli import probe
from mailmig.cli.frame import SECTIONS
from mailmig.lab.running.whole import Lab
from mailmig.model.command import Command
from mailmig.model.database import Database
from mailmig.model.organisation import Server
from mailmig.model.secret import Secret
from mailmig.rules.probe_accounts import DatabaseProbes, grant, openings, probes
from mailmig.run.probe_setup import Known
from mailmig.sources.exchange import Exchange, ExchangeSettings
from tests.conftest import Mailmig, Outcome
from tests.lab.running_lab import addresses, running

DOMAIN, FOREST = "lindenstadt.example", "ad.lindenstadt.example"
SOURCE = f"probe-buerger@{DOMAIN}"
# A machine that is busy is no finding here.
PATIENT = '\n[check.limits]\n"mapi.matrix.slow_s" = 60\n'


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with asyncio.timeout(180), running(tmp_path, cut_over=True) as lab:
        be_patient(lab)
        yield lab


def be_patient(lab: Lab) -> None:
    with lab.settings.open("a", encoding="utf-8") as file:
        file.write(PATIENT)


async def run(mailmig: Mailmig, *words: object) -> Outcome:
    return await asyncio.to_thread(mailmig, "--config", "lab/mailmig.toml", *words)


def made_in(lab: Lab) -> tuple[DatabaseProbes, ...]:
    state = lab.organisation
    databases = [Database(one.name, server=one.server) for one in state.databases.values()]
    return probes(databases, state.servers, DOMAIN, FOREST)


def commands(made: Iterable[DatabaseProbes], folder: Path) -> list[Command]:
    """What the script does, with the passwords of the files."""
    made, found = tuple(made), []
    for pair in made:
        for one in (pair.delegate, pair.shared):
            text = "Nobody-1" if one.shared else (folder / f"{one.account}.txt").read_text().strip()
            password = ("Password", Secret(text))
            found.append(Command("New-Mailbox", (*one.creation.parameters, password)))
            found.append(one.finish)
    for delegate, opened in openings(made):
        found += [grant(delegate.logon_name, one.address) for one in opened]
    return found


async def send(lab: Lab, wanted: Iterable[Command]) -> None:
    read = config.load(lab.settings, SECTIONS).section("exchange", ExchangeSettings)
    async with Exchange(read.server, read, addresses(lab)) as exchange:
        for command in wanted:
            await exchange.send(command)


async def set_up(lab: Lab, mailmig: Mailmig) -> None:
    """Password files, the mailboxes, and the settings that name them."""
    told = await run(mailmig, "probe", "setup", "--settings", "--passwords", "pw")
    assert (told.code, told.err) == (0, "pw: 8 new passwords, 0 kept\n")
    with lab.settings.open("a", encoding="utf-8") as file:
        file.write("\n" + told.out)
    await send(lab, commands(made_in(lab), Path("pw")))


async def test_what_the_command_prints_sets_a_running_organisation_up(
    lab: Lab, mailmig: Mailmig
) -> None:
    before = await run(mailmig, "probe", "setup")
    assert before.code == 1
    assert f"Buerger     2016       delegate  {SOURCE}" in before.out
    assert "16 of 16 are missing: `mailmig probe setup --script`" in before.out
    script = await run(mailmig, "probe", "setup", "--script")
    await set_up(lab, mailmig)
    for command in commands(made_in(lab), Path("pw")):  # what is sent is what is printed
        assert str(command).removesuffix(" -Password (Read-Host -AsSecureString)") in script.out
    after = await run(mailmig, "probe", "setup")
    assert (after.code, after.err) == (0, "") and "missing" not in after.out
    matrix = await run(mailmig, "check", "mapi.matrix", "--format", "json")
    assert matrix.err == ""
    said = [(one["severity"], one["vantage"]) for one in json.loads(matrix.out)["findings"]]
    assert said == [("ok", "inside"), ("ok", "outside")], matrix.out
    doctor = await run(mailmig, "doctor")
    assert (doctor.code, doctor.err) == (0, "")
    assert doctor.out.count("  yes\n") >= 24 and " NO" not in doctor.out
    refused = [one.name for one in lab.accounts.attempts if not one.accepted]
    assert refused == []


async def test_new_mailboxes_get_mail_and_tell_of_it_over_ews(lab: Lab, mailmig: Mailmig) -> None:
    await set_up(lab, mailmig)
    told = await run(mailmig, "check", "transport.round_trip", "--format", "json")
    said = json.loads(told.out)["findings"]
    assert {one["severity"] for one in said} == {"ok"}, told.out
    to = {one["subject"].rpartition(" to ")[2] for one in said}
    assert to == {pair.delegate.address for pair in made_in(lab)}


async def test_doctor_goes_by_a_server_that_hangs_or_is_off(
    tmp_path: Path, mailmig: Mailmig
) -> None:
    async with asyncio.timeout(170), running(tmp_path, cut_over=True, probes=True) as lab:
        words = ("doctor", "--format", "json", "--timeout", "12")
        lab.faults.on("web-hangs", "LS-EX1")
        hanging = json.loads((await run(mailmig, *words)).out)["probes"]
        assert all(one["opens"] for one in hanging), hanging
        for server in ("LS-EX1", "LS-EX2"):
            lab.faults.on("server-down", server)
        nobody = json.loads((await run(mailmig, *words)).out)["probes"]
        assert not [one for one in nobody if one["opens"]]
        said = {one["text"] for one in nobody if not one["text"].startswith("not tried: see")}
        assert said == {"the server is down: nobody answers, or the front end says 503"}
        assert [one.name for one in lab.accounts.attempts if not one.accepted] == []


async def test_doctor_asks_nobody_when_a_password_is_missing(lab: Lab, mailmig: Mailmig) -> None:
    told = await run(mailmig, "probe", "setup", "--settings")
    with lab.settings.open("a", encoding="utf-8") as file:
        file.write("\n" + told.out)
    asked = len(lab.accounts.attempts)
    doctor = await run(mailmig, "doctor")
    assert (doctor.code, doctor.out) == (2, "")
    assert "probe-passwords/probe-buerger.txt" in doctor.err and doctor.err.count("\n") == 1
    assert len(lab.accounts.attempts) == asked


async def test_a_password_stands_in_no_output(lab: Lab, mailmig: Mailmig) -> None:
    await set_up(lab, mailmig)
    marks = [file.read_text().strip() for file in Path("pw").iterdir()]
    assert len(set(marks)) == 8 and all(len(mark) > 20 for mark in marks)
    for words in (
        ("probe", "setup"), ("probe", "setup", "--script", "--passwords", "pw"),
        ("probe", "setup", "--settings"), ("doctor",), ("doctor", "--format", "json"),
        ("check", "mapi", "--save", "facts.json"), ("config", "show"),
    ):  # fmt: skip
        told = await run(mailmig, *words)
        assert not [mark for mark in marks if mark in told.out + told.err], words
    assert not [mark for mark in marks if mark in Path("facts.json").read_text("utf-8")]


async def test_doctor_names_what_is_missing_and_what_mends_it(lab: Lab, mailmig: Mailmig) -> None:
    await set_up(lab, mailmig)
    shared = SOURCE.replace("@", "-s@")
    right = Command(
        "Remove-MailboxPermission",
        (("Identity", shared), ("User", f"probe-buerger@{FOREST}"), ("AccessRights", "FullAccess"),
         ("Confirm", False)),
    )  # fmt: skip
    gone = f"probe-technik-s@{DOMAIN}"
    away = Command("Remove-Mailbox", (("Identity", gone), ("Confirm", False)))
    await send(lab, [right, away])
    Path("pw/probe-soziales.txt").write_text("falsch\n")
    state = lab.organisation
    state.disable(next(one for one in state.present() if one.account == "probe-verwaltung"))
    told = json.loads((await run(mailmig, "doctor", "--format", "json")).out)["probes"]
    wrong = {(one["mailbox"], one["delegate"]): one for one in told if not one["opens"]}
    mended = str(grant(f"probe-buerger@{FOREST}", shared))
    assert wrong[shared, SOURCE]["mend"] == mended
    assert wrong[shared, SOURCE]["text"] == "the account has no full access"
    missing = wrong[gone, f"probe-technik@{DOMAIN}"]
    assert "disabled" in missing["text"] and "probe setup --script" in missing["mend"]
    locked = wrong[f"probe-soziales@{DOMAIN}", f"probe-soziales@{DOMAIN}"]
    assert "password is refused" in locked["text"] and "[probe.passwords]" in locked["mend"]
    lost = wrong[f"probe-verwaltung@{DOMAIN}", f"probe-verwaltung@{DOMAIN}"]
    assert "disabled" in lost["text"] and "probe setup --script" in lost["mend"]
    untried = [one for one in wrong.values() if one["text"].startswith("not tried: see")]
    assert {one["delegate"].partition("@")[0] for one in untried} == {
        "probe-soziales", "probe-verwaltung",
    }  # fmt: skip
    assert len(untried) == 4
    assert lab.accounts.wrong("probe-soziales") == 1
    text = await run(mailmig, "doctor")
    assert text.code == 1 and f"  {mended}\n" in text.out
    assert "--retry-login" in text.out, "what was refused says itself what to do"
    assert lab.accounts.wrong("probe-soziales") == 1, "it is not shown again"
    await send(lab, [grant(f"probe-buerger@{FOREST}", shared)])
    again = json.loads((await run(mailmig, "doctor", "--format", "json")).out)["probes"]
    assert (shared, SOURCE) not in {(one["mailbox"], one["delegate"]) for one in again
                                    if not one["opens"]}  # fmt: skip


async def test_a_probe_that_was_moved_belongs_to_its_database_no_more(
    lab: Lab, mailmig: Mailmig
) -> None:
    await set_up(lab, mailmig)
    state = lab.organisation
    next(one for one in state.mailboxes if one.address == SOURCE).database = "SE-DB01"
    told = await run(mailmig, "probe", "setup")
    assert told.code == 1
    assert "on SE-DB01" in told.out and "1 of 16 are on another database: move them" in told.out


async def test_passwords_that_are_there_stay(lab: Lab, mailmig: Mailmig) -> None:
    folder = Path("pw")
    folder.mkdir()
    (folder / "probe-technik.txt").write_text("von Hand\n")
    told = await run(mailmig, "probe", "setup", "--script", "--passwords", "pw", "--out", "p.ps1")
    assert (told.code, told.out) == (0, "")
    assert told.err == "pw: 7 new passwords, 1 kept\nwritten: p.ps1\n"
    assert (folder / "probe-technik.txt").read_text() == "von Hand\n"
    assert {file.stat().st_mode & 0o777 for file in folder.glob("probe-s*")} == {0o600}
    assert b"\r\nparam([string] $Passwords" in Path("p.ps1").read_bytes()


async def test_a_snapshot_says_the_same_as_the_directory(lab: Lab, mailmig: Mailmig) -> None:
    live = await run(mailmig, "probe", "setup", "--script")
    assert (await run(mailmig, "inventory", "take", "--ldap-only")).code == 0
    kept = await run(mailmig, "probe", "setup", "--script", "--snapshot", "latest")
    assert (kept.code, kept.out) == (0, live.out)
    newest = await asyncio.to_thread(mailmig, "probe", "setup", "--script", "--domain", DOMAIN)
    assert (newest.code, newest.out) == (0, live.out), "without [directory] the newest counts"
    unknown = await run(mailmig, "probe", "setup", "--snapshot", "0815")
    assert unknown.code == 2 and "0815" in unknown.err


async def test_a_lab_with_probes_is_checked_out_of_the_box(
    tmp_path: Path, mailmig: Mailmig
) -> None:
    async with asyncio.timeout(120), running(tmp_path, cut_over=True, probes=True) as lab:
        be_patient(lab)
        assert (await run(mailmig, "probe", "setup")).code == 0
        told = await run(mailmig, "check", "mapi.matrix")
        assert told.code == 0 and "own and 32 shared ways in work" in told.out
        assert sum(one.hidden and one.display_name.startswith("mailmig probe")
                   for one in lab.organisation.present()) == 16  # fmt: skip


def test_a_script_with_umlauts_is_marked_for_windows_powershell(
    mailmig: Mailmig, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Known((), (Database("Bürgeramt"),), FOREST, {})
    monkeypatch.setattr(probe, "_known", lambda snapshot: known)
    told = mailmig("probe", "setup", "--script", "--domain", DOMAIN, "--out", "p.ps1")
    assert told.code == 0
    raw = Path("p.ps1").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf#") and "-Database 'Bürgeramt'".encode() in raw
    monkeypatch.setattr(
        probe, "_known", lambda snapshot: replace(known, databases=(Database("A"),))
    )
    plain = mailmig("probe", "setup", "--script", "--domain", DOMAIN)
    assert plain.out.startswith("# Makes the probe accounts")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--script", "--settings"), "--script and --settings go one at a time"),
        ((), "nobody says which databases there are"),
        (("--snapshot", "0815"), "there is no snapshot yet"),
        (("--script", "--out", "."), "is a directory"),
    ],
)
def test_bad_input_gets_one_sentence(mailmig: Mailmig, words: tuple[str, ...], says: str) -> None:
    told = mailmig("probe", "setup", *words)
    assert (told.code, told.out) == (2, "")
    assert says in told.err


async def test_a_domain_that_is_none_is_refused(lab: Lab, mailmig: Mailmig) -> None:
    for domain in ("town", "town.example'", "stadt lindenstadt.example", ".", "a..b", "a.b\n"):
        told = await run(mailmig, "probe", "setup", "--domain", domain)
        assert (told.code, told.out) == (2, "")
        assert told.err.count("\n") == 1 and "is no domain of addresses" in told.err
    Path("file").write_text("")
    told = await run(mailmig, "probe", "setup", "--passwords", "file")
    assert told.code == 2
    if os.geteuid():
        told = await run(mailmig, "probe", "setup", "--passwords", "/proc/none")
        assert "cannot be written" in told.err


def test_a_server_that_is_not_known_leaves_the_version_open() -> None:
    (one,) = probes([Database("DB1", server="EX9")], [Server("EX1")], "town.example", "")
    assert one.version == "unknown"
