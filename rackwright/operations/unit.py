"""Our systemd units: their files, and whether they run with the current content of their files."""

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
from rackwright.operations.plan_notes import note

UNITS = "/etc/systemd/system"
_LAST_LINES = 12
"""Lines of the journal to show if a unit fails to start or reload."""


@operation()
def systemd_unit(
    *, unit: str, content: str, enabled: bool | None = True, verify: bool = False
) -> Generator[PyinfraCommand]:
    """Ensure that systemd has read this unit file. `enabled`: whether it starts at boot; None: as before.

    `verify` checks it with systemd-analyze first; the programs in ExecStart= must exist by then.
    A running unit keeps the settings with which it was started: see `running`.
    """
    # systemd-analyze goes by the name's extension; FILE:NAME passes the final name.
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
    """Ensure that the unit runs, or is starting, with the current state of these operations and files.

    `restart_if` and `reload_if` are operations of the same run; the plan predicts with them. The files are for the
    case that an earlier run was interrupted between writing and restarting: a file that was written after the unit's
    last start restarts it; one that was written after its last start or reload reloads it.
    """
    yield from _run(_state(unit), unit, restart_if, reload_if, restart_files, reload_files)


@operation()
def adopted(
    *, unit: str, restart_if: Sequence[OperationMeta] = (), restart_files: tuple[str, ...] = ()
) -> Generator[PyinfraCommand]:
    """Ensure that this unit of the distribution starts at boot, and runs with these operations and files.

    If the unit is masked, or its own conditions prevent it from running on this host, only add a note.
    """
    yield from adopt(unit=unit, restart_if=restart_if, restart_files=restart_files)


def adopt(
    *, unit: str, restart_if: Sequence[OperationMeta] = (), restart_files: tuple[str, ...] = ()
) -> Generator[PyinfraCommand]:
    """Yield the commands of `adopted`, for operations that do other things, too; none if there is nothing to do."""
    state = _state(unit)
    if state.file.startswith("masked"):
        note(f"{unit} is masked")
        return
    if state.file == "disabled":
        yield StringCommand("systemctl --quiet enable --", QuoteString(unit))
    if state.held_back and not state.runs:
        note(f"{unit} can't run here: its own conditions aren't met (systemctl status {unit})")
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
        # systemd can't reload a unit that is starting, or that failed and will be restarted.
        yield _systemctl("restart" if state.active == "activating" else "reload", unit)


@operation()
def stopped(*, unit: str) -> Generator[PyinfraCommand]:
    """Ensure that the unit doesn't run and isn't started at boot."""
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
    # systemctl only says where to find the reason, and the operator isn't on this machine.
    said = f"journalctl --quiet --no-pager --output=cat --lines={_LAST_LINES} --unit={shlex.quote(unit)}"
    return StringCommand("systemctl", verb, "--", QuoteString(unit), "||", "{", said, ">&2;", "false;", "}")


def _changed(operations: Sequence[OperationMeta]) -> bool:
    # While a run is prepared, no operation is complete, so use the prediction.
    return any(done.did_change() if done.is_complete() else done.will_change for done in operations)


def _written_since(moment: float | None, files: tuple[str, ...]) -> bool:
    if moment is None or not files:
        return False
    return any(written > moment for written in host.get_fact(WrittenAt, files=files).values())
