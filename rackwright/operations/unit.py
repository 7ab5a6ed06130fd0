"""systemd units of ours: their files, and whether they run on what their files say now."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Sequence

from pyinfra.api.command import PyinfraCommand, QuoteString, StringCommand
from pyinfra.api.operation import OperationMeta, operation
from pyinfra.context import host

from rackwright.operations.facts.unit import (
    SYSTEM_UNITS,
    OurUnitStates,
    SystemUnitStates,
    Unit,
    UnitState,
    WrittenAt,
)
from rackwright.operations.filesystem.file import write
from rackwright.operations.warnings import note

UNITS = "/etc/systemd/system"
_LAST_LINES = 12
"""Of the journal of a unit that failed to start or reload."""


@operation()
def systemd_unit(
    *, unit: str, content: str, enabled: bool | None = True, verify: bool = False
) -> Generator[PyinfraCommand]:
    """Afterwards systemd has read this unit file, and starts it at boot (True), doesn't (False) or as before (None).

    `verify` has systemd-analyze read it first; programs that ExecStart= names must be there by then.
    A unit that runs goes on with what it was started with: see `running`.
    """
    # A checker of unit files looks at the name's ending: FILE:NAME gives it the final one.
    check = f"systemd-analyze verify --man=no --recursive-errors=no {{path}}:{unit}" if verify else None
    state = _state(unit)
    written = list(write(path=f"{UNITS}/{unit}", content=content, check=check))
    yield from written
    if written or state.stale:
        yield StringCommand("systemctl daemon-reload")
    if enabled is not None and enabled != (state.file == "enabled"):
        yield StringCommand("systemctl --quiet", "enable" if enabled else "disable", "--", QuoteString(unit))


@operation()
def running(
    *,
    unit: str,
    restart_if: Sequence[OperationMeta] = (),
    reload_if: Sequence[OperationMeta] = (),
    restart_files: tuple[str, ...] = (),
    reload_files: tuple[str, ...] = (),
) -> Generator[PyinfraCommand]:
    """Afterwards the unit runs, or still starts, with what these operations and files say now.

    `restart_if` and `reload_if` are operations of the same run; the plan foresees by them. The files hold where an
    earlier run was cut off between writing and restarting: one written since the unit last started restarts it, one
    written since it last started or reloaded reloads it.
    """
    yield from _run(_state(unit), unit, restart_if, reload_if, restart_files, reload_files)


@operation()
def adopted(
    *, unit: str, restart_if: Sequence[OperationMeta] = (), restart_files: tuple[str, ...] = ()
) -> Generator[PyinfraCommand]:
    """Afterwards this unit of the distribution starts at boot, and runs with what these operations and files say.

    One that somebody masked, or that its own conditions hold back on this host, is left so and named.
    """
    yield from adopt(unit=unit, restart_if=restart_if, restart_files=restart_files)


def adopt(
    *, unit: str, restart_if: Sequence[OperationMeta] = (), restart_files: tuple[str, ...] = ()
) -> Generator[PyinfraCommand]:
    """The commands of `adopted`, for operations that do other things beside it; none: nothing to do."""
    state = _state(unit)
    if state.file.startswith("masked"):
        note(f"{unit} is masked")
        return
    if state.file == "disabled":
        yield StringCommand("systemctl --quiet enable --", QuoteString(unit))
    if state.held_back and not state.runs:
        note(f"{unit} can't run here: its own conditions don't hold (systemctl status {unit})")
    else:
        yield from _run(state, unit, restart_if, (), restart_files, ())


def _run(
    state: Unit,
    unit: str,
    restart_if: Sequence[OperationMeta],
    reload_if: Sequence[OperationMeta],
    restart_files: tuple[str, ...],
    reload_files: tuple[str, ...],
) -> Generator[PyinfraCommand]:
    if not state.runs:
        yield _systemctl("start", unit)
    elif _changed(restart_if) or _written_since(state.started, restart_files):
        yield _systemctl("restart", unit)
    elif _changed(reload_if) or _written_since(state.changed, reload_files):
        # systemd reloads nothing that starts, or that failed and is about to start again.
        yield _systemctl("restart" if state.active == "activating" else "reload", unit)


@operation()
def stopped(*, unit: str) -> Generator[PyinfraCommand]:
    """Afterwards the unit doesn't run and isn't started at boot."""
    state = _state(unit)
    if state.runs or state.file == "enabled":
        yield StringCommand("systemctl --quiet disable --now --", QuoteString(unit))


def _state(unit: str) -> Unit:
    if unit in SYSTEM_UNITS:
        return host.get_fact(SystemUnitStates).get(unit, Unit())
    if not unit.startswith("rackwright-"):
        return host.get_fact(UnitState, unit=unit)
    return host.get_fact(OurUnitStates).get(unit, Unit())


def _systemctl(verb: str, unit: str) -> StringCommand:
    # systemctl only says where to read why; whoever reads this at night is on another machine.
    said = f"journalctl --quiet --no-pager --output=cat --lines={_LAST_LINES} --unit={shlex.quote(unit)}"
    return StringCommand("systemctl", verb, "--", QuoteString(unit), "||", "{", said, ">&2;", "false;", "}")


def _changed(operations: Sequence[OperationMeta]) -> bool:
    # While a run is prepared, nothing is complete: then what would change counts.
    return any(done.did_change() if done.is_complete() else done.will_change for done in operations)


def _written_since(moment: float | None, files: tuple[str, ...]) -> bool:
    if moment is None or not files:
        return False
    return any(written > moment for written in host.get_fact(WrittenAt, files=files).values())
