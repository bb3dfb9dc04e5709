"""One wrong password per account: what is asked before a password is shown, and told after it.

Windows locks an account after a few wrong passwords, whoever showed them: so all channels and all
processes ask one record before they show a password, and tell it what came of it. `mailmig.store`
keeps the record, `mailmig.sources` ask it, and neither knows the other.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from unicodedata import normalize

from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.model.secret import Secret


class LogonHeld(MailmigError):
    """A password that is not shown to anybody, for the reason that is given."""

    exit_code = UNREACHABLE


class RefusedBefore(LogonHeld):
    """This very password was refused before: change it, or say that it is right now."""

    def __init__(self, account: str, server: str, at: datetime, reason: str) -> None:
        super().__init__(
            f"{account}: {server} refused the password that is configured now, at "
            f"{at:%Y-%m-%d %H:%M} UTC ({reason}); it was not shown again, lest the account be "
            "locked: correct it, or run `mailmig --retry-login ...` once if it is right by now"
        )
        self.account = account
        self.server = server
        self.at = at
        self.reason = reason


class LogonUnsettled(LogonHeld):
    """Nobody learned how the last attempt ended; it may have been a wrong one."""

    def __init__(self, account: str, server: str, at: datetime, again: datetime) -> None:
        super().__init__(
            f"{account}: what {server} said to the password at {at:%Y-%m-%d %H:%M} UTC never "
            f"arrived, so it counts as wrong until {again:%H:%M} UTC, lest the account be locked; wait "
            "(and ask another server, if this one hangs), or run `mailmig --retry-login ...` once "
            "if you are sure that it is right"
        )
        self.account = account
        self.server = server
        self.at = at
        self.again = again


class Attempt(Protocol):
    """One password being shown to one server. Told nothing, its end counts as unknown."""

    def accepted(self) -> None:
        """The server let the account in."""

    def refused(self, reason: str) -> None:
        """The server saw the password and did not let the account in."""

    def unshown(self) -> None:
        """The password was not shown after all, or nobody looked at it."""


class LogonRecord(Protocol):
    """Which passwords were refused, over all processes."""

    def attempt(
        self, account: str, password: Secret, server: str
    ) -> AbstractContextManager[Attempt]:
        """Inside, no other process shows a password for this account. May wait; blocks.

        Raises:
            LogonHeld: it may not be shown; nothing was sent.
        """

    def look(self, account: str, password: Secret) -> None:
        """Before a password is shown that this process has seen accepted. Blocks for a moment.

        Raises:
            LogonHeld: it has been refused since.
        """


def account_key(account: str) -> str:
    r"""What `TOWN\Anna`, `anna@town.example` and `anna` have in common: they may be one account."""
    bare = account.rpartition("\\")[2].partition("@")[0]
    return normalize("NFC", bare.strip()).casefold()
