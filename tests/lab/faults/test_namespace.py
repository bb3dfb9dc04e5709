"""Faults of names: seen by dnspython at each server, by our script on the Windows DNS server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest
import pytest_asyncio

from mailmig.lab.faults.switchboard import BadTarget, kinds
from mailmig.lab.running.whole import Lab
from mailmig.lab.running.zones import KEY
from mailmig.model.windows import ZoneAgeing, ZoneRecord
from tests.lab.asking import Shell
from tests.lab.asking_windows import full
from tests.lab.running_lab import addresses, dig, running, search, windows

MAIL, ZONE = "mail.lindenstadt.example", "lindenstadt.example"
EX1, EX2 = "127.0.11.22", "127.0.12.23"
NOBODY = "198.51.100.7"
Look = Callable[[Lab], Any]


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path, cut_over=True) as lab:
        yield lab


async def both(lab: Lab, name: str = MAIL) -> tuple[list[str], list[str]]:
    """The set of a name at both servers."""
    first, _ = await dig(lab, "ls-dc1", name)
    second, _ = await dig(lab, "ls-dc2", name)
    return first, second


async def own_name(lab: Lab) -> tuple[list[str], list[str]]:
    return await both(lab, full("ls-ex1"))


async def autodiscover(lab: Lab) -> tuple[list[str], list[str]]:
    return await both(lab, f"autodiscover.{ZONE}")


async def outside(lab: Lab) -> list[str]:
    where = addresses(lab)[f"ns1.{ZONE}", 53]
    query = dns.message.make_query(MAIL, "A")
    found = await dns.asyncquery.udp(query, where[0], port=where[1], timeout=2)
    return sorted(one.to_text() for rrset in found.answer for one in rrset)


async def ttl(lab: Lab) -> int | None:
    return (await dig(lab, "ls-dc2", MAIL))[1]


def twice(*addresses: str) -> tuple[list[str], list[str]]:
    return sorted(addresses), sorted(addresses)


# fault: its target, what to look at, what it is when all is well, what it is with the fault
SEEN: dict[str, tuple[str, Look, Any, Any]] = {
    "dns-node-missing": (rf"{MAIL}\LS-EX2", both, twice(EX1, EX2), twice(EX1)),
    "dns-one-address": (rf"{MAIL}\LS-EX2", both, twice(EX1, EX2), twice(EX2)),
    "dns-outside-missing": (MAIL, outside, ["127.0.9.41", "127.0.9.42"], ["127.0.9.41"]),
    "dns-outside-dead-address": (
        MAIL, outside, ["127.0.9.41", "127.0.9.42"], ["127.0.9.41", "127.0.9.42", NOBODY],
    ),
    "dns-dead-address": (MAIL, both, twice(EX1, EX2), twice(EX1, EX2, NOBODY)),
    "dns-ttl-long": (MAIL.upper(), ttl, 300, 86_400),
    "dns-name-missing": (f"autodiscover.{ZONE}", autodiscover, twice(EX1, EX2), twice()),
    "dns-node-name-wrong": (full("ls-ex1"), own_name, twice(EX1), twice(NOBODY)),
    "dns-zone-stale": (
        "ls-dc2", both, twice(EX1, EX2), (sorted([EX1, EX2]), [NOBODY]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
async def test_the_servers_show_the_fault_while_it_is_on(lab: Lab, name: str) -> None:
    target, look, healthy, ill = SEEN[name]
    assert await look(lab) == healthy
    lab.faults.on(name, target)
    assert await look(lab) == ill
    lab.faults.off(name, target)
    assert await look(lab) == healthy
    for wrong in ("nobody.example", rf"{MAIL}\nobody", "*.."):
        with pytest.raises(BadTarget):
            lab.faults.on(name, wrong)


def test_every_fault_of_names_is_tried_here() -> None:
    elsewhere = {
        "dns-record-ages", "dns-server-silent", "dns-update-refused", "dns-resolver-keeps",
        "dns-scp-names-server",
    }  # fmt: skip
    mine = {name for name, kind in kinds().items() if name.startswith("dns-")}
    assert mine == {*SEEN, *elsewhere}


async def test_a_stale_server_gets_no_changes_until_it_is_mended(lab: Lab) -> None:
    lab.faults.on("dns-zone-stale", "ls-dc2")
    zone = lab.world.surroundings.names.zone_of(MAIL)
    assert zone is not None
    zone.add(full("ls-dc1"), "new", "A", 60, "192.0.2.77")
    lab.world.advance(timedelta(days=2))
    assert await both(lab, f"new.{ZONE}") == (["192.0.2.77"], [])
    serials = [zone.soa(server).rdata.serial for server in zone.servers]  # type: ignore[attr-defined]
    assert serials[0] > serials[1]
    lab.faults.off("dns-zone-stale", "ls-dc2")
    assert await both(lab, f"new.{ZONE}") == twice("192.0.2.77")


async def test_a_silent_name_server_is_one_that_does_not_answer(lab: Lab) -> None:
    lab.faults.on("dns-server-silent", "ls-dc1")
    with pytest.raises(dns.exception.Timeout):
        await dig(lab, "ls-dc1", MAIL)
    assert (await dig(lab, "ls-dc2", MAIL))[0] == sorted([EX1, EX2])
    lab.faults.all_off()
    assert await both(lab) == twice(EX1, EX2)


async def test_a_resolver_that_keeps_gives_old_addresses_after_the_ttl(lab: Lab) -> None:
    async def seen() -> list[str]:
        return (await dig(lab, "127.0.11.53", MAIL))[0]

    lab.faults.on("dns-resolver-keeps", "rathaus")
    assert await seen() == sorted([EX1, EX2])
    lab.faults.on("dns-node-missing", rf"{MAIL}\ls-ex2")
    lab.world.advance(timedelta(hours=5))
    assert await seen() == sorted([EX1, EX2])
    lab.faults.off("dns-resolver-keeps", "rathaus")
    assert await seen() == [EX1]


async def update(lab: Lab, server: str) -> str:
    """A signed update that takes away an address that is not there: it proves a right."""
    keys = dns.tsigkeyring.from_text({f"{KEY.name}.": (KEY.algorithm, KEY.secret.reveal())})
    change = dns.update.UpdateMessage(ZONE, keyring=keys)
    change.delete("mail", "A", "192.0.2.1")
    host, port = addresses(lab)[full(server), 53]
    return dns.rcode.to_text((await dns.asyncquery.tcp(change, host, port=port, timeout=2)).rcode())


async def test_a_key_that_lost_its_rights_is_refused_at_that_server_only(lab: Lab) -> None:
    assert await update(lab, "ls-dc1") == "NOERROR"
    lab.faults.on("dns-update-refused", "ls-dc1")
    assert (await update(lab, "ls-dc1"), await update(lab, "ls-dc2")) == ("REFUSED", "NOERROR")
    lab.faults.all_off()
    assert await update(lab, "ls-dc1") == "NOERROR"


async def test_old_records_are_told_by_windows_and_then_removed_by_it(lab: Lab) -> None:
    async def seen() -> tuple[ZoneAgeing, list[datetime | None]]:
        async with windows(lab, "ls-dc1") as client:
            (zone,) = (await client.run("dns_zone", zone=ZONE)).facts
            found = (await client.run("dns_records", zone=ZONE, name="mail", type="A")).facts
        assert isinstance(zone, ZoneAgeing) and zone.in_directory and zone.update == "Secure"
        records = [one for one in found if isinstance(one, ZoneRecord)]
        assert (sorted(one.value for one in records), {one.ttl_s for one in records}) == (
            (await dig(lab, "ls-dc1", MAIL))[0], {300} if records else set(),
        )  # fmt: skip
        return zone, [one.stamped for one in records]

    zone, stamps = await seen()
    assert not zone.ageing and zone.scavenges_every is None and stamps == [None, None]
    lab.faults.on("dns-record-ages", MAIL)
    zone, stamps = await seen()
    assert zone.ageing and zone.scavenges_every == timedelta(days=1)
    assert zone.refresh == zone.no_refresh == timedelta(days=7)
    assert all(stamp and lab.world.now - stamp >= timedelta(days=13) for stamp in stamps)
    lab.world.advance(timedelta(days=3))
    assert (await seen())[1] == []
    lab.world.advance(timedelta(hours=1))
    assert await both(lab) == twice()
    lab.faults.off("dns-record-ages", MAIL)
    assert (await seen())[1] == [None, None] and await both(lab) == twice(EX1, EX2)


async def test_the_entry_for_autodiscover_is_the_same_in_ldap_and_exchange(lab: Lab) -> None:
    base = "CN=Configuration,DC=ad,DC=lindenstadt,DC=example"
    shell = Shell(lab.world, "LS-EX1")

    def seen() -> str:
        wanted = "(&(objectClass=serviceConnectionPoint)(cn=LS-EX2))"
        (found,) = search(lab, "ls-dc1", base, wanted, "serviceBindingInformation")
        (said,) = shell.objects("Get-ClientAccessService", Identity="LS-EX2")
        url = said["AutoDiscoverServiceInternalUri"]
        assert list(found["serviceBindingInformation"]) == ([] if url is None else [str(url)])
        return str(url).split("/")[2] if url else ""

    assert await asyncio.to_thread(seen) == f"autodiscover.{ZONE}"
    lab.faults.on("dns-scp-names-server", "ls-ex2")
    assert await asyncio.to_thread(seen) == full("ls-ex2")
    with pytest.raises(BadTarget):
        lab.faults.on("dns-scp-names-server", "ls-dc1")
    lab.faults.all_off()
    assert await asyncio.to_thread(seen) == f"autodiscover.{ZONE}"
    uri = "AutoDiscoverServiceInternalUri"
    given: dict[str, object] = {"Identity": "LS-EX2", uri: "https://mail.example/a/B.xml"}
    assert shell.ask("Set-ClientAccessService", **given) == []
    assert await asyncio.to_thread(seen) == "mail.example"
    lab.faults.on("dns-scp-names-server", "ls-ex2")
    assert await asyncio.to_thread(seen) == full("ls-ex2")
    lab.faults.all_off()
    assert await asyncio.to_thread(seen) == "mail.example"
    assert shell.ask("Set-ClientAccessService", **given | {uri: None}) == []
    assert await asyncio.to_thread(seen) == ""
