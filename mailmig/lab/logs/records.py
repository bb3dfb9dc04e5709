"""What is kept of a request or of a line of SMTP until somebody reads the logs.

Times are the world's, in UTC. A record is made for every request that a server answers, so it is
made quickly and becomes text only when a file is asked for.
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from sys import intern
from typing import TYPE_CHECKING, Final, NamedTuple

from mailmig.model.organisation import Server

if TYPE_CHECKING:
    from mailmig.lab.web.messages import Answer, Request
    from mailmig.lab.wsman.listening import Scope

HEALTHCHECK: Final = "healthcheck.htm"
LONGEST: Final = 1000
_MS: Final = timedelta(milliseconds=1)


class WebVisit(NamedTuple):
    """One request to a front end, and what became of it.

    `front` is the server's short name, `address` where the client reached it, `port` the standard
    one. `target` is the server behind, None where the front end answered alone; `back_status` is ""
    where that was not reached. `user` is "" for nobody. `action`, `application` and `code` are what MAPI over HTTP says in
    headers.
    """

    at: datetime
    front: str
    address: str
    port: int
    method: str
    path: str
    host: str
    scheme: str
    user: str
    anchor: str
    agent: str
    client: str
    status: int
    took_ms: int = 0
    target: Server | None = None
    back_status: str = ""
    action: str = ""
    application: str = ""
    code: str = ""

    @property
    def directory(self) -> str:
        """The virtual directory, in lower case."""
        return self.path.lstrip("/").partition("/")[0].lower()


class SmtpLine(NamedTuple):
    """One line of an SMTP session; `event` is `+ - > < *`."""

    at: datetime
    connector: str
    session: str
    number: int
    local: str
    remote: str
    event: str
    data: str
    context: str = ""


def visit(
    front: str, scope: "Scope", request: "Request", answer: "Answer", began: datetime,
    now: datetime, netbios: str, servers: Iterable[Server],
) -> WebVisit:  # fmt: skip
    """The record of an answered request; `servers` are the organisation's.

    Somebody logged on where a back end was asked. Of a longer text `LONGEST` signs are kept.
    """
    given = request.headers
    said = dict(answer.headers)
    address, _ = scope.get("server") or ("", 0)
    client, _ = scope.get("client") or ("", 0)
    behind = said.get("X-CalculatedBETarget")
    target = next((one for one in servers if one.fqdn.lower() == behind), None) if behind else None
    scheme, user = ("", "") if target is None else _logged_on(scope, given, netbios)
    return WebVisit(
        began.astimezone(UTC), front, address, 443 if request.secure else 80,
        request.method[:LONGEST], intern(request.path[:LONGEST]),
        intern(request.host.partition(":")[0][:LONGEST]), scheme, user,
        given.get("x-anchormailbox", "")[:LONGEST],
        intern(given.get("user-agent", "")[:LONGEST]), intern(client), answer.status,
        (now - began) // _MS, target, said.get("X-BackEndHttpStatus", ""),
        given.get("x-requesttype", "")[:LONGEST], given.get("x-clientapplication", "")[:LONGEST],
        said.get("X-ResponseCode", ""),
    )  # fmt: skip


def _logged_on(scope: "Scope", given: Mapping[str, str], netbios: str) -> tuple[str, str]:
    """How and as whom. A connection that logged on before is counted as NTLM, whatever it was."""
    scheme, _, token = given.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name = b64decode(token).decode("utf-8", "replace").partition(":")[0]
        except ValueError:
            name = ""
        return ("Basic", _full(name, netbios)) if name else ("", "")
    account = scope["state"]["connection"].logon.account
    return ("", "") if account is None else (scheme or "NTLM", account.logon_name)


def _full(name: str, netbios: str) -> str:
    r"""A name as it was typed, as the logs have it: "DOMAIN\anna"."""
    domain, slash, user = name.partition("\\")
    if slash:
        return f"{domain.upper()}\\{user}"
    return f"{netbios}\\{name.partition('@')[0]}"
