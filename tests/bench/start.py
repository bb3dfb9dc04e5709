"""How long the program takes to start, beside a bare interpreter."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

RUNS = 15
PROGRAM = str(Path(sys.executable).with_name("mailmig"))


def wall_ms(*words: str) -> float:
    start = time.perf_counter()
    subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1000


def rows() -> Iterator[dict[str, object]]:
    ours, bare = [], []
    for _ in range(RUNS):  # in turn, so that a slow moment of the machine meets both
        ours.append(wall_ms(PROGRAM, "--help"))
        bare.append(wall_ms(sys.executable, "-c", "pass"))
    median, other = statistics.median(ours), statistics.median(bare)
    yield {
        "what": "mailmig --help beside python -c pass, median wall", "ours": median,
        "other": other, "unit": "ms", "ratio": median / other, "goal": "<= 150 ms",
        "met": median <= 150,
    }  # fmt: skip
