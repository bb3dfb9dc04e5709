"""The usual orders as parts of the alphabetical one, with chance beside them.

The ratios say whether a made organisation is as hard as real ones are: where an order by
department were nearly perfect, or as bad as chance, a ratio to it would prove nothing.
"""

from dataclasses import dataclass

import numpy as np

from mailmig.model.migration import PlanData
from mailmig.rules.planning.baselines import by_department, compare, filled, windows_filled
from mailmig.rules.planning.field import Field, Ints, exposure_of, field_of
from mailmig.rules.planning.kernels import greedy
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.search import seated

CHANCES = 5


@dataclass(frozen=True)
class Baselines:
    """Weight-days of each order; the others as parts of the alphabetical one."""

    alphabetical: float
    department: float
    components: float
    random: float

    @property
    def realistic(self) -> bool:
        return (
            0.23 <= self.department <= 0.42
            and 0.86 <= self.components <= 0.99
            and 0.95 <= self.random <= 1.12
        )


def baselines(data: PlanData, seed: int = 0) -> Baselines:
    """Every order must fit: one that leaves somebody over is no plan at all."""
    problem = compile_problem(data)
    field = field_of(problem, unlocked=False)
    usual = compare(problem, field)
    by_name = _fits(usual.alphabetical)
    rng = np.random.default_rng(seed)
    chance = [_filled(field, rng.permutation(field.rows)) for _ in range(CHANCES)]
    return Baselines(
        by_name,
        _fits(usual.department) / by_name,
        _fits(usual.components) / by_name,
        sum(chance) / CHANCES / by_name,
    )


def plain_greedy(data: PlanData) -> float:
    """The exposure of the department order after greedy passes with nothing else."""
    problem = compile_problem(data)
    field = field_of(problem, unlocked=False)
    seating = seated(field, windows_filled(field, by_department(problem)))
    free = np.flatnonzero(field.allowed.sum(axis=1) > 1)
    rng = np.random.default_rng(1)
    while greedy(field, seating, rng.permutation(free), rng):
        pass
    return exposure_of(field, seating.x)


def _filled(field: Field, order: Ints) -> float:
    return _fits(filled(field, order))


def _fits(exposure: float | None) -> float:
    assert exposure is not None, "somebody was left over"
    return exposure
