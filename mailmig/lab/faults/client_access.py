r"""Faults of client access (health.md 2.6): virtual directories as they are set, and as they answer.

A target SERVER\DIRECTORY is a server and the path of a virtual directory there; where the server
alone is enough, all its directories are meant.
"""

from collections.abc import Mapping
from typing import ClassVar, Final
from urllib.parse import urlsplit

from mailmig.lab.faults.machines import Claiming
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.setting import OtherSetting, front_end_object
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.web.directories import DIRECTORIES, Directory
from mailmig.lab.world import World
from mailmig.model.organisation import Server
from mailmig.wire.clixml import Obj

# An answer that comes so late has lost the probe that waits 5 s (health.md 2.6): seconds.
SLOW_S: Final = 8.0
_AND_DIRECTORY: Final = r"server and virtual directory, as EX1\mapi"
_OR_DIRECTORY: Final = rf"a server, or {_AND_DIRECTORY}"
_METHODS: Final = "InternalAuthenticationMethods"


class OfDirectory(OtherSetting):
    """A virtual directory of one server has another setting."""

    family = "client_access"
    wants = _AND_DIRECTORY
    shows = ("ca_urls",)
    # Those that have the setting; none: all.
    only: ClassVar[tuple[str, ...]] = ()

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The properties as the fault sets them; none where they are so already."""
        raise NotImplementedError

    def on(self, world: World, target: str) -> None:
        server, directory = server_and_directory(self, world, target)
        if self.only and directory.path not in self.only:
            raise self.bad(target)
        key, live = front_end_object(world, directory.file, server.name)
        worse = self.worse(world, server, directory, live)
        if not worse:
            raise self.bad(target)
        self.change(world, target, key, worse)


class UrlNamesServer(OfDirectory):
    id = "url-names-server"
    description = "the address for inside names the server itself and not the service name"
    wants = r"server and virtual directory that names something else, as EX1\mapi"

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        name = "InternalHostname" if directory.path == "rpc" else "InternalUrl"
        found = live.get(name)
        before = found.text or "" if isinstance(found, Obj) else str(found or "")
        url = urlsplit(before if "://" in before else f"https://{before}")
        if not url.hostname or url.hostname == server.fqdn.lower():
            return {}
        wanted = server.fqdn if directory.path == "rpc" else f"https://{server.fqdn}{url.path}"
        return {name: wanted}


class UrlOutsideMissing(OfDirectory):
    id = "url-outside-missing"
    description = "no address for outside is set: clients there get another server's, or none"
    wants = r"server and virtual directory that has one, as EX1\ews"

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        name = "ExternalHostname" if directory.path == "rpc" else "ExternalUrl"
        return {name: None} if live.get(name) is not None else {}


class BasicOnly(OfDirectory):
    id = "directory-basic-only"
    shows = ("ca_auth",)
    description = "one server offers Basic alone: who can do NTLM or Kerberos only is locked out"
    wants = r"server and one of mapi, ews, autodiscover, oab, as EX1\ews"
    only = ("mapi", "ews", "autodiscover", "oab")

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        return {"IISAuthenticationMethods" if directory.path == "mapi" else _METHODS: ["Basic"]}


class BypassUrl(OfDirectory):
    id = "ews-bypass-url"
    shows = ("ca_nlb_bypass",)
    description = "InternalNLBBypassUrl names a front end: requests between servers go round in it"
    wants = r"server and ews, as EX1\ews"
    only = ("ews",)

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        url = f"https://{world.organisation.namespace}/ews/exchange.asmx"
        return {"InternalNLBBypassUrl": url}


class MigrationProxy(OfDirectory):
    id = "mrs-proxy-on"
    shows = ("ca_mrs_proxy",)
    description = "the proxy for migrations over HTTPS is on, though nobody needs it"
    wants = BypassUrl.wants
    only = ("ews",)

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        return {} if live["MRSProxyEnabled"] else {"MRSProxyEnabled": True}


class ProtectionDiffers(OfDirectory):
    id = "extended-protection-differs"
    shows = ("ca_extended_protection",)
    description = (
        "Extended Protection is None where it was Allow or Require, else Require, on one server"
    )

    def worse(
        self, world: World, server: Server, directory: Directory, live: Mapping[str, object]
    ) -> Mapping[str, object]:
        name = "ExtendedProtectionTokenChecking"
        found = live[name]
        assert isinstance(found, Obj)
        return {name: "Require" if found.text == "None" else "None"}


class KerberosAccount(OtherSetting):
    id = "kerberos-account-on-one"
    family = "client_access"
    shows = ("ca_kerberos_asa",)
    description = "one server alone has the account with which Kerberos works for the service name"
    wants = "a server"

    def on(self, world: World, target: str) -> None:
        key, _ = front_end_object(world, "client_access", server_named(self, world, target))
        account = rf"{world.organisation.netbios}\svc-exchange-asa$"
        self.change(world, target, key, {"AlternateServiceAccountConfiguration": account})


class WebFault(Claiming):
    """How virtual directories of a server answer; `condition` is what changes of each."""

    family = "client_access"
    shows = ("ca_probe_<protocol>",)
    wants = _OR_DIRECTORY
    condition: ClassVar[Mapping[str, object]]

    def __init__(self) -> None:
        super().__init__()
        self._before: list[tuple[str, str, Mapping[str, object]]] = []

    def on(self, world: World, target: str) -> None:
        server, backslash, path = target.partition("\\")
        name = server_named(self, world, server)
        if backslash and path.lower() not in DIRECTORIES:
            raise self.bad(target)
        paths = [path.lower()] if backslash else list(DIRECTORIES)
        self.claim(
            world, target, [("web", name, one, what) for one in paths for what in self.condition]
        )
        for one in paths:
            found = world.conditions(name).web[one]
            before = {what: getattr(found, what) for what in self.condition}
            self._before.append((name, one, before))
            for what, value in self.condition.items():
                setattr(found, what, value)

    def off(self, world: World, target: str) -> None:
        for name, path, before in self._before:
            for what, value in before.items():
                setattr(world.conditions(name).web[path], what, value)
        self.release(world)


class WebSlow(WebFault):
    id = "web-slow"
    description = f"the front end answers {SLOW_S:g} s late"
    condition: ClassVar[Mapping[str, object]] = {"delay_s": SLOW_S}


class WebHangs(WebFault):
    id = "web-hangs"
    description = "the front end takes requests and never answers"
    condition: ClassVar[Mapping[str, object]] = {"hang": True}


class WebDrops(WebFault):
    id = "web-drops"
    description = "the front end cuts the connection instead of answering"
    condition: ClassVar[Mapping[str, object]] = {"drop": True}


class WebHalf(WebFault):
    id = "web-half-answers"
    description = "the front end sends half of each answer and cuts the connection"
    condition: ClassVar[Mapping[str, object]] = {"halve": True}


class WebError(WebFault):
    id = "web-error"
    description = "the front end answers everything with 500"
    condition: ClassVar[Mapping[str, object]] = {"status": 500}


class WebRedirects(WebFault):
    id = "web-redirect-loop"
    description = "the front end sends every request to where it came from"
    condition: ClassVar[Mapping[str, object]] = {"redirect": True}


class WebCookies(WebFault):
    id = "web-cookies-lost"
    shows = ("mapi_connect",)
    description = "something before the front end takes all cookies away: no session holds"
    condition: ClassVar[Mapping[str, object]] = {"strip_cookies": True}


def server_and_directory(fault: Fault, world: World, target: str) -> tuple[Server, Directory]:
    r"""What SERVER\DIRECTORY means. Raises `BadTarget`."""
    server, _, path = target.partition("\\")
    directory = DIRECTORIES.get(path.lower())
    if directory is None:
        raise fault.bad(target)
    return world.organisation.server(server_named(fault, world, server)), directory
