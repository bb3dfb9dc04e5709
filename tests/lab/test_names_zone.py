from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailmig.lab.names_zone import TOMBSTONE_KEPT, Ageing, View, Zone, hours, moment

START = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DELAY = timedelta(minutes=15)
TEXT = """
@ 3600 SOA dc1 hostmaster 7 900 600 86400 600
@ NS dc1
@ NS dc2
mail 300 A 10.1.0.11
mail 300 A 10.2.0.12
_ldap._tcp.dc._msdcs SRV 0 100 389 dc1
* TXT "anything else"
"""
BOTH = ("dc1", "dc2")


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def zone(clock: Clock) -> Zone:
    return Zone.from_text("town.example", TEXT, BOTH, clock, delay=DELAY)


def addresses(zone: Zone, server: str, name: str = "mail") -> list[str]:
    found = zone.records(server, zone.name(name)) or ()
    return [r.rdata.to_text() for r in found if r.rdata.rdtype.name == "A"]


def put(zone: Zone, server: str, name: str, address: str, ttl: int = 300) -> bool:
    draft = zone.edit(server, dynamic=True)
    draft.put(zone.name(name), zone.rdata("A", address), ttl)
    return draft.commit()


def stamp(zone: Zone, server: str, name: str) -> int:
    found = zone.records(server, zone.name(name))
    assert found
    return found[0].stamp


def test_a_change_reaches_the_other_server_after_the_delay_and_not_before(
    zone: Zone, clock: Clock
) -> None:
    assert zone.remove("dc1", "mail", "A", "10.1.0.11")
    assert addresses(zone, "dc1") == ["10.2.0.12"]
    clock.at += DELAY - timedelta(microseconds=1)
    assert addresses(zone, "dc2") == ["10.1.0.11", "10.2.0.12"]
    assert zone.on_the_way == 1
    clock.at += timedelta(microseconds=1)
    assert addresses(zone, "dc2") == ["10.2.0.12"]
    assert zone.on_the_way == 0


def test_every_change_raises_the_serial_at_each_server_that_sees_it(
    zone: Zone, clock: Clock
) -> None:
    assert [zone.replica(server).serial for server in BOTH] == [7, 7]
    zone.add("dc1", "new", "A", 60, "10.1.0.99")
    assert [zone.replica(server).serial for server in BOTH] == [8, 7]
    clock.at += DELAY
    assert [zone.replica(server).serial for server in BOTH] == [8, 8]
    assert not zone.remove("dc1", "new", "A", "10.9.9.9")
    assert zone.replica("dc1").serial == 8


def test_each_server_names_itself_as_primary_where_both_take_changes(zone: Zone) -> None:
    assert zone.soa("dc2").rdata.to_text() == "dc2. hostmaster.town.example. 7 900 600 86400 600"
    zone.primary = "dc1"
    assert zone.soa("dc2").rdata.to_text().startswith("dc1. ")


def test_of_two_changes_to_one_name_the_later_wins_everywhere(zone: Zone, clock: Clock) -> None:
    zone.remove("dc1", "mail", "A", "10.1.0.11")
    clock.at += timedelta(minutes=1)
    zone.add("dc2", "mail", "A", 300, "10.3.0.13")
    clock.at += DELAY
    assert addresses(zone, "dc1") == addresses(zone, "dc2")
    assert addresses(zone, "dc1") == ["10.1.0.11", "10.2.0.12", "10.3.0.13"]


def test_a_server_that_receives_nothing_catches_up_when_it_does_again(
    zone: Zone, clock: Clock
) -> None:
    zone.replica("dc2").receives = False
    zone.remove("dc1", "mail", "A", "10.1.0.11")
    clock.at += 10 * DAY
    assert len(addresses(zone, "dc2")) == 2
    assert zone.on_the_way == 1
    zone.replica("dc2").receives = True
    assert addresses(zone, "dc2") == ["10.2.0.12"]


def test_a_push_does_not_wait_for_the_delay(zone: Zone) -> None:
    zone.remove("dc1", "mail", "A", "10.1.0.11")
    zone.push()
    assert addresses(zone, "dc2") == ["10.2.0.12"]


