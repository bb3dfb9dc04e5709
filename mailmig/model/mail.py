"""What is seen at an SMTP port, asked by address, and what becomes of a message that is sent there."""

from dataclasses import dataclass
from typing import ClassVar

from mailmig.model.finding import Question
from mailmig.model.web import HTTPS_PORT, Trouble

SMTP_PORT = 25


@dataclass(frozen=True, slots=True)
class SmtpGreeting:
    """How a server greets: the code of its banner, the words behind it, and what EHLO offers.

    `code` is 0 where there is `trouble`; `features` are in upper case, empty where EHLO was refused.
    """

    code: int = 0
    banner: str = ""
    features: tuple[str, ...] = ()
    took_s: float = 0.0
    trouble: Trouble | None = None


@dataclass(frozen=True)
class GreetSmtp(Question[SmtpGreeting]):
    """Connect, read the banner, say EHLO, and leave."""

    answer: ClassVar = SmtpGreeting
    protocol: ClassVar = "smtp"

    address: str
    port: int = SMTP_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a probe message; seconds count from the moment when it was taken.

    `code` and `said` are the last answer of SMTP, 250 where the message was taken, 0 where nothing was
    sent: then `trouble` or `looking` says why. `found_s` is None where EWS did not find it within
    `waited_s`. `hops` are the servers of its Received lines, in the order in which it came by.
    `looking` says why EWS could not look for it, in EWS's words or ours. `removed` tells that EWS took
    it away again.
    """

    code: int = 0
    said: str = ""
    found_s: float | None = None
    waited_s: float = 0.0
    in_junk: bool = False
    hops: tuple[str, ...] = ()
    looking: str = ""
    removed: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True)
class SendProbe(Question[Delivery]):
    """Send one message to a probe mailbox, find it by EWS as the mailbox's own account, remove it.

    `address` and `port` are those of the mail server. This is the one question that writes.
    """

    answer: ClassVar = Delivery
    protocol: ClassVar = "smtp"

    address: str
    mailbox: str
    ews_address: str
    ews_host: str
    ews_path: str
    port: int = SMTP_PORT
    ews_port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"
