"""What clients and other mail servers meet, as Exchange's objects: domains, addresses, connectors.

Before the cut-over only the source serves the service names; the new servers still answer
under their own.

Setup of 2019 CU14 and later switches Extended Protection on, for each virtual directory as
Microsoft's page "Configure Windows Extended Protection in Exchange Server" recommends it, unless it
is told to leave that (/DoNotEnableEP); before, it was off.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from mailmig.lab import connectors
from mailmig.lab import setting_values as shown
from mailmig.lab import values as v
from mailmig.lab.objects import Configuration, Live
from mailmig.lab.organisation import guid
from mailmig.lab.places import ADMIN_GROUP, ROUTING_GROUP
from mailmig.model.organisation import Server
from mailmig.model.quota import MIB
from mailmig.wire.clixml import Obj, Uri

_SITE_SUFFIX: Final = " (Default Web Site)"
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


# The switches that each shows; they follow from its methods.
_OF_SERVICES: Final = (
    "BasicAuthentication", "DigestAuthentication", "WindowsAuthentication", "OAuthAuthentication",
    "WSSecurityAuthentication",
)  # fmt: skip
_OF_PAGES: Final = (
    "BasicAuthentication", "DigestAuthentication", "WindowsAuthentication", "FormsAuthentication",
)  # fmt: skip
SWITCHES: Final = {
    "ews": _OF_SERVICES, "autodiscover": _OF_SERVICES, "owa": _OF_PAGES, "ecp": _OF_PAGES,
    "oab": ("BasicAuthentication", "WindowsAuthentication", "OAuthAuthentication"),
}  # fmt: skip
_PROTECTED_SINCE: Final = (15, 2, 1544)
_PROTECTED: Final = {
    **dict.fromkeys(("mapi", "owa", "ecp", "oab", "outlook_anywhere", "powershell"), "Require"),
    **dict.fromkeys(("ews", "activesync"), "Allow"),
    "autodiscover": "None",
}  # fmt: skip


class FrontEnds(Configuration):
    """Objects of accepted domains, virtual directories and connectors."""

    def files(self) -> dict[str, Callable[[], Iterator[tuple[str, Live]]]]:
        """Per file: ToString and given properties of each object, in order."""
        found: dict[str, Callable[[], Iterator[tuple[str, Live]]]] = {
            "accepted_domains": self._accepted_domains,
            "client_access": self._client_access,
            "outlook_anywhere": self._outlook_anywhere,
            "send_connectors": self._send_connectors,
            "receive_connectors": self._receive_connectors,
            **{name: partial(self._virtual_directories, name) for name in _DIRECTORIES},
        }
        return {name: partial(self._as_set, objects) for name, objects in found.items()}

    def _as_set(
        self, objects: Callable[[], Iterator[tuple[str, Live]]]
    ) -> Iterator[tuple[str, Live]]:
        """The objects with what admins changed of them."""
        changed = self.organisation.settings.applied(objects(), shown.makers(self))
        for text, live in changed:
            switches = [name for name in shown.LOGON_SWITCHES if name in live]
            names = shown.method_names(live, "InternalAuthenticationMethods") if switches else ()
            yield text, {
                **live, **{one: shown.LOGON_SWITCHES[one][-1] in names for one in switches}
            }  # fmt: skip

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
            url = self.organisation.autodiscover_url(server)
            yield (
                server.name,
                {
                    **self.common(names, "ms-Exch-Exchange-Server", "server",
                                   "msExchExchangeServer"),
                    "Fqdn": server.fqdn,
                    "AutoDiscoverServiceCN": server.name,
                    "AutoDiscoverServiceInternalUri": Uri(url) if url else None,
                    "AutoDiscoverSiteScope": scope,
                    "AlternateServiceAccountConfiguration": None,
                },
            )  # fmt: skip

    def _virtual_directories(self, name: str) -> Iterator[tuple[str, Live]]:
        label, path, schema, inside, outside = _DIRECTORIES[name]
        for server in self.organisation.servers:
            title = f"{label}{_SITE_SUFFIX}"
            names = self.server_names(server.name, title, "HTTP", "Protocols")
            text = f"{server.name}\\{title}"
            internal = shown.methods(inside)
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
                    "ExternalAuthenticationMethods": shown.methods(outside),
                    "AdminDisplayVersion": v.server_version(server.build),
                    "ExtendedProtectionTokenChecking": self._protection(server, name),
                    "MetabasePath": f"IIS://{server.fqdn}/W3SVC/1/ROOT/{label}",
                    **({"MRSProxyEnabled": False, "InternalNLBBypassUrl": None} if name == "ews" else {}),
                    **({"IISAuthenticationMethods": shown.methods(inside)} if name == "mapi" else {}),
                    **({"ServerName": server.name} if name == "owa" else {}),
                    **({"ActiveSyncServer": str(url), "BasicAuthEnabled": True,
                        "WindowsAuthEnabled": False} if name == "activesync" else {}),
                    **dict.fromkeys(SWITCHES.get(name, ()), False),
                },
            )  # fmt: skip

    def _protection(self, server: Server, name: str) -> Obj:
        """What Setup leaves there."""
        by_setup = self.organisation.extended_protection and server.build >= _PROTECTED_SINCE
        return shown.token_checking(_PROTECTED[name] if by_setup else "None")

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
            name = shown.hostname(host)
            yield (
                text,
                {
                    **self.common(names, "ms-Exch-Rpc-Http-Virtual-Directory",
                                   "msExchVirtualDirectory", "msExchRpcHttpVirtualDirectory",
                                   text=text),
                    "Server": self.server_id(server.name),
                    "ServerName": server.name,
                    "AdminDisplayVersion": v.server_version(server.build),
                    "ExtendedProtectionTokenChecking": self._protection(
                        server, "outlook_anywhere"
                    ),
                    "MetabasePath": f"IIS://{server.fqdn}/W3SVC/1/ROOT/Rpc",
                    "InternalHostname": name,
                    "ExternalHostname": name if host == self.organisation.namespace else None,
                    "InternalClientAuthenticationMethod": v.enum(method, "Ntlm", 2),
                    "ExternalClientAuthenticationMethod": v.enum(method, "Negotiate", 8),
                    "IISAuthenticationMethods": shown.methods(("Basic", "Ntlm", "Negotiate")),
                },
            )  # fmt: skip

    def _send_connectors(self) -> Iterator[tuple[str, Live]]:
        names = connectors.send_names()
        first = self.organisation.dag.servers if self.cut_over else (self.organisation.source,)
        transfer = self.server_names(first[0], "Microsoft MTA")
        yield (
            connectors.SEND,
            {
                **self.common(names, "ms-Exch-Routing-SMTP-Connector", "msExchConnector",
                               "mailGateway", "msExchRoutingSMTPConnector"),
                "Enabled": True,
                "SmartHosts": shown.smart_hosts([self.organisation.smart_host]),
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
                "SourceTransportServers": v.identities([self.server_id(s) for s in first]),
                "SourceIPAddress": shown.address(connectors.ANY),
                "SourceRoutingGroup": v.configuration_id(
                    self.places, (ROUTING_GROUP, "Routing Groups", ADMIN_GROUP,
                                  "Administrative Groups"), None,
                ),
                "HomeMTA": v.configuration_id(
                    self.places, transfer, guid(self.organisation.seed, *transfer)
                ),
                "HomeMtaServerId": self.server_id(first[0]),
                "Fqdn": shown.fqdn(self.organisation.namespace),
                "MaxMessageSize": v.limit(self.culture, 35 * MIB),
                "RequireTLS": False,
                "ProtocolLoggingLevel": shown.logging_level("None"),
                "SmartHostsString": self.organisation.smart_host,
            },
        )  # fmt: skip

    def _receive_connectors(self) -> Iterator[tuple[str, Live]]:
        for one in connectors.receive(self.organisation):
            text = f"{one.server}\\{one.name}"
            yield (
                text,
                {
                    **self.common(connectors.receive_names(one), "ms-Exch-Smtp-Receive-Connector",
                                   "msExchSmtpReceiveConnector", text=text),
                    "Server": self.server_id(one.server),
                    "Enabled": True,
                    "Bindings": shown.bindings(one.bindings),
                    "RemoteIPRanges": shown.ranges(one.ranges),
                    "AuthMechanism": shown.mechanisms(one.mechanisms),
                    "PermissionGroups": shown.groups(one.groups),
                    "Fqdn": shown.fqdn(self.organisation.server(one.server).fqdn),
                    "MaxMessageSize": v.size(self.culture, 36 * MIB),
                    "TransportRole": shown.role(one.role),
                    "ProtocolLoggingLevel": shown.logging_level(one.logging),
                },
            )  # fmt: skip
