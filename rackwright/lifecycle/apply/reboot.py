"""Reboots for new drivers: which hosts need one, and the reboot that an operator asked for."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.apply.plan import Plan
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.remote.completed import Completed
from rackwright.roles.nvidia_driver.settings import INSTALL
from rackwright.run import Outcome
from rackwright.state.lease_session import LeaseSession

BOOT_SECONDS = 1800
"""Longest wait for a host to boot: firmware alone checks a terabyte of memory for minutes."""
_PENDING_COMMAND = """cat /sys/module/nvidia/version 2>/dev/null || echo none
k=$(uname -r); if [ -e "/boot/vmlinuz-$k" ]; then echo "$k"; else echo none; fi
cat /proc/sys/kernel/random/boot_id; stat -c %Y.%i /proc/1; cut -d ' ' -f 22 /proc/1/stat"""
"""Versions of the module and of the machine's own kernel, and which boot this is (in a container: PID 1's start)."""
_BOOT_LINES = 3
_REBOOT_COMMAND = "systemd-run --quiet --collect --on-active=1 systemctl reboot"


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
    for name, answer in session.remote.run_on(wanted, _PENDING_COMMAND).items():
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


def reboot_all(
    session: Session, lease_session: LeaseSession, hosts: Mapping[str, str], console: Console, *, allow_outage: bool
) -> dict[str, str]:
    """Reboot hosts one after another; return the hosts that can't go on, and why.

    The first one that was not rebooted, or that didn't come back as it should, ends the reboots; later hosts whose
    engines need the driver are returned, too. A host that takes requests is not rebooted; an operator must drain it.
    """
    left = dict(hosts)
    for name, why in hosts.items():
        del left[name]
        lease_session.check()
        if reason := _rebooted(session, lease_session, name, why, console, allow_outage=allow_outage):
            needing = {other: why for other, why in left.items() if needs_driver(session, other)}
            return {name: reason} | {
                other: f"reboot pending: {why}; not rebooted, because {name} was not"
                for other, why in needing.items()
            }
        console.say(f"{name}: is back")
    return {}


def needs_driver(session: Session, name: str) -> bool:
    """Return whether engines of the host can't start without its driver."""
    return any(replica.gpus for replica in session.fleet.parts_on(name))


def blocker(session: Session, name: str, *, allow_outage: bool) -> str | None:
    """Return why a host may not be rebooted now, None if it may. Raise HostError if that can't be found out."""
    if session.fleet.is_local(name):
        return "is the machine that rackwright runs on, not rebooted; next: reboot it, then run rackwright apply"
    return None if allow_outage else _serves(session, name)


def _rebooted(
    session: Session, lease_session: LeaseSession, name: str, why: str, console: Console, *, allow_outage: bool
) -> str | None:
    """Return why it was not rebooted, or didn't come back as it should."""
    try:
        if reason := blocker(session, name, allow_outage=allow_outage):
            return reason
        before = _boot(session.remote.connection(name).run(_PENDING_COMMAND))
    except HostError as error:
        return f"not rebooted: {error.problems[0].what}"
    console.say(f"{name}: rebooting: {why}")
    note_leased_act(session, lease_session, (name,), f"reboot: {why}")
    try:
        with lease_session.lasting(BOOT_SECONDS) if name == session.fleet.control[0] else nullcontext():
            return _reboot(session, name, before)
    except HostError as error:
        return f"was asked to reboot, but: {error.problems[0].what}; look at its console"


def _serves(session: Session, name: str) -> str | None:
    if len(session.fleet.gateways) == 1 and name in session.fleet.gateways and session.fleet.replicas:
        return f"is the only gateway, not rebooted; next: rackwright apply --reboot --allow-outage -l {name}"
    if not _runs_engines(session, name):
        return None
    states = session.gateways.servers()
    replicas = session.fleet.parts_on(name)
    taken = [one.address for one in replicas if one.address in states and states[one.address].takes_requests]
    return f"serves {', '.join(taken)}, not rebooted; next: rackwright drain {name}" if taken else None


def _runs_engines(session: Session, name: str) -> bool:
    """Return whether an engine runs. If none does, no gateway is asked: a new fleet may not have one yet."""
    units = [replica.unit for replica in session.hosts[name].replicas]
    command = shlex.join(("systemctl", "is-active", "--quiet", "--", *units))
    return bool(units) and session.remote.connection(name).run(command).ok


def _reboot(session: Session, name: str, before: list[str]) -> str | None:
    connection = session.remote.connection(name)
    connection.run(_REBOOT_COMMAND).check("asking for a reboot")
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        time.sleep(1)
        connection.close()
        with suppress(HostError):
            if _boot(connection.run(_PENDING_COMMAND, timeout=10)) != before:
                return _after(session, name)
        if time.monotonic() > deadline:
            return f"did not come back within {BOOT_SECONDS} s of its reboot; look at its console"


def _boot(reply: Completed) -> list[str]:
    """Return which boot this is. Raise HostError if the reply is incomplete: a shutdown kills the command."""
    lines = reply.check("asking which boot this is").stdout.splitlines()[2:]
    if len(lines) != _BOOT_LINES:
        raise HostError("its reply doesn't show which boot this is", where=reply.host)
    return lines


def _after(session: Session, name: str) -> str | None:
    """Wait until the system has booted; return why its driver isn't active, if it isn't."""
    connection = session.remote.connection(name)
    connection.run("systemctl is-system-running --wait", timeout=BOOT_SECONDS)
    found = pending(session, (name,))
    why = found.waiting.get(name) or found.unreachable.get(name)
    return f"was rebooted, but {why}; next: journalctl -b -k on {name}" if why else None


def refuse_swap(session: Session, planned: Plan, *, reboot: bool, allow_outage: bool) -> None:
    """Raise RackwrightError naming each host whose engines run on another driver than would be installed.

    Such engines run until their next start, which finds libraries that don't fit the module. So a driver is changed
    only with a reboot, on a host that can be rebooted.
    """
    swapped = []
    for name, what in _swapped(session, planned):
        stays = blocker(session, name, allow_outage=allow_outage) if reboot else ""
        if stays is not None:
            swapped.append(f"{name}: {what}" + (f"; {name} {stays}" if stays else ""))
    if swapped:
        raise RackwrightError(
            "the driver would change under running engines",
            should="a new driver needs a reboot, and until then none of these engines could restart",
            next="rackwright drain HOST, then rackwright apply --reboot -l HOST",
            listed=swapped,
        )


def _swapped(session: Session, planned: Plan) -> Iterator[tuple[str, str]]:
    """Yield each of these hosts and what would happen."""
    for step in planned.run.steps:
        host, driver = planned.surveyed.hosts.get(step.host), session.hosts[step.host].driver
        if not (host and driver and step.role == "nvidia_driver" and step.operation.startswith(INSTALL)):
            continue
        runs = [name for name, state in host.replicas.items() if state.active == "active"]
        if step.outcome is Outcome.WOULD_CHANGE and runs and host.driver.loaded not in (None, driver.version):
            yield (
                step.host,
                f"module {host.driver.loaded} is in use by {', '.join(runs)}; {driver.version} would replace it",
            )
