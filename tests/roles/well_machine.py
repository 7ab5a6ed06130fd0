"""A machine on which the script of roles/patch/well.py runs, with stand-ins for the programs that it asks.

Their outputs have the layout of real ones: systemd 257, util-linux 2.41 and nftables 1.1.3 of Debian 13; those of
NVIDIA's programs are written (see tests/hardware/written).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from rackwright.roles.patch.well import parse_well, script
from tests.hardware.outputs import output
from tests.stand_in_gpu import nvidia_smi

VERSION = "550.163.01"
UNITS = """\
Type=notify
Id=ssh.service
RequiredBy=
WantedBy=multi-user.target
ActiveState=active
SubState=running

Type=notify
Id=rackwright-gateway.service
WantedBy=multi-user.target
RequiredBy=
ActiveState=active
SubState=running

Type=dbus
Id=polkit.service
RequiredBy=
WantedBy=
ActiveState=active
SubState=running

Type=notify-reload
Id=user@0.service
RequiredBy=session-1.scope
WantedBy=
ActiveState=active
SubState=running

Type=idle
Id=getty@tty1.service
RequiredBy=
WantedBy=getty.target
ActiveState=active
SubState=running

Type=exec
Id=rackwright-tiny@1.service
RequiredBy=
WantedBy=multi-user.target
ActiveState=active
SubState=running

Id=rackwright-tiny-1.probe.timer
RequiredBy=
WantedBy=timers.target
ActiveState=active
SubState=waiting

Id=rackwright-tiny-1.agent.socket
RequiredBy=
WantedBy=sockets.target
ActiveState=active
SubState=listening

Id=rackwright-backup@disk.timer
RequiredBy=
WantedBy=timers.target
ActiveState=active
SubState=waiting

Id=apt-daily.timer
RequiredBy=
WantedBy=timers.target
ActiveState=active
SubState=waiting

Type=oneshot
Id=systemd-sysctl.service
RequiredBy=
WantedBy=sysinit.target
ActiveState=active
SubState=running

Type=oneshot
Id=rackwright-gpus.service
RequiredBy=
WantedBy=multi-user.target
ActiveState=failed
SubState=failed

Type=simple
Id=mcelog.service
RequiredBy=
WantedBy=multi-user.target
ActiveState=inactive
SubState=dead

Id=small-off.timer
RequiredBy=
WantedBy=timers.target
ActiveState=inactive
SubState=dead

Type=simple
Id=run-r1.service
RequiredBy=
WantedBy=
ActiveState=failed
SubState=failed

Id=dbus.socket
RequiredBy=dbus.service
WantedBy=
ActiveState=active
SubState=running
"""
MOUNTS = r"""/ ext4
/srv/models xfs
/srv/on\x20demand nfs4
/data\x20one nfs4
/snap/core/1 squashfs
/var/lib/containers/storage ext4
/media/usb vfat
"""
RULES = """\
table inet mine {
    set seen {
        type ipv4_addr
        size 65535
        flags dynamic,timeout
        timeout 1h
        elements = { 10.0.0.1,
                 10.0.0.2 }
    }

    set fixed {
        type inet_service
        elements = { 22, 443, 8080, 8081, 8082,
                 8083 }
    }

    chain DOCKER {
        counter accept
    }

    chain DOCKER-USER {
        counter drop
    }

    chain f2b-sshd {
        ip saddr 192.0.2.7 reject with icmp port-unreachable
    }

    chain input {
        type filter hook input priority filter; policy accept;
        tcp dport 22 counter jump f2b-sshd
        tcp dport @fixed counter accept
        add @seen { ip saddr }
        jump DOCKER-USER
    }
}
""".replace("    ", "\t")
LOG = """\
[   17.000100] gpu1 kernel: NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64
[   93.027938] gpu1 kernel: NVRM: Xid (PCI:0000:43:00): 31, pid=1234, name=python3, Ch 00000008
[  193.500000] gpu1 kernel: NVRM: Xid (PCI:0000:43:00): 31, pid=1234, name=python3, Ch 00000009
[86500.250000] gpu1 kernel: NVRM: Xid (PCI:0000:CB:00): 79, GPU has fallen off the bus.
"""


class Machine:
    """The script with stand-ins for the programs that it asks, each of which prints what was recorded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "rules").write_text(RULES)
        for name in ("nvidia-ml", "cuda"):
            (folder / f"lib{name}.so.{VERSION}").touch()
            (folder / f"lib{name}.so.1").symlink_to(f"lib{name}.so.{VERSION}")
        (folder / "compat").mkdir()
        (folder / "compat/libcuda.so.1").symlink_to("libcuda.so.999.1")
        (folder / "version").write_text(f"{VERSION}\n")
        self.prints("systemctl", UNITS, '[ "$1" = show ] || exit 0')
        self.prints("findmnt", MOUNTS, r"case $* in *autofs*) echo '/srv/on\x20demand'; exit;; esac")
        self.does(
            "nft",
            "case $* in 'list tables') printf 'table %s\\n' 'inet mine' 'inet f2b-table' 'ip rackwright_left';;"
            f" '-sp list table inet mine') cat {folder}/rules;; *) exit 1;; esac",
        )
        self.does("systemd-detect-virt", "exit 1")
        self.prints("timedatectl", "yes\n")
        self.does(
            "ldconfig",
            f"for f in {folder}/libnvidia-ml.so.1 {folder}/libcuda.so.1 {folder}/compat/libcuda.so.1; do"
            " printf '\\t%s (libc6,x86-64) => %s\\n' ${f##*/} $f; done",
        )
        self.prints("nv-fabricmanager", f"Fabric Manager version is : {VERSION}\n")
        self.prints("journalctl", LOG)
        self.does("nvidia-smi", nvidia_smi(output("h100.xml")))

    def prints(self, program: str, text: str, first: str = "") -> None:
        (self.folder / f"{program}.out").write_text(text)
        self.does(program, f"{first}\ncat {self.folder}/{program}.out")

    def does(self, program: str, text: str) -> None:
        (self.folder / "bin" / program).write_text(f"#!/bin/sh\n{text}\n")
        (self.folder / "bin" / program).chmod(0o755)

    def says(self) -> str:
        text = script().replace("/sys/module/nvidia/version", str(self.folder / "version"))
        environment = os.environ | {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-s"], input=text, capture_output=True, text=True, check=True, env=environment
        ).stdout

    def facts(self, *kinds: str) -> list[str]:
        return [fact for fact in parse_well(self.says()).facts if fact.split(" ")[0] in kinds]
