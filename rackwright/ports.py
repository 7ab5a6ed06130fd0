"""TCP ports that are ours wherever a host has the part in question: no rule of the fleet file may give them away."""

from __future__ import annotations

FIRST_PORT, LAST_PORT = 8100, 8299
"""Of the replicas of one host: only gateways may reach them."""
PEERS_PORT = 8300
"""Where gateways tell one another how many requests each key made."""
FABRIC_OFFSET = 20_000
"""Above a replica's own, in the fabric network: where a member tells the others how its engine is."""
RENDEZVOUS_OFFSET = 20_500
"""Above a replica's own, in the fabric network: where its first member waits for the others."""
EPHEMERAL = (32768, 60999)
"""What Linux gives to programs that ask for any port; engines of one replica reach each other there, too."""
