"""Engines of simulated hosts: their units' texts, their processes, and the behavior of each version."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from tests.lifecycle.world.software import Software

LOADS = 1.0
"""Seconds from an engine's start to its first answer."""
LIVES = 4.0
"""Seconds for which a dying engine answers: longer than until it is undrained, shorter than until it has soaked."""


BOOTS = 20.0
"""Seconds that a host is away for a reboot."""
OLD_DRIVER, NEW_DRIVER = "570", "580"


class Behaviour(StrEnum):
    GOOD = "good"
    REFUSES = "ends as soon as it is started"
    MUTE = "runs and never answers"
    DIES = "answers, and then ends as soon as it is started"
    FAILS_CLIENTS = "answers whoever proves it, and no client"


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def version_of(text: str) -> str:
    found = re.search(r'"--version" \\\n  "(\w+)"', text)
    assert found, text
    return found[1]


@dataclass
class Engine:
    """One engine on one host."""

    address: str
    """HOST/MODEL@N of its replica."""
    unit: str
    """The current text of the unit file."""
    started: str | None
    """The unit text that the process was started with; None: no process runs."""
    before: str | None = None
    """The kept text: what ran before."""
    faults: dict[str, Behaviour] = field(default_factory=dict)
    """By version; a version that isn't listed is good."""
    restarts: int = 0
    since: float = -1000.0
    broken: str | None = None
    """The unit text on which the process ended."""
    starts: int = 0
    """Manual starts, over its whole life."""
    act: str = ""
    """The act that may change it now."""
    dead: bool = False
    """Its process is gone, and systemd doesn't start it again; what the start recorded is still there."""

    def start(self, now: float) -> None:
        self.restarts, self.dead = 0, False
        self._run(now)

    def tick(self, now: float) -> None:
        """systemd retries with the unit as it is at that time."""
        if self.started and self.behaviour is Behaviour.DIES and now - self.since > LIVES:
            self.started, self.broken = None, self.started
        if self.started is None:
            self.restarts += 1
            if self.unit != self.broken:
                self._run(now)

    def _run(self, now: float) -> None:
        self.started, self.broken, self.since = self.unit, None, now
        if self.behaviour is Behaviour.REFUSES:
            self.started, self.broken = None, self.unit

    def answers(self, now: float) -> bool:
        good = self.started is not None and not self.dead and self.behaviour is not Behaviour.MUTE
        return good and now - self.since >= LOADS

    @property
    def behaviour(self) -> Behaviour:
        return self.faults.get(version_of(self.started or self.unit), Behaviour.GOOD)

    def take(self, text: str) -> None:
        """Do what roles/replica/switch.py's script does (tests/roles/test_switch.py runs both)."""
        if text == self.unit:
            return
        if self.started in (None, self.unit):
            self.before = self.unit
        elif self.before not in (self.started, self.unit):
            self.before = None
        self.unit = text

    def revert(self, new: str) -> bool:
        """Given the digest of the unit that was taken, return whether the unit is now the one that ran before."""
        if digest(self.unit) != new:
            return True
        if self.before is None:
            return False
        self.unit = self.before
        return True


@dataclass
class Host:
    name: str
    engines: dict[str, Engine] = field(default_factory=dict)
    """By MODEL@N."""
    up: bool = True
    cut: bool = False
    """It is unreachable; its engines keep running."""
    full: bool = False
    """No file can be written."""
    slow: str | None = None
    """An act (take, restart) that finishes only after the previous version has been restored."""
    late: tuple[list[str], str | bytes | None] | None = None
    """That act."""
    installed: str = OLD_DRIVER
    """The driver that is installed."""
    loaded: str = OLD_DRIVER
    """The driver that the kernel has loaded."""
    loads: bool = True
    """Its kernel loads the driver that is installed."""
    boots: int = 0
    reboots: int = 0
    """How often it was asked to reboot, and did."""
    booting: float | None = None
    """When it will have booted."""
    software: Software = field(default_factory=Software)

    @property
    def reachable(self) -> bool:
        return self.up and not self.cut

    def crash(self) -> None:
        self.up = False
        self.software.crash()
        for engine in self.engines.values():
            engine.started = None

    def reboot(self, now: float) -> None:
        self.reboots += 1
        self.booting = now + BOOTS
        self.crash()

    def boot(self, now: float) -> None:
        self.up, self.booting = True, None
        self.boots += 1
        self.software.boot()
        self.loaded = self.installed if self.loads else "none"
        for engine in self.engines.values():
            engine.start(now)
