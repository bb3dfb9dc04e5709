"""A whole lab for tests: on free ports, its time standing still, and ways to ask it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rdatatype

from mailmig import config
from mailmig.cli.frame import SECTIONS
from mailmig.lab import founding, story
from mailmig.lab.running.layout import CannotListen, Layout
from mailmig.lab.running.whole import Lab
from mailmig.model.addresses import AddressSettings
from mailmig.model.names import AddressMap
from mailmig.sources.windows import Windows, WindowsSettings
from tests.lab.asking_windows import full
from tests.lab.town_directory import stock

ADMIN, PASSWORD = "LINDENSTADT\\svc-mailmig", "lab-only-svc-mailmig"


def free_offset() -> int:
    """An offset at which nothing listens now."""
    town = founding.found(story.read("town"), 8)
    for offset in range(10_000 + os.getpid() % 97 * 400, 59_000, 97):
        with suppress(CannotListen):
            Layout.of(town, offset).probe()
            return offset
    raise AssertionError("no offset is free")


@asynccontextmanager
async def running(folder: Path, **options: Any) -> AsyncIterator[Lab]:
    """A small town that runs."""
    options = {"mailboxes": 20, "speed": 0.0, "offset": free_offset()} | options
    async with Lab(story.read("town"), folder / "lab", **options) as lab:
        yield lab


def addresses(lab: Lab) -> AddressMap:
    """As the written settings have them."""
    return config.load(lab.settings, SECTIONS).section("addresses", AddressSettings).map


def windows(lab: Lab, name: str, **settings: Any) -> Windows:
    """Our client for a machine, by its short name."""
    read = config.load(lab.settings, SECTIONS).section("windows", WindowsSettings)
    return Windows(full(name), replace(read, **settings), addresses(lab))


async def dig(lab: Lab, server: str, name: str, kind: str = "A") -> tuple[list[str], int | None]:
    """Data in order and TTL, as one server gives them; a server is a short name or an address."""
    where = addresses(lab)[server if server[0].isdigit() else full(server), 53]
    query = dns.message.make_query(name, kind)
    found = await dns.asyncquery.udp(query, where[0], port=where[1], timeout=2)
    sets = [rrset for rrset in found.answer if rrset.rdtype == dns.rdatatype.from_text(kind)]
    return sorted(one.to_text() for rrset in sets for one in rrset), sets[0].ttl if sets else None


def search(lab: Lab, server: str, base: str, wanted: str, *names: str, **options: Any) -> list[Any]:
    """Attributes of all that a controller finds; call it in a thread."""
    host, port = addresses(lab)[full(server), 389]
    with stock(f"ldap://{host}:{port}", ADMIN, PASSWORD) as connection:
        assert connection.bind(), connection.result
        found: list[Any] = []
        generator = connection.extend.standard.paged_search(
            base, wanted, attributes=list(names), paged_size=500, generator=True, **options
        )
        for entry in generator:
            if entry["type"] == "searchResEntry":
                found.append(entry["attributes"])
        return found
