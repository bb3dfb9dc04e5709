"""A running town, somebody on a new server, and shared mailboxes on the other version and on the same.

    async with mapi_town(folder) as town:
        town.on("gateway-blocks", "mapi")
        found = await town.causes()           # {"outside proxy_blocks": {"mail at 127.0.9.41", ...}}

The tool knows what an admin's configuration would tell it; the lab's organisation is only used to
choose who plays the parts. Times are seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mailmig.catalog import catalog
from mailmig.lab.population import Mailbox
from mailmig.lab.running.whole import Lab
from mailmig.lab.running.zones import client_names
from mailmig.lab.web.people import password
from mailmig.model.directory import Kind
from mailmig.model.finding import OUTSIDE, Check, Finding, Severity, Sweep
from mailmig.model.scope import ProbePair, Scope, Vantage
from mailmig.model.secret import Secret
from mailmig.run.asking import Asking
from mailmig.run.sweep import sweep
from mailmig.sources.names import NamesSettings
from mailmig.sources.recorder import Limits, Recorder, merged, read, to_text
from mailmig.sources.remote_logon import LogonGate
from mailmig.sources.remote_settings import Scheme
from mailmig.sources.web import WebSettings
from mailmig.sources.web_session import Credential
from tests.lab.running_lab import addresses, running
from tests.lab.web.clients import staff

OLD, NEW = "LS-EX16", "LS-EX1"
_CHECKS = catalog().checks
MATRIX: Check[object] = _CHECKS["mapi.matrix"]
SPLIT: Check[object] = _CHECKS["coexistence.split_delegation_external"]

Causes = Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Town:
    """`own` is somebody's mailbox on a new server, `cross` a shared one on the old, `same` beside."""

    lab: Lab
    own: Mailbox
    cross: Mailbox
    same: Mailbox

    def filled(self, text: str) -> str:
        """Who plays which part, as faults want to hear it."""
        names = {"own": self.own.alias, "cross": self.cross.alias, "same": self.same.alias}
        return text.format(**names, database=self.cross.database)

    @property
    def secret(self) -> Secret:
        """The delegate's password."""
        return password(self.own.account)

    async def sweep(
        self, timeout_s: float = 6.0, vantages: frozenset[str] | None = None,
        check: Check[object] = MATRIX,
    ) -> tuple[Sweep, Recorder]:  # fmt: skip
        """What a check finds now, seen from all vantages or these."""
        places = (*self.lab.layout.resolvers, self.lab.layout.outside)
        known = tuple(Vantage(one.site, one.site != OUTSIDE, (one.address,)) for one in places)
        chosen = tuple(one for one in known if vantages is None or one.name in vantages)
        own = self.own.address
        pairs = tuple(ProbePair(own, one.address) for one in (self.cross, self.same))
        names = tuple(client_names(self.lab.organisation))
        servers = tuple(self.lab.organisation.servers)
        scope = Scope(vantages=chosen, servers=servers, client_names=names, probes=pairs)
        account = rf"{self.lab.organisation.netbios}\{self.own.account}"
        who = Credential(account, self.secret, Scheme.NTLM)
        web = WebSettings(ca_file=self.lab.folder / "ca.pem", timeout_s=timeout_s)
        asking = Asking(
            NamesSettings(timeout_s=2, tries=1), web, addresses(self.lab), {own: who}, LogonGate()
        )
        ask = Recorder(scope, asking.put, Limits(8, 3 * timeout_s))
        try:
            return await sweep([check], ask), ask
        finally:
            await ask.close()

    async def causes(self, timeout_s: float = 6.0) -> Causes:
        swept, _ = await self.sweep(timeout_s)
        return self.told(swept)

    def told(self, swept: Sweep) -> Causes:
        """ "vantage cause" and what it is about, in short; nothing where all is well."""
        found: dict[str, frozenset[str]] = {}
        for one in swept.findings:
            if one.severity is not Severity.OK:
                key = f"{one.vantage} {dict(one.evidence).get('cause', one.summary)}"
                found[key] = found.get(key, frozenset()) | {self._short(one)}
        return found

    def _short(self, finding: Finding) -> str:
        """The part in the play, or "name at address" without the domain."""
        said = finding.subject
        for name, one in (("own", self.own), ("cross", self.cross), ("same", self.same)):
            said = said.replace(one.address, name)
        name, _, address = said.partition(" at ")
        return f"{name.partition('.')[0]} at {address}" if address else said


@asynccontextmanager
async def mapi_town(folder: Path) -> AsyncIterator[Town]:
    """A healthy town with its cast."""
    async with asyncio.timeout(600), running(folder, cut_over=True, mailboxes=60) as lab:
        state, people = lab.organisation, lab.web.people
        common = list(state.present(Kind.SHARED))
        own, cross, beside = next(
            (person, one, other)
            for one in common if people.home(one).name == OLD
            for other in common if other is not one
            for person in staff(lab)
            if not any(people.may("full_access", person, each) for each in (one, other))
        )  # fmt: skip
        database = next(one.name for one in state.databases.values() if one.server == NEW)
        own.database = beside.database = database
        for one in (cross, beside):
            state.full_access.grant(one.number, own.number)
        yield Town(lab, own, cross, beside)


async def again(folder: Path, *asked: Recorder) -> Sweep:
    """What the matrix finds in facts that were saved, each sweep's in a file."""
    files = {}
    for one in asked:
        file = folder / f"facts-{len(list(folder.iterdir()))}.json"
        file.write_text(to_text(one.scope, one.answers), "utf-8")
        files[file] = read(file)
    return await sweep([MATRIX], merged(files, timedelta(hours=1)))
