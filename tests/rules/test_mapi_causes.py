"""Laws of the causes; what each row rests on stands in the cases of `mapi.matrix`."""

from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from mailmig.model.finding import INSIDE, OUTSIDE, Fact, NoAnswer, Origin
from mailmig.model.mapi import Discovered, Step, Walk
from mailmig.model.web import Stage, Trouble
from mailmig.rules.mapi_causes import Case, Cell, cause, causes

_AT = datetime(2026, 11, 20, 8, tzinfo=UTC)
_HERE = Origin("", "")
_CODES = st.sampled_from([None, 0, 0x3EB, 0x3F2, 0x478, 0x50C, 0x80070005, 0x80040111])
_TROUBLES = st.none() | st.builds(Trouble, st.sampled_from(Stage), st.just("broken"), st.booleans())
_STEPS = st.builds(
    Step,
    st.sampled_from(["knock", "logon", "PING", "Connect", "RopLogon", "RopOpenFolder"]),
    st.sampled_from([0, 200, 401, 404, 500, 502, 503]),
    st.sampled_from([None, 0, 1, 6, 10, 13]), _CODES, _TROUBLES, by_exchange=st.booleans(),
)  # fmt: skip
_WALKS = st.builds(
    Walk, st.lists(_STEPS, max_size=3).map(tuple), let_in=st.none() | st.booleans(),
    logon_value=_CODES, folder_value=st.sampled_from([None, 0, 0x8004010F]),
    owner=st.none() | st.booleans(),
)  # fmt: skip
_DISCOVERED = st.builds(
    Discovered, st.sampled_from([0, 200, 401, 503]), st.none() | st.booleans(),
    error=st.sampled_from([None, 500, 600]), legacy_dn=st.sampled_from(["", "/o=Town/cn=x"]),
    mapi=st.booleans(), trouble=_TROUBLES,
)  # fmt: skip
_NOTHING = st.just(NoAnswer("no answer within 30 s", _AT, _HERE))
_CELLS = st.builds(
    Cell, st.sampled_from([INSIDE, OUTSIDE]),
    st.sampled_from(["mail at 192.0.2.1", "mail at 192.0.2.2"]), st.just("probe"),
    st.sampled_from(["probe", "sales"]),
    st.none() | _NOTHING | _DISCOVERED.map(lambda one: Fact(one, _AT, _HERE)), st.just("mail"),
    st.none() | _NOTHING | _WALKS.map(lambda one: Fact(one, _AT, _HERE)),
)  # fmt: skip
_CASES = st.lists(_CELLS, max_size=5).map(tuple)


@given(_CASES)
def test_what_fails_has_one_cause_and_what_works_has_none(cells: tuple[Cell, ...]) -> None:
    case = Case(cells)
    for cell in cells:
        row = cause(case, cell)
        assert (row is None) is cell.is_good


@given(_CASES, st.randoms())
def test_the_order_of_what_was_asked_does_not_matter(
    cells: tuple[Cell, ...], random: Random
) -> None:
    other = list(cells)
    random.shuffle(other)
    for cell in cells:
        assert cause(Case(cells), cell) is cause(Case(tuple(other)), cell)


@given(_CASES)
def test_nothing_that_fails_inside_is_called_broken_from_outside(cells: tuple[Cell, ...]) -> None:
    ill = [replace(one, walk=None) if one.vantage == INSIDE else one for one in cells]
    case = Case(tuple(ill))
    said = [row.key for one in ill if (row := cause(case, one))]
    assert "shared_outside" not in said


def test_keys_of_causes_are_different_from_each_other() -> None:
    keys = [key for key, _ in causes()]
    assert len(set(keys)) == len(keys)
