"""How the probe asks, how long it waits depending on the host's load, and what it leaves behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from rackwright.launch import Task
from rackwright.roles.probe import units
from rackwright.roles.probe.now import look_command, state_of
from rackwright.roles.replica.answer import MOST_BYTES
from tests.roles.test_probe import MMU_FAULT, PROBE, Bench, bound
from tests.stand_in_engine import stand_in_engine


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, PROBE)


def test_an_engine_is_asked_at_its_socket_past_any_proxy_and_no_longer_than_the_deadline(bench: Bench) -> None:
    bench.look(100)
    how = f"-q -s --noproxy * --max-filesize {MOST_BYTES} --unix-socket {PROBE.socket}"
    body = '{"model": "assistant", "prompt": "Hi", "max_tokens": 1, "temperature": 0}'
    assert (bench.folder / "asked").read_text().splitlines() == [
        f"{how} -m 3 -o {bench.state}.metrics -w %{{http_code}} http://engine/metrics",
        f"{how} -m 10 -f -o /dev/null -H Content-Type: application/json -d {body} http://engine/v1/completions",
    ]


def test_an_idle_engine_for_embeddings_must_return_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, PROBE.model_copy(update={"task": Task.EMBED}))
    assert bench.look(100) == "ready"
    asked = (bench.folder / "asked").read_text().splitlines()[-1]
    assert asked.endswith(' -d {"model": "assistant", "input": "Hi"} http://engine/v1/embeddings')


@pytest.mark.parametrize(("load", "deadline"), [(0, 10), (3.9, 10), (4, 20), (7.9, 20), (8, 30), (99, 30)])
def test_a_host_whose_load_is_twice_its_two_cores_gets_twice_as_long(
    bench: Bench, load: float, deadline: int
) -> None:
    bench.look(100, busy=1, counter=7, load=load)
    assert bench.look(100 + deadline - 1, busy=1, counter=7, load=load) == "busy"
    assert bench.look(100 + deadline, busy=1, counter=7, load=load) == "hung"


def test_an_engine_that_answers_without_an_end_fills_no_disk_and_does_not_serve(tmp_path: Path) -> None:
    socket = tmp_path / "engine.sock"
    bench = Bench(tmp_path, PROBE.model_copy(update={"socket": str(socket)}))
    assert bench.look(100) == "ready"
    (tmp_path / "curl").unlink()
    with stand_in_engine(socket) as engine:
        engine.endless = True
        assert bench.look(110) == "hung"
    assert bench.told("reason") == "it has not answered for 10 s"
    assert Path(f"{bench.state}.metrics").stat().st_size <= MOST_BYTES


def test_what_the_probe_found_is_there_to_read_for_all_and_for_root_to_write(bench: Bench) -> None:
    bench.look(100, code=503)
    bench.look(102)
    found = {path.name: path.stat().st_mode & 0o777 for path in bench.folder.glob("state*")}
    assert found == dict.fromkeys(("state", "state.loading", "state.metrics", "state.unit"), 0o644)


def test_a_state_has_a_beginning_that_stays_until_the_next(bench: Bench) -> None:
    bench.look(100)
    since = int(bench.told("since"))
    assert abs(since - time.time()) < 3600
    bench.state.write_text(bench.state.read_text().replace(f"since={since}", "since=5"))
    bench.look(102)
    assert bench.told("since") == "5"
    bench.look(104, active="inactive")
    assert int(bench.told("since")) >= since


@pytest.mark.parametrize(("unseen", "state"), [(59, "hung"), (60, "loading")])
def test_a_load_that_nobody_looked_at_for_a_minute_has_its_time_anew(tmp_path: Path, unseen: int, state: str) -> None:
    bench = Bench(tmp_path, PROBE.model_copy(update={"stall_seconds": 100}))
    assert [bench.look(at, code=503) for at in (100, 150)] == ["loading"] * 2
    assert bench.look(150 + unseen, code=503) == state


@pytest.mark.parametrize(("age", "state"), [(20, "ready"), (40, "faulted")])
@pytest.mark.parametrize(
    "stepped", [None, 0, 3600, -3600], ids=["older group", "", "clock went back", "clock went on"]
)
def test_a_replica_group_that_is_not_renewed_takes_its_replica_out(
    bench: Bench, age: int, state: str, stepped: int | None
) -> None:
    """Also if the clock was set since; for a file that an older group wrote, the file's own time counts."""
    bench.bind()
    bound(bench, "", spare=0)
    file = bench.folder / "group"
    if stepped is not None:
        file.write_text(f"{file.read_text()}looked={100 - age}\n")
    then = time.time() - age + (stepped or 0)
    os.utime(file, (then, then))
    assert bench.look(100) == state
    if state == "faulted":
        assert bench.told("reason") == "its other members are not being checked"


def test_a_replica_group_that_never_looked_takes_its_replica_out(bench: Bench) -> None:
    bench.bind()
    assert bench.look(100) == "faulted"
    assert bench.told("reason") == "its other members are not being checked"


def test_a_host_without_known_cards_or_faults_has_none_that_count(bench: Bench) -> None:
    bench.gpus("GPU-a")
    assert bench.look(100) == "ready"
    bench.fault(MMU_FAULT)
    (bench.folder / "faults/gpus").unlink()
    assert bench.look(121) == "ready"
    assert bench.look(123, active="failed") == "faulted"


def test_the_units_look_at_once_and_every_two_seconds_and_answer_on_loopback_alone() -> None:
    script = "/etc/rackwright/assistant@1"
    service = units.service(PROBE).splitlines()
    assert {
        "Type=oneshot",
        f"ExecStart=/bin/sh {script}.probe",
        "SupplementaryGroups=rackwright",
        "RuntimeDirectory=rackwright-state",
        "RuntimeDirectoryPreserve=yes",
        # Three deadlines on an overloaded host, and some time for metrics.
        "TimeoutStartSec=50",
        "ReadWritePaths=/var/lib/rackwright",
    } <= {*service}
    assert {"OnActiveSec=0", "OnUnitInactiveSec=2s", "AccuracySec=100ms"} <= {*units.timer(PROBE).splitlines()}
    asked = {"ListenStream=127.0.0.1:18100", "Accept=yes", "MaxConnections=16", "TriggerLimitIntervalSec=0"}
    assert asked <= {*units.agent_socket(PROBE).splitlines()}
    answers = {f"ExecStart=/bin/sh {script}.agent", "StandardInput=socket", "StandardOutput=socket"}
    assert answers <= {*units.agent(PROBE).splitlines()}


def test_a_look_that_begins_now_is_the_second_of_two_starts() -> None:
    unit = "rackwright-assistant-1.probe.service"
    state = "/run/rackwright-state/assistant@1"
    assert look_command(PROBE) == f"systemctl start -- {unit}; systemctl start -- {unit}; cat -- {state}"
    assert state_of("seen=ready\nstate=faulted\nreason=a=b\n") == "faulted"
    assert state_of("") == "unknown"
