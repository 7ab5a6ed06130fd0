"""Engines get their own GPUs: simulated ones, behind real units. The tests build on one another."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rackwright.hardware.pci import address
from rackwright.lab.hosts import Lab
from tests.hardware.outputs import output
from tests.hardware.recorded import OFF_THE_BUS
from tests.lab import exposure
from tests.lab.engines import pid
from tests.lab.kernel_log import kernel_says, know_gpu
from tests.lab.operator import Operator, operator
from tests.lab.plugged import answer_as, plug_in, unplug_driver
from tests.lab.standard import standard_lab
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/hardware",
    "rackwright/lifecycle/gpus",
    "rackwright/operations/facts/found_driver.py",
    "rackwright/operations/facts/hardware.py",
    "roles/gpu_faults",
    "roles/nvidia_driver",
    "roles/replica",
)
ADDRESSES = tuple(address(pci) for pci in re.findall(r'<gpu id="([^"]*)"', output("blackwell.xml")))
FIRST, SECOND = re.findall(r"<uuid>(GPU-[^<]*)</uuid>", output("blackwell.xml"))
OTHER = "GPU-0a0a0a0a-1111-2222-3333-444444444444"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("gpus", "gate1", "gpu1", bare=("gpu1",)) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    """Two replicas with one GPU each, on a host with two GPUs whose driver doesn't answer yet."""
    plug_in(lab, "gpu1", "blackwell")
    unplug_driver(lab, "gpu1")
    site = operator(tmp_path_factory.mktemp("site"), lab.fleet())
    site.edit("replicas: 1, gpus: 0", "replicas: 2, gpus: 1")
    return site


def unit(number: int) -> str:
    return f"rackwright-assistant@{number}.service"


def gpus(lab: Lab, number: int) -> str:
    """Return what the engine's own environment says."""
    path = f"/proc/$(systemctl show -P MainPID {unit(number)})/environ"
    return lab.exec("gpu1", f"tr '\\0' '\\n' <{path} | sed -n 's/^CUDA_VISIBLE_DEVICES=//p'").out.strip()


def test_without_a_driver_engines_are_installed_and_wait(site: Operator, lab: Lab) -> None:
    said = site("apply", "--yes")
    assert "gpu1/assistant@1: waits for the driver: nvidia-smi is not there" in said.out + said.err
    assert lab.exec("gpu1", f"systemctl is-enabled {unit(1)}").out.strip() == "enabled"
    assert site("plan", "--json").json["deferred"] == [
        {"replica": f"gpu1/assistant@{number}", "why": "waits for the driver: nvidia-smi is not there"}
        for number in (1, 2)
    ]
    assert site.replicas()["gpu1/assistant@2"]["pending"] == "waits for the driver: nvidia-smi is not there"
    lab.exec("gpu1", f"systemctl start {unit(1)}")
    assert lab.exec("gpu1", f"systemctl is-active {unit(1)}", check=False).out.strip() == "inactive"


def test_each_engine_gets_a_gpu_of_its_own_and_keeps_it(site: Operator, lab: Lab) -> None:
    answer_as(lab, "gpu1", output("blackwell.xml"))
    assert site("apply", "--yes", "--json").json["failed"] == 0
    assert [gpus(lab, number) for number in (1, 2)] == [FIRST, SECOND]
    shown = lab.exec("gpu1", f"systemctl show -P Environment {unit(2)}; systemctl show -P LimitMEMLOCK {unit(2)}").out
    assert shown.splitlines() == [f"CUDA_VISIBLE_DEVICES={SECOND} CUDA_DEVICE_ORDER=PCI_BUS_ID", "infinity"]
    again = site("apply", "--yes", "--json").json
    assert (again["changed"], again["restarted"]) == (0, [])


