"""Opens mailboxes of the lab over EWS: what is seen, who is asked how often, and what exchangelib keeps."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from exchangelib.protocol import BaseProtocol, CachingProtocol
from requests.adapters import HTTPAdapter

from mailmig.model.directory import Kind
from mailmig.model.ews import MailboxRead
from mailmig.model.secret import Secret
from mailmig.model.web import Stage
from mailmig.sources.ews import Ews
from mailmig.sources.remote_errors import LoginRefused
from tests.sources.ways_town import MAIL, PATH, WaysTown, logons, ways_town


@pytest_asyncio.fixture(name="town")
async def _town(tmp_path: Path) -> AsyncIterator[WaysTown]:
    async with ways_town(tmp_path) as town:
        yield town


def client(town: WaysTown, secret: Secret | None = None, timeout_s: float = 10.0) -> Ews:
    return Ews(town.web(timeout_s), logons(), town.credentials(secret))


async def read(town: WaysTown, mailbox: str, address: str = "", path: str = PATH) -> MailboxRead:
    return await client(town).read(address or town.inside[1], MAIL, path, town.own, mailbox)


async def test_own_and_shared_mailbox_are_read_at_every_address(town: WaysTown) -> None:
    ews = client(town)
    for address in (*town.inside, *town.outside):
        for mailbox in (town.person, town.common):
            seen = await ews.read(address, MAIL, PATH, town.own, mailbox.address)
            assert seen.trouble is None and seen.error == "" and seen.is_read
            assert (seen.size, seen.items) == (mailbox.used, mailbox.items)
            assert seen.recoverable_size == mailbox.deleted
            assert (seen.version, seen.back_end) == ("15.1.2507.6", "LS-EX16")
            assert seen.folders > 15 and 0 < seen.took_s < 10
    assert all(town.attempts())


async def test_many_are_read_side_by_side(town: WaysTown) -> None:
    ews = client(town)
    wanted = [
        (address, name)
        for address in (*town.inside, *town.outside)
        for name in (town.own, town.shared)
    ]
    seen = await asyncio.gather(
        *(ews.read(address, MAIL, PATH, town.own, name) for address, name in wanted * 2)
    )
    sizes = {town.own: town.person.used, town.shared: town.common.used}
    assert [one.size for one in seen] == [sizes[name] for _, name in wanted * 2]


async def test_a_wrong_password_is_shown_once_however_many_ask(town: WaysTown) -> None:
    ews = client(town, Secret("falsch"))
    said = await asyncio.gather(
        *(ews.read(place, MAIL, PATH, town.own, town.shared) for place in town.inside * 3),
        return_exceptions=True,
    )
    refused = [one for one in said if isinstance(one, MailboxRead)]
    assert [(one.let_in, one.status, one.is_read) for one in refused] == [(False, 401, False)]
    assert all(isinstance(one, LoginRefused | MailboxRead) for one in said)
    assert town.attempts() == [False]


async def test_exchangelib_keeps_nothing_and_its_defaults_stay(town: WaysTown) -> None:
    CachingProtocol.clear_cache()
    assert (await read(town, town.own)).is_read
    assert CachingProtocol._protocol_cache == {}
    assert BaseProtocol.HTTP_ADAPTER_CLS is HTTPAdapter


def _split(town: WaysTown) -> None:
    target = next(one.name for one in town.lab.organisation.databases.values() if one.dag)
    town.person.database = target


def _throttle(town: WaysTown) -> None:
    town.lab.faults.on("ews-throttled", town.own)


def _dismount(town: WaysTown) -> None:
    town.lab.faults.on("database-dismounted", town.common.database)


def _complete(town: WaysTown) -> None:
    target = next(one.name for one in town.lab.organisation.databases.values() if one.dag)
    move = town.lab.organisation.move(town.common, target)
    while move.status(town.lab.organisation.now) != "CompletionInProgress":
        town.lab.world.advance(timedelta(seconds=2))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_split, "ErrorWrongServerVersionDelegate"),
        (_throttle, "ErrorServerBusy"),
        (_dismount, "ErrorMailboxStoreUnavailable"),
        (_complete, "ErrorMailboxMoveInProgress"),
    ],
)
async def test_the_error_is_the_one_of_ews(
    town: WaysTown, change: Callable[[WaysTown], None], error: str
) -> None:
    change(town)
    seen = await read(town, town.shared)
    assert (seen.error, seen.is_read, seen.trouble, seen.let_in) == (error, False, None, True)
    assert (seen.back_off_s or 0) > 60 if error == "ErrorServerBusy" else seen.back_off_s is None


async def test_a_mailbox_that_nobody_has_is_told_from_one_without_access(town: WaysTown) -> None:
    people = town.lab.web.people
    closed = next(
        one for one in town.lab.organisation.present(Kind.SHARED)
        if not people.may("full_access", town.person, one)
    )  # fmt: skip
    seen = [
        await read(town, name) for name in (closed.address, "niemand@lindenstadt.example")
    ]  # fmt: skip
    assert [one.error for one in seen] == ["ErrorItemNotFound", "ErrorNonExistentMailbox"]


async def test_who_may_not_use_ews_meets_403(town: WaysTown) -> None:
    town.person.protocols = replace(town.person.protocols, ews=False)
    seen = await read(town, town.own)
    assert (seen.status, seen.let_in, seen.error) == (403, True, "")


@pytest.mark.parametrize(
    ("fault", "target", "status", "let_in"),
    [
        ("app-pool-stopped", r"LS-EX1\MSExchangeServicesFrontEndAppPool", 503, None),
        ("directory-basic-only", r"LS-EX1\ews", 401, None),
    ],
)
async def test_a_front_end_that_does_not_ask_us_gets_no_password(
    town: WaysTown, fault: str, target: str, status: int, let_in: bool | None
) -> None:
    town.lab.faults.on(fault, target)
    seen = await read(town, town.own)
    assert (seen.status, seen.let_in, seen.error) == (status, let_in, "")
    assert town.attempts() == []


async def test_a_redirect_is_told_and_not_followed(town: WaysTown) -> None:
    town.lab.faults.on("gateway-redirect-loop", "ews")
    seen = await read(town, town.own, town.outside[0])
    assert (seen.status, seen.redirect) == (302, f"https://{MAIL}{PATH}")


async def test_an_answer_that_is_none_of_ews_is_a_trouble(town: WaysTown) -> None:
    seen = await read(town, town.own, path="/autodiscover/autodiscover.xml")
    assert seen.trouble is not None and seen.trouble.stage is Stage.HTTP
    assert seen.trouble.reason.startswith("another answer than that of EWS: ")
    assert (seen.status, seen.error, seen.is_read) == (200, "", False)


async def test_the_logon_is_bound_to_its_connection(town: WaysTown) -> None:
    town.lab.faults.on("extended-protection-differs", r"LS-EX1\ews")
    ews = client(town)
    assert (await ews.read(town.inside[1], MAIL, PATH, town.own, town.own)).is_read
    refused = [await ews.read(place, MAIL, PATH, town.own, town.own) for place in town.outside * 2]
    assert False in {one.let_in for one in refused}, "a proxy re-encrypts"
    assert (await ews.read(town.inside[1], MAIL, PATH, town.own, town.own)).is_read


async def test_a_server_that_hangs_keeps_no_other_one_waiting(town: WaysTown) -> None:
    ews = client(town, timeout_s=4.0)
    assert (await ews.read(town.inside[1], MAIL, PATH, town.own, town.own)).is_read
    town.lab.faults.on("server-hangs", "LS-EX2")
    hasty = client(town, timeout_s=0.5)
    while True:  # connections that were open when it began to hang are cut
        one = await hasty.read(town.inside[2], MAIL, PATH, town.own, town.own)
        if one.trouble is not None and one.trouble.timed_out:
            break
    hanging = [
        asyncio.create_task(ews.read(town.inside[2], MAIL, PATH, town.own, town.own))
        for _ in range(8)
    ]
    await asyncio.sleep(0.2)
    seen = await ews.read(town.inside[1], MAIL, PATH, town.own, town.shared)
    assert seen.is_read and not any(one.done() for one in hanging)
    for one in await asyncio.gather(*hanging):
        assert one.trouble is not None and one.trouble.timed_out and not one.is_read


async def test_a_connection_that_breaks_within_an_answer_is_a_trouble(town: WaysTown) -> None:
    town.lab.faults.on("gateway-half-answers", "ews")
    seen = await read(town, town.own, town.outside[0])
    assert seen.trouble is not None and seen.trouble.stage is Stage.HTTP
    assert "closed" in seen.trouble.reason


async def test_no_secret_and_no_document_gets_into_the_log(
    town: WaysTown, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    town.lab.faults.on("ews-throttled", town.own)
    seen = await read(town, town.own)
    assert "lab-only-" not in caplog.text + repr(seen)
    assert "Envelope" not in "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("exchangelib")
    )
