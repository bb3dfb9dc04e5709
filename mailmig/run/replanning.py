"""Makes a plan again in mid-migration, and the full plan beside it that could be taken instead."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailmig.model.migration import Plan, PlanData, Told
from mailmig.rules.planning.progress import held, midway
from mailmig.rules.planning.remaking import Remade, differing, remake
from mailmig.rules.planning.settings import PlanSettings
from mailmig.run.planning import Tell, make_plan


@dataclass(frozen=True, slots=True)
class Replanned:
    """The plan that takes the place of the old one, and the `full` plan that is offered.

    `anchored` is None when somebody found no room among the old windows: then the full plan
    is the only one.
    """

    anchored: Remade | None
    full: Remade


def replan(
    old: Plan,
    data: PlanData,
    told: Sequence[Told],
    announced: Sequence[str],
    now: datetime,
    settings: PlanSettings,
    room_is_now: bool = False,
    seconds: float | None = None,
    tell: Tell | None = None,
) -> Replanned:
    """Both plans for what holds at `now`.

    `data` is what is known today, `room_is_now` tells that the room of its databases was read
    after the moves that `told` speaks of. Raises an `Infeasible` when no plan is possible.
    """
    today = midway(data, old.assignments, told, now, room_is_now)
    again = remake(today.left, today.data, now, settings, frozenset(announced))
    kept = held(today.data, today.left, announced)
    full = make_plan(kept, now, settings, old.snapshot, seconds, tell, today.left)
    changed, inserted = differing(full, today.left)
    if again is not None:
        plan = replace(again.plan, snapshot=old.snapshot)
        again = replace(again, plan=plan)
    return Replanned(again, Remade(full, changed, inserted))
