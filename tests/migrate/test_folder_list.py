"""The lock on a migration's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rackwright.errors import LeasedError
from rackwright.migrate.folder_list import locked


def of_this_process(folder: Path) -> int:
    """Return this process's descriptor of the folder."""
    (found,) = [one for one in Path("/proc/self/fd").iterdir() if one.exists() and one.samefile(folder)]
    return int(found.name)


def test_a_second_command_is_refused(tmp_path: Path) -> None:
    with (
        locked(tmp_path),
        pytest.raises(LeasedError, match="another is at it"),
        locked(tmp_path, busy="another is at it"),
    ):
        pass


def test_the_end_frees_it_although_someone_else_still_has_the_descriptor(tmp_path: Path) -> None:
    # A process that was just forked has it until its exec; whoever reads /proc/PID/fd has it for a moment.
    with locked(tmp_path):
        other = os.dup(of_this_process(tmp_path))
    try:
        with locked(tmp_path, busy="another is at it"):
            pass
    finally:
        os.close(other)
