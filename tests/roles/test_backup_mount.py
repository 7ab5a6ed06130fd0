"""A backup to a mount: if nothing is mounted, nothing is written into the folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.backup import units
from rackwright.roles.backup.settings import Repository
from tests.roles.test_backup import Bench

RUN = "/run/rackwright-backup"


def looked(folder: Path, mount: str) -> bool:
    """Run the unit's check before a backup, and return whether it found the mount."""
    unit = units.service(Repository(name="disk", url=f"{mount}/gate1", mount=mount), "run")
    (command,) = [line for line in unit.splitlines() if line.startswith("ExecStartPre=+") and "mountpoint" in line]
    (folder / "nsenter").write_text('#!/bin/sh\n[ "$1 $2 $3" = "-t 1 -m" ] || exit 0\nshift 3\nexec "$@"\n')
    (folder / "nsenter").chmod(0o755)
    program = command.partition("'")[2].removesuffix("'").replace(RUN, str(folder))
    subprocess.run(["sh", "-c", program], check=True, env={"PATH": f"{folder}:{os.environ['PATH']}"})
    return (folder / "disk.mounted").exists()


def test_a_mount_is_found_as_the_machine_sees_it(tmp_path: Path) -> None:
    assert looked(tmp_path, "/proc")


def test_a_folder_in_whose_place_nothing_is_mounted_is_no_mount_even_if_it_was_one(tmp_path: Path) -> None:
    (tmp_path / "disk.mounted").touch()
    assert not looked(tmp_path, str(tmp_path))


@pytest.mark.parametrize("verb", ["run", "check"])
def test_without_its_mount_nothing_is_asked_of_restic(tmp_path: Path, verb: str) -> None:
    bench = Bench(tmp_path)
    bench.play(verb)
    (tmp_path / "disk.mounted").unlink()
    assert bench.play(verb)[f"{verb}_failed"] == "/mnt/disk is not mounted"
    assert bench.asked == []


@pytest.mark.parametrize("verb", ["run", "check"])
def test_its_unit_may_write_to_the_mount_and_makes_no_folder_in_its_place(verb: str) -> None:
    unit = units.service(Repository(name="disk", url="/mnt/disk/gate1", mount="/mnt/disk"), verb).splitlines()
    assert "ReadWritePaths=-/mnt/disk" in unit
    assert not [line for line in unit if "mkdir" in line]
