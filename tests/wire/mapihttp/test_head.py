"""Headers of request and response, the published URL, cookies, and the names of codes."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.wire.mapihttp import cookies
from mailmig.wire.mapihttp.codes import (
    Endpoint,
    ErrorCode,
    RequestType,
    ResponseCode,
    error_name,
    response_code_name,
)
from mailmig.wire.mapihttp.cookies import Jar
from mailmig.wire.mapihttp.head import (
    BadRequestHead,
    MailboxUrl,
    RequestHead,
    ResponseHead,
    application_version,
    counted,
    read_mailbox_id,
)
from mailmig.wire.mapihttp.octets import BadMapi

GUID = UUID("11223344-5566-7788-99aa-bbccddeeff00")
REQUEST_ID = counted(GUID, 1)
GOOD = {
    "content-type": "application/mapi-http",
    "x-requesttype": "Connect",
    "x-requestid": REQUEST_ID,
    "x-clientinfo": REQUEST_ID,
    "x-clientapplication": "Outlook/16.0.1.2",
}
COUNTED = st.builds(counted, st.uuids(), st.integers(0, 10**9))
NUMBERS = st.none() | st.integers(0, 10**9)
LINES = st.none() | st.from_regex(r"\A[A-Za-z0-9/.{}:-]{1,40}\Z")
TOKEN = st.from_regex(r"\A[A-Za-z0-9_.-]{1,20}\Z")


@given(st.sampled_from(RequestType), COUNTED, st.none() | COUNTED)
def test_a_request_head_is_read_again(
    kind: RequestType, request_id: str, client_info: str | None
) -> None:
    head = RequestHead(kind, request_id, client_info, "Outlook/16.0.4266.1001")
    assert RequestHead.read(head.headers()) == head


@given(st.builds(ResponseHead, NUMBERS, LINES, LINES, LINES, LINES, NUMBERS, NUMBERS))
def test_a_response_head_is_read_again(head: ResponseHead) -> None:
    assert ResponseHead.read(head.headers()) == head


def test_a_failure_is_of_another_content_type() -> None:
    assert dict(ResponseHead(0).headers())["Content-Type"] == "application/mapi-http"
    assert dict(ResponseHead(13).headers())["Content-Type"] == "text/html"


def test_a_response_without_the_code_or_with_nonsense_has_none() -> None:
    for headers in ([], [("X-ResponseCode", "-1")], [("X-ResponseCode", "9" * 30)]):
        assert ResponseHead.read(headers).response_code is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"x-requesttype": None}, ResponseCode.MISSING_HEADER),
        ({"x-requesttype": "Dance"}, ResponseCode.INVALID_REQUEST_TYPE),
        ({"x-requestid": None}, ResponseCode.MISSING_HEADER),
        ({"x-requestid": "1"}, ResponseCode.INVALID_HEADER),
        ({"x-clientinfo": "anna"}, ResponseCode.INVALID_HEADER),
        ({"x-clientapplication": "Outlook/16"}, ResponseCode.INVALID_HEADER),
        ({"content-type": None}, ResponseCode.MISSING_HEADER),
        ({"content-type": "text/xml"}, ResponseCode.INVALID_HEADER),
    ],
    ids=str,
)
def test_a_bad_request_head_is_refused_with_its_code(
    change: dict[str, str | None], code: ResponseCode
) -> None:
    headers = [(name, value) for name, value in (GOOD | change).items() if value is not None]
    with pytest.raises(BadRequestHead) as caught:
        RequestHead.read(headers)
    assert caught.value.response_code is code


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"content-type": "application/octet-stream"},
        {"content-type": "Application/Mapi-Http; charset=utf-8"},
        {"x-requesttype": "CONNECT"},
        {"x-clientinfo": None},
        {"x-requesttype": "PING", "content-type": None},
    ],
    ids=str,
)
def test_what_clients_were_seen_sending_is_read(change: dict[str, str | None]) -> None:
    headers = [(name, value) for name, value in (GOOD | change).items() if value is not None]
    assert RequestHead.read(headers).request_id == REQUEST_ID


def test_request_types_are_found_in_any_case_and_by_their_titles() -> None:
    assert RequestType.named("BIND") is RequestType.BIND
    assert RequestType.named("DnToMinId") is RequestType.DN_TO_MID
    assert RequestType.named("CompareMinIds") is RequestType.COMPARE_MIDS
    assert RequestType.named("") is None
    assert RequestType.PING.endpoints == set(Endpoint)
    assert RequestType.EXECUTE.endpoints == {Endpoint.MAILBOX}
    assert RequestType.BIND.endpoints == {Endpoint.ADDRESS_BOOK}


@given(
    st.from_regex(r"\A[a-z]{1,9}(\.[a-z]{2,3}){1,2}(:[0-9]{2,4})?\Z"),
    st.sampled_from(Endpoint),
    st.uuids(),
    st.from_regex(r"\A[a-z]{1,9}\.(test|xn--mnchen-3ya)\Z"),
)
def test_a_url_that_was_published_is_read_again(
    host: str, endpoint: Endpoint, guid: UUID, domain: str
) -> None:
    url = MailboxUrl(host, endpoint, guid, domain)
    assert MailboxUrl.parse(str(url)) == url


def test_a_url_looks_as_autodiscover_publishes_it() -> None:
    assert str(MailboxUrl("mail.lab.test", Endpoint.MAILBOX, GUID, "lab.test")) == (
        f"https://mail.lab.test/mapi/emsmdb/?MailboxId={GUID}@lab.test"
    )
    parsed = MailboxUrl.parse(f"HTTPS://mail.lab.test/Mapi/NSPI?mailboxid={GUID}%40lab.test")
    assert (parsed.endpoint, parsed.mailbox_guid) == (Endpoint.ADDRESS_BOOK, GUID)


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.lab.test", f"http://m/mapi/emsmdb/?MailboxId={GUID}@l", "https://m/mapi/emsmdb/",
        "https://m/mapi/emsmdb/?MailboxId=anna@lab.test", f"https://m/mapi/?MailboxId={GUID}@l",
        f"https://m/mapi/other/?MailboxId={GUID}@l", f"https:///mapi/nspi/?MailboxId={GUID}@l",
        f"https://u@m/mapi/nspi/?MailboxId={GUID}@l", f"https://[m/mapi/nspi/?MailboxId={GUID}@l",
        f"https://m/mapi/nspi/?MailboxId={GUID}@l" + "x" * 2000,
    ],
)  # fmt: skip
def test_a_url_of_another_shape_is_refused(url: str) -> None:
    with pytest.raises(BadMapi, match="MAPI/HTTP URL"):
        MailboxUrl.parse(url)


def test_a_request_for_nobodys_mailbox_is_an_invalid_path() -> None:
    assert read_mailbox_id(f"x=1&MailboxId={GUID}@lab.test") == (GUID, "lab.test")
    with pytest.raises(BadRequestHead) as caught:
        read_mailbox_id("MailboxId=")
    assert caught.value.response_code is ResponseCode.INVALID_PATH


def test_versions_of_applications_have_four_numbers() -> None:
    assert application_version("Exchange/15.02.1118.007") == (15, 2, 1118, 7)
    assert application_version("Outlook/16.0") is None


@given(st.dictionaries(TOKEN, TOKEN, max_size=5))
def test_cookies_go_to_the_client_and_come_back(values: dict[str, str]) -> None:
    jar = Jar().after(cookies.set_cookie(name, value) for name, value in values.items())
    assert jar == Jar(tuple(values.items()))
    assert cookies.read_cookie(jar.header) == jar


def test_new_cookies_replace_old_ones_and_all_are_sent() -> None:
    jar = Jar().after(["MapiContext=c1; path=/; secure", "MapiSequence=s1", "X-Proxy=p"])
    jar = jar.after(["MapiSequence=s2; HttpOnly"])
    assert jar.header == "MapiContext=c1; MapiSequence=s2; X-Proxy=p"
    assert (
        jar.after(["MapiContext=; Max-Age=0", "X-Proxy=; max-age=-1"]).header == "MapiSequence=s2"
    )
    assert jar.after(["X-Proxy=q; Max-Age=60"]).get("X-Proxy") == "q"
    assert jar.get("sid") is None


@pytest.mark.parametrize("line", ["", "novalue", "=x", "a=b\r\nX: y", "a=" + "b" * 9000])
def test_what_is_no_cookie_is_refused(line: str) -> None:
    with pytest.raises(BadMapi, match="MAPI/HTTP cookies"):
        Jar().after([line])


def test_too_many_cookies_are_refused() -> None:
    with pytest.raises(BadMapi, match="more than 50"):
        Jar().after(f"c{number}=x" for number in range(51))
    with pytest.raises(BadMapi, match="more than 50"):
        cookies.read_cookie("; ".join(f"c{number}=x" for number in range(51)))
    for name, value in (("a", "b;c"), ("a=b", "c"), ("", "c"), ("a", "b\n")):
        with pytest.raises(BadMapi):
            cookies.set_cookie(name, value)


def test_codes_have_names_and_unknown_ones_stay_numbers() -> None:
    assert error_name(0x478) == "ecWrongServer (0x478)"
    assert error_name(0x8004010F) == "ecNotFound (0x8004010f)"
    assert error_name(0x12345) == "0x12345"
    assert response_code_name(13) == "missing cookie (13)"
    assert response_code_name(99) == "99"
    assert (ErrorCode.ecLoginPerm, ErrorCode.ecUnknownUser) == (1010, 1003)
    assert [code.value for code in ResponseCode] == list(range(19))
