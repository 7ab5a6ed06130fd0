"""Notes: conflicts that an operation finds and leaves alone; the plan shows them."""

from __future__ import annotations

from pyinfra.context import host

KEY = "notes"
"""The key of a host's notes in its `connector_data`: operation hash → text."""


def note(text: str) -> None:
    """Attach a line to the current operation. Several notes are joined.

    Call it before the first `yield`: a plan stops there. Raise RuntimeError outside an operation.
    """
    if host.current_op_hash is None:
        raise RuntimeError("a note belongs to an operation: call note() inside one")
    notes = host.connector_data.setdefault(KEY, {})
    earlier = notes.get(host.current_op_hash, "").splitlines()
    # An operation is read twice: for the plan, and when it runs.
    notes[host.current_op_hash] = "\n".join(dict.fromkeys([*earlier, text]))
