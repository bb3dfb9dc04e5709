"""Strangers talk to the lab's name servers: dig, nsupdate, dnspython, and rubbish."""

import asyncio
import logging
import random
import socket
from collections.abc import AsyncIterator

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.resolver
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailmig.lab.names import NameServer, Resolver, View, Zone
from mailmig.model.names import UpdateKey
from tests.lab.strangers import needs
from tests.lab.town_names import ADMIN_KEY, MAIL_KEY, Clock, Town, town

PATIENCE_S = 5.0


@pytest_asyncio.fixture(name="lab")
async def _lab() -> AsyncIterator[Town]:
    async with town() as running:
        yield running


async def run(*words: str, text: str = "") -> tuple[int, str]:
    """A program's exit code, and all that it said."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(20):
            out, _ = await process.communicate(text.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def dig(server: NameServer | Resolver, *words: str) -> str:
    host, port = server.where
    program = needs("dig")
    code, said = await run(program, f"@{host}", "-p", str(port), "+tries=1", "+time=3", *words)
    assert code == 0, said
    return said


async def nsupdate(server: NameServer, key: UpdateKey | None, *lines: str) -> tuple[int, str]:
    host, port = server.where
    script = [f"server {host} {port}", "zone town.example"]
    if key is not None:
        script.append(f"key {key.algorithm}:{key.name} {key.secret.reveal()}")
    script += [*lines, "send", ""]
    return await run(needs("nsupdate"), "-t", "5", text="\n".join(script))


async def ask(
    server: NameServer | Resolver, name: str, kind: str = "A", **how: object
) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    host, port = server.where
    answer, _ = await dns.asyncquery.udp_with_fallback(query, host, PATIENCE_S, port)
    return answer


def values(answer: dns.message.Message) -> list[str]:
    return [rdata.to_text() for rrset in answer.answer for rdata in rrset]


# dig


@pytest.mark.parametrize(
    ("name", "kind", "lines"),
    [
        ("dc1.town.example", "AAAA", ["2001:db8:1::10"]),
        ("town.example", "MX", ["10 mail.town.example."]),
        ("_ldap._tcp.dc._msdcs.town.example", "SRV", ["0 100 389 dc1.town.example.", "0 200 389 dc2.town.example."]),
        ("11.0.1.10.in-addr.arpa", "PTR", ["ex1.town.example."]),
        ("text.town.example", "TXT", ['"v=spf1 mx -all" "second"']),
        ("autodiscover.town.example", "A", ["10.1.0.11", "10.2.0.12", "mail.town.example."]),
        ("town.example", "SOA", ["dc1. hostmaster.town.example. 7 900 600 86400 600"]),
        ("DC1.Town.EXAMPLE", "A", ["10.1.0.10"]),
    ],
)  # fmt: skip
async def test_dig_reads_every_kind_of_record(
    lab: Town, name: str, kind: str, lines: list[str]
) -> None:
    said = await dig(lab.dc1, "+short", name, kind)
    assert sorted(said.split("\n")[:-1]) == lines


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("nobody.town.example", "A"), "NXDOMAIN"),
        (("mail.town.example", "TXT"), "NOERROR"),
        (("_tcp.dc._msdcs.town.example", "A"), "NOERROR"),
        (("www.elsewhere.example", "A"), "REFUSED"),
        (("mail.town.example", "CH", "TXT"), "REFUSED"),
        (("+edns=7", "+noednsneg", "mail.town.example", "A"), "BADVERS"),
        (("+opcode=NOTIFY", "mail.town.example", "A"), "NOTIMP"),
    ],
)
async def test_dig_is_told_no_in_the_right_words(
    lab: Town, words: tuple[str, ...], status: str
) -> None:
    said = await dig(lab.dc1, *words)
    assert f"status: {status}" in said
    if status in ("NXDOMAIN", "NOERROR"):
        assert "SOA\tdc1. hostmaster.town.example. 7" in said
        assert " aa " in said


async def test_dig_gets_a_long_answer_over_tcp_after_a_truncated_one(lab: Town) -> None:
    said = await dig(lab.dc1, "+short", "long.town.example", "A")
    assert len(said.split()) == 100
    cut = await dig(lab.dc1, "+ignore", "long.town.example", "A")
    assert " tc " in cut
    small = await dig(lab.dc1, "+ignore", "+noedns", "long.town.example", "A")
    assert " tc " in small
    assert 400 < int(small.split("rcvd: ")[1].split()[0]) <= 512


async def test_dig_is_refused_a_zone_transfer(lab: Town) -> None:
    for words in (("town.example", "AXFR"), ("town.example", "IXFR=1", "+tcp")):
        assert "Transfer failed" in await dig(lab.dc1, *words)


async def test_dig_sees_the_delegation_and_the_address_that_goes_with_it(lab: Town) -> None:
    said = await dig(lab.dc1, "host.branch.town.example", "A")
    assert "ns.branch.town.example.\t3600\tIN\tA\t10.9.0.1" in said
    assert " aa" not in said.split("flags:")[1].split(";")[0]


# Order, views, resolvers of others


async def test_a_set_is_turned_by_one_with_each_answer(lab: Town) -> None:
    seen = [values(await ask(lab.dc1, "mail.town.example")) for _ in range(4)]
    one, other = ["10.1.0.11", "10.2.0.12"], ["10.2.0.12", "10.1.0.11"]
    assert seen == [one, other, one, other]
    lab.dc1.rotates = False
    assert [values(await ask(lab.dc1, "mail.town.example")) for _ in range(3)] == [one] * 3


async def test_which_view_answers_depends_on_the_server_that_is_asked(lab: Town) -> None:
    assert sorted(values(await ask(lab.outside, "mail.town.example"))) == [
        "192.0.2.11",
        "192.0.2.12",
    ]
    assert (await ask(lab.outside, "dc1.town.example")).rcode() == dns.rcode.NXDOMAIN


async def test_an_alias_that_leads_outside_or_to_itself_ends_without_harm(lab: Town) -> None:
    assert values(await ask(lab.dc1, "outside.town.example")) == ["www.elsewhere.example."]
    assert set(values(await ask(lab.dc1, "loop.town.example"))) == {"loop.town.example."}


async def test_the_resolver_of_dnspython_works_with_the_lab(lab: Town) -> None:
    resolver = dns.asyncresolver.Resolver(configure=False)
    host, resolver.port = lab.dc1.where
    resolver.nameservers = [host]
    resolver.lifetime = PATIENCE_S
    found = await resolver.resolve("autodiscover.town.example", "A")
    assert found.canonical_name == dns.name.from_text("mail.town.example")
    assert len(await resolver.resolve("long.town.example", "A")) == 100
    with pytest.raises(dns.resolver.NXDOMAIN):
        await resolver.resolve("nobody.town.example", "A")
    with pytest.raises(dns.resolver.NoAnswer):
        await resolver.resolve("mail.town.example", "MX")
    with pytest.raises(dns.resolver.NoNameservers):
        await resolver.resolve("elsewhere.example", "A")


# Updates


async def test_nsupdate_changes_a_name_with_a_prerequisite_and_the_other_server_follows(
    lab: Town,
) -> None:
    code, said = await nsupdate(
        lab.dc1, MAIL_KEY,
        "prereq yxrrset mail.town.example A 10.1.0.11",
        "prereq yxrrset mail.town.example A 10.2.0.12",
        "update delete mail.town.example A 10.1.0.11",
    )  # fmt: skip
    assert (code, said) == (0, "")
    assert await dig(lab.dc1, "+short", "mail.town.example", "A") == "10.2.0.12\n"
    assert await dig(lab.dc1, "+short", "mail.town.example", "AAAA") == "2001:db8:1::11\n"
    assert len(values(await ask(lab.dc2, "mail.town.example"))) == 2
    lab.clock.wait(minutes=15)
    assert values(await ask(lab.dc2, "mail.town.example")) == ["10.2.0.12"]
    for server in (lab.dc1, lab.dc2):
        assert " 8 900 600 " in await dig(server, "+short", "town.example", "SOA")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["prereq yxrrset mail.town.example A 10.1.0.11"], "NXRRSET"),
        (["prereq nxrrset mail.town.example A"], "YXRRSET"),
        (["prereq yxrrset mail.town.example MX"], "NXRRSET"),
        (["prereq nxdomain mail.town.example"], "YXDOMAIN"),
        (["prereq yxdomain nobody.town.example"], "NXDOMAIN"),
        (["prereq yxdomain elsewhere.example"], "NOTZONE"),
        (["update delete ex1.town.example A"], "REFUSED"),
        (["update add elsewhere.example 60 A 10.0.0.1"], "NOTZONE"),
        (["zone elsewhere.example", "update delete mail.elsewhere.example A"], "NOTAUTH"),
        (["zone mail.town.example", "update delete mail.town.example A"], "NOTAUTH"),
    ],
)
async def test_nsupdate_is_told_why_not_and_nothing_changes(
    lab: Town, lines: list[str], said: str
) -> None:
    before = list(lab.zone.all_records("dc1"))
    tail = [] if "update" in lines[-1] else ["update delete mail.town.example A 10.1.0.11"]
    code, out = await nsupdate(lab.dc1, MAIL_KEY, *lines, *tail)
    assert code == 2
    assert f"update failed: {said}" in out
    assert list(lab.zone.all_records("dc1")) == before
    assert lab.zone.replica("dc1").serial == 7


async def test_one_forbidden_name_stops_the_whole_update(lab: Town) -> None:
    code, said = await nsupdate(
        lab.dc1, MAIL_KEY,
        "update delete mail.town.example A 10.1.0.11", "update delete ex1.town.example A 10.1.0.11",
    )  # fmt: skip
    assert code == 2 and "REFUSED" in said
    assert len(values(await ask(lab.dc1, "mail.town.example"))) == 2


async def test_an_update_needs_a_signature_with_a_key_that_the_server_knows(lab: Town) -> None:
    change = "update delete mail.town.example A 10.1.0.11"
    code, said = await nsupdate(lab.dc1, None, change)
    assert code == 2 and "update failed: REFUSED" in said
    for wrong, reason in (
        (UpdateKey("mail-key", ADMIN_KEY.secret), "BADSIG"),
        (UpdateKey("no-key", MAIL_KEY.secret), "BADKEY"),
        (UpdateKey("mail-key", MAIL_KEY.secret, "hmac-sha512"), "BADKEY"),
    ):
        code, said = await nsupdate(lab.dc1, wrong, change)
        assert code == 2
        assert "NOTAUTH" in said and reason in said
    assert len(values(await ask(lab.dc1, "mail.town.example"))) == 2


async def test_a_clock_that_is_wrong_is_told_apart_from_a_wrong_key(
    lab: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = dns.tsigkeyring.from_text({MAIL_KEY.name: ("hmac-sha256", MAIL_KEY.secret.reveal())})
    message = dns.update.UpdateMessage("town.example", keyring=ring)
    message.delete("mail", "A", "10.1.0.11")
    with monkeypatch.context() as patch:
        patch.setattr("dns.message.time.time", lambda: 1_000_000_000.0)
        wire = message.to_wire()
    back = await lab.dc1.reply(wire, tcp=True)
    assert back is not None
    with pytest.raises(dns.tsig.PeerBadTime):
        dns.message.from_wire(back, keyring=ring, request_mac=message.mac)


async def test_nsupdate_adds_replaces_and_deletes_with_a_key_for_every_name(lab: Town) -> None:
    code, said = await nsupdate(
        lab.dc1, ADMIN_KEY,
        "update add new.town.example 60 A 10.1.0.77",
        "update add new.town.example 120 TXT \"hello\"",
        "update add alias.town.example 60 CNAME new.town.example",
        "update add new.town.example 60 CNAME mail.town.example",
        "update delete text.town.example",
        "update delete town.example NS dc1.town.example",
        "update delete town.example NS dc2.town.example",
        "update delete town.example ANY",
    )  # fmt: skip
    assert (code, said) == (0, "")
    assert (
        await dig(lab.dc1, "+short", "alias.town.example", "A") == "new.town.example.\n10.1.0.77\n"
    )
    assert "status: NXDOMAIN" in await dig(lab.dc1, "text.town.example", "TXT")
    assert await dig(lab.dc1, "+short", "town.example", "NS") == "dc2.town.example.\n"
    assert await dig(lab.dc1, "+short", "town.example", "MX") == ""
    assert " 8 900 " in await dig(lab.dc1, "+short", "town.example", "SOA")


async def test_deleting_an_address_that_is_not_there_proves_the_right_and_changes_nothing(
    lab: Town,
) -> None:
    code, _ = await nsupdate(lab.dc1, MAIL_KEY, "update delete mail.town.example A 192.0.2.1")
    assert code == 0
    code, _ = await nsupdate(lab.dc1, MAIL_KEY, "update delete ex1.town.example A 192.0.2.1")
    assert code == 2
    assert lab.zone.replica("dc1").serial == 7


async def test_only_the_primary_takes_updates_where_there_is_one() -> None:
    clock = Clock()
    text = "@ SOA ns1 hostmaster 1 900 600 86400 300\n@ NS ns1\n"
    zone = Zone.from_text("town.example", text, ["ns1", "ns2"], clock, primary="ns1")
    async with NameServer("ns2", View("external", [zone])) as second:
        code, said = await nsupdate(second, None, "update add a.town.example 60 A 10.0.0.1")
    assert code == 2 and "REFUSED" in said


# Resolvers


async def test_a_resolver_keeps_an_answer_for_its_ttl_and_counts_it_down(lab: Town) -> None:
    first = await ask(lab.site, "mail.town.example")
    assert first.answer[0].ttl == 300
    assert not first.flags & dns.flags.AA and first.flags & dns.flags.RA
    lab.zone.remove("dc1", "mail", "A", "10.1.0.11")
    lab.clock.wait(seconds=299)
    kept = await ask(lab.site, "mail.town.example")
    assert (kept.answer[0].ttl, sorted(values(kept))) == (1, ["10.1.0.11", "10.2.0.12"])
    lab.clock.wait(seconds=1)
    fresh = await ask(lab.site, "mail.town.example")
    assert (fresh.answer[0].ttl, values(fresh)) == (300, ["10.2.0.12"])


async def test_a_resolver_that_ignores_ttls_never_hears_of_a_change(lab: Town) -> None:
    lab.site.ignores_ttl = True
    await ask(lab.site, "mail.town.example")
    lab.zone.remove("dc1", "mail", "A", "10.1.0.11")
    lab.clock.wait(days=3)
    stale = await ask(lab.site, "mail.town.example")
    assert sorted(values(stale)) == ["10.1.0.11", "10.2.0.12"]
    assert stale.answer[0].ttl == 30
    lab.site.ignores_ttl = False
    assert values(await ask(lab.site, "mail.town.example")) == ["10.2.0.12"]


async def test_a_resolver_keeps_a_no_too(lab: Town) -> None:
    assert (await ask(lab.site, "new.town.example")).rcode() == dns.rcode.NXDOMAIN
    lab.zone.add("dc1", "new", "A", 60, "10.1.0.77")
    lab.clock.wait(seconds=599)
    no = await ask(lab.site, "new.town.example")
    assert no.rcode() == dns.rcode.NXDOMAIN
    assert no.authority[0].ttl == 1
    lab.clock.wait(seconds=1)
    assert values(await ask(lab.site, "new.town.example")) == ["10.1.0.77"]


async def test_a_resolver_asks_the_next_server_and_says_servfail_when_none_answers(
    lab: Town,
) -> None:
    lab.site.patience_s = 0.2
    lab.dc1.drops = True
    assert values(await ask(lab.site, "ex1.town.example")) == ["10.1.0.11"]
    await lab.dc2.close()
    assert (await ask(lab.site, "ex2.town.example")).rcode() == dns.rcode.SERVFAIL
    await lab.dc2.start()
    assert values(await ask(lab.site, "ex2.town.example")) == ["10.2.0.12"]


async def test_dig_walks_the_switches_of_a_resolver(lab: Town) -> None:
    lab.site.longest_ttl_s = 20
    assert "mail.town.example.\t20\tIN" in await dig(lab.site, "mail.town.example", "A")
    orders = {await dig(lab.site, "+short", "mail.town.example", "A") for _ in range(2)}
    assert len(orders) == 2
    lab.site.rotates = False
    orders = {await dig(lab.site, "+short", "mail.town.example", "A") for _ in range(3)}
    assert len(orders) == 1
    assert "status: REFUSED" in await dig(lab.site, "+norecurse", "ex1.town.example", "A")
    asked = lab.dc1.asked
    await dig(lab.site, "mail.town.example", "A")
    assert lab.dc1.asked == asked
    lab.site.flush()
    await dig(lab.site, "mail.town.example", "A")
    assert lab.dc1.asked == asked + 1
    said = await dig(lab.site, "+short", "long.town.example", "A")
    assert len(said.split()) == 100


# Switches and rubbish


async def test_a_server_can_be_slow_silent_failing_or_broken(lab: Town) -> None:
    loop = asyncio.get_running_loop()
    lab.dc1.delay_s = 0.2
    began = loop.time()
    await ask(lab.dc1, "mail.town.example")
    assert loop.time() - began >= 0.2
    lab.dc1.delay_s = 0.0
    lab.dc1.fails_with = dns.rcode.SERVFAIL
    assert (await ask(lab.dc1, "mail.town.example")).rcode() == dns.rcode.SERVFAIL
    lab.dc1.fails_with = None
    lab.dc1.truncates = True
    assert " tc " in await dig(lab.dc1, "+ignore", "ex1.town.example", "A")
    assert values(await ask(lab.dc1, "ex1.town.example")) == ["10.1.0.11"]
    lab.dc1.garbles = True
    with pytest.raises(dns.exception.DNSException):
        await ask(lab.dc1, "mail.town.example")


async def test_closing_ends_connections_that_hang_and_answers_that_are_late() -> None:
    async with town() as lab:
        lab.dc1.drops = lab.dc2.drops = True
        lab.outside.delay_s = 60.0
        reader, writer = await asyncio.open_connection(*lab.dc1.where)
        writer.write(b"\0\x0cfoo")
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=lab.outside.where
        )
        transport.sendto(dns.message.make_query("mail.town.example", "A").to_wire())
        for _ in range(100):
            await asyncio.sleep(0.01)
            if lab.outside.asked:
                break
        assert lab.outside.asked == 1
        transport.close()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_many_ask_at_the_same_time(lab: Town) -> None:
    answers = await asyncio.gather(*(ask(lab.site, "mail.town.example") for _ in range(100)))
    assert {answer.rcode() for answer in answers} == {dns.rcode.NOERROR}


GOOD = [
    dns.message.make_query("mail.town.example", "A", use_edns=0).to_wire(),
    dns.message.make_query("_ldap._tcp.dc._msdcs.town.example", "SRV").to_wire(),
]


def _update() -> bytes:
    ring = dns.tsigkeyring.from_text({MAIL_KEY.name: ("hmac-sha256", MAIL_KEY.secret.reveal())})
    message = dns.update.UpdateMessage("town.example", keyring=ring)
    message.present("mail", "A", "10.1.0.11")
    message.delete("mail", "A", "10.1.0.11")
    message.add("mail", 60, "A", "10.1.0.12")
    return message.to_wire()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A good packet with some bytes changed, cut off or put in."""
    wire = bytearray(draw(st.sampled_from([*GOOD, _update()])))
    for _ in range(draw(st.integers(1, 8))):
        wire[draw(st.integers(0, len(wire) - 1))] = draw(st.integers(0, 255))
    end = draw(st.integers(0, len(wire)))
    return bytes(wire[:end]) + draw(st.binary(max_size=4)) if draw(st.booleans()) else bytes(wire)


