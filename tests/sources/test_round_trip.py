"""Probe messages through a running lab: found, timed, removed; and what is left alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from smtplib import SMTP

import pytest
import pytest_asyncio

from mailmig.model.mail import Delivery
from mailmig.model.secret import Secret
from mailmig.model.web import Stage
from mailmig.sources.ews import Ews
from mailmig.sources.round_trip import WORD, Patience, RoundTrip
from mailmig.sources.smtp import Smtp
from mailmig.sources.web_entering import Way
from tests.lab.mail_servers import OUTSIDER, letter
from tests.sources.ways_town import MAIL, PATH, WaysTown, logons, ways_town

GATEWAY, NODE = "relay.lindenstadt.example", "ls-ex1.ad.lindenstadt.example"
OLD_PROBE = f"{WORD} 20260101T000000Z-{'0' * 32}"


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[WaysTown]:
    async with ways_town(tmp_path) as town:
        yield town


async def trip(
    town: WaysTown, taker: str = NODE, delivery_s: float = 10.0, sender: str = "",
    secret: Secret | None = None,
) -> Delivery:  # fmt: skip
    ews = Ews(town.web(), logons(), town.credentials(secret))
    carrier = RoundTrip(Smtp(5, town.places), ews, "mailmig", Patience(5, delivery_s), sender)
    return await carrier.send(town.takers[taker], Way(town.inside[1], MAIL, town.own), PATH)


async def bring(town: WaysTown, subject: str) -> None:
    """A message that somebody else sends."""
    host, port = town.places[town.takers[NODE], 25]

    def work() -> None:
        with SMTP(host, port, local_hostname="probe", timeout=10) as one:
            one.sendmail(OUTSIDER, [town.own], letter(subject))

    await asyncio.to_thread(work)


async def test_a_message_is_found_by_each_way_and_leaves_nothing_behind(town: WaysTown) -> None:
    used, items, deleted = town.person.used, town.person.items, town.person.deleted
    for taker in town.takers:
        came = await trip(town, taker)
        assert (came.code, came.looking, came.trouble) == (250, "", None)
        assert came.found_s is not None and came.removed and not came.in_junk
        assert came.hops[0] == taker and came.hops[-1] == "ls-ex16.ad.lindenstadt.example"
    assert (town.person.used, town.person.items) == (used, items)
    assert town.person.deleted == deleted, "removed for good"
    assert town.subjects() == []


async def test_several_messages_at_once_do_not_take_each_other_away(town: WaysTown) -> None:
    came = await asyncio.gather(*(trip(town, taker) for taker in [*town.takers] * 2))
    assert all(one.removed for one in came)
    assert town.subjects() == []


async def test_what_an_earlier_trip_left_is_removed_and_nothing_else(town: WaysTown) -> None:
    others = ["Rechnung", f"{WORD} und was das ist", f"AW: {OLD_PROBE}"]
    for subject in (*others, OLD_PROBE):
        await bring(town, subject)
    assert (await trip(town)).removed
    assert sorted(town.subjects()) == sorted(others)


async def test_a_message_that_is_late_is_told_and_stays_for_the_next_trip(town: WaysTown) -> None:
    town.lab.faults.on("mail-slow", "LS-EX1")
    came = await trip(town, delivery_s=1.0)
    assert (came.code, came.found_s, came.removed) == (250, None, False)
    assert 1.0 <= came.waited_s < 5.0
    town.lab.world.advance(timedelta(minutes=2))
    (subject,) = town.subjects()
    assert re.fullmatch(rf"{WORD} \d{{8}}T\d{{6}}Z-[0-9a-f]{{32}}", subject)


@pytest.mark.parametrize(
    ("fault", "target", "code", "said"),
    [
        ("component-inactive", r"LS-EX1\FrontendTransport", 421, "4.3.2 Service not active"),
        ("component-inactive", r"LS-EX1\HubTransport", 421, "4.3.2 Service not available"),
    ],
)
async def test_a_server_that_does_not_take_it_says_so(
    town: WaysTown, fault: str, target: str, code: int, said: str
) -> None:
    town.lab.faults.on(fault, target)
    came = await trip(town)
    assert (came.code, came.said, came.found_s, came.removed) == (code, said, None, False)


async def test_a_server_that_is_off_is_a_trouble_of_its_connection(town: WaysTown) -> None:
    await town.switch_off("LS-EX2", town.inside[2])
    came = await trip(town, "ls-ex2.ad.lindenstadt.example")
    assert (came.code, came.found_s) == (0, None)
    assert came.trouble is not None and came.trouble.stage is Stage.TCP


async def test_nothing_is_sent_that_could_not_be_removed(town: WaysTown) -> None:
    town.lab.faults.on("database-dismounted", town.person.database)
    came = await trip(town)
    assert came == Delivery(looking="EWS says ErrorMailboxStoreUnavailable")
    assert town.lab.world.delivering.waiting == 0
    town.lab.faults.off("database-dismounted", town.person.database)
    assert town.subjects() == []


async def test_a_wrong_password_sends_nothing_and_is_shown_once(town: WaysTown) -> None:
    came = await trip(town, secret=Secret("falsch"))
    assert came == Delivery(looking="EWS refuses the password")
    assert (town.attempts(), town.subjects()) == ([False], [])


async def test_somebody_else_may_be_the_sender(town: WaysTown) -> None:
    town.lab.faults.on("mail-slow", "LS-EX1")
    await trip(town, delivery_s=0.2, sender="probe@partner.example")
    town.lab.world.advance(timedelta(minutes=2))
    with town.lab.world.lock:
        items = town.lab.world.contents.items(town.person, "inbox")
        (found,) = [one for one in items if one.stored]
    assert found.sender == "probe@partner.example"
    named = dict(found.headers)
    assert named["Auto-Submitted"] == "auto-generated"
    assert named["X-Mailmig-Probe"] == found.subject
