"""How full mailboxes are, and where the lab's chance comes from."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailmig.lab.organisation import Organisation
from mailmig.lab.population import Mailbox
from mailmig.model.quota import KIB

# One mail has about this size; mailboxes differ by the factors.
ITEM_BYTES: Final = 48 * KIB
_ITEM_FACTORS: Final = (0.5, 2.0)
# Most mailboxes are between a third of their quota and nearly full.
_FILL: Final = (4.0, 2.2)
# Seconds since the last logon, on average, and at least.
_AWAY_S: Final = 40_000
_AWAY_LEAST_S: Final = 600


def stream(seed: int, purpose: str) -> random.Random:
    """A generator of its own for each purpose: a change in one place moves nothing elsewhere."""
    return random.Random(f"{seed}/{purpose}")  # noqa: S311  a simulation, no secret


def last_logon(draw: random.Random, now: datetime) -> datetime:
    """When somebody who uses his mailbox was there last."""
    return now - timedelta(seconds=_AWAY_LEAST_S + round(draw.expovariate(1 / _AWAY_S)))


@dataclass(frozen=True, slots=True)
class Usage:
    """Fills mailboxes; `growth` holds the share per year and its spread."""

    draw: random.Random
    now: datetime
    growth: Mapping[str, float]

    def fill(self, organisation: Organisation, mailbox: Mailbox) -> None:
        """Fill a mailbox as far as its quota makes likely."""
        limit = organisation.effective(mailbox).send
        assert isinstance(limit, int), "what is filled by its quota has one"
        self.hold(mailbox, round(limit * self.draw.betavariate(*_FILL)))

    def hold(self, mailbox: Mailbox, used: int) -> None:
        """Let a mailbox hold so many bytes, and let it be used from now on."""
        mailbox.used = used
        mailbox.items = max(1, round(used / (ITEM_BYTES * self.draw.uniform(*_ITEM_FACTORS))))
        mailbox.deleted = round(used * self.draw.uniform(0.005, 0.12))
        mailbox.deleted_items = round(mailbox.deleted / ITEM_BYTES) + 1
        mailbox.last_logon = last_logon(self.draw, self.now)
        growth = self.draw.gauss(self.growth["per_year"], self.growth["spread"])
        mailbox.growth = min(max(0.0, growth), 0.5)
