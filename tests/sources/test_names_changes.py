"""Our client changes one address of a set: at the lab's servers, and at BIND."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import dns.rcode
import dns.tsig
import pytest
import pytest_asyncio

from mailmig.model.errors import UNREACHABLE
from mailmig.model.names import NameAnswer, UpdateKey
from mailmig.model.secret import Secret
from mailmig.sources.names import Names, NamesSettings
from mailmig.sources.names_changes import NameChanges
from mailmig.sources.names_errors import (
    BadKey,
    BadName,
    BrokenAnswer,
    ChangeNotSeen,
    ChangeRefused,
    ChangeUnknown,
    KeyRefused,
    NameServerUnreachable,
    SetChanged,
    WouldLeaveNothing,
)
from tests.lab.bind import named
from tests.lab.town_names import ADMIN_KEY, INTERNAL, MAIL_KEY, MAIL_NAMES, Town, town

DC1, DC2, SITE = "dc1.town.example", "dc2.town.example", "dns.site-a"
MAIL, OURS, PEER = "mail.town.example", "10.1.0.11", "10.2.0.12"
BOTH = (DC1, DC2)


@dataclass
class Bench:
    """A server to change names at, and who may do it."""

    names: Names
    servers: tuple[str, ...]

    def changes(self, key: UpdateKey = MAIL_KEY) -> NameChanges:
        return NameChanges(self.names, key)

    async def see(self, name: str = MAIL, kind: str = "A") -> NameAnswer:
        return await self.names.ask(name, kind, DC1, absent_ok=True)

    async def others(self) -> list[tuple[str, ...]]:
        """What must never change when an address of mail does."""
        asked = [
            (MAIL, "AAAA"),
            ("smtp.town.example", "A"),
            ("town.example", "NS"),
            ("ex1.town.example", "A"),
        ]
        return [tuple(sorted((await self.see(*one)).values)) for one in asked]  # fmt: skip


@pytest_asyncio.fixture(name="lab")
async def _lab() -> AsyncIterator[Town]:
    async with town() as running:
        yield running


@pytest.fixture(name="bench")
def _bench(lab: Town) -> Bench:
    where = {(DC1, 53): lab.dc1.where, (DC2, 53): lab.dc2.where, (SITE, 53): lab.site.where}
    return Bench(Names(NamesSettings(timeout_s=0.5, tries=2), where, now=lab.clock), BOTH)


@pytest_asyncio.fixture(name="either", params=["lab", "bind"])
async def _either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "lab":
        async with town() as lab:
            yield Bench(Names(NamesSettings(), {(DC1, 53): lab.dc1.where}), (DC1,))
        return
    grants = {MAIL_KEY: MAIL_NAMES, ADMIN_KEY: None}
    with named(tmp_path, "town.example", INTERNAL, grants) as where:
        yield Bench(Names(NamesSettings(), {(DC1, 53): where}), (DC1,))


async def test_a_drain_and_its_way_back_change_one_address_and_nothing_else(
    either: Bench,
) -> None:
    others = await either.others()
    seen = await either.see()
    drained = await either.changes().remove(seen, OURS, keep=PEER, servers=either.servers)
    assert drained.sent and drained.lacking == ()
    left = await either.see()
    assert left.addresses == (PEER,)
    assert left.serial is not None and seen.serial is not None and left.serial > seen.serial
    assert await either.others() == others
    back = await either.changes().add(left, OURS, ttl_s=300, servers=either.servers)
    assert back.sent and back.lacking == ()
    restored = await either.see()
    assert set(restored.addresses) == set(seen.addresses)
    assert restored.ttl_s == seen.ttl_s
    assert await either.others() == others


async def test_what_is_so_already_is_not_sent_again(either: Bench) -> None:
    seen = await either.see()
    same = await either.changes().add(seen, OURS, ttl_s=300, servers=either.servers)
    assert not same.sent and same.lacking == ()
    gone = await either.changes().remove(seen, "10.9.9.9", keep=PEER, servers=either.servers)
    assert not gone.sent
    assert (await either.see()).serial == seen.serial


async def test_a_set_that_somebody_changed_is_left_alone(either: Bench) -> None:
    seen = await either.see()
    await NameChanges(either.names, ADMIN_KEY).add(
        seen, "10.3.0.13", ttl_s=300, servers=either.servers
    )
    with pytest.raises(SetChanged, match=r"no longer 10\.\d.*nothing was changed"):
        await either.changes().remove(seen, OURS, keep=PEER, servers=either.servers)
    assert set((await either.see()).addresses) == {OURS, PEER, "10.3.0.13"}


async def test_a_set_can_be_begun_and_only_where_there_is_none(either: Bench) -> None:
    absent = await either.see("smtp.town.example", "AAAA")
    begun = await either.changes().add(absent, "2001:DB8::25", ttl_s=60, servers=either.servers)
    assert begun.lacking == ()
    now = await either.see("smtp.town.example", "AAAA")
    assert (now.addresses, now.ttl_s) == (("2001:db8::25",), 60)
    with pytest.raises(SetChanged, match="no longer absent"):
        await either.changes().add(absent, "2001:db8::26", ttl_s=60, servers=either.servers)


async def test_the_right_to_change_is_proved_per_name_without_changing_anything(
    either: Bench,
) -> None:
    before = (await either.see()).serial
    changes = either.changes()
    assert await changes.may_change(MAIL, DC1)
    assert not await changes.may_change("ex1.town.example", DC1)
    assert await either.changes(ADMIN_KEY).may_change("ex1.town.example", DC1)
    assert (await either.see()).serial == before


async def test_a_key_changes_only_its_own_names(either: Bench) -> None:
    seen = await either.see("ex1.town.example")
    with pytest.raises(ChangeRefused, match="does not let the key mail-key change ex1"):
        await either.changes().add(seen, "10.1.0.99", ttl_s=60, servers=either.servers)
    assert (await either.see("ex1.town.example")).addresses == ("10.1.0.11",)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (UpdateKey("mail-key", ADMIN_KEY.secret), "the secret is another one"),
        (UpdateKey("nobody", MAIL_KEY.secret), "does not know a key of this name"),
    ],
)
async def test_a_key_that_is_not_accepted_is_told_apart_from_a_missing_right(
    either: Bench, key: UpdateKey, reason: str
) -> None:
    with pytest.raises(KeyRefused, match=reason):
        await either.changes(key).may_change(MAIL, DC1)
    seen = await either.see()
    with pytest.raises(KeyRefused, match=reason):
        await either.changes(key).remove(seen, OURS, keep=PEER, servers=either.servers)
    assert len((await either.see()).addresses) == 2


async def test_a_clock_that_is_wrong_is_named_as_the_reason(
    either: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs a day ago; for the lab, in the same process, the clock is right when it checks."""
    sign: Callable[..., object] = dns.tsig.sign

    def a_day_ago(wire: bytes, key: object, rdata: object, time: int, *more: object) -> object:
        late = 0 if more and more[0] else 86400  # an answer is signed with the question's MAC
        return sign(wire, key, rdata, time - late, *more)

    monkeypatch.setattr("dns.tsig.sign", a_day_ago)
    with pytest.raises(KeyRefused, match="the clocks differ"):
        await either.changes().may_change(MAIL, DC1)


