"""The evidence that is kept about an engine before it is killed."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.roles.probe import scripts
from tests.roles.test_probe import PROBE

UNIT = "rackwright-assistant.service"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return evidence_of(tmp_path)


def evidence_of(tmp_path: Path) -> Path:
    """The evidence about an engine whose only process is this one, in a time zone far from UTC."""
    programs = {
        "systemctl": f'echo "systemctl $*" >>{tmp_path}/asked; [ "$1" != show ] || echo /engine',
        "journalctl": 'echo "journalctl $*"',
        "systemd-cat": f'{{ echo "systemd-cat $*"; cat; }} >{tmp_path}/logged',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "cgroup/engine").mkdir(parents=True)
    (tmp_path / "cgroup/engine/cgroup.procs").write_text(f"{os.getpid()}\n")
    (tmp_path / "state").write_text("state=hung\n")
    (tmp_path / "state.metrics").write_text("decoded 7\n")
    text = scripts.evidence(PROBE).replace("/var/lib/rackwright", str(tmp_path))
    text = text.replace("/sys/fs/cgroup", f"{tmp_path}/cgroup")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TZ": "XXX-9"}
    command = ["sh", "-c", text, "sh", UNIT, f"{tmp_path}/state.metrics", "it stands still"]
    subprocess.run(command, env=environment, check=True)
    return max((tmp_path / "evidence").glob("*-rackwright-assistant"))


def test_of_an_engine_that_hangs_again_and_again_the_newest_evidence_is_kept(tmp_path: Path) -> None:
    older = [f"20260101T0000{second:02}Z-rackwright-assistant" for second in range(30)]
    other = "20250101T000000Z-rackwright-other-assistant"
    for name in (*older, other):
        (tmp_path / "evidence" / name).mkdir(parents=True)
        (tmp_path / "evidence" / name / "metrics").touch()
    newest = evidence_of(tmp_path)
    left = {path.name for path in (tmp_path / "evidence").iterdir()}
    assert left == {newest.name, other, *older[-scripts.MOST_EVIDENCE + 1 :]}


def test_it_has_a_folder_by_time_and_unit_that_only_root_reads(kept: Path) -> None:
    time, _, unit = kept.name.partition("-")
    assert unit == "rackwright-assistant"
    age = datetime.now(UTC) - datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert timedelta() <= age < timedelta(hours=1)
    assert {path.stat().st_mode & 0o077 for path in (kept, *kept.iterdir())} == {0}


def test_it_has_what_systemd_said_and_what_the_probe_saw(kept: Path) -> None:
    assert (kept / "journal").read_text() == f"journalctl -q --no-hostname -n 200 _PID=1 UNIT={UNIT}\n"
    assert (kept / "unit").read_text() == "/engine\n"
    assert (kept / "metrics").read_text() == "decoded 7\n"
    state = (kept / "state").read_text().splitlines()
    assert abs(int(state[0]) - datetime.now(UTC).timestamp()) < 3600
    assert state[-1] == "state=hung"


def test_it_has_each_thread_and_what_that_waits_for(kept: Path) -> None:
    threads = (kept / "threads").read_text().splitlines()
    command = Path("/proc/self/cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
    assert threads[0] == f"= {os.getpid()} {command}"
    assert f"== {os.getpid()}" in threads
    for part in ("Name:\t", "State:\t", "voluntary_ctxt", "nonvoluntary_ctxt", "wchan: ", "syscall: ", "stack: "):
        assert [line for line in threads if line.startswith(part)], part


def test_it_is_told_to_the_log_and_then_the_engine_is_killed(kept: Path) -> None:
    folder = kept.parents[1]
    assert (folder / "logged").read_text().splitlines() == [
        "systemd-cat -t rackwright -p warning",
        f"{UNIT}: it stands still: evidence in {kept}, killed so that systemd restarts it",
    ]
    assert (folder / "asked").read_text().splitlines() == [
        f"systemctl show -- {UNIT}",
        f"systemctl show -P ControlGroup -- {UNIT}",
        f"systemctl kill --kill-whom=main --signal=KILL -- {UNIT}",
    ]
