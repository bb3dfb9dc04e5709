"""Our probes against TLS servers that behave, and such that do not; all on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from mailmig.model.web import Stage
from mailmig.sources.web import Web, WebSettings

HOST, ADDRESS = "mail.town.example", "192.0.2.11"
GOOD = b"HTTP/1.1 200 OK\r\nX-FEServer: EX1\r\nContent-Length: 16\r\n\r\n200 OK<br/>gr\xc3\xbcn"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def context(authority: trustme.CA, *names: str, until: datetime | None = None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=until).configure_cert(made)
    return made


@asynccontextmanager
async def serving(
    handler: Handler, tls: ssl.SSLContext | None, ca_file: Path, timeout_s: float = 5.0
) -> AsyncIterator[Web]:
    """A server behind the address of the tests, and a client that finds it there."""
    ends: list[asyncio.Event] = []

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(ended := asyncio.Event())
        try:
            await handler(reader, writer)
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            pass  # the client had seen enough
        finally:
            writer.transport.abort()
            ended.set()

    server = await asyncio.start_server(watched, "127.0.1.2", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    settings = WebSettings(ca_file=ca_file, timeout_s=timeout_s)
    async with server:
        places = {(ADDRESS, 443): ("127.0.1.2", port), (ADDRESS, 25): ("127.0.1.2", port)}
        yield Web(settings, places)
        async with asyncio.timeout(10):
            for one in ends:
                await one.wait()


def saying(*parts: bytes, asked: list[bytes] | None = None, hang: bool = False) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if hang:
            await reader.read()

    return handler


async def test_a_page_comes_with_its_headers_and_the_name_went_as_host(
    authority: trustme.CA, ca_file: Path
) -> None:
    asked: list[bytes] = []
    async with serving(saying(GOOD, asked=asked), context(authority, HOST), ca_file) as web:
        page = await web.fetch(ADDRESS, HOST, "/ews/healthcheck.htm")
    assert (page.status, page.reason, page.body) == (200, "OK", "200 OK<br/>grün")
    assert page.header("X-FEServer") == "EX1"
    assert page.trouble is None
    assert page.connect_s > 0 and page.tls_s > 0 and page.answer_s > 0
    first, *headers = asked[0].decode().split("\r\n")
    assert first == "GET /ews/healthcheck.htm HTTP/1.1"
    assert f"Host: {HOST}" in headers


async def test_a_redirect_is_shown_and_not_followed(authority: trustme.CA, ca_file: Path) -> None:
    asked: list[bytes] = []
    away = b"HTTP/1.1 302 Found\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n\r\n"
    async with serving(saying(away, asked=asked), context(authority, HOST), ca_file) as web:
        page = await web.fetch(ADDRESS, HOST, "/")
    assert (page.status, page.header("location")) == (302, "https://x.example/")
    assert len(asked) == 1


async def test_only_the_beginning_of_a_long_page_is_kept(
    authority: trustme.CA, ca_file: Path
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
    async with serving(saying(head, b"x" * 10_000_000), context(authority, HOST), ca_file) as web:
        page = await web.fetch(ADDRESS, HOST, "/")
    assert (len(page.body), page.truncated) == (65536, True)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((b"",), "the connection was closed unanswered"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le",), "the connection was closed unanswered"),
        ((GOOD[:-4],), "the connection was closed within its answer (status 200)"),
        ((b"SSH-2.0-x\r\n\r\n",), "illegal status line"),
    ],
)
async def test_half_an_answer_is_a_trouble_of_http(
    authority: trustme.CA, ca_file: Path, said: tuple[bytes, ...], reason: str
) -> None:
    async with serving(saying(*said), context(authority, HOST), ca_file) as web:
        page = await web.fetch(ADDRESS, HOST, "/")
    assert page.trouble is not None
    assert (page.status, page.trouble.stage, page.trouble.timed_out) == (0, Stage.HTTP, False)
    assert page.trouble.reason.startswith(reason)


async def test_a_server_that_is_silent_is_given_up_in_time(
    authority: trustme.CA, ca_file: Path
) -> None:
    tls = context(authority, HOST)
    async with serving(saying(hang=True), tls, ca_file, timeout_s=0.3) as web:
        page = await asyncio.wait_for(web.fetch(ADDRESS, HOST, "/"), 10)
    assert page.trouble is not None
    assert (page.trouble.stage, page.trouble.timed_out) == (Stage.HTTP, True)
    assert page.trouble.reason == "no answer within 0.3 s"


async def test_a_port_without_tls_is_a_trouble_of_tls(ca_file: Path) -> None:
    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await writer.drain()
        writer.close()

    async with serving(greets, None, ca_file) as web:
        page = await web.fetch(ADDRESS, HOST, "/")
        shown = await web.greet(ADDRESS, HOST)
    assert page.trouble is not None and page.trouble.stage is Stage.TLS
    assert shown.trouble is not None and shown.trouble.stage is Stage.TLS
    assert shown.certificate is None


async def test_nobody_at_the_port_is_a_trouble_of_tcp(ca_file: Path) -> None:
    web = Web(WebSettings(ca_file=ca_file), {(ADDRESS, 443): ("127.0.1.2", 1)})
    page, shown = await web.fetch(ADDRESS, HOST, "/"), await web.greet(ADDRESS, HOST)
    for trouble in (page.trouble, shown.trouble):
        assert trouble is not None
        assert (trouble.stage, trouble.reason) == (Stage.TCP, "connection refused")


async def test_a_good_certificate_is_shown_whole(authority: trustme.CA, ca_file: Path) -> None:
    until = datetime(2199, 5, 4, 3, 2, 1, tzinfo=UTC)
    tls = context(authority, HOST, "192.0.2.11", until=until)
    async with serving(saying(GOOD), tls, ca_file) as web:
        shown = await web.greet(ADDRESS, HOST)
    assert (shown.untrusted, shown.trouble, shown.version) == ("", None, "TLSv1.3")
    found = shown.certificate
    assert found is not None
    assert found.names == (HOST, "192.0.2.11")
    assert found.not_after == until
    assert found.key == "EC secp256r1"
    assert len(found.thumbprint) == 40 and found.thumbprint == found.thumbprint.upper()


@pytest.mark.parametrize(
    ("names", "until", "says"),
    [
        (("other.example",), None, "Hostname mismatch"),
        ((HOST,), datetime(2001, 1, 1, tzinfo=UTC), "certificate has expired"),
    ],
)
async def test_a_certificate_that_is_not_good_is_shown_with_the_reason(
    authority: trustme.CA, ca_file: Path, names: tuple[str, ...], until: datetime | None, says: str
) -> None:
    tls = context(authority, *names, until=until)
    async with serving(saying(GOOD), tls, ca_file) as web:
        shown = await web.greet(ADDRESS, HOST)
        page = await web.fetch(ADDRESS, HOST, "/")
    assert says in shown.untrusted
    assert shown.certificate is not None and shown.certificate.names == names
    assert shown.trouble is None
    assert page.trouble is not None and says in page.trouble.reason


async def test_a_certificate_of_nobody_we_know_is_shown_too(ca_file: Path) -> None:
    async with serving(saying(GOOD), context(trustme.CA(), HOST), ca_file) as web:
        shown = await web.greet(ADDRESS, HOST)
    assert "unable to get local issuer certificate" in shown.untrusted
    assert shown.certificate is not None


def smtp(tls: ssl.SSLContext, *answers: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *others = answers
        writer.write(first)
        for answer in others:
            await reader.readline()
            writer.write(answer)
            await writer.drain()
        if others[-1].startswith(b"220"):
            await writer.start_tls(tls)
        await reader.read()

    return handler


async def test_the_certificate_behind_starttls_is_shown(
    authority: trustme.CA, ca_file: Path
) -> None:
    tls = context(authority, HOST)
    talk = smtp(tls, b"220-hello\r\n220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"220 go\r\n")
    async with serving(talk, None, ca_file) as web:
        shown = await web.greet(ADDRESS, HOST, 25, "smtp")
    assert shown.trouble is None
    assert shown.certificate is not None and shown.certificate.names == (HOST,)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ((b"421 4.3.2 Service not active\r\n", b""), "it says 421 4.3.2 Service not active"),
        ((b"220 x\r\n", b"250-x\r\n250 SIZE\r\n"), "it offers no STARTTLS"),
        ((b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"454 no\r\n"), "it says 454 no"),
    ],
)
async def test_without_starttls_there_is_no_certificate(
    authority: trustme.CA, ca_file: Path, answers: tuple[bytes, ...], reason: str
) -> None:
    async with serving(smtp(context(authority, HOST), *answers), None, ca_file) as web:
        shown = await web.greet(ADDRESS, HOST, 25, "smtp")
    assert shown.trouble is not None
    assert (shown.trouble.stage, shown.trouble.reason) == (Stage.TLS, reason)
