"""Rules for `control`: how many hosts agree, and whether they reach each other."""

from __future__ import annotations

from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.reading.network_rules import service_address
from rackwright.fleet.reading.nodes import Entries, Findings

_COUNTS = (1, 3, 5)
_WHY = {
    2: "two are worse than one: the loss of either stops writes",
    4: "four are no better than three: the loss of two stops writes",
}


def check_control(draft: Draft, findings: Findings) -> None:
    """Add a problem unless one, three or five hosts are named, and several reach each other by one IP version."""
    node, hosts = draft.root.get("control"), draft.control
    if node is None or not hosts or any(host not in draft.hosts for host in hosts):
        return
    if len(hosts) not in _COUNTS:
        why = _WHY.get(len(hosts), "each more makes writes slower")
        findings.add(node, f"names {len(hosts)} hosts, and {why}", "name one, three or five")
    elif len(hosts) > 1:
        _check_addresses(draft, findings)


def _check_addresses(draft: Draft, findings: Findings) -> None:
    first: tuple[str, int] | None = None
    for name in draft.control:
        host = draft.hosts[name]
        address = service_address(host) if isinstance(host, Entries) else None
        if address is None or not isinstance(host, Entries):
            continue
        node = host.get("service") or host.get("address") or host
        if address.is_loopback or address.is_unspecified:
            findings.add(
                node, f"the other control hosts can't reach {name} at {address}", "give it a 'service' they can reach"
            )
            continue
        first = first or (name, address.version)
        if address.version != first[1]:
            findings.add(
                node,
                f"control host {name} has an IPv{address.version} address, {first[0]} has an IPv{first[1]} address",
                "control hosts need addresses of one IP version",
            )
