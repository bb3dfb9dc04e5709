"""What ActiveSync says to a phone that asks what it can (OPTIONS, MS-ASHTTP 2.2.3)."""

from dataclasses import dataclass
from typing import ClassVar

from mailmig.model.finding import Question
from mailmig.model.web import HTTPS_PORT, Trouble


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """`status` is that of the last HTTP answer, `let_in` None where no logon was tried.

    `versions` are those of the protocol, `moved_to` what X-MS-Location names.
    """

    status: int = 0
    offered: tuple[str, ...] = ()
    let_in: bool | None = None
    versions: tuple[str, ...] = ()
    moved_to: str = ""
    front_end: str = ""
    back_end: str = ""
    trouble: Trouble | None = None


@dataclass(frozen=True)
class AskSyncOptions(Question[SyncOptions]):
    """Ask at an address as `caller`, with Basic, as phones do."""

    answer: ClassVar = SyncOptions
    protocol: ClassVar = "activesync"

    address: str
    host: str
    caller: str
    port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"
