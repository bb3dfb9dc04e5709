"""Faults of what an account may do."""

from mailmig.lab.cmdlets.reference import cmdlets
from mailmig.lab.faults.switchboard import Fault
from mailmig.lab.world import World


class RoleLacks(Fault):
    id = "role-lacks"
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
