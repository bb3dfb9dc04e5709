from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mailmig.catalog import Broken
from mailmig.model.document import Column, Table
from mailmig.model.finding import Ask, Check, Finding, Severity
from mailmig.model.scope import Scope
from mailmig.reports.checks import compose
from mailmig.run.sweep import sweep
from mailmig.sources.recorder import Recorded

ASK = Recorded(Scope(), {})


async def gather(ask: Ask) -> str:
    return "facts"


def one(identity: str, *findings: Finding) -> Check[str]:
    return Check(identity, "?", gather, lambda facts: iter(findings))


async def test_the_worst_comes_first_and_unknown_is_worse_than_a_warning() -> None:
    ended = await sweep(
        [
            one("a.ok", Finding("x", Severity.OK, ""), Finding("y", Severity.UNKNOWN, "")),
            one("b.bad", Finding("x", Severity.WARNING, ""), Finding("y", Severity.CRITICAL, "")),
        ],
        ASK,
    )
    assert [(found.check, found.severity) for found in ended.findings] == [
        ("b.bad", Severity.CRITICAL), ("a.ok", Severity.UNKNOWN), ("b.bad", Severity.WARNING),
        ("a.ok", Severity.OK),
    ]  # fmt: skip
    assert ended.worst is Severity.CRITICAL
    assert ended.checks == ("a.ok", "b.bad")


async def test_a_check_that_fails_is_unknown_and_the_others_go_on() -> None:
    async def broken_gather(ask: Ask) -> str:
        raise RuntimeError("oh")

    def broken_judge(facts: str) -> Iterator[Finding]:
        yield Finding("before", Severity.OK, "")
        raise ValueError("no")

    ended = await sweep(
        [
            Check("a.gather", "?", broken_gather, lambda facts: iter(())),
            Check("a.judge", "?", gather, broken_judge),
            one("a.well", Finding("x", Severity.OK, "well")),
        ],
        ASK,
    )
    said = {found.check: found for found in ended.findings}
    assert said["a.gather"].summary == "the check itself failed: RuntimeError: oh"
    assert said["a.judge"].severity is Severity.UNKNOWN
    assert "ValueError" in dict(said["a.judge"].evidence)["traceback"]
    assert said["a.well"].severity is Severity.OK


async def test_limits_reach_the_judge() -> None:
    def judge(facts: str, limits: Any) -> Iterator[Finding]:
        yield Finding(facts, Severity.OK, str(limits))

    ended = await sweep([Check("a.limited", "?", gather, judge, limits=42)], ASK)
    assert [found.summary for found in ended.findings] == ["42"]


async def test_a_file_of_checks_that_cannot_be_loaded_is_a_finding() -> None:
    ended = await sweep([], ASK, [Broken(Path("own.py"), "SyntaxError: x", "Traceback ...")])
    (found,) = ended.findings
    assert (found.subject, found.severity) == ("own.py", Severity.UNKNOWN)
    assert ended.worst is Severity.UNKNOWN


async def test_what_does_not_count_is_not_the_worst() -> None:
    ended = await sweep(
        [
            one(
                "a.some", Finding("x", Severity.CRITICAL, "", suppressed="known"),
                Finding("y", Severity.CRITICAL, "", maintenance=True),
                Finding("z", Severity.UNKNOWN, "", skipped=True), Finding("w", Severity.NOTICE, ""),
            )
        ],
        ASK,
    )  # fmt: skip
    assert ended.worst is Severity.NOTICE
    assert [found.subject for found in ended.counted] == ["w"]


async def test_the_picture_of_a_check_goes_into_the_report_before_the_findings() -> None:
    picture = Table("seen", "What was seen", (Column("fact", "Fact"),), [("facts",)])
    check = replace(one("a.b", Finding("x", Severity.OK, "well")), picture=lambda facts: picture)
    ended = await sweep([check, one("c.d")], ASK)
    assert ended.pictures == (picture,)
    assert [table.key for table in compose(ended, ended.findings).tables][:2] == [
        "seen", "findings",
    ]  # fmt: skip
