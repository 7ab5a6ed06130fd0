"""Gives a machine with a fresh disk its identity: name, host key, admitted SSH key, and sshd's port.

systemd gets it from QEMU as credentials and writes only files that don't exist yet, so later boots keep them.
The host key is made here, so that it is pinned before the first connection.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from rackwright.lab.vm import qemu

_KEY = "id_ed25519"
_HOST_KEY = "host_key"
# f^ takes the content from the credential at the end of the line.
_TMPFILES = """\
f^ /etc/ssh/ssh_host_ed25519_key 0600 root root - tmpfiles.host_key
f^ /etc/ssh/ssh_host_ed25519_key.pub 0644 root root - tmpfiles.host_key_pub
f^ /home/ops/.ssh/authorized_keys 0600 ops ops - tmpfiles.key_pub
f /etc/ssh/sshd_config.d/50-lab.conf 0644 root root - Port {port}\\n
f /etc/hostname 0644 root root - {name}\\n
f /etc/hosts 0644 root root - 127.0.0.1 localhost\\n127.0.1.1 {name}\\n::1 localhost ip6-localhost ip6-loopback\\n
"""


class Identity:
    """The keys of one machine, in the machine's folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self.key = folder / _KEY
        self.known_hosts = folder / "known_hosts"

    def make(self, port: int) -> None:
        """Write keys, known_hosts and credentials for a machine whose sshd listens on `port`."""
        for name in (_KEY, _HOST_KEY):
            # ssh-keygen creates the file with mode 0600.
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(self._folder / name)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        kind, key, *_ = (self._folder / f"{_HOST_KEY}.pub").read_text().split()
        self.known_hosts.write_text(f"[{qemu.ADDRESS}]:{port} {kind} {key}\n")
        (self._folder / "tmpfiles").write_text(_TMPFILES.format(port=port, name=self._name))
        (self._folder / "hostname").write_text(self._name)

    @property
    def credentials(self) -> Mapping[str, Path]:
        """The files, by their credential names in the machine's systemd."""
        return {
            "system.hostname": self._folder / "hostname",
            "tmpfiles.extra": self._folder / "tmpfiles",
            "tmpfiles.host_key": self._folder / _HOST_KEY,
            "tmpfiles.host_key_pub": self._folder / f"{_HOST_KEY}.pub",
            "tmpfiles.key_pub": self._folder / f"{_KEY}.pub",
        }
