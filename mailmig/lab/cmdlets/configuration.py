"""Cmdlets that read the Exchange configuration: organisation, servers, databases, addresses."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated, is_meant
from mailmig.lab.objects import Live
from mailmig.wire.clixml import Obj

# What only `-Status` fills.
_ONLY_WITH_STATUS: Final[Mapping[str, tuple[str, ...]]] = {
    "databases": ("Mounted", "MountedOnServer", "DatabaseSize", "AvailableNewMailboxSpace",
                  "LastFullBackup", "LastIncrementalBackup", "BackupInProgress",
                  "SnapshotLastFullBackup", "SnapshotLastIncrementalBackup", "WorkerProcessId"),
    "dags": ("OperationalServers", "PrimaryActiveManager", "ServersInMaintenance",
             "NetworkNames", "WitnessShareInUse"),
}  # fmt: skip
# Cmdlet to the objects that it gives, and the parameters that it has besides an identity.
_PLAIN: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Get-ExchangeServer": ("servers", ("Status",)),
    "Get-MailboxServer": ("mailbox_servers", ()),
    "Get-MailboxDatabase": ("databases", ("Status", "Server")),
    "Get-AcceptedDomain": ("accepted_domains", ()),
    "Get-ClientAccessService": ("client_access", ()),
    "Get-ClientAccessServer": ("client_access", ()),
    "Get-SendConnector": ("send_connectors", ()),
    "Get-ReceiveConnector": ("receive_connectors", ("Server",)),
    "Get-OutlookAnywhere": ("outlook_anywhere", ("ADPropertiesOnly", "Server")),
    "Get-OfflineAddressBook": ("offline_address_books", ()),
    "Get-TransportConfig": ("transport_config", ()),
    "Get-TransportService": ("transport_services", ()),
    "Get-FrontendTransportService": ("frontend_transport_services", ()),
    "Get-MailboxTransportService": ("mailbox_transport_services", ()),
    **{
        f"Get-{noun}VirtualDirectory": (name, ("ADPropertiesOnly", "Server"))
        for noun, name in (
            ("Mapi", "mapi"), ("WebServices", "ews"), ("Owa", "owa"), ("Ecp", "ecp"),
            ("ActiveSync", "activesync"), ("Oab", "oab"), ("Autodiscover", "autodiscover"),
            ("PowerShell", "powershell"),
        )
    },
}  # fmt: skip
# What the objects of a cmdlet are called that has none of its own among the shapes.
_SHAPES: Final = {"Get-ClientAccessServer": "Get-ClientAccessService"}


def plain(file: str, ask: Ask) -> Iterator[Given]:
    """The objects of one sort, or the one that is asked for."""
    server = ask.server_named("Server") if "Server" in ask.bound.values else None
    shape = _SHAPES.get(ask.bound.cmdlet, ask.bound.cmdlet)
    found = False
    for text, live in ask.view.objects[file]():
        if ask.identity and not _is(ask.identity, text, live):
            continue
        if server is not None and not is_meant(server.name, _server_of(live)):
            continue
        found = True
        if file in _ONLY_WITH_STATUS and not ask.bound.is_on("Status"):
            live = {**live, **dict.fromkeys(_ONLY_WITH_STATUS[file])}
        elif file == "servers" and ask.bound.is_on("Status"):
            live = {**live, **ask.view.stores.controllers(text)}
        yield Row(shape, str(live["Guid"]), None, partial(_same, text, live))
    if ask.identity and not found:
        raise ask.not_found()


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


def _is(identity: str, text: str, live: Live) -> bool:
    """Virtual directories are found by server and name, `EX1\\owa (Default Web Site)`, too."""
    names = [text, str(live["Name"]), str(live["Guid"]), str(live["DistinguishedName"])]
    names += [str(live[key]) for key in ("Fqdn",) if isinstance(live.get(key), str)]
    if "\\" in text:
        names.append(text.partition("\\")[2])
    return is_meant(identity, *names)


def _server_of(live: Live) -> str:
    server = live.get("Server")
    return server.text or "" if isinstance(server, Obj) else ""


def _organisation(ask: Ask) -> Iterator[Given]:
    for text, live in ask.view.objects["organization"]():
        yield Row("Get-OrganizationConfig", str(live["Guid"]), None, partial(_same, text, live))


CMDLETS: Final = (
    Simulated("Get-OrganizationConfig", _organisation),
    *(
        Simulated(name, partial(plain, file), ("Identity", *parameters))
        for name, (file, parameters) in _PLAIN.items()
    ),
)
