"""The address-book endpoint: from Bind to Unbind (protocols.md 1.10).

One container is known, the global address list. Request types that only browse or change the
directory (SeekEntries, ModProps, ...) are refused as unknown.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.web.mapi.contexts import Context, Contexts, Refused
from mailmig.lab.web.mapi.emsmdb import Done
from mailmig.lab.web.mapi.entries import DEFAULT, END, Entries, mid
from mailmig.lab.web.messages import Call
from mailmig.lab.web.people import People
from mailmig.wire.autodiscover.pox import MapiHttp, Urls
from mailmig.wire.mapihttp import address_book as book
from mailmig.wire.mapihttp import entries as bodies
from mailmig.wire.mapihttp import restrictions
from mailmig.wire.mapihttp.address_book import Stat, Table
from mailmig.wire.mapihttp.codes import Endpoint, ErrorCode, RequestType, ResponseCode
from mailmig.wire.mapihttp.mailbox import Answer
from mailmig.wire.mapihttp.properties import PropertyError, PropertyType, Row, Tags, Value

# UTF-16 is no code page for texts in 8 bits [MEM].
_UTF_16: Final = 1200
_MOST_ROWS: Final = 1000
# Names or conditions of one request. Each looks through all entries, and all others wait: the lab's
# own limit.
MOST_ASKED: Final = 500
_SERVERS: Final = "/cn=servers/cn="


class AddressBook:
    """What `/mapi/nspi` does; `urls` tells where clients reach a mailbox."""

    def __init__(
        self, people: People, contexts: Contexts, urls: Callable[[Mailbox], MapiHttp | None]
    ) -> None:
        self._people = people
        self._contexts = contexts
        self._urls = urls
        self._entries = Entries(people)
        self.requests: dict[RequestType, Callable[[Call, Mailbox | None], Done]] = {
            RequestType.BIND: self._bind,
            RequestType.UNBIND: self._unbind,
            RequestType.RESOLVE_NAMES: self._within(self._resolve),
            RequestType.GET_MATCHES: self._within(self._match),
            RequestType.GET_PROPS: self._within(self._props),
            RequestType.QUERY_ROWS: self._within(self._rows),
            RequestType.DN_TO_MID: self._within(self._mids),
            RequestType.COMPARE_MIDS: self._within(self._compare),
            RequestType.GET_MAILBOX_URL: self._within(self._mailbox_url),
            RequestType.GET_ADDRESS_BOOK_URL: self._within(self._book_url),
        }

    def _bind(self, call: Call, target: Mailbox | None) -> Done:
        asked = book.BindRequest.decode(call.request.body)
        server = UUID(guid(self._people.organisation.seed, call.server.name, "nspi"))
        if (asked.stat or Stat()).code_page == _UTF_16:
            return book.BindResponse(server, ErrorCode.ecInvalidCodePage).encode(), None
        context = self._contexts.open(call, Endpoint.ADDRESS_BOOK, target, None)
        return book.BindResponse(server).encode(), context

    def _unbind(self, call: Call, target: Mailbox | None) -> Done:
        context = self._context(call, target)
        book.UnbindRequest.decode(call.request.body)
        self._contexts.close(context)
        return book.UnbindResponse().encode(), None

    def _within(self, answer: Callable[[Call], Answer]) -> Callable[[Call, Mailbox | None], Done]:
        """An answer for who is bound."""

        def answered(call: Call, target: Mailbox | None) -> Done:
            context = self._context(call, target)
            return answer(call).encode(), context

        return answered

    def _context(self, call: Call, target: Mailbox | None) -> Context:
        return self._contexts.find(call, Endpoint.ADDRESS_BOOK, target)

    def _resolve(self, call: Call) -> Answer:
        asked = book.ResolveNamesRequest.decode(call.request.body)
        _limit(len(asked.names or ()))
        found = [self._entries.with_name(name) for name in asked.names or ()]
        resolved = [who[0] for who in found if len(who) == 1]
        code_page = (asked.stat or Stat()).code_page
        mids = tuple(map(_outcome, found))
        return book.ResolveNamesResponse(mids, self._table(resolved, asked.tags), code_page)

    def _match(self, call: Call) -> Answer:
        """More entries than are wanted are none at all."""
        asked = book.GetMatchesRequest.decode(call.request.body)
        if asked.restriction is not None:
            _limit(_conditions(asked.restriction))
            found = list(self._entries.matching(asked.restriction))
        else:
            found = self._given(asked.minimal_ids or ())
        if len(found) > asked.row_count:
            return book.GetMatchesResponse(asked.stat, error_code=ErrorCode.ecTableTooBig)
        mids = tuple(map(mid, found))
        return book.GetMatchesResponse(asked.stat, mids, self._table(found, asked.tags))

    def _props(self, call: Call) -> Answer:
        asked = bodies.GetPropsRequest.decode(call.request.body)
        stat = asked.stat or Stat()
        entry = self._entries.with_mid(stat.current_record)
        if entry is None:
            return bodies.GetPropsResponse(None, stat.code_page, ErrorCode.ecNotFound)
        tags = asked.tags
        if tags is None:  # then only what it has
            row = self._entries.row(entry, self._entries.tags)
            pairs = _pairs(self._entries.tags, row)
            there = tuple(one for one in pairs if one[0] & 0xFFFF != PropertyType.ERROR_CODE)
            return bodies.GetPropsResponse(there, stat.code_page)
        row = self._entries.row(entry, tags)
        some = any(isinstance(cell, PropertyError) for cell in row)
        code = ErrorCode.ecErrorsReturned if some else ErrorCode.ecNone
        return bodies.GetPropsResponse(_pairs(tags, row), stat.code_page, code)

    def _rows(self, call: Call) -> Answer:
        asked = bodies.QueryRowsRequest.decode(call.request.body)
        stat = asked.stat or Stat()
        if asked.minimal_ids:
            found = self._given(asked.minimal_ids[: asked.row_count])
            return bodies.QueryRowsResponse(stat, self._table(found, asked.tags))
        listed = self._entries.listed()
        start = max(0, self._position(listed, stat) + stat.delta)
        end = min(len(listed), start + min(asked.row_count, _MOST_ROWS))
        behind = replace(
            stat, delta=0, position=end, total_records=len(listed),
            current_record=mid(listed[end]) if end < len(listed) else END,
        )  # fmt: skip
        return bodies.QueryRowsResponse(behind, self._table(listed[start:end], asked.tags))

    def _mids(self, call: Call) -> Answer:
        asked = bodies.DnToMidRequest.decode(call.request.body)
        found = [self._people.with_legacy(name) for name in asked.names or ()]
        return bodies.DnToMidResponse(
            tuple(book.NOT_FOUND if one is None else mid(one) for one in found)
        )

    def _compare(self, call: Call) -> Answer:
        asked = bodies.CompareMidsRequest.decode(call.request.body)
        listed = self._entries.listed()
        places = {mid(one): place for place, one in enumerate(listed)}
        one, other = places.get(asked.one), places.get(asked.other)
        if one is None or other is None:
            return bodies.CompareMidsResponse(0, ErrorCode.ecError)
        return bodies.CompareMidsResponse((one > other) - (one < other))

    def _mailbox_url(self, call: Call) -> Answer:
        """The last part of the DN names the mailbox, as in a redirect."""
        asked = book.UrlRequest.decode(call.request.body)
        _, found, name = asked.dn.lower().rpartition(_SERVERS)
        named = self._people.known(name.partition("@")[0]) if found else None
        return self._url(call, named, lambda urls: urls.mail_store)

    def _book_url(self, call: Call) -> Answer:
        asked = book.UrlRequest.decode(call.request.body)
        return self._url(call, self._people.with_legacy(asked.dn), lambda urls: urls.address_book)

    def _url(
        self, call: Call, mailbox: Mailbox | None, part: Callable[[MapiHttp], Urls | None]
    ) -> Answer:
        """The address outside for who came by such a one, else that inside."""
        known = None if mailbox is None else self._urls(mailbox)
        urls = None if known is None else part(known)
        if urls is None:
            return book.UrlResponse("", ErrorCode.ecNotFound)
        host = call.request.host.partition(":")[0].lower()
        outside = urls.external if urlsplit(urls.external or "").hostname == host else None
        return book.UrlResponse(outside or urls.internal or urls.external or "")

    def _given(self, mids: tuple[int, ...]) -> list[Mailbox]:
        found = map(self._entries.with_mid, mids)
        return [one for one in found if one is not None]

    def _table(self, found: list[Mailbox], tags: Tags | None) -> Table:
        tags = DEFAULT if tags is None else tags
        return Table(tags, tuple(self._entries.row(one, tags) for one in found))

    def _position(self, listed: list[Mailbox], stat: Stat) -> int:
        """Where one stands: at an entry, behind the last one, or at the beginning."""
        if stat.current_record == END:
            return len(listed)
        mids = list(map(mid, listed))
        return mids.index(stat.current_record) if stat.current_record in mids else 0


def _limit(count: int) -> None:
    if count > MOST_ASKED:
        raise Refused(ResponseCode.TOO_LARGE, f"{count:,} names or conditions at once")


def _conditions(restriction: restrictions.Restriction) -> int:
    """Itself and those in it."""
    match restriction:
        case restrictions.And(parts) | restrictions.Or(parts):
            return 1 + sum(map(_conditions, parts))
        case restrictions.Not(part):
            return 1 + _conditions(part)
        case _:
            return 1


def _outcome(found: list[Mailbox]) -> int:
    """What a name became."""
    if not found:
        return book.NOT_FOUND
    return mid(found[0]) if len(found) == 1 else book.AMBIGUOUS


def _pairs(tags: Tags, row: Row) -> tuple[tuple[int, Value | None], ...]:
    """Tags with values; what is missing has the type of an error code."""
    return tuple(
        (tag & ~0xFFFF | PropertyType.ERROR_CODE, cell.code)
        if isinstance(cell, PropertyError)
        else (tag, cell)
        for tag, cell in zip(tags, row, strict=True)
    )
