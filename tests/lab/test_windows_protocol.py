"""Stock pywinrm, and pypsrp's shell, talk to the lab's WinRM."""

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import requests
import winrm
from hypothesis import given
from hypothesis import strategies as st
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import RunspacePool
from pypsrp.shell import Process, WinRS
from winrm.exceptions import InvalidCredentialsError

from mailmig.lab.accounts import Account
from mailmig.lab.windows import Answer, error_stream, powershell_script
from mailmig.wire import clixml
from tests.lab.remote_servers import NAME, PASSWORD, Machine, machine, outside

KINDS = ["ntlm", "ntlm-https", "basic-https", "ntlm-always"]


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine(tmp_path) as running:
        yield running


def session(server: Machine, kind: str = "basic-https", **more: Any) -> winrm.Session:
    transport, _, how = kind.partition("-")
    listener = server.tls if how else server.plain
    options: dict[str, Any] = {
        "transport": transport, "ca_trust_path": str(server.authority), "proxy": None,
        "read_timeout_sec": 12, "operation_timeout_sec": 6,
    }  # fmt: skip
    if how == "always":
        options["message_encryption"] = "always"
    user = (more.pop("user", NAME), more.pop("password", PASSWORD))
    return winrm.Session(f"{listener.url}/wsman", auth=user, **(options | more))


@pytest.mark.parametrize("kind", KINDS)
async def test_pywinrm_runs_a_script_over_every_kind_of_logon(server: Machine, kind: str) -> None:
    answer = await outside(lambda: session(server, kind).run_ps("hostname"))
    assert (answer.std_out, answer.std_err, answer.status_code) == (b"EX1\r\n", b"", 0)
    assert len(server.service.shells) == 0


