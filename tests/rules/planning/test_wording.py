"""Sizes, numbers and times in words."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailmig.rules.planning.wording import (
    count_text,
    listed,
    mailboxes_text,
    number_text,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (1023, "1023 B"), (1024, "1 KB"), (1536, "1.5 KB"), (5 * 1024**3, "5 GB"),
        (312820993761, "291.3 GB"), (2**40 * 2000, "1.953 PB"), (2**60, "1024 PB"),
    ],
)  # fmt: skip
def test_sizes_are_binary(size: int, text: str) -> None:
    assert size_text(size) == text


def test_numbers_and_counts() -> None:
    assert [number_text(n) for n in (0, 31.0, 31.25, 7197.16, 1234567)] == [
        "0", "31", "31.2", "7,197.2", "1,234,567",
    ]  # fmt: skip
    assert (count_text(1, "share"), count_text(2000, "share")) == ("1 share", "2,000 shares")
    assert (mailboxes_text(1), mailboxes_text(0)) == ("1 mailbox", "0 mailboxes")


def test_times_are_told_in_the_zone_of_the_plan() -> None:
    moment = datetime(2027, 7, 1, 22, 30, tzinfo=UTC)
    assert time_text(moment, ZoneInfo("Europe/Berlin")) == "Fri 2027-07-02 00:30"


def test_a_long_list_is_cut_but_its_length_is_kept() -> None:
    note = listed("many", [str(n) for n in range(1000)])
    assert (len(note.items), note.total) == (200, 1000)
