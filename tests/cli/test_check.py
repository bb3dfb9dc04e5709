"""`mailmig check` against a running lab: what is well, what is broken, and facts judged again."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mailmig.lab.running.whole import Lab
from tests.conftest import Mailmig, Outcome
from tests.lab.running_lab import running

CLIENTS = ("mail.lindenstadt.example", "autodiscover.lindenstadt.example")
# Each server of the town has a certificate of its own.
OWN_CERTIFICATES = ("warning", "tls.same")
INSIDE = ("--vantage", "Rathaus", "--vantage", "Stadthaus")


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with asyncio.timeout(180), running(tmp_path, cut_over=True) as lab:
        yield lab


async def run(mailmig: Mailmig, *words: object) -> Outcome:
    return await asyncio.to_thread(mailmig, "--config", "lab/mailmig.toml", "check", *words)


async def found(mailmig: Mailmig, *words: object) -> list[tuple[str, str, str, str]]:
    """(severity, check, subject, summary) of what is not ok."""
    said = json.loads((await run(mailmig, *words, "--format", "json")).out)
    return [
        (one["severity"], one["check"], one["subject"], one["summary"])
        for one in said["findings"]
        if one["severity"] not in ("ok", "notice")
    ]


async def test_a_town_without_faults_is_well_from_both_sites(lab: Lab, mailmig: Mailmig) -> None:
    well = await run(mailmig, *INSIDE)
    assert well.err == ""
    assert {one[:2] for one in await found(mailmig, *INSIDE)} == {OWN_CERTIFICATES}
    for name in CLIENTS:
        for address in ("127.0.11.22", "127.0.12.23"):
            assert f"{name} at {address}" in well.out
    assert "all 8 protocols answer (ls-ex1.ad.lindenstadt.example)" in well.out
    assert "all 8 protocols answer (ls-ex2.ad.lindenstadt.example)" in well.out
    assert "critical" not in well.out and "unknown" not in well.out


@pytest.mark.parametrize(
    ("fault", "target", "expected"),
    [
        (
            "dns-server-silent", "ls-dc2",
            {("unknown", "namespace.round_robin_set")},
        ),
        ("dns-ttl-long", "mail.lindenstadt.example", {("critical", "namespace.ttl")}),
        (
            "app-pool-stopped", r"LS-EX1\MSExchangeMapiFrontEndAppPool",
            {("critical", "client_access.probe"), ("critical", "client_access.entry_points")},
        ),
        ("component-inactive", r"LS-EX2\FrontendTransport",
         {("critical", "transport.smtp_listener")}),
        ("dns-scp-names-server", "LS-EX1", {("critical", "namespace.service_points")}),
        (
            "dns-node-name-wrong", "ls-ex16.ad.lindenstadt.example",
            {("critical", "transport.smtp_listener")},
        ),
        (  # OpenSSL itself refuses such a key by now
            "certificate-small-key", "LS-EX2",
            {("warning", "tls.key"), ("critical", "tls.chain"), ("critical", "client_access.probe")},
        ),
        ("directory-basic-only", r"LS-EX2\ews", {("warning", "client_access.entry_points")}),
    ],
)  # fmt: skip
async def test_a_fault_of_the_lab_is_found_and_nothing_else(
    lab: Lab, mailmig: Mailmig, fault: str, target: str, expected: set[tuple[str, str]]
) -> None:
    lab.faults.on(fault, target)
    said = await found(mailmig, *INSIDE)
    assert {one[:2] for one in said} == {*expected, OWN_CERTIFICATES}


async def test_a_server_that_is_off_is_found_at_its_address_only(
    lab: Lab, mailmig: Mailmig
) -> None:
    lab.faults.on("server-down", "LS-EX1")
    said = await found(mailmig, *INSIDE, "client_access", "tls")
    assert {one[2].rpartition(" at ")[2] for one in said} == {"127.0.11.22"}
    assert ("critical", "client_access.probe") in {one[:2] for one in said}


async def test_facts_are_judged_again_without_anybody_to_ask(
    lab: Lab, mailmig: Mailmig, tmp_path: Path
) -> None:
    lab.faults.on("app-pool-stopped", r"LS-EX1\MSExchangeMapiFrontEndAppPool")
    live = await run(mailmig, *INSIDE, "--save", "facts.json", "--format", "json")
    assert live.code == 1
    assert "written: facts.json" in live.err
    again = await asyncio.to_thread(
        mailmig, "check", "--from", "facts.json", "--format", "json"
    )  # fmt: skip
    assert again.code == 1
    assert _findings(again) == _findings(live)
    text = (tmp_path / "facts.json").read_text("utf-8")
    assert "lab-only-" not in text, "a password is no fact"


def _findings(outcome: Outcome) -> list[Any]:
    found: list[Any] = json.loads(outcome.out)["findings"]
    return found


async def test_monitoring_systems_get_their_own_shapes(lab: Lab, mailmig: Mailmig) -> None:
    lab.faults.on("server-down", "LS-EX1")
    words = (*INSIDE, "client_access.probe")
    nagios = await run(mailmig, *words, "--format", "nagios")
    assert nagios.code == 2
    assert nagios.out.startswith("MAILMIG CRITICAL - ")
    sensor = json.loads((await run(mailmig, *words, "--format", "prtg")).out)["prtg"]
    assert {one["channel"]: one["value"] for one in sensor["result"]} == {
        "worst": 2, "client_access.probe": 3,
    }  # fmt: skip
    metrics = await run(mailmig, *words, "--format", "prometheus")
    assert 'object="mail.lindenstadt.example at 127.0.11.22",site="inside"} 2.0' in metrics.out
    page = await run(mailmig, *words, "--format", "html", "--out", "checks.html")
    assert page.code == 1
    text = (lab.folder.parent / "checks.html").read_text("utf-8")
    assert text.count("mail.lindenstadt.example at 127.0.11.22") >= 2


async def test_a_sweep_can_be_limited_to_a_site_or_a_server(lab: Lab, mailmig: Mailmig) -> None:
    words = ("client_access.probe", "--format", "json")
    for choice in (("--site", "Stadthaus"), ("--server", "ls-ex2")):
        said = json.loads((await run(mailmig, *words, *INSIDE, *choice)).out)
        assert {one["subject"].rpartition(" ")[2] for one in said["findings"]} == {"127.0.12.23"}
    nobody = await run(mailmig, *words, *INSIDE, "--server", "ls-ex9")
    assert (nobody.code, nobody.out) == (2, "")
    assert "no Exchange server is called 'ls-ex9'" in nobody.err


async def test_a_suppressed_finding_does_not_count_until_its_end(
    lab: Lab, mailmig: Mailmig
) -> None:
    words = (*INSIDE, "tls.same", "--format", "json")
    assert (await run(mailmig, *words)).code == 1
    settings = lab.settings.read_text("utf-8")
    for until, code in (("2999-12-31", 0), ("2020-01-01", 1)):
        why = f'"tls.same *" = "each has its own, until {until}"'
        lab.settings.write_text(f"{settings}\n[check.suppress]\n{why}\n", "utf-8")
        said = await run(mailmig, *words)
        assert said.code == code
        told = {one["suppressed"] for one in json.loads(said.out)["findings"]}
        assert told == ({f"each has its own, until {until}"} if code == 0 else {""})


async def test_another_threshold_is_judged_by(lab: Lab, mailmig: Mailmig) -> None:
    with lab.settings.open("a", encoding="utf-8") as file:
        file.write('\n[check.limits]\n"namespace.ttl.warning_s" = 60\n')
    assert ("warning", "namespace.ttl") in {one[:2] for one in await found(mailmig, *INSIDE)}
    assert "warning_s = 60 s" in (await run(mailmig, "explain", "namespace.ttl")).out


async def test_watching_shows_what_changed(lab: Lab, mailmig: Mailmig) -> None:
    command = [
        str(Path(sys.executable).with_name("mailmig")), "--config", str(lab.settings), "check",
        "client_access.probe", *INSIDE, "--watch", "1",
    ]  # fmt: skip
    watch = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert watch.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b" ok" not in (line := await watch.stdout.readline()) or b" in " not in line:
                pass
            lab.faults.on("app-pool-stopped", r"LS-EX1\MSExchangeMapiFrontEndAppPool")
            changed = (await watch.stdout.readline()).decode()
        watch.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(watch.wait(), 30) == 130
    finally:
        if watch.returncode is None:
            watch.kill()
            await watch.wait()
    assert "ok -> critical: client_access.probe, " in changed
    assert "1 of 8 protocols do not answer: mapi" in changed


def test_a_plug_in_that_cannot_ask_is_unknown_in_one_line(mailmig: Mailmig) -> None:
    said = mailmig("check", "--format", "nagios")
    assert (said.code, said.err) == (3, "")
    assert said.out.startswith("MAILMIG UNKNOWN - no names are known") and said.out.count("\n") == 1


def test_a_check_is_explained(mailmig: Mailmig) -> None:
    said = mailmig("check", "explain", "namespace.ttl")
    assert said.code == 0
    assert "Source: health.md 2.8" in said.out
    assert "critical_s = 3600 s" in said.out


def test_checks_are_listed_with_their_questions(mailmig: Mailmig) -> None:
    said = mailmig("check", "list")
    assert said.code == 0
    lines = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert ["tls.expiry", "How long are the certificates good?"] in lines


def test_watching_is_for_the_terminal(mailmig: Mailmig) -> None:
    said = mailmig("check", "--watch", "5", "--format", "json")
    assert (said.code, said.out) == (2, "")
    assert "--watch repeats on the terminal" in said.err


@pytest.mark.parametrize(
    ("words", "toml", "code", "says"),
    [
        (("tls.chian",), "", 2, 'there is no check and no family \'tls.chian\' (did you mean'),
        ((), "", 2, "no names are known that clients use"),
        (
            ("--vantage", "mars"), '[check]\nresolvers = { north = ["192.0.2.53"] }\n', 2,
            "there is no vantage 'mars'; known are north",
        ),
        (
            (), '[check.limits]\n"namespace.ttl.warnings_s" = 1\n', 2,
            'no check has this threshold (did you mean "namespace.ttl.warning_s"?)',
        ),
        (
            (), '[check.suppress]\n"tls.same mail.*" = "later"\n', 2,
            'suppress: "tls.same mail.*" = "later" is not "CHECK SUBJECT" = "REASON, until',
        ),
        ((), '[check]\nfolders = ["none"]\n', 2, "it cannot be read (No such file"),
        (("--from", "none.json"), "", 2, "none.json: it cannot be read"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(
    mailmig: Mailmig, tmp_path: Path, words: tuple[str, ...], toml: str, code: int, says: str
) -> None:
    (tmp_path / "mailmig.toml").write_text(toml)
    said = mailmig("check", *words)
    assert (said.code, said.out) == (code, "")
    assert says in said.err and said.err.count("\n") == 1
