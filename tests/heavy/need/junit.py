"""Which files passed as a whole, according to pytest's own report."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

_BAD = ("failure", "error", "skipped")


def passed_files(report: Path) -> dict[str, float]:
    """Return each heavy test file whose tests all passed, with none skipped, and how many seconds they took."""
    seconds: dict[str, float] = defaultdict(float)
    bad = set()
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        name = _file(case.get("classname", ""))
        seconds[name] += float(case.get("time", 0))
        if any(case.find(kind) is not None for kind in _BAD):
            bad.add(name)
    return {name: round(took, 1) for name, took in seconds.items() if name and name not in bad}


def _file(classname: str) -> str:
    module = classname.removeprefix("tests.heavy.").partition(".")[0]
    return f"{module}.py" if classname.startswith("tests.heavy.test_") else ""
