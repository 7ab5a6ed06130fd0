"""What an operation found that stands against what it was asked for, and that it leaves alone: the plan names it."""

from __future__ import annotations

from pyinfra.context import host

KEY = "notes"
"""Where a host's notes stand in its `connector_data`: operation hash → text."""


def note(text: str) -> None:
    """Attach a line to the operation that is running now; several are joined.

    Call it before the first `yield`: a plan stops there. Raise RuntimeError outside an operation.
    """
    if host.current_op_hash is None:
        raise RuntimeError("a note belongs to an operation: call note() inside one")
    notes = host.connector_data.setdefault(KEY, {})
    reply = notes.get(host.current_op_hash, "").splitlines()
    # An operation is read once for the plan, and again when it runs.
    notes[host.current_op_hash] = "\n".join(dict.fromkeys([*reply, text]))
