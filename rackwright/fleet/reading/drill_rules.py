"""Rules for `drill`: scratch hosts are machines of their own, and stand for hosts that exist."""

from __future__ import annotations

from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.reading.nodes import Entries, Findings, Scalar, texts


def check_drill(draft: Draft, findings: Findings) -> None:
    """Add a problem if a scratch host could be a host of the fleet or another scratch host."""
    drill = draft.root.get("drill")
    if not isinstance(drill, Entries):
        return
    taken = _taken(draft)
    for name, host in drill.maps("hosts"):
        if name in draft.hosts or name in draft.group_nodes:
            findings.add(host, f"'{name}' is also a host or a group", "a scratch host needs a name of its own")
        address = host.get("address")
        if isinstance(address, Scalar):
            if other := taken.get(address.text):
                findings.add(address, f"is {other}", "a scratch host must be a machine of its own")
            taken.setdefault(address.text, f"{name}'s address")
        jump = host.get("ssh", "jump")
        if jump is not None and not (isinstance(jump, Scalar) and jump.value is None):
            # A drill's client asks from the machine that runs it, and no request goes through a jump host.
            findings.add(
                jump,
                "a drill can't go through a jump host",
                "run drills on a machine that reaches this host directly",
            )


def stands_for(draft: Draft) -> list[Scalar]:
    """Return the names of the hosts that scratch hosts stand for."""
    drill = draft.root.get("drill")
    if not isinstance(drill, Entries):
        return []
    return [name for _, host in drill.maps("hosts") for name in texts(host.get("stands_for"))]


def _taken(draft: Draft) -> dict[str, str]:
    """Return address → what it is in the fleet."""
    found = {}
    for name, host in draft.root.maps("hosts"):
        for key in ("address", "service", "fabric"):
            node = host.get(key)
            if isinstance(node, Scalar) and node.value is not None:
                found[node.text] = f"{name}'s {key}"
    vip = draft.root.get("gateway", "vip")
    if isinstance(vip, Scalar) and vip.value is not None:
        found[vip.text] = "the gateways' virtual address"
    return found
