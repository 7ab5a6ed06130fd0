"""An assessment of real hosts with simulated GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab import artefacts, fleet_file
from rackwright.lab.hosts import Lab
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator
from tests.lab.plugged import plug_in, unplug_driver

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("assess", "gate1", "gpu1") as lab:
        plug_in(lab, "gpu1", "blackwell")
        yield lab


@pytest.fixture
def operator(lab: Lab, tmp_path: Path) -> Operator:
    """An operator with a fleet file and no lock."""
    path = tmp_path / "test.yml"
    fleet_file.write(path, lab.fleet(), artefacts.ensure(lambda _: None))
    return Operator(path)


def test_hosts_are_assessed_without_a_lock_and_nothing_changes_on_them(lab: Lab, operator: Operator) -> None:
    lab.exec("gpu1", "touch /root/before; sleep 1")
    page = operator.path.with_name("page.html")
    with_driver = operator("assess", "--html", str(page))
    assert "2 x NVIDIA RTX PRO 6000 Blackwell Server Edition, 102.6 GB each" in with_driver.out
    assert "driver 580.95.05 is installed already" in with_driver.out
    assert with_driver.out.rstrip().endswith("2 hosts: 1 ready, 1 ready with warnings")
    assert "RTX PRO 6000" in page.read_text()
    assert lab.exec("gpu1", "find /etc /opt /usr /root /srv -xdev -newer /root/before").out == ""

    unplug_driver(lab, "gpu1")
    (host,) = operator("assess", "--json", "-l", "gpu1").json["hosts"]
    assert (host["verdict"], host["figures"]["gpus"], host["figures"]["gpu_memory"]) == (
        *("ready with warnings", 2, None),
    )
    assert 'driver: {branch: "580", modules: open}' in " ".join(one["next"] or "" for one in host["missing"])

    lab.kill("gate1")
    lost = operator("assess", "--json", check=3).json
    assert {host["host"]: host["verdict"] for host in lost["hosts"]}["gate1"] == "unreachable"


def test_a_host_that_is_in_no_fleet_file_is_assessed_by_its_address(lab: Lab, tmp_path: Path) -> None:
    fleet = lab.fleet()
    where = f"{fleet.user}@{fleet.hosts['gpu1']}"
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "config").write_text(f"Host *\n  IdentityFile {fleet.key}\n")

    def assess() -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "rackwright", "assess", "--host", where]
        environment = os.environ | {"HOME": str(tmp_path), "RACKWRIGHT_FLEET": str(tmp_path / "none.yml")}
        return subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)

    unknown = assess()
    assert unknown.returncode == 3
    assert f"next: ssh {where}" in unknown.stdout
    (ssh / "known_hosts").write_text(fleet.known_hosts.read_text())
    known = assess()
    assert known.returncode == 0, known.stdout + known.stderr
    assert "Blackwell" in known.stdout
