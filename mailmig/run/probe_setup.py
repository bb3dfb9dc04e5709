"""`mailmig probe setup`: what there is, the script that makes what is missing, and the settings.

The script is for the Exchange Management Shell, whose commands run one after the other and may be
run again: it makes what is not there, and leaves passwords of what is there alone. No password
stands in it. It reads them from files that lie where the script is run, or asks for each.
"""

import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from mailmig.model.command import quoted
from mailmig.model.database import Database
from mailmig.model.directory import Mailbox
from mailmig.model.errors import MailmigError
from mailmig.model.names import AddressMap
from mailmig.model.organisation import Server
from mailmig.model.snapshot import Snapshot
from mailmig.rules.probe_accounts import (
    DatabaseProbes,
    ProbeMailbox,
    grant,
    openings,
    probe_tables,
    probes,
)
from mailmig.run.taking import open_directory
from mailmig.sources.directory_settings import DirectorySettings
from mailmig.sources.remote_logon import LogonGate

_FILE_END: Final = ".txt"
_AUTODISCOVER: Final = "autodiscover."
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
# Bytes of chance in a password; what is put behind it is there for rules about kinds of signs.
_CHANCE: Final = 18
_KINDS: Final = "-Aa1"

_HEAD: Final = """\
# Makes the probe accounts of mailmig: {mailboxes} mailboxes on {databases} databases.
#
# Run it in the Exchange Management Shell of a server of the newest version:
#
#     .\\probes.ps1 -Passwords C:\\probe-passwords     passwords from ACCOUNT.txt in that folder
#     .\\probes.ps1                                   asks for each password
#
# It may be run again: what is there stays, with its password. Shared mailboxes get a password that
# nobody learns; their accounts are disabled.
param([string] $Passwords = '')
$ErrorActionPreference = 'Stop'

function Test-Probe([string] $Address, [string] $Title) {{
    $found = Get-Mailbox -Identity $Address -ErrorAction SilentlyContinue
    if ($found -and "$($found.DisplayName)" -ne $Title) {{
        throw "$Address is the mailbox of somebody else: $($found.DisplayName)"
    }}
    return [bool] $found
}}

function Get-ProbePassword([string] $Account) {{
    if ($Passwords) {{
        $file = Join-Path -Path $Passwords -ChildPath "$Account.txt"
        $text = Get-Content -LiteralPath $file -TotalCount 1
        return ConvertTo-SecureString -String $text -AsPlainText -Force
    }}
    return Read-Host -Prompt "Password of $Account" -AsSecureString
}}

function Get-NobodysPassword {{
    $text = "Aa1-$([guid]::NewGuid())"
    return ConvertTo-SecureString -String $text -AsPlainText -Force
}}
"""
_MAKING: Final = """\

if (-not (Test-Probe {identity} {title})) {{
    $secret = {secret}
    [void]({creation} -Password $secret)
}}
{finish}
"""


class NothingKnown(MailmigError):
    """Neither a directory nor a snapshot says which databases there are."""

    def __init__(self) -> None:
        super().__init__(
            "nobody says which databases there are: fill in [directory], or import a snapshot"
        )


class NoMailDomain(MailmigError):
    """The domain of the probes' addresses does not follow from the names that clients use."""

    def __init__(self) -> None:
        super().__init__(
            "no name of [check] names and no service connection point begins with autodiscover.: "
            "say the domain of addresses, --domain town.example"
        )


class BadMailDomain(MailmigError):
    """What was given as a domain is none."""

    def __init__(self, domain: str) -> None:
        super().__init__(f'{domain!r} is no domain of addresses: write it like "town.example"')
        self.domain = domain


