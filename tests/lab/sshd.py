"""sshd of a lab host."""

from __future__ import annotations

from importlib.resources import files

RELOAD = f"\n{files('rackwright.operations').joinpath('sshd.sh').read_text()}\nreload || exit\n"
"""Shell commands that let sshd, if it runs, read its configuration again. They continue when it listens again, or
exit if it doesn't. `systemctl reload` returns earlier: before sshd closes its sockets and opens new ones."""
