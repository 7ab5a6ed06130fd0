from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.roles.probe import scripts, units
from rackwright.roles.probe.role import probe
from tests.fakes import play
from tests.roles.serving import PROBE

_ALL = (scripts.probe, scripts.evidence, scripts.agent)


@pytest.mark.parametrize("script", _ALL)
def test_scripts_stay_under_sixty_lines(script: Callable[..., str]) -> None:
    assert len(script(PROBE).splitlines()) < 60


@pytest.mark.parametrize("script", _ALL)
def test_shellcheck_finds_nothing(script: Callable[..., str]) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=script(PROBE), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_two_replicas_share_no_unit() -> None:
    other = PROBE.model_copy(update={"replica": "assistant@2"})
    assert not set(PROBE.units) & set(other.units)
    assert "@" not in PROBE.agent_socket


def test_a_probe_every_two_seconds_meets_no_start_limit() -> None:
    assert "StartLimitIntervalSec=0" in units.service(PROBE)


def test_the_role_writes_scripts_and_starts_timer_and_socket() -> None:
    played = play(probe, settings=PROBE)
    assert [name for name in played.operations if name.startswith("Start")] == [
        "Start the timer of assistant@1",
        "Start the agent of assistant@1",
    ]


class Bench:
    """The probe script with stand-ins for systemctl, curl and the load; one look at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        text = scripts.probe(PROBE).replace(f"{scripts.STATES}/{PROBE.replica}", str(self.state))
        for path in ("uptime", "loadavg"):
            text = text.replace(f"/proc/{path}", str(folder / path))
        (folder / "x.probe").write_text(text)
        (folder / "x.evidence").write_text(f"echo killed >>{folder}/kills\n")
        self._program(
            "systemctl", f'case "$3" in InvocationID) cat {folder}/invocation;; *) cat {folder}/active;; esac'
        )
        self._program(
            "curl",
            f"""while [ $# -gt 0 ]; do case $1 in -o) out=$2;; -d) ask=1;; esac; shift; done
[ -z "$ask" ] || exit "$(cat {folder}/completion)"
cat {folder}/code; [ "$(cat {folder}/code)" = 000 ] && exit 28; cp {folder}/page "$out" """,
        )
        self._program("nproc", "echo 2")

    def _program(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def look(
        self,
        at: int,
        *,
        code: int = 200,
        busy: int = 0,
        counter: int = 0,
        completion: int = 0,
        active: str = "active",
        invocation: str = "one",
        load: float = 0.5,
    ) -> str:
        page = f"llamacpp:n_decode_total {counter}\nllamacpp:requests_processing {busy}\n"
        given = {"uptime": f"{at}.00 1", "loadavg": f"{load} 0 0", "active": active, "invocation": invocation}
        given |= {"code": f"{code:03}", "completion": str(completion), "page": page}
        for name, text in given.items():
            (self.folder / name).write_text(text)
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        subprocess.run(["sh", str(self.folder / "x.probe")], env=environment, check=True)
        return dict(line.split("=") for line in self.state.read_text().splitlines())["state"]

    @property
    def kills(self) -> int:
        path = self.folder / "kills"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_engine_loads_for_as_long_as_it_takes(bench: Bench) -> None:
    assert [bench.look(at, code=code) for at, code in ((100, 0), (500, 503), (900, 0))] == ["loading"] * 3
    assert bench.look(902) == "ready"
    assert bench.kills == 0


def test_a_busy_engine_whose_counter_moves_is_up_for_ever(bench: Bench) -> None:
    bench.look(100)
    assert [bench.look(100 + 9 * n, busy=1, counter=n) for n in range(1, 9)] == ["busy"] * 8
    assert bench.kills == 0


def test_a_busy_engine_whose_counter_stands_still_is_killed_once(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(102, busy=1, counter=7) == "busy"
    assert bench.look(111, busy=1, counter=7) == "busy"
    assert bench.look(112, busy=1, counter=7) == "hung"
    assert bench.look(130, busy=1, counter=7) == "hung"
    assert bench.kills == 1
    bench.look(140, code=503, invocation="two")
    assert bench.look(160, completion=28, invocation="two") == "hung"
    assert bench.kills == 1
    bench.look(170, invocation="two")
    assert bench.look(190, completion=28, invocation="two") == "hung"
    assert bench.kills == 2


def test_an_overloaded_host_gives_the_counter_three_times_as_long(bench: Bench) -> None:
    bench.look(100)
    bench.look(102, busy=1, counter=7, load=13)
    assert bench.look(131, busy=1, counter=7, load=13) == "busy"
    assert bench.look(132, busy=1, counter=7, load=13) == "hung"


def test_an_engine_that_answers_nothing_is_hung_after_the_deadline(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(105, code=0) == "ready"
    assert bench.look(110, code=0) == "hung"


def test_an_idle_engine_is_asked_for_a_token_only_now_and_then(bench: Bench) -> None:
    bench.look(100)
    # Whoever asks now gets no answer, and says so by waiting in vain.
    assert [bench.look(at, completion=28) for at in (102, 104, 105)] == ["ready"] * 3
    assert bench.look(106) == "ready"
    assert bench.look(111, completion=28) == "ready"
    assert bench.look(116, completion=28) == "hung"


def test_an_engine_started_anew_is_asked_at_once(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(102, completion=28, invocation="two") == "loading"
    assert bench.look(104, invocation="two") == "ready"


def test_a_completion_refused_at_once_is_no_reason_to_kill_at_once(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(102, completion=22) == "ready"
    assert bench.look(111, completion=22) == "hung"


def test_a_stopped_engine_is_stopped(bench: Bench) -> None:
    assert bench.look(100, active="inactive") == "stopped"


@pytest.mark.parametrize(
    ("state", "age", "answer"),
    [("ready", 0, "up"), ("busy", 0, "up"), ("loading", 0, "down"), ("hung", 0, "down"), ("ready", 60, "down")],
)
def test_the_agent_says_up_for_fresh_ready_and_busy_alone(tmp_path: Path, state: str, age: int, answer: str) -> None:
    file = tmp_path / "state"
    file.write_text(f"state={state}\n")
    then = time.time() - age
    os.utime(file, (then, then))
    text = scripts.agent(PROBE).replace(f"{scripts.STATES}/{PROBE.replica}", str(file))
    assert subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout == f"{answer}\n"
