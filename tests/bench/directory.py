"""LDAP: our inventory of 50,000 mailboxes beside bare ldap3 and ldapsearch, and the lab's pace.

The same entries lie in slapd and in the lab. slapd runs in a process of its own and shows what
our client costs; the lab runs in a process of its own, too, and serves the rights. Without
slapd its rows are left out.
"""

import asyncio
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailmig.lab.directory import Forest
from mailmig.sources.directory import (
    MAILBOX_ATTRIBUTES,
    MAILBOXES_FILTER,
    Directory,
    DirectorySettings,
)
from tests.lab.town_directory import PASSWORD as LAB_PASSWORD
from tests.lab.town_directory import READER, founded, ldap3, running, stock
from tests.sources.slapd import NAME, PASSWORD, Slapd, slapd

MAILBOXES = 50_000
_WAIT_S = 300.0


def rows() -> Iterator[dict[str, object]]:
    if shutil.which("slapd", path="/usr/sbin:/sbin:/usr/bin"):
        yield from _beside_slapd()
    yield from _at_the_lab()


def _beside_slapd() -> Iterator[dict[str, object]]:
    organisation = founded(MAILBOXES)
    forest = Forest(organisation, lambda: organisation.now)
    with tempfile.TemporaryDirectory() as folder, slapd(Path(folder) / "own", forest) as server:
        count = len(list(organisation.present()))
        bare, ours = [], []
        for _ in range(2):  # in turn, so that a slow moment of the machine meets both
            bare.append(_timed(lambda: _bare(server, forest.base), count))
            ours.append(_timed(lambda: _ours(server), count))
        tool = _timed(lambda: _ldapsearch(server, forest.base, Path(folder) / "out"), count)
    ratio = min(ours) / min(bare)
    yield {
        "what": f"read {count:,} mailboxes from slapd: ours beside bare ldap3", "ours": min(ours),
        "other": min(bare), "unit": "s", "ratio": ratio, "goal": "<= 1.3", "met": ratio <= 1.3,
    }  # fmt: skip
    yield {
        "what": "the same beside ldapsearch into a file", "ours": min(ours), "other": tool,
        "unit": "s", "ratio": min(ours) / tool, "goal": "shown", "met": True,
    }  # fmt: skip


def _timed(work: Any, count: int) -> float:
    began = time.perf_counter()
    found = work()
    assert found == count, (found, count)
    return time.perf_counter() - began


def _bare(server: Slapd, base: str) -> int:
    where = ldap3.Server(*server.plain, get_info=ldap3.NONE)
    with stock(where, server.account, PASSWORD.reveal()) as connection:
        connection.bind()
        pages = connection.extend.standard.paged_search(
            base,
            MAILBOXES_FILTER,
            attributes=list(MAILBOX_ATTRIBUTES),
            paged_size=1000,
            generator=True,
        )
        return sum(row["type"] == "searchResEntry" for row in pages)


def _ours(server: Slapd) -> int:
    async def ask() -> int:
        settings = DirectorySettings(
            account=server.account, password=PASSWORD, ca_file=Path(server.ca_file)
        )
        async with Directory(NAME, settings, {(NAME, 636): server.secure}) as asked:
            return len(await asked.mailboxes())

    return asyncio.run(ask())


def _ldapsearch(server: Slapd, base: str, out: Path) -> int:
    host, port = server.plain
    with out.open("wb") as file:
        subprocess.run(
            ["ldapsearch", "-x", "-LLL", "-H", f"ldap://{host}:{port}", "-D", server.account,
             "-w", PASSWORD.reveal(), "-E", "pr=1000/noprompt", "-b", base, MAILBOXES_FILTER, *MAILBOX_ATTRIBUTES],
            stdout=file, check=True, timeout=_WAIT_S,
        )  # fmt: skip
    with out.open("rb") as file:
        return sum(line.startswith(b"dn:") for line in file)


def _at_the_lab() -> Iterator[dict[str, object]]:
    """The lab in a process of its own, and everything that LDAP tells, the rights included."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            addresses = {(name, port): tuple(to) for name, port, to in told["addresses"]}
            began, rights = told["started"], told["rights"]
            first, whole, edges = asyncio.run(_everything(addresses, Path(folder) / "ca.pem"))
        finally:
            process.communicate(timeout=30)  # it ends when its input does
    answered = first + began
    yield {
        "what": f"the lab's directory: start and first answer, {MAILBOXES:,} mailboxes",
        "ours": answered, "other": 0.0, "unit": "s", "ratio": 0.0, "goal": "<= 5 s",
        "met": answered <= 5,
    }  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield {
        "what": f"mailboxes, {edges:,} edges ({rights:,} granted), groups, configuration by LDAP",
        "ours": whole, "other": peak, "unit": "s (other: peak MiB)", "ratio": 0.0,
        "goal": "<= 60 s, 1 GB", "met": whole <= 60 and peak <= 1024,
    }  # fmt: skip


async def _serve(folder: Path) -> None:
    organisation = founded(MAILBOXES)
    began = time.perf_counter()
    async with running(organisation) as town:
        started = time.perf_counter() - began
        town.ca_file(folder)
        rights = len(organisation.full_access) + len(organisation.send_as)
        addresses = [(*name, to) for name, to in town.addresses.items()]
        print(json.dumps({"started": started, "rights": rights, "addresses": addresses}))
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


async def _everything(addresses: Any, ca_file: Path) -> tuple[float, float, int]:
    """Seconds until the first page, seconds for all of it, and how many edges there are."""
    settings = DirectorySettings(account=READER, password=LAB_PASSWORD, ca_file=ca_file)
    began = time.perf_counter()
    server = "ls-dc1.ad.lindenstadt.example"
    async with Directory(server, settings, addresses) as asked:
        pages = asked._connection.pages(
            asked.base, MAILBOXES_FILTER, MAILBOX_ATTRIBUTES, lambda dn, raw: dn
        )
        assert len(await anext(pages)) == settings.page_size
        first = time.perf_counter() - began
        await pages.aclose()  # type: ignore[attr-defined]
    began = time.perf_counter()
    async with Directory(server, settings, addresses) as asked:
        mailboxes, edges = await asked.mailboxes(), await asked.edges()
        groups = await asked.groups()
        assert len(mailboxes) > MAILBOXES and groups
    return first, time.perf_counter() - began, len(edges)


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
