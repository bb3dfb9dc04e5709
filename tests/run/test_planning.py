"""Searches on all cores: the best one counts, and an end before the end leaves a sound plan."""

import multiprocessing.context
import os
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import numpy as np
import pytest

from mailmig.model.migration import Plan
from mailmig.rules.planning import proving
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.field import Ints
from mailmig.rules.planning.maker import Start, finish, make
from mailmig.rules.planning.settings import PlanSettings
from mailmig.run import planning
from mailmig.run.planning import make_plan
from tests.rules.planning.made import NOW, few, small, window

CUT_SHORT = "came to an end: a better plan may exist"


@pytest.fixture(scope="module", autouse=True)
def unproven() -> Iterator[None]:
    """A proof takes longer than the search, and nothing here is about it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(proving, "PROVED", 0)
        yield


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "HERE", 0)


@pytest.mark.usefixtures("in_processes")
def test_the_best_of_several_searches_is_the_plan() -> None:
    data = few()
    told: list[tuple[str, int, int | None]] = []
    best = make_plan(data, NOW, PlanSettings(seeds=2), tell=lambda *said: told.append(said))
    each = [make(data, NOW, PlanSettings(seed=seed)) for seed in (1, 2)]
    assert best.metrics.exposure == min(plan.metrics.exposure for plan in each)
    assert told[:3] == [("searches for a better plan", done, 2) for done in range(3)]


@pytest.mark.usefixtures("in_processes")
def test_when_the_time_is_over_what_there_is_counts_and_the_plan_says_so() -> None:
    plan = make_plan(few(), NOW, PlanSettings(seeds=2), seconds=0.001)
    assert check(plan) == ()
    assert any(CUT_SHORT in note.text for note in plan.notes)


@pytest.mark.parametrize("here", [0, 60])
def test_ctrl_c_keeps_the_best_plan_so_far(here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "HERE", here)
    plan = make_plan(few(), NOW, PlanSettings(seeds=3), tell=_interrupt_after(1))
    assert check(plan) == ()
    assert any(CUT_SHORT in note.text for note in plan.notes)


@pytest.mark.usefixtures("in_processes")
def test_a_process_that_ends_by_itself_takes_no_plan_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "_search_all", _die)
    plan = make_plan(few(), NOW, PlanSettings(seeds=2))
    assert check(plan) == ()
    assert any(CUT_SHORT in note.text for note in plan.notes)


@pytest.mark.usefixtures("in_processes")
def test_where_no_processes_are_to_be_had_one_searches_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with_processes = make_plan(few(), NOW, PlanSettings(seeds=2))
    monkeypatch.setattr(multiprocessing.context.SpawnContext, "Process", refuse)
    plan = make_plan(few(), NOW, PlanSettings(seeds=2))
    assert plan.assignments == with_processes.assignments
    assert not any(CUT_SHORT in note.text for note in plan.notes)


def test_a_plan_that_is_there_already_is_never_made_worse() -> None:
    data = few()
    best = make_plan(data, NOW, PlanSettings(seeds=2))
    again = make_plan(data, NOW, PlanSettings(seeds=1, seed=5), seconds=0.001, old=best.assignments)
    assert again.metrics.exposure <= best.metrics.exposure * (1 + 1e-9)


@pytest.mark.usefixtures("in_processes")
def test_an_error_in_a_search_is_told_and_not_taken_for_the_end_of_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "_search_all", _fail)
    with pytest.raises(ZeroDivisionError):
        make_plan(few(), NOW, PlanSettings(seeds=2))


def _die(*_: object) -> None:
    os._exit(7)


def _fail(there: "Connection[Exception, object]") -> None:
    there.recv()
    there.send(ZeroDivisionError())


def _interrupt_after(searches: int) -> Callable[[str, int, int | None], None]:
    def tell(what: str, done: int, of: int | None) -> None:
        if done == searches:
            raise KeyboardInterrupt

    return tell


def test_the_proof_begins_alike_in_whatever_order_answers_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[list[int]] = []
    windows = (window("w1", 1, max_mailboxes=1), window("w2", 2, max_mailboxes=1))
    found = [np.array(x, np.int64) for x in ([0, 1], [1, 0])]  # of equal price

    def watched(start: Start, x: Ints, ends: float) -> None:
        begun.append(x.tolist())

    monkeypatch.setattr(planning, "proof", watched)
    for order in (found, found[::-1]):
        monkeypatch.setattr(planning, "_searched", lambda *_, order=order: order)
        make_plan(small((1, 1), windows), NOW, PlanSettings(seeds=2))
    assert begun == [[0, 1], [0, 1]]


def test_ctrl_c_while_the_plan_is_put_together_loses_nothing_but_a_second_one_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[int] = []

    def interrupted(*given: object) -> Plan:
        tried.append(1)
        if len(tried) < times:
            raise KeyboardInterrupt
        return finish(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(planning, "finish", interrupted)
    times = 2
    assert check(make_plan(few(), NOW, PlanSettings(seeds=1))) == ()
    times = 5
    with pytest.raises(KeyboardInterrupt):
        make_plan(few(), NOW, PlanSettings(seeds=1))
