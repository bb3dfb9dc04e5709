"""Messages of every kind, for laws."""

from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from mailmig.wire.mapihttp import address_book as book
from mailmig.wire.mapihttp import entries, mailbox, restrictions, rops
from mailmig.wire.mapihttp.properties import (
    SEVERAL,
    Cell,
    Place,
    PropertyError,
    PropertyType,
    is_preceded,
)

U8, U16 = st.integers(0, 2**8 - 1), st.integers(0, 2**16 - 1)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
CODE = st.integers(1, 2**32 - 1)
ASCII = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=60)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
RAW = st.binary(max_size=40)
FOLDER_ID = st.binary(min_size=8, max_size=8)


def signed(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


VALUES: dict[int, st.SearchStrategy[Any]] = {
    PropertyType.INTEGER16: signed(16),
    PropertyType.INTEGER32: signed(32),
    PropertyType.FLOATING32: st.floats(width=32, allow_nan=False),
    PropertyType.FLOATING64: st.floats(allow_nan=False),
    PropertyType.CURRENCY: signed(64),
    PropertyType.FLOATING_TIME: st.floats(allow_nan=False),
    PropertyType.ERROR_CODE: U32,
    PropertyType.BOOLEAN: st.booleans(),
    PropertyType.INTEGER64: signed(64),
    PropertyType.STRING8: ASCII,
    PropertyType.STRING: TEXT,
    PropertyType.TIME: U64,
    PropertyType.GUID: st.uuids(),
    PropertyType.BINARY: RAW,
}
VALUES |= {kind | SEVERAL: st.lists(one, max_size=3).map(tuple) for kind, one in VALUES.items()}
TAGS = st.builds(lambda name, kind: name << 16 | kind, U16, st.sampled_from(sorted(VALUES)))
TAG_TUPLES = st.lists(TAGS, max_size=5).map(tuple)


def value_of(tag: int) -> st.SearchStrategy[Any]:
    return VALUES[tag & 0xFFFF]


def row_of(tags: tuple[int, ...]) -> st.SearchStrategy[tuple[Cell, ...]]:
    missing = st.none() | st.builds(PropertyError, U32)
    return st.tuples(*(value_of(tag) | missing for tag in tags))


def table_of(tags: tuple[int, ...]) -> st.SearchStrategy[book.Table]:
    return st.builds(book.Table, st.just(tags), st.lists(row_of(tags), max_size=4).map(tuple))


def pair_of(tag: int) -> st.SearchStrategy[tuple[int, Any]]:
    """A tag with a value; only some types can be absent."""
    value = value_of(tag) | st.none() if is_preceded(tag) else value_of(tag)
    return st.tuples(st.just(tag), value)


PAIRS = st.none() | st.lists(TAGS.flatmap(pair_of), max_size=5).map(tuple)
TABLES = st.none() | TAG_TUPLES.flatmap(table_of)
STATS = st.none() | st.builds(book.Stat, U32, U32, U32, signed(32), U32, U32, U32, U32, U32)
NUMBERS = st.none() | st.lists(U32, max_size=4).map(tuple)
TAGGED = TAGS.flatmap(lambda tag: st.tuples(st.just(tag), value_of(tag)))
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.builds(lambda t, low, high: restrictions.Content(t[0], t[1], low, high), TAGGED, U16, U16),
    st.builds(lambda t, relation: restrictions.Compare(t[0], relation, t[1]), TAGGED, U8),
    st.builds(restrictions.CompareProperties, U32, U8, U32),
    st.builds(restrictions.BitMask, U32, U32, st.booleans()),
    st.builds(restrictions.Size, U32, U8, U32),
    st.builds(restrictions.Exists, U32),
)
RESTRICTIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(restrictions.Not, inner)
        | st.builds(restrictions.And, st.lists(inner, max_size=3).map(tuple))
        | st.builds(restrictions.Or, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=6,
)

