"""MAPI over HTTP of a back end: the head of a request, its turn, the frame of the answer.

Failures of the protocol are 200 with another X-ResponseCode than 0 and a page (protocols.md 1.3);
what a front end finds out by itself is a status of HTTP: 404 for a mailbox that nobody knows, as
its routing has it [MEM]. PING asks for no session and never fails for its cookies [MEM].

The answer is worked out at once and sent as slowly as the switches say; meanwhile its session is
busy. Which header carries the service code of a failed Execute is from memory [MEM].
"""

import time
from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape

from mailmig.lab import services
from mailmig.lab.population import Mailbox
from mailmig.lab.web.directories import DIRECTORIES, IIS, NTLM, Directories
from mailmig.lab.web.mapi.contexts import Context, Contexts, Refused
from mailmig.lab.web.mapi.emsmdb import Mailboxes
from mailmig.lab.web.mapi.nspi import AddressBook
from mailmig.lab.web.mapi.switches import MapiSwitches
from mailmig.lab.web.messages import HTML, Answer, Call, Chunk, Headers, Request
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.wire.autodiscover.pox import MapiHttp
from mailmig.wire.mapihttp import frame
from mailmig.wire.mapihttp.codes import Endpoint, RequestType, ResponseCode, response_code_name
from mailmig.wire.mapihttp.head import (
    BadRequestHead,
    RequestHead,
    ResponseHead,
    read_mailbox_id,
)
from mailmig.wire.mapihttp.octets import BODY_LIMIT, BadMapi

# 2013 SP1 brought it, and asked for a sign of life twice as often; so did 2016 as it came out.
FIRST_BUILD: Final = (15, 0, 847, 32)
_SHORT_PERIODS: Final = ((15, 0, 847), (15, 1, 225))
_SHORT_MS, _LONG_MS = 15_000, 30_000
_RPC_UNAVAILABLE: Final = "1722"
_MAPI: Final = DIRECTORIES["mapi"]


