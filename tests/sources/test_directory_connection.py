"""A controller that falls silent at each step of a logon, or has no time for one."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailmig.lab.certificates import Authority
from mailmig.model.secret import Secret
from mailmig.sources.directory_connection import DirectoryConnection
from mailmig.sources.directory_errors import DirectoryUnreachable, LogonRefused
from mailmig.sources.directory_settings import DirectorySettings, Encryption, Logon
from mailmig.sources.remote_logon import LogonGate
from mailmig.store.logons import Logons

NAME = "dc1.town.example"
BIND, EXTENDED = 0x61, 0x78  # RFC 4511 4.2.2 and 4.12

Talk = Callable[[socket.socket, ssl.SSLContext], None]


def response(request: bytes, kind: int, code: int) -> bytes:
    """With the request's number, and without a text."""
    number = request[2 : 4 + request[3]]
    body = number + bytes((kind, 7, 10, 1, code, 4, 0, 4, 0))
    return bytes((0x30, len(body))) + body


def until_the_end(line: socket.socket) -> None:
    while line.recv(4096):
        pass


def no_tls(line: socket.socket, _: ssl.SSLContext) -> None:
    until_the_end(line)


def no_tls_after_all(line: socket.socket, _: ssl.SSLContext) -> None:
    line.sendall(response(line.recv(4096), EXTENDED, 0))
    until_the_end(line)


def no_word(line: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(line, server_side=True) as wrapped:
        until_the_end(wrapped)


def half_a_word(line: socket.socket, context: ssl.SSLContext) -> None:
    with context.wrap_socket(line, server_side=True) as wrapped:
        wrapped.sendall(response(wrapped.recv(4096), BIND, 0)[:5])
        until_the_end(wrapped)


def saying(code: int) -> Talk:
    def talk(line: socket.socket, context: ssl.SSLContext) -> None:
        with context.wrap_socket(line, server_side=True) as wrapped:
            wrapped.sendall(response(wrapped.recv(4096), BIND, code))
            until_the_end(wrapped)

    return talk


def nonsense(said: bytes) -> Talk:
    def talk(line: socket.socket, context: ssl.SSLContext) -> None:
        with context.wrap_socket(line, server_side=True) as wrapped:
            wrapped.recv(4096)
            wrapped.sendall(said)

    return talk


@contextlib.contextmanager
def controller(talk: Talk, context: ssl.SSLContext) -> Iterator[tuple[str, int]]:
    """Takes one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            line, _ = listening.accept()
            with line:
                line.settimeout(10)
                with contextlib.suppress(OSError):  # they hung up
                    talk(line, context)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()
        thread.join(20)
        assert not thread.is_alive()


async def log_on(
    talk: Talk, folder: Path, encryption: Encryption, logon: Logon, kind: type[Exception]
) -> str:
    """What the client says, which is to come soon; its record lies in `folder`/state."""
    authority = Authority()
    settings = DirectorySettings(
        account="TOWN\\anna", password=Secret("Geheim1!"), logon=logon, encryption=encryption,
        ca_file=authority.write(folder / "ca.pem"), timeout_s=0.8, connect_timeout_s=0.8,
    )  # fmt: skip
    port = 636 if encryption is Encryption.LDAPS else 389
    began = time.monotonic()
    with controller(talk, authority.certificate(NAME).context()) as where:
        gate = LogonGate(Logons(folder / "state", patience_s=0.2))
        asked = DirectoryConnection(NAME, settings, {(NAME, port): where}, gate)
        with pytest.raises(kind) as raised:
            await asked.open()
        await asked.close()
    assert time.monotonic() - began < 8
    return str(raised.value)


def record(folder: Path) -> list[Path]:
    return list((folder / "state" / "logons").glob("*.json"))


@pytest.mark.parametrize(
    ("talk", "encryption"),
    [
        (no_tls, Encryption.LDAPS), (no_tls, Encryption.STARTTLS),
        (no_tls_after_all, Encryption.STARTTLS),
    ],
)  # fmt: skip
async def test_silence_before_the_logon_shows_no_password(
    talk: Talk, encryption: Encryption, tmp_path: Path
) -> None:
    said = await log_on(talk, tmp_path, encryption, Logon.SIMPLE, DirectoryUnreachable)
    assert NAME in said and "look at the network" in said
    assert record(tmp_path) == []


@pytest.mark.parametrize("talk", [no_word, half_a_word])
@pytest.mark.parametrize("logon", [Logon.SIMPLE, Logon.NTLM])
async def test_silence_after_the_password_counts_as_a_wrong_one(
    talk: Talk, logon: Logon, tmp_path: Path
) -> None:
    await log_on(talk, tmp_path, Encryption.LDAPS, logon, DirectoryUnreachable)
    shown = logon is Logon.SIMPLE  # NTLM had not come to it
    assert len(record(tmp_path)) == shown


@pytest.mark.parametrize(
    ("code", "kind"),
    [(51, DirectoryUnreachable), (52, DirectoryUnreachable), (13, LogonRefused), (7, LogonRefused)],
)
async def test_a_controller_that_looks_at_no_password_has_refused_none(
    code: int, kind: type[Exception], tmp_path: Path
) -> None:
    said = await log_on(saying(code), tmp_path, Encryption.LDAPS, Logon.SIMPLE, kind)
    assert NAME in said
    assert record(tmp_path) == []


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n", response(b"0.\2\1\0", BIND, 0),
        bytes.fromhex("300502010061000a"), b"0\0" * 20,
    ],
)  # fmt: skip
async def test_nonsense_in_place_of_an_answer_counts_as_a_wrong_password(
    said: bytes, tmp_path: Path
) -> None:
    await log_on(nonsense(said), tmp_path, Encryption.LDAPS, Logon.SIMPLE, DirectoryUnreachable)
    assert len(record(tmp_path)) == 1


async def test_a_refusal_that_nobody_foresaw_counts_as_one(tmp_path: Path) -> None:
    await log_on(saying(53), tmp_path, Encryption.LDAPS, Logon.SIMPLE, LogonRefused)
    assert len(record(tmp_path)) == 1
