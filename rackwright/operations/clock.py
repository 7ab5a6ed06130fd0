"""One daemon that keeps the clock right, never two."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.facts.clock import CHRONY, KEEPERS, TIMESYNCD, keepers
from rackwright.operations.facts.path_state import Existing
from rackwright.operations.facts.unit import SystemUnitStates, Unit
from rackwright.operations.filesystem.file import write
from rackwright.operations.warnings import note

_HEAD = "# Written by rackwright: baseline.time_sync of the fleet file.\n"
_TELL = {
    CHRONY: f"if systemctl -q is-active {CHRONY}; then chronyc reload sources >/dev/null; fi",
    TIMESYNCD: f"systemctl try-restart -- {TIMESYNCD}",
}


def clock_keeper() -> str | None:
    """Return the unit that keeps this host's clock; None: there is none. To be asked while a role is prepared."""
    units = host.get_fact(SystemUnitStates)
    found = keepers(units)
    return found[0] if found else None


@operation()
def one_keeper(*, unit: str) -> Generator[PyinfraCommand]:
    """Afterwards it is named where another daemon than `unit` sets the clock as well. Changes nothing."""
    units = host.get_fact(SystemUnitStates)
    for other in KEEPERS:
        if other != unit and units.get(other, Unit()).runs:
            note(f"{other} sets the clock as well as {unit}: stop one of them")
    yield from ()


@operation()
def time_servers(*, unit: str, servers: tuple[str, ...], files: dict[str, str]) -> Generator[PyinfraCommand]:
    """Afterwards this daemon asks these servers before all others, by a file of ours; without servers there is none.

    `files` are the paths for the daemons that can read one; for another it is named that it gets no servers.
    """
    stale = {keeper: path for keeper, path in files.items() if keeper != unit or not servers}
    found = host.get_fact(Existing, paths=tuple(stale.values()))
    if servers and unit not in files:
        note(f"{unit} keeps the clock, and gets no servers from the fleet file: write them into its own files")
    for keeper, path in stale.items():
        if path in found:
            yield StringCommand("rm -f --", QuoteString(path))
            yield StringCommand(_TELL[keeper])
    if servers and unit in files:
        steps = list(write(path=files[unit], content=_content(unit, servers)))
        if steps:
            yield StringCommand("mkdir -p --", QuoteString(files[unit].rpartition("/")[0]))
            yield from steps
            yield StringCommand(_TELL[unit])


def _content(unit: str, servers: tuple[str, ...]) -> str:
    if unit == CHRONY:
        return _HEAD + "".join(f"server {server} iburst prefer\n" for server in servers)
    # The first line forgets what other files name.
    return f"{_HEAD}[Time]\nNTP=\nNTP={' '.join(servers)}\n"
