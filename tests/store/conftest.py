"""A store in a folder of the test's own, and readings made by hand."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from mailmig.model.directory import Edge, Kind, Mailbox, Right, TrusteeKind
from mailmig.model.snapshot import Gap, Intake, Snapshot
from mailmig.store.engine import Store

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class Given:
    """A reading that gives what it was given; `then` runs last, inside the transaction."""

    parts: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    digest: str = "ab" * 32
    organisation: str = "Town"
    taken_at: datetime = NOON
    origin: str = "by hand"
    gaps: tuple[Gap, ...] = ()
    facts: Mapping[str, tuple[Mapping[str, object], ...]] = field(default_factory=dict)
    then: Callable[[], None] = lambda: None
    poured: int = 0

    def pour(self, into: Intake) -> tuple[Gap, ...]:
        self.poured += 1
        for name, rows in self.parts.items():
            getattr(into, name)(iter(rows))
        for kind, rows in self.facts.items():
            into.facts(kind, rows)
        self.then()
        return self.gaps


def given(digest: str = "ab" * 32, count: int = 3, **changes: object) -> Given:
    """So many mailboxes, and an edge from each to the next."""
    guids = [f"00000000-0000-4000-8000-{n:012x}" for n in range(count)]
    mailboxes = tuple(Mailbox(guid, Kind.USER) for guid in guids)
    edges = tuple(
        Edge(one, Right.FULL_ACCESS, r"TOWN\x", TrusteeKind.MAILBOX, other)
        for one, other in pairwise(guids)
    )
    reading = Given({"mailboxes": mailboxes, "edges": edges}, digest)
    for name, value in changes.items():
        setattr(reading, name, value)
    return reading


def given_snapshot(snapshot: Snapshot) -> Given:
    """A reading that pours what a snapshot holds."""
    names = ("servers", "dags", "databases", "copies", "mailboxes", "edges", "groups")
    return Given(
        {name: getattr(snapshot, name) for name in names},
        snapshot.info.digest,
        snapshot.info.organisation,
        snapshot.info.taken_at,
        snapshot.info.origin,
        snapshot.info.gaps,
        snapshot.facts,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.open(folder, patience_s=0.5) as opened:
        yield opened


@pytest.fixture(name="given")
def _given() -> Callable[..., Given]:
    return given


@pytest.fixture(name="given_snapshot")
def _given_snapshot() -> Callable[[Snapshot], Given]:
    return given_snapshot
