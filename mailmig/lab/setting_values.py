"""Values of settings as Exchange's objects show them: connectors, addresses, authentication.

`makers` leads from a property's name to what makes Exchange's value of a plain one; every
setting that the lab lets admins change has its maker here. Numbers of flags that no public
document shows are from memory [MEM].
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from mailmig.lab import values as v
from mailmig.lab.connectors import ANY, texts
from mailmig.lab.objects import Configuration
from mailmig.lab.settings import Make
from mailmig.model.directory import Kind
from mailmig.model.quota import UNLIMITED, Quota
from mailmig.wire.clixml import Int64, Obj, Uri, Value

# Numbers as real exports have them (health.md 6); that of Negotiate is not established.
_AUTHENTICATION: Final = {
    "Basic": 0, "Ntlm": 2, "Fba": 3, "WindowsIntegrated": 4, "WSSecurity": 7, "Negotiate": 8,
    "OAuth": 10,
}  # fmt: skip
_MECHANISMS: Final = {
    "None": 0, "Tls": 1, "Integrated": 2, "BasicAuth": 4, "BasicAuthRequireTLS": 8,
    "ExchangeServer": 16, "ExternalAuthoritative": 32,
}  # fmt: skip
_GROUPS: Final = {
    "None": 0, "AnonymousUsers": 1, "ExchangeUsers": 2, "ExchangeServers": 4,
    "ExchangeLegacyServers": 8, "Partners": 16, "Custom": 32,
}  # fmt: skip
_PORTS: Final = 65536
_EVERY_ADDRESS: Final = 2**128 - 1
_ROLES: Final = {"HubTransport": 32, "FrontendTransport": 16384}
PREFERENCES: Final = {"PreferRemote": 0, "LocalOnly": 1, "RemoteOnly": 2}
# Flags of the organisation that stop or allow a migration of public folders (migration.md 8).
ORGANISATION_FLAGS: Final = (
    "MapiHttpEnabled", "EwsEnabled", "PublicFoldersLockedForMigration", "PublicFolderMigrationComplete",
    "PublicFolderMailboxesLockedForNewConnections", "PublicFolderMailboxesMigrationComplete",
)  # fmt: skip
# The cmdlets' switches of virtual directories, and the methods that each stands for.
LOGON_SWITCHES: Final = {
    "BasicAuthentication": ("Basic",), "DigestAuthentication": ("Digest",),
    "FormsAuthentication": ("Fba",), "WindowsAuthentication": ("Ntlm", "WindowsIntegrated"),
    "WSSecurityAuthentication": ("WSSecurity",), "OAuthAuthentication": ("OAuth",),
}  # fmt: skip
# As .NET reads them: days alone, or with a clock behind them; fractions of seconds do not count.
_SPAN: Final = re.compile(
    r"(?:(?P<d>\d{1,7})\.)?(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]?\d)(?::(?P<s>[0-5]?\d)(?:\.\d+)?)?"
    r"|(?P<days>\d{1,7})"
)
_LOGGING: Final = {"None": 0, "Verbose": 1}
_TOKEN_CHECKS: Final = {"None": 0, "Allow": 1, "Require": 2}


class UnknownWord(ValueError):
    """A value that is none of the words that the setting knows."""

    def __init__(self, word: str, known: Iterable[str]) -> None:
        super().__init__(f"{word} is none of {', '.join(known)}")
        self.word = word


def makers(configuration: Configuration) -> Mapping[str, Make]:
    """Per property what makes Exchange's value of a plain one; they raise `ValueError`."""
    culture = configuration.culture
    urls = ("InternalUrl", "ExternalUrl", "InternalNLBBypassUrl")
    truths = (
        "Enabled", "RequireTLS", "MRSProxyEnabled", "ShadowRedundancyEnabled",
        "RejectMessageOnShadowFailure", "GlobalWebDistributionEnabled", *ORGANISATION_FLAGS,
        "BasicAuthEnabled", "WindowsAuthEnabled", *LOGON_SWITCHES,
    )  # fmt: skip
    found: dict[str, Make] = {
        **dict.fromkeys(urls, _url),
        **dict.fromkeys(truths, bool),
        "EwsEnabled": lambda value: None if value is None else bool(value),
        "AutoDiscoverServiceInternalUri": _url,
        "AlternateServiceAccountConfiguration": lambda value: None if value is None else str(value),
        "AutoDiscoverSiteScope": lambda value: v.strings(texts(value)),
        **dict.fromkeys(
            ("IISAuthenticationMethods", "InternalAuthenticationMethods",
             "ExternalAuthenticationMethods"),
            lambda value: methods(texts(value)),
        ),
        "ExtendedProtectionTokenChecking": token_checking,
        **dict.fromkeys(("InternalHostname", "ExternalHostname"), _host),
        **dict.fromkeys(
            ("InternalClientAuthenticationMethod", "ExternalClientAuthenticationMethod"), method
        ),
        "SourceTransportServers": lambda value: v.identities(
            [configuration.server_id(name) for name in texts(value)]
        ),
        "GeneratingMailbox": lambda value: arbitration_id(configuration, str(value)),
        "SmartHosts": lambda value: smart_hosts(texts(value)),
        "SmartHostsString": lambda value: ",".join(texts(value)),
        "MaxSendSize": lambda value: v.limit(culture, _size(value)),
        "MaxReceiveSize": lambda value: v.limit(culture, _size(value)),
        "MaxMessageSize": lambda value: v.limit(culture, _size(value)),
        "Fqdn": lambda value: fqdn(str(value)),
        "RemoteIPRanges": lambda value: ranges(texts(value)),
        "Bindings": lambda value: bindings(texts(value)),
        "AuthMechanism": mechanisms,
        "PermissionGroups": groups,
        "TransportRole": role,
        "ProtocolLoggingLevel": logging_level,
        "IntraOrgConnectorProtocolLoggingLevel": logging_level,
        "ShadowMessagePreferenceSetting": preference,
        "SafetyNetHoldTime": lambda value: v.time_span(span(value)),
        "MessageExpirationTimeout": lambda value: v.time_span(span(value)),
        "MaxOutboundConnections": lambda value: v.unlimited_number(
            None if str(value).lower() == "unlimited" else int(str(value))
        ),
    }  # fmt: skip
    return found


