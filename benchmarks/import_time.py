"""What `import napari_infosam` costs: median over fresh interpreters, beside importing nothing and napari.

python benchmarks/import_time.py [--runs 7]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

STATEMENTS = ("pass", "import napari_infosam", "import infosam", "import napari")


def seconds(statement: str) -> float:
    """Wall time of a fresh interpreter that runs one statement."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    medians = {s: statistics.median(seconds(s) for _ in range(runs)) for s in STATEMENTS}
    nothing = medians["pass"]
    for statement, median in medians.items():
        print(f"{statement:24s} {median:6.3f} s   above an empty program: {median - nothing:+.3f} s")


if __name__ == "__main__":
    main()
