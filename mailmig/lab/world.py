"""The simulated world: one organisation, its time, and what is wrong with its servers.

Time is virtual. A world with speed 0 stands still until somebody calls `advance`; nothing in it
ever waits, `spent_s` only counts what would have been waited. A world with speed 60 lives through
a minute per second, and a cmdlet that takes 2 s of its time takes 33 ms of ours.

Whoever reads or changes the organisation holds `lock`: cmdlets run in threads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from threading import Event, RLock
from typing import Final

from mailmig.lab import services
from mailmig.lab.accounts import Accounts
from mailmig.lab.activating import settle
from mailmig.lab.batches import Batch
from mailmig.lab.components import Components
from mailmig.lab.contents import Contents
from mailmig.lab.cultures import ENGLISH, Culture
from mailmig.lab.delivering import Delivering
from mailmig.lab.health_sets import Monitoring
from mailmig.lab.imports import Imports
from mailmig.lab.logs.keeping import Logs
from mailmig.lab.organisation import Organisation
from mailmig.lab.profiles import Profile
from mailmig.lab.public_folders import PublicFolders
from mailmig.lab.running.layout import Layout
from mailmig.lab.server_certificates import ServerCertificates
from mailmig.lab.server_tls import ServersTls
from mailmig.lab.surroundings import Surroundings
from mailmig.lab.transport import Transport
from mailmig.lab.web.conditions import Discovery, WebConditions
from mailmig.lab.web.mapi.switches import MapiSwitches
from mailmig.lab.wsman.switches import Switches
from mailmig.model.errors import MailmigError

# A running world brings its organisation forward in steps no shorter than this.
STEP: Final = timedelta(seconds=1)


class UnknownServer(MailmigError):
    """No server of the organisation has this name: take one of those that are named."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f'there is no server "{name}"; known: {", ".join(known)}')
        self.name = name
        self.known = known


@dataclass(slots=True)
class Conditions:
    """How one server behaves now.

    `culture` is that of its sessions; every call waits `delay_s` of world time before its first
    answer, and every cost per object counts `slowness` times. `stopped_services` and the two after
    it hold service names in lower case (see `mailmig.lab.services`), `stopped_pools` and
    `recycled_pools` names of application pools that are stopped, or recycle from time to time.
    `management` is what is odd about its remote PowerShell, `mapi` about MAPI over HTTP, `profile`
    about its objects.
    """

    culture: Culture = ENGLISH
    delay_s: float = 0.0
    slowness: float = 1.0
    stopped_services: set[str] = field(default_factory=set)
    disabled_services: set[str] = field(default_factory=set)
    started_services: dict[str, datetime] = field(default_factory=dict)
    stopped_pools: set[str] = field(default_factory=set)
    recycled_pools: set[str] = field(default_factory=set)
    management: Switches = field(default_factory=Switches)
    mapi: MapiSwitches = field(default_factory=MapiSwitches)
    profile: Profile = field(default_factory=Profile)
    web: WebConditions = field(default_factory=WebConditions)


class World:
    """An organisation in time. `speed` is world seconds per second of ours, 0 stands still."""

    def __init__(
        self,
        organisation: Organisation,
        *,
        speed: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        layout: Layout | None = None,
    ) -> None:
        if speed < 0:
            raise ValueError(f"time does not run backwards: speed {speed:g}")
        self.organisation = organisation
        self.lock = RLock()
        self.speed = speed
        self.spent_s = 0.0
        self.accounts = Accounts()
        self.discovery = Discovery()
        # Per account in lower case: cmdlets, or "cmdlet/parameter", that its roles lack.
        self.lacking: dict[str, set[str]] = {}
        # Per account in lower case: milliseconds for which EWS tells it to stay away.
        self.throttled: dict[str, int] = {}
        self._conditions = {
            server.name.lower(): Conditions(stopped_services=services.resting(server))
            for server in organisation.servers
        }
        installed = organisation.now - timedelta(days=400)
        self._components = {
            server.name.lower(): Components(server.version, installed)
            for server in organisation.servers
        }
        self._layout = layout
        organisation.stopped_services = lambda name: self.conditions(name).stopped_services
        self._clock = clock
        self._since = clock()
        self._start = organisation.now
        self._closed = Event()
        self.transport = Transport(self)
        self.monitoring = Monitoring(self)
        self.certificates = ServerCertificates(organisation)
        self.imports = Imports(self)
        self.batches: dict[str, Batch] = {}
        self.left_behind: list[Batch] = []  # removed by force: their users are still there
        self.public_folders = PublicFolders(organisation)
        self.contents = Contents(organisation)
        self.delivering = Delivering(self)
        self.logs = Logs(self)

    @property
    def now(self) -> datetime:
        """The world's time; the organisation may be up to one step behind."""
        passed = (self._clock() - self._since) * self.speed
        return self._start + timedelta(seconds=passed)

    @cached_property
    def layout(self) -> Layout:
        """Where the machines are, also of a world in which nothing listens."""
        return self._layout or Layout.of(self.organisation, 0)

    @cached_property
    def surroundings(self) -> Surroundings:
        """What stands around Exchange; made when somebody asks first."""
        return Surroundings.of(self.organisation, self.layout, lambda: self.now, self.lock)

    @cached_property
    def tls(self) -> ServersTls:
        """What the Exchange servers show in TLS; made when somebody asks first."""
        return ServersTls(self.organisation, self.layout, self.certificates)

    def conditions(self, server: str) -> Conditions:
        """How a server behaves; raises `UnknownServer`."""
        found = self._conditions.get(server.lower())
        if found is None:
            names = tuple(one.name for one in self.organisation.servers)
            raise UnknownServer(server, names)
        return found

    def components(self, server: str) -> Components:
        """What a server does; raises `UnknownServer`."""
        self.conditions(server)
        return self._components[server.lower()]

    def advance(self, by: timedelta) -> None:
        """Let this much time pass at once."""
        with self.lock:
            now = self.now
            self._start, self._since = now + by, self._clock()
            self._live(max(self._start, self.organisation.now))

    def sync(self) -> None:
        """Bring the organisation to the present, if a step has passed; its laws act at once."""
        with self.lock:
            if self.now - self.organisation.now >= STEP:
                self._live(self.now)
            settle(self.organisation)

    def _live(self, to: datetime) -> None:
        """The organisation first, then what happens in it beside its mailboxes."""
        self.organisation.advance(to)
        self.transport.advance(to)
        self.monitoring.advance(to)
        self.imports.advance(to)
        self.delivering.settle()
        for batch in self.batches.values():
            batch.follow(self.organisation)
        self.public_folders.follow()

    def spend(self, seconds: float) -> None:
        """Wait so long in the world's time; a world that stands still only counts it."""
        self.spent_s += seconds
        if self.speed and seconds > 0:
            self._closed.wait(seconds / self.speed)

    def close(self) -> None:
        """Nobody waits any more, from now on."""
        self._closed.set()