STEP = st.tuples(
    st.sampled_from(BOTH),
    st.sampled_from(["mail", "ews", "smtp"]),
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    st.booleans(),
    st.integers(0, 40),
)


@given(st.lists(STEP, max_size=25))
def test_whatever_was_changed_where_both_servers_end_alike(
    steps: list[tuple[str, str, str, bool, int]],
) -> None:
    clock = Clock()
    zone = Zone.from_text("town.example", TEXT, BOTH, clock, delay=DELAY)
    serials = dict.fromkeys(BOTH, 0)
    for server, name, address, add, minutes in steps:
        before = zone.replica(server).serial
        if add:
            changed = put(zone, server, name, address)
        else:
            changed = zone.remove(server, name, "A", address)
        assert (zone.replica(server).serial > before) == changed
        clock.at += timedelta(minutes=minutes)
        assert all(zone.replica(one).serial >= serials[one] for one in BOTH)
        serials = {one: zone.replica(one).serial for one in BOTH}
    clock.at += DELAY
    assert list(zone.all_records("dc1")) == list(zone.all_records("dc2"))
    assert zone.on_the_way == 0


@given(st.lists(STEP, max_size=15), st.integers(1, 9))
def test_a_long_wait_and_many_short_ones_come_to_the_same(
    steps: list[tuple[str, str, str, bool, int]], parts: int
) -> None:
    def play(looks: int) -> Iterator[object]:
        clock = Clock()
        ageing = Ageing(enabled=True)
        zone = Zone.from_text("town.example", TEXT, BOTH, clock, delay=DELAY, ageing=ageing)
        zone.replica("dc2").scavenges_every = 7 * DAY
        zone.settle()
        for server, name, address, add, minutes in steps:
            if add:
                put(zone, server, name, address)
            else:
                zone.remove(server, name, "A", address)
            clock.at += timedelta(minutes=minutes)
        for _ in range(looks):
            clock.at += 45 * DAY / looks
            zone.settle()
        for server in BOTH:
            yield list(zone.all_records(server))
            yield zone.replica(server).serial

    assert list(play(1)) == list(play(parts * 7))


def test_static_records_have_no_timestamp_and_dynamic_ones_have_whole_hours(zone: Zone) -> None:
    assert stamp(zone, "dc1", "mail") == 0
    assert moment(stamp(zone, "dc1", "mail")) is None
    put(zone, "dc1", "client", "10.1.1.1")
    assert moment(stamp(zone, "dc1", "client")) == START.replace(minute=0)
    assert hours(datetime(1601, 1, 2, tzinfo=UTC)) == 24


def test_a_static_record_that_comes_back_by_update_is_no_longer_static(
    zone: Zone, clock: Clock
) -> None:
    zone.ageing = Ageing(enabled=True, since=START - 30 * DAY)
    put(zone, "dc1", "mail", "10.1.0.11")
    assert stamp(zone, "dc1", "mail") == 0
    zone.remove("dc1", "mail", "A", "10.1.0.11")
    put(zone, "dc1", "mail", "10.1.0.11")
    clock.at += 15 * DAY
    assert zone.scavenge("dc1") == (("mail.town.example", "10.1.0.11"),)
    assert addresses(zone, "dc1") == ["10.2.0.12"]


def test_a_refresh_counts_only_after_the_no_refresh_interval(zone: Zone, clock: Clock) -> None:
    zone.ageing = Ageing(enabled=True)
    put(zone, "dc1", "client", "10.1.1.1")
    first = stamp(zone, "dc1", "client")
    clock.at += 7 * DAY - HOUR
    assert not put(zone, "dc1", "client", "10.1.1.1")
    assert stamp(zone, "dc1", "client") == first
    clock.at += HOUR
    assert put(zone, "dc1", "client", "10.1.1.1")
    assert stamp(zone, "dc1", "client") == first + 7 * 24


