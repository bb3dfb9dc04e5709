"""Faults of EWS by itself; what it says of mailboxes follows from faults of these."""

from typing import Final

from mailmig.lab.faults.mapi import AccountFault
from mailmig.lab.world import World

# What a server tells who has used up its budget (protocols.md 2.4: BackOffMilliseconds).
BACK_OFF_MS: Final = 297_000


class Throttled(AccountFault):
    id = "ews-throttled"
    family = "session"
    shows = ()
    description = "EWS tells an account that it asks too much, and to stay away for five minutes"

    def on(self, world: World, target: str) -> None:
        name = self.name(world, target).lower()
        self.claim(world, target, [("throttled", name)])
        world.throttled[name] = BACK_OFF_MS

    def off(self, world: World, target: str) -> None:
        world.throttled.pop(self.name(world, target).lower(), None)
        self.release(world)
