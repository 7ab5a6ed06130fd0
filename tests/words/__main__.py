"""Print each old word in the project's text, with its place and what to write instead; exit 1 if there is one."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.words.check import found

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    lines = [f"{place}: {word!r}: write {better}" for place, word, better in found(root, sys.argv[1:])]
    print("\n".join(lines), end="\n" if lines else "")
    sys.exit(1 if lines else 0)
