"""Session contexts: what a server remembers of a client between two requests (protocols.md 1.4).

A context belongs to one server, one endpoint, one account and one mailbox in the URL. Two cookies
lead to it: `MapiContext` names it and is signed, `MapiSequence` grows with each answer, so that of
two requests with the same one the second is refused. Names are those of Microsoft's example; paths
and contents are the lab's own [MEM]. Contexts expire by the real clock, as clients live by it.

Which code an account gets that finds somebody else's context is told twice: 10 by the rule for
sessions, 11 by the table of codes (protocols.md 1.3). Here it is 10.
"""

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from mailmig.lab.population import Mailbox
from mailmig.lab.web.messages import Call
from mailmig.wire.mapihttp.codes import Endpoint, ResponseCode
from mailmig.wire.mapihttp.cookies import Jar, read_cookie, set_cookie
from mailmig.wire.mapihttp.octets import BadMapi

CONTEXT, SEQUENCE = "MapiContext", "MapiSequence"
# A context that nobody uses dies after so long [MEM], or when there are so many younger ones.
IDLE_S: Final = 15 * 60.0
MOST: Final = 10_000
_NAME: Final = re.compile(r"MAPI([0-9a-f]{24})([0-9a-f]{16})")
_NUMBER: Final = re.compile(r"[0-9]{1,9}-[0-9a-f]{8}")


class Refused(Exception):
    """A request gets this X-ResponseCode and no more."""

    def __init__(self, code: ResponseCode, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


@dataclass(slots=True)
class Context:
    """One session context. `session` is what the endpoint keeps in it.

    `database` is where the URL's mailbox lived at first, `started` when the server's IIS began: once
    one of them is another, the context is dead.
    """

    name: str
    endpoint: Endpoint
    server: str
    account: str
    mailbox: Mailbox | None
    database: str
    started: object
    session: Any
    used: float
    busy_until: float = 0.0
    count: int = 0
    salt: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def sequence(self) -> str:
        return f"{self.count}-{self.salt}"


class Contexts:
    """The contexts of all servers; hold the world's lock.

    `started` tells when the IIS of a server began; `clock` is seconds of ours.
    """

    def __init__(
        self, started: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._started = started
        self.idle_s = IDLE_S
        self._key = secrets.token_bytes(16)
        # The one that was used longest ago comes first.
        self._known: OrderedDict[str, Context] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def open(
        self, call: Call, endpoint: Endpoint, mailbox: Mailbox | None, session: Any
    ) -> Context:
        """A new context on the server that answers."""
        self._expire()
        assert call.caller is not None
        context = Context(
            secrets.token_hex(12), endpoint, call.server.name, call.caller.name.lower(), mailbox,
            "" if mailbox is None else mailbox.database, self._started(call.server.name), session,
            self.clock(),
        )  # fmt: skip
        self._known[context.name] = context
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return context

    def find(self, call: Call, endpoint: Endpoint, mailbox: Mailbox | None) -> Context:
        """The context of a request, and its turn. Raises `Refused`."""
        jar = _jar(call)
        context = self._named(jar, call, endpoint, mailbox)
        shown = jar.get(SEQUENCE)
        if shown is None:
            raise Refused(ResponseCode.MISSING_COOKIE, f"{SEQUENCE} is missing")
        if not _NUMBER.fullmatch(shown):
            raise Refused(ResponseCode.INVALID_CONTEXT_COOKIE, f"{SEQUENCE} is malformed")
        if shown != context.sequence or self.clock() < context.busy_until:
            raise Refused(ResponseCode.INVALID_SEQUENCE, "another request came before this one")
        self._touch(context)
        return context

    def refresh(self, call: Call, endpoint: Endpoint, mailbox: Mailbox | None) -> Context | None:
        """PING keeps a context alive, out of turn; None when its cookies lead to none."""
        try:
            context = self._named(_jar(call), call, endpoint, mailbox)
        except Refused:
            return None
        self._touch(context)
        return context

    def close(self, context: Context) -> None:
        """The context is dead."""
        self._known.pop(context.name, None)

    def answered(self, context: Context, takes_s: float) -> tuple[str, ...]:
        """The `Set-Cookie` values of an answer that takes so long to be sent."""
        context.count += 1
        context.busy_until = self.clock() + takes_s
        path = f"/mapi/{context.endpoint.value}"
        name = f"MAPI{context.name}{self._signature(context.name)}"
        return set_cookie(CONTEXT, name, path), set_cookie(SEQUENCE, context.sequence, path)

    def _named(self, jar: Jar, call: Call, endpoint: Endpoint, mailbox: Mailbox | None) -> Context:
        """The context that the cookies name, if it is alive and the caller's. Raises `Refused`."""
        shown = jar.get(CONTEXT)
        if shown is None:
            raise Refused(ResponseCode.MISSING_COOKIE, f"{CONTEXT} is missing")
        found = _NAME.fullmatch(shown)
        if found is None or not secrets.compare_digest(found[2], self._signature(found[1])):
            raise Refused(ResponseCode.INVALID_CONTEXT_COOKIE, f"{CONTEXT} is not of this server")
        self._expire()
        context = self._known.get(found[1])
        if context is None or context.server != call.server.name:
            raise Refused(ResponseCode.CONTEXT_NOT_FOUND, "there is no such session context")
        if context.endpoint is not endpoint:
            raise Refused(
                ResponseCode.INVALID_CONTEXT_COOKIE, f"{CONTEXT} is of the other endpoint"
            )
        assert call.caller is not None
        if context.account != call.caller.name.lower() or context.mailbox is not mailbox:
            raise Refused(ResponseCode.CONTEXT_NOT_FOUND, "the session context is somebody else's")
        moved = mailbox is not None and mailbox.database != context.database
        if moved or context.started != self._started(context.server):
            self.close(context)
            raise Refused(ResponseCode.CONTEXT_NOT_FOUND, "mailbox or server changed since")
        return context

    def _touch(self, context: Context) -> None:
        context.used = self.clock()
        self._known.move_to_end(context.name)

    def _expire(self) -> None:
        oldest = self.clock() - self.idle_s
        while self._known and next(iter(self._known.values())).used < oldest:
            self._known.popitem(last=False)

    def _signature(self, name: str) -> str:
        return hashlib.blake2b(name.encode(), key=self._key, digest_size=8).hexdigest()


def _jar(call: Call) -> Jar:
    try:
        return read_cookie(call.request.headers.get("cookie", ""))
    except BadMapi as bad:
        raise Refused(ResponseCode.INVALID_CONTEXT_COOKIE, str(bad)) from None
