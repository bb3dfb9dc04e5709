from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailmig.catalog import NoSuchCheck, UnsafeFolder, catalog
from mailmig.model.finding import Fact, Origin
from mailmig.model.names import NameAnswer, NameRecord, ResolveName
from mailmig.model.scope import Scope, Vantage
from mailmig.run.sweep import sweep
from mailmig.sources.recorder import Recorded

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)

OWN = '''
from dataclasses import dataclass
from mailmig.api import Check, Finding, Severity

async def gather(ask):
    return "facts"

def judge(facts):
    """Ours. Source: us. To do: nothing."""
    yield Finding("it", Severity.OK, facts)

ours = Check(id="{id}", question="Is it ours?", gather=gather, judge=judge)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir(mode=0o755)
    return tmp_path / "own"


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")
    (folder / name).chmod(0o644)


def test_a_file_in_a_folder_of_an_admin_is_a_check_at_once(folder: Path) -> None:
    put(folder, "tls.py", OWN.format(id="own.one"))  # a name that ours has too
    found = catalog([folder])
    assert {"own.one", "tls.chain"} <= set(found.checks)
    assert [check.id for check in found.chosen(["own"])] == ["own.one"]
    assert not found.broken


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def judge(:", "SyntaxError"),
        ("import mailmig.nothing", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        (OWN.format(id="tls.chain"), "ValueError: the id tls.chain is taken by another check"),
    ],
)
def test_a_file_that_cannot_be_loaded_stops_nothing_else(
    folder: Path, text: str, reason: str
) -> None:
    put(folder, "broken.py", text)
    put(folder, "whole.py", OWN.format(id="own.whole"))
    found = catalog([folder])
    assert "own.whole" in found.checks
    (broken,) = found.broken
    assert broken.file == folder / "broken.py"
    assert broken.reason.startswith(reason)
    assert "Traceback" in broken.traceback


@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    put(folder, "own.py", OWN.format(id="own.one"))
    folder.chmod(mode)
    with pytest.raises(UnsafeFolder, match="others may write to it"):
        catalog([folder])


def test_a_file_that_others_may_write_to_is_refused(folder: Path) -> None:
    put(folder, "own.py", OWN.format(id="own.one"))
    (folder / "own.py").chmod(0o666)
    with pytest.raises(UnsafeFolder, match=r"own\.py: others may write to it"):
        catalog([folder])


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFolder, match="nowhere: it cannot be read"):
        catalog([tmp_path / "nowhere"])


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(NoSuchCheck, match=r"'tls.chian' \(did you mean \"tls.chain\"\?\)"):
        catalog().chosen(["tls.chian"])


async def test_the_worked_example_of_the_docs_finds_the_old_name(folder: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "checks.md").read_text("utf-8")
    put(folder, "old.py", page.partition("```python\n")[2].partition("```")[0])
    found = catalog([folder])
    assert not found.broken
    question = ResolveName("north", "altmail.town.example", "A", "192.0.2.53")
    record = NameRecord(question.name, "A", 300, "192.0.2.10")
    answer = NameAnswer(
        question.name, "A", "192.0.2.53", "192.0.2.53", 53, "NOERROR", False, NOW, (record,)
    )
    scope = Scope((Vantage("north", True, ("192.0.2.53",)),))
    there = Recorded(scope, {question: Fact(answer, NOW, Origin("", ""))})
    assert [one.summary for one in (await sweep(found.chosen(["own"]), there)).findings] == [
        "it still has an address"
    ]
    gone = Recorded(scope, {question: Fact(replace(answer, records=()), NOW, Origin("", ""))})
    assert not (await sweep(found.chosen(["own"]), gone)).findings
