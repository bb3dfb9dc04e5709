"""Accounts of the simulated organisation: who may log on, and who locked himself out.

Passwords are secrets of the lab only; nothing real ever stands here. One `Accounts` is shared
by all servers of an organisation, since it is the domain that counts wrong attempts.

A locked account is refused with the very answer that a wrong password gets, as Windows does:
from outside one cannot tell them apart. A right password sets the counter back to zero.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

from mailmig.model.errors import MailmigError
from mailmig.model.secret import Secret

LOCK_AFTER = 3
# How many attempts are remembered for whoever wants to count them.
REMEMBERED = 10_000
_FORBIDDEN = (":", "\r", "\n", "\0")


class BadAccount(MailmigError):
    """An account that no protocol of the lab can carry: choose another name or password."""

    def __init__(self, name: str, part: str) -> None:
        super().__init__(
            f"account {name!r}: the {part} holds a colon or a line break; choose another one"
        )
        self.name = name
        self.part = part


@dataclass(frozen=True, slots=True)
class Account:
    """One user. `domain` is the DNS or the NetBIOS name; their first labels are taken as equal.

    `dns` is the DNS name where its first label is another one than the NetBIOS name.
    """

    name: str
    domain: str
    password: Secret
    roles: frozenset[str] = frozenset()
    dns: str = ""

    def __post_init__(self) -> None:
        parts = {"name": self.name, "domain": self.domain, "password": self.password.reveal()}
        for part, text in parts.items():
            if any(sign in text for sign in _FORBIDDEN):
                raise BadAccount(self.name, part)

    @property
    def logon_name(self) -> str:
        return f"{self.domain.partition('.')[0].upper()}\\{self.name}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to log on: the name as it was given, over which scheme, and whether it was let in."""

    name: str
    scheme: str
    accepted: bool


class Accounts:
    """All accounts, the wrong attempts of each, and every attempt that was made."""

    def __init__(self, accounts: Iterable[Account] = (), *, lock_after: int = LOCK_AFTER) -> None:
        self.lock_after = lock_after
        self.attempts: deque[Attempt] = deque(maxlen=REMEMBERED)
        self._accounts = {account.name.lower(): account for account in accounts}
        self._wrong: dict[str, int] = {}
        self._lock = Lock()

    def __iter__(self) -> Iterator[Account]:
        return iter(tuple(self._accounts.values()))

    def add(self, account: Account) -> None:
        """One more account, or another password or other roles for a known one."""
        self._accounts[account.name.lower()] = account

    def remove(self, name: str) -> None:
        """Nobody has this account any more; what was tried with it is still known."""
        self._accounts.pop(name.lower(), None)
        self._wrong.pop(name.lower(), None)

    def find(self, name: str) -> Account | None:
        """The account that is meant by `anna`, `TOWN\\anna` or `anna@town.example`."""
        domain, user = _split(name)
        account = self._accounts.get(user.lower())
        if account is None or not (
            _same_domain(domain, account.domain) or domain.lower() == account.dns.lower()
        ):
            return None
        return account

    def check(self, name: str, password: str, scheme: str) -> Account | None:
        """The account if name and password are right and it is not locked; the try is counted."""
        account = self.find(name)
        if account is None or self.is_locked(account) or account.password.reveal() != password:
            self.refused(name, scheme)
            return None
        self.accepted(account, name, scheme)
        return account

    def accepted(self, account: Account, name: str, scheme: str) -> None:
        """A right password was shown in some other way."""
        with self._lock:
            self._wrong.pop(account.name.lower(), None)
            self.attempts.append(Attempt(name, scheme, True))

    def refused(self, name: str, scheme: str) -> None:
        """A wrong password was shown in some other way, or an unknown name."""
        account = self.find(name)
        with self._lock:
            self.attempts.append(Attempt(name, scheme, False))
            if account is not None:
                key = account.name.lower()
                self._wrong[key] = self._wrong.get(key, 0) + 1

    def wrong(self, name: str) -> int:
        """Wrong attempts since the last right one; zero for an unknown name."""
        account = self.find(name)
        return 0 if account is None else self._wrong.get(account.name.lower(), 0)

    def is_locked(self, account: Account) -> bool:
        return self._wrong.get(account.name.lower(), 0) >= self.lock_after

    def lock(self, name: str) -> None:
        """As if it had shown wrong passwords until it was locked."""
        account = self.find(name)
        if account is not None:
            self._wrong[account.name.lower()] = self.lock_after

    def unlock(self, name: str) -> None:
        account = self.find(name)
        if account is not None:
            self._wrong.pop(account.name.lower(), None)


def _split(name: str) -> tuple[str, str]:
    if "\\" in name:
        domain, _, user = name.partition("\\")
    else:
        user, _, domain = name.partition("@")
    return domain, user


def _same_domain(given: str, own: str) -> bool:
    if not given:
        return True
    given, own = given.lower(), own.lower()
    if "." in given and "." in own:
        return given == own
    return given.partition(".")[0] == own.partition(".")[0]
