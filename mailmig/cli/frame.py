"""What every command needs: the configuration, the state folder, and a way to hand over results."""

import logging
import os
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailmig import __version__
from mailmig.model.errors import MailmigError

if TYPE_CHECKING:
    from mailmig.config import Config, Settings
    from mailmig.sources.remote_logon import LogonGate
    from mailmig.store.engine import Store
    from mailmig.store.plans import Plans
    from mailmig.store.snapshots import Snapshots

_log = logging.getLogger(__name__)

# The tables of mailmig.toml and the classes that hold them, imported when they are asked for.
SECTIONS = {
    "mailmig": "mailmig.config:Settings",
    "plan": "mailmig.rules.planning.settings:PlanSettings",
    "names": "mailmig.sources.names:NamesSettings",
    "directory": "mailmig.sources.directory_settings:DirectorySettings",
    "exchange": "mailmig.sources.exchange:ExchangeSettings",
    "windows": "mailmig.sources.windows:WindowsSettings",
    "check": "mailmig.run.check_settings:CheckSettings",
    "web": "mailmig.sources.web:WebSettings",
    "probe": "mailmig.run.probing:ProbeSettings",
    "addresses": "mailmig.model.addresses:AddressSettings",
}


class CannotWrite(MailmigError):
    """A result could not be written: look at the folder, its rights and its room."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} cannot be written: {error.strerror or error}; nothing was changed there"
        )
        self.path = path


def section_class(name: str) -> type[Any]:
    module, _, attribute = SECTIONS[name].partition(":")
    found: type[Any] = getattr(import_module(module), attribute)
    return found


@dataclass
class Session:
    """One run of the program: the options before the command's name, and what follows from them."""

    config_file: Path | None = None
    state_option: Path | None = None
    verbose: bool = False
    retry_login: bool = False

    @cached_property
    def config(self) -> "Config":
        from mailmig import config
        from mailmig.cli import logs

        found = config.load(config.find(self.config_file), SECTIONS)
        settings = found.section("mailmig", config.Settings)
        level = "debug" if self.verbose else settings.log_level
        logs.set_up(level, settings.log_file, found.secrets)
        _log.info("mailmig %s, configuration: %s", __version__, found.place)
        return found

    @cached_property
    def settings(self) -> "Settings":
        from mailmig.config import Settings

        return self.config.section("mailmig", Settings)

    @cached_property
    def state_folder(self) -> Path:
        """Where the state lies: --state, else `mailmig.state_folder`, else the application folder.

        The configuration is read in any case: it may be wrong, and it says what is logged.
        """
        configured = self.settings.state_folder
        found = self.state_option or configured or Path(click.get_app_dir("mailmig"))
        _log.info("state folder: %s", found.absolute())
        return found.absolute()

    @cached_property
    def _store(self) -> "Store":
        from mailmig.store.engine import Store

        return Store.open(self.state_folder)

    @cached_property
    def gate(self) -> "LogonGate":
        """What everything that logs on has to pass; refused passwords lie in the state folder."""
        from mailmig.sources.remote_logon import LogonGate
        from mailmig.store.logons import Logons

        return LogonGate(Logons(self.state_folder, retry=self.retry_login))

    def store(self) -> "Store":
        return self._store

    def snapshots(self) -> "Snapshots":
        return self._store.snapshots

    def plans(self) -> "Plans":
        return self._store.plans


def session() -> Session:
    """The session of the running command."""
    found = click.get_current_context().find_object(Session)
    assert found is not None, "commands run below mailmig.cli.main"
    return found


def deliver(data: str | bytes, out: Path | None) -> None:
    """Hand over a result: to standard output, or to a file that is whole or not there.

    A text goes out as UTF-8 with the line ends that it has. The path is told on standard
    error, so that a pipe gets the result alone.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if out is None:
        if isinstance(data, bytes) and sys.stdout.isatty():
            raise click.UsageError("this format is no text: name a file with --out FILE")
        stream = sys.stdout.buffer
        stream.write(raw if raw.endswith(b"\n") or isinstance(data, bytes) else raw + b"\n")
        stream.flush()
        return
    write_whole(out, raw)
    click.echo(f"written: {out}", err=True)


def write_whole(path: Path, raw: bytes) -> None:
    """Replace a file by new content in one step; on an error the old one stays as it was.

    A link stays a link: the file that it points to is replaced. What is no file, such as a
    pipe or /dev/stdout, is written to; a rename would put a file in its place.
    """
    temporary = None
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(raw)
            return
        path = path.resolve() if path.is_symlink() else path
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        if os.name == "posix":
            Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise CannotWrite(path, error) from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
