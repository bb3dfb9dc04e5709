"""Autodiscover in its three forms, asked by requests with our codec, and by exchangelib."""

from typing import Any

import exchangelib
import pytest
import requests
from exchangelib.autodiscover.protocol import AutodiscoverProtocol

from mailmig.lab.organisation import guid
from mailmig.lab.population import Archive, Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.model.directory import Kind
from mailmig.wire.autodiscover import mobile, pox, soap, v2
from tests.lab.remote_servers import outside
from tests.lab.web.clients import exchange, password, session, staff

EX1 = "ls-ex1.ad.lindenstadt.example"
NAMESPACE = "mail.lindenstadt.example"
FRONT = {"autodiscover_lindenstadt_example": "ls-ex16"}
BASE = "https://autodiscover.lindenstadt.example/autodiscover/autodiscover"
CAPABLE = dict([pox.CAPABILITY])


async def asked(lab: Lab, method: str, url: str, **options: Any) -> requests.Response:
    def ask() -> requests.Response:
        with session(lab, **FRONT) as found:
            return found.request(method, url, timeout=10, **options)

    return await outside(ask)


def logon(mailbox: Mailbox) -> tuple[str, str]:
    return rf"LINDENSTADT\{mailbox.account}", password(mailbox)


async def settings(
    lab: Lab, caller: Mailbox, address: str = "", headers: dict[str, str] = CAPABLE
) -> pox.Settings:
    body = pox.Request(address or caller.address).encode()
    url = f"{BASE}.xml"
    found = await asked(lab, "POST", url, data=body, auth=logon(caller), headers=headers)
    assert found.status_code == 200
    answer = pox.decode(found.content)
    assert isinstance(answer, pox.Settings), answer
    return answer


async def error(lab: Lab, method: str = "POST", body: bytes = b"") -> int:
    caller = staff(lab)[0]
    found = await asked(lab, method, f"{BASE}.xml", data=body, auth=logon(caller))
    assert found.status_code == 200
    answer = pox.decode(found.content)
    assert isinstance(answer, pox.Error)
    return answer.code


def move(lab: Lab, *mailboxes: Mailbox) -> None:
    """They have moved to the target."""
    database = next(one for one in lab.organisation.databases.values() if one.server == "LS-EX1")
    for one in mailboxes:
        one.database = database.name


async def test_a_mailbox_of_the_source_is_told_the_namespace(lab: Lab) -> None:
    anna = staff(lab)[0]
    found = await settings(lab, anna)
    assert found.user.smtp_address == anna.address
    assert found.user.legacy_dn == lab.web.people.legacy(anna)
    assert found.mapi_http is not None
    assert found.mapi_http.mail_store is not None
    url = f"https://{NAMESPACE}/mapi/emsmdb/?MailboxId={anna.exchange_guid}@{anna.domain}"
    assert found.mapi_http.mail_store == pox.Urls(url, url)
    outlook = found.protocol("EXPR")
    assert outlook is not None
    assert outlook.get("Server") == NAMESPACE
    inside = found.protocol("exch")
    assert inside is not None
    assert inside.get("EwsUrl") == f"https://{NAMESPACE}/EWS/Exchange.asmx"
    assert inside.get("ServerVersion") == "73C189CB"


async def test_only_who_asks_for_it_gets_mapi_over_http(lab: Lab) -> None:
    anna = staff(lab)[0]
    assert (await settings(lab, anna, headers={})).mapi_http is None
    own = guid(lab.organisation.seed, "organisation")
    lab.organisation.settings.change(own, {"MapiHttpEnabled": False}, lab.organisation.now)
    assert (await settings(lab, anna)).mapi_http is None


async def test_after_its_move_a_mailbox_is_told_the_new_server_inside(lab: Lab) -> None:
    anna = staff(lab)[0]
    move(lab, anna)
    found = await settings(lab, anna)
    assert found.mapi_http is not None
    assert found.mapi_http.mail_store is not None
    inside, outside_ = found.mapi_http.mail_store.internal, found.mapi_http.mail_store.external
    assert inside is not None and inside.startswith(f"https://{EX1}/mapi/emsmdb/?MailboxId=")
    assert outside_ is not None and outside_.startswith(f"https://{NAMESPACE}/mapi/emsmdb/")
    assert found.protocols == ()  # SE leaves out EXCH and EXPR
    assert {one.type for one in (await settings(lab, anna, headers={})).protocols} == {
        "EXCH", "EXPR",
    }  # fmt: skip


async def test_full_access_of_ones_own_is_opened_by_itself_and_that_of_groups_is_not(
    lab: Lab,
) -> None:
    anna = staff(lab)[0]
    shared = next(lab.organisation.present(Kind.SHARED))
    before = (await settings(lab, anna)).alternative_mailboxes
    assert shared.address not in {one.smtp_address for one in before}
    lab.organisation.full_access.grant(shared.number, anna.number)
    anna.archive = Archive(guid("archive"), anna.database, 1, 1)
    after = (await settings(lab, anna)).alternative_mailboxes
    own = {(one.type, one.smtp_address, one.owner_smtp_address) for one in after}
    assert ("Delegate", shared.address, anna.address) in own
    assert ("Archive", None, anna.address) in own
    group = next(n for n, one in enumerate(lab.organisation.principals) if one.is_group)
    other = next(
        one for one in lab.organisation.present(Kind.SHARED, Kind.ROOM)
        if not lab.web.people.may("full_access", anna, one)
    )  # fmt: skip
    lab.organisation.full_access.grant(other.number, -1 - group)
    again = (await settings(lab, anna)).alternative_mailboxes
    assert other.address not in {one.smtp_address for one in again}