class CannotKeepPassword(MailmigError):
    """A password's file cannot be written: look at the folder, its rights and its room."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Known:
    """What there is: `homes` are the databases of mailboxes by alias, `hosts` names of clients.

    `forest` is the domain that accounts are in, "" where nothing tells.
    """

    servers: tuple[Server, ...]
    databases: tuple[Database, ...]
    forest: str
    homes: Mapping[str, str]
    hosts: tuple[str, ...] = ()


async def from_directory(
    settings: DirectorySettings, addresses: AddressMap, gate: LogonGate
) -> Known:
    """Asks a domain controller. Raises what `open_directory` and `Directory` raise."""
    async with open_directory(settings, addresses, gate) as directory:
        found = await directory.configuration()
        mailboxes = await directory.mailboxes()
        points = (urlsplit(point.url).hostname for point in found.autodiscover_points)
        return Known(
            found.servers, found.databases, domain_of(directory.base),
            _homes(mailboxes), tuple(host for host in points if host),
        )  # fmt: skip


def from_snapshot(snapshot: Snapshot) -> Known:
    """What a snapshot says; accounts are in the domain that most of its mailboxes are in."""
    domains = Counter(domain_of(one.distinguished_name) for one in snapshot.mailboxes)
    domains.pop("", None)
    forest = domains.most_common(1)[0][0] if domains else ""
    return Known(snapshot.servers, snapshot.databases, forest, _homes(snapshot.mailboxes))


def _homes(mailboxes: Iterable[Mailbox]) -> dict[str, str]:
    return {one.alias.lower(): one.database for one in mailboxes}


def domain_of(dn: str) -> str:
    """The domain that a distinguished name ends with: "ad.town.example"."""
    parts = (part.partition("=") for part in dn.split(","))
    return ".".join(value for kind, _, value in parts if kind.strip().lower() == "dc").lower()


def planned(known: Known, names: Iterable[str], domain: str = "") -> tuple[DatabaseProbes, ...]:
    """The probes of all databases. `names` are the configuration's; `domain` is that of addresses.

    Raises:
        NothingKnown, NoMailDomain, BadMailDomain.
    """
    if not known.databases:
        raise NothingKnown
    if not domain:
        hosts = (name.lower().rstrip(".") for name in (*names, *known.hosts))
        named = [one.removeprefix(_AUTODISCOVER) for one in hosts if one.startswith(_AUTODISCOVER)]
        if not named:
            raise NoMailDomain
        domain = named[0]
    if not _DOMAIN.fullmatch(domain):
        raise BadMailDomain(domain)
    domain = domain.lower()
    return probes(known.databases, known.servers, domain, known.forest or domain)


def script(made: Iterable[DatabaseProbes]) -> str:
    """The PowerShell script; ASCII unless a database's name is not."""
    made = tuple(made)
    return "".join(_script(made))


def _script(made: tuple[DatabaseProbes, ...]) -> Iterator[str]:
    yield _HEAD.format(mailboxes=2 * len(made), databases=len(made))
    for pair in made:
        yield f"\n# {_in_comment(pair.database)}, {pair.version}"
        for one in (pair.delegate, pair.shared):
            own = f"Get-ProbePassword {quoted(one.account)}"
            yield _MAKING.format(
                identity=quoted(one.address), title=quoted(one.title), creation=one.creation,
                finish=one.finish, secret="Get-NobodysPassword" if one.shared else own,
            )  # fmt: skip
    yield "\n# who opens what\n"
    for delegate, opened in openings(made):
        for shared in opened:
            yield f"[void]({grant(delegate.logon_name, shared.address)})\n"


def _in_comment(name: str) -> str:
    """A name that ends no line of a comment."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def settings_text(made: Iterable[DatabaseProbes], folder: str) -> str:
    """The part of mailmig.toml that names the probes; their passwords lie in `folder`."""
    tables = probe_tables(made, lambda account: f"{folder}/{account}{_FILE_END}")
    parts = ['[probe]\nscheme = "ntlm"  # or kerberos, or basic: only this is tried']
    for name, rows in tables.items():
        lines = [f"{json.dumps(key)} = {_toml(value)}" for key, value in rows]
        parts.append("\n".join((f"[{name}]", *lines)))
    return "\n\n".join(parts) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def keep_passwords(folder: Path, made: Iterable[DatabaseProbes]) -> list[Path]:
    """A file with a new password for each delegate that has none there; gives the new ones.

    Only you may read folder and files. Raises `CannotKeepPassword`.
    """
    path, new = folder, []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for pair in made:
            path = folder / f"{pair.delegate.account}{_FILE_END}"
            if not path.exists():
                _keep(path, secrets.token_urlsafe(_CHANCE) + _KINDS)
                new.append(path)
    except OSError as error:
        raise CannotKeepPassword(path, error) from error
    return new


def _keep(path: Path, password: str) -> None:
    """Whole or not there, however this ends."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(password + "\n")
    part.replace(path)


def rows(
    made: Iterable[DatabaseProbes], known: Known
) -> Iterator[tuple[DatabaseProbes, ProbeMailbox, str | None]]:
    """Each mailbox, and the database where one of that name is; None where there is none."""
    for pair in made:
        for one in (pair.delegate, pair.shared):
            yield pair, one, known.homes.get(one.account)
