"""The settings of the planner: `[plan]` in mailmig.toml."""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from zoneinfo import ZoneInfo

from mailmig.model.directory import Right
from mailmig.model.errors import nearest
from mailmig.model.settings import setting

# How much it hurts to part two mailboxes, per right that one has on the other.
# Sums of such weights over all shares and days stay finite.
LARGEST = 1e9

DEFAULT_WEIGHTS: dict[str, float] = {
    Right.DELEGATE.value: 6.0,
    Right.FULL_ACCESS.value: 5.0,
    Right.SEND_AS.value: 3.0,
    Right.SEND_ON_BEHALF.value: 2.0,
    Right.CALENDAR_EDITOR.value: 2.0,
    Right.CALENDAR_REVIEWER.value: 1.0,
}


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """`[plan]`: how waves are planned.

    Raises `ValueError` for a value that makes no sense, naming the key.
    """

    calendar: Path | None = setting(
        None,
        "Folder with windows.json, databases.json and constraints.json.",
        example="/etc/mailmig/calendar",
    )
    zone: str = setting(
        "UTC", "Times without a zone are read, and all times are shown, in this zone.",
        example="Europe/Berlin",
    )  # fmt: skip
    weights: dict[str, float] = setting(
        {}, "What it costs to part two mailboxes, per right; the others keep their defaults.",
        example=DEFAULT_WEIGHTS,
    )  # fmt: skip
    service_weight: float = setting(0.5, "What each right of a service account weighs instead.")
    service_share: float = setting(
        0.05, "A delegate with rights on more than this part of all mailboxes is a service account,"
    )  # fmt: skip
    service_least: int = setting(20, "but only if it has rights on at least so many,")
    service_most: int = setting(500, "and always if it has rights on more than so many.")
    group_everybody: int = setting(
        500, "A group with more members than this is everybody: its rights weigh nothing."
    )
    new_delegate: float = setting(
        1.0, "Factor for a share whose delegate moves before the owner of the mailbox."
    )
    new_owner: float = setting(1.0, "Factor for a share whose owner moves before the delegate.")
    department_share: float = setting(
        1.0, "At most this part of a department moves in one window.", example=0.5
    )
    log_factor: float = setting(1.0, "Bytes of transaction logs for each byte that is moved.")
    wrong_site: float = setting(
        0.02, "What a database in another site than preferred costs against an even fill."
    )

    seed: int = setting(1, "The first of the seeds that searches start from.")
    seeds: int = setting(
        0,
        "So many searches, each from its own seed; 0: four; two above 20,000 mailboxes, one above 100,000.",
    )

    def __post_init__(self) -> None:
        for right, weight in self.weights.items():
            if right not in DEFAULT_WEIGHTS:
                hint = nearest(right, DEFAULT_WEIGHTS)
                raise ValueError(f"weights.{right}: there is no such right{hint}")
            _require(f"weights.{right}", weight)
        for key in (
            "service_weight", "service_share", "service_least", "service_most", "group_everybody",
            "new_delegate", "new_owner", "log_factor", "wrong_site",
        ):  # fmt: skip
            _require(key, getattr(self, key))
        if not 0 < self.department_share <= 1:
            raise ValueError(
                f"department_share is above 0 and at most 1, not {self.department_share}"
            )
        if self.seeds < 0:
            raise ValueError(f"seeds is zero or more, not {self.seeds}")
        if not self.log_factor:
            raise ValueError("log_factor is more than zero")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f'zone: there is no time zone "{self.zone}"') from error

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    def weight(self, right: str) -> float | None:
        """What a right weighs; `None` when nobody said so."""
        return self.weights.get(right, DEFAULT_WEIGHTS.get(right))


def _require(key: str, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{key} is zero or more, not {value}")
    if value > LARGEST:
        raise ValueError(f"{key} is at most {LARGEST:g}, not {value}")
