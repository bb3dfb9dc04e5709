"""`mailmig collect --script`."""

from pathlib import Path

import pytest

from mailmig import __version__
from mailmig.wire.collect_script import script
from tests.conftest import Mailmig


def test_the_script_goes_to_standard_output(mailmig: Mailmig) -> None:
    outcome = mailmig("collect", "--script")
    assert outcome.code == 0
    assert outcome.out == script(__version__)
    assert outcome.err == ""


def test_a_file_gets_windows_line_ends(mailmig: Mailmig, tmp_path: Path) -> None:
    outcome = mailmig("collect", "--script", "--out", "collect.ps1")
    assert outcome.code == 0
    assert outcome.out == ""
    raw = (tmp_path / "collect.ps1").read_bytes()
    assert raw == script(__version__).replace("\n", "\r\n").encode("ascii")


@pytest.mark.parametrize("words", [["collect"], ["collect", "--out", "collect.ps1"]])
def test_without_script_it_says_what_to_do(
    mailmig: Mailmig, tmp_path: Path, words: list[str]
) -> None:
    outcome = mailmig(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "use mailmig collect --script" in outcome.err
    assert not (tmp_path / "collect.ps1").exists()


def test_a_file_that_cannot_be_written_is_one_sentence(mailmig: Mailmig) -> None:
    outcome = mailmig("collect", "--script", "--out", "nowhere/collect.ps1")
    assert outcome.code == 2
    assert "nowhere/collect.ps1 cannot be written" in outcome.err
