"""The script that restarts services on replaced libraries, and the parser of what it prints. No pyinfra."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SECONDS = 900
"""Time limit of the script on a host: engines are restarted, too, and stop only when they are ready to."""
_TEMPLATE = (Path(__file__).parent / "templates/replaced.sh").read_text()
_LINE = re.compile(r"(restarted|stays) ([A-Za-z0-9:_.@\\-]{1,256})")
_MOST = 2000


@dataclass(frozen=True)
class Replaced:
    """Services that ran on libraries that were replaced."""

    restarted: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    """Those that still run on them: only a boot replaces them."""


def script() -> str:
    """Return the script for `sh -s` as root."""
    # In braces nothing runs until the whole script has arrived.
    return f"{{\nset -u\n{_TEMPLATE}}}\n"


def parse_replaced(output: str) -> Replaced:
    """Return what the script did. Raise ValueError if a line has another form."""
    lines = output.splitlines()
    found = [match for line in lines[:_MOST] if (match := _LINE.fullmatch(line))]
    if len(found) != len(lines):
        raise ValueError("its answer has a line in another form")
    return Replaced(
        tuple(one[2] for one in found if one[1] == "restarted"), tuple(one[2] for one in found if one[1] == "stays")
    )
