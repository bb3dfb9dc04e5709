"""Probe accounts: what they are called, which cmdlets make them, and who opens whose mailbox.

Per database there is one delegate, who logs on, and one shared mailbox; names follow from the
database's name, so that a second run means the same mailboxes. A delegate opens the shared mailbox
of its own database and one of each other version: together they show every pair of versions in
both directions. Their addresses are hidden from address lists, their quotas are small.

Traps: an account's name has at most 20 characters. The reference wants a password for shared
mailboxes too, though their accounts are disabled: it is one that nobody learns.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from mailmig.model.command import Command, Parameter
from mailmig.model.database import Database
from mailmig.model.organisation import Server

_PREFIX: Final = "probe-"
_SHARED: Final = "-s"
_LONGEST: Final = 20
_DIGITS: Final = 6
_PLAIN: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_QUOTAS: Final[tuple[tuple[str, Parameter], ...]] = (
    ("UseDatabaseQuotaDefaults", False), ("IssueWarningQuota", "80MB"),
    ("ProhibitSendQuota", "90MB"), ("ProhibitSendReceiveQuota", "100MB"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProbeMailbox:
    """One mailbox of ours; `account` is also its alias. `forest` is the domain of its account."""

    account: str
    domain: str
    forest: str
    database: str
    shared: bool = False

    @property
    def address(self) -> str:
        return f"{self.account}@{self.domain}"

    @property
    def logon_name(self) -> str:
        return f"{self.account}@{self.forest}"

    @property
    def title(self) -> str:
        """How it is shown; nobody else's mailbox is called so."""
        return f"mailmig probe{', shared' if self.shared else ''} ({self.database})"

    @property
    def creation(self) -> Command:
        """What makes it; the password is still to be added, as a parameter of its own."""
        kind: tuple[str, Parameter]
        kind = ("Shared", True) if self.shared else ("ResetPasswordOnNextLogon", False)
        return Command(
            "New-Mailbox",
            (("Name", self.account), ("Alias", self.account), ("SamAccountName", self.account),
             ("UserPrincipalName", self.logon_name), ("PrimarySmtpAddress", self.address),
             ("DisplayName", self.title), ("Database", self.database), kind),
        )  # fmt: skip

    @property
    def finish(self) -> Command:
        """What makes it small and takes it out of address lists; may be repeated."""
        return Command(
            "Set-Mailbox",
            (("Identity", self.address), ("HiddenFromAddressListsEnabled", True), *_QUOTAS),
        )


@dataclass(frozen=True, slots=True)
class DatabaseProbes:
    """The two mailboxes of ours on one database; `version` is that of its server."""

    database: str
    version: str
    delegate: ProbeMailbox
    shared: ProbeMailbox


def probes(
    databases: Iterable[Database], servers: Iterable[Server], domain: str, forest: str
) -> tuple[DatabaseProbes, ...]:
    """The probes of each database, in the order of their names. `domain` is that of addresses."""
    versions = {server.name.lower(): server.version for server in servers}
    return tuple(
        DatabaseProbes(
            one.name, versions.get(one.server.lower(), "unknown"),
            ProbeMailbox(_account(one.name), domain, forest, one.name),
            ProbeMailbox(_account(one.name, _SHARED), domain, forest, one.name, shared=True),
        )
        for one in sorted(databases, key=lambda one: one.name.lower())
    )  # fmt: skip


def openings(made: Iterable[DatabaseProbes]) -> Iterator[tuple[ProbeMailbox, list[ProbeMailbox]]]:
    """Each delegate with the shared mailboxes that it opens, that of its own database first."""
    versions: dict[str, list[DatabaseProbes]] = {}
    for one in made:
        versions.setdefault(one.version, []).append(one)
    for version, here in versions.items():
        others = [there for other, there in versions.items() if other != version]
        for place, one in enumerate(here):
            across = [there[place % len(there)].shared for there in others]
            yield one.delegate, [one.shared, *across]


def probe_tables(
    made: Iterable[DatabaseProbes], password_file: Callable[[str], str]
) -> dict[str, list[tuple[str, object]]]:
    """The tables of mailmig.toml that name them; `password_file` by the account's name."""
    opened = list(openings(made))
    return {
        "probe.accounts": [(one.address, one.logon_name) for one, _ in opened],
        "probe.passwords": [
            (one.address, {"file": password_file(one.account)}) for one, _ in opened
        ],
        "probe.shared": [(one.address, [it.address for it in shared]) for one, shared in opened],
    }


def grant(delegate: str, shared: str) -> Command:
    """What lets the delegate open a shared mailbox: their identities. May be repeated."""
    return Command(
        "Add-MailboxPermission",
        (("Identity", shared), ("User", delegate), ("AccessRights", "FullAccess"),
         ("InheritanceType", "All"), ("AutoMapping", True)),
    )  # fmt: skip


def _account(database: str, end: str = "") -> str:
    """The account's name: of the database, as far as it is plain and short, else with a digest."""
    low = database.lower()
    short_enough = len(_PREFIX + low + _SHARED) <= _LONGEST and not low.endswith(_SHARED)
    if short_enough and _PLAIN.fullmatch(low):
        return _PREFIX + low + end
    digest = blake2b(low.encode("utf-8", "surrogatepass"), digest_size=_DIGITS // 2).hexdigest()
    room = _LONGEST - len(_PREFIX) - _DIGITS - 1 - len(_SHARED)
    short = "-".join(re.findall("[a-z0-9]+", low))[:room].strip("-")
    return f"{_PREFIX}{short}-{digest}{end}" if short else f"{_PREFIX}{digest}{end}"
