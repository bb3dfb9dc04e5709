import subprocess
import sys
from pathlib import Path

import pytest

from mailmig import __version__
from mailmig.cli.main import COMMANDS
from tests.conftest import Mailmig

# What costs more than a few milliseconds to import (measured: libraries of the project).
HEAVY = {
    "alembic", "asyncio", "babel", "dbos", "dns", "exchangelib", "jinja2", "keyring", "ldap3",
    "numpy", "pypsrp", "pydantic", "requests", "rich", "scipy", "sqlalchemy", "sqlite3", "ssl",
    "starlette", "tabulate", "textual", "weasyprint", "winrm", "xlsxwriter",
}  # fmt: skip


def loaded(*words: str) -> set[str]:
    """Top-level names of everything that one run imported."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mailmig", *words],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_heavy(command: str) -> None:
    found = loaded(*([command] if command else []), "--help")
    assert "click" in found
    assert not found & HEAVY


def test_the_deny_list_would_catch_a_heavy_import() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import tabulate"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "tabulate" in run.stderr


def test_every_command_of_the_table_exists_and_its_help_agrees(mailmig: Mailmig) -> None:
    overview = mailmig("--help").out
    for name in COMMANDS:
        outcome = mailmig(name, "--help")
        assert outcome.code == 0, outcome.err
        assert f"mailmig {name}" in outcome.out
        assert f"  {name} " in overview


def test_the_version_is_the_package_s(mailmig: Mailmig) -> None:
    assert mailmig("--version").out == f"mailmig, version {__version__}\n"


def test_an_unknown_command_names_the_nearest(mailmig: Mailmig) -> None:
    outcome = mailmig("inventry")
    assert outcome.code == 2
    assert "inventory" in outcome.err


def test_an_error_is_one_sentence_and_exit_code_2(mailmig: Mailmig, tmp_path: Path) -> None:
    (tmp_path / "mailmig.toml").write_text("[mailmigg]\n")
    outcome = mailmig("config", "check")
    assert outcome.code == 2
    assert (
        outcome.err
        == 'mailmig: mailmig.toml: mailmigg: there is no such table (did you mean "mailmig"?)\n'
    )


def test_a_fault_of_ours_is_no_traceback(mailmig: Mailmig, monkeypatch: pytest.MonkeyPatch) -> None:
    from mailmig import config

    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(config, "load", broken)
    outcome = mailmig("config", "check")
    assert outcome.code == 70
    assert outcome.err.startswith("mailmig: a fault in mailmig itself: RuntimeError: boom")
    with pytest.raises(RuntimeError):
        mailmig("-v", "config", "check")


def test_a_reader_that_goes_away_ends_the_program_quietly(tmp_path: Path) -> None:
    run = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m mailmig --state {tmp_path} config show | true; exit 0"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("option", ["--state", "--config"])
def test_an_empty_path_is_not_taken_for_the_current_folder(
    mailmig: Mailmig, tmp_path: Path, option: str
) -> None:
    outcome = mailmig(option, "", "inventory", "list")
    assert outcome.code == 2
    assert "it is empty: write a path, or leave the option away" in outcome.err
    assert not (tmp_path / "state.db").exists()
