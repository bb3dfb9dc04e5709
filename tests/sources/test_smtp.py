"""How we read what mail servers say first; all on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailmig.model.mail import SmtpGreeting
from mailmig.model.web import Stage
from mailmig.sources.smtp import Smtp

ADDRESS = "192.0.2.11"


@asynccontextmanager
async def saying(*answers: bytes, hang: bool = False) -> AsyncIterator[Smtp]:
    """A server that says these one after the other, and a client that finds it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for answer in answers:
                writer.write(answer)
                await writer.drain()
                await reader.readline()
            if hang:
                await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.1.3", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Smtp(0.5, {(ADDRESS, 25): ("127.0.1.3", port)})


async def test_banner_and_features_are_read() -> None:
    ehlo = b"250-ex1 Hello\r\n250-SIZE 37748736\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
    async with saying(b"220-ex1\r\n220 ready\r\n", ehlo) as smtp:
        said = await smtp.greet(ADDRESS)
    assert (said.code, said.trouble) == (220, None)
    assert said.banner == "ex1\nready"
    assert said.features == ("8BITMIME", "SIZE", "STARTTLS")
    assert said.took_s > 0


async def test_a_server_in_maintenance_is_an_answer_and_no_trouble() -> None:
    async with saying(b"421 4.3.2 Service not active\r\n") as smtp:
        said = await smtp.greet(ADDRESS)
    assert (said.code, said.banner, said.trouble) == (421, "4.3.2 Service not active", None)


@pytest.mark.parametrize(
    ("answers", "stage", "timed_out"),
    [
        ((), Stage.TCP, True),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), Stage.SMTP, False),
    ],
)
async def test_what_is_no_mail_server_is_a_trouble(
    answers: tuple[bytes, ...], stage: Stage, timed_out: bool
) -> None:
    async with saying(*answers, hang=True) as smtp:
        said = await asyncio.wait_for(smtp.greet(ADDRESS), 10)
    assert said.trouble is not None
    assert (said.code, said.trouble.stage, said.trouble.timed_out) == (0, stage, timed_out)


async def test_nobody_at_the_port_is_a_trouble_of_tcp() -> None:
    said = await Smtp(0.5, {(ADDRESS, 25): ("127.0.1.3", 1)}).greet(ADDRESS)
    assert isinstance(said, SmtpGreeting) and said.trouble is not None
    assert (said.trouble.stage, said.trouble.reason) == (Stage.TCP, "connection refused")


async def test_a_server_that_falls_silent_behind_its_greeting_is_no_dead_address() -> None:
    async with saying(b"220 ex1 ready\r\n", b"250 ex1\r\n", hang=True) as smtp:
        handed = await asyncio.wait_for(
            smtp.send(ADDRESS, 25, "a@x.example", "b@x.example", b"x"), 10
        )
    assert handed.trouble is not None
    assert (handed.code, handed.trouble.stage, handed.trouble.timed_out) == (0, Stage.SMTP, True)


@pytest.mark.parametrize(
    "answers", [(), (b"220 ex1 ready\r\n", b"250 ex1\r\n", b"552 too much\r\n")]
)
async def test_a_message_is_not_sent_or_refused_in_the_servers_words(
    answers: tuple[bytes, ...],
) -> None:
    async with saying(*answers, hang=True) as smtp:
        handed = await asyncio.wait_for(
            smtp.send(ADDRESS, 25, "a@x.example", "b@x.example", b"x"), 10
        )
    if answers:
        assert (handed.code, handed.said, handed.trouble) == (552, "too much", None)
    else:
        assert handed.trouble is not None and handed.trouble.stage is Stage.TCP
