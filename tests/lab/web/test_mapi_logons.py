"""Logons over MAPI/HTTP: who gets into which mailbox, what it tells, and why not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.contents import Message
from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.mapi.service import MapiService
from mailmig.model.directory import Kind
from mailmig.model.quota import KIB, UNLIMITED, Quotas
from mailmig.wire.autodiscover import pox
from mailmig.wire.mapihttp import mailbox as bodies
from mailmig.wire.mapihttp import rops
from mailmig.wire.mapihttp.codes import ErrorCode, RequestType
from mailmig.wire.mapihttp.properties import (
    CONTENT_COUNT,
    DISPLAY_NAME,
    MAILBOX_OWNER_NAME,
    MESSAGE_SIZE,
    MESSAGE_SIZE_EXTENDED,
    PROHIBIT_RECEIVE_QUOTA,
    PROHIBIT_SEND_QUOTA,
    STORAGE_QUOTA,
    PropertyError,
)
from mailmig.wire.mapihttp.rop_buffer import TO_BE_FILLED, RopRequests, RopResponses
from mailmig.wire.mapihttp.rops import INBOX, OpenFlag, ResponseFlag
from tests.lab.asking import Shell
from tests.lab.remote_servers import outside
from tests.lab.web.clients import account, exchange, password, session, staff
from tests.lab.web.mapi_client import Client, client, returned, url_of

OWN_FOLDERS = len(rops.FOLDERS)


async def played(lab: Lab, play: Callable[[Client, Mailbox, str], Any], **where: Any) -> Any:
    """Play a dialogue as the first of the staff, connected; it gets her and her DN."""

    def in_thread() -> Any:
        anna = staff(lab)[0]
        dn = lab.web.people.legacy(anna)
        with client(lab, anna, **where) as found:
            assert found.connect(dn).error_code == 0
            return play(found, anna, dn)

    return await outside(in_thread)


def stranger(lab: Lab) -> Mailbox:
    """A shared mailbox on which the first of the staff has no right."""
    anna = staff(lab)[0]
    return next(
        one for one in lab.organisation.present(Kind.SHARED)
        if not lab.web.people.may("full_access", anna, one)
    )  # fmt: skip


def elsewhere(lab: Lab, server: str = "LS-EX1") -> str:
    return next(one.name for one in lab.organisation.databases.values() if one.server == server)


async def test_connect_says_why_not(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    own, other = lab.web.people.legacy(anna), lab.web.people.legacy(bert)

    def play() -> None:
        with client(lab, anna) as asked:

            def error(dn: str, **fields: Any) -> int:
                code = asked.connect(dn, **fields).error_code
                assert not asked.jar.cookies or not code
                return code

            assert error("") == ErrorCode.ecAccessDenied
            assert error(other) == ErrorCode.ecAccessDenied
            assert error(own + "x") == ErrorCode.ecUnknownUser
            assert error(anna.alias) == ErrorCode.ecUnknownUser
            assert error(own, flags=1) == ErrorCode.ecLoginPerm
            assert error(own, auxiliary=b"\0" * 7) == ErrorCode.ecRpcFailed
            anna.protocols = replace(anna.protocols, mapi=False)
            assert error(own) == ErrorCode.ecProtocolDisabled
            anna.protocols = replace(anna.protocols, mapi=True, mapi_http=None)
            settings, now = lab.organisation.settings, lab.organisation.now
            whole = guid(lab.organisation.seed, "organisation")
            settings.change(whole, {"MapiHttpEnabled": False}, now)
            assert error(own) == ErrorCode.ecProtocolDisabled
            anna.protocols = replace(anna.protocols, mapi_http=True)
            assert error(own.upper()) == 0

    await outside(play)


async def test_an_account_without_a_mailbox_is_nobody(lab: Lab) -> None:
    anna = staff(lab)[0]

    def play() -> int:
        with session(lab) as http:
            http.auth = HttpNtlmAuth(r"LINDENSTADT\svc-reader", "lab-only-svc-reader")
            asked = Client(http, url_of(lab, anna))
            return asked.connect(lab.web.people.legacy(anna)).error_code

    assert await outside(play) == ErrorCode.ecAccessDenied


async def test_ones_own_mailbox_opens_with_all_its_rights(lab: Lab) -> None:
    lab.world.surroundings.machines.of("ls-ex16").clock_ahead = timedelta(minutes=7)  # type: ignore[union-attr]

    def play(asked: Client, anna: Mailbox, dn: str) -> rops.RopResponse:
        return asked.logon(dn)

    found = await played(lab, play)
    anna = staff(lab)[0]
    assert isinstance(found, rops.LoggedOn)
    assert found.response_flags == (
        ResponseFlag.ALWAYS | ResponseFlag.OWNER_RIGHT | ResponseFlag.SEND_AS_RIGHT
    )
    assert found.mailbox_guid == UUID(anna.exchange_guid)
    assert found.logon_time == lab.world.now + timedelta(minutes=7)
    assert len(set(found.folder_ids)) == OWN_FOLDERS


async def test_a_delegate_sees_what_his_rights_let_him_see(lab: Lab) -> None:
    shared, anna = stranger(lab), staff(lab)[0]
    dn = lab.web.people.legacy(shared)

    def play(asked: Client, _: Mailbox, own: str) -> tuple[int, int]:
        """The flags of the logon, and what comes of opening the inbox."""
        answer = asked.logon(dn, logon_id=1)
        assert isinstance(answer, rops.LoggedOn)
        assert answer.mailbox_guid == UUID(shared.exchange_guid)
        opened = rops.OpenFolder(answer.folder_ids[INBOX], 1, 0, 1)
        folder = asked.execute(rops.Logon(dn, 1), opened).rops[1]
        code = 0 if isinstance(folder, rops.Opened) else returned(folder)
        return answer.response_flags, code

    assert await played(lab, play) == (ResponseFlag.ALWAYS, ErrorCode.ecNotFound)
    lab.organisation.send_as.grant(shared.number, anna.number)
    flags, _ = await played(lab, play)
    assert flags == ResponseFlag.ALWAYS | ResponseFlag.SEND_AS_RIGHT
    shared.on_behalf = (anna.number,)
    assert (await played(lab, play))[1] == 0  # who sends on behalf reads the inbox
    shared.on_behalf = ()
    lab.organisation.full_access.grant(shared.number, anna.number)
    flags, code = await played(lab, play)
    assert (bool(flags & ResponseFlag.OWNER_RIGHT), code) == (True, 0)


async def test_a_mailbox_elsewhere_is_a_redirect_that_leads_there(lab: Lab) -> None:
    """From one's own session to another server and version, by way of the address book."""
    shared, anna = stranger(lab), staff(lab)[0]
    lab.organisation.full_access.grant(shared.number, anna.number)
    shared.database = elsewhere(lab)
    dn = lab.web.people.legacy(shared)

    def play(asked: Client, _: Mailbox, own: str) -> str:
        answer = asked.logon(dn, logon_id=1)
        assert isinstance(answer, rops.Redirected)
        assert answer.server_dn.endswith(f"/cn=Servers/cn={shared.exchange_guid}@{shared.domain}")
        return answer.server_dn

    server_dn = await played(lab, play)

    def follow() -> None:
        with client(lab, anna, shared, server="ls-ex16") as asked:
            assert asked.connect(lab.web.people.legacy(anna)).error_code == 0
            found = asked.logon(dn)
            assert isinstance(found, rops.LoggedOn)
            assert found.response_flags & ResponseFlag.OWNER_RIGHT
            assert asked.ask("PING").headers["X-BEServer"] == "LS-EX1"

    await outside(follow)
    assert server_dn.startswith("/o=Stadt Lindenstadt/ou=")


