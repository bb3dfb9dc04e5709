"""The usual orders: what a plan is held against, and never costs more than."""

from dataclasses import replace

from hypothesis import assume, given, settings

from mailmig.model.migration import Comparison, PlanData, PlanMailbox, Share
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.refusals import Infeasible
from tests.rules.planning.drawn import problems
from tests.rules.planning.made import NOW, small, window

TWO = (window("w1", 1, max_mailboxes=2), window("w2", 11, max_mailboxes=2))


def compared(*names: str, shares: tuple[Share, ...] = (), **department: str) -> Comparison | None:
    mailboxes = tuple(PlanMailbox(n, 1, department=department.get(n, "")) for n in names)
    return make(small(windows=TWO, mailboxes=mailboxes, shares=shares), NOW).metrics.comparison


def test_each_order_costs_what_it_parts() -> None:
    pairs = (Share("a", "c", "FullAccess", 5.0), Share("b", "d", "SendAs", 3.0))
    assert compared("a", "b", "c", "d", shares=pairs, a="x", c="x", b="y", d="y") == Comparison(
        80.0, 0.0, 0.0
    )


def test_an_order_that_leaves_somebody_over_has_no_cost() -> None:
    windows = (window("w1", 1, capacity_bytes=10), window("w2", 2, capacity_bytes=6))
    made = make(small((2, 4, 10), windows), NOW)
    assert made.metrics.comparison == Comparison(None, None, None)


def test_where_nothing_is_moved_nothing_is_compared() -> None:
    assert make(small(sizes=()), NOW).metrics.comparison is None


@settings(max_examples=40, deadline=None)
@given(problems())
def test_no_plan_costs_more_than_the_department_order(data: PlanData) -> None:
    """Where databases hold that order, and no system mailbox or pilot comes before it."""
    wide = tuple(
        replace(d, capacity_bytes=10**6, log_headroom_bytes=None, server="")
        for d in data.target.databases
    )
    data = replace(
        data,
        mailboxes=tuple(replace(m, kind="user") for m in data.mailboxes),
        target=replace(data.target, databases=wide, servers=()),
        calendar=replace(
            data.calendar,
            windows=tuple(replace(w, pilot=False, cancelled=False) for w in data.calendar.windows),
            freezes=(),
        ),
    )
    try:
        metrics = make(data, NOW).metrics
    except Infeasible:
        assume(False)
        raise
    usual = metrics.comparison
    assume(usual is not None and usual.department is not None)
    assert usual is not None and usual.department is not None
    assert metrics.exposure <= usual.department * 1.001 + 1e-6
