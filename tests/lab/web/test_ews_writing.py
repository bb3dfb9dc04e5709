"""What people do with their mail in EWS, by exchangelib: write, change, move, attach, plan."""

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import exchangelib
import pytest
from exchangelib import (
    Account,
    CalendarItem,
    EWSDateTime,
    ExtendedProperty,
    FileAttachment,
    HTMLBody,
    Message,
)
from exchangelib.errors import (
    ErrorInvalidPropertyRequest,
    ErrorInvalidRequest,
    ErrorItemNotFound,
    ErrorMailboxFailover,
    ErrorMimeContentInvalidBase64String,
    ErrorSendAsDenied,
    ErrorServerBusy,
)
from exchangelib.folders import Inbox, SingleFolderQuerySet
from exchangelib.properties import DistinguishedFolderId, ItemId
from exchangelib.services import GetItem

from mailmig.lab.activating import activate
from mailmig.lab.contents import FOLDERS, is_recoverable
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.model.directory import Kind
from tests.lab.remote_servers import outside
from tests.lab.web.clients import account, exchange, staff

SUBJECT = "Angebot äöü <1> & mehr"
HTML = "<html><head><title>x</title></head><body><p>Grüße &amp; mehr<br>bald</p></body></html>"
FILE = bytes(range(256)) * 40


class Token(ExtendedProperty):  # type: ignore[misc]
    """A property of our own, as probes leave them."""

    property_set_id = "0f4b2a6e-0d2f-4c5e-9a77-3f6c1b9d7e10"
    property_name = "mailmig-token"
    property_type = "String"


async def by_exchangelib(lab: Lab, work: Callable[[], Any]) -> Any:
    def run() -> Any:
        with exchange(lab):
            return work()

    return await outside(run)


def two(lab: Lab) -> tuple[Mailbox, Mailbox]:
    anna, bert = staff(lab)[:2]
    return anna, bert


def newest(one: Account) -> Any:
    return one.inbox.all().order_by("-datetime_received")[0]


def adds_up(lab: Lab, mailbox: Mailbox) -> bool:
    """Whether the folders hold what the statistics say."""
    contents = lab.world.contents
    keys = [key for key in FOLDERS if not is_recoverable(key)]
    return (
        sum(contents.size(mailbox, key) for key in keys) == mailbox.used
        and sum(contents.count(mailbox, key) for key in keys) == mailbox.items
    )


async def test_mail_is_marked_read_and_unread(lab: Lab) -> None:
    anna, bert = two(lab)

    def work() -> None:
        mine = account(lab, anna)
        Message(account=account(lab, bert), subject=SUBJECT, to_recipients=[anna.address]).send()
        before = anna.used
        for one in (newest(mine), mine.inbox.all().order_by("datetime_received")[0]):
            for read in (True, False):
                one.is_read = read
                one.save(update_fields=["is_read"])
                (again,) = mine.inbox.filter(subject=one.subject).only("is_read", "id")[:1]
                assert (again.id, again.is_read) == (one.id, read)
        mine.inbox.refresh()
        assert mine.inbox.unread_count == 2
        assert mine.inbox.filter(is_read=False).count() == 2
        assert anna.used == before and adds_up(lab, anna)

    await by_exchangelib(lab, work)


async def test_a_draft_is_written_changed_and_sent(lab: Lab) -> None:
    anna, bert = two(lab)

    def work() -> None:
        mine, his = account(lab, anna), account(lab, bert)
        draft = Message(
            account=mine, folder=mine.drafts, subject="first", body="one",
            to_recipients=[bert.address], bcc_recipients=[anna.address], importance="High",
            categories=["Umzug", "<rot>"],
        ).save()  # fmt: skip
        assert draft.id
        draft.refresh()
        assert draft.is_draft and draft.importance == "High"
        assert draft.categories == ["Umzug", "<rot>"]
        draft.subject, draft.body = SUBJECT, HTMLBody(HTML)
        draft.save()
        kept = mine.drafts.get(subject=SUBJECT)
        assert kept.id == draft.id and isinstance(kept.body, HTMLBody)
        assert kept.bcc_recipients[0].email_address == anna.address
        draft.categories = None
        draft.save(update_fields=["categories"])
        assert mine.drafts.get(subject=SUBJECT).categories is None
        draft.send()
        assert mine.drafts.filter(subject=SUBJECT).count() == 0
        for one in (mine, his):
            found = one.inbox.get(subject=SUBJECT)
            assert (found.body, found.importance) == (HTML, "High")
            assert not found.bcc_recipients and not found.is_read
        assert mine.sent.get(subject=SUBJECT).bcc_recipients
        assert adds_up(lab, anna) and adds_up(lab, bert)

    await by_exchangelib(lab, work)


