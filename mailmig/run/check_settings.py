"""`[check]`: what a sweep covers, how it asks, what counts, and from when on.

[check.limits]
"namespace.ttl.warning_s" = 600

[check.suppress]
"tls.same mail.*" = "renewal ordered, ticket 4711, until 2027-01-31"
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from mailmig.model.errors import MailmigError, nearest
from mailmig.model.finding import Check, Finding
from mailmig.model.settings import setting

_UNTIL: Final = re.compile(r"(.*[^\s,]),?\s+until (\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """`[check]`: what a sweep covers, how it asks, and what counts."""

    names: tuple[str, ...] = setting(
        (), "Host names that clients connect to. Without them: those that Autodiscover's service "
        "connection points name.", example=["mail.town.example", "autodiscover.town.example"],
    )  # fmt: skip
    resolvers: dict[str, tuple[str, ...]] = setting(
        {}, 'Name servers that clients ask, per site, and "outside" for those at home.',
        example={"north": ["192.0.2.53"], "outside": ["198.51.100.53"]},
    )  # fmt: skip
    folders: tuple[Path, ...] = setting(
        (), "Folders with checks of your own.", example=["/etc/mailmig/checks"]
    )
    deadline_s: float = setting(30.0, "Seconds that one question may take, waiting included.")
    parallel: int = setting(8, "How many questions may be open at one target at a time.")
    limits: dict[str, float] = setting(
        {}, "Other thresholds, as `check explain` names them.",
        example={"namespace.ttl.warning_s": 600},
    )  # fmt: skip
    suppress: dict[str, str] = setting(
        {}, "Findings that do not count for a while: check and subject (with * and ?), "
        "and why and until when.",
        example={"tls.same mail.*": "renewal ordered, ticket 4711, until 2027-01-31"},
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.deadline_s <= 0 or self.parallel < 1:
            raise ValueError("deadline_s is above 0, parallel at least 1")
        tuple(self.suppressions())

    def suppressions(self) -> Iterator["Suppression"]:
        """Raises `ValueError` for one without check and subject, reason or end."""
        for key, why in self.suppress.items():
            check, _, subject = key.partition(" ")
            said = _UNTIL.fullmatch(why)
            if not subject or not said:
                raise ValueError(
                    f'suppress: "{key}" = "{why}" is not "CHECK SUBJECT" = "REASON, until YYYY-MM-DD"'
                )
            yield Suppression(check, subject.strip(), said[1], date.fromisoformat(said[2]))


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that does not count until the end of a day (UTC)."""

    check: str
    subject: str
    reason: str
    until: date

    def holds(self, finding: Finding, now: datetime) -> bool:
        """Whether it is meant, and not over yet."""
        return (
            now.date() <= self.until
            and fnmatchcase(finding.check, self.check)
            and fnmatchcase(finding.subject, self.subject)
        )


class NoSuchLimit(MailmigError):
    """A threshold that no check has."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(
            f"[check.limits] {name}: no check has this threshold{nearest(name, known)}; "
            "`mailmig check explain ID` names those of a check"
        )
        self.name = name


def limited(checks: Iterable[Check[Any]], limits: dict[str, float]) -> Iterator[Check[Any]]:
    """The checks with the thresholds of the configuration.

    Raises:
        NoSuchLimit: no check has one of them. All checks have to be given.
    """
    chosen = list(checks)
    known = {
        f"{check.id}.{one.name}": one
        for check in chosen
        if check.limits is not None
        for one in fields(check.limits)
    }
    for name in limits:
        if name not in known:
            raise NoSuchLimit(name, known)
    for check in chosen:
        prefix = f"{check.id}."
        own = {
            name.removeprefix(prefix): type(getattr(check.limits, name.removeprefix(prefix)))(value)
            for name, value in limits.items()
            if name.startswith(prefix)
        }
        yield replace(check, limits=replace(check.limits, **own)) if own else check


def suppressed(
    findings: Iterable[Finding], suppressions: Iterable[Suppression], now: datetime
) -> tuple[Finding, ...]:
    """The findings, those that do not count marked with the reason; `now` is aware."""
    known = tuple(suppressions)
    return tuple(
        replace(finding, suppressed=f"{why.reason}, until {why.until:%Y-%m-%d}") if why else finding
        for finding in findings
        for why in [next((one for one in known if one.holds(finding, now)), None)]
    )
