"""Our client asks the lab, and the questions that any server must answer also BIND."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import dns.rcode
import pytest
import pytest_asyncio

from mailmig.lab.names_serving import Serving
from mailmig.model.errors import UNREACHABLE, MailmigError
from mailmig.model.names import AddressMap
from mailmig.sources.names import Names, NamesSettings
from mailmig.sources.names_errors import (
    BadName,
    BrokenAnswer,
    NameServerUnreachable,
    NoSuchName,
    NoSuchRecord,
    QuestionRefused,
)
from tests.lab.bind import named
from tests.lab.town_names import INTERNAL, LONG, Town, town

DC1, DC2, NS1, SITE = "dc1.town.example", "dc2.town.example", "ns1.town.example", "dns.site-a"
QUICK = NamesSettings(timeout_s=0.3, tries=2)


def addresses(lab: Town) -> AddressMap:
    servers = (lab.dc1, lab.dc2, lab.outside, lab.site)
    return {(n, 53): s.where for n, s in zip((DC1, DC2, NS1, SITE), servers, strict=True)}


@pytest_asyncio.fixture(name="lab")
async def _lab() -> AsyncIterator[Town]:
    async with town() as running:
        yield running


@pytest.fixture(name="names")
def _names(lab: Town) -> Names:
    return Names(QUICK, addresses(lab), vantage="Rathaus", now=lab.clock)


@pytest.fixture(scope="module", name="bind")
def _bind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with named(tmp_path_factory.mktemp("named"), "town.example", INTERNAL + LONG, {}) as where:
        yield where


@pytest.fixture(name="either", params=["lab", "bind"])
def _either(request: pytest.FixtureRequest) -> Names:
    """A client for which `DC1` is the lab's server, and one for which it is BIND."""
    if request.param == "lab":
        names: Names = request.getfixturevalue("names")
        return names
    return Names(NamesSettings(), {(DC1, 53): request.getfixturevalue("bind")})


async def test_an_answer_says_everything_about_a_set(names: Names, lab: Town) -> None:
    seen = await names.ask("Mail.Town.Example.", "a", DC1.upper() + ".")
    assert (seen.name, seen.type, seen.rcode) == ("mail.town.example", "A", "NOERROR")
    assert seen.addresses == ("10.1.0.11", "10.2.0.12")
    assert (seen.address, seen.port) == lab.dc1.where
    assert (seen.ttl_s, seen.serial, seen.zone) == (300, 7, "town.example")
    assert seen.authoritative
    assert (seen.seen_at, seen.origin, seen.vantage) == (lab.clock.at, "dns", "Rathaus")
    again = await names.ask("mail.town.example", "A", DC1)
    assert again.addresses == ("10.2.0.12", "10.1.0.11")


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("ex2.town.example", "A", ("10.2.0.12",)),
        ("dc1.town.example", "AAAA", ("2001:db8:1::10",)),
        ("town.example", "MX", ("10 mail.town.example.",)),
        ("_autodiscover._tcp.town.example", "SRV", ("0 0 443 mail.town.example.",)),
        ("text.town.example", "TXT", ('"v=spf1 mx -all" "second"',)),
        ("autodiscover.town.example", "CNAME", ("mail.town.example.",)),
    ],
)
async def test_every_kind_of_record_is_read(
    either: Names, name: str, kind: str, values: tuple[str, ...]
) -> None:
    seen = await either.ask(name, kind, DC1)
    assert seen.values == values
    assert seen.authoritative and seen.serial == 7 and seen.zone == "town.example"


async def test_an_alias_is_followed_and_remembered(either: Names) -> None:
    seen = await either.ask("autodiscover.town.example", "A", DC1)
    assert sorted(seen.addresses) == ["10.1.0.11", "10.2.0.12"]
    assert seen.canonical == "mail.town.example"
    assert seen.records[0].type == "CNAME"
    assert (seen.zone, seen.serial) == ("town.example", 7)