@pytest.mark.parametrize(
    "key", [UpdateKey("k", Secret("no base64!")), UpdateKey("k", MAIL_KEY.secret, "rot13")]
)
async def test_a_key_that_cannot_sign_is_refused_before_anybody_is_asked(
    bench: Bench, lab: Town, key: UpdateKey
) -> None:
    with pytest.raises(BadKey, match="no base64, or its algorithm is unknown") as error:
        await bench.changes(key).may_change(MAIL, DC1)
    assert key.secret.reveal() not in str(error.value)
    assert lab.dc1.asked == 0


async def test_the_last_address_is_never_taken_nor_the_one_that_must_stay(bench: Bench) -> None:
    seen = await bench.see()
    alone = await bench.see("smtp.town.example")
    for answer, address, keep in (
        (seen, OURS, OURS),
        (seen, OURS, "10.7.7.7"),
        (alone, OURS, PEER),
    ):
        with pytest.raises(WouldLeaveNothing, match="must remain"):
            await bench.changes().remove(answer, address, keep=keep, servers=BOTH)
    assert len((await bench.see()).addresses) == 2
    assert (await bench.see("smtp.town.example")).addresses == (OURS,)


async def test_the_other_server_lacks_the_change_until_it_has_arrived(
    bench: Bench, lab: Town
) -> None:
    done = await bench.changes().remove(await bench.see(), OURS, keep=PEER, servers=BOTH)
    assert done.lacking == (DC2,)
    lab.clock.wait(minutes=15)
    later = await bench.names.compare(MAIL, "A", BOTH)
    assert later.lacking(done.expected) == ()


