"""Searches on all cores: the best one counts, and an end before the end leaves a sound plan."""

import multiprocessing.context
import os
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

from mailmig.rules.planning.checker import check
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.settings import PlanSettings
from mailmig.run import planning
from mailmig.run.planning import make_plan
from tests.rules.planning.made import NOW, few

CUT_SHORT = "came to an end: a better plan may exist"


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
