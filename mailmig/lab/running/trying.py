"""Lines for a shell that ask a running lab something over each protocol, as they stand.

They are for curl, swaks and dig, from the folder in which the lab was started. curl speaks NTLM
without a channel binding: where Extended Protection requires one, there is no line for it.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.running.folder import AUTHORITY
from mailmig.lab.running.layout import DNS, HTTPS, SMTP
from mailmig.lab.running.whole import Lab
from mailmig.lab.running.zones import answering, client_addresses
from mailmig.lab.web.directories import DIRECTORIES
from mailmig.lab.web.people import password
from mailmig.lab.wsman.bindings import TokenChecking
from mailmig.model.directory import Kind
from mailmig.wire.autodiscover import pox, soap, v2

_EWS: Final = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body><m:GetFolder>'
    "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds>"
    '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></s:Body></s:Envelope>'
)
_XML: Final = "Content-Type: text/xml; charset=utf-8"
_OUTSIDER: Final = "probe@out.example"


@dataclass(frozen=True, slots=True)
class Trial:
    """A line, and what it asks: "EWS, inside: the inbox of anna@town.example"."""

    what: str
    line: str


def trials(lab: Lab) -> Iterator[Trial]:
    """One line per protocol, those through the gateways outside last."""
    inside = _Curl(lab, "inside", client_addresses(lab.organisation, lab.layout)[0])
    outside = _Curl(lab, "outside", lab.layout.web_gateways[0].address)
    somebody = next(
        (one for one in lab.organisation.present(Kind.USER) if one.last_logon is not None), None
    )
    yield inside.health()
    if somebody is not None:
        yield from _of_mailbox(inside, somebody)
    yield inside.owa()
    yield from _names(lab, inside=True)
    if somebody is not None:
        yield _mail(lab, somebody, inside=True)
    yield outside.health()
    if somebody is not None:
        yield from (outside.ews(somebody), outside.json(somebody))
        yield from outside.mapi(somebody)
    yield from _names(lab, inside=False)
    if somebody is not None:
        yield _mail(lab, somebody, inside=False)


def _of_mailbox(curl: "_Curl", somebody: Mailbox) -> Iterator[Trial]:
    yield curl.ews(somebody)
    yield from curl.autodiscover(somebody)
    yield curl.json(somebody)
    yield from curl.mapi(somebody)
    yield curl.activesync(somebody)
    yield from curl.address_book(somebody)
    yield from curl.rpc(somebody)


@dataclass(frozen=True, slots=True)
class _Curl:
    """Asks under the name that clients use; `side` is where from, `address` where it leads then."""

    lab: Lab
    side: str
    address: str

    def health(self) -> Trial:
        what = "the health of MAPI over HTTP"
        return Trial(f"health, {self.side}: {what}", self._line("/mapi/healthcheck.htm"))

    def owa(self) -> Trial:
        line = self._line("/owa/", "-w", r"%{http_code} %{redirect_url}\n")
        return Trial(f"OWA, {self.side}: where its logon page is", line)

    def ews(self, somebody: Mailbox) -> Trial:
        line = self._line("/EWS/Exchange.asmx", *_ntlm(self.lab, somebody), "-H", _XML, "-d", _EWS)
        return Trial(f"EWS, {self.side}: the inbox of {somebody.address}", line)

    def autodiscover(self, somebody: Mailbox) -> Iterator[Trial]:
        """POX, with the MAPI/HTTP block, and SOAP."""
        who = _ntlm(self.lab, somebody)
        body = _one_line(pox.Request(somebody.address).encode())
        capable = f"{pox.CAPABILITY[0]}: {pox.CAPABILITY[1]}"
        path = "/autodiscover/autodiscover"
        line = self._line(f"{path}.xml", *who, "-H", _XML, "-H", capable, "-d", body)
        what = f"where {somebody.address} is"
        yield Trial(f"Autodiscover POX, {self.side}: {what}", line)
        body = _one_line(soap.Request((somebody.address,), ("InternalEwsUrl", "UserDN")).encode())
        line = self._line(f"{path}.svc", *who, "-H", _XML, "-d", body)
        yield Trial(f"Autodiscover SOAP, {self.side}: {what}", line)

    def json(self, somebody: Mailbox) -> Trial:
        line = self._line(v2.Request(somebody.address, v2.EWS).encode())
        return Trial(f"Autodiscover V2, {self.side}: EWS of {somebody.address}", line)

    def mapi(self, somebody: Mailbox) -> Iterator[Trial]:
        """PING of the mailbox's endpoint; it says whether somebody is let in, and no more."""
        if self._needs_binding("mapi"):
            return
        own = guid(self.lab.organisation.seed, "trial")
        headers = (
            "Content-Type: application/mapi-http", "X-RequestType: PING",
            f"X-RequestId: {{{own.upper()}}}:1", f"X-ClientInfo: {{{own.upper()}}}:1",
            "X-ClientApplication: Outlook/16.0.4266.1001",
        )  # fmt: skip
        words = [word for header in headers for word in ("-H", header)]
        path = f"/mapi/emsmdb/?MailboxId={somebody.exchange_guid}@{somebody.domain}"
        line = self._line(path, "-i", *_ntlm(self.lab, somebody), *words, "-d", "")
        yield Trial(f"MAPI over HTTP, {self.side}: PING as {somebody.address}", line)

    def activesync(self, somebody: Mailbox) -> Trial:
        path = "/Microsoft-Server-ActiveSync"
        line = self._line(path, "-i", "-X", "OPTIONS", "--basic", *_user(self.lab, somebody))
        return Trial(f"ActiveSync, {self.side}: OPTIONS as {somebody.address}", line)

    def address_book(self, somebody: Mailbox) -> Iterator[Trial]:
        if self._needs_binding("oab"):
            return
        for own in self.lab.web.address_books.ids():
            line = self._line(f"/OAB/{own}/oab.xml", *_ntlm(self.lab, somebody))
            yield Trial(f"OAB, {self.side}: the files of the offline address book", line)

    def rpc(self, somebody: Mailbox) -> Iterator[Trial]:
        if self._needs_binding("rpc"):
            return
        path = f"/rpc/rpcproxy.dll?{somebody.exchange_guid}@{somebody.domain}:6001"
        words = ("-X", "RPC_IN_DATA", *_ntlm(self.lab, somebody), "-o", "/dev/null")
        line = self._line(path, *words, "-w", r"%{http_code}\n")
        yield Trial(f"RPC over HTTP, {self.side}: the echo", line)

    def _needs_binding(self, directory: str) -> bool:
        """Whether a logon of curl is refused: the first server that answers requires a binding."""
        server = answering(self.lab.organisation)[0]
        settings = self.lab.web.directories.settings(server, DIRECTORIES[directory])
        return settings.checking is TokenChecking.REQUIRE

    def _line(self, path: str, *words: str) -> str:
        name, port = self.lab.organisation.namespace, self.lab.layout.port(HTTPS)
        return shlex.join(
            (
                "curl", "-sS", "--cacert", str(self.lab.folder / AUTHORITY),
                "--resolve", f"{name}:{port}:{self.address}", *words,
                f"https://{name}:{port}{path}",
            )
        )  # fmt: skip


