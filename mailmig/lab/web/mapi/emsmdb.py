"""The mailbox endpoint: Connect, Execute, Disconnect (protocols.md 1.6)."""

from collections.abc import Callable
from typing import Final

from mailmig.lab import protocols_of
from mailmig.lab.population import Mailbox
from mailmig.lab.web.mapi.contexts import Context, Contexts
from mailmig.lab.web.mapi.rops import Redirects, Rops, RpcFault, Session
from mailmig.lab.web.messages import Call
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp.codes import Endpoint, ErrorCode, RequestType
from mailmig.wire.mapihttp.octets import BadMapi
from mailmig.wire.mapihttp.rop_buffer import RopRequests

_ADMIN: Final = 0x1
# The role that carries the right to use any mailbox as an administrator.
_ADMINS: Final = "Organization Management"
_RPC_HEADER: Final = 8

Done = tuple[bytes, Context | None]


class Mailboxes:
    """What `/mapi/emsmdb` does; each method gives the body and the context that goes on."""

    def __init__(self, world: World, people: People, contexts: Contexts) -> None:
        self._world = world
        self._people = people
        self._contexts = contexts
        self._redirects = Redirects(lambda: contexts.clock())
        self.requests: dict[RequestType, Callable[[Call, Mailbox | None], Done]] = {
            RequestType.CONNECT: self._connect,
            RequestType.EXECUTE: self._execute,
            RequestType.DISCONNECT: self._disconnect,
        }

    def _connect(self, call: Call, target: Mailbox | None) -> Done:
        """A session that is refused has no context."""
        asked = bodies.ConnectRequest.decode(call.request.body)
        code = self._refusal(call, asked)
        if code or call.mailbox is None:
            return bodies.ConnectResponse(code).encode(), None
        session = Session(call.mailbox, asked.code_page, self._is_admin(call))
        context = self._contexts.open(call, Endpoint.MAILBOX, target, session)
        answer = bodies.ConnectResponse(display_name=call.mailbox.display_name)
        return answer.encode(), context

    def _refusal(self, call: Call, asked: bodies.ConnectRequest) -> int:
        """0, or why the caller may not connect."""
        if 0 < len(asked.auxiliary) < _RPC_HEADER:
            return ErrorCode.ecRpcFailed
        if not asked.user_dn:
            return ErrorCode.ecAccessDenied
        user = self._people.with_legacy(asked.user_dn)
        if user is None:
            return ErrorCode.ecUnknownUser
        if user is not call.mailbox:
            return ErrorCode.ecAccessDenied
        if asked.flags & _ADMIN and not self._is_admin(call):
            return ErrorCode.ecLoginPerm
        if not protocols_of.mapi_http(self._people.organisation, user):
            return ErrorCode.ecProtocolDisabled
        return 0

    def _is_admin(self, call: Call) -> bool:
        return call.caller is not None and _ADMINS in call.caller.roles

    def _execute(self, call: Call, target: Mailbox | None) -> Done:
        context = self._contexts.find(call, Endpoint.MAILBOX, target)
        asked = bodies.ExecuteRequest.decode(call.request.body)
        return self._executed(call, context.session, asked).encode(), context

    def _executed(
        self, call: Call, session: Session, asked: bodies.ExecuteRequest
    ) -> bodies.ExecuteResponse:
        smallest = min(len(asked.rop_buffer), asked.max_rop_out)
        largest = max(len(asked.rop_buffer), asked.max_rop_out)
        if smallest < bodies.LEAST_ROP_BUFFER:
            return bodies.ExecuteResponse(error_code=ErrorCode.ecRpcFailed)
        if largest > bodies.MOST_ROP_BUFFER:
            return bodies.ExecuteResponse(error_code=ErrorCode.rpcBadStubData)
        try:
            requests = RopRequests.decode(asked.rop_buffer)
        except BadMapi:
            return bodies.ExecuteResponse(error_code=ErrorCode.ecRpcFormat)
        work = Rops(self._world, self._people, self._redirects, call, session)
        try:
            return bodies.ExecuteResponse(work.run(requests, asked.max_rop_out).encode())
        except RpcFault as fault:
            return bodies.ExecuteResponse(error_code=fault.code)

    def _disconnect(self, call: Call, target: Mailbox | None) -> Done:
        context = self._contexts.find(call, Endpoint.MAILBOX, target)
        bodies.DisconnectRequest.decode(call.request.body)
        self._contexts.close(context)
        return bodies.DisconnectResponse().encode(), None
