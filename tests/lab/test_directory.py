"""The lab's domain controllers, asked by ldap3: what they hold, and how they refuse."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from mailmig.lab.accounts import Account
from mailmig.model.directory import Kind
from mailmig.model.quota import KIB
from mailmig.wire import security_descriptor as sd
from tests.lab.town_directory import (
    ADMIN,
    DACL_ONLY,
    DELAY,
    PASSWORD,
    READER,
    LDAPException,
    Town,
    founded,
    ldap3,
    running,
    stock,
)


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with asyncio.timeout(60):
        async with running(founded(80, 7)) as found:
            yield found


async def ask(town: Town, filter: str, *attributes: str, **options: Any) -> list[Any]:
    """The entries that a stock ldap3 client gets, by pages."""
    user, at = options.pop("user", READER), options.pop("at", None)
    base = options.pop("base", town.base)

    def work() -> list[Any]:
        with town.connection(user, at=at) as connection:
            rows = connection.extend.standard.paged_search(
                base, filter, attributes=list(attributes) or ["cn"], generator=False,
                paged_size=options.pop("page", 500), **options,
            )  # fmt: skip
            return [row for row in rows if row["type"] == "searchResEntry"]

    return await asyncio.to_thread(work)


async def result(town: Town, work: Callable[[Any], Any], **options: Any) -> tuple[Any, Any]:
    """What a connection's call left behind: result and response."""

    def run() -> tuple[Any, Any]:
        with town.connection(**options) as connection:
            work(connection)
            return connection.result, connection.response

    return await asyncio.to_thread(run)


def raw(row: Any, name: str) -> Any:
    values = row["raw_attributes"].get(name) or [None]
    return values[0]


async def test_the_root_tells_anybody_what_the_controller_holds(town: Town) -> None:
    def work() -> Any:
        server = ldap3.Server(town.url(), get_info=ldap3.DSA)
        with stock(server, None, None) as connection:
            connection.bind()
            return server.info.other, server.info.naming_contexts

    other, contexts = await asyncio.to_thread(work)
    assert other["defaultNamingContext"] == [town.base]
    assert other["dnsHostName"] == ["ls-dc1.ad.lindenstadt.example"]
    assert set(contexts) == set(town.forest.contexts())


async def test_without_a_logon_nothing_else_is_told(town: Town) -> None:
    def work() -> Any:
        with stock(town.url(), None, None) as connection:
            connection.bind()
            connection.search(town.base, "(objectClass=*)")
            return connection.result, connection.response

    said, found = await asyncio.to_thread(work)
    assert said["description"] == "operationsError" and "000004DC" in said["message"]
    assert found == []


async def test_every_mailbox_has_the_attributes_of_a_real_one(town: Town) -> None:
    rows = await ask(town, "(&(objectCategory=person)(msExchMailboxGuid=*))", "*")
    seen = {UUID(bytes_le=raw(row, "msExchMailboxGuid")): row for row in rows}
    there = {UUID(mailbox.exchange_guid): mailbox for mailbox in town.organisation.present()}
    assert set(seen) == set(there)
    for guid, mailbox in there.items():
        row = seen[guid]
        assert UUID(bytes_le=raw(row, "objectGUID")) == UUID(mailbox.guid)
        assert raw(row, "sAMAccountName").decode() == mailbox.account
        assert raw(row, "proxyAddresses").decode() == f"SMTP:{mailbox.address}"
        assert raw(row, "displayName").decode() == mailbox.display_name
        assert f"CN={mailbox.database}," in raw(row, "homeMDB").decode()
        assert (raw(row, "mDBUseDefaults") == b"TRUE") == mailbox.use_database_quotas
        send = raw(row, "mDBOverQuotaLimit")
        assert (int(send) * KIB if send else None) == (
            mailbox.own.send if isinstance(mailbox.own.send, int) else None
        )
        shared = mailbox.kind in (Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT)
        assert (raw(row, "msExchMasterAccountSid") == sd.SELF) == shared
        assert "nTSecurityDescriptor" not in row["raw_attributes"]


