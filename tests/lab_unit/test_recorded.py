"""The time of the lab tests' helpers is recorded under their kinds; this needs no host."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from rackwright.lab import podman, programs
from tests.lab.labs import TimedLab
from tests.lab.operator import Operator
from tests.times.recorder import take
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def nothing_before() -> None:
    take()


def test_a_command_on_a_host_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "run", lambda *words, **options: podman.Done(0, "seen\n", ""))
    assert TimedLab("recorded").exec("gate1", "echo seen").out == "seen\n"
    assert set(take()) == {"commands on hosts"}


@pytest.mark.parametrize("act", ["up", "start", "reboot", "down"])
def test_boots_and_removals_count_as_such_also_when_they_fail(act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*words: object, **options: object) -> None:
        raise OSError("no podman here")

    lab = TimedLab("recorded")
    monkeypatch.setattr(programs, "ensure", lambda: None)
    monkeypatch.setattr(podman, "run", fails)
    with pytest.raises(OSError, match="no podman here"):
        getattr(lab, act)(*(["gate1"] if act in ("start", "reboot") else []))
    assert set(take()) == {"removal of hosts" if act == "down" else "boots"}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("apply", "--yes"), "rackwright apply"),
        (("restart", "gpu1/assistant@1"), "rackwright restart"),
        (("model", "update", "assistant"), "rackwright model update"),
    ],
)
def test_an_operators_command_counts_by_its_name(
    words: tuple[str, ...], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda argv, **options: subprocess.CompletedProcess(argv, 0, "", ""))
    Operator(Path("site.yml"))(*words)
    assert set(take()) == {kind}


def test_a_command_within_a_wait_counts_as_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda argv, **options: subprocess.CompletedProcess(argv, 0, "", ""))
    looks = itertools.count()
    wait_until(lambda: Operator(Path("site.yml"))("status").code == 0 and next(looks) > 0)
    assert set(take()) == {"waits for a condition"}
