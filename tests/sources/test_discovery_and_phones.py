"""What Autodiscover says over SOAP, and ActiveSync to a phone, in a running lab."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mailmig.model.activesync import SyncOptions
from mailmig.model.discovery import SoapSettings
from mailmig.model.secret import Secret
from mailmig.sources.activesync import ActiveSync
from mailmig.sources.autodiscover_soap import SoapAutodiscover
from mailmig.sources.remote_errors import NotShownAgain
from mailmig.sources.web_entering import Entering
from mailmig.sources.web_session import Logons
from tests.sources.ways_town import AUTODISCOVER, MAIL, WaysTown, logons, ways_town


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[WaysTown]:
    async with ways_town(tmp_path) as town:
        yield town


async def settings(
    town: WaysTown, mailbox: str, address: str = "", shared: Logons | None = None,
    secret: Secret | None = None,
) -> SoapSettings:  # fmt: skip
    entering = Entering(town.web(), shared or logons(), town.credentials(secret))
    return await SoapAutodiscover(entering).discover(
        address or town.inside[1], AUTODISCOVER, mailbox, town.own
    )


async def options(
    town: WaysTown, address: str = "", shared: Logons | None = None, secret: Secret | None = None
) -> SyncOptions:
    phone = ActiveSync(town.web(), shared or logons(), town.credentials(secret))
    return await phone.options(address or town.inside[1], MAIL, town.own)


async def test_the_url_of_ews_is_told_for_each_mailbox_at_each_address(town: WaysTown) -> None:
    people = town.lab.web.people
    for address in (*town.inside, *town.outside):
        for mailbox in (town.person, town.common):
            said = await settings(town, mailbox.address, address)
            assert (said.status, said.error, said.trouble) == (200, "", None)
            assert said.user_dn == people.legacy(mailbox)
            assert said.ews_inside.endswith(".ad.lindenstadt.example/EWS/Exchange.asmx")
            assert said.ews_outside == f"https://{MAIL}/EWS/Exchange.asmx"
            assert (said.mapi, said.version) == (True, "15.1.2507.6")


async def test_an_address_that_nobody_has_is_an_error_of_autodiscover(town: WaysTown) -> None:
    said = await settings(town, "niemand@lindenstadt.example")
    assert (said.status, said.error, said.user_dn) == (200, "InvalidUser", "")


async def test_a_back_end_that_is_down_is_a_status(town: WaysTown) -> None:
    town.lab.faults.on("app-pool-stopped", r"LS-EX16\MSExchangeAutodiscoverAppPool")
    said = await settings(town, town.own)
    assert (said.status, said.let_in, said.error, said.user_dn) == (503, True, "", "")


async def test_a_proxy_that_does_not_publish_it_gets_no_password(town: WaysTown) -> None:
    town.lab.faults.on("gateway-not-published", "autodiscover")
    said = await settings(town, town.own, town.outside[0])
    assert (said.status, said.let_in, said.trouble) == (404, None, None)
    assert town.attempts() == []


async def test_a_phone_is_told_the_versions_at_each_address(town: WaysTown) -> None:
    shared = logons()
    for address in (*town.inside, *town.outside):
        said = await options(town, address, shared)
        assert (said.status, said.let_in, said.offered) == (200, True, ("Basic",))
        assert "16.1" in said.versions and said.back_end == "LS-EX16"
    assert all(town.attempts())


async def test_a_wrong_password_is_shown_once_over_both_schemes(town: WaysTown) -> None:
    shared, wrong = logons(), Secret("falsch")
    said = await settings(town, town.own, shared=shared, secret=wrong)
    assert (said.status, said.let_in) == (401, False)
    with pytest.raises(NotShownAgain):
        await options(town, shared=shared, secret=wrong)
    assert town.attempts() == [False]


async def test_a_server_that_is_off_is_a_trouble(town: WaysTown) -> None:
    await town.switch_off("LS-EX2", town.inside[2])
    for said in (
        await settings(town, town.own, town.inside[2]),
        await options(town, town.inside[2]),
    ):
        assert said.trouble is not None and said.status == 0
