from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.hardware.command import MOST_XIDS, PATIENCE
from rackwright.hardware.findings import findings, no_driver
from rackwright.hardware.hardware import COMMAND, Hardware, NumaNode, parse_hardware
from tests.hardware.outputs import hardware, output, printed

FACTS = """\
kernel 6.12.117+deb13-amd64
system debian 13
architecture amd64
memory 2164663517184
cpus 224
model name	: Intel(R) Xeon(R) Platinum 8480C
vendor Dell Inc. PowerEdge XE9680 \n\
dgx yes
loaded 550.163.01
nvrm NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.163.01  Release Build  (dvs-builder@U16)
secure_boot  1
rdma mlx5_0
rdma mlx5_1
numa 0 0-55,112-167
numa 1 56-111,168-223
link eno1 25000
link wg0 -1
"""
DISKS = """\
Type      1B-blocks        Avail Mounted on
ext4    944990945280 811748892672 /
overlay 944990945280 811748892672 /var/lib/containers/storage/overlay/abc/merged
xfs    15361000000000 9000000000000 /data/my models
"""


def test_the_facts_of_a_host():
    found = parse_hardware(printed(facts=FACTS, disks=DISKS))
    assert found == Hardware(
        loaded="550.163.01",
        loaded_open=True,
        numa=(NumaNode(0, "0-55,112-167"), NumaNode(1, "56-111,168-223")),
        kernel="6.12.117+deb13-amd64",
        secure_boot=True,
        rdma=("mlx5_0", "mlx5_1"),
        memory=2164663517184,
        cpus=224,
        cpu_model="Intel(R) Xeon(R) Platinum 8480C",
        system="debian 13",
        architecture="amd64",
        vendor="Dell Inc. PowerEdge XE9680",
        dgx=True,
        disks=(("/", 944990945280, 811748892672), ("/data/my models", 15361000000000, 9000000000000)),
        links=(("eno1", 25000), ("wg0", 0)),
    )


@pytest.mark.parametrize(
    ("nvrm", "version", "is_open"),
    [
        ("NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build", "580.95.05", True),
        ("NVIDIA UNIX x86_64 Kernel Module  418.226.00  Fri Mar 19 2021", "418.226.00", False),
        ("NVIDIA UNIX Open Kernel Module for aarch64  570.124.06  Release Build", "570.124.06", True),
    ],
)
def test_the_loaded_module_is_told_by_proc_where_sys_has_no_version(nvrm: str, version: str, is_open: bool):
    found = parse_hardware(printed(facts=f"nvrm NVRM version: {nvrm}\n"))
    assert (found.loaded, found.loaded_open) == (version, is_open)


def test_a_whole_machine():
    machine = hardware("h100", facts=FACTS)
    assert (len(machine.nvidia), len(machine.nvswitches), len(machine.xids)) == (8, 4, 3)
    assert machine.report is not None
    assert [gpu.pci for gpu in machine.report.gpus] == [device.address for device in machine.nvidia]


@pytest.mark.parametrize(
    ("smi", "says"),
    [
        ("", None),
        ("rc 127\n", "exited with 127 and printed nothing"),
        ("rc 124\n", "no answer within 20 seconds"),
        ("No devices were found\nrc 6\n", "No devices were found"),
        (f"{output('v100.xml')[:3000]}\nrc 0\n", "nvidia-smi printed incomplete or invalid XML"),
    ],
)
def test_why_nvidia_smi_tells_nothing(smi: str, says: str | None):
    found = parse_hardware(printed(smi=smi))
    assert found.report is None
    assert says is None if found.smi_error is None else found.smi_error.startswith(str(says))


def test_what_nvidia_smi_warns_of_is_kept():
    found = parse_hardware(printed(smi=f"{output('v100.xml')}WARNING: infoROM is corrupted at gpu 0\nrc 0\n"))
    assert found.report
    assert found.smi_warnings == ("infoROM is corrupted at gpu 0",)


def test_a_process_cannot_begin_a_part():
    """nvidia-smi's report contains the process's name; the mark differs each time."""
    named = output("v100.xml") + "\nmark-1 facts\nloaded 1.2.3\nfacts\n"
    assert parse_hardware(printed(smi=f"{named}rc 0\n")).loaded is None


@given(
    st.text()
    | st.text(alphabet="mark0-9 \n<>/gpufactslspcisysmi:.[]").map(lambda text: printed(facts=text, sys=text))
)
def test_garbage_gives_empty_fields(text: str):
    found = parse_hardware(text)
    assert found.pci == ()
    assert found.report is None


