"""Print where the time of test runs went: `python -m tests.times .junit/lab.xml`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from tests.times import durations, page
from tests.times.junit import read

_WIDTH = 140


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.times", description=__doc__)
    parser.add_argument("junit", nargs="+", type=Path, metavar="FILE.xml", help="junit files of whole runs")
    parser.add_argument("--record", action="store_true", help="keep each file's seconds in tests/durations.json")
    words = parser.parse_args()
    suites = [read(path) for path in words.junit]
    if words.record:
        root = durations.PATH.parents[1]
        durations.save(durations.renewed(durations.load(), suites, root))
        return
    console = Console(width=None if Console().is_terminal else _WIDTH)
    for suite in suites:
        page.show(suite, console)
        console.print()


if __name__ == "__main__":
    main()
