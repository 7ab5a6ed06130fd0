from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.hardware.xid import FAULTS
from rackwright.roles.gpu_faults import scripts, units
from rackwright.roles.gpu_faults.role import gpu_faults
from rackwright.roles.gpu_faults.settings import FILES, FOLDER, UNITS, XIDS, Settings
from tests.fakes import play
from tests.hardware.recorded import CLEANED_AWAY, EXCEPTION, MMU_FAULT, OFF_THE_BUS, ROW_REMAPPED, SWITCH_TIMEOUT

UUID = "GPU-5f2b7c1e-0d4a-4e7b-9a66-2f6b1c8d3e90"


def test_the_script_is_short_and_shellcheck_finds_nothing() -> None:
    assert len(scripts.script().splitlines()) < 60
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=scripts.script(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_table_has_every_xid_that_faults_with_its_meaning() -> None:
    lines = scripts.xids().splitlines()
    assert len(lines) == len(FAULTS)
    assert "79 card the GPU has fallen off the bus" in lines
    assert "31 engine a program used memory that isn't its own" in lines


def test_the_role_writes_its_files_and_starts_its_timer() -> None:
    played = play(gpu_faults, settings=Settings())
    written = {path.removesuffix(".rackwright-new") for path in played.uploads}
    assert written == {*FILES, *(f"/etc/systemd/system/{unit}" for unit in UNITS)}
    assert played.operations[-1] == "Look for GPU faults"
    assert "StartLimitIntervalSec=0" in units.service()


class Log:
    """The script with a stand-in for journalctl, and a folder in place of the driver's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gpus = folder / "nvidia"
        (folder / "xids").write_text(scripts.xids())
        text = scripts.script().replace(FOLDER, str(folder)).replace(XIDS, str(folder / "xids"))
        (folder / "script").write_text(text.replace("/proc/driver/nvidia/gpus", str(self.gpus)))
        (folder / "journalctl").write_text(f"#!/bin/sh\ncat {folder}/new\n")
        (folder / "journalctl").chmod(0o755)

    def plug_in(self, pci: str, uuid: str) -> None:
        (self.gpus / pci).mkdir(parents=True, exist_ok=True)
        text = f"Model: \t\t NVIDIA A100\nIRQ:   \t\t 31\nGPU UUID: \t {uuid}\nBus Location: \t {pci}\n"
        (self.gpus / pci / "information").write_text(text)

    def look(self, *new: str, at: float = 93.5) -> list[str]:
        """The host's faults after the kernel logged these lines."""
        lines = "".join(f"[{at:12.6f}] gpu1 kernel: {line}\n" for line in new)
        (self.folder / "new").write_text(lines)
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        subprocess.run(["sh", str(self.folder / "script")], env=environment, check=True)
        return (self.folder / "faults").read_text().splitlines()

    @property
    def known(self) -> list[str]:
        return (self.folder / "gpus").read_text().splitlines()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_lines_that_somebody_recorded_are_read_in_every_form(log: Log) -> None:
    assert log.look(MMU_FAULT) == ["93 0000:01:00.0 engine 0 31 a program used memory that isn't its own"]
    assert log.look(EXCEPTION, SWITCH_TIMEOUT, OFF_THE_BUS, at=98.2)[1:] == [
        "98 0000:44:00.0 card 0 79 the GPU has fallen off the bus",
        "98 0000:cb:00.0 card 1797828 109 the GPU didn't switch between programs in time",
        "98 0000:cb:00.0 engine 0 13 a program sent something that the GPU rejects",
    ]


def test_what_an_engine_survives_is_no_fault(log: Log) -> None:
    assert log.look(ROW_REMAPPED, CLEANED_AWAY, "NVRM: loading NVIDIA UNIX Open Kernel Module", "usb 1-1: new") == []


def test_what_comes_by_the_thousand_is_one_fault_at_its_last_time(log: Log) -> None:
    log.look(*[SWITCH_TIMEOUT] * 1000)
    assert [line.split()[0] for line in log.look(SWITCH_TIMEOUT, at=200)] == ["200"]
    assert [line.split()[0] for line in log.look()] == ["200"]


def test_a_name_that_a_process_gave_itself_is_no_other_gpu(log: Log) -> None:
    evil = "NVRM: Xid (PCI:0000:17:00): 13, pid=7, name=NVRM: Xid (PCI:0000:18:00): 79, Ch 1"
    assert [line.split()[1:5] for line in log.look(evil)] == [["0000:17:00.0", "engine", "7", "13"]]


def test_a_gpu_is_asked_until_it_tells_its_uuid_and_not_again(log: Log) -> None:
    log.look()
    assert log.known == []
    log.plug_in("0000:17:00.0", "GPU-????????-????-????-????-????????????")
    log.look()
    assert log.known == []
    log.plug_in("0000:17:00.0", UUID)
    log.look()
    assert log.known == [f"0000:17:00.0 {UUID}"]
    (log.gpus / "0000:17:00.0/information").unlink()
    log.look()
    assert log.known == [f"0000:17:00.0 {UUID}"]
