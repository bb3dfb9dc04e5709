"""What can go wrong with the directory: one error per thing an admin would do about it."""

from collections.abc import Sequence

from mailmig.model.errors import UNREACHABLE, MailmigError


class DirectoryUnreachable(MailmigError):
    """Nobody answered, or the answer broke off: look at the network, the firewall, the service."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, place: str, reason: str) -> None:
        super().__init__(
            f"domain controller {server} ({place}): {reason}; look at the network, the firewall "
            "and the directory service there"
        )
        self.server = server
        self.place = place
        self.reason = reason


class NotTrusted(MailmigError):
    """The certificate is not from whom we trust, too old, or of another name."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, place: str, reason: str) -> None:
        super().__init__(
            f"domain controller {server} ({place}) shows a certificate that cannot be trusted: "
            f"{reason}; name your certificate authority in [directory] ca_file"
        )
        self.server = server
        self.place = place
        self.reason = reason


class NoEncryption(MailmigError):
    """The controller has no certificate: give it one, or ask for no encryption by name."""

    def __init__(self, server: str, place: str, said: str) -> None:
        super().__init__(
            f"domain controller {server} ({place}) offers no TLS ({said}); give it a certificate, "
            'or set [directory] encryption = "none" with logon = "ntlm"'
        )
        self.server = server
        self.place = place
        self.said = said


class Refused(MailmigError):
    """A logon that was refused. It was tried once and is not tried again.

    `reason` is what the controller said, in a few words.
    """

    exit_code = UNREACHABLE

    def __init__(self, server: str, account: str, text: str, reason: str) -> None:
        super().__init__(text)
        self.server = server
        self.account = account
        self.reason = reason


class WrongPassword(Refused):
    """Account or password are wrong: correct them; each further attempt may lock the account."""

    def __init__(self, server: str, account: str) -> None:
        super().__init__(
            server,
            account,
            f"domain controller {server} does not accept the password of {account}, or knows no "
            "such account; it was tried once and will not be tried again: correct it first",
            "wrong password or unknown account",
        )


class AccountLocked(Refused):
    """The account is locked: an admin of the domain unlocks it, or it unlocks itself in time."""

    def __init__(self, server: str, account: str) -> None:
        super().__init__(
            server, account, f"domain controller {server}: {account} is locked; unlock it first",
            "the account is locked",
        )  # fmt: skip


class LogonRefused(Refused):
    """The account may not log on as things are: the reason says what to change."""

    def __init__(self, server: str, account: str, reason: str) -> None:
        super().__init__(
            server, account, f"domain controller {server} does not let {account} log on: {reason}",
            reason,
        )  # fmt: skip


class SigningRequired(Refused):
    """The controller wants signed or encrypted connections: use LDAPS or StartTLS."""

    def __init__(self, server: str, account: str) -> None:
        super().__init__(
            server,
            account,
            f"domain controller {server} lets nobody log on without encryption; "
            'set [directory] encryption = "ldaps"',
            "it wants encryption",
        )


class BadLogon(MailmigError):
    """Settings with which nobody can log on; nothing was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"[directory]: {reason}")
        self.reason = reason


class TooManyObjects(MailmigError):
    """The controller stopped at its size limit: an answer with a part missing is not used."""

    def __init__(self, server: str, question: str) -> None:
        super().__init__(
            f"domain controller {server} stopped at its size limit for {question}; "
            "what came is not the whole and is not used: ask another controller, or ask for pages"
        )
        self.server = server
        self.question = question


class Elsewhere(MailmigError):
    """The controller does not hold this and names another one: ask there; we follow nobody."""

    def __init__(self, server: str, base: str, urls: Sequence[str]) -> None:
        super().__init__(
            f"domain controller {server} does not hold {base} and names "
            f"{', '.join(urls) or 'nobody'}; ask a controller of that domain"
        )
        self.server = server
        self.base = base
        self.urls = tuple(urls)


class QuestionFailed(MailmigError):
    """The controller refused or failed a search: its own words say why."""

    def __init__(self, server: str, question: str, code: str, said: str) -> None:
        words = f": {said.strip()}" if said.strip() else ""
        super().__init__(f"domain controller {server} did not answer {question} ({code}{words})")
        self.server = server
        self.question = question
        self.code = code
        self.said = said


class NoExchange(MailmigError):
    """The directory holds no Exchange organisation: is this the right domain?"""

    def __init__(self, server: str, base: str) -> None:
        super().__init__(
            f"domain controller {server}: no Exchange server below {base}; is this the right "
            "forest, and may the account read its configuration?"
        )
        self.server = server
        self.base = base