async def test_a_draft_is_sent_while_it_is_changed(lab: Lab) -> None:
    anna, bert = two(lab)

    def work() -> None:
        mine = account(lab, anna)
        draft = Message(
            account=mine, folder=mine.drafts, subject="x", to_recipients=[bert.address]
        ).save()  # fmt: skip
        draft.subject = SUBJECT
        draft.send_and_save(update_fields=["subject"])
        assert mine.sent.filter(subject=SUBJECT).count() == 1
        assert mine.drafts.filter(subject=SUBJECT).count() == 0
        assert account(lab, bert).inbox.filter(subject=SUBJECT).count() == 1

    await by_exchangelib(lab, work)


async def test_the_body_comes_as_text_or_as_html(lab: Lab) -> None:
    anna, bert = two(lab)

    def body(one: Account, item: Any, kind: str) -> tuple[str, str]:
        """What GetItem gives with a body type; exchangelib leaves that to the server."""
        service = GetItem(account=one)
        fields = [exchangelib.fields.FieldPath(field=Message.get_field_by_fieldname("body"))]
        payload = service.get_payload(
            items=[ItemId(id=item.id, changekey=item.changekey)], additional_fields=fields,
            shape="IdOnly",
        )  # fmt: skip
        shape = payload[0]
        wanted = exchangelib.util.create_element("t:BodyType")
        wanted.text = kind
        shape.insert(1, wanted)
        (found,) = service._get_elements(payload=payload)
        element = next(part for part in found if part.tag.endswith("}Body"))
        return element.get("BodyType"), element.text

    def work() -> None:
        mine, his = account(lab, anna), account(lab, bert)
        for subject, text in (("html", HTMLBody(HTML)), ("text", "a <b>\nc")):
            Message(
                account=mine, subject=subject, body=text, to_recipients=[bert.address]
            ).send()  # fmt: skip
        html, text = his.inbox.get(subject="html"), his.inbox.get(subject="text")
        assert isinstance(html.body, HTMLBody) and html.body == HTML
        assert html.text_body.split() == ["Grüße", "&", "mehr", "bald"]
        assert not isinstance(text.body, HTMLBody) and text.body == "a <b>\nc"
        assert body(his, html, "Text") == ("Text", html.text_body)
        assert body(his, html, "Best") == body(his, html, "HTML") == ("HTML", HTML)
        assert body(his, text, "HTML") == ("HTML", "<html><body>a &lt;b&gt;<br>\nc</body></html>")
        assert body(his, text, "Best") == ("Text", "a <b>\nc")

    await by_exchangelib(lab, work)


async def test_mail_is_moved_and_copied_within_and_between_mailboxes(lab: Lab) -> None:
    anna, _ = two(lab)
    shared = next(lab.organisation.present(Kind.SHARED))
    lab.organisation.full_access.grant(shared.number, anna.number)

    def work() -> None:
        mine, theirs = account(lab, anna), account(lab, anna, address=shared.address)
        before = anna.used, anna.items, shared.used
        one = mine.inbox.all().order_by("datetime_received")[0]
        size, subject = one.size, one.subject
        one.move(mine.inbox / ("Invoices" if anna.number % 9 == 0 else "Rechnungen"))
        assert one.id and mine.inbox.filter(subject=subject).count() == 0
        one.refresh()
        assert one.subject == subject
        one.move(mine.trash)
        assert (anna.used, anna.items, shared.used) == before
        again, _ = one.copy(mine.junk)
        assert again != one.id and anna.used == before[0] + size
        one.move(theirs.inbox)
        assert one.id is None
        assert theirs.inbox.filter(subject=subject).count() >= 1
        assert (anna.used, shared.used) == (before[0], before[2] + size)
        assert adds_up(lab, anna) and adds_up(lab, shared)

    await by_exchangelib(lab, work)


