"""AppArmor in the running kernel."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.apparmor import AppArmorState
from rackwright.operations.plan_notes import note
from rackwright.operations.unit import adopt


@operation()
def apparmor_enforcing(*, unit: str) -> Generator[PyinfraCommand]:
    """Ensure that this unit loads AppArmor's profiles, now and at boot.

    If AppArmor is off, missing from the kernel, or enforces no profile, only add a note.
    """
    state = host.get_fact(AppArmorState)
    if state.enabled == "N":
        note("AppArmor is off: boot the kernel without apparmor=0; if it has lsm=, that list must contain apparmor")
    elif state.enabled != "Y":
        note("this kernel has no AppArmor")
    else:
        steps = list(adopt(unit=unit))
        if not steps and not state.enforced:
            note("AppArmor enforces no profile (aa-status)")
        yield from steps
