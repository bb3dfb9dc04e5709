"""Who carries the exposure of a plan: mailboxes, shares, rights and pins. In weight-days.

A share's exposure is carried by both of its ends, so all mailboxes together carry twice the
exposure of the plan; parts are of the plan's exposure.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from heapq import nlargest

from mailmig.model.document import NONE, Block, Column, Row, Table, Unit
from mailmig.model.migration import Plan
from mailmig.render.units import percent_text
from mailmig.rules.planning.exposure import cost, days_of
from mailmig.rules.planning.problem import rows_of, share_rows
from mailmig.rules.planning.wording import count_text

CARRIERS = 20
FEW = 0.01


def carriers(plan: Plan) -> Iterator[Block]:
    """The mailboxes that carry most: those whose people to talk to."""
    paid, cuts = _per_mailbox(plan)
    total = plan.metrics.exposure
    if not paid:
        return
    where = {a.mailbox.casefold(): a.window for a in plan.assignments}
    columns = (
        Column("mailbox", "Mailbox"),
        Column("kind", "Kind", Unit.WORD),
        Column("window", "Window"),
        Column("shares", "Shares cut", Unit.COUNT),
        Column("exposure", "Exposure", Unit.COUNT),
        Column("part", "Part", Unit.PERCENT),
    )
    boxes = plan.data.mailboxes
    rows: list[Row] = []
    for row in nlargest(CARRIERS, paid, key=paid.__getitem__):
        box = boxes[row]
        window = where.get(box.identity.casefold(), NONE)
        part = 100 * paid[row] / total
        rows.append((box.identity, box.kind or NONE, window, cuts[row], paid[row], part))
    few = max(1, round(FEW * len(plan.assignments)))
    most = sum(nlargest(few, paid.values())) / (2 * total)
    text = (
        f"Both ends of a share carry it. {count_text(few, 'mailbox', 'mailboxes')}, one in a"
        f" hundred, carry {percent_text(100 * most)} of all that is carried: talk to these first."
    )
    yield Table("carriers", "Mailboxes that carry most", columns, rows, text)


def worst(plan: Plan) -> Iterator[Block]:
    columns = (
        Column("owner", "Mailbox"),
        Column("delegate", "Delegate"),
        Column("rights", "Rights"),
        Column("weight", "Weight", Unit.COUNT),
        Column("days", "Days", Unit.COUNT),
        Column("exposure", "Exposure", Unit.COUNT),
    )
    rows: list[Row] = [
        (c.owner, c.delegate, ", ".join(c.rights), c.weight, c.days, c.exposure)
        for c in plan.metrics.worst_shares
    ]
    if rows:
        yield Table("worst_shares", "Shares that cost most", columns, rows)


def rights(plan: Plan) -> Iterator[Block]:
    """What each right weighs and costs. The weight is that of most shares of the right."""
    columns = (
        Column("right", "Right"),
        Column("shares", "Shares", Unit.COUNT),
        Column("weight", "Weight", Unit.COUNT),
        Column("exposure", "Exposure", Unit.COUNT),
        Column("part", "Part", Unit.PERCENT),
    )
    weights: dict[str, Counter[float]] = defaultdict(Counter)
    for share in plan.data.shares:
        weights[share.right][share.weight] += 1
    total = plan.metrics.exposure
    rows: list[Row] = [
        (
            right, weights[right].total(), weights[right].most_common(1)[0][0], paid,
            100 * paid / total if total else 0.0,
        )
        for right, paid in plan.metrics.per_right.items()
        if right in weights
    ]  # fmt: skip
    if rows:
        text = "Weight: what most shares of this right weigh; others may differ."
        yield Table("rights", "Exposure per right", columns, rows, text)


def pins(plan: Plan) -> Iterator[Block]:
    columns = (
        Column("mailbox", "Mailbox"),
        Column("pin", "Pin"),
        Column("exposure", "Costs", Unit.COUNT),
    )
    prices = sorted(plan.metrics.pin_prices, key=lambda price: -price.exposure)
    rows: list[Row] = [
        (price.pin.identity, price.pin.text, price.exposure) for price in prices if price.exposure
    ]
    if rows:
        text = "What each mailbox would save in its best window, all others staying in theirs."
        free = len(prices) - len(rows)
        if free:
            text += f" {count_text(free, 'more pin')} cost nothing."
        yield Table("pins", "What pins cost", columns, rows, text)


def _per_mailbox(plan: Plan) -> tuple[dict[int, float], Counter[int]]:
    """Per row: what its cut shares cost, and how many they are."""
    data = plan.data
    rows = rows_of(data)
    days = days_of(data, rows, plan.assignments)
    paid: dict[int, float] = defaultdict(float)
    cuts: Counter[int] = Counter()
    for place, owner, delegate in zip(*share_rows(data, rows), strict=True):
        of = cost(data, data.shares[place].weight, days[owner], days[delegate])
        if of:
            for row in (owner, delegate):
                paid[row] += of
                cuts[row] += 1
    return paid, cuts
