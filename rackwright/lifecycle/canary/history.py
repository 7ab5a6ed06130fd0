"""The verdicts on a model's canaries that the control hosts keep."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.naming import unknown_model
from rackwright.lifecycle.session.lease import control_store
from rackwright.state.canaries import CanaryVerdict, read_verdicts


def canary_verdicts(fleet: Fleet, model: str) -> tuple[CanaryVerdict, ...]:
    """Return the verdicts, oldest first. Raise UsageError if there is no such model. Change nothing."""
    if model not in fleet.file.models:
        raise unknown_model(fleet, model)
    with control_store(fleet) as (store, _):
        return read_verdicts(store, model)
