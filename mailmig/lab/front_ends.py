"""What clients and other mail servers meet, as Exchange's objects: domains, addresses, connectors.

Before the cut-over only the source serves the service names; the new servers still answer
under their own.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from mailmig.lab import values as v
from mailmig.lab.objects import Configuration, Live
from mailmig.lab.organisation import guid
from mailmig.lab.places import ADMIN_GROUP, ROUTING_GROUP
from mailmig.model.organisation import Server
from mailmig.model.quota import MIB
from mailmig.wire.clixml import Int64, Obj, Uri, Value

# Numbers as real exports have them (health.md 6); that of Negotiate is not established.
_AUTHENTICATION: Final = {
    "Basic": 0, "Ntlm": 2, "Fba": 3, "WindowsIntegrated": 4, "WSSecurity": 7, "Negotiate": 8,
    "OAuth": 10,
}  # fmt: skip
_SITE_SUFFIX: Final = " (Default Web Site)"
_ANY: Final = "0.0.0.0"  # noqa: S104  a value in an export, nothing listens
_HUB: Final = ("HubTransport", 32)
_FRONT: Final = ("FrontendTransport", 16384)
_ALL_MECHANISMS: Final = ("Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer", 31)
_SERVERS_ONLY: Final = ("ExchangeUsers, ExchangeServers, ExchangeLegacyServers", 14)
# Title, port, role, mechanisms, permission groups: Setup's five, and one that admins made.
_CONNECTORS: Final = (
    ("Default", 2525, _HUB, _ALL_MECHANISMS, _SERVERS_ONLY),
    ("Client Proxy", 465, _HUB, _ALL_MECHANISMS, ("ExchangeUsers, ExchangeServers", 6)),
    ("Default Frontend", 25, _FRONT, _ALL_MECHANISMS,
     ("AnonymousUsers, ExchangeServers, ExchangeLegacyServers", 13)),
    ("Outbound Proxy Frontend", 717, _FRONT, _ALL_MECHANISMS, _SERVERS_ONLY),
    ("Client Frontend", 587, _FRONT, _ALL_MECHANISMS, ("ExchangeUsers", 2)),
    ("Relay Fachverfahren", 25, _FRONT, ("Tls", 1), ("AnonymousUsers", 1)),
)  # fmt: skip

_OAUTH: Final = ("Ntlm", "WindowsIntegrated", "WSSecurity", "OAuth")
# Per file: name in IIS, path of the URL, schema class, methods inside and outside.
_DIRECTORIES: Final[dict[str, tuple[str, str, str, tuple[str, ...], tuple[str, ...]]]] = {
    "mapi": ("mapi", "mapi", "ms-Exch-Mapi-Virtual-Directory",
             ("Ntlm", "OAuth", "Negotiate"), ("Ntlm", "OAuth", "Negotiate")),
    "ews": ("EWS", "EWS/Exchange.asmx", "ms-Exch-Web-Services-Virtual-Directory", _OAUTH, _OAUTH),
    "owa": ("owa", "owa", "ms-Exch-OWA-Virtual-Directory", ("Basic", "Fba"), ("Fba",)),
    "ecp": ("ecp", "ecp", "ms-Exch-ECP-Virtual-Directory", ("Basic", "Fba"), ("Fba",)),
    "activesync": ("Microsoft-Server-ActiveSync", "Microsoft-Server-ActiveSync",
                   "ms-Exch-Mobile-Virtual-Directory", (), ()),
    "oab": ("OAB", "OAB", "ms-Exch-OAB-Virtual-Directory",
            ("WindowsIntegrated", "OAuth"), ("WindowsIntegrated", "OAuth")),
    "autodiscover": ("Autodiscover", "", "ms-Exch-Auto-Discover-Virtual-Directory",
                     ("Basic", *_OAUTH), ("Basic", *_OAUTH)),
    "powershell": ("PowerShell", "powershell", "ms-Exch-Power-Shell-Virtual-Directory", (), ()),
}  # fmt: skip


class FrontEnds(Configuration):
    """Objects of accepted domains, virtual directories and connectors."""

    def files(self) -> dict[str, Callable[[], Iterator[tuple[str, Live]]]]:
        """Per file: ToString and given properties of each object, in order."""
        return {
            "accepted_domains": self._accepted_domains,
            "client_access": self._client_access,
            "outlook_anywhere": self._outlook_anywhere,
            "send_connectors": self._send_connectors,
            "receive_connectors": self._receive_connectors,
            **{name: partial(self._virtual_directories, name) for name in _DIRECTORIES},
        }

    def _accepted_domains(self) -> Iterator[tuple[str, Live]]:
        for place, domain in enumerate(self.organisation.mail_domains):
            yield (
                domain,
                {
                    **self.common(
                        (domain, "Accepted Domains", "Transport Settings"),
                        "ms-Exch-Accepted-Domain", "msExchAcceptedDomain",
                    ),
                    "DomainName": Obj(
                        (f"{v.DATA}.SmtpDomainWithSubdomains", "System.Object"), domain,
                        {
                            "Address": domain, "IncludeSubDomains": False, "Domain": domain,
                            "SmtpDomain": domain, "IsStar": False,
                        },
                        v.blob("SmtpDomainWithSubdomains", 340),
                    ),
                    "DomainType": v.enum(f"{v.SYSTEM}.AcceptedDomainType", "Authoritative", 0),
                    "Default": place == 0,
                },
            )  # fmt: skip

    def _client_access(self) -> Iterator[tuple[str, Live]]:
        for server in self.organisation.servers:
            names = self.server_names(server.name)
            scope = v.strings([server.site])
            yield (
                server.name,
                {
                    **self.common(names, "ms-Exch-Exchange-Server", "server",
                                   "msExchExchangeServer"),
                    "Fqdn": server.fqdn,
                    "AutoDiscoverServiceCN": server.name,
                    "AutoDiscoverServiceInternalUri": Uri(
                        f"https://{self._autodiscover_host(server)}/Autodiscover/Autodiscover.xml"
                    ),
                    "AutoDiscoverSiteScope": scope,
                },
            )  # fmt: skip

    def _autodiscover_host(self, server: Server) -> str:
        """The old server answers under the service name; a new one still under its own."""
        if server.name == self.organisation.source or self.cut_over:
            return f"autodiscover.{self.organisation.mail_domains[0]}"
        return server.fqdn

    def _virtual_directories(self, name: str) -> Iterator[tuple[str, Live]]:
        label, path, schema, inside, outside = _DIRECTORIES[name]
        for server in self.organisation.servers:
            title = f"{label}{_SITE_SUFFIX}"
            names = self.server_names(server.name, title, "HTTP", "Protocols")
            text = f"{server.name}\\{title}"
            internal = _methods(inside)
            host = self._host(server)
            url = None if not path else Uri(f"https://{host}/{path}")
            yield (
                text,
                {
                    **self.common(names, schema, "msExchVirtualDirectory",
                                   schema.replace("-", ""), text=text),
                    "Server": self.server_id(server.name),
                    "InternalUrl": url if name != "autodiscover" else None,
                    "ExternalUrl": url if self._published(name, host) else None,
                    "InternalAuthenticationMethods": internal,
                    "ExternalAuthenticationMethods": _methods(outside),
                    "AdminDisplayVersion": v.server_version(server.build),
                    "MetabasePath": f"IIS://{server.fqdn}/W3SVC/1/ROOT/{label}",
                    **({"MRSProxyEnabled": False} if name == "ews" else {}),
                    **({"IISAuthenticationMethods": _methods(inside)} if name == "mapi" else {}),
                    **({"ServerName": server.name} if name == "owa" else {}),
                    **({"ActiveSyncServer": str(url)} if name == "activesync" else {}),
                },
            )  # fmt: skip

    def _published(self, name: str, host: str) -> bool:
        """Whether the outside is told this address: the service names only."""
        return host == self.organisation.namespace and name not in ("autodiscover", "powershell")

    def _host(self, server: Server) -> str:
        """Before the cut-over only the source serves the service name."""
        own = server.name == self.organisation.source
        return self.organisation.namespace if own != self.cut_over else server.fqdn

    def _outlook_anywhere(self) -> Iterator[tuple[str, Live]]:
        for server in self.organisation.servers:
            title = f"Rpc{_SITE_SUFFIX}"
            text = f"{server.name}\\{title}"
            names = self.server_names(server.name, title, "HTTP", "Protocols")
            host = self._host(server)
            method = f"{v.SYSTEM}.AuthenticationMethod"
            name = Obj(
                (f"{v.DATA}.Hostname", "System.Object"), host, {"HostnameString": host},
                v.blob("Hostname", 260),
            )  # fmt: skip
            yield (
                text,
                {
                    **self.common(names, "ms-Exch-Rpc-Http-Virtual-Directory",
                                   "msExchVirtualDirectory", "msExchRpcHttpVirtualDirectory",
                                   text=text),
                    "Server": self.server_id(server.name),
                    "ServerName": server.name,
                    "AdminDisplayVersion": v.server_version(server.build),
                    "MetabasePath": f"IIS://{server.fqdn}/W3SVC/1/ROOT/Rpc",
                    "InternalHostname": name,
                    "ExternalHostname": name if host == self.organisation.namespace else None,
                    "InternalClientAuthenticationMethod": v.enum(method, "Ntlm", 2),
                    "ExternalClientAuthenticationMethod": v.enum(method, "Negotiate", 8),
                    "IISAuthenticationMethods": _methods(("Basic", "Ntlm", "Negotiate")),
                },
            )  # fmt: skip

    def _send_connectors(self) -> Iterator[tuple[str, Live]]:
        title = "Internet über Gateway"
        names = (title, "Connections", ROUTING_GROUP, "Routing Groups", ADMIN_GROUP,
                 "Administrative Groups")  # fmt: skip
        host = self.organisation.smart_host
        servers = (
            list(self.organisation.dag.servers) if self.cut_over else [self.organisation.source]
        )
        any_address = _address(_ANY)
        transfer = self.server_names(servers[0], "Microsoft MTA")
        yield (
            title,
            {
                **self.common(names, "ms-Exch-Routing-SMTP-Connector", "msExchConnector",
                               "mailGateway", "msExchRoutingSMTPConnector"),
                "Enabled": True,
                "SmartHosts": v.values(f"{v.DATA}.SmartHost", v.DATA, [
                    Obj(
                        (f"{v.DATA}.SmartHost", "System.Object"), host,
                        {"Address": any_address, "IsIPAddress": False, "Domain": host},
                        v.blob("SmartHost", 755),
                    )
                ]),
                "AddressSpaces": v.values(f"{v.DATA}.AddressSpace", v.DATA, [
                    Obj(
                        (f"{v.DATA}.AddressSpace", "System.Object"), "SMTP:*;1",
                        {
                            "Address": "*", "Type": "SMTP", "Cost": 1, "IncludeSubDomains": True,
                            "Domain": "*", "IsSmtpType": True, "IsX400Type": False,
                            "X400Address": None,
                        },
                        v.blob("AddressSpace", 420),
                    )
                ]),
                "SourceTransportServers": v.identities([self.server_id(s) for s in servers]),
                "SourceIPAddress": any_address,
                "SourceRoutingGroup": v.configuration_id(
                    self.places, (ROUTING_GROUP, "Routing Groups", ADMIN_GROUP,
                                  "Administrative Groups"), None,
                ),
                "HomeMTA": v.configuration_id(
                    self.places, transfer, guid(self.organisation.seed, *transfer)
                ),
                "HomeMtaServerId": self.server_id(servers[0]),
                "Fqdn": _fqdn(self.organisation.namespace),
                "MaxMessageSize": v.limit(self.culture, 35 * MIB),
                "RequireTLS": False,
                "SmartHostsString": host,
            },
        )  # fmt: skip

    def _receive_connectors(self) -> Iterator[tuple[str, Live]]:
        for server in self.organisation.servers:
            own_relay = server.name == self.organisation.source or self.cut_over
            for title, port, role, mechanism, groups in _CONNECTORS:
                if title == "Relay Fachverfahren" and not own_relay:
                    continue
                name = title if title.startswith("Relay") else f"{title} {server.name}"
                ranges = self.organisation.relay_addresses if title.startswith("Relay") else (
                    "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255",
                )  # fmt: skip
                names = self.server_names(server.name, name, "SMTP Receive Connectors", "Protocols")
                text = f"{server.name}\\{name}"
                yield (
                    text,
                    {
                        **self.common(names, "ms-Exch-Smtp-Receive-Connector",
                                       "msExchSmtpReceiveConnector", text=text),
                        "Server": self.server_id(server.name),
                        "Enabled": True,
                        "Bindings": v.values(f"{v.DATA}.IPBinding", v.DATA, [
                            _binding(_ANY, port), _binding("::", port)
                        ]),
                        "RemoteIPRanges": v.values(f"{v.DATA}.IPRange", v.DATA, [
                            _range(text_) for text_ in ranges
                        ]),
                        "AuthMechanism": v.enum(f"{v.SYSTEM}.AuthMechanisms", *mechanism),
                        "PermissionGroups": v.enum(f"{v.DATA}.PermissionGroups", *groups),
                        "Fqdn": _fqdn(server.fqdn),
                        "MaxMessageSize": v.size(self.culture, 36 * MIB),
                        "TransportRole": v.enum(f"{v.SYSTEM}.ServerRole", *role),
                    },
                )  # fmt: skip


def _methods(names: tuple[str, ...]) -> Obj:
    type_name = f"{v.SYSTEM}.AuthenticationMethod"
    return v.directory_values(
        type_name, [v.enum(type_name, name, _AUTHENTICATION[name]) for name in names]
    )


def _fqdn(text: str) -> Obj:
    return Obj(
        (f"{v.DATA}.Fqdn", f"{v.DATA}.SmtpDomain", "System.Object"), text, {"Domain": text},
        v.blob("Fqdn", 220),
    )  # fmt: skip


def _address(text: str) -> Obj:
    """A System.Net.IPAddress; it is written with its properties however deep it lies."""
    six = ":" in text
    properties: dict[str, Value] = {"AddressFamily": "InterNetworkV6", "ScopeId": Int64(0)}
    if not six:
        properties = {"Address": Int64(0), "AddressFamily": "InterNetwork"}
    flags = ("Multicast", "LinkLocal", "SiteLocal", "Teredo")
    properties |= {f"IsIPv6{flag}": False for flag in flags} | {"IsIPv4MappedToIPv6": False}
    return Obj(
        ("System.Net.IPAddress", "System.Object"), text, properties, {"IPAddressToString": text}
    )


def _binding(address: str, port: int) -> Obj:
    six = ":" in address
    return Obj(
        (f"{v.DATA}.IPBinding", "System.Net.IPEndPoint", "System.Net.EndPoint", "System.Object"),
        f"[{address}]:{port}" if six else f"{address}:{port}",
        {
            "Port": port, "AddressFamily": "InterNetworkV6" if six else "InterNetwork",
            "Address": _address(address),
        },
        v.blob("IPBinding", 300),
    )  # fmt: skip


def _range(text: str) -> Obj:
    """An IPRange: one address, two with a dash, or a network."""
    low, _, high = text.partition("-")
    if "/" in text:
        low, high, form = text.partition("/")[0], text.partition("/")[0][:-1] + "255", "CIDR"
    else:
        form = "LoHi" if high else "SingleAddress"
    return Obj(
        (f"{v.DATA}.IPRange", "System.Object"), text,
        {
            "LowerBound": low, "UpperBound": high or low, "RangeFormat": form, "Size": "::1",
            "Expression": text,
        },
        v.blob("IPRange", 347),
    )  # fmt: skip
