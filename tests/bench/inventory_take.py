"""`mailmig inventory take` of 50,000 mailboxes with 250,000 rights, live from the lab.

The lab runs in a process of its own, as slow per cmdlet as its speed says; ours is the whole
command, in a process of its own, too: its wall time from start to end, and its peak of memory.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.lab.running_lab import free_offset

MAILBOXES = 50_000
# Real time: Get-MailboxPermission takes a second, Get-ADPermission two.
SPEED = 1
PROGRAM = (sys.executable, "-m", "mailmig")
_READY_S, _WAIT_S = 60.0, 600.0


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        words = ("lab", "run", "--mailboxes", MAILBOXES, "--speed", SPEED, "--folder", "lab",
                 "--port-offset", free_offset())  # fmt: skip
        lab = subprocess.Popen(
            [*PROGRAM, *map(str, words)], cwd=folder, stdout=subprocess.PIPE, text=True
        )
        try:
            assert lab.stdout is not None
            for line in lab.stdout:
                if "Ctrl-C ends it." in line:
                    break
            yield from _taken(Path(folder))
            yield from _taken(Path(folder), "--ldap-only")
        finally:
            lab.terminate()
            lab.communicate(timeout=_READY_S)


def _taken(folder: Path, *more: str) -> Iterator[dict[str, object]]:
    words = [*PROGRAM, "--config", "lab/mailmig.toml", "inventory", "take", *more]
    began = time.perf_counter()
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took, peak = time.perf_counter() - began, used.ru_maxrss / 1024
    assert process.returncode == 0, said
    found = re.search(r"([\d,]+) mailboxes and ([\d,]+) rights", said)
    assert found, said
    mailboxes, rights = (int(text.replace(",", "")) for text in found.groups())
    assert mailboxes >= MAILBOXES and rights >= 5 * MAILBOXES, said
    cpu = used.ru_utime + used.ru_stime
    held = f"{mailboxes:,} mailboxes, {rights:,} rights (our CPU {cpu:.0f} s)"
    yield {
        "what": " ".join(("inventory take", *more, held)),
        "ours": took, "other": peak, "unit": "s (other: peak MiB)", "ratio": 0.0,
        "goal": "<= 60 s, 1 GB", "met": took <= 60 and peak <= 1024,
    }  # fmt: skip