@pytest.mark.parametrize(
    ("filter", "what"),
    [
        ("(msExchRecipientTypeDetails:1.2.840.113556.1.4.804:=52)", (Kind.SHARED, Kind.ROOM, Kind.EQUIPMENT)),
        ("(&(msExchMailboxGuid=*)(userAccountControl:1.2.840.113556.1.4.803:=2)(msExchRecipientTypeDetails=4))", (Kind.SHARED,)),
        ("(&(msExchRecipientTypeDetails>=16)(msExchRecipientTypeDetails<=32))", (Kind.ROOM, Kind.EQUIPMENT)),
        ("(&(msExchMailboxGuid=*)(!(mDBUseDefaults=TRUE))(displayName=Microsoft*))", (Kind.ARBITRATION, Kind.AUDIT_LOG, Kind.DISCOVERY)),
    ],
)  # fmt: skip
async def test_filters_find_what_they_say(town: Town, filter: str, what: tuple[Kind, ...]) -> None:
    rows = await ask(town, filter)
    names = {row["dn"] for row in rows}
    places = town.forest.places
    assert names == {
        places.distinguished(m.path, m.name) for m in town.organisation.present(*what)
    }  # fmt: skip


async def test_an_attribute_that_nobody_knows_finds_nothing_and_neither_does_its_opposite(
    town: Town,
) -> None:
    assert await ask(town, "(noSuchAttribute=1)") == []
    assert await ask(town, "(!(noSuchAttribute=1))") == []
    assert len(await ask(town, "(&(msExchMailboxGuid=*)(!(department=x)))")) > 50


async def test_names_with_commas_slashes_and_umlauts_are_found_however_they_are_escaped(
    town: Town,
) -> None:
    inner = "Kinder\\2C Jugend und Familie"
    base = f"ou={inner},OU=Soziales,OU=Stadtverwaltung,{town.base.lower()}"
    rows = await ask(town, "(msExchMailboxGuid=*)", base=base)
    assert rows and all("Kinder\\, Jugend" in row["dn"] for row in rows)


async def test_members_of_groups_in_groups_are_found_in_chain(town: Town) -> None:
    groups = town.organisation.principals
    unit = next(group for group in groups if group.members and group.members[0] < 0)
    dn = town.forest.places.distinguished(unit.path, unit.name)
    rows = await ask(town, f"(memberOf:1.2.840.113556.1.4.1941:={dn})", "sAMAccountName")
    people: set[str] = set()
    for inner in unit.members:
        group = groups[-1 - inner]
        people |= {town.organisation.mailboxes[m].account for m in group.members}
        people.add(group.account)
    assert {raw(row, "sAMAccountName").decode() for row in rows} == people


async def test_an_answer_stops_at_a_thousand_and_pages_go_on() -> None:
    async with asyncio.timeout(60), running(founded(1200)) as town:
        said, found = await result(
            town, lambda c: c.search(town.base, "(msExchMailboxGuid=*)", attributes=["cn"])
        )
        assert said["description"] == "sizeLimitExceeded"
        assert len([row for row in found if row["type"] == "searchResEntry"]) == 1000
        present = len(list(town.organisation.present()))
        assert len(await ask(town, "(msExchMailboxGuid=*)", page=700)) == present
        assert len(await ask(town, "(msExchMailboxGuid=*)", page=5000)) == present


async def test_many_values_come_in_ranges() -> None:
    async with asyncio.timeout(60), running(founded(200)) as town:
        town.first.value_range = 37
        everybody = next(p for p in town.organisation.principals if p.name.startswith("Alle"))
        dn = town.forest.places.distinguished(everybody.path, everybody.name)
        said, found = await result(
            town,
            lambda c: c.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["member"]),
            auto_range=False,
        )
        assert said["description"] == "success"
        assert len(found[0]["raw_attributes"]["member;range=0-36"]) == 37
        (row,) = await ask(town, "(objectClass=*)", "member", base=dn)
        assert len(row["attributes"]["member"]) == len(everybody.members)


async def test_a_cookie_of_another_connection_is_refused(town: Town) -> None:
    def first_page(connection: Any, cookie: Any) -> Any:
        connection.search(
            town.base, "(msExchMailboxGuid=*)", attributes=["cn"], paged_size=10,
            paged_cookie=cookie,
        )  # fmt: skip
        return connection.result

    def work() -> Any:
        with town.connection() as one, town.connection() as other:
            page = first_page(one, None)
            cookie = page["controls"]["1.2.840.113556.1.4.319"]["value"]["cookie"]
            return first_page(other, cookie)

    assert (await asyncio.to_thread(work))["description"] == "unavailableCriticalExtension"


async def test_a_critical_control_that_is_unknown_is_refused(town: Town) -> None:
    for critical, wanted in ((True, "unavailableCriticalExtension"), (False, "success")):
        controls = [("1.2.3.4", critical, None)]
        search = partial(_search, base=town.base, controls=controls)
        said, _ = await result(town, search)
        assert said["description"] == wanted


