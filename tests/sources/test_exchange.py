"""Our client of remote PowerShell, against the lab: what comes, and what a failure is called."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from mailmig.lab.exchange.calls import Call
from mailmig.model.command import Command, EmptyIdentity
from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.model.secret import Secret
from mailmig.sources import exchange_reader
from mailmig.sources.exchange import Exchange
from mailmig.sources.remote_errors import (
    CmdletFailed,
    CmdletNotAllowed,
    CommandError,
    NoSuchObject,
    NotTheOne,
    ResultCut,
)
from mailmig.sources.remote_settings import Scheme
from mailmig.wire.clixml import Obj
from tests.sources.remote_lab import SERVER, Lab, Town, guid, lab, mailbox, unknown

ALL = Command("Get-Mailbox", (("ResultSize", "Unlimited"),))
FEW = Command("Get-Mailbox", (("ResultSize", 3),))


@pytest_asyncio.fixture(name="server")
async def _server(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(tmp_path) as running:
        yield running


def get(identity: object) -> Command:
    return Command("Get-Mailbox", (("Identity", identity),))  # type: ignore[arg-type]


def client(server: Lab, **more: Any) -> Exchange:
    return Exchange(SERVER, server.settings(**more), server.addresses)


async def names(exchange: Exchange, command: Command, **options: Any) -> list[str | None]:
    async with asyncio.timeout(30):
        return [item.text or str(item["Name"]) async for item in exchange.ask(command, **options)]


@pytest.mark.parametrize(
    ("scheme", "tls"),
    [(Scheme.BASIC, True), (Scheme.NTLM, True), (Scheme.NTLM, False)],
    ids=["basic-https", "ntlm-https", "ntlm-http-sealed"],
)
async def test_objects_come_with_all_their_kinds(server: Lab, scheme: Scheme, tls: bool) -> None:
    async with client(server, scheme=scheme, tls=tls) as exchange:
        found = [item async for item in exchange.ask(FEW, cut_ok=True)]
    assert found == [mailbox(0), mailbox(1), mailbox(2)]
    assert found[0]["WhenCreated"] == datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    assert [(attempt.scheme, attempt.accepted) for attempt in server.accounts.attempts][:1] == [
        ("Basic" if scheme is Scheme.BASIC else "Negotiate", True)
    ]
    assert set(server.town.locales) == {"en-US en-US"}


async def test_nothing_is_left_at_the_server(server: Lab) -> None:
    async with client(server) as exchange:
        for _ in range(3):
            await names(exchange, FEW, cut_ok=True)
        (shell,) = server.service.shells
        assert not shell._pipelines  # type: ignore[attr-defined]
    assert len(server.service.shells) == 0


async def test_properties_are_selected_at_the_server(server: Lab) -> None:
    async with client(server) as exchange:
        found = [item async for item in exchange.ask(ALL, ("name", "Guid"))]
    assert len(found) == 1200
    assert list(found[7].properties) == ["Name", "Guid"]
    assert found[7]["Guid"] == guid(7)


async def test_a_server_without_select_object_gives_whole_objects(server: Lab) -> None:
    server.exchange.switches.no_select = True
    async with client(server) as exchange:
        found = [item async for item in exchange.ask(FEW, ("Name",), cut_ok=True)]
        assert found == [mailbox(0), mailbox(1), mailbox(2)]
        assert exchange.selects is False
        before = len(server.service.shells)
        assert len(await names(exchange, FEW, properties=("Name",), cut_ok=True)) == 3
        assert len(server.service.shells) == before == 1
    # the refused pipeline never reached the cmdlets
    assert len(server.town.called) == 2


async def test_objects_come_while_the_cmdlet_still_runs(server: Lab) -> None:
    async with client(server) as exchange, aclosing(exchange.ask(get("forever"))) as objects:
        async with asyncio.timeout(10):
            first = await anext(objects)
        assert first == mailbox(0)
        assert server.town.running == 1
    assert server.town.running == 0


async def test_parameters_arrive_with_their_kinds(server: Lab) -> None:
    name = "O'Brien $(x) `\"Müller\"' _x0041_ \u2019 \U0001f600\n"
    at = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
    command = Command(
        "Set-Mailbox",
        (
            ("Identity", name), ("HiddenFromAddressListsEnabled", False), ("Force", True),
            ("ProhibitSendQuota", 2**33), ("MaxSafeSenders", 5), ("StartDateForRetentionHold", at),
            ("RetainDeletedItemsFor", timedelta(days=14)), ("EmailAddresses", {"Add": ["a", "b"]}),
            ("GrantSendOnBehalfTo", (str(guid(1)), "x")), ("RoomMailboxPassword", Secret("Tür")),
            ("Database", guid(2)),
        ),
    )  # fmt: skip
    async with client(server) as exchange:
        await exchange.send(command)
    assert dict(server.town.called[0].parameters) == {
        "Identity": name, "HiddenFromAddressListsEnabled": False, "Force": True,
        "ProhibitSendQuota": 2**33, "MaxSafeSenders": 5,
        "StartDateForRetentionHold": "2026-11-21 19:00:00Z",
        "RetainDeletedItemsFor": "14.00:00:00", "EmailAddresses": {"Add": ["a", "b"]},
        "GrantSendOnBehalfTo": [str(guid(1)), "x"], "RoomMailboxPassword": Secret("Tür"),
        "Database": str(guid(2)),
    }  # fmt: skip


async def test_an_error_beside_the_objects_is_raised_after_them(server: Lab) -> None:
    seen: list[Obj] = []
    async with client(server) as exchange:
        with pytest.raises(NoSuchObject) as caught:
            async for item in exchange.ask(get("half")):
                seen.append(item)
        assert seen == [mailbox(0), mailbox(1)]
        assert (caught.value.more, caught.value.terminating) == (1, False)
        assert caught.value.category == "InvalidData"
        assert "half" in str(caught.value)
        assert len(await names(exchange, FEW, cut_ok=True)) == 3  # the session goes on
    assert len(server.accounts.attempts) > 0


async def test_errors_can_be_taken_instead(server: Lab) -> None:
    taken: list[MailmigError] = []
    async with client(server) as exchange:
        assert len(await names(exchange, get("half"), on_error=taken.append)) == 2
    assert [type(error) for error in taken] == [NoSuchObject, NoSuchObject]


async def test_a_terminating_error_is_raised_even_when_errors_are_taken(server: Lab) -> None:
    taken: list[MailmigError] = []
    async with client(server) as exchange:
        with pytest.raises(CmdletFailed, match="nicht verfügbar") as caught:
            await names(exchange, get("wrong"), on_error=taken.append)
    assert caught.value.terminating
    assert caught.value.category == "ResourceUnavailable"
    assert caught.value.fq_id == "[Server=EX1] 8A1,Set-Mailbox"
    assert caught.value.reason == "StoragePermanentException"
    assert caught.value.exit_code != UNREACHABLE
    assert taken == []


@pytest.mark.parametrize("how", ["cmdlet", "parameter"])
async def test_what_the_role_lacks_is_told_as_that(server: Lab, how: str) -> None:
    if how == "cmdlet":
        server.town.missing.add("get-mailbox")
    async with client(server) as exchange:
        with pytest.raises(CmdletNotAllowed, match="management role") as caught:
            await names(exchange, get("forbidden"))
    assert caught.value.command == get("forbidden")


async def test_a_cut_result_is_an_error_whatever_the_language(server: Lab) -> None:
    async with client(server) as exchange:
        with pytest.raises(ResultCut, match="1,000 objects"):
            await names(exchange, Command("Get-Mailbox"))
        with pytest.raises(ResultCut):
            await names(exchange, FEW, properties=("Name",))
        assert len(await names(exchange, Command("Get-Mailbox"), cut_ok=True)) == 1000
        assert len(await names(exchange, ALL)) == 1200


async def test_warnings_can_be_taken(server: Lab) -> None:
    taken: list[str] = []
    async with client(server) as exchange:
        await names(exchange, FEW, cut_ok=True, on_warning=taken.append)
    assert taken == ["Standardmäßig werden nur die ersten 3 Elemente geliefert."]


async def test_one_object_is_asked_for_by_its_guid(server: Lab) -> None:
    async with client(server) as exchange:
        assert await exchange.ask_one(get(guid(4))) == mailbox(4)
        narrow = await exchange.ask_one(get(str(guid(4))), ("Name",))
        assert (narrow["Name"], narrow["Guid"]) == ("user4", guid(4))
        assert (await exchange.ask_one(get("Müller $(x)"))).text == "user5"


async def test_another_object_or_several_are_refused(server: Lab) -> None:
    async with client(server) as exchange:
        with pytest.raises(NotTheOne, match="user9"):
            await exchange.ask_one(get("other"), guid=guid(4))
        with pytest.raises(NotTheOne) as several:
            await exchange.ask_one(get("two"))
        assert several.value.came == ("user2", "user3")
        with pytest.raises(NoSuchObject):
            await exchange.ask_one(get("nobody"))


@pytest.mark.parametrize("identity", ["", " \t", UUID(int=0), (), None])
async def test_an_empty_identity_never_leaves_the_client(server: Lab, identity: object) -> None:
    async with client(server) as exchange:
        with pytest.raises(EmptyIdentity):
            await names(exchange, get(identity))
        with pytest.raises(EmptyIdentity):
            await exchange.ask_one(Command("Get-Mailbox"))
    assert not server.town.called
    assert not server.accounts.attempts


async def test_questions_wait_for_their_turn(server: Lab) -> None:
    async with client(server, parallel=2) as exchange:
        answers = await asyncio.gather(*(names(exchange, get("slow")) for _ in range(5)))
        assert answers == [["user0", "user1"]] * 5
        assert server.town.most_running == 2
        assert len(server.service.shells) == 2


async def test_without_private_names_pypsrps_own_reader_serves(
    server: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_reader, "PLACE", "_fragmenter_of_another_version")
    async with client(server) as exchange:
        (found,) = [item async for item in exchange.ask(get(guid(4)))]
    assert found.text == "user4" and found.is_a(mailbox(4).types[0])
    assert found["Guid"] == guid(4)
    quota, kind, addresses = found["ProhibitSendQuota"], found["Kind"], found["EmailAddresses"]
    assert isinstance(quota, Obj) and quota.text == "2 GB (2,147,483,648 bytes)"
    assert isinstance(kind, Obj) and kind.text == "UserMailbox"
    assert isinstance(addresses, Obj) and addresses.value == ["SMTP:user4@town.example"]


async def test_with_this_pypsrp_our_own_reader_is_plugged_in(server: Lab) -> None:
    async with client(server) as exchange:
        await names(exchange, FEW, cut_ok=True)
        (line,) = exchange._idle
        assert line.session.reads_itself


async def test_an_error_knows_its_facts() -> None:
    error = CommandError("EX1", get("x"), " text ", category="InvalidData", more=2)
    assert str(error) == (
        "EX1: Get-Mailbox -Identity 'x' failed: text [InvalidData] (and 2 more errors)"
    )


async def test_unverified_is_shouted_about_once(
    server: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with client(server, unverified=True, ca_file=None, parallel=2) as exchange:
            await asyncio.gather(*(names(exchange, get("slow")) for _ in range(2)))
    said = [record.getMessage() for record in caplog.records if "NOT checked" in record.message]
    assert len(said) == 1 and SERVER in said[0]


def test_the_reference_knows_what_it_does_not_know(data_folder: Path) -> None:
    """Else nothing would be checked in the tests above."""
    reference = Town()._reference
    assert reference
    assert unknown(Call("get-mailbox", (("identity", "x"),)), reference) == []
    assert unknown(Call("Get-Mailbox", (("Nonsense", 1),)), reference) == ["Get-Mailbox -Nonsense"]
    assert unknown(Call("Get-Mailbox", ((None, 1),)), reference) == ["Get-Mailbox -None"]
    assert unknown(Call("Get-MailboxReplicationService"), reference) != []
