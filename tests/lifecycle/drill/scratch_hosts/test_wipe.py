"""A wipe needs the marker, and is passed only if nothing is left."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.errors import ProofError
from rackwright.lifecycle.drill.scratch_hosts import isolation_scripts, marker
from rackwright.lifecycle.drill.scratch_hosts.identity import IDENTITY
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import PROBE
from rackwright.lifecycle.drill.scratch_hosts.surroundings import SURROUNDINGS
from rackwright.lifecycle.drill.scratch_hosts.wipe import REMAINS, WIPE, Brought, Restored, require_wiped, wipe
from tests.lifecycle.drill.scratch_host import host, run

SCRIPTS = {
    "identity": IDENTITY,
    "surroundings": SURROUNDINGS,
    "probe": PROBE,
    "wipe": WIPE,
    "remains": REMAINS,
    "claim": marker._CLAIM,
    "sign": marker._SIGN,
    **{name: getattr(isolation_scripts, name) for name in ("INSTALL", "CLOSE", "KEEP", "LOOK", "LIFT")},
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_stay_under_sixty_lines_and_shellcheck_finds_nothing(name: str) -> None:
    assert len(SCRIPTS[name].splitlines()) < 60
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=SCRIPTS[name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Stand-ins for all programs that change something: they only note that they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "rm", "find", "userdel", "pkill", "nft", "journalctl", "cp", "systemd-run"):
        (folder / name).write_text(f"#!/bin/sh\necho {name} >>{tmp_path}/called\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("script", [WIPE, REMAINS])
def test_without_a_marker_nothing_is_run(tmp_path: Path, programs: Path, script: str) -> None:
    (tmp_path / "drill-folder").mkdir()
    done = run(script, str(tmp_path / "drill-folder"), str(tmp_path / "models"), path=programs)
    assert done.returncode == 69
    assert "no drill has taken this host" in done.stderr
    assert not (tmp_path / "called").exists()


def test_a_linked_folder_is_no_marker(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "drill").touch()
    (tmp_path / "drill-folder").symlink_to(tmp_path / "elsewhere")
    assert run(WIPE, str(tmp_path / "drill-folder"), path=programs).returncode == 69
    assert not (tmp_path / "called").exists()


def test_folders_on_other_machines_disks_are_left_alone(tmp_path: Path, programs: Path) -> None:
    (tmp_path / "drill-folder").mkdir()
    (tmp_path / "drill-folder" / "drill").touch()
    (tmp_path / "models").mkdir()
    (programs / "findmnt").write_text("#!/bin/sh\necho nfs4\n")
    (programs / "findmnt").chmod(0o755)
    (programs / "find").write_text(f'#!/bin/sh\n[ "$1" != {tmp_path}/models ] || echo emptied >>{tmp_path}/called\n')
    done = run(WIPE, str(tmp_path / "drill-folder"), str(tmp_path / "models"), path=programs)
    assert done.returncode == 1
    assert "is on a disk of another machine" in done.stderr
    assert "emptied" not in (tmp_path / "called").read_text()


def test_texts_and_hashes_are_asked_over_standard_input() -> None:
    asked: list[tuple[str, str]] = []

    def answer(command: str, text: str) -> str:
        asked.append((command, text))
        return "end\n"

    brought = Brought(files=(Restored("/var/lib/rackwright/a", "a" * 64),), texts=("the text",))
    checks = wipe({"gate1": host("s1", answer)}, {"gate1": brought})
    assert [(check.name, check.outcome, check.host) for check in checks] == [
        ("wiped", "passed", "gate1"),
        ("disk blocks overwritten", "not run", "gate1"),
    ]
    assert asked[1][1] == f"text the text\nfile {'a' * 64} /var/lib/rackwright/a\n"
    assert not any("the text" in command for command, _ in asked)


def test_what_is_left_fails_and_the_error_names_the_host_and_the_command() -> None:
    left = "".join(f"left path /opt/{number}\x1b[2J\n" for number in range(12))
    checks = wipe({"gate1": host("s1", f"{left}swap /dev/sda2\nend\n"), "gpu1": host("s2", "end\n")}, {})
    assert [check.outcome for check in checks if check.name == "wiped"] == ["failed", "passed"]
    assert checks[0].found.startswith("left: path /opt/0?[2J, path /opt/1?[2J")
    assert checks[0].found.endswith("and 2 more")
    assert "swap isn't cleared: /dev/sda2" in checks[1].found
    with pytest.raises(ProofError) as refused:
        require_wiped(checks)
    assert "gate1: is not wiped" in str(refused.value)
    assert "next: rackwright drill clean" in str(refused.value)


def test_a_host_that_cannot_be_asked_fails_and_others_are_wiped() -> None:
    checks = wipe({"gate1": host("s1", None), "gpu1": host("s2", "end\n")}, {})
    assert [(check.host, check.outcome) for check in checks if check.name == "wiped"] == [
        ("gate1", "failed"),
        ("gpu1", "passed"),
    ]


def test_an_answer_that_is_cut_off_is_no_proof() -> None:
    assert wipe({"gate1": host("s1", "")}, {})[0].outcome == "failed"