def _url(value: object) -> Value:
    return None if value in (None, "") else Uri(str(value))


def _size(value: object) -> Quota:
    return value if isinstance(value, int) else UNLIMITED


def span(value: object) -> timedelta:
    """A time span as admins write it, "2.00:00:00", "02:00" or "2" days. Raises `ValueError`."""
    if isinstance(value, timedelta):
        return value
    found = _SPAN.fullmatch(str(value).strip())
    if found is None:
        raise ValueError(f"{value} is no time span")
    d, h, m, s, days = (int(part or 0) for part in found.groups())
    return timedelta(days=d or days, hours=h, minutes=m, seconds=s)


def _known(word: str, known: Iterable[str]) -> str:
    """The word as the setting spells it. Raises `UnknownWord`."""
    for name in known:
        if name.lower() == word.strip().lower():
            return name
    raise UnknownWord(word, known)


def _flags(type_name: str, known: Mapping[str, int], value: object) -> Obj:
    """A set of words as one enum: "Tls, Integrated"."""
    words = [word for text in texts(value) for word in text.split(",")]
    names = dict.fromkeys(_known(word, known) for word in words)
    text = ", ".join(names) or "None"
    return v.enum(type_name, text, sum(known[name] for name in names))


def _word(type_name: str, known: Mapping[str, int], value: object) -> Obj:
    """One word as an enum."""
    name = _known(str(value), known)
    return v.enum(type_name, name, known[name])


mechanisms: Callable[[object], Obj] = partial(_flags, f"{v.SYSTEM}.AuthMechanisms", _MECHANISMS)
groups: Callable[[object], Obj] = partial(_flags, f"{v.DATA}.PermissionGroups", _GROUPS)
role: Callable[[object], Obj] = partial(_word, f"{v.SYSTEM}.ServerRole", _ROLES)
method: Callable[[object], Obj] = partial(
    _word, f"{v.SYSTEM}.AuthenticationMethod", _AUTHENTICATION
)
logging_level: Callable[[object], Obj] = partial(_word, f"{v.DATA}.ProtocolLoggingLevel", _LOGGING)
preference: Callable[[object], Obj] = partial(
    _word, f"{v.SYSTEM}.ShadowMessagePreference", PREFERENCES
)
token_checking: Callable[[object], Obj] = partial(
    _word, f"{v.SYSTEM}.ExtendedProtectionTokenCheckingMode", _TOKEN_CHECKS
)


def arbitration_id(configuration: Configuration, name: str) -> Obj:
    """The id of an arbitration mailbox."""
    found = next(
        one
        for one in configuration.organisation.present(Kind.ARBITRATION)
        if one.name.lower() == name.lower()
    )
    places = configuration.places
    return v.directory_id(
        places, places.distinguished(found.path, found.name),
        places.canonical(found.path, found.name), places.unit(found.path)[0], found.guid,
        found.name,
    )  # fmt: skip


def _host(value: object) -> Value:
    return None if value in (None, "") else hostname(str(value))


def hostname(text: str) -> Obj:
    """The host name of Outlook Anywhere."""
    return Obj(
        (f"{v.DATA}.Hostname", "System.Object"), text, {"HostnameString": text},
        v.blob("Hostname", 260),
    )  # fmt: skip


def smart_hosts(hosts: Iterable[str]) -> Obj:
    """The hosts that a send connector hands its mail to."""
    return v.values(f"{v.DATA}.SmartHost", v.DATA, [_smart_host(host) for host in hosts])


