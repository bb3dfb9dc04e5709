"""Our LDAP inventory of a Samba that holds what the lab's directory holds: both say the same."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mailmig.model.directory import Kind, Right
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_errors import QuestionFailed
from mailmig.sources.directory_settings import Encryption
from tests.lab.town_directory import PASSWORD as LAB_PASSWORD
from tests.lab.town_directory import READER as LAB_READER
from tests.lab.town_directory import founded, running
from tests.samba.controller import ADMIN, ADMIN_PASSWORD, CROWD
from tests.samba.domain import crowd_dn
from tests.samba.inside.conftest import MAILBOXES, Town


async def everything(asked: Directory, town: Town) -> dict[str, set[Any]]:
    ours = {group.guid for group in town.organisation.principals if group.is_group}
    return {
        "mailboxes": set(await asked.mailboxes()),
        "databases": set(await asked.databases()),
        "servers": set(await asked.servers()),
        "dags": set(await asked.dags()),
        "sites": set(await asked.sites()),
        "points": set(await asked.autodiscover_points()),
        "edges": set(await asked.edges()),
        "groups": {
            (one.guid, one.name, frozenset(one.members))
            for one in await asked.groups()
            if one.guid in ours
        },
    }


@pytest.mark.parametrize("encryption", [Encryption.LDAPS, Encryption.STARTTLS])
async def test_samba_and_the_lab_tell_the_same(
    encryption: Encryption, town: Town, tmp_path: Path
) -> None:
    async with asyncio.timeout(60):
        admin: dict[str, Any] = {
            "account": f"{ADMIN}@{town.organisation.domain}",
            "password": ADMIN_PASSWORD,
        }
        async with town.directory(encryption=encryption, page_size=37, **admin) as asked:
            there = await everything(asked, town)
            assert asked.gaps() == ()
        async with running(founded(MAILBOXES, 1)) as lab:
            settings = DirectorySettings(
                account=LAB_READER, password=LAB_PASSWORD, ca_file=lab.ca_file(tmp_path)
            )
            async with Directory(lab.first.fqdn, settings, lab.addresses) as asked:
                here = await everything(asked, town)
    for what in here:
        assert there[what] == here[what], what
    assert len(here["mailboxes"]) > MAILBOXES / 2 and len(here["groups"]) > 10
    assert {edge.right for edge in here["edges"]} == {
        Right.FULL_ACCESS, Right.SEND_AS, Right.SEND_ON_BEHALF
    }  # fmt: skip


async def test_a_group_of_many_comes_whole_in_parts(town: Town) -> None:
    """Samba gives parts only to those who ask for one; Windows stops at 1,500 by itself."""
    async with town.directory() as asked:
        connection, dn = asked._connection, crowd_dn(town.forest)
        raw = await connection.one(dn, ["member;range=0-99"])
        assert raw is not None and [name for name in raw if "range=0-99" in name.lower()]
        members = await connection.all_values(dn, "member", raw)
    assert len(set(members)) == len(members) == CROWD


async def test_bits_and_chains_are_asked_for_as_in_active_directory(town: Town) -> None:
    """The matching rules that filters of ours use: a bit of a number, membership of any depth."""
    group = next(one for one in town.organisation.principals if one.is_group and one.members)
    dn = town.forest.places.distinguished(group.path, group.name)
    disabled = "(&(msExchMailboxGuid=*)(userAccountControl:1.2.840.113556.1.4.803:=2))"
    within = f"(memberOf:1.2.840.113556.1.4.1941:={_for_filter(dn)})"
    async with town.directory() as asked:
        connection = asked._connection
        off = await connection.all_at_once(town.forest.base, disabled, ["cn"])
        inside = await connection.all_at_once(town.forest.base, within, ["cn"])
    kinds = {mailbox.name for mailbox in town.organisation.mailboxes if mailbox.kind is Kind.ROOM}
    assert kinds and kinds <= {raw["cn"][0].decode() for _, raw in off}
    assert len(inside) == len(group.members)


async def test_a_domain_that_nobody_knows_is_no_empty_answer(town: Town) -> None:
    async with town.directory() as asked:
        with pytest.raises(QuestionFailed) as caught:
            await asked._connection.all_at_once("DC=anders,DC=example", "(cn=*)", ["cn"])
    assert caught.value.code == "noSuchObject"


def _for_filter(text: str) -> str:
    return "".join(f"\\{ord(sign):02x}" if sign in "\\*()" else sign for sign in text)
