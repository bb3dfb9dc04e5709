"""One Windows server with Exchange for the tests of remote PowerShell and WinRM."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import requests
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.certificates import Authority
from mailmig.lab.exchange.calls import Call, Engine, ErrorRecord, Item, Output, Progress, Warning
from mailmig.lab.exchange.runspaces import ExchangeEndpoint
from mailmig.lab.windows import Answer, Handler, WindowsEndpoint
from mailmig.lab.wsman.listening import Listener
from mailmig.lab.wsman.server import Server, Service
from mailmig.model.secret import Secret
from mailmig.wire import clixml
from mailmig.wire.clixml import Obj

ADDRESS = "127.0.1.1"
PATIENCE_S = 30.0
PASSWORD = "Grün-Passw0rd!"
PLAIN_PASSWORD = "Plain-Passw0rd!"
NAME = "TOWN\\anna"
MAILBOX = (
    "Microsoft.Exchange.Data.Directory.Management.Mailbox",
    "Microsoft.Exchange.Data.Directory.ADObject",
    "System.Object",
)
T = TypeVar("T")


def accounts() -> Accounts:
    """Carl's password is ASCII: curl's own NTLM cannot do more."""
    return Accounts(
        Account(name, "town.example", Secret(password), frozenset({"Organization Management"}))
        for name, password in (("anna", PASSWORD), ("bert", PASSWORD), ("carl", PLAIN_PASSWORD))
    )


def mailbox(number: int) -> Obj:
    """A small mailbox with a nested object, and with both kinds of properties."""
    name = f"user{number}"
    database = Obj(("Microsoft.Exchange.Data.Directory.ADObjectId", "System.Object"), "DB1",
                   adapted={"Name": "DB1"})  # fmt: skip
    return Obj(
        MAILBOX, name,
        adapted={"Name": name, "Database": database, "ItemCount": number,
                 "EmailAddresses": Obj(("System.Collections.ArrayList", "System.Object"),
                                       value=[f"SMTP:{name}@town.example", "x500:ä & <b>"])},
        extended={"RunspaceId": "0"},
    )  # fmt: skip


class Cmdlets:
    """Three cmdlets whose parameters say what they do; remembers how they were called."""

    names = ("get-mailbox", "get-moverequest", "wait-forever")

    def __init__(self) -> None:
        self.called: list[tuple[str, tuple[Call, ...]]] = []
        self.locales: list[str] = []
        self.given = 0
        self.closed = 0

    def knows(self, caller: Account, name: str) -> bool:
        return name.lower() in self.names

    def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> AsyncIterator[Output]:
        self.called.append((caller.name, pipeline))
        self.locales.append(getattr(caller, "data_locale", ""))
        return self._run(pipeline[0])

    async def _run(self, call: Call) -> AsyncIterator[Output]:
        try:
            if call.name.lower() == "wait-forever":
                yield self._item(0)
                await asyncio.sleep(3600)
            match call.get("Identity"):
                case "nobody":
                    yield not_found("nobody")
                    return
                case "half":
                    yield self._item(0)
                    yield not_found("half")
                    yield self._item(1)
                    return
                case "wrong":
                    yield self._item(0)
                    yield ErrorRecord(
                        "Cannot bind parameter.", "ParameterArgumentTransformationError",
                        "InvalidData", exception="System.ArgumentException", terminating=True,
                    )  # fmt: skip
                    raise AssertionError("asked for more after a terminating error")
                case "broken":
                    raise RuntimeError("a mistake in the cmdlets")
                case "slow":
                    yield self._item(0)
                    await asyncio.sleep(1.5)
                    yield self._item(1)
                    return
            yield Progress("Reading", percent=50)
            count = call.get("ResultSize")
            for number in range(count if isinstance(count, int) else 3):
                yield self._item(number)
            yield Warning("There are more results available.")
        finally:
            self.closed += 1

    def _item(self, number: int) -> Item:
        self.given += 1
        return Item.of(mailbox(number))


def not_found(identity: str) -> ErrorRecord:
    return ErrorRecord(
        f"The operation couldn't be performed because object '{identity}' couldn't be found.",
        "[Server=EX1] 4B2C,Microsoft.Exchange.Management.RecipientTasks.GetMailbox",
        "InvalidData", target=identity, activity="Get-Mailbox",
        exception="Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
    )  # fmt: skip


class Clock:
    """The world's time; a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, time: timedelta) -> None:
        self.now += time


def says(account: Account, script: str) -> Answer | None:
    """The handler of the tests: knows three scripts."""
    match script:
        case "hostname":
            return Answer("EX1\r\n")
        case "broken":
            return Answer(errors=("Access is denied.\r\nAt line:1 char:1",), code=1)
        case "umlauts":
            return Answer("Käse für Ångström €\r\n")
        case "long":
            return Answer("0123456789" * 100_000)
    return None


