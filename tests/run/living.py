"""A whole town that runs in this process, its time standing still; and how it is asked."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mailmig import config
from mailmig.cli.frame import SECTIONS
from mailmig.lab import story
from mailmig.lab.directory import DomainController
from mailmig.lab.running.whole import Lab
from mailmig.model.addresses import AddressSettings
from mailmig.model.names import AddressMap
from mailmig.model.snapshot import Reading, Snapshot
from mailmig.run.taking import Taken, open_directory, take
from mailmig.sources.directory import Directory, DirectorySettings
from mailmig.sources.exchange import Exchange, ExchangeSettings
from mailmig.store.engine import Store
from tests.lab.running_lab import free_offset

TOWN = story.read("town")
DC1, DC2 = (f"ls-{name}.ad.lindenstadt.example" for name in ("dc1", "dc2"))


@dataclass
class Living:
    """The lab and the settings that it wrote."""

    lab: Lab
    settings: config.Config

    @property
    def addresses(self) -> AddressMap:
        return self.settings.section("addresses", AddressSettings).map

    def directory(self, **more: Any) -> AbstractAsyncContextManager[Directory]:
        settings = self.settings.section("directory", DirectorySettings)
        patient = {"timeout_s": 10.0, "connect_timeout_s": 3.0}
        return open_directory(replace(settings, **(patient | more)), self.addresses)

    def exchange(self, server: str = "", **more: Any) -> Exchange:
        settings = replace(self.settings.section("exchange", ExchangeSettings), **more)
        return Exchange(server or settings.server, settings, self.addresses)

    def controller(self, name: str) -> DomainController:
        """A domain controller, with the switches that make it fail."""
        return next(
            server
            for machine in self.lab.machines
            if machine.name == name
            for server in machine._servers
            if isinstance(server, DomainController)
        )

    async def take(self, **more: Any) -> Taken:
        async with self.directory() as directory, self.exchange() as exchange:
            return await take(directory, exchange, **more)

    async def take_ldap_only(self) -> Taken:
        async with self.directory() as directory:
            return await take(directory, None)


@asynccontextmanager
async def living(folder: Path, mailboxes: int = 40, seed: int = 1) -> AsyncIterator[Living]:
    lab = Lab(
        TOWN, folder / "lab", mailboxes=mailboxes, seed=seed, speed=0, offset=free_offset()
    )  # fmt: skip
    async with lab:
        yield Living(lab, config.load(lab.settings, SECTIONS))


def kept(reading: Reading, state: Path) -> Snapshot:
    """The reading as it comes back from a store of its own."""
    with Store.open(state) as store:
        return store.snapshots.load(store.snapshots.add(reading).info.id)