async def test_a_shared_mailbox_is_told_to_whoever_asks_with_its_address(lab: Lab) -> None:
    anna = staff(lab)[0]
    shared = next(lab.organisation.present(Kind.SHARED))
    found = await settings(lab, anna, shared.address)
    assert found.user.legacy_dn == lab.web.people.legacy(shared)
    assert found.mapi_http is not None
    assert found.mapi_http.mail_store is not None
    assert shared.exchange_guid in str(found.mapi_http.mail_store.internal)
    second = f"{shared.alias}@{lab.organisation.mail_domains[-1]}"
    assert (await settings(lab, anna, second)).user.smtp_address == shared.address


async def test_errors_have_the_numbers_of_exchange(lab: Lab) -> None:
    gone = staff(lab)[1]
    assert await error(lab, "GET") == 600
    assert await error(lab, body=b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>") == 600
    assert await error(lab, body=pox.Request("nobody@lindenstadt.example").encode()) == 500
    assert await error(lab, body=pox.Request(gone.address, "http://other/").encode()) == 601
    lab.organisation.disable(gone)
    assert await error(lab, body=pox.Request(gone.address).encode()) == 500


async def test_devices_are_told_where_to_synchronise(lab: Lab) -> None:
    anna = staff(lab)[0]
    body = pox.Request(anna.address, pox.MOBILE_RESPONSE).encode()
    found = await asked(lab, "POST", f"{BASE}.xml", data=body, auth=logon(anna))
    answer = mobile.decode(found.content)
    assert isinstance(answer, mobile.Settings)
    assert answer.servers[0].url == f"https://{NAMESPACE}/Microsoft-Server-ActiveSync"


async def test_nobody_is_told_without_a_password(lab: Lab) -> None:
    for name in ("xml", "svc"):
        assert (await asked(lab, "POST", f"{BASE}.{name}", data=b"")).status_code == 401


@pytest.mark.parametrize("scheme", [None, exchangelib.NTLM, exchangelib.BASIC])
async def test_exchangelib_reads_the_settings(lab: Lab, scheme: str | None) -> None:
    anna = staff(lab)[0]
    lab.organisation.full_access.grant(
        next(lab.organisation.present(Kind.SHARED)).number, anna.number
    )

    def ask() -> Any:
        with exchange(lab, **FRONT):
            config = exchangelib.Configuration(
                service_endpoint=f"{BASE}.svc", auth_type=scheme,
                credentials=exchangelib.Credentials(*logon(anna)),
            )  # fmt: skip
            protocol = AutodiscoverProtocol(config=config)
            return protocol.get_user_settings(user=anna.address)

    found = await outside(ask)
    assert found.autodiscover_smtp_address == anna.address
    assert found.ews_url == f"https://{NAMESPACE}/EWS/Exchange.asmx"
    assert found.user_settings["user_dn"] == lab.web.people.legacy(anna)
    assert found.version.api_version


async def test_soap_says_which_user_and_which_setting_is_not_there(lab: Lab) -> None:
    anna = staff(lab)[0]
    request = soap.Request(("nobody@x.example", anna.address), ("UserDN", "InternalUMUrl"))
    url = f"{BASE}.svc"
    found = await asked(lab, "POST", url, data=request.encode(), auth=logon(anna))
    answer = soap.decode(found.content)
    assert isinstance(answer, soap.Answers)
    assert [one.code for one in answer.users] == ["InvalidUser", "NoError"]
    assert [one.code for one in answer.users[1].errors] == ["SettingIsNotAvailable"]
    assert answer.version is not None and answer.version.numbers == (15, 1, 2507, 6)
    broken = await asked(lab, "POST", url, data=b"<a/>", auth=logon(anna))
    assert broken.status_code == 500
    assert isinstance(soap.decode(broken.content), soap.Fault)


async def test_2013_has_no_v2(lab: Lab) -> None:
    lab.organisation.change_server("LS-EX16", build=(15, 0, 1497, 2))
    url = f"{BASE}.json?Email={staff(lab)[0].address}&Protocol=Ews"
    assert (await asked(lab, "GET", url)).status_code == 404


async def test_v2_answers_everybody(lab: Lab) -> None:
    anna = staff(lab)[0]

    async def ask(email: str | None, protocol: str | None) -> v2.Found | v2.Error:
        path = v2.Request(email, protocol).encode().removeprefix(v2.PATH)
        return v2.decode((await asked(lab, "GET", f"{BASE}.json{path}")).content)

    where = f"https://{NAMESPACE}/EWS/Exchange.asmx"
    assert await ask(anna.address, "ews") == v2.Found("ews", where)
    in_path = v2.Request(anna.address, v2.EWS).encode_with_path().removeprefix(v2.PATH)
    found = await asked(lab, "GET", f"{BASE}.json{in_path}")
    assert v2.decode(found.content) == v2.Found(v2.EWS, where)
    for email, protocol, code in (
        (None, v2.EWS, v2.MANDATORY_PARAMETER_MISSING),
        (anna.address, None, v2.MISSING_PROTOCOL),
        (anna.address, "Nothing", v2.PROTOCOL_NOT_SUPPORTED),
    ):
        refused = await ask(email, protocol)
        assert isinstance(refused, v2.Error)
        assert refused.code == code