async def test_who_ignores_redirects_has_to_wait(lab: Lab) -> None:
    now = [0.0]
    service = lab.web.back_ends["mapi"]
    assert isinstance(service, MapiService)
    service.contexts.clock = lambda: now[0]
    shared = stranger(lab)
    shared.database = elsewhere(lab)
    dn = lab.web.people.legacy(shared)

    def play(asked: Client, anna: Mailbox, own: str) -> None:
        for _ in range(5):
            assert isinstance(asked.logon(dn), rops.Redirected)
        assert returned(asked.logon(dn)) == ErrorCode.ecServerPaused
        assert isinstance(asked.logon(own), rops.LoggedOn)
        now[0] += 10.5
        assert isinstance(asked.logon(dn), rops.Redirected)

    await played(lab, play)


async def test_a_front_end_with_an_old_belief_leads_to_the_wrong_server(lab: Lab) -> None:
    anna = staff(lab)[0]
    conditions = lab.world.conditions("LS-EX1").web
    conditions.misrouted[anna.number] = "LS-EX2"

    def play(asked: Client, _: Mailbox, own: str) -> rops.RopResponse:
        return asked.logon(own)

    assert isinstance(await played(lab, play, server="ls-ex1"), rops.Redirected)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"open_flags": 0x2000_0000}, ErrorCode.ecError),
        ({"open_flags": OpenFlag.PER_MDB_REPLID_MAPPING | OpenFlag.USE_ADMIN_PRIVILEGE},
         ErrorCode.ecLoginPerm),
        ({"open_flags": OpenFlag.PER_MDB_REPLID_MAPPING | OpenFlag.PUBLIC},
         ErrorCode.ecNotSupported),
        ({"logon_flags": 0}, ErrorCode.ecNotSupported),
    ],
)  # fmt: skip
async def test_flags_that_do_not_go_are_refused(
    lab: Lab, fields: dict[str, Any], code: ErrorCode
) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> int:
        return returned(asked.logon(dn, **fields))

    assert await played(lab, play) == code


