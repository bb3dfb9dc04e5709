"""Faults of Active Directory, seen by a stranger's LDAP client."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from mailmig.lab.faults.switchboard import BadTarget, kinds
from mailmig.lab.running.whole import Lab
from tests.lab.running_lab import addresses, running, search
from tests.lab.town_directory import ldap3

BASE = "DC=ad,DC=lindenstadt,DC=example"
CONFIGURATION = f"CN=Configuration,{BASE}"
Look = Callable[[Lab], Any]


@pytest_asyncio.fixture(name="lab")
async def _lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with running(tmp_path) as lab:
        yield lab


def find(lab: Lab, base: str, wanted: str, name: str, server: str = "ls-dc1") -> list[Any]:
    return [one[name] for one in search(lab, server, base, wanted, name)]


def ready(lab: Lab) -> Any:
    """isGlobalCatalogReady of the second controller's root."""
    host, port = addresses(lab)["ls-dc2.ad.lindenstadt.example", 389]
    with ldap3.Connection(ldap3.Server(host, port, get_info=ldap3.NONE)) as connection:
        connection.search("", "(objectClass=*)", "BASE", attributes=["isGlobalCatalogReady"])
        assert connection.response
        return connection.response[0]["attributes"]["isGlobalCatalogReady"]


def site(lab: Lab) -> str:
    """The site of the subnet in which the server's address lies."""
    address = ip_address("127.0.11.22")
    for one in search(
        lab, "ls-dc1", f"CN=Sites,{CONFIGURATION}", "(objectClass=subnet)", "cn", "siteObject"
    ):
        if address in ip_network(one["cn"][0]):
            return str(one["siteObject"][0]).partition(",")[0].removeprefix("CN=")
    return ""


def member(lab: Lab) -> bool:
    """Whether the group and the computer say the same of EX1, and what."""
    group = f"CN=Exchange Trusted Subsystem,OU=Microsoft Exchange Security Groups,{BASE}"
    (members,) = find(lab, group, "(objectClass=group)", "member")
    (groups,) = find(lab, f"CN=LS-EX1,CN=Computers,{BASE}", "(objectClass=*)", "memberOf")
    there = f"CN=LS-EX1,CN=Computers,{BASE}" in members
    assert there == (group in groups)
    return there


def token(lab: Lab) -> bool:
    """Whether the computer's token is too large; `tokenGroups` comes for one object only."""
    base = f"CN=LS-EX1,CN=Computers,{BASE}"
    (found,) = search(lab, "ls-dc1", base, "(objectClass=*)", "tokenGroups", search_scope="BASE")
    groups = found["tokenGroups"]
    assert len(set(groups)) == len(groups) and all(
        struct.unpack("B", one[:1])[0] == 1 for one in groups
    )
    return len(groups) >= 100


def controllers(lab: Lab) -> int:
    """Computers that Active Directory counts as domain controllers."""
    wanted = "(userAccountControl:1.2.840.113556.1.4.803:=8192)"
    return len(find(lab, BASE, wanted, "cn"))


def sites(lab: Lab) -> bool:
    return len(find(lab, f"CN=Sites,{CONFIGURATION}", "(objectClass=site)", "cn")) >= 1000


def prepared(lab: Lab) -> tuple[int, int]:
    schema = f"CN=ms-Exch-Schema-Version-Pt,CN=Schema,{CONFIGURATION}"
    (upper,) = find(lab, schema, "(objectClass=*)", "rangeUpper")
    (version,) = find(
        lab, CONFIGURATION, "(objectClass=msExchOrganizationContainer)", "objectVersion"
    )
    return int(upper[0]), int(version[0])


# fault: its target, what to look at, what it is in a healthy directory, what it is with the fault
SEEN: dict[str, tuple[str, Look, Any, Any]] = {
    "ad-no-global-catalog": ("ls-dc2", ready, ["TRUE"], ["FALSE"]),
    "ad-subnet-wrong-site": ("LS-EX1", site, "Rathaus", "Stadthaus"),
    "ad-group-missing": ("ls-ex1", member, True, False),
    "ad-token-large": ("LS-EX1", token, False, True),
    "ad-node-is-controller": ("LS-EX1", controllers, 2, 3),
    "ad-sites-many": ("", sites, False, True),
    "ad-schema-old": ("", prepared, (17_003, 16_763), (15_334, 16_223)),
}


@pytest.mark.parametrize("name", SEEN)
async def test_the_directory_shows_the_fault_while_it_is_on(lab: Lab, name: str) -> None:
    target, look, healthy, ill = SEEN[name]
    assert await asyncio.to_thread(look, lab) == healthy
    lab.faults.on(name, target)
    assert await asyncio.to_thread(look, lab) == ill
    lab.faults.off(name, target)
    assert await asyncio.to_thread(look, lab) == healthy
    if target:
        with pytest.raises(BadTarget):
            lab.faults.on(name, "nobody")


def test_every_fault_of_the_directory_is_tried_here() -> None:
    mine = {name for name, kind in kinds().items() if kind.family == "directory"}
    assert mine == {*SEEN, "ad-replication-stops"}


async def test_a_controller_that_hears_nothing_shows_what_was(lab: Lab) -> None:
    top = f"CN=Sites,{CONFIGURATION}"

    async def seen(server: str) -> bool:
        found = await asyncio.to_thread(find, lab, top, "(objectClass=site)", "cn", server)
        return len(found) > 1000

    lab.faults.on("ad-replication-stops", "ls-dc2")
    lab.faults.on("ad-sites-many")
    for hours in (0, 1, 24):
        lab.world.advance(timedelta(hours=hours))
        assert (await seen("ls-dc1"), await seen("ls-dc2")) == (True, False)
    lab.faults.off("ad-replication-stops", "ls-dc2")
    assert await seen("ls-dc2")


async def test_a_change_reaches_the_other_controller_late_with_its_moment(lab: Lab) -> None:
    schema = f"CN=ms-Exch-Schema-Version-Pt,CN=Schema,{CONFIGURATION}"

    async def seen(server: str) -> tuple[int, str]:
        found = await asyncio.to_thread(
            search, lab, server, schema, "(objectClass=*)", "rangeUpper", "whenChanged"
        )
        return int(found[0]["rangeUpper"][0]), str(found[0]["whenChanged"][0])

    before = await seen("ls-dc2")
    lab.faults.on("ad-schema-old")
    changed = lab.world.now
    lab.world.advance(timedelta(minutes=14))
    assert await seen("ls-dc2") == before
    lab.world.advance(timedelta(minutes=1))
    assert await seen("ls-dc2") == await seen("ls-dc1")
    assert (await seen("ls-dc2"))[1].startswith(f"{changed.astimezone():%Y}")
    assert await seen("ls-dc2") != before


async def test_a_search_waits_for_whoever_changes_the_organisation(lab: Lab) -> None:
    """The lock is asked for at each search: nobody reads what another is changing."""
    asked = []

    class Watched:
        def __enter__(self) -> None:
            asked.append("in")
            lab.world.lock.acquire()

        def __exit__(self, *_: object) -> None:
            lab.world.lock.release()

    lab.world.surroundings.forest.lock = Watched()
    assert await asyncio.to_thread(find, lab, BASE, "(mail=*)", "mail")
    assert len(asked) >= 2  # once to find, once for each batch of values
