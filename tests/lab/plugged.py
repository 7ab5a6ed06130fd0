"""Lab hosts with stand-ins for a machine's nvidia-smi and lspci."""

from __future__ import annotations

from rackwright.lab.hosts import Lab
from tests.hardware.outputs import output
from tests.stand_in_gpu import lspci, nvidia_smi


def plug_in(lab: Lab, host: str, machine: str) -> None:
    """Give the host the GPUs of a machine in tests.hardware.outputs, and a driver that answers."""
    answer_as(lab, host, output(f"{machine}.xml"))
    _put(lab, host, "lspci", lspci(output(f"{machine}-lspci.txt")))


def answer_as(lab: Lab, host: str, report: str) -> None:
    """Let nvidia-smi print this report."""
    _put(lab, host, "nvidia-smi", nvidia_smi(report))


def unplug_driver(lab: Lab, host: str) -> None:
    """Remove nvidia-smi; the GPUs are still there."""
    lab.exec(host, "rm -f /usr/local/bin/nvidia-smi")


def _put(lab: Lab, host: str, name: str, program: str) -> None:
    path = f"/usr/local/bin/{name}"
    lab.exec(host, f"cat >{path} && chmod 755 {path}", input=program)
