"""TCP ports that rackwright itself uses on hosts; rules of the fleet file must not open them."""

from __future__ import annotations

FIRST_PORT, LAST_PORT = 8100, 8299
"""The range for the replicas of one host; only gateways may reach them."""
PEERS_PORT = 8300
"""The port where gateways share how many requests each key made."""
ETCD_CLIENT_PORT, ETCD_PEER_PORT = 2379, 2380
"""etcd's ports on control hosts, if there are several: on loopback for root, and for the other control hosts."""
FABRIC_OFFSET = 20_000
"""Added to a replica's own port: the port in the fabric network where a member reports its engine's state."""
RENDEZVOUS_OFFSET = 20_500
"""Added to a replica's own port: the port in the fabric network where its first member waits for the others."""
EPHEMERAL = (32768, 60999)
"""The range that Linux assigns to programs that ask for any port; the engines of a replica group use it, too."""
