"""A small MAPI/HTTP client of `requests` and the codecs, for the tests of the lab's server."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import requests
from requests.structures import CaseInsensitiveDict
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp import rops
from mailmig.wire.mapihttp.codes import RequestType
from mailmig.wire.mapihttp.cookies import Jar
from mailmig.wire.mapihttp.frame import Frame
from mailmig.wire.mapihttp.head import CONTENT_TYPE, counted
from mailmig.wire.mapihttp.properties import Tags
from mailmig.wire.mapihttp.rop_buffer import TO_BE_FILLED, RopRequests, RopResponses
from tests.lab.web.clients import password, session

TAKEN = "x-clientinfo"


class Answered:
    """One answer: HTTP status, headers, and the frame where there is one."""

    def __init__(self, response: requests.Response) -> None:
        self.status = response.status_code
        self.headers: CaseInsensitiveDict[str] = response.headers
        self.raw = response.content
        self.code = int(response.headers.get("X-ResponseCode", -1))
        framed = self.status == 200 and self.code == 0
        self.frame = Frame.decode(response.content) if framed else None
        self.set_cookies: list[str] = response.raw.headers.getlist("set-cookie")

    @property
    def body(self) -> bytes:
        assert self.frame is not None, (self.status, self.code, self.raw)
        return self.frame.body


class Client:
    """A session context with one mailbox URL; `jar` holds its cookies."""

    def __init__(self, http: requests.Session, url: str) -> None:
        self.http = http
        self.url = url
        self.jar = Jar()
        self.guid: UUID = uuid4()
        self.count = 0

    def ask(self, kind: str, body: bytes = b"", **headers: str | None) -> Answered:
        """One request; `headers` (_ for -) replace others, None takes one away."""
        self.count += 1
        sent: dict[str, str | None] = {
            "Content-Type": CONTENT_TYPE, "X-RequestType": kind,
            "X-RequestId": counted(self.guid, self.count),
            "X-ClientInfo": counted(self.guid, 1),
            "X-ClientApplication": "Outlook/16.0.4266.1001", "Cookie": self.jar.header or None,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }  # fmt: skip
        self.http.cookies.clear()  # ours are in the jar
        found = Answered(
            self.http.post(
                self.url, data=body, timeout=20, allow_redirects=False,
                headers={name: value for name, value in sent.items() if value is not None},
            )
        )  # fmt: skip
        self.jar = self.jar.after(found.set_cookies)
        return found

    def connect(self, dn: str, **fields: Any) -> bodies.ConnectResponse:
        found = self.ask(RequestType.CONNECT, bodies.ConnectRequest(dn, **fields).encode())
        return bodies.ConnectResponse.decode(found.body)

    def execute(
        self, *asked: rops.RopRequest, handles: tuple[int, ...] = (TO_BE_FILLED,) * 3
    ) -> RopResponses:
        buffer = RopRequests(asked, handles).encode()
        found = self.ask(RequestType.EXECUTE, bodies.ExecuteRequest(buffer).encode())
        response = bodies.ExecuteResponse.decode(found.body)
        assert response.error_code == 0, hex(response.error_code)
        return RopResponses.decode(response.rop_buffer, asked)

    def error_of(self, *asked: rops.RopRequest) -> int:
        """The ErrorCode of an Execute."""
        buffer = RopRequests(asked, (TO_BE_FILLED,) * 3).encode()
        found = self.ask(RequestType.EXECUTE, bodies.ExecuteRequest(buffer).encode())
        return bodies.ExecuteResponse.decode(found.body).error_code

    def logon(self, dn: str, **fields: Any) -> rops.RopResponse:
        return self.execute(rops.Logon(dn, **fields)).rops[0]

    def store(self, dn: str, *tags: int) -> dict[int, Any]:
        """Properties of a mailbox by their tags."""
        wanted: Tags = tags
        _, found = self.execute(rops.Logon(dn), rops.GetProperties(wanted)).rops
        assert isinstance(found, rops.Properties), found
        return dict(zip(wanted, found.row, strict=True))

    def disconnect(self) -> Answered:
        return self.ask(RequestType.DISCONNECT, bodies.DisconnectRequest().encode())


def returned(answer: rops.RopResponse) -> int:
    """The ReturnValue of a refusal."""
    assert isinstance(answer, rops.Refused), answer
    return answer.return_value


def url_of(lab: Lab, mailbox: Mailbox, server: str = "ls-ex16", part: str = "emsmdb") -> str:
    """The URL of a mailbox at one server."""
    name = f"{server}.{lab.organisation.domain}"
    return f"https://{name}/mapi/{part}/?MailboxId={mailbox.exchange_guid}@{mailbox.domain}"


@contextmanager
def client(
    lab: Lab,
    caller: Mailbox,
    mailbox: Mailbox | None = None,
    *,
    server: str = "ls-ex16",
    part: str = "emsmdb",
) -> Iterator[Client]:
    """Somebody at the URL of a mailbox, his own unless another is named."""
    with session(lab) as http:
        name = rf"{lab.organisation.netbios}\{caller.account}"
        http.auth = HttpNtlmAuth(name, password(caller))
        yield Client(http, url_of(lab, mailbox or caller, server, part))
