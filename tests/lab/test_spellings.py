"""Names, places and sizes as Exchange spells them."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.cultures import CULTURES, ENGLISH, GERMAN
from mailmig.lab.people import Directory, ascii_name
from mailmig.lab.places import Places, canonical_part, rdn
from mailmig.model.quota import UNLIMITED
from mailmig.wire import quantities

PLACES = Places("ad.town.example", "Town")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B (0 bytes)"),
        (1023, "1023 B (1,023 bytes)"),
        (262_144, "256 KB (262,144 bytes)"),
        (37_748_736, "36 MB (37,748,736 bytes)"),
        (2_039_480_320, "1.899 GB (2,039,480,320 bytes)"),
        (2_147_483_648, "2 GB (2,147,483,648 bytes)"),
        (1_073_741_823, "1024 MB (1,073,741,823 bytes)"),
        (2_199_023_254_528, "2 TB (2,199,023,254,528 bytes)"),
    ],
)
def test_a_size_is_printed_with_four_digits_and_exactly(number: int, text: str) -> None:
    assert ENGLISH.size(number) == text


def test_every_size_in_the_real_exports_is_printed_the_same_way(data_folder: Path) -> None:
    found = set()
    for file in (data_folder / "clixml").glob("*.xml"):
        found |= set(re.findall(r">([\d.]+ \wB \(([\d,]+) bytes\))<", file.read_text("utf-8-sig")))
    assert len(found) == 9
    assert {text: ENGLISH.size(int(digits.replace(",", ""))) for text, digits in found} == {
        text: text for text, _ in found
    }


def test_a_german_session_prints_german_separators() -> None:
    assert GERMAN.size(2_039_480_320) == "1,899 GB (2.039.480.320 Bytes)"
    assert GERMAN.quota(UNLIMITED) == "Unlimited"
    assert GERMAN.myself == r"NT-AUTORITÄT\SELBST"


@given(st.integers(0, 2**50), st.sampled_from(sorted(CULTURES)))
def test_a_printed_size_is_read_back_exactly(number: int, culture: str) -> None:
    assert quantities.size(CULTURES[culture].size(number)) == quantities.Size(number)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Müller-Groß", "mueller-gross"),
        ("D'Angelo", "dangelo"),
        ("Łukasiewicz", "lukasiewicz"),
        ("Yılmaz", "yilmaz"),
        ("Äußerlechner", "aeusserlechner"),
        ("Grünflächen / Friedhöfe".replace(" ", "."), "gruenflaechen.friedhoefe"),
    ],
)
def test_an_address_is_spelt_in_ascii(name: str, plain: str) -> None:
    assert ascii_name(name) == plain


@given(st.text(max_size=30))
def test_an_address_has_no_other_letters(text: str) -> None:
    assert re.fullmatch(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?", ascii_name(text))


def test_no_alias_account_or_name_comes_twice() -> None:
    names = Directory(random.Random(5))
    people = [names.person() for _ in range(30_000)]
    assert len({p.alias for p in people}) == len({p.account for p in people}) == len(people)
    assert len({p.name for p in people}) == len(people)
    assert max(len(p.account) for p in people) <= 20
    assert any("ü" in p.name for p in people) and any("ß" in p.name for p in people)


def test_names_are_escaped_where_their_letters_mean_something() -> None:
    path = ("Stadt", "Soziales", "Kinder, Jugend und Familie")
    assert PLACES.distinguished(path, "Poststelle / Süd") == (
        r"CN=Poststelle / Süd,OU=Kinder\, Jugend und Familie,OU=Soziales,OU=Stadt,"
        "DC=ad,DC=town,DC=example"
    )
    assert PLACES.canonical(path, "Poststelle / Süd") == (
        r"ad.town.example/Stadt/Soziales/Kinder, Jugend und Familie/Poststelle \/ Süd"
    )
    assert PLACES.distinguished(("Users",), "Anna") == "CN=Anna,CN=Users,DC=ad,DC=town,DC=example"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20))
def test_a_name_comes_back_out_of_its_canonical_name(name: str) -> None:
    text = PLACES.canonical(("Unit",), name)
    assert text.endswith(canonical_part(name))
    if "\\" not in name and name == name.strip():
        assert quantities.name_of(text) == name


@pytest.mark.parametrize("name", ["a,b", "a+b", 'a"b', "#a", " a", "a ", "a=b", "a<b>c;d"])
def test_special_letters_carry_a_backslash(name: str) -> None:
    assert re.sub(r"\\(.)", r"\1", rdn(name)) == name
    assert rdn(name) != name
