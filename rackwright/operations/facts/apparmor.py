"""The state of AppArmor."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api.facts import FactBase


@dataclass(frozen=True)
class AppArmor:
    enabled: str = ""
    """The kernel's answer: Y, N, or empty if it has no AppArmor."""
    enforced: int = 0
    """Number of enforced profiles."""


class AppArmorState(FactBase[AppArmor]):
    """Return the kernel's state of AppArmor. Needs root."""

    def command(self) -> str:
        return (
            "cat /sys/module/apparmor/parameters/enabled 2>/dev/null || echo; "
            "grep -cs '(enforce)$' /sys/kernel/security/apparmor/profiles || true"
        )

    @staticmethod
    def default() -> AppArmor:
        return AppArmor()

    def process(self, output: list[str]) -> AppArmor:
        enabled, *counted = output
        return AppArmor(enabled.strip(), int(counted[0]) if counted else 0)
