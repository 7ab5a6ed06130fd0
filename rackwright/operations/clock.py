"""Time synchronization by exactly one daemon."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.clock import CHRONY, KEEPERS, TIMESYNCD, keepers
from rackwright.operations.facts.path_state import Existing
from rackwright.operations.facts.unit import SystemUnitStates, Unit
from rackwright.operations.filesystem.file import write
from rackwright.operations.plan_notes import note

_HEAD = "# Written by rackwright: baseline.time_sync of the fleet file.\n"
_RELOAD = {
    CHRONY: f"if systemctl -q is-active {CHRONY}; then chronyc reload sources >/dev/null; fi",
    TIMESYNCD: f"systemctl try-restart -- {TIMESYNCD}",
}


def clock_keeper() -> str | None:
    """Return the unit that synchronizes this host's clock, or None. Call it only while a role is prepared."""
    units = host.get_fact(SystemUnitStates)
    found = keepers(units)
    return found[0] if found else None


@operation()
def one_keeper(*, unit: str) -> Generator[PyinfraCommand]:
    """Add a note if a daemon other than `unit` sets the clock, too. Changes nothing."""
    units = host.get_fact(SystemUnitStates)
    for other in KEEPERS:
        if other != unit and units.get(other, Unit()).runs:
            note(f"both {other} and {unit} set the clock: stop one of them")
    yield from ()


@operation()
def time_servers(*, unit: str, servers: tuple[str, ...], files: dict[str, str]) -> Generator[PyinfraCommand]:
    """Write a file that makes this daemon prefer these servers; without servers, remove it.

    `files` are the paths for the daemons that can read such a file. For any other daemon, add a note that it gets no
    servers.
    """
    stale = {keeper: path for keeper, path in files.items() if keeper != unit or not servers}
    found = host.get_fact(Existing, paths=tuple(stale.values()))
    if servers and unit not in files:
        note(f"{unit} sets the clock, and rackwright can't configure its servers: write them to its own files")
    for keeper, path in stale.items():
        if path in found:
            yield StringCommand("rm -f --", QuoteString(path))
            yield StringCommand(_RELOAD[keeper])
    if servers and unit in files:
        steps = list(write(path=files[unit], content=_content(unit, servers)))
        if steps:
            yield StringCommand("mkdir -p --", QuoteString(files[unit].rpartition("/")[0]))
            yield from steps
            yield StringCommand(_RELOAD[unit])


def _content(unit: str, servers: tuple[str, ...]) -> str:
    if unit == CHRONY:
        return _HEAD + "".join(f"server {server} iburst prefer\n" for server in servers)
    # The first line clears the servers in other files.
    return f"{_HEAD}[Time]\nNTP=\nNTP={' '.join(servers)}\n"
