"""A real host answers COMMAND's questions: as it is, and with stand-ins for the programs of a GPU host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.hardware.findings import findings, no_driver
from rackwright.hardware.hardware import COMMAND, Hardware, parse_hardware
from rackwright.remote import Remote
from tests.hardware.outputs import hardware, output
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import operator
from tests.stand_in_gpu import lspci, nvidia_smi

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def host() -> Iterator[LabHost]:
    with fresh_lab("hardware", "gate1", "gpu1") as lab:
        yield LabHost(lab, lab.fleet(), "gpu1")


def asked(host: LabHost) -> Hardware:
    with Remote([host.target()]) as remote:
        answer = remote.run_on((host.name,), COMMAND)[host.name]
    assert not isinstance(answer, Exception), answer
    return parse_hardware(answer.stdout)


def put(host: LabHost, name: str, program: str) -> None:
    path = f"/usr/local/bin/{name}"
    host.lab.exec(host.name, f"cat >{path} && chmod 755 {path}", input=program)


def test_a_host_without_a_gpu_tells_what_it_is_and_nothing_of_gpus(host: LabHost) -> None:
    found = asked(host)
    assert found.kernel == host.tell("uname -r")
    assert found.system == "debian 13"
    assert found.architecture == host.tell("dpkg --print-architecture")
    assert found.memory == int(host.tell("awk '/^MemTotal/{print $2}' /proc/meminfo")) * 1024
    assert found.cpus == int(host.tell("nproc"))
    assert "/" in {mount for mount, _, _ in found.disks}
    assert host.tell("ls -d /sys/class/net/eth0") == "/sys/class/net/eth0"
    assert "eth0" in dict(found.links)
    assert (found.report, found.smi_error, found.xids, found.nvidia) == (None, None, (), ())
    assert no_driver(found) is None


def test_programs_of_a_gpu_host_are_found_and_read_over_ssh_and_sudo(host: LabHost) -> None:
    put(host, "nvidia-smi", nvidia_smi(output("h100.xml")))
    put(host, "lspci", lspci(output("h100-lspci.txt")))
    found = asked(host)
    assert found.report == hardware("h100").report
    assert (len(found.nvidia), len(found.nvswitches)) == (8, 4)
    assert "GPU 4: PCI Express has 8 of 16 lanes" in map(str, findings(found))

    put(host, "nvidia-smi", nvidia_smi(output("a100-mig.xml"), listing=output("a100-mig-list.txt")))
    assert asked(host).report == hardware("a100-mig").report

    put(host, "nvidia-smi", nvidia_smi(output("mismatch.txt"), code=18))
    problem = no_driver(asked(host))
    assert problem is not None
    assert "a reboot is pending" in problem.what


def test_check_and_status_show_them(host: LabHost, tmp_path: Path) -> None:
    put(host, "nvidia-smi", nvidia_smi(output("h100.xml")))
    rackwright = operator(tmp_path, host.fleet)
    checked = rackwright("check", "--json", check=None).json["conditions"]
    on_gpu1 = [(each["state"], each["found"]) for each in checked if (each["where"], each["what"]) == ("gpu1", "gpu")]
    assert on_gpu1[0] == ("ok", "8 x NVIDIA H100 80GB HBM3, 79.6 GiB")
    assert ("warning", "GPU 4: PCI Express has 8 of 16 lanes") in on_gpu1
    assert not [each for each in checked if each["where"] == "gate1" and each["what"] == "gpu"]

    shown = rackwright("status", check=None).out.splitlines()
    assert "driver gpu1: 550.163.01, CUDA 12.4" in shown
    assert "gpu gpu1/1: NVIDIA H100 80GB HBM3, 79.6 GiB (12.3 used), 31 °C, 72 of 700 W, ok" in shown
    gpus = rackwright("status", "--json", check=None).json["gpus"]
    assert [gpu["index"] for gpu in gpus] == list(range(8))
    assert gpus[4]["findings"][0]["what"] == "PCI Express has 8 of 16 lanes"
