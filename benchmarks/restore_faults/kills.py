"""Restores that are cut off: by SIGKILL at a random moment, or by a program of the host that fails once.

Afterwards no file of the host's state is missing or half written, the same restore completes, and an undo reverts it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from random import Random

from benchmarks.restore_faults.judge import FOLDERS, not_done
from benchmarks.restore_faults.saved_host import Files, SavedHost
from rackwright.errors import RackwrightError
from rackwright.roles.backup.settings import RESTORES
from rackwright.state.switch_in import settle
from tests.lifecycle.restore.host import Bench, Machine

_PROGRAMS = (
    *("awk", "cat", "chmod", "chown", "cmp", "cp", "cut", "df", "du", "find", "flock", "grep", "head", "install"),
    *("mkdir", "mv", "rm", "rmdir", "sha256sum", "stat", "sync", "tail", "tr", "xargs"),
)


def seconds_of(host: SavedHost) -> float:
    """Return how long a restore takes that nothing cuts off."""
    with host.trial(0) as bench:
        began = time.monotonic()
        bench.restore()
        return time.monotonic() - began


def killed(host: SavedHost, random: Random, seconds: float) -> str:
    """Kill a restore and all that it runs on the host at a random moment. Return what is wrong then, or ""."""
    while True:
        with host.trial(random.randrange(2**30)) as bench:
            before = bench.machine.files
            if _killed(bench, random.uniform(0, seconds)):
                return _afterwards(host, bench, before)


def _killed(bench: Bench, moment: float) -> bool:
    """Start a restore, and kill it at this moment. Return whether it was still running."""
    child = os.fork()
    if child == 0:
        _restore_and_exit(bench)
    # Both do this, because either may be first.
    os.setpgid(child, child)
    # The moment is random: there is no condition to wait for.
    time.sleep(moment)
    os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    _wait_for_group(child)
    return os.WIFSIGNALED(status)


def failed(host: SavedHost, random: Random, calls: int) -> str:
    """Let one call of a program on the host fail. Return what is wrong then, or ""."""
    with host.trial(random.randrange(2**30)) as bench:
        before = bench.machine.files
        _let_fail(bench.machine, random.randrange(calls))
        try:
            done = bench.restore()
        except RackwrightError:
            pass
        else:
            if wrong := not_done(host, done, host.states[done.snapshot], before, bench.machine.files):
                return f"done, but {wrong}"
        for name in _PROGRAMS:
            (bench.machine.programs / name).unlink()
        return _afterwards(host, bench, before)


def calls_of(host: SavedHost) -> int:
    """Return how many calls of programs a restore makes on the host."""
    with host.trial(0) as bench:
        _let_fail(bench.machine, 10**9)
        bench.restore()
        return (bench.machine.programs / "calls").stat().st_size


def _restore_and_exit(bench: Bench) -> None:
    os.setpgid(0, 0)
    try:
        bench.restore()
    finally:
        os._exit(0)


def _wait_for_group(group: int) -> None:
    while True:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _let_fail(machine: Machine, call: int) -> None:
    """Let the host's programs count their calls in a file, a byte each. The call with this number fails."""
    counted = machine.programs / "calls"
    counted.touch()
    for name in _PROGRAMS:
        machine.program(
            name,
            f"""#!/bin/sh
PATH=${{PATH#*:}}
printf x >>{counted}
[ "$(stat -c %s {counted})" != {call + 1} ] || {{ echo '{name}: No space left on device' >&2; exit 1; }}
exec {name} "$@"
""",
        )


def _afterwards(host: SavedHost, bench: Bench, before: Files) -> str:
    saved = host.states[host.newest]
    settle(bench.machine, RESTORES, going_on=f"{RESTORES}/one-{host.newest[:16]}/before")
    wrong = (
        list(_half_way(saved, before, bench.machine.files))
        or _not_completed(host, bench, before)
        or _not_reverted(bench, before)
    )
    return "; ".join(wrong[:3])


def _half_way(saved: Files, before: Files, now: Files) -> Iterator[str]:
    for name in (name for name in before if name.startswith(FOLDERS)):
        if now.get(name) not in (before[name], saved.get(name, before[name])):
            yield f"after the cut, {name} is neither the old file nor the new one"
    for line in before["audit.log"].splitlines():
        if line not in now["audit.log"]:
            yield "after the cut, the audit log lacks a line"


def _not_completed(host: SavedHost, bench: Bench, before: Files) -> list[str]:
    try:
        done = bench.restore()
    except RackwrightError as error:
        return [f"the same restore again: {error}"]
    # The first one may have put the weights in place.
    wrong = not_done(host, done, host.states[done.snapshot], before, bench.machine.files)
    return [] if wrong in ("", f"restored only {done.parts}") else [f"restored again, but {wrong}"]


def _not_reverted(bench: Bench, before: Files) -> list[str]:
    bench.undo()
    now, names = bench.machine.files, {*before, *bench.machine.files}
    return [
        f"undone, but {name} differs"
        for name in names
        if name.startswith(FOLDERS) and now.get(name) != before.get(name)
    ]
