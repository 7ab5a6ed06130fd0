from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rackwright.roles.gpu_faults.settings import FOLDER as FAULTS
from rackwright.roles.probe import scripts, units
from rackwright.roles.probe.role import probe
from rackwright.roles.probe.settings import Settings
from tests.fakes import play
from tests.roles import serving

PROBE = serving.PROBE.model_copy(update={"gpus_file": serving.REPLICA.gpus_file})
_ALL = tuple(scripts.ALL.values())


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


def test_a_probe_looks_only_where_no_link_is_followed() -> None:
    assert "RequiresMountsFor=/run/rackwright\n" in units.service(PROBE).partition("[Service]")[0]


def test_a_probe_every_two_seconds_meets_no_start_limit() -> None:
    assert "StartLimitIntervalSec=0" in units.service(PROBE)


def test_the_role_writes_scripts_and_starts_timer_and_socket() -> None:
    played = play(probe, settings=PROBE)
    assert [name for name in played.operations if name.startswith("Start")] == [
        "Start the timer of assistant@1",
        "Start the agent of assistant@1",
    ]


class Bench:
    """The probe's scripts with stand-ins for systemctl, curl, /proc and the unit's cgroup, one look at a time."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.state = folder, folder / "state"
        for kind in ("probe", "loading", "unfit"):
            text = scripts.ALL[kind](settings).replace(f"{scripts.STATES}/{PROBE.replica}", str(self.state))
            for path in ("uptime", "loadavg"):
                text = text.replace(f"/proc/{path}", f"{folder}/{path}")
            text = text.replace("/proc/$pid/io", f"{folder}/$pid.io").replace("/sys/fs/cgroup", f"{folder}/cgroup")
            text = text.replace(FAULTS, f"{folder}/faults").replace(str(PROBE.gpus_file), f"{folder}/gpus.conf")
            (folder / f"x.{kind}").write_text(text)
        (folder / "x.evidence").write_text(f'echo "$3" >>{folder}/kills\n')
        (folder / "cgroup/unit").mkdir(parents=True)
        (folder / "cgroup/unit/cgroup.procs").write_text("7\n")
        (folder / "faults").mkdir()
        # Only built-in commands: each look calls them several times.
        self._program(
            "systemctl",
            f"""[ "$2" != -P ] || {{ read -r value <"{folder}/$3"; echo "$value"; exit; }}
IFS=,; for name in $3; do read -r value <"{folder}/$name"; echo "$name=$value"; done""",
        )
        self._program(
            "curl",
            f"""echo "$*" >>{folder}/asked
