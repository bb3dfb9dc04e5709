"""The same data with one thing changed: another window, more throughput, a mode, a pin less."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median_low

from mailmig.model.errors import MailmigError, nearest
from mailmig.model.migration import Mode, PlanData, Window


class NoSuchPin(MailmigError):
    """Nobody of this name is pinned: look at constraints.json."""

    def __init__(self, identity: str, pinned: Sequence[str]) -> None:
        super().__init__(f"no pin of {identity!r} to leave out{nearest(identity, pinned)}")
        self.identity = identity


def with_window(data: PlanData, start: datetime, end: datetime) -> PlanData:
    """One more window, `extra`, with the usual limits: the median of those that are no pilots."""
    windows = data.calendar.windows
    usual = [w for w in windows if not (w.pilot or w.cancelled)] or list(windows)
    sizes = [w.capacity_bytes for w in usual if w.capacity_bytes is not None]
    numbers = [w.max_mailboxes for w in usual if w.max_mailboxes is not None]
    ids = {window.id.casefold() for window in windows}
    id = next(id for n in range(1, len(ids) + 2) if (id := f"extra{n}") not in ids)
    extra = Window(
        id, start, end,
        capacity_bytes=median_low(sizes) if len(sizes) == len(usual) else None,
        max_mailboxes=median_low(numbers) if len(numbers) == len(usual) else None,
    )  # fmt: skip
    return replace(data, calendar=replace(data.calendar, windows=(*windows, extra)))


def faster(data: PlanData, factor: float) -> PlanData:
    """All that is moved per hour times `factor`: servers, bytes of windows, copies ahead."""
    calendar, target = data.calendar, data.target
    rate = calendar.copy_bytes_per_day
    return replace(
        data,
        calendar=replace(
            calendar,
            windows=tuple(
                w if w.capacity_bytes is None else replace(w, capacity_bytes=int(w.capacity_bytes * factor))
                for w in calendar.windows
            ),
            copy_bytes_per_day=None if rate is None else int(rate * factor),
        ),
        target=replace(
            target,
            servers=tuple(
                replace(
                    s,
                    gb_per_hour=_times(s.gb_per_hour, factor),
                    gb_per_hour_per_move=_times(s.gb_per_hour_per_move, factor),
                )
                for s in target.servers
            ),
        ),
    )  # fmt: skip


def in_mode(data: PlanData, mode: Mode) -> PlanData:
    return replace(data, calendar=replace(data.calendar, mode=mode))


def without_pin(data: PlanData, identity: str) -> PlanData:
    """The data without any pin of this mailbox. Raises `NoSuchPin`."""
    kept = tuple(pin for pin in data.pins if pin.identity.casefold() != identity.casefold())
    if len(kept) == len(data.pins):
        raise NoSuchPin(identity, [pin.identity for pin in data.pins])
    return replace(data, pins=kept)


def _times(speed: float | None, factor: float) -> float | None:
    return None if speed is None else speed * factor
