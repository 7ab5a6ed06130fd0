"""The probe asked to look now, not at its next turn."""

from __future__ import annotations

from shlex import quote

from rackwright.roles.probe.settings import Settings


def look_command(settings: Settings) -> str:
    """Return the command, for root, that prints the state file after a look that began now; `state_of` reads it."""
    # A start joins a look that is under way and began before: the one after it doesn't.
    start = f"systemctl start -- {quote(settings.service)}"
    return f"{start}; {start}; cat -- {quote(f'/run/rackwright-state/{settings.replica}')}"


def state_of(output: str) -> str:
    """Given what the command printed, return the state, like ready or loading; unknown where there is none."""
    reply = dict(line.partition("=")[::2] for line in output.splitlines())
    return reply.get("state", "unknown")
