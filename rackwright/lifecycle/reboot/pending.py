"""Which hosts have a driver or kernel that isn't active until a reboot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.lifecycle.session.session import Session

COMMAND = """cat /sys/module/nvidia/version 2>/dev/null || echo none
k=$(uname -r); if [ -e "/boot/vmlinuz-$k" ]; then echo "$k"; else echo none; fi"""
"""Prints the versions of the module and of the machine's own kernel."""


@dataclass(frozen=True)
class Pending:
    waiting: dict[str, str]
    """Host → why its driver isn't active yet."""
    unreachable: dict[str, str]
    """Host → why it couldn't be asked. It may not need a reboot, so it isn't rebooted."""


def pending(session: Session, hosts: Iterable[str], *, kernels: bool = False) -> Pending:
    """Return which of these hosts have a driver, or with `kernels` its kernel, that isn't active until a reboot."""
    wanted = [name for name in hosts if session.hosts[name].driver]
    found = Pending({}, {})
    for name, answer in session.remote.run_on(wanted, COMMAND).items():
        if isinstance(answer, HostError):
            found.unreachable[name] = answer.problems[0].what
        elif not answer.ok:
            found.unreachable[name] = f"can't be asked: {' '.join(answer.last_lines())}"
        elif why := _why(session, name, answer.stdout, kernels=kernels):
            found.waiting[name] = why
    return found


def _why(session: Session, name: str, reply: str, *, kernels: bool) -> str | None:
    driver = session.hosts[name].driver
    loaded, kernel, *_ = [*reply.splitlines(), "none", "none"]
    if driver is None:
        return None
    if loaded == "none" or driver.version not in (None, loaded):
        installed = driver.version or "a driver"
        return f"{installed} is installed, {'no module' if loaded == 'none' else f'module {loaded}'} runs"
    if kernels and driver.kernel and kernel not in ("none", driver.kernel):
        return f"kernel {driver.kernel} is installed, {kernel} runs"
    return None
