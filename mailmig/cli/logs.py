"""Logging: to standard error and to a file, never a secret in either."""

import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mailmig.model.errors import BadFile
from mailmig.model.secret import MASK, Secret

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# What gives a secret away even where its value is not known to us.
_PATTERNS = (
    re.compile(r"(?i)(\bauthorization\s*[:=]\s*(?:\w+\s+)?)[^\s\"',;]+"),
    re.compile(r"(?i)(\b(?:password|passwd|pwd|secret|token|community)\b[\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]+"),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+(?=@)"),
)  # fmt: skip


def redact(text: str, secrets: Sequence[Secret] = ()) -> str:
    """The text with known secrets, `Authorization` values, `password=` and URL passwords masked."""
    for secret in secrets:
        value = secret.reveal()
        if value:
            text = text.replace(value, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


class RedactingFormatter(logging.Formatter):
    """Masks in the finished line, so that arguments and tracebacks are masked too.

    `secrets` is the live list of the configuration: one that is read later is masked from
    then on.
    """

    def __init__(self, secrets: Sequence[Secret]) -> None:
        super().__init__(_FORMAT)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._secrets)


def set_up(level: str, file: Path | None, secrets: Sequence[Secret]) -> None:
    """Route every logger of the process through the redacting formatter."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        try:
            handlers.append(logging.FileHandler(file, encoding="utf-8"))
        except OSError as error:
            raise BadFile(file, f"the log cannot be written: {error.strerror}") from error
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(RedactingFormatter(secrets))
        root.addHandler(handler)
    root.setLevel(level.upper())
