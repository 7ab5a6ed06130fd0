"""Which boot a host is in, and a reboot that happens once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.reboot.boot_identity import (
    BOOT_COMMAND,
    BOOT_SECONDS,
    boot_now,
    boot_of,
    reboot,
    reboot_command,
)
from rackwright.remote.completed import Completed
from tests.lifecycle.reboot.machines import NEW, session
from tests.lifecycle.simulation import Clock
from tests.shells import LocalShell

# What a host says.


def test_a_boot_is_what_the_last_lines_say() -> None:
    assert boot_of(Completed(0, b"570\n6.12\nid\n1.2\n3\n")) == "id\n1.2\n3"


@pytest.mark.parametrize("said", [b"", b"id\n1.2\n", b"id\n\n3\n"])
def test_an_incomplete_reply_is_no_boot(said: bytes) -> None:
    with pytest.raises(HostError, match="gpu1: its reply doesn't show which boot this is"):
        boot_of(Completed(0, said, b"", "gpu1"))


@pytest.mark.parametrize("status", [-1, 143, 1])
def test_a_reply_that_a_shutdown_cut_off_is_no_boot(status: int) -> None:
    """Its lines may look complete."""
    with pytest.raises(HostError, match="gpu1: asking which boot this is"):
        boot_of(Completed(status, b"id\n1.2\n3\n", b"", "gpu1"))


# The command, in a real shell.


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a stand-in for systemd-run writes what it is asked for to. No other program can reboot."""
    programs, file = tmp_path / "programs", tmp_path / "asked"
    programs.mkdir()
    for name in ("sh", "cat", "stat", "cut"):
        (programs / name).symlink_to(shutil.which(name) or name)
    (programs / "systemd-run").write_text(f'#!/bin/sh\necho "$*" >>{file}\n')
    (programs / "systemd-run").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return file


def test_this_boot_ends_a_second_later(asked: Path) -> None:
    boot = boot_of(LocalShell().run(BOOT_COMMAND))
    assert LocalShell().run(reboot_command(boot)).ok
    assert asked.read_text() == "--quiet --collect --on-active=1 systemctl reboot\n"


@pytest.mark.parametrize("line", range(3))
def test_another_boot_goes_on(asked: Path, line: int) -> None:
    """The id of a container's boot is its machine's; PID 1's start differs."""
    lines = boot_of(LocalShell().run(BOOT_COMMAND)).split("\n")
    lines[line] = "0"
    assert LocalShell().run(reboot_command("\n".join(lines))).exit_status == 75
    assert not asked.exists()


def test_what_stands_in_a_boot_is_never_run_by_the_shell(asked: Path, tmp_path: Path) -> None:
    LocalShell().run(reboot_command(f"'; echo >{tmp_path}/run; $(echo >{tmp_path}/run)"))
    assert not (tmp_path / "run").exists()
    assert not asked.exists()


# The reboot.


def test_a_host_is_rebooted_once_whoever_asks_again(tmp_path: Path) -> None:
    made = session(tmp_path)
    host = made.machines["gpu1"]
    boot = boot_now(made, "gpu1")
    for _ in range(2):
        reboot(made, "gpu1", boot)
    assert (host.boots, host.loaded, host.events) == (1, NEW, ["reboot"])
    assert boot_now(made, "gpu1") != boot


def test_what_a_host_says_as_it_goes_down_is_no_sign_that_it_is_back(tmp_path: Path) -> None:
    made = session(tmp_path)
    host = made.machines["gpu1"]
    host.kills_on_its_way_down = 2
    reboot(made, "gpu1", boot_now(made, "gpu1"))
    assert (host.boots, host.down) == (1, 0)


def test_a_host_that_stays_away_is_given_up(tmp_path: Path, clock: Clock) -> None:
    made = session(tmp_path)
    made.machines["gpu1"].stays_away = True
    with pytest.raises(HostError) as caught:
        reboot(made, "gpu1", boot_now(made, "gpu1"))
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == ("gpu1", "did not come back within 1800 s of its reboot")
    assert problem.next == "look at its console"
    assert BOOT_SECONDS < clock.time < BOOT_SECONDS + 10


def test_a_host_that_refuses_is_not_waited_for(tmp_path: Path, clock: Clock) -> None:
    made = session(tmp_path)
    made.machines["gpu1"].fails = ("reboot",)
    with pytest.raises(HostError, match="asking for a reboot failed with exit status 1\n    Interactive auth"):
        reboot(made, "gpu1", boot_now(made, "gpu1"))
    assert clock.time == 0