async def test_many_are_created_changed_and_moved_at_once(lab: Lab) -> None:
    anna, _ = two(lab)

    def work() -> None:
        mine = account(lab, anna)
        new = [Message(folder=mine.drafts, subject=f"{SUBJECT} {n}") for n in range(5)]
        made = mine.bulk_create(folder=mine.drafts, items=new)
        assert all(mine.bulk_update(
            [(each, ("importance",)) for each in _high(mine.fetch(made))]
        ))  # fmt: skip
        moved = mine.bulk_move(made, mine.trash)
        found = list(mine.fetch(moved))
        assert {one.importance for one in found} == {"High"}
        assert mine.trash.filter(importance="High").count() == 5
        gone = mine.bulk_update([(each, ("importance",)) for each in found[:1] + found[:1]])
        assert len(gone) == 2
        assert mine.bulk_delete(moved) == [True] * 5
        missing = list(mine.fetch(moved))
        assert all(isinstance(one, ErrorItemNotFound) for one in missing) and len(missing) == 5

    await by_exchangelib(lab, work)


def _high(found: Any) -> Any:
    for one in found:
        one.importance = "High"
        yield one


async def test_files_travel_with_mail(lab: Lab) -> None:
    anna, bert = two(lab)
    used = bert.used

    def work() -> None:
        mine, his = account(lab, anna), account(lab, bert)
        mail = Message(account=mine, subject=SUBJECT, body="x", to_recipients=[bert.address])
        mail.attach(FileAttachment(name="Plan äöü.bin", content=FILE))
        mail.attach(
            FileAttachment(name="a.png", content=b"png", is_inline=True, content_id="a@b")
        )  # fmt: skip
        mail.send()
        found = his.inbox.get(subject=SUBJECT)
        assert found.has_attachments
        assert [(one.name, one.content_type) for one in found.attachments] == [
            ("Plan äöü.bin", "application/octet-stream"), ("a.png", "image/png"),
        ]  # fmt: skip
        file, picture = found.attachments
        assert (file.content, file.size, file.is_inline) == (FILE, len(FILE), False)
        assert (picture.content, picture.content_id, picture.is_inline) == (b"png", "a@b", True)
        assert bert.used - used == found.size > len(FILE)
        file.detach()
        assert his.inbox.get(subject=SUBJECT).attachments == [picture]
        found.attach(FileAttachment(name="b.txt", content=b"later"))
        again = his.inbox.get(subject=SUBJECT)
        assert [one.name for one in again.attachments] == ["a.png", "b.txt"]
        with again.attachments[1].fp as stream:
            assert stream.read() == b"later"
        assert b"later" not in again.mime_content  # encoded
        assert bert.used - used == again.size < len(FILE)
        with pytest.raises(ErrorInvalidRequest):
            found.attach(exchangelib.ItemAttachment(name="m", item=Message(subject="in it")))
        assert adds_up(lab, bert)

    await by_exchangelib(lab, work)


async def test_a_draft_with_a_file_is_told_the_id_of_the_file(lab: Lab) -> None:
    anna, _ = two(lab)

    def work() -> None:
        mine = account(lab, anna)
        draft = Message(account=mine, folder=mine.drafts, subject=SUBJECT)
        draft.attach(FileAttachment(name="a", content=b"a"))
        draft.save()
        (file,) = draft.attachments
        assert file.attachment_id
        draft.detach(file)
        assert mine.drafts.get(subject=SUBJECT).attachments == []

    await by_exchangelib(lab, work)


MIME = (
    "From: {sender}\r\nTo: {to}\r\nBcc: {bcc}\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    "X-Probe: 7\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{body}"
)


