"""What a directory could lose without a word: parts of lists, other spellings, doubles, silence."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from mailmig.lab.directory import searching, syntaxes
from mailmig.lab.directory.forest import AnyEntry
from mailmig.model.directory import Right
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_connection import DirectoryConnection
from mailmig.sources.directory_errors import QuestionFailed
from mailmig.sources.directory_values import Raw, Values
from tests.lab.town_directory import PASSWORD, READER, Town, founded, running

DC1 = "ls-dc1.ad.lindenstadt.example"


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with asyncio.timeout(90), running(founded(80, 7)) as found:
        yield found


@pytest.fixture
def settings(town: Town, tmp_path: Path) -> DirectorySettings:
    return DirectorySettings(account=READER, password=PASSWORD, ca_file=town.ca_file(tmp_path))


async def test_delegates_come_whole_where_they_come_in_ranges(
    town: Town, settings: DirectorySettings
) -> None:
    owner, *others = [one for one in town.organisation.present() if one.department]
    owner.on_behalf = tuple(one.number for one in others[:20])
    town.first.value_range = 6
    async with Directory(DC1, settings, town.addresses) as asked:
        edges = await asked.edges()
        assert asked.gaps() == ()
    on_behalf = [edge for edge in edges if edge.right is Right.SEND_ON_BEHALF]
    assert {edge.delegate for edge in on_behalf if edge.owner == owner.exchange_guid} == {
        one.exchange_guid for one in others[:20]
    }


async def test_a_list_that_ends_before_its_end_is_an_error(
    town: Town, settings: DirectorySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that loses members, or vanishes, while it is read."""
    town.first.value_range = 6
    real = DirectoryConnection.one

    async def one(self: DirectoryConnection, dn: str, attributes: Sequence[str]) -> Raw | None:
        return None if "range=" in attributes[0] else await real(self, dn, attributes)

    monkeypatch.setattr(DirectoryConnection, "one", one)
    async with Directory(DC1, settings, town.addresses) as asked:
        with pytest.raises(QuestionFailed, match=r"no member;range=6-\*"):
            await asked.groups()


async def test_a_server_may_spell_attributes_as_it_likes(
    town: Town, settings: DirectorySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Directory(DC1, settings, town.addresses) as asked:
        before = await asked.everybody(), await asked.databases()
    names = {name: spelt.upper() for name, spelt in syntaxes.SPELLINGS.items()}
    monkeypatch.setattr(searching, "SPELLINGS", names)
    async with Directory(DC1, settings, town.addresses) as asked:
        after = await asked.everybody(), await asked.databases()
    assert after[0].mailboxes == before[0].mailboxes and after[0].edges == before[0].edges
    assert after[1] == before[1] and before[1] and before[0].edges


async def test_two_mailboxes_of_one_guid_are_one_and_said(
    town: Town, settings: DirectorySettings
) -> None:
    first, *_, last = [one for one in town.organisation.present() if one.department]
    number = len(list(town.organisation.present()))
    last.exchange_guid = first.exchange_guid
    async with Directory(DC1, settings, town.addresses) as asked:
        everybody = await asked.everybody()
        alone = await asked.mailboxes()
        (gap,) = asked.gaps()
    guids = [one.exchange_guid for one in everybody.mailboxes]
    assert len(guids) == len(set(guids)) == number - 1
    assert everybody.mailboxes == alone
    assert gap.what.startswith("mailboxes with the ExchangeGuid of another one: 1 (the first: CN=")


async def test_rights_that_may_not_be_read_are_unknown_and_not_none(
    town: Town, settings: DirectorySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = searching.Wanted.values

    def values(self: searching.Wanted, entry: AnyEntry) -> Iterator[tuple[str, Sequence[bytes]]]:
        return (one for one in real(self, entry) if "SecurityDescriptor" not in one[0])

    monkeypatch.setattr(searching.Wanted, "values", values)
    async with Directory(DC1, settings, town.addresses) as asked:
        everybody = await asked.everybody()
        gaps = {gap.what: gap.cost.split(":")[0] for gap in asked.gaps()}
    shown = f"was not shown of {len(everybody.mailboxes)} mailboxes"
    assert gaps == {
        f"msExchMailboxSecurityDescriptor {shown}": "FullAccess on them is unknown",
        f"nTSecurityDescriptor {shown}": "SendAs on them is unknown",
    }


def test_a_guid_that_is_all_zero_is_none() -> None:
    values = Values()
    values.take("CN=a", {"msExchArchiveGUID": [bytes(16)], "objectGUID": [bytes(range(16))]})
    assert values.guid("msExchArchiveGUID") == ""
    assert values.guid("objectGUID") == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert not values.faults
