"""Five states of a vLLM replica, on a lab host and seen by a gateway. Each test builds on the last."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from rackwright.hardware.pci import address
from rackwright.lab import vllm
from rackwright.lab.hosts import Lab
from tests.hardware.outputs import output
from tests.hardware.recorded import OFF_THE_BUS
from tests.heavy.vllm_fleet import runtime, vllm_lab, vllm_operator
from tests.lab.kernel_log import kernel_says, know_gpu
from tests.lab.operator import Operator
from tests.lab.patience import until_out
from tests.lab.plugged import plug_in
from tests.waiting import wait_until

pytestmark = pytest.mark.heavy
COVERS = (
    "rackwright/gateway/server_states.py",
    "rackwright/lifecycle/check/requirements.py",
    "rackwright/lifecycle/check/gpus.py",
    "rackwright/lifecycle/status",
    "roles/gpu_faults",
    "roles/probe",
    "roles/replica",
    "roles/vllm",
)
UNIT = "rackwright-assistant@1.service"
SOCKET = "/run/rackwright/assistant@1/engine.sock"
MINUTES = 2
"""How long it stays busy. Its deadline is 10 s, and three times that on an overloaded host."""
LOAD = 600
"""The longest time that vLLM may take to load here, in seconds."""
# The CPU build behind a unit with an assigned GPU, which it ignores.
_MODEL = """\
  assistant:
    source: "file:{folder}"
    runtime: {runtime}
    place: [{{on: gpu1, replicas: 1, gpus: 1}}]
    names: [assistant]
    context: 1024"""
_ON_CPU = ", gpu_memory_utilization: 0.1, args: {enforce-eager: true, max-num-batched-tokens: 256}"
_ASK = (
    f"curl -s -o /dev/null --unix-socket {SOCKET} -H 'Content-Type: application/json' "
    """-d '{"model":"assistant","prompt":"Once","max_tokens":900,"ignore_eos":true}' http://e/v1/completions"""
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with vllm_lab("vllm-states", "gate1", "gpu1") as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    plug_in(lab, "gpu1", "blackwell")
    model = _MODEL.format(folder=vllm.ensure(lambda _: None).model, runtime=runtime(_ON_CPU))
    site = vllm_operator(tmp_path_factory.mktemp("site"), lab.fleet(), model)
    site("apply", "--yes", timeout=1800)
    return site


def replica(site: Operator) -> dict[str, Any]:
    return site.replicas()["gpu1/assistant@1"]


def served(site: Operator) -> bool:
    return bool(replica(site)["traffic"] == "yes")


def shown(lab: Lab, name: str) -> str:
    return lab.exec("gpu1", f"systemctl show -P {name} {UNIT}").out.strip()


def core(lab: Lab) -> str:
    """Return the id of the process that computes; the main process only serves."""
    return lab.exec("gpu1", "pgrep -f '^VLLM::EngineCore'").out.strip()


def evidence(lab: Lab) -> list[str]:
    return lab.exec("gpu1", "ls /var/lib/rackwright/evidence 2>/dev/null || true").out.splitlines()


def test_a_load_longer_than_any_deadline_is_loading_until_it_is_ready(site: Operator, lab: Lab) -> None:
    lab.exec("gpu1", f"systemctl restart {UNIT}")
    pid = shown(lab, "MainPID")
    wait_until(lambda: replica(site)["state"] == "loading")
    seen = []

    def is_ready() -> bool:
        found = replica(site)
        seen.append((found["state"], found["traffic"]))
        return bool(found["state"] == "ready")

    wait_until(is_ready, LOAD)
    assert {name for name, _ in seen[:-1]} == {"loading"}
    assert ("loading", "no") in seen
    wait_until(lambda: served(site))
    assert (shown(lab, "MainPID"), shown(lab, "NRestarts"), evidence(lab)) == (pid, "0", [])


def test_a_saturated_engine_is_busy_for_minutes_and_left_alone(site: Operator, lab: Lab) -> None:
    pid = shown(lab, "MainPID")
    asks = [f"ask-{number}" for number in range(60)]
    for ask in asks:
        lab.exec("gpu1", f"systemd-run -q --collect --unit={ask} -p SupplementaryGroups=rackwright {_ASK}")
    wait_until(lambda: replica(site)["state"] == "busy")
    end = time.monotonic() + 60 * MINUTES
    while (state := replica(site))["state"] == "busy" and time.monotonic() < end:
        assert state["traffic"] == "yes"
    assert state["state"] == "busy", "hung, or the work ended too early"
    assert (shown(lab, "MainPID"), evidence(lab)) == (pid, [])
    lab.exec("gpu1", f"systemctl stop {' '.join(asks)} 2>/dev/null || true")
    wait_until(lambda: replica(site)["state"] == "ready")


def test_an_engine_that_hangs_behind_a_healthy_server_is_out_and_started_once(site: Operator, lab: Lab) -> None:
    before = shown(lab, "MainPID")
    lab.exec("gpu1", f"kill -STOP {core(lab)}")
    health = f"curl -s -o /dev/null -w '%{{http_code}}' --unix-socket {SOCKET} http://e/health"
    assert lab.exec("gpu1", health).out == "200"
    wait_until(lambda: not served(site), until_out(lab, "gpu1"))
    wait_until(lambda: shown(lab, "MainPID") not in ("0", before))
    wait_until(lambda: served(site), LOAD)
    assert shown(lab, "NRestarts") == "1"
    (kept,) = evidence(lab)
    threads = lab.exec("gpu1", f"cat /var/lib/rackwright/evidence/{kept}/threads").out
    stopped = [part.splitlines()[0] for part in threads.split("\n= ") if "State:\tT" in part]
    assert stopped, threads[:2000]
    assert all("EngineCore" in process for process in stopped)
    assert "vllm.entrypoints.cli.main serve" in threads


def test_a_killed_engine_takes_its_server_along_and_comes_back_whole(site: Operator, lab: Lab) -> None:
    before, kept = shown(lab, "MainPID"), evidence(lab)
    lab.exec("gpu1", f"kill -KILL {core(lab)}")
    wait_until(lambda: not served(site), 30)
    wait_until(lambda: shown(lab, "MainPID") not in ("0", before))
    wait_until(lambda: served(site), LOAD)
    assert evidence(lab) == kept


def test_a_recorded_xid_faults_it_and_a_restart_by_hand_brings_it_back(site: Operator, lab: Lab) -> None:
    uuid = lab.exec(
        "gpu1", "sed -n 's/^Environment=CUDA_VISIBLE_DEVICES=//p' /etc/systemd/system/rackwright-*.d/gpus.conf"
    )
    (pci, *_) = (address(part.split('"')[0]) for part in output("blackwell.xml").split('<gpu id="')[1:])
    know_gpu(lab, "gpu1", pci, uuid.out.strip())
    before, kept = shown(lab, "MainPID"), evidence(lab)
    kernel_says(lab, "gpu1", OFF_THE_BUS.replace("0000:44:00", pci.removesuffix(".0")))
    wait_until(lambda: not served(site), 30)
    found = replica(site)
    assert (found["state"], found["reason"]) == ("faulted", f"Xid 79 of GPU {pci}, the GPU has fallen off the bus")
    assert (shown(lab, "MainPID"), evidence(lab)) == (before, kept)
    site("restart", "gpu1/assistant@1", "--yes", "--allow-outage", timeout=LOAD)
    assert replica(site)["traffic"] == "yes"
