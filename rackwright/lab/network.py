"""A lab's own bridge network: fixed addresses in 10.213.N.0/24, and the MTU of the default route."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from ipaddress import IPv4Network
from pathlib import Path

from rackwright.errors import RackwrightError
from rackwright.lab import podman

_LEAST_MTU = 1280


def name_of(lab: str) -> str:
    return f"rackwright-lab-{lab}"


def choose_subnet(lab: str, taken: Iterable[IPv4Network]) -> IPv4Network:
    """Return a /24 of 10.213.0.0/16 that overlaps none of `taken`: the one that the name hashes to, or the next."""
    used = list(taken)
    first = hashlib.sha256(lab.encode()).digest()[0]
    for offset in range(256):
        subnet = IPv4Network(f"10.213.{(first + offset) % 256}.0/24")
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise RackwrightError("all of 10.213.0.0/16 is taken", where="lab", next="rackwright lab list")


def default_interface(routes: str) -> str | None:
    """Given the text of /proc/net/route, return the interface of the default route, or None."""
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000":
            return fields[0]
    return None


def routed_networks(routes: str) -> list[IPv4Network]:
    """Given the text of /proc/net/route, return the networks that have routes other than the default route."""
    found = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[7] != "00000000":
            # The kernel prints the words in the byte order of the machine: little-endian.
            address, mask = (int.from_bytes(bytes.fromhex(fields[at])[::-1]) for at in (1, 7))
            found.append(IPv4Network((address, mask.bit_count())))
    return found


def subnet_of(lab: str) -> IPv4Network | None:
    """Return the subnet of the lab's network, or None if there is no network."""
    done = podman.run("network", "inspect", name_of(lab), check=False)
    return None if done.code else _subnets(done.out)[0]


def create(lab: str) -> IPv4Network:
    """Create the lab's network and return its subnet. The caller must hold the lock on networks."""
    routes = Path("/proc/net/route").read_text()
    # In one command: a listed network may disappear before a second command inspects it.
    taken = routed_networks(routes) + _subnets(podman.run("network", "ls", "--format=json").out)
    subnet = choose_subnet(lab, taken)
    podman.run(
        *("network", "create", "--driver=bridge", "--disable-dns", f"--subnet={subnet}"),
        *(f"--opt=mtu={_mtu(routes)}", f"--label=rackwright.lab={lab}", name_of(lab)),
    )
    return subnet


def remove(lab: str) -> None:
    podman.run("network", "rm", name_of(lab), check=False)


def _subnets(inspected: str) -> list[IPv4Network]:
    nets = [entry["subnet"] for network in json.loads(inspected) for entry in network.get("subnets") or []]
    return [IPv4Network(net) for net in nets if ":" not in net]


def _mtu(routes: str) -> int:
    interface = default_interface(routes)
    if interface is None:
        return 1500
    return max(_LEAST_MTU, int(Path(f"/sys/class/net/{interface}/mtu").read_text()))
