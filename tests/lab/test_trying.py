"""Every line that `mailmig lab run` prints is pasted into a shell, and asks what it says."""

import re
import subprocess
from pathlib import Path

import pytest

from mailmig.lab.contents import INBOX
from mailmig.lab.running.trying import trials
from tests.lab.remote_servers import outside
from tests.lab.running_lab import running
from tests.lab.strangers import needs
from tests.lab.test_running import Started, started

PATIENCE_S = 30
# What is told by the answer to each line; every line must be here, and every one here be a line.
INSIDE = {
    "health, inside": r"200 OK<br/>ls-ex16\.ad\.lindenstadt\.example",
    "EWS, inside": r"NoError.*<t:DisplayName>(Posteingang|Inbox)</t:DisplayName>",
    "Autodiscover POX, inside": r"<LegacyDN>/o=.*<Protocol Type=\"mapiHttp\"",
    "Autodiscover SOAP, inside": r"/EWS/Exchange\.asmx.*/o=|/o=.*/EWS/Exchange\.asmx",
    "Autodiscover V2, inside": r'"Url": ?"https://mail\.lindenstadt\.example/EWS/Exchange\.asmx"',
    "MAPI over HTTP, inside": r"(?i)X-ResponseCode: 0",
    "ActiveSync, inside": r"(?i)MS-ASProtocolVersions: [\d.,]*14\.1",
    "OAB, inside": r"<OAL id=",
    "RPC over HTTP, inside": r"^200$",
    "OWA, inside": r"^302 https://mail\.lindenstadt\.example:\d+/owa/auth/logon\.aspx",
    "DNS, inside: mail": r"^127\.0\.11\.21$",
    "DNS, inside: who": r"^10 mail\.lindenstadt\.example\.$",
    "SMTP, inside": r"250 2\.6\.0",
}
OUTSIDE = {
    "health, outside": r"200 OK<br/>ls-ex16\.ad\.lindenstadt\.example",
    "EWS, outside": r"NoError.*<t:DisplayName>(Posteingang|Inbox)</t:DisplayName>",
    "Autodiscover V2, outside": r'"Url": ?"https://mail\.lindenstadt\.example/EWS/Exchange\.asmx"',
    "MAPI over HTTP, outside": r"(?i)X-ResponseCode: 0",
    "DNS, outside: mail": r"^127\.0\.9\.41$",
    "DNS, outside: who": r"^10 relay\.lindenstadt\.example\.$",
    "SMTP, outside": r"250 2\.",
}


def printed(lab: Started) -> dict[str, str]:
    """What each line asks, and the line, as they stand on the screen."""
    block = lab.said.partition("try, as it stands:\n")[2].splitlines()
    return {
        what.strip().removeprefix("# "): line.strip()
        for what, line in zip(block[::2], block[1::2], strict=False)
        if what.startswith("  # ")
    }


def pasted(line: str, folder: Path) -> str:
    """What a shell says to it."""
    done = subprocess.run(
        [needs("bash"), "-c", line], cwd=folder, capture_output=True, text=True, check=False,
        timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_every_line_works_as_it_stands(tmp_path: Path, side: str) -> None:
    for program in ("curl", "dig", "swaks"):
        needs(program)
    expected = {"inside": INSIDE, "outside": OUTSIDE}[side]
    with started(tmp_path, "--mailboxes", 40, "--seed", 3) as lab:
        lines = {what: line for what, line in printed(lab).items() if f", {side}" in what}
        for what, line in lines.items():
            (wanted,) = [one for start, one in expected.items() if what.startswith(start)]
            said = pasted(line, tmp_path)
            assert re.search(wanted, said, re.DOTALL | re.MULTILINE), f"{what}\n{line}\n{said}"
        assert len(lines) == len(expected)


async def test_behind_extended_protection_there_is_no_line_that_would_fail(tmp_path: Path) -> None:
    async with running(tmp_path, cut_over=True, mailboxes=40) as lab:
        lab.organisation.extended_protection = True
        lines = {one.what: one.line for one in trials(lab)}
        assert not [what for what in lines if what.startswith(("MAPI", "OAB", "RPC"))]
        asking = [what for what in lines if what.startswith(("EWS", "Autodiscover", "ActiveSync"))]
        assert len(asking) == 7
        for what in asking:
            said = await outside(pasted, f"{lines[what]} -w '%{{http_code}}'", tmp_path)
            assert said.endswith("200"), (what, said)
        lab.organisation.extended_protection = False
        names = {one.what.partition(",")[0] for one in trials(lab)}
        assert names >= {"MAPI over HTTP", "OAB", "RPC over HTTP"}


def test_the_whole_block_can_be_pasted_at_once(tmp_path: Path) -> None:
    with started(tmp_path, "--mailboxes", 40, "--cut-over") as lab:
        block = lab.said.partition("try, as it stands:\n")[2].rpartition("\n")[0]
        block = "\n".join(line for line in block.splitlines() if line.startswith("  "))
        said = pasted(f"set -e\n{block}", tmp_path)
        assert said.count("250 2.") >= 2 and said.count("NoError") >= 2


async def test_what_the_lines_send_arrives(tmp_path: Path) -> None:
    async with running(tmp_path, mailboxes=40) as lab:
        mails = [one for one in trials(lab) if one.what.startswith("SMTP")]
        for one in mails:
            assert "250 2." in await outside(pasted, one.line, tmp_path)
        (somebody,) = [
            mailbox for mailbox in lab.organisation.present() if mailbox.address in mails[0].what
        ]
        found = [one for one in lab.world.contents.items(somebody, INBOX) if one.stored]
        assert len(found) == len(mails) == 2


async def test_a_town_without_people_offers_what_needs_nobody(tmp_path: Path) -> None:
    async with running(tmp_path) as lab:
        for mailbox in lab.organisation.present():
            mailbox.last_logon = None
        found = list(trials(lab))
        assert {one.what.partition(",")[0] for one in found} == {"health", "OWA", "DNS"}
        for one in found:
            assert await outside(pasted, one.line, tmp_path)