def _smart_host(host: str) -> Obj:
    """By name, or by its address: that stands in brackets."""
    try:
        at: IPv4Address | IPv6Address | None = ip_address(host.strip("[]"))
    except ValueError:
        at = None
    properties: dict[str, Value] = {
        "Address": address(str(at or ANY)), "IsIPAddress": at is not None,
        "Domain": host if at is None else None,
    }  # fmt: skip
    types = (f"{v.DATA}.SmartHost", "System.Object")
    return Obj(types, host if at is None else f"[{at}]", properties, v.blob("SmartHost", 755))


def bindings(values: Iterable[str]) -> Obj:
    """Addresses with ports, "0.0.0.0:25" or "[::]:25". Raises `ValueError`."""
    found: list[Value] = []
    for text in values:
        host, _, port = text.rpartition(":")
        found.append(binding(host.strip("[]"), int(port)))
    return v.values(f"{v.DATA}.IPBinding", v.DATA, found)


def ranges(values: Iterable[str]) -> Obj:
    """Who may connect: addresses, ranges with a dash, networks. Raises `ValueError`."""
    return v.values(f"{v.DATA}.IPRange", v.DATA, [address_range(text) for text in values])


def methods(names: tuple[str, ...]) -> Obj:
    """Ways to authenticate, by name whatever the case. Raises `UnknownWord`."""
    type_name = f"{v.SYSTEM}.AuthenticationMethod"
    known = [_known(name, _AUTHENTICATION) for name in names]
    return v.directory_values(
        type_name, [v.enum(type_name, name, _AUTHENTICATION[name]) for name in known]
    )


def method_names(live: Mapping[str, Value], name: str) -> tuple[str, ...]:
    """The ways to authenticate that a property of an object holds."""
    value = live[name]
    assert isinstance(value, Obj) and isinstance(value.value, list)
    return tuple(str(one.text) for one in value.value if isinstance(one, Obj))


def switched(names: tuple[str, ...], switches: Mapping[str, object]) -> tuple[str, ...]:
    """The ways to authenticate after an admin has set switches, in Exchange's order [MEM]."""
    wanted = set(names)
    for switch, on in switches.items():
        meant = set(LOGON_SWITCHES[switch])
        wanted = wanted | meant if on else wanted - meant
    known = [name for names in LOGON_SWITCHES.values() for name in names]
    return tuple(sorted(wanted, key=lambda one: known.index(one) if one in known else len(known)))


def fqdn(text: str) -> Obj:
    """The name with which a connector greets."""
    return Obj(
        (f"{v.DATA}.Fqdn", f"{v.DATA}.SmtpDomain", "System.Object"), text, {"Domain": text},
        v.blob("Fqdn", 220),
    )  # fmt: skip


def address(text: str) -> Obj:
    """A System.Net.IPAddress, with its properties however deep it lies. Raises `ValueError`."""
    known = ip_address(text)
    properties: dict[str, Value] = {"AddressFamily": "InterNetworkV6", "ScopeId": Int64(0)}
    if isinstance(known, IPv4Address):
        number = Int64(int.from_bytes(known.packed, "little"))
        properties = {"Address": number, "AddressFamily": "InterNetwork"}
    flags = ("Multicast", "LinkLocal", "SiteLocal", "Teredo")
    properties |= {f"IsIPv6{flag}": False for flag in flags} | {"IsIPv4MappedToIPv6": False}
    return Obj(
        ("System.Net.IPAddress", "System.Object"), text, properties, {"IPAddressToString": text}
    )


def binding(host: str, port: int) -> Obj:
    """An address with a port. Raises `ValueError`."""
    six = ":" in host
    if not 0 < port < _PORTS:
        raise ValueError(f"{port} is no port")
    return Obj(
        (f"{v.DATA}.IPBinding", "System.Net.IPEndPoint", "System.Net.EndPoint", "System.Object"),
        f"[{host}]:{port}" if six else f"{host}:{port}",
        {
            "Port": port, "AddressFamily": "InterNetworkV6" if six else "InterNetwork",
            "Address": address(host),
        },
        v.blob("IPBinding", 300),
    )  # fmt: skip


def address_range(text: str) -> Obj:
    """An IPRange: one address, two with a dash, or a network. Raises `ValueError`."""
    if "/" in text:
        network, form = ip_network(text, strict=False), "CIDR"
        low, high = network[0], network[-1]
    else:
        first, _, last = text.partition("-")
        form = "LoHi" if last else "SingleAddress"
        low, high = ip_address(first.strip()), ip_address((last or first).strip())
    if low.version != high.version or int(low) > int(high):
        raise ValueError(f"{text} is no range")
    size = int(high) - int(low) + 1
    return Obj(
        (f"{v.DATA}.IPRange", "System.Object"), text,
        {
            "LowerBound": str(low), "UpperBound": str(high), "RangeFormat": form,
            "Size": str(IPv6Address(min(size, _EVERY_ADDRESS))), "Expression": text,
        },
        v.blob("IPRange", 347),
    )  # fmt: skip