def test_a_card_that_falls_off_the_bus_takes_its_replica_out_until_an_operator_starts_it(
    site: Operator, lab: Lab
) -> None:
    for pci, uuid in zip(ADDRESSES, (FIRST, SECOND), strict=True):
        know_gpu(lab, "gpu1", pci, uuid)
    before = pid(lab, "gpu1", unit(1))
    kernel_says(lab, "gpu1", OFF_THE_BUS.replace("0000:44:00", ADDRESSES[0].removesuffix(".0")))
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "no")
    faulted, other = (site.replicas()[f"gpu1/assistant@{number}"] for number in (1, 2))
    reason = f"Xid 79 of GPU {ADDRESSES[0]}, the GPU has fallen off the bus"
    assert (faulted["state"], faulted["reason"]) == ("faulted", reason)
    assert (other["state"], other["traffic"]) == ("ready", "yes")
    assert f"faulted: {reason}" in site("status", check=None).out
    assert pid(lab, "gpu1", unit(1)) == before
    # An engine that ends unexpectedly has the same GPU after systemd restarts it.
    lab.exec("gpu1", f"kill -KILL {before}")
    wait_until(lambda: pid(lab, "gpu1", unit(1)) not in ("0", before))
    assert site.replicas()["gpu1/assistant@1"]["state"] == "faulted"
    lab.exec("gpu1", f"systemctl restart {unit(1)}")
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "yes")


def test_an_engine_whose_work_a_card_broke_off_is_restarted_with_evidence(site: Operator, lab: Lab) -> None:
    before = pid(lab, "gpu1", unit(1))
    card = ADDRESSES[0].removesuffix(".0")
    kernel_says(lab, "gpu1", f"NVRM: Xid (PCI:{card}): 31, pid={before}, name=llama-server, Ch 00000008")
    wait_until(lambda: pid(lab, "gpu1", unit(1)) not in ("0", before))
    wait_until(lambda: site.replicas()["gpu1/assistant@1"]["traffic"] == "yes")
    told = lab.exec("gpu1", "cat /var/lib/rackwright/evidence/*/state").out
    assert f"reason=Xid 31 of GPU {ADDRESSES[0]}, a program used memory that isn't its own" in told
    assert exposure.measured(lab, "gpu1")["rackwright-gpu-faults"] <= exposure.LIMITS["rackwright-gpu-faults"]
    assert site("plan", "--check", "--json").json["changed"] == 0


def test_a_card_that_was_replaced_restarts_its_engine_alone(site: Operator, lab: Lab) -> None:
    before = pid(lab, "gpu1", unit(2))
    answer_as(lab, "gpu1", output("blackwell.xml").replace(FIRST, OTHER))
    assert site("plan", "--json").json["restarts"] == [
        {"replica": "gpu1/assistant@1", "why": f"its GPUs changed: {OTHER[:12]} instead of {FIRST[:12]}"}
    ]
    applied = site("apply", "--yes", "--json", timeout=600).json
    assert applied["restarted"] == ["gpu1/assistant@1"]
    assert [gpus(lab, number) for number in (1, 2)] == [OTHER, SECOND]
    assert pid(lab, "gpu1", unit(2)) == before


def test_a_replica_that_goes_leaves_its_gpu_to_the_one_that_stays(site: Operator, lab: Lab) -> None:
    site.edit("replicas: 2, gpus: 1", "replicas: 1, gpus: 2")
    site("apply", "--yes", "--allow-outage", timeout=600)
    assert gpus(lab, 1) == f"{OTHER},{SECOND}"
    assert not lab.exec("gpu1", f"ls -d /etc/systemd/system/{unit(2)}*", check=False).out


def test_a_new_replica_waits_for_the_gpu_that_an_engine_gives_up(site: Operator, lab: Lab) -> None:
    site.edit("replicas: 1, gpus: 2", "replicas: 2, gpus: 1")
    (waiting,) = site("plan", "--json").json["deferred"]
    assert waiting["replica"] == "gpu1/assistant@2"
    site("apply", "--yes", "--allow-outage", timeout=600)
    assert [gpus(lab, number) for number in (1, 2)] == [OTHER, SECOND]
    assert site("plan", "--check", "--json").json["changed"] == 0


def test_an_engine_that_needs_no_gpu_any_more_loses_its_drop_in(site: Operator, lab: Lab) -> None:
    site.edit("replicas: 2, gpus: 1", "replicas: 2, gpus: 0")
    site("apply", "--yes", timeout=600)
    assert [gpus(lab, number) for number in (1, 2)] == ["", ""]
    assert not lab.exec(
        "gpu1", "ls -d /etc/rackwright/gpu-faults* /etc/systemd/system/rackwright-gpu-*", check=False
    ).out
