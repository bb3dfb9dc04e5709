"""MAPI/HTTP and Autodiscover decoders survive damaged bytes with nothing but their own error.

MAILMIG_MUTATIONS says how many damaged inputs are tried in all (200,000 unless told); seeds are
fixed, so a number tries the same inputs each time. What is read in spite of its damage can be
written, and is the same when it is read again.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from random import Random
from typing import Any

import pytest

from mailmig.model.errors import MailmigError
from mailmig.wire.autodiscover import soap, v2
from mailmig.wire.documents import BadDocument
from mailmig.wire.mapihttp import address_book, restrictions
from mailmig.wire.mapihttp.codes import RequestType
from mailmig.wire.mapihttp.cookies import Jar, read_cookie
from mailmig.wire.mapihttp.frame import Frame, times
from mailmig.wire.mapihttp.head import MailboxUrl, RequestHead
from mailmig.wire.mapihttp.mailbox import ConnectResponse
from mailmig.wire.mapihttp.octets import BadMapi
from mailmig.wire.mapihttp.properties import DISPLAY_NAME
from mailmig.wire.mapihttp.rops import Logon
from tests.wire.autodiscover import documents
from tests.wire.mapihttp import samples
from tests.wire.mapihttp.test_head import GUID, REQUEST_ID
from tests.wire.mutations import endless

MUTATIONS = int(os.environ.get("MAILMIG_MUTATIONS", "200000"))

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]
FILTER = restrictions.And(
    (
        restrictions.Or((restrictions.Content(DISPLAY_NAME, "an", 2, 1), restrictions.Exists(1))),
        restrictions.Not(restrictions.BitMask(3, 4, True)),
        restrictions.Compare(0x0E080014, restrictions.Relation.GREATER, 10**12),
    )
)
MATCHES = address_book.GetMatchesRequest(FILTER, 10, (DISPLAY_NAME,), property_name=(GUID, 3))
MATCHED = address_book.GetMatchesResponse(
    address_book.Stat(),
    (100, 101),
    address_book.Table(
        (DISPLAY_NAME, 0x0FFF0102, 0x800F101F, 0x0FFE0003),
        (("Anna", b"\1\2", ("a", "b"), 6), (None, b"", (), -1)),
    ),
)
STARTED = datetime(2026, 11, 21, 21, 50, 7, tzinfo=UTC)
LATE = Frame(
    ConnectResponse(display_name="Anna").encode(),
    (("X-ResponseCode", "10"), *times(1500, STARTED)),
    2,
)
PING = RequestHead(RequestType.PING, REQUEST_ID, REQUEST_ID, "Outlook/16.0.1.2")
HEAD = "\n".join(f"{name}: {value}" for name, value in PING.headers())


def head(raw: bytes) -> RequestHead:
    lines = raw.decode("latin-1").split("\n")
    return RequestHead.read((name, value) for name, _, value in (x.partition(":") for x in lines))


def jar(raw: bytes) -> Jar:
    text = raw.decode("latin-1")
    return Jar().after([*text.split("\n"), *read_cookie(text).header.split("; ")])


TARGETS: dict[str, tuple[list[bytes], Decode, Encode | None]] = {
    **{
        name: ([samples.vector(name)], sample.decode, sample.encode)
        for name, sample in samples.SAMPLES.items()
        if name != "connect_failure"
    },
    "logon alone": ([samples.LOGON.encode()], Logon.decode, samples.encode),
    "matches asked": ([MATCHES.encode()], address_book.GetMatchesRequest.decode, samples.encode),
    "matches": ([MATCHED.encode()], address_book.GetMatchesResponse.decode, samples.encode),
    "failure": ([b"\5\0\0\0\2\0\0\0ab"], ConnectResponse.decode_answer, samples.encode),
    "frame": ([LATE.encode(), Frame(b"body").encode()], Frame.decode, Frame.encode),
    "head": ([HEAD.encode()], head, None),
    "cookies": ([b"MapiContext=c; path=/\nMapiSequence=s; Max-Age=0"], jar, None),
    "url": (
        [f"https://mail.lab.test/mapi/emsmdb/?MailboxId={GUID}@lab.test".encode()],
        lambda raw: MailboxUrl.parse(raw.decode("latin-1")),
        None,
    ),
    **{sample.file: ([sample.raw], sample.decode, sample.encode) for sample in documents.SAMPLES},
    "soap request": (
        [soap.Request(("anna@lab.test",), ("UserDN", "CasVersion")).encode()],
        soap.Request.decode,
        soap.Request.encode,
    ),
    "soap fault": ([soap.encode(soap.Fault("s:Client", "no"))], soap.decode, soap.encode),
    "v2 request": (
        [v2.Request("anna@lab.test", "Ews").encode().encode()],
        lambda raw: v2.Request.decode(raw.decode("latin-1")),
        lambda request: request.encode().encode(),
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_bytes_end_in_the_codecs_own_error(name: str) -> None:
    seeds, decode, encode = TARGETS[name]
    refused = 0
    for raw in islice(endless(seeds, Random(name)), MUTATIONS // len(TARGETS) + 1):
        try:
            found = decode(raw)
        except (BadMapi, BadDocument) as error:
            assert isinstance(error, MailmigError)
            refused += 1
            continue
        except Exception as error:
            raise AssertionError(f"{error!r} for {raw!r}") from error
        if encode is not None:
            assert decode(encode(found)) == found, raw
    assert refused