while [ $# -gt 0 ]; do case $1 in -o) out=$2;; -d) ask=1;; esac; shift; done
read -r completion <{folder}/completion; [ -z "$ask" ] || exit "$completion"
read -r code <{folder}/code; echo "$code"; [ "$code" != 000 ] || exit 28
while read -r line; do echo "$line"; done <{folder}/page >"$out" """,
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
        restarts: int = 0,
        cpu: int = 0,
        read: int = 0,
        started: int = 50,
    ) -> str:
        """Return the state that one look finds; `cpu` in seconds, `read` in MiB, `at` and `started` since boot."""
        page = f"llamacpp:n_decode_total {counter}\nllamacpp:requests_processing {busy}\n"
        given = {"uptime": f"{at}.00 1", "loadavg": f"{load} 0 0", "page": page}
        given |= {
            "ActiveState": active,
            "InvocationID": invocation,
            "NRestarts": f"{restarts}",
            "ControlGroup": "/unit",
        }
        given |= {"ExecMainStartTimestampMonotonic": f"{started}000000"}
        given |= {"code": f"{code:03}", "completion": str(completion)}
        given |= {
            "cgroup/unit/cpu.stat": f"usage_usec {cpu * 10**6}",
            "7.io": f"rchar: 0\nread_bytes: {read * 2**20}",
        }
        for name, text in given.items():
            (self.folder / name).write_text(f"{text}\n")
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        subprocess.run(["sh", str(self.folder / "x.probe")], env=environment, check=True)
        return self.told("state")

    def told(self, key: str) -> str:
        return dict(line.split("=", 1) for line in self.state.read_text().splitlines())[key]

    def bind(self) -> None:
        """The replica has members on other hosts: what its group saw of them is in `group`."""
        path = self.folder / "x.unfit"
        path.write_text(path.read_text().replace("group=''", f"group={self.folder}/group"))

    def gpus(self, *uuids: str) -> None:
        """The host has these GPUs, at 0000:00:00.0 and so on, and the replica gets the first two of them."""
        known = "".join(f"0000:0{number}:00.0 {uuid}\n" for number, uuid in enumerate(uuids))
        (self.folder / "faults/gpus").write_text(known)
        (self.folder / "gpus.conf").write_text(f"[Service]\nEnvironment=CUDA_VISIBLE_DEVICES={','.join(uuids[:2])}\n")

    def fault(self, *faults: str) -> None:
        (self.folder / "faults/faults").write_text("".join(f"{fault}\n" for fault in faults))

    @property
    def kills(self) -> int:
        path = self.folder / "kills"
        return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, PROBE)


SHORT = PROBE.model_copy(update={"stall_seconds": 300, "longest_load_seconds": 480})


@pytest.fixture
def short(tmp_path: Path) -> Bench:
    """Use shorter limits for a load: the interval of looks is the same, and each look takes test time."""
    return Bench(tmp_path, SHORT)


def loads(bench: Bench, minutes: int, *, cpu: int = 0, read: int = 0) -> list[str]:
    """The states of a load with two looks per minute; `cpu` seconds and MiB `read` in each minute."""
    looks = range(2 * minutes + 1)
    return [bench.look(100 + 30 * n, code=503 * (n % 2), cpu=n * cpu // 2, read=n * read // 2) for n in looks]


def test_a_load_may_take_six_hours_and_do_nothing_for_ten_minutes() -> None:
    head = scripts.loading(PROBE).splitlines()
    assert {"longest=21600", "stall=600", "least=6"} <= set(head)


def test_an_engine_that_reads_or_computes_loads_for_as_long_as_it_takes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PROBE.model_copy(update={"stall_seconds": 300}))
    assert set(loads(bench, 12, cpu=1)) == {"loading"}
    assert bench.look(900) == "ready"
    assert bench.kills == 0


def test_slow_weights_are_no_hang(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PROBE.model_copy(update={"stall_seconds": 120}))
    assert set(loads(bench, 6, read=60)) == {"loading"}


def test_a_load_that_does_nothing_is_hung_and_killed_once(short: Bench) -> None:
    states = loads(short, 6)
    assert (states.index("hung"), set(states[10:])) == (10, {"hung"})
    assert short.told("reason") == "it is loading, but has neither computed nor read for 300 s"
    assert short.kills == 1


def test_a_load_without_an_end_gets_a_name(short: Bench) -> None:
    states = loads(short, 9, cpu=60)
    assert states.index("hung") == 16
    assert short.told("reason") == "it has been loading for 480 s"


def test_an_engine_that_loads_again_after_days_has_its_time_before_it(bench: Bench) -> None:
    loads(bench, 5)
    bench.look(500)
    assert bench.look(500_000, code=503) == "loading"


def test_an_engine_that_ends_again_and_again_before_it_is_ready_is_faulted(bench: Bench) -> None:
    bench.look(100)
    states = [bench.look(100 + n, active="activating", restarts=n) for n in (1, 2, 3, 4)]
    assert states == ["loading", "loading", "faulted", "faulted"]
    assert bench.told("reason") == "it ended 4 times before it was ready"
    assert bench.look(120, code=503, restarts=4, invocation="five") == "faulted"
    assert bench.look(130, restarts=4, invocation="five") == "ready"
    assert bench.look(140, active="activating", restarts=5) == "loading"
    assert bench.kills == 0


def test_a_start_by_hand_gives_it_its_tries_again(bench: Bench) -> None:
    assert bench.look(100, active="activating", restarts=3) == "faulted"
    assert bench.look(110, code=0, restarts=0, invocation="two") == "loading"
    assert bench.look(120, restarts=5, invocation="seven") == "ready"
    states = [bench.look(130 + n, active="activating", restarts=n, invocation="eight") for n in range(4)]
    assert states == ["loading", "loading", "loading", "faulted"]


def test_a_failed_unit_is_faulted_and_a_stopped_one_is_not(bench: Bench) -> None:
    assert bench.look(100, active="failed") == "faulted"
    assert bench.look(102, active="inactive", restarts=9) == "stopped"


def test_a_busy_engine_whose_counter_moves_is_up_for_ever(bench: Bench) -> None:
    bench.look(100)
    assert [bench.look(100 + 9 * n, busy=1, counter=n) for n in range(1, 9)] == ["busy"] * 8
    assert bench.kills == 0


def test_a_busy_engine_whose_counter_stands_still_is_killed_once(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(102, busy=1, counter=7) == "busy"
    assert bench.look(111, busy=1, counter=7) == "busy"
    assert bench.look(112, busy=1, counter=7) == "hung"
    assert bench.told("reason") == "it has requests, but its counter has not moved for 10 s"
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
    # A request now would time out (curl's exit code 28).
    assert [bench.look(at, completion=28) for at in (102, 104, 105)] == ["ready"] * 3
    assert bench.look(106) == "ready"
    assert bench.look(111, completion=28) == "ready"
    assert bench.look(116, completion=28) == "hung"


def test_a_restarted_engine_is_asked_at_once(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(102, completion=28, invocation="two") == "loading"
    assert bench.look(104, invocation="two") == "ready"


def test_a_completion_refused_at_once_is_no_reason_to_kill_at_once(bench: Bench) -> None:
    bench.look(100)
    assert bench.look(102, completion=22) == "ready"
    assert bench.look(111, completion=22) == "hung"


def test_a_stopped_engine_is_stopped(bench: Bench) -> None:
    assert bench.look(100, active="inactive") == "stopped"


@pytest.mark.parametrize(("journalctl", "complete"), [("echo said", True), ("kill -TERM $PPID", False)])
def test_evidence_ends_with_the_kill_even_where_its_time_is_over(
    tmp_path: Path, journalctl: str, complete: bool
) -> None:
    programs = {
        "systemctl": f'echo "$*" >>{tmp_path}/asked',
        "journalctl": journalctl,
        "systemd-cat": "cat >/dev/null",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    text = scripts.evidence(PROBE).replace("/var/lib/rackwright", str(tmp_path))
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    ran = subprocess.run(["sh", "-c", text, "sh", "x.service", "no.metrics", "hung"], env=environment)
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "kill --kill-whom=main --signal=KILL -- x.service"
    (kept,) = (tmp_path / "evidence").iterdir()
    assert ((kept / "state").exists(), ran.returncode == 0) == (complete, complete)


def test_a_look_says_when_it_was(bench: Bench) -> None:
    bench.look(100)
    assert bench.told("looked") == "100"


def bound(bench: Bench, reason: str, *, spare: int) -> None:
    (bench.folder / "group").write_text(f"reason={reason}\nspare={spare}\n")


def test_an_engine_stuck_in_a_hole_of_the_network_is_spared_until_tcp_has_sent_again(bench: Bench) -> None:
    bench.bind()
    bound(bench, "", spare=0)
    bench.look(100)
    bound(bench, "gpu2 doesn't answer", spare=130)
    assert bench.look(115, completion=28) == "faulted"
    assert bench.told("reason") == "gpu2 doesn't answer"
    bound(bench, "", spare=140)
    assert [bench.look(at, completion=28) for at in (121, 139)] == ["faulted"] * 2
    assert bench.told("reason") == "its engine waits for data that was lost when the network failed"
    assert bench.kills == 0
    assert bench.look(140, completion=28) == "hung"
    assert bench.kills == 1


def test_an_engine_that_goes_on_after_a_hole_is_up_at_once(bench: Bench) -> None:
    bench.bind()
    bound(bench, "", spare=140)
    bench.look(100)
    assert bench.look(112, completion=28) == "faulted"
    assert bench.look(114) == "ready"
    assert bench.kills == 0


OFF_THE_BUS = "120 0000:01:00.0 card 0 79 the GPU has fallen off the bus"
MMU_FAULT = "120 0000:00:00.0 engine 7 31 a program used memory that isn't its own"
LINK = "120 0000:00:00.0 link 0 74 NVLink error"


def test_a_card_that_does_not_hold_faults_its_replica_until_somebody_starts_the_engine(bench: Bench) -> None:
    bench.gpus("GPU-a", "GPU-b", "GPU-c")
    assert bench.look(110) == "ready"
    bench.fault(OFF_THE_BUS)
    assert bench.look(121, busy=1, counter=1) == "faulted"
    assert bench.told("reason") == "Xid 79 of GPU 0000:01:00.0, the GPU has fallen off the bus"
    # systemd restarted it, on the same card.
    assert bench.look(130, invocation="two", restarts=1, started=125) == "faulted"
    assert bench.look(140, invocation="three", restarts=0, started=135) == "ready"
    assert bench.kills == 0


def test_a_fault_of_another_replicas_card_is_none(bench: Bench) -> None:
    bench.gpus("GPU-a", "GPU-b", "GPU-c")
    bench.fault(OFF_THE_BUS.replace(":01:", ":02:"), MMU_FAULT.replace(" 7 ", " 8 "))
    assert bench.look(121) == "ready"


def test_an_engine_whose_work_was_broken_off_is_killed_once_with_evidence(bench: Bench) -> None:
    bench.gpus("GPU-a")
    bench.fault(MMU_FAULT)
    assert [bench.look(at, busy=1, counter=at) for at in (121, 123)] == ["faulted"] * 2
    assert (bench.folder / "kills").read_text() == (
        "Xid 31 of GPU 0000:00:00.0, a program used memory that isn't its own\n"
    )
    (bench.folder / "cgroup/unit/cgroup.procs").write_text("8\n")
    (bench.folder / "8.io").write_text("")
    assert bench.look(130, invocation="two", restarts=1) == "ready"


def test_a_link_between_cards_matters_to_who_has_several(bench: Bench) -> None:
    bench.gpus("GPU-a")
    bench.fault(LINK)
    assert bench.look(121) == "ready"
    bench.gpus("GPU-a", "GPU-b")
    assert bench.look(123) == "faulted"


def test_a_card_that_does_not_hold_is_no_reason_to_restart_even_a_hung_engine(bench: Bench) -> None:
    bench.gpus("GPU-a", "GPU-b")
    bench.look(100)
    bench.fault(OFF_THE_BUS, MMU_FAULT)
    assert [bench.look(at, code=0) for at in (121, 141)] == ["faulted"] * 2
    assert (bench.told("seen"), bench.kills) == ("hung", 0)
