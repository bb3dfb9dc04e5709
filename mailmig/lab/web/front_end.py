"""The front end of one Exchange server: an ASGI application for its ports 443 and 80.

    front = FrontEnd(world, "LS-EX1", accounts, PROTOCOLS, remote_powershell)

It answers healthcheck.htm by itself, from the state of the components, lets people log on as the
virtual directory says, and hands each request to the server on which the mailbox's database is
active, in whatever site and version. Its headers say who was who: `X-FEServer` is the front end,
`X-BEServer` and `X-CalculatedBETarget` the back end (protocols.md 1.3). Remote PowerShell listens
on the same ports and has a protocol layer of its own, which gets its path untouched.

A back end that is off refuses the front end's connection, one that hangs or has no network lets it
wait: the client gets 503 [MEM: which status is not established]. In the lab both ends live in one
process, so nobody listens on port 444.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, Protocol, TypeVar
from urllib.parse import quote

from mailmig.lab.accounts import Account, Accounts
from mailmig.lab.machines import Reach
from mailmig.lab.population import Mailbox
from mailmig.lab.web.conditions import WebConditions, serve
from mailmig.lab.web.directories import DIRECTORIES, Directories, Directory
from mailmig.lab.web.messages import (
    HTML,
    Answer,
    Call,
    Request,
    receive_request,
    send_answer,
)
from mailmig.lab.web.people import People
from mailmig.lab.world import World
from mailmig.lab.wsman.authentication import Doorkeeper
from mailmig.lab.wsman.listening import Application, Connection, Receive, Scope, Send
from mailmig.model.organisation import Server, build_text

HEALTHCHECK: Final = "healthcheck.htm"
POWERSHELL: Final = "powershell"
# Where servers take what front ends of others hand on.
BACK_END: Final = 444
# Windows gives up to connect after 21 s: three tries of 3, 6 and 12 s [MEM].
GIVES_UP_S: Final = 21.0
_POWERED: Final = ("X-Powered-By", "ASP.NET")
_T = TypeVar("_T")


class BackEnd(Protocol):
    """One protocol behind the front end; the same object serves every server."""

    def anonymous(self, request: Request) -> bool:
        """Whether nobody has to log on for this."""

    def mailbox(self, call: Call) -> Mailbox | None:
        """Whose mailbox decides where the request goes; None: it stays on the server."""

    def answer(self, call: Call) -> Answer:
        """What the server `call.server` answers; called in a thread, with the world's lock held."""


