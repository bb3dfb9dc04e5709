"""How long an import takes and how much memory, beside reading the same files and no more.

The export is the town's, made larger: 100,000 mailboxes and 500,000 rights in the shape that
the collect script writes, then fewer mailboxes as whole objects with their SerializationData.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MAILBOXES = 100_000
WHOLE = 2_000
MIB = 1024**2
PROGRAM = (sys.executable, "-m", "mailmig")
READ = (
    "import sys; from pathlib import Path; from mailmig.wire import clixml\n"
    "for file in Path(sys.argv[1]).glob('*.xml'):\n"
    "    for value in clixml.read(file): pass\n"
)
LOAD = (
    "import sys; from pathlib import Path; from mailmig.store.engine import Store\n"
    "assert Store.open(Path(sys.argv[1])).snapshots.load().edges\n"
)


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="mailmig-bench-") as folder:
        yield from selected(Path(folder))
        yield from whole(Path(folder))


def selected(folder: Path) -> Iterator[dict[str, object]]:
    """What the collect script writes."""
    export, state = folder / "selected", folder / "state"
    run(*PROGRAM, "lab", "export", str(export), "--mailboxes", str(MAILBOXES))
    size = bytes_in(export)
    importing = (*PROGRAM, "--state", str(state), "inventory", "import", str(export))
    seconds, peak = run(*importing)
    bare, _ = run(sys.executable, "-c", READ, str(export))
    what = f"{MAILBOXES:,} mailboxes, 500,000 rights, {size / MIB:.0f} MB"
    yield {
        "what": f"{what}, beside clixml.read of the same files", "ours": seconds, "other": bare,
        "unit": "s", "ratio": seconds / bare, "goal": "<= 30 s", "met": seconds <= 30,
    }  # fmt: skip
    yield {
        "what": "the same: peak memory beside the bytes read", "ours": peak / MIB,
        "other": size / MIB, "unit": "MB", "ratio": peak / size, "goal": "<= 600 MB",
        "met": peak <= 600 * MIB,
    }  # fmt: skip
    again, _ = run(*importing)
    yield {
        "what": "the same once more: nothing changes", "ours": again, "other": seconds,
        "unit": "s", "ratio": again / seconds, "goal": "<= 1/4", "met": again <= seconds / 4,
    }  # fmt: skip
    loading, peak = run(sys.executable, "-c", LOAD, str(state))
    yield {
        "what": f"load the whole snapshot ({peak / MIB:.0f} MB), beside its import",
        "ours": loading, "other": seconds, "unit": "s", "ratio": loading / seconds,
        "goal": "<= 1/2", "met": loading <= seconds / 2,
    }  # fmt: skip


def whole(folder: Path) -> Iterator[dict[str, object]]:
    """What Get-Mailbox | Export-Clixml writes, 115 kB for each mailbox."""
    export = folder / "whole"
    run(*PROGRAM, "lab", "export", str(export), "--mailboxes", str(WHOLE), "--whole")
    size = bytes_in(export)
    state = ("--state", str(folder / "whole-state"))
    seconds, peak = run(*PROGRAM, *state, "inventory", "import", str(export))
    bare, _ = run(sys.executable, "-c", READ, str(export))
    yield {
        "what": f"whole objects of {WHOLE:,} mailboxes, {size / MIB:.0f} MB "
        f"(peak {peak / MIB:.0f} MB), beside clixml.read",
        "ours": seconds, "other": bare, "unit": "s", "ratio": seconds / bare, "goal": "<= 1.5",
        "met": seconds <= 1.5 * bare,
    }  # fmt: skip


def run(*words: str) -> tuple[float, int]:
    """Seconds of one child process, and the most memory that it had (bytes)."""
    start = time.perf_counter()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, words)
    return seconds, usage.ru_maxrss * 1024


def bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.xml"))
