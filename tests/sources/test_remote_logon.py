"""When a password may be shown over HTTP, and what counts as an answer to it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from mailmig.lab.certificates import Authority
from mailmig.model.logon import LogonUnsettled, RefusedBefore
from mailmig.model.secret import Secret
from mailmig.sources.remote_http import Routes
from mailmig.sources.remote_logon import LogonClosed, LogonGate
from mailmig.store.logons import Logons

NAME = "ex1.town.example"
ANNA, OTHER_ANNA = "TOWN\\anna", "OTHER\\anna"
PASSWORD = Secret("Geheim1!")
SOAP = "Content-Type: application/soap+xml;charset=UTF-8\r\n"

Talk = Callable[[socket.socket], None]


def read(line: socket.socket) -> bytes:
    heard = b""
    while b"\r\n\r\n" not in heard:
        more = line.recv(4096)
        if not more:
            break
        heard += more
    return heard


def answering(status: str, headers: str = "") -> Talk:
    def talk(line: socket.socket) -> None:
        read(line)
        line.sendall(
            f"HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )

    return talk


def breaking_off(line: socket.socket) -> None:
    read(line)


@contextmanager
def server(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, int]]:
    """Takes connections one after the other until it is left."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    line, _ = listening.accept()
                except TimeoutError:
                    continue
                with line:
                    line.settimeout(5)
                    try:
                        if tls is None:
                            talk(line)
                        else:
                            with tls.wrap_socket(line, server_side=True) as wrapped:
                                talk(wrapped)  # and no farewell of TLS
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()
        finally:
            ended.set()
            thread.join(10)


def ask(
    gate: LogonGate, where: tuple[str, int], *, tls: bool = False, ca_file: Path | None = None
) -> requests.Response:
    """One request with Basic, as pypsrp and pywinrm send theirs."""
    session = requests.Session()
    session.trust_env = False
    session.auth = ("anna", PASSWORD.reveal())
    port = 443 if tls else 80
    Routes({(NAME, port): where}).mount_into(session)
    gate.watch(session, "basic", ANNA, PASSWORD, NAME)
    with session:
        scheme = "https" if tls else "http"
        return session.post(
            f"{scheme}://{NAME}/PowerShell", timeout=2, verify=str(ca_file) if ca_file else True
        )


def record(state: Path) -> list[Path]:
    return list((state / "logons").glob("*.json"))


def is_proven(gate: LogonGate) -> bool:
    """Whether two may show the password side by side: the second does not wait for the first."""
    entered = threading.Event()

    def second() -> None:
        with gate.attempt(ANNA, PASSWORD, "ex3") as attempt:
            entered.set()
            attempt.unshown()

    thread = threading.Thread(target=second)
    with gate.attempt(ANNA, PASSWORD, "ex2") as attempt:
        thread.start()
        found = entered.wait(0.3)
        attempt.unshown()
    thread.join(10)
    return found


@pytest.mark.parametrize(
    ("status", "headers", "proves"),
    [
        ("200 OK", "", True), ("500 Internal Server Error", SOAP, True),
        ("500 Internal Server Error", "", False), ("503 Service Unavailable", "", False),
        ("404 Not Found", "", False), ("403 Forbidden", "", False),
    ],
)  # fmt: skip
def test_only_the_service_itself_says_that_a_password_is_right(
    status: str, headers: str, proves: bool, tmp_path: Path
) -> None:
    gate = LogonGate(Logons(tmp_path))
    with server(answering(status, headers)) as where:
        assert str(ask(gate, where).status_code) == status[:3]
    assert record(tmp_path) == []
    assert is_proven(gate) is proves


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_breaks_off_may_have_seen_a_wrong_password(tls: bool, tmp_path: Path) -> None:
    authority = Authority()
    ca_file = authority.write(tmp_path / "ca.pem") if tls else None
    context = authority.certificate(NAME).context() if tls else None
    with server(breaking_off, context) as where:
        for error in (requests.exceptions.RequestException, LogonUnsettled):
            with pytest.raises(error):
                ask(LogonGate(Logons(tmp_path / "state")), where, tls=tls, ca_file=ca_file)
    assert len(record(tmp_path / "state")) == 1


@pytest.mark.parametrize("talk", [breaking_off, lambda line: line.recv(1) and line.recv(4096)])
def test_who_does_not_get_as_far_as_tls_has_seen_no_password(talk: Talk, tmp_path: Path) -> None:
    with server(talk) as where:
        for _ in range(2):
            with pytest.raises(requests.exceptions.RequestException):
                ask(LogonGate(Logons(tmp_path)), where, tls=True)
    assert record(tmp_path) == []


def test_of_two_accounts_of_one_name_one_does_not_prove_the_other() -> None:
    gate = LogonGate()
    with gate.attempt(ANNA, PASSWORD, "dc1") as attempt:
        attempt.accepted()
    assert is_proven(gate)
    entered, closed = threading.Event(), list[LogonClosed]()

    def second() -> None:
        try:
            with gate.attempt(OTHER_ANNA, PASSWORD, "ex2"):
                entered.set()
        except LogonClosed as error:
            closed.append(error)

    thread = threading.Thread(target=second)
    with gate.attempt(OTHER_ANNA, PASSWORD, "ex1") as attempt:
        thread.start()
        assert not entered.wait(0.3)
        attempt.refused("wrong password")
    thread.join(10)
    assert [error.server for error in closed] == ["ex1"] and not entered.is_set()


def test_a_password_that_another_process_saw_refused_is_shown_no_more(tmp_path: Path) -> None:
    gate = LogonGate(Logons(tmp_path))
    with gate.attempt(ANNA, PASSWORD, "dc1") as attempt:
        attempt.accepted()
    with Logons(tmp_path).attempt(ANNA, PASSWORD, "dc2") as noted:
        noted.refused("its password has changed")
    with pytest.raises(RefusedBefore, match="dc2"), gate.attempt(ANNA, PASSWORD, "dc1"):
        pytest.fail("shown")
