"""A lab server with Exchange for the tests of our own client, reached by name over a map.

`Town` answers the cmdlets; what is special about a call stands in its identity. Every call that
reaches it is held against the public reference of Exchange's cmdlets, where there is one.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority, Certificate
from mailmig.lab.exchange.calls import Call, ErrorRecord, Item, Output, Warning
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.names import AddressMap
from mailmig.model.secret import Secret
from mailmig.sources.exchange import ExchangeSettings
from mailmig.sources.remote_settings import Scheme
from mailmig.wire.clixml import Obj
from tests.conftest import data
from tests.lab.remote_servers import Clock

ADDRESS = "127.0.3.1"
SERVER = "ex1.town.example"
ACCOUNT = "TOWN\\anna"
PASSWORD = Secret("Grün-Passw0rd!")
LIMIT = 1000
TYPES = ("Microsoft.Exchange.Data.Directory.Management.Mailbox", "System.Object")


def guid(number: int) -> UUID:
    return UUID(int=0x1000 + number)


def mailbox(number: int) -> Obj:
    size = Obj(("Microsoft.Exchange.Data.ByteQuantifiedSize", "System.Object"),
               "2 GB (2,147,483,648 bytes)", adapted={"IsUnlimited": False})  # fmt: skip
    kind = Obj(("Microsoft.Exchange.RecipientTypeDetails", "System.Enum", "System.Object"),
               "UserMailbox", value=1)  # fmt: skip
    return Obj(
        TYPES, f"user{number}",
        adapted={"Name": f"user{number}", "Guid": guid(number), "ProhibitSendQuota": size,
                 "WhenCreated": datetime(2026, 11, 20, 8, 0, tzinfo=UTC), "Kind": kind,
                 "EmailAddresses": Obj(("System.Collections.ArrayList", "System.Object"),
                                       value=[f"SMTP:user{number}@town.example"])},
        extended={"RunspaceId": UUID(int=7)},
    )  # fmt: skip


class Town:
    """Get-Mailbox and a few others. `missing` are cmdlets that the account's role lacks."""

    def __init__(self) -> None:
        self.called: list[Call] = []
        self.locales: list[str] = []
        self.unknown: list[str] = []
        self.missing: set[str] = set()
        self.running = self.most_running = self.closed = 0
        self.begun = asyncio.Event()
        self._reference = _reference()

    def knows(self, caller: Account, name: str) -> bool:
        return name.lower() not in self.missing and "-object" not in name.lower()

    def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> AsyncIterator[Output]:
        self.called += pipeline
        self.locales.append(f"{getattr(caller, 'locale', '')} {getattr(caller, 'data_locale', '')}")
        self.unknown += [fault for call in pipeline for fault in unknown(call, self._reference)]
        return self._counted(pipeline[0])

    async def _counted(self, call: Call) -> AsyncIterator[Output]:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        self.begun.set()
        try:
            async for output in self._run(call):
                yield output
        finally:
            self.running -= 1
            self.closed += 1

    async def _run(self, call: Call) -> AsyncIterator[Output]:
        match str(call.get("Identity", "")):
            case "":
                for output in many(call):
                    yield output
            case "nobody":
                yield not_found("nobody", call.name)
            case "half":
                yield Item.of(mailbox(0))
                yield not_found("half", call.name)
                yield not_found("other half", call.name)
                yield Item.of(mailbox(1))
            case "forbidden":
                yield ErrorRecord(
                    "Ein Parameter wurde nicht gefunden.", f"NamedParameterNotFound,{call.name}",
                    "InvalidArgument", terminating=True, activity=call.name,
                    exception="System.Management.Automation.ParameterBindingException",
                )  # fmt: skip
            case "wrong":
                yield Item.of(mailbox(0))
                yield ErrorRecord(
                    "Die Datenbank ist nicht verfügbar.", "[Server=EX1] 8A1,Set-Mailbox",
                    "ResourceUnavailable", terminating=True, activity=call.name,
                    exception="Microsoft.Exchange.Data.Storage.StoragePermanentException",
                )  # fmt: skip
            case "slow":
                yield Item.of(mailbox(0))
                await asyncio.sleep(0.4)
                yield Item.of(mailbox(1))
            case "forever":
                yield Item.of(mailbox(0))
                await asyncio.sleep(3600)
            case "broken":
                yield Item("<Obj RefId='0'><S>no end")
            case "silent":
                await asyncio.sleep(3600)
            case "two":
                yield Item.of(mailbox(2))
                yield Item.of(mailbox(3))
            case "other":
                yield Item.of(mailbox(9))
            case text:
                try:
                    yield Item.of(mailbox(UUID(text).int - 0x1000))
                except ValueError:
                    yield Item.of(mailbox(5))


