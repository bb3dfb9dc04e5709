"""What Set-CASMailbox takes away from a mailbox, its clients are refused; the others go on."""

from dataclasses import replace
from typing import Any

import pytest
import requests
from requests_ntlm import HttpNtlmAuth

from mailmig.lab.organisation import guid
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.lab.web.directories import DIRECTORIES
from mailmig.wire.autodiscover import pox
from tests.lab.remote_servers import outside
from tests.lab.web.clients import password, session, staff
from tests.lab.web.test_ews_requests import codes, envelope, get_folder, of, post

EX16 = "https://ls-ex16.ad.lindenstadt.example"


async def asked(
    lab: Lab, who: Mailbox, method: str, path: str, **options: Any
) -> requests.Response:
    logon = rf"LINDENSTADT\{who.account}", password(who)

    def ask() -> requests.Response:
        with session(lab) as found:
            auth = logon if "ActiveSync" in path else HttpNtlmAuth(*logon)
            return found.request(method, f"{EX16}{path}", auth=auth, timeout=10, **options)

    return await outside(ask)


async def test_activesync_is_403_for_whom_it_is_switched_off(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    anna.protocols = replace(anna.protocols, active_sync=False)
    path = "/Microsoft-Server-ActiveSync"
    assert (await asked(lab, anna, "OPTIONS", path)).status_code == 403
    assert (await asked(lab, bert, "OPTIONS", path)).status_code == 200
    assert await codes(lab, anna.account, envelope(get_folder(of(anna)))) == ["NoError"]


async def test_ews_is_403_for_whom_it_is_switched_off(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    anna.protocols = replace(anna.protocols, ews=False)
    found = await post(lab, anna.account, envelope(get_folder(of(anna))))
    assert (found.status_code, found.content) == (403, b"")
    assert found.headers["X-BEServer"] == "LS-EX16"
    assert await codes(lab, bert.account, envelope(get_folder(of(bert)))) == ["NoError"]


async def test_ews_that_the_organisation_lacks_a_mailbox_may_have(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    _switch(lab, "EwsEnabled", False)
    bert.protocols = replace(bert.protocols, ews=True)
    assert (await post(lab, anna.account, envelope(get_folder(of(anna))))).status_code == 403
    assert await codes(lab, bert.account, envelope(get_folder(of(bert)))) == ["NoError"]
    _switch(lab, "EwsEnabled", None)
    assert await codes(lab, anna.account, envelope(get_folder(of(anna)))) == ["NoError"]


def _switch(lab: Lab, name: str, value: object) -> None:
    own = guid(lab.organisation.seed, "organisation")
    lab.organisation.settings.change(own, {name: value}, lab.organisation.now)


@pytest.mark.parametrize("path", ["owa", "ecp"])
async def test_owa_and_ecp_are_403_behind_the_logon(lab: Lab, path: str) -> None:
    anna, bert = staff(lab)[:2]
    for _, live in lab.web.directories._objects[DIRECTORIES[path].file]():
        lab.organisation.settings.change(
            str(live["Guid"]), {"InternalAuthenticationMethods": ["Ntlm"]}, lab.organisation.now
        )
    other = "ecp" if path == "owa" else "owa"
    anna.protocols = replace(anna.protocols, **{path: False})
    bert.protocols = replace(bert.protocols, **{other: False})
    assert (await asked(lab, anna, "GET", f"/{path}/")).status_code == 403
    assert (await asked(lab, bert, "GET", f"/{path}/")).status_code == 200


async def test_autodiscover_names_no_mapi_over_http_where_a_mailbox_has_none(lab: Lab) -> None:
    anna, bert = staff(lab)[:2]
    anna.protocols = replace(anna.protocols, mapi_http=False)
    for who, has in ((anna, False), (bert, True)):
        found = await asked(
            lab, who, "POST", "/autodiscover/autodiscover.xml",
            data=pox.Request(who.address).encode(), headers=dict([pox.CAPABILITY]),
        )  # fmt: skip
        settings = pox.decode(found.content)
        assert isinstance(settings, pox.Settings)
        assert (settings.mapi_http is not None) is has
