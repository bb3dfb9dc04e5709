r"""The logs of a world's servers: written with every answer, made into files when somebody asks.

    world.logs.served("LS-EX1", scope, request, answer, began)
    for file in world.logs.files("LS-EX1"): ...

Of each server the latest `KEPT` requests are kept, healthcheck pages apart from the rest so that
a load balancer displaces nobody, and the latest `KEPT_SMTP` lines of SMTP; what is older is gone,
as when Exchange clears a full log folder. Before the lab began its clients worked, too: see
`mailmig.lab.logs.past`. Writing takes no lock and may be done in any thread.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from heapq import merge
from itertools import count, product
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

from mailmig.lab.logs import formats, records
from mailmig.lab.logs.formats import Kind, LogFile
from mailmig.lab.logs.past import Past
from mailmig.lab.logs.records import SmtpLine, WebVisit

if TYPE_CHECKING:
    from mailmig.lab.web.messages import Answer, Request
    from mailmig.lab.world import World
    from mailmig.lab.wsman.listening import Scope

KEPT: Final = 10_000
KEPT_SMTP: Final = 20_000
_AT: Final = attrgetter("at")
# Transport service, and way of the mail.
_SMTP: Final = tuple(product(("FrontEnd", "Hub"), formats.WAYS))
_Records = Callable[[], Iterable[WebVisit | SmtpLine]]
_Record = TypeVar("_Record", WebVisit, SmtpLine)


@dataclass(slots=True)
class _Kept:
    """The latest of one server."""

    pages: deque[WebVisit] = field(default_factory=partial(deque, maxlen=KEPT))
    requests: deque[WebVisit] = field(default_factory=partial(deque, maxlen=KEPT))
    behind: deque[WebVisit] = field(default_factory=partial(deque, maxlen=KEPT))
    smtp: dict[tuple[str, str], deque[SmtpLine]] = field(
        default_factory=lambda: {one: deque(maxlen=KEPT_SMTP) for one in _SMTP}
    )


class Logs:
    """All logs of all servers of a world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._netbios = world.organisation.netbios
        self._kept: defaultdict[str, _Kept] = defaultdict(_Kept)
        self._sessions = count(1)

    @cached_property
    def past(self) -> Past:
        """What was before: fixed when the first client comes, or the first reader."""
        with self._world.lock:
            return Past.of(self._world)

    def _of(self, server: str) -> _Kept:
        """What is kept of a server; the past is fixed before anything new comes."""
        _ = self.past
        return self._kept[server]

    def served(
        self, front: str, scope: "Scope", request: "Request", answer: "Answer", began: datetime
    ) -> None:
        """A front end answered a request that came when the world's time was `began`."""
        now = self._world.now
        servers = self._world.organisation.servers
        one = records.visit(front, scope, request, answer, began, now, self._netbios, servers)
        kept = self._of(front)
        if request.rest == records.HEALTHCHECK:
            kept.pages.append(one)
            return
        kept.requests.append(one)
        if one.target is not None and one.back_status:
            self._of(one.target.name).behind.append(one)

    def session(
        self, server: str, connector: str, local: str, remote: str, *, role: str = "FrontEnd",
        way: str = "SmtpReceive",
    ) -> "Session":  # fmt: skip
        """A connection by a connector of a server whose protocol log is on has begun."""
        lines = self._of(server).smtp[role, way]
        number = f"08DE{next(self._sessions):012X}"
        return Session(self._world, lines, connector, number, local, remote)

    def files(
        self, server: str, folder: str = "", since: datetime | None = None
    ) -> Iterator[LogFile]:
        """The log files of a server below a folder, with what was written since then.

        Takes no lock for longer than a moment; read it in a thread.
        """
        for kind, made in self._kinds(server, since):
            if kind.folder.lower().startswith(folder.lower()):
                yield from kind.files(made())

    def _kinds(self, server: str, since: datetime | None) -> Iterator[tuple[Kind, "_Records"]]:
        """All kinds, and what gives the records of each in order."""
        kept, past = self._of(server), self.past.since(since)

        def latest(known: "deque[_Record]") -> "list[_Record]":
            return [one for one in known.copy() if since is None or one.at >= since]

        @cache
        def front() -> list[WebVisit]:
            return [*past.front(server), *latest(kept.requests)]

        @cache
        def back() -> list[WebVisit]:
            return [*past.back(server), *latest(kept.behind)]

        def proxied(directory: str) -> list[WebVisit]:
            return [one for one in front() if one.directory == directory]

        def sessions(role: str, way: str) -> list[SmtpLine]:
            before = past.smtp(server, way) if role == "FrontEnd" else []
            return [*before, *latest(kept.smtp[role, way])]

        for directory in formats.PROTOCOLS:
            yield formats.proxy(directory), partial(proxied, directory)
        yield formats.IIS_FRONT, lambda: merge(front(), latest(kept.pages), key=_AT)
        yield formats.IIS_BACK, lambda: self._as_back_end(server, back())
        yield formats.MAPI_BACK, lambda: (one for one in back() if one.directory == "mapi")
        for one in _SMTP:
            yield formats.smtp(*one), partial(sessions, *one)

    def _as_back_end(self, server: str, visits: Iterable[WebVisit]) -> Iterator[WebVisit]:
        """How IIS behind sees them: from the front end, on its own port."""
        machines = self._world.surroundings.layout.exchange
        own = self.past.servers[server].fqdn
        address = next((one.address for one in machines if one.name == own), "")
        for one in visits:
            yield one._replace(
                client=one.address, address=address, port=formats.BACK_END_PORT,
                status=int(one.back_status or one.status),
            )  # fmt: skip


class Session:
    """The protocol log of one SMTP connection."""

    def __init__(
        self, world: "World", lines: deque[SmtpLine], connector: str, number: str, local: str,
        remote: str,
    ) -> None:  # fmt: skip
        self._world = world
        self._lines = lines
        self._fixed = connector, number
        self._ends = local, remote
        self._number = count()
        self.write("+")

    def write(self, event: str, data: str = "", context: str = "") -> None:
        """One line, now; `event` is one of `+ - > < *`."""
        at = self._world.now.astimezone(UTC)
        self._lines.append(
            SmtpLine(at, *self._fixed, next(self._number), *self._ends, event, data, context)
        )
