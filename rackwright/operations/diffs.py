"""Where operations hand in the difference they make, for the plan to show."""

from __future__ import annotations

from pyinfra.context import host


def show(diff: str) -> None:
    """Keep the diff under the operation that runs now, in `host.connector_data["diffs"]` by operation hash."""
    if host.current_op_hash:
        host.connector_data.setdefault("diffs", {})[host.current_op_hash] = diff
