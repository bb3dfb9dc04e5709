r"""How each log looks as a file: its folder, its name, its `#Fields:` line, its escaping.

Exchange's own logs are CSV, begin a new file every hour and at `LARGEST` bytes; IIS writes W3C
extended lines, one file a day, with `+` for blanks and `-` for nothing. Fields of the front end's
log and of SMTP as in operations.md 10, of IIS as its setup leaves them; those of the MAPI log, the
lines before `#Fields:`, and the file names of SMTP and MAPI are from memory [MEM].
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from mailmig.lab.logs.records import SmtpLine, WebVisit
from mailmig.lab.organisation import guid

EXCHANGE: Final = "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\"
IIS: Final = "C:\\inetpub\\logs\\LogFiles\\"
LARGEST: Final = 10 * 1024**2
# Virtual directory to the name of its log; remote PowerShell writes none here.
PROTOCOLS: Final = {
    "autodiscover": "Autodiscover", "microsoft-server-activesync": "Eas", "ecp": "Ecp",
    "ews": "Ews", "mapi": "Mapi", "oab": "Oab", "owa": "Owa", "rpc": "RpcHttp",
}  # fmt: skip
BACK_END_PORT: Final = 444
# What is received and what is sent: beginning of the file's name, title.
WAYS: Final = {
    "SmtpReceive": ("RECV", "SMTP Receive Protocol Log"),
    "SmtpSend": ("SEND", "SMTP Send Protocol Log"),
}
_NOT_IN_CSV: Final = re.compile(r"[\r\n]+")
_NOT_IN_W3C: Final = re.compile(r"[\s\x00-\x1f]")

Fields = Mapping[str, Callable[[Any], str]]


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file; its lines are made while they are read, without line ends."""

    path: str
    lines: Iterable[str]

    @property
    def text(self) -> str:
        """The whole file."""
        return "".join(f"{line}\r\n" for line in self.lines)


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of log. `title` is what it calls itself; IIS's logs have none, and are daily."""

    folder: str
    prefix: str
    fields: Fields
    title: str = ""

    def files(self, records: Iterable[WebVisit | SmtpLine]) -> Iterator[LogFile]:
        """The files of records that are in order."""
        for stamp, here in groupby(records, key=lambda one: self._stamp(one.at)):
            if not self.title:
                yield LogFile(
                    f"{self.folder}u_ex{stamp}.log", [*self._head(stamp), *self._w3c(here)]
                )
                continue
            for number, lines in enumerate(_parts(self._csv(here)), 1):
                path = f"{self.folder}{self.prefix}{stamp}-{number}.LOG"
                yield LogFile(path, [*self._head(stamp), *lines])

    def _stamp(self, at: datetime) -> str:
        return f"{at:%Y%m%d%H}" if self.title else f"{at:%y%m%d}"

    def _head(self, stamp: str) -> Iterator[str]:
        if self.title:
            at = datetime.strptime(f"{stamp}+0000", "%Y%m%d%H%z")
            yield "#Software: Microsoft Exchange Server"
            yield "#Version: 15.00.0000.000"
            yield f"#Log-type: {self.title}"
            yield f"#Date: {at:%Y-%m-%dT%H}:00:00.000Z"
        else:
            at = datetime.strptime(f"{stamp}+0000", "%y%m%d%z")
            yield "#Software: Microsoft Internet Information Services 10.0"
            yield "#Version: 1.0"
            yield f"#Date: {at:%Y-%m-%d} 00:00:00"
        yield f"#Fields: {(',' if self.title else ' ').join(self.fields)}"

    def _csv(self, records: Iterable[WebVisit | SmtpLine]) -> Iterator[str]:
        makers = tuple(self.fields.values())
        return (",".join([csv(make(one)) for make in makers]) for one in records)

    def _w3c(self, records: Iterable[WebVisit | SmtpLine]) -> Iterator[str]:
        makers = tuple(self.fields.values())
        return (" ".join([w3c(make(one)) for make in makers]) for one in records)


def csv(text: str) -> str:
    """One value; a line break would make two lines of one and becomes a blank."""
    if '"' in text or "," in text:
        text = '"' + text.replace('"', '""') + '"'
    return _NOT_IN_CSV.sub(" ", text)


def w3c(text: str) -> str:
    """One value of IIS: a `+` that stands in it cannot be told from a blank."""
    return _NOT_IN_W3C.sub("+", text) or "-"


