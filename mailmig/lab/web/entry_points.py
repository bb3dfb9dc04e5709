"""OWA, ECP, OAB, ActiveSync and RPC over HTTP: as far as a probe of their entry points goes.

What healthy ones answer stands in protocols.md 3. OWA and ECP let nobody further than the logon
page, unless an admin has taken the form away; ActiveSync knows OPTIONS, RPC over HTTP its echo
request [MEM: MS-RPCH's echo of 20 bytes]. What would need more is refused with 501.
"""

import re
from typing import Final
from xml.sax.saxutils import escape

from mailmig.lab.cultures import ENGLISH
from mailmig.lab.mail_flow import MailFlow
from mailmig.lab.population import Mailbox
from mailmig.lab.web.messages import HTML, XML, Answer, Call, Request
from mailmig.lab.web.people import People
from mailmig.model.directory import Kind
from mailmig.model.organisation import build_text

_OLD_VERSIONS: Final = "2.0,2.1,2.5,12.0,12.1,14.0,14.1"
_COMMANDS: Final = (
    "Sync,SendMail,SmartForward,SmartReply,GetAttachment,FolderSync,FolderCreate,FolderDelete,"
    "FolderUpdate,MoveItems,GetItemEstimate,MeetingResponse,Search,Settings,Ping,ItemOperations,"
    "Provision,ResolveRecipients,ValidateCert"
)
_RPC_METHODS: Final = ("RPC_IN_DATA", "RPC_OUT_DATA")
# Up to so many bytes it is an echo request; the answer is an RTS packet with the flag ECHO [MEM].
_ECHO_LENGTH: Final = 0x10
_ECHO: Final = bytes.fromhex("0500140310000000140000000000000040000000")
_BOOK: Final = re.compile(r"([0-9a-f-]{36})/oab\.xml")
_PAGE: Final = b"<!DOCTYPE html><html><head><title>Outlook</title></head><body></body></html>"


class _OfCaller:
    """Requests go to the caller's own mailbox."""

    def anonymous(self, request: Request) -> bool:
        return False

    def mailbox(self, call: Call) -> Mailbox | None:
        return call.mailbox


class WebPages(_OfCaller):
    """OWA and ECP behind the logon page; 403 for who may not use them [MEM]."""

    def answer(self, call: Call) -> Answer:
        build = ("X-OWA-Version", build_text(call.server.build))
        if call.mailbox is None or not self._may(call.request, call.mailbox):
            return Answer(403, kind=HTML, headers=(build,))
        return Answer(200, _PAGE, HTML, (build,))

    def _may(self, request: Request, mailbox: Mailbox) -> bool:
        own = mailbox.protocols
        return own.ecp if request.directory == "ecp" else own.owa


class ActiveSync(_OfCaller):
    """OPTIONS with credentials; 403 without a mailbox, or one that may not [MS-ASHTTP 3.2.5.2]."""

    def answer(self, call: Call) -> Answer:
        build = call.server.build
        version = ("MS-Server-ActiveSync", f"{build[0]}.{build[1]}")
        if call.mailbox is None or not call.mailbox.protocols.active_sync:
            return Answer(403, headers=(version,))
        if call.request.method != "OPTIONS":
            return Answer(501, headers=(version,))
        newer = {"2013": "", "2016": ",16.0,16.1"}.get(call.server.version, ",16.0,16.1")
        return Answer(
            200,
            headers=(
                version, ("MS-ASProtocolVersions", _OLD_VERSIONS + newer),
                ("MS-ASProtocolCommands", _COMMANDS), ("Allow", "OPTIONS,POST"),
                ("Public", "OPTIONS,POST"),
            ),
        )  # fmt: skip


class AddressBooks(_OfCaller):
    """The offline address book: its list of files, on the server that serves it."""

    def __init__(self, people: People) -> None:
        self._people = people
        objects = MailFlow(people.organisation, people.places, ENGLISH).files()
        self._books = objects["offline_address_books"]

    def ids(self) -> tuple[str, ...]:
        """Under which name each is served."""
        return tuple(str(live["Guid"]) for _, live in self._books())

    def mailbox(self, call: Call) -> Mailbox | None:
        """It lies where its organisation mailbox is."""
        return next(self._people.organisation.present(Kind.ARBITRATION), None)

    def answer(self, call: Call) -> Answer:
        found = _BOOK.fullmatch(call.request.rest)
        for text, live in self._books():
            if found is not None and str(live["Guid"]) == found[1]:
                content = (
                    f'<?xml version="1.0" encoding="utf-8"?><OAB><OAL id="{found[1]}" '
                    f'dn="/" name="{escape(text)}"><Full seq="1" ver="32" size="0" '
                    'uncompressedsize="0"></Full></OAL></OAB>'
                )
                return Answer(200, content.encode(), XML)
        return Answer(404, b"", HTML)


class RpcProxy:
    """RPC over HTTP: the channel's echo, to the mailbox that the query names."""

    def __init__(self, people: People) -> None:
        self._people = people

    def anonymous(self, request: Request) -> bool:
        return False

    def mailbox(self, call: Call) -> Mailbox | None:
        """The query is `<mailbox GUID>@<domain>:6001`."""
        named = next(iter(call.request.query), "").partition("@")[0]
        return self._people.known(named) if named else call.mailbox

    def answer(self, call: Call) -> Answer:
        if call.request.rest != "rpcproxy.dll":
            return Answer(404, b"", HTML)
        if call.request.method not in _RPC_METHODS:
            return Answer(405, headers=(("Allow", ",".join(_RPC_METHODS)),))
        if len(call.request.body) > _ECHO_LENGTH:
            return Answer(501)
        return Answer(200, _ECHO, "application/rpc")
