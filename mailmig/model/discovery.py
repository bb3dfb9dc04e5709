"""What Autodiscover says over SOAP about a mailbox; POX is in `mailmig.model.mapi`."""

from dataclasses import dataclass
from typing import ClassVar

from mailmig.model.finding import Question
from mailmig.model.web import HTTPS_PORT, Trouble


@dataclass(frozen=True, slots=True)
class SoapSettings:
    """GetUserSettings' answer. `error` is its ErrorCode or SOAP fault, empty for settings.

    `let_in` is None where no logon was tried. URLs are empty where none is told, `mapi` is None where
    the server does not say whether the mailbox may use MAPI/HTTP. `version` is the build of the server
    that answered. `status` is that of the last HTTP answer.
    """

    status: int = 0
    offered: tuple[str, ...] = ()
    let_in: bool | None = None
    error: str = ""
    redirect: str = ""
    user_dn: str = ""
    ews_inside: str = ""
    ews_outside: str = ""
    mapi: bool | None = None
    version: str = ""
    trouble: Trouble | None = None


@dataclass(frozen=True)
class DiscoverBySoap(Question[SoapSettings]):
    """Ask Autodiscover at an address for the settings of a mailbox, as `caller`."""

    answer: ClassVar = SoapSettings
    protocol: ClassVar = "autodiscover"

    address: str
    host: str
    mailbox: str
    caller: str
    port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"
