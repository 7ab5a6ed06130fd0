"""TCP ports that are ours wherever a host has the part in question: no rule of the fleet file may give them away."""

from __future__ import annotations

FIRST_PORT, LAST_PORT = 8100, 8299
"""Of the replicas of one host: only gateways may reach them."""
PEERS_PORT = 8300
"""Where gateways tell one another how many requests each key made."""