async def test_mail_is_written_as_mime_and_given_back_as_mime(lab: Lab) -> None:
    anna, bert = two(lab)

    def work() -> None:
        mine, his = account(lab, anna), account(lab, bert)
        raw = MIME.format(sender=anna.address, to=bert.address, bcc=anna.address, body=HTML)
        Message(account=mine, mime_content=raw.encode()).send()
        for one in (mine, his):
            found = one.inbox.get(subject="Grüße")
            assert found.body == HTML
            assert ("X-Probe", "7") in [(each.name, each.value) for each in found.headers]
            assert found.sender.email_address == anna.address
            content = found.mime_content
            assert b"X-Probe: 7\r\n" in content and b"Bcc" not in content
        saved = Message(account=his, folder=his.inbox, mime_content=content).save()
        saved.refresh()
        assert (saved.subject, saved.body) == ("Grüße", HTML)
        forged = MIME.format(sender=bert.address, to=bert.address, bcc="", body="x")
        with pytest.raises(ErrorSendAsDenied):
            Message(account=mine, mime_content=forged.encode()).send()

    await by_exchangelib(lab, work)


async def test_properties_of_ones_own_are_kept(lab: Lab) -> None:
    anna, bert = two(lab)

    def work() -> None:
        Message.register("token", Token)
        try:
            mine, his = account(lab, anna), account(lab, bert)
            Message(
                account=mine, subject=SUBJECT, to_recipients=[bert.address], token="4711 <&>"
            ).send()  # fmt: skip
            found = his.inbox.get(subject=SUBJECT)
            assert found.token == "4711 <&>"
            found.token = "other"
            found.save(update_fields=["token"])
            assert his.inbox.filter(subject=SUBJECT).only("token").get().token == "other"
            found.token = None
            found.save(update_fields=["token"])
            assert his.inbox.get(subject=SUBJECT).token is None
        finally:
            Message.deregister("token")

    await by_exchangelib(lab, work)


async def test_a_calendar_is_kept_and_seen_by_days(lab: Lab) -> None:
    anna, bert = two(lab)
    bert.on_behalf = (anna.number,)
    begin = EWSDateTime.from_datetime(lab.organisation.now.astimezone(UTC)) + timedelta(days=30)

    def day(one: Any, offset: int) -> list[str]:
        start = begin + timedelta(days=offset)
        return [each.subject for each in one.view(start=start, end=start + timedelta(days=1))]

    def work() -> None:
        mine = account(lab, anna)
        for offset in (1, 0):
            CalendarItem(
                account=mine, folder=mine.calendar, subject=f"day {offset}", location="Rathaus",
                start=begin + timedelta(days=offset, hours=1),
                end=begin + timedelta(days=offset, hours=2),
            ).save()  # fmt: skip
        assert (day(mine.calendar, 0), day(mine.calendar, 1)) == (["day 0"], ["day 1"])
        assert day(mine.calendar, 2) == []
        both = mine.calendar.view(start=begin, end=begin + timedelta(days=2))
        assert [one.subject for one in both] == ["day 0", "day 1"]
        one = mine.calendar.get(subject="day 0")
        assert (one.start, one.location) == (begin + timedelta(hours=1), "Rathaus")
        one.start, one.end = one.start + timedelta(days=5), one.end + timedelta(days=5)
        one.save(update_fields=["start", "end"])
        assert (day(mine.calendar, 0), day(mine.calendar, 5)) == ([], ["day 0"])
        old = list(mine.calendar.view(start=begin - timedelta(days=400), end=begin, max_items=3))
        assert [each.start for each in old] == sorted(each.start for each in old)
        assert len(old) == 3
        with pytest.raises(ErrorInvalidRequest):
            CalendarItem(
                account=mine, folder=mine.calendar, subject="x", start=begin, end=begin,
                required_attendees=[bert.address],
            ).save(send_meeting_invitations="SendToAllAndSaveCopy")  # fmt: skip
        assert adds_up(lab, anna)

    await by_exchangelib(lab, work)