BODIES: dict[str, st.SearchStrategy[Any]] = {
    "ConnectRequest": st.builds(mailbox.ConnectRequest, ASCII, U32, U32, U32, U32, RAW),
    "ConnectResponse": st.builds(mailbox.ConnectResponse, U32, U32, U32, U32, ASCII, TEXT, RAW),
    "ExecuteRequest": st.builds(mailbox.ExecuteRequest, RAW, U32, U32, RAW),
    "ExecuteResponse": st.builds(mailbox.ExecuteResponse, RAW, U32, U32, RAW),
    "DisconnectRequest": st.builds(mailbox.DisconnectRequest, RAW),
    "DisconnectResponse": st.builds(mailbox.DisconnectResponse, U32, RAW),
    "Failure": st.builds(mailbox.Failure, CODE, RAW),
    "BindRequest": st.builds(book.BindRequest, STATS, U32, RAW),
    "BindResponse": st.builds(book.BindResponse, st.uuids(), U32, RAW),
    "UnbindRequest": st.builds(book.UnbindRequest, U32, RAW),
    "UnbindResponse": st.builds(book.UnbindResponse, U32, RAW),
    "UrlRequest": st.builds(book.UrlRequest, TEXT, U32, RAW),
    "UrlResponse": st.builds(book.UrlResponse, TEXT, U32, RAW),
    "ResolveNamesRequest": st.builds(
        book.ResolveNamesRequest,
        st.none() | st.lists(TEXT, max_size=3).map(tuple), NUMBERS, STATS, U32, RAW,
    ),
    "ResolveNamesResponse": st.builds(
        book.ResolveNamesResponse, NUMBERS, TABLES, U32, U32, RAW
    ),
    "GetMatchesRequest": st.builds(
        book.GetMatchesRequest, st.none() | RESTRICTIONS, U32, NUMBERS, STATS, NUMBERS,
        st.none() | st.tuples(st.uuids(), U32), U32, U32, RAW,
    ),
    "GetMatchesResponse": st.builds(
        book.GetMatchesResponse, STATS, NUMBERS, TABLES, U32, RAW
    ),
    "GetPropsRequest": st.builds(entries.GetPropsRequest, NUMBERS, STATS, U32, RAW),
    "GetPropsResponse": st.builds(entries.GetPropsResponse, PAIRS, U32, U32, RAW),
    "QueryRowsRequest": st.builds(
        entries.QueryRowsRequest, U32, NUMBERS, st.lists(U32, max_size=4).map(tuple), STATS, U32,
        RAW,
    ),
    "QueryRowsResponse": st.builds(entries.QueryRowsResponse, STATS, TABLES, U32, RAW),
    "DnToMidRequest": st.builds(
        entries.DnToMidRequest, st.none() | st.lists(ASCII, max_size=3).map(tuple), U32, RAW
    ),
    "DnToMidResponse": st.builds(entries.DnToMidResponse, NUMBERS, U32, RAW),
    "CompareMidsRequest": st.builds(entries.CompareMidsRequest, U32, U32, STATS, U32, RAW),
    "CompareMidsResponse": st.builds(entries.CompareMidsResponse, signed(32), U32, RAW),
}  # fmt: skip

SECONDS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
REQUESTS: dict[str, st.SearchStrategy[Any]] = {
    "Logon": st.builds(rops.Logon, ASCII, U8, U8, U8, U32, U32),
    "OpenFolder": st.builds(rops.OpenFolder, FOLDER_ID, U8, U8, U8, U8),
    "GetProperties": st.builds(rops.GetProperties, TAG_TUPLES, U8, U8, U16, U16),
    "Release": st.builds(rops.Release, U8, U8),
}
LOGGED_ON = st.builds(
    rops.LoggedOn, st.lists(FOLDER_ID, min_size=13, max_size=13).map(tuple), U8, st.uuids(),
    st.none() | SECONDS, U16, st.uuids(), U64, U32, U8.map(lambda flags: flags | 1), U8,
)  # fmt: skip
OPENED = st.builds(
    rops.Opened, U8, U8, st.none() | st.lists(ASCII, max_size=3).map(tuple)
) | st.builds(rops.Opened, U8, U8, st.just(("a", "b")), U16)
LAST = st.builds(rops.BufferTooSmall, U16, RAW) | st.builds(rops.Backoff, U8, U32, RAW)


def answer_to(request: Any) -> st.SearchStrategy[Any]:
    """An answer that this request may get; `None` when it gets none."""
    code = CODE.filter(lambda value: value != 0x478)
    refused = st.builds(rops.Refused, st.just(request.ID), U8, code)
    match request:
        case rops.Logon():
            return LOGGED_ON | refused | st.builds(rops.Redirected, ASCII, U8, U8)
        case rops.OpenFolder():
            return OPENED | refused
        case rops.GetProperties(tags):
            return refused | st.builds(rops.Properties, st.just(tags), row_of(tags), U8)
        case _:
            return st.none()


def exchange_of(
    asked: list[Any],
) -> st.SearchStrategy[tuple[list[Any], list[Any]]]:
    """The requests, and answers to all of them; perhaps `Pending` or one that ends it."""
    tail = st.lists(st.builds(rops.Pending, U16), max_size=2) | LAST.map(lambda last: [last])
    return st.tuples(*map(answer_to, asked), tail).map(
        lambda drawn: (asked, [one for one in drawn[:-1] if one is not None] + drawn[-1])
    )


ASKED = st.lists(st.one_of(*REQUESTS.values()), max_size=4)
EXCHANGES = ASKED.flatmap(exchange_of)
HANDLES = st.lists(U32, max_size=4).map(tuple)
PLACES = st.sampled_from(Place)
