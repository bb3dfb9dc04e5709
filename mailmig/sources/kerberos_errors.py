"""What can go wrong with Kerberos before a server is asked: one error per thing to do.

Refusals of the account itself are `LoginRefused`, as over every other way to log on.
"""

from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.sources.remote_errors import LoginRefused


class NoTicket(MailmigError):
    """Nobody has logged on here: get a ticket, or name account and password."""

    exit_code = UNREACHABLE

    def __init__(self, account: str, reason: str) -> None:
        whose = f" of {account}" if account else ""
        super().__init__(
            f"there is no Kerberos ticket{whose} here ({reason}); run kinit first, or set "
            "`account` and `password`"
        )
        self.account = account
        self.reason = reason


class NoPasswordHere(MailmigError):
    """On Windows a ticket is Windows' own: run mailmig as the account, or log on otherwise."""

    def __init__(self, account: str) -> None:
        super().__init__(
            f"on Windows, mailmig uses Kerberos only as whoever runs it, so the password of "
            f"{account} was shown to nobody: run mailmig as that account (runas) and take account "
            "and password out of the configuration, or set another way to log on"
        )
        self.account = account


class TicketExpired(MailmigError):
    """The ticket was good once: get a new one."""

    exit_code = UNREACHABLE

    def __init__(self, account: str) -> None:
        whose = f" of {account}" if account else ""
        super().__init__(f"the Kerberos ticket{whose} has expired; run kinit again")
        self.account = account


class ClocksApart(MailmigError):
    """Kerberos wants clocks within five minutes of each other: set this machine's, or theirs."""

    exit_code = UNREACHABLE

    def __init__(self, server: str) -> None:
        super().__init__(
            f"the clocks of this machine and of {server} are too far apart for Kerberos; set them, "
            "best by a time service"
        )
        self.server = server


class UnknownService(MailmigError):
    """The domain gives no ticket for this name: use the server's own name, or register it."""

    exit_code = UNREACHABLE

    def __init__(self, service: str) -> None:
        super().__init__(
            f"the domain knows no service {service}: ask the server by its own full name, or "
            f"register the name on its account with setspn -S {service} ACCOUNT"
        )
        self.service = service


class KdcUnreachable(MailmigError):
    """No key distribution centre answers: look at krb5.conf, DNS and port 88."""

    exit_code = UNREACHABLE

    def __init__(self, account: str, reason: str) -> None:
        of = f" for {account}" if account else ""
        super().__init__(
            f"no domain controller gives Kerberos tickets{of} ({reason}); look at the realm behind "
            "the @, at krb5.conf or the SRV records of the domain, and at port 88"
        )
        self.account = account
        self.reason = reason


class KerberosFailed(MailmigError):
    """Something else: Kerberos' own words say what."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"Kerberos with {server} failed: {reason}; look at krb5.conf")
        self.server = server
        self.reason = reason


class TicketRefused(LoginRefused):
    """The domain gives the account no ticket. `code` is krb5's own number."""

    def __init__(self, account: str, reason: str, code: int) -> None:
        super().__init__("the domain", account, "kerberos", reason)
        self.code = code
