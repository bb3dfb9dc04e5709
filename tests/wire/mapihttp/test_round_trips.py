"""What was written is read again, for every kind of message; and what cannot be written."""

import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.wire.mapihttp import address_book as book
from mailmig.wire.mapihttp import mailbox, properties, restrictions, rops
from mailmig.wire.mapihttp.mailbox import Answer, Failure
from mailmig.wire.mapihttp.octets import BadMapi, Reader, Writer
from mailmig.wire.mapihttp.properties import Place, PropertyError, read_row, write_row
from mailmig.wire.mapihttp.rop_buffer import (
    XOR_MAGIC,
    RopRequests,
    RopResponses,
    decode_responses,
    encode_responses,
)
from tests.wire.mapihttp.samples import LOGON, SALES, vector
from tests.wire.mapihttp.strategies import (
    ASKED,
    BODIES,
    EXCHANGES,
    HANDLES,
    PLACES,
    RAW,
    REQUESTS,
    TAG_TUPLES,
    U32,
    row_of,
)


@pytest.mark.parametrize("kind", BODIES)
@given(data=st.data())
def test_a_body_that_was_written_is_read_again(kind: str, data: st.DataObject) -> None:
    message = data.draw(BODIES[kind])
    assert type(message).decode(message.encode()) == message
    if isinstance(message, Answer):
        assert type(message).decode_answer(message.encode()) == message


@pytest.mark.parametrize("kind", REQUESTS)
@given(data=st.data())
def test_an_operation_that_was_written_is_read_again(kind: str, data: st.DataObject) -> None:
    operation = data.draw(REQUESTS[kind])
    assert type(operation).decode(operation.encode()) == operation


@given(ASKED, HANDLES)
def test_a_buffer_of_operations_is_read_again(asked: list[Any], handles: tuple[int, ...]) -> None:
    requests = RopRequests(tuple(asked), handles)
    assert RopRequests.decode(requests.encode()) == requests


@given(EXCHANGES, HANDLES)
def test_answers_are_read_again_with_what_was_asked(
    exchange: tuple[list[Any], list[Any]], handles: tuple[int, ...]
) -> None:
    asked, answers = exchange
    responses = RopResponses(tuple(answers), handles)
    assert RopResponses.decode(responses.encode(), asked) == responses


@given(st.lists(EXCHANGES, min_size=1, max_size=3), HANDLES)
def test_several_blocks_are_read_again(
    exchanges: list[tuple[list[Any], list[Any]]], handles: tuple[int, ...]
) -> None:
    # An answer that ends a buffer leaves its requests open; here it stands behind all of them.
    blocks = tuple(RopResponses(tuple(answers), handles) for _, answers in exchanges)
    asked = [request for requests, _ in exchanges for request in requests]
    assert decode_responses(encode_responses(blocks), asked) == blocks


@given(TAG_TUPLES.flatmap(lambda tags: st.tuples(st.just(tags), row_of(tags))), PLACES)
def test_a_row_is_read_again_in_both_places(
    drawn: tuple[tuple[int, ...], tuple[Any, ...]], place: Place
) -> None:
    tags, row = drawn
    out = Writer("row")
    write_row(out, tags, row, place)
    raw = Reader("row", bytes(out.raw))
    assert read_row(raw, tags, place) == row
    raw.finish()


@given(U32.filter(bool), U32, RAW)
def test_the_size_of_a_failure_is_clamped_to_what_is_there(
    status: int, size: int, rest: bytes
) -> None:
    raw = struct.pack("<II", status, max(size, len(rest))) + rest
    assert mailbox.ExecuteResponse.decode_answer(raw) == Failure(status, rest)
    with pytest.raises(BadMapi, match="StatusCode"):
        mailbox.ExecuteResponse.decode(raw)