def _search(connection: Any, base: str, controls: Any) -> None:
    connection.search(base, "(cn=x)", controls=controls)


async def test_other_domains_are_referred_to_and_nothing_is_looked_up_there(town: Town) -> None:
    said, _ = await result(town, lambda c: c.search("DC=other,DC=example", "(cn=*)"))
    assert said["description"] == "referral"
    assert said["referrals"] == ["ldap://other.example/DC=other,DC=example"]
    said, found = await result(town, lambda c: c.search(town.base, "(cn=x)"))
    urls = [row["uri"][0] for row in found if row["type"] == "searchResRef"]
    assert any(url.endswith(town.forest.configuration) for url in urls)
    scope = [("1.2.840.113556.1.4.1339", True, None)]
    said, found = await result(town, lambda c: c.search(town.base, "(cn=x)", controls=scope))
    assert found == []


async def test_an_object_that_is_not_there_is_named_as_such(town: Town) -> None:
    said, _ = await result(town, lambda c: c.search(f"OU=Nowhere,{town.base}", "(cn=*)"))
    assert said["description"] == "noSuchObject"
    assert said["dn"] == town.base and "NO_OBJECT" in said["message"]


async def test_rights_are_shown_to_those_who_ask_for_the_list_only(town: Town) -> None:
    owner, trustee = next(iter(town.organisation.send_as))
    mailbox = town.organisation.mailboxes[owner]
    question = f"(sAMAccountName={mailbox.account})"
    name = "nTSecurityDescriptor"
    (row,) = await ask(town, question, name)
    assert raw(row, name) is None  # the SACL needs a privilege
    (row,) = await ask(town, question, name, controls=[DACL_ONLY])
    found = sd.read(raw(row, name))
    assert found.sacl is None and found.owner is None and found.dacl
    assert set(sd.send_as(raw(row, name))) == set(town.forest.trustees("send_as", owner))
    (row,) = await ask(town, question, name, user=ADMIN)
    whole = sd.read(raw(row, name))
    assert whole.sacl and whole.owner and whole.dacl == found.dacl
    assert trustee < 0 or town.organisation.mailboxes[trustee].account


async def test_full_access_stands_in_the_mailboxs_own_descriptor(town: Town) -> None:
    rows = await ask(
        town, "(msExchMailboxGuid=*)", "sAMAccountName", "msExchMailboxSecurityDescriptor",
        "msExchMasterAccountSid",
    )  # fmt: skip
    seen = 0
    for row in rows:
        account = raw(row, "sAMAccountName").decode()
        mailbox = next(m for m in town.organisation.present() if m.account == account)
        found = set(sd.full_access(raw(row, "msExchMailboxSecurityDescriptor")))
        master = raw(row, "msExchMasterAccountSid")
        own = {master} if mailbox.kind is Kind.LINKED else set()
        assert found == set(town.forest.trustees("full_access", mailbox.number)) | own
        seen += len(found)
    assert seen > 100


async def test_a_wrong_password_is_told_from_a_locked_account(town: Town) -> None:
    def log_on(user: str, password: str, **options: Any) -> str:
        with stock(town.url(), user, password, **options) as connection:
            connection.bind()
            return str(connection.result["message"] or connection.result["description"])

    for _ in range(3):
        assert "data 52e" in await asyncio.to_thread(log_on, READER, "wrong")
    assert "data 775" in await asyncio.to_thread(log_on, READER, PASSWORD.reveal())
    assert "data 52e" in await asyncio.to_thread(log_on, "LINDENSTADT\\niemand", "x")
    right = PASSWORD.reveal()
    for name in ("verwalter@ad.lindenstadt.example", "ad.lindenstadt.example\\verwalter", ADMIN):
        assert await asyncio.to_thread(log_on, name, right) == "success"
    assert town.accounts.wrong(ADMIN) == 0


async def test_a_persons_distinguished_name_logs_on_too(town: Town) -> None:
    mailbox = next(town.organisation.present(Kind.USER))
    town.accounts.add(Account(mailbox.account, "LINDENSTADT", PASSWORD))
    dn = town.forest.places.distinguished(mailbox.path, mailbox.name)

    def work() -> Any:
        with town.connection(dn) as connection:
            return connection.extend.standard.who_am_i()

    assert await asyncio.to_thread(work) == f"u:LINDENSTADT\\{mailbox.account}"


