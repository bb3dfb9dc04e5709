"""Sweeps as monitoring systems read them."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mailmig.model.finding import Finding, Severity, Sweep
from mailmig.render import monitors
from tests.lab.strangers import needs

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
DOWN = Finding("mail at 192.0.2.11", Severity.CRITICAL, "nobody | answers", "inside", check="a.b")
UNKNOWN = Finding("dc2", Severity.UNKNOWN, "no\nanswer", check="a.c")
LATE = Finding("mail", Severity.WARNING, "kept for 10 min", "outside", check="a.c")
WELL = Finding("mail", Severity.OK, "well", "outside", check="a.d")
KNOWN = Finding("x", Severity.CRITICAL, "old", suppressed="ticket 7", check="a.b")


def ended(*findings: Finding, checks: tuple[str, ...] = ("a.b", "a.c", "a.d")) -> Sweep:
    return Sweep(findings, NOW, NOW + timedelta(seconds=1.5), checks)


def test_a_plug_in_says_the_worst_first_and_ends_with_its_code() -> None:
    sweep = ended(DOWN, UNKNOWN, LATE, WELL)
    worst = "mail at 192.0.2.11 from inside: nobody / answers"
    lines = monitors.nagios(sweep).splitlines()
    assert lines == [
        f"MAILMIG CRITICAL - {worst} (and 2 more)|critical=1 unknown=1 warning=1 ok=1 time=1.500s",
        "critical: mail at 192.0.2.11 from inside: nobody / answers",
        "unknown: dc2: no answer",
        "warning: mail from outside: kept for 10 min",
    ]
    assert monitors.code(sweep) == 2


@pytest.mark.parametrize(
    ("findings", "code", "word"),
    [
        ((WELL,), 0, "OK"), ((), 0, "OK"), ((LATE, WELL), 1, "WARNING"),
        ((UNKNOWN, LATE), 3, "UNKNOWN"), ((KNOWN, WELL), 0, "OK"),
    ],
)  # fmt: skip
def test_the_code_of_a_plug_in_follows_the_worst_that_counts(
    findings: tuple[Finding, ...], code: int, word: str
) -> None:
    assert monitors.code(ended(*findings)) == code
    assert monitors.nagios(ended(*findings)).startswith(f"MAILMIG {word} - ")


def test_a_plug_in_stays_within_what_nagios_reads() -> None:
    many = [
        Finding(f"mailbox {number} größe", Severity.CRITICAL, "x" * 300, check="a.b")
        for number in range(1000)
    ]
    said = monitors.nagios(ended(*many))
    assert len(said.encode()) < 8192
    assert len(said.partition("|")[0]) < 200
    told = re.search(r"\.\.\. and (\d+) more\n$", said)
    assert told is not None
    assert int(told[1]) + said.count("\ncritical: ") == 1000


def test_a_sensor_has_a_channel_per_check_and_the_verdict_beside_it() -> None:
    said = json.loads(monitors.prtg(ended(DOWN, UNKNOWN, LATE, WELL)))["prtg"]
    values = {one["channel"]: one["value"] for one in said["result"]}
    assert values == {"worst": 2, "a.b": 1, "a.c": 2, "a.d": 0}
    assert all(isinstance(one["value"], int) for one in said["result"])
    assert said["text"].startswith("mail at 192.0.2.11 from inside: ")


def test_a_sensor_with_too_many_channels_is_an_error_that_says_so() -> None:
    said = json.loads(monitors.prtg(ended(checks=tuple(f"a.c{n}" for n in range(50)))))["prtg"]
    assert said == {
        "error": 1, "text": "50 checks are more than a sensor holds: one sensor per family",
    }  # fmt: skip


def test_prometheus_gets_the_worst_of_each_object_and_when_it_ran() -> None:
    worse = Finding("mail", Severity.CRITICAL, "worse", "outside", check="a.c")
    text = monitors.prometheus(ended(worse, LATE, WELL, KNOWN))
    families = {one.name: one.samples for one in text_string_to_metric_families(text)}
    status = {
        (one.labels["check"], one.labels["object"], one.labels["site"]): one.value
        for one in families["mailmig_check_status"]
    }
    assert status == {("a.c", "mail", "outside"): 2, ("a.d", "mail", "outside"): 0}
    (ran,) = families["mailmig_check_last_run_timestamp_seconds"]
    assert ran.value == (NOW + timedelta(seconds=1.5)).timestamp()


def test_promtool_reads_what_prometheus_gets() -> None:
    promtool = needs("promtool")
    odd = Finding('a "b" \\ ü\nc', Severity.WARNING, "", check="a.b")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=monitors.prometheus(ended(odd, DOWN)), text=True,
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