async def test_the_serial_is_that_of_the_name_s_own_zone_wherever_its_alias_leads(
    names: Names, lab: Town
) -> None:
    lab.zone.add("dc1", "odd", "CNAME", 60, "11.0.1.10.in-addr.arpa.")
    seen = await names.ask("odd.town.example", "PTR", DC1)
    assert seen.values == ("ex1.town.example.",)
    assert (seen.zone, seen.serial) == ("town.example", 8)


async def test_an_answer_that_is_too_long_for_a_packet_comes_over_tcp(either: Names) -> None:
    seen = await either.ask("long.town.example", "A", DC1)
    assert len(set(seen.addresses)) == 100


async def test_a_name_that_does_not_exist_and_a_missing_record_are_told_apart(
    either: Names,
) -> None:
    with pytest.raises(NoSuchName, match=r"knows no name nobody\.town\.example") as no_name:
        await either.ask("nobody.town.example", "A", DC1)
    assert no_name.value.answer.serial == 7
    with pytest.raises(NoSuchRecord, match="has no MX record"):
        await either.ask("mail.town.example", "MX", DC1)
    with pytest.raises(NoSuchRecord, match=r"alias of mail\.town\.example"):
        await either.ask("autodiscover.town.example", "MX", DC1)
    absent = await either.ask("nobody.town.example", "A", DC1, absent_ok=True)
    assert (absent.rcode, absent.addresses, absent.ttl_s) == ("NXDOMAIN", (), None)


async def test_a_zone_that_the_server_does_not_hold_is_refused(either: Names) -> None:
    with pytest.raises(
        QuestionRefused, match=r"refuses the question for www\.elsewhere\.example A"
    ):
        await either.ask("www.elsewhere.example", "A", DC1)


async def test_a_delegated_name_is_no_answer(either: Names) -> None:
    with pytest.raises(BrokenAnswer, match=r"points to the servers of branch\.town\.example"):
        await either.ask("host.branch.town.example", "A", DC1)


@pytest.mark.parametrize("name", ["a..b.example", "x" * 64 + ".example", "ü" * 60 + ".example"])
async def test_what_cannot_be_a_name_is_said_so_before_anybody_is_asked(
    names: Names, lab: Town, name: str
) -> None:
    with pytest.raises(BadName):
        await names.ask(name, "A", DC1)
    with pytest.raises(BadName):
        await names.compare(name, "A", [DC1])
    with pytest.raises(BadName, match="no record type"):
        await names.ask("mail.town.example", "ADRESS", DC1)
    assert lab.dc1.asked == 0


async def test_umlauts_and_odd_names_are_asked_for_as_they_are(names: Names, lab: Town) -> None:
    lab.zone.add("dc1", "bürgerbüro".encode("idna").decode(), "A", 60, "10.1.0.80")
    assert (await names.ask("bürgerbüro.town.example", "A", DC1)).addresses == ("10.1.0.80",)
    with pytest.raises(NoSuchName):
        await names.ask("$(x).town.example", "A", DC1)


# Trouble


async def fails(names: Names, server: str = DC1) -> MailmigError:
    with pytest.raises(MailmigError) as error:
        async with asyncio.timeout(5):
            await names.ask("mail.town.example", "A", server)
    return error.value


async def test_a_closed_port_is_noticed_at_once(names: Names, lab: Town) -> None:
    await lab.dc1.close()
    error = await fails(names)
    assert isinstance(error, NameServerUnreachable)
    assert error.exit_code == UNREACHABLE
    assert f"name server {DC1} ({lab.dc1.host}:{lab.dc1.port}): nothing listens" in str(error)


async def test_a_silent_server_is_asked_again_and_then_given_up(names: Names, lab: Town) -> None:
    lab.dc1.drops = True
    error = await fails(names)
    assert isinstance(error, NameServerUnreachable)
    assert "no answer in 0.6 s" in str(error)
    assert lab.dc1.asked == 2


async def test_a_packet_that_is_lost_is_sent_again(names: Names, lab: Town) -> None:
    lab.dc1.drops = True
    asking = asyncio.create_task(names.ask("mail.town.example", "A", DC1))
    while not lab.dc1.asked:
        await asyncio.sleep(0.01)
    lab.dc1.drops = False
    assert len((await asking).addresses) == 2