@settings(
    max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.one_of(st.binary(max_size=80), mangled()))
def test_no_packet_breaks_a_server(caplog: pytest.LogCaptureFixture, wire: bytes) -> None:
    clock = Clock()
    text = "@ SOA dc1 hostmaster 1 900 600 86400 300\n@ NS dc1\nmail A 10.1.0.11\n"
    zone = Zone.from_text("town.example", text, ["dc1"], clock)
    server = NameServer("dc1", View("internal", [zone]))
    resolver = Resolver("site", [], clock)
    with caplog.at_level(logging.ERROR):
        for one in (server, resolver):
            back = asyncio.run(one.reply(wire, tcp=False))
            if len(wire) < 12 or wire[2] & 0x80:
                assert back is None
            else:
                assert back is not None
                assert back[:2] == wire[:2] and back[2] & 0x80
                assert len(back) <= 1232
                dns.message.from_wire(back, keyring=False)
    assert not caplog.records


async def test_a_flood_of_rubbish_leaves_the_server_answering(lab: Town) -> None:
    rubbish = random.Random(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for n in range(2000):
            size = rubbish.randrange(600)
            sender.sendto(rubbish.randbytes(size), lab.dc1.where)
            if n % 100 == 0:
                await asyncio.sleep(0)
    for size in (0, 5, 12, 400):
        reader, writer = await asyncio.open_connection(*lab.dc1.where)
        writer.write(size.to_bytes(2) + b"\1" * size)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            await reader.read()
        writer.close()
        await writer.wait_closed()
    assert len(values(await ask(lab.dc1, "mail.town.example"))) == 2
