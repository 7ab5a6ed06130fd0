"""Prediction of changes: pyinfra's own, corrected by each operation's `_if`.

Before a run, pyinfra evaluates operations but not their conditions, so every conditional restart would count.
"""

from __future__ import annotations

from pyinfra.api.host import Host
from pyinfra.api.state import State


def predict(state: State, host: Host) -> dict[str, bool]:
    """Return whether each prepared operation, in order, would change something.

    Conditions like `_if=[other.did_change]` are evaluated as if every earlier operation had run as predicted.
    """
    operations = {key: state.ops[host][key] for key in host.op_hash_order if key in state.ops[host]}
    changes: dict[str, bool] = {}
    try:
        for key, data in operations.items():
            meta = data.operation_meta
            changes[key] = bool(meta._maybe_is_change) and _holds(data.global_arguments.get("_if"))
            meta._success, meta._commands = True, [None] if changes[key] else []
    finally:
        for data in operations.values():
            data.operation_meta._success, data.operation_meta._commands = None, None
    return changes


def _holds(conditions: object) -> bool:
    listed = conditions if isinstance(conditions, list) else [conditions] if conditions else []
    return all(_holds_one(condition) for condition in listed)


def _holds_one(condition: object) -> bool:
    try:
        return not callable(condition) or bool(condition())
    except Exception:
        # It depends on something known only during the run, such as another operation's output: assume a change.
        return True
