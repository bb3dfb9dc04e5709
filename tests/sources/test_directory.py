"""Our LDAP client against the lab: it reads what the organisation holds, and fails well."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mailmig.lab.cultures import CULTURES
from mailmig.lab.export import write_export
from mailmig.lab.story import read as read_story
from mailmig.model.directory import Right, TrusteeKind, Usage
from mailmig.model.errors import BadFile
from mailmig.model.quota import UNLIMITED
from mailmig.model.secret import Secret
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.directory_connection import DirectoryConnection
from mailmig.sources.directory_errors import (
    AccountLocked,
    BadLogon,
    DirectoryUnreachable,
    Elsewhere,
    NoEncryption,
    NotTrusted,
    QuestionFailed,
    SigningRequired,
    TooManyObjects,
    WrongPassword,
)  # fmt: skip
from mailmig.sources.directory_settings import Encryption, Logon
from tests.lab.town_directory import PASSWORD, READER, Town, founded, running

DC1, DC2 = "ls-dc1.ad.lindenstadt.example", "ls-dc2.ad.lindenstadt.example"


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with asyncio.timeout(90):
        async with running(founded(80, 7)) as found:
            yield found


@pytest.fixture
def settings(town: Town, tmp_path: Path) -> DirectorySettings:
    return DirectorySettings(
        account=READER, password=PASSWORD, ca_file=town.ca_file(tmp_path), timeout_s=10.0,
        connect_timeout_s=3.0,
    )  # fmt: skip


def directory(town: Town, settings: DirectorySettings, server: str = DC1) -> Directory:
    return Directory(server, settings, town.addresses)


async def test_all_that_the_town_holds_is_read(tmp_path: Path) -> None:
    organisation = founded()
    async with asyncio.timeout(90), running(organisation) as town:
        settings = DirectorySettings(
            account=READER, password=PASSWORD, ca_file=town.ca_file(tmp_path)
        )
        async with directory(town, settings) as asked:
            mailboxes = {one.exchange_guid: one for one in await asked.mailboxes()}
            databases = {one.name: one for one in await asked.databases()}
            assert asked.gaps() == ()
    present = {one.exchange_guid: one for one in organisation.present()}
    assert set(mailboxes) == set(present)
    for guid, real in present.items():
        seen = mailboxes[guid]
        assert (seen.kind, seen.address, seen.database) == (real.kind, real.address, real.database)
        assert (seen.own, seen.recoverable) == (real.own, real.recoverable)
        assert seen.use_database_quotas == real.use_database_quotas
        assert (seen.department, seen.on_hold, seen.hidden) == (
            real.department, real.on_hold, real.hidden,
        )  # fmt: skip
        archive = real.archive
        assert (seen.archive is None) == (archive is None)
        if seen.archive is not None and archive is not None:
            assert (seen.archive.guid, seen.archive.database) == (archive.guid, archive.database)
            assert (seen.archive.warn, seen.archive.quota) == (archive.warn, archive.quota)
    assert any(one.own.send is UNLIMITED and one.own.receive is not UNLIMITED
               for one in mailboxes.values())  # fmt: skip
    assert set(databases) == set(organisation.databases)
    for name, store in organisation.databases.items():
        found = databases[name]
        assert (found.quotas, found.recoverable, found.guid) == (
            store.quotas, store.recoverable, store.guid,
        )  # fmt: skip
        assert (found.server, found.servers, found.dag) == (store.server, store.servers, store.dag)


async def test_every_edge_of_the_town_is_found_and_none_besides(
    town: Town, settings: DirectorySettings
) -> None:
    organisation = town.organisation
    async with directory(town, settings) as asked:
        edges = await asked.edges()
        assert asked.gaps() == ()
    guids = {m.number: m.exchange_guid for m in organisation.mailboxes}
    wanted = set()
    for right, rights in (
        (Right.FULL_ACCESS, organisation.full_access),
        (Right.SEND_AS, organisation.send_as),
    ):
        for owner, trustee in rights:
            principal = None if trustee >= 0 else organisation.principals[-1 - trustee]
            if principal is None:
                if trustee != owner:
                    wanted.add((guids[owner], right, TrusteeKind.MAILBOX, guids[trustee]))
            elif principal.is_group:
                wanted.add((guids[owner], right, TrusteeKind.GROUP, principal.guid))
            else:
                wanted.add((guids[owner], right, TrusteeKind.ORPHAN, principal.text))
    for mailbox in organisation.present():
        for other in mailbox.on_behalf:
            wanted.add(
                (mailbox.exchange_guid, Right.SEND_ON_BEHALF, TrusteeKind.MAILBOX, guids[other])
            )
    found = Counter(
        (edge.owner, edge.right, edge.trustee_kind, edge.delegate or edge.trustee) for edge in edges
    )
    assert set(found) == wanted
    assert set(found.values()) == {1}


async def test_ldap_says_what_the_cmdlets_export_says(
    town: Town, settings: DirectorySettings, tmp_path: Path, make_export: Any
) -> None:
    """Except for sizes, the root of the public folders and the edition, which LDAP lacks."""
    folder = tmp_path / "export"
    story = read_story("town")
    write_export(town.organisation, story, folder, culture=CULTURES["en-US"], whole=False)
    exported = make_export(folder).pour().parts
    async with directory(town, settings) as asked:
        mailboxes, edges = await asked.mailboxes(), await asked.edges()
        held = {edge.delegate for edge in edges if edge.trustee_kind is TrusteeKind.GROUP}
        groups = await asked.groups(held)
        servers, dags = await asked.servers(), await asked.dags()
        databases = await asked.databases()

    def plain(mailbox: Any) -> Any:
        archive = mailbox.archive and replace(mailbox.archive, usage=Usage())
        return replace(mailbox, usage=Usage(), root_public_folder=False, archive=archive)

    by_guid = {one.exchange_guid: plain(one) for one in exported["mailboxes"]}
    for mailbox in mailboxes:
        other = by_guid.pop(mailbox.exchange_guid)
        if not other.department:  # Get-User lists no system mailboxes
            other = replace(other, department=mailbox.department)
        assert mailbox == other
    assert by_guid == {}
    assert set(edges) == set(exported["edges"])
    assert {(g.guid, g.name, frozenset(g.members)) for g in groups} == {
        (g.guid, g.name, frozenset(g.members)) for g in exported["groups"]
    }
    assert [replace(one, edition="") for one in exported["servers"]] == list(servers)
    assert {(one.name, one.servers, one.witness) for one in dags} == {
        (one.name, one.servers, one.witness) for one in exported["dags"]
    }
    bare = {replace(one, size_bytes=None, white_space_bytes=None, circular_logging=None)
            for one in exported["databases"]}  # fmt: skip
    assert {replace(one, servers=tuple(sorted(one.servers))) for one in databases} == {
        replace(one, servers=tuple(sorted(one.servers))) for one in bare
    }


async def test_sites_controllers_and_points_are_found(
    town: Town, settings: DirectorySettings
) -> None:
    async with directory(town, settings) as asked:
        sites = {one.name: one.subnets for one in await asked.sites()}
        controllers = await asked.domain_controllers()
        points = await asked.autodiscover_points()
        servers = await asked.servers()
        (dag,) = await asked.dags()
    assert sites["Rathaus"] == ("10.20.0.0/16",) and set(sites) == set(town.forest.sites)
    assert {(one.name, one.site) for one in controllers} == {(DC1, "Rathaus"), (DC2, "Stadthaus")}
    assert all(one.global_catalog and not one.read_only for one in controllers)
    assert {one.server: one.sites for one in points} == {
        server.name: (server.site,) for server in servers
    }
    assert all(one.url.startswith("https://") for one in points)
    assert {one.name: one.build for one in servers} == {
        one.name: one.build for one in town.organisation.servers
    }
    assert (dag.servers, dag.witness) == (
        town.organisation.dag.servers,
        town.organisation.dag.witness,
    )
    assert dag.activation_mode == "DagOnly"


async def test_groups_are_whole_even_where_members_come_in_ranges(
    town: Town, settings: DirectorySettings
) -> None:
    town.first.value_range = 7
    organisation = town.organisation
    async with directory(town, settings) as asked:
        groups = {one.name: set(one.members) for one in await asked.groups()}
    for principal in organisation.principals:
        if principal.is_group and all(member >= 0 for member in principal.members):
            assert groups[principal.name] == {
                organisation.mailboxes[member].exchange_guid for member in principal.members
            }
    everybody = {one.exchange_guid for one in organisation.present()}
    assert groups["Domänen-Benutzer"] == everybody  # as the primary group of each


async def test_two_controllers_differ_until_the_change_has_come_over(
    town: Town, settings: DirectorySettings
) -> None:
    move = town.organisation.moves[0]
    guid = town.organisation.mailboxes[move.mailbox].exchange_guid
    assert move.due is not None
    town.forest.replication.look()
    seen = []
    for after in (timedelta(minutes=1), timedelta(minutes=20)):
        town.organisation.advance(move.due + after)
        town.clock.now = town.organisation.now
        for server in (DC1, DC2):
            async with directory(town, settings, server) as asked:
                found = {one.exchange_guid: one.database for one in await asked.mailboxes()}
                seen.append(found[guid])
    assert seen == [move.target, move.source, move.target, move.target]


@pytest.mark.parametrize(
    ("logon", "encryption"),
    [(Logon.SIMPLE, Encryption.LDAPS), (Logon.SIMPLE, Encryption.STARTTLS),
     (Logon.NTLM, Encryption.NONE), (Logon.NTLM, Encryption.LDAPS),
     (Logon.NTLM, Encryption.STARTTLS)],
)  # fmt: skip
async def test_every_way_in_works(
    logon: Logon, encryption: Encryption, town: Town, settings: DirectorySettings
) -> None:
    chosen = replace(settings, logon=logon, encryption=encryption)
    async with directory(town, chosen) as asked:
        assert asked.base == town.base
        assert len(await asked.servers()) == 3
    assert [attempt.accepted for attempt in town.accounts.attempts] == [True]


@pytest.mark.parametrize("logon", [Logon.SIMPLE, Logon.NTLM])
async def test_a_wrong_password_is_tried_once_and_never_again(
    logon: Logon, town: Town, settings: DirectorySettings
) -> None:
    asked = directory(town, replace(settings, logon=logon, password=Secret("falsch")))
    for _ in range(5):
        with pytest.raises(WrongPassword, match="tried once") as raised:
            await asked.open()
    assert (raised.value.server, raised.value.account) == (DC1, READER)
    assert "falsch" not in str(raised.value)
    assert town.accounts.wrong(READER) == 1
    assert len(town.accounts.attempts) == 1


@pytest.mark.parametrize("logon", [Logon.SIMPLE, Logon.NTLM])
async def test_a_locked_account_is_called_locked(
    logon: Logon, town: Town, settings: DirectorySettings
) -> None:
    for _ in range(3):
        town.accounts.refused(READER, "elsewhere")
    with pytest.raises(AccountLocked, match="unlock it first"):
        await directory(town, replace(settings, logon=logon)).open()


async def test_what_can_only_fail_or_log_on_as_nobody_is_not_sent(
    town: Town, settings: DirectorySettings
) -> None:
    for changed, password, words in (
        ({}, "", "is empty"),
        ({"account": ""}, "x", "account is not set"),
        ({"encryption": Encryption.NONE}, "x", "would show the password"),
        ({"logon": Logon.NTLM, "account": "leser@x"}, "x", "wants DOMAIN"),
    ):
        chosen = replace(settings, password=Secret(password), **changed)
        with pytest.raises(BadLogon, match=words):
            await directory(town, chosen).open()
    with pytest.raises(BadFile, match="no certificates can be read"):
        await directory(town, replace(settings, ca_file=Path("/nowhere/ca.pem"))).open()
    assert len(town.accounts.attempts) == 0


async def test_a_certificate_of_nobody_we_know_is_not_trusted_and_no_password_is_shown(
    town: Town, settings: DirectorySettings, caplog: pytest.LogCaptureFixture
) -> None:
    for encryption in (Encryption.LDAPS, Encryption.STARTTLS):
        chosen = replace(settings, ca_file=None, encryption=encryption)
        with pytest.raises(NotTrusted, match="ca_file") as raised:
            await directory(town, chosen).open()
        assert raised.value.exit_code == 3
    assert len(town.accounts.attempts) == 0
    async with directory(town, replace(settings, ca_file=None, unverified=True)) as asked:
        assert asked.base
    assert "NOT checked" in caplog.text


async def test_an_expired_certificate_and_one_of_another_name_are_told_apart(
    town: Town, settings: DirectorySettings
) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    expired = town.authority.certificate(DC1, since=past, until=past + timedelta(days=365))
    for certificate, words in (
        (expired, "expired"),
        (town.authority.certificate("other.example"), "Hostname mismatch"),
    ):
        await town.first.close()
        town.first.certificate = certificate
        await town.first.start()
        with pytest.raises(NotTrusted, match=words):
            await directory(town, settings).open()


async def test_a_controller_without_a_certificate_is_said_to_offer_no_tls(
    town: Town, settings: DirectorySettings
) -> None:
    town.first.certificate = None
    with pytest.raises(NoEncryption, match="offers no TLS"):
        await directory(town, replace(settings, encryption=Encryption.STARTTLS)).open()
    assert len(town.accounts.attempts) == 0


async def test_a_controller_that_demands_encryption_is_understood(
    town: Town, settings: DirectorySettings
) -> None:
    town.first.demands_signing = True
    with pytest.raises(SigningRequired, match="ldaps"):
        await directory(
            town, replace(settings, logon=Logon.NTLM, encryption=Encryption.NONE)
        ).open()


@pytest.mark.parametrize("switch", ["silent", "refuses", "hangs", "cuts"])
async def test_a_controller_that_does_not_answer_costs_a_bounded_time(
    switch: str, town: Town, settings: DirectorySettings
) -> None:
    setattr(town.first, switch, True)
    began = time.monotonic()
    with pytest.raises(DirectoryUnreachable, match="look at the network") as raised:
        chosen = replace(settings, timeout_s=0.5, connect_timeout_s=0.5)
        async with directory(town, chosen) as asked:
            await asked.mailboxes()
    assert raised.value.exit_code == 3
    assert time.monotonic() - began < 5


async def test_a_closed_port_is_unreachable_at_once(
    town: Town, settings: DirectorySettings
) -> None:
    await town.first.close()
    with pytest.raises(DirectoryUnreachable, match="refused"):
        await directory(town, settings).open()


async def test_a_name_that_does_not_exist_is_unreachable(settings: DirectorySettings) -> None:
    with pytest.raises(DirectoryUnreachable):
        await Directory("dc1.invalid", settings).open()


async def test_a_slow_controller_is_waited_for(town: Town, settings: DirectorySettings) -> None:
    town.first.delay_s = 0.3
    async with directory(town, settings) as asked:
        assert len(await asked.servers()) == 3


async def test_a_cancelled_question_ends_at_once_and_leaves_no_thread(
    town: Town, settings: DirectorySettings
) -> None:
    town.first.hangs = True
    asked = directory(town, settings)
    task = asyncio.create_task(asked.open())
    await asyncio.sleep(0.3)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asked.close()
    assert time.monotonic() - began < 2


async def test_a_busy_controller_is_quoted(town: Town, settings: DirectorySettings) -> None:
    async with directory(town, settings) as asked:
        town.first.busy = True
        with pytest.raises(QuestionFailed, match="busy") as raised:
            await asked.mailboxes()
    assert raised.value.code == "busy"


async def test_a_connection_that_failed_is_not_opened_again(
    town: Town, settings: DirectorySettings
) -> None:
    await town.first.close()
    asked = directory(town, settings)
    with pytest.raises(DirectoryUnreachable):
        await asked.open()
    await town.first.start()
    with pytest.raises(BadLogon, match="make a new one"):
        await asked.open()
    assert len(town.accounts.attempts) == 0


async def test_another_domain_is_named_and_nobody_is_followed(
    town: Town, settings: DirectorySettings
) -> None:
    connection = DirectoryConnection(DC1, settings, town.addresses)
    await connection.open()
    try:
        with pytest.raises(Elsewhere, match=r"ldap://other\.example") as raised:
            await connection.one("CN=x,DC=other,DC=example", ["cn"])
        assert raised.value.urls == ("ldap://other.example/CN=x,DC=other,DC=example",)
        assert await connection.one(f"CN=nobody,{town.base}", ["cn"]) is None
    finally:
        await connection.close()


async def test_an_answer_that_stopped_at_the_limit_is_not_used(
    town: Town, settings: DirectorySettings
) -> None:
    """Controllers do not limit pages; a server that does must not look complete."""
    town.first.page_limit, town.first.size_limit = 10, 10
    connection = DirectoryConnection(DC1, settings, town.addresses)
    await connection.open()
    try:
        with pytest.raises(TooManyObjects, match="not the whole"):
            await connection.all_at_once(town.base, "(msExchMailboxGuid=*)", ["cn"])
        found = [
            dn
            async for page in connection.pages(
                town.base, "(msExchMailboxGuid=*)", ["cn"], lambda dn, raw: dn
            )
            for dn in page
        ]
        assert len(found) == len(list(town.organisation.present()))
    finally:
        await connection.close()
