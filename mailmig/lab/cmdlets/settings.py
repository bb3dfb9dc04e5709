"""Cmdlets that change the Exchange configuration: addresses, connectors, transport.

What is set shows in the object at once; a value that the object could not show is refused. Only
parameters that stand in the table are simulated: playbooks need them.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from mailmig.lab import connectors, setting_values
from mailmig.lab.cmdlets import errors
from mailmig.lab.cmdlets.configuration import plain
from mailmig.lab.cmdlets.simulated import Ask, Given, Row, Simulated
from mailmig.lab.front_ends import SWITCHES
from mailmig.lab.objects import Live
from mailmig.lab.organisation import guid
from mailmig.lab.settings import Connector
from mailmig.model.directory import Kind
from mailmig.model.quota import GIB, KIB, MIB, UNLIMITED

_UNITS: Final = {"": 1, "B": 1, "KB": KIB, "MB": MIB, "GB": GIB, "TB": 1024 * GIB}
# A number with a unit; what Exchange itself prints behind it, the bytes in parentheses, may stand.
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB|)(?:\s*\(([\d,]+) BYTES\))?")
_SIZES: Final = ("MaxSendSize", "MaxReceiveSize", "MaxMessageSize")
_LINKS: Final = (
    "InternalUrl", "ExternalUrl", "InternalNLBBypassUrl", "AutoDiscoverServiceInternalUri",
)  # fmt: skip
_URLS: Final = ("InternalUrl", "ExternalUrl", "ExtendedProtectionTokenChecking")
_NAMED: Final = ("Identity",)
# Cmdlet to the objects that it changes, its settings, and what else it takes.
SETS: Final[Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    "Set-MapiVirtualDirectory": ("mapi", (*_URLS, "IISAuthenticationMethods"), _NAMED),
    "Set-WebServicesVirtualDirectory": (
        "ews", (*_URLS, *SWITCHES["ews"], "MRSProxyEnabled", "InternalNLBBypassUrl"),
        (*_NAMED, "Force"),
    ),
    "Set-OwaVirtualDirectory": ("owa", (*_URLS, *SWITCHES["owa"]), _NAMED),
    "Set-EcpVirtualDirectory": ("ecp", (*_URLS, *SWITCHES["ecp"]), _NAMED),
    "Set-ActiveSyncVirtualDirectory": (
        "activesync", (*_URLS, "BasicAuthEnabled", "WindowsAuthEnabled"), _NAMED,
    ),
    "Set-OabVirtualDirectory": ("oab", (*_URLS, *SWITCHES["oab"]), _NAMED),
    "Set-AutodiscoverVirtualDirectory": (
        "autodiscover", ("ExtendedProtectionTokenChecking", *SWITCHES["autodiscover"]), _NAMED,
    ),
    "Set-PowerShellVirtualDirectory": ("powershell", _URLS, _NAMED),
    "Set-OutlookAnywhere": (
        "outlook_anywhere",
        ("InternalHostname", "ExternalHostname", "InternalClientAuthenticationMethod",
         "ExternalClientAuthenticationMethod", "IISAuthenticationMethods",
         "ExtendedProtectionTokenChecking"),
        _NAMED,
    ),
    **dict.fromkeys(
        ("Set-ClientAccessService", "Set-ClientAccessServer"),
        ("client_access", ("AutoDiscoverServiceInternalUri", "AutoDiscoverSiteScope"), _NAMED),
    ),
    "Set-SendConnector": (
        "send_connectors",
        ("SourceTransportServers", "SmartHosts", "Enabled", "MaxMessageSize", "Fqdn",
         "RequireTLS", "ProtocolLoggingLevel"),
        (*_NAMED, "Force"),
    ),
    "Set-ReceiveConnector": (
        "receive_connectors",
        ("Enabled", "Bindings", "RemoteIPRanges", "PermissionGroups", "AuthMechanism", "Fqdn",
         "TransportRole", "ProtocolLoggingLevel"),
        _NAMED,
    ),
    "Set-TransportConfig": (
        "transport_config",
        ("ShadowRedundancyEnabled", "RejectMessageOnShadowFailure", "SafetyNetHoldTime",
         "ShadowMessagePreferenceSetting", "MaxSendSize", "MaxReceiveSize"),
        (*_NAMED, "Force"),
    ),
    "Set-OrganizationConfig": ("organization", setting_values.ORGANISATION_FLAGS, ()),
    "Set-OfflineAddressBook": (
        "offline_address_books", ("GeneratingMailbox", "GlobalWebDistributionEnabled"), _NAMED,
    ),
    "Set-TransportService": (
        "transport_services",
        ("MaxOutboundConnections", "MessageExpirationTimeout",
         "IntraOrgConnectorProtocolLoggingLevel"),
        _NAMED,
    ),
}  # fmt: skip
# What the directory shows to clients, too: the organisation itself knows it.
_DISCOVERY: Final = "AutoDiscoverServiceInternalUri"
_NEVER_EMPTY: Final = ("SmartHosts", "SourceTransportServers", "Bindings", "RemoteIPRanges")
_NEEDED: Final = ("Bindings", "RemoteIPRanges")
# What the usages of New-ReceiveConnector bring (documentation of the cmdlet): mechanisms, groups.
_USAGES: Final = {
    "Custom": ("Tls", "None"),
    "Internet": ("Tls", "AnonymousUsers"),
    "Internal": ("Tls, ExchangeServer", "ExchangeServers, ExchangeLegacyServers"),
    "Client": ("Tls, Integrated, BasicAuth, BasicAuthRequireTLS", "ExchangeUsers"),
    "Partner": ("Tls", "Partners"),
}  # fmt: skip
# Where they listen unless told otherwise.
_PORT_25: Final = f"{connectors.ANY}:25"
_PORTS: Final = {"Client": f"{connectors.ANY}:587"}


def _set(file: str, names: tuple[str, ...], ask: Ask) -> Iterator[Given]:
    row = _one(file, ask)
    given = {name: value for name, value in ask.bound.values.items() if name in names}
    changes = {name: _plain(ask, name, value) for name, value in given.items()}
    _switch(row, changes)
    if "SmartHosts" in changes:
        changes["SmartHostsString"] = changes["SmartHosts"]
    _refuse_unknown(ask, changes)
    if file == "receive_connectors":
        now = connectors.standing(ask.organisation)[row.key]
        _refuse_rival(ask, row.key, connectors.with_changes(now, changes))
    if not ask.bound.is_on("WhatIf"):
        if _DISCOVERY in changes:
            ask.organisation.autodiscover_urls[row.make()[0]] = str(changes.pop(_DISCOVERY) or "")
        ask.organisation.settings.change(row.key, changes, ask.organisation.now)
    yield from ()


def _switch(row: Row, changes: dict[str, object]) -> None:
    """Switches stand for methods; OWA and ECP are told those for outside by themselves."""
    names = [name for name in setting_values.LOGON_SWITCHES if name in changes]
    switches = {name: changes.pop(name) for name in names}
    if not switches:
        return
    _, live = row.make()
    by_form = "FormsAuthentication" in live
    for where in ("Internal",) if by_form else ("Internal", "External"):
        methods = f"{where}AuthenticationMethods"
        now = setting_values.method_names(live, methods)
        changes[methods] = list(setting_values.switched(now, switches))


def _one(file: str, ask: Ask) -> Row:
    """The only object that is meant. Raises `Failed`."""
    found = [one for one in plain(file, ask) if isinstance(one, Row)]
    if len(found) > 1:
        raise errors.not_unique(ask.server.name, ask.bound.cmdlet, ask.identity)
    return found[0]


def _refuse_rival(ask: Ask, key: str, wanted: Connector) -> None:
    """Raises `Failed` for a receive connector that another one leaves no room for."""
    rival = connectors.rival(ask.organisation, key, wanted)
    if rival is not None:
        raise ask.failed(
            "The values that you specified for the Bindings and RemoteIPRanges parameters conflict "
            rf'with the settings on Receive connector "{rival.server}\{rival.name}".',
            "Microsoft.Exchange.Management.SystemConfigurationTasks."
            "ReceiveConnectorRoleConflictException", "InvalidOperation",
        )  # fmt: skip


def _refuse_unknown(ask: Ask, changes: Mapping[str, object]) -> None:
    """Raises `Failed` for a value that the object could not show."""
    makers = setting_values.makers(ask.view.stores)
    for name, value in changes.items():
        try:
            makers[name](value)
        except ValueError:
            raise errors.unconvertible(ask.bound.cmdlet, name, value, name) from None


def _plain(ask: Ask, name: str, value: object) -> object:
    """A value as the settings keep it. Raises `Failed`."""
    if name in _NEVER_EMPTY and not value:
        raise errors.empty_value(ask.bound.cmdlet, name, value)
    if name in _SIZES:
        try:
            return size(str(value))
        except ValueError:
            raise errors.unconvertible(ask.bound.cmdlet, name, value, "Unlimited") from None
    if name == "GeneratingMailbox":
        found = [one for one in ask.register.mailboxes(value) if one.kind is Kind.ARBITRATION]
        if len(found) != 1:
            raise ask.not_found(str(value))
        return found[0].name
    if name == "SourceTransportServers":
        return [_server(ask, one) for one in connectors.texts(value)]
    if name in _LINKS and value and urlsplit(str(value)).scheme not in ("http", "https"):
        raise errors.unconvertible(ask.bound.cmdlet, name, value, "System.Uri")
    return list(connectors.texts(value)) if isinstance(value, list | tuple) else value


def size(text: str) -> object:
    """A size as admins write it: "35MB", "unlimited", bytes without a unit. Raises `ValueError`."""
    low = text.strip().upper()
    if low == "UNLIMITED":
        return UNLIMITED
    found = _SIZE.fullmatch(low)
    if found is None:
        raise ValueError(text)
    number, unit, whole = found.groups()
    return int(whole.replace(",", "")) if whole else int(float(number) * _UNITS[unit])


def _server(ask: Ask, name: str) -> str:
    for server in ask.organisation.servers:
        if name.lower() in (server.name.lower(), server.fqdn.lower()):
            return server.name
    raise ask.not_found(name)


def _new_receive(ask: Ask) -> Iterator[Given]:
    """New-ReceiveConnector on one server; names are unique per server."""
    server = ask.server_named("Server") or ask.server
    name = str(ask.bound.get("Name"))
    given = ask.bound.values
    usage = str(given.get("Usage") or next((u for u in _USAGES if given.get(u)), "Custom"))
    if usage not in _USAGES:
        raise errors.unconvertible(ask.bound.cmdlet, "Usage", usage, "UsageType")
    mechanisms, groups = _USAGES[usage]
    one = Connector(
        server.name, name, connectors.texts(given.get("Bindings") or _PORTS.get(usage, _PORT_25)),
        connectors.texts(given.get("RemoteIPRanges") or "0.0.0.0-255.255.255.255"),
        str(given.get("TransportRole") or connectors.FRONT),
        ", ".join(connectors.texts(given.get("AuthMechanism") or mechanisms)),
        ", ".join(connectors.texts(given.get("PermissionGroups") or groups)),
        str(given.get("ProtocolLoggingLevel") or "None"),
    )  # fmt: skip
    settings = {
        "Bindings": one.bindings, "RemoteIPRanges": one.ranges, "AuthMechanism": one.mechanisms,
        "PermissionGroups": one.groups, "TransportRole": one.role,
        "ProtocolLoggingLevel": one.logging,
    }  # fmt: skip
    _refuse_unknown(ask, settings)
    key = guid(ask.organisation.seed, *connectors.receive_names(one))
    known = {text.lower() for text, _ in ask.view.objects["receive_connectors"]()}
    if rf"{server.name}\{name}".lower() in known:
        raise ask.failed(
            f"The receive connector '{name}' already exists on server '{server.name}'.",
            "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException", "ResourceExists",
        )  # fmt: skip
    _refuse_rival(ask, key, one)
    if ask.bound.is_on("WhatIf"):
        return
    found = ask.organisation.settings
    found.removed.discard(key)
    found.changed.pop(key, None)
    if any(known.server == server.name and known.name == name for known in _founded(ask)):
        found.change(key, settings, ask.organisation.now)
    else:
        found.connectors.append(one)
    for text, live in ask.view.objects["receive_connectors"]():
        if str(live["Guid"]) == key:
            yield Row("Get-ReceiveConnector", key, None, partial(_same, text, live))


def _founded(ask: Ask) -> list[Connector]:
    """Connectors that were there from the beginning: one of them that was removed comes back."""
    return list(connectors.receive(ask.organisation))


def _same(text: str, live: Live) -> tuple[str, Live]:
    return text, live


def _remove_receive(ask: Ask) -> Iterator[Given]:
    row = _one("receive_connectors", ask)
    if not ask.bound.is_on("WhatIf"):
        found = ask.organisation.settings
        found.removed.add(row.key)
        found.connectors = [
            one for one in found.connectors
            if guid(ask.organisation.seed, *connectors.receive_names(one)) != row.key
        ]  # fmt: skip
    yield from ()


CMDLETS: Final = (
    *(
        Simulated(name, partial(_set, file, settings), (*settings, *others), changes=True)
        for name, (file, settings, others) in SETS.items()
    ),
    Simulated(
        "New-ReceiveConnector", _new_receive,
        ("Name", "Server", *_NEEDED, "Usage", *_USAGES, "AuthMechanism", "PermissionGroups",
         "TransportRole", "ProtocolLoggingLevel"),
        changes=True,
    ),
    Simulated("Remove-ReceiveConnector", _remove_receive, ("Identity",), asks=True, changes=True),
)  # fmt: skip
