"""The address-book endpoint over MAPI/HTTP: names, entries, URLs."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from mailmig.lab.population import Mailbox
from mailmig.lab.rows import ORDINARY
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.mapi.entries import END, mid
from mailmig.model.directory import Kind
from mailmig.wire.mapihttp import address_book as book
from mailmig.wire.mapihttp import entries, restrictions
from mailmig.wire.mapihttp.address_book import Stat, Table
from mailmig.wire.mapihttp.codes import ErrorCode, ResponseCode
from mailmig.wire.mapihttp.head import MailboxUrl
from mailmig.wire.mapihttp.mailbox import Answer
from mailmig.wire.mapihttp.octets import Message
from mailmig.wire.mapihttp.properties import (
    ANR,
    DEPARTMENT,
    DISPLAY_NAME,
    EMAIL_ADDRESS,
    ENTRY_ID,
    SMTP_ADDRESS,
)
from tests.lab.remote_servers import outside
from tests.lab.web.clients import session, staff
from tests.lab.web.mapi_client import Client, client

Kind_ = TypeVar("Kind_", bound=Answer)


async def played(lab: Lab, play: Callable[[Client, Mailbox], Any], **where: Any) -> Any:
    """Play a dialogue as the first of the staff, who is bound."""

    def in_thread() -> Any:
        anna = staff(lab)[0]
        with client(lab, anna, part="nspi", **where) as found:
            bound = answer(found, "Bind", book.BindRequest(), book.BindResponse)
            assert bound.error_code == 0
            return play(found, anna)

    return await outside(in_thread)


def answer(asked: Client, kind: str, request: Message, response: type[Kind_]) -> Kind_:
    """What comes back to a request, without a failure."""
    return response.decode(asked.ask(kind, request.encode()).body)


def resolved(asked: Client, *names: str) -> book.ResolveNamesResponse:
    request = book.ResolveNamesRequest(names, (DISPLAY_NAME, SMTP_ADDRESS, EMAIL_ADDRESS))
    return answer(asked, "ResolveNames", request, book.ResolveNamesResponse)


def url(asked: Client, kind: str, dn: str) -> book.UrlResponse:
    return answer(asked, kind, book.UrlRequest(dn), book.UrlResponse)


async def test_bind_begins_a_session_and_unbind_ends_it(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox) -> None:
        gone = answer(asked, "UNBIND", book.UnbindRequest(), book.UnbindResponse)
        assert gone.error_code == book.UNBOUND
        assert asked.ask("Unbind", book.UnbindRequest().encode()).code == 10
        utf_16 = book.BindRequest(Stat(code_page=1200))
        refused = answer(asked, "Bind", utf_16, book.BindResponse)
        assert refused.error_code == ErrorCode.ecInvalidCodePage

    await played(lab, play)


@pytest.mark.parametrize("kind", ["Connect", "ModProps", "SeekEntries"])
async def test_what_the_endpoint_does_not_do_is_no_request_type(lab: Lab, kind: str) -> None:
    def play(asked: Client, anna: Mailbox) -> int:
        return asked.ask(kind, bytes(8)).code

    assert await played(lab, play) == ResponseCode.INVALID_REQUEST_TYPE


async def test_names_are_resolved_or_ambiguous_or_unknown(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox) -> None:
        dn = lab.web.people.legacy(anna)
        assert dn.isascii()
        names = (anna.address, f"SMTP:{anna.address}", dn.upper(), anna.alias, "nobody@x.example")
        found = resolved(asked, *names)
        assert found.minimal_ids == (*[mid(anna)] * 4, book.NOT_FOUND)
        row = (anna.display_name, anna.address, dn)
        assert found.table is not None and found.table.rows == (row,) * 4
        assert resolved(asked, "").minimal_ids == (book.NOT_FOUND,)
        letters = "abcdefghijklmnopqrstuvwxyz"
        several = [one for one in resolved(asked, *letters).minimal_ids or () if one == 1]
        assert several  # among twenty people two begin alike

    await played(lab, play)


async def test_who_is_hidden_or_gone_is_not_in_the_list(lab: Lab) -> None:
    hidden, gone = staff(lab)[1:3]
    hidden.hidden = True
    lab.organisation.disable(gone)

    def play(asked: Client, anna: Mailbox) -> None:
        assert resolved(asked, hidden.address, gone.address).minimal_ids == (0, 0)
        request = entries.QueryRowsRequest(500, (SMTP_ADDRESS,))
        listed = answer(asked, "QueryRows", request, entries.QueryRowsResponse).table
        assert listed is not None
        expected = {one.address for one in lab.organisation.present(*ORDINARY) if not one.hidden}
        assert {row[0] for row in listed.rows} == expected
        assert hidden.address not in expected and gone.address not in expected

    await played(lab, play)


async def test_pages_of_rows_make_the_whole_list_in_order(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox) -> None:
        stat, names, ids = Stat(), [], []
        while stat.current_record != END:
            request = entries.QueryRowsRequest(7, (DISPLAY_NAME, ENTRY_ID), (), stat)
            found = answer(asked, "QueryRows", request, entries.QueryRowsResponse)
            assert found.table is not None and found.stat is not None
            assert 0 < len(found.table.rows) <= 7
            names += [str(row[0]) for row in found.table.rows]
            ids += [row[1] for row in found.table.rows]
            stat = found.stat
        assert stat.total_records == len(names) == len(set(ids))
        present = [one for one in lab.organisation.present(*ORDINARY) if not one.hidden]
        assert sorted(names) == sorted(one.display_name for one in present)
        first, last = (next(one for one in present if one.display_name == names[at])
                       for at in (0, -1))  # fmt: skip

        def compared(one: int, other: int) -> entries.CompareMidsResponse:
            request = entries.CompareMidsRequest(one, other)
            return answer(asked, "CompareMinIds", request, entries.CompareMidsResponse)

        assert compared(mid(first), mid(last)).result == -1
        assert compared(mid(last), mid(first)).result == 1
        assert compared(mid(last), mid(last)).result == 0
        assert compared(mid(last), 5).error_code == ErrorCode.ecError

    await played(lab, play)


async def test_an_entry_tells_its_properties_and_what_it_lacks(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox) -> None:
        dn = lab.web.people.legacy(anna)
        named = entries.DnToMidRequest((dn, "/o=Nowhere"))
        mids = answer(asked, "DNToMId", named, entries.DnToMidResponse).minimal_ids
        assert mids == (mid(anna), book.NOT_FOUND)
        stat = Stat(current_record=mid(anna))

        def props(tags: tuple[int, ...] | None, at: Stat) -> entries.GetPropsResponse:
            request = entries.GetPropsRequest(tags, at)
            return answer(asked, "GetProps", request, entries.GetPropsResponse)

        anna.title = ""
        found = props((DISPLAY_NAME, 0x3A17001F, 0x3001001E), stat)
        assert found.error_code == ErrorCode.ecErrorsReturned
        assert found.values == (
            (DISPLAY_NAME, anna.display_name), (0x3A17000A, ErrorCode.ecNotFound),
            (0x3001001E, anna.display_name.encode("ascii", "replace").decode()),
        )  # fmt: skip
        everything = dict(props(None, stat).values or ())
        assert everything[SMTP_ADDRESS] == anna.address
        assert everything[EMAIL_ADDRESS] == dn
        assert 0x3A17001F not in everything and 0x3A17000A not in everything
        assert props(None, Stat(current_record=5)).error_code == ErrorCode.ecNotFound

    await played(lab, play)


async def test_a_filter_finds_what_it_says(lab: Lab) -> None:
    def play(asked: Client, anna: Mailbox) -> None:
        def matched(restriction: restrictions.Restriction, most: int = 50) -> Any:
            request = book.GetMatchesRequest(restriction, most, (SMTP_ADDRESS,))
            return answer(asked, "GetMatches", request, book.GetMatchesResponse)

        own = matched(restrictions.Compare(ANR, 4, anna.address))
        assert own.minimal_ids == (mid(anna),)
        assert own.table == Table((SMTP_ADDRESS,), ((anna.address,),))
        office = restrictions.Compare(DEPARTMENT, 4, anna.department.upper())
        found = {row[0] for row in matched(office).table.rows}
        assert found == {
            one.address for one in lab.organisation.present(*ORDINARY)
            if one.department == anna.department and not one.hidden
        }  # fmt: skip
        one = restrictions.Content(SMTP_ADDRESS, anna.alias, 2, 1)
        assert anna.address in {row[0] for row in matched(one).table.rows}
        neither = restrictions.And((office, restrictions.Not(office)))
        assert matched(neither).minimal_ids == ()
        everybody = restrictions.Or((restrictions.Exists(SMTP_ADDRESS), office))
        assert matched(everybody, 3).error_code == ErrorCode.ecTableTooBig
        assert matched(everybody, 3).table is None

    await played(lab, play)


async def test_a_servers_dn_leads_to_the_url_of_the_mailbox_inside_and_outside(lab: Lab) -> None:
    shared = next(lab.organisation.present(Kind.SHARED))
    target = next(one.name for one in lab.organisation.databases.values() if one.server == "LS-EX1")
    shared.database = target
    people = lab.web.people
    dn = people.places.legacy_server(people.mailbox_id(shared))

    def play(asked: Client, anna: Mailbox) -> None:
        inside = url(asked, "GetMailboxUrl", dn)
        assert inside.error_code == 0
        parsed = MailboxUrl.parse(inside.url)
        assert parsed.host == f"ls-ex1.{lab.organisation.domain}"
        assert str(parsed.mailbox_guid) == shared.exchange_guid
        own = MailboxUrl.parse(url(asked, "GetAddressBookUrl", people.legacy(anna)).url)
        assert (own.endpoint, str(own.mailbox_guid)) == ("nspi", anna.exchange_guid)
        for nobody in ("/o=Lab/cn=Servers/cn=none@x", "LS-EX1", ""):
            assert url(asked, "GetMailboxUrl", nobody).error_code == ErrorCode.ecNotFound
        with session(lab, mail_lindenstadt_example="ls-ex16") as http:
            http.auth = asked.http.auth
            service = lab.organisation.namespace
            outside_ = Client(
                http, asked.url.replace(f"ls-ex16.{lab.organisation.domain}", service)
            )
            answer(outside_, "Bind", book.BindRequest(), book.BindResponse)
            found = url(outside_, "GetMailboxUrl", dn)
            assert MailboxUrl.parse(found.url).host == service

    await played(lab, play)
