"""The rules by which the kernel audits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyinfra.api.facts import FactBase


@dataclass(frozen=True)
class Audit:
    """The kernel's audit system, as auditctl(8) reports it."""

    installed: bool = False
    answers: bool = False
    """Whether the kernel audits; in a container it doesn't."""
    locked: bool = False
    """Whether its rules can't be changed before the next boot."""
    keys: tuple[str, ...] = ()
    """The keys of the loaded rules that have one of our keys."""


class AuditState(FactBase[Audit]):
    """Return the state of the kernel's audit. `enabled 2` is locked: auditctl(8)."""

    def command(self) -> str:
        return (
            "if command -v auditctl >/dev/null; then echo installed; "
            "{ auditctl -s && auditctl -l; } 2>/dev/null || true; fi"
        )

    @staticmethod
    def default() -> Audit:
        return Audit()

    def process(self, output: list[str]) -> Audit:
        enabled = [line.split()[1] for line in output if re.fullmatch(r"enabled \d", line)]
        keys = (re.search(r"(?:-k |-F key=)(rackwright-\w+)$", line) for line in output)
        return Audit("installed" in output, bool(enabled), enabled == ["2"], tuple(key[1] for key in keys if key))
