"""Have the probe look now, without waiting for its timer."""

from __future__ import annotations

from shlex import quote

from rackwright.roles.probe.settings import Settings


def look_command(settings: Settings) -> str:
    """Return the command, for root, that prints the state file after a look that starts now; `state_of` parses it."""
    # The first start may join a look that is already under way; the second one starts a new look.
    start = f"systemctl start -- {quote(settings.service)}"
    return f"{start}; {start}; cat -- {quote(f'/run/rackwright-state/{settings.replica}')}"


def state_of(output: str) -> str:
    """Given the command's output, return the state, like ready or loading, or unknown if there is none."""
    values = dict(line.partition("=")[::2] for line in output.splitlines())
    return values.get("state", "unknown")
