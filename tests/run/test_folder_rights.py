"""Rights on calendars and inboxes: all that the town has, and nobody asked twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from mailmig.lab.cmdlets import engine, folders
from mailmig.lab.cmdlets.simulated import Ask, Given
from mailmig.model.directory import Edge, Mailbox, Right, TrusteeKind, UsageState
from mailmig.model.errors import MailmigError
from mailmig.model.snapshot import Snapshot
from mailmig.run import folder_rights
from mailmig.run.folder_rights import FOLDER_RIGHTS, FolderRights, TakenOver
from mailmig.sources.exchange import Exchange
from mailmig.sources.remote_errors import CmdletNotAllowed, TookTooLong
from tests.run.living import Living, kept, living

NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Stopped(Exception):
    """The program is ended here."""


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[Living]:
    async with asyncio.timeout(90), living(tmp_path) as town:
        yield town


async def base(town: Living, folder: Path) -> Snapshot:
    taken = await town.take_ldap_only()
    return await asyncio.to_thread(kept, taken.reading, folder)


def granted(town: Living) -> set[tuple[str, Right, str]]:
    """What the lab's folders allow, told in our words by hand."""
    found = set()
    people = town.lab.organisation.mailboxes
    for mailbox in town.lab.organisation.present():
        if mailbox.last_logon is None:
            continue
        for number in mailbox.on_behalf:
            other = people[number].exchange_guid
            found.add((mailbox.exchange_guid, Right.DELEGATE, other))
            found.add((mailbox.exchange_guid, Right.CALENDAR_EDITOR, other))
        near = people[(mailbox.number + 1) % len(people)]
        if (
            mailbox.number % 3 == 0 and near.department == mailbox.department
            and not near.gone and near.number not in mailbox.on_behalf
        ):  # fmt: skip
            found.add((mailbox.exchange_guid, Right.CALENDAR_REVIEWER, near.exchange_guid))
    return found


async def test_the_new_snapshot_has_all_of_the_old_one_and_the_folder_rights(
    town: Living, tmp_path: Path
) -> None:
    old = await base(town, tmp_path / "state")
    run = FolderRights(old, tmp_path)
    assert str(run.forecast(3)).startswith(f"{run.forecast(3).mailboxes} mailboxes to ask, about")
    async with town.exchange() as exchange:
        await run.ask(exchange)
    new = await asyncio.to_thread(kept, run.reading("ex1", NOW), tmp_path / "state")
    assert new.info.id != old.info.id
    assert new.mailboxes == old.mailboxes and new.databases == old.databases
    assert [edge for edge in new.edges if edge.right not in FOLDER_RIGHTS] == list(old.edges)
    added = [edge for edge in new.edges if edge.right in FOLDER_RIGHTS]
    assert {edge.trustee_kind for edge in added} == {TrusteeKind.MAILBOX}
    asked = {one.exchange_guid for one in run._wanted}
    wanted = {one for one in granted(town) if one[0] in asked}
    assert {(edge.owner, edge.right, edge.delegate) for edge in added} == wanted
    assert {right for _, right, _ in wanted} == set(FOLDER_RIGHTS)
    run.forget()
    assert not run.path.exists()