def _servfail(server: Serving) -> None:
    server.fails_with = dns.rcode.SERVFAIL


def _formerr(server: Serving) -> None:
    server.fails_with = dns.rcode.FORMERR


def _garbles(server: Serving) -> None:
    server.garbles = True


@pytest.mark.parametrize(
    ("breaks", "reason"),
    [(_servfail, "SERVFAIL"), (_formerr, "FORMERR"), (_garbles, "cannot be read")],
)
async def test_an_answer_that_cannot_be_used_is_no_silence(
    names: Names, lab: Town, breaks: Callable[[Serving], None], reason: str
) -> None:
    breaks(lab.dc1)
    error = await fails(names)
    assert isinstance(error, BrokenAnswer)
    assert reason in str(error)
    assert error.exit_code != UNREACHABLE


async def test_a_server_that_refuses_us_is_neither_broken_nor_silent(
    names: Names, lab: Town
) -> None:
    lab.dc1.fails_with = dns.rcode.REFUSED
    assert isinstance(await fails(names), QuestionRefused)


async def test_truncation_without_tcp_says_that_tcp_is_missing() -> None:
    loop = asyncio.get_running_loop()

    class Cuts(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            end = data.index(b"\0", 12) + 5
            back = data[:2] + b"\x87\0\0\1\0\0\0\0\0\0" + data[12:end]
            self.transport.sendto(back, addr)  # type: ignore[attr-defined]

    transport, _ = await loop.create_datagram_endpoint(Cuts, local_addr=("127.0.0.1", 0))
    where = transport.get_extra_info("sockname")
    error = await fails(Names(QUICK, {(DC1, 53): where}))
    transport.close()
    assert isinstance(error, NameServerUnreachable)
    assert "needs TCP, and there nothing listens" in str(error)


async def test_packets_that_fit_no_question_are_passed_over_and_told() -> None:
    loop = asyncio.get_running_loop()

    class Strays(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            wrong = bytes([data[0] ^ 255, data[1]])
            for back in (b"", b"x", data, wrong + b"\x84" + data[3:]):
                self.transport.sendto(back, addr)  # type: ignore[attr-defined]

    transport, _ = await loop.create_datagram_endpoint(Strays, local_addr=("127.0.0.1", 0))
    error = await fails(Names(QUICK, {(DC1, 53): transport.get_extra_info("sockname")}))
    transport.close()
    assert isinstance(error, BrokenAnswer)
    assert "do not fit the question" in str(error)


async def test_a_server_whose_name_has_no_address_is_named() -> None:
    error = await fails(Names(QUICK), "a..b")
    assert isinstance(error, NameServerUnreachable)
    assert "its name has no address" in str(error)


async def test_a_server_is_asked_directly_by_its_address_where_the_map_says_nothing() -> None:
    names = Names(QUICK)
    place = await names.place("192.0.2.53")
    assert (place.address, place.port) == ("192.0.2.53", 53)
    assert str(await names.place("2001:db8::53")) == "[2001:db8::53]:53"


async def test_only_so_many_questions_are_open_at_one_server(lab: Town) -> None:
    open_now, most = 0, 0
    answer = lab.dc1.answer

    async def counted(query: object) -> object:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.02)
        open_now -= 1
        return await answer(query)  # type: ignore[arg-type]

    lab.dc1.answer = counted  # type: ignore[method-assign, assignment]
    names = Names(NamesSettings(parallel=3), addresses(lab))
    await asyncio.gather(*(names.ask("mail.town.example", "A", DC1) for _ in range(12)))
    assert most == 3


async def test_a_question_that_is_cancelled_leaves_nothing_open(names: Names, lab: Town) -> None:
    lab.dc1.delay_s = 30.0
    asking = asyncio.create_task(names.ask("mail.town.example", "A", DC1))
    while not lab.dc1.asked:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    lab.dc1.delay_s = 0.0
    assert (await names.ask("mail.town.example", "A", DC1)).addresses


# Several servers


async def test_servers_agree_until_one_has_a_change_that_the_other_has_not(
    names: Names, lab: Town
) -> None:
    same = await names.compare("mail.town.example", "A", [DC1, DC2])
    assert same.agree and same.lacking(["10.2.0.12", "10.1.0.11"]) == ()
    lab.zone.remove("dc1", "mail", "A", "10.1.0.11")
    differ = await names.compare("mail.town.example", "A", [DC1, DC2])
    assert not differ.agree
    assert [answer.serial for answer in differ.answers] == [8, 7]
    assert differ.lacking(["10.2.0.12"]) == (DC2,)
    lab.clock.wait(minutes=15)
    assert (await names.compare("mail.town.example", "A", [DC1, DC2])).agree


async def test_a_silent_server_is_part_of_the_comparison(names: Names, lab: Town) -> None:
    lab.dc2.drops = True
    said = await names.compare("mail.town.example", "A", [DC1, DC2])
    assert not said.agree
    assert len(said.answers) == 1
    assert said.silent[0].server == DC2 and "no answer" in said.silent[0].reason
    assert said.lacking(["10.1.0.11", "10.2.0.12"]) == (DC2,)


async def test_views_differ_and_that_shows(names: Names) -> None:
    inside = await names.ask("mail.town.example", "A", DC1)
    outside = await names.ask("mail.town.example", "A", NS1)
    assert set(inside.addresses).isdisjoint(outside.addresses)
    assert outside.serial == 2026112001


async def test_a_resolver_shows_what_is_left_of_the_ttl(names: Names, lab: Town) -> None:
    await names.ask("mail.town.example", "A", SITE)
    lab.clock.wait(seconds=100)
    kept = await names.ask("mail.town.example", "A", SITE)
    assert kept.ttl_s == 200
    assert not kept.authoritative and kept.serial is None


# Domain controllers


async def test_domain_controllers_are_found_in_the_order_in_which_clients_take_them(
    either: Names,
) -> None:
    found = await either.discover("town.example", server=DC1)
    assert [(dc.name, dc.port, dc.weight) for dc in found] == [(DC2, 389, 200), (DC1, 389, 100)]
    assert found[1].addresses == ("10.1.0.10", "2001:db8:1::10")


async def test_the_controllers_of_one_site_are_found_whatever_the_site_is_called(
    either: Names,
) -> None:
    found = await either.discover("town.example", site="Büro", server=DC1)
    assert [dc.name for dc in found] == [DC2]
    with pytest.raises(NoSuchName):
        await either.discover("town.example", site="No such", server=DC1)


async def test_the_next_server_is_asked_when_the_first_is_down(lab: Town) -> None:
    settings = NamesSettings(servers=(DC1, SITE), timeout_s=0.3, tries=1)
    names = Names(settings, addresses(lab))
    lab.dc1.drops = True
    lab.site.servers = [lab.dc2]
    assert len(await names.discover("town.example")) == 2
    lab.site.fails_with = dns.rcode.SERVFAIL
    with pytest.raises(NameServerUnreachable):
        await names.discover("town.example")


def test_without_settings_the_servers_of_this_machine_are_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Names(NamesSettings(servers=("192.0.2.53",))).servers() == ("192.0.2.53",)
    asked = Names().servers()
    assert all(isinstance(server, str) for server in asked)


@pytest.mark.parametrize("wrong", [{"timeout_s": 0.0}, {"tries": 0}, {"parallel": 0}])
def test_settings_that_would_never_ask_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="timeout_s is above 0"):
        NamesSettings(**wrong)  # type: ignore[arg-type]


async def test_a_half_open_connection_is_given_up(lab: Town) -> None:
    lab.dc1.truncates = True
    lab.dc1.port, kept = lab.dc1.port, lab.dc1.port
    assert lab.dc1._tcp is not None
    lab.dc1._tcp.close()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind((lab.dc1.host, kept))
        deaf.listen()
        error = await fails(Names(QUICK, addresses(lab)))
    assert isinstance(error, NameServerUnreachable)
    assert "needs TCP, and there no answer came in time" in str(error)
