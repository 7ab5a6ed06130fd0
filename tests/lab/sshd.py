"""sshd of a lab host."""

from __future__ import annotations

RELOAD = """
pid=$(systemctl show -p MainPID --value ssh.service)
sockets() { ss -Hltnpe | grep -F "pid=$pid," | grep -o 'ino:[0-9]*'; }
before=$(sockets)
systemctl reload ssh.service
until now=$(sockets); [ -n "$now" ] && [ "$now" != "$before" ]; do sleep 0.1; done
"""
"""Shell commands that reload sshd and return when it listens again: `systemctl reload` returns before sshd closes its
sockets and opens new ones."""
