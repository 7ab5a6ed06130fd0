"""What engines with GPUs wait for: the script itself, with stand-ins for a host's programs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.roles.nvidia_driver import files


def ready(
    folder: Path, count: int, *states: str, gpus: int = 8, status: int = 0
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Return how the script ended and how often it ran nvidia-smi; `states` are the fabric's, one per look."""
    (folder / "states").write_text("".join(f"{state}\n" for state in states))
    listed = "".join(f"echo 'GPU {number}: NVIDIA H100 (UUID: GPU-{number})'\n" for number in range(gpus))
    (folder / "nvidia-smi").write_text(
        f"""#!/bin/sh
[ "$1" != -L ] || {{ {listed or "echo 'No devices were found'"}
exit 0; }}
echo asked >>{folder}/asked
state=$(sed -n "$(wc -l <{folder}/asked)p" {folder}/states)
[ -n "$state" ] || state=$(tail -n 1 {folder}/states)
echo '    Fabric'
echo "        State                             : $state"
echo '        Status                            : Success'
echo '    Performance State                     : P0'
exit {status}
"""
    )
    (folder / "nvidia-smi").chmod(0o755)
    text = files.GPUS_READY.replace("sleep 1", ":").replace("-lt 300", "-lt 3")
    assert text.count("-lt 3 ") == 1
    done = subprocess.run(
        ["sh", "-s", "--", str(count)],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
    )
    return done, len((folder / "asked").read_text().splitlines())


@pytest.mark.parametrize("state", ["Completed", "N/A", "Not Supported"])
def test_gpus_that_answer_with_a_fabric_that_is_whole_or_none_are_ready(tmp_path: Path, state: str) -> None:
    done, asked = ready(tmp_path, 8, state)
    assert (done.returncode, asked) == (0, 1)


def test_a_fabric_that_is_still_made_is_waited_for(tmp_path: Path) -> None:
    done, asked = ready(tmp_path, 8, "Not Started", "In Progress", "Completed")
    assert (done.returncode, asked) == (0, 3)


def test_a_fabric_that_never_is_complete_is_named(tmp_path: Path) -> None:
    done, _ = ready(tmp_path, 8, "In Progress")
    assert done.returncode == 1
    assert "8 of 8 GPUs answer, the fabric of 1 is not complete (journalctl -u nvidia-fabricmanager)" in done.stderr


def test_gpus_that_are_missing_are_counted(tmp_path: Path) -> None:
    done, _ = ready(tmp_path, 8, "N/A", gpus=7)
    # Engines get GPUs by UUID: one lost card doesn't affect the other seven.
    assert (done.returncode, "7 of 8 GPUs answer" in done.stderr) == (0, True)
    done, _ = ready(tmp_path, 1, "N/A", gpus=0)
    assert (done.returncode, "0 of 1 GPUs answer" in done.stderr) == (1, True)


def test_a_driver_that_lists_gpus_and_then_fails_is_not_ready(tmp_path: Path) -> None:
    done, _ = ready(tmp_path, 8, "Completed", status=9)
    assert done.returncode == 1


def test_where_gpus_say_nothing_of_a_fabric_its_manager_must_run(tmp_path: Path) -> None:
    (tmp_path / "systemctl").write_text('#!/bin/sh\n[ "$2" = is-enabled ]\n')
    (tmp_path / "systemctl").chmod(0o755)
    done, _ = ready(tmp_path, 8, "N/A")
    assert (done.returncode, "nvidia-fabricmanager.service is not running" in done.stderr) == (1, True)
    (tmp_path / "systemctl").write_text("#!/bin/sh\n")
    assert ready(tmp_path, 8, "N/A")[0].returncode == 0


def test_the_unit_waits_for_the_count_of_its_host() -> None:
    assert "ExecStart=/etc/rackwright/gpus-ready 4\n" in files.gpus_unit(4)
    assert "nvidia-fabricmanager.service" in files.gpus_unit(4)
