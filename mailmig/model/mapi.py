"""What came of walking into a mailbox over MAPI/HTTP, and what Autodiscover said about it.

A walk is PING, Connect, logon, the inbox opened, some properties read, Disconnect. Nothing is
judged here: numbers are those of the wire (protocols.md 1.3, 1.6, 1.8), None where a step was not
reached. Sizes and quotas are bytes; a quota of None on a walk that read it means "unlimited".
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from mailmig.model.finding import Question
from mailmig.model.web import HTTPS_PORT, Trouble


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a walk: the HTTP status, X-ResponseCode, and the error code in the body.

    `page` are the first characters of an answer that is none of MAPI/HTTP. `by_exchange` tells
    whether Exchange, or IIS below it, signed the answer, and not something in front of them. How long
    the answer took are seconds.
    """

    name: str
    status: int = 0
    response_code: int | None = None
    error_code: int | None = None
    trouble: Trouble | None = None
    page: str = ""
    by_exchange: bool = False
    took_s: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.trouble is None and self.response_code == 0 and not self.error_code


@dataclass(frozen=True, slots=True)
class Walk:
    """The steps that were made, in order, and what they showed.

    `offered` are the schemes of the 401 to a request without a logon; empty where none came.
    `let_in` is None where no logon was tried. `logon_value` is RopLogon's ReturnValue, `redirect`
    the server that it names, `folder_value` RopOpenFolder's. `owner` is the right that full access
    gives. `servers` are X-FEServer and X-BEServer, `software` the Server header, `device_info` what a
    proxy in between put into X-DeviceInfo.
    """

    steps: tuple[Step, ...] = ()
    offered: tuple[str, ...] = ()
    let_in: bool | None = None
    logon_value: int | None = None
    redirect: str = ""
    folder_value: int | None = None
    owner: bool | None = None
    send_as: bool | None = None
    mailbox_guid: str = ""
    server_time: datetime | None = None
    size: int | None = None
    send_quota: int | None = None
    send_receive_quota: int | None = None
    front_end: str = ""
    back_end: str = ""
    software: str = ""
    application: str = ""
    device_info: str = ""
    took_s: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether the mailbox was entered and its inbox opened."""
        return self.logon_value == 0 and self.folder_value == 0

    @property
    def last(self) -> Step | None:
        """The step at which it ended."""
        return self.steps[-1] if self.steps else None

    @property
    def failed(self) -> Step | None:
        """The first step that failed below the ROPs; a session is ended all the same behind it."""
        return next((one for one in self.steps if not one.is_good), None)

    def step(self, name: str) -> Step | None:
        """The step of this name."""
        return next((one for one in self.steps if one.name == name), None)


@dataclass(frozen=True)
class WalkMailbox(Question[Walk]):
    """Log on at an address as `caller` and walk into the mailbox with `mailbox_dn`.

    `path` is that of the published URL with its query; `caller` names one of the probe accounts.
    """

    answer: ClassVar = Walk
    protocol: ClassVar = "mapi"

    address: str
    host: str
    path: str
    caller: str
    caller_dn: str
    mailbox_dn: str
    port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Discovered:
    """What Autodiscover (POX) says about a mailbox.

    `error` is its ErrorCode, None for settings. URLs are empty where none is configured, `mapi`
    tells whether there is a MAPI/HTTP block at all. `shared` are the addresses of alternative
    mailboxes of type Delegate. `by_exchange` as in `Step`.
    """

    status: int = 0
    let_in: bool | None = None
    offered: tuple[str, ...] = ()
    error: int | None = None
    redirect: str = ""
    legacy_dn: str = ""
    mapi: bool = False
    mapi_inside: str = ""
    mapi_outside: str = ""
    ews_inside: str = ""
    ews_outside: str = ""
    server: str = ""
    shared: tuple[str, ...] = ()
    front_end: str = ""
    back_end: str = ""
    by_exchange: bool = False
    trouble: Trouble | None = None


@dataclass(frozen=True)
class Discover(Question[Discovered]):
    """Ask Autodiscover at an address about a mailbox, as `caller`."""

    answer: ClassVar = Discovered
    protocol: ClassVar = "autodiscover"

    address: str
    host: str
    mailbox: str
    caller: str
    port: int = HTTPS_PORT

    @property
    def target(self) -> str:
        return f"{self.address}:{self.port}"
