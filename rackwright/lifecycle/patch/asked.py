"""What the operator asked of a patch run."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.values.base import Stored
from rackwright.values.text import Name


class Asked(Stored):
    only_security: bool = False
    reboot: bool = True
    """Whether hosts that need it are rebooted. If not, they stay on the kernel and the libraries that run."""
    canary: Name | None = None
    """The host that goes first; None: the first in the plan's order."""
    hosts: tuple[Name, ...] = ()
    """Only these; empty: all."""
    allow_outage: bool = False
    not_stale: bool = False
    """As in the options of an apply."""
    yes: bool = False
    """Whether the operator passed --yes, so that no one was asked after the plan was shown."""

    @property
    def options(self) -> tuple[str, ...]:
        """The same, as options of the command."""
        return tuple(self._options())

    def _options(self) -> Iterator[str]:
        if self.only_security:
            yield "--only security"
        if not self.reboot:
            yield "--no-reboot"
        if self.canary:
            yield f"--canary {self.canary}"
        yield from (f"-l {host}" for host in self.hosts)
        if self.allow_outage:
            yield "--allow-outage"
        if self.not_stale:
            yield "--not-stale"
        if self.yes:
            yield "--yes"
