"""The byte vectors beside this file and what each of them says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from mailmig.wire.mapihttp import address_book, entries, mailbox, rops
from mailmig.wire.mapihttp.codes import ErrorCode
from mailmig.wire.mapihttp.properties import (
    DISPLAY_NAME,
    DISPLAY_TYPE,
    MAILBOX_OWNER_NAME,
    MESSAGE_SIZE_EXTENDED,
    SMTP_ADDRESS,
    PropertyError,
)
from mailmig.wire.mapihttp.rop_buffer import RopRequests, RopResponses
from mailmig.wire.mapihttp.rops import RopRequest

FOLDER = Path(__file__).with_name("vectors")
ANNA = "/o=Lab/ou=AG/cn=Recipients/cn=anna"
SALES = "/o=Lab/ou=AG/cn=Recipients/cn=sales"
SERVER = "/o=Lab/ou=AG/cn=Configuration/cn=Servers/cn=0f0e@lab.test"
LOGON = rops.Logon(SALES)
TAGS = (MESSAGE_SIZE_EXTENDED, MAILBOX_OWNER_NAME)


@dataclass(frozen=True)
class Sample:
    """How a vector is read and written, and what is in it."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    value: Any


def vector(name: str) -> bytes:
    lines = (FOLDER / f"{name}.hex").read_text("ascii").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def encode(message: Any) -> bytes:
    raw: bytes = message.encode()
    return raw


def requests_in(raw: bytes) -> RopRequests:
    """The operations in the body of an Execute request; everything is decoded."""
    return RopRequests.decode(mailbox.ExecuteRequest.decode(raw).rop_buffer)


def request_with(requests: RopRequests) -> bytes:
    return mailbox.ExecuteRequest(requests.encode()).encode()


def responses_in(*asked: RopRequest) -> Callable[[bytes], RopResponses]:
    """Reads the answers in the body of an Execute response."""

    def decode(raw: bytes) -> RopResponses:
        body = mailbox.ExecuteResponse.decode(raw)
        return RopResponses.decode(body.rop_buffer, asked)

    return decode


def response_with(responses: RopResponses) -> bytes:
    return mailbox.ExecuteResponse(responses.encode()).encode()


FROM_THE_NOTES = {
    "connect_request": Sample(mailbox.ConnectRequest.decode, encode, mailbox.ConnectRequest(ANNA)),
    "execute_request_logon": Sample(requests_in, request_with, RopRequests((LOGON,))),
    "execute_response_unknown_user": Sample(
        responses_in(LOGON),
        response_with,
        RopResponses((rops.Refused(rops.LOGON, 0, ErrorCode.ecUnknownUser),), (0xFFFFFFFF,)),
    ),
    "execute_response_redirect": Sample(
        responses_in(LOGON), response_with, RopResponses((rops.Redirected(SERVER),), (0xFFFFFFFF,))
    ),
    "get_properties_request": Sample(rops.GetProperties.decode, encode, rops.GetProperties(TAGS)),
    "bind_request": Sample(address_book.BindRequest.decode, encode, address_book.BindRequest()),
}

BY_HAND = {
    "connect_response": Sample(
        mailbox.ConnectResponse.decode_answer, encode, mailbox.ConnectResponse(display_name="Anna")
    ),
    "connect_failure": Sample(
        mailbox.ConnectResponse.decode_answer,
        # Ours says the true size, which is 0.
        lambda failure: failure.encode()[:4] * 2,
        mailbox.Failure(1),
    ),
    "execute_response_logon": Sample(
        responses_in(LOGON),
        response_with,
        RopResponses(
            (
                rops.LoggedOn(
                    tuple(bytes((1, 0, 0, 0, 0, 0, 0, number)) for number in range(1, 14)),
                    rops.ResponseFlag.ALWAYS | rops.ResponseFlag.OWNER_RIGHT,
                    UUID("11223344-5566-7788-99aa-bbccddeeff00"),
                    datetime(2026, 11, 21, 21, 50, 7, tzinfo=UTC),
                    replica_guid=UUID("89abcdef-4567-0123-fedc-ba9876543210"),
                ),
            ),
            (42,),
        ),
    ),
    "execute_response_folder_and_properties": Sample(
        responses_in(
            rops.OpenFolder(bytes(8)),
            rops.Release(),
            rops.GetProperties(TAGS),
            rops.GetProperties(TAGS),
        ),
        response_with,
        RopResponses(
            (
                rops.Opened(),
                rops.Properties(TAGS, (0x10000, "Anna")),
                rops.Properties(TAGS, (0x10000, PropertyError(ErrorCode.ecNotFound))),
            ),
            (42, 43),
        ),
    ),
    "disconnect_response": Sample(
        mailbox.DisconnectResponse.decode_answer, encode, mailbox.DisconnectResponse()
    ),
    "unbind_response": Sample(
        address_book.UnbindResponse.decode_answer, encode, address_book.UnbindResponse()
    ),
    "get_mailbox_url_request": Sample(
        address_book.UrlRequest.decode, encode, address_book.UrlRequest("/o=Lab")
    ),
    "get_mailbox_url_response": Sample(
        address_book.UrlResponse.decode_answer, encode, address_book.UrlResponse("https://m/")
    ),
    "resolve_names_request": Sample(
        address_book.ResolveNamesRequest.decode,
        encode,
        address_book.ResolveNamesRequest(("AB", "C"), (DISPLAY_NAME,)),
    ),
    "resolve_names_response": Sample(
        address_book.ResolveNamesResponse.decode_answer,
        encode,
        address_book.ResolveNamesResponse(
            (address_book.NOT_FOUND, 100),
            address_book.Table((DISPLAY_NAME, SMTP_ADDRESS), (("Al", "a@b"),)),
        ),
    ),
    "get_props_request": Sample(
        entries.GetPropsRequest.decode,
        encode,
        entries.GetPropsRequest((DISPLAY_NAME,), address_book.Stat(current_record=0x100)),
    ),
    "get_props_response": Sample(
        entries.GetPropsResponse.decode_answer,
        encode,
        entries.GetPropsResponse(
            ((DISPLAY_NAME, "Al"), (SMTP_ADDRESS, None), (DISPLAY_TYPE, 6)), error_code=0x40380
        ),
    ),
    "query_rows_request": Sample(
        entries.QueryRowsRequest.decode,
        encode,
        entries.QueryRowsRequest(2, (DISPLAY_NAME,), (0x100, 0x101)),
    ),
    "dn_to_mid_request": Sample(
        entries.DnToMidRequest.decode, encode, entries.DnToMidRequest(("/o=Lab", "/o=L"))
    ),
    "compare_mids_response": Sample(
        entries.CompareMidsResponse.decode_answer, encode, entries.CompareMidsResponse(-1)
    ),
}
SAMPLES = FROM_THE_NOTES | BY_HAND
