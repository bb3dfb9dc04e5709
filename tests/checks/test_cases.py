"""A case is a file: facts in, findings out. A new file below this folder is a new test.

`tests/checks/<family>/<check>/<case>.toml` has `why`, `facts` in the shape that the check's `gather`
returns, and `findings`. What an answer needs beside its value (`seen_at`, `origin`) has defaults.
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from cattrs import Converter

from mailmig.catalog import catalog
from mailmig.model.finding import Fact, Finding, NoAnswer, Origin

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*/*.toml"))
CHECKS = catalog().checks
SEEN_AT = datetime.fromisoformat("2026-11-20T08:00:00+00:00")


def test_every_check_has_cases() -> None:
    told = {f"{case.parts[-3]}.{case.parts[-2]}" for case in CASES}
    assert told == set(CHECKS)


def test_every_check_says_what_it_proves_where_it_stands_and_what_to_do() -> None:
    for check in CHECKS.values():
        said = check.judge.__doc__ or ""
        assert "Source:" in said and "To do:" in said, check.id


@pytest.mark.parametrize("case", CASES, ids=lambda case: "/".join(case.with_suffix("").parts[-3:]))
def test_facts_lead_to_these_findings_and_no_others(case: Path) -> None:
    story = tomllib.loads(case.read_text("utf-8"))
    check = CHECKS[f"{case.parts[-3]}.{case.parts[-2]}"]
    facts = converter().structure(story["facts"], get_type_hints(check.gather)["return"])
    judged = check.judge(facts) if check.limits is None else check.judge(facts, check.limits)
    said = [_shown(finding, told) for finding, told in zip(judged, _padded(story), strict=False)]
    assert [one for one in said if one] == story.get("findings", []), story["why"]


def converter() -> Converter:
    """Reads facts from a case; an answer is a value, or the reason why there is none."""
    found = Converter()
    found.register_structure_hook(datetime, lambda value, _: value)
    found.register_structure_hook_func(_is_answer, lambda raw, kind: _answer(found, raw, kind))
    return found


def _is_answer(kind: Any) -> bool:
    return any(get_origin(one) is Fact for one in get_args(kind))


def _answer(found: Converter, raw: Mapping[str, Any], kind: Any) -> Fact[Any] | NoAnswer:
    origin = Origin(raw.get("who", ""), raw.get("protocol", ""), raw.get("vantage", ""))
    seen_at = raw.get("seen_at", SEEN_AT)
    if "reason" in raw:
        return NoAnswer(raw["reason"], seen_at, origin)
    wanted = next(get_args(one)[0] for one in get_args(kind) if get_origin(one) is Fact)
    return Fact(found.structure(raw["value"], wanted), seen_at, origin)


def _padded(story: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The findings that are told, and an empty one behind: a finding too many is seen."""
    return [*story.get("findings", []), *({} for _ in range(100))]


def _shown(finding: Finding, told: Mapping[str, Any]) -> dict[str, Any]:
    """A finding as a case tells it: its vantage and evidence where the case names them."""
    whole = {
        "subject": finding.subject, "severity": finding.severity.name,
        "summary": finding.summary, "vantage": finding.vantage,
        "evidence": [list(pair) for pair in finding.evidence],
    }  # fmt: skip
    always = ("subject", "severity", "summary")
    return {key: value for key, value in whole.items() if key in always or key in told}
