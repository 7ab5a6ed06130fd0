"""The scripts that change an engine's unit, run by a real sh; the simulated hosts do the same."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from rackwright.roles.replica.settings import Settings
from rackwright.roles.replica.switch import put_back_command, take_command
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
    def said(self) -> list[str]:
        """What systemd was told."""
        return (self.folder / "said").read_text().splitlines()

    def restart(self) -> None:
        self.started.write_text(f"{unit_digest(settings(self.version))}  -\n")

    @property
    def version(self) -> str:
        return next(version for version in ("v1", "v2", "v3") if self.unit.read_text() == render(settings(version)))

    def run(self, command: str, stdin: str = "") -> bool:
        words = shlex.split(command)
        moved = {
            settings("v1").unit_file: str(self.unit),
            f"/var/lib/rackwright/before/{settings('v1').unit}": str(self.before),
            settings("v1").started_digest: str(self.started),
        }
        environment = {"PATH": f"{self.folder}/bin:/usr/bin:/bin"}
        done = subprocess.run([moved.get(word, word) for word in words], input=stdin, text=True, env=environment)
        return done.returncode == 0


def act(real: RealUnit, simulated: Engine, what: str) -> None:
    verb, _, version = what.rpartition(" ")
    if verb == "take":
        assert real.run(take_command(settings(version)), render(settings(version)))
        simulated.take(render(settings(version)))
    elif verb == "put back":
        said = real.run(put_back_command(settings(version)))
        assert said == simulated.put_back(unit_digest(settings(version)))
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
    return unit.run(take_command(settings(version)), render(settings(version)))


def put_back(unit: RealUnit, version: str) -> bool:
    return unit.run(put_back_command(settings(version)))


def test_what_ran_before_is_put_back_as_often_as_one_likes(unit: RealUnit) -> None:
    assert take(unit, "v2")
    unit.restart()
    assert put_back(unit, "v2")
    assert put_back(unit, "v2")
    assert unit.version == "v1"


def test_what_was_never_taken_is_not_changed_by_a_put_back(unit: RealUnit) -> None:
    """An update to v2 long ago; one to v3 can't be written: what runs is v2, and not v1."""
    assert take(unit, "v2")
    unit.restart()
    assert put_back(unit, "v3")
    assert unit.version == "v2"


def test_one_that_was_put_back_and_not_restarted_can_be_taken_and_put_back_again(unit: RealUnit) -> None:
    assert take(unit, "v2")
    unit.restart()
    assert put_back(unit, "v2")
    assert take(unit, "v2")
    assert put_back(unit, "v2")
    assert unit.version == "v1"


def test_what_runs_still_stays_kept_when_another_text_is_taken(unit: RealUnit) -> None:
    assert take(unit, "v2")
    assert take(unit, "v3")
    assert put_back(unit, "v3")
    assert unit.version == "v1"


def test_what_never_ran_is_nothing_to_go_back_to(unit: RealUnit) -> None:
    assert take(unit, "v2")
    unit.restart()
    unit.unit.write_text(render(settings("v3")))
    assert take(unit, "v1")
    assert not put_back(unit, "v1")
    assert unit.version == "v1"


def test_systemd_reads_the_unit_also_if_the_connection_broke_before_it_did(unit: RealUnit) -> None:
    """Else the engine would be restarted on the old unit, and record the digest of the new one."""
    assert take(unit, "v2")
    assert take(unit, "v2")
    assert put_back(unit, "v2")
    assert put_back(unit, "v2")
    assert unit.said == ["daemon-reload"] * 4
