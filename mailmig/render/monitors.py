"""A sweep as monitoring systems read it: Nagios plug-in, PRTG advanced sensor, Prometheus text.

Shapes: operations.md 1.2, 2.1, 2.3. What does not count (suppressed, skipped, in maintenance) is in
none of them. Numbers have a dot and no separators, whatever the locale.
"""

import json
from collections import Counter
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from mailmig.model.finding import Finding, Severity, Sweep

# Nagios Core reads 8,192 bytes; the first line should stay below 200 characters.
_NAGIOS_BYTES: Final = 8000
_NAGIOS_LINE: Final = 190
# PRTG's own advice, and the length of its message.
_PRTG_CHANNELS: Final = 50
_PRTG_TEXT: Final = 2000
_CODES: Final = {
    Severity.OK: 0, Severity.NOTICE: 0, Severity.WARNING: 1, Severity.CRITICAL: 2,
    Severity.UNKNOWN: 3,
}  # fmt: skip
_WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def code(ended: Sweep) -> int:
    """The plug-in's exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. Critical outweighs unknown."""
    return _CODES[ended.worst]


def nagios(ended: Sweep) -> str:
    """Output of a plug-in: one line, performance data, and the findings that are not good."""
    bad = [one for one in ended.counted if _CODES[one.severity]]
    first = f"MAILMIG {_WORDS[code(ended)]} - {_line(ended, bad)}"
    if len(first) > _NAGIOS_LINE:
        first = f"{first[: _NAGIOS_LINE - 3]}..."
    counts = _counts(ended)
    took = (ended.ended - ended.began).total_seconds()
    data = [f"{word}={counts[word]}" for word in ("critical", "unknown", "warning", "ok")]
    lines = [f"{_safe(first)}|{' '.join((*data, f'time={took:.3f}s'))}"]
    lines += [_safe(f"{one.severity.value}: {_named(one)}: {one.summary}") for one in bad]
    text = ""
    for number, line in enumerate(lines):
        if len(f"{text}{line}\n".encode()) > _NAGIOS_BYTES:
            text += f"... and {len(lines) - number} more\n"
            break
        text += f"{line}\n"
    return text


def prtg(ended: Sweep) -> str:
    """A custom sensor's JSON: a channel per check (how many findings are not good), and the worst.

    PRTG keeps the first limits that it sees, so the verdict is sent beside the numbers. Beyond 50
    channels the sensor is an error that says so: pick families, one sensor each.
    """
    if len(ended.checks) > _PRTG_CHANNELS - 1:
        reason = f"{len(ended.checks)} checks are more than a sensor holds: one sensor per family"
        return json.dumps({"prtg": {"error": 1, "text": reason}})
    bad = [one for one in ended.counted if _CODES[one.severity]]
    per_check = Counter(one.check for one in bad)
    channels = [
        {"channel": "worst", "value": code(ended), "limitmode": 1, "limitmaxwarning": 0,
         "limitmaxerror": 1, "warning": int(code(ended) == 1)},
        *({"channel": name, "value": per_check[name], "unit": "Count"} for name in ended.checks),
    ]  # fmt: skip
    text = _line(ended, bad)[:_PRTG_TEXT]
    return json.dumps({"prtg": {"result": channels, "text": text}}, ensure_ascii=False)


def prometheus(ended: Sweep) -> str:
    """Text format 0.0.4, for the textfile collector: no timestamps, but when it last ran."""
    registry = CollectorRegistry()
    status = Gauge(
        "mailmig_check_status", "0 ok, 1 warning, 2 critical, 3 unknown",
        ("check", "object", "site"), registry=registry,
    )  # fmt: skip
    worst: dict[tuple[str, str, str], Severity] = {}
    for one in ended.counted:
        key = (one.check, one.subject, one.vantage)
        worst[key] = max(worst.get(key, one.severity), one.severity, key=lambda found: found.rank)
    for key, severity in worst.items():
        status.labels(*key).set(_CODES[severity])
    when = Gauge(
        "mailmig_check_last_run_timestamp_seconds", "When the checks last ended.", registry=registry
    )
    when.set(ended.ended.timestamp())
    took = Gauge("mailmig_check_duration_seconds", "How long they took.", registry=registry)
    took.set((ended.ended - ended.began).total_seconds())
    return generate_latest(registry).decode()


def _line(ended: Sweep, bad: list[Finding]) -> str:
    """The worst finding, and how many there are beside it."""
    if not bad:
        return f"{len(ended.checks)} checks, nothing found"
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    return f"{_named(bad[0])}: {bad[0].summary}{more}"


def _named(one: Finding) -> str:
    return f"{one.subject} from {one.vantage}" if one.vantage else one.subject


def _counts(ended: Sweep) -> Counter[str]:
    return Counter(one.severity.value for one in ended.counted)


def _safe(text: str) -> str:
    """A bar would begin performance data, a line end another line."""
    return " ".join(text.replace("|", "/").split())
