"""The folder of a running lab: a ready mailmig.toml and the files that it refers to.

    mailmig.toml                 settings with everything that clients need
    ca.pem                       the authority that signed the servers' certificates
    password-ACCOUNT.txt         one per account, mode 0600
    names.key                    the key that may change client names, for `nsupdate -k`; mode 0600
    control.json                 while it runs: where its faults are switched (see `control`)

The folder of an earlier lab is written anew. It is known by the first line of its mailmig.toml; a
folder that holds anything else is left alone.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mailmig.lab.accounts import Account
from mailmig.lab.organisation import Organisation
from mailmig.lab.running.layout import Layout
from mailmig.lab.running.zones import client_names
from mailmig.lab.web.people import password
from mailmig.model.errors import MailmigError
from mailmig.model.names import UpdateKey
from mailmig.rules.probe_accounts import DatabaseProbes, probe_tables

SETTINGS: Final = "mailmig.toml"
AUTHORITY: Final = "ca.pem"
KEY_FILE: Final = "names.key"
MARK: Final = (
    "# Written by `mailmig lab run`; everything in here belongs to a simulated organisation."
)


class FolderTaken(MailmigError):
    """The folder holds something that is no lab: name another one."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} holds other files: name a folder that is new, empty or of an earlier lab"
        )
        self.folder = folder


class CannotWriteLab(MailmigError):
    """A file of the lab cannot be written: look at the folder, its rights and its room."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror or error}; no lab was started")
        self.path = path


def check(folder: Path) -> None:
    """See whether the folder may be written. Raises `FolderTaken` and `CannotWriteLab`."""
    try:
        if not folder.exists() or not any(folder.iterdir()):
            return
        with (folder / SETTINGS).open(encoding="utf-8", errors="replace") as file:
            ours = file.readline().rstrip() == MARK
    except FileNotFoundError:
        ours = False
    except OSError as error:
        raise CannotWriteLab(folder, error) from error
    if not ours:
        raise FolderTaken(folder)


def write(
    folder: Path,
    organisation: Organisation,
    layout: Layout,
    accounts: Mapping[str, Account],
    key: UpdateKey,
    authority: bytes,
    probes: Sequence[DatabaseProbes] = (),
) -> Path:
    """Write all files; `accounts` by what they are for. Gives the path of the settings.

    The settings come last: where they are, the rest is. Raises `CannotWriteLab`.
    """
    files = {AUTHORITY: (authority.decode(), 0o644), KEY_FILE: (_key_text(key), 0o600)}
    for account in accounts.values():
        files[password_file(account)] = (account.password.reveal() + "\n", 0o600)
    for pair in probes:
        one = pair.delegate.account
        files[_password_file(one)] = (password(one).reveal() + "\n", 0o600)
    files[SETTINGS] = (settings_text(organisation, layout, accounts["admin"], probes), 0o644)
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (text, mode) in files.items():
            path = folder / name
            _write(path, text, mode)
    except OSError as error:
        raise CannotWriteLab(path, error) from error
    return folder / SETTINGS


def password_file(account: Account) -> str:
    """The name of the file with the account's password."""
    return _password_file(account.name)


def _password_file(account: str) -> str:
    return f"password-{account}.txt"


def settings_text(
    organisation: Organisation, layout: Layout, account: Account,
    probes: Sequence[DatabaseProbes] = (),
) -> str:  # fmt: skip
    """mailmig.toml for the running lab; paths are relative to its folder."""
    logon: list[tuple[str, object]] = [
        ("account", account.logon_name), ("password", {"file": password_file(account)}),
        ("ca_file", AUTHORITY),
    ]  # fmt: skip
    tables: dict[str, Sequence[tuple[str, object]]] = {
        "mailmig": [("state_folder", "state")],
        "names": [("servers", [machine.name for machine in layout.controllers])],
        "directory": [("servers", [machine.name for machine in layout.controllers]), *logon],
        "exchange": [("server", newest(organisation)), *logon, ("scheme", "basic")],
        "windows": [*logon, ("scheme", "ntlm")],
        "web": [("ca_file", AUTHORITY)],
        "check": [("names", list(client_names(organisation)))],
        "check.resolvers": [
            (machine.site, [machine.address]) for machine in (*layout.resolvers, layout.outside)
        ],
        **(probe_tables(probes, _password_file) if probes else {}),
        "addresses.instead": [
            (f"{name}:{standard}", f"{address}:{port}")
            for (name, standard), (address, port) in layout.addresses().items()
        ],
    }
    lines = [MARK, f"# {organisation.name}. It answers as long as `mailmig lab run` runs."]
    for name, values in tables.items():
        lines += ["", f"[{name}]"]
        for key, value in values:
            shown = key if key.replace("_", "").isalpha() else json.dumps(key)
            lines.append(f"{shown} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def newest(organisation: Organisation) -> str:
    """The full name of a server of the newest version: it knows what the older ones know, too."""
    return max(organisation.servers, key=lambda server: server.build).fqdn


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def _key_text(key: UpdateKey) -> str:
    return (
        f'key "{key.name}" {{\n\talgorithm {key.algorithm};\n'
        f'\tsecret "{key.secret.reveal()}";\n}};\n'
    )


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file; nobody else can read it for a moment if `mode` forbids that."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
