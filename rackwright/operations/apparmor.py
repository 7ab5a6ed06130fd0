"""AppArmor as the kernel has it."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.apparmor import AppArmorState
from rackwright.operations.unit import adopt
from rackwright.operations.warnings import note


@operation()
def apparmor_enforcing(*, unit: str) -> Generator[PyinfraCommand]:
    """Afterwards this unit loads AppArmor's profiles, now and at boot.

    Where the kernel has AppArmor off, has none, or enforces no profile, that is named, and no unit is touched.
    """
    state = host.get_fact(AppArmorState)
    if state.enabled == "N":
        note("AppArmor is off: boot the kernel without apparmor=0, and with apparmor among its lsm= if it has one")
    elif state.enabled != "Y":
        note("this kernel has no AppArmor")
    else:
        steps = list(adopt(unit=unit))
        if not steps and not state.enforced:
            note("AppArmor enforces no profile (aa-status)")
        yield from steps
