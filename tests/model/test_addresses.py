"""Where to connect instead, as it is written in mailmig.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig import config
from mailmig.config import BadConfig, sample
from mailmig.model.addresses import AddressSettings

NAMES = st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True)
PORTS = st.integers(1, 65535)


def of(folder: Path, text: str) -> AddressSettings:
    (folder / "mailmig.toml").write_text(f"[addresses.instead]\n{text}\n")
    found = config.load(folder / "mailmig.toml", ["addresses"])
    return found.section("addresses", AddressSettings)


def test_names_have_no_case_and_no_dot_at_the_end(tmp_path: Path) -> None:
    found = of(tmp_path, '"EX1.Town.example.:443" = "127.0.1.1:10443"\n"[::1]:53" = "[fe80::1]:54"')
    assert found.map == {
        ("ex1.town.example", 443): ("127.0.1.1", 10443),
        ("::1", 53): ("fe80::1", 54),
    }
    assert AddressSettings().map == {}


@given(NAMES, PORTS, NAMES, PORTS)
def test_what_is_written_is_what_is_read(name: str, port: int, to: str, at: int) -> None:
    assert AddressSettings({f"{name}:{port}": f"{to}:{at}"}).map == {(name, port): (to, at)}


@pytest.mark.parametrize(
    "text", ["ex1", ":443", "ex1:", "ex1:0", "ex1:65536", "ex1:x", "ex1:٤", "::1:443", "[ex1]:1"]
)
def test_what_is_no_place_is_refused_by_name(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        BadConfig, match=re.escape(f'addresses: instead: "{text}" is no "name:port"')
    ):
        of(tmp_path, f'"{text}" = "127.0.0.1:1"')
    with pytest.raises(BadConfig, match="is no"):
        of(tmp_path, f'"ex1:443" = "{text}"')


def test_the_sample_can_be_read_when_its_signs_of_comment_are_taken_away() -> None:
    text = re.sub(
        r"^#(?=[a-z_]+ = )", "", sample({"addresses": AddressSettings}), flags=re.MULTILINE
    )
    assert AddressSettings(**tomllib.loads(text)["addresses"]).map == {
        ("ex1.town.example", 443): ("127.0.11.21", 10443)
    }
