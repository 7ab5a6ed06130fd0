"""The engines of a lab's hosts, as the tests of a fleet's life see them."""

from __future__ import annotations

import re

from rackwright.lab.hosts import Lab
from tests.lab.operator import Operator


def pid(lab: Lab, host: str, unit: str = "rackwright-assistant@1") -> str:
    return lab.exec(host, f"systemctl show -p MainPID --value {unit}").out.strip()


def change_parallel(site: Operator) -> str:
    """Change a setting that restarts every engine, and return how it is written in the engines' arguments."""
    (now,) = set(re.findall(r"parallel: (\d)", site.path.read_text()))
    other = "2" if now == "3" else "3"
    site.edit(f"parallel: {now}", f"parallel: {other}")
    return f"--parallel {other}"
