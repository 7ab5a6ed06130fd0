"""The scripts that change an engine's unit, run by a real sh; the simulated hosts do the same."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.switch import begin_command, restart_command, revert_command, take_command
from rackwright.roles.replica.unit import render, unit_digest
from tests.lifecycle.world.engines import Engine

ACTS = ("take v1", "take v2", "take v3", "put back v1", "put back v2", "put back v3", "restart", "crash")


def settings(version: str) -> Settings:
    return Settings(
        name="assistant@1",
        model="assistant",
        user="rw-assistant",
        command=("engine", "--version", version),
        readable=(),
        mount="/data/models",
        stop_seconds=5,
    )


@dataclass
class RealUnit:
    """Files of one unit in a folder, changed by the real scripts."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("systemd", "before", "run", "bin"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "bin/systemctl").write_text(f'#!/bin/sh\necho "$@" >>{self.folder}/said\n')
        (self.folder / "bin/systemctl").chmod(0o755)
        self.unit.write_text(render(settings("v1")))
        self.restart()

    @property
    def unit(self) -> Path:
        return self.folder / "systemd/rackwright-assistant@1.service"

    @property
    def before(self) -> Path:
        return self.folder / "before/rackwright-assistant@1.service"

    @property
    def started(self) -> Path:
        return self.folder / "run/unit.sha256"

    @property
    def acts(self) -> Path:
        return self.folder / "acts/unit"

    @property
    def said(self) -> list[str]:
        """The commands that systemd got."""
        return (self.folder / "said").read_text().splitlines()

    def restart(self) -> None:
        self.started.write_text(f"{unit_digest(settings(self.version))}  -\n")

    @property
    def version(self) -> str:
        return next(version for version in ("v1", "v2", "v3") if self.unit.read_text() == render(settings(version)))

    def begun(self, command: str, stdin: str = "") -> subprocess.Popen[str]:
        """Start the command; return its process, which has got all of its input."""
        words = shlex.split(command)
        moved = {
            settings("v1").unit_file: str(self.unit),
            f"/var/lib/rackwright/before/{settings('v1').unit}": str(self.before),
            f"/run/rackwright-acts/{settings('v1').unit}": str(self.acts),
            settings("v1").started_digest: str(self.started),
        }
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        process = subprocess.Popen(
            [moved.get(word, word) for word in words], stdin=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdin
        # A command that refuses reads nothing.
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
        return process

    def run(self, command: str, stdin: str = "") -> bool:
        return self.begun(command, stdin).wait() == 0


def act(real: RealUnit, simulated: Engine, what: str) -> None:
    verb, _, version = what.rpartition(" ")
    if verb == "take":
        assert take(real, version)
        simulated.take(render(settings(version)))
    elif verb == "revert":
        said = revert(real, version)
        assert said == simulated.revert(unit_digest(settings(version)))
    elif what == "restart":
        real.restart()
        simulated.start(0.0)
    else:
        real.started.unlink(missing_ok=True)
        simulated.started = None


@pytest.mark.parametrize("first", ACTS)
def test_real_and_simulated_units_come_to_the_same(tmp_path: Path, first: str) -> None:
    for number, acts in enumerate(product(("take v2", "restart"), (first,), ("take v2", "put back v2", "take v3"))):
        real = RealUnit(tmp_path / str(number))
        simulated = Engine("gpu1/assistant@1", render(settings("v1")), render(settings("v1")))
        for one in acts:
            act(real, simulated, one)
            assert real.unit.read_text() == simulated.unit, acts
            assert (real.before.read_text() if real.before.exists() else None) == simulated.before, acts


@pytest.fixture
def unit(tmp_path: Path) -> RealUnit:
    return RealUnit(tmp_path / "host")


def take(unit: RealUnit, version: str) -> bool:
    assert unit.run(begin_command(settings(version), "take"))
    return unit.run(take_command(settings(version), "take"), render(settings(version)))


def revert(unit: RealUnit, version: str) -> bool:
    assert unit.run(begin_command(settings(version), "back"))
    return unit.run(revert_command(settings(version), "back"))


def test_a_revert_can_be_repeated(unit: RealUnit) -> None:
    assert take(unit, "v2")
    unit.restart()
    assert revert(unit, "v2")
    assert revert(unit, "v2")
    assert unit.version == "v1"


def test_a_revert_of_what_was_never_taken_changes_nothing(unit: RealUnit) -> None:
    """v2 runs after an earlier update, and v3 could not be written: the revert must keep v2, not go back to v1."""
    assert take(unit, "v2")
    unit.restart()
    assert revert(unit, "v3")
    assert unit.version == "v2"


def test_a_reverted_unit_that_was_not_restarted_can_be_taken_and_reverted_again(unit: RealUnit) -> None:
    assert take(unit, "v2")
    unit.restart()
    assert revert(unit, "v2")
    assert take(unit, "v2")
    assert revert(unit, "v2")
    assert unit.version == "v1"


def test_what_runs_still_stays_kept_when_another_text_is_taken(unit: RealUnit) -> None:
    assert take(unit, "v2")
    assert take(unit, "v3")
    assert revert(unit, "v3")
    assert unit.version == "v1"


def test_what_never_ran_is_nothing_to_go_back_to(unit: RealUnit) -> None:
    assert take(unit, "v2")
    unit.restart()
    unit.unit.write_text(render(settings("v3")))
    assert take(unit, "v1")
    assert not revert(unit, "v1")
    assert unit.version == "v1"


def test_systemd_reads_the_unit_also_if_the_connection_broke_before_it_did(unit: RealUnit) -> None:
    """Otherwise the engine would be restarted on the old unit, and record the digest of the new one."""
    assert take(unit, "v2")
    assert take(unit, "v2")
    assert revert(unit, "v2")
    assert revert(unit, "v2")
    assert unit.said == ["daemon-reload"] * 4


@pytest.fixture
def slow(unit: RealUnit) -> Iterator[Path]:
    """The disk blocks at the first sync until this file exists."""
    goes_on, held = unit.folder / "goes-on", unit.folder / "held"
    sync = unit.folder / "bin/sync"
    sync.write_text(f"#!/bin/sh\n>{held}\nuntil [ -e {goes_on} ]; do /usr/bin/sleep 0.01; done\n")
    sync.chmod(0o755)
    yield goes_on
    goes_on.touch()


def under_way(unit: RealUnit) -> subprocess.Popen[str]:
    """An act that writes v2, and whose controller has given up on it."""
    assert unit.run(begin_command(settings("v2"), "take"))
    late = unit.begun(take_command(settings("v2"), "take"), render(settings("v2")))
    until(lambda: (unit.folder / "held").exists())
    return late


def waits_for(file: Path) -> bool:
    """Whether a process waits for the lock on this file."""
    locks = Path("/proc/locks").read_text().splitlines()
    return any(" -> " in line and f":{file.stat().st_ino} " in line for line in locks)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_revert_waits_for_the_act_that_is_still_under_way(unit: RealUnit, slow: Path) -> None:
    """Otherwise it finds nothing to revert, and the act then writes what was never proven."""
    late = under_way(unit)
    begin = unit.begun(begin_command(settings("v2"), "back"))
    until(lambda: waits_for(unit.acts) or begin.poll() is not None)
    assert begin.poll() is None
    slow.touch()
    assert (late.wait(), begin.wait()) == (0, 0)
    assert unit.version == "v2"
    assert unit.run(revert_command(settings("v2"), "back"))
    assert unit.version == "v1"


@pytest.mark.parametrize("late", ["take", "revert", "restart"])
def test_an_act_that_comes_after_a_later_one_changes_nothing(unit: RealUnit, late: str) -> None:
    commands = {
        "take": take_command(settings("v3"), "late"),
        "revert": revert_command(settings("v2"), "late"),
        "restart": restart_command(settings("v2"), "late"),
    }
    assert unit.run(begin_command(settings("v3"), "late"))
    assert take(unit, "v2")
    said = unit.said
    assert not unit.run(commands[late], render(settings("v3")))
    assert (unit.version, unit.said) == ("v2", said)


def test_an_act_that_was_never_begun_changes_nothing(unit: RealUnit) -> None:
    """For example after a reboot."""
    assert not unit.run(take_command(settings("v2"), "take"), render(settings("v2")))
    assert unit.version == "v1"


def test_a_start_that_takes_long_holds_up_no_later_act(unit: RealUnit) -> None:
    goes_on = unit.folder / "goes-on"
    systemctl = unit.folder / "bin/systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >>{unit.folder}/said\nuntil [ -e {goes_on} ]; do sleep 0.01; done\n')
    assert unit.run(begin_command(settings("v2"), "start"))
    start = unit.begun(restart_command(settings("v2"), "start"))
    until((unit.folder / "said").exists)
    assert unit.run(begin_command(settings("v2"), "back"))
    assert start.poll() is None
    goes_on.touch()
    assert start.wait() == 0
    assert unit.said == [f"restart -- {settings('v2').unit}"]
