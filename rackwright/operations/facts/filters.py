"""Other packet filters on a host, and the ports that ours admits. Without pyinfra: for a plain connection."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORWARDING = "packet forwarding"
"""By the kernel, on a host with several networks: a router, or a host of containers or virtual machines."""

FILTERS_COMMAND = """u='firewalld docker kubelet k3s k3s-agent rke2-server rke2-agent'
if [ -f /etc/ufw/ufw.conf ] && grep -q '^ENABLED=yes' /etc/ufw/ufw.conf; then u="ufw $u"; fi
systemctl is-active $u | { for n in $u; do read -r s; [ "$s" != active ] || echo "unit $n"; done; }
{ nft list chains; iptables-legacy -S; } 2>/dev/null |
awk '$1 == "chain" || $1 == "-N" { print "chain " $2 }'
if cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding 2>/dev/null | grep -q '[^0]'; then
ip -o addr show up scope global | awk '!seen[$2]++ { print "network " $2 }'; fi
nft -s list table inet rackwright 2>/dev/null || true
"""
"""Needs root. ufw's service is active even if ufw was never enabled, so ufw's own setting is read, too."""

_UNITS = {"ufw": "ufw", "firewalld": "firewalld", "docker": "Docker"}
_CHAINS = {"ufw": ("ufw-",), "Docker": ("DOCKER",), "Kubernetes": ("KUBE-", "cali-", "CILIUM_")}
_ADMITTED = re.compile(r"\b(tcp|udp) dport ([0-9]{1,5})(?:-([0-9]{1,5}))? accept\b")


@dataclass(frozen=True)
class Filters:
    active: tuple[str, ...] = ()
    """Those of ufw, firewalld, Docker, Kubernetes and FORWARDING that are active."""
    admitted: frozenset[tuple[str, int]] | None = None
    """Protocols and ports that our table admits now; None: there is no table, so everything is admitted."""


def parse_filters(text: str) -> Filters:
    """Given the output of FILTERS_COMMAND, return the active filters and the admitted ports."""
    lines = text.splitlines()
    active = {_UNITS.get(line.removeprefix("unit "), "Kubernetes") for line in lines if line.startswith("unit ")}
    chains = [line.removeprefix("chain ") for line in lines if line.startswith("chain ")]
    active |= {name for name, starts in _CHAINS.items() if any(chain.startswith(starts) for chain in chains)}
    if sum(line.startswith("network ") for line in lines) > 1:
        active.add(FORWARDING)
    if not any(line.startswith("table inet rackwright") for line in lines):
        return Filters(tuple(sorted(active)))
    # Rules with a user are for outgoing traffic.
    rules = [found for line in lines if "skuid" not in line and (found := _ADMITTED.search(line))]
    return Filters(
        tuple(sorted(active)),
        frozenset((rule[1], port) for rule in rules for port in range(int(rule[2]), int(rule[3] or rule[2]) + 1)),
    )
