"""mailmig lab export, as an admin calls it."""

import json
from pathlib import Path

import pytest

from tests.conftest import Mailmig


def test_one_line_says_what_was_written_where(mailmig: Mailmig, tmp_path: Path) -> None:
    outcome = mailmig("lab", "export", "town", "--story", "town", "--mailboxes", 60)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("Stadt Lindenstadt, before the migration: 60 mailboxes and ")
    assert outcome.out.endswith(" MB, in town\n") and outcome.out.count("\n") == 1
    assert (tmp_path / "town" / "manifest.json").is_file()
    assert (tmp_path / "town" / "calendar" / "windows.json").is_file()


def test_options_choose_moment_culture_and_whole_objects(mailmig: Mailmig, tmp_path: Path) -> None:
    options = ("--mailboxes", 8, "--moment", "after", "--culture", "de-DE", "--whole", "--seed", 4)
    outcome = mailmig("lab", "export", "x", *options)
    assert outcome.code == 0 and "after the migration" in outcome.out
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text("utf-8"))
    assert manifest["server_version"] == "Version 15.2 (Build 2562.17)"
    assert manifest["culture"] == "de-DE"
    assert b"SerializationData" in (tmp_path / "x" / "mailboxes.xml").read_bytes()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--story", "towns"), 'mailmig: there is no story "towns" (did you mean "town"?); known:'),
        (("--mailboxes", "0"), "mailmig: 0 mailboxes cannot be simulated: take a number from 1 to"),
        (("--mailboxes", "200001"), "mailmig: 200001 mailboxes cannot be simulated"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    words: tuple[str, ...], sentence: str, mailmig: Mailmig, tmp_path: Path
) -> None:
    outcome = mailmig("lab", "export", "town", *words)
    assert outcome.code == 2
    assert outcome.err.startswith(sentence) and outcome.err.count("\n") == 1
    assert not (tmp_path / "town").exists()


def test_a_folder_with_something_else_in_it_is_refused(mailmig: Mailmig, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    outcome = mailmig("lab", "export", "mine")
    assert outcome.code == 2
    assert outcome.err == (
        "mailmig: mine holds other files: name a folder that is new, empty or an older export\n"
    )


def test_the_help_names_what_there_is(mailmig: Mailmig) -> None:
    outcome = mailmig("lab", "export", "--help")
    assert outcome.code == 0
    for word in ("--story", "--mailboxes", "--moment", "--culture", "--whole", "--seed"):
        assert word in outcome.out