async def test_a_run_that_was_stopped_goes_on_and_asks_nobody_twice(
    town: Living, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await base(town, tmp_path / "state")
    asked: list[str] = []
    real = folders._statistics

    def counted(ask: Ask) -> Iterator[Given]:
        asked.append(ask.identity)
        return real(ask)

    known = dict(engine.simulated())
    name = "get-mailboxfolderstatistics"
    known[name] = replace(known[name], run=counted)
    monkeypatch.setattr(engine, "simulated", lambda: known)

    def stop(what: str, done: int, total: int | None) -> None:
        if done == 7:
            raise Stopped

    first = FolderRights(old, tmp_path)
    with pytest.raises(Stopped):
        async with town.exchange(parallel=1) as exchange:
            await first.ask(exchange, stop)
    with first.path.open("a", encoding="utf-8") as file:
        file.write('{"mailbox": "torn')  # as a kill in the middle of a line leaves it
    before = set(asked)
    asked.clear()
    second = FolderRights(old, tmp_path)
    used = {one.guid for one in town.lab.organisation.present() if one.last_logon is not None}
    answered = {one.guid for one in second._wanted[:7]} & used
    forecast = second.forecast(1)
    assert forecast.done == len(answered) > 3
    assert f"({len(answered)} were asked before)" in str(forecast)
    async with town.exchange(parallel=1) as exchange:
        await second.ask(exchange)
    assert answered <= before and not answered & set(asked)
    assert {one.guid for one in second._wanted} == answered | set(asked)
    lines = [json.loads(line) for line in second.path.read_text("utf-8").splitlines()[1:]]
    wanted = {one.exchange_guid for one in second._wanted if one.guid in used}
    assert len(lines) == len(wanted) and {line["mailbox"] for line in lines} == wanted
    whole = second.reading("ex1", NOW)
    assert {(e.owner, e.right, e.delegate) for e in whole.edges if e.right in FOLDER_RIGHTS}


async def test_the_file_of_another_snapshot_is_not_taken_for_this_one(
    town: Living, tmp_path: Path
) -> None:
    old = await base(town, tmp_path / "state")
    run = FolderRights(old, tmp_path)
    run.path.write_text('{"schema": 1, "snapshot": "another"}\n{"mailbox": "x", "rights": []}\n')
    assert FolderRights(old, tmp_path).forecast(1).done == 0


async def test_what_fails_for_one_is_a_gap_and_what_fails_for_all_ends_the_run(
    town: Living, tmp_path: Path
) -> None:
    old = await base(town, tmp_path / "state")
    run = FolderRights(old, tmp_path)
    async with town.exchange() as exchange:
        await run.ask(exchange)
    never = [one for one in town.lab.organisation.present() if one.last_logon is None]
    gaps = [gap.what for gap in run.reading("ex1", NOW).gaps if "folder rights of" in gap.what]
    assert len(gaps) == bool({one.guid for one in never} & {one.guid for one in run._wanted})
    run.forget()
    town.lab.world.lacking["svc-mailmig"] = {"get-mailboxfolderpermission"}
    again = FolderRights(old, tmp_path)
    with pytest.raises(CmdletNotAllowed, match="Get-MailboxFolderPermission"):
        async with town.exchange() as exchange:
            await again.ask(exchange)


async def test_rights_of_an_earlier_run_are_replaced(town: Living, tmp_path: Path) -> None:
    old = await base(town, tmp_path / "state")
    gone = Edge(old.mailboxes[0].exchange_guid, Right.DELEGATE, "x", TrusteeKind.OTHER)
    run = FolderRights(Snapshot(old.info, mailboxes=old.mailboxes, edges=(gone,)), tmp_path)
    assert run.reading("ex1", NOW).edges == ()
    assert UsageState.UNKNOWN in {one.usage.state for one in old.mailboxes}


async def test_a_silent_server_ends_the_run_and_nobody_counts_as_asked(
    town: Living, tmp_path: Path
) -> None:
    old = await base(town, tmp_path / "state")
    run = FolderRights(old, tmp_path)
    town.lab.faults.on("session-hangs", town.exchange().server)
    with pytest.raises(MailmigError):
        async with asyncio.timeout(60), town.exchange(answer_timeout_s=1.0) as exchange:
            await run.ask(exchange)
    assert FolderRights(old, tmp_path).forecast(1).done == 0


async def test_whoever_could_not_be_asked_is_asked_again(
    town: Living, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await base(town, tmp_path / "state")
    real, broken = folder_rights._rights, {one.guid for one in old.mailboxes[1::4]}

    async def rights(exchange: Exchange, mailbox: Mailbox) -> folder_rights._Rights:
        if mailbox.guid in broken:
            raise TookTooLong(exchange.server, "x", 900)
        return await real(exchange, mailbox)

    monkeypatch.setattr(folder_rights, "_rights", rights)
    run = FolderRights(old, tmp_path)
    async with town.exchange() as exchange:
        await run.ask(exchange)
    failed = len(broken & {one.guid for one in run._wanted})
    said = [gap.what for gap in run.reading("ex1", NOW).gaps if "said nothing" in gap.what]
    assert failed and len(said) == 1
    again = FolderRights(old, tmp_path)
    assert again.forecast(1).mailboxes - again.forecast(1).done >= failed
    broken.clear()
    async with town.exchange() as exchange:
        await again.ask(exchange)
    assert not [gap for gap in again.reading("ex1", NOW).gaps if "said nothing" in gap.what]


async def test_a_server_that_is_silent_of_three_in_a_row_is_given_up(
    town: Living, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await base(town, tmp_path / "state")
    asked = 0

    async def rights(exchange: Exchange, mailbox: Mailbox) -> folder_rights._Rights:
        nonlocal asked
        asked += 1
        raise TookTooLong(exchange.server, mailbox.guid, 900)

    monkeypatch.setattr(folder_rights, "_rights", rights)
    with pytest.raises(TookTooLong):
        async with town.exchange(parallel=1) as exchange:
            await FolderRights(old, tmp_path).ask(exchange)
    assert asked == 3


async def test_of_two_runs_at_once_the_later_goes_on(town: Living, tmp_path: Path) -> None:
    old = await base(town, tmp_path / "state")
    first = FolderRights(old, tmp_path)

    def another(what: str, done: int, total: int | None) -> None:
        if done == 7:
            FolderRights(old, tmp_path)._open().close()

    with pytest.raises(TakenOver, match="wait for that one"):
        async with town.exchange(parallel=1) as exchange:
            await first.ask(exchange, another)
    assert 3 < FolderRights(old, tmp_path).forecast(1).done <= 7
