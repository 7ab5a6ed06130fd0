"""Whether another process of this machine has ended: real processes, and a machine without /proc."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.lifecycle.schedule import here as module
from rackwright.lifecycle.schedule.here import here
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


def test_a_process_that_runs_is_not_gone_until_it_ends() -> None:
    me = here()
    assert me.process.pid == os.getpid()
    with subprocess.Popen(["sleep", "600"]) as sleeping:
        started = here_of(sleeping.pid)
        other = me.process.model_copy(update={"pid": sleeping.pid, "started": started})
        assert me.gone(other) is False
        sleeping.kill()
        # Also before its parent asks how it ended.
        wait_until(lambda: me.gone(other) is True)
        sleeping.wait()
    assert me.gone(other) is True


def here_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def test_another_process_with_the_same_number_is_not_it() -> None:
    me = here()
    assert me.gone(me.process) is False
    assert me.gone(me.process.model_copy(update={"started": "1"})) is True


def test_every_process_of_an_earlier_boot_is_gone() -> None:
    me = here()
    assert me.gone(me.process.model_copy(update={"boot": "another", "user": 4711})) is True


def test_nothing_is_known_of_other_machines_and_of_other_users() -> None:
    me = here()
    assert me.gone(me.process.model_copy(update={"machine": "another", "pid": 1})) is None
    assert me.gone(me.process.model_copy(update={"user": 4711, "started": "1"})) is None


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    me = here(tmp_path)
    assert (me.process.boot, me.process.started) == ("", "")
    assert me.gone(here().process) is None
    assert here().gone(me.process) is None


def test_the_tool_on_a_control_host_learns_from_root_which_boot_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = tmp_path / "boot"
    handed.write_text("0f1e 4711 ")
    monkeypatch.setattr(module, "BOOT", str(handed))
    assert here().process.boot not in ("", "0f1e 4711")
    monkeypatch.setenv("RACKWRIGHT_TOOL", "1")
    before = here().process
    assert before.boot == "0f1e 4711"
    # A container's kernel has the same id as before.
    handed.write_text("0f1e 4712 ")
    assert here().gone(before) is True
    handed.unlink()
    assert here().process.boot == ""