def test_scavenging_takes_what_is_stale_and_only_in_zones_that_age(
    zone: Zone, clock: Clock
) -> None:
    put(zone, "dc1", "client", "10.1.1.1")
    clock.at += 14 * DAY
    put(zone, "dc1", "young", "10.1.1.2")
    clock.at += HOUR
    assert zone.scavenge("dc1") == ()
    zone.ageing = Ageing(enabled=True, since=clock.at)
    assert zone.scavenge("dc1") == ()
    clock.at += 7 * DAY
    assert zone.scavenge("dc1") == (("client.town.example", "10.1.1.1"),)
    assert addresses(zone, "dc1", "young") == ["10.1.1.2"]
    clock.at += DELAY
    assert addresses(zone, "dc2", "client") == []


def test_a_server_scavenges_by_itself_and_the_other_hears_of_it(zone: Zone, clock: Clock) -> None:
    zone.ageing = Ageing(enabled=True)
    zone.replica("dc1").scavenges_every = 7 * DAY
    zone.settle()
    put(zone, "dc2", "client", "10.1.1.1")
    clock.at += 21 * DAY
    assert addresses(zone, "dc2", "client") == ["10.1.1.1"]
    assert addresses(zone, "dc1", "client") == []
    clock.at += DELAY
    assert addresses(zone, "dc2", "client") == []


def test_a_refresh_that_is_still_on_its_way_does_not_save_a_record_from_scavenging(
    zone: Zone, clock: Clock
) -> None:
    zone.ageing = Ageing(enabled=True)
    zone.replica("dc1").scavenges_every = 7 * DAY
    zone.settle()
    put(zone, "dc1", "client", "10.1.1.1")
    clock.at = START + 21 * DAY - timedelta(minutes=5)
    assert put(zone, "dc2", "client", "10.1.1.1")
    clock.at += DAY
    assert addresses(zone, "dc1", "client") == addresses(zone, "dc2", "client") == []


def test_a_deleted_name_stays_as_a_tombstone_for_its_time(zone: Zone, clock: Clock) -> None:
    zone.add("dc1", "old", "A", 60, "10.1.0.50")
    zone.remove("dc1", "old", "A")
    name = zone.name("old")
    assert zone.replica("dc1").nodes[name].records == ()
    clock.at += TOMBSTONE_KEPT - HOUR
    assert name in zone.replica("dc1").nodes
    clock.at += HOUR
    assert name not in zone.replica("dc1").nodes
    assert name not in zone.replica("dc2").nodes


def test_a_name_that_was_deleted_does_not_come_back_from_a_late_server(
    zone: Zone, clock: Clock
) -> None:
    zone.replica("dc2").receives = False
    put(zone, "dc1", "gone", "10.1.0.50")
    zone.remove("dc1", "gone", "A")
    clock.at += DAY
    zone.replica("dc2").receives = True
    clock.at += DAY
    assert zone.records("dc2", zone.name("gone")) == zone.records("dc2", zone.name("never"))


def test_names_above_a_record_exist_and_a_star_stands_for_those_that_do_not(zone: Zone) -> None:
    assert zone.records("dc1", zone.name("_tcp.dc._msdcs")) == ()
    wild = zone.records("dc1", zone.name("what.ever"))
    assert wild is not None
    assert [r.rdata.to_text() for r in wild] == ['"anything else"']
    assert zone.records("dc1", zone.name("below.mail")) is None


def test_the_nearest_zone_that_the_server_holds_answers(clock: Clock) -> None:
    outer = Zone("town.example", BOTH, clock)
    inner = Zone("_msdcs.town.example", ["dc1"], clock)
    view = View("internal", [outer, inner])
    name = dns.name.from_text("dc._msdcs.town.example")
    assert view.zone_of(name, "dc1") is inner
    assert view.zone_of(name, "dc2") is outer
    assert view.zone_of(dns.name.from_text("example"), "dc1") is None


def test_a_changed_ttl_holds_for_the_whole_set(zone: Zone) -> None:
    zone.add("dc1", "mail", "A", 60, "10.3.0.13")
    found = zone.of_type("dc1", zone.name("mail"), zone.rdata("A", "10.3.0.13").rdtype)
    assert {record.ttl for record in found} == {60}
    assert len(found) == 3
