"""A lab: some disposable hosts on a network of their own, reached by SSH as an ordinary user."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from rackwright.errors import HostError, UsageError
from rackwright.lab import containers, copies, image, network, paths, podman, programs
from rackwright.lab.podman import Done
from rackwright.values.secrets import Secret
from rackwright.values.text import Name

_BOOT_SECONDS = 90
_FIRST_ADDRESS = 11
_POLL_SECONDS = 0.2
USER = "ops"
_CLAIM = "fleet_file"
"""Name of the file with the path of the lab's fleet file."""


@dataclass(frozen=True)
class LabSpec:
    """What a lab should have."""

    hosts: tuple[str, ...] = ("gate1", "gpu1", "gpu2")
    sudo_password: Secret | None = field(default=None, repr=False)
    """None: sudo asks for no password."""
    volumes: tuple[str, ...] = ()
    """Folders of this machine that hosts see, in the syntax of podman's --volume."""
    images: Mapping[str, str] = field(default_factory=dict)
    """The image that a host starts from, by host. Other hosts start from the bare image."""


@dataclass(frozen=True)
class LabFleet:
    """A running lab: how to reach its hosts."""

    name: str
    hosts: dict[str, str]
    """Address by host name."""
    key: Path
    known_hosts: Path
    subnet: IPv4Network
    user: str = USER

    @property
    def controller(self) -> str:
        """The address under which the hosts see this machine."""
        return str(self.subnet[1])


