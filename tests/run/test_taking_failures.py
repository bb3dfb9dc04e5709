"""Taking an inventory fails whole, with one sentence, and shows a wrong password once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from mailmig.lab.directory import people
from mailmig.model.directory import Right
from mailmig.model.errors import UNREACHABLE
from mailmig.model.secret import Secret
from mailmig.run.cross_check import compare, sample
from mailmig.run.taking import NoController, NoControllerNamed, NothingTaken, take
from mailmig.sources.directory_errors import DirectoryUnreachable, NotTrusted, WrongPassword
from tests.run.living import DC1, DC2, Living, kept, living

ADMIN = "LINDENSTADT\\svc-mailmig"


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[Living]:
    async with asyncio.timeout(90), living(tmp_path) as town:
        yield town


async def test_a_wrong_password_is_shown_once_over_all_channels(town: Living) -> None:
    with pytest.raises(WrongPassword, match="tried once"):
        async with (
            town.directory(password=Secret("falsch")) as directory,
            town.exchange(password=Secret("falsch")) as exchange,
        ):
            await take(directory, exchange)
    assert town.lab.accounts.wrong(ADMIN) == 1
    assert len(town.lab.accounts.attempts) == 1


async def test_a_cmdlet_that_the_role_lacks_is_named_and_nothing_is_made(town: Living) -> None:
    town.lab.world.lacking["svc-mailmig"] = {"get-mailboxdatabasecopystatus"}
    with pytest.raises(NothingTaken) as raised:
        await town.take()
    said = str(raised.value)
    assert "Get-MailboxDatabaseCopyStatus" in said and "give it a management role" in said
    assert said.endswith("no snapshot was made")


async def test_a_cmdlet_that_the_sample_needs_is_named_as_well(town: Living) -> None:
    town.lab.world.lacking["svc-mailmig"] = {"get-adpermission"}
    with pytest.raises(NothingTaken, match="Get-ADPermission"):
        await town.take()
    taken = await town.take(sample=0)
    assert taken.check is not None and taken.check.compared == 0


@pytest.mark.parametrize("switch", ["silent", "refuses"])
async def test_the_next_controller_is_asked_where_one_does_not_answer(
    town: Living, switch: str
) -> None:
    setattr(town.controller(DC1), switch, True)
    async with town.directory(timeout_s=1.0, connect_timeout_s=1.0) as directory:
        assert directory.server == DC2
    setattr(town.controller(DC2), switch, True)
    with pytest.raises(NoController) as raised:
        async with town.directory(timeout_s=1.0, connect_timeout_s=1.0):
            pass
    assert set(raised.value.servers) == {DC1, DC2}
    assert raised.value.exit_code == UNREACHABLE
    assert "look at the network" in str(raised.value)


@pytest.mark.parametrize("switch", ["hangs", "cuts"])
async def test_a_controller_that_stops_in_the_middle_ends_it(town: Living, switch: str) -> None:
    async with town.directory(timeout_s=1.0) as directory, town.exchange() as exchange:
        setattr(town.controller(DC1), switch, True)
        with pytest.raises(NothingTaken, match="no snapshot was made") as raised:
            await take(directory, exchange)
    assert isinstance(raised.value.error, DirectoryUnreachable)
    assert raised.value.exit_code == UNREACHABLE


@pytest.mark.parametrize("fault", ["session-hangs", "session-hangs-midway"])
async def test_an_exchange_server_that_falls_silent_ends_it_in_time(
    town: Living, fault: str
) -> None:
    async with town.directory() as directory, town.exchange(answer_timeout_s=1.0) as exchange:
        town.lab.faults.on(fault, exchange.server)
        began = time.monotonic()
        with pytest.raises(NothingTaken, match="no snapshot was made") as raised:
            await take(directory, exchange)
    assert time.monotonic() - began < 20
    assert exchange.server in str(raised.value) and raised.value.exit_code == UNREACHABLE


async def test_a_mailbox_that_says_no_limits_of_its_own_nor_of_its_database_is_named(
    town: Living, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(people._MAKERS, "mdbusedefaults", lambda person: [])
    taken = await town.take_ldap_only()
    count = len(taken.reading.mailboxes)
    said = f"{count} of {count} mailboxes do not say mDBUseDefaults"
    assert said in [gap.what for gap in taken.reading.gaps]
    assert {one.use_database_quotas for one in taken.reading.mailboxes} == {None}


async def test_an_expired_certificate_is_called_so_and_nobody_logs_on(town: Living) -> None:
    controller = town.controller(DC1)
    past = datetime(2020, 1, 1, tzinfo=UTC)
    await controller.close()
    controller.certificate = town.lab.authority.certificate(
        DC1, since=past, until=past + timedelta(days=365)
    )
    await controller.start()
    with pytest.raises(NotTrusted, match="expired"):
        async with town.directory():
            pass
    assert len(town.lab.accounts.attempts) == 0


async def test_without_a_named_controller_it_says_which_setting(town: Living) -> None:
    with pytest.raises(NoControllerNamed, match="servers in the table"):
        async with town.directory(servers=()):
            pass


async def test_names_that_are_code_quotes_and_umlauts_come_as_they_are(
    town: Living, tmp_path: Path
) -> None:
    names = [
        "$(x)",
        "O'Brien \u201eM\u00fcller\u201c",
        "a,b; c=d",
        "\u00c4\u00d6\u00dc\u00df `whoami`",
    ]
    for mailbox, name in zip(town.lab.organisation.present(), names, strict=False):
        mailbox.display_name = mailbox.name = name
    taken = await town.take(sample=40)
    snapshot = await asyncio.to_thread(kept, taken.reading, tmp_path / "state")
    assert set(names) <= {one.display_name for one in snapshot.mailboxes}
    assert taken.check is not None and taken.check.differences == ()


async def test_more_than_a_thousand_mailboxes_come_whole(tmp_path: Path) -> None:
    async with asyncio.timeout(120), living(tmp_path, mailboxes=1001) as town:
        taken = await town.take()
        present = list(town.lab.organisation.present())
    assert {one.exchange_guid for one in taken.reading.mailboxes} == {
        one.exchange_guid for one in present
    }
    assert sum(one.usage.size_bytes is not None for one in taken.reading.mailboxes) > 1001


async def test_a_database_that_is_not_mounted_is_unknown_and_said_to_be(town: Living) -> None:
    organisation = town.lab.organisation
    name = next(iter(organisation.present())).database
    town.lab.faults.on("database-dismounted", name)
    taken = await town.take()
    inside = [one for one in taken.reading.mailboxes if one.database == name]
    assert inside and all(one.usage.size_bytes is None for one in inside)
    assert any(name in gap.what and "not mounted" in gap.what for gap in taken.reading.gaps)


async def test_what_ldap_and_the_cmdlets_tell_differently_is_named(town: Living) -> None:
    async with town.directory() as directory, town.exchange() as exchange:
        everybody = await directory.everybody()
        chosen = sample(everybody.mailboxes, everybody.edges, 20)
        assert chosen == sample(everybody.mailboxes[::-1], everybody.edges, 20)
        assert len(chosen) == 20
        owners = {one.exchange_guid for one in chosen}
        held = Counter(e.owner for e in everybody.edges if e.right is Right.FULL_ACCESS)
        lost = next(
            edge for edge in everybody.edges
            if edge.owner in owners and edge.right is Right.FULL_ACCESS and held[edge.owner] > 1
        )  # fmt: skip
        others = tuple(edge for edge in everybody.edges if edge is not lost)
        check = await compare(exchange, replace(everybody, edges=others), 20, lambda *_: None)
    (difference,) = check.differences
    assert check.compared == 20
    assert difference.right is Right.FULL_ACCESS
    assert difference.only_ldap == () and difference.only_cmdlets == (lost.trustee,)
    owner = next(one for one in chosen if one.exchange_guid == lost.owner)
    assert str(difference) == (
        f"FullAccess on {owner.address}: only the cmdlet says {lost.trustee}"
    )
    assert [gap.what for gap in check.gaps()] == [str(difference)]
