"""Measurements: ours beside a peer or a bound, in one run, as a ratio.

`make bench` runs all of them, `make bench ONLY=clixml` the files whose name contains the
word. Each file in this folder has a function `rows()` that yields mappings with `what`,
`ours`, `other`, `unit`, `ratio`, `goal` and `met`. Machines differ and are noisy: read the
ratios. A missed goal is shown and makes the run end with 1. `met` may be a word of its own,
too: what it says is neither met nor missed.
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from tabulate import tabulate

HERE = Path(__file__).parent
COLUMNS = ("what", "ours", "other", "unit", "ratio", "goal", "met")


def rows(file: Path) -> Iterator[dict[str, object]]:
    """What one file measures; loaded by path, so that its name needs no care."""
    spec = importlib.util.spec_from_file_location(f"bench_{file.stem}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield from module.rows()


def main(words: list[str]) -> int:
    files = [
        file
        for file in sorted(HERE.glob("*.py"))
        if file.name != Path(__file__).name and (not words or any(w in file.stem for w in words))
    ]
    table = []
    for file in files:
        for row in rows(file):
            print(f"{file.stem}: {row['what']}: {row['ours']:.4g} {row['unit']}", file=sys.stderr)
            met = row["met"] if isinstance(row["met"], str) else "yes" if row["met"] else "NO"
            table.append([file.stem, *(row[c] for c in COLUMNS[:-1]), met])
    print(tabulate(table, headers=["bench", *COLUMNS], floatfmt=".4g"))
    return 1 if any(line[-1] == "NO" for line in table) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
