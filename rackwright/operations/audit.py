"""Rules for the kernel's audit system, in addition to those from other sources."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.audit import AuditState
from rackwright.operations.filesystem.file import write
from rackwright.operations.plan_notes import note
from rackwright.operations.unit import adopt

_HEAD = "# Written by rackwright: baseline.auditd of the fleet file.\n"


@operation()
def audited(*, unit: str, path: str, rules: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Ensure that the kernel audits by these rules and that the daemon's unit runs, now and at boot.

    Each rule ends with the same key, `-k KEY`. If the rules are locked until the next boot, or the kernel audits
    nothing (a container), only write the rules and add a note.
    """
    state = host.get_fact(AuditState)
    loaded = state.keys == tuple(rule.rpartition(" ")[2] for rule in rules)
    silent = state.installed and not state.answers
    if silent:
        note("the kernel doesn't audit here (auditctl -s)")
    elif state.locked and not loaded:
        note("the kernel's audit rules are locked: new ones take effect after the next boot")
    yield from write(path=path, content=_HEAD + "".join(f"{rule}\n" for rule in rules), mode="0640")
    if silent:
        return
    yield from adopt(unit=unit)
    if not state.locked and not loaded:
        yield StringCommand("augenrules --load >/dev/null")