async def test_without_the_replica_flag_the_first_logon_faults_and_later_ones_fail(
    lab: Lab,
) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        assert asked.error_of(rops.Logon(dn, open_flags=0)) == ErrorCode.ecRpcFailed
        assert returned(asked.logon(dn, open_flags=0)) == ErrorCode.ecInvalidParameter
        assert isinstance(asked.logon(dn), rops.LoggedOn)

    await played(lab, play)


async def test_an_unknown_code_page_is_told_at_the_logon(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        for code_page, known in ((4711, False), (65001, True), (1252, True)):
            assert asked.connect(dn, code_page=code_page).error_code == 0
            answer = asked.logon(dn)
            assert isinstance(answer, rops.LoggedOn) is known
            assert known or returned(answer) == ErrorCode.ecUnknownCodePage

    await played(lab, play)


async def test_who_is_not_there_is_unknown(lab: Lab) -> None:
    shared = stranger(lab)
    dn = lab.web.people.legacy(shared)

    def play(asked: Client, anna: Mailbox, own: str) -> None:
        assert isinstance(asked.logon(dn), rops.LoggedOn)
        lab.organisation.disable(shared)
        assert returned(asked.logon(dn)) == ErrorCode.ecUnknownUser
        assert returned(asked.logon("/o=Stadt Lindenstadt/cn=nobody")) == ErrorCode.ecUnknownUser
        assert returned(asked.logon(shared.alias)) == ErrorCode.ecUnknownUser
        assert returned(asked.logon("")) == ErrorCode.ecUnknownUser

    await played(lab, play)


async def test_a_move_that_completes_locks_the_mailbox(lab: Lab) -> None:
    anna = staff(lab)[0]
    organisation = lab.organisation
    move = organisation.move(anna, elsewhere(lab))
    for _ in range(200):
        if move.status(organisation.now) == "CompletionInProgress":
            break
        lab.world.advance(timedelta(seconds=10))
    assert move.status(organisation.now) == "CompletionInProgress"

    def play(asked: Client, _: Mailbox, dn: str) -> int:
        return returned(asked.logon(dn))

    assert await played(lab, play) == ErrorCode.ecMailboxInTransit


async def test_a_dismounted_database_is_told_as_each_version_tells_it(lab: Lab) -> None:
    anna = staff(lab)[0]

    def down(asked: Client, _: Mailbox, dn: str) -> tuple[int, int]:
        assert asked.ask("PING").code == 0
        asked.store(dn, DISPLAY_NAME)
        database = lab.web.people.database(anna)
        lab.organisation.dismount(database)
        try:
            buffer = RopRequests((rops.Logon(dn),)).encode()
            body = bodies.ExecuteRequest(buffer).encode()
            found = bodies.ExecuteResponse.decode(asked.ask("Execute", body).body)
            if found.error_code:
                return found.error_code, 0
            answers = RopResponses.decode(found.rop_buffer, (rops.Logon(dn),))
            return 0, returned(answers.rops[0])
        finally:
            lab.organisation.mount(database)

    assert await played(lab, down) == (0, ErrorCode.ecLoginFailure)
    anna.database = elsewhere(lab)
    assert await played(lab, down) == (ErrorCode.rpcServerUnavailable, 0)


async def test_a_mailbox_tells_what_the_cmdlets_and_ews_tell(lab: Lab) -> None:
    anna = staff(lab)[0]
    anna.use_database_quotas = False
    anna.own = Quotas(UNLIMITED, 500 * 1024**2, UNLIMITED)
    tags = (
        MESSAGE_SIZE_EXTENDED, MESSAGE_SIZE, MAILBOX_OWNER_NAME, CONTENT_COUNT, STORAGE_QUOTA,
        PROHIBIT_SEND_QUOTA, PROHIBIT_RECEIVE_QUOTA, 0x0E080002, 0x661C001E,
    )  # fmt: skip

    def play(asked: Client, _: Mailbox, dn: str) -> dict[int, Any]:
        return asked.store(dn, *tags)

    found = await played(lab, play)
    absent = PropertyError(ErrorCode.ecNotFound)
    (statistics,) = Shell(lab.world).objects("Get-MailboxStatistics", Identity=anna.alias)
    assert f"({found[MESSAGE_SIZE_EXTENDED]:,} bytes)" in str(statistics["TotalItemSize"])
    assert found[CONTENT_COUNT] == statistics["ItemCount"]
    assert found[MESSAGE_SIZE] == found[MESSAGE_SIZE_EXTENDED] == anna.used
    assert found[MAILBOX_OWNER_NAME] == anna.display_name
    assert found[0x661C001E] == anna.display_name.encode("ascii", "replace").decode()
    assert (found[STORAGE_QUOTA], found[PROHIBIT_RECEIVE_QUOTA]) == (absent, absent)
    assert found[PROHIBIT_SEND_QUOTA] == 500 * 1024**2 // KIB
    assert found[0x0E080002] == absent
    anna.use_database_quotas = True
    found = await played(lab, play)
    limits = lab.web.people.database(anna).quotas
    assert [found[tag] for tag in (STORAGE_QUOTA, PROHIBIT_SEND_QUOTA, PROHIBIT_RECEIVE_QUOTA)] == [
        limit // KIB if isinstance(limit, int) else absent
        for limit in (limits.warn, limits.send, limits.receive)
    ]

    def by_ews() -> int:
        with exchange(lab):
            return int(account(lab, anna).inbox.total_count)

    def inbox(asked: Client, _: Mailbox, dn: str) -> rops.RopResponse:
        own = asked.logon(dn)
        assert isinstance(own, rops.LoggedOn)
        opened = rops.OpenFolder(own.folder_ids[INBOX])
        wanted = rops.GetProperties((CONTENT_COUNT, DISPLAY_NAME, MESSAGE_SIZE_EXTENDED), 0, 1)
        return asked.execute(rops.Logon(dn), opened, wanted).rops[2]

    answer = await played(lab, inbox)
    assert isinstance(answer, rops.Properties)
    assert answer.row == (
        await outside(by_ews), "Posteingang" if anna.number % 9 else "Inbox",
        lab.world.contents.size(anna, "inbox"),
    )  # fmt: skip


async def test_folder_ids_stay_when_the_mailbox_moves_and_are_of_no_use_elsewhere(
    lab: Lab,
) -> None:
    anna, shared = staff(lab)[0], stranger(lab)
    lab.organisation.full_access.grant(shared.number, anna.number)
    other = lab.web.people.legacy(shared)

    def play(asked: Client, _: Mailbox, dn: str) -> tuple[bytes, ...]:
        answer = asked.logon(dn)
        assert isinstance(answer, rops.LoggedOn)
        return answer.folder_ids

    def crossed(asked: Client, _: Mailbox, dn: str) -> int:
        answer = asked.logon(dn)
        assert isinstance(answer, rops.LoggedOn)
        opened = rops.OpenFolder(answer.folder_ids[INBOX])
        return returned(asked.execute(rops.Logon(other), opened).rops[1])

    before = await played(lab, play)
    assert await played(lab, crossed) == ErrorCode.ecNotFound
    anna.database = elsewhere(lab)
    assert await played(lab, play) == before


async def test_handles_are_those_of_one_session_and_can_be_released(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        first = asked.execute(rops.Logon(dn), handles=(TO_BE_FILLED,))
        (handle,) = first.handles
        assert handle != TO_BE_FILLED
        wanted = rops.GetProperties((DISPLAY_NAME,))
        (again,) = asked.execute(wanted, handles=(handle,)).rops
        assert isinstance(again, rops.Properties)
        assert asked.execute(rops.Release(), handles=(handle,)).rops == ()
        (gone,) = asked.execute(wanted, handles=(handle,)).rops
        assert returned(gone) == ErrorCode.ecNullObject
        (nothing,) = asked.execute(rops.OpenFolder(bytes(8)), handles=(77, 78)).rops
        assert returned(nothing) == ErrorCode.ecNullObject
        one = asked.execute(rops.Logon(dn, 2), handles=(TO_BE_FILLED,)).handles
        asked.execute(rops.Logon(dn, 2), handles=(TO_BE_FILLED,))  # in the place of the first one
        (replaced,) = asked.execute(wanted, handles=one).rops
        assert returned(replaced) == ErrorCode.ecNullObject
        buffer = RopRequests((rops.Logon(dn, output_index=3),), (TO_BE_FILLED,)).encode()
        found = asked.ask(RequestType.EXECUTE, bodies.ExecuteRequest(buffer).encode())
        assert bodies.ExecuteResponse.decode(found.body).error_code == ErrorCode.ecRpcFormat

    await played(lab, play)


async def test_what_has_no_room_in_the_answer_is_told(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox, dn: str) -> None:
        wanted = (rops.Logon(dn), rops.GetProperties((DISPLAY_NAME,)))
        whole = RopRequests(wanted)

        def answered(room: int) -> tuple[rops.RopResponse, ...]:
            body = bodies.ExecuteRequest(whole.encode(), max_rop_out=room).encode()
            found = bodies.ExecuteResponse.decode(asked.ask("Execute", body).body)
            return RopResponses.decode(found.rop_buffer, wanted).rops

        logged_on, small = answered(10 + 4 + 166)
        assert isinstance(logged_on, rops.LoggedOn)
        assert isinstance(small, rops.BufferTooSmall)
        assert small.rest == wanted[1].encode()
        assert isinstance(answered(small.size_needed)[1], rops.Properties)
        (small,) = answered(20)
        assert small == rops.BufferTooSmall(10 + 4 + 166, wanted[0].encode() + wanted[1].encode())

    await played(lab, play)


@pytest.mark.parametrize(
    ("buffer", "room", "code"),
    [
        (bytes(7), 0x10008, ErrorCode.ecRpcFailed),
        (bytes(8), 7, ErrorCode.ecRpcFailed),
        (bytes(0x40001), 0x10008, ErrorCode.rpcBadStubData),
        (bytes(8), 0x40001, ErrorCode.rpcBadStubData),
        (b"\0\0\4\0\5\0\5\0\5\0\x4d\0\0", 0x10008, ErrorCode.ecRpcFormat),
    ],
)
async def test_a_buffer_that_is_none_ends_the_execute(
    lab: Lab, buffer: bytes, room: int, code: ErrorCode
) -> None:
    """The last one holds an operation that the lab does not know."""

    def play(asked: Client, anna: Mailbox, dn: str) -> int:
        body = bodies.ExecuteRequest(buffer, max_rop_out=room).encode()
        return bodies.ExecuteResponse.decode(asked.ask("Execute", body).body).error_code

    assert await played(lab, play) == code


async def test_mail_that_comes_in_counts_at_once(lab: Lab) -> None:
    anna = staff(lab)[0]

    def play(asked: Client, _: Mailbox, dn: str) -> int:
        return int(asked.store(dn, MESSAGE_SIZE_EXTENDED)[MESSAGE_SIZE_EXTENDED])

    before = await played(lab, play)
    now = lab.world.now
    message = Message("inbox", 0, True, "x", anna.address, (anna.address,), now, now, 4711, "<1@x>")
    lab.world.contents.put(anna, message)
    assert await played(lab, play) == before + 4711


@pytest.mark.parametrize("place", ["LS-EX16", "LS-EX1", "LS-EX2"])
async def test_autodiscover_leads_to_a_mailbox_that_opens(lab: Lab, place: str) -> None:
    """POX, URL, Connect, logon, properties: as a mail client walks, inside and outside."""
    anna = staff(lab)[0]
    if place != "LS-EX16":
        anna.database = elsewhere(lab, place)

    def walk() -> list[str]:
        with session(lab, mail_lindenstadt_example="ls-ex16") as http:
            http.auth = HttpNtlmAuth(rf"LINDENSTADT\{anna.account}", password(anna))
            found = http.post(
                f"https://ls-ex2.{lab.organisation.domain}/Autodiscover/Autodiscover.xml",
                data=pox.Request(anna.address).encode(), timeout=10,
                headers={"X-MapiHttpCapability": "1", "Content-Type": "text/xml"},
            )  # fmt: skip
            settings = pox.decode(found.content)
            assert isinstance(settings, pox.Settings) and settings.mapi_http is not None
            urls = settings.mapi_http.mail_store
            assert urls is not None and urls.internal and urls.external
            opened = []
            for url in (urls.internal, urls.external):
                asked = Client(http, url)
                dn = settings.user.legacy_dn or ""
                assert asked.connect(dn).error_code == 0
                store = asked.store(dn, MESSAGE_SIZE_EXTENDED)
                assert store == {MESSAGE_SIZE_EXTENDED: anna.used}
                opened.append(asked.disconnect().headers["X-BEServer"])
            return opened

    assert await outside(walk) == [place, place]
