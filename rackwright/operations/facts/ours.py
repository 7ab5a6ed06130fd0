"""Units, files and users that earlier runs left on the host."""

from __future__ import annotations

from pyinfra.api.facts import FactBase

from rackwright.launch import BUILDS


class _Names(FactBase[tuple[str, ...]]):
    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(sorted(output))


class OurUnits(_Names):
    """Return every unit file in /etc/systemd/system with a name like rackwright-*, and our mount."""

    def command(self) -> str:
        return (
            "find /etc/systemd/system -maxdepth 1 -type f -regextype posix-extended "
            "-regex '.*/(rackwright-[^/]*[.](service|timer|socket|path|target|slice)|run-rackwright[.]mount)' "
            "-printf '%f\\n'"
        )


class OurFiles(_Names):
    """Return probe scripts, folders of proxies, p2p, etcd, tool, capture, ledger, usage, files of certificates,
    backups, clouds, GPU faults, driver, boot.

    Other files there are always needed, or not ours. The tool's state stays: it may have signed reports.
    """

    def command(self) -> str:
        return (
            "find /etc/rackwright -maxdepth 2 -regextype posix-extended "
            "'(' -type f -regex '/etc/rackwright/[^/]+@[0-9]+[.](probe|loading|unfit|evidence|ended|pause|agent)' "
            "-o -type f -regex '/etc/rackwright/certificates/[^/]+[.](crt|key[.]cred)' "
            "-o -type f -regex '/etc/rackwright/(backup|tool|cloud)/[^/]+' "
            "-o -type d -regex '/etc/rackwright/(gateway|host-proxy|vip|backup|p2p|etcd|tool|capture|ledger|usage)' "
            "')' "
            "-print 2>/dev/null; "
            "ls -d /etc/rackwright/boot-guard /etc/rackwright/boot-kernel /etc/rackwright/gpus-ready "
            "/run/rackwright-tool "
            "/etc/rackwright/gpu-faults /etc/rackwright/gpu-faults.xids "
            "/etc/kernel/*.d/??-rackwright "
            "/etc/rackwright/one-boot /etc/rackwright/one-boot.menu /etc/rackwright/one-boot.arm "
            "/etc/default/grub.d/zzz-rackwright.cfg /etc/grub.d/01_rackwright "
            "/etc/systemd/system.conf.d/zz-rackwright.conf "
            "/etc/default/grub.d/zz-rackwright.cfg /etc/modprobe.d/rackwright-gpus.conf "
            "/etc/modules-load.d/rackwright-gpus.conf 2>/dev/null || true"
        )


class OurBuilds(_Names):
    """Return every folder of a build that the host keeps for its backups."""

    def command(self) -> str:
        return f"find {BUILDS} -mindepth 1 -maxdepth 1 -type d ! -name '.*' 2>/dev/null || true"


class OurTools(FactBase[tuple[str, ...]]):
    """Return every folder of a version of the tool, the last installed first, and what installations left."""

    def command(self) -> str:
        return (
            "find /opt/rackwright -mindepth 1 -maxdepth 1 -type d -name 'tool-*' -printf '%T@ %p\\n' 2>/dev/null"
            " | sort -rn | cut -d ' ' -f 2-"
        )

    @staticmethod
    def default() -> tuple[str, ...]:
        return ()

    def process(self, output: list[str]) -> tuple[str, ...]:
        return tuple(output)


class OurUsers(_Names):
    """Return every user named rw-* or rw_* whose comment says that we created it."""

    def command(self) -> str:
        return """getent passwd | awk -F: '$1 ~ /^rw[-_]/ && $5 ~ /^rackwright(,|$)/ { print $1 }'"""
