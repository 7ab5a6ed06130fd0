"""The only place where the lab calls podman."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache

from rackwright.errors import RackwrightError
from rackwright.lab import cgroups


@dataclass(frozen=True)
class Done:
    """The result of a command: exit status, standard output, standard error."""

    code: int
    out: str
    err: str


@cache
def _prefix() -> tuple[str, ...]:
    return tuple(cgroups.prefix())


def run(*arguments: str, input: str | None = None, check: bool = True, timeout: float = 120) -> Done:
    """Run `podman ARGUMENTS`. Raise RackwrightError after `timeout` seconds, or if `check` is true and it fails."""
    command = [*_prefix(), "podman", *arguments]
    environment = os.environ | {"PODMAN_IGNORE_CGROUPSV1_WARNING": "1"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env=environment,
            input=input or "",
        )
    except subprocess.TimeoutExpired:
        raise RackwrightError(f"podman {arguments[0]} took over {timeout:.0f} s", where="lab") from None
    if check and done.returncode:
        raise RackwrightError(f"podman {arguments[0]} failed: {done.stderr.strip()[-600:]}", where="lab")
    return Done(done.returncode, done.stdout, done.stderr)


def lines(*arguments: str) -> list[str]:
    """Return the lines that `podman ARGUMENTS` prints."""
    return run(*arguments).out.splitlines()
