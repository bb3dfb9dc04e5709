"""How fast the lab's cmdlets give 10,000 mailboxes, beside the general writer of CLIXML.

First without a protocol: whole objects, the properties of an inventory and a few, made anew and
kept, and the statistics of every database. Then over remote PowerShell with TLS, the server in a
process of its own, to a client that only counts: the first question and the second one.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailmig.lab import founding, story
from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.cmdlets.engine import FREE, ExchangeCmdlets
from mailmig.lab.exchange.calls import Call, Item
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.world import World
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.secret import Secret
from mailmig.wire import clixml
from mailmig.wire.collection import MAILBOX_PROPERTIES, STATISTICS_PROPERTIES
from tests.lab.raw_remoting import RawClient, objects

COUNT = 10_000
WHOLE = 1_000
ADDRESS = "127.0.1.1"
PASSWORD = "Passw0rd!"
ADMIN = Account("anna", "town.example", Secret(PASSWORD), frozenset({"Organization Management"}))
CALL = Call("Get-Mailbox", (("ResultSize", "Unlimited"),))
FEW = ("ExchangeGuid", "DisplayName", "Alias", "PrimarySmtpAddress")


def engine() -> ExchangeCmdlets:
    world = World(founding.found(story.read("town"), COUNT))
    return ExchangeCmdlets(world, "LS-EX16", costs=FREE)


async def serve(folder: Path) -> None:
    """Says its port and serves until nobody listens any more."""
    authority = Authority()
    authority.write(folder / "ca.pem")
    service = Service("EX1", Accounts([ADMIN]), [ExchangeEndpoint(engine())])
    listener = Listener(service, ADDRESS, tls=authority.certificate(ADDRESS).context())
    async with Server(service, listener):
        print(listener.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def served(port: int, authority: Path) -> float:
    """Objects per second, from the first request to the last answer."""
    url = f"https://{ADDRESS}:{port}/PowerShell"
    with RawClient(url, authority, "TOWN\\anna", PASSWORD) as client:
        start = time.perf_counter()
        command = client.start(
            "Get-Mailbox",
            ("Select-Object", {"Property": list(MAILBOX_PROPERTIES)}),
            ResultSize="Unlimited",
        )
        found = 0
        while not client.done:
            found += objects(client.receive(command))
        assert found == COUNT, found
        return COUNT / (time.perf_counter() - start)


def given(cmdlets: ExchangeCmdlets, most: int, names: tuple[str, ...] | None) -> float:
    """Objects per second that the cmdlets themselves give."""
    start = time.perf_counter()
    outputs = (
        cmdlets.invoke(ADMIN, (CALL,)) if names is None else cmdlets.select(ADMIN, (CALL,), names)
    )
    count = 0
    for output in outputs:
        count += isinstance(output, Item)
        if count == most:
            break
    return count / (time.perf_counter() - start)


def statistics(cmdlets: ExchangeCmdlets) -> float:
    """Objects per second when each database of the organisation is asked for what it holds."""
    start = time.perf_counter()
    count = 0
    for name in cmdlets.world.organisation.databases:
        call = Call("Get-MailboxStatistics", (("Database", name),))
        for output in cmdlets.select(ADMIN, (call,), tuple(STATISTICS_PROPERTIES)):
            assert isinstance(output, Item), output
            count += 1
    assert count >= COUNT, count
    return count / (time.perf_counter() - start)


def generals(cmdlets: ExchangeCmdlets) -> float:
    """Whole objects per second that the general writer writes, once they are built."""
    outputs = cmdlets.invoke(ADMIN, (CALL,))
    built = [
        clixml.loads(output.xml)[0]
        for output, _ in zip(outputs, range(200), strict=False)
        if isinstance(output, Item)
    ]
    start = time.perf_counter()
    for one in built:
        clixml.dumps(one)
    return len(built) / (time.perf_counter() - start)


def row(what: str, ours: float, other: float, goal: int) -> dict[str, object]:
    return {
        "what": what, "ours": ours, "other": other, "unit": "objects/s", "ratio": ours / other,
        "goal": f">= {goal:,}/s", "met": ours >= goal,
    }  # fmt: skip


def rows() -> Iterator[dict[str, object]]:
    cmdlets = engine()
    other = generals(cmdlets)
    yield row(f"{WHOLE:,} whole mailboxes made, beside dumps alone", given(cmdlets, WHOLE, None),
              other, 1000)  # fmt: skip
    chosen = tuple(MAILBOX_PROPERTIES)
    yield row(f"{COUNT:,} mailboxes, {len(chosen)} properties, made", given(cmdlets, COUNT, chosen),
              other, 5000)  # fmt: skip
    yield row("the same, kept", given(cmdlets, COUNT, chosen), other, 50_000)
    yield row(f"{COUNT:,} mailboxes, {len(FEW)} properties, made", given(cmdlets, COUNT, FEW),
              other, 20_000)  # fmt: skip
    yield row("statistics, database by database", statistics(cmdlets), other, 5000)
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "ca.pem"
        with subprocess.Popen(
            [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdout is not None
                port = int(process.stdout.readline())
                yield row("the mailboxes over remote PowerShell, first time",
                          served(port, authority), other, 3000)  # fmt: skip
                yield row("the same, second time", served(port, authority), other,
                          3000)  # fmt: skip
                process.communicate(timeout=10)
            finally:
                process.kill()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
