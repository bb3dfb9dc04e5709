"""How fast the lab writes an export, beside a plain write of the same bytes."""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAM = (sys.executable, "-m", "mailmig", "lab", "export")
MIB = 1024**2
PIECE = bytes(MIB)


def rows() -> Iterator[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="mailmig-bench-") as folder:
        yield from selected(Path(folder))
        yield whole(Path(folder))


def selected(folder: Path) -> Iterator[dict[str, object]]:
    """100,000 mailboxes with their rights, as the collect script would select them."""
    seconds, size, peak = export(folder / "selected", "--mailboxes", "100000")
    bare = plain_write(folder / "plain", size)
    yield {
        "what": f"100,000 mailboxes, {size / MIB:.0f} MB, beside a plain write",
        "ours": seconds, "other": bare, "unit": "s", "ratio": seconds / bare,
        "goal": "<= 60 s", "met": seconds <= 60,
    }  # fmt: skip
    yield {
        "what": "the same: peak memory beside the bytes written", "ours": peak / MIB,
        "other": size / MIB, "unit": "MB", "ratio": peak / size, "goal": "<= 600 MB",
        "met": peak <= 600 * MIB,
    }  # fmt: skip


def whole(folder: Path) -> dict[str, object]:
    """Whole objects, 115 kB per mailbox, beside a plain write: what one mailbox costs."""
    count = 2_000
    seconds, size, _ = export(folder / "whole", "--mailboxes", str(count), "--whole")
    bare = plain_write(folder / "plain", size)
    return {
        "what": f"whole objects of {count:,} mailboxes, {size / MIB:.0f} MB, beside a plain write",
        "ours": seconds, "other": bare, "unit": "s", "ratio": seconds / bare,
        "goal": ">= 20 MB/s", "met": size / MIB / seconds >= 20,
    }  # fmt: skip


def export(folder: Path, *options: str) -> tuple[float, int, int]:
    """Seconds, bytes written, and the most memory that any child had so far (bytes)."""
    start = time.perf_counter()
    subprocess.run((*PROGRAM, str(folder), *options), check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return seconds, size, peak


def plain_write(file: Path, size: int) -> float:
    start = time.perf_counter()
    with file.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(PIECE)
    seconds = time.perf_counter() - start
    file.unlink()
    return seconds
