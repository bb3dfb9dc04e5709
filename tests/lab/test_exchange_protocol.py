"""Stock pypsrp talks to the lab's remote PowerShell."""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from mailmig.lab.accounts import Account
from mailmig.lab.exchange.calls import Call, Item, Output, Warning
from mailmig.model.secret import Secret
from tests.lab.remote_servers import (
    MAILBOX,
    Cmdlets,
    Machine,
    invoke,
    machine,
    mailbox,
    names,
    outside,
    text_of,
)

KINDS = ["basic-https", "ntlm-https", "negotiate-https", "ntlm", "negotiate"]


@pytest.fixture(name="cmdlets")
def _cmdlets() -> Cmdlets:
    return Cmdlets()


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path, cmdlets: Cmdlets) -> AsyncIterator[Machine]:
    async with machine(tmp_path, cmdlets) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
async def test_objects_come_over_every_kind_of_logon(server: Machine, kind: str) -> None:
    shell = await outside(server.call, "Get-Mailbox", kind=kind)
    assert names(shell) == ["user0", "user1", "user2"]
    assert (shell.state, shell.had_errors) == (PSInvocationState.COMPLETED, False)
    first = shell.output[0]
    assert first.types == list(MAILBOX)
    assert str(first) == "user0"
    assert first.adapted_properties["EmailAddresses"][1] == "x500:ä & <b>"
    assert first.adapted_properties["Database"].adapted_properties == {"Name": "DB1"}
    assert first.extended_properties == {"RunspaceId": "0"}
    assert [str(warning) for warning in shell.streams.warning] == [
        "There are more results available."
    ]
    (progress,) = shell.streams.progress
    assert (progress.activity, progress.percent_complete) == ("Reading", 50)


async def test_an_error_beside_the_objects_does_not_fail_the_pipeline(server: Machine) -> None:
    shell = await outside(server.call, "Get-Mailbox", Identity="half")
    assert names(shell) == ["user0", "user1"]
    assert (shell.state, shell.had_errors) == (PSInvocationState.COMPLETED, False)
    (error,) = shell.streams.error
    assert "object 'half' couldn't be found" in str(error)
    assert error.reason == "ManagementObjectNotFoundException"
    assert str(error.fq_error).endswith("RecipientTasks.GetMailbox")
    assert error.message == "InvalidData: (half:String) [Get-Mailbox], " + error.reason


async def test_a_terminating_error_fails_the_pipeline(server: Machine, cmdlets: Cmdlets) -> None:
    shell = await outside(server.call, "Get-Mailbox", Identity="wrong")
    assert names(shell) == ["user0"]
    assert (shell.state, shell.had_errors) == (PSInvocationState.FAILED, True)
    (error,) = shell.streams.error
    assert (str(error), error.reason) == ("Cannot bind parameter.", "ArgumentException")
    assert cmdlets.closed == 1