class FrontEnd:
    """The application of one server."""

    def __init__(
        self,
        world: World,
        server: str,
        accounts: Accounts,
        people: People,
        directories: Directories,
        back_ends: Mapping[str, BackEnd],
        remote_powershell: Application,
    ) -> None:
        self._world = world
        self._name = server
        self._accounts = accounts
        self._people = people
        self._directories = directories
        self._back_ends = back_ends
        self._remote_powershell = remote_powershell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        directory = scope["path"].lower().lstrip("/").partition("/")[0]
        condition = self._web.now(directory)
        await serve(condition, self._serve, scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        directory = scope["path"].lower().lstrip("/").partition("/")[0]
        if directory == POWERSHELL and not scope["path"].lower().rstrip("/").endswith(HEALTHCHECK):
            if self._stopped(DIRECTORIES[POWERSHELL]):
                await send_answer(send, _unavailable())
            else:
                await self._remote_powershell(scope, receive, send)
            return
        request = await receive_request(scope, receive)
        if request is None:
            return
        began = self._world.now
        answer = await self._answer(request, scope["state"]["connection"])
        self._world.logs.served(self._name, scope, request, answer, began)
        await send_answer(send, answer, head_only=request.method == "HEAD")

    @property
    def _web(self) -> WebConditions:
        return self._world.conditions(self._name).web

    @property
    def _server(self) -> Server:
        return self._world.organisation.server(self._name)

    async def _answer(self, request: Request, connection: Connection) -> Answer:
        directory = DIRECTORIES.get(request.directory)
        if not request.secure:
            return _page(403, "Forbidden: SSL required.")
        if not request.path.strip("/"):
            return Answer(302, headers=(("Location", f"https://{request.host}/owa/"),))  # [MEM]
        if directory is None:
            return _page(404, "Not Found")
        if self._stopped(directory):
            return _unavailable()
        if request.rest == HEALTHCHECK and request.method in ("GET", "HEAD"):
            return self._healthcheck(directory)
        if request.too_large:
            return _page(413, "Request Entity Too Large")
        answer = await self._let_in(directory, request, connection)
        return answer.having(
            ("request-id", str(uuid.uuid4())), ("X-FEServer", self._name), _POWERED
        )

    def _stopped(self, directory: Directory) -> bool:
        return not self._directories.pool_runs(self._name, directory.front_pool)

    def _healthcheck(self, directory: Directory) -> Answer:
        """In maintenance it is not 200; it names the server that answers (health.md 2.6)."""
        if not self._directories.is_healthy(self._name, directory):
            return _unavailable()
        text = f"200 OK<br/>{self._server.fqdn}"
        return Answer(200, text.encode(), HTML, (("X-FEServer", self._name), _POWERED))

    async def _let_in(
        self, directory: Directory, request: Request, connection: Connection
    ) -> Answer:
        """Who is it? Then to the back end; without a logon a form or a challenge."""
        back_end = self._back_ends.get(directory.path)
        if back_end is None:
            return _page(404, "Not Found")
        if back_end.anonymous(request):
            return await self._proxied(directory, back_end, request, None)
        if self._web.now(directory.path).no_execute and _is_execute(request):
            return _denied()
        settings = await self._held(partial(self._directories.settings, self._name, directory))
        if settings.by_form:
            return self._form(request)
        keeper = Doorkeeper(self._accounts, settings.schemes, realm=request.host)
        shown = request.headers.get("authorization", "")
        verdict = keeper.admit(connection.logon, shown, settings.checking)
        more = tuple((name.decode(), value.decode()) for name, value in verdict.headers)
        if verdict.account is None:
            return _denied().having(*more)
        answer = await self._proxied(directory, back_end, request, verdict.account)
        return answer.having(*more)

    def _form(self, request: Request) -> Answer:
        """The logon page of OWA, which ECP uses too; `reason=0`: nobody has tried yet."""
        build = ("X-OWA-Version", build_text(self._server.build))
        if request.path.lower() == "/owa/auth/logon.aspx":
            return Answer(200, _LOGON, HTML, (build,))
        wanted = quote(f"https://{request.host}{request.path}", safe="")
        where = f"https://{request.host}/owa/auth/logon.aspx?url={wanted}&reason=0"
        return Answer(302, headers=(("Location", where), build))

    async def _proxied(
        self, directory: Directory, back_end: BackEnd, request: Request, caller: Account | None
    ) -> Answer:
        """Handed to where the mailbox is, if that answers."""
        call = await self._held(partial(self._call, back_end, request, caller))
        server = call.server
        named = (("X-CalculatedBETarget", server.fqdn.lower()),)
        if not await self._reaches(server, directory):
            return _unavailable().having(*named)
        answer = await asyncio.to_thread(self._asked, back_end, call)
        return answer.having(
            *named, ("X-BEServer", server.name), ("X-DiagInfo", server.name),
            ("X-BackEndHttpStatus", str(answer.status)),
        )  # fmt: skip

    async def _held(self, ask: Callable[[], _T]) -> _T:
        """Asked with the world's lock: at once where it is free; the loop never waits for it."""
        lock = self._world.lock
        if not lock.acquire(blocking=False):
            return await asyncio.to_thread(self._waited, ask)
        try:
            return ask()
        finally:
            lock.release()

    def _waited(self, ask: Callable[[], _T]) -> _T:
        with self._world.lock:
            return ask()

    def _call(self, back_end: BackEnd, request: Request, caller: Account | None) -> Call:
        """The request at the server that has the mailbox, or that is still believed to have it."""
        self._world.sync()
        front = self._server
        own = None if caller is None else self._people.mailbox_of(caller)
        call = Call(request, caller, own, front, front)
        mailbox = back_end.mailbox(call)
        if mailbox is None:
            return call
        believed = self._web.misrouted.get(mailbox.number)
        if believed is not None:
            return replace(call, server=self._world.organisation.server(believed))
        return replace(call, server=self._people.home(mailbox))

    def _asked(self, back_end: BackEnd, call: Call) -> Answer:
        with self._world.lock:
            return back_end.answer(call)

    async def _reaches(self, server: Server, directory: Directory) -> bool:
        """Whether the back end answers; one that says nothing is waited for."""
        if server.name != self._name and not await self._crosses(server):
            return False
        if self._world.conditions(server.name).web.no_back_end:
            return False
        directories = self._directories
        return directories.iis_runs(server.name) and directories.pool_runs(
            server.name, directory.back_pool
        )

    async def _crosses(self, server: Server) -> bool:
        """Whether a connection to another server comes about; it and the request take two trips."""
        surroundings, here = self._world.surroundings, self._server.site
        reach = surroundings.machines.reach(server.fqdn, server.site)
        if (here, server.site) in surroundings.lines.barred:
            reach = Reach.CUT
        if reach in (Reach.HUNG, Reach.CUT):
            await asyncio.sleep(GIVES_UP_S)
        if here != server.site:
            await asyncio.sleep(4 * surroundings.lines.delay_s)
        return reach is Reach.UP and not surroundings.lines.is_closed(server.name, BACK_END)


def _page(status: int, text: str) -> Answer:
    """A page of IIS; texts are from memory [MEM]."""
    body = (
        f"<!DOCTYPE html><html><head><title>{text}</title></head>"
        f"<body><h2>{status} - {text}</h2></body></html>"
    )
    return Answer(status, body.encode(), HTML)


def _denied() -> Answer:
    return _page(401, "Unauthorized: Access is denied due to invalid credentials.")


def _is_execute(request: Request) -> bool:
    return request.headers.get("x-requesttype", "").lower() == "execute"


def _unavailable() -> Answer:
    return _page(503, "Service Unavailable")


_LOGON: Final = (
    b"<!DOCTYPE html><html><head><title>Outlook</title></head><body>"
    b'<form action="/owa/auth.owa" method="post"></form></body></html>'
)
