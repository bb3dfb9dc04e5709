"""`mailmig config init | check | show`."""

import os
import sys
from collections.abc import Iterator
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import click

from mailmig.cli.frame import SECTIONS, CannotWrite, deliver, section_class, session
from mailmig.model.errors import MailmigError

if TYPE_CHECKING:
    from mailmig.config import Config
    from mailmig.run.discovering import Discovery

_LOGGING_ON = ("directory", "exchange", "windows")
_KINDS = ("file", "env", "keyring")


class WouldOverwrite(MailmigError):
    """A configuration is there already: move it away, name another file, or say --overwrite."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} is there already and stays as it is: move it away first, or say --overwrite"
        )
        self.file = file


class NoReference(MailmigError):
    """A password is named by where it lies, never typed."""

    def __init__(self) -> None:
        super().__init__(
            "say where the password lies: file:PATH, env:NAME or keyring:SERVICE/ACCOUNT"
        )


@click.group(short_help="Make, check and show the configuration.")
def cmd() -> None:
    """Make, check and show the configuration (mailmig.toml)."""


@cmd.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("mailmig.toml"))
@click.option(
    "--domain", metavar="NAME",
    help="Find controllers, servers, DAG, databases and names of this Active Directory domain.",
)  # fmt: skip
@click.option("--account", metavar="NAME", help="With --domain: who logs on; else you are asked.")
@click.option(
    "--password", "reference", metavar="WHERE",
    help="With --domain: file:PATH, env:NAME or keyring:SERVICE/ACCOUNT; else you are asked.",
)  # fmt: skip
@click.option(
    "--ca-file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="With --domain: the authorities that signed the servers' certificates.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
def init(
    file: Path,
    domain: str | None,
    account: str | None,
    reference: str | None,
    ca_file: Path | None,
    overwrite: bool,
) -> None:
    """Write FILE with every key, its description and its default.

    With --domain it is filled in: domain controllers are found by DNS, all else by LDAP, with one
    logon. What the configuration in use says already is kept. Passwords are never written.
    """
    from mailmig.config import sample

    if file.exists() and not overwrite:
        raise WouldOverwrite(file)
    if not file.parent.is_dir():
        raise CannotWrite(file, FileNotFoundError(ENOENT, os.strerror(ENOENT)))
    if domain is None:
        if account or reference or ca_file:
            raise click.UsageError("--account, --password and --ca-file go with --domain")
        deliver(sample(_classes()), file)
        return
    if not domain.strip("."):
        raise click.UsageError("--domain is empty: name the domain, for example town.example")
    found, tables = _discover(domain, file, account, reference, ca_file)
    deliver(sample(_classes(), tables, _about(domain, found)), file)
    click.echo("look through it, then run: mailmig doctor", err=True)


@cmd.command()
def check() -> None:
    """Read the configuration and say whether it can be used."""
    for name, cls in _classes().items():
        session().config.section(name, cls)
    click.echo(f"good: {session().config.place}")


@cmd.command()
def show() -> None:
    """Print every value that holds, and where it comes from."""
    from tabulate import tabulate

    from mailmig.config import describe

    rows = [list(row) for row in describe(session().config, _classes())]
    if session().state_option is not None:
        for row in rows:
            if row[0] == "mailmig.state_folder":
                row[1:] = [f'"{session().state_folder}"', "--state or MAILMIG_STATE"]
    deliver(tabulate(rows, headers=["key", "value", "from"], disable_numparse=True), None)


def _classes() -> dict[str, type[Any]]:
    return {name: section_class(name) for name in SECTIONS}


Tables = dict[str, dict[str, Any]]


def _discover(
    domain: str, file: Path, account: str | None, reference: str | None, ca_file: Path | None
) -> tuple["Discovery", Tables]:
    """Asks DNS, then whoever sits there, then one controller; what was found, and the tables."""
    import asyncio

    from mailmig.config import Config
    from mailmig.model.addresses import AddressSettings
    from mailmig.run.controllers import published
    from mailmig.run.discovering import discover
    from mailmig.sources.directory import DirectorySettings
    from mailmig.sources.names import Names, NamesSettings

    used = session().config
    addresses = used.section("addresses", AddressSettings).map
    names = Names(used.section("names", NamesSettings), addresses)
    controllers = tuple(one.name for one in asyncio.run(published(domain, names)))
    click.echo(f"domain controllers: {', '.join(controllers)}", err=True)
    tables = _kept(used)
    logon = _logon(tables["directory"], account, reference)
    if ca_file is not None:
        logon["ca_file"] = str(ca_file.absolute())
    told = account or reference or ca_file
    for name in _LOGGING_ON:
        tables[name] = tables[name] | logon if told else logon | tables[name]
    tables["directory"]["servers"] = list(controllers)
    settings = Config(file, tables).section("directory", DirectorySettings)
    found = asyncio.run(discover(controllers, settings, addresses, session().gate))
    tables["exchange"]["server"] = found.newest
    return found, tables


def _kept(used: "Config") -> Tables:
    """What the configuration in use says; its paths hold from any folder."""
    base = used.file.parent if used.file else Path()

    def whole(path: object) -> str:
        return str((base / Path(str(path)).expanduser()).absolute())

    tables: Tables = {}
    for name, cls in _classes().items():
        used.section(name, cls)  # says what is wrong with it
        hints = get_type_hints(cls)
        tables[name] = dict(used.tables.get(name, {}))
        for key, value in tables[name].items():
            if Path in (hints[key], *get_args(hints[key])):
                tables[name][key] = whole(value)
            elif isinstance(value, dict) and "file" in value and name in _LOGGING_ON:
                tables[name][key] = {"file": whole(value["file"])}
    return tables


def _logon(known: dict[str, Any], account: str | None, reference: str | None) -> dict[str, Any]:
    """Account and reference: as told, as known, or as somebody at a terminal answers."""
    account = account or str(known.get("account", "")) or _asked(
        "account", "Account that logs on (DOMAIN\\account or account@domain)"
    )  # fmt: skip
    if reference is None and known.get("password"):
        return {"account": account, "password": known["password"]}
    where = reference or _asked(
        "password", "Where its password lies (file:PATH, env:NAME or keyring:SERVICE/ACCOUNT)"
    )
    kind, colon, rest = where.partition(":")
    if kind not in _KINDS or not colon or not rest:
        raise NoReference
    if kind == "file":
        rest = str(Path(rest).expanduser().absolute())
    return {"account": account, "password": {kind: rest}}


def _asked(option: str, question: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to be asked: say --{option}")
    answer: str = click.prompt(question, err=True)
    return answer


def _about(domain: str, found: "Discovery") -> Iterator[str]:
    """What the directory told, for whoever reads the file."""
    yield ""
    yield f"Found in {domain}:"
    for server in found.servers:
        dag = f", DAG {server.dag}" if server.dag else ""
        yield f"  server {server.fqdn or server.name}: Exchange {server.version}, {server.site}{dag}"
    for group in found.dags:
        yield f"  DAG {group.name}: {', '.join(group.servers)}, witness {group.witness}"
    for database in found.databases:
        yield f"  database {database.name}: {', '.join(database.servers)}"
    for site in found.sites:
        yield f"  site {site.name}: {', '.join(site.subnets) or 'no subnets'}"
    for name in found.client_names:
        yield f"  clients use {name}"
