"""The command line: a table of commands, each imported only when it runs."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from mailmig import __version__
from mailmig.model.errors import MailmigError, nearest

INTERRUPTED = 130
INTERNAL = 70

COMMANDS = {
    "check": "Check both sites and every way in.",
    "collect": "Export what an inventory needs: live, or by a script.",
    "config": "Make, check and show the configuration.",
    "doctor": "Try every channel; say what the account can and cannot do.",
    "inventory": "Import exports; list, show and compare snapshots.",
    "lab": "The simulated organisation: rehearse before the real one.",
    "plan": "Make, show, compare, approve and re-plan waves.",
    "probe": "The accounts that checks log on with.",
    "report": "Reports for management: quota gains.",
}


class Commands(click.Group):
    """The help page comes from the table; a command's module is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return click.Command(cmd_name, short_help=COMMANDS[cmd_name])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS:
            hint = nearest(args[0], COMMANDS)
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        name, _, rest = super().resolve_command(ctx, args)
        command = import_module(f"mailmig.cli.{name}").cmd
        assert isinstance(command, click.Command)
        return name, command, rest


class _Place(click.Path):
    """A path that is there: an empty one would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty: write a path, or leave the option away", param, ctx)
        return super().convert(value, param, ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mailmig")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    envvar="MAILMIG_CONFIG",
    type=_Place(path_type=Path),
    help="Configuration to use (default: mailmig.toml in this folder; $MAILMIG_CONFIG).",
)
@click.option(
    "--state",
    "state_option",
    metavar="FOLDER",
    envvar="MAILMIG_STATE",
    type=_Place(path_type=Path),
    help="Folder for snapshots, plans and the journal ($MAILMIG_STATE).",
)
@click.option(
    "--retry-login", is_flag=True, help="Show a password once more that was refused before."
)
@click.option("-v", "--verbose", is_flag=True, help="Log what happens; show tracebacks.")
@click.pass_context
def root(
    ctx: click.Context,
    config_file: Path | None,
    state_option: Path | None,
    retry_login: bool,
    verbose: bool,
) -> None:
    """Plan and track mailbox moves from old Exchange servers into a DAG."""
    from mailmig.cli.frame import Session

    ctx.obj = Session(config_file, state_option, verbose, retry_login)


def main() -> None:
    """Run the program; an error that an admin can mend is one sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    verbose = any(word in ("-v", "--verbose") for word in sys.argv[1:])
    try:
        root(prog_name="mailmig", standalone_mode=False)
    except MailmigError as error:
        _stop(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _stop("interrupted", INTERRUPTED)
    except BrokenPipeError:
        _leave_pipe()
    except Exception as error:
        if verbose:
            raise
        _stop(
            f"a fault in mailmig itself: {type(error).__name__}: {error} "
            "(mailmig -v ... shows where; please report it)",
            INTERNAL,
        )


def _stop(sentence: str, code: int) -> None:
    click.echo(f"mailmig: {sentence}", err=True)
    sys.exit(code)


def _leave_pipe() -> None:
    """The reader went away (`| head`): end quietly, also when Python flushes at the end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