async def test_what_cannot_be_set_is_refused(lab: Lab) -> None:
    anna, _ = two(lab)

    def work() -> None:
        mine = account(lab, anna)
        with pytest.raises(ErrorInvalidRequest):
            exchangelib.Contact(account=mine, folder=mine.contacts, display_name="x").save()
        with pytest.raises(ErrorInvalidRequest):
            Message(account=mine, folder=mine.calendar, subject="x").save()
        draft = Message(account=mine, folder=mine.drafts, subject=SUBJECT).save()
        service = exchangelib.services.UpdateItem(account=mine)
        for text, error in (
            ('<t:FieldURI FieldURI="item:Size"/>', "ErrorInvalidPropertySet"),
            ('<t:IndexedFieldURI FieldURI="x:y" FieldIndex="z"/>', "ErrorInvalidPropertyRequest"),
        ):
            with pytest.raises(getattr(exchangelib.errors, error)):
                _update(service, draft, text, "<t:Size>7</t:Size>")
        date = '<t:FieldURI FieldURI="item:ReminderIsSet"/>'
        _update(service, draft, date, "<t:ReminderIsSet>true</t:ReminderIsSet>")
        with pytest.raises(ErrorInvalidPropertyRequest):
            _update(
                service, draft, '<t:FieldURI FieldURI="calendar:Start"/>', "<t:Start>soon</t:Start>"
            )
        with pytest.raises(ErrorMimeContentInvalidBase64String):
            _update(
                service, draft, '<t:FieldURI FieldURI="item:MimeContent"/>',
                "<t:MimeContent>?</t:MimeContent>",
            )  # fmt: skip
        assert mine.drafts.get(subject=SUBJECT).reminder_is_set

    await by_exchangelib(lab, work)


def _update(service: Any, item: Any, path: str, value: str) -> None:
    """One SetItemField as it stands; exchangelib itself would not send it."""
    payload = service.get_payload(
        items=[(item, ["subject"])], conflict_resolution="AutoResolve",
        message_disposition="SaveOnly", send_meeting_invitations_or_cancellations="SendToNone",
        suppress_read_receipts=True,
    )  # fmt: skip
    (updates,) = payload.iter("{*}Updates")
    space = f'xmlns:t="{exchangelib.util.TNS}"'
    field = f"<t:SetItemField {space}>{path}<t:Message>{value}</t:Message></t:SetItemField>"
    updates[:] = [exchangelib.util.to_xml(iter([field.encode()])).getroot()]
    for found in service._get_elements(payload=payload):
        if isinstance(found, Exception):
            raise found


async def test_a_reader_changes_nothing(lab: Lab) -> None:
    anna, bert = two(lab)
    bert.on_behalf = (anna.number,)

    def work() -> None:
        his = account(lab, anna, address=bert.address)
        mailbox = exchangelib.Mailbox(email_address=bert.address)
        named = DistinguishedFolderId(id="inbox", mailbox=mailbox)
        folder = Inbox(
            root=exchangelib.folders.Root(account=his), _distinguished_id=named
        )  # fmt: skip
        inbox = SingleFolderQuerySet(account=his, folder=folder).resolve()
        one = inbox.all().only("subject", "is_read")[0]
        one.is_read = False
        with pytest.raises(exchangelib.errors.ErrorAccessDenied):
            one.save(update_fields=["is_read"])
        with pytest.raises(exchangelib.errors.ErrorAccessDenied):
            one.move(account(lab, anna).inbox)

    await by_exchangelib(lab, work)


async def test_a_database_that_was_just_switched_over_is_not_ready_yet(lab: Lab) -> None:
    anna, _ = two(lab)
    database = next(one for one in lab.organisation.databases.values() if one.dag)
    anna.database = database.name
    other = next(name for name in database.servers if name != database.server)

    def work() -> str:
        return str(account(lab, anna, server="ls-ex1").root.name)

    assert await by_exchangelib(lab, work) == "root"
    activate(lab.organisation, database, other)
    with pytest.raises(ErrorMailboxFailover):
        await by_exchangelib(lab, work)
    lab.world.advance(timedelta(seconds=6))
    assert await by_exchangelib(lab, work) == "root"


async def test_who_is_throttled_is_told_how_long_to_stay_away(lab: Lab) -> None:
    anna, bert = two(lab)
    lab.faults.on("ews-throttled", anna.account)

    def work(who: Mailbox) -> str:
        return str(account(lab, who).root.name)

    with pytest.raises(ErrorServerBusy) as caught:
        await by_exchangelib(lab, lambda: work(anna))
    assert caught.value.back_off == 297
    assert await by_exchangelib(lab, lambda: work(bert)) == "root"
    lab.faults.off("ews-throttled", anna.account)
    assert await by_exchangelib(lab, lambda: work(anna)) == "root"
