"""What admins do today: fill window after window from a list. A plan is held against it.

Every list is filled under the same limits of windows and pins as the plan, the pilot for its
people alone; databases are not looked at. On organisations as they are an order by department
has a quarter to two fifths of the exposure of an alphabetical one, and one component after
the other hardly less than it: nearly everybody is in one component.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csgraph, csr_matrix

from mailmig.model.migration import Comparison
from mailmig.rules.planning.field import Field, Ints, exposure_of
from mailmig.rules.planning.kernels import fill, nobody_seated
from mailmig.rules.planning.problem import Problem


def compare(problem: Problem, field: Field) -> Comparison:
    """The exposure of the usual orders. `field` belongs to the problem."""
    names = by_name(problem)
    orders = names, by_department(problem), by_component(field, names)
    return Comparison(*(filled(field, order) for order in orders))


def by_name(problem: Problem) -> Ints:
    """Rows of the field in the order of their names."""
    return _sorted([problem.name(row).casefold() for row in problem.todo])


def by_department(problem: Problem) -> Ints:
    """Rows in the order of department, then name."""
    mailboxes = [problem.data.mailboxes[row] for row in problem.todo]
    return _sorted([(m.department.casefold(), m.identity.casefold()) for m in mailboxes])


def by_component(field: Field, names: Ints) -> Ints:
    """Component after component, the largest first, each by name."""
    n = field.rows
    graph = csr_matrix((np.ones(len(field.indices)), field.indices, field.indptr), (n, n))
    _, label = csgraph.connected_components(graph, directed=False)
    size = np.bincount(label)
    rank = np.empty_like(names)
    rank[names] = np.arange(n)
    return np.lexsort((rank, label, -size[label])).astype(np.int64)


def filled(field: Field, order: Ints) -> float | None:
    """The exposure of windows filled in this order; `None` when somebody is left over."""
    x = windows_filled(field, order)
    return None if (x < 0).any() else exposure_of(field, x)


def windows_filled(field: Field, order: Ints) -> Ints:
    """Windows (n), -1 for who is left over: those with one window first, then each into the
    first window with room for it."""
    seating = nobody_seated(field)
    choices = field.allowed.sum(axis=1)
    for rows in (order[choices[order] == 1], order[choices[order] > 1]):
        fill(field, seating, rows)
    return seating.x


def _sorted(keys: Sequence[str] | Sequence[tuple[str, str]]) -> Ints:
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
