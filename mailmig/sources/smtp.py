"""Mail servers, by address: how they greet, and whether they take a message. Nobody logs on.

    greeting = await Smtp(timeout_s=5).greet("192.0.2.11", 25)
    handed = await Smtp(timeout_s=5).send("192.0.2.11", 25, sender, recipient, message)

It speaks in the clear, so nothing that is secret may be sent.
"""

from dataclasses import dataclass, replace
from time import monotonic

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPResponseException,
    SMTPTimeoutError,
)
from aiosmtplib.errors import SMTPConnectResponseError

from mailmig.model.mail import SMTP_PORT, SmtpGreeting
from mailmig.model.names import AddressMap
from mailmig.model.web import Stage, Trouble
from mailmig.sources.web_line import words

_NAME = "mailmig.invalid"


@dataclass(frozen=True, slots=True)
class Handed:
    """What a server said last to a message; `code` is 0 where there is `trouble`."""

    code: int = 0
    said: str = ""
    trouble: Trouble | None = None


class Smtp:
    """Mail servers, asked by address. Whatever a server does is part of the answer."""

    def __init__(self, timeout_s: float = 5.0, addresses: AddressMap | None = None) -> None:
        self._timeout_s = timeout_s
        self._addresses = addresses or {}

    async def greet(self, address: str, port: int = SMTP_PORT) -> SmtpGreeting:
        """The banner and what EHLO offers."""
        begun = monotonic()
        client = self._client(address, port)
        try:
            said = await client.connect()
            await client.ehlo()
            features = tuple(sorted(name.upper() for name in client.esmtp_extensions))
            return SmtpGreeting(said.code, said.message, features, monotonic() - begun)
        except SMTPConnectResponseError as error:
            return SmtpGreeting(error.code, error.message, took_s=monotonic() - begun)
        except (SMTPException, OSError) as error:
            return SmtpGreeting(took_s=monotonic() - begun, trouble=self._trouble(error))
        finally:
            client.close()

    async def send(
        self, address: str, port: int, sender: str, recipient: str, message: bytes
    ) -> Handed:
        """Hand over one message. A timeout behind the message leaves open whether it was taken.

        A trouble is one of `Stage.TCP` until the server has greeted, so nothing was sent then.
        """
        client, is_greeted = self._client(address, port), False
        try:
            await client.connect()
            is_greeted = True
            await client.mail(sender)
            await client.rcpt(recipient)
            said = await client.data(message)
            return Handed(said.code, said.message)
        except SMTPResponseException as error:
            return Handed(error.code, error.message)
        except (SMTPException, OSError) as error:
            trouble = self._trouble(error)
            return Handed(trouble=replace(trouble, stage=Stage.SMTP) if is_greeted else trouble)
        finally:
            client.close()

    def _client(self, address: str, port: int) -> SMTP:
        where, at = self._addresses.get((address, port), (address, port))
        return SMTP(
            hostname=where, port=at, local_hostname=_NAME, timeout=self._timeout_s,
            start_tls=False, use_tls=False,
        )  # fmt: skip

    def _trouble(self, error: Exception) -> Trouble:
        if isinstance(error, SMTPTimeoutError):
            return Trouble(Stage.TCP, f"no answer within {self._timeout_s:g} s", timed_out=True)
        if isinstance(error, SMTPConnectError):
            return Trouble(Stage.TCP, words(error.__cause__ or error))
        return Trouble(Stage.SMTP, words(error))