async def test_who_demands_encryption_gets_it_by_starttls_and_by_ldaps(town: Town) -> None:
    town.first.demands_signing = True

    def plain() -> str:
        with stock(town.url(), READER, PASSWORD.reveal()) as connection:
            connection.bind()
            return str(connection.result["description"])

    def inside(*, ldaps: bool) -> str:
        host, port = town.first.secure if ldaps else town.first.where
        server = ldap3.Server(host, port=port, use_ssl=ldaps, get_info=ldap3.NONE)
        with stock(server, READER, PASSWORD.reveal()) as connection:
            if not ldaps:
                connection.start_tls()
            connection.bind()
            return str(connection.result["description"])

    assert await asyncio.to_thread(plain) == "strongerAuthRequired"
    assert await asyncio.to_thread(inside, ldaps=False) == "success"
    assert await asyncio.to_thread(inside, ldaps=True) == "success"


@pytest.mark.parametrize("switch", ["silent", "hangs", "refuses", "cuts"])
async def test_a_controller_that_misbehaves_is_noticed_by_its_client(
    town: Town, switch: str
) -> None:
    setattr(town.first, switch, True)

    def work() -> None:
        with stock(town.url(), READER, PASSWORD.reveal()) as connection:
            if not connection.bind():
                raise LDAPException("not bound")
            if not connection.search(town.base, "(msExchMailboxGuid=*)"):
                raise LDAPException("nothing found")

    with pytest.raises((LDAPException, OSError)):
        await asyncio.to_thread(work)
    setattr(town.first, switch, False)
    assert await ask(town, "(msExchMailboxGuid=*)")


async def test_a_busy_controller_says_so(town: Town) -> None:
    town.first.busy = True
    said, _ = await result(town, lambda c: c.search(town.base, "(cn=*)"))
    assert said["description"] == "busy"


async def test_a_move_is_seen_at_once_here_and_after_the_delay_there(town: Town) -> None:
    move = town.organisation.moves[0]
    mailbox = town.organisation.mailboxes[move.mailbox]
    question = f"(sAMAccountName={mailbox.account})"

    async def databases() -> list[str]:
        found = []
        for controller in (town.first, town.second):
            (row,) = await ask(town, question, "homeMDB", at=controller)
            found.append(raw(row, "homeMDB").decode().partition(",")[0][3:])
        return found

    (row,) = await ask(town, question, "msExchMailboxMoveStatus", "msExchMailboxMoveTargetMDBLink")
    assert raw(row, "msExchMailboxMoveStatus") == b"2"
    assert f"CN={move.target}," in raw(row, "msExchMailboxMoveTargetMDBLink").decode()
    assert await databases() == [move.source, move.source]
    assert move.due is not None
    for after, shown in ((timedelta(minutes=1), move.source), (DELAY, move.target)):
        town.organisation.advance(move.due + after)
        town.clock.now = town.organisation.now
        assert await databases() == [move.target, shown]
    (row,) = await ask(town, question, "msExchMailboxMoveStatus")
    assert not row["raw_attributes"].get("msExchMailboxMoveStatus")


async def test_a_mailbox_that_was_disabled_goes_and_its_rights_stay_as_a_bare_sid(
    town: Town,
) -> None:
    owner, trustee = next(pair for pair in town.organisation.full_access if pair[1] >= 0)
    account = town.organisation.mailboxes[trustee].account
    town.organisation.disable(town.organisation.mailboxes[trustee])
    assert await ask(town, f"(sAMAccountName={account})") == []
    assert len(await ask(town, f"(sAMAccountName={account})", at=town.second)) == 1
    question = f"(sAMAccountName={town.organisation.mailboxes[owner].account})"
    (row,) = await ask(town, question, "msExchMailboxSecurityDescriptor")
    texts = map(sd.sid_text, sd.full_access(raw(row, "msExchMailboxSecurityDescriptor")))
    assert f"S-1-5-21-1004336348-1177238915-682003330-{100_000 + trustee}" in texts


async def test_the_controller_ends_what_is_no_ldap_and_lives_on(town: Town) -> None:
    for rubbish in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\x84\xff\xff\xff\xff" + b"\0" * 40,
        b"\x30\x02\x05\x00",
    ):
        reader, writer = await asyncio.open_connection(*town.first.where)
        writer.write(rubbish)
        await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
        writer.close()
    assert await ask(town, "(msExchMailboxGuid=*)")