async def test_a_change_is_made_at_the_server_that_was_seen_and_not_at_a_resolver(
    bench: Bench,
) -> None:
    kept = await bench.names.ask(MAIL, "A", SITE)
    with pytest.raises(BrokenAnswer, match="does not hold the zone"):
        await bench.changes().remove(kept, OURS, keep=PEER, servers=BOTH)


async def test_an_alias_is_not_changed_in_the_place_of_what_it_stands_for(bench: Bench) -> None:
    seen = await bench.see("autodiscover.town.example")
    with pytest.raises(BadName, match=r"is an alias: ask for mail\.town\.example"):
        await bench.changes().remove(seen, OURS, keep=PEER, servers=BOTH)


@pytest.mark.parametrize("wrong", ["10.1.0", "2001:db8::1", "mail", ""])
async def test_an_address_that_does_not_fit_the_set_is_refused(bench: Bench, wrong: str) -> None:
    seen = await bench.see()
    with pytest.raises(BadName):
        await bench.changes().add(seen, wrong, ttl_s=60, servers=BOTH)
    with pytest.raises(BadName):
        await bench.changes().remove(seen, OURS, keep=wrong, servers=BOTH)


async def test_an_update_without_an_answer_is_unknown_and_never_sent_twice(
    bench: Bench, lab: Town
) -> None:
    seen = await bench.see()
    asked = lab.dc1.asked
    lab.dc1.drops = True
    with pytest.raises(ChangeUnknown, match="is not known") as error:
        await bench.changes().remove(seen, OURS, keep=PEER, servers=BOTH)
    assert error.value.exit_code == UNREACHABLE
    assert lab.dc1.asked == asked + 1


async def test_an_update_that_found_no_server_is_known_not_to_have_happened(
    bench: Bench, lab: Town
) -> None:
    seen = await bench.see()
    await lab.dc1.close()
    with pytest.raises(NameServerUnreachable):
        await bench.changes().remove(seen, OURS, keep=PEER, servers=BOTH)


async def test_a_server_that_says_yes_and_does_nothing_is_found_out(
    bench: Bench, lab: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailmig.lab.names_zone.Draft.commit", lambda self: False)
    with pytest.raises(ChangeNotSeen, match=r"does not show 10\.2\.0\.12; it shows"):
        await bench.changes().remove(await bench.see(), OURS, keep=PEER, servers=BOTH)


async def test_a_server_that_fails_the_update_is_named_with_what_it_said(
    bench: Bench, lab: Town
) -> None:
    seen = await bench.see()
    lab.dc1.fails_with = dns.rcode.SERVFAIL
    with pytest.raises(BrokenAnswer, match="answers the update with SERVFAIL"):
        await bench.changes().remove(seen, OURS, keep=PEER, servers=BOTH)


async def test_of_two_who_drain_different_servers_at_once_only_one_succeeds(
    bench: Bench,
) -> None:
    seen = await bench.see()
    outcomes = await asyncio.gather(
        bench.changes().remove(seen, OURS, keep=PEER, servers=(DC1,)),
        bench.changes(replace(ADMIN_KEY)).remove(seen, PEER, keep=OURS, servers=(DC1,)),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NameChange", "SetChanged"]
    assert len((await bench.see()).addresses) == 1