async def test_pypsrps_shell_runs_it_too(server: Machine) -> None:
    def talk() -> tuple[bytes, int | None]:
        with server.wsman("ntlm", path="wsman") as connection, WinRS(connection) as shell:
            script = b64encode("hostname".encode("utf-16-le")).decode()
            process = Process(shell, "powershell.exe", ["-NoProfile", "-enc", script])
            process.invoke()
            process.signal(
                "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/signal/Terminate"
            )
            return process.stdout, process.rc

    assert await outside(talk) == (b"EX1\r\n", 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_wrong_password_is_one_attempt(server: Machine, kind: str) -> None:
    def talk() -> None:
        with pytest.raises(InvalidCredentialsError):
            session(server, kind, password="wrong").run_ps("hostname")

    await outside(talk)
    assert server.accounts.wrong("anna") == 1
    assert len(server.accounts.attempts) == 1


async def test_an_unknown_authority_is_refused_by_the_client(server: Machine) -> None:
    def talk() -> None:
        with pytest.raises(requests.exceptions.SSLError):
            session(server, ca_trust_path=None).run_ps("hostname")

    await outside(talk)
    assert not server.accounts.attempts


async def test_errors_of_powershell_come_as_clixml(server: Machine) -> None:
    answer = await outside(lambda: session(server).run_ps("broken"))
    assert (answer.status_code, answer.std_out) == (1, b"")
    assert answer.std_err == b"Access is denied.\nAt line:1 char:1"


async def test_an_unknown_script_is_not_recognised(server: Machine) -> None:
    answer = await outside(lambda: session(server).run_ps("Remove-Everything -Force"))
    assert answer.status_code == 1
    assert answer.std_err.startswith(b"Remove-Everything : The term 'Remove-Everything' is not rec")


async def test_an_unknown_command_is_answered_as_cmd_does(server: Machine) -> None:
    answer = await outside(lambda: session(server).run_cmd("ipconfig", ["/all"]))
    assert answer.status_code == 1
    assert answer.std_err == (
        b"'ipconfig' is not recognized as an internal or external command,\r\n"
        b"operable program or batch file.\r\n"
    )


async def test_a_line_may_not_be_too_long(server: Machine) -> None:
    answer = await outside(lambda: session(server).run_ps("#" * 3100))
    assert (answer.status_code, answer.std_err) == (1, b"The command line is too long.\r\n")


async def test_text_comes_in_the_code_page_that_was_asked_for(server: Machine) -> None:
    def talk(code_page: int) -> bytes:
        protocol = session(server).protocol
        shell = protocol.open_shell(codepage=code_page)
        script = b64encode("umlauts".encode("utf-16-le")).decode()
        command = protocol.run_command(shell, "powershell", ["-EncodedCommand", script])
        out, _, _ = protocol.get_command_output(shell, command)
        protocol.cleanup_command(shell, command)
        protocol.close_shell(shell)
        return bytes(out)

    assert await outside(talk, 65001) == "Käse für Ångström €\r\n".encode()
    assert await outside(talk, 850) == "Käse für Ångström ?\r\n".encode("cp850")
    assert await outside(talk, 12345) == "Käse für Ångström ?\r\n".encode("cp437")


async def test_much_output_comes_in_several_answers(server: Machine) -> None:
    answer = await outside(lambda: session(server).run_ps("long"))
    assert answer.std_out == b"0123456789" * 100_000


async def test_progress_on_stderr_is_no_failure(server: Machine) -> None:
    server.windows.progress_noise = True
    answer = await outside(lambda: session(server).run_ps("hostname"))
    assert answer.status_code == 0
    assert answer.std_err.startswith(b"#< CLIXML\r\n") and b"progress" in answer.std_err


async def test_a_script_may_take_longer_than_one_answer(tmp_path: Path) -> None:
    async def slow(account: Account, script: str) -> Answer | None:
        await asyncio.sleep(1.4)
        return Answer(f"{account.name}\r\n")

    async with machine(tmp_path, handler=slow) as server:
        answer = await outside(
            lambda: session(server, operation_timeout_sec=1, read_timeout_sec=5).run_ps("x")
        )
    assert answer.std_out == b"anna\r\n"


async def test_a_server_that_ends_ends_its_scripts(tmp_path: Path) -> None:
    ended = asyncio.Event()
    began = asyncio.Event()

    async def endless(account: Account, script: str) -> Answer | None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return None

    async with machine(tmp_path, handler=endless) as server:
        waiting = asyncio.ensure_future(outside(lambda: session(server, "ntlm").run_ps("x")))
        async with asyncio.timeout(5):
            await began.wait()
    assert ended.is_set()
    with pytest.raises(requests.RequestException):
        await waiting


async def test_a_mistake_of_the_handler_is_told_as_the_labs_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(account: Account, script: str) -> Answer | None:
        raise RuntimeError("a mistake")

    async with machine(tmp_path, handler=mistaken) as server:
        answer = await outside(lambda: session(server).run_ps("hostname"))
    assert answer.status_code == 1 and b"a mistake" in answer.std_err


async def test_exchanges_session_is_not_known_to_winrm(server: Machine) -> None:
    def talk() -> None:
        with (
            server.wsman("ntlm", path="wsman") as connection,
            RunspacePool(connection, configuration_name="Microsoft.Exchange"),
        ):
            pass

    with pytest.raises(WSManFaultError, match="was not found in the WS-Management catalog"):
        await outside(talk)


@pytest.mark.parametrize(
    ("arguments", "script"),
    [
        ("-EncodedCommand {}", "Get-Date ä"),
        ("-NoProfile -NonInteractive -ENC {}", "Get-Date ä"),
        ("/e {}", "Get-Date ä"),
        ("-ec {}", "Get-Date ä"),
        ('-NoProfile -Command "Get-Date"', "Get-Date"),
        ("-c Get-Date", "Get-Date"),
        ("Get-Date", "Get-Date"),
        ("-NoProfile", "-NoProfile"),
    ],
)
def test_the_script_is_found_among_the_arguments(arguments: str, script: str) -> None:
    encoded = b64encode("Get-Date ä".encode("utf-16-le")).decode()
    assert powershell_script(arguments.format(encoded)) == script


@pytest.mark.parametrize("encoded", ["", "???", "YWI", "Z"])
def test_a_script_that_is_wrongly_encoded_is_an_error(encoded: str) -> None:
    if encoded:
        with pytest.raises(ValueError, match=r".+"):
            powershell_script(f"-EncodedCommand {encoded}")
    else:
        assert powershell_script("-EncodedCommand") == ""


@given(
    st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1), max_size=4)
)
def test_errors_are_clixml_whatever_they_say(errors: list[str]) -> None:
    text = error_stream(tuple(errors))
    assert (text == "") == (not errors)
    if errors:
        lines = [str(line).rstrip("\r\n") for line in clixml.loads(text)]
        shown = [line for error in errors for line in error.splitlines()]
        assert lines == [re.sub(r"\r\n$", "", line) for line in shown]
