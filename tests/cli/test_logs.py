import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailmig.cli import logs
from mailmig.model.errors import BadFile
from mailmig.model.secret import Secret

MARK = "lab-only-Zauberwort-9"


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers = before
    root.setLevel(level)


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Basic {MARK}",
        f"authorization=Bearer {MARK}",
        f'{{"password": "{MARK}"}}',
        f"password={MARK}&user=anna",
        f"snmp community = {MARK}",
        f"postgresql://anna:{MARK}@db.example/mailmig",
    ],
)
def test_patterns_are_masked_though_nobody_knew_the_secret(line: str) -> None:
    assert MARK not in logs.redact(line)
    assert "***" in logs.redact(line)


def test_harmless_text_stays() -> None:
    text = "3 mailboxes moved from MDB01 to DAG-DB02; https://mail.example/owa"
    assert logs.redact(text) == text


def test_known_secrets_are_masked_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets: list[Secret] = []
    logs.set_up("info", tmp_path / "log", secrets)
    secrets.append(Secret(MARK))  # read after the log was set up
    logger = logging.getLogger("mailmig.somewhere")
    logger.info("bind as anna with %s", MARK)
    try:
        raise ValueError(f"refused: {MARK}")
    except ValueError:
        logger.exception("in a traceback")
    logger.debug("below the level")
    for text in (capsys.readouterr().err, (tmp_path / "log").read_text("utf-8")):
        assert "refused: ***" in text
        assert MARK not in text
        assert "below the level" not in text


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="the log cannot be written"):
        logs.set_up("info", tmp_path / "absent" / "log", [])