class MapiService:
    """MAPI over HTTP of all servers of a world; `urls` tells where clients reach a mailbox."""

    def __init__(
        self,
        world: World,
        people: People,
        directories: Directories,
        urls: Callable[[Mailbox], MapiHttp | None],
    ) -> None:
        self._world = world
        self._people = people
        self._directories = directories
        self.contexts = Contexts(lambda server: services.started(world.conditions(server), IIS))
        self._requests = {
            Endpoint.MAILBOX: Mailboxes(world, people, self.contexts).requests,
            Endpoint.ADDRESS_BOOK: AddressBook(people, self.contexts, urls).requests,
        }

    def anonymous(self, request: Request) -> bool:
        return False

    def mailbox(self, call: Call) -> Mailbox | None:
        """The mailbox in the URL, else the caller's own."""
        named = call.request.query.get("mailboxid", "")
        return self._people.known(named.partition("@")[0]) if named else call.mailbox

    def answer(self, call: Call) -> Answer:
        try:
            endpoint = Endpoint(call.request.rest)
        except ValueError:
            return Answer(404, b"", HTML)
        if call.server.build < FIRST_BUILD:
            return Answer(404, b"", HTML)
        begun = time.monotonic()
        try:
            head = self._head(call, endpoint)
            target = self.mailbox(call)
            if target is None and "mailboxid" in call.request.query:
                return Answer(
                    404, b"", HTML, (("X-CasErrorCode", "MailboxGuidWithDomainNotFound"),)
                )
            if head.request_type is RequestType.EXECUTE and self._is_broken(call):
                return Answer(500, b"", HTML, (("X-ServiceCode", _RPC_UNAVAILABLE),))
            return self._answered(call, endpoint, head, target, begun)
        except Refused as refused:
            return self._refused(call, refused.code, refused.why)
        except BadRequestHead as bad:
            return self._refused(call, bad.response_code, str(bad))
        except BadMapi as bad:
            return self._refused(call, ResponseCode.INVALID_BODY, str(bad))

    def _head(self, call: Call, endpoint: Endpoint) -> RequestHead:
        """Raises `Refused`, `BadRequestHead`."""
        request = call.request
        if request.method != "POST":
            raise Refused(ResponseCode.INVALID_VERB, f"{request.method} is not POST")
        if "mailboxid" in request.query:
            read_mailbox_id(f"mailboxid={request.query['mailboxid']}")
        head = RequestHead.read(request.headers.items())
        known = head.request_type in self._requests[endpoint]
        if not known and head.request_type is not RequestType.PING:
            why = f"{head.request_type} is not a request of {endpoint}"
            raise Refused(ResponseCode.INVALID_REQUEST_TYPE, why)
        if len(request.body) > BODY_LIMIT:
            raise Refused(ResponseCode.TOO_LARGE, f"a body of {len(request.body):,} bytes")
        return head

    def _is_broken(self, call: Call) -> bool:
        """Whether the server in front cannot hand an Execute on.

        To a server of another version it needs NTLM there (protocols.md 1.8.1). That is told of
        2013, which does not offer it by itself; of newer ones the lab takes the same [MEM].
        """
        if call.front.version == call.server.version:
            return False
        return NTLM not in self._directories.settings(call.server.name, _MAPI).schemes

    def _answered(
        self,
        call: Call,
        endpoint: Endpoint,
        head: RequestHead,
        target: Mailbox | None,
        begun: float,
    ) -> Answer:
        """Raises `Refused`, `BadMapi`."""
        if head.request_type is RequestType.PING:
            body, context = b"", self.contexts.refresh(call, endpoint, target)
            cookies: tuple[str, ...] = ()
            takes_s = 0.0
        else:
            body, context = self._requests[endpoint][head.request_type](call, target)
            executes = head.request_type is RequestType.EXECUTE
            takes_s = self._switches(call).delay_s if executes else 0.0
            cookies = () if context is None else self.contexts.answered(context, takes_s)
        elapsed_ms = round((time.monotonic() - begun + takes_s) * 1000)
        times = frame.times(elapsed_ms, self._world.now)
        return self._framed(call, head, body, times, takes_s).having(
            *self._headers(call, head, context),
            *(("Set-Cookie", cookie) for cookie in cookies),
        )

    def _framed(
        self,
        call: Call,
        head: RequestHead,
        body: bytes,
        times: Headers,
        takes_s: float,
    ) -> Answer:
        """PROCESSING, a PENDING for each period that passes, DONE; one chunk each."""
        switches = self._switches(call)
        late = switches.late_code if head.request_type is RequestType.EXECUTE else None
        if late is not None:
            times = ((frame.RESPONSE_CODE, str(late)), *times)
            body = _page(late, "it failed after it had begun")
        period_s = self._period_ms(call) / 1000
        pending = int(takes_s / period_s) if takes_s else 0
        chunks = (
            Chunk(frame.PROCESSING),
            *(Chunk(frame.PENDING, period_s) for _ in range(pending)),
            Chunk(frame.done(body, times), takes_s - pending * period_s),
        )
        if switches.content_length:  # then nothing is sent before the end
            whole = b"".join(chunk.data for chunk in chunks)
            return Answer(200, whole, after_s=takes_s)
        return Answer(200, chunks=chunks)

    def _refused(self, call: Call, code: ResponseCode, why: str) -> Answer:
        """A page; the head is repeated as far as it can be read."""
        headers = call.request.headers
        said = ResponseHead(
            code, headers.get("x-requesttype"), headers.get("x-requestid"),
            headers.get("x-clientinfo"), application(call.server.build),
        )  # fmt: skip
        return Answer(200, _page(code, why), headers=said.headers())

    def _headers(self, call: Call, head: RequestHead, context: Context | None) -> Headers:
        life_ms = None if context is None else round(self.contexts.idle_s * 1000)
        return ResponseHead(
            ResponseCode.SUCCESS, head.request_type, head.request_id, head.client_info,
            application(call.server.build), self._period_ms(call), life_ms,
        ).headers()  # fmt: skip

    def _switches(self, call: Call) -> MapiSwitches:
        return self._world.conditions(call.server.name).mapi

    def _period_ms(self, call: Call) -> int:
        given = self._switches(call).pending_period_ms
        if given is not None:
            return given
        return _SHORT_MS if call.server.build[:3] in _SHORT_PERIODS else _LONG_MS


def application(build: tuple[int, int, int, int]) -> str:
    """X-ServerApplication: "Exchange/15.02.2562.017"."""
    return "Exchange/{:d}.{:02d}.{:04d}.{:03d}".format(*build)


def _page(code: int, why: str) -> bytes:
    text = f"X-ResponseCode: {response_code_name(code)}; {why}"
    return f"<html><body>{escape(text)}</body></html>".encode("latin-1", "replace")
