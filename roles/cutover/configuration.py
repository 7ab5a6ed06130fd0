"""The script of the way back, as text. No host, no pyinfra."""

from __future__ import annotations

from pathlib import Path

from rackwright.operations.haproxy.config_text import render
from rackwright.operations.haproxy.paths import Paths
from rackwright.roles.cutover.settings import PANIC, RECORDS
from rackwright.roles.gateway.configuration import CUTOVERS, PATHS

TEMPLATES = Path(__file__).parent / "templates"
FUNCTIONS = TEMPLATES / "cutovers.sh"
"""Shell functions that change shares, also for rackwright.gateway."""


def rollback_script(paths: Paths = PATHS, *, records: str = RECORDS, panic: str = PANIC) -> str:
    return render(TEMPLATES, "rollback.sh.j2", paths=paths, cutovers=CUTOVERS, records=records, panic=panic)
