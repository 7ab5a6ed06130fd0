"""Why a mutant may survive: explained.tsv has one line for each, with module, text before, text after and reason."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "explained.tsv"


@cache
def explained() -> dict[tuple[str, str, str], str]:
    """Return the reasons: `equivalent: …`, or `lab: tests/….py::test_…: …`."""
    with FILE.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {(row["module"], _lines(row["was"]), _lines(row["becomes"])): row["reason"] for row in rows}


def _lines(text: str) -> str:
    return text.replace("\\n", "\n")