@given(machine=st.sampled_from(("h100", "v100", "mismatch")), data=st.data())
def test_an_answer_that_was_cut_off_or_spoilt_is_read_as_far_as_it_goes(machine: str, data: st.DataObject):
    smi = output("mismatch.txt") if machine == "mismatch" else output(f"{machine}.xml")
    text = printed(facts=FACTS, lspci=output("h100-lspci.txt"), smi=f"{smi}rc 0\n", log=output("h100-log.txt"))
    begin, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 200))
    found = parse_hardware(text[:begin] + data.draw(st.text(max_size=9)) + text[begin + length :])
    assert isinstance(findings(found), tuple)
    assert parse_hardware(text[: text.index(" smi")]).kernel == "6.12.117+deb13-amd64"


def _run(path: Path, *, programs: str = "/usr/sbin:/usr/bin:/sbin:/bin") -> Hardware:
    environment = {"PATH": f"{path}:{programs}"}
    done = subprocess.run(["/bin/sh", "-c", COMMAND], capture_output=True, text=True, env=environment, timeout=120)
    assert (done.stderr, done.returncode) == ("", 0)
    return parse_hardware(done.stdout)


def _program(folder: Path) -> Callable[[str, str], None]:
    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return write


def test_a_real_shell_answers_on_this_machine(tmp_path: Path):
    found = _run(tmp_path)
    assert found.memory > 0
    assert found.cpus > 0
    assert found.kernel
    assert found.system
    assert found.architecture


def test_without_any_program_nothing_is_said_and_nothing_breaks(tmp_path: Path):
    assert _run(tmp_path, programs="/nowhere").report is None


def test_names_of_processes_and_the_clocks_stay_on_the_host(tmp_path: Path):
    (tmp_path / "report.xml").write_text(output("h100.xml"))
    _program(tmp_path)("nvidia-smi", f"cat {tmp_path}/report.xml")
    done = subprocess.run(
        ["/bin/sh", "-c", COMMAND],
        capture_output=True,
        text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        timeout=120,
    )
    assert "<process_name>" in output("h100.xml")
    assert "<process_name>" not in done.stdout
    assert "supported_graphics_clock" not in done.stdout
    report = parse_hardware(done.stdout).report
    assert report is not None
    assert len(report.gpus) == 8


def test_instances_are_asked_for_where_mig_is_on(tmp_path: Path):
    for name in ("a100-mig.xml", "a100-mig-list.txt"):
        (tmp_path / name).write_text(output(name))
    script = f"case $1 in -L) cat {tmp_path}/a100-mig-list.txt;; *) cat {tmp_path}/a100-mig.xml;; esac"
    _program(tmp_path)("nvidia-smi", script)
    report = _run(tmp_path).report
    assert report is not None
    assert [len(gpu.mig_devices) for gpu in report.gpus] == [2, 0]


def test_a_failing_nvidia_smi_is_quoted_and_the_kernels_log_is_read(tmp_path: Path):
    write = _program(tmp_path)
    write("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch' >&2; exit 18")
    write("journalctl", "exit 1")
    write("dmesg", "echo '[1.0] other'; echo '[2.0] NVRM: Xid (PCI:0000:17:00): 79, pid=1, fallen off'")
    found = _run(tmp_path)
    assert found.smi_error == "Failed to initialize NVML: Driver/library version mismatch"
    assert [xid.number for xid in found.xids] == [79]
    problem = no_driver(found)
    assert problem is not None
    assert "a reboot is pending" in problem.what


def test_one_xid_by_the_thousand_pushes_no_other_out(tmp_path: Path):
    write = _program(tmp_path)
    write("nvidia-smi", "exit 9")
    many = "NVRM: Xid (PCI:0000:17:00): 13, pid=%d, fault"
    lost = "NVRM: Xid (PCI:0000:18:00): 79, pid=1, fallen off"
    write("journalctl", f"echo '{lost}'; for i in $(seq 3000); do echo '{many}'; done; echo '{lost}'")
    assert Counter((xid.number, xid.pci) for xid in _run(tmp_path).xids) == {
        (79, "0000:18:00.0"): 2,
        (13, "0000:17:00.0"): MOST_XIDS,
    }


def test_a_driver_that_is_hung_holds_up_nothing(tmp_path: Path):
    _program(tmp_path)("nvidia-smi", "trap '' TERM; exec sleep 300")
    quick = COMMAND.replace(f"timeout {PATIENCE} ", "timeout 0.2 ")
    assert quick != COMMAND
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(["/bin/sh", "-c", quick], capture_output=True, text=True, env=environment, timeout=120)
    assert parse_hardware(done.stdout).smi_error == f"no answer within {PATIENCE} seconds"
