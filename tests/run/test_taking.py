"""An inventory taken live is the one that the exports of the same organisation make."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailmig.lab.export import write_export
from mailmig.model.directory import (
    PEOPLE,
    Kind,
    Mailbox,
    Right,
    TrusteeKind,
    Usage,
    UsageState,
)
from mailmig.model.quota import UNKNOWN
from mailmig.model.snapshot import Snapshot
from mailmig.run.collecting import collect
from mailmig.run.folder_rights import FOLDER_RIGHTS
from mailmig.sources import exports
from tests.run.living import TOWN, kept, living

# Get-User does not list the mailboxes of the system, so exports lack their departments.
WITH_DEPARTMENT = PEOPLE | {Kind.PUBLIC_FOLDER, Kind.DISCOVERY}


def alike(rows: Iterable[Any]) -> list[Any]:
    """In an order of their own: the directory has another one than the cmdlets."""
    return sorted(rows, key=repr)


def comparable(mailboxes: Iterable[Mailbox]) -> list[Any]:
    return alike(
        one if one.kind in WITH_DEPARTMENT else replace(one, department="") for one in mailboxes
    )


def same(one: Snapshot, other: Snapshot) -> None:
    assert one.info.organisation == other.info.organisation
    assert one.info.gaps == other.info.gaps == ()
    assert comparable(one.mailboxes) == comparable(other.mailboxes)
    for part in ("servers", "dags", "databases", "copies", "edges"):
        mine, theirs = alike(getattr(one, part)), alike(getattr(other, part))
        assert mine == theirs, part
        assert mine, part
    assert groups(one) == groups(other)
    assert facts(one) == facts(other)


def facts(snapshot: Snapshot) -> dict[str, list[Any]]:
    return {kind: alike(rows) for kind, rows in snapshot.facts.items() if kind != "import"}


def groups(snapshot: Snapshot) -> set[tuple[str, str, frozenset[str]]]:
    return {(one.guid, one.name, frozenset(one.members)) for one in snapshot.groups}


async def test_live_by_ldap_and_cmdlets_and_exported_are_one_inventory(tmp_path: Path) -> None:
    async with asyncio.timeout(120), living(tmp_path, mailboxes=150) as town:
        async with town.exchange() as exchange:
            collected = await collect(exchange, tmp_path / "collected")
        taken = await town.take()
        write_export(town.lab.organisation, TOWN, tmp_path / "written")
    assert [entry.error for entry in collected.lacking] == []
    live, written = (exports.read(tmp_path / name) for name in ("collected", "written"))
    by_hand = kept(written, tmp_path / "one")
    same(kept(live, tmp_path / "two"), by_hand)
    both = kept(taken.reading, tmp_path / "three")
    same(both, by_hand)
    assert {one.usage.state for one in both.mailboxes} == {UsageState.KNOWN, UsageState.NEVER_USED}
    assert any(one.root_public_folder for one in both.mailboxes)
    assert any(one.archive and one.archive.usage.size_bytes for one in both.mailboxes)
    assert Kind.LINKED in {one.kind for one in both.mailboxes}
    assert {edge.trustee_kind for edge in both.edges} >= {
        TrusteeKind.MAILBOX, TrusteeKind.GROUP, TrusteeKind.ORPHAN,
    }  # fmt: skip
    assert {edge.right for edge in both.edges} == set(Right) - set(FOLDER_RIGHTS)
    assert taken.check is not None
    assert (taken.check.compared, taken.check.differences) == (20, ())


async def test_ldap_alone_is_the_same_in_all_that_it_knows(tmp_path: Path) -> None:
    """Sizes, copies, files of databases, editions, the root of the public folders, and facts
    are what it does not know: all of them unknown, and said to be."""
    async with asyncio.timeout(120), living(tmp_path, mailboxes=150) as town:
        taken = await town.take_ldap_only()
        write_export(town.lab.organisation, TOWN, tmp_path / "written")
    whole = kept(exports.read(tmp_path / "written"), tmp_path / "one")
    bare = kept(taken.reading, tmp_path / "two")

    def without(mailbox: Mailbox) -> Mailbox:
        archive = mailbox.archive and replace(mailbox.archive, usage=Usage())
        return replace(mailbox, usage=Usage(), archive=archive, root_public_folder=False)

    assert bare.info.organisation == whole.info.organisation
    assert comparable(bare.mailboxes) == comparable(map(without, whole.mailboxes))
    assert all(one.usage.size_bytes is None for one in bare.mailboxes)
    assert alike(bare.edges) == alike(whole.edges)
    assert groups(bare) == groups(whole)
    assert alike(bare.servers) == alike(replace(one, edition="") for one in whole.servers)
    assert alike(bare.dags) == alike(whole.dags)
    assert alike(bare.databases) == alike(
        replace(one, size_bytes=None, white_space_bytes=None, circular_logging=None)
        for one in whole.databases
    )
    assert bare.copies == () and set(bare.facts) == {"import"}
    assert taken.check is None
    said = " ".join(gap.what for gap in bare.info.gaps)
    for name in set(whole.facts) - {"import", "mailbox_servers"} | {"statistics", "copies"}:
        assert name in said, name
    assert not any(quota is UNKNOWN for one in bare.mailboxes for quota in limits(one))


def limits(mailbox: Mailbox) -> tuple[Any, ...]:
    return (mailbox.own.warn, mailbox.own.send, mailbox.own.receive, mailbox.recoverable)
