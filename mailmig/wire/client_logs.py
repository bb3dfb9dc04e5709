r"""Where each log of clients lies, and how a script on the server is asked to count in it.

    name, arguments = question(ClientLog.PROXY, since)
    text = script(name, arguments)

Paths, fields and separators: operations.md 10; those of the MAPI log are from memory [MEM]. The
scripts find fields by the `#Fields:` line of each file; one that is missing there is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mailmig.model.windows import ClientLog
from mailmig.wire.windows_answers import Arguments
from mailmig.wire.windows_rows import LOGGED

# HTTP below 400, and no error of MAPI.
_ANSWERED: Final = "^[123]"
_NO_ERROR: Final = "^0$"


@dataclass(frozen=True, slots=True)
class _Columns:
    """Fields of a log by their names, "" for none; two with `|` between belong together."""

    time: str
    host: str
    protocol: str
    software: str
    address: str
    user: str
    status: str

    @property
    def all(self) -> list[str]:
        return [
            self.time, self.host, self.protocol, self.software, self.address, self.user,
            self.status,
        ]  # fmt: skip


_PROXY: Final = _Columns(
    "DateTime", "UrlHost", "Protocol", "UserAgent", "ClientIpAddress", "AuthenticatedUser",
    "HttpStatus",
)  # fmt: skip
_IIS: Final = _Columns(
    "date|time", "cs-host", "cs-uri-stem", "cs(User-Agent)", "c-ip", "cs-username", "sc-status"
)
_MAPI: Final = _Columns(
    "DateTime", "", "RequestType", "ClientSoftware|ClientSoftwareVersion", "ClientIpAddress",
    "AuthenticatedUser", "ResponseCode",
)  # fmt: skip
_IIS_FOLDER: Final = r"%SystemDrive%\inetpub\logs\LogFiles"
_SMTP_FOLDER: Final = r"%%Exchange%%TransportRoles\Logs\%s\ProtocolLog\SmtpReceive"
# `%Exchange%` is the folder of Exchange, with a backslash at its end.
_FOLDERS: Final[Mapping[ClientLog, str]] = {
    ClientLog.PROXY: r"%Exchange%Logging\HttpProxy",
    ClientLog.IIS_FRONT: rf"{_IIS_FOLDER}\W3SVC1",
    ClientLog.IIS_BACK: rf"{_IIS_FOLDER}\W3SVC2",
    ClientLog.MAPI: r"%Exchange%Logging\MapiHttp\Mailbox",
    ClientLog.SMTP_FRONT: _SMTP_FOLDER % "FrontEnd",
    ClientLog.SMTP_HUB: _SMTP_FOLDER % "Hub",
}


def question(log: ClientLog, since: datetime) -> tuple[str, Arguments]:
    """The script that counts in a log, and its arguments; `since` is an aware moment."""
    place = {"folder": _FOLDERS[log], "since": since.astimezone(UTC).strftime(LOGGED)}
    match log:
        case ClientLog.SMTP_FRONT | ClientLog.SMTP_HUB:
            return "smtp_use", place
        case ClientLog.PROXY:
            columns, split, good = _PROXY, ",", _ANSWERED
        case ClientLog.MAPI:
            columns, split, good = _MAPI, ",", _NO_ERROR
        case _:
            columns, split, good = _IIS, " ", _ANSWERED
    return "client_use", {**place, "split": split, "fields": columns.all, "good": good}
