"""Logs as text: what stands between the separators comes back."""

import re
from csv import reader
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.logs import formats

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(TEXTS, min_size=2, max_size=6))
def test_every_value_of_a_csv_line_comes_back_but_for_line_breaks(values: list[str]) -> None:
    line = ",".join(formats.csv(one) for one in values)
    assert "\r" not in line and "\n" not in line
    assert next(reader([line])) == [re.sub(r"[\r\n]+", " ", one) for one in values]


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_a_w3c_line_has_as_many_parts_as_values(values: list[str]) -> None:
    parts = " ".join(formats.w3c(one) for one in values).split(" ")
    assert len(parts) == len(values)
    for sent, part in zip(values, parts, strict=True):
        assert part == "-" if not sent else len(part) == len(sent)


def test_a_moment_has_milliseconds_that_are_cut_off() -> None:
    at = datetime(2027, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert formats.moment(at) == "2027-01-02T03:04:05.999Z"
    assert formats.moment(at.replace(microsecond=7_000)) == "2027-01-02T03:04:05.007Z"
