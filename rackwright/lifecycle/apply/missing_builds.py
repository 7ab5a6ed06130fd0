"""A runtime's build that is a file of another machine: refuse before anything changes on a host that needs it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.hosts.host_spec import InstalledRuntime
from rackwright.lifecycle.apply.stages import includes
from rackwright.lifecycle.session.session import Session
from rackwright.operations.filesystem.fetch import MARKER
from rackwright.remote.answers import read_each
from rackwright.values.file import File
from rackwright.values.regular_file import has_size

# Prints each of these paths that exists, after the first word in it if it is a file.
_LOOK = """for path in "$@"; do
[ ! -e "$path" ] || printf '%s %s\\n' "$(head -c 64 -- "$path" 2>/dev/null)" "$path"
done"""
Needed = Mapping[str, tuple[InstalledRuntime, ...]]
"""Host → its runtimes that this machine can't send."""


def refuse_missing_builds(session: Session, only: tuple[str, ...] = ()) -> None:
    """Raise RackwrightError naming each host that would need a build which this machine doesn't have as locked.

    A host that has the runtime, or a copy of its build, needs nothing. Hosts are asked only if a build is missing.
    `only`: the roles that are applied; empty: all.
    """
    needed = _needed(session, only)
    if not needed:
        return
    runtimes = [one for found in needed.values() for one in found]
    paths = dict.fromkeys(path for one in runtimes for path in (_marker(one), one.kept) if path)
    command = f"sh -c {shlex.quote(_LOOK)} look {shlex.join(paths)}"
    answers = read_each(session.remote.run_on(needed, command), "looking at its runtimes", parse_builds)
    refused = [
        f"{host}: {one.settings.key}: {missing.local} is missing on the controller, or has another size"
        for host, found in answers.items()
        if not isinstance(found, HostError)
        for one in needed[host]
        if found.get(_marker(one)) != one.lock.digest and one.kept not in found
        for missing in _missing(one)[:1]
    ]
    if refused:
        raise RackwrightError(
            "hosts need a runtime's build that this machine can't send",
            should="put the files back, or apply on a machine that has them",
            next="rackwright apply",
            listed=refused,
        )


def parse_builds(output: str) -> dict[str, str]:
    """Given the command's output, return each path that exists → the first word in it."""
    found = (line.partition(" ") for line in output.splitlines())
    return {path: word for word, _, path in found}


def _needed(session: Session, only: tuple[str, ...]) -> Needed:
    found = {
        name: tuple(one for one in spec.runtimes if includes(only, one.settings.kind) and _missing(one))
        for name, spec in session.hosts.items()
    }
    return {name: runtimes for name, runtimes in found.items() if runtimes}


def _missing(runtime: InstalledRuntime) -> tuple[File, ...]:
    """Return the files of the build that this machine should send, and doesn't have with their sizes."""
    return tuple(file for file in runtime.lock.files if file.local and not has_size(file.local, file.size))


def _marker(runtime: InstalledRuntime) -> str:
    return f"{runtime.settings.folder}/{MARKER}"
