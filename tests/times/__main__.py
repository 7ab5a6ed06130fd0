"""Print where the time of test runs went: `python -m tests.times .junit/lab.xml`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from tests.times import page
from tests.times.junit import read

_WIDTH = 140


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.times", description=__doc__)
    parser.add_argument("junit", nargs="+", type=Path, help="junit files of whole runs")
    words = parser.parse_args()
    console = Console(width=None if Console().is_terminal else _WIDTH)
    for path in words.junit:
        page.show(read(path), console)
        console.print()


if __name__ == "__main__":
    main()