@dataclass
class Machine:
    """What runs: Exchange and WinRM behind one plain and one TLS listener."""

    accounts: Accounts
    service: Service
    exchange: ExchangeEndpoint
    windows: WindowsEndpoint
    plain: Listener
    tls: Listener
    authority: Path
    clock: Clock

    def wsman(self, kind: str = "basic-https", **more: Any) -> WSMan:
        """pypsrp's connection; `kind` is scheme, or scheme-https."""
        scheme, _, tls = kind.partition("-")
        listener = self.tls if tls else self.plain
        options: dict[str, Any] = {
            "username": NAME, "password": PASSWORD, "path": "PowerShell", "no_proxy": True,
            "cert_validation": str(self.authority), "read_timeout": 10, "connection_timeout": 5,
            "operation_timeout": 5,
        }  # fmt: skip
        return WSMan(ADDRESS, port=listener.port, ssl=bool(tls), auth=scheme, **(options | more))

    @contextmanager
    def pool(self, kind: str = "basic-https", **more: Any) -> Iterator[RunspacePool]:
        with (
            self.wsman(kind, **more) as connection,
            RunspacePool(connection, configuration_name="Microsoft.Exchange") as pool,
        ):
            yield pool

    def call(self, *words: Any, kind: str = "basic-https", **parameters: Any) -> PowerShell:
        """One pipeline of cmdlet names by pypsrp, in a session of its own; run to its end."""
        with self.pool(kind) as pool:
            return invoke(pool, *words, **parameters)

    def post(self, body: bytes, path: str = "/PowerShell", **more: Any) -> requests.Response:
        """One raw request with Basic over TLS."""
        session = requests.Session()
        session.trust_env = False
        with session:
            options: dict[str, Any] = {
                "auth": (NAME, PASSWORD.encode()), "verify": str(self.authority), "timeout": 10,
            }  # fmt: skip
            return session.post(self.tls.url + path, data=body, **(options | more))


def invoke(pool: RunspacePool, *words: Any, **parameters: Any) -> PowerShell:
    """The first cmdlet gets the parameters."""
    shell = PowerShell(pool)
    shell.add_cmdlet(words[0])
    for name, value in parameters.items():
        shell.add_parameter(name, value)
    for word in words[1:]:
        shell.add_cmdlet(word)
    shell.invoke()
    return shell


@asynccontextmanager
async def machine(
    folder: Path, engine: Engine | None = None, handler: Handler = says, **options: Any
) -> AsyncIterator[Machine]:
    """Starts everything, and looks afterwards whether all of it has ended."""
    authority = Authority()
    known = options.pop("accounts", None) or accounts()
    clock = Clock()
    exchange, windows = ExchangeEndpoint(engine or Cmdlets()), WindowsEndpoint(handler)
    service = Service("EX1", known, [exchange, windows], now=clock, **options)
    context = authority.certificate(ADDRESS, "localhost").context()
    plain, tls = Listener(service, ADDRESS), Listener(service, ADDRESS, tls=context)
    before = asyncio.all_tasks()
    async with Server(service, plain, tls):
        folder.mkdir(exist_ok=True)
        file = authority.write(folder / "ca.pem")
        yield Machine(known, service, exchange, windows, plain, tls, file, clock)
    left = asyncio.all_tasks() - {asyncio.current_task()} - before
    assert not [task for task in left if "outside" not in repr(task)]  # the test's own clients
    assert exchange.pullers.busy == 0
    assert len(service.shells) == plain.connections == tls.connections == 0


async def outside(function: Callable[..., T], *words: Any, **options: Any) -> T:
    """Runs a blocking client in a thread, for a bounded time."""
    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.to_thread(function, *words, **options)


def names(shell: PowerShell) -> list[str]:
    """The names of the objects that came."""
    found = []
    for item in shell.output:
        members = {**item.adapted_properties, **item.extended_properties}
        found.append(members["Name"])
    return found


def envelope(
    action: str,
    body: str = "",
    *,
    uri: str = "http://schemas.microsoft.com/powershell/Microsoft.Exchange",
    shell: str = "",
    message: str = "uuid:1",
) -> bytes:
    """A request written by hand."""
    selector = f'<w:SelectorSet><w:Selector Name="ShellId">{shell}</w:Selector></w:SelectorSet>'
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
        'xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">'
        f"<s:Header><a:Action>{action}</a:Action><a:MessageID>{message}</a:MessageID>"
        f"<w:ResourceURI>{uri}</w:ResourceURI><w:OperationTimeout>PT1S</w:OperationTimeout>"
        f"{selector if shell else ''}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def text_of(value: "clixml.Value") -> str:
    return clixml.dumps(value)
