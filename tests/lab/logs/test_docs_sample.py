"""The samples of logs in the docs are what the town's servers write."""

import re
from pathlib import Path

import pytest

from mailmig.lab.logs.keeping import Logs
from tests.docs.test_docs import agree
from tests.lab.logs.answered import OLD, town

PAGE = Path(__file__).parents[3] / "docs" / "lab-clients.md"
SEED = 7
SAMPLES = re.findall(
    r"^```text\n(C:\\.*?)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture(name="logs", scope="module")
def _logs() -> Logs:
    """Of the town in full size, as `mailmig lab run --story town --seed 7` makes it."""
    return town(None, SEED).logs


def test_the_page_shows_logs() -> None:
    assert len(SAMPLES) == 3


@pytest.mark.parametrize(("path", "sample"), SAMPLES, ids=lambda text: text[:60])
def test_a_sample_is_what_the_old_server_writes(logs: Logs, path: str, sample: str) -> None:
    folder = path.rpartition("\\")[0]
    (file,) = (one for one in logs.files(OLD, folder) if one.path == path)
    expected = sample if sample.startswith("...") else f"...\n{sample}"
    assert agree(expected, file.text.replace("\r\n", "\n")), file.text[:2000]
    assert not agree(expected.replace("2026-11-20", "2026-11-21"), file.text)
