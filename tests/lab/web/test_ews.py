"""EWS, asked by exchangelib: accounts, folders and their sizes, mail, delegates."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import exchangelib
import pytest
from exchangelib import Account, ExtendedProperty, Folder, Message
from exchangelib.errors import (
    ErrorAccessDenied,
    ErrorFolderNotFound,
    ErrorInvalidIdMalformed,
    ErrorItemNotFound,
    ErrorMailboxMoveInProgress,
    ErrorMailboxStoreUnavailable,
    ErrorNonExistentMailbox,
    ErrorQuotaExceeded,
    ErrorSendAsDenied,
    ErrorWrongServerVersionDelegate,
    UnauthorizedError,
)
from exchangelib.folders import Calendar, Inbox, Root, SentItems, SingleFolderQuerySet
from exchangelib.properties import AlternateId, DistinguishedFolderId
from exchangelib.services import ConvertId

from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.model.directory import Kind
from tests.lab.remote_servers import outside
from tests.lab.web.clients import account, exchange, staff

TOKEN = "mailmig-probe 4711 äöü <1> & more"


class Size(ExtendedProperty):  # type: ignore[misc]
    """PidTagMessageSize of a folder (protocols.md 2.3)."""

    property_tag = 0x0E08
    property_type = "Long"


async def by_exchangelib(lab: Lab, work: Callable[[], Any]) -> Any:
    """Runs a blocking function while exchangelib is led to the lab."""

    def run() -> Any:
        with exchange(lab):
            return work()

    return await outside(run)


def people(lab: Lab) -> tuple[Mailbox, Mailbox, Mailbox]:
    """Anna shares with nobody; Bert and she are others; the third is a shared mailbox."""
    anna, bert = staff(lab)[:2]
    shared = next(
        one for one in lab.organisation.present(Kind.SHARED)
        if not lab.web.people.may("full_access", anna, one)
    )  # fmt: skip
    return anna, bert, shared


def target(lab: Lab) -> str:
    return next(one.name for one in lab.organisation.databases.values() if one.dag)


@pytest.mark.parametrize("server", ["ls-ex16", "ls-ex1", "ls-ex2"])
async def test_an_account_opens_through_every_server(lab: Lab, server: str) -> None:
    anna, _, _ = people(lab)

    def work() -> Account:
        found = account(lab, anna, server=server)
        assert found.root.name == "root"
        return found

    found = await by_exchangelib(lab, work)
    assert str(found.version.build) == "15.1.2507.6"


async def test_authentication_and_version_can_be_guessed(lab: Lab) -> None:
    anna, _, _ = people(lab)
    anna.database = target(lab)

    def work() -> Account:
        found = account(lab, anna, auth_type=None, guess=True)
        assert found.inbox.total_count == lab.world.contents.count(anna, "inbox")
        return found

    found = await by_exchangelib(lab, work)
    assert found.protocol.auth_type == exchangelib.NTLM
    assert found.version.build.api_version() == "Exchange2016"
    assert str(found.version.build) == "15.2.2562.17"


async def test_basic_works_where_the_directory_offers_it(lab: Lab) -> None:
    anna, _, _ = people(lab)
    settings = lab.organisation.settings
    for text, live in lab.web.directories._objects["ews"]():
        if text.startswith("LS-EX16\\"):
            methods = {"InternalAuthenticationMethods": ["Basic", "Ntlm"]}
            settings.change(str(live["Guid"]), methods, lab.organisation.now)

    def work(server: str) -> None:
        assert account(lab, anna, server=server, auth_type=exchangelib.BASIC).root.id

    await by_exchangelib(lab, lambda: work("ls-ex16"))
    with pytest.raises(UnauthorizedError):
        await by_exchangelib(lab, lambda: work("ls-ex1"))


async def test_the_folders_hold_what_the_statistics_say(lab: Lab) -> None:
    def work() -> None:
        Folder.register("size", Size)
        try:
            for person in staff(lab)[:4]:
                folders = list(account(lab, person).root.walk())
                kept = [one for one in folders if "Recoverable Items" not in one.absolute]
                rest = [one for one in folders if "Recoverable Items" in one.absolute]
                assert sum(one.size for one in kept) == person.used > 0
                assert sum(one.total_count for one in kept) == person.items
                assert sum(one.size for one in rest) == person.deleted
                assert sum(one.total_count for one in rest) == person.deleted_items
                name = "Inbox" if person.number % 9 == 0 else "Posteingang"
                inbox = next(one for one in folders if one.name == name)
                assert isinstance(inbox, Inbox)
        finally:
            Folder.deregister("size")

    await by_exchangelib(lab, work)


async def test_a_message_is_sent_found_and_deleted(lab: Lab) -> None:
    anna, bert, _ = people(lab)
    bert.database = target(lab)  # on the other version: mail does not care
    used, items = bert.used, bert.items

    def work() -> None:
        mine, his = account(lab, anna), account(lab, bert)
        Message(
            account=mine, subject=TOKEN, body="Grüße\r\n<b>&", to_recipients=[bert.address]
        ).send_and_save()
        (found,) = his.inbox.filter(subject=TOKEN)
        assert found.sender.email_address == anna.address
        assert found.body.splitlines() == ["Grüße", "<b>&"]
        assert not found.is_read
        assert found.datetime_received >= found.datetime_sent
        assert [one.name for one in found.headers] == ["Received", "Received"]
        assert TOKEN.encode() in found.mime_content
        assert (bert.used, bert.items) == (used + found.size, items + 1)
        (copy,) = mine.sent.filter(subject=TOKEN).only("subject", "size", "message_id")
        assert copy.message_id == found.message_id
        found.delete()
        copy.delete()
        assert his.inbox.filter(subject=TOKEN).count() == 0
        assert (bert.used, bert.items) == (used, items)

    await by_exchangelib(lab, work)


async def test_mail_waits_while_its_way_is_closed(lab: Lab) -> None:
    anna, bert, _ = people(lab)
    stopped = lab.world.conditions("LS-EX16").stopped_services
    stopped.add("msexchangedelivery")

    def send() -> None:
        mail = Message(account=account(lab, anna), subject=TOKEN, to_recipients=[bert.address])
        mail.send(save_copy=False)

    def arrived() -> int:
        return int(account(lab, bert).inbox.filter(subject=TOKEN).count())

    await by_exchangelib(lab, send)
    assert await by_exchangelib(lab, arrived) == 0
    stopped.discard("msexchangedelivery")
    lab.world.advance(timedelta(seconds=5))
    assert await by_exchangelib(lab, arrived) == 1


async def test_an_unknown_recipient_comes_back(lab: Lab) -> None:
    anna, _, _ = people(lab)

    def work() -> None:
        mine = account(lab, anna)
        wrong = "nobody@lindenstadt.example"
        Message(account=mine, subject=TOKEN, to_recipients=[wrong, "x@other.example"]).send()
        (report,) = mine.inbox.filter(subject__contains=TOKEN)
        assert wrong in report.body
        assert "5.1.10" in report.body

    await by_exchangelib(lab, work)
    assert [address for address, _ in lab.world.delivering.outward] == ["x@other.example"]


async def test_a_full_mailbox_takes_nothing_and_sends_nothing(lab: Lab) -> None:
    anna, bert, _ = people(lab)
    limits = lab.organisation.effective(bert)
    assert isinstance(limits.receive, int)
    bert.used = limits.receive

    def work() -> None:
        mine = account(lab, anna)
        Message(account=mine, subject=TOKEN, to_recipients=[bert.address]).send()
        (report,) = mine.inbox.filter(subject__contains=TOKEN)
        assert "5.2.2" in report.body
        with pytest.raises(ErrorQuotaExceeded):
            Message(account=account(lab, bert), subject="x", to_recipients=[anna.address]).send()

    await by_exchangelib(lab, work)


async def test_items_are_listed_in_pages_and_in_order(lab: Lab) -> None:
    anna, _, _ = people(lab)

    def work() -> None:
        inbox = account(lab, anna).inbox
        every = list(inbox.all().only("subject", "size", "datetime_received"))
        assert len(every) == inbox.total_count > 100
        assert sum(one.size for one in every) == lab.world.contents.size(anna, "inbox")
        dates = [one.datetime_received for one in every]
        assert dates == sorted(dates, reverse=True)
        oldest = inbox.all().order_by("datetime_received").only("subject")[0]
        assert oldest.subject == every[-1].subject
        middle = dates[50]
        assert inbox.filter(datetime_received__gt=middle).count() == 50
        assert inbox.filter(subject__contains="VORGANG 2").count() == 0
        assert inbox.filter(subject__icontains="VORGANG 2").count() == len(every)

    await by_exchangelib(lab, work)


async def test_what_lay_there_can_be_moved_to_the_bin_and_deleted(lab: Lab) -> None:
    anna, _, _ = people(lab)
    used, deleted = anna.used, anna.deleted

    def work() -> None:
        mine = account(lab, anna)
        first, second = mine.inbox.all().only("subject", "size")[:2]
        first.move_to_trash()
        assert anna.used == used
        assert mine.trash.filter(subject=first.subject).count() >= 1
        second.soft_delete()
        assert (anna.used, anna.deleted) == (used - second.size, deleted + second.size)
        names = {one.subject for one in mine.inbox.all().only("subject")}
        assert not {first.subject, second.subject} & names

    await by_exchangelib(lab, work)


async def test_calendar_contacts_and_tasks_hold_their_own_kinds(lab: Lab) -> None:
    anna, _, _ = people(lab)

    def work() -> None:
        mine = account(lab, anna)
        assert isinstance(next(iter(mine.calendar.all()[:1])), exchangelib.CalendarItem)
        assert isinstance(next(iter(mine.contacts.all()[:1])), exchangelib.Contact)
        assert isinstance(next(iter(mine.tasks.all()[:1])), exchangelib.Task)

    await by_exchangelib(lab, work)


async def test_names_are_resolved(lab: Lab) -> None:
    anna, bert, _ = people(lab)

    def work() -> list[Any]:
        protocol = account(lab, anna).protocol
        return list(protocol.resolve_names([bert.address, bert.account, "nobody at all"]))

    found = await by_exchangelib(lab, work)
    assert [one.email_address for one in found[:2]] == [bert.address, bert.address]
    assert "No results" in str(found[2])


async def test_ids_lead_from_form_to_form_and_back(lab: Lab) -> None:
    anna, _, _ = people(lab)

    def work() -> None:
        mine = account(lab, anna)
        protocol, first = mine.protocol, mine.inbox.id
        for form in ("EntryId", "HexEntryId", "StoreId", "OwaId", "EwsLegacyId"):
            asked = AlternateId(id=first, format="EwsId", mailbox=anna.address)
            (there,) = ConvertId(protocol=protocol).call([asked], form)
            assert there.id != first
            (back,) = ConvertId(protocol=protocol).call([there], "EwsId")
            assert back.id == first
        dummy = AlternateId(id="DUMMY", format="EwsId", mailbox="DUMMY")
        (refused,) = ConvertId(protocol=protocol).call([dummy], "EntryId")
        assert isinstance(refused, ErrorInvalidIdMalformed)

    await by_exchangelib(lab, work)


# delegates


async def test_full_access_opens_a_mailbox_itself_or_by_a_group(lab: Lab) -> None:
    organisation = lab.organisation
    anna, _, shared = people(lab)
    with pytest.raises(ErrorFolderNotFound):
        await by_exchangelib(lab, lambda: account(lab, anna, address=shared.address).root)
    organisation.full_access.grant(shared.number, anna.number)

    def work() -> int:
        return int(account(lab, anna, address=shared.address).inbox.total_count)

    assert await by_exchangelib(lab, work) == lab.world.contents.count(shared, "inbox")
    by_group = [
        (organisation.mailboxes[owner], organisation.mailboxes[member])
        for owner, trustee in organisation.full_access
        if trustee < 0
        for member in organisation.principals[-1 - trustee].members
        if member >= 0 and organisation.mailboxes[member].kind is Kind.USER and member != owner
    ]
    owner, member = by_group[0]
    await by_exchangelib(lab, lambda: account(lab, member, address=owner.address).root)


async def test_who_stands_in_may_read_the_inbox_and_change_the_calendar(lab: Lab) -> None:
    anna, bert, _ = people(lab)
    bert.on_behalf = (anna.number,)

    assert not lab.web.people.may("full_access", anna, bert)

    def folder(kind: Any) -> Any:
        """Without asking for the root first, which he may not see (protocols.md 2.4)."""
        his = account(lab, anna, address=bert.address)
        mailbox = exchangelib.Mailbox(email_address=bert.address)
        named = DistinguishedFolderId(id=kind.DISTINGUISHED_FOLDER_ID, mailbox=mailbox)
        one = kind(root=Root(account=his), _distinguished_id=named)
        found = SingleFolderQuerySet(account=his, folder=one).resolve()
        if isinstance(found, Exception):
            raise found
        return found

    def work() -> None:
        inbox, calendar = folder(Inbox), folder(Calendar)
        assert inbox.total_count == lab.world.contents.count(bert, "inbox")
        assert calendar.total_count == lab.world.contents.count(bert, "calendar")
        with pytest.raises(ErrorItemNotFound):
            folder(SentItems)
        with pytest.raises(ErrorFolderNotFound):
            account(lab, anna, address=bert.address).root  # noqa: B018  asks
        read = inbox.all().only("subject")[0]
        with pytest.raises(ErrorAccessDenied):
            read.delete()
        calendar.all().only("subject")[0].delete(send_meeting_cancellations="SendToNone")
        assert calendar.all().count() == lab.world.contents.count(bert, "calendar")

    await by_exchangelib(lab, work)


async def test_sending_as_somebody_needs_the_right(lab: Lab) -> None:
    anna, bert, shared = people(lab)

    def send() -> str:
        mail = Message(
            account=account(lab, anna), subject=TOKEN, to_recipients=[bert.address],
            author=exchangelib.Mailbox(email_address=shared.address),
        )  # fmt: skip
        mail.send(save_copy=False)
        (found,) = account(lab, bert).inbox.filter(subject=TOKEN)
        return str(found.author.email_address)

    with pytest.raises(ErrorSendAsDenied):
        await by_exchangelib(lab, send)
    lab.organisation.send_as.grant(shared.number, anna.number)
    assert await by_exchangelib(lab, send) == shared.address


async def test_a_delegate_on_another_version_is_refused_until_both_have_moved(lab: Lab) -> None:
    anna, _, shared = people(lab)
    lab.organisation.full_access.grant(shared.number, anna.number)

    def work() -> None:
        assert account(lab, anna, address=shared.address, server="ls-ex1").root.id

    await by_exchangelib(lab, work)
    anna.database = target(lab)
    with pytest.raises(ErrorWrongServerVersionDelegate):
        await by_exchangelib(lab, work)
    shared.database = target(lab)
    await by_exchangelib(lab, work)


# what stands in the way


async def test_an_unknown_or_disabled_mailbox_does_not_exist(lab: Lab) -> None:
    anna, bert, _ = people(lab)

    def work(address: str) -> None:
        account(lab, anna, address=address).root  # noqa: B018  asks

    with pytest.raises(ErrorNonExistentMailbox):
        await by_exchangelib(lab, lambda: work("nobody@lindenstadt.example"))
    lab.organisation.disable(bert)
    with pytest.raises(ErrorNonExistentMailbox):
        await by_exchangelib(lab, lambda: work(bert.address))


async def test_a_dismounted_database_is_unavailable_and_comes_back(lab: Lab) -> None:
    anna, _, _ = people(lab)
    database = lab.organisation.databases[anna.database]

    def work() -> None:
        account(lab, anna, server="ls-ex1").root  # noqa: B018  asks

    lab.organisation.dismount(database)
    with pytest.raises(ErrorMailboxStoreUnavailable):
        await by_exchangelib(lab, work)
    lab.organisation.mount(database)
    await by_exchangelib(lab, work)


async def test_a_move_locks_the_mailbox_only_while_it_completes(lab: Lab) -> None:
    anna, _, _ = people(lab)
    move = lab.organisation.move(anna, target(lab))

    def work() -> str:
        return str(account(lab, anna, server="ls-ex1").root.name)

    assert await by_exchangelib(lab, work) == "root"
    for _ in range(5000):
        if move.status(lab.organisation.now) == "CompletionInProgress":
            break
        lab.world.advance(timedelta(seconds=2))
    with pytest.raises(ErrorMailboxMoveInProgress):
        await by_exchangelib(lab, work)
    while move.ended is None:
        lab.world.advance(timedelta(seconds=30))
    assert anna.database == target(lab)
    assert await by_exchangelib(lab, work) == "root"


async def test_a_wrong_password_is_told_as_such(lab: Lab) -> None:
    anna, _, _ = people(lab)

    def work() -> None:
        account(lab, anna, secret="wrong").root  # noqa: B018  asks

    with pytest.raises(UnauthorizedError):
        await by_exchangelib(lab, work)
