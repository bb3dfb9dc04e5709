"""mailmig lab export, as an admin calls it."""

import json
import socket
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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--story", "towns"), 'there is no story "towns" (did you mean "town"?); known:'),
        (("--mailboxes", "0"), "0 mailboxes cannot be simulated: take a number from 1 to"),
        (("--speed", "-1"), "a speed of -1 cannot be: take a number from 0 (time stands still) to"),
        (("--speed", "nan"), "a speed of nan cannot be: take a number from 0"),
        (("--speed", "1e9"), "a speed of 1e+09 cannot be: take a number from 0"),
        (("--port-offset", "-1"), "a port offset of -1 cannot be: take a number from 0 to 59549"),
        (("--port-offset", "59550"), "a port offset of 59550 cannot be: take a number from 0"),
        (("--folder", "file"), "file cannot be written: Not a directory; no lab was started"),
        (("--folder", "mine"), "mine holds other files: name a folder that is new, empty or of an"),
        (("--folder", "real"), "real holds other files: name a folder that is new, empty or of an"),
    ],
)
def test_a_lab_that_cannot_run_is_refused_in_one_sentence(
    words: tuple[str, ...], sentence: str, mailmig: Mailmig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for name, file in (("mine", "thesis.txt"), ("real", "mailmig.toml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("# mine\n")
    outcome = mailmig("lab", "run", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"mailmig: {sentence}") and outcome.err.count("\n") == 1
    assert not (tmp_path / "lab").exists()
    assert (tmp_path / "real" / "mailmig.toml").read_text() == "# mine\n"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_in_use_is_named(kind: socket.SocketKind, mailmig: Mailmig, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.12.10", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        outcome = mailmig("lab", "run", "--port-offset", port - 53)
    assert outcome.code == 2
    assert outcome.err == (
        f"mailmig: 127.0.12.10 port {port} is in use: end what uses it (another lab?), "
        "or take another --port-offset\n"
    )
    assert not (tmp_path / "lab").exists()
