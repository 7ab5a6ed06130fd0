"""How an operation of ours tells what it would change: the engine shows it beside the step."""

from __future__ import annotations

from difflib import unified_diff

from pyinfra.context import host

KEY = "diffs"
"""Where a host's diffs stand in its `connector_data`: operation hash → text."""
HIDDEN = "content differs"
"""Shown in place of a diff whose lines are secret."""


def show(diff: str) -> None:
    """Attach a diff to the operation that is running now. Call it before the first `yield`: a plan stops there.

    Raise RuntimeError outside an operation.
    """
    if host.current_op_hash is None:
        raise RuntimeError("a diff belongs to an operation: call show() inside one")
    host.connector_data.setdefault(KEY, {})[host.current_op_hash] = diff


def unified(path: str, before: str | None, after: str | None) -> str:
    """Return the unified diff of a file's text; None where there is no file."""
    lines = unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        "/dev/null" if before is None else path,
        "/dev/null" if after is None else path,
        lineterm="",
    )
    return "\n".join(lines)
