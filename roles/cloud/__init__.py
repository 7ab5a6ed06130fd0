"""The clouds of a gateway: their keys, their addresses, and which connections the gateway's HAProxy may open."""
