"""One lab host as a container, started so that it acts like bare metal."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from rackwright.lab import network, paths, podman

# Without shared mounts, LoadCredential= yields an empty folder. /proc/sys/net belongs to the host's own
# network namespace and must be writable, as on bare metal; the rest of /proc/sys is the controller's.
_INIT = (
    "mount --make-rshared / && mount --bind /proc/sys/net /proc/sys/net"
    " && mount -o remount,bind,rw /proc/sys/net && exec /sbin/init"
)
_CAPABILITIES = "NET_ADMIN,NET_RAW,SYS_ADMIN,SYS_RESOURCE,SYS_NICE,SYS_PTRACE,IPC_LOCK,MKNOD,AUDIT_WRITE,LEASE"
_STOPPED = ("exited", "created", "stopped", "configured")


def name_of(lab: str, host: str) -> str:
    return f"rackwright-{lab}-{host}"


def states(lab: str) -> dict[str, str]:
    """Return the state of each of the lab's containers, as podman names it, by host."""
    found = podman.lines(
        *("ps", "--all", "--filter", f"label=rackwright.lab={lab}"),
        *("--format", '{{index .Labels "rackwright.host"}} {{.State}}'),
    )
    return dict(line.split(maxsplit=1) for line in found)


def addresses(lab: str) -> dict[str, str]:
    """Return the fixed address of each of the lab's containers, running or not, by host."""
    found = podman.lines(
        *("ps", "--all", "--filter", f"label=rackwright.lab={lab}"),
        *("--format", '{{index .Labels "rackwright.host"}} {{index .Labels "rackwright.address"}}'),
    )
    return dict(sorted(line.split(maxsplit=1) for line in found))


def claim_cache(host: str) -> str:
    """Return a name for the host's folder of .deb files that no other container uses: apt locks its folder.

    The caller must hold the lock on networks until the container exists.
    """
    used = set(
        podman.lines(
            *("ps", "--all", "--filter", "label=rackwright.cache"),
            *("--format", '{{index .Labels "rackwright.cache"}}'),
        )
    )
    number = 0
    while f"{host}-{number}" in used:
        number += 1
    return f"{host}-{number}"


def create(lab: str, host: str, address: str, image: str, volumes: Sequence[str] = ()) -> None:
    """Create the host's container, but don't start it."""
    slot = claim_cache(host)
    mounts = [f"--volume={volume}" for volume in volumes]
    for folder, place in (("archives", "/var/cache/apt/archives"), ("lists", "/var/lib/apt/lists")):
        kept = paths.cache() / "apt" / slot / folder
        kept.mkdir(parents=True, exist_ok=True)
        mounts.append(f"--volume={kept}:{place}")
    name = name_of(lab, host)
    podman.run(
        *("create", "--name", name, "--hostname", host, "--network", network.name_of(lab), "--ip", address),
        *("--systemd=always", "--restart=always", "--pids-limit=0", "--no-hosts", f"--cap-add={_CAPABILITIES}"),
        *("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"),
        *("--ulimit=host", "--stop-signal=SIGRTMIN+3"),
        *(f"--label=rackwright.lab={lab}", f"--label=rackwright.host={host}", f"--label=rackwright.cache={slot}"),
        *(f"--label=rackwright.address={address}", *mounts),
        *(image, "sh", "-c", _INIT),
    )


def start(lab: str, host: str, state: str) -> None:
    """Ensure that the host's container runs, given its state as podman names it."""
    if state == "paused":
        podman.run("unpause", name_of(lab, host))
    elif state in _STOPPED:
        podman.run("start", name_of(lab, host))


def remove(lab: str) -> None:
    """Remove all containers of the lab, with everything that they wrote."""
    names = podman.lines("ps", "--all", "--quiet", "--filter", f"label=rackwright.lab={lab}")
    remove = ("rm", "--force", "--ignore", "--time=0", "--volumes", *names)
    if names and podman.run(*remove, check=False).code:
        # If a container's monitor was killed, the first try only notices that.
        podman.run(*remove)


def link_on_controller(lab: str, host: str) -> str:
    """Return the name of this machine's end of the host's virtual network cable."""
    return socket.if_indextoname(int(podman.run("exec", name_of(lab, host), "cat", "/sys/class/net/eth0/iflink").out))
