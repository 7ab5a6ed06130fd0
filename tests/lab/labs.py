"""Labs of the tests: each file that changes its hosts has one of its own, so that files run beside one another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rackwright.lab.hosts import Lab, LabSpec
from tests.times.recorder import spent


class TimedLab(Lab):
    """A lab whose boots, removal and commands are recorded."""

    up = spent("boots")(Lab.up)
    start = spent("boots")(Lab.start)
    reboot = spent("boots")(Lab.reboot)
    down = spent("removal of hosts")(Lab.down)
    exec = spent("commands on hosts")(Lab.exec)


@contextmanager
def fresh_lab(
    name: str, *hosts: str, volumes: tuple[str, ...] = (), images: Mapping[str, str] | None = None
) -> Iterator[Lab]:
    """The lab test-NAME with fresh hosts, gone afterwards. TEST_LABS tells apart who tests beside one another."""
    lab = TimedLab(f"test-{os.environ.get('TEST_LABS', '')}{name}")
    lab.down()
    try:
        lab.up(LabSpec(hosts=hosts, volumes=volumes, images=images or {}))
        yield lab
    finally:
        lab.down()
