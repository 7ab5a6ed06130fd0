"""`apply --reboot` of hosts that serve: streams go on, each host reboots once, and another operator can end it.

The driver's packages and the kernel's side of it are stand-ins (tests/lab/loaded_module.py). Reboots, gateways and
clients are real. The tests build on one another.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import read_lock
from rackwright.lab.hosts import Lab
from tests.lab.access import accesses, lost_by
from tests.lab.load import Plan, loaded
from tests.lab.loaded_module import LoadedModules
from tests.lab.operator import Operator, operator, read_until
from tests.lab.paced import paced
from tests.lab.standard import standard_lab
from tests.stand_in_driver import FOLDER, Kernel
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/gpu.py",
    "rackwright/cli/rollout.py",
    "rackwright/gateway/leaving.py",
    "rackwright/gateway/leaving_scripts.py",
    "rackwright/lifecycle/apply/carry_out.py",
    "rackwright/lifecycle/apply/procedure.py",
    "rackwright/lifecycle/apply/reboot.py",
    "rackwright/lifecycle/drain/gateway_host.py",
    "rackwright/lifecycle/patch/host_change.py",
    "rackwright/lifecycle/patch/next_drivers.py",
    "rackwright/lifecycle/reboot",
    "rackwright/lifecycle/rollout",
    "rackwright/operations/driver.py",
    "rackwright/state/rollout.py",
    "roles/nvidia_driver",
)
GATEWAYS = ("gate1", "gate2")
SERVING = ("gpu1", "gpu2")
BOTH = "gate2"
"""A gateway that serves, too."""
DRIVEN = (*SERVING, BOTH)
VERSIONS = ("580.95.05", "580.105.08", "580.126.09", "580.159.03", "580.160.01", "580.161.02")
KERNEL = Kernel("6.12.1-lab")
PHASES = ["gate", "drain", "act", "prove", "commit", "undrain", "soak", "done"]
_SECTION = (
    f'driver: {{on: [{", ".join(DRIVEN)}], source: path, path: {FOLDER}, branch: "580", kernel: linux-image-lab}}\n'
)
_LIMIT = ("-l", SERVING[0], "-l", SERVING[1])


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("reboot", *GATEWAYS, *SERVING) as lab:
        yield lab


@pytest.fixture(scope="module")
def vip(lab: Lab) -> str:
    return str(lab.fleet().subnet[200])


@pytest.fixture(scope="module")
def modules(lab: Lab) -> LoadedModules:
    made = LoadedModules(lab, *DRIVEN)
    made.offer(VERSIONS[0], KERNEL)
    return made


@pytest.fixture(scope="module")
def site(lab: Lab, vip: str, modules: LoadedModules, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """A fleet whose hosts run the first driver; their engines need a loaded one."""
    folder = tmp_path_factory.mktemp("site") / "here"
    folder.mkdir()
    made = operator(folder, lab.fleet(), paced(folder / "paced", "load=1 pace=0.05"))
    text = made.path.read_text()
    text = text.replace("  on: [gate1]", f"  on: [{', '.join(GATEWAYS)}]\n  vip: {vip}")
    text = text.replace(f"on: [{', '.join(SERVING)}]", f"on: [{', '.join(DRIVEN)}]")
    text = text.replace("parallel: 2", "parallel: 64").replace("soak: 2s", "soak: 1s, start_timeout: 15s")
    made.path.write_text(f"{text}{_SECTION}patch: {{}}\n")
    made("lock")
    made("apply", "--yes", "--allow-outage")
    modules.load()
    for host in DRIVEN:
        modules.needed(f"{host}/rackwright-assistant@1")
    return made


def renewed(site: Operator, modules: LoadedModules, version: str) -> None:
    """Let the next apply bring this driver."""
    modules.offer(version, KERNEL)
    site("lock", "--upgrade")


def journal(lab: Lab) -> list[dict[str, Any]]:
    """Return the lines of the last rollout, as its control host has them."""
    kept = lab.exec("gate1", "cat /var/lib/rackwright/control/journal").out
    lines = [json.loads(line) for line in kept.splitlines()]
    return [line for line in lines if line["rollout"] == lines[-1]["rollout"]]


def phases(lab: Lab, host: str) -> list[str]:
    return [line["phase"] for line in journal(lab) if line["subject"] == host]


def drained(site: Operator) -> list[str]:
    return [name for name, state in site.replicas().items() if state["traffic"] != "yes"]


def holders(lab: Lab, vip: str) -> list[str]:
    shown = f"ip -o addr show to {vip} | grep -v ': lo '"
    return [name for name in GATEWAYS if lab.exec(name, shown, check=False).out.strip()]


@pytest.fixture
def plan(site: Operator, vip: str, tmp_path: Path) -> Plan:
    added = site("key", "add", "load", "--owner", "tests", "--concurrency", "unlimited", "--json").json
    return Plan(
        gateways=(vip,),
        ca=str(site.path.with_name("test.ca.crt")),
        key=added["key"],
        samples=str(tmp_path / "samples.jsonl"),
        rate=8,
        rhythm="lcslc",
    )


def test_every_host_reboots_once_and_no_request_is_lost(
    site: Operator, lab: Lab, vip: str, modules: LoadedModules, plan: Plan
) -> None:
    """Clients have the address of the gateway that reboots."""
    renewed(site, modules, VERSIONS[1])
    before = {host: modules.boots(host) for host in DRIVEN}
    lab.exec("gate1", "systemctl stop rackwright-vip")
    wait_until(lambda: holders(lab, vip) == [BOTH])
    lab.exec("gate1", "systemctl start rackwright-vip")
    with loaded(plan) as load:
        site("apply", "--reboot", "--yes", timeout=500)
        counted = load.stop()
    assert counted.failures == {}
    assert counted.whole == counted.asked >= 200
    lost = lost_by(accesses(lab, GATEWAYS, "load"), load.samples)
    # A container keeps its journal in memory: what the gateway logged before its reboot is gone.
    assert [line for line in lost if not line.startswith("not in the log")] == []
    assert {host: modules.boots(host) - before[host] for host in DRIVEN} == dict.fromkeys(DRIVEN, 1)
    assert {modules.loaded(host) for host in DRIVEN} == {VERSIONS[1]}
    assert {host: phases(lab, host) for host in DRIVEN} == dict.fromkeys(DRIVEN, PHASES)
    assert [line["event"] for line in journal(lab)][:: len(journal(lab)) - 1] == ["opened", "closed"]
    assert "no rollout is open" in site("rollout", "status").out
    assert holders(lab, vip) == ["gate1"]
    assert drained(site) == []


def test_a_killed_reboot_is_ended_by_another_operator_without_a_second_one(
    site: Operator, lab: Lab, modules: LoadedModules, tmp_path: Path
) -> None:
    renewed(site, modules, VERSIONS[2])
    before = modules.boots("gpu1")
    modules.hold("gpu1")
    applying = site.start("apply", "--reboot", "--yes", "-l", "gpu1")
    read_until(applying, "gpu1  rebooting: ")
    wait_until(lambda: modules.boots("gpu1") == before + 1, 120)
    applying.kill()
    applying.wait()
    site("lease", "break", "--yes", "--reason", "its machine lost power")
    shown = site("rollout", "status").out
    assert "gpu1  act: " in shown
    assert "is open: apply --reboot" in site("apply", "--yes", check=11).err
    other = elsewhere(site, tmp_path)
    assert "gpu1: unreachable" in other("rollout", "resume", "--yes", check=1).err
    modules.release("gpu1")
    lab.wait("gpu1")
    other("rollout", "resume", "--yes")
    assert (modules.boots("gpu1"), modules.loaded("gpu1")) == (before + 1, VERSIONS[2])
    assert "no rollout is open" in site("rollout", "status").out
    assert drained(site) == []


def elsewhere(site: Operator, folder: Path) -> Operator:
    """Return an operator on another machine, with what git has of the fleet's folder."""
    return Operator(Path(shutil.copytree(site.path.parent, folder / "elsewhere")) / site.path.name)


