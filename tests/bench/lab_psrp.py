"""How fast the lab serves mailboxes over remote PowerShell, beside psrpcore's own way to write.

The server runs in a process of its own, with TLS and Basic, and gives ready texts of about
1 kB or 6 kB. The client only counts the objects: a client that reads them takes ten times as long.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import psrpcore
from psrpcore import types

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.exchange.calls import Call, Item, Output
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.secret import Secret
from mailmig.wire.clixml import Obj, Value
from tests.lab.raw_remoting import RawClient, objects

COUNT = 10_000
THEIRS = 2_000
ADDRESS = "127.0.1.1"
PASSWORD = "Passw0rd!"
TYPES = ("Microsoft.Exchange.Data.Directory.Management.Mailbox", "System.Object")
ASKED = ["Name", "Alias", "PrimarySmtpAddress", "Database", "ProhibitSendQuota", "Property03"]


def properties(number: int, more: int) -> dict[str, Value]:
    name = f"user{number}"
    size = Obj(("Microsoft.Exchange.Data.ByteQuantifiedSize", "System.Object"),
               "2 GB (2,147,483,648 bytes)", adapted={"IsUnlimited": False})  # fmt: skip
    return {
        "Name": name, "Alias": name, "PrimarySmtpAddress": f"{name}@town.example",
        "Database": "MDB01", "ServerName": "EX1", "ItemCount": number,
        "UseDatabaseQuotaDefaults": False, "RecipientTypeDetails": "UserMailbox",
        "EmailAddresses": Obj(("System.Collections.ArrayList", "System.Object"),
                              value=[f"SMTP:{name}@town.example", f"smtp:{number}@t.example"]),
        "ProhibitSendQuota": size, "TotalItemSize": size,
        **{f"Property{n:02}": f"value {n} of {name}" for n in range(more)},
    }  # fmt: skip


class Cached:
    """Get-Mailbox gives small objects, Get-Large such with many properties; all ready."""

    def __init__(self) -> None:
        self.texts = {
            "get-mailbox": [Item.of(Obj(TYPES, "x", properties(n, 4))) for n in range(500)],
            "get-large": [Item.of(Obj(TYPES, "x", properties(n, 120))) for n in range(500)],
        }

    def knows(self, caller: Account, name: str) -> bool:
        return name.lower() in self.texts

    def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> AsyncIterator[Output]:
        return self._run(self.texts[pipeline[0].name.lower()])

    async def _run(self, items: list[Item]) -> AsyncIterator[Output]:
        for number in range(COUNT):
            yield items[number % len(items)]


async def serve(folder: Path) -> None:
    """Says its port and serves until nobody listens any more."""
    authority = Authority()
    authority.write(folder / "ca.pem")
    known = Accounts([Account("anna", "town.example", Secret(PASSWORD))])
    service = Service("EX1", known, [ExchangeEndpoint(Cached())])
    listener = Listener(service, ADDRESS, tls=authority.certificate(ADDRESS).context())
    async with Server(service, listener):
        print(listener.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def served(port: int, authority: Path, name: str, select: bool) -> float:
    """Objects per second, from the first request to the last answer."""
    url = f"https://{ADDRESS}:{port}/PowerShell"
    with RawClient(url, authority, "TOWN\\anna", PASSWORD) as client:
        start = time.perf_counter()
        command = client.start(name, *([("Select-Object", {"Property": ASKED})] if select else []))
        found = 0
        while not client.done:
            found += objects(client.receive(command))
        assert found == COUNT, found
        return COUNT / (time.perf_counter() - start)


def psrpcores() -> float:
    """Objects per second that psrpcore builds, writes and gives out, without any HTTP."""
    half = psrpcore.ServerRunspacePool()
    half.runspace_pool_id = UUID(int=1)
    pipeline = psrpcore.ServerPipeline(half, UUID(int=2))
    pipeline.state = types.PSInvocationState.Running
    start = time.perf_counter()
    for number in range(THEIRS):
        values: dict[str, object] = dict(properties(number, 4))
        values["EmailAddresses"] = [f"SMTP:user{number}@town.example", "smtp:x@t.example"]
        for name in ("ProhibitSendQuota", "TotalItemSize"):
            size = types.PSCustomObject(IsUnlimited=False)
            size.PSObject.to_string = "2 GB (2,147,483,648 bytes)"
            values[name] = size
        made = types.PSCustomObject(**values)
        made.PSObject.type_names = list(TYPES)
        pipeline.write_output(made)
        if number % 200 == 199:
            while half.data_to_send(450 * 1024):
                pass
    return THEIRS / (time.perf_counter() - start)


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "ca.pem"
        with subprocess.Popen(
            [sys.executable, __file__, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdout is not None
                port = int(process.stdout.readline())
                theirs = psrpcores()
                for what, name, select, goal in (
                    ("mailboxes of 1 kB", "Get-Mailbox", False, 3000),
                    ("the same through Select-Object, 6 properties", "Get-Mailbox", True, 3000),
                    ("mailboxes of 6 kB through Select-Object", "Get-Large", True, 2000),
                ):
                    speed = served(port, authority, name, select)
                    yield {
                        "what": f"{COUNT:,} {what} served, beside psrpcore's write path",
                        "ours": speed, "other": theirs, "unit": "objects/s",
                        "ratio": speed / theirs, "goal": f">= {goal:,}/s", "met": speed >= goal,
                    }  # fmt: skip
                process.communicate(timeout=10)
            finally:
                process.kill()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