def many(call: Call) -> list[Output]:
    """All mailboxes of a town of 1,200, as far as ResultSize lets them."""
    size = call.get("ResultSize", LIMIT)
    count = 1200 if size == "Unlimited" else int(str(size))
    found: list[Output] = [Item.of(mailbox(number)) for number in range(min(count, 1200))]
    if count < 1200:
        found.append(Warning(f"Standardmäßig werden nur die ersten {count} Elemente geliefert."))
    return found


def not_found(identity: str, cmdlet: str) -> ErrorRecord:
    return ErrorRecord(
        f"Das Objekt '{identity}' wurde nicht gefunden.", f"[Server=EX1] 4B2C,{cmdlet}",
        "InvalidData", target=identity, activity=cmdlet,
        exception="Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
    )  # fmt: skip


def _reference() -> dict[str, dict[str, Any]]:
    folder = data()
    if folder is None:
        return {}
    known = json.loads((folder / "exchange-cmdlets.json").read_text("utf-8"))["cmdlets"]
    return {name.lower(): entry for name, entry in known.items()}


def unknown(call: Call, reference: dict[str, dict[str, Any]]) -> list[str]:
    """What the reference does not know of a call; nothing where there is no reference."""
    if not reference:
        return []
    entry = reference.get(call.name.lower())
    if entry is None:
        return [call.name]
    known = {name.lower() for name in entry["parameters"]}
    known |= {"verbose", "debug", "erroraction", "warningaction", "outvariable", "outbuffer"}
    names = [name for name, _ in call.parameters]
    return [f"{call.name} -{name}" for name in names if name is None or name.lower() not in known]


@dataclass
class Lab:
    """One server with everything that a test may want to turn."""

    town: Town
    accounts: Accounts
    service: Service
    exchange: ExchangeEndpoint
    tls: Listener
    plain: Listener
    authority: Path
    clock: Clock
    addresses: AddressMap = field(default_factory=dict)

    def settings(self, **more: Any) -> ExchangeSettings:
        options: dict[str, Any] = {
            "account": ACCOUNT, "password": PASSWORD, "scheme": Scheme.BASIC,
            "ca_file": self.authority, "connect_timeout_s": 5.0, "answer_timeout_s": 10.0,
        }  # fmt: skip
        options |= more
        if options["scheme"] is not Scheme.BASIC and not options.get("tls", True):
            options["ca_file"] = None
        return ExchangeSettings(**options)


@asynccontextmanager
async def lab(
    folder: Path,
    *,
    certificate: Certificate | None = None,
    endpoint: ExchangeEndpoint | None = None,
    **options: Any,
) -> AsyncIterator[Lab]:
    """Starts everything; afterwards nothing of a session or a cmdlet may be left."""
    authority = Authority()
    accounts = Accounts([Account("anna", "town.example", PASSWORD)])
    clock, town = Clock(), Town()
    exchange = endpoint or ExchangeEndpoint(town)
    service = Service("EX1", accounts, [exchange], now=clock, **options)
    context = (certificate or authority.certificate(SERVER)).context()
    tls, plain = Listener(service, ADDRESS, tls=context), Listener(service, ADDRESS)
    folder.mkdir(exist_ok=True)
    async with Server(service, tls, plain):
        addresses = {(SERVER, 443): tls.where, (SERVER, 80): plain.where}
        file = authority.write(folder / "ca.pem")
        yield Lab(town, accounts, service, exchange, tls, plain, file, clock, addresses)
    assert town.running == 0
    assert not town.unknown, f"not in the reference: {town.unknown}"


async def until(what: Any, patience_s: float = 10.0) -> None:
    """Waits until `what()` is true."""
    async with asyncio.timeout(patience_s):
        while not what():
            await asyncio.sleep(0.02)


LATER = timedelta(minutes=16)
