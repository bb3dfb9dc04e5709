"""The usual orders as parts of the alphabetical one, with chance beside them.

The ratios say whether a made organisation is as hard as real ones are: where an order by
department were nearly perfect, or as bad as chance, a ratio to it would prove nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mailmig.model.migration import PlanData
from mailmig.rules.planning.baselines import by_department, compare, filled, windows_filled
from mailmig.rules.planning.field import Field, Ints, exposure_of, field_of
from mailmig.rules.planning.kernels import greedy
from mailmig.rules.planning.problem import compile_problem
from mailmig.rules.planning.search import seated
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.tidy import tidy

CHANCES = 5

# So many organisations are drawn from a seed at most; one in four to one in ten will do.
DRAWS = 200


class LeftOver(Exception):
    """An order that does not fit into the windows is no plan at all."""


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


def as_hard_as_real(
    draw: Callable[[str], PlanData], seed: int, enough: Callable[[PlanData], bool] | None = None
) -> PlanData:
    """The first organisation drawn from this seed that is as hard as a real one.

    `enough` says what that means; the usual ranges where it is not given. In a small
    organisation the order of names is a matter of luck, up to a third more or less than
    chance: so any seed will do only when others are drawn until one is as it should be.
    """
    for number in range(DRAWS):
        data = draw(f"{seed}/{number}")
        try:
            if enough(data) if enough else baselines(data).realistic:
                return data
        except LeftOver:
            continue
    raise AssertionError(f"no organisation as hard as a real one from seed {seed}")


def dense_enough(data: PlanData) -> bool:
    """The ranges of a graph without hierarchy, where an order by department hardly helps."""
    found = baselines(data)
    return (
        0.70 <= found.department <= 0.75
        and 0.86 <= found.components <= 0.99
        and 0.95 <= found.random <= 1.12
    )


def baselines(data: PlanData, seed: int = 0) -> Baselines:
    """Raises `LeftOver` where one of the orders does not fit."""
    problem = compile_problem(tidy(data, PlanSettings()))
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
    if exposure is None:
        raise LeftOver
    return exposure
