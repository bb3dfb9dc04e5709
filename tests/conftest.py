"""What all tests share: the data folder, a state folder of their own, and the command line."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import settings

# These machines are slow and shared: a test fails on what it finds, never on the clock.
settings.register_profile("mailmig", deadline=None)
settings.load_profile("mailmig")

LEFT_OUT = pytest.StashKey[set[str]]()
ODD_VALUES = pytest.StashKey["OddValues"]()


class OddValues(logging.Handler):
    """Hears what the lab was given that the cmdlet reference does not list, in any test."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.told[text] = self.told.get(text, 0) + 1


def pytest_configure(config: pytest.Config) -> None:
    # Whoever starts the tests in the background has Ctrl-C ignored, and all programs inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    heard = config.stash[ODD_VALUES] = OddValues()
    logging.getLogger("mailmig.lab.odd_values").addHandler(heard)


def data() -> Path | None:
    """The folder with real exports and example input, where there is one."""
    named = os.environ.get("MAILMIG_TEST_DATA")
    return Path(named) if named and Path(named).is_dir() else None


@pytest.fixture
def data_folder(request: pytest.FixtureRequest) -> Path:
    found = data()
    if found is None:
        request.config.stash.setdefault(LEFT_OUT, set()).add(request.node.nodeid)
        pytest.skip("no data folder: set MAILMIG_TEST_DATA")
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = terminalreporter.config.stash.get(LEFT_OUT, set())
    if left_out:
        terminalreporter.write_line(
            f"left out: {len(left_out)} tests that read the data folder; "
            "name it with MAILMIG_TEST_DATA to run them"
        )
    odd = terminalreporter.config.stash[ODD_VALUES].told
    if odd:
        terminalreporter.section("values that the cmdlet reference does not list")
        for text, times in sorted(odd.items()):
            terminalreporter.write_line(f"{text}  ({times}x)")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the configuration, the state or the terminal of whoever runs it."""
    for name in ("MAILMIG_CONFIG", "MAILMIG_STATE", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / "config"))


class Outcome:
    """How one run of the command line ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Mailmig = Callable[..., Outcome]


@pytest.fixture
def mailmig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mailmig:
    """Runs `mailmig WORDS...` in this process as `main` would, in a folder of the test's own."""
    from mailmig.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILMIG_STATE", str(tmp_path / "state"))

    def run(*words: object) -> Outcome:
        texts = [str(word) for word in words]
        monkeypatch.setattr(sys, "argv", ["mailmig", *texts])
        result: Result = CliRunner().invoke(_entry(main.main), [])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


def _entry(function: Callable[[], None]):  # type: ignore[no-untyped-def]
    import click

    @click.command(context_settings={"ignore_unknown_options": True})
    def entry() -> None:
        function()

    return entry
