"""The queues of a transport server: what one holds, how it counts and when it is tried again.

Counts are numbers of messages and not whole while mail flows; times are the world's.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

# How long a message that flows stands in a queue.
TRANSIT_S: Final = 0.2
# Tries again, in minutes after the first failure: mailbox queues every 5 minutes; others 4 times
# after a minute, 6 times after 5 minutes, then every 10 minutes (defaults in the documentation of
# Set-TransportService and of the transport service's configuration file).
MAILBOX_RETRY: Final = 5
FIRST_RETRIES: Final = (0, *range(1, 5), *range(9, 35, 5))
LATER_RETRY: Final = 10
_NO_CONNECTOR: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class Queue:
    """One queue. `rate` is what came in per second of late, `waiting` what does not flow."""

    server: str
    name: str
    delivery: str
    hop: str
    connector: str = _NO_CONNECTOR
    category: str = "Internal"
    rate: float = 0.0
    waiting: float = 0.0
    deferred: int = 0
    suspended: bool = False
    error: str = ""
    failing: datetime | None = None
    database: str = ""

    @property
    def identity(self) -> str:
        return rf"{self.server}\{self.name}"

    @property
    def always(self) -> bool:
        """Whether the server shows this queue also when it is empty."""
        return self.name == "Submission"

    @property
    def is_active(self) -> bool:
        """Whether its messages are on their way: neither copies nor set aside."""
        return self.delivery != "ShadowRedundancy" and self.name != "Poison"

    @property
    def count(self) -> int:
        """What Get-Queue counts."""
        passing = self.rate * TRANSIT_S if self.failing is None else 0.0
        return int(self.waiting + passing + 1e-6)

    def status(self) -> str:
        """Its QueueStatus; copies and what was set aside do not make a queue active."""
        if self.suspended:
            return "Suspended"
        if self.failing is not None:
            return "Retry"
        return "Active" if self.count and self.is_active else "Ready"

    def tries(self, now: datetime) -> tuple[int, datetime, datetime]:
        """Of a queue that fails: how often it was tried again, the last try and the next one."""
        assert self.failing is not None
        passed = (now - self.failing) / timedelta(minutes=1)
        if self.database:
            done = int(passed / MAILBOX_RETRY)
            last, following = done * MAILBOX_RETRY, (done + 1) * MAILBOX_RETRY
        elif passed < FIRST_RETRIES[-1]:
            done = sum(1 for one in FIRST_RETRIES if one <= passed) - 1
            last, following = FIRST_RETRIES[done], FIRST_RETRIES[done + 1]
        else:
            more = int((passed - FIRST_RETRIES[-1]) / LATER_RETRY)
            done = len(FIRST_RETRIES) - 1 + more
            last = FIRST_RETRIES[-1] + more * LATER_RETRY
            following = last + LATER_RETRY
        return (
            done,
            self.failing + timedelta(minutes=last),
            self.failing + timedelta(minutes=following),
        )


@dataclass(slots=True)
class Post:
    """The transport service of one server, and what faults and admins did to it."""

    name: str
    queues: dict[str, Queue] = field(default_factory=dict)
    draining: bool = False
    ran: bool = True
    started: datetime | None = None
    redirect: str = ""
    # Resource of back pressure to its level; see `mailmig.lab.cmdlets.diagnostics`.
    pressure: dict[str, str] = field(default_factory=dict)
    # Next hop to the error with which it refuses.
    refused: dict[str, str] = field(default_factory=dict)
    # Primary servers whose reports do not arrive here; since when each was not heard.
    unheard: set[str] = field(default_factory=set)
    silent: dict[str, datetime] = field(default_factory=dict)
    delay_s: float = 0.0
