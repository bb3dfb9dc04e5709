"""Makes a plan again in mid-migration, and the full plan beside it that could be taken instead."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailmig.model.migration import Plan, PlanData, Told
from mailmig.rules.planning.progress import held, midway
from mailmig.rules.planning.remaking import Remade, differing, remake, unheld
from mailmig.rules.planning.settings import PlanSettings
from mailmig.rules.planning.wording import listed
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
    made = make_plan(kept, now, settings, old.snapshot, seconds, tell, today.left)
    if announced:
        made = unheld(made, today.left, today.data, settings, frozenset(announced))
    full = _entering(Remade(made, *differing(made, today.left)), announced)
    if again is not None:
        plan = replace(again.plan, snapshot=old.snapshot)
        again = _entering(replace(again, plan=plan), announced)
    return Replanned(again, full)


def _entering(remade: Remade, announced: Sequence[str]) -> Remade:
    """With a note of those whom pins lead into an announced window."""
    plan, new = remade.plan, {*remade.changed, *remade.inserted}
    names = [a.mailbox for a in plan.assignments if a.window in announced and a.mailbox in new]
    if not names:
        return remade
    note = listed("pins lead them into an announced window: tell them", names)
    return replace(remade, plan=replace(plan, notes=(*plan.notes, note)))