def _ntlm(lab: Lab, somebody: Mailbox) -> tuple[str, ...]:
    return ("--ntlm", *_user(lab, somebody))


def _user(lab: Lab, somebody: Mailbox) -> tuple[str, str]:
    name = rf"{lab.organisation.netbios}\{somebody.account}"
    return "-u", f"{name}:{password(somebody.account).reveal()}"


def _one_line(document: bytes) -> str:
    return document.decode().replace("\n", "")


def _names(lab: Lab, *, inside: bool) -> Iterator[Trial]:
    """What DNS says of the clients' name, and from outside where mail goes."""
    machine = lab.layout.resolvers[0] if inside else lab.layout.outside
    side = "inside" if inside else "outside"
    name, domain = lab.organisation.namespace, lab.organisation.mail_domains[0]
    port = str(lab.layout.port(DNS))
    dig = ("dig", f"@{machine.address}", "-p", port, "+short")
    yield Trial(f"DNS, {side}: {name}", shlex.join((*dig, name, "A")))
    yield Trial(f"DNS, {side}: who takes mail for {domain}", shlex.join((*dig, domain, "MX")))


def _mail(lab: Lab, somebody: Mailbox, *, inside: bool) -> Trial:
    """A message from somebody outside, to an Exchange server or to the gateway before it."""
    layout = lab.layout
    server = lab.organisation.server(answering(lab.organisation)[0])
    nodes = (one for one in layout.exchange if one.name == server.fqdn)
    machine = next(nodes) if inside else layout.gateway
    line = shlex.join(
        (
            "swaks", "--server", f"{machine.address}:{layout.port(SMTP)}", "--from", _OUTSIDER,
            "--to", somebody.address, "--tls", "--tls-verify",
            "--tls-ca-path", str(lab.folder / AUTHORITY),
        )
    )  # fmt: skip
    what = f"a message to {somebody.address}"
    return Trial(f"SMTP, {'inside: ' if inside else 'outside: '}{what} by {machine.name}", line)
