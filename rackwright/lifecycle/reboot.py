"""Hosts whose driver acts after a reboot only: which they are, and the reboot that an operator asked for."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from rackwright.errors import HostError
from rackwright.lifecycle.remember import note_leased_act
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.talk import Talk
from rackwright.state.holding import Held

BOOT_SECONDS = 1800
"""Longest wait for a host that boots: firmware alone checks a terabyte of memory for minutes."""
_PENDING_COMMAND = """cat /sys/module/nvidia/version 2>/dev/null || echo none; uname -r
cat /proc/sys/kernel/random/boot_id; stat -c %Y.%i /proc/1; cut -d ' ' -f 22 /proc/1/stat"""
"""The module's version, the kernel's, and which boot this is: in a container only PID 1 tells."""
_REBOOT_COMMAND = "systemd-run --quiet --collect --on-active=1 systemctl reboot"


def pending(site: Site, hosts: Iterable[str]) -> dict[str, str]:
    """Return why a host's driver doesn't act yet, for each of these hosts where it doesn't."""
    wanted = [name for name in hosts if site.models[name].driver]
    answers = site.remote.run_on(wanted, _PENDING_COMMAND)
    found = {}
    for name, answer in answers.items():
        why = str(answer.problems[0].what) if isinstance(answer, HostError) else _why(site, name, answer.stdout)
        if why:
            found[name] = why
    return found


def _why(site: Site, name: str, told: str) -> str | None:
    driver = site.models[name].driver
    loaded = told.partition("\n")[0]
    if driver is None or (loaded != "none" and driver.version in (None, loaded)):
        return None
    installed = driver.version or "a driver"
    return f"{installed} is installed, {'no module' if loaded == 'none' else f'module {loaded}'} runs"


def reboot_all(site: Site, held: Held, hosts: Mapping[str, str], talk: Talk, *, allow_outage: bool) -> dict[str, str]:
    """Reboot hosts one after another; return why one was not, or didn't come back right, which ends it.

    A host that takes requests is left: whoever wants it rebooted drains it before.
    """
    for name, why in hosts.items():
        held.check()
        if reason := None if allow_outage else _serves(site, name):
            return {name: reason}
        talk.say(f"{name}: reboots: {why}")
        note_leased_act(site, held, (name,), f"reboot: {why}")
        if reason := _reboot(site, name):
            return {name: reason}
        talk.say(f"{name}: is back")
    return {}


def _serves(site: Site, name: str) -> str | None:
    if len(site.fleet.gateways) == 1 and name in site.fleet.gateways and site.fleet.replicas:
        return f"is the only gateway, not rebooted; next: rackwright apply --reboot --allow-outage -l {name}"
    replicas = site.fleet.replicas_on(name)
    states = site.gateways.servers() if replicas else {}
    taken = [one.address for one in replicas if one.address in states and states[one.address].takes_requests]
    return f"serves {', '.join(taken)}, not rebooted; next: rackwright drain {name}" if taken else None


def _reboot(site: Site, name: str) -> str | None:
    connection = site.remote.connection(name)
    before = connection.run(_PENDING_COMMAND).stdout.splitlines()[2:]
    connection.run(_REBOOT_COMMAND).check("asking for a reboot")
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        time.sleep(1)
        connection.close()
        try:
            now = connection.run(_PENDING_COMMAND, timeout=10).stdout
        except HostError:
            now = ""
        if len(now.splitlines()) > 2 and now.splitlines()[2:] != before:
            return _after(site, name)
        if time.monotonic() > deadline:
            return f"did not come back within {BOOT_SECONDS} s of its reboot; look at its console"


def _after(site: Site, name: str) -> str | None:
    """The system has finished booting, and its driver acts."""
    connection = site.remote.connection(name)
    connection.run("systemctl is-system-running --wait", timeout=BOOT_SECONDS)
    why = pending(site, (name,)).get(name)
    return f"was rebooted, and {why}; next: journalctl -b -k on {name}" if why else None
