"""HAProxy under systemd, with its keys, check and reload; for the gateway and the host proxy."""
