"""The engine on real hosts, as an ordinary user with sudo, in a process patched by gevent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab, LabFleet

pytestmark = pytest.mark.lab
HOSTS = ("gpu1", "gpu2", "spare1")


@pytest.fixture
def program(lab: Lab, lab_fleet: LabFleet) -> Iterator[subprocess.Popen[str]]:
    words = [
        str(word)
        for host in HOSTS
        for word in (host, lab_fleet.hosts[host], lab_fleet.user, lab_fleet.key, lab_fleet.known_hosts)
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.lab.engine_program", *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        yield process
        process.kill()
    for host in HOSTS:
        lab.exec(host, "rm -f /root/engine-first /root/engine-last")


def told(process: subprocess.Popen[str], *wanted: str) -> None:
    """Read until all of these lines have arrived."""
    missing = set(wanted)
    assert process.stdout
    while missing:
        line = process.stdout.readline()
        assert line, f"ended without {missing}"
        missing.discard(line.strip())


def result(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout
    document: dict[str, object] = json.loads(process.stdout.read().splitlines()[-1])
    return document


def test_hosts_are_worked_on_at_the_same_time(program: subprocess.Popen[str]) -> None:
    assert program.stdout
    *lines, document = program.stdout.read().splitlines()
    waits = [number for number, line in enumerate(lines) if line.endswith("Wait")]
    lasts = [number for number, line in enumerate(lines) if line.endswith("Last")]
    assert len(waits) == len(lasts) == 3
    assert max(waits) < min(lasts)
    assert list(json.loads(document)["steps"].values()) == ["changed"] * 9


def test_ctrl_c_lets_the_running_operations_end(program: subprocess.Popen[str]) -> None:
    told(program, *(f"started {host} Wait" for host in HOSTS))
    program.send_signal(signal.SIGINT)
    got = result(program)
    assert got["interrupted"] is True
    assert got["steps"] == {
        f"{host} {name}": outcome
        for host in HOSTS
        for name, outcome in (("First", "changed"), ("Wait", "changed"), ("Last", "not run"))
    }


def test_a_host_that_vanishes_does_not_stop_the_others(program: subprocess.Popen[str], lab: Lab) -> None:
    told(program, "started spare1 Wait")
    lab.exec("spare1", "pkill -f 'sshd.*ops'", check=False)
    got = result(program)
    assert got["steps"]["spare1 Wait"] == "failed"  # type: ignore[index]
    assert got["steps"]["spare1 Last"] == "not run"  # type: ignore[index]
    assert got["output"] == {"spare1": ["the connection was lost while a command ran"]}
    assert got["steps"]["gpu1 Last"] == got["steps"]["gpu2 Last"] == "changed"  # type: ignore[index]
