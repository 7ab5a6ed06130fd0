"""What a patch run writes to the journal about a host, for the report: its boots, its kernel and its driver."""

from __future__ import annotations

from collections.abc import Collection

REBOOT = "reboot"
"""The phase of a reboot's entry."""
BACK = "back"
"""The fact that a reboot is one of the way back."""


def boot_facts(boot: str, *, back: bool) -> tuple[str, ...]:
    """Return the facts of a reboot's entry: which boot it ends, and whether it is one of the way back.

    A run that was killed may write it twice.
    """
    return (f"boot {' '.join(boot.split())}", *((BACK,) if back else ()))


def versions(facts: Collection[str]) -> tuple[str, ...]:
    """Return those facts of roles/patch/well.py that name a kernel or a driver."""
    return tuple(fact for fact in facts if fact.startswith(("kernel ", "driver ")))


def kernel_of(facts: Collection[str]) -> str | None:
    """Return the release of the kernel that ran; None: not known."""
    return _first(facts, "kernel")


def driver_of(facts: Collection[str]) -> str | None:
    """Return the version of the NVIDIA driver's module; None: none was loaded."""
    return _first(facts, "driver")


def _first(facts: Collection[str], kind: str) -> str | None:
    """Return the first value in the fact of this kind."""
    return next((fact.split(" ")[1] for fact in facts if fact.startswith(f"{kind} ")), None)