def test_obfuscated_answers_are_read_and_compressed_ones_refused() -> None:
    raw = mailbox.ExecuteResponse.decode(vector("execute_response_redirect")).rop_buffer
    clear = RopResponses.decode(raw, (LOGON,))
    obfuscated = raw[:2] + b"\x06\x00" + raw[4:8] + bytes(one ^ XOR_MAGIC for one in raw[8:])
    assert RopResponses.decode(obfuscated, (LOGON,)) == clear
    with pytest.raises(BadMapi, match="it is compressed, which was not allowed") as caught:
        RopResponses.decode(raw[:2] + b"\x05\x00" + raw[4:], (LOGON,))
    assert caught.value.offset == 2


def test_an_obfuscated_block_in_front_leaves_the_next_one_clear() -> None:
    first = RopResponses((rops.Refused(rops.LOGON, 0, 0x3F2),), (7,))
    second = RopResponses((rops.Opened(),), (8,))
    raw = encode_responses((first, second))
    size = 8 + len(first.encode()[8:])
    mixed = (
        raw[:2] + b"\x02\x00" + raw[4:8] + bytes(b ^ XOR_MAGIC for b in raw[8:size]) + raw[size:]
    )
    assert decode_responses(mixed, (LOGON, rops.OpenFolder(bytes(8)))) == (first, second)


def test_a_request_whose_header_is_not_the_last_is_refused() -> None:
    raw = RopRequests((LOGON,)).encode()
    with pytest.raises(BadMapi, match="not marked as the last"):
        RopRequests.decode(raw[:2] + b"\0\0" + raw[4:])


def test_answers_have_to_answer_what_was_asked() -> None:
    opened = RopResponses((rops.Opened(),)).encode()
    with pytest.raises(BadMapi, match="answers operation 0x02 and RopLogon was asked"):
        RopResponses.decode(opened, (LOGON,))
    with pytest.raises(BadMapi, match="answers operation 0x02 and nothing more was asked"):
        RopResponses.decode(opened, (rops.Release(),))


def test_a_buffer_that_was_too_small_is_read_with_and_without_the_rest() -> None:
    for rest in (b"", LOGON.encode()):
        responses = RopResponses((rops.BufferTooSmall(200, rest),), (9,))
        assert RopResponses.decode(responses.encode(), (LOGON,)) == responses


def test_a_logon_time_that_is_no_date_leaves_the_logon_readable() -> None:
    raw = bytearray(mailbox.ExecuteResponse.decode(vector("execute_response_logon")).rop_buffer)
    at = raw.index(bytes.fromhex("07321506150bea07"))
    raw[at : at + 8] = bytes(8)
    (logon,) = RopResponses.decode(bytes(raw), (LOGON,)).rops
    assert isinstance(logon, rops.LoggedOn)
    assert logon.logon_time is None
    assert logon.mailbox_guid == UUID("11223344-5566-7788-99aa-bbccddeeff00")


@pytest.mark.parametrize(
    "message",
    [
        mailbox.ConnectRequest("/cn=Jürgen"),
        mailbox.ConnectRequest("a\0b"),
        mailbox.ConnectRequest("a", flags=-1),
        mailbox.ConnectRequest("a", code_page=2**32),
        mailbox.ConnectRequest("a", auxiliary=bytes(0x1009)),
        mailbox.ConnectResponse(display_name="\ud800"),
        mailbox.ConnectResponse(display_name="a\0b"),
        mailbox.Failure(0),
        RopRequests((rops.Logon("a" * 0x10000),)),
        RopRequests((rops.OpenFolder(b"short"),)),
        RopRequests((LOGON,) * 2000),
        RopResponses((rops.Redirected("a" * 255),)),
        RopResponses((rops.Refused(rops.LOGON, 0, 0),)),
        RopResponses((rops.Refused(rops.LOGON, 0, 0x478),)),
        RopResponses((rops.Properties((0x0E080014,), ("text",)),)),
        RopResponses((rops.Properties((0x0E080014,), (2**63,)),)),
        RopResponses((rops.Properties((0x0E080014,), ()),)),
        RopResponses((rops.Properties((0x0E08000D,), (1,)),)),
        RopResponses((rops.Properties((0x3001001F,), (3,)),)),
        RopResponses((rops.Properties((0x3001101F,), ("one",)),)),
        book.GetMatchesRequest(restrictions.Compare(0x3001001F, 4, 5)),
    ],
    ids=lambda message: type(message).__name__,
)  # fmt: skip
def test_what_has_no_place_in_a_message_is_refused(message: Any) -> None:
    with pytest.raises(BadMapi) as caught:
        message.encode()
    assert caught.value.offset is None


