"""Autodiscover of a back end: POX, SOAP and V2, from one place: what the organisation is set to.

Addresses are those of the virtual directories on the server that has the mailbox. Where it gives no
outside address, that of a server in the same site counts, then that of any [MEM]. The MAPI/HTTP
block comes when the client asks for it, organisation and mailbox allow it, and the mailbox's server knows
it; 2019 and SE then leave out EXCH and EXPR (protocols.md 5.1).
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from mailmig.lab import protocols_of
from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.web.directories import DIRECTORIES, Directories
from mailmig.lab.web.messages import HTML, JSON, XML, Answer, Call, Request
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.model.directory import Kind
from mailmig.model.organisation import Server, build_text
from mailmig.wire.autodiscover import mobile, pox, soap, v2
from mailmig.wire.documents import BadDocument

_POX, _SOAP, _JSON = "autodiscover.xml", "autodiscover.svc", "autodiscover.json"
# 2013 SP1 (protocols.md 5.1), and 2016 CU3 [MEM].
_FIRST_MAPI_HTTP: Final = (15, 0, 847, 32)
_FIRST_V2: Final = (15, 1, 544, 27)
_WITHOUT_RPC: Final = ("2019", "SE")
_SCHEMAS: Final = (
    "Exchange2007, Exchange2007_SP1, Exchange2010, Exchange2010_SP1, Exchange2010_SP2, "
    "Exchange2013, Exchange2013_SP1"
)
# Setting of SOAP to a virtual directory's path.
_SOAP_URLS: Final = {"Ews": "ews", "Ecp": "ecp", "OAB": "oab", "Mapi": "mapi"}
_MOBILE: Final = "microsoft-server-activesync"


class Autodiscover:
    """Autodiscover of all servers of a world."""

    def __init__(self, world: World, people: People, directories: Directories) -> None:
        self._world = world
        self._people = people
        self._directories = directories

    def anonymous(self, request: Request) -> bool:
        return request.rest.startswith(_JSON)

    def mailbox(self, call: Call) -> Mailbox | None:
        """The mailbox in `X-AnchorMailbox`, else the caller's own."""
        anchor = call.request.headers.get("x-anchormailbox", "")
        return self._people.addressed(anchor) or call.mailbox

    def answer(self, call: Call) -> Answer:
        name = call.request.rest.partition("/")[0]
        if name == _POX:
            return Answer(200, self._pox(call), XML)
        if name == _SOAP:
            if call.request.method in ("GET", "HEAD"):  # the page of the service
                return Answer(200, b"<html><body>Autodiscover</body></html>", HTML)
            return self._soap(call)
        if name == _JSON and call.server.build >= _FIRST_V2:
            return self._v2(call)
        return Answer(404, b"", HTML)

    # POX

    def _pox(self, call: Call) -> bytes:
        try:
            if call.request.method != "POST":
                return self._error(pox.ErrorNumber.INVALID_REQUEST, "Invalid Request")
            asked = pox.Request.decode(call.request.body)
        except BadDocument:
            return self._error(pox.ErrorNumber.INVALID_REQUEST, "Invalid Request")
        known = self._people.known(asked.legacy_dn) if asked.legacy_dn else None
        mailbox = known or self._people.addressed(asked.email_address or "")
        if asked.response_schema not in (pox.OUTLOOK_RESPONSE, pox.MOBILE_RESPONSE):
            return self._error(pox.ErrorNumber.SCHEMA_NOT_AVAILABLE, "Provider is not available")
        if mailbox is None:
            text = "The email address can't be found."
            return self._error(pox.ErrorNumber.ADDRESS_NOT_FOUND, text)
        if asked.is_mobile:
            return mobile.encode(self._mobile(mailbox))
        wants_mapi = call.request.headers.get("x-mapihttpcapability", "") not in ("", "0")
        return pox.encode(self._outlook(mailbox, call, wants_mapi=wants_mapi))

    def _error(self, code: pox.ErrorNumber, text: str) -> bytes:
        """Time of day and number of the server, as Exchange writes them [MEM]."""
        now: datetime = self._world.now
        time = now.strftime("%H:%M:%S.%f0")
        return pox.encode(pox.Error(int(code), text, time, "2477272013", ""))

    def _mobile(self, mailbox: Mailbox) -> mobile.Settings:
        home = self._told(mailbox)
        url = self._outside(home, _MOBILE) or self._inside(home, _MOBILE)
        server = mobile.Server("MobileSync", url, url)
        return mobile.Settings((server,), mailbox.display_name, mailbox.address)

    def _outlook(self, mailbox: Mailbox, call: Call, *, wants_mapi: bool) -> pox.Settings:
        mapi = self._mapi(mailbox, self._told(mailbox)) if wants_mapi else None
        without = mapi is not None and call.server.version in _WITHOUT_RPC
        folders = next(self._people.organisation.present(Kind.PUBLIC_FOLDER), None)
        return pox.Settings(
            user=pox.User(
                mailbox.display_name, self._identity(mailbox), mailbox.address, self._deployment,
            ),
            mapi_http=mapi,
            protocols=() if without else tuple(self._protocols(mailbox)),
            alternative_mailboxes=tuple(self._alternatives(mailbox)),
            public_folder_address=None if folders is None else folders.address,
        )  # fmt: skip

    @property
    def _deployment(self) -> str:
        """The id of the organisation itself."""
        return guid(self._people.organisation.seed, "organisation")

    def mapi_urls(self, mailbox: Mailbox) -> pox.MapiHttp | None:
        """Where its MAPI over HTTP is; None where clients are not told of any."""
        return self._mapi(mailbox, self._people.home(mailbox))

    def _mapi(self, mailbox: Mailbox, home: Server) -> pox.MapiHttp | None:
        enabled = protocols_of.mapi_http(self._people.organisation, mailbox)
        if not enabled or home.build < _FIRST_MAPI_HTTP:
            return None
        query = f"?MailboxId={self._people.mailbox_id(mailbox)}"

        def urls(part: str) -> pox.Urls:
            inside, outside = self._inside(home, "mapi"), self._outside(home, "mapi")
            return pox.Urls(
                f"{inside}/{part}/{query}" if inside else None,
                f"{outside}/{part}/{query}" if outside else None,
            )

        return pox.MapiHttp(urls("emsmdb"), urls("nspi"))

    def _protocols(self, mailbox: Mailbox) -> Iterator[pox.Protocol]:
        home = self._told(mailbox)
        dn = self._people.places.legacy_server(self._people.mailbox_id(mailbox))
        services = tuple(self._services(home, self._inside))
        yield pox.Protocol(
            "EXCH",
            (
                ("Server", self._people.mailbox_id(mailbox)), ("ServerDN", dn),
                ("ServerVersion", version_text(home)),
                ("MdbDN", f"{dn}/cn=Microsoft Private MDB"), *services, ("AuthPackage", "Ntlm"),
            ),
        )  # fmt: skip
        host = self._outside(home, "rpc")
        if host:
            outside = tuple(self._services(home, self._outside))
            package = ("AuthPackage", "Negotiate")
            yield pox.Protocol("EXPR", (("Server", host), ("SSL", "On"), package, *outside))

    def _services(
        self, home: Server, side: Callable[[Server, str], str]
    ) -> Iterator[tuple[str, str]]:
        for names, path in (
            (("ASUrl", "EwsUrl", "OOFUrl"), "ews"), (("EcpUrl",), "ecp"), (("OABUrl",), "oab"),
        ):  # fmt: skip
            url = side(home, path)
            if url:
                yield from ((name, url) for name in names)

    def _alternatives(self, mailbox: Mailbox) -> Iterator[pox.AlternativeMailbox]:
        """The archive, and whatever Outlook opens by itself (automapping)."""
        if mailbox.archive is not None:
            yield pox.AlternativeMailbox(
                "Archive", f"Onlinearchiv - {mailbox.display_name}",
                owner_smtp_address=mailbox.address,
                legacy_dn=self._people.legacy(mailbox) + f"/guid={mailbox.archive.guid}",
                server=f"{mailbox.archive.guid}@{mailbox.domain}",
            )  # fmt: skip
        for one in self._people.opens(mailbox):
            yield pox.AlternativeMailbox("Delegate", one.display_name, one.address, mailbox.address)

    # addresses

    def _told(self, mailbox: Mailbox) -> Server:
        """The server at which the mailbox is, as far as Autodiscover knows."""
        stale = self._world.discovery.stale.get(mailbox.number)
        if stale is not None:
            return self._people.organisation.server(stale)
        return self._people.home(mailbox)

    def _identity(self, mailbox: Mailbox) -> str:
        """The legacyExchangeDN as Autodiscover has it."""
        other = self._world.discovery.mistaken.get(mailbox.number)
        return self._people.legacy(
            mailbox if other is None else self._people.organisation.mailboxes[other]
        )

    def _inside(self, home: Server, path: str) -> str:
        return self._directories.settings(home.name, DIRECTORIES[path]).inside

    def _outside(self, home: Server, path: str) -> str:
        """Nearest first: the mailbox's server, its site, any."""
        servers = sorted(
            self._people.organisation.servers,
            key=lambda one: (one.name != home.name, one.site != home.site),
        )
        found = (self._directories.settings(one.name, DIRECTORIES[path]).outside for one in servers)
        return next(filter(None, found), "")

    # SOAP

    def _soap(self, call: Call) -> Answer:
        try:
            asked = soap.Request.decode(call.request.body)
        except BadDocument as bad:
            fault = soap.encode(soap.Fault("a:InvalidRequest", str(bad)))
            return Answer(500, fault, XML)
        users = tuple(self._user(address, asked.settings, call) for address in asked.mailboxes)
        version = soap.ServerVersion(call.server.build, "Exchange2013_SP1")
        return Answer(200, soap.encode(soap.Answers(users, version=version)), XML)

    def _user(self, address: str, wanted: tuple[str, ...], call: Call) -> soap.UserAnswer:
        mailbox = self._people.addressed(address)
        if mailbox is None:
            return soap.UserAnswer(code="InvalidUser", message=f"Invalid user '{address}'.")
        known = dict(self._settings(mailbox, call))
        listed = soap.ALTERNATE_MAILBOXES
        others = tuple(self._alternatives(mailbox)) if listed in wanted else ()
        missing = [name for name in wanted if name not in known and name != listed]
        return soap.UserAnswer(
            tuple((name, known[name]) for name in wanted if name in known),
            errors=tuple(
                soap.SettingError(name, "SettingIsNotAvailable", f"{name} is not available.")
                for name in missing
            ),
            alternative_mailboxes=others,
        )  # fmt: skip

    def _settings(self, mailbox: Mailbox, call: Call) -> Iterator[tuple[str, str]]:
        """What is known of a mailbox, by the names of SOAP."""
        home = self._told(mailbox)
        dn = self._people.places.legacy_server(self._people.mailbox_id(mailbox))
        yield "UserDisplayName", mailbox.display_name
        yield "UserDN", self._identity(mailbox)
        yield "UserDeploymentId", self._deployment
        yield "AutoDiscoverSMTPAddress", mailbox.address
        yield "MailboxDN", f"{dn}/cn=Microsoft Private MDB"
        yield "InternalMailboxServer", self._people.mailbox_id(mailbox)
        yield "InternalMailboxServerDN", dn
        yield "MailboxVersion", build_text(home.build)
        yield "CasVersion", build_text(call.server.build)
        yield "EwsSupportedSchemas", _SCHEMAS
        enabled = protocols_of.mapi_http(self._people.organisation, mailbox)
        yield "MapiHttpEnabled", str(enabled)
        for name, path in _SOAP_URLS.items():
            for side, url in (
                ("Internal", self._inside(home, path)),
                ("External", self._outside(home, path)),
            ):
                if url:
                    yield f"{side}{name}Url", url
        host = self._outside(home, "rpc")
        if host:
            yield "ExternalMailboxServer", host
            yield "ExternalMailboxServerRequiresSSL", "True"

    # V2

    def _v2(self, call: Call) -> Answer:
        """Statuses of the errors are from memory [MEM]; the JSON says it."""
        try:
            asked = v2.Request.decode(f"{call.request.path}?{urlencode(call.request.query)}")
        except BadDocument:
            return _refused(v2.MANDATORY_PARAMETER_MISSING, "The request is not valid.")
        if not asked.email:
            return _refused(v2.MANDATORY_PARAMETER_MISSING, "A valid smtp address must be provided")
        if not asked.protocol:
            return _refused(v2.MISSING_PROTOCOL, "A valid value must be provided for Protocol")
        mailbox = self._people.addressed(asked.email)
        if mailbox is None:
            return _refused("UserNotFound", f"The user {asked.email} is not found", 404)
        url = {
            v2.EWS.lower(): lambda: self._outside(self._told(mailbox), "ews"),
            v2.ACTIVE_SYNC.lower(): lambda: self._outside(self._told(mailbox), _MOBILE),
            v2.AUTODISCOVER_V1.lower(): lambda: self._directories.scp(call.front.name),
        }.get(asked.protocol.lower(), lambda: "")()
        if not url:
            text = f"The given protocol value '{asked.protocol}' is invalid."
            return _refused(v2.PROTOCOL_NOT_SUPPORTED, text)
        return Answer(200, v2.encode(v2.Found(asked.protocol, url)), JSON)


def _refused(code: str, text: str, status: int = 400) -> Answer:
    return Answer(status, v2.encode(v2.Error(code, text)), JSON)


def version_text(server: Server) -> str:
    """A build as ServerVersion of POX has it: "73C0834F" is 15.0.847 [MEM]."""
    major, minor, build, _ = server.build
    return f"{0x70000000 | major << 22 | minor << 16 | 0x8000 | build:08X}"
