"""Faults of remote PowerShell sessions: what an account may do, and how a server answers.

How a server answers is told to it by the switches of its remote PowerShell; a request that is under
way feels them from its next step on.
"""

from typing import ClassVar

from mailmig.lab.cmdlets.reference import cmdlets
from mailmig.lab.faults.servers import server_named
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.world import World

# A body is cut after so many bytes: amid the envelope's head.
CUT_AT = 700


class RoleLacks(Fault):
    id = "role-lacks"
    family = "session"
    shows = ()
    description = "the roles of an account lack a cmdlet, or a parameter of one"
    wants = "account and cmdlet, as anna:Get-ADPermission or anna:Get-Mailbox/Arbitration"

    def on(self, world: World, target: str) -> None:
        account, what = self._parts(target)
        name, _, parameter = what.partition("/")
        known = cmdlets("SE").get(name) or cmdlets("2016").get(name)
        names = {one.lower() for one in known.parameters} if known else set()
        if not account or known is None or (parameter and parameter not in names):
            raise self.bad(target)
        world.lacking.setdefault(account, set()).add(what)

    def off(self, world: World, target: str) -> None:
        account, what = self._parts(target)
        world.lacking[account].discard(what)

    @staticmethod
    def _parts(target: str) -> tuple[str, str]:
        account, _, what = target.lower().partition(":")
        return account, what


class _Answers(Fault):
    """One switch of a server's remote PowerShell."""

    family = "session"
    shows = ()
    wants = "an Exchange server"
    switch: ClassVar[str]
    broken: ClassVar[object] = True
    healthy: ClassVar[object] = False

    def on(self, world: World, target: str) -> None:
        switches = world.conditions(server_named(self, world, target)).management
        setattr(switches, self.switch, self.broken)

    def off(self, world: World, target: str) -> None:
        switches = world.conditions(server_named(self, world, target)).management
        setattr(switches, self.switch, self.healthy)


class Hangs(_Answers):
    id = "session-hangs"
    description = "remote PowerShell takes requests and never answers"
    switch = "hang"


class HangsMidway(_Answers):
    id = "session-hangs-midway"
    description = "remote PowerShell sends half of each answer, and then nothing more"
    switch = "hang_midway"


class Truncated(_Answers):
    id = "session-truncated"
    description = "the connection is cut amid each answer of remote PowerShell"
    switch = "truncate_at"
    broken = CUT_AT
    healthy = None


class Expired(_Answers):
    id = "session-expired"
    description = "a session of remote PowerShell has expired as soon as it is used"
    switch = "forget_shells"


class NoneLeft(_Answers):
    id = "session-none-left"
    description = "every account has as many sessions of remote PowerShell as it may have"
    switch = "no_new_shells"


class Unavailable(_Answers):
    id = "session-unavailable"
    description = "IIS answers remote PowerShell with 503, as it does while its pool is stopped"
    switch = "status"
    broken = 503
    healthy = None


class Page(_Answers):
    id = "session-page"
    description = "a proxy's page comes instead of each answer of remote PowerShell"
    switch = "page"


class Compressed(_Answers):
    id = "session-compressed"
    description = "IIS compresses each answer of remote PowerShell unless the client declines"
    switch = "compress"


class StrayBlank(_Answers):
    id = "session-stray-blank"
    description = (
        "sealed answers of remote PowerShell have IIS's stray blank in their MIME boundary"
    )
    switch = "stray_blank"


class NoSelect(_Answers):
    id = "session-no-select"
    description = "sessions of remote PowerShell have no Select-Object: objects come whole only"
    switch = "no_select"


class _Profiled(Fault):
    """Objects as a server of another build writes them."""

    family = "session"
    wants = "an Exchange server"
    trait: ClassVar[str]

    def on(self, world: World, target: str) -> None:
        setattr(world.conditions(server_named(self, world, target)).profile, self.trait, True)

    def off(self, world: World, target: str) -> None:
        setattr(world.conditions(server_named(self, world, target)).profile, self.trait, False)


class BareEnums(_Profiled):
    id = "session-bare-enums"
    shows = ("move:bare-enums",)
    description = "enums come as bare numbers, a status of 2 instead of InProgress"
    trait = "bare_enums"


class RenamedCounters(_Profiled):
    id = "session-renamed-counters"
    shows = ("move:renamed-counters",)
    description = "the counters of stalled moves have the names of a newer build"
    trait = "renamed_counters"


class FewerProperties(_Profiled):
    id = "session-fewer-properties"
    shows = ("move:missing-properties",)
    description = "statistics lack what the first builds of 2013 did not have"
    trait = "fewer_properties"
