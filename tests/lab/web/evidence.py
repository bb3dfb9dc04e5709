"""What a mail client meets on its way to a mailbox, step by step and address by address.

    seen = walk(lab, caller, mailbox, OUTSIDE)      # blocking: call it in a thread

The way is that of protocols.md 1.8.2: Autodiscover for the mailbox with the caller's password, the
addresses of the host that it names, and at each of them TCP and TLS, PING, Connect, Execute with
RopLogon and RopOpenFolder(Inbox). What is seen is one line per address: "ok", or the first step that
failed and how; addresses and cells are tried side by side. `Adapter` and `Client` are those of the
other tests of the web servers.
"""

import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import dns.message
import dns.query
import dns.rdatatype
import requests
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.wire.autodiscover import pox
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp import rops
from mailmig.wire.mapihttp.codes import ErrorCode, RequestType
from mailmig.wire.mapihttp.octets import BadMapi
from mailmig.wire.mapihttp.rop_buffer import TO_BE_FILLED, RopRequests, RopResponses
from mailmig.wire.mapihttp.rops import FOLDERS, ResponseFlag
from tests.lab.web.clients import Adapter, password
from tests.lab.web.mapi_client import Answered, Client

PATIENCE_S = 2.5
_INBOX = FOLDERS.index("inbox")
_SCHEMES = "www-authenticate"


class Vantage(Enum):
    """Where somebody stands: which name server tells addresses, which URL counts."""

    INSIDE = "127.0.11.53"
    OUTSIDE = "127.0.9.53"


INSIDE, OUTSIDE = Vantage


class Stopped(Exception):
    """The way ends here: the step and what was seen of it."""

    def __init__(self, step: str, seen: str) -> None:
        super().__init__(f"{step}: {seen}")


@dataclass(frozen=True)
class Way:
    """What Autodiscover tells of a mailbox."""

    url: str
    dn: str


@dataclass(frozen=True)
class Walker:
    """One caller at one vantage."""

    lab: Lab
    caller: Mailbox
    vantage: Vantage
    secret: str = ""

    def walk(self, mailbox: Mailbox) -> dict[str, str]:
        """What is seen at each address, by address; "" stands for all that comes before."""
        try:
            own = self.discover(self.caller)
            way = own if mailbox is self.caller else self.discover(mailbox)
            host = str(urlsplit(way.url).hostname)
            addresses = self.addresses(host)
            if not addresses:
                raise Stopped("dns", "no address")
        except Stopped as stopped:
            return {"": str(stopped)}
        with ThreadPoolExecutor() as pool:
            seen = pool.map(lambda address: self.at(address, way, own.dn), addresses)
            return dict(zip(addresses, seen, strict=True))

    # steps

    def discover(self, mailbox: Mailbox) -> Way:
        """Autodiscover for a mailbox, at the first address that answers."""
        name = f"autodiscover.{self.lab.organisation.mail_domains[0]}"
        url = f"https://{name}/autodiscover/autodiscover.xml"
        body = pox.Request(mailbox.address).encode()
        stopped = Stopped("autodiscover", "no address")
        for address in self.addresses(name):
            try:
                with self.session(name, address) as http, _watched("autodiscover"):
                    found = http.post(
                        url, data=body, headers=dict([pox.CAPABILITY]), allow_redirects=False
                    )
                    _expect(found, "autodiscover")
            except Stopped as error:
                stopped = error
                continue
            return self._told(pox.decode(found.content))
        raise stopped

    def _told(self, answer: object) -> Way:
        if isinstance(answer, pox.Error):
            raise Stopped("autodiscover", f"error {answer.code}")
        assert isinstance(answer, pox.Settings), answer
        store = answer.mapi_http.mail_store if answer.mapi_http else None
        if store is None:
            raise Stopped("autodiscover", "no mapiHttp")
        url = store.internal if self.vantage is INSIDE else store.external
        if url is None:
            raise Stopped("autodiscover", "no url")
        return Way(url, answer.user.legacy_dn or "")

    def addresses(self, name: str) -> list[str]:
        """What the vantage's name server gives, in order."""
        query = dns.message.make_query(name, "A")
        answer = dns.query.udp(query, self.vantage.value, 2, self.lab.layout.port(53))
        found = (one for one in answer.answer if one.rdtype == dns.rdatatype.A)
        return sorted(item.to_text() for records in found for item in records)

    def at(self, address: str, way: Way, own: str) -> str:
        """What is seen of a mailbox at one address; `own` is the caller's legacyExchangeDN."""
        try:
            with self.session(str(urlsplit(way.url).hostname), address) as http:
                return _mapi(Client(http, way.url), way, own)
        except Stopped as stopped:
            return str(stopped)

    @contextmanager
    def session(self, host: str, address: str) -> Iterator[requests.Session]:
        """A client that finds the host at this address, and trusts the lab's authority."""
        where = {host: (address, self.lab.layout.port(443))}
        settings = {"where": where, "authority": str(self.lab.folder / "ca.pem")}
        adapter = type("PinnedAdapter", (Adapter,), settings)
        with _Patient() as found:
            found.trust_env = False
            found.mount("https://", adapter())
            name = rf"{self.lab.organisation.netbios}\{self.caller.account}"
            found.auth = HttpNtlmAuth(name, self.secret or password(self.caller))
            yield found


class _Patient(requests.Session):
    """Waits as long as we want, whatever the caller says."""

    def request(self, *words: Any, **options: Any) -> requests.Response:
        return super().request(*words, **(options | {"timeout": PATIENCE_S}))


