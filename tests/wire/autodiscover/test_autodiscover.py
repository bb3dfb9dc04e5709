"""Autodiscover documents: samples, round trips, hostile XML, exchangelib as a stranger."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.wire import documents
from mailmig.wire.autodiscover import mobile, pox, soap, v2
from mailmig.wire.documents import DOCUMENT_LIMIT, BadDocument
from tests.wire.autodiscover.documents import ANSWERS, FOLDER, SAMPLES, SETTINGS, Sample

# exchangelib has no types.
exchangelib: Any = import_module("exchangelib")
UserResponse: Any = import_module("exchangelib.properties").UserResponse
GetUserSettings: Any = import_module("exchangelib.services").GetUserSettings
xml_of: Any = import_module("exchangelib.util").to_xml

# Texts as XML can hold them, without blanks around them.
TEXT = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=20
).map(str.strip)
SOME = TEXT.filter(bool)
MAYBE = st.none() | TEXT
NUMBER = st.integers(0, 10**9 - 1)

URLS = st.none() | st.builds(pox.Urls, MAYBE, MAYBE)
ALTERNATIVES = st.lists(
    st.builds(pox.AlternativeMailbox, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE, MAYBE), max_size=3
).map(tuple)
SETTING_NAMES = st.sampled_from(("Server", "ServerDN", "EwsUrl", "AuthPackage", "SSL"))
PROTOCOLS = st.builds(
    pox.Protocol,
    st.sampled_from(("EXCH", "EXPR", "EXHTTP", "WEB")),
    st.lists(st.tuples(SETTING_NAMES, TEXT), max_size=4).map(tuple),
)
ERRORS = st.builds(pox.Error, NUMBER, MAYBE, MAYBE, MAYBE, MAYBE)
USER_ANSWERS = st.builds(
    soap.UserAnswer,
    st.lists(st.tuples(TEXT, MAYBE), max_size=3).map(tuple),
    st.sampled_from(soap.ERROR_CODES),
    MAYBE,
    MAYBE,
    st.lists(st.builds(soap.SettingError, TEXT, TEXT, MAYBE), max_size=2).map(tuple),
    ALTERNATIVES,
)
VERSIONS = st.none() | st.builds(
    soap.ServerVersion, st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), st.none() | SOME
)

Codec = tuple[Callable[[Any], bytes], Callable[[bytes], Any], st.SearchStrategy[Any]]
KINDS: dict[str, Codec] = {
    "POX request": (
        pox.Request.encode,
        pox.Request.decode,
        st.builds(pox.Request, TEXT, st.sampled_from((pox.OUTLOOK_RESPONSE, pox.MOBILE_RESPONSE)),
                  MAYBE),
    ),
    "POX settings": (
        pox.encode,
        pox.decode,
        st.builds(
            pox.Settings,
            st.builds(pox.User, MAYBE, MAYBE, MAYBE, MAYBE),
            st.none() | st.builds(pox.MapiHttp, URLS, URLS, st.sampled_from("12")),
            st.lists(PROTOCOLS, max_size=3).map(tuple), ALTERNATIVES, MAYBE, MAYBE,
        ),
    ),
    "POX redirect": (
        pox.encode,
        pox.decode,
        st.builds(pox.Redirect, SOME) | st.builds(pox.Redirect, st.none(), SOME),
    ),
    "POX error": (pox.encode, pox.decode, ERRORS),
    "mobile": (
        mobile.encode,
        mobile.decode,
        st.one_of(
            st.builds(
                mobile.Settings,
                st.lists(st.builds(mobile.Server, MAYBE, MAYBE, MAYBE), max_size=3).map(tuple),
                MAYBE, MAYBE,
            ),
            st.builds(mobile.Redirect, SOME, MAYBE, MAYBE),
            st.builds(mobile.Refused, MAYBE, MAYBE, MAYBE, MAYBE),
            ERRORS,
        ),
    ),
    "SOAP request": (
        soap.Request.encode,
        soap.Request.decode,
        st.builds(soap.Request, st.lists(TEXT, max_size=3).map(tuple),
                  st.lists(TEXT, max_size=3).map(tuple), MAYBE, MAYBE),
    ),
    "SOAP answer": (
        soap.encode,
        soap.decode,
        st.builds(soap.Answers, st.lists(USER_ANSWERS, max_size=3).map(tuple), TEXT, MAYBE, VERSIONS)
        | st.builds(soap.Fault, TEXT, TEXT),
    ),
    "V2 answer": (
        v2.encode,
        v2.decode,
        st.builds(v2.Found, st.text(), st.text()) | st.builds(v2.Error, st.text(), st.text()),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_a_document_that_was_written_is_read_again(kind: str, data: st.DataObject) -> None:
    encode, decode, values = KINDS[kind]
    value = data.draw(values)
    assert decode(encode(value)) == value


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_a_sample_is_read_as_its_text_says(sample: Sample) -> None:
    assert sample.decode(sample.raw) == sample.value
    assert sample.decode(sample.encode(sample.value)) == sample.value


def test_every_sample_is_read() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {sample.file for sample in SAMPLES}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file)
def test_a_sample_that_is_cut_off_anywhere_is_refused(sample: Sample) -> None:
    raw = sample.raw
    for end in range(len(raw)):
        with pytest.raises(BadDocument) as caught:
            sample.decode(raw[:end])
        assert caught.value.offset is not None
        assert 0 <= caught.value.offset <= end


def test_the_error_says_what_where_and_why() -> None:
    with pytest.raises(BadDocument) as caught:
        pox.decode(b"<Autodiscover>\n<Response></Wrong>")
    assert str(caught.value) == "Autodiscover answer, line 2, column 13: mismatched tag"
    assert caught.value.offset == 27


HOSTILE = {
    b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>': "it has a DTD, and a DTD is refused",
    b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>': "it has a DTD, and a DTD is refused",
    b"<a>&undefined;</a>": "undefined entity",
    b"<a>" * 41: "nested more than 40 deep",
    b"<a>" + b"<b/>" * 20_001: "more than 20,000 elements",
    b"<?xml version='1.0' encoding='klingon'?><a/>": "encoding",
    b"<?xml version='1.0' encoding='utf-7'?><a/>": "encoding",
    b"<a>\xff</a>": "not well-formed",
    b"": "no element found",
    b"<html><body>Sign in</body></html>": "its root is <html>",
    b"<a" + b" " * DOCUMENT_LIMIT + b"/>": "524,288 are read",
}


@pytest.mark.parametrize(("raw", "reason"), HOSTILE.items(), ids=lambda part: str(part)[:40])
@pytest.mark.parametrize("decode", [pox.decode, mobile.decode, soap.decode, pox.Request.decode])
def test_hostile_documents_end_in_one_sentence(
    decode: Callable[[bytes], Any], raw: bytes, reason: str
) -> None:
    with pytest.raises(BadDocument, match=reason):
        decode(raw)


def test_a_bomb_of_entities_is_refused_at_its_dtd() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x0 "ha">' + b"".join(
        b'<!ENTITY x%d "&x%d;&x%d;">' % (n + 1, n, n) for n in range(100)
    )
    with pytest.raises(BadDocument, match="it has a DTD") as caught:
        pox.decode(bomb + b"]><a>&x100;</a>")
    assert caught.value.offset is not None


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("", "there is no <Account>"),
        ("<Account/>", "its action is ''"),
        ("<Account><Action>dance</Action></Account>", "its action is 'dance'"),
        ("<Account><Action>redirectUrl</Action></Account>", "its redirect leads nowhere"),
        ("<Error><ErrorCode>six</ErrorCode></Error>", "its ErrorCode is 'six'"),
        ("<Error/>", "its ErrorCode is ''"),
    ],
)
def test_an_answer_that_says_nothing_is_refused(inside: str, reason: str) -> None:
    with pytest.raises(BadDocument, match=reason):
        pox.decode(f"<Autodiscover><Response>{inside}</Response></Autodiscover>".encode())


def test_the_type_of_a_block_is_read_from_either_place() -> None:
    swapped = (
        b"<Autodiscover><Response><Account><Action>settings</Action>"
        b"<Protocol><Type>mapiHttp</Type><MailStore><ExternalUrl>https://x/</ExternalUrl>"
        b'</MailStore></Protocol><Protocol Type="EXPR"><Server>y</Server></Protocol>'
        b"</Account></Response></Autodiscover>"
    )
    found = pox.decode(swapped)
    assert isinstance(found, pox.Settings)
    assert found.mapi_http == pox.MapiHttp(pox.Urls(external="https://x/"))
    expr = found.protocol("expr")
    assert expr is not None
    assert (expr.get("Server"), expr.get("ServerDN")) == ("y", None)


@pytest.mark.parametrize(
    "write",
    [
        lambda: pox.encode(pox.Redirect()),
        lambda: mobile.encode(mobile.Redirect("")),
        lambda: pox.encode(pox.Settings(pox.User("a\0b"))),
        lambda: pox.encode(pox.Settings(pox.User("\ud800"))),
        lambda: pox.encode(pox.Settings(protocols=(pox.Protocol("E", (("a><b", ""),)),))),
        lambda: pox.Request("a" * DOCUMENT_LIMIT).encode(),
        lambda: v2.Request("a" * 3000, "Ews").encode(),
        lambda: v2.Request("\ud800", "Ews").encode(),
        lambda: v2.Request(None, "Ews").encode_with_path(),
    ],
)
def test_a_document_that_nobody_could_read_is_not_written(write: Callable[[], bytes]) -> None:
    with pytest.raises(BadDocument):
        write()


def test_a_request_without_a_mailbox_or_schema_is_refused() -> None:
    for inside in ("", "<Request/>", "<Request><EMailAddress>a</EMailAddress></Request>"):
        with pytest.raises(BadDocument):
            pox.Request.decode(f"<Autodiscover>{inside}</Autodiscover>".encode())
    with pytest.raises(BadDocument, match="its root is"):
        pox.Request.decode(pox.encode(SETTINGS))


def test_exchangelib_reads_our_settings() -> None:
    root = xml_of(soap.encode(ANSWERS))
    header = root.find("{http://schemas.xmlsoap.org/soap/envelope/}Header")
    version = exchangelib.Version.from_soap_header("Exchange2016", header)
    assert (version.build.major_version, version.build.minor_build) == (15, 6)
    answers = list(root.iter(f"{{{soap.NAMESPACE}}}UserResponse"))
    first, second = (UserResponse.from_xml(elem=one, account=None) for one in answers)
    assert first.user_settings["external_ews_url"] == "https://mail.lab.test/EWS/Exchange.asmx"
    assert first.user_settings_errors == {"cas_version": ("SettingIsNotAvailable", "not there")}
    assert (second.error_code, second.error_message) == ("InvalidUser", "unknown")


def test_exchangelib_follows_our_redirects() -> None:
    redirected = soap.UserAnswer(code="RedirectUrl", redirect="https://new.test/autodiscover.svc")
    root = xml_of(soap.encode(soap.Answers((redirected,))))
    found = UserResponse.from_xml(
        elem=next(root.iter(f"{{{soap.NAMESPACE}}}UserResponse")), account=None
    )
    assert found.redirect_url == redirected.redirect


def test_we_read_what_exchangelib_asks() -> None:
    service = GetUserSettings.__new__(GetUserSettings)

    class Server:
        service_endpoint = "https://mail.lab.test/autodiscover/autodiscover.svc"
        credentials = None

    service.protocol = Server()
    payload = service.get_payload(["anna@lab.test"], ["external_ews_url", "mapi_http_enabled"])
    asked = soap.Request.decode(service.wrap(payload, "Exchange2016"))
    assert asked.mailboxes == ("anna@lab.test",)
    assert asked.settings == ("ExternalEwsUrl", "MapiHttpEnabled")
    assert (asked.version, asked.to) == ("Exchange2016", Server.service_endpoint)


def test_the_version_is_read_from_attributes_too() -> None:
    written = (
        b"<Envelope><Header><ServerVersionInfo MajorVersion='15' MinorVersion='2' "
        b"MajorBuildNumber='1118' MinorBuildNumber='7'/></Header><Body>"
        b"<GetUserSettingsResponseMessage><Response><ErrorCode>ServerBusy</ErrorCode></Response>"
        b"</GetUserSettingsResponseMessage></Body></Envelope>"
    )
    answer = soap.decode(written)
    assert answer == soap.Answers((), "ServerBusy", None, soap.ServerVersion((15, 2, 1118, 7)))


def test_a_request_for_very_many_users_is_refused() -> None:
    with pytest.raises(BadDocument, match="more than 100 users"):
        soap.Request.decode(soap.Request(("a@b",) * 101, ()).encode())


ADDRESSES = st.from_regex(r"\A[a-zA-Zäöü0-9.+%/ -]{1,20}@[a-z]{1,9}\.test\Z")


@given(ADDRESSES, st.sampled_from(v2.PROTOCOLS))
def test_both_forms_of_a_v2_request_are_read_again(address: str, protocol: str) -> None:
    request = v2.Request(address, protocol)
    assert v2.Request.decode(request.encode()) == request
    assert v2.Request.decode(request.encode_with_path()) == request


def test_what_a_v2_request_lacks_is_absent() -> None:
    assert v2.Request.decode("/Autodiscover/autodiscover.json") == v2.Request(None, None)
    found = v2.Request.decode("/autodiscover/autodiscover.json?email=a@b&PROTOCOL=&x=1")
    assert found == v2.Request("a@b", "")
    for url in ("/owa/", "//[x", "/" + "a" * 3000):
        with pytest.raises(BadDocument):
            v2.Request.decode(url)


@pytest.mark.parametrize(
    "raw",
    [b"[]", b"null", b"{}", b'{"Protocol":"Ews"}', b'{"Protocol":1,"Url":2}', b"\xff", b"<html>",
     b"[" * 60_000, b" " * 70_000, b'{"a":' + b"9" * 60_000 + b"}"],
    ids=lambda raw: str(raw)[:20],
)  # fmt: skip
def test_json_of_another_shape_is_refused(raw: bytes) -> None:
    with pytest.raises(BadDocument) as caught:
        v2.decode(raw)
    assert caught.value.offset is not None


def test_an_error_of_v2_counts_whatever_else_is_there() -> None:
    raw = b'\xef\xbb\xbf{"ErrorCode":"ProtocolNotSupported","ErrorMessage":null,"Url":"x"}'
    assert v2.decode(raw) == v2.Error(v2.PROTOCOL_NOT_SUPPORTED)


def test_a_tree_keeps_its_namespaces_apart() -> None:
    root = documents.parse(b"<a xmlns='urn:x'><b xmlns=''>c</b></a>", "test")
    assert (documents.local(root), documents.namespace(root)) == ("a", "urn:x")
    assert (documents.namespace(root[0]), documents.text(root, "b")) == ("", "c")
