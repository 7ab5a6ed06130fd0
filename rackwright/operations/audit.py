"""Rules of the kernel's audit, beside those of others."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.audit import AuditState
from rackwright.operations.filesystem.file import write
from rackwright.operations.unit import adopt
from rackwright.operations.warnings import note

_HEAD = "# Written by rackwright: baseline.auditd of the fleet file.\n"


@operation()
def audited(*, unit: str, path: str, rules: tuple[str, ...]) -> Generator[PyinfraCommand]:
    """Afterwards the kernel audits by these rules, and the daemon's unit writes it down, now and at boot.

    Each rule ends in the same key, `-k KEY`. Where the rules are locked until the next boot they are written only,
    and so they are where the kernel audits nothing (a container); both is named.
    """
    state = host.get_fact(AuditState)
    loaded = state.keys == tuple(rule.rpartition(" ")[2] for rule in rules)
    silent = state.installed and not state.answers
    if silent:
        note("the kernel audits nothing here (auditctl -s)")
    elif state.locked and not loaded:
        note("the kernel's audit rules are locked: new ones act after the next boot")
    yield from write(path=path, content=_HEAD + "".join(f"{rule}\n" for rule in rules), mode="0640")
    if silent:
        return
    yield from adopt(unit=unit)
    if not state.locked and not loaded:
        yield StringCommand("augenrules --load >/dev/null")
