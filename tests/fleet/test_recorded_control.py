"""The control hosts in a lock, read without the rest of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.lock import Lock, lock_digest
from rackwright.fleet.lock_file import read_lock, write_lock
from rackwright.fleet.recorded_control import recorded_control, without_recorded_control

LOCK = Lock(fleet="acme", models={}, runtimes={}, ports={})
HOSTS = ("gate1", "on", "n-1")
"""YAML quotes the second one."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "site.lock"


def test_they_are_read_as_they_were_written(path: Path) -> None:
    write_lock(path, LOCK.model_copy(update={"control": HOSTS}))
    assert recorded_control(path) == read_lock(path).control == HOSTS


def test_a_lock_without_them_and_no_lock_record_none(path: Path) -> None:
    assert recorded_control(path) == ()
    write_lock(path, LOCK)
    assert recorded_control(path) == read_lock(path).control == ()


def test_a_lock_that_says_it_in_another_form_is_refused(path: Path) -> None:
    """Otherwise a command would take the lease on other hosts than the lock names."""
    write_lock(path, LOCK)
    path.write_text(path.read_text() + "control: [gate1]\n")
    with pytest.raises(FleetError, match=r"site.lock control: isn't written as rackwright writes it"):
        read_lock(path)


def test_they_change_nothing_that_hosts_run() -> None:
    assert lock_digest(LOCK.model_copy(update={"control": HOSTS})) == lock_digest(LOCK)


def test_a_copy_for_other_hosts_is_without_them(path: Path) -> None:
    write_lock(path, LOCK.model_copy(update={"control": HOSTS}))
    path.write_bytes(without_recorded_control(path.read_bytes()))
    assert read_lock(path) == LOCK
