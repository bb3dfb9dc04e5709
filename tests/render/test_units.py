"""Sizes, per cents, times and texts as people read them, and as programs do."""

from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailmig.model.document import NONE, UNDEFINED, Cell, Unit
from mailmig.model.quota import GIB, KIB, MIB, UNKNOWN, UNLIMITED, Month, Outlook
from mailmig.render.units import (
    SIZE_UNITS,
    exact,
    number_of,
    percent_text,
    plain,
    shown,
    size_text,
    time_text,
    unbroken,
)

TIB = 1024 * GIB


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1 KB"),
        (1536, "1.5 KB"),
        (10 * KIB - 1, "10 KB"),
        (600 * MIB, "600 MB"),
        (MIB - 1, "1 MB"),
        (2039480320, "1.9 GB"),
        (2 * GIB, "2 GB"),
        (12 * GIB + GIB // 4, "12.3 GB"),
        (1024 * GIB - 1, "1 TB"),
        (1023 * GIB, "1023 GB"),
        (2199023254528, "2 TB"),
        (10**9, "954 MB"),
        (5000 * 1024**6, "5000 EB"),
    ],
)
def test_sizes_are_binary_and_have_three_digits(size: int, text: str) -> None:
    assert size_text(size) == text


def test_differences_show_their_sign_and_zero_shows_none() -> None:
    assert size_text(600 * MIB, signed=True) == "+600 MB"
    assert size_text(-600 * MIB, signed=True) == "-600 MB"
    assert size_text(-600 * MIB) == "-600 MB"
    assert size_text(0, signed=True) == "0 B"


@given(st.integers(1, 2**60))
@settings(deadline=None)
def test_a_size_is_near_what_it_says_and_never_zero(size: int) -> None:
    number, unit = size_text(size).split()
    said = Fraction(number) * 1024 ** SIZE_UNITS.index(unit)
    assert abs(said - size) * 200 <= size
    assert said > 0


@given(st.integers(-(2**60), 2**60))
@settings(deadline=None)
def test_a_loss_reads_as_the_gain_of_the_same_size(size: int) -> None:
    assert size_text(-size).removeprefix("-") == size_text(size).removeprefix("-")


@pytest.mark.parametrize(
    ("percent", "text"),
    [
        (0.0, "0 %"),
        (0.04, "≈ 0 %"),
        (-0.04, "≈ 0 %"),
        (0.06, "+0.1 %"),
        (9.94, "+9.9 %"),
        (9.96, "+10 %"),
        (12.5, "+12 %"),
        (312.4, "+312 %"),
        (-50.0, "-50 %"),
        (12345.0, "+12,345 %"),
    ],
)
def test_per_cents_are_short_and_only_nothing_is_zero(percent: float, text: str) -> None:
    assert percent_text(percent, signed=True) == text


@pytest.mark.parametrize(
    ("cell", "unit", "text"),
    [
        (UNLIMITED, Unit.BYTES, "unlimited"),
        (UNKNOWN, Unit.BYTES, "unknown"),
        (0, Unit.BYTES, "0 B"),
        (NONE, Unit.BYTES, "–"),
        (UNDEFINED, Unit.PERCENT, "n/a"),
        (1234567, Unit.COUNT, "1,234,567"),
        (3.04, Unit.MULTIPLE, "3.0 ×"),
        (Month(2031, 4), Unit.MONTH, "2031-04"),
        (Outlook.ALREADY_FULL, Unit.MONTH, "already full"),
        ("eaten_by_growth", Unit.WORD, "eaten by growth"),
        ("snake_case is a name", Unit.TEXT, "snake_case is a name"),
        (1.5, Unit.COUNT, "1.50"),
    ],
)
def test_every_kind_of_cell_is_shown(cell: Cell, unit: Unit, text: str) -> None:
    assert shown(cell, unit) == text


def test_unlimited_unknown_zero_and_nothing_are_different_for_people_and_programs() -> None:
    cells: list[Cell] = [UNLIMITED, UNKNOWN, 0, NONE, UNDEFINED]
    assert len({shown(cell, Unit.BYTES) for cell in cells}) == len(cells)
    assert [exact(cell) for cell in cells] == ["unlimited", "unknown", 0, "none", "n/a"]


def test_programs_get_exact_numbers_months_and_times() -> None:
    assert exact(10**15 + 1) == 10**15 + 1
    assert exact(100 / 3) == 100 / 3
    assert exact(Month(2031, 4)) == "2031-04"
    assert exact(Outlook.BEYOND) == "beyond_100_years"
    assert exact(datetime(2026, 11, 24, 8, tzinfo=UTC)) == "2026-11-24T08:00:00+00:00"


def test_times_carry_their_zone() -> None:
    assert time_text(datetime(2026, 11, 24, 8, 5, tzinfo=UTC)) == "2026-11-24 08:05 UTC"
    berlin = timezone(timedelta(hours=1))
    assert time_text(datetime(2026, 11, 24, 8, 5, tzinfo=berlin)) == "2026-11-24 08:05 +0100"


def test_one_person_and_two_people() -> None:
    assert number_of(1, "person", "people") == "1 person"
    assert number_of(1200, "person", "people") == "1,200 people"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Jörg Groß", "Jörg Groß"),
        ("山田\u3000太郎", "山田\u3000太郎"),
        ("a\tb\r\nc", "a b  c"),
        ("red\x1b[31m", "red\ufffd[31m"),
        ("txt.\u202eexe", "txt.\ufffdexe"),
        ("half \ud800", "half \ufffd"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_texts_from_elsewhere_keep_to_one_line_and_have_no_effects(text: str, clean: str) -> None:
    assert plain(text) == clean


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
@settings(deadline=None)
def test_no_text_gets_control_characters_through(text: str) -> None:
    clean = plain(text)
    assert len(clean) == len(text)
    assert len(clean.splitlines()) <= 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in clean)
    assert plain(clean) == clean
    unbroken(text).encode("utf-8")
