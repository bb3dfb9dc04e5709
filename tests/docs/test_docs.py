"""README and docs are run: each command in a `console` block gives the output below it.

`...` in an output stands for anything; blanks and line breaks are all alike. The blocks of one
file are run from top to bottom in a folder of their own. A command that ends in `&` is a lab: it
runs beside those after it and is ended with the page. Everything public is named in the docs:
each command, each option.
"""

import doctest
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import pytest

from mailmig.cli.main import COMMANDS, root

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent
# Set-up of a whole machine; the steps below it are run one by one instead.
NOT_RUN = ("make ", "git clone", "cd ", "pip install", "pipx install")


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """(command, expected output) of every console block, in order."""
    for block in re.findall(
        r"^```console\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        command, output = "", ""
        for line in block.splitlines(keepends=True):
            if line.startswith("$ "):
                if command:
                    yield command, output
                command, output = line[2:].strip(), ""
            else:
                output += line
        if command:
            yield command, output


def agree(expected: str, said: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(expected, said, flags)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_gives_the_output_that_is_shown(page: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "MAILMIG_STATE": str(tmp_path / ".state"),
        "COLUMNS": "100", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    ran = 0
    with ExitStack() as stack:
        for command, expected in blocks(page):
            if command.startswith(NOT_RUN):
                continue
            if command.endswith("&"):
                output = stack.enter_context(beside(command[:-1], tmp_path, environment))
            else:
                output = subprocess.run(
                    command, shell=True, cwd=tmp_path, env=environment, text=True, timeout=120,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                ).stdout  # fmt: skip
            said = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
            same = agree(expected, said)
            assert same, f"{page.name}: $ {command}\n--- shown\n{expected}\n--- said\n{said}"
            ran += 1
    assert ran, f"{page.name} shows nothing that runs"


@contextmanager
def beside(command: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Runs a lab until the end of the block; gives what it said when it was ready."""
    log = folder / ".beside"
    with log.open("w") as file:
        lab = subprocess.Popen(
            shlex.split(command), cwd=folder, env=environment, stdout=file, stderr=file
        )
    try:
        ends = time.monotonic() + 60
        while "Ctrl-C ends it." not in log.read_text("utf-8"):
            assert lab.poll() is None and time.monotonic() < ends, log.read_text("utf-8")
            time.sleep(0.1)
        yield log.read_text("utf-8")
    finally:
        lab.send_signal(signal.SIGINT)
        assert lab.wait(30) == 0


def test_the_comparison_can_fail() -> None:
    assert not agree("a\n...\nc\n", "a\nb\nd\n")


def test_readme_shows_the_steps_of_make_demo() -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8")
    steps = re.findall(r"\$\(call step,(.*)\)\n", recipe)
    steps = [
        s.replace("$(DEMO)", "demo")
        for s in [*re.findall(r"^LAB = (.*)", recipe, re.MULTILINE), *steps]
    ]
    steps[0] += " &"
    shown = [command for command, _ in blocks(ROOT / "README.md")]
    assert [command for command in shown if command in steps] == steps


def commands(
    group: click.Group, context: click.Context, path: str
) -> Iterator[tuple[str, click.Command]]:  # fmt: skip
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, context, f"{path} {name}")


def test_every_command_and_option_is_named_in_the_docs() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    found = list(commands(root, click.Context(root), "mailmig"))
    assert {path.split()[1] for path, _ in found} == set(COMMANDS)
    for path, command in [("mailmig", root), *found]:
        assert path in text, f"{path} is in no page"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                name = max(parameter.opts, key=len)
                assert re.search(rf"{re.escape(name)}\b", text), f"{path} {name} is in no page"


def test_commands_in_the_docs_parse_as_a_shell_would() -> None:
    for page in PAGES:
        for command, _ in blocks(page):
            assert shlex.split(command)
