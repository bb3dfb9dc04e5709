"""Checks and what they find: questions, facts, findings.

A check has two functions. `gather` asks and never decides; `judge` takes what came back and yields
findings, and never asks. A question is a value: asked twice in one sweep it is put once, and it
stands in a file of saved facts beside what was answered.

Severities are ordered OK < NOTICE < WARNING < CRITICAL. UNKNOWN ("could not be asked") stands
outside that order: it is never good, and no finding turns into it by being less bad.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from mailmig.model.document import Table
from mailmig.model.scope import Scope

OUTSIDE = "outside"
"""The vantage of somebody who is at home or on the road; all others are named after their site."""

INSIDE = "inside"
"""Where it does not matter from which site: a connection to an address is the same from each."""

T = TypeVar("T")


class Severity(Enum):
    """How bad it is; see the module."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """For sorting the worst first: UNKNOWN stands between WARNING and CRITICAL."""
        return _ORDER.index(self)


_ORDER = (
    Severity.OK, Severity.NOTICE, Severity.WARNING, Severity.UNKNOWN, Severity.CRITICAL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """Who said it, over which protocol, and from where it was asked (a site, or `OUTSIDE`)."""

    who: str
    protocol: str
    vantage: str = ""


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """Something that was seen. `seen_at` is aware."""

    value: T
    seen_at: datetime
    origin: Origin


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """A question that could not be asked, or was not answered: `reason` is a sentence."""

    reason: str
    seen_at: datetime
    origin: Origin


Answer: TypeAlias = Fact[T] | NoAnswer


@dataclass(frozen=True)
class Question(Generic[T]):
    """Base of all questions: a frozen dataclass whose fields say what is asked.

    `answer` is the class of the value that a fact has; `target` is who gets the question: only so
    many are open at one target at a time.
    """

    vantage: str
    answer: ClassVar[Any]
    protocol: ClassVar[str]

    @property
    def target(self) -> str:
        raise NotImplementedError


class Ask(Protocol):
    """How `gather` asks; `scope` says what there is."""

    @property
    def scope(self) -> Scope: ...

    async def __call__(self, question: Question[T]) -> Answer[T]:
        """Never raises: what cannot be answered is a `NoAnswer`."""

    async def each(self, questions: Iterable[Question[T]]) -> tuple[Answer[T], ...]:
        """All of them side by side; the answers in the order of the questions."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of a check about one subject.

    `evidence` is what it rests on, as (what, value). A `suppressed` one counts no more, for the
    reason that is given; `skipped` says why there was nothing to check.
    """

    subject: str
    severity: Severity
    summary: str
    vantage: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    skipped: bool = False
    maintenance: bool = False
    suppressed: str = ""
    check: str = ""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What came of a sweep: findings, the worst first; the checks' pictures; aware times."""

    findings: tuple[Finding, ...]
    began: datetime
    ended: datetime
    checks: tuple[str, ...]
    pictures: tuple[Table, ...] = ()

    @property
    def counted(self) -> tuple[Finding, ...]:
        """Those that count: neither suppressed, nor skipped, nor in maintenance."""
        return tuple(
            one for one in self.findings if not (one.suppressed or one.skipped or one.maintenance)
        )

    @property
    def worst(self) -> Severity:
        """The worst of those that count; OK without any."""
        return max(
            (one.severity for one in self.counted), key=lambda one: one.rank, default=Severity.OK
        )


@dataclass(frozen=True)
class Check(Generic[T]):
    """A question to the organisation, and the two functions that answer it.

    `id` is "family.name". The docstring of `judge` says what it proves, and, behind `Source:` and
    `To do:`, where that stands and what an admin does; `limits` is a frozen dataclass of thresholds
    made with `limit`, given to `judge` as its second argument where there is one. `rows` are the
    causes that it tells apart, as (key, sentence), in the order in which they are tried. `picture`
    shows all facts at a glance, as a table of reports.
    """

    id: str
    question: str
    gather: Callable[[Ask], Awaitable[T]]
    judge: Callable[..., Iterator[Finding]]
    limits: Any = None
    rows: tuple[tuple[str, str], ...] = ()
    picture: Callable[[T], Table] | None = None

    @property
    def family(self) -> str:
        return self.id.partition(".")[0]


def limit(default: Any, unit: str, help: str) -> Any:
    """A threshold: a field of a check's class of limits. `unit` is empty for plain counts."""
    return field(default=default, metadata={"unit": unit, "help": help})


def limits_of(check: Check[Any]) -> Iterator[tuple[str, Any, str, str]]:
    """(name, value, unit, help) of each threshold of a check."""
    if check.limits is not None:
        for one in fields(check.limits):
            value = getattr(check.limits, one.name)
            yield one.name, value, one.metadata["unit"], one.metadata["help"]
