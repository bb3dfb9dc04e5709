"""EWS, asked by hand: versions, faults, accounts without a mailbox, and what is no request."""

from base64 import b64decode
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.accounts import Account
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.ews.envelopes import (
    MESSAGES,
    MOST_AT_ONCE,
    NAMES,
    SOAP,
    TYPES,
    Refused,
    read,
)
from mailmig.lab.web.ews.identifiers import Id, pack, unpack
from mailmig.model.secret import Secret
from tests.lab.remote_servers import outside
from tests.lab.web.clients import session, staff

URL = "https://ls-ex1.ad.lindenstadt.example/EWS/Exchange.asmx"
ROOT = '<t:DistinguishedFolderId Id="root"/>'


def envelope(body: str, version: str = "Exchange2013_SP1", header: str = "") -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:t="{TYPES}" xmlns:m="{MESSAGES}"><s:Header>'
        f'<t:RequestServerVersion Version="{version}"/>{header}</s:Header>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def get_folder(*ids: str) -> str:
    shape = "<m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
    return f"<m:GetFolder>{shape}<m:FolderIds>{''.join(ids)}</m:FolderIds></m:GetFolder>"


def of(mailbox: Mailbox, key: str = "root") -> str:
    address = f"<t:Mailbox><t:EmailAddress>{mailbox.address}</t:EmailAddress></t:Mailbox>"
    return f'<t:DistinguishedFolderId Id="{key}">{address}</t:DistinguishedFolderId>'


def impersonating(mailbox: Mailbox) -> str:
    sid = f"<t:PrimarySmtpAddress>{mailbox.address}</t:PrimarySmtpAddress>"
    inner = f"<t:ConnectingSID>{sid}</t:ConnectingSID>"
    return f"<t:ExchangeImpersonation>{inner}</t:ExchangeImpersonation>"


async def post(lab: Lab, name: str, body: bytes, **headers: str) -> requests.Response:
    def ask() -> requests.Response:
        with session(lab) as found:
            found.auth = HttpNtlmAuth(rf"LINDENSTADT\{name}", f"lab-only-{name}")
            return found.post(URL, data=body, headers=headers, timeout=10)

    return await outside(ask)


async def codes(lab: Lab, name: str, body: bytes, **headers: str) -> list[str]:
    """The code of each response message, or that of the fault."""
    found = await post(lab, name, body, **headers)
    root = fromstring(found.content)
    version = root.find("s:Header/t:ServerVersionInfo", NAMES)
    assert version is not None, "every answer has the version"
    faults = root.findall("s:Body/s:Fault/faultcode", NAMES)
    assert found.status_code == (500 if faults else 200)
    said = faults or [one for one in root.iter() if one.tag == f"{{{MESSAGES}}}ResponseCode"]
    return [(one.text or "").rpartition(":")[2] for one in said]


async def test_folders_come_in_the_order_in_which_they_were_asked_for(lab: Lab) -> None:
    anna = staff(lab)[0]
    ids = [of(anna, key) for key in ("inbox", "nosuchfolder", "root")]
    body = envelope(get_folder(*ids))
    assert await codes(lab, anna.account, body) == ["NoError", "ErrorFolderNotFound", "NoError"]


async def test_a_server_knows_versions_up_to_its_own(lab: Lab) -> None:
    anna = staff(lab)[0]
    body = get_folder(ROOT)
    assert await codes(lab, anna.account, envelope(body, "Exchange2016")) == ["NoError"]
    for wrong in ("Exchange2031", "", "V2017_07_11"):
        found = await codes(lab, anna.account, envelope(body, wrong))
        assert found == ["ErrorInvalidServerVersion"]
    lab.organisation.change_server("LS-EX16", build=(15, 0, 1497, 2))
    assert await codes(lab, anna.account, envelope(body)) == ["NoError"]
    found = await codes(lab, anna.account, envelope(body, "Exchange2016"))
    assert found == ["ErrorInvalidServerVersion"]


async def test_the_header_names_the_back_end(lab: Lab) -> None:
    anna = staff(lab)[0]
    found = await post(lab, anna.account, envelope(get_folder(ROOT)))
    version = fromstring(found.content).find("s:Header/t:ServerVersionInfo", NAMES)
    assert version is not None
    assert [version.get(f"M{part}") for part in (
        "ajorVersion", "inorVersion", "ajorBuildNumber", "inorBuildNumber")
    ] == ["15", "1", "2507", "6"]  # fmt: skip
    assert (found.headers["X-FEServer"], found.headers["X-BEServer"]) == ("LS-EX1", "LS-EX16")