class Lab:
    """The lab with the given name, whether or not it is up. Raise UsageError if the name isn't valid."""

    def __init__(self, name: str = "lab") -> None:
        self.name = _checked(name)
        self.folder = paths.labs() / name

    def up(self, spec: LabSpec | None = None, say: Callable[[str], None] = lambda _: None) -> LabFleet:
        """Start all hosts of `spec` and wait until they answer on SSH. Running hosts stay as they are."""
        spec = spec or LabSpec()
        names = [_checked(host) for host in spec.hosts]
        programs.ensure()
        tag = image.ensure(say)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._make_key()
        with paths.locked("networks"):
            subnet = network.subnet_of(self.name) or network.create(self.name)
            self._create_missing(names, subnet, {host: spec.images.get(host, tag) for host in names}, spec.volumes)
        self._boot(names, spec, say)
        return self.fleet()

    def claim(self, fleet_file: Path) -> None:
        """Record which fleet file describes this lab. Raise UsageError if it is another one's.

        The lab's hosts keep what they got from that fleet: its CA, its keys and its lease.
        """
        record, path = self.folder / _CLAIM, str(fleet_file.absolute())
        owner = record.read_text() if record.exists() else path
        if owner != path:
            raise UsageError(
                f"belongs to {owner}",
                where=f"lab {self.name}",
                should="each checkout needs a lab of its own",
                next=f"rackwright lab up --name NAME, or rackwright lab down --name {self.name}",
            )
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        record.write_text(path)

    def ssh(self, host: str) -> list[str]:
        """Return the command that logs in to a host of the running lab. Raise UsageError if there is no such host."""
        fleet = self.fleet()
        if host not in fleet.hosts:
            hosts = ", ".join(fleet.hosts)
            raise UsageError(f"has no host {host}", where=f"lab {self.name}", should=f"the hosts are: {hosts}")
        options = ["-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", "IdentitiesOnly=yes", "-i", str(fleet.key)]
        return ["ssh", *options, f"{fleet.user}@{fleet.hosts[host]}"]

    def down(self) -> None:
        """Remove the containers, the network and the folder of this lab."""
        programs.ensure()
        containers.remove(self.name)
        network.remove(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fleet(self) -> LabFleet:
        """Return how to reach the running lab. Raise UsageError if it isn't up."""
        subnet = network.subnet_of(self.name)
        if subnet is None:
            raise UsageError("is not up", where=f"lab {self.name}", next=f"rackwright lab up --name {self.name}")
        return LabFleet(self.name, self._addresses(), self.folder / "id_ed25519", self.folder / "known_hosts", subnet)

    def exec(
        self, host: str, command: str, *, input: str | None = None, check: bool = True, timeout: float = 120
    ) -> Done:
        """Run a shell command as root on the host, without SSH. Raise HostError if `check` is true and it fails."""
        name = containers.name_of(self.name, host)
        done = podman.run("exec", "-i", name, "sh", "-c", command, input=input, check=False, timeout=timeout)
        if check and done.code:
            raise HostError(f"`{command}` exited {done.code}: {done.err.strip()[-600:]}", where=host)
        return done

    def freeze(self, host: str) -> None:
        """Freeze all processes. The kernel still accepts connections, as on a machine that hangs."""
        podman.run("pause", containers.name_of(self.name, host))

    def thaw(self, host: str) -> None:
        podman.run("unpause", containers.name_of(self.name, host))

    def kill(self, host: str) -> None:
        """Turn the host off, as if its power had been cut. `start` brings it back."""
        podman.run("kill", "--signal=KILL", containers.name_of(self.name, host), check=False)
        podman.run("stop", "--time=0", containers.name_of(self.name, host))

    def copy(self, host: str, tag: str) -> None:
        """Make the image `tag` from this host, without its identity. This leaves the host off and unusable."""
        self.exec(host, copies.FORGET)
        self.kill(host)
        copies.commit(containers.name_of(self.name, host), tag)

    def start(self, host: str) -> None:
        """Start the host and wait until it answers on SSH."""
        containers.start(self.name, host, containers.states(self.name)[host])
        self.wait(host)

    def reboot(self, host: str) -> None:
        """Reboot the host in an orderly way and wait until it answers on SSH."""
        before = self.started_at(host)
        self.exec(host, "systemctl reboot", check=False)
        self._until(host, "a new PID 1", lambda: self.started_at(host) not in ("", before))
        self.wait(host)

    def started_at(self, host: str) -> str:
        """Return when the host's PID 1 started, or "" if there is none. A container's boot id never changes."""
        return self.exec(host, "stat -c %Y.%i /proc/1 && cut -d' ' -f22 /proc/1/stat", check=False).out.strip()

    def cut_network(self, host: str) -> None:
        """Unplug the host's network cable, on this machine's side."""
        self._set_link(host, "down")

    def mend_network(self, host: str) -> None:
        """Plug the cable in again. The host keeps its address."""
        self._set_link(host, "up")

    def wait(self, host: str) -> None:
        """Wait until systemd has finished booting and sshd answers. Raise HostError after 90 seconds each."""
        self._until(host, "systemd", lambda: self._system_state(host) in ("running", "degraded"))
        address = self._addresses()[host]
        self._until(host, "sshd", lambda: _greets(address))

    def _create_missing(
        self, names: list[str], subnet: IPv4Network, images: Mapping[str, str], volumes: tuple[str, ...]
    ) -> None:
        there = self._addresses()
        free = (str(subnet[at]) for at in range(_FIRST_ADDRESS, 255) if str(subnet[at]) not in there.values())
        for host in names:
            if host not in there:
                containers.create(self.name, host, next(free), images[host], volumes)

    def _boot(self, names: list[str], spec: LabSpec, say: Callable[[str], None]) -> None:
        states = containers.states(self.name)
        waiting = [host for host in names if states[host] != "running"]
        if waiting:
            say(f"booting {', '.join(waiting)}")
        with ThreadPoolExecutor(max_workers=8) as pool:
            for job in [pool.submit(self._boot_one, host, states[host], spec) for host in names]:
                job.result()
        self._pin_host_keys()

    def _boot_one(self, host: str, state: str, spec: LabSpec) -> None:
        containers.start(self.name, host, state)
        self.wait(host)
        self._admit(host, spec)

    def _admit(self, host: str, spec: LabSpec) -> None:
        public = (self.folder / "id_ed25519.pub").read_text()
        place = f"/home/{USER}/.ssh/authorized_keys"
        self.exec(host, f"umask 077; cat > {place}; chown {USER}:{USER} {place}", input=public)
        self.exec(host, f"grep -q 127.0.1.1 /etc/hosts || echo 127.0.1.1 {host} >> /etc/hosts")
        if spec.sudo_password:
            self.exec(host, "chpasswd", input=f"{USER}:{spec.sudo_password.reveal()}\n")
            self.exec(host, f"cat > /etc/sudoers.d/{USER}", input=f"{USER} ALL=(ALL:ALL) ALL\n")

    def _pin_host_keys(self) -> None:
        """Write known_hosts from the hosts' own files, not read over the network: nothing is trusted on first use."""
        lines = []
        for host, address in sorted(self._addresses().items()):
            done = self.exec(host, "cat /etc/ssh/ssh_host_ed25519_key.pub", check=False)
            if done.code == 0:
                kind, key, *_ = done.out.split()
                lines.append(f"{address} {kind} {key}\n")
        (self.folder / "known_hosts").write_text("".join(lines))

    def _make_key(self) -> None:
        key = self.folder / "id_ed25519"
        if not key.exists():
            # ssh-keygen creates the file with mode 0600.
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {self.name}", "-f", str(key)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def _addresses(self) -> dict[str, str]:
        return containers.addresses(self.name)

    def _set_link(self, host: str, state: str) -> None:
        link = containers.link_on_controller(self.name, host)
        subprocess.run(["ip", "link", "set", "dev", link, state], check=True)

    def _system_state(self, host: str) -> str:
        return self.exec(host, "systemctl is-system-running", check=False).out.strip()

    def _until(self, host: str, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise HostError(f"{what} did not start within {_BOOT_SECONDS} s", where=host)
            time.sleep(_POLL_SECONDS)


def list_labs() -> list[str]:
    """Return the names of the labs on this machine."""
    found = podman.lines("network", "ls", "--filter", "label=rackwright.lab", "--format", "{{.Name}}")
    return sorted(name.removeprefix(network.name_of("")) for name in found)


def _checked(name: str) -> str:
    try:
        return TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UsageError(
            f"{name!r} isn't a valid name", where="lab", should="at most 24 of a-z, 0-9 and -, starting with a letter"
        ) from None


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=2) as connection:
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False
