"""Runs checks side by side: each asks by itself, each question is put once, none waits for another.

A check that fails by itself is a finding too ("unknown", with the traceback as evidence), and so
is a file of checks that could not be loaded.
"""

import asyncio
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mailmig.catalog import Broken
from mailmig.model.document import Table
from mailmig.model.finding import Ask, Check, Finding, Severity, Sweep
from mailmig.run.check_settings import Suppression, suppressed


async def sweep(
    checks: Iterable[Check[Any]], ask: Ask, broken: Iterable[Broken] = (),
    suppressions: Iterable[Suppression] = (),
) -> Sweep:  # fmt: skip
    """Gather and judge; never raises for what a check does."""
    chosen = tuple(checks)
    began = datetime.now(UTC)
    said = await asyncio.gather(*(_one(check, ask) for check in chosen))
    findings = [finding for part, _ in said for finding in part]
    pictures = tuple(picture for _, part in said for picture in part)
    findings.extend(_not_loaded(one) for one in broken)
    findings = list(suppressed(findings, suppressions, began))
    findings.sort(key=lambda one: (-one.severity.rank, one.check, one.subject, one.vantage))
    names = tuple(check.id for check in chosen)
    return Sweep(tuple(findings), began, datetime.now(UTC), names, pictures)


async def _one(check: Check[Any], ask: Ask) -> tuple[list[Finding], list[Table]]:
    try:
        facts = await check.gather(ask)
        findings = [replace(one, check=check.id) for one in _judged(check, facts)]
        return findings, [check.picture(facts)] if check.picture is not None else []
    except Exception as error:  # noqa: BLE001  a check's own fault is a finding
        failed = Finding(
            check.id, Severity.UNKNOWN, f"the check itself failed: {type(error).__name__}: {error}",
            evidence=(("traceback", traceback.format_exc()),), check=check.id,
        )  # fmt: skip
        return [failed], []


def _judged(check: Check[Any], facts: Any) -> Iterator[Finding]:
    return check.judge(facts) if check.limits is None else check.judge(facts, check.limits)


def _not_loaded(broken: Broken) -> Finding:
    return Finding(
        str(broken.file), Severity.UNKNOWN, f"this file of checks cannot be loaded: {broken.reason}",
        evidence=(("traceback", broken.traceback),), check="catalog",
    )  # fmt: skip