async def test_an_account_without_a_mailbox_must_name_one(lab: Lab) -> None:
    anna = staff(lab)[0]
    assert await codes(lab, "svc-reader", envelope(get_folder(ROOT))) == [
        "ErrorMissingEmailAddress"
    ]
    assert await codes(lab, "svc-reader", envelope(get_folder(of(anna)))) == ["ErrorItemNotFound"]


async def test_acting_as_somebody_needs_the_role(lab: Lab) -> None:
    anna = staff(lab)[0]
    body = envelope(get_folder(ROOT), header=impersonating(anna))
    assert await codes(lab, "svc-reader", body) == ["ErrorImpersonateUserDenied"]
    name = "svc-probe"
    roles = frozenset({"ApplicationImpersonation"})
    lab.accounts.add(Account(name, "LINDENSTADT", Secret(f"lab-only-{name}"), roles))
    assert await codes(lab, name, body) == ["NoError"]
    other = envelope(get_folder(of(staff(lab)[1])), header=impersonating(anna))
    assert await codes(lab, name, other) == ["ErrorItemNotFound"]


async def test_the_anchor_decides_over_the_back_end(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    database = next(one for one in lab.organisation.databases.values() if one.server == "LS-EX2")
    bert.database = database.name
    body = envelope(get_folder(ROOT))
    headers = {"X-AnchorMailbox": bert.address}
    assert (await post(lab, anna.account, body, **headers)).headers["X-BEServer"] == "LS-EX2"
    assert await codes(lab, anna.account, body, **headers) == ["NoError"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"\xff\xfe<\x00a\x00/\x00>\x00",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" * 5000,
        b"<a>" * 5000 + b"</a>" * 5000,
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(),
        f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(),
        envelope(get_folder(ROOT)) + b"<more/>",
        envelope(f"<m:GetFolder>{'<t:x/>' * 100_000}</m:GetFolder>"),
    ],
)
async def test_what_is_no_request_is_a_fault(lab: Lab, body: bytes) -> None:
    assert await codes(lab, staff(lab)[0].account, body) == ["ErrorSchemaValidation"]


async def test_an_operation_that_the_lab_lacks_is_a_fault(lab: Lab) -> None:
    for body in ("<m:GetServerTimeZones/>", '<x xmlns="urn:other"/>'):
        found = await codes(lab, staff(lab)[0].account, envelope(body))
        assert found == ["ErrorInvalidRequest"]


@pytest.mark.parametrize("operation", ["FindItem", "FindFolder", "ResolveNames"])
async def test_too_much_in_one_request_is_a_fault(lab: Lab, operation: str) -> None:
    """Each folder to search and each name goes through much, while all others wait."""
    shape = f"<m:{operation.removeprefix('Find')}Shape><t:BaseShape>IdOnly</t:BaseShape>"
    outbox = '<t:DistinguishedFolderId Id="outbox"/>'
    for count in (MOST_AT_ONCE, MOST_AT_ONCE + 1):
        body = f"<m:ParentFolderIds>{outbox * count}</m:ParentFolderIds>"
        asked = f"{shape}</m:{operation.removeprefix('Find')}Shape>{body}"
        if operation == "ResolveNames":
            asked = "<m:UnresolvedEntry>zz</m:UnresolvedEntry>" * count
        found = await codes(
            lab, staff(lab)[0].account, envelope(f"<m:{operation}>{asked}</m:{operation}>")
        )
        many = count > MOST_AT_ONCE
        assert found == ["ErrorInvalidRequest"] if many else len(found) == count


FIND = (
    '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
    "{view}{restriction}<m:ParentFolderIds>"
    '<t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
)


def view(offset: object, most: object = 10, base: str = "Beginning") -> str:
    return (
        f'<m:IndexedPageItemView MaxEntriesReturned="{most}" Offset="{offset}" BasePoint="{base}"/>'
    )


async def found_items(lab: Lab, asked: str) -> tuple[Element, int]:
    """The folder element of FindItem, and how many items it holds."""
    content = (await post(lab, staff(lab)[0].account, envelope(asked))).content
    (root,) = fromstring(content).iter(f"{{{MESSAGES}}}RootFolder")
    return root, len(root[0])


async def test_pages_begin_where_they_are_asked_to(lab: Lab) -> None:
    count = lab.world.contents.count(staff(lab)[0], "inbox")
    for offset, base, shown, following, last in (
        (0, "Beginning", 10, 10, "false"),
        (count - 3, "Beginning", 3, count, "true"),
        (count + 5, "Beginning", 0, count, "true"),
        (0, "End", 10, count, "true"),
    ):
        asked = FIND.format(view=view(offset, base=base), restriction="")
        root, number = await found_items(lab, asked)
        assert number == shown
        assert root.get("IndexedPagingOffset") == str(following)
        assert root.get("TotalItemsInView") == str(count)
        assert root.get("IncludesLastItemInRange") == last


