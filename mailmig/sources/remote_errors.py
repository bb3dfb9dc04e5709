"""What can go wrong when a server is asked over WS-Management: one error per thing to do.

Exchange's remote PowerShell and WinRM share them. `server` is the name we asked for, `port`
the standard one; texts that servers send are shown and never compared.
"""

from collections.abc import Sequence

from mailmig.model.command import Command
from mailmig.model.errors import UNREACHABLE, MailmigError


class Unreachable(MailmigError):
    """Nobody answered, or not to the end: look at the network, the firewall or the service."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, port: int, reason: str) -> None:
        super().__init__(
            f"{server}:{port}: {reason}; look at the network, the firewall and the service there"
        )
        self.server = server
        self.port = port
        self.reason = reason


class TlsNotTrusted(MailmigError):
    """The server's certificate is not trusted: name the authority, or mend the certificate."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, port: int, reason: str) -> None:
        super().__init__(
            f"{server}:{port} shows a certificate that is not trusted ({reason}); "
            "name its authority as ca_file, or give the server another certificate"
        )
        self.server = server
        self.port = port
        self.reason = reason


class LoginRefused(MailmigError):
    """The account or its password was refused, once; it is not tried again, lest it be locked."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, account: str, scheme: str, reason: str = "") -> None:
        said = f" ({reason})" if reason else ""
        super().__init__(
            f"{server} refused to let {account or 'the account of this session'} log on with "
            f"{scheme}{said}; it was tried once and will not be tried again: look at the name, "
            "the password, whether the account is locked, and whether the server allows "
            f"{scheme}"
        )
        self.server = server
        self.account = account
        self.scheme = scheme
        self.reason = reason


class NotShownAgain(LoginRefused):
    """Another server refused the password in this run: this one was not shown it."""

    def __init__(self, server: str, account: str, scheme: str, refused_by: str) -> None:
        super().__init__(server, account, scheme, f"{refused_by} refused its password before")
        sentence = (
            f"{server} was not asked: {refused_by} refused the password of "
            f"{account or 'the account of this session'} before, and it is not shown again: look "
            "at the name, the password, and whether the account is locked"
        )
        self.args = (sentence,)
        self.refused_by = refused_by


class SchemeNotOffered(MailmigError):
    """The server does not let anybody log on like that: choose a scheme that it offers.

    The password was judged by nobody.
    """

    exit_code = UNREACHABLE

    def __init__(self, server: str, scheme: str, offered: Sequence[str]) -> None:
        instead = ", ".join(offered) or "nothing that we know"
        super().__init__(
            f"{server} does not offer to log on with {scheme}; it offers {instead}: set `scheme` "
            "to one of these, or allow it on the server"
        )
        self.server = server
        self.scheme = scheme
        self.offered = tuple(offered)


class RemotingNotAllowed(MailmigError):
    """The account may log on but not work there: give it a management role."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, account: str, reason: str) -> None:
        super().__init__(
            f"{server} lets {account} log on but not ask ({reason}); give the account a "
            "management role and allow it remote PowerShell, or use TLS where the server wants it"
        )
        self.server = server
        self.account = account
        self.reason = reason


class WrongEndpoint(MailmigError):
    """Something answers there, but not this service: look at the server's name and the port."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, port: int, reason: str) -> None:
        super().__init__(
            f"{server}:{port} is not the right place ({reason}); look at the server's name, "
            "the port and the path"
        )
        self.server = server
        self.port = port
        self.reason = reason


class TooManySessions(MailmigError):
    """The server gives no more sessions to this account: close others, or ask with fewer."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, account: str, reason: str) -> None:
        super().__init__(
            f"{server} gives {account} no further session ({reason}); close other sessions or "
            "lower `parallel`"
        )
        self.server = server
        self.account = account
        self.reason = reason


class ShellExpired(MailmigError):
    """The server has forgotten the session amid a command: look at what the command did."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, what: object) -> None:
        super().__init__(
            f"{server} closed the session while this ran: {what}; whether it was carried out "
            "is not known: look there before anything else"
        )
        self.server = server
        self.what = what


class TookTooLong(MailmigError):
    """The server works but says nothing for long: look at its load, or wait longer."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, what: object, waited_s: float) -> None:
        super().__init__(
            f"{server} said nothing for {waited_s:g} s: {what}; it was stopped: look at the "
            "server's load, or raise `patience_s`"
        )
        self.server = server
        self.what = what
        self.waited_s = waited_s


class BrokenReply(MailmigError):
    """The server answered what cannot be used: look at its log."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server} gave no usable answer: {reason}; look at its event log")
        self.server = server
        self.reason = reason


class ServerFault(MailmigError):
    """The service itself reports a failure: look at its text and at the server's event log."""

    exit_code = UNREACHABLE

    def __init__(self, server: str, code: object, reason: str) -> None:
        super().__init__(f"{server} reports fault {code}: {reason}; look at its event log")
        self.server = server
        self.code = code
        self.reason = reason


class CommandError(MailmigError):
    """A command that ran and failed.

    `category` is a name of PowerShell's ErrorCategory, `fq_id` the fully qualified id, `reason`
    the exception's class, `terminating` whether it ended the command, `more` how many other
    errors came with it.
    """

    def __init__(
        self,
        server: str,
        command: object,
        message: str,
        *,
        category: str = "",
        fq_id: str = "",
        reason: str = "",
        terminating: bool = False,
        more: int = 0,
    ) -> None:
        others = f" (and {more} more errors)" if more else ""
        super().__init__(self._sentence(server, command, message, category, reason) + others)
        self.server = server
        self.command = command
        self.message = message
        self.category = category
        self.fq_id = fq_id
        self.reason = reason
        self.terminating = terminating
        self.more = more

    @staticmethod
    def _sentence(server: str, command: object, message: str, category: str, reason: str) -> str:
        kind = ", ".join(word for word in (category, reason) if word)
        return f"{server}: {command} failed: {message.strip()}" + (f" [{kind}]" if kind else "")


class CmdletFailed(CommandError):
    """The cmdlet says what is wrong: read its text."""


class CmdletNotAllowed(CommandError):
    """The session has no such cmdlet or parameter: give the account the role that has it."""

    @staticmethod
    def _sentence(server: str, command: object, message: str, category: str, reason: str) -> str:
        name = command.name if isinstance(command, Command) else str(command)
        return (
            f"{server} does not let this account use {name} with these parameters "
            f"({message.strip()}); give it a management role that has them, or ask a server "
            "of a version that knows them"
        )


class NoSuchObject(CommandError):
    """There is no object of that name: look at the spelling, and whether it was removed."""

    @staticmethod
    def _sentence(server: str, command: object, message: str, category: str, reason: str) -> str:
        return f"{server} finds no such object: {command} ({message.strip()}); look at the name"


class NotTheOne(MailmigError):
    """Asked for one object, got another one or several: nothing may be done to them."""

    def __init__(self, server: str, command: object, asked: object, came: tuple[str, ...]) -> None:
        super().__init__(
            f"{server}: {command} was to give exactly {asked} and gave {', '.join(came)}; "
            "nothing was done: ask by GUID"
        )
        self.server = server
        self.command = command
        self.asked = asked
        self.came = came


class ResultCut(MailmigError):
    """The server stopped at its limit and there are more: ask with ResultSize Unlimited."""

    def __init__(self, server: str, command: object, count: int, said: str) -> None:
        super().__init__(
            f"{server}: {command} stopped after {count:,} objects ({said.strip()}); "
            "ask with -ResultSize Unlimited"
        )
        self.server = server
        self.command = command
        self.count = count
        self.said = said
