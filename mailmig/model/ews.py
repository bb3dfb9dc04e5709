"""What came of opening a mailbox over EWS; nothing is judged here.

Codes are EWS's own words (protocols.md 2.4), sizes are bytes. Size and items are those of the folders
themselves, so that Recoverable Items, which have a quota of their own, stand apart.
"""

from dataclasses import dataclass
from typing import ClassVar

from mailmig.model.finding import Question
from mailmig.model.web import HTTPS_PORT, Trouble


@dataclass(frozen=True, slots=True)
class MailboxRead:
    """How far it came. `let_in` is None where no logon was tried.

    `status` is that of the last HTTP answer, `redirect` where it leads. `error` is EWS's code, empty
    where the folders were read; `back_off_s` how long a busy server wants to be left alone. `version` is
    the build of the server that answered, as "15.2.1544.9", empty where none was told. `size`
    and `items` are None where the folders were not read, `recoverable_size` also where nobody but the owner
    may see them.
    """

    status: int = 0
    offered: tuple[str, ...] = ()
    let_in: bool | None = None
    redirect: str = ""
    error: str = ""
    back_off_s: float | None = None
    version: str = ""
    folders: int = 0
    size: int | None = None
    items: int | None = None
    recoverable_size: int | None = None
    front_end: str = ""
    back_end: str = ""
    took_s: float = 0.0
    trouble: Trouble | None = None

    @property
    def is_read(self) -> bool:
        """Whether the mailbox was opened down to its folders."""
        return self.size is not None


@dataclass(frozen=True)
class ReadMailbox(Question[MailboxRead]):
    """Log on at an address as `caller`, one of the probe accounts, and read the folders of `mailbox`.

    `path` is that of the URL that Autodiscover gives.
    """

    answer: ClassVar = MailboxRead
    protocol: ClassVar = "ews"

    address: str
    host: str
    path: str
    caller: str
    mailbox: str
    port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"
