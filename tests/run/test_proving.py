"""Small plans are proven, as far as there is time; what is known by then is kept."""

from multiprocessing.connection import Connection

import pytest

from mailmig.rules.planning.checker import check
from mailmig.rules.planning.settings import PlanSettings
from mailmig.run import proving
from mailmig.run.planning import make_plan
from tests.rules.planning.companies import company
from tests.rules.planning.made import NOW, few


@pytest.mark.parametrize("here", [0, 12])
def test_a_small_plan_is_proven_optimal(here: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "HERE", here)
    plan = make_plan(few(), NOW, PlanSettings(seeds=1))
    assert check(plan) == ()
    assert plan.bounds.same_pilot == pytest.approx(plan.metrics.exposure)


def test_ctrl_c_ends_the_proof_and_keeps_plan_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "HERE", 0)
    monkeypatch.setattr(Connection, "poll", _interrupt)
    plan = make_plan(few(), NOW, PlanSettings(seeds=1))
    assert check(plan) == ()
    assert plan.bounds.exposure <= plan.bounds.same_pilot <= plan.metrics.exposure


def _interrupt(*_: object) -> bool:
    raise KeyboardInterrupt


def test_many_are_not_tried() -> None:
    plan = make_plan(company(260, 3), NOW, PlanSettings(seeds=1))
    assert plan.bounds.same_pilot == plan.bounds.exposure
