"""A virtual machine: a disk, a process, and SSH on this machine's loopback."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from rackwright.errors import HostError
from rackwright.lab import programs
from rackwright.lab.podman import Done
from rackwright.lab.vm import disk, qemu
from rackwright.lab.vm.first_boot import Identity
from rackwright.values.targets import Target

_BOOT_SECONDS = 600
_OFF_SECONDS = 300
_POLL_SECONDS = 0.5
USER = "ops"


class Vm:
    """A machine that keeps its disk and keys in the given empty or absent folder. Use it from one thread only."""

    def __init__(self, folder: Path, name: str = "vm1") -> None:
        self.name = name
        self.folder = folder
        self._disk = folder / "disk.qcow2"
        self._console = folder / "console.log"
        self._identity = Identity(folder, name)
        self._process: subprocess.Popen[str] | None = None
        self.port = 0
        """The port of its sshd, on this machine's loopback and inside."""

    def up(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Boot a fresh Debian from its own disk and wait for SSH. Raise RackwrightError if it doesn't answer."""
        programs.ensure(programs.OF_VM)
        base = disk.ensure(say)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        disk.overlay(base, self._disk)
        self.port = _free_port()
        self._identity.make(self.port)
        self.start()

    def down(self) -> None:
        """Turn the machine off and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Turn the machine on and wait until it answers on SSH."""
        machine = qemu.Machine(self._disk, "qcow2", self._console, self.port, self._identity.credentials)
        self._process = qemu.start(machine)
        self.wait()

    def kill(self) -> None:
        """Turn the machine off, as if its power had been cut. `start` brings it back."""
        if self._process:
            qemu.stop(self._process)
        self._process = None

    def power_off(self) -> None:
        """Shut the machine down in an orderly way and wait until it is off."""
        self.exec("systemctl poweroff", check=False)
        if self._process and not qemu.ended(self._process, _OFF_SECONDS):
            raise HostError(f"is still on after {_OFF_SECONDS} s:\n{self.console()}", where=self.name)
        self._process = None

    def reboot(self) -> None:
        """Reboot the machine in an orderly way and wait until it answers on SSH."""
        before = self.boot_id()
        self.exec("systemctl reboot", check=False)
        self.wait(before)

    def boot_id(self) -> str:
        return self.exec("cat /proc/sys/kernel/random/boot_id").out.strip()

    def exec(self, command: str, *, input: str = "", check: bool = True, timeout: float = 300) -> Done:
        """Run a shell command as root, over SSH. Raise HostError if `check` is true and it fails."""
        done = self._ssh("sudo -n sh -c " + shlex.quote(command), input, timeout)
        if check and done.code:
            raise HostError(f"`{command}` exited {done.code}: {done.err.strip()[-600:]}", where=self.name)
        return done

    def target(self) -> Target:
        """Return how rackwright reaches it."""
        identity = self._identity
        return Target(
            self.name, qemu.ADDRESS, port=self.port, user=USER, key=identity.key, known_hosts=identity.known_hosts
        )

    def console(self, lines: int = 15) -> str:
        """Return the last lines of the serial console since power-on."""
        return qemu.tail(self._console, lines)

    def wait(self, before: str = "") -> None:
        """Wait until it has booted with a boot id other than `before`. Raise RackwrightError if it is off or slow."""
        deadline = time.monotonic() + _BOOT_SECONDS
        command = "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running --wait"
        while True:
            qemu.check_runs(self._process, self._console)
            words = self._ssh(command, "", _BOOT_SECONDS).out.split()
            if len(words) == 2 and words[0] != before and words[1] in ("running", "degraded"):
                return
            if time.monotonic() > deadline:
                raise HostError(f"did not boot within {_BOOT_SECONDS} s:\n{self.console()}", where=self.name)
            time.sleep(_POLL_SECONDS)

    def _ssh(self, command: str, input: str, timeout: float) -> Done:
        identity = self._identity
        words = ["ssh", "-F", "none", "-i", str(identity.key), "-p", str(self.port), "-o", "BatchMode=yes"]
        words += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=20"]
        # A machine that loses power doesn't close its connections.
        words += ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=8"]
        words += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={identity.known_hosts}"]
        words += ["-o", "GlobalKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", f"{USER}@{qemu.ADDRESS}", command]
        try:
            done = subprocess.run(
                words, input=input, capture_output=True, text=True, errors="replace", check=False, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            raise HostError(f"`{command}` took over {timeout:.0f} s:\n{self.console()}", where=self.name) from None
        return Done(done.returncode, done.stdout, done.stderr)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((qemu.ADDRESS, 0))
        return int(probe.getsockname()[1])
