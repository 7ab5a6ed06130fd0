from __future__ import annotations

import subprocess
from pathlib import Path

from rackwright.lifecycle.assess.machine import Drive, Machine, parse_machine, script

TOLD = """\
systemd yes
virtual none
container none
synchronised yes
models 8000000000000 4000000000000
rotating 0
drive nvme0n1 0 15002931888 SAMSUNG MZWLR7T6HALA-00007
drive sda 1 3907029168
correction Multi-bit ECC
swap 0
watts 1480
supply PS1 Status | C8h | ok  | 10.1 | Presence detected
supply PS2 Status | C9h | ok  | 10.2 | Presence detected, Power Supply AC lost
"""


def test_what_a_server_tells_is_read() -> None:
    machine = parse_machine(TOLD)
    assert machine == Machine(
        ecc=True,
        drives=(
            Drive("nvme0n1", False, 15002931888 * 512, "SAMSUNG MZWLR7T6HALA-00007"),
            Drive("sda", True, 3907029168 * 512, ""),
        ),
        models_free=4 * 10**12,
        models_total=8 * 10**12,
        models_rotating=False,
        synchronised=True,
        watts=1480,
        supplies_failed=("PS2 Status: Presence detected, Power Supply AC lost",),
    )
    assert [drive.kind for drive in machine.drives] == ["NVMe", "rotating"]


def test_a_virtual_disk_calls_itself_rotating_and_is_not_believed() -> None:
    machine = parse_machine("virtual kvm\nrotating 1\ndrive vda 1 2048\n")
    assert (machine.virtual, machine.models_rotating) == ("kvm", None)
    assert [drive.kind for drive in machine.drives] == ["virtual"]


def test_what_is_not_told_is_not_known() -> None:
    assert parse_machine("virtual \ncontainer \nsynchronised \nrotating \n") == Machine(systemd=False)
    assert parse_machine("container podman\nvirtual none").virtual == "podman"


def test_error_correction_is_told_by_the_firmware_or_by_the_kernel() -> None:
    assert parse_machine("correction None\nedac yes").ecc is False
    assert parse_machine("correction Unknown").ecc is None
    assert parse_machine("edac yes").ecc is True


def test_the_script_runs_here_and_asks_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", script(f"{tmp_path}/it's/not/there")], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    machine = parse_machine(done.stdout)
    assert 0 < machine.models_free <= machine.models_total
