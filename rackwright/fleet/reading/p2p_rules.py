"""Rules for `p2p`: a serving host, an unused port, addresses that other hosts can reach."""

from __future__ import annotations

from rackwright.fleet.reading.draft import Draft
from rackwright.fleet.reading.error_messages import did_you_mean
from rackwright.fleet.reading.nodes import Entries, Findings, Scalar
from rackwright.fleet.reading.placement_rules import reached
from rackwright.fleet.sections.p2p import PeerToPeer
from rackwright.ports import ETCD_CLIENT_PORT, ETCD_PEER_PORT, FIRST_PORT, LAST_PORT, PEERS_PORT


def check_p2p(draft: Draft, findings: Findings) -> None:
    """Add the problems of the section, if there is one."""
    section = draft.root.get("p2p")
    if not isinstance(section, Entries):
        return
    _check_from(draft, section, findings)
    _check_port(draft, section, findings)
    for host in dict.fromkeys(draft.serving):
        settings = draft.hosts.get(host)
        if isinstance(settings, Entries) and not reached(settings):
            findings.add(
                section, f"{host} has no address that other hosts can reach", f"give hosts.{host} a fabric: address"
            )


def _check_from(draft: Draft, section: Entries, findings: Findings) -> None:
    first = section.get("from")
    if not isinstance(first, Scalar) or first.value is None or not Draft.is_name(first.text):
        return
    if first.text not in draft.hosts:
        known = [host for host in draft.hosts if Draft.is_name(host)]
        should = did_you_mean(first.text, known) or "name a host that serves"
        findings.add(first, f"unknown host '{first.text}'", should)
    elif first.text not in draft.in_service:
        findings.add(first, f"{first.text} is out of service", "name a host in service")
    elif first.text not in draft.serving:
        findings.add(first, f"no model is placed on {first.text}", "name a host that serves")


def _check_port(draft: Draft, section: Entries, findings: Findings) -> None:
    node = section.get("port")
    port = node.value if isinstance(node, Scalar) else PeerToPeer.model_fields["port"].default
    at = node or section
    if not isinstance(port, int):
        return
    if FIRST_PORT <= port <= LAST_PORT:
        findings.add(at, f"the replicas use ports {FIRST_PORT} to {LAST_PORT}", "choose another port")
    if port in (443, PEERS_PORT):
        findings.add(at, f"the gateways use port {port}", "choose another port")
    if port in (ETCD_CLIENT_PORT, ETCD_PEER_PORT) and len(draft.control) > 1:
        findings.add(at, f"the control hosts use port {port}", "choose another port")
    for host in draft.serving:
        ssh = draft.root.get("hosts", host, "ssh", "port")
        if port == (ssh.value if isinstance(ssh, Scalar) else 22):
            findings.add(at, f"sshd uses port {port} on {host}", "choose another port")
    for rule in draft.allowed():
        allowed = rule.get("port")
        hosts = [host for host in draft.named(rule.get("on")) if host in draft.serving]
        if hosts and isinstance(allowed, Scalar) and allowed.value == port:
            findings.add(
                allowed, f"p2p uses port {port} on {hosts[0]}", "rackwright opens it to the other serving hosts"
            )
