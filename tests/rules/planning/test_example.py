"""The planning example: a made organisation of 500 mailboxes, read from its files."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from mailmig.model.migration import Plan, PlanData
from mailmig.rules.planning.capacity import capacities
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.explain import explain
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.settings import PlanSettings
from mailmig.sources.calendars import read_data
from tests.rules.planning.baselines import baselines
from tests.rules.planning.made import NOW


@pytest.fixture
def data(data_folder: Path) -> PlanData:
    return read_data(data_folder / "planning-example", PlanSettings())


@pytest.fixture
def plan(data_folder: Path) -> Plan:
    return _made(data_folder)


@cache
def _made(folder: Path) -> Plan:
    """The plan, made once for all tests: nobody can change it."""
    return make(read_data(folder / "planning-example", PlanSettings()), NOW)


def test_the_plan_breaks_no_rule_and_is_balanced(plan: Plan) -> None:
    assert check(plan) == ()
    assert len(plan.assignments) == 500
    assert plan.metrics.balance < 1.02


def test_the_plan_costs_far_less_than_the_order_of_names(data: PlanData, plan: Plan) -> None:
    assert plan.metrics.exposure < 0.12 * baselines(data).alphabetical


def test_no_plan_ends_before_the_bound(plan: Plan) -> None:
    assert plan.bounds.makespan_window == "w06"
    assert plan.metrics.makespan is not None and plan.bounds.makespan is not None
    assert plan.metrics.makespan >= plan.bounds.makespan


def test_the_freeze_costs_most(plan: Plan) -> None:
    dearest = max(plan.metrics.per_gap, key=lambda gap: gap.exposure)
    assert dearest.freezes == ("election pause",)


def test_the_pilot_takes_its_volunteers_alone(data: PlanData, plan: Plan) -> None:
    volunteers = {pin.identity for pin in data.pins if pin.window == "w00"}
    assert {a.mailbox for a in plan.assignments if a.window == "w00"} == volunteers


def test_the_servers_do_half_more_than_the_windows_take(data: PlanData) -> None:
    """So it was made: hence a GB of throughput has 1024**3 bytes."""
    for capacity in capacities(data)[1:]:
        assert capacity.servers / capacity.given == pytest.approx(1.5, rel=1e-4)


def test_every_mailbox_can_be_explained(plan: Plan) -> None:
    for assignment in plan.assignments[::50]:
        said = explain(plan, assignment.mailbox)
        assert assignment.window in said[0] and assignment.database in said[0]


def test_a_local_zone_moves_windows_and_changes_no_assignment(
    data_folder: Path, plan: Plan
) -> None:
    settings = PlanSettings(zone="Europe/Berlin")
    local = make(read_data(data_folder / "planning-example", settings), NOW, settings)
    assert local.assignments == plan.assignments
    shift = plan.data.calendar.project_start - local.data.calendar.project_start
    assert shift.total_seconds() == 3600
    assert replace(local, zone="UTC").metrics.exposure == pytest.approx(plan.metrics.exposure)
