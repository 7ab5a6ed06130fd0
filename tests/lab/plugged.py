"""Stand-ins of GPUs on lab hosts: nvidia-smi and lspci that print what is recorded of a machine."""

from __future__ import annotations

from shlex import quote

from rackwright.lab.hosts import Lab
from tests.hardware.recorded_text import recorded

_SMI = """\
#!/bin/sh
[ "$*" = "-q -x" ] || { echo "not played: $*" >&2; exit 2; }
cat /opt/stand-in/smi.xml
"""
_LSPCI = """\
#!/bin/sh
cat /opt/stand-in/lspci.txt
"""


def plug_in(lab: Lab, host: str, machine: str) -> None:
    """The host has the GPUs of a recorded machine, and a driver that answers."""
    answer_as(lab, host, recorded(f"{machine}.xml"))
    write(lab, host, "/opt/stand-in/lspci.txt", recorded(f"{machine}-lspci.txt"))
    write(lab, host, "/usr/local/bin/lspci", _LSPCI, mode="0755")


def answer_as(lab: Lab, host: str, xml: str) -> None:
    """nvidia-smi prints this."""
    write(lab, host, "/opt/stand-in/smi.xml", xml)
    write(lab, host, "/usr/local/bin/nvidia-smi", _SMI, mode="0755")


def unplug_driver(lab: Lab, host: str) -> None:
    """nvidia-smi is gone, the GPUs are still there."""
    lab.exec(host, "rm -f /usr/local/bin/nvidia-smi")


def write(lab: Lab, host: str, path: str, text: str, *, mode: str = "0644") -> None:
    folder = path.rpartition("/")[0]
    command = f"mkdir -p {quote(folder)} && cat >{quote(path)} && chmod {mode} {quote(path)}"
    lab.exec(host, command, input=text)
