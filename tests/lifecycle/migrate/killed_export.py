"""Run an export that is killed at its n-th write to the disk, for n = 1, 2, …, until one comes to its end.

    python -m tests.lifecycle.migrate.killed_export FOLDER URL CA

Each is a process of its own, which begins where the one before was killed. Prints how many were killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import rackwright.remote
from tests.lifecycle.migrate.desks import Desk, hosts_in
from tests.lifecycle.migrate.stored_objects import reach, run


def main(folder: Path, url: str, ca: Path) -> None:
    rackwright.remote.Background = lambda work: SimpleNamespace(result=work)  # type: ignore[misc, assignment]
    desk = Desk(folder / "laptop", hosts_in(folder / "hosts"))
    reach(desk, SimpleNamespace(url=url))  # type: ignore[arg-type]
    # The certificates of a test are its process's own.
    shutil.copy(ca, desk.folder / "ca.pem")
    for number in range(1, 100):
        child = os.fork()
        if not child:
            _dies_at(number)
            os._exit(0 if run(desk).whole else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            print(number - 1 if status == 0 else f"exit code {status}")
            return


def _dies_at(number: int) -> None:
    """Kill this process before its n-th sync of a file."""
    done, sync = 0, os.fsync

    def counted(descriptor: Any) -> None:
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.fsync = counted


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
