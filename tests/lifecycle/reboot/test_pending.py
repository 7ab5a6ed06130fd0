"""Which hosts wait for a reboot."""

from __future__ import annotations

from pathlib import Path

import pytest

from rackwright.lifecycle.reboot.pending import pending
from rackwright.remote.completed import Completed
from tests.lifecycle.reboot.machines import KERNEL, NEW, NEXT_KERNEL, OLD, WHY, session


@pytest.mark.parametrize(
    ("loaded", "version", "why"),
    [
        (NEW, NEW, None),
        (OLD, NEW, WHY),
        ("none", NEW, f"{NEW} is installed, no module runs"),
        (OLD, None, None),
        ("none", None, "a driver is installed, no module runs"),
    ],
)
def test_a_host_waits_while_its_module_is_not_what_is_installed(
    tmp_path: Path, loaded: str, version: str | None, why: str | None
) -> None:
    made = session(tmp_path, version=version)
    made.machines["gpu1"].loaded = loaded
    assert pending(made, ("gpu1", "gate1")).waiting == ({"gpu1": why} if why else {})


@pytest.mark.parametrize(
    ("running", "installed", "why"),
    [
        (KERNEL, NEXT_KERNEL, f"kernel {NEXT_KERNEL} is installed, {KERNEL} runs"),
        (NEXT_KERNEL, NEXT_KERNEL, None),
        (KERNEL, None, None),
        ("none", NEXT_KERNEL, None),
    ],
    ids=["older", "the same", "not the fleet's", "of another machine"],
)
def test_a_host_waits_for_its_kernel_only_if_that_is_asked_for(
    tmp_path: Path, running: str, installed: str | None, why: str | None
) -> None:
    """In a container, the kernel is another machine's."""
    made = session(tmp_path, kernel=installed)
    host = made.machines["gpu1"]
    host.loaded = NEW
    assert host.script
    host.script.running = running
    assert pending(made, ("gpu1",)).waiting == {}
    assert pending(made, ("gpu1",), kernels=True).waiting == ({"gpu1": why} if why else {})


def test_a_host_that_can_not_be_asked_does_not_wait_for_a_reboot(tmp_path: Path) -> None:
    made = session(tmp_path)
    made.machines["gpu1"].gone = True
    found = pending(made, ("gpu1", "gpu2"))
    assert (list(found.waiting), found.unreachable) == (["gpu2"], {"gpu1": "unreachable"})


def test_a_question_that_failed_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = session(tmp_path)
    refused = Completed(1, b"", b"sudo: a password is required\n")
    monkeypatch.setattr(made.machines["gpu1"], "run", lambda command: refused)
    found = pending(made, ("gpu1",))
    assert (found.waiting, found.unreachable) == ({}, {"gpu1": "can't be asked: sudo: a password is required"})
