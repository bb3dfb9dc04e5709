"""`mailmig check` with probe accounts, against a running lab: Autodiscover, EWS, phones, mail."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.conftest import Mailmig
from tests.sources.ways_town import WaysTown, ways_town

CHECKS = (
    "client_access.autodiscover", "client_access.ews", "client_access.activesync",
    "transport.round_trip",
)  # fmt: skip
AUTODISCOVER, EWS, PHONES, MAIL = CHECKS


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[WaysTown]:
    async with ways_town(tmp_path) as town:
        secret = tmp_path / "probe-password"
        secret.write_text("lab-only-" + town.account.rpartition("\\")[2])
        secret.chmod(0o600)
        own = json.dumps(town.own)
        with town.lab.settings.open("a", encoding="utf-8") as file:
            file.write(
                f"\n[probe]\ndelivery_s = 2.0\naccounts = {{ {own} = '{town.account}' }}\n"
                f'passwords = {{ {own} = {{ file = "{secret}" }} }}\n'
                f'shared = {{ {own} = ["{town.shared}"] }}\n'
            )
        yield town


async def found(
    mailmig: Mailmig, town: WaysTown, *words: str
) -> set[tuple[str, str, str, str, str]]:
    """(severity, check, vantage, subject, summary) of what counts and is not ok."""
    said = await asyncio.to_thread(
        mailmig, "--config", "lab/mailmig.toml", "check", *(words or CHECKS), "--format", "json"
    )
    assert said.err == "" and said.code in (0, 1)
    assert "lab-only-" not in said.out
    names = {"own": town.own, "shared": town.shared}
    told = said.out
    for name, address in names.items():
        told = told.replace(address, name)
    return {
        (one["severity"], one["check"], one["vantage"], one["subject"], one["summary"])
        for one in json.loads(told)["findings"]
        if one["severity"] != "ok" and not one["skipped"]
    }


async def test_a_healthy_town_is_well_from_inside_and_outside(
    town: WaysTown, mailmig: Mailmig
) -> None:
    said = await asyncio.to_thread(mailmig, "--config", "lab/mailmig.toml", "check", *CHECKS)
    assert (said.code, said.err) == (0, "")
    for expected in (
        "2 addresses tell the same, with MAPI and EWS", "opened at 3 addresses",
        "phones are welcome, up to version 16.1", "and removed",
    ):  # fmt: skip
        assert expected in said.out
    lines = said.out.splitlines()
    for check in CHECKS:
        here = [line.split()[2] for line in lines if f" {check} " in line]
        assert set(here) == {"inside", "outside"}, check
    assert all(town.attempts()) and town.subjects() == []


async def test_facts_of_all_four_are_judged_again_offline_and_nothing_is_sent(
    town: WaysTown, mailmig: Mailmig
) -> None:
    town.lab.faults.on("gateway-blocks", "ews")
    words = ("--config", "lab/mailmig.toml", "check", *CHECKS, "--save", "facts.json")
    live = await asyncio.to_thread(mailmig, *words, "--format", "json")
    sent = town.lab.world.delivering.number()
    again = await asyncio.to_thread(
        mailmig, "check", *CHECKS, "--from", "facts.json", "--format", "json"
    )
    assert json.loads(again.out)["findings"] == json.loads(live.out)["findings"]
    assert (again.code, live.code) == (1, 1)
    assert town.lab.world.delivering.number() == sent + 1, "only the numbers that we took"


NO_MAIL = "nothing was sent: EWS does not open the mailbox (client_access.ews says why)"
SWITCHED_OFF = "EWS is switched off for the account, or something in front refuses (status 403)"
RELAY = "relay.lindenstadt.example at 127.0.9.25 to own"


@pytest.mark.parametrize(
    ("fault", "target", "expected"),
    [
        (
            "mail-slow", "LS-EX1",
            {("critical", MAIL, "inside", "ls-ex1.ad.lindenstadt.example at 127.0.11.22 to own",
              "taken, and not there after 2 s")},
        ),
        (
            "component-inactive", r"LS-EX2\HubTransport",
            {("critical", MAIL, "inside", "ls-ex2.ad.lindenstadt.example at 127.0.12.23 to own",
              "not taken: 421 4.3.2 Service not available")},
        ),
        ("component-inactive", r"LS-EX2\FrontendTransport", set()),
        (
            "gateway-blocks", "ews",
            {
                *(("critical", EWS, "outside", subject, SWITCHED_OFF)
                  for subject in ("own", "own in shared")),
                ("unknown", MAIL, "outside", RELAY, NO_MAIL),
            },
        ),
        (
            "mapi-disabled-for-mailbox", "own",
            {("warning", AUTODISCOVER, vantage, "own",
              "it offers no MAPI/HTTP: Outlook falls back to RPC over HTTP")
             for vantage in ("inside", "outside")},
        ),
        (
            "gateway-not-published", "microsoft-server-activesync",
            {("critical", PHONES, "outside", "own at mail.lindenstadt.example",
              "there is no ActiveSync (status 404)")},
        ),
    ],
)  # fmt: skip
async def test_a_fault_of_the_lab_is_found_and_nothing_else(
    town: WaysTown, mailmig: Mailmig, fault: str, target: str,
    expected: set[tuple[str, str, str, str, str]],
) -> None:  # fmt: skip
    town.lab.faults.on(fault, town.own if target == "own" else target)
    said = await found(mailmig, town)
    if fault == "mail-slow":  # the gateway takes the servers in turn
        said.discard(("critical", MAIL, "outside", RELAY, "taken, and not there after 2 s"))
    assert said == expected


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("database-dismounted", "its database is not mounted, or its server is away "),
        ("ews-throttled", "the account is throttled"),
    ],
)
async def test_what_is_wrong_with_a_mailbox_is_seen_from_everywhere(
    town: WaysTown, mailmig: Mailmig, fault: str, words: str
) -> None:
    database = town.person.database
    assert town.common.database == database
    town.lab.faults.on(fault, database if fault == "database-dismounted" else town.own)
    said = await found(mailmig, town, EWS)
    assert {one[2:4] for one in said} == {
        (vantage, subject)
        for vantage in ("inside", "outside")
        for subject in ("own", "own in shared")
    }
    assert all(one[4].startswith(words) for one in said)


async def test_split_people_are_told_why_ews_refuses(town: WaysTown, mailmig: Mailmig) -> None:
    target = next(one.name for one in town.lab.organisation.databases.values() if one.dag)
    town.person.database = target
    refused = (
        "the delegate and the mailbox are on servers of different versions "
        "(ErrorWrongServerVersionDelegate)"
    )
    assert await found(mailmig, town, EWS) == {
        ("warning", EWS, vantage, "own in shared", refused) for vantage in ("inside", "outside")
    }


async def test_a_phone_whose_mailbox_may_not_is_warned(town: WaysTown, mailmig: Mailmig) -> None:
    town.person.protocols = replace(town.person.protocols, active_sync=False)
    summary = "phones are refused: ActiveSync is off for the account, or blocked (status 403)"
    assert await found(mailmig, town, PHONES) == {
        ("warning", PHONES, vantage, "own at mail.lindenstadt.example", summary)
        for vantage in ("inside", "outside")
    }


async def test_without_probe_accounts_nobody_logs_on_and_nothing_is_sent(
    town: WaysTown, mailmig: Mailmig
) -> None:
    text = town.lab.settings.read_text("utf-8")
    town.lab.settings.write_text(text.partition("\n[probe]")[0], "utf-8")
    assert await found(mailmig, town) == set()
    assert town.attempts() == [] or all(town.attempts())
    assert town.subjects() == [] and town.lab.world.delivering.waiting == 0


async def test_a_wrong_password_is_shown_once_in_a_whole_sweep(
    town: WaysTown, mailmig: Mailmig, tmp_path: Path
) -> None:
    (tmp_path / "probe-password").write_text("falsch")
    said = await found(mailmig, town)
    assert town.attempts().count(False) == 1
    # Whose question came first is chance; all others say who refused it.
    assert {one[0] for one in said} <= {"critical", "unknown"}
    assert any("refused the password" in one[4] for one in said)
    assert town.subjects() == []