def test_restrictions_that_are_nested_too_deeply_are_refused_both_ways() -> None:
    deep: restrictions.Restriction = restrictions.Exists(1)
    for _ in range(restrictions.DEEPEST):
        deep = restrictions.Not(deep)
    request = book.GetMatchesRequest(deep)
    raw = request.encode()
    assert book.GetMatchesRequest.decode(raw) == request
    with pytest.raises(BadMapi, match="nested more than 16 deep"):
        book.GetMatchesRequest(restrictions.Not(deep)).encode()
    start = raw.index(b"\x02" * 16)
    with pytest.raises(BadMapi, match="nested more than 16 deep"):
        book.GetMatchesRequest.decode(raw[:start] + b"\x02" + raw[start:])


def test_a_count_that_the_bytes_cannot_hold_is_refused_before_anything_is_made() -> None:
    raw = vector("resolve_names_request")
    at = raw.index(bytes.fromhex("ff0100000 01f000130".replace(" ", ""))) + 1
    with pytest.raises(BadMapi, match="4,294,967,295 property tags and ends before them"):
        book.ResolveNamesRequest.decode(raw[:at] + b"\xff" * 4 + raw[at + 4 :])


def test_more_rows_or_columns_than_any_server_sends_are_refused() -> None:
    long = book.Table((), ((),) * 50_001)
    wide = book.Table((0x0E080014,) * 1001, ())
    for table in (long, wide):
        with pytest.raises(BadMapi, match="more than 1,000 columns or 50,000 rows"):
            book.ResolveNamesResponse(None, table).encode()
    most = book.ResolveNamesResponse(None, book.Table((), ((),) * 50_000)).encode()
    with pytest.raises(BadMapi, match="50,001 rows; 50,000 are read"):
        count, more = (n.to_bytes(4, "little") for n in (50_000, 50_001))
        book.ResolveNamesResponse.decode(most.replace(count, more))
    most = book.ResolveNamesResponse(None, book.Table(wide.tags[1:], ())).encode()
    with pytest.raises(BadMapi, match="1,001 columns; 1,000 are read"):
        count, more = (n.to_bytes(4, "little") for n in (1000, 1001))
        book.ResolveNamesResponse.decode(most.replace(count, more) + bytes(4))


def test_a_cell_may_be_absent_or_in_error() -> None:
    out = Writer("row")
    write_row(out, (1 << 16 | 3, 2 << 16 | 3), (None, PropertyError(0x8004010F)), Place.STORE)
    assert out.raw == bytes.fromhex("01 01 0a 0f010480")


def test_a_string_that_the_address_book_does_not_have_is_absent() -> None:
    raw = Reader("row", bytes.fromhex("00 00 ff 4100 0000"))
    assert read_row(raw, (0x3001001F, 0x39FE001F), Place.ADDRESS_BOOK) == (None, "A")


@given(st.datetimes(datetime(1601, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  wanted so
def test_a_filetime_is_a_moment_to_the_microsecond(moment: datetime) -> None:
    assert properties.moment(properties.filetime(moment)) == moment


def test_a_filetime_beyond_all_years_is_no_moment() -> None:
    assert properties.moment(2**64 - 1) is None
    assert properties.moment(10) == datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)


def test_an_empty_essdn_may_come_without_its_nul() -> None:
    written = rops.Logon("").encode()
    assert rops.Logon.decode(written[:-3] + b"\0\0") == rops.Logon("")
    assert rops.Logon.decode(rops.Logon(SALES).encode()).essdn == SALES
