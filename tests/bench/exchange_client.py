"""What 10,000 mailboxes over remote PowerShell cost our client, beside stock pypsrp.

Both ask the same lab in a process of its own for the same objects of about 1 kB, over TLS with
Basic. CPU seconds of the client's process count, not the wall clock: the lab shares the machine.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from mailmig.model.command import Command
from mailmig.model.secret import Secret
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.sources.remote_settings import Scheme

SERVED = HERE / "lab_psrp.py"
COUNT = 10_000
RUNS = 2
ADDRESS = "127.0.1.1"
ACCOUNT, PASSWORD = "TOWN\\anna", "Passw0rd!"
PROPERTIES = ("Name", "Alias", "PrimarySmtpAddress", "Database", "ProhibitSendQuota", "ItemCount")


async def ours(port: int, authority: Path, properties: tuple[str, ...]) -> float:
    settings = ExchangeSettings(
        account=ACCOUNT, password=Secret(PASSWORD), scheme=Scheme.BASIC, ca_file=authority
    )
    start = time.process_time()
    found = 0
    async with Exchange(ADDRESS, settings, {(ADDRESS, 443): (ADDRESS, port)}) as exchange:
        command = Command("Get-Mailbox", (("ResultSize", "Unlimited"),))
        async for mailbox in exchange.ask(command, properties):
            found += str(mailbox["Name"]).startswith("user")
    assert found == COUNT, found
    return time.process_time() - start


def stock(port: int, authority: Path, properties: tuple[str, ...]) -> float:
    start = time.process_time()
    with (
        WSMan(
            ADDRESS, port=port, ssl=True, path="PowerShell", auth="basic", username=ACCOUNT,
            password=PASSWORD, cert_validation=str(authority),  # type: ignore[arg-type]
        ) as connection,
        RunspacePool(connection, configuration_name="Microsoft.Exchange") as pool,
    ):  # fmt: skip
        shell = PowerShell(pool).add_cmdlet("Get-Mailbox")
        shell.add_parameter("ResultSize", "Unlimited")
        if properties:
            shell.add_cmdlet("Select-Object").add_parameter("Property", list(properties))
        found = sum(
            {**item.adapted_properties, **item.extended_properties}["Name"].startswith("user")
            for item in shell.invoke()
        )
    assert found == COUNT, found
    return time.process_time() - start


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "ca.pem"
        with subprocess.Popen(
            [sys.executable, SERVED, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            try:
                assert process.stdout is not None
                port = int(process.stdout.readline())
                for what, properties in (("whole", ()), ("six properties of", PROPERTIES)):
                    mine = theirs = float("inf")
                    for _ in range(RUNS):  # in turn, so that a slow moment meets both
                        mine = min(mine, asyncio.run(ours(port, authority, properties)))
                        theirs = min(theirs, stock(port, authority, properties))
                    yield {
                        "what": f"{what} {COUNT:,} mailboxes read, client CPU, beside pypsrp",
                        "ours": mine, "other": theirs, "unit": "s",
                        "ratio": mine / theirs, "goal": "<= 0.2", "met": mine <= 0.2 * theirs,
                    }  # fmt: skip
                process.communicate(timeout=10)
            finally:
                process.kill()
