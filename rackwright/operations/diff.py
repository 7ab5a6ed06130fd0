"""Diffs of what our operations would change; the runner shows each one with its step."""

from __future__ import annotations

from difflib import unified_diff

from pyinfra.context import host

KEY = "diffs"
"""The key of a host's diffs in its `connector_data`: operation hash → text."""
HIDDEN = "content differs"
"""Shown instead of a diff that contains a secret."""


def show(diff: str) -> None:
    """Attach a diff to the current operation. Call it before the first `yield`: a plan stops there.

    Raise RuntimeError outside an operation.
    """
    if host.current_op_hash is None:
        raise RuntimeError("a diff belongs to an operation: call show() inside one")
    host.connector_data.setdefault(KEY, {})[host.current_op_hash] = diff


def unified(path: str, before: str | None, after: str | None) -> str:
    """Return the unified diff of a file's text before and after; None means that there is no file."""
    lines = unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        "/dev/null" if before is None else path,
        "/dev/null" if after is None else path,
        lineterm="",
    )
    return "\n".join(lines)