async def test_a_mistake_in_the_cmdlets_is_told_as_the_labs_own(
    server: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        shell = await outside(server.call, "Get-Mailbox", Identity="broken")
    assert shell.had_errors
    assert shell.streams.error[0].fq_error == "LabFailure"
    assert "a mistake in the cmdlets" in str(shell.streams.error[0])


async def test_a_script_is_refused(server: Machine, cmdlets: Cmdlets) -> None:
    def talk() -> PowerShell:
        with server.pool() as pool:
            shell = PowerShell(pool).add_script("Get-Mailbox")
            shell.invoke()
            return shell

    shell = await outside(talk)
    assert shell.had_errors and not shell.output
    (error,) = shell.streams.error
    assert (error.fq_error, error.reason) == ("ScriptsNotAllowed", "ParseException")
    assert str(error).startswith("The syntax is not supported by this runspace.")
    assert cmdlets.called == []


@pytest.mark.parametrize("stranger", ["Where-Object", "ForEach-Object", "Get-Process", "$x", ""])
async def test_what_is_no_cmdlet_is_not_found_and_nothing_runs(
    server: Machine, cmdlets: Cmdlets, stranger: str
) -> None:
    shell = await outside(server.call, "Get-Mailbox", stranger)
    (error,) = shell.streams.error
    assert shell.had_errors
    assert (error.fq_error, error.reason) == ("CommandNotFoundException",) * 2
    assert error.target_name == stranger
    assert cmdlets.called == []


async def test_a_pipeline_of_cmdlets_reaches_the_engine_whole(
    server: Machine, cmdlets: Cmdlets
) -> None:
    await outside(server.call, "Get-Mailbox", "Get-MoveRequest")
    ((who, pipeline),) = cmdlets.called
    assert (who, [call.name for call in pipeline]) == ("anna", ["Get-Mailbox", "Get-MoveRequest"])


async def test_statements_run_one_after_the_other(server: Machine, cmdlets: Cmdlets) -> None:
    def talk() -> PowerShell:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox").add_statement()
            shell.add_cmdlet("Get-MoveRequest")
            shell.invoke()
            return shell

    assert len((await outside(talk)).output) == 6
    assert [[call.name for call in pipeline] for _, pipeline in cmdlets.called] == [
        ["Get-Mailbox"], ["Get-MoveRequest"],
    ]  # fmt: skip


async def test_parameters_arrive_as_plain_values(server: Machine, cmdlets: Cmdlets) -> None:
    some = uuid.uuid4()
    given: dict[str, Any] = {
        "Identity": "Müller $(x) \"'", "ResultSize": 1, "Force": None, "WhatIf": True,
        "Guid": some, "Names": ["a", "b"], "Table": {"k": 1},
        "Empty": "",
    }  # fmt: skip
    await outside(server.call, "Get-Mailbox", **given)
    call = cmdlets.called[0][1][0]
    assert dict(call.parameters) == given
    assert call.get("whatif") is True
    kinds = {type(value) for _, value in call.parameters}
    assert kinds == {str, int, bool, list, dict, type(None), uuid.UUID}


async def test_a_secure_string_arrives_as_a_secret(server: Machine, cmdlets: Cmdlets) -> None:
    from pypsrp.complex_objects import ObjectMeta

    def talk() -> None:
        with server.pool() as pool:
            pool.exchange_keys()
            secret = pool.serialize("town", ObjectMeta("SS"))
            invoke(pool, "Get-Mailbox", Password=secret)

    await outside(talk)
    assert cmdlets.called[0][1][0].get("Password") == Secret("town")


async def test_the_clients_culture_reaches_the_cmdlets(server: Machine, cmdlets: Cmdlets) -> None:
    def talk() -> None:
        with server.pool(locale="de-DE", data_locale="de-AT") as pool:
            invoke(pool, "Get-Mailbox")

    await outside(talk)
    assert cmdlets.locales == ["de-AT"]


@pytest.mark.parametrize("name", ["Select-Object", "select"])
async def test_select_object_takes_the_properties_asked_for(server: Machine, name: str) -> None:
    def talk() -> PowerShell:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox").add_cmdlet(name)
            shell.add_parameter("Property", ["itemcount", "Nothing", "Database", "*Addresses"])
            shell.invoke()
            return shell

    shell = await outside(talk)
    item = shell.output[2]
    assert item.types[0] == f"Selected.{MAILBOX[0]}"
    assert list(item.extended_properties) == ["ItemCount", "Nothing", "Database", "EmailAddresses"]
    assert item.extended_properties["ItemCount"] == 2
    assert item.extended_properties["Nothing"] is None
    assert item.extended_properties["Database"].adapted_properties == {"Name": "DB1"}
    assert item.extended_properties["EmailAddresses"][0] == "SMTP:user2@town.example"
    assert len(shell.streams.warning) == 1


async def test_select_object_can_be_refused(server: Machine) -> None:
    server.exchange.switches.no_select = True
    shell = await outside(server.call, "Get-Mailbox", "Select-Object")
    (error,) = shell.streams.error
    assert error.fq_error == "CommandNotFoundException"
    assert str(error).startswith("The term 'Select-Object' is not recognized")


async def test_select_object_knows_no_other_parameter(server: Machine) -> None:
    def talk() -> PowerShell:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox").add_cmdlet("Select-Object")
            shell.add_parameter("First", 1).invoke()
            return shell

    (error,) = (await outside(talk)).streams.error
    assert error.fq_error == "NamedParameterNotFound,Select-Object"


async def test_the_wrong_address_is_told_as_windows_does(server: Machine) -> None:
    def talk(path: str, name: str) -> None:
        with (
            server.wsman(path=path) as connection,
            RunspacePool(connection, configuration_name=name),
        ):
            pass

    with pytest.raises(WSManFaultError) as unknown:
        await outside(talk, "wsman", "Microsoft.Exchange")
    assert unknown.value.code == 2150858811
    with pytest.raises(WSManFaultError) as other:
        await outside(talk, "PowerShell", "Microsoft.PowerShell")
    assert other.value.code == 2150858811
    with pytest.raises(WinRMTransportError) as missing:
        await outside(talk, "PowerShel", "Microsoft.Exchange")
    assert missing.value.code == 404


async def test_a_slow_cmdlet_outlasts_the_operation_timeout(server: Machine) -> None:
    def talk() -> PowerShell:
        with server.pool(operation_timeout=1) as pool:
            return invoke(pool, "Get-Mailbox", Identity="slow")

    assert len((await outside(talk)).output) == 2


async def test_two_runspaces_work_at_once(server: Machine) -> None:
    start = time.monotonic()
    shells = await asyncio.gather(
        *(outside(server.call, "Get-Mailbox", Identity="slow") for _ in range(3))
    )
    assert [len(shell.output) for shell in shells] == [2, 2, 2]
    assert time.monotonic() - start < 4


async def test_one_runspace_runs_its_pipelines_in_turn(server: Machine, cmdlets: Cmdlets) -> None:
    def talk() -> list[int]:
        with server.pool() as pool:
            first = PowerShell(pool).add_cmdlet("Wait-Forever")
            second = PowerShell(pool).add_cmdlet("Get-Mailbox")
            first.begin_invoke()
            second.begin_invoke()
            second.poll_invoke(timeout=1)
            began = len(cmdlets.called)
            first.stop()
            return [began, len(second.end_invoke())]

    assert await outside(talk) == [1, 3]


async def test_a_pipeline_can_be_stopped(server: Machine, cmdlets: Cmdlets) -> None:
    def talk() -> int:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Wait-Forever")
            shell.begin_invoke()
            shell.poll_invoke()
            shell.stop()
            return len(shell.output) + len(invoke(pool, "Get-Mailbox").output)

    assert await outside(talk) == 4
    assert cmdlets.closed == 2


async def test_a_shell_takes_only_so_many_unfinished_commands(server: Machine) -> None:
    server.exchange.commands_per_shell = 3

    def talk() -> None:
        with server.pool() as pool:
            for _ in range(5):
                with PowerShell(pool).add_cmdlet("Get-Mailbox") as shell:
                    shell.invoke()  # signalled when it is closed
            for _ in range(4):
                invoke(pool, "Get-Mailbox")

    with pytest.raises(WSManFaultError, match="commands per shell") as caught:
        await outside(talk)
    assert caught.value.code == "w:InternalError"


async def test_the_pool_answers_about_itself(server: Machine) -> None:
    def talk() -> tuple[int, bool, str | None]:
        with server.pool() as pool:
            return pool.get_available_runspaces(), pool.is_alive(), pool.protocol_version

    free, alive, version = await outside(talk)
    assert (free, alive) == (1, True)
    assert version is not None and version.startswith("2.")


async def test_what_the_lab_cannot_do_is_its_own_error(server: Machine) -> None:
    def metadata() -> PowerShell:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox")
            shell.invoke(input=["anna"])  # type: ignore[arg-type]
            return shell

    shell = await outside(metadata)
    assert shell.streams.error[0].fq_error == "LabNotSimulated"


async def test_an_object_larger_than_an_answer_comes_whole(tmp_path: Path) -> None:
    text = "0123456789" * 200_000

    class Large(Cmdlets):
        def _item(self, number: int) -> Item:
            return Item(text_of(text))

    async with machine(tmp_path, Large()) as server:
        for kind in ("basic-https", "ntlm"):
            shell = await outside(server.call, "Get-Mailbox", kind=kind)
            assert shell.output == [text] * 3


class Blocking:
    """Cmdlets that block, as plain generators; remembers in which threads they ran."""

    def __init__(self) -> None:
        self.threads: set[str] = set()
        self.closed = threading.Event()

    def knows(self, caller: Account, name: str) -> bool:
        return True

    def invoke(self, caller: Account, pipeline: tuple[Call, ...]) -> Iterator[Output]:
        try:
            for number in range(4):
                self.threads.add(threading.current_thread().name)
                time.sleep(0.1)
                yield Item.of(mailbox(number))
            while pipeline[0].name == "Wait-Forever":
                time.sleep(0.05)
                yield Warning("still waiting")
        finally:
            self.closed.set()


async def test_blocking_cmdlets_run_in_threads_and_stream(tmp_path: Path) -> None:
    cmdlets = Blocking()

    def talk(server: Machine) -> int:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Get-Mailbox")
            shell.begin_invoke()
            while not shell.output:
                shell.poll_invoke()
            first = len(shell.output)
            return first if len(shell.end_invoke()) == 4 else -1

    async with machine(tmp_path, cmdlets) as server:
        first = await outside(talk, server)
        assert 1 <= first < 4
        assert all(name.startswith("lab-cmdlet") for name in cmdlets.threads)
    assert not [thread for thread in threading.enumerate() if "lab-cmdlet" in thread.name]


async def test_a_blocking_cmdlet_ends_with_its_session(tmp_path: Path) -> None:
    cmdlets = Blocking()

    def talk(server: Machine) -> None:
        with server.pool() as pool:
            shell = PowerShell(pool).add_cmdlet("Wait-Forever")
            shell.begin_invoke()
            shell.poll_invoke()

    async with machine(tmp_path, cmdlets) as server:
        await outside(talk, server)
        await outside(cmdlets.closed.wait, 5)
        assert cmdlets.closed.is_set()


async def test_a_connection_that_breaks_may_be_replaced(server: Machine) -> None:
    """With Basic the next request just logs on again, and the session goes on."""

    def talk() -> list[str]:
        connection: WSMan
        with server.pool() as pool:
            connection = pool.connection
            found = names(invoke(pool, "Get-Mailbox"))
            connection.close()
            return found + names(invoke(pool, "Get-Mailbox", ResultSize=1))

    assert len(await outside(talk)) == 4