@pytest.mark.parametrize("wrong", [view(-1), view("x"), view(0, 0)])
async def test_a_page_that_cannot_be_is_refused(lab: Lab, wrong: str) -> None:
    body = envelope(FIND.format(view=wrong, restriction=""))
    assert await codes(lab, staff(lab)[0].account, body) == ["ErrorInvalidRequest"]


async def test_nobody_can_search_for_what_is_no_property(lab: Lab) -> None:
    for inner in (
        '<t:Exists><t:FieldURI FieldURI="item:Nothing"/></t:Exists>',
        "<t:Excludes/>",
        '<t:IsEqualTo><t:FieldURI FieldURI="item:Size"/></t:IsEqualTo>',
    ):
        restriction = f"<m:Restriction>{inner}</m:Restriction>"
        body = envelope(FIND.format(view=view(0), restriction=restriction))
        found = await codes(lab, staff(lab)[0].account, body)
        assert found == ["ErrorUnsupportedPathForQuery"]


async def test_ids_of_others_open_nothing(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    assert not lab.web.people.may("full_access", anna, bert)
    folder = Id(bert.exchange_guid, "sentitems").text
    item = Id(bert.exchange_guid, "sentitems", 0).text
    body = envelope(get_folder(f'<t:FolderId Id="{folder}"/>', '<t:FolderId Id="AAMk"/>'))
    assert await codes(lab, anna.account, body) == ["ErrorItemNotFound", "ErrorInvalidIdMalformed"]
    asked = (
        "<m:GetItem><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape><m:ItemIds>"
        f'<t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    assert await codes(lab, anna.account, envelope(asked)) == ["ErrorItemNotFound"]
    assert await codes(lab, bert.account, envelope(asked)) == ["NoError"]


async def test_mail_with_characters_that_xml_cannot_hold_is_read_all_the_same(lab: Lab) -> None:
    anna = staff(lab)[0]
    odd = "a\x01b\ud800c\ufffe <&> d"
    message = lab.world.delivering.written("x@other.example", (anna.address,), "s", "b")
    headers = (("X-Odd", odd), ("Subject", odd))
    message = replace(message, subject=odd, body=odd, headers=headers, message_id=odd)
    lab.world.contents.put(anna, message)
    shape = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>" + "".join(
        f'<t:FieldURI FieldURI="{name}"/>'
        for name in ("item:Subject", "item:Body", "item:MimeContent",
                     "item:InternetMessageHeaders", "message:InternetMessageId")
    ) + "</t:AdditionalProperties></m:ItemShape>"  # fmt: skip
    newest = next(lab.world.contents.items(anna, "inbox"))
    named = Id(anna.exchange_guid, "inbox", newest.number, newest.stored).text
    asked = f'<m:GetItem>{shape}<m:ItemIds><t:ItemId Id="{named}"/></m:ItemIds></m:GetItem>'
    found = await post(lab, anna.account, envelope(asked))
    root = fromstring(found.content)
    (subject,) = root.iter(f"{{{TYPES}}}Subject")
    assert subject.text == "a\ufffdb\ufffdc\ufffd <&> d"
    (content,) = root.iter(f"{{{TYPES}}}MimeContent")
    lines = b64decode(content.text or "").split(b"\r\n")
    assert sum(line.startswith(b"Subject:") for line in lines) == 1


@given(st.binary(max_size=300))
def test_bytes_are_a_request_or_refused(raw: bytes) -> None:
    with pytest.raises(Refused):
        read(raw)


GUIDS = st.uuids().map(str)
NUMBERS = st.integers(-1, 10**9)
FORMS = st.sampled_from(["EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId", "EwsLegacyId"])


@given(GUIDS, NUMBERS, st.booleans(), FORMS)
def test_an_id_leads_back_to_what_it_names(
    mailbox: str, number: int, stored: bool, form: str
) -> None:
    named = Id(mailbox, "inbox", number, stored)
    assert unpack(pack(named, form), form) == named


@given(st.text(max_size=100), FORMS)
def test_a_text_is_an_id_or_refused(text: str, form: str) -> None:
    try:
        found: Any = unpack(text, form)
    except Refused as refused:
        assert refused.code == "ErrorInvalidIdMalformed"
    else:
        assert pack(found, form) == text