def walk(lab: Lab, caller: Mailbox, mailbox: Mailbox, vantage: Vantage) -> str:
    """What is seen at each address, in order; once where it is the same everywhere."""
    seen = Walker(lab, caller, vantage).walk(mailbox)
    return " | ".join(dict.fromkeys(seen.values()))


def matrix(lab: Lab, caller: Mailbox, shared: Mailbox) -> dict[str, str]:
    """The matrix of protocols.md 1.8.2: own and shared mailbox, inside and outside."""
    with ThreadPoolExecutor() as pool:
        cells = {
            f"{kind} {vantage.name.lower()}": pool.submit(walk, lab, caller, mailbox, vantage)
            for kind, mailbox in (("own", caller), ("shared", shared))
            for vantage in Vantage
        }
        return {name: cell.result() for name, cell in cells.items()}


def _mapi(client: Client, way: Way, own: str) -> str:
    with _watched("ping"):
        try:
            _code(_framed(client.ask(RequestType.PING), "ping"), "ping")
        except PermissionError:  # requests-ntlm got no challenge for what it knows
            client.http.auth = None
            _framed(client.ask(RequestType.PING), "ping")
    with _watched("connect"):
        found = client.ask(RequestType.CONNECT, bodies.ConnectRequest(own).encode())
        connected = bodies.ConnectResponse.decode_answer(_body(found, "connect"))
    assert isinstance(connected, bodies.ConnectResponse), connected
    _no_error("connect", connected.error_code)
    with _watched("execute"):
        logon = _done(client, rops.Logon(way.dn))
    if isinstance(logon, rops.Redirected):
        raise Stopped("logon", f"{ErrorCode.ecWrongServer:#x} {logon.server_dn.rpartition('=')[2]}")
    if isinstance(logon, rops.Refused):
        raise Stopped("logon", f"{logon.return_value:#x}")
    assert isinstance(logon, rops.LoggedOn), logon
    owner = "" if logon.response_flags & ResponseFlag.OWNER_RIGHT else "no owner, "
    with _watched("execute"):
        opened = _done(client, rops.OpenFolder(logon.folder_ids[_INBOX]), logon=way.dn)
    if isinstance(opened, rops.Refused):
        raise Stopped("folder", f"{owner}{opened.return_value:#x}")
    client.disconnect()
    return "ok"


def _done(client: Client, asked: rops.RopRequest, logon: str = "") -> rops.RopResponse:
    """The answer to one operation, behind a logon if one is given."""
    requests_ = (rops.Logon(logon), asked) if logon else (asked,)
    buffer = RopRequests(requests_, (TO_BE_FILLED,) * 3).encode()
    found = client.ask(RequestType.EXECUTE, bodies.ExecuteRequest(buffer).encode())
    answer = bodies.ExecuteResponse.decode_answer(_body(found, "execute"))
    assert isinstance(answer, bodies.ExecuteResponse), answer
    _no_error("execute", answer.error_code)
    return RopResponses.decode(answer.rop_buffer, requests_).rops[-1]


def _body(found: Answered, step: str) -> bytes:
    return _code(_framed(found, step), step).body


def _framed(found: Answered, step: str) -> Answered:
    """Raises `Stopped` where HTTP itself fails."""
    if found.status != requests.codes.ok:
        raise Stopped(step, _http(found.status, found.headers))
    return found


def _code(found: Answered, step: str) -> Answered:
    """Raises `Stopped` for another X-ResponseCode than 0, in the head or behind DONE."""
    late = found.frame.late_response_code if found.frame else None
    if found.code:
        raise Stopped(step, f"code {found.code}")
    if late:
        raise Stopped(step, f"late code {late}")
    if "x-deviceinfo" in found.headers:
        raise Stopped(step, "X-DeviceInfo")
    return found


def _no_error(step: str, code: int) -> None:
    if code:
        raise Stopped(step, f"error {code:#x}")


def _expect(found: requests.Response, step: str) -> None:
    if found.status_code != requests.codes.ok:
        raise Stopped(step, _http(found.status_code, found.headers))


def _http(status: int, headers: "requests.structures.CaseInsensitiveDict[str]") -> str:
    """The status, who says it (a server of Exchange or a proxy), and what a 401 offers."""
    who = "exchange" if "x-feserver" in headers else headers.get("server", "nobody")
    return f"http {status} {who} {headers.get(_SCHEMES, '')}".rstrip()


@contextmanager
def _watched(step: str) -> Iterator[None]:
    """Failures below HTTP in plain words."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise Stopped(step, f"tls {_why(error)}") from error
    except requests.exceptions.ConnectTimeout as error:
        raise Stopped(step, "tcp no answer") from error
    except requests.exceptions.Timeout as error:
        raise Stopped(step, "no answer in time") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise Stopped(step, "half an answer") from error
    except requests.exceptions.ConnectionError as error:
        words = {"refused": "tcp refused", "timed out": "no answer in time"}
        seen = next((said for word, said in words.items() if word in str(error)), "connection cut")
        raise Stopped(step, seen) from error
    except BadMapi as error:
        raise Stopped(step, "no frame") from error


def _why(error: BaseException) -> str:
    """OpenSSL's own words for what is wrong with a certificate."""
    cause: object = error
    while isinstance(cause, BaseException):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message).partition(",")[0]
        inner = [one for one in cause.args if isinstance(one, BaseException)]
        cause = getattr(cause, "reason", None) or cause.__cause__ or (inner[0] if inner else None)
    return "handshake"