def moment(at: datetime) -> str:
    """As Exchange writes it: "2027-01-12T07:31:02.114Z"."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def _parts(lines: Iterable[str]) -> Iterator[list[str]]:
    """The lines of one hour, file by file."""
    part: list[str] = []
    size = 0
    for line in lines:
        if part and size + len(line) > LARGEST:
            yield part
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield part


def _request(one: WebVisit) -> str:
    return guid("request", one.front, one.at, one.client, one.path, one.user)


def _version(one: WebVisit) -> str:
    if one.target is None:
        return ""
    return "{:02}.{:02}.{:04}.{:03}".format(*one.target.build)


PROXY: Final[Fields] = {
    "DateTime": lambda one: moment(one.at),
    "RequestId": _request,
    "Protocol": lambda one: PROTOCOLS[one.directory],
    "UrlHost": lambda one: one.host,
    "UrlStem": lambda one: one.path,
    "AuthenticationType": lambda one: one.scheme,
    "AuthenticatedUser": lambda one: one.user,
    "AnchorMailbox": lambda one: one.anchor,
    "UserAgent": lambda one: one.agent,
    "ClientIpAddress": lambda one: one.client,
    "ServerHostName": lambda one: one.front,
    "HttpStatus": lambda one: str(one.status),
    "BackEndStatus": lambda one: one.back_status,
    "TargetServer": lambda one: one.target.fqdn if one.target else "",
    "TargetServerVersion": _version,
    "ErrorCode": lambda one: "",
}
_IIS: Final[Fields] = {
    "date": lambda one: f"{one.at:%Y-%m-%d}",
    "time": lambda one: f"{one.at:%H:%M:%S}",
    "s-ip": lambda one: one.address,
    "cs-method": lambda one: one.method,
    "cs-uri-stem": lambda one: one.path,
    "cs-uri-query": lambda one: "",
    "s-port": lambda one: str(one.port),
    "cs-username": lambda one: one.user,
    "c-ip": lambda one: one.client,
    "cs(User-Agent)": lambda one: one.agent,
    "cs(Referer)": lambda one: "",
    "sc-status": lambda one: str(one.status),
    "sc-substatus": lambda one: "0",
    "sc-win32-status": lambda one: "0",
    "time-taken": lambda one: str(one.took_ms),
}
MAPI: Final[Fields] = {
    "DateTime": lambda one: moment(one.at),
    "RequestId": _request,
    "RequestType": lambda one: one.action,
    "AuthenticatedUser": lambda one: one.user,
    "ClientSoftware": lambda one: one.application.partition("/")[0],
    "ClientSoftwareVersion": lambda one: one.application.partition("/")[2],
    "ClientIpAddress": lambda one: one.client,
    "HttpStatus": lambda one: one.back_status,
    "ResponseCode": lambda one: one.code,
}
SMTP: Final[Fields] = {
    "date-time": lambda one: moment(one.at),
    "connector-id": lambda one: one.connector,
    "session-id": lambda one: one.session,
    "sequence-number": lambda one: str(one.number),
    "local-endpoint": lambda one: one.local,
    "remote-endpoint": lambda one: one.remote,
    "event": lambda one: one.event,
    "data": lambda one: one.data,
    "context": lambda one: one.context,
}


def proxy(directory: str) -> Kind:
    """The front end's log of one protocol, by its virtual directory."""
    folder = f"{EXCHANGE}Logging\\HttpProxy\\{PROTOCOLS[directory]}\\"
    return Kind(folder, "HttpProxy_", PROXY, "HttpProxy Logs")


def smtp(role: str, way: str) -> Kind:
    """The log of a transport service, "FrontEnd" or "Hub", of one of the `WAYS`."""
    prefix, title = WAYS[way]
    return Kind(
        f"{EXCHANGE}TransportRoles\\Logs\\{role}\\ProtocolLog\\{way}\\", prefix, SMTP, title
    )


IIS_FRONT: Final = Kind(f"{IIS}W3SVC1\\", "", _IIS)
IIS_BACK: Final = Kind(f"{IIS}W3SVC2\\", "", _IIS)
MAPI_BACK: Final = Kind(
    f"{EXCHANGE}Logging\\MapiHttp\\Mailbox\\", "MapiHttp_", MAPI, "MAPI HTTP Logs"
)
