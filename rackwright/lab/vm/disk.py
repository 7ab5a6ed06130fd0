"""The disk that every virtual machine starts from, cached by the digest of its recipe."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import apt, paths
from rackwright.lab.bootstrap import Recipe, bootstrap
from rackwright.lab.vm import qemu

_GIB = 16
"""Size of the disk. The file is sparse, so unwritten parts use no space."""
_START = 2048
"""First sector of the only partition, at 1 MiB, to leave room for GRUB."""
_FINISH_SECONDS = 900
_LINE = "console=ttyS0 quiet mitigations=off"
"""The kernel's command line. Mitigations are slow in an emulator, and there is nothing to protect."""
_FINISHED = "rackwright: finished"
_PACKAGES = (
    "apparmor,apt-utils,ca-certificates,curl,dbus,dkms,gcc,grub-pc,iproute2,iputils-ping,kmod,libpam-systemd,"
    "linux-headers-cloud-amd64,linux-image-cloud-amd64,make,nftables,openssh-server,procps,python3-minimal,sudo,systemd,systemd-sysv,udev"
)
_SETUP = """\
set -eu
rm -f /etc/ssh/ssh_host_* /etc/machine-id /etc/hostname
touch /etc/machine-id
useradd --create-home --shell /bin/bash ops
install -d -m 0700 -o ops -g ops /home/ops/.ssh
update-ca-certificates >/dev/null
systemctl enable --quiet systemd-networkd.service
# Nothing else may take apt's lock, or time.
systemctl disable --quiet apt-daily.timer apt-daily-upgrade.timer
echo 'grub-pc grub-pc/install_devices multiselect /dev/vda' | debconf-set-selections
chmod 0755 /usr/local/sbin/finish-disk
"""
# Runs once, on the machine's own kernel: GRUB inspects the disk that it is installed on.
_FINISH = f"""\
#!/bin/sh
set -eu
grub-install --target=i386-pc /dev/vda
update-grub
rm /usr/local/sbin/finish-disk /etc/machine-id
touch /etc/machine-id
rm -rf /var/log/journal/* /var/lib/systemd/random-seed
echo '{_FINISHED}' > /dev/ttyS0
"""
_FILES = {
    "etc/apt/apt.conf.d/50lab": 'Acquire::Languages "none";\n',
    "etc/default/grub.d/lab.cfg": (
        f'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="{_LINE}"\nGRUB_CMDLINE_LINUX_DEFAULT=\n'
        'GRUB_TERMINAL=serial\nGRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n'
    ),
    "etc/resolv.conf": f"nameserver {qemu.RESOLVER}\n",
    "etc/sudoers.d/ops": "ops ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "etc/systemd/network/lab.network": "[Match]\nType=ether\n[Network]\nDHCP=ipv4\n",
    "usr/local/sbin/finish-disk": _FINISH,
}


def current() -> Recipe:
    """Return the recipe, with this machine's apt settings and extra CAs."""
    return Recipe(apt.sources(), apt.own_settings(), apt.cas(), _PACKAGES, _SETUP, _FILES)


def ensure(say: Callable[[str], None]) -> Path:
    """Ensure that the cache has the disk of the current recipe, and return its path. Never write to it."""
    recipe = current()
    path = paths.cache() / "vm" / f"disk-{recipe.digest}.raw"
    with paths.locked("disk"):
        if not path.exists():
            say(f"building the machine's disk {recipe.digest} (a minute or two, once)")
            path.parent.mkdir(parents=True, exist_ok=True)
            with paths.scratch("disk") as folder:
                _build(recipe, folder).replace(path)
    return path


def overlay(disk: Path, path: Path) -> None:
    """Create a fresh disk at `path`, based on `disk`. Writes to it don't change `disk`."""
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(path))


def _build(recipe: Recipe, folder: Path) -> Path:
    root, disk = folder / "root", folder / "disk.raw"
    bootstrap(recipe, folder, root)
    file_system = str(uuid.uuid5(uuid.NAMESPACE_URL, recipe.digest))
    (root / "etc/fstab").write_text(f"UUID={file_system} / ext4 errors=remount-ro 0 1\n")
    kernel = qemu.Kernel(
        next(root.glob("boot/vmlinuz-*")),
        next(root.glob("boot/initrd.img-*")),
        f"root=/dev/vda1 {_LINE} systemd.run=/usr/local/sbin/finish-disk",
    )
    with disk.open("wb") as file:
        file.truncate(_GIB << 30)
    _run("sfdisk", "--quiet", str(disk), input=f"label: dos\nstart={_START}, type=83, bootable\n")
    size = ((_GIB << 30) - _START * 512) // 1024
    _run(
        *("mke2fs", "-q", "-F", "-t", "ext4", "-U", file_system, "-d", str(root)),
        *("-E", f"offset={_START * 512}", str(disk), f"{size}k"),
    )
    _finish(disk, kernel, folder / "console.log")
    return disk


def _finish(disk: Path, kernel: qemu.Kernel, console: Path) -> None:
    """Install GRUB on the disk, by booting it once."""
    machine = qemu.Machine(disk=disk, format="raw", console=console, kernel=kernel)
    process = qemu.start(machine)
    if not qemu.ended(process, _FINISH_SECONDS) or _FINISHED not in console.read_text(errors="replace"):
        qemu.stop(process)
        raise RackwrightError(f"the disk's first boot failed:\n{qemu.tail(console)}", where="lab")


def _run(*command: str, input: str = "") -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, input=input, timeout=300)
    if done.returncode:
        raise RackwrightError(f"{command[0]} failed: {done.stderr.strip()[-600:]}", where="lab")
