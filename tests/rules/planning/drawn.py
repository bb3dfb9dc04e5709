"""Small planning data drawn by hypothesis, with every kind of limit, most of them tight."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from mailmig.model.migration import (
    Calendar,
    Freeze,
    Mode,
    Pin,
    PlanData,
    PlanMailbox,
    Share,
    SourceLimit,
    State,
    Target,
    TargetDatabase,
    TargetServer,
    Window,
)
from mailmig.model.quota import GIB
from tests.rules.planning.made import START, window

RIGHTS = ("FullAccess", "SendAs", "Delegate")


@st.composite
def windows(draw: st.DrawFn, most: int) -> tuple[Window, ...]:
    count = draw(st.integers(1, most))
    return tuple(
        window(
            f"w{n}",
            1 + n * draw(st.sampled_from((1, 1, 1, 3))),
            capacity_bytes=draw(st.none() | st.integers(0, 120)),
            max_mailboxes=draw(st.none() | st.integers(0, 6)),
            pilot=draw(st.booleans()) if n == 0 else False,
            cancelled=draw(st.sampled_from((False, False, False, False, True))),
        )
        for n in range(count)
    )


@st.composite
def targets(draw: st.DrawFn, most: int) -> Target:
    count = draw(st.integers(1, most))
    databases = tuple(
        TargetDatabase(
            f"TDB{n}",
            draw(st.integers(20, 300)),
            draw(st.none() | st.integers(0, 120)),
            f"EX{n % 2}",
            f"dc{n % 2}",
        )
        for n in range(count)
    )
    servers = tuple(
        TargetServer(f"EX{n}", draw(st.none() | st.integers(1, 15).map(lambda s: s / GIB)))
        for n in range(2)
    )
    sources = (SourceLimit("SRC", draw(st.sampled_from((0.3, 0.5, 1.0)))),)
    return Target(databases, servers, sources, {"s0": "dc0"})


@st.composite
def problems(
    draw: st.DrawFn, mailboxes: int = 12, windows_: int = 4, databases: int = 3
) -> PlanData:
    """Mailboxes of 0 to 40 bytes, so that limits of the same size can be met to the byte."""
    boxes = tuple(
        PlanMailbox(
            f"m{n}@corp.example",
            draw(st.integers(0, 40)),
            department=draw(st.sampled_from(("", "a", "b"))),
            kind=draw(st.sampled_from(("user", "user", "user", "shared", "arbitration"))),
            site=draw(st.sampled_from(("s0", "s1"))),
            source_database=draw(st.sampled_from(("SRC", "OTHER"))),
            state=draw(st.sampled_from((State.PENDING,) * 5 + (State.MOVED,))),
        )
        for n in range(draw(st.integers(1, mailboxes)))
    )
    made = draw(windows(windows_))
    target = draw(targets(databases))
    calendar = Calendar(
        project_start=START,
        windows=made,
        freezes=draw(freezes()),
        deadline=draw(st.none() | st.just(made[-1].end)),
        mode=draw(st.sampled_from((Mode.CLASSIC, Mode.CLASSIC, Mode.PRESTAGE))),
        copy_bytes_per_day=draw(st.none() | st.integers(10, 200)),
    )
    data = PlanData(boxes, (), calendar, target, draw(pins(boxes, made, target)))
    names = st.sampled_from([box.identity for box in boxes])
    shares = st.builds(
        Share, names, names, st.sampled_from(RIGHTS), st.sampled_from((0.5, 2.0, 5.0))
    )
    return replace(
        data,
        shares=tuple(draw(st.lists(shares, max_size=20))),
        new_delegate=draw(st.sampled_from((1.0, 1.0, 0.0, 2.0))),
        new_owner=draw(st.sampled_from((1.0, 1.0, 0.0, 3.0))),
        department_share=draw(st.sampled_from((1.0, 1.0, 1.0, 0.5))),
    )


@st.composite
def freezes(draw: st.DrawFn) -> tuple[Freeze, ...]:
    begin = draw(st.sampled_from((None, None, 0, 2, 3)))
    if begin is None:
        return ()
    start = START + timedelta(days=begin, hours=1)
    return (Freeze(start, start + timedelta(hours=20), "pause"),)


@st.composite
def pins(
    draw: st.DrawFn, boxes: tuple[PlanMailbox, ...], made: tuple[Window, ...], target: Target
) -> tuple[Pin, ...]:
    names = st.sampled_from([box.identity for box in boxes])
    ids = st.sampled_from([each.id for each in made])
    databases = st.sampled_from([database.id for database in target.databases])
    kinds = st.one_of(
        st.builds(Pin, names, st.just("why"), window=ids),
        st.builds(Pin, names, st.just("why"), not_before=ids),
        st.builds(Pin, names, st.just("why"), not_after=ids),
        st.builds(Pin, names, st.just("why"), database=databases),
    )
    return tuple(draw(st.lists(kinds, max_size=3)))
