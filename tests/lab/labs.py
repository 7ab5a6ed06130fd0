"""Labs of the tests: each file that changes its hosts has its own lab, so that files can run at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rackwright.lab.hosts import Lab, LabSpec
from tests.times.recorder import spent


class TimedLab(Lab):
    """A lab that records its boots, removal and commands."""

    up = spent("boots")(Lab.up)
    start = spent("boots")(Lab.start)
    reboot = spent("boots")(Lab.reboot)
    down = spent("removal of hosts")(Lab.down)
    exec = spent("commands on hosts")(Lab.exec)


@contextmanager
def fresh_lab(
    name: str, *hosts: str, volumes: tuple[str, ...] = (), images: Mapping[str, str] | None = None
) -> Iterator[Lab]:
    """Run the lab test-NAME with fresh hosts, then remove it. TEST_LABS separates simultaneous test runs."""
    lab = TimedLab(f"test-{os.environ.get('TEST_LABS', '')}{name}")
    lab.down()
    try:
        lab.up(LabSpec(hosts=hosts, volumes=volumes, images=images or {}))
        yield lab
    finally:
        lab.down()
