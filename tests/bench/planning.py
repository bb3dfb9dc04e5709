"""The first wave plan: its exposure beside the order of names, its time beside a bound.

The bound is what nobody can avoid: reading the files and looking at each share once. The
example is left out where the data folder is not named (MAILMIG_TEST_DATA).
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from mailmig.model.migration import PlanData
from mailmig.rules.planning.checker import check
from mailmig.rules.planning.maker import make
from mailmig.rules.planning.settings import PlanSettings
from mailmig.sources.calendars import read_data
from mailmig.wire.planning.calendars import (
    write_calendar,
    write_pins,
    write_target,
)
from mailmig.wire.planning.tables import write_mailboxes, write_shares
from tests.rules.planning.made import NOW, alphabetical, organisation

SETTINGS = PlanSettings()

# A department order has about 0.23 of the exposure of an alphabetical one on such data.
RATIO_GOAL = 0.45
# Planning is a handful of passes over all shares, a checked plan and its figures.
TIMES_READING = 10.0
LARGE_S, LARGE_MB = 60.0, 3000.0

# `mailmig plan make`, and its peak memory in MB instead of its report.
PROGRAM = """
import contextlib, io, resource, sys
from mailmig.cli import main
folder, state = sys.argv[1:]
sys.argv[1:] = ["--state", state, "plan", "make", "--data", folder, "--out", folder + "/plan.json"]
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    main.main()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def rows() -> Iterator[dict[str, object]]:
    named = os.environ.get("MAILMIG_TEST_DATA")
    example = Path(named) / "planning-example" if named else None
    if example and example.is_dir():
        yield _exposure("exposure, example of 500", read_data(example, SETTINGS))
    yield _exposure("exposure, made 5,000", organisation(5_000))
    for count, windows in ((500, 8), (50_000, 20)):
        yield _time(count, windows)
    yield from _large()


def _exposure(what: str, data: PlanData) -> dict[str, object]:
    ours, other = (make(each, NOW).metrics.exposure for each in (data, alphabetical(data)))
    return _row(f"{what}, beside order of names", ours, other, "weight-days", RATIO_GOAL)


def _time(count: int, windows: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, organisation(count, windows=windows))
        began = time.perf_counter()
        data = read_data(folder, SETTINGS)
        weight = sum(share.weight for share in data.shares)
        read = time.perf_counter() - began
        began = time.perf_counter()
        plan = make(data, NOW)
        took = time.perf_counter() - began
    assert weight and not check(plan)
    return _row(f"plan {count:,}, beside reading them", took, read, "s", TIMES_READING)


def _large() -> Iterator[dict[str, object]]:
    """From files to files, in a process of its own, so that the memory is that of planning."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = organisation(200_000, windows=40)
        _write(folder, data)
        shares = len(data.shares)
        del data
        words = [sys.executable, "-c", PROGRAM, str(folder), str(folder / "state")]
        began = time.perf_counter()
        done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT)
        took = time.perf_counter() - began
    what = f"plan make, 200,000 mailboxes, {shares:,} shares, from files to files"
    yield _row(f"{what}, beside {LARGE_S:.0f} s", took, LARGE_S, "s", 1.0)
    yield _row(f"{what}, peak memory", float(done.stdout), LARGE_MB, "MB", 1.0)


def _write(folder: Path, data: PlanData) -> None:
    texts = {
        "windows.json": write_calendar(data.calendar),
        "databases.json": write_target(data.target),
        "constraints.json": write_pins(data.pins),
        "mailboxes.csv": write_mailboxes(data.mailboxes),
        "shares.csv": write_shares(data.shares),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")


def _row(what: str, ours: float, other: float, unit: str, most: float) -> dict[str, object]:
    ratio = ours / other
    return {
        "what": what, "ours": ours, "other": other, "unit": unit, "ratio": ratio,
        "goal": f"<= {most:g}", "met": ratio <= most,
    }  # fmt: skip