def test_a_host_whose_driver_does_not_come_up_stays_drained_and_is_the_last_one(
    site: Operator, lab: Lab, modules: LoadedModules
) -> None:
    renewed(site, modules, VERSIONS[3])
    before = {host: modules.boots(host) for host in SERVING}
    modules.spoil("gpu1")
    failed = site("apply", "--reboot", "--yes", *_LIMIT, check=12).err
    assert f"gpu1: was rebooted, but {VERSIONS[3]} is installed, no module runs" in failed
    assert "stays drained" in failed
    assert {host: modules.boots(host) - before[host] for host in SERVING} == {"gpu1": 1, "gpu2": 0}
    assert "gpu1/assistant@1" in drained(site)
    ends_when_it_answers_again(site, lab, modules)
    assert modules.boots("gpu2") == before["gpu2"]


def ends_when_it_answers_again(site: Operator, lab: Lab, modules: LoadedModules) -> None:
    assert "stays open" in site("rollout", "abort", "--yes", check=12).err
    modules.mend("gpu1")
    lab.exec("gpu1", "systemctl start rackwright-assistant@1")
    site("rollout", "abort", "--yes")
    assert "no rollout is open" in site("rollout", "status").out
    assert drained(site) == []


# The driver of the next lock, in a patch run.


def test_a_patch_run_brings_the_driver_of_the_next_lock_and_promotes_it(
    site: Operator, lab: Lab, modules: LoadedModules
) -> None:
    modules.offer(VERSIONS[4], KERNEL)
    before = modules.boots("gpu1")
    said = site("patch", "run", "--yes", "-l", "gpu1", timeout=500)
    assert "patched: gpu1" in said.out
    assert (modules.boots("gpu1"), modules.loaded("gpu1")) == (before + 1, VERSIONS[4])
    drivers = {one.version: set(one.hosts) for one in locked(site).drivers.values()}
    assert drivers == {VERSIONS[3]: {"gpu2", BOTH}, VERSIONS[4]: {"gpu1"}}
    assert not site.path.with_suffix(".lock.next").exists()
    assert site("plan", "--check", "-l", "gpu1").code == 0
    reported = {host["host"]: host for host in site("patch", "report", "--json").json["hosts"]}
    assert reported["gpu1"]["driver"] == {"before": VERSIONS[3], "after": VERSIONS[4]}
    assert drained(site) == []


def locked(site: Operator) -> Lock:
    return read_lock(site.path.with_suffix(".lock"))


def test_a_driver_that_is_not_loaded_is_reverted_and_the_lock_stays(
    site: Operator, lab: Lab, modules: LoadedModules
) -> None:
    modules.offer(VERSIONS[5], KERNEL)
    before, lock = modules.boots("gpu1"), locked(site)
    modules.spoil("gpu1", VERSIONS[5])
    failed = site("patch", "run", "--yes", "-l", "gpu1", check=12, timeout=500).err
    assert f"{VERSIONS[5]} is installed, no module runs" in failed
    assert "it was reverted, and its engines answer" in failed
    assert (modules.boots("gpu1"), modules.loaded("gpu1")) == (before + 2, VERSIONS[4])
    assert locked(site) == lock
    assert site("plan", "--check", "-l", "gpu1").code == 0
    assert drained(site) == []
